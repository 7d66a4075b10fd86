/*
 * Accounts that are odd, and name services that are slow, fail, hang or lie: a refusal
 * or success in bounded time, and never another's identity.
 *
 * The service is nss_test.c, which the gateway alone finds (LD_LIBRARY_PATH): it knows
 * "ghost", and the file NSS_MOOD says how it is.
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define HUGE_UID 4000000000U
#define NAME_255                                                                                   \
	"n234567890123456789012345678901234567890123456789012345678901234567890123456789012345"    \
	"6789012345678901234567890123456789012345678901234567890123456789012345678901234567890"    \
	"1234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
#define NAME_UID 2700
#define PERMISSIVE                                                                                 \
	"auth required pam_permit.so\naccount required pam_permit.so\n"                            \
	"session required pam_permit.so\n"

static const struct run_options searching = {
	.envp = RUN_WORDS("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH=" NSS_DIRECTORY)
};
static const struct run_options ghost = { .uid = NSS_UID, .gid = NSS_UID };

static void set_mood(const char *mood)
{
	sandbox_write(NSS_MOOD ".new", 0644, "%s", mood);
	MUST(rename(NSS_MOOD ".new", NSS_MOOD)); /* never half of it */
}

static void ask(struct run *ret, const struct gateway *gateway, const struct run_options *client,
		const char *words)
{
	run_dive(ret, client, gateway, RUN_WORDS("-n", "/bin/sh", "-c", words));
}

/* Serves the client, with this output; or refuses, with these words. */
static void expect(const struct gateway *gateway, const struct run_options *client,
		   const char *words, const char *output, const char *says)
{
	struct run dive;

	ask(&dive, gateway, client, words);
	run_assert_status(&dive, says ? 77 : 0);
	assert_string_equal(dive.out, says ? "" : output);
	assert_contains(dive.err, says ? says : "");
	run_done(&dive);
}

/* uid, gid and groups as numbers: no name service is asked on the way. */
#define SHOW_IDS "grep -E '^(Uid|Gid|Groups):' /proc/self/status | tr -s '\\t ' ' '"

static void test_clients_without_entry(void **state)
{
	static const struct run_options huge = { .uid = HUGE_UID, .gid = HUGE_UID };
	struct gateway gateway;

	(void)state;
	/* Its own uid: PAM has no account to check. */
	gateway_start(&gateway, RUN_WORDS("-x", "permissive"));
	expect(&gateway, &huge, SHOW_IDS, NULL, "dive: ");
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("--no-pam"));
	expect(&gateway, &huge, SHOW_IDS,
	       "Uid: 4000000000 4000000000 4000000000 4000000000\n"
	       "Gid: 4000000000 4000000000 4000000000 4000000000\n"
	       "Groups: 4000000000 \n",
	       NULL);
	gateway_stop(&gateway);
	/* Another's, for which it cannot be asked, and need not be. */
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "permissive"));
	expect(&gateway, &huge, "id -un", NULL, "dive: ");
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "permissive", "-a", "never"));
	expect(&gateway, &huge, "id -un; echo $DIVE_UID-$DIVE_USER-", "bob\n4000000000--\n", NULL);
	gateway_stop(&gateway);
}

static void test_target_without_entry(void **state)
{
	struct gateway gateway;

	(void)state;
	gateway_expect_refusal(RUN_WORDS("/run/dive-test/no.sock", "-u", "4000000000"),
			       "4000000000");
	gateway_start(&gateway,
		      RUN_WORDS("-u", "4000000000", "-g", "4000000001,4000000002", "--no-pam"));
	expect(&gateway, &(struct run_options){ .account = "alice" }, SHOW_IDS,
	       "Uid: 4000000000 4000000000 4000000000 4000000000\n"
	       "Gid: 4000000001 4000000001 4000000001 4000000001\n"
	       "Groups: 4000000001 4000000002 \n",
	       NULL);
	gateway_stop(&gateway);
	/* It goes while the gateway runs. */
	sandbox_account("leaver", 2710, NULL, "/bin/sh");
	gateway_start(&gateway, RUN_WORDS("-u", "leaver", "-x", "permissive"));
	expect(&gateway, &(struct run_options){ .account = "alice" }, "id -u", "2710\n", NULL);
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("userdel", "leaver") });
	expect(&gateway, &(struct run_options){ .account = "alice" }, "id -u", NULL,
	       "the target account cannot be looked up");
	gateway_stop(&gateway);
}

