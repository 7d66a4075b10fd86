/*
 * leak - fails a test that leaves descriptors open, or closes some not its own.
 *
 * Sets are compared, not counts: a descriptor leaked and another closed twice
 * would make the same count.  The check looks only at this process and only at
 * numbers; it never closes what it finds, so the report names the real thing.
 */
#include "leak.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "parse.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct leak {
	struct leak_set before;
	struct leak_fixture *inner;
	void *state; /* of inner */
};

void leak_take(struct leak_set *ret)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	if (!dir)
		abort();
	memset(ret, 0, sizeof(*ret));
	while ((entry = readdir(dir))) {
		/* "." and ".." are no numbers; the directory itself does not count. */
		if (parse_fd(entry->d_name, LEAK_FDS_MAX - 1, false, &fd) == 0 && fd != dirfd(dir))
			ret->open[fd] = 1;
	}
	(void)closedir(dir); /* was only read */
}

static void describe(int fd, bool leaked, char *report, size_t size)
{
	char path[64], target[256];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	if (leaked)
		(void)snprintf(report, size, "descriptor %d leaked: %s", fd, target);
	else
		(void)snprintf(report, size, "descriptor %d was closed", fd);
}

size_t leak_compare(const struct leak_set *before, char *report, size_t size)
{
	struct leak_set *now = malloc(sizeof(*now));
	size_t count = 0;

	if (!now)
		abort();
	leak_take(now);
	for (int fd = 0; fd < LEAK_FDS_MAX; fd++)
		if (before->open[fd] != now->open[fd] && count++ == 0)
			describe(fd, now->open[fd], report, size);
	free(now);
	return count;
}

int leak_setup(void **state)
{
	struct leak *leak = calloc(1, sizeof(*leak));

	if (!leak)
		return -1;
	leak->inner = *state;
	leak_take(&leak->before);
	*state = leak;
	return leak->inner && leak->inner->setup ? leak->inner->setup(&leak->state) : 0;
}

int leak_teardown(void **state)
{
	struct leak *leak = *state;
	char report[512];
	size_t count;
	int r = 0;

	if (leak->inner && leak->inner->teardown)
		r = leak->inner->teardown(&leak->state);
	count = leak_compare(&leak->before, report, sizeof(report));
	if (count > 0)
		print_error("%s (and %zu more)\n", report, count - 1);
	free(leak);
	*state = NULL;
	return count > 0 ? -1 : r;
}

void *leak_fixture(void **state)
{
	const struct leak *leak = *state;

	return leak->state;
}
