/*
 * Programs that talk to themselves through a remote shell, with dive in its place: rsync,
 * git and tar.  What goes in comes out, byte for byte, and belongs to the target.
 *
 * The lines are those of dive(1), which a test compares; alice runs them in her home, where
 * bob may not even look.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "pty.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SOCKET	  "/run/dive/bob.sock"
#define BIG	  (5 * 1024 * 1024 + 1)
#define PATHS	  "PATH=/run/dive-test/bin:/run/dive-test:/usr/sbin:/usr/bin:/sbin:/bin"
#define SANDBOXED PATHS, "HOME=/home/alice", "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1"

/* As in the manual. */
#define RSYNC_THERE "rsync -a -s -e 'dive " SOCKET " env' docs/ bob=:/home/bob/docs/"
#define RSYNC_BACK  "rsync -a -s -e 'dive " SOCKET " env' bob=:/home/bob/docs/ copy/"
#define GIT_COMMAND "export GIT_SSH_COMMAND='f() { dive -l " SOCKET " sh -c \"$2\"; }; f'"
#define GIT_VARIANT "export GIT_SSH_VARIANT=simple"
#define GIT_CLONE   "git clone bob:project.git"
#define TAR_THERE   "tar -cf - docs | dive " SOCKET " tar -C /home/bob -xf -"
#define TAR_BACK    "dive " SOCKET " tar -C /home/bob -cf - docs | tar -xf -"
#define USES_GIT    GIT_COMMAND "; " GIT_VARIANT "; "

static struct gateway gateway;
static struct pty pty = { .run.pidfd = -1, .master = -1, .slave = -1 };

static int teardown(void **state)
{
	pty_done(&pty);
	gateway_kill(&gateway);
	return sandbox_test_teardown(state);
}

/* --- what is sent ------------------------------------------------------------------------- */

static void put(int directory, const char *name, mode_t mode, const void *bytes, size_t len)
{
	cleanup_fd int fd = MUST_INT(openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, mode));

	sandbox_write_all(fd, bytes, len);
	MUST(fchmod(fd, mode));
}

/* Every byte has every value in turn, NUL included, and no two blocks are alike. */
static void fill(unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i ^ i >> 8 ^ i >> 16);
}

/* A tree at ~/docs of alice's with names that a shell, an option parser or an argument of
   dive's protocol could take for something else. */
static void make_tree(void)
{
	static const char *const names[] = { "two words", "new\nline", "-rf",  "it's \"so\"",
					     "$HOME`id`", "*",	       "\\",   "\xff\xfe",
					     ".hidden",	  "trailing ", "ä:=b", "~" };
	cleanup_free unsigned char *bytes = malloc(BIG);
	cleanup_fd int home = MUST_INT(open("/home/alice", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	MUST_POINTER(bytes);
	fill(bytes, BIG);
	MUST(mkdirat(home, "docs", 0755));
	cleanup_fd int docs = MUST_INT(openat(home, "docs", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	put(docs, "big", 0644, bytes, BIG);
	put(docs, "all values", 0600, bytes, 256);
	put(docs, "empty", 0444, "", 0);
	put(docs, "tool", 0755, "#!/bin/sh\n", 10);
	MUST(symlinkat("big", docs, "link"));
	MUST(symlinkat("/nowhere\n", docs, "dangling"));
	MUST(mkdirat(docs, "a directory", 0750));
	cleanup_fd int inner =
		MUST_INT(openat(docs, "a directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		put(inner, names[i], 0640, names[i], strlen(names[i]));
	MUST(mkdirat(inner, "empty directory", 0700));
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("chown", "-hR", "alice:alice", "/home/alice/docs") });
}

/* Alike in names, kinds, modes and bytes. */
static void assert_alike(const char *one, const char *other)
{
	static const char list[] = "for d; do (cd \"$d\" && find . -printf '%y %m %l %P\\0' | "
				   "sort -z | sha256sum); done | uniq | wc -l";
	struct run command;

	run(&command, &(struct run_options){
			      .argv = RUN_WORDS("diff", "-r", "--no-dereference", one, other) });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "");
	run_done(&command);
	run(&command, &(struct run_options){ .argv = RUN_WORDS("sh", "-c", list, "", one, other) });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "1\n");
	run_done(&command);
}

/* All of it is the account's, and there is something. */
static void assert_owned(const char *path, const char *account)
{
	struct run command;

	assert_int_equal(access(path, F_OK), 0);
	run(&command,
	    &(struct run_options){ .argv = RUN_WORDS("find", path, "(", "!", "-user", account, "-o",
						     "!", "-group", account, ")") });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "");
	run_done(&command);
}

/* --- alice's commands --------------------------------------------------------------------- */

static void serve(const char *const *options)
{
	static const char *argv[16];
	size_t count = 0;

	argv[count++] = SOCKET;
	while (*options)
		argv[count++] = *options++; /* a handful */
	argv[count] = NULL;
	gateway_start(&gateway, argv);
}

static void alices(struct run *ret, const char *line)
{
	run(ret, &(struct run_options){ .account = "alice",
					.directory = "/home/alice",
					.deadline_ms = 60000,
					.envp = RUN_WORDS(SANDBOXED),
					.argv = RUN_WORDS("bash", "-o", "pipefail", "-c", line) });
}

/* It succeeds, and says nothing. */
static void does(const char *line)
{
	struct run command;

	alices(&command, line);
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "");
	assert_string_equal(command.err, "");
	run_done(&command);
}

