/*
 * What a program inherits, row by row, as the kernel tells the program itself:
 * tests/programs/show.c runs behind the gateway and reports.
 *
 * Environment and PATH are in test_environment.c, what dive does in
 * test_client.c, descriptors in
 * test_descriptors.c.  "own" is a gateway without -u: same account, nothing gained.
 * "elevated" is alice becoming bob without being asked (-a never), for who is
 * asked does not change what is inherited.
 */
#include "cleanup.h"
#include "gateway_scene.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN	 RUN_WORDS("-T")
#define ELEVATED RUN_WORDS("-u", "bob", "-a", "never")

/* The same for a whole gateway with one client: alice. */
static void report(struct run *ret, const char *const *options)
{
	gateway_start(&gateway, options);
	dive(ret, &(struct run_options){ .account = "alice" }, RUN_WORDS(SHOW));
	gateway_stop(&gateway);
}

/* --- identity ---------------------------------------------------------------------- */

/* covers: dived -u -P */
static void test_ids_are_all_the_targets(void **state)
{
	static const struct {
		const char *what;
		const char *options[5];
		struct run_options client;
		const char *uid, *gid, *groups;
	} cases[] = {
		{ "own account",
		  { "-T" },
		  { .account = "alice" },
		  "2001 2001 2001 2001",
		  "2001 2001 2001 2001",
		  "29 2001" },
		{ "another", /* alice's own groups (29) are not bob's */
		  { "-u", "bob", "-a", "never" },
		  { .account = "alice" },
		  "2002 2002 2002 2002",
		  "2002 2002 2002 2002",
		  "44 2002" },
		{ "by number",
		  { "-u", "2002", "-a", "never" },
		  { .account = "alice" },
		  "2002 2002 2002 2002",
		  "2002 2002 2002 2002",
		  "44 2002" },
		{ "the gid that the kernel reports",
		  { "-T" },
		  { .uid = SANDBOX_UID_ALICE, .gid = SANDBOX_UID_CAROL },
		  "2001 2001 2001 2001",
		  "2003 2003 2003 2003",
		  "29 2003" },
		{ "as dived",
		  { "-P", "-a", "never" },
		  { .account = "alice" },
		  "0 0 0 0",
		  "0 0 0 0",
		  "" },
		{ "without PAM",
		  { "-u", "bob", "--no-pam" },
		  { .account = "alice" },
		  "2002 2002 2002 2002",
		  "2002 2002 2002 2002",
		  "44 2002" },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		gateway_start(&gateway, cases[i].options);
		dive(&command, &cases[i].client, RUN_WORDS(SHOW));
		show_expect(command.out, "Uid", cases[i].uid);
		show_expect(command.out, "Gid", cases[i].gid);
		show_expect(command.out, "Groups", cases[i].groups);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* The target as it is at the spawn, not as it was when dived started. */
static void test_target_is_looked_up_each_time(void **state)
{
	static const struct {
		uid_t uid;
		const char *ids, *line;
	} cases[] = {
		{ 2020, "2020 2020 2020 2020", "env:SHELL=/bin/sh" },
		{ 2021, "2021 2021 2021 2021", "env:SHELL=/bin/bash" },
	};
	struct run command;

	(void)state;
	sandbox_account("eve", 2020, NULL, "/bin/sh");
	gateway_start(&gateway, RUN_WORDS("-u", "eve", "-a", "never"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		sandbox_account("eve", cases[i].uid, NULL, strchr(cases[i].line, '=') + 1);
		dive(&command, &(struct run_options){ .account = "alice" }, RUN_WORDS(SHOW));
		show_expect(command.out, "Uid", cases[i].ids);
		show_expect(command.out, "Gid", cases[i].ids);
		show_expect_line(command.out, cases[i].line, true);
		run_done(&command);
	}
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("userdel", "eve") });
	run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway, RUN_WORDS(SHOW));
	run_assert_status(&command, 77);
	assert_string_equal(command.out, "");
	run_done(&command);
	gateway_stop(&gateway);
}

