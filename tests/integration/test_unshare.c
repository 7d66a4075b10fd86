/*
 * -s: every kind of namespace, alone and all together, with the real kernel.
 *
 * They are new, shared by the programs of one gateway, and apart from the machine's;
 * dived stays outside.  What is in them lives as long as somebody needs it.  User and
 * time namespaces have more in test_unshare_user.c, --setup is in test_unshare_setup.c.
 */
#include "family.h"
#include "place_scene.h"

#include <signal.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>

#define SHARED "/run/dive-test/shared"

/* --- new, shared, and not dived's ---------------- */

static const struct kind_case {
	const char *list;
	unsigned made;
	const char *options[12];
} kind_cases[] = {
	{ "ipc", IPC, { NULL } },
	{ "net", NET, { NULL } },
	{ "mnt", MNT, { NULL } },
	{ "fs", MNT, { NULL } },
	{ "pid", PID, { NULL } },
	{ "uts", UTS, { NULL } },
	{ "user", USER, { IDENTITY_MAPS } },
	{ "cgroup", CGROUP, { NULL } },
	{ "time", TIME, { NULL } },
	{ "pid,time", PID | TIME, { NULL } },
	{ "user,pid,time", USER | PID | TIME, { IDENTITY_MAPS } },
	{ "ipc,net,fs,pid,uts,cgroup,time", ALL & ~USER, { NULL } },
	{ "ipc,net,mnt,pid,uts,user,cgroup,time", ALL, { IDENTITY_MAPS } },
};

static void start_case(const struct kind_case *item)
{
	const char *options[16] = { "-s", item->list };

	for (size_t i = 0; item->options[i]; i++)
		options[2 + i] = item->options[i];
	gateway_start(&gateway, options);
}

static void check_case(const struct kind_case *item)
{
	struct run first, second;

	dive(&first, &alice, RUN_WORDS(SHOW));
	dive(&second, &(struct run_options){ .account = "bob" }, RUN_WORDS(SHOW));
	expect_others(first.out, item->made);
	expect_inodes(first.out, ALL & ~item->made, 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		assert_int_equal(shown_inode(first.out, i), shown_inode(second.out, i));
		assert_int_equal(inode_of(gateway.pid, i), inode_of(0, i));
	}
	/* The machine's accounts are the machine's, wherever a program runs. */
	show_expect(first.out, "Uid", "2001 2001 2001 2001");
	show_expect(second.out, "Gid", "2002 2002 2002 2002");
	show_expect(first.out, "CapEff", "0000000000000000");
	show_expect(first.out, "regained", "0");
	assert_string_not_equal(show_get(first.out, "getpid"), "1");
	run_done(&first);
	run_done(&second);
}

static void test_each_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kind_cases); i++) {
		print_message("case: -s %s\n", kind_cases[i].list);
		start_case(&kind_cases[i]);
		check_case(&kind_cases[i]);
		gateway_stop(&gateway);
		family_await(HOLDER, 0);
	}
}

/* Two gateways have nothing in common, nor has one with itself after a restart. */
static void test_each_gateway_has_its_own(void **state)
{
	struct run first, second;
	struct gateway other;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "uts"));
	dive(&first, &alice, RUN_WORDS(SHOW));
	other = gateway;
	gateway_start(&gateway, RUN_WORDS("-s", "uts"));
	dive(&second, &alice, RUN_WORDS(SHOW));
	assert_int_not_equal(shown_inode(first.out, 5), shown_inode(second.out, 5));
	run_done(&first);
	run_done(&second);
	gateway_stop(&gateway);
	gateway = other;
	gateway_stop(&gateway);
}

/* A list may be given in parts; a word that is none is an error. */
static void test_lists(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "uts", "-s", "ipc"));
	dive(&command, &alice, RUN_WORDS(SHOW));
	expect_others(command.out, UTS | IPC);
	run_done(&command);
	gateway_stop(&gateway);
	gateway_expect_refusal(RUN_WORDS("@refused", "-s", "uts,pids"), "pids");
	gateway_expect_refusal(RUN_WORDS("@refused", "-s", ""), "-s");
	gateway_expect_refusal(RUN_WORDS("@refused", "--setup", "/bin/true"), "--setup");
}

static void test_check_makes_none(void **state)
{
	struct run command;

	(void)state;
	sandbox_write("/run/dive-test/trace", 0755, "#!/bin/sh\n>/run/dive-test/traced\n");
	run(&command, &(struct run_options){
			      .argv = RUN_WORDS(sandbox_dived(), "--check", "@checked", "-s",
						"uts,pid", "--setup", "/run/dive-test/trace") });
	run_assert_status(&command, 0);
	run_done(&command);
	assert_int_equal(access("/run/dive-test/traced", F_OK), -1);
}

