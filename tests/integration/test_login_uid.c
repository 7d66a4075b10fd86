/*
 * The audit login uid through two gateways: alice's program behind the first is a client of
 * the second.  Whoever the programs run as, each record of either gateway and of PAM in it,
 * and each program, names the human that alice's session began with; or nobody, if she came
 * from a service.  What dived itself was started under must show nowhere.
 *
 * One hop, and every field of its records, is in test_audit.c.
 */
#include "cleanup.h"
#include "must.h"
#include "sandbox.h"
#include "trail.h"

#define HUMAN	  "30611" /* in nobody else's records: the stream is the machine's */
#define SHELL	  "30612" /* of the login shell that a gateway was started from */
#define OTHER	  "30613"
#define FIELD_MAX 160

static struct gateway inner; /* trail.gateway is the outer one */

static const struct row {
	const char *what;
	const char *client; /* login uids */
	const char *outer;
	const char *inner;
} rows[] = {
	{ "a human, gateways of a service manager", HUMAN, TRAIL_UNSET, TRAIL_UNSET },
	{ "a human, gateways from a login shell", HUMAN, SHELL, SHELL },
	{ "a human, gateways from two login shells", HUMAN, SHELL, OTHER },
	{ "a human, who has started the outer one", HUMAN, HUMAN, SHELL },
	{ "a human, who has started the inner one", HUMAN, SHELL, HUMAN },
	{ "a service, gateways of a service manager", TRAIL_UNSET, TRAIL_UNSET, TRAIL_UNSET },
	{ "a service, gateways from a login shell", TRAIL_UNSET, SHELL, SHELL },
	{ "a service, the inner one from a login shell", TRAIL_UNSET, TRAIL_UNSET, SHELL },
	{ "a service, the outer one from a login shell", TRAIL_UNSET, SHELL, TRAIL_UNSET },
};

/* alice → bob without a password, bob → carol with his. */
static void start_gateways(const struct row *row)
{
	gateway_start_with(&trail.gateway, &(struct run_options){ .login_uid = row->outer },
			   RUN_WORDS("-u", "bob", "-a", "never"));
	gateway_start_with(&inner, &(struct run_options){ .login_uid = row->inner },
			   RUN_WORDS("-u", "carol", "--auth-tries", "1"));
}

static void stop_gateways(void)
{
	gateway_stop(&trail.gateway);
	gateway_stop(&inner);
}

/* Each program says who it is, and the outer one becomes a client of the inner one. */
static void pass_both(const struct row *row, const char *password, int status)
{
	char script[512];

	(void)snprintf(script, sizeof(script),
		       "echo $(id -un) $(cat /proc/self/loginuid)\n"
		       "exec %s -S %s sh -c 'echo $(id -un) $(cat /proc/self/loginuid)'",
		       sandbox_dive(), inner.address); /* fits */
	run_dive(&trail.client,
		 &(struct run_options){
			 .account = "alice", .login_uid = row->client, .input = password },
		 &trail.gateway, RUN_WORDS("sh", "-c", script));
	run_assert_status(&trail.client, status);
}

static void assert_said(const struct row *row, bool both)
{
	char expected[128];
	int len = snprintf(expected, sizeof(expected), "bob %s\n", row->client);

	if (both)
		(void)snprintf(expected + len, sizeof(expected) - (size_t)len, "carol %s\n",
			       row->client); /* fits */
	assert_string_equal(trail.client.out, expected);
}

/* libpam's own records of the session that wrote `text`. */
static void expect_pam(const char *text, const char *login_uid, bool asked, bool served)
{
	static const struct {
		int type;
		const char *op;
		bool asking; /* only where there was a password to ask for */
		bool serving;
	} records[] = {
		{ AUDIT_USER_AUTH, "op=PAM:authentication", true, false },
		{ AUDIT_USER_ACCT, "op=PAM:accounting", false, true },
		{ AUDIT_CRED_ACQ, "op=PAM:setcred", false, true },
		{ AUDIT_USER_START, "op=PAM:session_open", false, true },
		{ AUDIT_USER_END, "op=PAM:session_close", false, true },
		{ AUDIT_CRED_DISP, "op=PAM:setcred", false, true },
	};
	char session[32];
	char pid[48];

	(void)audit_field(text, "pid", session, sizeof(session));
	(void)snprintf(pid, sizeof(pid), "pid=%s ", session); /* fits */
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		if ((records[i].asking && !asked) || (records[i].serving && !served))
			continue;
		trail_assert(audit_stream_expect(&trail.stream, records[i].type, pid, records[i].op,
						 NULL),
			     "auid", login_uid);
	}
}

