/*
 * -N and --setns-pid: into namespaces that are there already.
 *
 * What is joined and what is not, that the program is in them from its beginning, and
 * that everything which decides who it is stays in dived's own.  What must not be
 * joined is in test_setns_refused.c.
 */
#include "container_scene.h"
#include "deadline.h"
#include "trail.h"

#include <libaudit.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define HIGH "0 100000 65536"

/* --- what is joined ---------------- */

static void test_all_of_a_process(void **state)
{
	struct run command;

	(void)state;
	start_box(NULL);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, "")));
	dive(&command, &(struct run_options){ .account = "alice", .directory = "/home/alice" },
	     RUN_WORDS("/show"));
	expect_inodes(command.out, ALL, box.pid);
	expect_others(command.out, CONTAINS);
	expect_inodes(command.out, ALL & ~CONTAINS, 0);
	show_expect(command.out, "hostname", "container");
	show_expect(command.out, "Uid", "2001 2001 2001 2001");
	show_expect(command.out, "CapEff", "0000000000000000");
	show_expect(command.out, "parent", "?"); /* which is not in there */
	show_expect(command.out, "session", "own");
	/* The client's own directory, by descriptor: it has no name in there. */
	show_expect(command.out, "cwd", "errno 2");
	assert_true(show_starts(command.out, "fd2="));
	assert_false(show_starts(command.out, "fd3="));
	assert_true(strtol(show_get(command.out, "getpid"), NULL, 10) > 1);
	run_done(&command);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(inode_of(gateway.pid, i), inode_of(0, i));
	gateway_stop(&gateway);
}

static void test_directories_of_the_container(void **state)
{
	(void)state;
	start_box(NULL);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), "-H", "-h", "/etc"));
	expect_output(&alice, RUN_WORDS("/bin/sh", "-c", "pwd; ls; cat /proc/1/comm; ls /"),
		      "/etc\ngroup\npasswd\ncontainer\n"
		      "bin\ndev\netc\nlib\nlib64\nproc\nshow\nusr\n");
	gateway_stop(&gateway);
	gateway_expect_refusal(
		RUN_WORDS("@refused", "--setns-pid", name_of(&box, ""), "-H", "-h", "etc"),
		"not an absolute path");
}

static void test_parts(void **state)
{
	static const struct {
		const char *what;
		const char *options[8]; /* a leading '=': of the container */
		unsigned joined;
	} cases[] = {
		{ "list", { "--setns-pid", "=:net,uts" }, NET | UTS },
		{ "fs", { "--setns-pid", "=:fs,pid" }, MNT | PID },
		{ "file", { "-N", "=/net" }, NET },
		{ "pid alone", { "-N", "=/pid" }, PID },
		{ "files", { "-N", "=/uts", "-N", "=/ipc", "--setns", "=/pid" }, UTS | IPC | PID },
		{ "mount", { "-N", FILE_OF "net" }, NET },
		{ "mounts", { "-N", FILE_OF "net", "-N", FILE_OF "uts" }, NET | UTS },
		{ "both ways",
		  { "-N", FILE_OF "net", "--setns-pid", "=:ipc,mnt,pid" },
		  NET | IPC | MNT | PID },
		{ "with new ones", { "-N", "=/net", "-s", "uts,ipc" }, NET },
		{ "dived's own", { "-N", "/proc/self/ns/net" }, 0 },
		{ "dived's own, and another",
		  { "-N", "/proc/thread-self/ns/user", "-N", "=/uts" },
		  UTS },
	};

	(void)state;
	start_box(NULL);
	mount_namespace(&box, "net", FILE_OF "net");
	mount_namespace(&box, "uts", FILE_OF "uts");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[12] = { NULL };
		struct run command;

		print_message("case: %s\n", cases[i].what);
		for (size_t j = 0; cases[i].options[j]; j++)
			options[j] = *cases[i].options[j] == '='
					     ? name_of(&box, cases[i].options[j] + 1)
					     : cases[i].options[j];
		gateway_start(&gateway, options);
		dive(&command, &alice,
		     RUN_WORDS(cases[i].joined & MNT ? "/show" : "/run/dive-test/show"));
		expect_inodes(command.out, cases[i].joined, box.pid);
		expect_inodes(command.out, ALL & ~cases[i].joined & ~(unsigned)(UTS | IPC), 0);
		if (!strcmp(cases[i].what, "with new ones"))
			expect_others(command.out, UTS | IPC);
		else
			expect_inodes(command.out, ~cases[i].joined & (UTS | IPC), 0);
		run_done(&command);
		gateway_stop(&gateway);
	}
	unmount_namespace(FILE_OF "net");
	unmount_namespace(FILE_OF "uts");
}

