/*
 * Edits of the service that an editor does not make: files and whole directories
 * replaced by renaming, gone and back, behind a symbolic link; and sessions that run
 * meanwhile.  Edits in place and of the service file itself are in test_pam_service.c.
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STACKS	 "/run/dive-test/stacks"
#define ASIDE	 "/run/dive-test/stacks.aside"
#define NEW	 "/run/dive-test/stacks.new"
#define LINK	 "/run/dive-test/link"
#define OPEN	 "auth required pam_permit.so\n"
#define SHUT	 "auth required pam_deny.so\n"
#define REST	 "account required pam_permit.so\nsession required pam_permit.so\n"
#define INCLUDES "auth include " STACKS "/auth\n" REST

/* As it is with the edit before: alice is bob, or "says" says why not. */
static void expect(const struct gateway *gateway, const char *says)
{
	struct run dive;

	run_dive(&dive, &(struct run_options){ .account = "alice" }, gateway,
		 RUN_WORDS("-n", "id", "-un"));
	run_assert_status(&dive, says ? 77 : 0);
	assert_string_equal(dive.out, says ? "" : "bob\n");
	assert_contains(dive.err, says ? says : "");
	run_done(&dive);
}

static void make_directory(const char *path, const char *auth)
{
	char file[128];

	MUST(mkdir(path, 0755));
	(void)snprintf(file, sizeof(file), "%s/auth", path); /* fits */
	sandbox_write(file, 0644, "%s", auth);
}

static void start(struct gateway *ret, const char *service)
{
	make_directory(STACKS, OPEN);
	sandbox_service("reload", service);
	gateway_start(ret, RUN_WORDS("-u", "bob", "-x", "reload"));
	expect(ret, NULL);
}

static int teardown(void **state)
{
	static const char *const directories[] = { STACKS, ASIDE, NEW };

	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		char file[128];

		(void)snprintf(file, sizeof(file), "%s/auth", directories[i]); /* fits */
		(void)unlink(file); /* each is there or not */
		(void)rmdir(directories[i]);
	}
	(void)unlink(LINK);
	return sandbox_test_teardown(state);
}

static void test_included_file_is_renamed(void **state)
{
	struct gateway gateway;

	(void)state;
	start(&gateway, INCLUDES);
	for (int i = 0; i < 4; i++) {
		sandbox_write(STACKS "/auth.new", 0644, "%s", i % 2 ? OPEN : SHUT);
		MUST(rename(STACKS "/auth.new", STACKS "/auth"));
		expect(&gateway, i % 2 ? NULL : "authentication failed");
	}
	gateway_stop(&gateway);
}

/* Both are there all the time, and change places. */
static void test_directories_change_places(void **state)
{
	struct gateway gateway;

	(void)state;
	start(&gateway, INCLUDES);
	make_directory(NEW, SHUT);
	for (int i = 0; i < 4; i++) {
		MUST(renameat2(AT_FDCWD, NEW, AT_FDCWD, STACKS, RENAME_EXCHANGE));
		expect(&gateway, i % 2 ? NULL : "authentication failed");
	}
	gateway_stop(&gateway);
}

/* What cannot be read refuses everyone, says why once, and is found when it is back. */
static void test_directory_goes_and_comes(void **state)
{
	struct gateway gateway;
	const char *log;

	(void)state;
	start(&gateway, INCLUDES);
	MUST(rename(STACKS, ASIDE));
	for (int i = 0; i < 3; i++)
		expect(&gateway, "authentication is not available");
	gateway_expect_log(&gateway, "authentication is not available: ");
	log = strstr(gateway_log(&gateway), "authentication is not available: ");
	assert_contains(log, STACKS "/auth");
	log = strstr(log + 1, ": authentication is not available: ");
	assert_null(log);
	make_directory(NEW, SHUT);
	MUST(rename(NEW, STACKS));
	expect(&gateway, "authentication failed");
	gateway_expect_log(&gateway, "authentication is available again");
	sandbox_write(STACKS "/auth", 0644, "%s", OPEN);
	expect(&gateway, NULL);
	gateway_stop(&gateway);
}

/* A link to the directory is one of the things that only SIGHUP tells. */
static void test_link_to_another_directory(void **state)
{
	struct gateway gateway;

	(void)state;
	MUST(symlink(STACKS, LINK));
	start(&gateway, "auth include " LINK "/auth\n" REST);
	make_directory(NEW, SHUT);
	MUST(symlink(NEW, LINK ".new"));
	MUST(rename(LINK ".new", LINK));
	gateway_signal(&gateway, SIGHUP);
	gateway_expect_notify(&gateway, "RELOADING=1");
	expect(&gateway, "authentication failed");
	gateway_stop(&gateway);
}

/* The same for the directory of the service itself. */
static void test_confdirs_change_places(void **state)
{
	struct gateway gateway;

	(void)state;
	make_directory(STACKS, OPEN REST); /* the service is called "auth" */
	make_directory(NEW, SHUT REST);
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "auth", "--pam-confdir", STACKS));
	expect(&gateway, NULL);
	MUST(renameat2(AT_FDCWD, NEW, AT_FDCWD, STACKS, RENAME_EXCHANGE));
	expect(&gateway, "authentication failed");
	MUST(rename(STACKS, ASIDE));
	expect(&gateway, "authentication is not available");
	MUST(rename(NEW, STACKS));
	expect(&gateway, NULL);
	gateway_stop(&gateway);
}

/* It closes with the modules it was opened with, also when they are not in the service any more. */
static void test_running_session_notices_nothing(void **state)
{
	struct gateway gateway;
	struct run dive;
	int ends[2];

	(void)state;
	MUST(pipe2(ends, O_CLOEXEC));
	probe_start(&gateway, PROBE_SERVICE);
	run_dive_start(&dive,
		       &(struct run_options){ .account = "alice",
					      .fds = &(struct run_fd){ ends[0], 0 },
					      .fd_count = 1 },
		       &gateway, RUN_WORDS("-n", "sh", "-c", "echo up; read line; exit 7"));
	close_fd(&ends[0]);
	run_expect(&dive, "up");
	sandbox_service("probe", SHUT REST);
	expect(&gateway, "authentication failed");
	sandbox_service("probe", "auth include /nonesuch\n" REST);
	expect(&gateway, "authentication is not available");
	gateway_signal(&gateway, SIGHUP);
	gateway_expect_notify(&gateway, "RELOADING=1");
	gateway_expect_notify(&gateway, "READY=1");
	family_await(FAMILY_SESSION, 1);
	probe_assert_phases("authenticate account account establish open");
	close_fd(&ends[1]);
	run_wait(&dive);
	run_assert_status(&dive, 7);
	probe_assert_phases("authenticate account account establish open close delete");
	run_done(&dive);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_included_file_is_renamed), TEST(test_directories_change_places),
		TEST(test_directory_goes_and_comes), TEST(test_link_to_another_directory),
		TEST(test_confdirs_change_places),   TEST(test_running_session_notices_nothing),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
