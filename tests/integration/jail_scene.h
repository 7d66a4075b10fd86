/*
 * jail_scene - a root for programs, and a directory beside it.
 *
 * The root is a directory with a few binds, in which everything of the machine that a
 * shell needs is found, and a file of its own, "mark".  `show` has the same name there
 * as outside.
 */
#pragma once

#include "place_scene.h"

#define TOP	"/run/dive-test"
#define JAIL	TOP "/jail"
#define OUTSIDE TOP "/outside"
#define MARK	"cat /mark"
#define IN_SH	"/bin/sh", "-c"

static inline int jail_group_setup(void **state)
{
	static const char script[] =
		"set -e; umask 022; cd " TOP "; mkdir jail outside; cd jail; "
		"mkdir -p usr proc dev old hidden inner/bin ." TOP " ../outside" TOP "; "
		"mount --bind /usr usr; mount -t proc proc proc; mount --rbind /dev dev; "
		"for i in bin lib lib64; do ln -s usr/$i $i; done; "
		"cp ../show ." TOP "; cp ../show ../outside" TOP "; cp ../show inner/bin/tool; "
		"cp ../show hidden/tool; cp ../show only-inside; chmod 700 hidden; "
		"echo jail >mark; >../outside/only-outside";
	int result = show_group_setup(state);

	run_or_fail(&(struct run_options){ .argv = RUN_WORDS(IN_SH, script) });
	MUST(mkdir("/home/alice/closed", 0755)); /* below one that is hers alone */
	MUST(chown("/home/alice/closed", SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
	return result;
}

/* Fails unless a directory that `show` has reported is this one. */
static inline void expect_directory(const char *report, const char *key, const char *path)
{
	struct stat status;
	char value[64];

	MUST(stat(path, &status));
	(void)snprintf(value, sizeof(value), "%ju:%ju", (uintmax_t)status.st_dev,
		       (uintmax_t)status.st_ino); /* fits */
	show_expect(report, key, value);
}

/* Fails unless a program of this client's has this root and this directory. */
static inline void expect_place(const struct run_options *options, const char *root_is,
				const char *directory_is)
{
	struct run command;

	dive(&command, options, RUN_WORDS(SHOW));
	expect_directory(command.out, "root-is", root_is);
	expect_directory(command.out, "cwd-is", directory_is);
	run_done(&command);
}
