/*
 * As whom a program runs and under what limits: -e -g -l and -u by number, as the
 * kernel tells the program itself; and which options make a spawn elevated, so that
 * the client has to prove who he is.
 */
#include "privilege_scene.h"

#include <sys/resource.h>
#include <sys/stat.h>

/* --- ids and groups ------------------------------------------------------------------- */

static void test_ids(void **state)
{
	static const struct expectation cases[] = {
		{ { "-e", "bob", "-a", "never" },
		  { "Uid", "2001 2002 2002 2002", "Gid", "2001 2002 2002 2002", "Groups", "44 2002",
		    "regained", "0" } },
		{ { "-e", "2002", "-u", "carol", "-a", "never" },
		  { "Uid", "2003 2002 2002 2002", "Gid", "2003 2002 2002 2002", "Groups", "44 2002",
		    "CapPrm", NOTHING } },
		{ { "-e", "bob", "-g", "7,carol", "-a", "never" },
		  { "Uid", "2001 2002 2002 2002", "Gid", "7 2002 2002 2002", "Groups", "7 2003" } },
		{ { "-g", "carol,7", "-a", "never" },
		  { "Uid", "2001 2001 2001 2001", "Gid", "2003 2003 2003 2003", "Groups", "7 2003",
		    "regained", "0" } },
		{ { "-g", "3999999999", "-u", "bob", "-a", "never" },
		  { "Uid", "2002 2002 2002 2002", "Gid",
		    "3999999999 3999999999 3999999999 3999999999", "Groups", "3999999999" } },
		{ { "-g", "7,7", "-g", "video", "-a", "never" },
		  { "Gid", "7 7 7 7", "Groups", "7 7 44" } },
		{ { "-u", "54321", "-g", "54322,44", "--no-pam" },
		  { "Uid", "54321 54321 54321 54321", "Gid", "54322 54322 54322 54322", "Groups",
		    "44 54322", "regained", "0" } },
	};

	(void)state;
	expect_all(cases, ARRAY_LEN(cases));
}

/* With root's as effective ids the program has what root has. */
static void test_effective_root(void **state)
{
	struct run command;

	(void)state;
	report(&command, RUN_WORDS("-e", "root", "-a", "never"));
	show_expect(command.out, "Uid", "2001 0 0 0");
	show_expect(command.out, "Gid", "2001 0 0 0");
	show_expect(command.out, "Groups", "0");
	expect_set(command.out, "CapEff", own_set("CapBnd"));
	run_done(&command);
}

/* More groups than most accounts have, and each of them. */
static void test_many_groups(void **state)
{
	struct run command;
	char name[32], line[64];

	(void)state;
	for (unsigned gid = 5000; gid < 5150; gid++) {
		(void)snprintf(name, sizeof(name), "many%u", gid); /* fits */
		(void)snprintf(line, sizeof(line), "%s:x:%u:carol", name, gid);
		sandbox_account_line("/etc/group", name, line);
	}
	report(&command, RUN_WORDS("-e", "carol", "-a", "never"));
	assert_int_equal(strncmp(show_get(command.out, "Groups"), "2003 5000 5001 ", 15), 0);
	assert_non_null(strstr(show_get(command.out, "Groups"), " 5148 5149"));
	run_done(&command);
	run_or_fail(
		&(struct run_options){ .argv = RUN_WORDS("sed", "-i", "/^many/d", "/etc/group") });
}

/* Files are made by the effective user and his group. */
static void test_effective_user_makes_files(void **state)
{
	struct stat status;
	struct run command;

	(void)state;
	run_behind(&command, RUN_WORDS("-e", "bob", "-a", "never"),
		   RUN_WORDS("touch", "/home/bob/made"));
	run_done(&command);
	MUST(stat("/home/bob/made", &status));
	assert_int_equal(status.st_uid, SANDBOX_UID_BOB);
	assert_int_equal(status.st_gid, SANDBOX_UID_BOB);
	MUST(unlink("/home/bob/made"));
}

/* --- limits ----------------------------------------------------------------------------- */

