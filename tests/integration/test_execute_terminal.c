/*
 * dived -J typed at a shell: keys that send signals, stopping and going on, and
 * the end of the terminal.
 *
 * The shell is an interactive one with job control, which gives every command a
 * process group of its own: so dived leads one, and must not keep the program from
 * having a session of its own.
 */
#include "cleanup.h"
#include "must.h"
#include "probe.h"
#include "pty.h"
#include "sandbox.h"
#include "show.h"
#include "text.h"

#include <signal.h>
#include <stdio.h>

#define SESSION "--pam-service terminal "

static struct pty pty;
static struct pty direct; /* without a shell */

static int setup(void **state)
{
	(void)state;
	sandbox_service("terminal", SANDBOX_SERVICE);
	direct = (struct pty){ .run.pidfd = -1, .master = -1, .slave = -1 };
	pty_start(&pty, &(struct run_options){
				.argv = RUN_WORDS("/bin/bash", "--norc", "--noediting", "-i"),
				.envp = RUN_WORDS("PATH=/run/dive-test/bin:/usr/bin:/bin",
						  "PS1=ready> ", "HOME=/", "TERM=dumb") });
	pty_expect(&pty, "ready> ");
	return 0;
}

static int teardown(void **state)
{
	pty_done(&pty);
	pty_done(&direct);
	return sandbox_test_teardown(state);
}

static void leave(void)
{
	pty_send(&pty, "exit 0\n");
	assert_int_equal(pty_wait(&pty), 0);
}

/* Types a command; what it says begins on a line of its own. */
static void type(const char *options, const char *command)
{
	char line[512];

	(void)snprintf(line, sizeof(line), "dived -J %s-- %s\n", options, command); /* fits */
	pty_send(&pty, line);
}

static const char *const ways[] = {
	"", "-S ", SESSION, SESSION "-S ", "-s pid ", "-s pid -S ",
};

static void test_place(void **state)
{
	static const struct {
		const char *options;
		const char *session;
		const char *terminal;
	} cases[] = {
		{ "", "session=own", "terminal=no" },
		{ SESSION, "session=own", "terminal=no" },
		{ "-S ", "session=other", "terminal=yes" },
		{ SESSION "-S ", "session=other", "terminal=yes" },
		{ "-j ", "session=other", "terminal=yes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].options);
		if (i == 4) /* -j is a way of its own */
			pty_send(&pty, "dived -j -- " SHOW "\n");
		else
			type(cases[i].options, SHOW);
		pty_expect(&pty, cases[i].terminal);
		pty_expect(&pty, cases[i].session);
		pty_expect(&pty, "end=of the report");
		pty_expect(&pty, "ready> ");
	}
	leave();
}

/* The key is the program's, and that of whatever it has started. */
static void test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		print_message("case: %s\n", ways[i]);
		type(ways[i], "sh -c 'trap : INT QUIT; " SHOW " signals'; echo status $?");
		pty_expect(&pty, "\nready ");
		pty_send(&pty, "\x03");
		pty_expect(&pty, "got 2.");
		pty_send(&pty, "\x1c"); /* ^\ */
		pty_expect(&pty, "got 3.");
		pty_expect(&pty, "status 35");
		pty_expect(&pty, "ready> ");
	}
	leave();
}

/*
 * It comes once, where the terminal sends it to both.  dived looks at it when the
 * program has dealt with it: two of a kind that wait at the same time are one.
 */
static void test_keys_come_once(void **state)
{
	(void)state;
	pty_start(&direct, &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), "-J", "-S",
								    "--pam-service", "terminal",
								    "--", SHOW, "signals") });
	pty_expect(&direct, "ready ");
	run_signal(&direct.run, SIGSTOP);
	pty_send(&direct, "\x03");
	pty_expect(&direct, "got 2.");
	run_signal(&direct.run, SIGCONT);
	run_signal(&direct.run, SIGTERM);
	assert_int_equal(pty_wait(&direct), 32 + SIGTERM);
	assert_int_equal(text_count(direct.screen, "got 2."), 1);
	pty_done(&direct);
	leave();
}

/* The shell sees it stop and can let it go on; what is typed then is the program's. */
static void test_stop_and_go_on(void **state)
{
	(void)state;
	for (size_t i = 0; i + 1 < ARRAY_LEN(ways); i++) {
		print_message("case: %s\n", ways[i]);
		/* The words in parts: what is expected must not be found in the echo.  There
		   are two processes, of which each says that it goes on. */
		type(ways[i], "sh -c 'trap \"echo go''ing\" CONT; trap : USR1; "
			      "(trap \"echo to''o\" CONT; while :; do sleep 1; done) & "
			      "echo u''p; while ! read l; do :; done; "
			      "echo line=\"$l\"; kill -KILL $!; exit 7'");
		pty_expect(&pty, "\nup");
		for (int round = 0; round < 2; round++) {
			pty_send(&pty, "\x1a"); /* ^Z */
			pty_expect(&pty, "Stopped");
			pty_expect(&pty, "ready> ");
			pty_send(&pty, "fg\n");
			pty_expect(&pty, "going"); /* before that another key would be lost */
		}
		pty_send(&pty, "hello\n");
		pty_expect(&pty, "line=hello");
		pty_expect(&pty, "ready> ");
		pty_send(&pty, "echo status=$?; jobs; echo job''less\n");
		pty_expect(&pty, "status=7");
		pty_expect(&pty, "jobless");
		pty_expect(&pty, "ready> ");
	}
	leave();
}

/* Also in the background, from where it is fetched. */
static void test_background(void **state)
{
	(void)state;
	type(SESSION, SHOW " signals stay &");
	pty_expect(&pty, "ready ");
	pty_send(&pty, "kill -TERM %1\n");
	pty_expect(&pty, "got 15.");
	pty_send(&pty, "kill -STOP $(pgrep -P $!); sleep 0; wait -n; jobs; echo d''one\n");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "done");
	pty_send(&pty, "bg; kill -USR1 %1\n");
	pty_expect(&pty, "got 10.");
	pty_send(&pty, "kill -KILL $(pgrep -P $!); wait $!; echo status=$?\n");
	pty_expect(&pty, "status=137");
	leave();
}

/* The end of the terminal ends the program; the session is closed all the same. */
static void test_hangup(void **state)
{
	(void)state;
	sandbox_service("terminal", PROBE_SERVICE);
	probe_forget();
	type(SESSION, "sh -c 'echo u''p; sleep 1000'");
	pty_expect(&pty, "\nup");
	pty_hang_up(&pty);
	probe_expect_phases("account establish open close delete");
	run_wait(&pty.run);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_place),	   TEST(test_keys),	  TEST(test_keys_come_once),
		TEST(test_stop_and_go_on), TEST(test_background), TEST(test_hangup),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
