/*
 * Values that a client chooses, in the audit trail: whatever they hold and however
 * long they are, a record stays one record, whose own fields come first and only
 * once, and gives back the same bytes.  A shell is the judge of the recorded
 * command, not the code that quoted it.
 *
 * Also the terminal, whose name is never one that the client chose.
 */
#include "cleanup.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"
#include "text.h"
#include "trail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The second word of the recorded command, as a shell understands it. */
static void assert_second_word(const char *text, const char *expected)
{
	char command[TRAIL_TEXT_MAX];
	struct run shell;

	run(&shell, &(struct run_options){
			    .argv = RUN_WORDS(
				    "sh", "-c", "eval \"set -- $1\"; printf %s \"$2\"", "sh",
				    audit_field_decoded(text, "cmd", command, sizeof(command))) });
	run_assert_status(&shell, 0);
	assert_string_equal(shell.out, expected);
	run_done(&shell);
}

/* One record of printable ASCII, in which our own fields come first and only once. */
static void assert_intact(const char *text)
{
	for (const char *at = text; *at; at++)
		assert_in_range((unsigned char)*at, ' ', '~');
	assert_int_equal(text_count(text, "op="), 1);
	assert_int_equal(text_count(text, "acct="), 1);
	assert_int_equal(text_count(text, "res="), 1);
	assert_int_equal(text_count(text, "'"), 2); /* the kernel's, around the message */
	trail_assert(text, "acct", "alice");
	trail_assert(text, "res", "success");
}

/* The same value as the name of a directory and as an argument. */
static void test_hostile_values(void **state)
{
	static const char *const values[] = {
		"with space",	 "new\nline",	  "quote\"quote", "it's 'quoted'",
		"\033[2J\a",	 "\xff\xfe\xc3(", "acct=root",	  "x res=failed op=dive:exit",
		"' acct=\"root", "caf\xc3\xa9",	  "6162",	  "cmd_cut=1",
	};
	char path[256];

	(void)state;
	trail_serve(RUN_WORDS(NULL));
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		const char *text;

		print_message("case: %zu\n", i);
		(void)snprintf(path, sizeof(path), "/home/alice/%s", values[i]); /* fits */
		MUST(mkdir(path, 0755));
		MUST(chown(path, SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice", .directory = path },
			 &trail.gateway, RUN_WORDS("true", values[i]));
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		assert_intact(text);
		trail_assert_text(text, "cwd", path);
		assert_second_word(text, values[i]);
	}
	gateway_stop(&trail.gateway);
}

/* 1 MB of arguments: as many records as are kept of it, and in the last its length. */
static void test_long_command(void **state)
{
	enum { WORDS = 8, WORD = 125 * 1000, KEPT = 32768 };
	static char word[WORD + 1];
	static char whole[KEPT + TRAIL_TEXT_MAX] = "true";
	const char *words[WORDS + 2] = { "true" };
	uint64_t parts;
	char number[16];
	const char *text;

	(void)state;
	for (size_t i = 0; i < WORD; i++)
		word[i] = "0123456789abcdefghijklmnopqrstuvwxy"[i % 35];
	for (size_t i = 1; i <= WORDS; i++)
		words[i] = word;
	trail_serve(RUN_WORDS(NULL));
	run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway, words);
	run_assert_status(&trail.client, 0);
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	assert_int_equal(
		parse_uint(audit_field(text, "parts", number, sizeof(number)), 2, 99, &parts), 0);
	assert_intact(text);
	size_t len = strlen(audit_field_decoded(text, "cmd", whole, sizeof(whole)));
	for (uint64_t part = 2; part <= parts; part++) {
		text = trail_expect(AUDIT_USER_CMD, "op=dive:more");
		assert_intact(text);
		trail_assert(text, "auid_kept", "yes");
		trail_assert_number(text, "part", part);
		trail_assert_number(text, "parts", parts);
		len += strlen(audit_field_decoded(text, "cmd", whole + len, sizeof(whole) - len));
	}
	trail_assert_number(text, "cmd_cut", strlen("true") + WORDS * (1 + WORD));
	trail_expect_none(AUDIT_USER_CMD, "op=dive:more");
	assert_int_equal(len, KEPT);
	assert_memory_equal(whole, "true ", 5);
	assert_memory_equal(whole + 5, word, KEPT - 5);
	gateway_stop(&trail.gateway);
}

