/*
 * The new terminal itself: what it replaces, whose it is, how it begins, and when there
 * is none.
 */
#include "terminal_scene.h"

#include "trail.h"

#include <signal.h>
#include <sys/stat.h>

#define REPORT "/home/alice/report"

/* Runs `command` in alice's shell, which ends with it; its output stays on the screen. */
static void at_once(const char *command, int status)
{
	at_terminal(RUN_WORDS("bash", "-c", command), NULL);
	assert_int_equal(pty_wait(&pty), status);
}

static const char *report(void)
{
	static struct run command;

	run_done(&command);
	run(&command, &(struct run_options){ .argv = RUN_WORDS("cat", REPORT) });
	run_assert_status(&command, 0);
	return command.out;
}

/* `show report` through descriptor 8, a file; the name of the caller's terminal is in it. */
static const char *report_of(const char *redirections)
{
	char line[512];

	(void)snprintf(line, sizeof(line),
		       "tty | sed s/^/caller=/ >>" REPORT "; exec 8>>" REPORT "; dive $G " SHOW
		       " report 8 %s",
		       redirections); /* fits */
	(void)unlink(REPORT);
	at_once(line, 0);
	pty_done(&pty);
	return report();
}

static void expect_kind(const char *text, const char *key, char kind)
{
	const char *caller = show_get(text, "caller");
	const char *value;

	if (kind == '-') {
		char start[16];

		(void)snprintf(start, sizeof(start), "%s=", key); /* fits */
		assert_false(show_starts(text, start));
		return;
	}
	value = show_get(text, key);
	if (kind == 'n' && (strncmp(value, "/dev/pts/", 9) != 0 || strcmp(value, caller) == 0))
		FAIL("%s is %s, no new terminal", key, value);
	if (kind == 'c')
		assert_string_equal(value, caller);
	if (kind == 'f' && strcmp(value, "/home/alice/f") != 0)
		FAIL("%s is %s, no file", key, value);
	if (kind == 'p' && strncmp(value, "pipe:", 5) != 0)
		FAIL("%s is %s, no pipe", key, value);
	if (kind == '0')
		assert_string_equal(value, "/dev/null");
}

/* n: the new one; p: a pipe; f: a file; 0: /dev/null; c: the caller's; -: closed. */
static void test_what_is_replaced(void **state)
{
	static const struct {
		const char *redirections;
		const char *kinds; /* of 0, 1, 2, 9 */
	} cases[] = {
		{ "", "nnn-" },
		{ "</dev/null", "0nn-" },
		{ ">~/f", "nfn-" },
		{ "2>~/f", "nnf-" },
		{ "</dev/tty >~/f 2>&1", "nff-" },
		{ "| cat", "npn-" },
		{ "<&-", "-nn-" },
		{ "9>&1", "nnn-" },
		{ "9</dev/tty 10>&2", "nnn-" },
		{ "9>~/f", "nnnf" },
		{ ">~/f 2>&1 </dev/null", "0ff-" },
		{ "9<>$(tty) >~/f 2>&1 </dev/null", "0ffc" }, /* there is no new one */
	};

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		static const char *const keys[] = { "fd0", "fd1", "fd2", "fd9" };
		const char *text;

		print_message("case: '%s'\n", cases[i].redirections);
		text = report_of(cases[i].redirections);
		for (size_t j = 0; j < ARRAY_LEN(keys); j++)
			expect_kind(text, keys[j], cases[i].kinds[j]);
	}
	gateway_stop(&gateway);
}

/* Another terminal than the controlling one is a descriptor like others. */
static void test_another_terminal_is_passed(void **state)
{
	struct pty other;
	char name[64];
	const char *text;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	pty_start(&other, &(struct run_options){ .account = "alice", .argv = RUN_WORDS("cat") });
	(void)snprintf(name, sizeof(name), ">%s", ttyname(other.slave)); /* fits */
	text = report_of(name);
	assert_string_equal(show_get(text, "fd1"), name + 1);
	expect_kind(text, "fd0", 'n');
	pty_done(&other);
	gateway_stop(&gateway);
}

