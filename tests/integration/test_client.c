/*
 * dive by itself: what it says and how it ends when something is wrong, whom it
 * trusts, and the surroundings it must cope with.
 *
 * Two rules hold in every case and are checked in each: nothing on standard
 * output, and exactly one line, beginning "dive: ", on standard error.
 * A listener that is not dived (support/fake.h) plays what a gateway never does.
 */
#include "cleanup.h"
#include "fake.h"
#include "gateway.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY "/run/dive-test/nobody.sock"
#define PATHS  "PATH=/usr/bin:/bin"

static struct gateway gateway;
static struct fake fake;

static int teardown(void **state)
{
	fake_close(&fake);
	gateway_kill(&gateway);
	return sandbox_test_teardown(state);
}

/* A failure of dive: this status, one line with this text and nothing else. */
static void expect_failure(struct run *command, int status, const char *text)
{
	run_wait(command);
	run_assert_status(command, status);
	assert_string_equal(command->out, "");
	if (strncmp(command->err, "dive: ", 6) != 0 || !strstr(command->err, text) ||
	    strchr(command->err, '\n') != command->err + command->err_len - 1)
		FAIL("not one line with \"%s\":\n%s", text, command->err);
	run_done(command);
}

/* Runs dive itself, with these words and variables, as alice. */
static void start(struct run *ret, const char *const *words, const char *variable)
{
	const char *argv[16] = { sandbox_dive() };

	for (size_t i = 0; words[i]; i++) {
		assert_in_range(i, 0, ARRAY_LEN(argv) - 3);
		argv[i + 1] = words[i];
	}
	run_start(ret, &(struct run_options){ .account = "alice",
					      .argv = argv,
					      .envp = RUN_WORDS(PATHS, variable) });
}

/* --- statuses ------------------------------------------------------------------------- */

/* A socket file whose listener has gone. */
static void make_stale(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	cleanup_fd int sock = MUST_INT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	strcpy(name.sun_path, path);
	MUST(bind(sock, (const struct sockaddr *)&name, sizeof(name)));
	MUST(chmod(path, 0666));
}

static void test_unreachable(void **state)
{
	static const struct {
		const char *address;
		const char *text;
	} cases[] = {
		{ NOBODY, "no such socket" },
		{ "/etc/passwd/sock", "no such socket" },
		{ "@dive-test-nobody", "no such abstract socket" },
		{ "/run/dive-test/stale.sock", "nobody listening" },
		{ "/etc/passwd", "nobody listening" },
		{ "/run/dive-test/closed.sock", "permission denied" },
		{ "/home/bob/sock", "permission denied" },
		{ "fake", "uid 2003 and is not trusted; set DIVE_SERVER_USER" },
	};
	struct run command;

	(void)state;
	make_stale("/run/dive-test/stale.sock");
	fake_listen(&fake, SANDBOX_UID_CAROL);
	gateway_start(&gateway, RUN_WORDS("/run/dive-test/closed.sock", "-C", "0600"));
	MUST(chmod("/etc/passwd", 0666)); /* connect(2) asks for the right to write first */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool faked = strcmp(cases[i].address, "fake") == 0;

		print_message("case: %s\n", cases[i].address);
		start(&command, RUN_WORDS(faked ? fake.address : cases[i].address, "id"), NULL);
		expect_failure(&command, 2, cases[i].text);
	}
	MUST(chmod("/etc/passwd", 0644));
	gateway_stop(&gateway);
}

/* Not a byte, no descriptor: whoever listens there learns that somebody came. */
static void test_untrusted_listener_gets_nothing(void **state)
{
	static const struct {
		const char *variable;
		uid_t uid;
		bool trusted;
	} cases[] = {
		{ NULL, SANDBOX_UID_CAROL, false },
		{ "DIVE_SERVER_USER=bob", SANDBOX_UID_CAROL, false },
		{ "DIVE_SERVER_USER=carol", SANDBOX_UID_CAROL, true },
		{ "DIVE_SERVER_USER=2003", SANDBOX_UID_CAROL, true },
		{ "DIVE_SERVER_USER=carol", 0, true },
		{ NULL, 0, true },
		{ NULL, SANDBOX_UID_ALICE, true }, /* dive's own */
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: uid %u, %s\n", cases[i].uid,
			      cases[i].variable ? cases[i].variable : "-");
		fake_listen(&fake, cases[i].uid);
		start(&command, RUN_WORDS(fake.address, "id"), cases[i].variable);
		if (cases[i].trusted) {
			fake_accept(&fake);
			fake_hang_up(&fake);
			expect_failure(&command, 127, "dropped the connection");
		} else {
			assert_int_equal(fake_count_bytes(&fake), 0);
			expect_failure(&command, 2, "not trusted");
		}
		fake_close(&fake);
	}
}

