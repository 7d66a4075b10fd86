/*
 * -s user and -s time: maps of ids, offsets of clocks, and a dived that is not root.
 *
 * What a program may do there it may do there only: it is root of a namespace and
 * nobody outside of it.
 */
#include "place_scene.h"

#include <inttypes.h>
#include <signal.h>
#include <time.h>

#define HIGH "0 100000 65536"

static void test_root_of_a_namespace_only(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "user", "-tt", "-u", "root", UNASKED));
	dive(&command, &alice, RUN_WORDS(SHOW));
	expect_others(command.out, USER);
	show_expect(command.out, "Uid", "0 0 0 0");
	show_expect(command.out, "regained", "5");
	run_done(&command);
	expect_output(&alice, RUN_WORDS("/bin/sh", "-c", "tr -s ' ' </proc/self/uid_map"),
		      " 0 0 1\n");
	expect_output(&alice, RUN_WORDS("/bin/sh", "-c", "tr -s ' ' </proc/self/gid_map"),
		      " 0 0 1\n");
	/* The host name is that of a namespace in which nobody has given it power. */
	run_dive(&command, &alice, &gateway, RUN_WORDS("/bin/hostname", "stolen"));
	run_assert_status(&command, 1);
	run_done(&command);
	gateway_stop(&gateway);
}

