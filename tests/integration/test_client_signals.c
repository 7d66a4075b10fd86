/*
 * dive while the program runs: signals on their way to it, stopping and going
 * on, and what becomes of it when dive goes away.
 *
 * The program is `show signals`, which blocks everything and tells what comes.
 * Signals of one sender arrive in order here (and lower numbers are taken first),
 * so when a SIGTERM sent last has arrived, what is missing was not delivered.
 */
#include "cleanup.h"
#include "deadline.h"
#include "gateway_scene.h"
#include "must.h"
#include "pty.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT_MS 15000
#define LOOK_MS	  5
#define ELEVATED  "-u", "bob", "-a", "never"
#define PATHS	  "PATH=/usr/bin:/bin"

static void expect_signal(struct run *command, int number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "got %d.", number); /* fits */
	show_await(command, text);
}

static void assert_no_signal(struct run *command, int number)
{
	char text[32];

	run_read(command);
	(void)snprintf(text, sizeof(text), "got %d.", number); /* fits */
	if (strstr(command->out, text))
		FAIL("unwanted \"%s\" in:\n%s", text, command->out);
}

/* Starts `show signals` and waits until both can take signals. */
static void start_signals(struct run *ret, const struct run_options *options)
{
	run_dive_start(ret, options, &gateway, RUN_WORDS(SHOW, "signals"));
	run_expect(ret, "ready ");
	show_await_relay(ret->pid);
}

static void await_end(int pidfd)
{
	if (deadline_poll(pidfd, POLLIN, deadline_after(EXPECT_MS)) < 0)
		FAIL("the program does not end");
}

/* --- which signals ------------------------------------------------------------------------ */