/* pam_group adds one at pam_setcred(3), after initgroups(3). */
static void test_groups_of_pam_are_added(void **state)
{
	struct run command;

	(void)state;
	sandbox_write("/etc/security/group.conf", 0644, "dive-groups;*;bob;Al0000-2400;floppy\n");
	sandbox_service("dive-groups", "auth optional pam_group.so\n" SANDBOX_SERVICE);
	report(&command, RUN_WORDS("-x", "dive-groups", "-u", "bob", "-a", "never"));
	show_expect(command.out, "Groups", "25 44 2002");
	run_done(&command);
}

static void test_privileges_do_not_remain(void **state)
{
	static const char none[] = "0000000000000000";
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		report(&command, both[i]);
		for (size_t j = 0; j < ARRAY_LEN(sets); j++)
			show_expect(command.out, sets[j], none);
		show_expect(command.out, "regained", "0");
		show_expect(command.out, "NoNewPrivs", "0");
		run_done(&command);
	}
	/* That root's program can: the report is able to say so. */
	report(&command, RUN_WORDS("-u", "root", "-a", "never"));
	show_expect(command.out, "regained", "5");
	assert_string_not_equal(show_get(command.out, "CapEff"), none);
	run_done(&command);
}

static void test_process_is_a_session_of_its_own(void **state)
{
	struct run command;

	(void)state;
	report(&command, OWN);
	show_expect(command.out, "session", "own");
	show_expect(command.out, "group", "own");
	show_expect(command.out, "parent", "dived: session");
	show_expect(command.out, "terminal", "no");
	run_done(&command);
	report(&command, RUN_WORDS("-S"));
	show_expect(command.out, "session", "other");
	show_expect(command.out, "group", "own");
	run_done(&command);
}

/* A session keyring made for this spawn and belonging to the target. */
static void test_keyring_is_fresh(void **state)
{
	struct run first;
	struct run second;

	(void)state;
	gateway_start(&gateway, ELEVATED);
	dive(&first, &(struct run_options){ .account = "alice" }, RUN_WORDS(SHOW));
	dive(&second, &(struct run_options){ .account = "alice" }, RUN_WORDS(SHOW));
	gateway_stop(&gateway);
	assert_string_not_equal(show_get(first.out, "keyring"), show_get(second.out, "keyring"));
	assert_int_equal(strncmp(show_get(first.out, "keyring-is"), "keyring;2002;2002;", 18), 0);
	run_done(&first);
	run_done(&second);
}

static void test_login_uid_is_the_clients(void **state)
{
	static const char *const values[] = { "2001", "2003", "4294967295" };
	struct run command;

	(void)state;
	gateway_start(&gateway, ELEVATED);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		dive(&command, &(struct run_options){ .account = "alice", .login_uid = values[i] },
		     RUN_WORDS(SHOW));
		show_expect(command.out, "loginuid", values[i]);
		run_done(&command);
	}
	gateway_stop(&gateway);
}

/* --- signals, limits, umask, directory --------------------------------------------------- */

/* dive itself blocked and ignored everything: of that HUP, INT and QUIT stay ignored. */
static void test_signals_are_default(void **state)
{
	static const char none[] = "0000000000000000";
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		gateway_start(&gateway, both[i]);
		dive(&command, &(struct run_options){ .account = "alice" }, RUN_WORDS(SHOW));
		show_expect(command.out, "SigBlk", none);
		show_expect(command.out, "SigIgn", none);
		run_done(&command);
		run(&command,
		    &(struct run_options){ .account = "alice",
					   .argv = RUN_WORDS(SHOW, "shield", sandbox_dive(),
							     gateway.address, SHOW) });
		run_assert_status(&command, 0);
		show_expect(command.out, "SigBlk", none);
		show_expect(command.out, "SigIgn", "0000000000000007"); /* HUP INT QUIT */
		run_done(&command);
		gateway_stop(&gateway);
	}
}

