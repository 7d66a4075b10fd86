/*
 * release - closing without being held up.
 *
 * The child is made by clone(2) with CLONE_FILES and nothing else: it has a copy
 * of the memory, as after fork(2), and the same table of descriptors.  It makes
 * system calls only.  What it waits for in close(2) holds up nobody, since the
 * kernel takes a descriptor out of the table before it waits.
 */
#include "release.h"

#include "cleanup.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/*
 * Pipes, devices, directories and files of block devices never wait.  Asks for
 * what the kernel has at hand, no server (AT_STATX_DONT_SYNC).
 */
static bool may_block(int fd)
{
	struct statx info;

	if (fd < 0)
		return false;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &info))
		return true;
	if (S_ISFIFO(info.stx_mode) || S_ISCHR(info.stx_mode) || S_ISDIR(info.stx_mode))
		return false;
	return S_ISSOCK(info.stx_mode) || info.stx_dev_major == 0;
}

/* Return: whether a child does it. */
static bool close_aside(const int *fds, size_t count)
{
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);

	if (pid != 0)
		return pid > 0;
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]); /* nobody to tell */
	_exit(0);
}

void release_fds(int *fds, size_t count)
{
	int saved = errno;
	bool wanted = false;

	for (size_t i = 0; i < count && !wanted; i++)
		wanted = may_block(fds[i]);
	bool aside = wanted && close_aside(fds, count);
	for (size_t i = 0; i < count; i++) {
		if (!aside && !(wanted && may_block(fds[i])))
			close_fd(&fds[i]);
		fds[i] = -1;
	}
	errno = saved;
}
