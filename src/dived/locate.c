/*
 * locate - names of directories, looked up anew.
 *
 * First only what is in the kernel's cache is asked for (RESOLVE_CACHED): all directories
 * above an open one are there, so that nearly always does, and never waits.  It also gives
 * up where something has to be read first, an access list for one, or has just been renamed.
 * Then a child looks, which may wait.
 *
 * The child is made as in release.c: it shares the table of descriptors, so that its end
 * closes none and waits for none of the client's; its root directory is its own, so it can
 * go back to one that this process has left.  It makes system calls only.
 */
#include "locate.h"

#include "cleanup.h"
#include "deadline.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define REAP_MS 100

/* Shared with the child. */
struct answer {
	char name[PATH_MAX]; /* "" for none */
	bool confirmed;
	bool complete;
};

/* What the kernel has at hand, no server.  A FUSE mount of another's tells but its device. */
static bool identify(int fd, struct statx *ret)
{
	const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;

	return statx(fd, "", flags, STATX_INO | STATX_MNT_ID, ret) == 0 ||
	       statx(fd, "", flags, 0, ret) == 0;
}

static bool is_same(const struct statx *a, const struct statx *b)
{
	const unsigned needed = STATX_INO | STATX_MNT_ID;

	return (a->stx_mask & b->stx_mask & needed) == needed &&
	       a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	       a->stx_ino == b->stx_ino && a->stx_mnt_id == b->stx_mnt_id;
}

/* Return: whether `name` is the directory; false with *ret_again set where nobody knows yet. */
static bool leads_to(const char *name, int fd, uint64_t how_far, bool *ret_again)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | how_far };
	struct statx here, there;
	long found;

	if (*name != '/')
		return false;
	found = syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how));
	*ret_again = found < 0 && (errno == EAGAIN || errno == EINVAL); /* EINVAL before 5.12 */
	if (found < 0)
		return false;
	bool same = identify(fd, &here) && identify((int)found, &there) && is_same(&here, &there);
	(void)close((int)found); /* of O_PATH: nothing waits */
	return same;
}

static void read_name(int fd, char *name)
{
	char link[64];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* fits */
	len = readlink(link, name, PATH_MAX - 1);
	name[len > 0 ? len : 0] = '\0';
}

static void __attribute__((noreturn)) look(int fd, int outside, struct answer *answer)
{
	bool again;

	if (outside >= 0 && (fchdir(outside) || chroot(".")))
		_exit(1);
	read_name(fd, answer->name);
	answer->confirmed = leads_to(answer->name, fd, 0, &again);
	__atomic_store_n(&answer->complete, true, __ATOMIC_RELEASE); /* it may be killed */
	_exit(0);
}

/* Waits for the child, which is ours and not reaped, so the number is its own. */
static void await(pid_t pid)
{
	cleanup_fd int pidfd = pidfd_open(pid, 0);
	int64_t deadline;

	if (pidfd < 0 || deadline_poll(pidfd, POLLIN, deadline_after(LOCATE_MS)))
		(void)kill(pid, SIGKILL);
	/* One that is stuck in the kernel is left to whoever reaps when we have ended. */
	deadline = deadline_after(REAP_MS);
	while (waitpid(pid, NULL, WNOHANG) == 0 && !deadline_passed(deadline))
		(void)poll(NULL, 0, 1);
}

/* *ret is overwritten only where the child came to an end of its work. */
static void ask_child(int fd, int outside, struct answer *ret)
{
	struct answer *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long pid;

	if (shared == MAP_FAILED)
		return;
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0)
		look(fd, outside, shared);
	if (pid > 0)
		await((pid_t)pid);
	if (pid > 0 && __atomic_load_n(&shared->complete, __ATOMIC_ACQUIRE))
		*ret = *shared;
	(void)munmap(shared, sizeof(*shared)); /* cannot fail for what was mapped */
}

const char *locate_directory(int fd, int outside, bool may_fork, char *buffer,
			     struct locate_inode *ret)
{
	struct answer answer = { .confirmed = false };
	bool again = outside >= 0;
	struct statx info;

	*ret = (struct locate_inode){ .due = false };
	if (fd < 0)
		return NULL;
	if (outside < 0) {
		read_name(fd, answer.name);
		answer.confirmed = leads_to(answer.name, fd, RESOLVE_CACHED, &again);
	}
	if (again && may_fork)
		ask_child(fd, outside, &answer);
	ret->due = !answer.confirmed;
	if (ret->due && identify(fd, &info)) {
		ret->major = info.stx_dev_major;
		ret->minor = info.stx_dev_minor;
		ret->number = info.stx_mask & STATX_INO ? info.stx_ino : 0;
	}
	memcpy(buffer, answer.name, sizeof(answer.name));
	return *buffer ? buffer : NULL;
}