static void test_limits_are_pams(void **state)
{
	char line[64];
	struct run command;
	struct rlimit own;

	(void)state;
	sandbox_write("/etc/security/limits.conf", 0644,
		      "bob - nofile 256\nbob soft nproc 300\nbob hard nproc 400\n"
		      "bob - core 0\nbob - fsize 1000\nalice - nofile 77\n");
	MUST(getrlimit(RLIMIT_STACK, &own));
	report(&command, ELEVATED);
	(void)snprintf(line, sizeof(line), "limit%d",
		       (int)RLIMIT_NOFILE); /* fits, as those below */
	show_expect(command.out, line, "256 256");
	(void)snprintf(line, sizeof(line), "limit%d", (int)RLIMIT_NPROC);
	show_expect(command.out, line, "300 400");
	(void)snprintf(line, sizeof(line), "limit%d", (int)RLIMIT_FSIZE);
	show_expect(command.out, line, "1024000 1024000");
	(void)snprintf(line, sizeof(line), "limit%d=%lld %lld", (int)RLIMIT_STACK,
		       (long long)own.rlim_cur, (long long)own.rlim_max);
	show_expect_line(command.out, line, true);
	run_done(&command);
	sandbox_write("/etc/security/limits.conf", 0644, "%s", "");
}

static void test_umask_rules(void **state)
{
	static const struct {
		const char *what;
		const char *options[8];
		const char *client;
		const char *is;
	} cases[] = {
		{ "the client's", { "-T" }, "0007", "0007" },
		{ "looser than 022, own account", { "-T" }, "0", "0000" },
		{ "looser than 022, elevated", { "-u", "bob", "-a", "never" }, "0", "0022" },
		{ "half as loose, elevated", { "-u", "bob", "-a", "never" }, "0051", "0073" },
		{ "stricter, elevated", { "-u", "bob", "-a", "never" }, "0077", "0077" },
		{ "-M: dived's", { "-M" }, "0077", "0022" },
		{ "pam_umask", { "-x", "dive-umask" }, "0077", "0002" },
		{ "pam_umask, elevated",
		  { "-x", "dive-umask", "-u", "bob", "-a", "never" },
		  "0077",
		  "0002" },
		{ "pam_umask and -M", { "-x", "dive-umask", "-M" }, "0077", "0002" },
	};
	struct run command;

	(void)state;
	sandbox_service("dive-umask", SANDBOX_SERVICE "session required pam_umask.so umask=002\n");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		gateway_start(&gateway, cases[i].options);
		run(&command, &(struct run_options){
				      .account = "alice",
				      .argv = RUN_WORDS(SHOW, "umask", cases[i].client,
							sandbox_dive(), gateway.address, SHOW) });
		run_assert_status(&command, 0);
		show_expect(command.out, "Umask", cases[i].is);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

static void test_directory_rules(void **state)
{
	static const struct {
		const char *what;
		const char *options[6];
		const char *words[4];
		const char *is;
	} cases[] = {
		{ "the client's", { "-T" }, { SHOW }, "/home/alice/a room" },
		{ "one the target cannot name",
		  { "-u", "bob", "-a", "never" },
		  { SHOW },
		  "/home/alice/a room" },
		{ "-H: where dived was started", { "-H" }, { SHOW }, "/run/dive-test/start" },
		{ "-l: the target's home",
		  { "-u", "bob", "-a", "never" },
		  { "-l", SHOW },
		  "/home/bob" },
		{ "-l with -H: the administrator's",
		  { "-H" },
		  { "-l", SHOW },
		  "/run/dive-test/start" },
	};
	struct run command;

	(void)state;
	MUST(mkdir("/home/alice/a room", 0700));
	MUST(chown("/home/alice/a room", SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
	MUST(mkdir("/run/dive-test/start", 0755));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		gateway_start_with(&gateway,
				   &(struct run_options){ .directory = "/run/dive-test/start" },
				   cases[i].options);
		dive(&command,
		     &(struct run_options){ .account = "alice", .directory = "/home/alice/a room" },
		     cases[i].words);
		show_expect(command.out, "cwd", cases[i].is);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

static int setup(void **state)
{
	int result = show_group_setup(state);

	sandbox_account_line("/etc/group", "audio", "audio:x:29:alice");
	sandbox_account_line("/etc/group", "video", "video:x:44:bob");
	sandbox_account_line("/etc/group", "floppy", "floppy:x:25:");
	return result;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ids_are_all_the_targets),
		TEST(test_target_is_looked_up_each_time),
		TEST(test_groups_of_pam_are_added),
		TEST(test_privileges_do_not_remain),
		TEST(test_process_is_a_session_of_its_own),
		TEST(test_keyring_is_fresh),
		TEST(test_login_uid_is_the_clients),
		TEST(test_signals_are_default),
		TEST(test_limits_are_pams),
		TEST(test_umask_rules),
		TEST(test_directory_rules),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
