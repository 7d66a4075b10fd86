/*
 * Whether the accounts may: locked, expired, denied by a list, failed too often,
 * with a password that has expired.
 *
 * chage(1) and usermod(8) do to the accounts what an administrator would; each
 * test leaves them as they were.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"

#include <stdbool.h>

#define ALICE SANDBOX_PASSWORD_ALICE "\n"
#define BOB   SANDBOX_PASSWORD_BOB "\n"

static void chage(const char *option, const char *value, const char *account)
{
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("chage", option, value, account) });
}

#define UNIX_AND_PROBE                                                                             \
	"auth     required pam_unix.so nodelay\nauth required " PROBE "\n"                         \
	"account  required " PROBE "\naccount required pam_unix.so\n"                              \
	"password required pam_unix.so sha512\n"                                                   \
	"session  required " PROBE "\n"

/* Both accounts are judged, the one that was asked first; nothing follows a refusal. */
static void test_accounts_are_judged(void **state)
{
	static const struct {
		bool client; /* has expired */
		bool target;
		const char *phases;
		const char *says;
	} cases[] = {
		{ false, false, "authenticate account account establish open close delete", "" },
		{ true, false, "authenticate account", "account alice: the account has expired" },
		{ false, true, "authenticate account account",
		  "account bob: the account has expired" },
		{ true, true, "authenticate account", "account alice: the account has expired" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;
		struct run dive;

		print_message("case %zu\n", i);
		chage("-E", cases[i].client ? "2001-01-01" : "-1", "alice");
		chage("-E", cases[i].target ? "2001-01-01" : "-1", "bob");
		probe_start(&gateway, UNIX_AND_PROBE);
		probe_ask(&dive, &gateway, "alice", ALICE);
		run_assert_status(&dive, *cases[i].says ? 77 : 0);
		assert_contains(dive.err, cases[i].says);
		probe_assert_phases(cases[i].phases);
		run_done(&dive);
		gateway_stop(&gateway);
	}
	chage("-E", "-1", "alice");
	chage("-E", "-1", "bob");
}

/* With -a never and for a root client the target alone is judged, and it is. */
static void test_target_is_always_judged(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	chage("-E", "2001-01-01", "bob");
	probe_start(&gateway, UNIX_AND_PROBE);
	probe_ask(&dive, &gateway, NULL, "");
	run_assert_status(&dive, 77);
	assert_contains(dive.err, "account bob: the account has expired");
	probe_assert_phases("account");
	run_done(&dive);
	gateway_stop(&gateway);
	chage("-E", "-1", "bob");
}

/* Who is asked and who is meant may be one: judged once. */
static void test_one_account_is_judged_once(void **state)
{
	static const struct {
		const char *options[5];
		const char *phases;
	} cases[] = {
		{ { "-a", "always" }, "authenticate account establish open close delete" },
		{ { "-u", "bob", "--auth-user", "target" },
		  "authenticate account establish open close delete" },
		{ { "-u", "bob" }, "authenticate account account establish open close delete" },
		{ { "-a", "never" }, "account establish open close delete" },
	};

	(void)state;
	sandbox_service("probe", PROBE_SERVICE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const *options = cases[i].options;
		struct gateway gateway;
		struct run dive;

		print_message("case: %s %s\n", options[0], options[1]);
		probe_forget();
		gateway_start(&gateway, RUN_WORDS("-x", "probe", options[0], options[1], options[2],
						  options[3]));
		probe_ask(&dive, &gateway, "alice", "");
		run_assert_status(&dive, 0);
		probe_assert_phases(cases[i].phases);
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

static void test_locked_client(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-L", "alice") });
	probe_start(&gateway, UNIX_AND_PROBE);
	probe_ask(&dive, &gateway, "alice", ALICE ALICE ALICE);
	run_assert_status(&dive, 77);
	assert_contains(dive.err, "dive: authentication: authentication failed");
	probe_assert_phases("authenticate authenticate authenticate");
	run_done(&dive);
	gateway_stop(&gateway);
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-U", "alice") });
}

static void test_listfile_denies(void **state)
{
	static const char *const denied[] = { "alice", "bob", "carol" };
	struct gateway gateway;

	(void)state;
	probe_start(&gateway, "auth required pam_unix.so nodelay\n"
			      "account required pam_listfile.so item=user sense=deny onerr=fail "
			      "file=/run/dive-test/denied\nsession required pam_permit.so\n");
	for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
		bool refused = strcmp(denied[i], "carol") != 0;
		char text[64];
		struct run dive;

		print_message("case: %s\n", denied[i]);
		sandbox_write("/run/dive-test/denied", 0600, "%s\n", denied[i]);
		probe_ask(&dive, &gateway, "alice", ALICE);
		run_assert_status(&dive, refused ? 77 : 0);
		(void)snprintf(text, sizeof(text), "account %s: ", denied[i]);
		if (refused)
			assert_contains(dive.err, text);
		run_done(&dive);
	}
	gateway_stop(&gateway);
}

/*
 * pam_faillock's account part forgets the failures: called after a failed
 * authentication, it would make the third wrong password the first for ever.
 */
static void test_faillock_counts(void **state)
{
#define FAILLOCK "pam_faillock.so dir=/run/dive-test/faillock deny=3 nodelay unlock_time=600"
	static const char *const inputs[] = { "no\n", "no\n", "no\n", ALICE };
	struct gateway gateway;
	struct run dive;

	(void)state;
	sandbox_service("probe", "auth required " FAILLOCK " preauth\n"
				 "auth sufficient pam_unix.so nodelay\n"
				 "auth [default=die] " FAILLOCK " authfail\n"
				 "account required " FAILLOCK "\naccount required pam_permit.so\n"
				 "session required pam_permit.so\n");
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe", "--auth-tries", "1"));
	/* Two failures, and a success that resets the tally. */
	for (size_t i = 1; i < ARRAY_LEN(inputs); i++) {
		probe_ask(&dive, &gateway, "alice", inputs[i]);
		run_assert_status(&dive, i == 3 ? 0 : 77);
		run_done(&dive);
	}
	/* Three, and not even the right one opens. */
	for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
		probe_ask(&dive, &gateway, "alice", inputs[i]);
		run_assert_status(&dive, 77);
		run_done(&dive);
	}
	gateway_stop(&gateway);
}

/* The client's own expired password is changed on the spot, or nothing happens. */
static void test_expired_password_is_changed(void **state)
{
	static const char changed[] = "Quite-another-13\n";
	struct gateway gateway;
	struct run dive;

	(void)state;
	chage("-d", "0", "alice");
	probe_start(&gateway, UNIX_AND_PROBE);
	probe_ask(&dive, &gateway, "alice", ALICE ALICE "Quite-another-13\nQuite-different-13\n");
	run_assert_status(&dive, 77);
	assert_contains(dive.err, "the password of alice has expired and was not changed");
	run_done(&dive);
	probe_assert_phases("authenticate account");
	probe_forget();
	probe_ask(&dive, &gateway, "alice", ALICE ALICE "Quite-another-13\nQuite-another-13\n");
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, "bob\n");
	assert_contains(dive.err, "New password:");
	run_done(&dive);
	probe_assert_phases("authenticate account account establish open close delete");
	probe_ask(&dive, &gateway, "alice", changed);
	run_assert_status(&dive, 0);
	assert_null(strstr(dive.err, "New password:"));
	run_done(&dive);
	probe_ask(&dive, &gateway, "alice", ALICE);
	run_assert_status(&dive, 77);
	run_done(&dive);
	gateway_stop(&gateway);
	sandbox_account("alice", SANDBOX_UID_ALICE, SANDBOX_PASSWORD_ALICE, "/bin/bash");
}

