/*
 * dive asks: at a real terminal, on standard input, through a program of the
 * user's, or not at all.
 *
 * At the terminal a shell leads, because the end of a session leader resets the
 * modes, which would hide what dive has left behind.  After every way out of a
 * prompt the echo must be back, and the shell must read what was typed after,
 * and nothing of what was typed before.
 */
#include "cleanup.h"
#include "fake.h"
#include "gateway.h"
#include "must.h"
#include "parse.h"
#include "pty.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS  "PATH=/usr/bin:/bin"
#define PROMPT "assword: "

static struct gateway gateway;
static struct fake fake;
static struct pty pty;

static int teardown(void **state)
{
	pty_done(&pty);
	fake_close(&fake);
	gateway_kill(&gateway);
	return sandbox_test_teardown(state);
}

/*
 * A shell that runs `dive ADDRESS echo in` and then reads a line.  It survives
 * ^C; the shell inside says the process id that dive is going to have.
 */
static void start_shell(const char *address)
{
	char script[512];

	(void)snprintf(
		script, sizeof(script),
		"trap : INT QUIT; out=$(exec sh -c 'echo pid $$ >/dev/tty; exec %s %s echo in');"
		" echo \"status $? <$out>\"; read -r line; echo \"line <$line>\"",
		sandbox_dive(), address); /* fits */
	pty_start(&pty, &(struct run_options){ .account = "alice",
					       .argv = RUN_WORDS("sh", "-c", script) });
}

/* "pid N" on the screen. */
static pid_t dive_pid(void)
{
	char text[32];
	pid_t pid;

	(void)snprintf(text, sizeof(text), "%s", strstr(pty.screen, "pid ") + 4); /* cut below */
	text[strcspn(text, "\r\n")] = '\0';
	assert_int_equal(parse_pid(text, &pid), 0);
	return pid;
}

/* dive has ended; the terminal is as it was, and its input empty. */
static void expect_end(const char *end)
{
	pty_expect(&pty, end);
	pty_expect_lflag(&pty, ECHO, true);
	pty_expect_lflag(&pty, ICANON, true);
	pty_send(&pty, "after\n");
	pty_expect(&pty, "after\r\n"); /* the echo */
	pty_expect(&pty, "line <after>");
	assert_int_equal(pty_wait(&pty), 0);
	pty_assert_absent(&pty, "Alice-op");
	pty_done(&pty);
}

