/*
 * -N and --setns-pid: what is not joined.
 *
 * A number that has become another process's, a file that has become something else,
 * and namespaces over which somebody has power who is not root; at start-up, and at each
 * spawn, where things have changed since.
 */
#include "container_scene.h"
#include "deadline.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define NET_FILE FILE_OF "net"
#define NOT_ROOT "belongs to a user namespace that root did not create"
#define GONE	 "namespace gone"

static const char *const true_words[] = { "/bin/true", NULL };

/* Serves with this option while the test goes on. */
static void start_with(const char *option, const char *value)
{
	gateway_start(&gateway, RUN_WORDS(option, value));
	expect_output(&alice, true_words, "");
}

static void expect_start_refused(const char *option, const char *value, const char *text)
{
	print_message("case: %s %s\n", option, value);
	gateway_expect_refusal(RUN_WORDS("@refused", option, value), text);
	/* --check says the same. */
	gateway_expect_refusal(RUN_WORDS("--check", "@refused", option, value), text);
}

/* --- processes that end ---------------- */

static void test_process_that_has_ended(void **state)
{
	static const char *const forms[][2] = {
		{ "--setns-pid", "" }, { "--setns-pid", ":net" }, { "-N", "/net" }, { "-N", "/pid" }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		print_message("case: %s %s\n", forms[i][0], forms[i][1]);
		container_start(
			&box, &(struct container_options){ .flags = CLONE_NEWNET | CLONE_NEWPID });
		start_with(forms[i][0], name_of(&box, forms[i][1]));
		container_stop(&box);
		expect_refused(&alice, true_words, GONE);
		expect_refused(&alice, true_words, forms[i][0]);
		gateway_stop(&gateway);
	}
}

/* It was in no other namespace when it ended, and there is nothing to be entered for that. */
static void test_own_namespaces_of_a_process_that_has_ended(void **state)
{
	(void)state;
	container_start(&box, &(struct container_options){ .flags = 0 });
	start_with("--setns-pid", name_of(&box, ""));
	container_stop(&box);
	expect_refused(&alice, true_words, GONE);
	gateway_stop(&gateway);
}

/*
 * Another process with its number, in another network: the number is asked for, and
 * free because it has just been given up.
 */
static void test_number_of_another_process(void **state)
{
	static const char *const forms[][2] = { { "--setns-pid", "" },
						{ "--setns-pid", ":net" },
						{ "-N", "/net" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		pid_t number;

		print_message("case: %s %s\n", forms[i][0], forms[i][1]);
		container_start(&box, &(struct container_options){ .flags = CLONE_NEWNET });
		start_with(forms[i][0], name_of(&box, forms[i][1]));
		number = box.pid;
		container_stop(&box);
		container_start(&box, &(struct container_options){ .flags = CLONE_NEWNET,
								   .number = number });
		assert_int_equal(box.pid, number);
		assert_int_not_equal(inode_of(number, 1), inode_of(0, 1));
		expect_refused(&alice, true_words, GONE);
		gateway_stop(&gateway);
		container_stop(&box);
	}
}

/* --- files that are none ---------------- */

static void test_not_a_namespace(void **state)
{
	static const char fifo[] = "/run/dive-test/fifo";
	static const struct {
		const char *option;
		const char *value;
		const char *text;
	} cases[] = {
		{ "-N", "/etc/passwd", "not a namespace" },
		{ "-N", "/etc", "not a namespace" },
		{ "-N", "/dev/zero", "not a namespace" },
		{ "-N", fifo, "not a namespace" },
		{ "-N", "/proc/self/status", "not a namespace" },
		{ "-N", "/run/dive-test/missing", GONE },
		{ "-N", "proc/self/ns/net", "not an absolute path" },
		{ "-N", "/proc/4194303/ns/net", "there is no such process" },
		{ "-N", "/proc/0/ns/net", "not a process id" },
		{ "-N", "/proc/99999999999999999999/ns/net", "not a process id" },
		{ "--setns-pid", "4194303", "there is no such process" },
		{ "--setns-pid", "4194303:net", "there is no such process" },
		{ "--setns-pid", "0", "not of the form PID[:LIST]" },
		{ "--setns-pid", "-1", "not of the form PID[:LIST]" },
		{ "--setns-pid", " 1", "not of the form PID[:LIST]" },
		{ "--setns-pid", "self", "not of the form PID[:LIST]" },
		{ "--setns-pid", "1:nets", "no namespace" },
		{ "--setns-pid", "1:", "no namespace" },
		{ "--setns-pid", "1:net,", "no namespace" },
	};

	(void)state;
	MUST(mkfifo(fifo, 0600));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_start_refused(cases[i].option, cases[i].value, cases[i].text);
}

/* The program would be root of the host where somebody else says what it executes. */
static void test_ids_of_root_are_not_taken_in(void **state)
{
	static const char refused[] = "a user namespace, in which -P would leave programs the ids";
	static const char *const argv[][2] = { { "-P" }, { "-P", "--no-pam" } };

	(void)state;
	container_start(&box, &(struct container_options){ .flags = CLONE_NEWUSER | CLONE_NEWUTS,
							   .map = "0 100000 65536" });
	for (size_t i = 0; i < ARRAY_LEN(argv); i++) {
		gateway_expect_refusal(RUN_WORDS("@refused", "--setns-pid", name_of(&box, ""),
						 argv[i][0], argv[i][1]),
				       refused);
		gateway_expect_refusal(
			RUN_WORDS("@refused", "-N", name_of(&box, "/user"), argv[i][0], argv[i][1]),
			refused);
	}
	gateway_start(&gateway,
		      RUN_WORDS("--setns-pid", name_of(&box, ""), "-P", "--allow-insecure"));
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ":uts"), "-P"));
	gateway_stop(&gateway);
}

