/*
 * Who is asked, for whose password, how often, and what a wrong answer costs.
 *
 * The delays are real ones, asked for by a module.  Only lower bounds of them
 * are asserted, between the moments at which answers reached the module: libpam
 * varies a delay by half of itself, so of 1 s at least 500 ms are due.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "gateway.h"
#include "hostile.h"
#include "must.h"
#include "packet.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"
#include "text.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define ALICE	  SANDBOX_PASSWORD_ALICE "\n"
#define BOB	  SANDBOX_PASSWORD_BOB "\n"
#define CAROL	  SANDBOX_PASSWORD_CAROL "\n"

#define WOULD_ASK "prompting was forbidden (-n)"

/* One wrong or right answer, and a delay of 0.5 to 1.5 s for the wrong one. */
#define DELAY_SERVICE                                                                              \
	"auth    required " PROBE                                                                  \
	" only=authenticate delay=1000000 hidden=Code: send expect=right\n"                        \
	"account required pam_permit.so\n"                                                         \
	"session required pam_permit.so\n"
#define DELAY_MIN_MS  500

#define TWO_QUESTIONS "auth required " PROBE " delay=1000000 hidden=Code: send hidden=More: send\n"

/* `input` NULL: dive -n, which must not be asked. */
static void ask(struct run *ret, const struct gateway *gateway, const char *account,
		const char *input)
{
	run_dive(ret, &(struct run_options){ .account = account, .input = input }, gateway,
		 RUN_WORDS(input ? "-S" : "-n", "id", "-un"));
}

static const struct {
	const char *options[8];
	const char *client; /* NULL: root */
	const char *input;  /* NULL: no prompt may come */
	const char *runs;   /* as whom; NULL: refused */
	const char *text;   /* in standard error, if any */
} askings[] = {
	{ { NULL }, "alice", NULL, "alice\n", NULL },
	{ { "-u", "alice" }, "alice", NULL, "alice\n", NULL },
	{ { "-u", "bob" }, NULL, NULL, "bob\n", NULL },
	{ { "-u", "bob", "--auth-user", "target" }, NULL, NULL, "bob\n", NULL },
	{ { "-u", "bob" }, "alice", NULL, NULL, WOULD_ASK },
	{ { "-u", "bob" }, "alice", ALICE, "bob\n", "alice must authenticate" },
	{ { "-u", "bob" }, "alice", BOB, NULL, "authentication failed" },
	{ { "-u", "bob", "--auth-user", "client" }, "alice", ALICE, "bob\n", NULL },
	{ { "-u", "bob", "--auth-user", "target" },
	  "alice",
	  BOB,
	  "bob\n",
	  "bob must authenticate" },
	{ { "-u", "bob", "--auth-user", "target" }, "alice", ALICE, NULL, "authentication failed" },
	{ { "-u", "bob", "--auth-user", "carol" },
	  "alice",
	  CAROL,
	  "bob\n",
	  "carol must authenticate" },
	{ { "-u", "bob", "--auth-user", "carol" }, "alice", ALICE, NULL, "authentication failed" },
	{ { "-u", "bob", "-a", "auto" }, "alice", NULL, NULL, WOULD_ASK },
	{ { "-u", "bob", "-a", "auto" }, NULL, NULL, "bob\n", NULL },
	{ { "-u", "bob", "-a", "never" }, "alice", NULL, "bob\n", NULL },
	{ { "-a", "auto" }, "alice", NULL, "alice\n", NULL },
	{ { "-a", "always" }, "alice", NULL, NULL, WOULD_ASK },
	{ { "-a", "always" }, "alice", ALICE, "alice\n", "alice must authenticate" },
	{ { "-u", "bob", "-a", "always" }, NULL, NULL, NULL, WOULD_ASK },
	{ { "-u", "bob", "-a", "always", "--auth-user", "target" },
	  NULL,
	  BOB,
	  "bob\n",
	  "bob must authenticate" },
	{ { "-P", "-a", "auto" }, "alice", NULL, NULL, WOULD_ASK },
	{ { "-P" }, "alice", ALICE, "root\n", "as root" },
};