static void test_ways_out_of_a_prompt(void **state)
{
	static const struct {
		const char *what;
		const char *typed;
		const char *timeout;
		int signal;
		const char *end;
	} cases[] = {
		{ "right", SANDBOX_PASSWORD_ALICE "\n", "60", 0, "status 0 <in>" },
		{ "wrong", "Alice-opposes\n", "60", 0, "status 77 <>" },
		{ "^C", "Alice-op\x03", "60", 0, "status 130 <>" },
		{ "^\\", "Alice-op\x1c", "60", 0, "status 131 <>" },
		{ "^D", "\x04", "60", 0, "status 77 <>" },
		{ "timeout", "Alice-op", "1", 0, "status 77 <>" },
		{ "SIGTERM", "", "60", SIGTERM, "status 143 <>" },
		{ "SIGHUP", "", "60", SIGHUP, "status 129 <>" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		gateway_start(&gateway, RUN_WORDS("-u", "bob", "--auth-tries", "1",
						  "--auth-timeout", cases[i].timeout));
		start_shell(gateway.address);
		pty_expect(&pty, PROMPT);
		assert_int_equal(pty_termios(&pty).c_lflag & ECHO, 0);
		pty_send(&pty, cases[i].typed);
		if (cases[i].signal)
			MUST(kill(dive_pid(), cases[i].signal)); /* it waits at the prompt */
		expect_end(cases[i].end);
		gateway_stop(&gateway);
	}
}

/* Each try asks anew, and what it is about is said once before. */
static void test_second_try(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	start_shell(gateway.address);
	pty_expect(&pty, "alice");
	pty_expect(&pty, PROMPT);
	pty_send(&pty, "wrong\n");
	pty_expect(&pty, PROMPT);
	assert_int_equal(pty_termios(&pty).c_lflag & ECHO, 0);
	pty_send(&pty, SANDBOX_PASSWORD_ALICE "\n");
	expect_end("status 0 <in>");
	gateway_stop(&gateway);
}

/* Questions and notes go to the terminal, of several lines too, whatever 1 and 2 are. */
static void test_asked_at_the_terminal(void **state)
{
	const struct message_prompt hidden = { MESSAGE_PROMPT_HIDDEN };
	const struct message_note note = { MESSAGE_NOTE_INFO };
	const struct message_refused refused = { MESSAGE_LAYER_AUTHENTICATION, 77 };
	char script[512];

	(void)state;
	fake_listen(&fake, 0);
	(void)snprintf(script, sizeof(script),
		       "%s %s id </dev/null >~/out 2>~/err; echo \"status $? <$(cat ~/out)> "
		       "<$(cat ~/err)>\"",
		       sandbox_dive(), fake.address); /* fits */
	pty_start(&pty, &(struct run_options){ .account = "alice",
					       .argv = RUN_WORDS("sh", "-c", script) });
	fake_accept(&fake);
	fake_send(&fake, MESSAGE_NOTE, &note, sizeof(note), "first\n\tsecond");
	fake_send(&fake, MESSAGE_PROMPT, &hidden, sizeof(hidden), "Third.\n" PROMPT);
	pty_expect(&pty, "first\r\n\tsecond\r\nThird.\r\n" PROMPT);
	pty_send(&pty, "answer\n");
	assert_string_equal(fake_expect_answer(&fake), "answer");
	fake_send(&fake, MESSAGE_REFUSED, &refused, sizeof(refused), "no");
	pty_expect(&pty, "status 77 <> <dive: authentication: no>");
	assert_int_equal(pty_wait(&pty), 0);
}

/* Typed before the prompt was there, and so shown on the screen: no answer. */
static void test_early_typing_is_no_answer(void **state)
{
	const struct message_prompt hidden = { MESSAGE_PROMPT_HIDDEN };
	const struct message_refused refused = { MESSAGE_LAYER_AUTHENTICATION, 77 };

	(void)state;
	fake_listen(&fake, 0);
	start_shell(fake.address);
	fake_accept(&fake);
	pty_send(&pty, "early\n");
	pty_expect(&pty, "early\r\n");
	fake_send(&fake, MESSAGE_PROMPT, &hidden, sizeof(hidden), PROMPT);
	pty_expect(&pty, PROMPT);
	pty_send(&pty, "in time\n");
	assert_string_equal(fake_expect_answer(&fake), "in time");
	fake_send(&fake, MESSAGE_REFUSED, &refused, sizeof(refused), "no");
	expect_end("status 77 <>");
}

/* Half an answer and the server goes, or speaks of something else. */
static void test_server_ends_a_prompt(void **state)
{
	const struct message_prompt hidden = { MESSAGE_PROMPT_HIDDEN };
	const struct message_note note = { MESSAGE_NOTE_INFO };

	(void)state;
	fake_listen(&fake, 0);
	start_shell(fake.address);
	fake_accept(&fake);
	fake_send(&fake, MESSAGE_PROMPT, &hidden, sizeof(hidden), PROMPT);
	pty_expect(&pty, PROMPT);
	fake_send(&fake, MESSAGE_NOTE, &note, sizeof(note), "hurry");
	pty_expect(&pty, "hurry");
	pty_expect(&pty, PROMPT); /* asked again after the note */
	pty_expect_lflag(&pty, ECHO, false);
	fake_hang_up(&fake);
	expect_end("status 127 <>");
}

static void test_prompts_are_escaped(void **state)
{
	static const char evil[] = "\x1b]0;title\x07 \x1b[2J\x9b \x7f name: ";
	const struct message_prompt visible = { MESSAGE_PROMPT_VISIBLE };
	const struct message_prompt hidden = { MESSAGE_PROMPT_HIDDEN };
	static const char *const bytes[] = { "\x1b", "\x07", "\x9b", "\x7f" };

	(void)state;
	fake_listen(&fake, 0);
	start_shell(fake.address);
	fake_accept(&fake);
	fake_send(&fake, MESSAGE_PROMPT, &visible, sizeof(visible), evil);
	pty_expect(&pty, "name: ");
	pty_expect_lflag(&pty, ECHO, true);
	pty_send(&pty, "Fred\n");
	pty_expect(&pty, "Fred\r\n"); /* one that is to be seen */
	assert_string_equal(fake_expect_answer(&fake), "Fred");
	fake_send(&fake, MESSAGE_PROMPT, &hidden, sizeof(hidden), evil);
	pty_expect(&pty, "name: ");
	pty_send(&pty, "\x04");
	assert_null(fake_expect_answer(&fake));
	fake_hang_up(&fake);
	for (size_t i = 0; i < ARRAY_LEN(bytes); i++)
		pty_assert_absent(&pty, bytes[i]);
	expect_end("status 127 <>");
}

/* ^Z at the prompt: the shell has its terminal back; fg asks again. */
static void test_stopped_at_a_prompt(void **state)
{
	char line[256];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	pty_start(&pty,
		  &(struct run_options){ .account = "alice",
					 .argv = RUN_WORDS("bash", "--norc", "--noediting", "-i"),
					 .envp = RUN_WORDS("PS1=here> ", PATHS) });
	pty_expect(&pty, "here> ");
	(void)snprintf(line, sizeof(line), "%s %s id -un\n", sandbox_dive(),
		       gateway.address); /* fits */
	pty_send(&pty, line);
	pty_expect(&pty, PROMPT);
	pty_send(&pty, "Alice-op\x1a");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "here> ");
	pty_expect_lflag(&pty, ECHO, true);
	pty_send(&pty, "fg\n");
	pty_expect(&pty, PROMPT);
	pty_expect_lflag(&pty, ECHO, false);
	pty_send(&pty, SANDBOX_PASSWORD_ALICE "\n");
	pty_expect(&pty, "bob\r\n");
	pty_expect(&pty, "here> ");
	pty_send(&pty, "exit 0\n");
	assert_int_equal(pty_wait(&pty), 0);
	pty_assert_absent(&pty, "Alice-op");
	gateway_stop(&gateway);
}

