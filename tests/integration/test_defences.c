/*
 * Ways in, around and past that have been tried against the gateway, each with
 * what stands in its way: stacks whose verdict means nothing here, policies that
 * others can write, limits that do not bind, and a logger that has stopped.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NORA_UID 2050 /* nobody else's: the kernel counts processes of the whole machine */
#define OPEN                                                                                       \
	"auth required pam_permit.so\naccount required pam_permit.so\n"                            \
	"session required pam_limits.so\n"

/* Modules that look at the calling process, which is always root's. */
static void test_meaningless_modules(void **state)
{
	static const char *const modules[] = { "pam_rootok.so", "pam_wheel.so", "pam_timestamp.so",
					       "pam_xauth.so" };
	char address[128];
	char service[512];

	(void)state;
	(void)snprintf(address, sizeof(address), "%s/meaningless.sock", sandbox_dir());
	for (size_t i = 0; i < ARRAY_LEN(modules); i++) {
		const char *type = i == 3 ? "session" : "auth";

		print_message("case: %s\n", modules[i]);
		(void)snprintf(service, sizeof(service), "%s sufficient %s\n%s", type, modules[i],
			       SANDBOX_SERVICE);
		sandbox_service("inner", service);
		sandbox_service("outer", "auth include inner\naccount include inner\n"
					 "session include inner\n");
		gateway_expect_refusal(RUN_WORDS(address, "-u", "root", "-x", "outer"), modules[i]);
	}
}

static void test_insecure_is_possible(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	sandbox_service("rootok", "auth sufficient pam_rootok.so\n" SANDBOX_SERVICE);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "rootok", "--allow-insecure"));
	run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "id", "-un"));
	run_assert_status(&dive, 0); /* which is why it is refused */
	run_done(&dive);
	gateway_stop(&gateway);
}

static void expect_closed(struct gateway *gateway)
{
	struct run dive;

	run_dive(&dive, &(struct run_options){ .account = "alice" }, gateway,
		 RUN_WORDS("-n", "id", "-un"));
	run_assert_status(&dive, 77);
	assert_non_null(strstr(dive.err, "authentication is not available"));
	run_done(&dive);
}

static void expect_open(struct gateway *gateway)
{
	struct run dive;

	run_dive(&dive, &(struct run_options){ .account = "alice" }, gateway,
		 RUN_WORDS("-n", "id", "-un"));
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, "bob\n");
	run_done(&dive);
}

/* An edit can open a gateway that was sound when it started. */
static void test_edit_to_meaningless(void **state)
{
	struct gateway gateway;

	(void)state;
	sandbox_service("edited", OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "edited"));
	expect_open(&gateway);
	sandbox_service("edited", "auth sufficient pam_rootok.so\n" OPEN);
	expect_closed(&gateway);
	gateway_expect_log(&gateway, "pam_rootok.so");
	sandbox_service("edited", OPEN);
	expect_open(&gateway);
	gateway_stop(&gateway);
}

/* A directory that PAM begins to read through an edit is watched from then on. */
static void test_edit_behind_an_edit(void **state)
{
	struct gateway gateway;
	char include[512];
	char other[256];

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/stacks", sandbox_dir());
	MUST(mkdir(other, 0755));
	(void)snprintf(other, sizeof(other), "%s/stacks/real", sandbox_dir());
	sandbox_write(other, 0644, "%s", OPEN);
	sandbox_service("moved", OPEN);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "moved"));
	expect_open(&gateway);
	(void)snprintf(include, sizeof(include), "@include %s\n", other);
	sandbox_service("moved", include);
	expect_open(&gateway);
	sandbox_write(other, 0644, "auth sufficient pam_rootok.so\n%s", OPEN);
	expect_closed(&gateway);
	gateway_stop(&gateway);
}