static void test_long_name(void **state)
{
	static const struct run_options client = { .uid = NAME_UID, .gid = NAME_UID };
	struct gateway gateway;

	(void)state;
	assert_int_equal(strlen(NAME_255), 255);
	sandbox_account_line("/etc/passwd", NAME_255, NAME_255 ":x:2700:2700::/:/bin/sh");
	gateway_start(&gateway, RUN_WORDS("-x", "permissive", "-a", "always"));
	expect(&gateway, &client, "echo $DIVE_USER", NAME_255 "\n", NULL);
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("-x", "permissive", "-u", NAME_255));
	expect(&gateway, &(struct run_options){ .account = "alice" }, "id -un", NAME_255 "\n",
	       NULL);
	gateway_expect_log(&gateway, " acct_cut=255 "); /* and says so */
	gateway_stop(&gateway);
}

/* One mood each, with what ghost gets as a client, and alice for whom ghost is the target. */
static const struct {
	const char *mood;
	const char *client; /* what the refusal says; NULL: served */
	const char *target;
} moods[] = {
	{ "plain", NULL, NULL },
	{ "slow-passwd slow-groups", NULL, NULL },
	{ "many", NULL, NULL },
	{ "fail-passwd", "cannot be looked up", "cannot be looked up" },
	{ "down-passwd", "cannot be looked up", "cannot be looked up" },
	{ "root", "cannot be looked up", "cannot be looked up" }, /* it answers with root's entry */
	{ "minus-one", "dive: ", "cannot be looked up" },
	{ "too-many", NULL, NULL }, /* it gets those that fit, as from login(1) */
};

static void start_ghost(struct gateway *client, struct gateway *target)
{
	set_mood("plain");
	gateway_start_with(client, &searching, RUN_WORDS("-x", "permissive"));
	gateway_start_with(target, &searching, RUN_WORDS("-x", "permissive", "-u", "ghost"));
}

static void test_moods(void **state)
{
	static const struct run_options alice = { .account = "alice" };
	struct gateway client, target;

	(void)state;
	start_ghost(&client, &target);
	for (size_t i = 0; i < ARRAY_LEN(moods); i++) {
		print_message("case: %s\n", moods[i].mood);
		set_mood(moods[i].mood);
		if (strcmp(moods[i].mood, "minus-one") != 0) /* it is asked by uid here */
			expect(&client, &ghost,
			       "grep -c ^Uid:.2500.2500.2500.2500 /proc/self/status", "1\n",
			       moods[i].client);
		expect(&target, &alice, "grep -c ^Uid:.2500.2500.2500.2500 /proc/self/status",
		       "1\n", moods[i].target);
	}
	set_mood("many");
	expect(&target, &alice, "id -G | wc -w", "3001\n", NULL);
	set_mood("fail-groups"); /* whoever cannot be told the groups of has none but its own */
	expect(&target, &alice, "id -G", "2500\n", NULL);
	gateway_stop(&client);
	gateway_stop(&target);
}

/* A service that folds case answers for GHOST with ghost's entry: that is another account. */
static void test_folded_name(void **state)
{
	struct run dived;

	(void)state;
	set_mood("fold");
	for (int folded = 0; folded < 2; folded++) {
		run(&dived, &(struct run_options){ .envp = searching.envp,
						   .argv = RUN_WORDS(sandbox_dived(), "--check",
								     "/run/dive-test/no.sock", "-x",
								     "permissive", "-u",
								     folded ? "GHOST" : "ghost") });
		run_assert_status(&dived, folded ? 4 : 0);
		run_done(&dived);
	}
}