/* --- apart from the machine's ---------------- */

static void test_hostname(void **state)
{
	char before[256], after[256];

	(void)state;
	MUST(gethostname(before, sizeof(before)));
	gateway_start(&gateway, RUN_WORDS("-s", "uts", "-u", "root", UNASKED));
	expect_output(&alice, RUN_WORDS("/bin/hostname", "inside"), "");
	expect_output(&alice, RUN_WORDS("/bin/hostname"), "inside\n");
	MUST(gethostname(after, sizeof(after)));
	assert_string_equal(before, after);
	gateway_stop(&gateway);
}

static void test_shared_memory(void **state)
{
	int segment = MUST_INT(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666));
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "ipc"));
	dive(&command, &alice,
	     RUN_WORDS("/bin/sh", "-c", "ipcmk -M 77 >&-; grep -c . /proc/sysvipc/shm"));
	assert_string_equal(command.out, "2\n"); /* a heading, and that one */
	run_done(&command);
	expect_output(&alice, RUN_WORDS("/bin/sh", "-c", "grep -c ' 77 ' /proc/sysvipc/shm"),
		      "1\n");
	gateway_stop(&gateway);
	MUST(shmctl(segment, IPC_RMID, NULL));
}

static void test_network(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "net"));
	run_dive(&command, &alice, &gateway, RUN_WORDS(SHOW, "loopback"));
	run_assert_status(&command, 1);
	assert_string_equal(command.out, "loopback=errno 101\n"); /* ENETUNREACH */
	run_done(&command);
	gateway_stop(&gateway);
}

/* The tree is a shared one, as a machine's root often is. */
static void test_mounts_go_neither_in_nor_out(void **state)
{
	struct run command;

	(void)state;
	MUST(mkdir(SHARED, 0755));
	MUST(mount("tmpfs", SHARED, "tmpfs", 0, "mode=0755"));
	MUST(mount(NULL, SHARED, NULL, MS_SHARED, NULL));
	MUST(mkdir(SHARED "/a", 0755));
	MUST(mkdir(SHARED "/b", 0755));
	gateway_start(&gateway, RUN_WORDS("-s", "mnt", "-u", "root", UNASKED));
	dive(&command, &alice,
	     RUN_WORDS("/bin/sh", "-c",
		       "mount -t tmpfs inside " SHARED "/a && echo yes >" SHARED "/a/file"));
	run_done(&command);
	MUST(mount("outside", SHARED "/b", "tmpfs", 0, NULL));
	sandbox_write(SHARED "/b/file", 0644, "yes");
	expect_output(&alice, RUN_WORDS("/bin/sh", "-c", "cat " SHARED "/a/file; ls " SHARED "/b"),
		      "yes\n");
	assert_int_equal(access(SHARED "/a/file", F_OK), -1);
	gateway_stop(&gateway);
	MUST(umount2(SHARED "/b", MNT_DETACH));
	MUST(umount2(SHARED, MNT_DETACH));
	MUST(rmdir(SHARED));
}

/* --- the pid namespace ---------------- */

#define MOUNT_PROC "/run/dive-test/mount-proc"

static void start_with_proc(void)
{
	sandbox_write(MOUNT_PROC, 0755, "#!/bin/sh\nexec mount -t proc proc /proc\n");
	gateway_start(&gateway, RUN_WORDS("-s", "pid,mnt", "--setup", MOUNT_PROC));
}

static void test_first_process_is_the_holder(void **state)
{
	struct run first, second;
	char path[64];

	(void)state;
	start_with_proc();
	expect_output(&alice, RUN_WORDS("/bin/cat", "/proc/1/comm"), HOLDER "\n");
	/* The programs see each other, and nothing outside. */
	run_dive_start(&first, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", show_pid(&first)); /* fits */
	expect_output(&alice, RUN_WORDS("/bin/cat", path), "show\n");
	(void)snprintf(path, sizeof(path), "/proc/%d", getpid());
	dive(&second, &alice, RUN_WORDS("/bin/sh", "-c", "echo /proc/[0-9]*"));
	assert_null(strstr(second.out, path));
	run_done(&second);
	show_end(&first);
	gateway_stop(&gateway);
}

static void test_orphans_are_reaped(void **state)
{
	struct run command;
	char script[256];

	(void)state;
	start_with_proc();
	dive(&command, &alice, RUN_WORDS("/bin/sh", "-c", "sleep 1000 >&- 2>&- & echo $!"));
	(void)snprintf(script, sizeof(script),
		       "pid=%.*s; grep '^PPid:.1$' /proc/$pid/status; kill -9 $pid; "
		       "while [ -e /proc/$pid ]; do sleep 0.01; done",
		       (int)strcspn(command.out, "\n"), command.out); /* fits */
	run_done(&command);
	expect_output(&alice, RUN_WORDS("/bin/sh", "-c", script), "PPid:\t1\n");
	gateway_stop(&gateway);
}

/*
 * Neither root without capabilities nor root of the new user namespace, who has every
 * power over what is in it, gets at the holder's memory, which is dived's.
 */
static void test_holder_is_closed_to_its_namespace(void **state)
{
	static const char *const options[][8] = {
		{ "-s", "pid,mnt", "-u", "root", UNASKED, "-B", "" },
		{ "-s", "pid,mnt,user", "-tt", "-u", "root", UNASKED },
	};

	(void)state;
	sandbox_write(MOUNT_PROC, 0755, "#!/bin/sh\nexec mount -t proc proc /proc\n");
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const char *words[12] = { "--setup", MOUNT_PROC };

		memcpy(words + 2, options[i], sizeof(options[i]));
		gateway_start(&gateway, words);
		expect_output(&alice,
			      RUN_WORDS("/bin/sh", "-c",
					"cat /proc/1/environ /proc/1/maps 2>&-; "
					"readlink /proc/1/exe; kill -9 1; cat /proc/1/comm"),
			      HOLDER "\n");
		gateway_stop(&gateway);
	}
}