/*
 * Asked in the background, while the shell edits a line: its modes are none to ask in, nor
 * to leave behind.
 */
static void test_asked_in_the_background(void **state)
{
	struct termios before;
	char line[256];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	pty_start(&pty, &(struct run_options){ .account = "alice",
					       .argv = RUN_WORDS("bash", "--norc", "-i"),
					       .envp = RUN_WORDS("PS1=here> ", PATHS, "TERM=dumb",
								 "HOME=/home/alice") });
	before = pty_termios(&pty);
	pty_expect(&pty, "here> ");
	pty_send(&pty, "set -b\n"); /* jobs are told of at once */
	pty_expect(&pty, "here> ");
	gateway_freeze(&gateway);
	(void)snprintf(line, sizeof(line), "%s %s id -un &\n", sandbox_dive(),
		       gateway.address); /* fits */
	pty_send(&pty, line);
	pty_expect(&pty, "here> ");
	pty_expect_lflag(&pty, ICANON, false);
	gateway_signal(&gateway, SIGCONT);
	pty_expect(&pty, "Stopped");
	pty_send(&pty, "fg\n");
	pty_expect(&pty, PROMPT);
	pty_expect_lflag(&pty, ECHO, false);
	pty_send(&pty, SANDBOX_PASSWORD_ALICE "\r"); /* what the key sends */
	pty_expect(&pty, "bob\r\n");
	pty_expect(&pty, "here> ");
	pty_send(&pty, "exec stty -a\n");
	pty_expect(&pty, " icrnl");
	pty_expect(&pty, " icanon");
	pty_expect(&pty, " echo ");
	assert_int_equal(pty_wait(&pty), 0);
	assert_int_equal(pty_termios(&pty).c_iflag, before.c_iflag);
	gateway_stop(&gateway);
}

/* --- without a terminal --------------------------------------------------------------------- */

static void test_stdin_gives_one_line(void **state)
{
	static const struct {
		const char *what;
		const char *input;
		int status;
		const char *out;
	} cases[] = {
		{ "the rest is the program's", SANDBOX_PASSWORD_ALICE "\nsecond\nthird", 0,
		  "second\nthird" },
		{ "nothing more", SANDBOX_PASSWORD_ALICE "\n", 0, "" },
		{ "no newline", SANDBOX_PASSWORD_ALICE, 0, "" },
		{ "wrong", "wrong\n" SANDBOX_PASSWORD_ALICE "\n", 77, "" },
		{ "nothing", "", 77, "" },
	};
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "--auth-tries", "1"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		run_dive(&command,
			 &(struct run_options){ .account = "alice", .input = cases[i].input },
			 &gateway, RUN_WORDS("-S", "cat"));
		run_assert_status(&command, cases[i].status);
		assert_string_equal(command.out, cases[i].out);
		assert_non_null(strstr(command.err, PROMPT));
		assert_null(strstr(command.err, "Alice-op"));
		run_done(&command);
	}
	gateway_stop(&gateway);
}

