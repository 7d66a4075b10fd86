/*
 * --setup: once, as root, in the new namespaces, before the first client; and a
 * failure of it, however it comes about, is one of the gateway's.
 *
 * How long it may take is in tests/unit/test_holder.c.
 */
#include "place_scene.h"
#include "text.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#define SETUP "/run/dive-test/setup"
#define EVERY "ipc,net,mnt,pid,uts,user,cgroup,time"

/* The options with a script for --setup. */
static void start_with_script(const char *script, const char *const *more)
{
	const char *options[24] = { "--setup", SETUP };

	sandbox_write(SETUP, 0755, "#!/bin/sh\n%s\n", script);
	for (size_t i = 0; more[i]; i++)
		options[2 + i] = more[i];
	gateway_start(&gateway, options);
}

static void test_loopback_comes_up(void **state)
{
	struct run command;

	(void)state;
	start_with_script("exec " SHOW " up", RUN_WORDS("-s", "net"));
	expect_output(&alice, RUN_WORDS(SHOW, "loopback"), "loopback=works\n");
	expect_output(&(struct run_options){ .account = "bob" }, RUN_WORDS(SHOW, "loopback"),
		      "loopback=works\n");
	gateway_stop(&gateway);
	/* Without a socket, and with a program that is executed in place. */
	run(&command,
	    &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), "-j", "-s", "net", "--setup",
						     SETUP, "--", SHOW, "loopback") });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "loopback=works\n");
	run_done(&command);
}

/* --- what it is given ---------------- */

/* `show` reports to its standard output, which is dived's standard error. */
static void test_what_it_has(void **state)
{
	static const char none[] = "0000000000000000";
	struct run command;
	char line[256];
	const char *report;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", EVERY, IDENTITY_MAPS, "--setup", SHOW));
	dive(&command, &alice, RUN_WORDS(SHOW));
	run_done(&command);
	dive(&command, &alice, RUN_WORDS(SHOW));
	report = gateway_log(&gateway);
	assert_int_equal(text_count(report, "end=of the report"), 1);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(shown_inode(report, i), shown_inode(command.out, i));
	run_done(&command);
	show_expect(report, "Uid", "0 0 0 0");
	show_expect(report, "Gid", "0 0 0 0");
	show_expect(report, "SigBlk", none);
	show_expect(report, "SigIgn", none);
	show_expect(report, "Umask", "0022");
	show_expect(report, "cwd", "/");
	show_expect(report, "session", "own");
	show_expect(report, "fd0", "/dev/null");
	assert_int_equal(text_count(report, "\nfd"), 3);
	assert_int_equal(text_count(report, "\narg"), 1);
	assert_int_equal(text_count(report, "\nenv:"), 2);
	show_expect_line(report,
			 "env:PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			 true);
	(void)snprintf(line, sizeof(line), "env:DIVE_GATEWAY=%s", gateway.address); /* fits */
	show_expect_line(report, line, true);
	gateway_stop(&gateway);
}

/* dived raises its soft limit of descriptors, for itself. */
static void test_limit_is_not_dived_s(void **state)
{
	struct rlimit own, low;
	char line[64];

	(void)state;
	MUST(getrlimit(RLIMIT_NOFILE, &own));
	low = (struct rlimit){ own.rlim_max / 2, own.rlim_max };
	MUST(setrlimit(RLIMIT_NOFILE, &low));
	gateway_start(&gateway, RUN_WORDS("-s", "uts", "--setup", SHOW));
	MUST(setrlimit(RLIMIT_NOFILE, &own));
	(void)snprintf(line, sizeof(line), "limit%d=%llu %llu", (int)RLIMIT_NOFILE,
		       (unsigned long long)low.rlim_cur,
		       (unsigned long long)low.rlim_max); /* fits */
	show_expect_line(gateway_log(&gateway), line, true);
	gateway_stop(&gateway);
}

/* Root of the new user namespace, and nobody outside. */
static void test_root_is_the_namespace_s(void **state)
{
	struct stat status;

	(void)state;
	MUST(mkdir("/run/dive-test/open", 0777));
	MUST(chmod("/run/dive-test/open", 0777));
	start_with_script(": >/run/dive-test/open/made && hostname in",
			  RUN_WORDS("-s", "user,uts", "-t", "uid_map", "0 100000 65536", "-t",
				    "gid_map", "0 100000 65536", UNASKED));
	MUST(stat("/run/dive-test/open/made", &status));
	assert_int_equal(status.st_uid, 100000);
	assert_int_equal(status.st_gid, 100000);
	expect_output(&alice, RUN_WORDS("/bin/hostname"), "in\n");
	gateway_stop(&gateway);
	gateway_expect_refusal(RUN_WORDS("@refused", "-s", "user", "-t", "uid_map", "2001 102001 1",
					 "-t", "gid_map", "2001 102001 1", "--setup", SETUP),
			       "nobody is root in the new user namespace");
}

/* --- what it leaves ---------------- */

/* A mount that only the programs see; names are still looked up in dived's own /etc. */
static void test_mounts_are_for_programs_alone(void **state)
{
	static const struct run_options known = { .account = "alice",
						  .input = SANDBOX_PASSWORD_ALICE "\n" };
	struct run command;

	(void)state;
	sandbox_write("/run/dive-test/passwd", 0644,
		      "root:x:0:0::/:/bin/sh\nbob:x:0:0::/:/bin/false\n");
	start_with_script("mount --bind /run/dive-test/passwd /etc/passwd",
			  RUN_WORDS("-s", "mnt", "-u", "bob"));
	run_dive(&command, &known, &gateway, RUN_WORDS("-S", SHOW));
	run_assert_status(&command, 0);
	show_expect(command.out, "Uid", "2002 2002 2002 2002");
	show_expect_line(command.out, "env:HOME=/home/bob", true);
	run_done(&command);
	gateway_signal(&gateway, SIGHUP); /* which looks names up anew */
	gateway_expect_notify(&gateway, "READY=1");
	run_dive(&command, &known, &gateway,
		 RUN_WORDS("-S", "/bin/sh", "-c", "id -u; grep -c . /etc/passwd"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "2002\n2\n");
	run_done(&command);
	gateway_stop(&gateway);
}

/* What it starts lives there as long as the gateway; what ends there is reaped. */
static void test_processes_it_leaves(void **state)
{
	struct run command;

	(void)state;
	start_with_script("mount -t proc proc /proc\n"
			  "sleep 1000 >&- 2>&- &\n"
			  "pid=$(sh -c 'true >&- 2>&- & echo $!')\n"
			  "until [ ! -e /proc/$pid ] || grep -q '^State:.Z' /proc/$pid/status; do "
			  ":; done",
			  RUN_WORDS("-s", "mnt,pid"));
	dive(&command, &alice, RUN_WORDS("/bin/sh", "-c", "cat /proc/[0-9]*/comm"));
	assert_int_equal(text_count(command.out, "sleep\n"), 1);
	assert_int_equal(text_count(command.out, "true\n") + text_count(command.out, "sh\n"), 1);
	run_done(&command);
	gateway_stop(&gateway);
}

/* --- failures ---------------- */

static void test_failures_end_the_start(void **state)
{
	static const struct {
		const char *script;
		const char *text;
	} cases[] = {
		{ "#!/bin/sh\nexit 3\n", "--setup " SETUP ": exit status 3" },
		{ "#!/bin/sh\nkill -9 $$\n", "--setup " SETUP ": ended by signal 9" },
		{ "#!/bin/none\n", "--setup " SETUP ": No such file or directory" },
		{ "nothing that can be executed", "--setup " SETUP ": Exec format error" },
	};
	static const char *const lists[] = { "uts", "pid", "ipc,net,mnt,pid,uts,cgroup,time" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t j = 0; j < ARRAY_LEN(lists); j++) {
			print_message("case: %s, -s %s\n", cases[i].text, lists[j]);
			sandbox_write(SETUP, 0755, "%s", cases[i].script);
			gateway_expect_refusal(
				RUN_WORDS("@refused", "-s", lists[j], "--setup", SETUP),
				cases[i].text);
		}
}

static void test_files_that_cannot_be_run(void **state)
{
	static const struct {
		const char *file;
		const char *text;
	} cases[] = {
		{ "/run/dive-test/missing", "No such file or directory" },
		{ "/run/dive-test", "not a file that can be executed" },
		{ "/etc/passwd", "Permission denied" },
		{ "bin/true", "not an absolute path" },
		{ "/bin/true x", "No such file or directory" }, /* no arguments, no shell */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].file);
		gateway_expect_refusal(RUN_WORDS("@refused", "-s", "uts", "--setup", cases[i].file),
				       cases[i].text);
	}
	gateway_expect_refusal(RUN_WORDS("@refused", "--setup", "/bin/true"), "without -s");
}

