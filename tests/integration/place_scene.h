/*
 * place_scene - what the tests of "where a program runs" share.
 */
#pragma once

#include "cleanup.h"
#include "deadline.h"
#include "gateway_scene.h"
#include "parse.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLDER	      "dived: holder"
#define UNASKED	      "-a", "never"
#define EVERY_ID      "0 0 4294967295"
#define IDENTITY_MAPS "-t", "uid_map", EVERY_ID, "-t", "gid_map", EVERY_ID

/* In the order of enum namespace_kind. */
static const char *const kinds[] = { "mnt", "net", "pid", "user", "ipc", "uts", "cgroup", "time" };

enum { MNT = 1, NET = 2, PID = 4, USER = 8, IPC = 16, UTS = 32, CGROUP = 64, TIME = 128 };
#define ALL 255

static const struct run_options root = { .uid = 0 };

/* The inode of a namespace of a process; 0: of this one. */
static inline uint64_t inode_of(pid_t pid, size_t kind)
{
	char path[64];
	struct stat status;

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[kind]); /* fits */
	else
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[kind]);
	MUST(stat(path, &status));
	return status.st_ino;
}

/* That which `show` has reported. */
static inline uint64_t shown_inode(const char *report, size_t kind)
{
	char key[16];
	uint64_t value;

	(void)snprintf(key, sizeof(key), "ns-%s", kinds[kind]); /* fits */
	assert_int_equal(parse_uint(show_get(report, key), 1, UINT64_MAX, &value), 0);
	return value;
}

/* Fails unless the program is in exactly the namespaces of `pid` (0: of this process) there. */
static inline void expect_inodes(const char *report, unsigned there, pid_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (there & 1U << i && shown_inode(report, i) != inode_of(pid, i))
			FAIL("the program is in another %s namespace:\n%s", kinds[i], report);
}

/* Fails if the program is in one of this process's namespaces there. */
static inline void expect_others(const char *report, unsigned there)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (there & 1U << i && shown_inode(report, i) == inode_of(0, i))
			FAIL("the program is in dived's own %s namespace:\n%s", kinds[i], report);
}

/* A spawn that is refused, with this in the message. */
static inline void expect_refused(const struct run_options *options, const char *const *words,
				  const char *text)
{
	struct run command;

	run_dive(&command, options, &gateway, words);
	run_assert_status(&command, 77);
	assert_string_equal(command.out, "");
	if (!strstr(command.err, text))
		FAIL("\"%s\" is not in:\n%s", text, command.err);
	run_done(&command);
}

/* Words behind the gateway, whose output is this. */
static inline void expect_output(const struct run_options *options, const char *const *words,
				 const char *text)
{
	struct run command;

	dive(&command, options, words);
	if (strcmp(command.out, text) != 0)
		FAIL("not \"%s\" but \"%s\"", text, command.out);
	run_done(&command);
}

/* The content of a small file. */
static inline const char *content_of(const char *path)
{
	static char text[8192];
	cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));

	memset(text, 0, sizeof(text));
	MUST(read(fd, text, sizeof(text) - 1));
	return text;
}

/* A file of a directory; valid until the fourth call after. */
static inline const char *path_in(const char *directory, const char *name)
{
	static char paths[4][96];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", directory, name); /* fits */
	return path;
}

/* Waits until the text is in the file. */
static inline void await_content(const char *path, const char *text)
{
	int64_t deadline = deadline_after(15000);

	while (!strstr(content_of(path), text)) {
		if (deadline_passed(deadline))
			FAIL("no \"%s\" in %s: %s", text, path, content_of(path));
		(void)poll(NULL, 0, 5);
	}
}