static void test_other_version(void **state)
{
	const struct packet_header head = { PACKET_MAGIC, PACKET_VERSION + 6, MESSAGE_HELLO, 0, 0 };
	struct run command;

	(void)state;
	fake_listen(&fake, 0);
	start(&command, RUN_WORDS(fake.address, "id"), NULL);
	fake_accept(&fake);
	fake_send_raw(&fake, &head, sizeof(head));
	expect_failure(&command, 3, "this dive speaks version 2 and the server version 8");
}

/* What a server may say, and what it may not, at each point of the conversation. */
static void test_nonsense_of_a_server(void **state)
{
	static const struct message_started started = { 42, 0 };
	static const struct message_exited exited = { MESSAGE_EXIT_STATUS, 0 };
	static const uint32_t bad_kind = 99;
	static const struct message_exited bad_end = { 99, 0 };
	static const struct {
		const char *what;
		bool start; /* STARTED comes first */
		enum message_type type;
		const void *body;
		size_t len;
		const char *text;
	} cases[] = {
		{ "nothing", false, MESSAGE_TYPE_END, NULL, 0, "dropped the connection" },
		{ "nothing, later", true, MESSAGE_TYPE_END, NULL, 0, "dropped the connection" },
		{ "an end first", false, MESSAGE_EXITED, &exited, sizeof(exited), "protocol: " },
		{ "two starts", true, MESSAGE_STARTED, &started, sizeof(started), "protocol: " },
		{ "a bad end", true, MESSAGE_EXITED, &bad_end, sizeof(bad_end), "protocol: " },
		{ "a bad prompt", false, MESSAGE_PROMPT, &bad_kind, 4, "protocol: " },
		{ "a client's message", false, MESSAGE_ANSWER, &bad_kind, 4, "protocol: " },
	};
	struct run command;

	(void)state;
	fake_listen(&fake, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		start(&command, RUN_WORDS(fake.address, "id"), NULL);
		fake_accept(&fake);
		if (cases[i].start)
			fake_send(&fake, MESSAGE_STARTED, &started, sizeof(started), NULL);
		if (cases[i].type != MESSAGE_TYPE_END)
			fake_send(&fake, cases[i].type, cases[i].body, cases[i].len, NULL);
		fake_hang_up(&fake);
		expect_failure(&command, 127, cases[i].text);
	}
}

