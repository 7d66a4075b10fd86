/*
 * The service itself: named, missing, broken, edited while the gateway runs; and
 * modules that never return or take the session's process with them, after which
 * the next client is served as if nothing had happened.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define REST "account required pam_permit.so\nsession required pam_permit.so\n"
#define OPEN "auth required pam_permit.so\n" REST
#define SHUT "auth required pam_deny.so\n" REST

/* A module in its worst mood, for alice only. */
struct mood {
	const char *phase;
	const char *does;
	int status;	  /* of alice's client */
	const char *says; /* to her */
	const char *name; /* of the phase, in the record */
};

#define HUNG "a PAM module did not return in time "

/* Those with auth_timeout + 5 s last longest; all run at the same time. */
static const struct mood moods[] = {
	{ "authenticate", "hang", 77, "did not return in time (authentication)",
	  HUNG "(authentication)" },
	{ "account", "hang", 77, "did not return in time (account check)", HUNG "(account check)" },
	{ "establish", "hang", 77, "did not return in time (credentials)", HUNG "(credentials)" },
	{ "open", "hang", 77, "did not return in time (session opening)",
	  HUNG "(session opening)" },
	{ "close", "hang", 7, "", HUNG "(session closing)" },
	{ "account", "hang=deaf", 127, "", "killed: it outlived its time" },
	{ "authenticate", "kill", 127, "", "died" },
	{ "open", "kill", 127, "", "died" },
};

static void start_mood(const struct mood *mood, size_t number, struct gateway *gateway,
		       struct run *dive, const char *login_uid)
{
	char service[2048];
	char name[16];
	char what[512];

	(void)snprintf(name, sizeof(name), "mood%zu", number);
	(void)snprintf(what, sizeof(what), PROBE_PATH " client=alice only=%s %s", mood->phase,
		       mood->does);
	(void)snprintf(service, sizeof(service),
		       "auth required %s\naccount required %s\nsession required %s\n", what, what,
		       what); /* these fit */
	sandbox_service(name, service);
	gateway_start(gateway, RUN_WORDS("-u", "bob", "-x", name, "--auth-timeout", "1"));
	run_dive_start(dive, &(struct run_options){ .account = "alice", .login_uid = login_uid },
		       gateway, RUN_WORDS("-n", "sh", "-c", "exit 7"));
}

static void test_modules_that_do_not_return(void **state)
{
	struct gateway gateways[ARRAY_LEN(moods)];
	struct run dives[ARRAY_LEN(moods)];
	struct audit_stream audit;
	char login_uid[16];
	char auid[32];

	(void)state;
	(void)snprintf(login_uid, sizeof(login_uid), "%u", 30000000U + (unsigned)getpid());
	(void)snprintf(auid, sizeof(auid), " auid=%s ", login_uid);
	audit_stream_open(&audit);
	for (size_t i = 0; i < ARRAY_LEN(moods); i++)
		start_mood(&moods[i], i, &gateways[i], &dives[i], login_uid);
	for (size_t i = 0; i < ARRAY_LEN(moods); i++)
		gateway_expect_served(&gateways[i], "carol", "bob");
	for (size_t i = 0; i < ARRAY_LEN(moods); i++) {
		bool early = i < 2 || i == 5 || i == 6; /* before the verdict */
		bool late = moods[i].status == 7;	/* the end has been recorded before */

		print_message("case: %s %s\n", moods[i].phase, moods[i].does);
		run_wait(&dives[i]);
		run_assert_status(&dives[i], moods[i].status);
		assert_string_equal(dives[i].out, "");
		assert_contains(dives[i].err, moods[i].says);
		gateway_expect_log(&gateways[i], late ? "PAM has not been closed" : "op=dive:lost");
		gateway_expect_log(&gateways[i], moods[i].name);
		(void)audit_stream_expect(&audit, early ? AUDIT_USER_AUTH : AUDIT_USER_END, auid,
					  late ? "op=dive:exit" : "op=dive:lost",
					  gateways[i].address, late ? "exit=7" : "res=failed",
					  NULL);
		gateway_expect_served(&gateways[i], "carol", "bob");
		run_done(&dives[i]);
		gateway_stop(&gateways[i]);
	}
	audit_stream_close(&audit);
}

/* Serves alice as bob, or refuses. */
static void expect_service(const struct gateway *gateway, bool served, const char *says)
{
	struct run dive;

	run_dive(&dive, &(struct run_options){ .account = "alice" }, gateway,
		 RUN_WORDS("-n", "id", "-un"));
	run_assert_status(&dive, served ? 0 : 77);
	assert_string_equal(dive.out, served ? "bob\n" : "");
	assert_contains(dive.err, says);
	run_done(&dive);
}

/*
 * An edit counts for the very next client, in place or by renaming, included files too.
 * covers: dived -x
 */