/* --- how long they live ---------------- */

static void test_they_outlive_the_listener(void **state)
{
	static const char *const lists[] = { "uts", "pid", "ipc,net,mnt,pid,uts,cgroup,time" };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		print_message("case: -s %s\n", lists[i]);
		gateway_start(&gateway, RUN_WORDS("-s", lists[i]));
		run_dive_start(&command, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
		show_await(&command, "ready ");
		gateway_stop(&gateway);
		family_await(FAMILY_TEMPLATE, 0);
		family_await(HOLDER, 1);
		run_signal(&command, SIGWINCH);
		show_await(&command, "got 28.");
		show_end(&command);
		family_await(HOLDER, 0);
	}
}

static void test_they_outlive_a_killed_listener(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "pid"));
	run_dive_start(&command, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
	show_await(&command, "ready ");
	gateway_kill(&gateway);
	family_await(FAMILY_TEMPLATE, 0);
	family_await(HOLDER, 1);
	show_end(&command);
	family_await(HOLDER, 0);
}

static void test_end_of_the_holder_is_told(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "pid,uts"));
	run_dive_start(&command, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
	show_await(&command, "ready ");
	family_kill(HOLDER);
	run_wait(&command);
	assert_int_equal(command.signal, SIGKILL); /* pid_namespaces(7) */
	run_done(&command);
	gateway_expect_log(&gateway, "the process that keeps the namespaces has ended");
	expect_refused(&alice, RUN_WORDS(SHOW), "namespace gone");
	gateway_stop(&gateway);
}

/* Without a pid namespace the descriptors are enough. */
static void test_others_do_not_need_the_holder(void **state)
{
	struct run first, second;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-s", "uts,mnt,net"));
	dive(&first, &alice, RUN_WORDS(SHOW));
	family_kill(HOLDER);
	dive(&second, &alice, RUN_WORDS(SHOW));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(shown_inode(first.out, i), shown_inode(second.out, i));
	run_done(&first);
	run_done(&second);
	gateway_stop(&gateway);
}

/* With -F the program is the first process there, and -J runs it alike. */
static void test_single_program_is_pid_1(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-F", "-s", "pid,uts"));
	dive(&command, &alice, RUN_WORDS(SHOW));
	show_expect(command.out, "getpid", "1");
	expect_others(command.out, PID | UTS);
	run_done(&command);
	gateway_stop(&gateway);
	run(&command,
	    &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), "-J", "-s", "pid,time,ipc",
						     "-u", "bob", "--", SHOW) });
	run_assert_status(&command, 0);
	show_expect(command.out, "getpid", "1");
	expect_others(command.out, PID | TIME | IPC);
	run_done(&command);
	run(&command, &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), "-J", "-s",
							       "uts,net", "--", SHOW) });
	run_assert_status(&command, 0);
	expect_others(command.out, UTS | NET);
	run_done(&command);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_kind),
		TEST(test_each_gateway_has_its_own),
		TEST(test_lists),
		TEST(test_check_makes_none),
		TEST(test_hostname),
		TEST(test_shared_memory),
		TEST(test_network),
		TEST(test_mounts_go_neither_in_nor_out),
		TEST(test_first_process_is_the_holder),
		TEST(test_orphans_are_reaped),
		TEST(test_holder_is_closed_to_its_namespace),
		TEST(test_they_outlive_the_listener),
		TEST(test_they_outlive_a_killed_listener),
		TEST(test_end_of_the_holder_is_told),
		TEST(test_others_do_not_need_the_holder),
		TEST(test_single_program_is_pid_1),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