/* covers: nothing, for none of these goes on to connect */
static void test_usage(void **state)
{
	static const char long_path[] = "/run/dive-test/012345678901234567890123456789012345678"
					"012345678901234567890123456789012345678901234567890123";
	static const struct {
		const char *words[5];
		const char *variable;
		const char *text;
	} cases[] = {
		{ { NULL }, NULL, "ADDRESS" },
		{ { "" }, NULL, "ADDRESS" },
		{ { "@" }, NULL, "ADDRESS" },
		{ { long_path }, NULL, "108 bytes, and a socket's can have 107" },
		{ { "-z", NOBODY }, NULL, "-z" },
		{ { "--nonesuch", NOBODY }, NULL, "--nonesuch" },
		{ { "-nS", NOBODY }, NULL, "-nS" },
		{ { "-S", "-A", NOBODY }, NULL, "--askpass" },
		{ { "-A", NOBODY }, NULL, "DIVE_ASKPASS" },
		{ { "-n=1", NOBODY }, NULL, "-n=1" },
		{ { NOBODY }, "DIVE_WAITMODE=3", "DIVE_WAITMODE" },
		{ { NOBODY }, "DIVE_WAITMODE=", "DIVE_WAITMODE" },
		{ { NOBODY }, "DIVE_WAITMODE= 1", "DIVE_WAITMODE" },
		{ { NOBODY }, "DIVE_WAITMODE=+1", "DIVE_WAITMODE" },
		{ { NOBODY }, "DIVE_SIGFWMODE=3", "DIVE_SIGFWMODE" },
		{ { NOBODY }, "DIVE_SIGFWMODE=x", "DIVE_SIGFWMODE" },
		{ { NOBODY }, "DIVE_CURDIR=", "DIVE_CURDIR" },
		{ { NOBODY }, "DIVE_ROOTDIR=", "DIVE_ROOTDIR" },
		{ { NOBODY }, "DIVE_TERMINAL=@", "DIVE_TERMINAL" },
		{ { NOBODY }, "DIVE_TERMINAL=@x", "DIVE_TERMINAL" },
		{ { NOBODY }, "DIVE_TERMINAL=@-2", "DIVE_TERMINAL" },
		{ { NOBODY }, "DIVE_TERMINAL=@65536", "DIVE_TERMINAL" },
		{ { NOBODY }, "DIVE_ASKPASS=askpass", "DIVE_ASKPASS" },
		{ { "-A", NOBODY }, "DIVE_ASKPASS=", "DIVE_ASKPASS" },
		{ { NOBODY }, "DIVE_SERVER_USER=nonesuch", "DIVE_SERVER_USER" },
		{ { NOBODY }, "DIVE_SERVER_USER=", "DIVE_SERVER_USER" },
		{ { NOBODY }, "DIVE_SERVER_USER=4294967295", "DIVE_SERVER_USER" },
		{ { NOBODY }, "DIVE_SERVER_USER=-1", "DIVE_SERVER_USER" },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s %s\n", cases[i].words[0] ? cases[i].words[0] : "-",
			      cases[i].variable ? cases[i].variable : "-");
		start(&command, cases[i].words, cases[i].variable);
		expect_failure(&command, 4, cases[i].text);
	}
}

/* covers: nothing, as above */
static void test_own_failures(void **state)
{
	static const struct {
		const char *variable;
		const char *text;
	} cases[] = {
		{ "DIVE_CURDIR=/nonexistent", "/nonexistent (DIVE_CURDIR)" },
		{ "DIVE_CURDIR=/etc/passwd", "Not a directory" },
		{ "DIVE_CURDIR=/home/bob/x", "Permission denied" },
		{ "DIVE_ROOTDIR=/nonexistent", "(DIVE_ROOTDIR)" },
		{ "DIVE_TERMINAL=/dev/nonexistent", "(DIVE_TERMINAL)" },
		{ "DIVE_TERMINAL=/dev/null", "is no terminal" },
		{ "DIVE_TERMINAL=@77", "descriptor 77 (DIVE_TERMINAL) is not open" },
		{ "DIVE_TERMINAL=@0", "is no terminal" },
	};
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].variable);
		start(&command, RUN_WORDS(gateway.address, "id"), cases[i].variable);
		expect_failure(&command, 1, cases[i].text);
	}
	gateway_stop(&gateway);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *what;
		const char *options[6];
		const char *words[3];
		const char *text;
	} cases[] = {
		{ "-n", { "-u", "bob" }, { "-n", "id" }, "prompting was forbidden (-n)" },
		{ "no terminal", { "-u", "bob" }, { "id" }, "-S (standard input) or -A" },
		{ "not allowed", { "--allow", "bob" }, { "id" }, "gateway: " },
		{ "no answer", { "-u", "bob" }, { "-S", "id" }, "authentication: " },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		gateway_start(&gateway, cases[i].options);
		run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway,
			 cases[i].words);
		run_assert_status(&command, 77);
		assert_string_equal(command.out, "");
		if (!strstr(command.err, cases[i].text))
			FAIL("no \"%s\" in: %s", cases[i].text, command.err);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

static void test_information(void **state)
{
	static const char *const words[] = { "-h", "--help", "-V", "--version" };
	cleanup_fd int full = MUST_INT(open("/dev/full", O_WRONLY | O_CLOEXEC));
	const struct run_fd standard_output = { full, 1 };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		/* A malformed variable does not keep anybody from reading the help. */
		start(&command, RUN_WORDS(words[i]), "DIVE_WAITMODE=x");
		run_wait(&command);
		run_assert_status(&command, 0);
		assert_non_null(strstr(command.out, i < 2 ? "ADDRESS" : "dive 0."));
		assert_string_equal(command.err, "");
		run_done(&command);
	}
	run_start(&command, &(struct run_options){ .argv = RUN_WORDS(sandbox_dive(), "-V"),
						   .fds = &standard_output,
						   .fd_count = 1 });
	expect_failure(&command, 1, "cannot print");
}