static void test_owner_and_mode(void **state)
{
	static const struct {
		const char *options[8];
		const char *says;
	} cases[] = {
		{ { "-M" }, "=alice tty 620 alice=" },
		{ { AS_BOB }, "=bob tty 620 bob=" },
		{ { "-u", "root", "-a", "never" }, "=root tty 620 root=" },
		{ { AS_BOB, "-e", "carol" }, "=carol tty 620 bob=" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		gateway_start(&gateway, cases[i].options);
		at_once("dive $G sh -c 'echo =$(stat -c \"%U %G %a\" $(tty)) $(id -un)='", 0);
		pty_expect(&pty, cases[i].says);
		pty_done(&pty);
		gateway_stop(&gateway);
	}
}

/* Its session is led by the monitor, its foreground is the program's. */
static void test_session(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	at_once("dive $G sh -c 'set -- $(cut -d\" \" -f 5-8 /proc/$$/stat); "
		"cat /proc/$PPID/comm /proc/$2/comm; [ $1 = $$ ] && [ $4 = $$ ] && "
		"echo >/dev/tty mine'",
		0);
	pty_expect(&pty, MONITOR);
	pty_expect(&pty, MONITOR);
	pty_expect(&pty, "mine");
	pty_done(&pty);
	gateway_stop(&gateway);
}

static void test_size(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	at_terminal(RUN_WORDS("sh", "-c",
			      "stty rows 31 cols 97; dive $G stty size; "
			      "exec dive $G show signals"),
		    NULL);
	pty_expect(&pty, "31 97");
	pty_expect(&pty, "ready");
	pty_resize(&pty, 50, 132);
	pty_expect(&pty, "size 50 132.");
	pty_resize(&pty, 10, 20);
	pty_expect(&pty, "size 10 20.");
	pty_send(&pty, "\x1c");
	assert_int_equal(pty_wait(&pty), 32 + SIGQUIT);
	pty_done(&pty);
	gateway_stop(&gateway);
}

/* It begins with the modes of the caller's, speed included or not. */
static void test_modes_are_copied(void **state)
{
	static const char list[] = "stty -a | sed 's/speed [0-9]* baud; //' | md5sum";
	char line[512];
	char sum[33];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	(void)snprintf(line, sizeof(line),
		       "read go; echo sum=$(%s); dive $G sh -c 'echo new=$(%s)'", list,
		       "stty -a | sed \"s/speed [0-9]* baud; //\" | md5sum"); /* fits */
	at_terminal(RUN_WORDS("sh", "-c", line), NULL);
	(void)set_odd_modes();
	pty_send(&pty, "\n");
	pty_expect(&pty, "sum=");
	pty_expect(&pty, "-");
	(void)snprintf(sum, sizeof(sum), "%s", strstr(pty.screen, "sum=") + 4); /* cut */
	pty_expect(&pty, "new=");
	pty_expect(&pty, sum);
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	gateway_stop(&gateway);
}

/* The program has a terminal, and the gateway's options or dive's say that it has none. */
/* covers: dive -T, dived -T -S -O -w */
static void test_when_there_is_none(void **state)
{
	static const struct {
		const char *options[4];
		const char *command;
		int status;
		const char *says;
	} cases[] = {
		{ { "-M" }, "dive $G sh -c ': </dev/tty && echo h''as'", 0, "has" },
		{ { "-M" }, "dive -T $G sh -c ': </dev/tty'", 2, "/dev/tty" },
		{ { "-M" }, "DIVE_TERMINAL= dive $G sh -c ': </dev/tty'", 2, "/dev/tty" },
		{ { "-M" },
		  "DIVE_WAITMODE=1 dive $G sh -c '(: </dev/tty) || >~/none'; while [ ! -e ~/none "
		  "]; "
		  "do :; done; rm ~/none; echo n''one",
		  0,
		  "none" },
		{ { "-T" }, "dive $G sh -c ': </dev/tty'", 2, "/dev/tty" },
		{ { "-S" }, "dive $G sh -c ': </dev/tty'", 2, "/dev/tty" },
		{ { "-O" }, "dive $G sh -c ': </dev/tty && exit 9'", 2, "" },
		{ { "-w" }, "dive $G sh -c ': </dev/tty'", 0, "/dev/tty" },
		{ { "-T" }, "dive -t $G true", 77, "gives programs no terminal (-t)" },
		{ { "-S" }, "dive -t $G true", 77, "gives programs no terminal (-t)" },
		{ { "-O" }, "dive -t $G true", 77, "gives programs no terminal (-t)" },
		{ { "-w" }, "dive -t $G true", 77, "gives programs no terminal (-t)" },
		{ { "-M" }, "dive -t -T $G true", 4, "-t and -T exclude each other" },
		{ { "-M" }, "DIVE_TERMINAL= dive -t $G true", 4, "-t excludes DIVE_TERMINAL" },
		{ { "-M" }, "DIVE_WAITMODE=1 dive -t $G true", 4, "-t excludes DIVE_WAITMODE=1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s: %s\n", cases[i].options[0], cases[i].command);
		gateway_start(&gateway, cases[i].options);
		at_once(cases[i].command, cases[i].status);
		pty_expect(&pty, cases[i].says);
		pty_done(&pty);
		gateway_stop(&gateway);
	}
}

/* -t where the three are something else, and where there is no terminal at all (ssh -tt). */
/* covers: dive -t */
static void test_forced(void **state)
{
	static const struct {
		const char *command;
		const char *says;
	} cases[] = {
		{ "dive -t $G sh -c 'tty; : </dev/tty && echo h''as >/dev/tty' </dev/null >~/f "
		  "2>&1",
		  "has" },
		{ "echo 'echo =$((6*7))=; tty; exit 3' | setsid -w dive -t $G sh 2>/dev/null | "
		  "cat; echo ${PIPESTATUS[*]}",
		  "=42=\r" },
		{ "echo tty | setsid -w dive -t $G sh 2>&1 | cat", "/dev/pts/" },
		{ "printf half | setsid -w dive -t $G sh -c 'stty -echo; echo go; cat; echo' | tr "
		  "h H | cat",
		  "Half" },
		{ "setsid -w dive -t $G sh -c 'cat; echo e''nd' <&- | cat", "end" },
		{ "setsid -w dive -t $G yes | head -n 1; echo ${PIPESTATUS[*]}", "141 0" },
		{ "setsid -w dive -t $G " SHOW
		  " signals 2>&1 </dev/null | { read -r a pid; echo $a; "
		  "kill -KILL ${pid%?}; }",
		  "ready" },
	};

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].command);
		at_once(cases[i].command, 0);
		pty_expect(&pty, cases[i].says);
		pty_done(&pty);
	}
	gateway_stop(&gateway);
}