static void test_writable_policy(void **state)
{
	char address[128], directory[128], path[256];
	const char *const in_confdir[] = { address,   "-x", "svc", "--pam-confdir",
					   directory, "-u", "bob", NULL };

	(void)state;
	(void)snprintf(address, sizeof(address), "%s/writable.sock", sandbox_dir());
	(void)snprintf(directory, sizeof(directory), "%s/confdir", sandbox_dir());
	(void)snprintf(path, sizeof(path), "%s/svc", directory);
	sandbox_service("loose", OPEN);
	sandbox_service("user-of-loose", "auth include loose\naccount include loose\n"
					 "session include loose\n");
	MUST(chmod("/etc/pam.d/loose", 0666));
	gateway_expect_refusal(RUN_WORDS(address, "-x", "user-of-loose"), "may write");
	MUST(chmod("/etc/pam.d/loose", 0664)); /* root's group is not root */
	gateway_expect_refusal(RUN_WORDS(address, "-x", "user-of-loose"), "may write");
	MUST(chmod("/etc/pam.d/loose", 0644));
	MUST(chown("/etc/pam.d/loose", SANDBOX_UID_ALICE, 0));
	gateway_expect_refusal(RUN_WORDS(address, "-x", "user-of-loose"), "may write");
	MUST(mkdir(directory, 0755));
	sandbox_write(path, 0644, "%s", OPEN);
	MUST(chmod(directory, 0777));
	gateway_expect_refusal(in_confdir, "may write");
}

/* Who may write the directory may put another file in its place. */
static void test_replaceable_policy(void **state)
{
	static const struct {
		mode_t mode;
		uid_t uid;
		bool refused;
	} cases[] = {
		{ 0755, 0, false },
		{ 0755, SANDBOX_UID_ALICE, true },
		{ 0775, 0, true },
		{ 0777, 0, true },
		{ 01777, 0, false }, /* the file is root's, so it stays */
		{ 01777, SANDBOX_UID_ALICE, true },
	};
	static const char directory[] = "/run/dive-test/elsewhere";
	char address[128];
	struct gateway gateway;

	(void)state;
	(void)snprintf(address, sizeof(address), "%s/replaceable.sock", sandbox_dir());
	MUST(mkdir(directory, 0755));
	sandbox_write("/run/dive-test/elsewhere/real", 0644, "%s", OPEN);
	MUST(symlink("/run/dive-test/elsewhere/real", "/etc/pam.d/linked"));
	sandbox_service("including", "@include /run/dive-test/elsewhere/real\n");
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		const char *service = i % 2 ? "linked" : "including";

		print_message("case: %s, %04o of uid %u\n", service, cases[i / 2].mode,
			      cases[i / 2].uid);
		MUST(chown(directory, cases[i / 2].uid, 0));
		MUST(chmod(directory, cases[i / 2].mode));
		if (cases[i / 2].refused) {
			gateway_expect_refusal(RUN_WORDS(address, "-x", service), directory);
			continue;
		}
		gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", service));
		expect_open(&gateway);
		gateway_stop(&gateway);
	}
}

/* What a password change asks is no attempt, and holds up no other session. */
static void test_change_holds_up_nobody(void **state)
{
	struct gateway gateway;
	struct run first, second;

	(void)state;
	sandbox_account("nora", NORA_UID, "Nora-knits-6", "/bin/sh");
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("chage", "-d", "0", "nora") });
	gateway_start(&gateway, RUN_WORDS("-u", "bob"));
	run_dive_start(&first,
		       &(struct run_options){ .account = "nora",
					      .input = "Nora-knits-6\nNora-knits-6\nKnots-4-nora\n"
						       "Knots-4-nora\n" },
		       &gateway, RUN_WORDS("-S", "sh", "-c", "echo is $((40+2)); exec sleep 1000"));
	run_expect(&first, "is 42");
	run_dive(&second, &(struct run_options){ .account = "nora", .input = "Knots-4-nora\n" },
		 &gateway, RUN_WORDS("-S", "id", "-un"));
	run_assert_status(&second, 0);
	run_done(&second);
	show_await_relay(first.pid);
	run_signal(&first, SIGTERM);
	run_wait(&first);
	assert_int_equal(first.signal, SIGTERM);
	run_done(&first);
	gateway_stop(&gateway);
}

