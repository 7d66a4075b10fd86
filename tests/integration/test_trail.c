/*
 * What an administrator can find out: the questions of dive-audit(7), put to a log that a
 * real auditd(8) has written, with the commands of the page as they are printed there.
 *
 * The log has records of all programs of the machine, so answers may hold more than what
 * this test has caused.  Of that, each kind must be in an answer or must not.
 */
#include "manual.h"
#include "trail_scene.h"

#include <stdlib.h>

#define PAGE	     "dive-audit.7"
#define COMMAND_SIZE 4096

static struct run answer;

static int setup(void **state)
{
	(void)state;
	answer = (struct run){ .pidfd = -1 };
	if (scene.taken)
		SKIP("the machine has an auditd of its own");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	run_done(&answer);
	return 0;
}

/* With a variable that the command of the page uses; all others are as on a terminal. */
static void run_with(const char *command, const char *name, const char *value)
{
	char variable[ID_SIZE + 16];

	(void)snprintf(variable, sizeof(variable), "%s=%s", name, value); /* fits */
	run_done(&answer);
	run(&answer, &(struct run_options){ .argv = RUN_WORDS("sh", "-c", command),
					    .envp = RUN_WORDS("PATH=/usr/sbin:/usr/bin:/sbin:/bin",
							      "LANG=C.UTF-8", variable) });
	assert_string_equal(answer.err, "");
	run_assert_status(&answer, 0);
}

static void run_command(const char *command, const char *dive_id)
{
	run_with(command, "dive_id", dive_id);
}

static void ask(const char *question)
{
	char command[COMMAND_SIZE];

	manual_command(PAGE, question, command, sizeof(command));
	print_message("%s", command);
	run_command(command, "");
}

/* The line of the answer that holds both; NULL for none.  Valid until the next call. */
static const char *find_line(const char *text, const char *more)
{
	static char line[TRAIL_TEXT_MAX];

	for (const char *at = answer.out; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		size_t len = strcspn(at, "\n");

		assert_true(len < sizeof(line));
		memcpy(line, at, len);
		line[len] = '\0';
		if (strstr(line, text) && strstr(line, more))
			return line;
	}
	return NULL;
}

static const char *expect_line(const char *text, const char *more)
{
	const char *line = find_line(text, more);

	if (!line)
		FAIL("no line with \"%s\" and \"%s\" in:\n%s", text, more, answer.out);
	return line;
}

/* Those with a program, of which each is in the answer or is not. */
static void expect_sessions(const enum trail_kind *kinds, size_t count)
{
	for (enum trail_kind kind = 0; kind < TRAIL_KINDS; kind++) {
		bool expected = false;

		for (size_t i = 0; i < count; i++)
			expected |= kinds[i] == kind;
		if (scene.ids[kind][0] && (strstr(answer.out, scene.ids[kind]) != NULL) != expected)
			FAIL("kind %d is %s:\n%s", (int)kind, expected ? "not there" : "there",
			     answer.out);
	}
}

static const enum trail_kind alice_as_root[] = { AS_ROOT,   AS_EFFECTIVE, AS_TOOR,  FORCED,
						 NOT_FOUND, INETD,	  EXECUTED, HUNG_UP,
						 KILLED,    OUTLIVED,	  OPEN };

static void test_as_root(void **state)
{
	(void)state;
	ask("What has alice run as root in the last week?");
	expect_sessions(alice_as_root, ARRAY_LEN(alice_as_root));
	for (size_t i = 0; i < ARRAY_LEN(alice_as_root); i++)
		(void)expect_line(scene.ids[alice_as_root[i]], " auid=alice ");
	(void)expect_line(scene.ids[AS_ROOT], " cmd=sh -c 'exit 3' exe=");
	(void)expect_line(scene.ids[FORCED], " cmd=/bin/echo 'forced words' hers exe=");
	(void)expect_line(scene.ids[NOT_FOUND], " cmd=/nonesuch exe=");
	(void)expect_line(scene.ids[EXECUTED], " gateway=\"-J\" ");
	(void)expect_line(scene.ids[EXECUTED], " cmd=/bin/echo executed exe=");
	(void)expect_line(scene.ids[INETD], scene.inetd.address);
}

static void test_namespace(void **state)
{
	const enum trail_kind kinds[] = { IN_NAMESPACE };

	(void)state;
	ask("Who has entered this network namespace?");
	expect_sessions(kinds, ARRAY_LEN(kinds));
	(void)expect_line(scene.ids[IN_NAMESPACE], " auid=alice ");
	(void)expect_line(scene.ids[IN_NAMESPACE], " cmd=true inside exe=");
}

static void test_open(void **state)
{
	const enum trail_kind kinds[] = { OPEN, OUTLIVED };

	(void)state;
	ask("Which sessions are open?");
	expect_sessions(kinds, ARRAY_LEN(kinds));
	(void)expect_line(scene.ids[OPEN], " auid=alice ");
}

static void test_refusals(void **state)
{
	static const char *const reasons[] = {
		"authentication failed",
		"authentication is needed, and prompting was forbidden (-n)",
		"this account may not use the gateway",
		"busy: too many of your connections are waiting for authentication",
		"died",
		"/nonesuch: not found",
	};

	(void)state;
	ask("What was refused, and why?");
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		const char *line = expect_line(reasons[i], "");
		uint64_t count;
		char *end;

		line += strspn(line, " ");
		end = strchr(line, ' ');
		assert_non_null(end);
		*end++ = '\0';
		assert_int_equal(parse_uint(line, 1, UINT32_MAX, &count), 0);
		end[strlen(end) - 1] = '\0'; /* ausearch ends each value with a blank */
		assert_string_equal(end, reasons[i]);
	}
}

