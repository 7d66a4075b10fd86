/*
 * namespace_table - the kinds of namespaces, by name.
 */
#include "namespace.h"

#include "cleanup.h"

#include <sched.h>
#include <string.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080 /* Linux 5.6 */
#endif

const struct namespace_row namespace_rows[NAMESPACE_KINDS] = {
	[NAMESPACE_MNT] = { "mnt", "fs", CLONE_NEWNS },
	[NAMESPACE_NET] = { "net", NULL, CLONE_NEWNET },
	[NAMESPACE_PID] = { "pid", NULL, CLONE_NEWPID },
	[NAMESPACE_USER] = { "user", NULL, CLONE_NEWUSER },
	[NAMESPACE_IPC] = { "ipc", NULL, CLONE_NEWIPC },
	[NAMESPACE_UTS] = { "uts", NULL, CLONE_NEWUTS },
	[NAMESPACE_CGROUP] = { "cgroup", NULL, CLONE_NEWCGROUP },
	[NAMESPACE_TIME] = { "time", NULL, CLONE_NEWTIME },
};

static int find(const char *word, size_t len)
{
	for (int i = 0; i < (int)NAMESPACE_KINDS; i++) {
		const char *const names[] = { namespace_rows[i].name, namespace_rows[i].alias };

		for (size_t j = 0; j < ARRAY_LEN(names); j++)
			if (names[j] && strlen(names[j]) == len && memcmp(names[j], word, len) == 0)
				return i;
	}
	return -1;
}

int namespace_find(const char *word)
{
	return find(word, strlen(word));
}

const char *namespace_parse_list(const char *list, unsigned *ret)
{
	unsigned kinds = 0;

	for (const char *at = list;; at++) {
		size_t len = strcspn(at, ",");
		int kind = find(at, len);

		if (kind < 0)
			return at;
		kinds |= NAMESPACE_BIT(kind);
		at += len;
		if (!*at)
			break;
	}
	*ret |= kinds;
	return NULL;
}