/*
 * Programs are refused where limits.conf allows fewer.  The kernel compares when the
 * uid changes, before it counts the new process: one more than the limit can start.
 */
static void test_nproc_binds_at_the_start(void **state)
{
	struct gateway gateway;
	struct run held[2], refused;

	(void)state;
	sandbox_account("nora", NORA_UID, NULL, "/bin/sh");
	sandbox_service("limited", OPEN);
	sandbox_write("/etc/security/limits.d/nora.conf", 0644, "nora soft nproc 1\n");
	gateway_start(&gateway, RUN_WORDS("-u", "nora", "-x", "limited"));
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		run_dive_start(&held[i], &(struct run_options){ .account = "alice" }, &gateway,
			       RUN_WORDS("-n", SHOW, "signals"));
		run_expect(&held[i], "ready ");
	}
	run_dive(&refused, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "/bin/true"));
	run_assert_status(&refused, 126);
	assert_non_null(strstr(refused.err, "nproc"));
	run_done(&refused);
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		run_signal(&held[i], SIGKILL);
		run_wait(&held[i]);
		run_done(&held[i]);
	}
	gateway_stop(&gateway);
	MUST(unlink("/etc/security/limits.d/nora.conf"));
}

static void set_soft(int resource, rlim_t value, struct rlimit *ret_before)
{
	struct rlimit limit;

	MUST(getrlimit((__rlimit_resource_t)resource, ret_before));
	limit = *ret_before;
	limit.rlim_cur = value;
	MUST(setrlimit((__rlimit_resource_t)resource, &limit));
}

/*
 * dived raises its own nofile and needs no core files; programs get what dived was
 * started with, and what PAM sets even where it is what dived has itself.
 */
static void test_programs_get_inherited_limits(void **state)
{
	struct rlimit nofile, core;
	struct gateway gateway;
	struct run dive;
	char line[64], wanted[64];

	(void)state;
	set_soft(RLIMIT_NOFILE, 300, &nofile);
	MUST(getrlimit(RLIMIT_CORE, &core));
	set_soft(RLIMIT_CORE, core.rlim_max, &core);
	sandbox_service("limited", OPEN);
	sandbox_write("/etc/security/limits.d/bob.conf", 0644, "bob soft core 0\n");
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "limited"));
	MUST(setrlimit(RLIMIT_NOFILE, &nofile));
	MUST(setrlimit(RLIMIT_CORE, &core));
	run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "sh", "-c", "echo core $(ulimit -Sc) nofile $(ulimit -Sn)"));
	run_assert_status(&dive, 0);
	(void)snprintf(line, sizeof(line), "%s", dive.out);
	(void)snprintf(wanted, sizeof(wanted), "core 0 nofile 300\n");
	assert_string_equal(line, wanted);
	run_done(&dive);
	gateway_stop(&gateway);
	MUST(unlink("/etc/security/limits.d/bob.conf"));
}

/* A syslog daemon that has stopped reading costs lines, and nobody's session. */
static void test_stalled_syslog(void **state)
{
	int syslog = sandbox_syslog_open();
	struct gateway gateway;

	(void)state;
	/* Modules that log wait for the daemon themselves: syslog(3) is theirs. */
	sandbox_service("quick", "auth required pam_permit.so\naccount required pam_permit.so\n"
				 "session required pam_permit.so\n");
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "quick"));
	for (int i = 0; i < 8; i++)
		expect_open(&gateway); /* two lines each; the kernel keeps about ten */
	gateway_stop(&gateway);
	sandbox_syslog_close(&syslog);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_meaningless_modules),
		TEST(test_insecure_is_possible),
		TEST(test_edit_to_meaningless),
		TEST(test_edit_behind_an_edit),
		TEST(test_writable_policy),
		TEST(test_replaceable_policy),
		TEST(test_change_holds_up_nobody),
		TEST(test_nproc_binds_at_the_start),
		TEST(test_programs_get_inherited_limits),
		TEST(test_stalled_syslog),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
