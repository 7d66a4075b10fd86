/*
 * What the record of a spawn says of the program, held against what the program itself
 * finds: its ids and groups, where it is, and in which namespaces.
 */
#include "cleanup.h"
#include "container.h"
#include "must.h"
#include "sandbox.h"
#include "show.h"
#include "trail.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Alice runs these words through trail.gateway; returns the record of it. */
static const char *play(const char *const *words)
{
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &trail.gateway, words);
	run_assert_status(&trail.client, 0);
	return trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
}

/* --- as whom --------------------------------------------------------------------- */

/* The word of this number (from 0) of a line of /proc/PID/status, "" for none. */
static void take_word(const char *status, const char *line, unsigned number, char ret[16])
{
	const char *at = strstr(status, line);

	assert_non_null(at);
	at += strlen(line);
	for (unsigned i = 0;; i++) {
		size_t len;

		at += strspn(at, "\t ");
		len = strcspn(at, "\t \n");
		assert_in_range(len, 0, 15);
		memcpy(ret, at, len);
		ret[len] = '\0';
		if (i == number || len == 0)
			return;
		at += len;
	}
}

/* In the order of the kernel, which sorts them. */
static void join_groups(const char *status, char *buffer, size_t size)
{
	size_t used = 0;
	char word[16];

	buffer[0] = '\0';
	for (unsigned i = 0; take_word(status, "\nGroups:", i, word), word[0]; i++) {
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", i ? "," : "", word);
		assert_in_range(used, 1, size - 1);
	}
	if (used == 0)
		(void)snprintf(buffer, size, "none"); /* fits */
}

static const struct {
	const char *const options[6];
	const char *account; /* of the record */
	const char *uid, *gid, *euid, *egid, *groups;
} identities[] = {
	{ { "-u", "bob" }, "bob", "2002", "2002", "2002", "2002", "2002" },
	{ { "-u", "bob", "-e", "root" }, "bob", "2002", "2002", "0", "0", "0" },
	{ { "-u", "root", "-e", "bob" }, "root", "0", "0", "2002", "2002", "2002" },
	{ { "-u", "toor" }, "toor", "0", "2042", "0", "2042", "2042" },
	{ { "-g", "42,100,2003" }, "alice", "2001", "42", "2001", "42", "42,100,2003" },
	{ { "-P" }, "root", "0", "0", "0", "0", NULL },
};

static void test_identity(void **state)
{
	(void)state;
	sandbox_account_line("/etc/passwd", "toor", "toor:x:0:2042:root again:/root:/bin/sh");
	sandbox_account_line("/etc/shadow", "toor", "toor:*:20000:0:99999:7:::");
	for (size_t i = 0; i < ARRAY_LEN(identities); i++) {
		const char *options[9] = { "-a", "never" };
		static const char *const fields[] = { "target_uid", "target_gid", "target_euid",
						      "target_egid" };
		const char *const expected[] = { identities[i].uid, identities[i].gid,
						 identities[i].euid, identities[i].egid };
		char groups[256];
		const char *text;

		print_message("case: %zu\n", i);
		memcpy(options + 2, identities[i].options, sizeof(identities[i].options));
		trail_serve(options);
		text = play(RUN_WORDS("cat", "/proc/self/status"));
		trail_assert(text, "acct", identities[i].account);
		for (unsigned j = 0; j < ARRAY_LEN(fields); j++) {
			char word[16];

			trail_assert(text, fields[j], expected[j]);
			take_word(trail.client.out, j % 2 ? "\nGid:" : "\nUid:", j / 2, word);
			assert_string_equal(word, expected[j]);
		}
		join_groups(trail.client.out, groups, sizeof(groups));
		if (identities[i].groups)
			assert_string_equal(groups, identities[i].groups);
		trail_assert(text, "target_groups", groups);
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
	}
}

/* --- where ------------------------------------------------------------------------- */

/* The field tells which directory it is, by what cannot be made up. */
static void assert_inode(const char *text, const char *field, const struct stat *is)
{
	char name[16];
	char device[32];

	(void)snprintf(name, sizeof(name), "%s_dev", field); /* fits, as do those below */
	(void)snprintf(device, sizeof(device), "%u:%u", major(is->st_dev), minor(is->st_dev));
	trail_assert(text, name, device);
	(void)snprintf(name, sizeof(name), "%s_ino", field);
	trail_assert_number(text, name, is->st_ino);
}

/* Alice starts a program in a directory that this is a descriptor of. */
static const char *play_in(int directory, const char *const *words)
{
	run_dive(&trail.client,
		 &(struct run_options){
			 .account = "alice",
			 .envp = RUN_WORDS("DIVE_CURDIR=/proc/self/fd/7", "PATH=/usr/bin:/bin"),
			 .fds = &(struct run_fd){ directory, 7 },
			 .fd_count = 1 },
		 &trail.gateway, words);
	run_assert_status(&trail.client, 0);
	return trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
}