static void test_signals_are_forwarded(void **state)
{
	static const struct {
		const char *what;
		const char *options[6];
		struct run_options client;
		int number;
		bool delivered;
	} cases[] = {
		{ "own", { "-T" }, { .account = "alice" }, SIGINT, true },
		{ "own", { "-T" }, { .account = "alice" }, SIGQUIT, true },
		{ "own", { "-T" }, { .account = "alice" }, SIGHUP, true },
		{ "own", { "-T" }, { .account = "alice" }, SIGTERM, true },
		{ "own", { "-T" }, { .account = "alice" }, SIGUSR1, true },
		{ "own", { "-T" }, { .account = "alice" }, SIGALRM, true },
		{ "own", { "-T" }, { .account = "alice" }, 40, true },
		{ "elevated", { ELEVATED }, { .account = "alice" }, SIGINT, true },
		{ "elevated", { ELEVATED }, { .account = "alice" }, SIGQUIT, true },
		{ "elevated", { ELEVATED }, { .account = "alice" }, SIGHUP, true },
		{ "elevated", { ELEVATED }, { .account = "alice" }, SIGCONT, true },
		{ "elevated", { ELEVATED }, { .account = "alice" }, SIGWINCH, true },
		{ "elevated", { ELEVATED }, { .account = "alice" }, SIGUSR1, false },
		{ "elevated", { ELEVATED }, { .account = "alice" }, SIGALRM, false },
		{ "elevated, -n", { "-n", ELEVATED }, { .account = "alice" }, SIGUSR1, true },
		{ "elevated, --signals-pgid",
		  { "--signals-pgid", ELEVATED },
		  { .account = "alice" },
		  SIGUSR1,
		  true },
		{ "root client", { ELEVATED }, { .uid = 0 }, SIGUSR1, true },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int number = cases[i].number;
		bool ends = number == SIGHUP || number == SIGQUIT || number == SIGTERM;

		print_message("case: %s, %d\n", cases[i].what, number);
		gateway_start(&gateway, cases[i].options);
		start_signals(&command, &cases[i].client);
		run_signal(&command, number);
		if (cases[i].delivered)
			expect_signal(&command, number);
		if (!ends)
			run_signal(&command, SIGTERM);
		run_wait(&command);
		run_assert_status(&command, 32 + (ends ? number : SIGTERM));
		if (!cases[i].delivered)
			assert_no_signal(&command, number);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* To the program alone, or to all of its process group: here a shell and its child. */
static void test_signal_modes(void **state)
{
	static const char script[] = "trap 'echo usr1 in sh' USR1;"
				     "trap 'kill -TERM $! 2>/dev/null; wait; exit 7' TERM; " SHOW
				     " signals & wait; wait; wait";
	static const struct {
		const char *variable;
		const char *options[2];
		bool group;
	} cases[] = {
		{ "DIVE_SIGFWMODE=1", { "-T" }, false },
		{ NULL, { "-T" }, false },
		{ "DIVE_SIGFWMODE=2", { "-T" }, true },
		{ "DIVE_SIGFWMODE=2", { "-n" }, false },
		{ "DIVE_SIGFWMODE=1", { "--signals-pgid" }, true },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s, %s\n", cases[i].options[0],
			      cases[i].variable ? cases[i].variable : "-");
		gateway_start(&gateway, cases[i].options);
		run_dive_start(&command,
			       &(struct run_options){ .account = "alice",
						      .envp = RUN_WORDS(PATHS, cases[i].variable) },
			       &gateway, RUN_WORDS("sh", "-c", script));
		run_expect(&command, "ready ");
		show_await_relay(command.pid);
		run_signal(&command, SIGUSR1);
		run_expect(&command, "usr1 in sh");
		if (cases[i].group)
			expect_signal(&command, SIGUSR1);
		run_signal(&command, SIGTERM);
		run_wait(&command);
		run_assert_status(&command, 7);
		expect_signal(&command, SIGTERM);
		if (!cases[i].group)
			assert_no_signal(&command, SIGUSR1);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* DIVE_SIGFWMODE=0: the signal is dive's own affair. */
static void test_no_forwarding(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	run_dive_start(&command,
		       &(struct run_options){ .account = "alice",
					      .envp = RUN_WORDS(PATHS, "DIVE_SIGFWMODE=0") },
		       &gateway, RUN_WORDS(SHOW, "signals"));
	run_expect(&command, "ready ");
	run_signal(&command, SIGUSR1);
	run_wait(&command);
	assert_int_equal(command.signal, SIGUSR1);
	expect_signal(&command, SIGHUP); /* dive has gone */
	assert_no_signal(&command, SIGUSR1);
	run_done(&command);
	gateway_stop(&gateway);
}

/* What dive ignores, it neither forwards nor dies of. */
static void test_ignored_signals_stay_ignored(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	run_start(&command,
		  &(struct run_options){ .account = "alice",
					 .argv = RUN_WORDS(SHOW, "ignore", "2", sandbox_dive(),
							   gateway.address, SHOW, "signals") });
	run_expect(&command, "ready ");
	show_await_relay(command.pid);
	run_signal(&command, SIGINT);
	run_signal(&command, SIGTERM);
	run_wait(&command);
	run_assert_status(&command, 32 + SIGTERM);
	assert_no_signal(&command, SIGINT);
	run_done(&command);
	gateway_stop(&gateway);
}

/* --- stopping ------------------------------------------------------------------------------ */

static char process_state(pid_t pid)
{
	char path[64];
	char text[512] = "";
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid); /* fits */

	cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));

	MUST(read(fd, text, sizeof(text) - 1));
	at = strrchr(text, ')');
	assert_non_null(at);
	return at[2];
}

static void await_stop(pid_t pid)
{
	int64_t deadline = deadline_after(EXPECT_MS);

	while (process_state(pid) != 'T') {
		if (deadline_passed(deadline))
			FAIL("dive does not stop");
		(void)poll(NULL, 0, LOOK_MS); /* /proc cannot be polled */
	}
}