/* Root of that user namespace, and not of the host, has mounted what is found there. */
static void test_mounts_without_their_user_namespace(void **state)
{
	static const char refused[] =
		"the mount namespace belongs to a user namespace that is not entered with it";
	const struct container_options options = { .flags = CLONE_NEWUSER | CLONE_NEWNS,
						   .map = "0 100000 65536" };

	(void)state;
	container_start(&box, &options);
	container_start(&other, &options);
	expect_start_refused("--setns-pid", name_of(&box, ":mnt"), refused);
	expect_start_refused("-N", name_of(&box, "/mnt"), refused);
	gateway_expect_refusal(
		RUN_WORDS("@refused", "-N", name_of(&box, "/mnt"), "-N", name_of(&other, "/user")),
		refused);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ":mnt,user")));
	gateway_stop(&gateway);
}

static void test_two_of_a_kind(void **state)
{
	static const char second[] = "a second namespace of one kind";
	static const char made[] = "joins a namespace of this kind";

	(void)state;
	start_box(NULL);
	container_start(&other, &(struct container_options){ .flags = CLONE_NEWNET });
	gateway_expect_refusal(
		RUN_WORDS("@refused", "-N", name_of(&box, "/net"), "-N", name_of(&other, "/net")),
		second);
	gateway_expect_refusal(RUN_WORDS("@refused", "-N", name_of(&box, "/net"), "--setns-pid",
					 name_of(&box, "")),
			       second);
	gateway_expect_refusal(RUN_WORDS("@refused", "--setns-pid", name_of(&box, ":uts,net"),
					 "--setns-pid", name_of(&other, ":net")),
			       second);
	gateway_expect_refusal(RUN_WORDS("@refused", "-s", "net", "-N", name_of(&other, "/net")),
			       made);
	gateway_expect_refusal(RUN_WORDS("@refused", "--setns-pid", name_of(&box, ""), "-s", "uts"),
			       made);
}

/* A mount whose file is of another kind by now, or is no namespace any more. */
static void test_file_that_changes(void **state)
{
	(void)state;
	start_box(NULL);
	mount_namespace(&box, "net", NET_FILE);
	start_with("-N", NET_FILE);
	unmount_namespace(NET_FILE);
	expect_refused(&alice, true_words, GONE);
	mount_namespace(&box, "uts", NET_FILE);
	expect_refused(&alice, true_words, "not a namespace of the kind");
	unmount_namespace(NET_FILE);
	sandbox_write(NET_FILE, 0644, "%s", "");
	expect_refused(&alice, true_words, "not a namespace");
	MUST(unlink(NET_FILE));
	MUST(mkfifo(NET_FILE, 0600)); /* which nobody waits at */
	expect_refused(&alice, true_words, "not a namespace");
	MUST(unlink(NET_FILE));
	mount_namespace(&box, "net", NET_FILE);
	expect_output(&alice, true_words, "");
	unmount_namespace(NET_FILE);
	gateway_stop(&gateway);
}

/* Links to those of a process by another name: nothing would tie them to the process. */
static void test_links_to_a_process(void **state)
{
	static const char text[] = "the namespace of a process, which may end";
	char around[128];

	(void)state;
	start_box(NULL);
	MUST(symlink(name_of(&box, "/net"), NET_FILE));
	expect_start_refused("-N", NET_FILE, text);
	MUST(unlink(NET_FILE));
	(void)snprintf(around, sizeof(around), "/proc/../proc/%d/ns/net", box.pid); /* fits */
	expect_start_refused("-N", around, text);
	(void)snprintf(around, sizeof(around), "//proc/%d/ns/net", box.pid);
	expect_start_refused("-N", around, text);
	/* A mount that is replaced by a link later on. */
	mount_namespace(&box, "net", NET_FILE);
	start_with("-N", NET_FILE);
	unmount_namespace(NET_FILE);
	MUST(symlink(name_of(&box, "/net"), NET_FILE));
	expect_refused(&alice, true_words, text);
	MUST(unlink(NET_FILE));
	gateway_stop(&gateway);
}

/* --- namespaces in somebody else's power ---------------- */

#define HERS (CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS)