#define FORGED "/usr/local/sbin"

static int mount_home(void)
{
	return mount("/home/alice", FORGED, NULL, MS_BIND, NULL);
}

/* Alice's own home, in a mount namespace of hers, at a place that is root's. */
static void test_forged_directory(void **state)
{
	struct container box;
	struct stat home;
	char path[64];
	const char *text;

	(void)state;
	MUST(chmod("/home/alice", 0755));
	MUST(stat("/home/alice", &home));
	container_start(&box, &(struct container_options){ .flags = CLONE_NEWUSER | CLONE_NEWNS,
							   .account = "alice",
							   .map = "0 2001 1\n",
							   .prepare = mount_home });
	(void)snprintf(path, sizeof(path), "/proc/%d/root" FORGED, box.pid); /* fits */
	cleanup_fd int directory = MUST_INT(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never"));
	text = play_in(directory, RUN_WORDS("true"));
	trail_assert(text, "cwd", FORGED);
	assert_inode(text, "cwd", &home);
	run_done(&trail.client);
	/* The same directory by its true name, of which there is nothing more to say. */
	close_fd(&directory);
	directory = MUST_INT(open("/home/alice", O_PATH | O_DIRECTORY | O_CLOEXEC));
	text = play_in(directory, RUN_WORDS("true"));
	trail_assert(text, "cwd", "/home/alice");
	assert_false(audit_has_field(text, "cwd_dev"));
	assert_false(audit_has_field(text, "root_dev"));
	run_done(&trail.client);
	gateway_stop(&trail.gateway);
	container_stop(&box);
}

static void test_deleted_directory(void **state)
{
	struct stat is;
	const char *text;

	(void)state;
	MUST(mkdir("/run/deleted", 0755));
	cleanup_fd int directory = MUST_INT(open("/run/deleted", O_PATH | O_DIRECTORY | O_CLOEXEC));
	MUST(fstat(directory, &is));
	MUST(rmdir("/run/deleted"));
	trail_serve(RUN_WORDS(NULL));
	text = play_in(directory, RUN_WORDS("true"));
	trail_assert_text(text, "cwd", "/run/deleted (deleted)");
	assert_inode(text, "cwd", &is);
	run_done(&trail.client);
	gateway_stop(&trail.gateway);
}

#define JAIL "/run/jail"

/* What `show` tells is the kernel's number of the device, and of the inode. */
static void assert_shown(const char *key, const char *path)
{
	struct stat is;
	char value[64];

	MUST(stat(path, &is));
	(void)snprintf(value, sizeof(value), "%ju:%ju", (uintmax_t)is.st_dev,
		       (uintmax_t)is.st_ino); /* fits */
	show_expect(trail.client.out, key, value);
}

/* A module moves the session: what is recorded is where the program is in the end. */
static void test_moved(void **state)
{
	static const struct {
		const char *directory; /* the client's */
		const char *expected;
	} cases[] = {
		{ "/home/alice", JAIL "/home/alice" },
		{ "/usr", JAIL },
	};

	(void)state;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("sh", "-c",
							     "umask 022 && mkdir -p " JAIL
							     "/home/alice " JAIL "/run &&"
							     " cp " SHOW " " JAIL "/show") });
	sandbox_write("/etc/security/limits.conf", 0644, "bob - chroot " JAIL "\n");
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never"));
	MUST(chmod("/home/alice", 0755));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_fd int directory =
			MUST_INT(open(cases[i].directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
		const char *text;

		print_message("case: %s\n", cases[i].directory);
		text = play_in(directory, RUN_WORDS("/show"));
		assert_shown("root-is", JAIL);
		assert_shown("cwd-is", cases[i].expected);
		trail_assert(text, "root", JAIL);
		trail_assert(text, "cwd", cases[i].expected);
		assert_false(audit_has_field(text, "cwd_dev"));
		assert_false(audit_has_field(text, "root_dev"));
		run_done(&trail.client);
	}
	gateway_stop(&trail.gateway);
	sandbox_write("/etc/security/limits.conf", 0644, "#\n");
}

/* --- in which namespaces ---------------------------------------------------------------- */

/*
 * `dived -J` after an unshare(2) that is for children only: the program is the first process
 * of the new namespace.  Standard output is a file in memory, which is closed by a process
 * in there, too.  The leak check of a sanitizer would need a process, and there can be none
 * when the first has ended.
 */