/* The target's is its owner's affair; an administrator is told and goes on. */
static void test_expired_password_of_target(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	chage("-d", "0", "bob");
	probe_start(&gateway, UNIX_AND_PROBE);
	probe_ask(&dive, &gateway, "alice", ALICE);
	run_assert_status(&dive, 77);
	assert_contains(dive.err, "account bob: the password has expired; its owner must");
	run_done(&dive);
	probe_ask(&dive, &gateway, NULL, "");
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, "bob\n");
	assert_contains(dive.err, "the password of the target account has expired");
	run_done(&dive);
	gateway_stop(&gateway);
	/* Asked for, it is changed like a client's. */
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe", "--auth-user", "target"));
	probe_ask(&dive, &gateway, "alice", BOB BOB "Bob-changes-11\nBob-changes-11\n");
	run_assert_status(&dive, 0);
	run_done(&dive);
	gateway_stop(&gateway);
	sandbox_account("bob", SANDBOX_UID_BOB, SANDBOX_PASSWORD_BOB, "/bin/bash");
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_accounts_are_judged),
		TEST(test_target_is_always_judged),
		TEST(test_one_account_is_judged_once),
		TEST(test_locked_client),
		TEST(test_listfile_denies),
		TEST(test_faillock_counts),
		TEST(test_expired_password_is_changed),
		TEST(test_expired_password_of_target),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