static void clean(void)
{
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("sh", "-c",
				  "rm -rf /home/bob/* /home/alice/copy /home/alice/project "
				  "/home/alice/back /home/alice/.ssh") });
}

static void test_rsync(void **state)
{
	(void)state;
	serve(RUN_WORDS("-u", "bob", "-a", "never"));
	does(RSYNC_THERE);
	assert_alike("/home/alice/docs", "/home/bob/docs");
	assert_owned("/home/bob/docs", "bob");
	does(RSYNC_BACK);
	assert_alike("/home/alice/docs", "/home/alice/copy");
	assert_owned("/home/alice/copy", "alice");
	/* What is there already is compared, not sent: both directions at once. */
	does("printf X | dd of=docs/big bs=1 seek=3000000 conv=notrunc status=none");
	does("rsync -a -s --checksum --delete -e 'dive " SOCKET " env' docs/ bob=:/home/bob/docs/");
	assert_alike("/home/alice/docs", "/home/bob/docs");
	/* In bob's home, with a name of several words. */
	does("rsync -a -s -e 'dive -l " SOCKET " env' docs/ 'bob=:two  words/'");
	assert_alike("/home/alice/docs", "/home/bob/two  words");
	clean();
	gateway_stop(&gateway);
}

static void test_tar(void **state)
{
	(void)state;
	serve(RUN_WORDS("-u", "bob", "-a", "never"));
	does(TAR_THERE);
	assert_alike("/home/alice/docs", "/home/bob/docs");
	assert_owned("/home/bob/docs", "bob");
	does("mkdir back && cd back && " TAR_BACK);
	assert_alike("/home/alice/docs", "/home/alice/back/docs");
	assert_owned("/home/alice/back", "alice");
	clean();
	gateway_stop(&gateway);
}

static void test_git(void **state)
{
	(void)state;
	serve(RUN_WORDS("-u", "bob", "-a", "never"));
	does("dive -l " SOCKET " git init -q --bare -b main project.git");
	does("cd docs && git init -q -b main && git add . && "
	     "git -c user.name=Alice -c user.email=alice@localhost commit -q -m first");
	does(USES_GIT "cd docs && git push -q bob:project.git main");
	assert_owned("/home/bob/project.git", "bob");
	does(USES_GIT GIT_CLONE " -q && rm -rf project");
	does(USES_GIT GIT_CLONE " -q");
	assert_owned("/home/alice/project", "alice");
	/* Of modes git keeps one bit, and of directories those that hold something. */
	does("rm -rf docs/.git project/.git; rmdir 'docs/a directory/empty directory'; "
	     "chmod -R u=rwX,go=rX docs project");
	assert_alike("/home/alice/docs", "/home/alice/project");
	/* By configuration instead of the environment, and from an absolute path. */
	does("rm -rf project; git -c ssh.variant=simple -c core.sshCommand='f() { dive " SOCKET
	     " sh -c \"$2\"; }; f' clone -q bob:/home/bob/project.git");
	assert_int_equal(access("/home/alice/project/big", F_OK), 0);
	clean();
	gateway_stop(&gateway);
}

/* --- both of the program's outputs at once -------------------------------------------------- */

