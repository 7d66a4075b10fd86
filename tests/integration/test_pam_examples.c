/*
 * The services of pam.d/examples and pam.d/dived, as they are installed: each loads,
 * lets in whom it says, and nobody else.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"

#include <unistd.h>

#define ALICE  SANDBOX_PASSWORD_ALICE "\n"
#define CODE   "12345678\n"
#define BOB_ID "2002\n"

/* With one attempt: a wrong password costs Debian's delay of two seconds. */
static const struct {
	const char *service;
	const char *account;
	const char *input;
	const char *says; /* of the refusal; NULL: it runs */
} cases[] = {
	{ "dived", "alice", ALICE, NULL },
	{ "dived", "carol", ALICE, "authentication failed" },
	{ "examples/dived-password", "alice", ALICE, NULL },
	{ "examples/dived-password", "carol", ALICE, "authentication failed" },
	{ "examples/dived-code", "alice", ALICE CODE, NULL },
	{ "examples/dived-code", "alice", ALICE "11111111\n", "authentication failed" },
	{ "examples/dived-code", "alice", "wrong\n" CODE, "authentication failed" },
	{ "examples/dived-code", "carol", SANDBOX_PASSWORD_CAROL "\n" CODE,
	  "authentication failed" },
	{ "examples/dived-group", "alice", ALICE, NULL },
	{ "examples/dived-group", "alice", "wrong\n", "authentication failed" },
	{ "examples/dived-group", "carol", SANDBOX_PASSWORD_CAROL "\n", "authentication failed" },
	{ "examples/dived-open", "alice", "", NULL },
	{ "examples/dived-open", "carol", "", "authentication failed" },
};

static int group_setup(void **state)
{
	if (probe_group_setup(state) != 0)
		return -1;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupadd", "ops") });
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-aG", "ops", "alice") });
	return 0;
}

/* A code is good once. */
static void write_codes(void)
{
	sandbox_write("/home/alice/.google_authenticator", 0400,
		      "JBSWY3DPEHPK3PXP\n\" TOTP_AUTH\n" CODE);
	MUST(chown("/home/alice/.google_authenticator", SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
}

/* Copies the file to where libpam looks, under its own name, which is returned. */
static const char *install_service(const char *file)
{
	const char *slash = strrchr(file, '/');
	char path[256];

	assert_in_range(snprintf(path, sizeof(path), "%s/pam.d/%s", sandbox_source(), file), 1,
			sizeof(path) - 1);
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("install", "-m", "0644", path, "/etc/pam.d/") });
	return slash ? slash + 1 : file;
}

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *name = install_service(cases[i].service);
		struct gateway gateway;
		struct run dive;

		print_message("case: %s, %s\n", name, cases[i].account);
		write_codes();
		gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", name, "--auth-tries", "1"));
		run_dive(&dive,
			 &(struct run_options){ .account = cases[i].account,
						.input = cases[i].input },
			 &gateway, RUN_WORDS("-S", "id", "-u"));
		run_assert_status(&dive, cases[i].says ? 77 : 0);
		assert_string_equal(dive.out, cases[i].says ? "" : BOB_ID);
		assert_contains(dive.err, cases[i].says ? cases[i].says : "");
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_examples, sandbox_test_teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, sandbox_group_teardown);
}
