/*
 * Job control as a person sees it: keys, stopping and going on, the background,
 * pipelines, and dive where it does not lead.
 */
#include "terminal_scene.h"

#include "deadline.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

/* Says when it goes on; reads a line and ends with 7. */
#define READER                                                                                     \
	"sh -c 'trap \"echo go''ing\" CONT; echo u''p; while ! read l; do :; done; "               \
	"echo line=\"$l\"; exit 7'"

static struct termios before;

static void begin(const char *const *options)
{
	gateway_start(&gateway, options);
	shell(NULL);
	before = pty_termios(&pty);
}

static void end(void)
{
	assert_modes(&before);
	leave();
	gateway_stop(&gateway);
}

static void expect_jobless(const char *status)
{
	pty_expect(&pty, "ready> ");
	assert_modes(&before);
	type("echo status=$?; jobs; echo job''less");
	pty_expect(&pty, status);
	pty_expect(&pty, "\r\njobless");
	pty_expect(&pty, "ready> ");
}

/* Until the shell has given its terminal away. */
static void await_job(void)
{
	int64_t deadline = deadline_after(10000);

	while (pty_foreground(&pty) == pty.run.pid && !deadline_passed(deadline))
		(void)poll(NULL, 0, 1); /* nobody says so */
	assert_int_not_equal(pty_foreground(&pty), pty.run.pid);
}

static const char *const gateways[][5] = { { "-M" }, { AS_BOB } };

/* Each key comes once, to the program alone. */
static void test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(gateways); i++) {
		size_t from;

		begin(gateways[i]);
		type("dive $G " SHOW " signals");
		pty_expect(&pty, "\nready ");
		from = pty.seen;
		pty_send(&pty, "\x03");
		pty_expect(&pty, "got 2.");
		pty_send(&pty, "\x1a");
		pty_expect(&pty, "got 20."); /* blocked there, so it does not stop */
		pty_send(&pty, "\x1c");
		pty_expect(&pty, "got 3.");
		expect_jobless("status=35");
		assert_int_equal(count_since(from, "got 2."), 1);
		assert_int_equal(count_since(from, "got 20."), 1);
		assert_int_equal(count_since(from, "got 3."), 1);
		end();
	}
}

/* Those that the caller has chosen, and the usual ones are letters like others. */
static void test_chosen_keys(void **state)
{
	size_t from;

	(void)state;
	begin(RUN_WORDS("-M"));
	before = set_odd_modes();
	type("dive $G " SHOW " signals");
	pty_expect(&pty, "\nready ");
	from = pty.seen;
	pty_send(&pty, "\x03\x1c\x1a\x07");
	pty_expect(&pty, "got 2.");
	pty_send(&pty, "\x14");
	pty_expect(&pty, "got 20.");
	pty_send(&pty, "\x05");
	pty_expect(&pty, "got 3.");
	expect_jobless("status=35");
	assert_int_equal(count_since(from, "got "), 3);
	end();
}

static void test_stop_and_go_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(gateways); i++) {
		begin(gateways[i]);
		type("dive $G " READER);
		pty_expect(&pty, "\nup");
		for (int round = 0; round < 3; round++) {
			pty_expect_lflag(&pty, ICANON, false);
			pty_send(&pty, "\x1a");
			pty_expect(&pty, "Stopped");
			pty_expect(&pty, "ready> ");
			assert_modes(&before);
			type("fg");
			pty_expect(&pty, "going");
		}
		pty_send(&pty, "hello\r");
		pty_expect(&pty, "line=hello");
		expect_jobless("status=7");
		end();
	}
}

/* kill -STOP of the program, and of dive: the shell sees a job that has stopped. */
static void test_stopped_by_others(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"));
	type("dive $G sh -c 'echo pid=$$; kill -STOP $$; echo ba''ck; read x'");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	assert_modes(&before);
	type("fg");
	pty_expect(&pty, "back");
	pty_expect_lflag(&pty, ICANON, false);
	MUST(kill(pty_foreground(&pty), SIGSTOP)); /* dive, which the shell waits for */
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	type("fg");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "\r");
	expect_jobless("status=0");
	end();
}

/* bg: it goes on, and stops again when it wants to read. */
static void test_background_after_stop(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"));
	type("mkfifo f; dive $G sh -c 'echo u''p; read a; echo wa''its; read b <f; echo go''ing; "
	     "read a; echo line=$a'");
	pty_expect(&pty, "\nup");
	pty_send(&pty, "first\r");
	pty_expect(&pty, "\nwaits");
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	type("bg; echo >f; wait; jobs -l; rm f; echo do''ne");
	pty_expect(&pty, "\r\ngoing\r\n"); /* one carriage return */
	pty_expect(&pty, "(tty input)");
	pty_expect(&pty, "done");
	pty_expect(&pty, "ready> ");
	assert_modes(&before);
	type("fg");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "second\r");
	pty_expect(&pty, "line=second");
	expect_jobless("status=0");
	end();
}