/* Megabytes through each, through pipes that are read by two others. */
static void test_two_outputs(void **state)
{
	static const char line[] =
		"{ dive " SOCKET
		" sh -c 'cat <&8 & cat <&9 >&2; wait' 8<one 9<two 2>&3 3>&- 4>&- | "
		"cmp - one >&4; } 3>&1 4>&2 | cmp - two";

	(void)state;
	serve(RUN_WORDS("-u", "bob", "-a", "never"));
	does("cp docs/big one; tac docs/big >two");
	does(line);
	does("rm one two");
	gateway_stop(&gateway);
}

/* --- failures ------------------------------------------------------------------------------- */

/* Statuses are those that the programs have with ssh, too: see their manuals. */
static void test_failures(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *says;
	} cases[] = {
		{ "rsync -a -s -e 'dive " SOCKET " env' docs/ bob=:/root/docs/", 3,
		  "Permission denied" },
		{ "rsync -a -s -e 'dive " SOCKET " env' bob=:/root/ copy/", 23,
		  "Permission denied" },
		{ "rsync -a -s -e 'dive " SOCKET " env' bob=:/home/alice/docs/ copy/", 23,
		  "Permission denied" },
		{ "rsync -a -s -e 'dive /run/dive/none.sock env' docs/ bob=:docs/", 12,
		  "no such socket" },
		{ USES_GIT "git clone bob:missing.git", 128,
		  "'missing.git' does not appear to be a git repository" },
		{ USES_GIT "git clone bob:/root/missing.git", 128,
		  "'/root/missing.git' does not appear to be a git repository" },
		{ "tar -cf - docs | dive " SOCKET " tar -C /root -xf -", 2, "Permission denied" },
		{ "dive " SOCKET " tar -C /home/bob -cf - none | tar -xf -", 2,
		  "none: Cannot stat" },
	};
	struct run command;

	(void)state;
	serve(RUN_WORDS("-u", "bob", "-a", "never"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].line);
		alices(&command, cases[i].line);
		run_assert_status(&command, cases[i].status);
		if (!strstr(command.err, cases[i].says))
			FAIL("no \"%s\" in:\n%s", cases[i].says, command.err);
		run_done(&command);
	}
	clean();
	gateway_stop(&gateway);
}

/* --- a person ------------------------------------------------------------------------------- */

/* At a terminal, which asks for one password: dive's answers come from there, its data not. */
static void test_with_a_password(void **state)
{
	static const char *const lines[] = { RSYNC_THERE, TAR_THERE, USES_GIT GIT_CLONE " -q" };

	(void)state;
	serve(RUN_WORDS("-u", "bob"));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		bool git = i + 1 == ARRAY_LEN(lines); /* of nothing: only that it is asked once */
		char line[400];

		print_message("case: %s\n", lines[i]);
		(void)snprintf(line, sizeof(line), "%s; echo sta''tus=$?=", lines[i]); /* fits */
		pty_start(&pty, &(struct run_options){ .account = "alice",
						       .directory = "/home/alice",
						       .envp = RUN_WORDS(SANDBOXED),
						       .argv = RUN_WORDS("bash", "-c", line) });
		pty_expect(&pty, "assword: ");
		pty_send(&pty, SANDBOX_PASSWORD_ALICE "\n");
		pty_expect(&pty, git ? "status=128=" : "status=0=");
		assert_int_equal(pty_wait(&pty), 0);
		pty_done(&pty);
		if (!git)
			assert_alike("/home/alice/docs", "/home/bob/docs");
		clean();
	}
	gateway_stop(&gateway);
}

/* --- the manual ----------------------------------------------------------------------------- */

static void test_manual(void **state)
{
	static const char *const lines[] = { RSYNC_THERE, RSYNC_BACK, GIT_COMMAND, GIT_VARIANT,
					     GIT_CLONE,	  TAR_THERE,  TAR_BACK };
	char path[256];
	struct run command;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/man/dive.1", sandbox_source()); /* fits */
	run(&command, &(struct run_options){ .argv = RUN_WORDS("mandoc", "-T", "ascii", path) });
	run_assert_status(&command, 0);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char wanted[256];

		(void)snprintf(wanted, sizeof(wanted), "alice$ %s\n", lines[i]); /* fits */
		if (!strstr(command.out, wanted))
			FAIL("not in dive(1): %s", lines[i]);
	}
	run_done(&command);
}

static int setup(void **state)
{
	int result = show_group_setup(state);

	MUST(mkdir("/run/dive", 0755));
	make_tree();
	return result;
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rsync),
		TEST(test_tar),
		TEST(test_two_outputs),
		TEST(test_failures),
		TEST(test_with_a_password),
		TEST(test_manual),
		TEST(test_git), /* last: it changes what is sent */
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