/* --- what a server says --------------------------------------------------------------- */

/* Terminal sequences, a forged line, and bytes that are no UTF-8, in every kind of text. */
static void test_texts_are_escaped(void **state)
{
	static const char evil[] = "a\x1b]0;title\x07 \x1b[2J\r\ndive: ok \x9b\x7f\xff z";
	static const struct message_refused refused = { MESSAGE_LAYER_ACCOUNT, 77 };
	static const struct message_note note = { MESSAGE_NOTE_INFO };
	struct run command;

	(void)state;
	fake_listen(&fake, 0);
	start(&command, RUN_WORDS(fake.address, "id"), NULL);
	fake_accept(&fake);
	fake_send(&fake, MESSAGE_NOTE, &note, sizeof(note), evil);
	fake_send(&fake, MESSAGE_REFUSED, &refused, sizeof(refused), evil);
	run_wait(&command);
	run_assert_status(&command, 77);
	assert_string_equal(command.out, "");
	for (const char *at = command.err; *at; at++)
		if ((unsigned char)*at < ' ' ? *at != '\n' : (unsigned char)*at >= 0x7f)
			FAIL("byte %#x in:\n%s", (unsigned char)*at, command.err);
	assert_non_null(strstr(command.err, " z\n"));
	assert_non_null(strstr(command.err, "dive: account: a"));
	/* The refusal is one line: the forged one does not begin a line of its own. */
	assert_null(strstr(strstr(command.err, "dive: account: a"), "\ndive: ok"));
	run_done(&command);
}

/* --- surroundings --------------------------------------------------------------------- */

static void expect_report(struct run *command, const char *key, const char *value)
{
	run_wait(command);
	run_assert_status(command, 0);
	show_expect(command->out, key, value);
	run_done(command);
}

static void test_directories(void **state)
{
	static const struct {
		const char *variable;
		const char *directory;
	} cases[] = {
		{ "DIVE_CURDIR=/usr/bin", "/usr/bin" },
		{ "DIVE_CURDIR=../var/log", "/var/log" },
		{ NULL, "/usr" },
	};
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		run_dive_start(&command,
			       &(struct run_options){ .account = "alice",
						      .directory = "/usr",
						      .envp = RUN_WORDS(PATHS, cases[i].variable) },
			       &gateway, RUN_WORDS(SHOW));
		expect_report(&command, "cwd", cases[i].directory);
	}
	gateway_stop(&gateway);
}

static void test_odd_surroundings(void **state)
{
	static const struct {
		const char *what;
		const char *script; /* of bash, as alice in her home */
		const char *key;
		const char *value;
	} cases[] = {
		{ "deleted directory", "mkdir gone; cd gone; rmdir ../gone; exec $DIVE " SHOW,
		  "cwd", "errno 2" },
		{ "nohup", "exec nohup $DIVE " SHOW, "SigIgn", "0000000000000001" },
		{ "in the background of a script", "$DIVE " SHOW " & wait", "SigIgn",
		  "0000000000000006" },
		{ "no standard input", "exec $DIVE " SHOW " <&-", "end", "of the report" },
		{ "no standard error", "exec $DIVE " SHOW " 2>&-", "end", "of the report" },
		{ "SIGCHLD ignored", "exec " SHOW " ignore 17 $DIVE " SHOW, "SigIgn",
		  "0000000000000000" },
	};
	struct run command;
	char variable[256];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	(void)snprintf(variable, sizeof(variable), "DIVE=%s %s", sandbox_dive(),
		       gateway.address); /* fits */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		run_start(&command, &(struct run_options){
					    .account = "alice",
					    .directory = "/home/alice",
					    .envp = RUN_WORDS(PATHS, variable),
					    .argv = RUN_WORDS("bash", "-c", cases[i].script) });
		expect_report(&command, cases[i].key, cases[i].value);
	}
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unreachable),
		TEST(test_untrusted_listener_gets_nothing),
		TEST(test_other_version),
		TEST(test_nonsense_of_a_server),
		TEST(test_usage),
		TEST(test_own_failures),
		TEST(test_refusals),
		TEST(test_information),
		TEST(test_texts_are_escaped),
		TEST(test_directories),
		TEST(test_odd_surroundings),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
