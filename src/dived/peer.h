/*
 * peer - who is on the other end of a connection, as the kernel reports it.
 *
 * Sources: SO_PEERCRED and SO_PEERGROUPS (unix(7)), SO_PEERPIDFD (Linux 6.5),
 * and, guarded by that pidfd, /proc/PID/{loginuid,sessionid,status,ns/user}: what was read counts
 * only if the pidfd shows afterwards that the process still lives, since a
 * number read from a dead process's id may be another's.  Nothing here comes
 * from what the client says.
 */
#pragma once

#include "tty.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PEER_UNSET   UINT32_MAX /* login uid or session id that is unset or unknown */
#define PEER_TTY_MAX TTY_NAME_SIZE

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;     /* for records and DIVE_PID only; no decision rests on it */
	gid_t *groups; /* supplementary, owned */
	size_t group_count;
	bool gone;  /* the process that connected has ended: whose the socket is now is unknown */
	bool known; /* login_uid and session_id are what the kernel says, unset included */
	uint32_t login_uid;  /* audit login uid, or PEER_UNSET */
	uint32_t session_id; /* audit session id, or PEER_UNSET */
	bool root;	     /* a root client: uid 0, CAP_SYS_ADMIN effective, our user namespace */
	int pidfd;	     /* owned; -1 where the kernel has no SO_PEERPIDFD */
};

/**
 * peer_read() - identify the other end of a connected socket
 * Return: 0, released with peer_done(); -errno when SO_PEERCRED or SO_PEERGROUPS
 * fails: a peer whose groups are not known must not be taken for one without groups.
 * A kernel without SO_PEERPIDFD, or a client that has gone, costs login_uid,
 * session_id and root (which stay unset and false), not the call; but a caller
 * that acts for the client must refuse where `gone` is set.
 */
int peer_read(int sock, struct peer *ret);

/*
 * A pidfd of the process that connected.  Nothing is waited for.
 * Return: the caller's; -ENOPROTOOPT an older kernel; -errno, it has gone.
 */
int peer_pidfd(int sock);

/*
 * Fills what pidfd and uid tell: login_uid, session_id, root, gone and known.  For a peer
 * of which no more than SO_PEERCRED was read when it came.
 */
void peer_read_process(struct peer *peer);

/* The calling process itself (dived -J), by its real ids.  Return: 0; -errno. */
int peer_read_self(struct peer *ret);

void peer_done(struct peer *peer);

/* Whether gid is the peer's group or one of its supplementary groups. */
bool peer_in_group(const struct peer *peer, gid_t gid);

/**
 * peer_tty() - name of the terminal behind a client's descriptor
 * @fd: a descriptor received from a client; nothing but statx(2) and F_GETFL is done to it
 * @ret: "/dev/pts/N" or "/dev/ttyN" where it is a character device with a terminal's major
 *       number and the host's file of that name is the same file (st_dev,
 *       st_ino): the same device number exists in every devpts instance
 * Return: 0; -ENOTTY when it is no terminal; -ENOENT when it has no name here.
 */
int peer_tty(int fd, char ret[PEER_TTY_MAX]);

/**
 * peer_judge_terminal() - may a program have this terminal of the client's to control
 * @ret_own: it is the controlling terminal of the client's own session, which loses it;
 *           else it must be nobody's, which only the attempt to take it can tell
 * @ret_reason: why not
 *
 * The client must have it open for reading and writing, own it, and name it by a
 * descriptor of the host's own file.  Its session is known by the terminal's number, in
 * which terminals of other devpts instances may agree: whoever forges that takes a
 * terminal from another session of his own, on which he could read and write already.
 *
 * Return: 0; -EACCES with *ret_reason set.
 */
int peer_judge_terminal(const struct peer *peer, int fd, bool *ret_own, const char **ret_reason);