/* With --detach the process that was started passes the failure on. */
static void test_failure_with_detach(void **state)
{
	(void)state;
	sandbox_write(SETUP, 0755, "#!/bin/sh\nexit 5\n");
	gateway_expect_refusal(RUN_WORDS("@refused", "-d", "-s", "pid,uts", "--setup", SETUP),
			       "exit status 5");
}

/* Nobody is left to set up for: the teardown sees that nothing is left of it. */
static void test_stopped_meanwhile(void **state)
{
	static const char *const lists[] = { "uts", "pid" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct run dived;

		print_message("case: -s %s\n", lists[i]);
		(void)unlink("/run/dive-test/begun");
		sandbox_write(SETUP, 0755, "#!/bin/sh\n: >/run/dive-test/begun\nexec sleep 50\n");
		run_start(&dived, &(struct run_options){
					  .argv = RUN_WORDS(sandbox_dived(), "@stopped", "-s",
							    lists[i], "--setup", SETUP) });
		while (access("/run/dive-test/begun", F_OK))
			(void)poll(NULL, 0, 1);
		run_signal(&dived, SIGTERM);
		run_wait(&dived);
		assert_int_equal(dived.signal, SIGTERM);
		run_done(&dived);
		assert_int_equal(sandbox_test_teardown(state), 0);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_loopback_comes_up),
		TEST(test_what_it_has),
		TEST(test_limit_is_not_dived_s),
		TEST(test_root_is_the_namespace_s),
		TEST(test_mounts_are_for_programs_alone),
		TEST(test_processes_it_leaves),
		TEST(test_failures_end_the_start),
		TEST(test_files_that_cannot_be_run),
		TEST(test_failure_with_detach),
		TEST(test_stopped_meanwhile),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
