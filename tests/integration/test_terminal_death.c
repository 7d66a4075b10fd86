/*
 * Who dies, and what becomes of the others: dive, the session, the monitor, the
 * terminal's other end.  Nothing is left.
 */
#include "deadline.h"
#include "terminal_scene.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>

/* A program that says what comes, to a file, since its terminal will be gone. */
#define LOG "/home/alice/log"

static int program = -1;

static void expect_logged(const char *text)
{
	int64_t deadline = deadline_after(10000);

	for (;;) {
		struct run command;
		bool found;

		run(&command, &(struct run_options){ .argv = RUN_WORDS("cat", LOG) });
		found = strstr(command.out, text);
		if (!found && deadline_passed(deadline))
			FAIL("no \"%s\" in:\n%s", text, command.out);
		run_done(&command);
		if (found)
			return;
		(void)poll(NULL, 0, 5); /* a file cannot be polled */
	}
}

/* dive with the program, in the foreground; the program logs and stays if it is told to. */
static void begin(const char *const *options, const char *stay)
{
	char line[256];

	(void)unlink(LOG);
	gateway_start(&gateway, options);
	(void)snprintf(line, sizeof(line),
		       "echo dive=$$; exec dive $G sh -c 'echo pid=$$; exec " SHOW
		       " signals %s >" LOG "'",
		       stay); /* fits */
	at_terminal(RUN_WORDS("sh", "-c", line), NULL);
	pty_expect(&pty, "pid=");
	pty_expect(&pty, "\n");
	expect_logged("ready");
	program = MUST_INT(pidfd_open(number_after("pid="), 0));
}

static void end(void)
{
	pty_done(&pty);
	close_fd(&program);
	family_await(FAMILY_SESSION, 0);
	family_await(MONITOR, 0);
	gateway_stop(&gateway);
	sandbox_assert_no_children();
}

static void expect_program_ends(void)
{
	if (deadline_poll(program, POLLIN, deadline_after(10000)) < 0)
		FAIL("the program does not end");
}

/* A hangup, by the gateway and by the terminal; once is enough for the program. */
static void test_dive_dies(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"), "");
	MUST(kill(number_after("dive="), SIGKILL));
	expect_logged("got 1.");
	expect_program_ends();
	end();
}

static void test_dive_dies_and_the_program_does_not(void **state)
{
	static const struct {
		const char *options[3];
		bool killed;
	} cases[] = {
		{ { "--on-disconnect", "kill" }, true },
		{ { "--on-disconnect", "hup" }, false },
		{ { "--on-disconnect", "ignore" }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].options[1]);
		begin(cases[i].options, "stay");
		MUST(kill(number_after("dive="), SIGKILL));
		/* Also with "ignore", by the kernel: the terminal is gone. */
		if (i < 2)
			expect_logged("got 1.");
		if (cases[i].killed) {
			expect_logged("got 15.");
		} else {
			(void)pty_wait(&pty);
			MUST(pidfd_send_signal(program, SIGKILL, NULL, 0));
		}
		expect_program_ends();
		end();
	}
}

static void test_session_dies(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"), "");
	family_kill(FAMILY_SESSION);
	expect_logged("got 1.");
	expect_program_ends();
	assert_int_equal(pty_wait(&pty), 127);
	end();
}

static void test_monitor_dies(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"), "");
	family_kill(MONITOR);
	expect_logged("got 1.");
	expect_program_ends();
	pty_expect(&pty, "dive: session: the program's end cannot be told");
	assert_int_equal(pty_wait(&pty), 77);
	end();
}

/* The user's terminal hangs up: dive gets a SIGHUP, and hands it on. */
static void test_terminal_dies(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"), "");
	pty_hang_up(&pty);
	expect_logged("got 1.");
	expect_program_ends();
	run_wait(&pty.run);
	end();
}

/* Stopped with its program, and then killed. */
static void test_dies_while_stopped(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	shell(NULL);
	type("dive $G sh -c 'echo pid=$$; read x'");
	pty_expect(&pty, "\r\npid=");
	pty_expect(&pty, "\n");
	program = MUST_INT(pidfd_open(number_after("\r\npid="), 0));
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	type("kill -KILL %1; while jobs %1; do :; done >/dev/null 2>&1; echo go''ne");
	pty_expect(&pty, "gone");
	expect_program_ends();
	leave();
	end();
}

/* The shell dies, and leaves dive where nothing can stop: it does not hang with a program that has.
 */
static void test_shell_dies(void **state)
{
	static const char *const lines[] = {
		"dive $G sh -c 'echo pi''d=$$; read x' &",
		"dive $G sh -c 'echo pi''d=$$; exec " SHOW " signals >" LOG "' &",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		print_message("case: %s\n", lines[i]);
		gateway_start(&gateway, RUN_WORDS("-M"));
		shell(NULL);
		type(lines[i]);
		pty_expect(&pty, "pid=");
		pty_expect(&pty, "\n");
		program = MUST_INT(pidfd_open(number_after("pid="), 0));
		if (i == 0) {
			type("wait; echo wai''ted");
			pty_expect(&pty, "waited");
		}
		run_signal(&pty.run, SIGKILL);
		if (i == 0)
			expect_program_ends();
		run_wait(&pty.run);
		if (i == 1) /* it runs, and nobody has told it to end */
			MUST(pidfd_send_signal(program, SIGTERM, NULL, 0));
		expect_program_ends();
		end();
	}
}

static int done(void **state)
{
	close_fd(&program);
	return teardown(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dive_dies),	  TEST(test_dive_dies_and_the_program_does_not),
		TEST(test_session_dies),  TEST(test_monitor_dies),
		TEST(test_terminal_dies), TEST(test_dies_while_stopped),
		TEST(test_shell_dies),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