/* covers: dived -a */
static void test_who_is_asked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(askings); i++) {
		struct gateway gateway;
		struct run dive;

		print_message("case %zu: %s\n", i, askings[i].client ? askings[i].client : "root");
		gateway_start(&gateway, askings[i].options);
		ask(&dive, &gateway, askings[i].client, askings[i].input);
		run_assert_status(&dive, askings[i].runs ? 0 : 77);
		assert_string_equal(dive.out, askings[i].runs ? askings[i].runs : "");
		assert_contains(dive.err, askings[i].text ? askings[i].text : "");
		if (!askings[i].input && !askings[i].text)
			assert_string_equal(dive.err, "");
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

/* uid 0 whose bounding set lacks CAP_SYS_ADMIN, as a container's root is. */
static void test_reduced_root_is_asked(void **state)
{
	static const char *const targets[] = { "bob", "root" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct gateway gateway;
		struct run dive;

		print_message("case: %s\n", targets[i]);
		gateway_start(&gateway, RUN_WORDS("-u", targets[i]));
		const char *const words[] = { "setpriv",    "--bounding-set",
					      "-sys_admin", sandbox_dive(),
					      "-n",	    gateway.address,
					      "true",	    NULL };
		run(&dive, &(struct run_options){ .argv = words });
		run_assert_status(&dive, 77);
		assert_contains(dive.err, WOULD_ASK);
		run_done(&dive);
		run(&dive, &(struct run_options){ .argv = words + 3 }); /* the full one is not */
		run_assert_status(&dive, 0);
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

/* A uid that no account has: it has no password that could be asked for. */
static void test_nameless_client(void **state)
{
	static const struct run_options nameless = { .uid = 3999, .gid = 3999, .input = BOB };
	struct gateway gateway;
	struct run dive;

	(void)state;
	/* Not even for a password of somebody else's, which it could guess as thousands of uids. */
	for (int target = 0; target < 2; target++) {
		gateway_start(&gateway,
			      RUN_WORDS("-u", "bob", "--auth-user", target ? "target" : "client"));
		run_dive(&dive, &nameless, &gateway, RUN_WORDS("-S", "true"));
		run_assert_status(&dive, 77);
		assert_null(strstr(dive.err, "Password:"));
		run_done(&dive);
		gateway_stop(&gateway);
	}
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-a", "never"));
	run_dive(&dive, &nameless, &gateway, RUN_WORDS("-S", "sh", "-c", "echo \"<$DIVE_USER>\""));
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, "<>\n");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* Tries that follow one another, with the kernel's records of them. */
static void test_tries(void **state)
{
	static const struct {
		const char *tries; /* NULL: the default */
		const char *input;
		int status;
		unsigned prompts;
		unsigned failures; /* of which the kernel knows */
	} cases[] = {
		{ NULL, "wrong\nWrong\nWRONG\n" ALICE, 77, 3, 3 },
		{ "1", "wrong\n" ALICE, 77, 1, 1 },
		{ "2", "wrong\nWrong\n" ALICE, 77, 2, 2 },
		{ NULL, "wrong\n" ALICE, 0, 2, 1 },
		{ NULL, ALICE, 0, 1, 0 },
		{ NULL, "", 77, 1, 0 }, /* an end of file is no answer, and no attempt */
	};
	struct audit_stream audit;

	(void)state;
	audit_stream_open(&audit);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char login_uid[16];
		char auid[32];
		struct gateway gateway;
		struct run dive;

		print_message("case %zu\n", i);
		/* A login uid of this case's own tells its records from all others. */
		(void)snprintf(login_uid, sizeof(login_uid), "%u", 10000000U + (unsigned)getpid());
		(void)snprintf(auid, sizeof(auid), " auid=%s ", login_uid);
		audit_stream_forget(&audit);
		gateway_start(&gateway, RUN_WORDS("-u", "bob", "--auth-tries",
						  cases[i].tries ? cases[i].tries : "3"));
		run_dive(&dive,
			 &(struct run_options){ .account = "alice",
						.input = cases[i].input,
						.login_uid = login_uid },
			 &gateway, RUN_WORDS("-S", "id", "-un"));
		run_assert_status(&dive, cases[i].status);
		assert_int_equal(text_count(dive.err, "Password:"), cases[i].prompts);
		assert_int_equal(text_count(dive.err, "authentication failed, try again"),
				 cases[i].prompts - 1);
		if (cases[i].status == 0)
			assert_string_equal(dive.out, "bob\n");
		for (unsigned n = 0; n < cases[i].failures; n++)
			(void)audit_stream_expect(&audit, AUDIT_USER_AUTH, auid,
						  "op=PAM:authentication", "acct=\"alice\"",
						  "res=failed", NULL);
		if (cases[i].failures || cases[i].status == 0)
			audit_stream_expect_none(&audit, AUDIT_USER_AUTH, auid, "res=failed", NULL);
		run_done(&dive);
		gateway_stop(&gateway);
	}
	audit_stream_close(&audit);
}

/* Three is the default, and the refusal is one record of our own. */
static void test_default_tries(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	ask(&dive, &gateway, "alice", "1\n2\n3\n" ALICE);
	run_assert_status(&dive, 77);
	assert_int_equal(text_count(dive.err, "Password:"), 3);
	gateway_expect_log(&gateway, "dive:refuse");
	assert_int_equal(text_count(gateway_log(&gateway), "dive:refuse"), 1);
	run_done(&dive);
	gateway_stop(&gateway);
}

/* -n ends at the first question: the module's answer never comes, and no second try. */
static void test_non_interactive(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	sandbox_service("probe", DELAY_SERVICE);
	probe_forget();
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	ask(&dive, &gateway, "alice", NULL);
	run_assert_status(&dive, 77);
	assert_string_equal(dive.out, "");
	assert_contains(dive.err, WOULD_ASK);
	assert_null(strstr(dive.err, "Code:"));
	probe_expect_phases("authenticate");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* The line before the first prompt: once, before it, and with nothing in it raw. */
static void test_line_before_prompt(void **state)
{
	static const struct {
		const char *words[8];
		const char *line; /* up to the address */
	} cases[] = {
		{ { "-S", "id", "-un" }, "alice must authenticate to run id -un as bob through " },
		{ { "-S" }, "alice must authenticate to run login shell as bob through " },
		{ { "-S", "printf", "a\033[2Jb" }, "alice must authenticate to run printf " },
	};
	struct gateway gateway;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run dive;
		const char *at;

		print_message("case: %s\n", cases[i].line);
		run_dive(&dive,
			 &(struct run_options){ .account = "alice", .input = "wrong\n" ALICE },
			 &gateway, cases[i].words);
		run_assert_status(&dive, 0);
		assert_ptr_equal(strstr(dive.err, cases[i].line), dive.err);
		at = strstr(dive.err, gateway.address);
		assert_non_null(at);
		assert_true(at < strchr(dive.err, '\n'));
		assert_true(strchr(dive.err, '\n') < strstr(dive.err, "Password:"));
		assert_int_equal(text_count(dive.err, "must authenticate"), 1);
		assert_int_equal(text_count(dive.err, "Password:"), 2);
		assert_null(strchr(dive.err, '\033'));
		run_done(&dive);
	}
	gateway_stop(&gateway);
}

/*
 * Wrong password, a locked account, one with no password at all, one that is
 * gone: whoever asks learns the same.
 */
static void test_refusals_look_alike(void **state)
{
	static const char *const asked[] = { "carol", "locked", "shadowless", "gone" };
	char first[1024] = "";

	(void)state;
	sandbox_account("locked", 2101, NULL, "/bin/sh");
	sandbox_account("shadowless", 2102, SANDBOX_PASSWORD_BOB, "/bin/sh");
	sandbox_account_line("/etc/shadow", "shadowless", "shadowless:*:19000:0:99999:7:::");
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		struct gateway gateway;
		struct run dive;
		const char *end;

		print_message("case: %s\n", asked[i]);
		sandbox_account("gone", 2103, SANDBOX_PASSWORD_BOB, "/bin/sh");
		gateway_start(&gateway,
			      RUN_WORDS("-u", "bob", "--auth-tries", "1", "--auth-user", asked[i]));
		if (strcmp(asked[i], "gone") == 0)
			run_or_fail(&(struct run_options){ .argv = RUN_WORDS("userdel", "gone") });
		ask(&dive, &gateway, "alice", BOB);
		run_assert_status(&dive, 77);
		end = strstr(dive.err, "dive: ");
		assert_non_null(end);
		assert_contains(end, "authentication failed");
		if (!*first)
			(void)snprintf(first, sizeof(first), "%s", end); /* compared below */
		assert_string_equal(end, first);
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

/*
 * The delay binds the client's next connection too; also after an attempt that
 * was broken off at the second question, whose first answer may have told enough.
 */
static void test_delay_holds_next_connection(void **state)
{
	static const char *const services[] = { DELAY_SERVICE, TWO_QUESTIONS };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		struct gateway gateway;
		struct run dive;

		print_message("case %zu\n", i);
		sandbox_service("probe", services[i]);
		probe_forget();
		gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe", "--auth-tries", "1"));
		ask(&dive, &gateway, "alice", "wrong\n");
		run_assert_status(&dive, 77);
		run_done(&dive);
		sandbox_service("probe", DELAY_SERVICE);
		ask(&dive, &gateway, "alice", "right\n");
		run_assert_status(&dive, 0);
		run_done(&dive);
		/* Case 1: the second conversation is the one without an answer. */
		assert_in_range(probe_answered(1 + (unsigned)i) - probe_answered(0), DELAY_MIN_MS,
				INT32_MAX);
		gateway_stop(&gateway);
	}
}

/* Nor is it shortened by leaving: the first client is killed while it is served. */
static void test_killed_client_pays(void **state)
{
	struct gateway gateway;
	struct run wrong;
	struct run right;

	(void)state;
	sandbox_service("probe", DELAY_SERVICE);
	probe_forget();
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	run_dive_start(&wrong, &(struct run_options){ .account = "alice", .input = "wrong\n" },
		       &gateway, RUN_WORDS("-S", "true"));
	probe_expect("answers=wrong|");
	run_signal(&wrong, SIGKILL);
	run_wait(&wrong);
	ask(&right, &gateway, "alice", "right\n");
	run_assert_status(&right, 0);
	assert_in_range(probe_answered(1) - probe_answered(0), DELAY_MIN_MS, INT32_MAX);
	run_done(&wrong);
	run_done(&right);
	gateway_stop(&gateway);
}

/*
 * Four connections of alice's answer at once: one after the other is let
 * through.  Carol, who came last, does not wait for any of them.
 */
static void test_parallel_connections_queue(void **state)
{
	struct gateway gateway;
	struct run wrong[4];
	struct run right;

	(void)state;
	sandbox_service("probe", DELAY_SERVICE);
	probe_forget();
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe", "--auth-tries", "1"));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		run_dive_start(&wrong[i],
			       &(struct run_options){ .account = "alice", .input = "wrong\n" },
			       &gateway, RUN_WORDS("-S", "true"));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		run_expect(&wrong[i], "Code:");
	ask(&right, &gateway, "carol", "right\n");
	run_assert_status(&right, 0);
	assert_true(text_count(probe_log(), "answers=wrong|") < ARRAY_LEN(wrong));
	run_done(&right);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		run_wait(&wrong[i]);
		run_assert_status(&wrong[i], 77);
		run_done(&wrong[i]);
	}
	assert_int_equal(text_count(probe_log(), "answers=wrong|"), ARRAY_LEN(wrong));
	/* Carol's is among the five, so every second difference spans one of alice's. */
	for (unsigned i = 0; i + 2 <= ARRAY_LEN(wrong); i++)
		assert_in_range(probe_answered(i + 2) - probe_answered(i), DELAY_MIN_MS, INT32_MAX);
	gateway_stop(&gateway);
}