/* dive stops when the program has, not before; what continues dive continues both. */
static void test_stop_and_continue(void **state)
{
	static const char *const options[][5] = { { "-T" }, { ELEVATED } };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		gateway_start(&gateway, options[i]);
		start_signals(&command, &alice);
		run_signal(&command, SIGTSTP);
		await_stop(command.pid);
		assert_int_equal(process_state(show_pid(&command)), 'T');
		run_signal(&command, SIGCONT);
		expect_signal(&command, SIGCONT);
		assert_int_not_equal(process_state(show_pid(&command)), 'T');
		run_signal(&command, SIGTERM);
		run_wait(&command);
		run_assert_status(&command, 32 + SIGTERM);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* The same as a person at a terminal sees it: ^Z, the shell, fg, ^C, ^\. */
static void test_job_control(void **state)
{
	struct pty pty;
	char line[256];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	pty_start(&pty, &(struct run_options){ .account = "alice",
					       .argv = RUN_WORDS("bash", "--norc", "-i"),
					       .envp = RUN_WORDS("PS1=here> ", PATHS) });
	pty_expect(&pty, "here> ");
	(void)snprintf(line, sizeof(line), "%s %s " SHOW " signals\n", sandbox_dive(),
		       gateway.address); /* fits */
	pty_send(&pty, line);
	pty_expect(&pty, "ready ");
	show_await_relay(pty_foreground(&pty));
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "here> ");
	pty_send(&pty, "fg\n");
	pty_expect(&pty, "got 18.");
	pty_send(&pty, "\x03");
	pty_expect(&pty, "got 2.");
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_send(&pty, "fg\n");
	pty_expect(&pty, "got 18.");
	pty_send(&pty, "\x1c");
	pty_expect(&pty, "got 3.");
	pty_expect(&pty, "here> ");
	pty_send(&pty, "echo status $?\n");
	pty_expect(&pty, "status 35");
	pty_send(&pty, "exit\n");
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	gateway_stop(&gateway);
}

/* --- dive goes away -------------------------------------------------------------------------- */

static void kill_program(int pidfd)
{
	MUST(pidfd_send_signal(pidfd, SIGKILL, NULL, 0));
	await_end(pidfd);
}

static void test_disconnect(void **state)
{
	static const struct {
		const char *options[3];
		bool hangs_up;
		bool kills;
	} cases[] = {
		{ { "-T" }, true, false },
		{ { "--on-disconnect", "hup" }, true, false },
		{ { "--on-disconnect", "kill" }, true, true },
		{ { "--on-disconnect", "ignore" }, false, false },
	};
	struct run command;
	struct run other;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].options[cases[i].options[1] ? 1 : 0]);
		gateway_start(&gateway, cases[i].options);
		run_dive_start(&command, &alice, &gateway, RUN_WORDS(SHOW, "signals", "stay"));

		cleanup_fd int program = MUST_INT(pidfd_open(show_pid(&command), 0));

		run_signal(&command, SIGKILL);
		run_wait(&command);
		if (cases[i].hangs_up) {
			expect_signal(&command, SIGHUP);
			expect_signal(&command, SIGCONT);
		}
		if (cases[i].kills) {
			expect_signal(&command, SIGTERM);
			await_end(program); /* SIGKILL, 5 s later */
		} else {
			/* Another client's whole turn: time for what should not come. */
			run_dive(&other, &alice, &gateway, RUN_WORDS("true"));
			run_assert_status(&other, 0);
			run_done(&other);
			assert_no_signal(&command, SIGTERM);
			kill_program(program);
		}
		if (!cases[i].hangs_up)
			assert_no_signal(&command, SIGHUP);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_signals_are_forwarded),
		TEST(test_signal_modes),
		TEST(test_no_forwarding),
		TEST(test_ignored_signals_stay_ignored),
		TEST(test_stop_and_continue),
		TEST(test_job_control),
		TEST(test_disconnect),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