/* With -S the terminal is left alone, although there is one: by questions and by notes. */
static void test_stdin_touches_no_terminal(void **state)
{
	char script[256];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	(void)snprintf(script, sizeof(script),
		       "printf 'wrong\\n" SANDBOX_PASSWORD_ALICE
		       "\\n' | %s -S %s echo in 2>~/said; grep -q 'try again' ~/said",
		       sandbox_dive(), gateway.address); /* fits */
	pty_start(&pty, &(struct run_options){ .account = "alice",
					       .argv = RUN_WORDS("sh", "-c", script) });
	pty_expect(&pty, "in\r\n");
	assert_int_equal(pty_wait(&pty), 0);
	pty_assert_absent(&pty, PROMPT);
	pty_assert_absent(&pty, "try again");
	gateway_stop(&gateway);
}

/* The helper is the client's, and has nothing of what is for the program. */
static void test_askpass(void **state)
{
	static const struct {
		const char *what;
		const char *script;
		int status;
		const char *out;
	} cases[] = {
		{ "answers",
		  "#!/bin/sh\necho \"$# $1\" >~/asked; id -un >>~/asked; cat >>~/asked\n"
		  "test ! -e /proc/$$/fd/9 || exit 1\n"
		  "echo " SANDBOX_PASSWORD_ALICE "\necho more\n",
		  0, "the input\n" },
		{ "wrong", "#!/bin/sh\necho wrong\n", 77, "" },
		{ "cancelled", "#!/bin/sh\necho " SANDBOX_PASSWORD_ALICE "\nexit 1\n", 77, "" },
		{ "silent", "#!/bin/sh\n", 77, "" },
		{ "not to be executed", NULL, 1, "" },
	};
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDONLY | O_CLOEXEC));
	const struct run_fd nine = { null, 9 };
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "--auth-tries", "1"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		sandbox_write("/run/dive-test/askpass", cases[i].script ? 0755 : 0644, "%s",
			      cases[i].script ? cases[i].script : "");
		run_dive(&command,
			 &(struct run_options){
				 .account = "alice",
				 .input = "the input\n",
				 .fds = &nine,
				 .fd_count = 1,
				 .envp = RUN_WORDS(PATHS, "HOME=/home/alice",
						   "DIVE_ASKPASS=/run/dive-test/askpass") },
			 &gateway, RUN_WORDS("-A", "sh", "-c", "cat; test -e /proc/$$/fd/9"));
		run_assert_status(&command, cases[i].status);
		assert_string_equal(command.out, cases[i].out);
		run_done(&command);
	}
	run(&command, &(struct run_options){ .argv = RUN_WORDS("cat", "/home/alice/asked") });
	assert_string_equal(command.out, "1 Password: \nalice\n");
	run_done(&command);
	gateway_stop(&gateway);
}

/* A server that asks although it was told not to. */
static void test_non_interactive(void **state)
{
	const struct message_prompt hidden = { MESSAGE_PROMPT_HIDDEN };
	struct run command;

	(void)state;
	fake_listen(&fake, 0);
	run_start(&command, &(struct run_options){
				    .account = "alice",
				    .argv = RUN_WORDS(sandbox_dive(), "-n", fake.address, "id") });
	fake_accept(&fake);
	fake_send(&fake, MESSAGE_PROMPT, &hidden, sizeof(hidden), "Sesame: ");
	run_wait(&command);
	run_assert_status(&command, 77);
	assert_non_null(strstr(command.err, "would have asked: Sesame: "));
	assert_string_equal(command.out, "");
	run_done(&command);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ways_out_of_a_prompt),
		TEST(test_second_try),
		TEST(test_asked_at_the_terminal),
		TEST(test_early_typing_is_no_answer),
		TEST(test_server_ends_a_prompt),
		TEST(test_prompts_are_escaped),
		TEST(test_stopped_at_a_prompt),
		TEST(test_asked_in_the_background),
		TEST(test_stdin_gives_one_line),
		TEST(test_stdin_touches_no_terminal),
		TEST(test_askpass),
		TEST(test_non_interactive),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
