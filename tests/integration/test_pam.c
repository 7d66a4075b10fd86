/*
 * What PAM modules may do to a client and to us before the session: converse,
 * look around, change the user.
 *
 * Where a real module does it, it is that module; pam_probe stands in for those
 * nobody has installed, and reports what a module can see.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "pty.h"
#include "run.h"
#include "sandbox.h"

#include <stdlib.h>
#include <unistd.h>

#define ALICE	SANDBOX_PASSWORD_ALICE "\n"
#define AUTH	"auth required " PROBE " only=authenticate "
#define SESSION "account required pam_permit.so\nsession required pam_permit.so\n"

/* One client through one gateway, and what it is to see. */
struct exchange {
	const char *what;
	const char *service;
	const char *input;
	int status;
	const char *says[6]; /* in standard error, in this order */
};

static void run_exchanges(const struct exchange *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct gateway gateway;
		struct run dive;
		const char *at;

		print_message("case: %s\n", cases[i].what);
		probe_start(&gateway, cases[i].service);
		probe_ask(&dive, &gateway, "alice", cases[i].input);
		run_assert_status(&dive, cases[i].status);
		assert_string_equal(dive.out, cases[i].status ? "" : "bob\n");
		at = dive.err;
		for (size_t n = 0; n < ARRAY_LEN(cases[i].says) && cases[i].says[n]; n++) {
			assert_contains(at, cases[i].says[n]);
			at = strstr(at, cases[i].says[n]) + strlen(cases[i].says[n]);
		}
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

static void test_conversations(void **state)
{
	static const struct exchange cases[] = {
		{ "all four styles in one call",
		  AUTH
		  "info=Hello error=Beware visible=Name: hidden=Code: send expect=me|42\n" SESSION,
		  "me\n42\n",
		  0,
		  { "Hello\n", "Beware\n", "Name:", "Code:" } },
		{ "the order is the module's",
		  AUTH
		  "hidden=Code: error=Beware visible=Name: info=Hello send expect=42|me\n" SESSION,
		  "42\nme\n",
		  0,
		  { "Code:", "Beware\n", "Name:", "Hello\n" } },
		{ "two rounds",
		  AUTH "hidden=First: send expect=a hidden=Second: send expect=b\n" SESSION,
		  "a\nb\n",
		  0,
		  { "First:", "Second:" } },
		{ "the second answer is wrong",
		  AUTH "hidden=First: send expect=a hidden=Second: send expect=b\n" SESSION,
		  "a\nx\na\nx\na\nx\n",
		  77,
		  { "First:", "Second:", "try again", "First:", "try again",
		    "dive: authentication: authentication failed" } },
		{ "a second factor after pam_unix",
		  "auth required pam_unix.so nodelay\n" AUTH
		  "[hidden=One-time code: ] send expect=123456\n" SESSION,
		  ALICE "123456\n",
		  0,
		  { "must authenticate", "Password:", "One-time code: " } },
		{ "no question, no line about one",
		  AUTH "info=Hello send\n" SESSION,
		  "",
		  0,
		  { "Hello\n" } },
		{ "an empty answer is an answer",
		  AUTH "hidden=Code: send expect=\n" SESSION,
		  "\n",
		  0,
		  { "Code:" } },
		{ "refused without a question",
		  AUTH "return=7\n" SESSION,
		  "",
		  77,
		  { "authentication failed" } },
		{ "unknown style", AUTH "style=99 send\n" SESSION, "", 77, { "could not be put" } },
		{ "control characters are shown, not done",
		  AUTH "[info=a\033\1332J] send\n" SESSION,
		  "",
		  0,
		  { "a\\" } },
	};

	(void)state;
	run_exchanges(cases, ARRAY_LEN(cases));
}

static void test_prompts_have_a_limit(void **state)
{
#define SIXTEEN "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n"
#define TEN	"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"
	static const struct exchange cases[] = {
		{ "sixteen", AUTH "hidden=Code: send=16\n" SESSION, SIXTEEN, 0, { "Code:" } },
		{ "seventeen",
		  AUTH "hidden=Code: send=17\n" SESSION,
		  SIXTEEN "17\n",
		  77,
		  { "too many questions" } },
		{ "seventeen by two modules, of which the first does not mind",
		  AUTH "hidden=Code: send=16\n"
		       "auth optional " PROBE " only=authenticate hidden=More: send\n" SESSION,
		  SIXTEEN "17\n",
		  77,
		  { "too many questions" } },
		{ "each attempt counts anew",
		  AUTH "hidden=Code: send=10 return=7\n" SESSION,
		  TEN TEN TEN,
		  77,
		  { "Code:", "try again", "Code:", "try again",
		    "Code:", "authentication failed" } },
	};

	(void)state;
	run_exchanges(cases, ARRAY_LEN(cases));
}

/* pam_echo and pam_exec have something to say, and pam_exec sees the DIVE_* variables. */
static void test_real_modules_speak(void **state)
{
	struct gateway gateway;
	struct run dive;
	char line[256];

	(void)state;
	sandbox_write("/run/dive-test/motd", 0644, "Mind the %%u step\n");
	sandbox_write("/run/dive-test/hook", 0755,
		      "#!/bin/sh\necho $PAM_TYPE $PAM_USER $PAM_RUSER $PAM_SERVICE "
		      "$DIVE_USER $DIVE_UID $DIVE_GID $DIVE_GATEWAY ${LEAK-sealed}\n"
		      "test \"$DIVE_PID\" -gt 1 && echo pid is known\n");
	probe_start(&gateway, "auth optional pam_echo.so file=/run/dive-test/motd\n"
			      "auth required pam_exec.so quiet stdout /run/dive-test/hook\n"
			      "auth required pam_unix.so nodelay\n" SESSION);
	run_dive(&dive,
		 &(struct run_options){
			 .account = "alice",
			 .input = ALICE,
			 .envp = RUN_WORDS("LEAK=1", "DIVE_USER=root", "PATH=/usr/bin:/bin") },
		 &gateway, RUN_WORDS("-S", "true"));
	run_assert_status(&dive, 0);
	assert_contains(dive.err, "Mind the alice step\n");
	(void)snprintf(line, sizeof(line), "auth alice alice probe alice 2001 2001 %s sealed\n",
		       gateway.address);
	assert_contains(dive.err, line);
	assert_contains(dive.err, "pid is known\n");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* What each phase is told; the client's environment is nowhere in it. */
static void test_items(void **state)
{
	struct gateway gateway;
	struct run dive;
	char text[256];

	(void)state;
	probe_start(&gateway, PROBE_SERVICE);
	run_dive(&dive,
		 &(struct run_options){ .account = "alice",
					.envp = RUN_WORDS("LEAK=1", "PATH=/usr/bin:/bin") },
		 &gateway, RUN_WORDS("-n", "true"));
	run_assert_status(&dive, 0);
	probe_assert_phases("authenticate account account establish open close delete");
	static const struct {
		const char *phase;
		unsigned index;
		const char *user;
	} rows[] = {
		{ "authenticate", 0, "alice" }, { "account", 0, "alice" }, { "account", 1, "bob" },
		{ "establish", 0, "bob" },	{ "open", 0, "bob" },	   { "close", 0, "bob" },
		{ "delete", 0, "bob" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(text, sizeof(text),
			       "user=%s ruser=alice tty=? service=probe uid=0 euid=0 ",
			       rows[i].user);
		probe_assert_line(rows[i].phase, rows[i].index, text);
		probe_assert_line(rows[i].phase, rows[i].index, " process=| ");
		probe_assert_line(rows[i].phase, rows[i].index, "|DIVE_UID=2001|DIVE_GID=2001|");
		(void)snprintf(text, sizeof(text), "|DIVE_USER=alice|DIVE_GATEWAY=%s|",
			       gateway.address);
		probe_assert_line(rows[i].phase, rows[i].index, text);
	}
	assert_null(strstr(probe_log(), "LEAK"));
	run_done(&dive);
	gateway_stop(&gateway);
}

static void test_tty_item(void **state)
{
	struct gateway gateway;
	struct pty pty;

	(void)state;
	probe_start(&gateway, PROBE_SERVICE);
	cleanup_free const char **words = run_dive_words(&gateway, RUN_WORDS("-n", "true"));
	pty_start(&pty, &(struct run_options){ .account = "alice", .argv = words });
	assert_int_equal(pty_wait(&pty), 0);
	probe_assert_line("authenticate", 0, "tty=/dev/pts/0 ");
	probe_assert_line("open", 0, "tty=/dev/pts/0 ");
	pty_done(&pty);
	gateway_stop(&gateway);
}

/* Prompts come hidden and visible to the terminal, as the module asked. */
static void test_echo_follows_style(void **state)
{
	struct gateway gateway;
	struct pty pty;

	(void)state;
	probe_start(&gateway, AUTH "visible=Name: hidden=Code: send expect=me|sesame\n" SESSION);
	cleanup_free const char **words = run_dive_words(&gateway, RUN_WORDS("id", "-un"));
	pty_start(&pty, &(struct run_options){ .account = "alice", .argv = words });
	pty_expect(&pty, "Name:");
	pty_send(&pty, "me\n");
	pty_expect(&pty, "me\r\n");
	pty_expect(&pty, "Code:");
	pty_expect_lflag(&pty, ECHO, false);
	pty_send(&pty, "sesame\n");
	pty_expect(&pty, "bob");
	assert_int_equal(pty_wait(&pty), 0);
	pty_assert_absent(&pty, "sesame");
	pty_done(&pty);
	gateway_stop(&gateway);
}

/* Whichever phase a module changes the user in, nothing runs, and what was opened is closed. */
static void test_changed_user_is_refused(void **state)
{
	static const struct {
		const char *phase;
		const char *client; /* of which only this one's changes; NULL: root */
		const char *phases;
	} cases[] = {
		{ "authenticate", "alice", "authenticate" },
		{ "account", "alice", "authenticate account" },
		{ "account", NULL, "account" },
		{ "establish", "alice",
		  "authenticate account account establish open close delete" },
		{ "open", "alice", "authenticate account account establish open close delete" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char service[1024];
		struct gateway gateway;
		struct run dive;

		print_message("case: %s\n", cases[i].phase);
		(void)snprintf(service, sizeof(service),
			       "auth required " PROBE " only=%s user=carol\n"
			       "account required " PROBE " only=%s user=carol\n"
			       "session required " PROBE " only=%s user=carol\n",
			       cases[i].phase, cases[i].phase, cases[i].phase); /* fits */
		probe_start(&gateway, service);
		probe_ask(&dive, &gateway, cases[i].client, "");
		run_assert_status(&dive, 77);
		assert_string_equal(dive.out, "");
		assert_contains(dive.err, "a PAM module changed the user");
		probe_assert_phases(cases[i].phases);
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

/* Passwords pass through it: no core file, and no tracer but one with CAP_SYS_PTRACE. */
static void test_session_cannot_be_dumped(void **state)
{
	static const char *const phases[] = { "authenticate", "account", "open", "close" };
	struct gateway gateway;
	struct run dive;

	(void)state;
	probe_start(&gateway, PROBE_SERVICE);
	probe_ask(&dive, &gateway, "alice", "");
	run_assert_status(&dive, 0);
	for (size_t i = 0; i < ARRAY_LEN(phases); i++)
		probe_assert_line(phases[i], 0, " dumpable=0 ");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* A module that wants no more attempts gets no more, whatever --auth-tries says. */
static void test_module_ends_the_tries(void **state)
{
	static const struct {
		const char *service;
		const char *phases;
	} cases[] = {
		{ AUTH "hidden=Code: send return=7\n" SESSION, /* PAM_AUTH_ERR */
		  "authenticate authenticate authenticate" },
		{ AUTH "hidden=Code: send return=11\n" SESSION, "authenticate" }, /* PAM_MAXTRIES */
		{ AUTH "hidden=Code: send return=26\n" SESSION, "authenticate" }, /* PAM_ABORT */
		{ AUTH "return=7\n" SESSION, "authenticate" }, /* nobody was asked */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;
		struct run dive;

		print_message("case: %zu\n", i);
		probe_start(&gateway, cases[i].service);
		probe_ask(&dive, &gateway, "alice", "1\n2\n3\n4\n");
		run_assert_status(&dive, 77);
		assert_contains(dive.err, "authentication failed");
		probe_assert_phases(cases[i].phases);
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_conversations),
		TEST(test_prompts_have_a_limit),
		TEST(test_real_modules_speak),
		TEST(test_items),
		TEST(test_tty_item),
		TEST(test_echo_follows_style),
		TEST(test_changed_user_is_refused),
		TEST(test_session_cannot_be_dumped),
		TEST(test_module_ends_the_tries),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