/* A mounted namespace needs no process. */
static void test_mount_outlives_its_process(void **state)
{
	struct run command;
	uint64_t inode;

	(void)state;
	start_box(NULL);
	mount_namespace(&box, "net", FILE_OF "net");
	inode = inode_of(box.pid, 1);
	gateway_start(&gateway, RUN_WORDS("-N", FILE_OF "net"));
	container_stop(&box);
	dive(&command, &alice, RUN_WORDS(SHOW));
	assert_int_equal(shown_inode(command.out, 1), inode);
	run_done(&command);
	gateway_stop(&gateway);
	unmount_namespace(FILE_OF "net");
}

/* Made by root with a map: pid, time and user together. */
static void test_user_namespace_of_root(void **state)
{
	struct run command;

	(void)state;
	container_start(&box, &(struct container_options){ .flags = CLONE_NEWUSER | CLONE_NEWPID |
								    CLONE_NEWTIME | CLONE_NEWUTS,
							   .map = HIGH });
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), UNASKED));
	dive(&command, &alice, RUN_WORDS(SHOW));
	expect_inodes(command.out, ALL, box.pid);
	expect_others(command.out, USER | PID | TIME | UTS);
	show_expect(command.out, "Uid", "2001 2001 2001 2001");
	show_expect(command.out, "regained", "0");
	run_done(&command);
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), "-u", "root", UNASKED));
	expect_output(&alice, RUN_WORDS("/bin/sh", "-c", "hostname its; hostname; id -u"),
		      "its\n0\n");
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), UNASKED));
	sandbox_account("dora", 70000, NULL, "/bin/sh");
	expect_refused(&(struct run_options){ .account = "dora" }, RUN_WORDS("/usr/bin/id"),
		       "the user namespace does not hold all of the target's ids");
	gateway_stop(&gateway);
}

/* Her uid in there is that of somebody else outside. */
static void test_asked_where_a_user_namespace_is_joined(void **state)
{
	(void)state;
	container_start(&box, &(struct container_options){ .flags = CLONE_NEWUSER | CLONE_NEWUTS,
							   .map = HIGH });
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, "")));
	expect_refused(&alice, RUN_WORDS("/usr/bin/id"), "the server asks");
	expect_output(&root, RUN_WORDS("/usr/bin/id", "-u"), "0\n");
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ":uts")));
	expect_output(&alice, RUN_WORDS("/usr/bin/id", "-u"), "2001\n");
	gateway_stop(&gateway);
	gateway_expect_refusal(RUN_WORDS("@refused", "-C", "0666", "--environment", "all", "-N",
					 name_of(&box, "/user")),
			       "--environment all: a client would control");
	/* --check says the same. */
	gateway_expect_refusal(RUN_WORDS("--check", "@refused", "-C", "0666", "--environment",
					 "all", "-N", name_of(&box, "/user")),
			       "--environment all: a client would control");
}

/* --- a shell of an administrator's ---------------- */

/* There everybody is root by name; here bob is bob, has his limits and his password. */
static void test_audited_shell(void **state)
{
	static const struct run_options known = { .account = "alice",
						  .input = SANDBOX_PASSWORD_ALICE "\n",
						  .login_uid = "2001" };
	const char *text;

	(void)state;
	sandbox_write("/etc/security/limits.conf", 0644, "bob - nofile 256\n");
	sandbox_account_line("/etc/group", "video", "video:x:44:bob");
	start_box(NULL);
	trail_serve(RUN_WORDS("--setns-pid", name_of(&box, ""), "-u", "bob", "--audit", "require"));
	run_dive(&trail.client, &known, &trail.gateway,
		 RUN_WORDS("-S", "/bin/sh", "-c",
			   "id -u; id -G; ulimit -n; echo $HOME; cat /proc/self/loginuid"));
	run_assert_status(&trail.client, 0);
	assert_string_equal(trail.client.out, "2002\n2002 44\n256\n/home/bob\n2001");
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	trail_assert_text(text, "acct", "bob");
	trail_assert(text, "auid", "2001");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char field[16];

		(void)snprintf(field, sizeof(field), "ns_%s", kinds[i]); /* fits */
		trail_assert_number(text, field, inode_of(box.pid, i));
	}
	(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
	gateway_stop(&trail.gateway);
	sandbox_write("/etc/security/limits.conf", 0644, "%s", "");
}

/* --- a child on its way in ---------------- */

#define CGROUPS "/run/dive-test/cgroups"

static char freezer[64];

static int freezer_teardown(void **state)
{
	int result = container_teardown(state);

	(void)rmdir(freezer); /* where the test has not come so far */
	(void)umount2(CGROUPS, MNT_DETACH);
	(void)rmdir(CGROUPS);
	return result;
}

