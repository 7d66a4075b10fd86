/*
 * process - what PAM modules change in the process they run in: limits, umask,
 * groups, session keyring.  Set up before, read after, put back.
 */
#pragma once

#include "plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* Where names lead. */
struct process_place {
	dev_t root_device;
	ino_t root;
	ino_t mounts; /* the mount namespace; 0 where /proc does not say */
};

struct process_state {
	struct rlimit limits[RLIM_NLIMITS]; /* of the session, to be put back */
	int32_t keyring; /* serial of the session keyring joined, 0 where the kernel has none */
	struct process_place place;
	uint64_t inheritable; /* capabilities */
	bool known;	      /* process_prepare() has filled it */
};

/*
 * Makes the calling process a session's: a fresh session keyring, a umask that
 * no module would choose, not dumpable, and handlers that do nothing for the
 * signals that are not for it (a program started by a module has the defaults again).
 * Return: 0 with *ret filled; -errno.
 */
int process_prepare(struct process_state *ret);

/*
 * Puts the limits to those dived was started with, for the modules to change:
 * what stands afterwards is the program's.
 */
void process_expose(const struct rlimit *inherited);

/*
 * Reads what the modules left into *ret, whose group list becomes the caller's
 * to free(3), and puts the process's own limits back as far as that is allowed.
 * A hard limit that could not be put back (no CAP_SYS_RESOURCE) stays low.
 * Return: 0; -errno.
 */
int process_capture(const struct process_state *before, struct plan_session *ret,
		    gid_t **ret_groups);

/* The second half alone, for a session that is refused before; accepts a zeroed state. */
void process_restore_limits(const struct process_state *before);

/*
 * Opens the directory of this absolute name in the place the modules have made,
 * without following a symbolic link; if there is none, "/".  For a program whose
 * descriptor of the directory leads out of that place.
 * Return: a descriptor (O_PATH); -errno.
 */
int process_open_directory(const char *path);

/*
 * The low descriptor numbers are for PAM modules, which may run under a low
 * nofile limit, and not for what clients send.  Descriptors of our own move up;
 * a client's are never copied and closed, because that can block, so the free
 * numbers below PROCESS_LOW are occupied while they arrive.
 */
#define PROCESS_PARKED 1024
#define PROCESS_LOW    64

/* Moves *fd to a number from PROCESS_PARKED up; where the limit forbids that it stays, as does -1.
 */
void process_park(int *fd);

/* A copy of a descriptor, up there where the limit lets it.  Return: a descriptor; -errno. */
int process_copy_up(int fd);

/* Occupies the free numbers from 3 to PROCESS_LOW - 1; returns which, as bits. */
uint64_t process_occupy(void);

/* Frees them again. */
void process_vacate(uint64_t occupied);

/* The descriptors from 3 up that a process was started with. */
struct process_fds {
	int *list; /* owned, ascending; NULL for none */
	size_t count;
};

/* Lists those that are open now.  Return: 0; -errno, with an empty list. */
int process_list_fds(struct process_fds *ret);

/* Closes those of the list from number `from` up. */
void process_close_fds(const struct process_fds *fds, int from);

/* Closes all from number `from` up but those in `keep`, which is put in order; -1 is none. */
void process_close_others(unsigned from, int *keep, size_t count);

/*
 * Raises the soft limit of open descriptors to the hard one: listener and
 * session hold those of many clients.  Failing is harmless.
 */
void process_raise_nofile(void);

/*
 * Lets go of the terminal dived was started from.  A program that stays in the
 * session of its dived (-S) could else open it, and type there as whoever started it.
 */
void process_leave_terminal(void);

/* Gives up the controlling terminal that `fd` is, by a session leader.  Return: 0; -errno. */
int process_give_up_terminal(int fd);

/* Whether it leads a session that has no terminal: what else setsid(2) would make of it. */
bool process_is_apart(void);

/*
 * Whether children are made in another pid namespace than this process is in, as after an
 * unshare(2) for children only.  The first one is process 1 there, and with it ends all
 * that comes later.
 * @unknown: the answer where there is no /proc to tell
 */
bool process_forks_elsewhere(bool unknown);

/* Waits until a child has ended, and reaps it; one that is stuck in the kernel is left. */
void process_reap(pid_t pid, int64_t deadline);

/* Whether the process of a pidfd has not ended.  Async-signal-safe. */
bool process_lives(int pidfd);

/* The supplementary groups, the caller's to free(3) and never NULL.  Return: 0; -errno. */
int process_groups(gid_t **ret, size_t *ret_count);

/* Signals that end a process are passed over from now on, and not by what it executes. */
int process_pass_over(void);

/*
 * Lets go of standard input, output and error, and logs to syslog only: no
 * process of a detached gateway holds anything of whoever started it.
 */
void process_detach(void);

/*
 * fork(2), but the new process is a child of our parent.  One system call, and
 * nothing of libc's around it: the caller is about to end.
 * Return: as fork(2).
 */
pid_t process_fork_sibling(void);

/* Descriptors 0 to 2 are never left to be taken by a socket.  Return: 0; -errno. */
int process_fill_standard(void);