static void test_long_directory(void **state)
{
	char path[1024] = "/home/alice";
	char expected[513];
	const char *text;

	(void)state;
	for (int i = 0; i < 4; i++) {
		size_t len = strlen(path);

		path[len] = '/';
		memset(path + len + 1, 'a' + i, 200);
		path[len + 201] = '\0';
		MUST(mkdir(path, 0755));
		MUST(chown(path, SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
	}
	trail_serve(RUN_WORDS(NULL));
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .directory = path },
		 &trail.gateway, RUN_WORDS("true"));
	run_assert_status(&trail.client, 0);
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	memcpy(expected, path, 512);
	expected[512] = '\0';
	trail_assert(text, "cwd", expected);
	trail_assert_number(text, "cwd_cut", strlen(path));
	trail_assert(text, "cmd", "true");
	gateway_stop(&trail.gateway);
}

/* With a terminal: in our records, and PAM_TTY, which libpam shows in its own. */
/* libpam's record of the session whose spawn record is `text`: that of the same process. */
static const char *expect_session_open(const char *text)
{
	char session[32];
	char pid[48];

	(void)audit_field(text, "pid", session, sizeof(session));
	(void)snprintf(pid, sizeof(pid), "pid=%s ", session); /* fits */
	return audit_stream_expect(&trail.stream, AUDIT_USER_START, pid, "op=PAM:session_open",
				   NULL);
}

static void test_terminal(void **state)
{
	struct stat slave;
	char name[64];
	const char **words;
	const char *text;

	(void)state;
	trail_serve(RUN_WORDS(NULL));
	words = run_dive_words(&trail.gateway, RUN_WORDS("true"));
	pty_start(&trail.pty, &(struct run_options){ .account = "alice", .argv = words });
	free(words);
	assert_int_equal(pty_wait(&trail.pty), 0);
	MUST(fstat(trail.pty.slave, &slave));
	(void)snprintf(name, sizeof(name), "/dev/pts/%u", minor(slave.st_rdev)); /* fits */
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	trail_assert(text, "tty", name);
	trail_assert(text, "terminal", name);
	trail_assert(expect_session_open(text), "terminal", name);
	gateway_stop(&trail.gateway);
}

/* Opens terminal 0 of the devpts instance at `path`; the master stays open. */
static int open_terminal(const char *path, int *ret_master)
{
	char name[128];
	int number;
	int locked = 0;

	(void)snprintf(name, sizeof(name), "%s/ptmx", path); /* fits */
	*ret_master = MUST_INT(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
	MUST(ioctl(*ret_master, TIOCSPTLCK, &locked));
	MUST(ioctl(*ret_master, TIOCGPTN, &number));
	assert_int_equal(number, 0);
	(void)snprintf(name, sizeof(name), "%s/0", path); /* fits */
	return MUST_INT(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/* A terminal of another devpts instance, whose number is that of another one here. */
static void test_foreign_terminal(void **state)
{
	static const char other[] = "/run/dive-test/pts";
	static const struct {
		const char *instance;
		const char *name;
	} cases[] = { { "/dev/pts", "/dev/pts/0" }, { other, "?" } };
	cleanup_fd int master = -1;
	cleanup_fd int here = open_terminal("/dev/pts", &master);

	(void)state;
	MUST(mkdir(other, 0755));
	MUST(mount("devpts", other, "devpts", 0, "newinstance,ptmxmode=0666,mode=0666"));
	cleanup_fd int other_master = -1;
	cleanup_fd int there = open_terminal(other, &other_master);
	trail_serve(RUN_WORDS(NULL));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int terminal = i == 0 ? here : there;
		const struct run_fd fds[] = { { terminal, 0 }, { terminal, 1 }, { terminal, 2 } };
		const char *text;

		print_message("case: %s\n", cases[i].instance);
		run_dive(&trail.client,
			 &(struct run_options){
				 .account = "alice", .fds = fds, .fd_count = ARRAY_LEN(fds) },
			 &trail.gateway, RUN_WORDS("true"));
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		trail_assert(text, "tty", cases[i].name);
		trail_assert(expect_session_open(text), "terminal", cases[i].name);
	}
	gateway_stop(&trail.gateway);
	MUST(umount2(other, MNT_DETACH));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hostile_values), TEST(test_long_command),	TEST(test_long_directory),
		TEST(test_terminal),	   TEST(test_foreign_terminal),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