static void test_namespaces_of_alice(void **state)
{
	static const char *const forms[][2] = {
		{ "--setns-pid", "" }, { "--setns-pid", ":net" }, { "--setns-pid", ":user" },
		{ "-N", "/net" },      { "-N", "/user" },	  { "-N", "/pid" }
	};

	(void)state;
	/* With a map of root's that makes her somebody. */
	container_start(&box, &(struct container_options){
				      .flags = HERS, .account = "alice", .map = "0 2001 1" });
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		expect_start_refused(forms[i][0], name_of(&box, forms[i][1]), NOT_ROOT);
	mount_namespace(&box, "net", NET_FILE);
	expect_start_refused("-N", NET_FILE, NOT_ROOT);
	unmount_namespace(NET_FILE);
}

/* A file that is root's at start-up and hers at the spawn. */
static void test_file_becomes_alices(void **state)
{
	(void)state;
	start_box(NULL);
	container_start(&other, &(struct container_options){ .flags = HERS, .account = "alice" });
	mount_namespace(&box, "net", NET_FILE);
	start_with("-N", NET_FILE);
	unmount_namespace(NET_FILE);
	mount_namespace(&other, "net", NET_FILE);
	expect_refused(&alice, true_words, NOT_ROOT);
	unmount_namespace(NET_FILE);
	gateway_stop(&gateway);
}

/*
 * A process in dived's own namespaces at start-up, that moves out afterwards: to where it
 * has power, or to where alice would be somebody else without being asked.
 */
static void test_process_moves(void **state)
{
	static const struct {
		const char *account;
		const char *form[2];
		const char *text;
	} cases[] = {
		{ "alice", { "--setns-pid", "" }, NOT_ROOT },
		{ "alice", { "-N", "/net" }, NOT_ROOT },
		{ NULL, { "--setns-pid", "" }, "has entered a user namespace since start-up" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run command;
		struct container moving = { 0 };
		int64_t deadline = deadline_after(10000);
		int ends[2];

		print_message("case: %s, %s\n", cases[i].form[0], cases[i].text);
		MUST(pipe2(ends, O_CLOEXEC));
		run_start(&command, &(struct run_options){
					    .account = cases[i].account,
					    .argv = RUN_WORDS("/bin/sh", "-c",
							      "echo there; read x; exec unshare "
							      "-U -n sleep 1000"),
					    .fds = &(struct run_fd){ ends[0], 0 },
					    .fd_count = 1 });
		close_fd(&ends[0]);
		run_expect(&command, "there");
		moving.pid = command.pid;
		start_with(cases[i].form[0], name_of(&moving, cases[i].form[1]));
		MUST(write(ends[1], "\n", 1));
		close_fd(&ends[1]);
		while (inode_of(moving.pid, 1) == inode_of(0, 1)) {
			assert_false(deadline_passed(deadline));
			(void)poll(NULL, 0, 5);
		}
		expect_refused(&alice, true_words, cases[i].text);
		gateway_stop(&gateway);
		run_done(&command);
	}
}

/* Made by root, but within hers, over all of which she has power. */
static void test_namespace_within_alices(void **state)
{
	(void)state;
	container_start(&box, &(struct container_options){
				      .flags = HERS, .account = "alice", .map = EVERY_ID });
	container_start(&other, &(struct container_options){ .flags = CLONE_NEWUSER | CLONE_NEWNET,
							     .within = box.pid });
	expect_start_refused("-N", name_of(&other, "/net"), NOT_ROOT);
	expect_start_refused("--setns-pid", name_of(&other, ":user,net"), NOT_ROOT);
}

/* Her own dived may: it gives her nothing that she has not. */
static void test_namespaces_of_a_dived_of_alices(void **state)
{
	static const char text[] = "dived lacks CAP_SYS_ADMIN, for -N and --setns-pid";

	(void)state;
	container_start(&box, &(struct container_options){ .flags = HERS, .account = "alice" });
	struct run command;

	run(&command, &(struct run_options){ .account = "alice",
					     .argv = RUN_WORDS(sandbox_dived(), "@refused", "-N",
							       name_of(&box, "/net")) });
	run_assert_status(&command, 4);
	if (!strstr(command.err, text))
		FAIL("\"%s\" is not in:\n%s", text, command.err);
	run_done(&command);
}

#define TEST(name) cmocka_unit_test_teardown(name, container_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_process_that_has_ended),
		TEST(test_own_namespaces_of_a_process_that_has_ended),
		TEST(test_number_of_another_process),
		TEST(test_not_a_namespace),
		TEST(test_ids_of_root_are_not_taken_in),
		TEST(test_mounts_without_their_user_namespace),
		TEST(test_two_of_a_kind),
		TEST(test_file_that_changes),
		TEST(test_links_to_a_process),
		TEST(test_namespaces_of_alice),
		TEST(test_file_becomes_alices),
		TEST(test_process_moves),
		TEST(test_namespace_within_alices),
		TEST(test_namespaces_of_a_dived_of_alices),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
