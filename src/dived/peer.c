/*
 * Reads who is on the other end of a socket, from the kernel alone.
 *
 * uid, gid and groups are those the kernel kept when the client called connect(2).  What
 * the kernel does not keep (login uid, capabilities, user namespace) is read from /proc,
 * through one descriptor of /proc/PID, where PID is what our own fdinfo says of the pidfd.
 * It counts only if the pidfd shows afterwards that the process has not ended: a process
 * that still is has had its number all the time.
 *
 * Whatever goes wrong there costs the client privileges and never gives it any: an unknown
 * login uid is unset, an unknown client is not a root client.
 */
#include "peer.h"

#include "capability.h"
#include "cleanup.h"
#include "parse.h"
#include "process.h"
#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5; the headers of Debian 12 are older */
#endif

#define GROUPS_MAX    65536 /* NGROUPS_MAX of the kernel */
#define PROC_TEXT_MAX 4096
#define STATUS_MAX    (1024 * 1024)

/* Reads a small file whole.  Return: its length; -EFBIG; -errno. */
static ssize_t proc_read(int directory, const char *name, char *buffer, size_t size)
{
	cleanup_fd int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t got = read(fd, buffer + len, size - len);

		if (got < 0)
			return -errno;
		len += (size_t)got;
		if (got == 0)
			break;
		if (len == size)
			return -EFBIG;
	}
	buffer[len] = '\0';
	return (ssize_t)len;
}

/*
 * A file that holds one number.  A kernel without audit has no such file: then the id is
 * unset.  Return: 0; -errno.
 */
static int proc_read_id(int directory, const char *name, uint32_t *ret)
{
	char text[32];
	uint64_t value = PEER_UNSET;
	ssize_t got = proc_read(directory, name, text, sizeof(text));

	if (got < 0 && got != -ENOENT)
		return (int)got;
	text[got < 0 ? 0 : strcspn(text, "\n")] = '\0';
	if (got >= 0 && parse_uint(text, 0, UINT32_MAX, &value) < 0)
		return -EBADMSG;
	*ret = (uint32_t)value;
	return 0;
}

/* The memory is for a process in 65536 groups, which are listed before its capabilities. */
static bool proc_has_admin(int directory)
{
	cleanup_free char *text = malloc(STATUS_MAX);
	uint64_t effective;

	if (text == NULL || proc_read(directory, "status", text, STATUS_MAX) < 0 ||
	    parse_proc_field(text, "CapEff", 16, &effective) < 0)
		return false;
	return capability_has(effective, CAP_SYS_ADMIN);
}

static bool proc_same_user_namespace(int directory)
{
	struct stat theirs, ours;

	if (fstatat(directory, "ns/user", &theirs, 0) < 0 || stat("/proc/self/ns/user", &ours) < 0)
		return false;
	return theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/*
 * Return: a descriptor of /proc/PID; -EXDEV when the process is in a pid
 * namespace that cannot be seen from here; -ESRCH otherwise.
 */
static int peer_open_proc(int pidfd)
{
	char path[64], text[PROC_TEXT_MAX];
	uint64_t pid;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	/* Pid is -1 when the process has gone, 0 when it is outside our pid namespace */
	if (proc_read(AT_FDCWD, path, text, sizeof(text)) < 0 ||
	    parse_proc_field(text, "Pid", 10, &pid) < 0 || pid > INT32_MAX)
		return -ESRCH;
	if (pid == 0)
		return -EXDEV;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -ESRCH : fd;
}

/*
 * Says in `gone` and `known` what the rest is worth: whatever goes wrong, the process
 * does not count as seen.
 */
void peer_read_process(struct peer *peer)
{
	cleanup_fd int proc = peer_open_proc(peer->pidfd);
	uint32_t login_uid, session_id;
	bool root;

	if (proc == -EXDEV) {
		peer->gone = !process_lives(peer->pidfd);
		return;
	}
	peer->gone = true;
	if (proc < 0 || proc_read_id(proc, "loginuid", &login_uid) < 0 ||
	    proc_read_id(proc, "sessionid", &session_id) < 0)
		return;
	root = peer->uid == 0 && proc_has_admin(proc) && proc_same_user_namespace(proc);
	if (!process_lives(peer->pidfd))
		return;
	peer->gone = false;
	peer->known = true;
	peer->login_uid = login_uid;
	peer->session_id = session_id;
	peer->root = root;
}

/* Return: 0; -errno.  A kernel without SO_PEERGROUPS (before 4.13) is not catered for. */
static int peer_read_groups(int sock, struct peer *peer)
{
	socklen_t size = 64 * sizeof(gid_t);

	for (;;) {
		cleanup_free gid_t *groups = malloc(size);
		socklen_t len = size;

		if (groups == NULL)
			return -ENOMEM;
		if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0) {
			peer->groups = take_ptr(groups);
			peer->group_count = len / sizeof(gid_t);
			return 0;
		}
		if (errno != ERANGE)
			return -errno;
		/* the kernel says how much it takes; the groups themselves cannot change */
		if (len <= size || len > GROUPS_MAX * sizeof(gid_t))
			return -ERANGE;
		size = len;
	}
}