/* Maps one id, itself, and has to give up setgroups(2) for it. */
static void test_without_root(void **state)
{
	struct run command;

	(void)state;
	MUST(mkdir("/run/dive-test/hers", 0755));
	MUST(chown("/run/dive-test/hers", SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
	gateway_start_with(&gateway, &alice,
			   RUN_WORDS("/run/dive-test/hers/socket", "-s",
				     "ipc,net,mnt,pid,uts,user,cgroup,time", "-tt"));
	dive(&command, &alice, RUN_WORDS(SHOW));
	expect_others(command.out, ALL);
	show_expect(command.out, "Uid", "0 0 0 0");
	show_expect(command.out, "Gid", "0 0 0 0");
	run_done(&command);
	expect_output(&alice,
		      RUN_WORDS("/bin/sh", "-c",
				"hostname hers && hostname && cat /proc/self/setgroups && "
				"mount -t tmpfs none /home && tr -s ' ' </proc/self/uid_map"),
		      "hers\ndeny\n 0 2001 1\n");
	gateway_stop(&gateway);
	MUST(rmdir("/run/dive-test/hers"));
}

/* Nor has she need of it for a user namespace alone, with no map: she stays who she is. */
static void test_without_root_and_without_a_map(void **state)
{
	struct run command;

	(void)state;
	MUST(mkdir("/run/dive-test/hers", 0755));
	MUST(chown("/run/dive-test/hers", SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
	gateway_start_with(&gateway, &alice,
			   RUN_WORDS("/run/dive-test/hers/socket", "-s", "user,uts", "-P"));
	dive(&command, &alice, RUN_WORDS(SHOW));
	expect_others(command.out, USER | UTS);
	show_expect(command.out, "Uid", "65534 65534 65534 65534"); /* nobody has a name there */
	run_done(&command);
	gateway_stop(&gateway);
	MUST(rmdir("/run/dive-test/hers"));
}

/* --- maps ---------------- */

static void test_ids_are_shifted(void **state)
{
	struct run command;
	struct stat status;
	char path[64];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "user", "-t", "uid_map", HIGH, "-t",
					  "/proc/self/gid_map", HIGH, "-u", "bob", UNASKED));
	dive(&command, &alice, RUN_WORDS(SHOW));
	show_expect(command.out, "Uid", "2002 2002 2002 2002");
	show_expect(command.out, "Groups", "2002");
	show_expect(command.out, "CapEff", "0000000000000000");
	show_expect(command.out, "regained", "0");
	run_done(&command);
	run_dive_start(&command, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
	(void)snprintf(path, sizeof(path), "/proc/%d", show_pid(&command)); /* fits */
	MUST(stat(path, &status));
	assert_int_equal(status.st_uid, 102002);
	assert_int_equal(status.st_gid, 102002);
	show_end(&command);
	gateway_stop(&gateway);
}

/* Whoever is somebody else outside must prove who he is, and sends no environment. */
static void test_asked_where_ids_are_of_others(void **state)
{
	static const struct {
		const char *uids;
		const char *gids;
		bool asked;
	} cases[] = {
		{ EVERY_ID, EVERY_ID, false }, { "0 0 1000\n1000 1000 70000", EVERY_ID, false },
		{ HIGH, HIGH, true },	       { EVERY_ID, HIGH, true },
		{ HIGH, EVERY_ID, true },      { "0 0 2002\n2002 2003 1", EVERY_ID, true },
	};
	static const char *const variable[] = { "CLIENTS=own", NULL };
	const struct run_options rich = { .uid = 0, .envp = variable };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const options[] = { "-s",	   "user",	  "-t",
						"uid_map", cases[i].uids, "-t",
						"gid_map", cases[i].gids, NULL };

		print_message("case: %s, %s\n", cases[i].uids, cases[i].gids);
		gateway_start(&gateway, options);
		if (cases[i].asked)
			expect_refused(&alice, RUN_WORDS("/usr/bin/id", "-u"), "the server asks");
		else
			expect_output(&alice, RUN_WORDS("/usr/bin/id", "-u"), "2001\n");
		/* Root is not asked, and has the environment of an elevated program all the same.
		 */
		expect_output(&rich, RUN_WORDS("/bin/sh", "-c", "id -u; echo ${CLIENTS-none}"),
			      cases[i].asked ? "0\nnone\n" : "0\nown\n");
		gateway_stop(&gateway);
	}
	gateway_expect_refusal(RUN_WORDS("@refused", "-C", "0666", "--environment", "all", "-s",
					 "user", "-t", "uid_map", HIGH, "-t", "gid_map", HIGH),
			       "--environment all: a client would control");
}

static void test_targets_the_map_does_not_hold(void **state)
{
	static const struct {
		const char *what;
		const char *options[16];
		const char *text;
	} cases[] = {
		{ "user",
		  { "-t", "uid_map", "0 100000 2002", "-t", "gid_map", HIGH, "-u", "bob" },
		  "-u bob: the new user namespace holds no user id 2002" },
		{ "its group",
		  { "-t", "uid_map", HIGH, "-t", "gid_map", "0 100000 2002", "-u", "bob" },
		  "-u bob: the new user namespace holds no group id 2002" },
		{ "group of -g",
		  { "-t", "uid_map", HIGH, "-t", "gid_map", "2002 100000 1", "-u", "bob", "-g",
		    "alice" },
		  "-g alice: the new user namespace holds no group id 2001" },
		{ "-tt and another", { "-tt", "-u", "bob" }, "holds no user id 2002" },
		{ "no map", { "-u", "bob" }, "holds no user id 2002" },
		{ "no map, whoever comes", { "-T" }, "map some with -tt" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[24] = { "@refused", "-s", "user" };

		print_message("case: %s\n", cases[i].what);
		for (size_t j = 0; cases[i].options[j]; j++)
			options[3 + j] = cases[i].options[j];
		gateway_expect_refusal(options, cases[i].text);
	}
	/* Whoever comes: who is held runs, who is not is refused. */
	gateway_start(&gateway, RUN_WORDS("-s", "user", "-t", "uid_map", "2001 102001 2", "-t",
					  "gid_map", "2001 102001 2", UNASKED));
	expect_output(&alice, RUN_WORDS("/usr/bin/id", "-u"), "2001\n");
	expect_refused(&(struct run_options){ .account = "carol" }, RUN_WORDS("/usr/bin/id"),
		       "the user namespace does not hold all of the target's ids");
	gateway_stop(&gateway);
	/* Groups, too: those that are not held are not left out without a word. */
	sandbox_account_line("/etc/group", "audio", "audio:x:29:alice");
	gateway_start(&gateway, RUN_WORDS("-s", "user", "-t", "uid_map", "2001 102001 2", "-t",
					  "gid_map", "2001 102001 2", UNASKED));
	expect_refused(&alice, RUN_WORDS("/usr/bin/id"),
		       "the user namespace does not hold all of the target's ids");
	gateway_stop(&gateway);
	sandbox_account_line("/etc/group", "audio", "audio:x:29:");
}

static void test_bad_maps(void **state)
{
	static const struct {
		const char *options[12];
		const char *text;
	} cases[] = {
		{ { "-s", "user", "-t", "uid_map", "x" }, "uid_map 'x': Invalid argument" },
		{ { "-s", "user", "-t", "gid_map", "0 0 0" }, "gid_map '0 0 0': Invalid" },
		{ { "-s", "user", "-t", "setgroups", "maybe" }, "setgroups 'maybe': Invalid" },
		{ { "-s", "user", "-t", "uid_map", HIGH, "-t", "/proc/self/uid_map", HIGH },
		  "given twice" },
		{ { "-s", "user", "-tt", "-t", "uid_map", HIGH }, "excluded by -tt" },
		{ { "-s", "uts", "-t", "uid_map", HIGH }, "there is no -s user" },
		{ { "-s", "uts", "-tt" }, "-tt" },
		{ { "-s", "user", "-t", "timens_offsets", "boottime 1 0" }, "there is no -s time" },
		{ { "-s", "time", "-t", "timens_offsets", "boottime" },
		  "timens_offsets 'boottime': Invalid argument" },
		{ { "-s", "time", "-t", "timens_offsets", "boottime -99999999999 0" },
		  "timens_offsets 'boottime -99999999999 0': " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[16] = { "@refused" };

		print_message("case: %s\n", cases[i].text);
		for (size_t j = 0; cases[i].options[j]; j++)
			options[1 + j] = cases[i].options[j];
		gateway_expect_refusal(options, cases[i].text);
	}
}

/* The kernel lets nobody set groups there, so whoever has any to set is refused. */
static void test_setgroups_denied(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "user", "-t", "uid_map", EVERY_ID, "-t", "gid_map",
					  EVERY_ID, "-t", "setgroups", "deny"));
	expect_refused(&alice, RUN_WORDS("/usr/bin/id"), "(groups): Operation not permitted");
	gateway_stop(&gateway);
}

/* --- clocks ---------------- */

static int64_t seconds(clockid_t clock)
{
	struct timespec now;

	MUST(clock_gettime(clock, &now));
	return now.tv_sec;
}

static void expect_shift(const char *report, const char *key, clockid_t clock, int64_t shift)
{
	int64_t difference;
	uint64_t shown;

	assert_int_equal(parse_uint(show_get(report, key), 0, INT64_MAX, &shown), 0);
	difference = (int64_t)shown - shift - seconds(clock);
	/* Taken a moment ago, on a machine that may be busy. */
	if (difference > 1 || difference < -20)
		FAIL("%s is off by %" PRId64 " s", key, difference);
}

static void test_clocks_are_shifted(void **state)
{
	static const char *const lists[] = { "time", "time,pid", "time,pid,user,uts" };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const char *options[] = { "-s",
					  lists[i],
					  "-t",
					  "timens_offsets",
					  "monotonic 500000 0\nboottime 900000 0",
					  IDENTITY_MAPS,
					  NULL };

		print_message("case: -s %s\n", lists[i]);
		if (!strstr(lists[i], "user"))
			options[5] = NULL;
		gateway_start(&gateway, options);
		for (int j = 0; j < 2; j++) { /* also for the second one */
			dive(&command, &alice, RUN_WORDS(SHOW));
			expect_others(command.out, TIME);
			expect_shift(command.out, "monotonic", CLOCK_MONOTONIC, 500000);
			expect_shift(command.out, "boottime", CLOCK_BOOTTIME, 900000);
			run_done(&command);
		}
		gateway_stop(&gateway);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_root_of_a_namespace_only),
		TEST(test_without_root),
		TEST(test_without_root_and_without_a_map),
		TEST(test_ids_are_shifted),
		TEST(test_asked_where_ids_are_of_others),
		TEST(test_targets_the_map_does_not_hold),
		TEST(test_bad_maps),
		TEST(test_setgroups_denied),
		TEST(test_clocks_are_shifted),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
