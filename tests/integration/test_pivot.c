/*
 * -V: pivot_root(2) in a mount namespace of each program's own.
 */
#include "jail_scene.h"

#include <sys/mount.h>

#define ROOTED "-u", "root", UNASKED

static void test_root_is_the_new_one(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-V", JAIL, "."));
	expect_place(&(struct run_options){ .account = "alice", .directory = OUTSIDE }, JAIL,
		     OUTSIDE);
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("-V", JAIL, ".", "-H", "-h", OUTSIDE));
	expect_place(&alice, JAIL, OUTSIDE);
	gateway_stop(&gateway);
	gateway_start_with(&gateway, &(struct run_options){ .directory = TOP },
			   RUN_WORDS("-V", "jail", "old", "-H", "-h", "jail/inner"));
	expect_place(&alice, JAIL, JAIL "/inner");
	gateway_stop(&gateway);
}

/* A relative OLD is below NEW, wherever dived was started; there the old root is seen. */
static void test_old_root(void **state)
{
	static const struct {
		const char *old;
		const char *sees;
	} cases[] = {
		{ "old", "jail\n" OUTSIDE "/only-outside\n" },
		{ "./old", "jail\n" OUTSIDE "/only-outside\n" },
		{ JAIL "/old", "jail\n" OUTSIDE "/only-outside\n" },
		{ ".", "jail\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].old);
		gateway_start_with(&gateway, &(struct run_options){ .directory = "/usr" },
				   RUN_WORDS("-V", JAIL, cases[i].old, "-H", "-h", JAIL));
		expect_output(&alice,
			      RUN_WORDS(IN_SH, MARK "; cd /old; for i in ." OUTSIDE "/*; do "
						    "[ ! -f $i ] || echo ${i#.}; done"),
			      cases[i].sees);
		gateway_stop(&gateway);
	}
}

/* What is left of the old root when it is not kept: nothing, for root either. */
static void test_old_root_is_gone(void **state)
{
	static const char *const gone[] = { "/run", "/etc", "/sys", "/home" };
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-V", JAIL, ".", ROOTED, "-H", "-h", JAIL));
	dive(&command, &alice, RUN_WORDS(IN_SH, "cut -d' ' -f5 /proc/self/mountinfo | sort -u"));
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		assert_null(strstr(command.out, gone[i]));
	assert_ptr_equal(strstr(command.out, "/\n"), command.out);
	assert_non_null(strstr(command.out, "/proc\n"));
	run_done(&command);
	gateway_stop(&gateway);
}

/* A directory below NEW is one below the new root, and leads nowhere else. */
static void test_directory_inside(void **state)
{
	static const char *const olds[] = { ".", "old" };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(olds); i++) {
		print_message("case: %s\n", olds[i]);
		gateway_start(&gateway,
			      RUN_WORDS("-V", JAIL, olds[i], "-H", "-h", JAIL "/inner/bin"));
		expect_output(&alice, RUN_WORDS(IN_SH, "pwd; cd ../../../../..; pwd; " MARK),
			      "/inner/bin\n/\njail\n");
		dive(&command, &alice, RUN_WORDS(SHOW));
		show_expect(command.out, "cwd", "/inner/bin");
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* One for each program, and none for dived. */
static void test_namespace_is_each_programs(void **state)
{
	struct run first, second;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-V", JAIL, "."));
	dive(&first, &alice, RUN_WORDS(SHOW));
	dive(&second, &alice, RUN_WORDS(SHOW));
	expect_others(first.out, MNT);
	expect_inodes(first.out, ALL & ~(unsigned)MNT, 0);
	expect_others(second.out, MNT);
	assert_int_equal(inode_of(gateway.pid, 0), inode_of(0, 0));
	run_done(&first);
	run_done(&second);
	gateway_stop(&gateway);
}

/* The tree is a shared one: what is mounted here would be mounted there. */
static void test_mounts_are_private(void **state)
{
	struct run command;

	(void)state;
	MUST(mount("tmpfs", JAIL "/inner", "tmpfs", 0, "mode=0755"));
	MUST(mount(NULL, JAIL "/inner", NULL, MS_SHARED, NULL));
	MUST(mount(NULL, "/run", NULL, MS_SHARED, NULL));
	MUST(mkdir(JAIL "/inner/a", 0755));
	gateway_start(&gateway, RUN_WORDS("-V", JAIL, ".", ROOTED, "-H", "-h", JAIL));
	dive(&command, &alice,
	     RUN_WORDS(IN_SH, "mount -t tmpfs inside /inner/a && >/inner/a/file; ls /inner/a"));
	assert_string_equal(command.out, "file\n");
	run_done(&command);
	assert_int_equal(access(JAIL "/inner/a/file", F_OK), -1);
	/* Nor for the next program. */
	expect_output(&alice, RUN_WORDS(IN_SH, "ls /inner/a"), "");
	gateway_stop(&gateway);
	/* And NEW is no mount of the machine's. */
	assert_null(strstr(content_of("/proc/self/mounts"), JAIL " "));
	MUST(mount(NULL, "/run", NULL, MS_PRIVATE, NULL));
	MUST(umount2(JAIL "/inner", MNT_DETACH));
}

static void test_in_new_namespaces(void **state)
{
	(void)state;
	gateway_start(&gateway,
		      RUN_WORDS("-s", "mnt,pid,uts", "-V", JAIL, "old", "-H", "-h", JAIL));
	expect_output(&alice, RUN_WORDS(IN_SH, MARK "; cat /old" OUTSIDE "/only-outside"),
		      "jail\n");
	gateway_stop(&gateway);
	/* Root of a user namespace may, too; the mounts are those of the namespace. */
	gateway_start(&gateway, RUN_WORDS("-s", "mnt,user", "-tt", "-V", JAIL, ".", ROOTED, "-H",
					  "-h", JAIL));
	expect_output(&alice, RUN_WORDS(IN_SH, MARK), "jail\n");
	gateway_stop(&gateway);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *old;
		const char *text;
	} cases[] = {
		{ "missing", "(root): " JAIL ": No such file or directory" },
		{ "mark", "(root): " JAIL ": Not a directory" },
		{ OUTSIDE, "(root): " JAIL ": Invalid argument" }, /* not below NEW */
		{ "../outside", "(root): " JAIL ": Invalid argument" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].old);
		gateway_start(&gateway, RUN_WORDS("-V", JAIL, cases[i].old));
		expect_refused(&alice, RUN_WORDS(SHOW), cases[i].text);
		gateway_stop(&gateway);
	}
	gateway_expect_refusal(RUN_WORDS("@refused", "-V", JAIL), "-V");
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_root_is_the_new_one),	       TEST(test_old_root),
		TEST(test_old_root_is_gone),	       TEST(test_directory_inside),
		TEST(test_namespace_is_each_programs), TEST(test_mounts_are_private),
		TEST(test_in_new_namespaces),	       TEST(test_refusals),
	};

	return cmocka_run_group_tests(tests, jail_group_setup, sandbox_group_teardown);
}