static void test_limits(void **state)
{
	static const struct expectation cases[] = {
		{ { "-l", "nofile=200:100" }, { "limit7", "100 200" } },
		{ { "-l", "nofile=200", "-u", "bob", "-a", "never" }, { "limit7", "200 200" } },
		{ { "-l", "7=150:7,core=0", "--rlimit=cpu=60:50" },
		  { "limit7", "7 150", "limit4", "0 0", "limit0", "50 60" } },
		{ { "-l", "fsize=unlimited:4096,rttime=unlimited", "-P", "-a", "never" },
		  { "limit1", "4096 -1", "limit15", "-1 -1" } },
		{ { "-l", "as=18446744073709551614:8000000000" },
		  { "limit9", "8000000000 -2" } }, /* a number, and not unlimited */
		{ { "-l", "nice=0,rtprio=0,locks=5,sigpending=6,msgqueue=7,memlock=8,rss=9" },
		  { "limit13", "0 0", "limit10", "5 5", "limit12", "7 7", "limit5", "9 9" } },
	};

	(void)state;
	expect_all(cases, ARRAY_LEN(cases));
}

/* limits.conf is applied first; what -l says is above it, also where it allows more. */
static void test_limits_over_pam(void **state)
{
	static const char refused[] = "limits): nofile=400:300: ";
	struct run command;

	(void)state;
	sandbox_write("/etc/security/limits.conf", 0644,
		      "alice - nofile 250\n"
		      "alice hard nproc 500\n");
	report(&command, RUN_WORDS("-l", "nofile=200:100"));
	show_expect(command.out, "limit7", "100 200");
	assert_non_null(strstr(show_get(command.out, "limit6"), " 500"));
	run_done(&command);

	gateway_start(&gateway, RUN_WORDS("-l", "nofile=400:300"));
	run_dive(&command, &alice, &gateway, RUN_WORDS(SHOW));
	if (own_set("CapEff") & BIT(CAP_SYS_RESOURCE)) {
		show_expect(command.out, "limit7", "300 400");
	} else {
		run_assert_status(&command, 77);
		assert_non_null(strstr(command.err, refused));
	}
	run_done(&command);
	gateway_stop(&gateway);
	sandbox_write("/etc/security/limits.conf", 0644, "\n");
}

/* A limit that the steps before exec could not live with. */
static void test_limits_come_last(void **state)
{
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDONLY | O_CLOEXEC));
	const struct run_fd fds[] = { { null, 77 } };
	const struct run_options options = { .account = "alice", .fds = fds, .fd_count = 1 };
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-l", "nofile=5"));
	dive(&command, &options, RUN_WORDS("sh", "-c", "ulimit -n; readlink /proc/self/fd/77"));
	assert_string_equal(command.out, "5\n/dev/null\n");
	run_done(&command);
	gateway_stop(&gateway);
}

/* --- who is asked --------------------------------------------------------------------------------
 */

static void test_elevation(void **state)
{
	static const struct {
		const char *options[4];
		bool asks;
	} cases[] = {
		{ { "-e", "bob" }, true },   { { "-e", "alice" }, true },
		{ { "-g", "alice" }, true }, { { "-m", "net_raw" }, true },
		{ { "-c", "=" }, true },     { { "-c", "cap_kill=p" }, true },
		{ { "-m", "" }, false },     { { "-b", "net_raw" }, false },
		{ { "-B", "" }, false },     { { "-L" }, false },
		{ { "-X" }, false },	     { { "-l", "nofile=100" }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run command;

		print_message("case: %s %s\n", cases[i].options[0],
			      cases[i].options[1] ? cases[i].options[1] : "");
		gateway_start(&gateway, cases[i].options);
		run_dive(&command, &alice, &gateway, RUN_WORDS("-n", "true"));
		run_assert_status(&command, cases[i].asks ? 77 : 0);
		run_done(&command);
		run_dive(&command, &(struct run_options){ 0 }, &gateway, RUN_WORDS("-n", "true"));
		run_assert_status(&command, 0); /* root */
		run_done(&command);
		if (cases[i].asks) {
			run_dive(&command,
				 &(struct run_options){ .account = "alice",
							.input = SANDBOX_PASSWORD_ALICE "\n" },
				 &gateway, RUN_WORDS("-S", "id", "-ru"));
			run_assert_status(&command, 0);
			assert_string_equal(command.out, "2001\n");
			run_done(&command);
		}
		gateway_stop(&gateway);
	}
}

static int setup(void **state)
{
	if (show_group_setup(state) != 0)
		return -1;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-aG", "video", "bob") });
	return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ids),
		TEST(test_effective_root),
		TEST(test_many_groups),
		TEST(test_effective_user_makes_files),
		TEST(test_limits),
		TEST(test_limits_over_pam),
		TEST(test_limits_come_last),
		TEST(test_elevation),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