/* A prompt that stands unanswered on one terminal holds up no other. */
static void test_open_prompt_blocks_nobody(void **state)
{
	struct gateway gateway;
	struct hostile idle;
	struct packet prompt;
	struct run dive;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	hostile_connect(&idle, gateway.address, "alice", NULL);
	hostile_send_burst(&idle, RUN_WORDS("true"), -1);
	hostile_expect(&idle, MESSAGE_PROMPT, &prompt);
	packet_done(&prompt);
	ask(&dive, &gateway, "alice", ALICE);
	run_assert_status(&dive, 0);
	run_done(&dive);
	hostile_close(&idle);
	gateway_stop(&gateway);
}

/* The answer must come within --auth-timeout. */
static void test_answer_has_a_deadline(void **state)
{
	struct gateway gateway;
	struct hostile idle;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "--auth-timeout", "1"));
	hostile_connect(&idle, gateway.address, "alice", NULL);
	hostile_send_burst(&idle, RUN_WORDS("true"), -1);
	struct packet prompt;
	hostile_expect(&idle, MESSAGE_PROMPT, &prompt);
	packet_done(&prompt);
	hostile_expect_refused(&idle, MESSAGE_LAYER_AUTHENTICATION);
	hostile_close(&idle);
	gateway_expect_log(&gateway, "the time to answer is over");
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_is_asked),
		TEST(test_reduced_root_is_asked),
		TEST(test_nameless_client),
		TEST(test_tries),
		TEST(test_default_tries),
		TEST(test_non_interactive),
		TEST(test_line_before_prompt),
		TEST(test_refusals_look_alike),
		TEST(test_delay_holds_next_connection),
		TEST(test_killed_client_pays),
		TEST(test_parallel_connections_queue),
		TEST(test_open_prompt_blocks_nobody),
		TEST(test_answer_has_a_deadline),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