static void test_edits_take_effect(void **state)
{
	struct gateway gateway;

	(void)state;
	sandbox_service("probe", OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	for (int i = 0; i < 5; i++) {
		expect_service(&gateway, true, "");
		sandbox_service("probe", SHUT);
		expect_service(&gateway, false, "authentication failed");
		sandbox_service("probe.new", OPEN);
		MUST(rename("/etc/pam.d/probe.new", "/etc/pam.d/probe"));
	}
	MUST(mkdir("/run/dive-test/included", 0755));
	sandbox_write("/run/dive-test/included/auth", 0644, "auth required pam_permit.so\n");
	sandbox_service("probe", "auth include /run/dive-test/included/auth\n" REST);
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	expect_service(&gateway, true, "");
	sandbox_write("/run/dive-test/included/auth", 0644, "auth required pam_deny.so\n");
	expect_service(&gateway, false, "authentication failed");
	gateway_stop(&gateway);
}

/* Broken, it refuses everyone, who is not asked first; repaired, it serves. */
static void test_broken_service(void **state)
{
	static const char *const broken[] = {
		"auth required pam_nonesuch.so\n" REST,
		"auth requisite\n" REST,
		"auth include nonesuch\n" REST,
	};
	struct gateway gateway;

	(void)state;
	sandbox_service("probe", OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	expect_service(&gateway, true, ""); /* it has loaded: what follows is an edit */
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		print_message("case: %s", broken[i]);
		sandbox_service("probe", broken[i]);
		expect_service(&gateway, false, "authentication is not available");
		sandbox_service("probe", OPEN);
		expect_service(&gateway, true, "");
	}
	MUST(unlink("/etc/pam.d/probe"));
	expect_service(&gateway, false, "authentication is not available");
	gateway_expect_log(&gateway, "authentication is not available: ");
	sandbox_service("probe", OPEN);
	expect_service(&gateway, true, "");
	gateway_expect_log(&gateway, "authentication is available again");
	gateway_stop(&gateway);
}

/* The same service name in two directories. */
static void test_confdir(void **state)
{
	struct gateway gateway;

	(void)state;
	MUST(mkdir("/run/dive-test/confdir", 0755));
	sandbox_service("twice", SHUT);
	sandbox_write("/run/dive-test/confdir/twice", 0644, "%s", OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "twice", "--pam-confdir",
					  "/run/dive-test/confdir"));
	expect_service(&gateway, true, "");
	sandbox_write("/run/dive-test/confdir/twice", 0644, "%s", SHUT);
	expect_service(&gateway, false, "authentication failed");
	gateway_stop(&gateway);
	sandbox_service("twice", OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "twice"));
	expect_service(&gateway, true, "");
	gateway_stop(&gateway);
}

/* Without -x it is the service "dived". */
static void test_default_service(void **state)
{
	struct gateway gateway;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	expect_service(&gateway, false, "prompting was forbidden");
	sandbox_service("dived", OPEN);
	expect_service(&gateway, true, "");
	sandbox_service("dived", SANDBOX_SERVICE);
	gateway_stop(&gateway);
}

static void test_refused_at_start(void **state)
{
	static const struct {
		const char *service; /* content of "probe", or NULL: as the options say */
		const char *options[6];
		const char *says;
	} cases[] = {
		{ NULL, { "-x", "nonesuch" }, "nonesuch" },
		{ NULL, { "-x", "../pam.d/dived" }, "../pam.d/dived" },
		{ NULL, { "-x", "dived", "--pam-confdir", "/nonesuch" }, "/nonesuch" },
		{ "auth required pam_nonesuch.so\n" REST, { "-x", "probe" }, "pam_nonesuch.so" },
		{ "auth include nonesuch\n" REST, { "-x", "probe" }, "nonesuch" },
		{ "auth requisite\n" REST, { "-x", "probe" }, "/etc/pam.d/probe" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *words[10] = { "/run/dive-test/refused.sock" };
		const char *check[10] = { "--check", "/run/dive-test/refused.sock" };

		print_message("case: %s\n", cases[i].says);
		for (size_t n = 0; cases[i].options[n]; n++)
			words[1 + n] = check[2 + n] = cases[i].options[n];
		if (cases[i].service)
			sandbox_service("probe", cases[i].service);
		gateway_expect_refusal(words, cases[i].says);
		gateway_expect_refusal(check, cases[i].says);
		assert_int_equal(access("/run/dive-test/refused.sock", F_OK), -1);
	}
}

/* A module that may be missing may be missing. */
static void test_optional_module(void **state)
{
	struct gateway gateway;

	(void)state;
	sandbox_service("probe", "-auth optional pam_nonesuch.so\n" OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	expect_service(&gateway, true, "");
	gateway_stop(&gateway);
}

static void test_loginuid_is_warned_about(void **state)
{
	struct gateway gateway;

	(void)state;
	sandbox_service("probe", OPEN "session optional pam_loginuid.so\n");
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	gateway_expect_log(&gateway, "pam_loginuid");
	expect_service(&gateway, true, "");
	gateway_stop(&gateway);
	sandbox_service("probe", OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	expect_service(&gateway, true, "");
	assert_null(strstr(gateway_log(&gateway), "pam_loginuid"));
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_modules_that_do_not_return),
		TEST(test_edits_take_effect),
		TEST(test_broken_service),
		TEST(test_confdir),
		TEST(test_default_service),
		TEST(test_refused_at_start),
		TEST(test_optional_module),
		TEST(test_loginuid_is_warned_about),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