/* Whichever lookup hangs, the session ends at its deadline; the others are served. */
static void test_hanging_service(void **state)
{
	static const struct run_options root = { 0 };
	static const char *const hanging[] = { "hang-passwd", "hang-groups" };
	struct gateway client, target;

	(void)state;
	set_mood("plain");
	gateway_start_with(
		&client, &searching,
		RUN_WORDS("-x", "permissive", "--auth-timeout", "1", "--request-timeout", "2"));
	gateway_start_with(&target, &searching,
			   RUN_WORDS("-x", "permissive", "-u", "ghost", "--auth-timeout", "1",
				     "--request-timeout", "2"));
	for (size_t i = 0; i < ARRAY_LEN(hanging); i++) {
		struct run first, second;

		print_message("case: %s\n", hanging[i]);
		set_mood(hanging[i]);
		run_dive_start(&first, &ghost, &client, RUN_WORDS("-n", "true"));
		run_dive_start(&second, &(struct run_options){ .account = "alice" }, &target,
			       RUN_WORDS("-n", "true"));
		/* Root is found in /etc/passwd, and files are asked first. */
		if (i == 0)
			expect(&client, &root, "echo served", "served\n", NULL);
		run_wait(&first);
		run_wait(&second);
		run_assert_status(&first, 77);
		run_assert_status(&second, 77);
		assert_contains(first.err, "a name service did not answer in time");
		assert_contains(second.err, "a name service did not answer in time");
		gateway_expect_log(&client, "reason=\"a name service did not answer in time\"");
		gateway_expect_log(&target, "reason=\"a name service did not answer in time\"");
		run_done(&first);
		run_done(&second);
	}
	set_mood("plain");
	family_await(FAMILY_SESSION, 0);
	expect(&client, &ghost, "id -u", "2500\n", NULL);
	expect(&target, &(struct run_options){ .account = "alice" }, "id -u", "2500\n", NULL);
	gateway_stop(&client);
	gateway_stop(&target);
}

/*
 * A reload asks for the names of --allow.  It neither stops the listener, which says so
 * and keeps the names of before, nor those who have a session; and ends all the same.
 */
static void test_reload_with_hanging_service(void **state)
{
	struct gateway gateway;

	(void)state;
	set_mood("plain");
	gateway_start_with(&gateway, &searching,
			   RUN_WORDS("-x", "permissive", "--allow", "ghost,alice,@ghost",
				     "--request-timeout", "30"));
	expect(&gateway, &ghost, "id -u", "2500\n", NULL); /* it serves, and has said so */
	set_mood("hang-passwd");
	gateway_signal(&gateway, SIGHUP);
	family_await("dived: names", 1);
	expect(&gateway, &(struct run_options){ .account = "alice" }, "id -un", "alice\n", NULL);
	gateway_expect_log(&gateway,
			   "the name services do not answer; the names of before stay in force");
	gateway_expect_notify(&gateway, "the names of before stay in force");
	family_await("dived: names", 0);
	/* A signal to stop is heard while they hang. */
	gateway_signal(&gateway, SIGHUP);
	family_await("dived: names", 1);
	gateway_stop(&gateway);
	family_await("dived: names", 0);
}

/* The process that serves one client alone has only itself to end it. */
static void test_single_with_hanging_service(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	set_mood("plain");
	gateway_start_with(&gateway, &searching,
			   RUN_WORDS("-F", "-x", "permissive", "--auth-timeout", "1"));
	set_mood("hang-passwd");
	ask(&dive, &gateway, &ghost, "true");
	run_assert_status(&dive, 77);
	assert_contains(dive.err, "a name service did not answer in time");
	run_done(&dive);
	run_wait(&gateway.run);
	set_mood("plain");
	gateway_kill(&gateway);
}

static int setup(void **state)
{
	int result = probe_group_setup(state);

	sandbox_service("permissive", PERMISSIVE);
	sandbox_write("/etc/nsswitch.conf", 0644,
		      "passwd: files test\ngroup: files test\ninitgroups: files test\n"
		      "shadow: files\n");
	return result;
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_clients_without_entry),
		TEST(test_target_without_entry),
		TEST(test_long_name),
		TEST(test_moods),
		TEST(test_folded_name),
		TEST(test_hanging_service),
		TEST(test_reload_with_hanging_service),
		TEST(test_single_with_hanging_service),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
