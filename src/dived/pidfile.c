/*
 * pidfile - the id of the process that serves.
 *
 * Written before any other process is made, so that a cgroup named here holds
 * every process of the gateway.
 */
#include "pidfile.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static bool in_cgroup(int fd)
{
	struct statfs info;

	return fstatfs(fd, &info) == 0 &&
	       (info.f_type == CGROUP_SUPER_MAGIC || info.f_type == CGROUP2_SUPER_MAGIC);
}

static int write_one(const char *path, const char *text)
{
	/* Opened without O_TRUNC first: what kind of file it is decides that. */
	cleanup_fd int fd = open(
		path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);

	if (fd < 0)
		return -errno;
	bool control = in_cgroup(fd);
	if (!control && (ftruncate(fd, 0) || fchmod(fd, 0644)))
		return -errno;
	ssize_t done = write(fd, text, strlen(text));
	if (done < 0)
		return -errno;
	return (size_t)done == strlen(text) ? 0 : -EIO;
}

int pidfile_write(const struct option_list *files, char *error, size_t error_size)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%d\n", (int)getpid());
	for (size_t i = 0; i < files->count; i++) {
		int r = write_one(files->items[i], text);

		if (r == 0)
			continue;
		(void)snprintf(error, error_size, "--pidfile %s: %s", files->items[i],
			       strerror(-r));
		return r;
	}
	return 0;
}

void pidfile_remove(const struct option_list *files)
{
	char text[32];
	char found[32];

	(void)snprintf(text, sizeof(text), "%d\n", (int)getpid());
	for (size_t i = 0; i < files->count; i++) {
		cleanup_fd int fd = open(files->items[i],
					 O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		if (fd < 0 || in_cgroup(fd))
			continue;
		ssize_t got = read(fd, found, sizeof(found) - 1);
		if (got > 0 && (size_t)got == strlen(text) && memcmp(found, text, (size_t)got) == 0)
			(void)unlink(files->items[i]); /* a left-over is overwritten next time */
	}
}