static const char *in_freezer(const char *name)
{
	return path_in(freezer, name);
}

/* What root of the user namespace of `in` can get at of a process; a bit for each. */
static int probe(pid_t in, pid_t pid)
{
	char path[64];
	int status;
	pid_t prober = MUST_INT(fork());

	if (prober == 0) {
		int user, result = 0;

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", in); /* fits */
		user = open(path, O_RDONLY | O_CLOEXEC);
		if (user < 0 || setns(user, CLONE_NEWUSER) || setresgid(0, 0, 0) ||
		    setresuid(0, 0, 0))
			_exit(128);
		(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		result |= open(path, O_RDONLY | O_CLOEXEC) >= 0;
		(void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		result |= (open(path, O_RDONLY | O_CLOEXEC) >= 0) << 1;
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/2", pid);
		result |= (open(path, O_PATH | O_CLOEXEC) >= 0) << 2;
		result |= (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) << 3;
		_exit(result);
	}
	MUST(waitpid(prober, &status, 0));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/*
 * Of those listed, the one in the container's pid namespace: the process that has
 * forked it may have been frozen, too, before it could exit.
 */
static pid_t find_inside(const char *list)
{
	uint64_t inside = inode_of(box.pid, 2);

	for (char *next = (char *)(uintptr_t)list; *next;) {
		pid_t pid = (pid_t)strtol(next, &next, 10);

		if (pid > 0 && inode_of(pid, 2) == inside)
			return pid;
		next += strspn(next, "\n");
	}
	FAIL("nobody of the container's is in: %s", list);
	return -1;
}

/*
 * The child freezes itself by what -t has it write: inside the user namespace, and
 * with all of dived's memory.  Root of that namespace has every power over whatever
 * is in it, and still must not see any of it.
 */
static void test_child_is_closed_to_the_container(void **state)
{
	struct run command;
	pid_t pid;

	(void)state;
	MUST(mkdir(CGROUPS, 0755));
	MUST(mount("cgroup2", CGROUPS, "cgroup2", 0, NULL));
	(void)snprintf(freezer, sizeof(freezer), CGROUPS "/dive-setns-%d", getpid()); /* fits */
	MUST(mkdir(freezer, 0755));
	container_start(&box, &(struct container_options){ .flags = CLONE_NEWUSER | CLONE_NEWPID,
							   .map = HIGH });
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), "--cgroup", freezer,
					  "-t", in_freezer("cgroup.freeze"), "1", UNASKED));
	run_dive_start(&command, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
	await_content(in_freezer("cgroup.events"), "frozen 1");
	await_content(in_freezer("cgroup.procs"), "\n");
	pid = find_inside(content_of(in_freezer("cgroup.procs")));
	assert_int_equal(inode_of(pid, 3), inode_of(box.pid, 3)); /* it is in there */
	assert_int_equal(probe(box.pid, pid), 0);
	sandbox_write(in_freezer("cgroup.freeze"), 0644, "0");
	show_await(&command, "ready ");
	assert_int_equal(probe(box.pid, pid), 15); /* now it is the target's */
	show_end(&command);
	gateway_stop(&gateway);
	MUST(rmdir(freezer));
}

/* The interpreter of a program is looked up while dived's descriptors could still be open. */
static void test_no_descriptor_leads_out(void **state)
{
	static const int ranges[][2] = { { 3, 20 }, { 1020, 1050 } };
	char program[64];

	(void)state;
	start_box(NULL);
	(void)snprintf(program, sizeof(program), "/proc/%d/root/program", box.pid); /* fits */
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), "-H", "-h", "/", "-O"));
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		for (int fd = ranges[i][0]; fd < ranges[i][1]; fd++) {
			struct run command;

			sandbox_write(program, 0755, "#!/proc/self/fd/%d/bin/true\n", fd);
			run_dive(&command, &alice, &gateway, RUN_WORDS("/program"));
			if (command.status == 0)
				FAIL("descriptor %d leads out of the container", fd);
			run_assert_status(&command, 127);
			run_done(&command);
		}
	gateway_stop(&gateway);
}

static int trail_container_teardown(void **state)
{
	container_stop(&box);
	return trail_teardown(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, container_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_of_a_process),
		TEST(test_directories_of_the_container),
		TEST(test_parts),
		TEST(test_mount_outlives_its_process),
		TEST(test_user_namespace_of_root),
		TEST(test_asked_where_a_user_namespace_is_joined),
		TEST(test_no_descriptor_leads_out),
		cmocka_unit_test_teardown(test_child_is_closed_to_the_container, freezer_teardown),
		cmocka_unit_test_setup_teardown(test_audited_shell, trail_setup,
						trail_container_teardown),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