/* Never in the foreground before: nothing is grabbed, output comes as that of any job. */
static void test_started_in_background(void **state)
{
	(void)state;
	begin(RUN_WORDS(AS_BOB));
	type("dive $G sh -c 'echo out; stty size </dev/tty; read x; echo got=$x' & wait; jobs; "
	     "echo do''ne");
	pty_expect(&pty, "\r\nout\r\n"); /* one carriage return */
	pty_expect(&pty, "24 80\r\n");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "done");
	pty_expect(&pty, "ready> ");
	assert_modes(&before);
	type("fg");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "hello\r");
	pty_expect(&pty, "got=hello\r\n");
	expect_jobless("status=0");
	type("dive $G true & wait $!; echo status=$?");
	pty_expect(&pty, "status=0");
	type("dive $G stty raw & wait; jobs; echo do''ne");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "done");
	pty_expect(&pty, "ready> ");
	type("fg");
	expect_jobless("status=0");
	/* stty tostop: as others, it may not even write. */
	type("stty tostop; dive $G echo wr''itten & wait; jobs; echo do''ne");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "done");
	pty_expect(&pty, "ready> ");
	type("fg; stty -tostop");
	pty_expect(&pty, "written");
	expect_jobless("status=0");
	end();
}

/* --- pipelines ------------------------------------------------------------------ */

/* The keyboard is taken when the program asks, and only then. */
static void test_pipelines(void **state)
{
	static const struct {
		const char *line;
		const char *typed; /* after "waits" has been said */
		bool raw;	   /* the program asks */
		const char *says;
	} cases[] = {
		{ "dive $G seq 3 | cat; echo o''ver", NULL, false, "1\r\n2\r\n3\r\nover" },
		{ "yes | dive $G head -n 2; echo ${PIPESTATUS[*]}", NULL, false,
		  "y\r\ny\r\n141 0" },
		{ "dive $G seq 3 | dive $G tac | cat; echo o''ver", NULL, false,
		  "3\r\n2\r\n1\r\nover" },
		{ "dive $G seq 3 2>&1 | (cat; echo w''aits; read k </dev/tty; echo key=$k)",
		  "hello\n", false, "key=hello" },
		{ "dive $G sh -c 'seq 3; exec sleep 1000' | (head -n 3; echo w''aits; read k "
		  "</dev/tty; echo key=$k)",
		  "hello\n", false, "key=hello" },
		{ "dive $G sh -c 'echo w''aits >/dev/tty; read k </dev/tty; echo k''ey=$k' | cat",
		  "hello\r", true, "key=hello" },
		{ "seq 3 | dive $G sh -c 'cat; echo w''aits; read k </dev/tty; echo k''ey=$k'",
		  "hello\r", true, "key=hello" },
		{ "dive $G sh -c 'echo w''aits >&2; read k; echo k''ey=$k' | cat", "hello\r", true,
		  "key=hello" },
		{ "dive $G sh -c 'read k </dev/tty; echo k''ey=$k' | dive $G sh -c 'cat; echo "
		  "w''aits; read l </dev/tty; echo and=$l' | cat",
		  "hello\r", true, "key=hello" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].line);
		begin(RUN_WORDS("-M"));
		type(cases[i].line);
		if (i + 1 == ARRAY_LEN(cases)) { /* one after the other asks */
			pty_expect_lflag(&pty, ICANON, false);
			pty_send(&pty, cases[i].typed);
			pty_expect(&pty, cases[i].says);
			pty_expect(&pty, "waits");
			pty_expect_lflag(&pty, ICANON, false);
			pty_send(&pty, "world\r");
			pty_expect(&pty, "and=world");
			pty_expect(&pty, "ready> ");
			end();
			continue;
		}
		if (cases[i].typed) {
			pty_expect(&pty, "waits");
			if (cases[i].raw)
				pty_expect_lflag(&pty, ICANON, false);
			else
				assert_modes(&before);
			pty_send(&pty, cases[i].typed);
		}
		pty_expect(&pty, cases[i].says);
		if (strstr(cases[i].line, "exec sleep"))
			pty_send(&pty, "\x03");
		pty_expect(&pty, "ready> ");
		end();
	}
}

/* Others of the pipeline write to a terminal whose keyboard is the program's. */
static void test_line_ends_in_a_pipeline(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"));
	type("dive $G sh -c 'r() { read k </dev/tty; }; echo w''aits >/dev/tty; r; seq 3; r; "
	     "(echo ow''n; echo e''nd) >/dev/tty; r' | cat");
	pty_expect(&pty, "\nwaits\r\n");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "x\r");
	pty_expect(&pty, "1\r\n2\r\n3\r\n"); /* of cat; the echo comes before or after */
	pty_send(&pty, "y\r");
	pty_expect(&pty, "own\r\nend\r\n");
	pty_send(&pty, "\r");
	expect_jobless("status=0");
	end();
}