static void test_authentication(void **state)
{
	static const enum trail_kind kinds[] = { WRONG_PASSWORD, LOST };

	(void)state;
	ask("Who has failed to authenticate?");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char end[SERIAL_SIZE + 8];
		const char *line;

		(void)snprintf(end, sizeof(end), " no %s", scene.serials[kinds[i]]); /* fits */
		line = expect_line(" root ? ? ", end);
		assert_string_equal(line + strlen(line) - strlen(end), end);
	}
}

static void test_usage(void **state)
{
	const char *line;
	uint64_t count;
	char *end;

	(void)state;
	ask("How often has each account used gateways?");
	line = expect_line(" alice", "");
	end = strchr(line, ' ');
	assert_non_null(end);
	*end = '\0';
	/* All that ran but bob's. */
	assert_int_equal(parse_uint(line, 0, UINT32_MAX, &count), 0);
	assert_in_range(count, 11, UINT32_MAX);
	(void)expect_line(" bob", "");
}

static void test_session(void **state)
{
	static const struct {
		enum trail_kind kind;
		const char *records[4];
		const char *end;
	} cases[] = {
		{ AS_ROOT, { "op=dive:spawn ", "op=dive:exit " }, " exit=3 " },
		{ SIGNALLED, { "op=dive:spawn ", "op=dive:exit " }, " sig=SIGKILL " },
		{ NOT_FOUND,
		  { "op=dive:spawn ", "op=dive:exit " },
		  " layer=exec step=exec errno=2 exit=127 duration_ms=" },
		{ HUNG_UP, { "op=dive:spawn ", "op=dive:exit " }, " sig=SIGHUP " },
		{ KILLED, { "op=dive:spawn ", "op=dive:lost ", "op=dive:exit " }, " exit=? " },
		{ OUTLIVED,
		  { "op=dive:spawn ", "op=dive:lost " },
		  " program=running reason=\"died\" " },
		{ LOST, { "op=dive:lost " }, " reason=\"died\" " },
		{ OPEN, { "op=dive:spawn " }, " elevated=yes " },
	};
	char command[COMMAND_SIZE];

	(void)state;
	manual_command(PAGE, "What belongs to one session?", command, sizeof(command));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t count = 0;

		print_message("case: %zu\n", i);
		run_command(command, scene.ids[cases[i].kind]);
		for (; cases[i].records[count]; count++)
			(void)expect_line(scene.ids[cases[i].kind], cases[i].records[count]);
		(void)expect_line(cases[i].records[count - 1], cases[i].end);
		for (const char *at = answer.out; (at = strstr(at, "type=")); at++)
			count--;
		assert_int_equal(count, 0);
	}
}

/* What libpam has written, and the login uid that the session has taken over. */
static void test_all_of_a_session(void **state)
{
	static const char *const records[] = { "op=dive:spawn ", "op=dive:exit ",
					       "op=PAM:session_open ", "op=PAM:session_close " };
	char command[COMMAND_SIZE];
	char ses[ID_SIZE];

	(void)state;
	run_command("ausearch -i -m USER_CMD -uu \"$dive_id\"", scene.ids[AS_ROOT]);
	const char *found = strstr(expect_line(scene.ids[AS_ROOT], "op=dive:spawn "), " ses=");
	assert_non_null(found);
	(void)snprintf(ses, sizeof(ses), "%.*s", (int)strspn(found + 5, "0123456789"), found + 5);
	manual_command(PAGE, "What else was recorded of it?", command, sizeof(command));
	run_with(command, "ses", ses);
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		(void)expect_line(records[i], " auid=alice ");
	assert_null(find_line(" auid=bob ", ""));
}

/* Searches that the tools have of their own: by account, by result, by program. */
static void test_searches(void **state)
{
	static const struct {
		const char *command;
		enum trail_kind kinds[TRAIL_KINDS];
		size_t count;
	} cases[] = {
		{ "ausearch --raw -m USER_CMD -ua bob", { BOB_AS_ROOT }, 1 },
		{ "ausearch --raw -m USER_CMD -ul bob", { BOB_AS_ROOT }, 1 },
		{ "ausearch --raw -m USER_CMD -ul bob -ui root", { BOB_AS_ROOT }, 1 },
		{ "ausearch --raw -m USER_CMD -ul alice -sv no",
		  { WRONG_PASSWORD, WOULD_ASK, NOT_ALLOWED, BUSY },
		  4 },
		{ "ausearch --raw -m USER_END -ua alice -sv no",
		  { NOT_FOUND, KILLED, OUTLIVED },
		  3 },
		{ "ausearch --raw -m USER_AUTH -ua alice -sv no -x dived | grep op=dive:",
		  { LOST },
		  1 },
		{ "ausearch --raw -m USER_CMD -ua alice -x 'memfd:dived'", { IN_NAMESPACE }, 1 },
		/* The directory of this name is not an account, a namespace or a result. */
		{ "ausearch --raw -m USER_CMD -f 'acct=\"root\"'", { AS_BOB }, 1 },
		{ "ausearch --raw -m ALL | grep -e ' ns_net=1 ' -e 'acct=\"bob\".* ns_net='",
		  { AS_BOB, AS_EFFECTIVE, SIGNALLED },
		  3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].command);
		run_command(cases[i].command, "");
		expect_sessions(cases[i].kinds, cases[i].count);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_as_root),  TEST(test_namespace),	  TEST(test_open),
		TEST(test_refusals), TEST(test_authentication),	  TEST(test_usage),
		TEST(test_session),  TEST(test_all_of_a_session), TEST(test_searches),
	};

	return cmocka_run_group_tests(tests, trail_scene_setup, trail_scene_teardown);
}