int peer_pidfd(int sock)
{
	int pidfd = -1;
	socklen_t len = sizeof(pidfd);

	/* Close-on-exec: the kernel makes all pidfds so. */
	return getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0 ? -errno : pidfd;
}

int peer_read(int sock, struct peer *ret)
{
	struct peer peer = { .login_uid = PEER_UNSET, .session_id = PEER_UNSET, .pidfd = -1 };
	struct ucred credentials;
	socklen_t len = sizeof(credentials);
	int error;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
		return -errno;
	/* a socket that is not connected has uid and gid -1, and other families have none */
	if (len != sizeof(credentials) || credentials.uid == (uid_t)-1)
		return -ENOTCONN;
	peer.uid = credentials.uid;
	peer.gid = credentials.gid;
	peer.pid = credentials.pid;
	error = peer_read_groups(sock, &peer);
	if (error < 0)
		return error;

	error = peer_pidfd(sock);
	if (error >= 0) {
		peer.pidfd = error;
		peer_read_process(&peer);
	} else {
		peer.gone = error != -ENOPROTOOPT; /* a kernel that does not know the option */
	}
	*ret = peer;
	return 0;
}

int peer_read_self(struct peer *ret)
{
	struct peer peer = { .uid = getuid(),
			     .gid = getgid(),
			     .pid = getpid(),
			     .login_uid = PEER_UNSET,
			     .session_id = PEER_UNSET,
			     .pidfd = -1 };
	int r = process_groups(&peer.groups, &peer.group_count);

	if (r)
		return r;
	/* Where /proc is missing the login uid is unknown, and stays what it is. */
	cleanup_fd int proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	peer.known = proc >= 0 && proc_read_id(proc, "loginuid", &peer.login_uid) == 0 &&
		     proc_read_id(proc, "sessionid", &peer.session_id) == 0;
	peer.root = proc >= 0 && peer.uid == 0 && proc_has_admin(proc);
	*ret = peer;
	return 0;
}

void peer_done(struct peer *peer)
{
	free(peer->groups);
	close_fd(&peer->pidfd);
	*peer = (struct peer){ .login_uid = PEER_UNSET, .session_id = PEER_UNSET, .pidfd = -1 };
}

bool peer_in_group(const struct peer *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->group_count; i++) {
		if (peer->groups[i] == gid)
			return true;
	}
	return false;
}

int peer_tty(int fd, char ret[PEER_TTY_MAX])
{
	struct stat theirs, ours;
	struct statx type;
	char name[PEER_TTY_MAX];
	int flags = fcntl(fd, F_GETFL);

	/* A descriptor that cannot be read proves nothing: anybody can open any terminal with
	   O_PATH, and many can write to those of others. */
	if (flags < 0)
		return -errno;
	if ((flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
		return -ENOTTY;
	/* Of a file on FUSE fstat(2) would ask the client's own server. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &type) < 0)
		return -errno;
	if (!S_ISCHR(type.stx_mode))
		return -ENOTTY;
	if (fstat(fd, &theirs) < 0)
		return -errno;
	if (tty_name(theirs.st_rdev, name) < 0)
		return -ENOTTY;
	if (lstat(name, &ours) < 0 || !S_ISCHR(ours.st_mode))
		return -ENOENT;
	if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino ||
	    ours.st_rdev != theirs.st_rdev)
		return -ENOENT;
	memcpy(ret, name, sizeof(name));
	return 0;
}

/* Whether the field of /proc/PID/stat is this number.  The name in it may hold anything. */
static bool has_terminal(const char *stat, unsigned number)
{
	const char *at = strrchr(stat, ')');
	char wanted[16];
	size_t len;

	for (int i = 0; at && i < 5; i++) { /* state, parent, group, session, terminal */
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	len = (size_t)snprintf(wanted, sizeof(wanted), "%d ", (int)number); /* fits */
	return at && strncmp(at, wanted, len) == 0;
}

/* By the terminal that is open, which for /dev/console is not the file's own number. */
static bool peer_is_at(const struct peer *peer, int terminal)
{
	cleanup_fd int proc = peer->pidfd >= 0 ? peer_open_proc(peer->pidfd) : -1;
	char text[PROC_TEXT_MAX];
	unsigned number;

	return proc >= 0 && tty_number(terminal, &number) == 0 &&
	       proc_read(proc, "stat", text, sizeof(text)) >= 0 && process_lives(peer->pidfd) &&
	       has_terminal(text, number);
}

int peer_judge_terminal(const struct peer *peer, int fd, bool *ret_own, const char **ret_reason)
{
	int flags = fcntl(fd, F_GETFL);
	char name[PEER_TTY_MAX];
	struct stat info;

	*ret_reason = "it is not open for reading and writing";
	if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) != O_RDWR)
		return -EACCES;
	*ret_reason = "it is no terminal of this host";
	if (peer_tty(fd, name) != 0 || fstat(fd, &info) != 0)
		return -EACCES;
	*ret_reason = "it belongs to another account";
	if (info.st_uid != peer->uid)
		return -EACCES;
	*ret_own = peer_is_at(peer, fd);
	return 0;
}
