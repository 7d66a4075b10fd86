/*
 * sealed - a copy in memory, for gateways into namespaces of somebody else.
 *
 * What a program is when it is executed in a container is decided by the container:
 * its /bin/sh may be a script with the interpreter /proc/self/exe, and that is, until
 * the exec is over, the file that dived was executed from.  Root of a container
 * without a user namespace of its own could so get hold of dived's file on the host
 * and write to it once nobody executes it any more (the weakness that was
 * CVE-2019-5736 in runc).  Of a copy in memory that is sealed against writing there
 * is nothing to be had.
 *
 * The price is that the kernel's records have "/memfd:dived" as exe=.
 */
#include "sealed.h"

#include "cleanup.h"
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

#define CHUNK ((size_t)1 << 30)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS; /* a kernel to come may add others */
}

static int make_copy(int from)
{
	cleanup_fd int copy = memfd_create("dived", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	ssize_t sent;

	if (copy < 0 && errno == EINVAL) /* an older kernel makes all of them executable */
		copy = memfd_create("dived", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return -errno;
	do
		sent = sendfile(copy, from, NULL, CHUNK);
	while (sent > 0);
	if (sent < 0 || fcntl(copy, F_ADD_SEALS, SEALS))
		return -errno;
	return take_fd(&copy);
}

int sealed_execute(char *const *argv, char *error, size_t error_size)
{
	if (!config_joins(argv))
		return 0;
	cleanup_fd int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (own < 0 && errno == ENOENT)
		return 0; /* without /proc nothing of this will start: gateway.c says so */
	if (own >= 0 && is_sealed(own)) {
		(void)prctl(PR_SET_NAME, "dived"); /* else that of the copy; for ps(1) only */
		return 0;
	}
	cleanup_fd int copy = own < 0 ? -errno : make_copy(own);
	if (copy >= 0) {
		(void)fexecve(copy, argv, environ);
		copy = -errno;
	}
	(void)snprintf(error, error_size,
		       "-N, --setns-pid: no copy of dived can be made and executed: %s",
		       strerror(-copy));
	return -EINVAL;
}