static void test_children_only(void **state)
{
	static const struct {
		const char *unshare; /* its option */
		const char *more;    /* an option of dived */
		const char *file;    /* of the program */
		const char *field;
		bool known; /* it has a number before */
	} cases[] = {
		{ "-p", "-S", "/proc/self/ns/pid", "ns_pid", false },
		{ "-T", "-S", "/proc/self/ns/time", "ns_time", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_fd int out = MUST_INT(memfd_create("out", MFD_CLOEXEC));
		char number[32] = "";
		const char *text;

		print_message("case: %s %s\n", cases[i].unshare, cases[i].more);
		run(&trail.client,
		    &(struct run_options){
			    .fds = &(struct run_fd){ out, 9 },
			    .fd_count = 1,
			    .argv = RUN_WORDS("env", "ASAN_OPTIONS=detect_leaks=0", "unshare",
					      cases[i].unshare, sandbox_dived(), "-J",
					      cases[i].more, "--pam-service", "dived", "--",
					      "/usr/bin/stat", "-Lc", "%i", cases[i].file) });
		run_assert_status(&trail.client, 0);
		text = audit_stream_expect(&trail.stream, AUDIT_USER_CMD, "op=dive:spawn",
					   "gateway=\"-J\"", cases[i].field, NULL);
		(void)audit_field(text, cases[i].field, number, sizeof(number));
		if (!cases[i].known)
			assert_string_equal(number, "new");
		else
			assert_memory_equal(trail.client.out, number, strlen(number));
		run_done(&trail.client);
	}
}

/* --- what is executed ------------------------------------------------------------------ */

static const struct {
	const char *options[5];
	const char *path; /* of the client's environment */
	const char *words[4];
	const char *field, *value, *command;
} files[] = {
	{ { NULL },
	  "/home/alice:/usr/bin:relative:/bin",
	  { "true" },
	  "path",
	  "/home/alice:/usr/bin:relative:/bin",
	  "true" },
	{ { "-u", "bob", "-a", "never" },
	  "/home/alice",
	  { "true" },
	  "path",
	  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	  "true" },
	{ { NULL }, "/usr/bin", { "true" }, "file", "/usr/bin/true", "true" },
	{ { NULL }, "/usr/bin:/bin", { "./bin/true" }, "file", "./bin/true", "./bin/true" },
	{ { NULL }, "/usr/bin:/bin", { "-l" }, "file", "/bin/bash", "-bash" },
	{ { NULL },
	  "/usr/bin:/bin",
	  { "-l", "true" },
	  "file",
	  "/bin/bash",
	  "-bash -c ''\\''true'\\'''" },
	{ { "--", "/bin/echo", "hello" },
	  "/usr/bin:/bin",
	  { "there" },
	  "file",
	  "/bin/echo",
	  "/bin/echo hello there" },
};

static void test_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		static const char *const fields[] = { "file", "path" };
		char path[1024];
		const char *text;

		print_message("case: %zu\n", i);
		trail_serve(files[i].options);
		(void)snprintf(path, sizeof(path), "PATH=%s", files[i].path); /* fits */
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice", .envp = RUN_WORDS(path) },
			 &trail.gateway, files[i].words);
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		trail_assert_text(text, files[i].field, files[i].value);
		trail_assert_text(text, "cmd", files[i].command);
		for (size_t j = 0; j < ARRAY_LEN(fields); j++)
			assert_int_equal(audit_has_field(text, fields[j]),
					 strcmp(fields[j], files[i].field) == 0);
		gateway_stop(&trail.gateway);
	}
}

/* --- what is refused ----------------------------------------------------------------- */

static void forget_brief(void)
{
	sandbox_account_line("/etc/passwd", "brief", "");
}

static const struct {
	const char *option[3];
	uid_t uid;	      /* of the client, who is in /usr */
	void (*before)(void); /* with the gateway running */
	const char *account, *client, *reason;
} refusals[] = {
	{ { "-u", "root" }, 4242, NULL, "root", "?", "your user id 4242 has no account name" },
	{ { NULL }, 4242, NULL, "4242", "?", "user id 4242 has no account name" },
	{ { "-u", "brief" },
	  SANDBOX_UID_ALICE,
	  forget_brief,
	  "?",
	  "alice",
	  "the target account cannot be looked up" },
};

/* Before anything has been decided: what is known by then is recorded. */
static void test_early_refusals(void **state)
{
	(void)state;
	sandbox_account("brief", 2077, NULL, "/bin/sh");
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const char *text;

		print_message("case: %s\n", refusals[i].reason);
		trail_serve(refusals[i].option);
		if (refusals[i].before)
			refusals[i].before();
		run(&trail.client,
		    &(struct run_options){ .uid = refusals[i].uid,
					   .gid = refusals[i].uid,
					   .directory = "/usr",
					   .argv = RUN_WORDS(sandbox_dive(), trail.gateway.address,
							     "rm", "-rf", "a b") });
		run_assert_status(&trail.client, 77);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
		trail_assert_text(text, "reason", refusals[i].reason);
		trail_assert(text, "acct", refusals[i].account);
		trail_assert(text, "client", refusals[i].client);
		trail_assert(text, "cwd", "/usr");
		trail_assert_text(text, "cmd", "rm -rf 'a b'");
		trail_assert(text, "fds", "3");
		trail_assert(text, "elevated", "?");
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity), TEST(test_forged_directory), TEST(test_deleted_directory),
		TEST(test_moved),    TEST(test_children_only),	  TEST(test_early_refusals),
		TEST(test_file),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