/* ^C in a pipeline whose keyboard dive has not taken is for all of it. */
static void test_interrupt_of_a_pipeline(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"));
	type("dive $G sh -c 'echo u''p >&2; exec sleep 1000' | cat");
	pty_expect(&pty, "\nup");
	pty_send(&pty, "\x03");
	expect_jobless("status=");
	type("dive $G sh -c 'echo u''p >&2; exec sleep 1000' | cat");
	pty_expect(&pty, "\nup");
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	type("fg");
	await_job();
	pty_send(&pty, "\x03");
	expect_jobless("status=");
	end();
}

/* --- where dive does not lead ------------------------------------------------------ */

static void test_within_others(void **state)
{
	static const struct {
		const char *line;
		const char *says;
	} cases[] = {
		{ "dive $G dive $G sh -c 'echo w''aits; read x; echo got=$x'", "got=hello" },
		{ "script -qc \"dive $G sh -c 'echo w''aits; read x; echo got=\\$x'\" /dev/null",
		  "got=hello" },
		{ "dive $G script -qc \"sh -c 'echo w''aits; read x; echo got=\\$x'\" /dev/null",
		  "got=hello" },
		{ "sh -c 'dive $G sh -c \"echo w\"\"aits; read x; echo got=\\$x\"; exit 0'",
		  "got=hello" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].line);
		begin(RUN_WORDS("-M"));
		type(cases[i].line);
		pty_expect(&pty, "waits");
		pty_expect_lflag(&pty, ICANON, false);
		pty_send(&pty, "hello\r");
		pty_expect(&pty, cases[i].says);
		pty_expect(&pty, "ready> ");
		end();
	}
}

/* Each ^Z stops the innermost job, as in shells within shells. */
static void test_shells_within_shells(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"));
	type("PS1='inn''er> ' dive $G bash --norc --noediting -i");
	pty_expect(&pty, "inner> ");
	type("dive $G " READER);
	pty_expect(&pty, "\nup");
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "inner> ");
	type("suspend -f");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	assert_modes(&before);
	type("fg");
	pty_expect(&pty, "inner> ");
	type("fg");
	pty_expect(&pty, "going");
	pty_send(&pty, "hello\r");
	pty_expect(&pty, "line=hello");
	pty_expect(&pty, "inner> ");
	type("exit 5");
	expect_jobless("status=5");
	end();
}

/* A job of the shell behind the gateway has the keyboard, and has it again when dive goes on. */
static void test_job_within_is_left_alone(void **state)
{
	pid_t dive;

	(void)state;
	begin(RUN_WORDS("-M"));
	type("PS1='inn''er> ' dive $G bash --norc --noediting -i");
	pty_expect(&pty, "inner> ");
	dive = pty_foreground(&pty);
	type("sh -c 'echo w''aits; read x; echo got=$x'");
	pty_expect(&pty, "\nwaits");
	MUST(kill(dive, SIGSTOP));
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	type("fg");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "hello\r");
	pty_expect(&pty, "got=hello");
	pty_expect(&pty, "inner> ");
	type("exit 5");
	expect_jobless("status=5");
	end();
}

/* nohup: what it ignores the program ignores, and there is no terminal to lose. */
static void test_nohup(void **state)
{
	(void)state;
	begin(RUN_WORDS("-M"));
	type("nohup dive $G sh -c 'kill -HUP $$; tty; echo ali''ve' </dev/null 2>/dev/null | cat");
	pty_expect(&pty, "not a tty");
	pty_expect(&pty, "alive");
	pty_expect(&pty, "ready> ");
	end();
}

static void test_without_a_terminal(void **state)
{
	static const char *const lines[] = {
		("echo in | setsid -w dive $G sh -c 'tty <&2; cat; (: </dev/tty) || echo no''ne' "
		 "2>&1 | cat"),
		"dive $G sh -c 'read x || echo no''ne' <&-",
		"dive $G sh -c 'echo no''ne >/dev/tty' <&- >&- 2>&-; echo none",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		print_message("case: %s\n", lines[i]);
		begin(RUN_WORDS("-M"));
		type(lines[i]);
		pty_expect(&pty, "\nnone");
		pty_expect(&pty, "ready> ");
		end();
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_keys),
		TEST(test_chosen_keys),
		TEST(test_stop_and_go_on),
		TEST(test_stopped_by_others),
		TEST(test_background_after_stop),
		TEST(test_started_in_background),
		TEST(test_pipelines),
		TEST(test_line_ends_in_a_pipeline),
		TEST(test_interrupt_of_a_pipeline),
		TEST(test_within_others),
		TEST(test_shells_within_shells),
		TEST(test_job_within_is_left_alone),
		TEST(test_nohup),
		TEST(test_without_a_terminal),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