/* Without the file /dev/tty the terminal is what it is, and a file is no terminal. */
static void test_no_dev_tty(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	at_terminal(RUN_WORDS("sh", "-c",
			      "read x; dive $G sh -c 'echo out; read x; echo got=$x >&2' >~/f; "
			      "echo status=$? $(od -An -tx1 ~/f)"),
		    NULL);
	MUST(rename("/dev/tty", "/dev/tty.away"));
	pty_send(&pty, "\n");
	pty_expect(&pty, "assword: ");
	pty_send(&pty, SANDBOX_PASSWORD_ALICE "\n");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "hello\r");
	pty_expect(&pty, "got=hello\r\n");
	pty_expect(&pty, "status=0 6f 75 74 0a\r\n");
	MUST(rename("/dev/tty.away", "/dev/tty"));
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	gateway_stop(&gateway);
}

/* The host has none to give, for there are as many as there may be, or none at all. */
static void test_none_to_be_had(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	at_terminal(RUN_WORDS("sh", "-c",
			      "read x; dive $G true; echo status=$?; dive -T $G echo wi''thout"),
		    NULL);
	MUST(rename("/dev/ptmx", "/dev/ptmx.away"));
	pty_send(&pty, "\n");
	pty_expect(&pty, "dive: set-up: there is no new terminal to be had: No such file");
	pty_expect(&pty, "-T does without");
	pty_expect(&pty, "status=77");
	pty_expect(&pty, "without");
	MUST(rename("/dev/ptmx.away", "/dev/ptmx"));
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	gateway_stop(&gateway);
}

/* What the target types into alice's terminal would be read by her shell. */
static void test_nothing_is_injected(void **state)
{
	static const struct {
		const char *options[6];
		const char *line;
	} cases[] = {
		{ { "-M" }, "line <after>" },
		{ { AS_BOB }, "line <after>" },
		{ { "-u", "root", "-a", "never" }, "line <after>" },
		/* Where the terminal is shared it works: so the test would see it. */
		{ { "-T", "-u", "root", "-a", "never" }, "line <ZZZZafter>" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s %s\n", cases[i].options[0], cases[i].options[1]);
		gateway_start(&gateway, cases[i].options);
		at_terminal(RUN_WORDS("sh", "-c",
				      "dive $G " SHOW " inject 9</dev/tty; echo status $?; "
				      "read -r line; echo \"line <$line>\""),
			    NULL);
		pty_expect(&pty, "status 0");
		pty_send(&pty, "after\n");
		pty_expect(&pty, cases[i].line);
		assert_int_equal(pty_wait(&pty), 0);
		pty_done(&pty);
		gateway_stop(&gateway);
	}
}

/* The record names the client's terminal, not the one that is made later. */
static void test_record(void **state)
{
	const char *name;

	(void)state;
	assert_int_equal(trail_setup(state), 0);
	trail_serve(RUN_WORDS(AS_BOB));
	cleanup_free const char **argv = run_dive_words(&trail.gateway, RUN_WORDS("true"));
	pty_start(&trail.pty, &(struct run_options){ .account = "alice", .argv = argv });
	name = ttyname(trail.pty.slave);
	assert_int_equal(pty_wait(&trail.pty), 0);
	trail_assert_text(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "tty", name);
	assert_int_equal(trail_teardown(state), 0);
}

/* Files of a test that failed are put back. */
static int done(void **state)
{
	(void)rename("/dev/tty.away", "/dev/tty");
	(void)rename("/dev/ptmx.away", "/dev/ptmx");
	return teardown(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_replaced),
		TEST(test_another_terminal_is_passed),
		TEST(test_owner_and_mode),
		TEST(test_session),
		TEST(test_size),
		TEST(test_modes_are_copied),
		TEST(test_when_there_is_none),
		TEST(test_forced),
		TEST(test_no_dev_tty),
		TEST(test_none_to_be_had),
		TEST(test_nothing_is_injected),
		TEST(test_record),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