static void name_field(const struct gateway *gateway, char ret[FIELD_MAX])
{
	(void)snprintf(ret, FIELD_MAX, "gateway=\"%s\"", gateway->address); /* fits */
}

/* A record of dived's: who the human is, and who the client was. */
static const char *expect_ours(const struct gateway *gateway, int type, const char *op,
			       const char *client, const char *login_uid)
{
	char field[FIELD_MAX];
	const char *text;

	name_field(gateway, field);
	text = audit_stream_expect(&trail.stream, type, op, field, NULL);
	trail_assert(text, "auid", login_uid);
	trail_assert(text, "client_auid", login_uid);
	trail_assert(text, "client", client);
	return text;
}

static void expect_session(const struct gateway *gateway, const char *client, bool asked,
			   const char *login_uid)
{
	const char *text = expect_ours(gateway, AUDIT_USER_CMD, "op=dive:spawn", client, login_uid);

	trail_assert(text, "auid_kept", "yes");
	expect_pam(text, login_uid, asked, true);
	(void)expect_ours(gateway, AUDIT_USER_END, "op=dive:exit", client, login_uid);
}

static void test_through_both(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		print_message("case: %s\n", row->what);
		start_gateways(row);
		pass_both(row, SANDBOX_PASSWORD_BOB "\n", 0);
		assert_said(row, true);
		expect_session(&trail.gateway, "alice", false, row->client);
		expect_session(&inner, "bob", true, row->client);
		run_done(&trail.client);
		stop_gateways();
	}
}

static void test_refused_by_the_inner_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		const char *text;

		print_message("case: %s\n", row->what);
		start_gateways(row);
		pass_both(row, "wrong\n", 77);
		assert_said(row, false);
		expect_session(&trail.gateway, "alice", false, row->client);
		text = expect_ours(&inner, AUDIT_USER_CMD, "op=dive:refuse", "bob", row->client);
		expect_pam(text, row->client, true, false);
		run_done(&trail.client);
		stop_gateways();
	}
}

/* Each gateway's own records are of whoever has started it. */
static void test_the_gateways_own(void **state)
{
	static const struct row row = { "", HUMAN, SHELL, OTHER };
	static const char *const both[] = { SHELL, OTHER };
	char fields[ARRAY_LEN(both)][FIELD_MAX];

	(void)state;
	start_gateways(&row);
	name_field(&trail.gateway, fields[0]);
	name_field(&inner, fields[1]);
	pass_both(&row, SANDBOX_PASSWORD_BOB "\n", 0);
	stop_gateways();
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		trail_assert(audit_stream_expect(&trail.stream, AUDIT_USER, "op=dive:start",
						 fields[i], NULL),
			     "auid", both[i]);
		trail_assert(audit_stream_expect(&trail.stream, AUDIT_USER, "op=dive:stop",
						 fields[i], NULL),
			     "auid", both[i]);
	}
	/* And not one more record is of theirs. */
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		static const int types[] = { AUDIT_USER,      AUDIT_USER_CMD,  AUDIT_USER_AUTH,
					     AUDIT_USER_ACCT, AUDIT_CRED_ACQ,  AUDIT_USER_START,
					     AUDIT_USER_END,  AUDIT_CRED_DISP, AUDIT_CRED_REFR };
		char field[48];

		(void)snprintf(field, sizeof(field), " auid=%s ", both[i]); /* fits */
		for (size_t j = 0; j < ARRAY_LEN(types); j++)
			audit_stream_expect_none(&trail.stream, types[j], field, NULL);
	}
}

static int setup(void **state)
{
	inner = (struct gateway){ .pidfd = -1, .notify = -1 };
	return trail_setup(state);
}

static int teardown(void **state)
{
	gateway_kill(&inner);
	return trail_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_through_both),
		TEST(test_refused_by_the_inner_one),
		TEST(test_the_gateways_own),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
