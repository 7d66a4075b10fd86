/*
 * However it ends, the terminal is as it was: termios compared, with modes that nobody
 * has by accident.
 *
 * A shell leads that never touches modes.  It says the process id that dive is going to
 * have; the program says when it has the keyboard, which is when the terminal is raw.
 */
#include "terminal_scene.h"

#include <signal.h>
#include <stdlib.h>

#define LEADER                                                                                     \
	"trap : HUP INT QUIT TERM; read go; sh -c 'echo dive=$$; exec dive $G %s'; "               \
	"echo over $?; read line; echo \"<$line>\""
#define ASKING "sh -c \"echo pid=\\$\\$; read x; exit 7\""

static struct termios before;

/* Until the program waits for a line; alice is in raw mode. */
static void begin(const char *program, const char *more)
{
	char script[512];

	(void)snprintf(script, sizeof(script), LEADER, program); /* fits */
	at_terminal(RUN_WORDS("sh", "-c", script), more);
	before = set_odd_modes();
	pty_send(&pty, "go\n");
	pty_expect(&pty, "dive=");
	pty_expect(&pty, "pid=");
	pty_expect(&pty, "\n");
	pty_expect_lflag(&pty, ICANON, false);
}

/* dive has ended, the modes are those of before, and nothing typed was lost or kept. */
static void expect_over(int status)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "over %d", status); /* fits */
	pty_expect(&pty, text);
	assert_modes(&before);
	pty_send(&pty, "after\n");
	pty_expect(&pty, "<after>");
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	family_await(FAMILY_SESSION, 0);
	family_await(MONITOR, 0);
}

static void kill_number(const char *what, int number)
{
	pid_t pid = number_after(what);

	assert_true(pid > 1);
	MUST(kill(pid, number)); /* a descendant that has not ended */
}

enum event {
	RETURN,	     /* the program exits with 7 */
	INTERRUPT,   /* by key, the one that alice has chosen */
	PROGRAM,     /* is killed */
	SESSION,     /* as well */
	ITS_MONITOR, /* as well */
	LISTENER,    /* as well, which changes nothing */
};

static void make(enum event event)
{
	switch (event) {
	case RETURN:
		pty_send(&pty, "\r");
		break;
	case INTERRUPT:
		pty_send(&pty, "\x07");
		break;
	case PROGRAM:
		kill_number("pid=", SIGKILL);
		break;
	case SESSION:
		family_kill(FAMILY_SESSION);
		break;
	case ITS_MONITOR:
		family_kill(MONITOR);
		break;
	case LISTENER:
		gateway_kill(&gateway);
		pty_send(&pty, "\r");
		break;
	}
}

static void test_ways_to_end(void **state)
{
	static const struct {
		const char *what;
		enum event event;
		int status;
	} cases[] = {
		{ "exit", RETURN, 7 },		{ "key", INTERRUPT, 128 + SIGINT },
		{ "program", PROGRAM, 137 },	{ "session", SESSION, 127 },
		{ "monitor", ITS_MONITOR, 77 }, { "dived", LISTENER, 7 },
	};
	static const char *const modes[] = { NULL, "DIVE_SIGFWMODE=0" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(modes); i++) {
		size_t j = i % ARRAY_LEN(cases);

		print_message("case: %s, %s\n", cases[j].what,
			      modes[i / ARRAY_LEN(cases)] ? "mode 0" : "mode 1");
		gateway_start(&gateway, RUN_WORDS(AS_BOB));
		begin(ASKING, modes[i / ARRAY_LEN(cases)]);
		make(cases[j].event);
		expect_over(cases[j].status);
		if (cases[j].event != LISTENER)
			gateway_stop(&gateway);
	}
}

/* What stops, goes on or does nothing is no way out. */
static bool ends(int number)
{
	static const int not [] = { SIGKILL, SIGSTOP, SIGCHLD, SIGCONT, SIGTSTP,
				    SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH };

	for (size_t i = 0; i < ARRAY_LEN(not ); i++) {
		if (number == not [i])
			return false;
	}
	return number < 32 || number >= SIGRTMIN;
}

static void each_signal(const char *more)
{
	gateway_start(&gateway, RUN_WORDS("-M"));
	for (int number = 1; number <= SIGRTMAX; number++) {
		if (!ends(number))
			continue;
		print_message("case: %d\n", number);
		begin(ASKING, more);
		kill_number("dive=", number);
		expect_over(128 + number);
	}
	gateway_stop(&gateway);
}

/* It goes to the program, dies of it, and so does dive; or it is about dive alone. */
static void test_each_signal_forwarded(void **state)
{
	(void)state;
	each_signal(NULL);
}

static void test_each_signal_taken(void **state)
{
	(void)state;
	each_signal("DIVE_SIGFWMODE=0");
}

/* The program leaves its own terminal in a mess, and the screen full. */
static void test_mess_is_left_behind(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS(AS_BOB));
	begin("sh -c \"echo pid=\\$\\$; read x; stty raw -echo intr q; seq 5000; exit 3\"", NULL);
	pty_send(&pty, "\r");
	pty_expect(&pty, "5000");
	expect_over(3);
	gateway_stop(&gateway);
}

/* Stopped, and ended by somebody else before it goes on. */
static void test_while_stopped(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	shell(NULL);
	before = pty_termios(&pty);
	type("dive $G sh -c 'echo u''p; read x'");
	pty_expect(&pty, "up");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	assert_modes(&before);
	type("kill -KILL %1; while jobs %1; do :; done >/dev/null 2>&1; echo job''less");
	pty_expect(&pty, "jobless");
	assert_modes(&before);
	leave();
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ways_to_end),	      TEST(test_each_signal_forwarded),
		TEST(test_each_signal_taken), TEST(test_mess_is_left_behind),
		TEST(test_while_stopped),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
