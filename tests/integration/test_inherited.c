/*
 * What a program has from dived and from nobody else, whatever surroundings dived was
 * started in: attributes that are passed on, and privileges that must not be.
 *
 * This program starts dived through itself, in surroundings named by a word (see main).
 */
#include "cleanup.h"
#include "must.h"
#include "sandbox.h"
#include "show.h"
#include "trail.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ELEVATED "-u", "bob", "-a", "never"
#define TEXT_MAX 4096

/* --- what is passed on ------------------------------------------------------------------ */

/* Attributes of a process, by their place in /proc/PID. */
static const struct attribute {
	const char *what;
	const char *file;
	const char *line; /* which line of it, by its beginning; NULL: all */
	int word;	  /* of the line, from 1; 0: all */
	bool odd;	  /* "odd" surroundings have another one than the test itself */
} attributes[] = {
	{ "nice", "stat", NULL, 19, true },
	{ "scheduling policy", "stat", NULL, 41, true },
	{ "real-time priority", "stat", NULL, 40, false },
	{ "CPU affinity", "status", "Cpus_allowed:", 2, false }, /* there may be one only */
	{ "seccomp mode", "status", "Seccomp:", 2, true },
	{ "oom_score_adj", "oom_score_adj", NULL, 0, true },
	{ "coredump_filter", "coredump_filter", NULL, 0, true },
	{ "cgroup", "cgroup", NULL, 0, false },
	{ "security label", "attr/current", NULL, 0, false },
};

static const char *const namespaces[] = { "mnt", "net", "pid",	  "user",
					  "ipc", "uts", "cgroup", "time" };

/* An attribute as text; what the kernel does not have is "". */
static void read_attribute(pid_t pid, const struct attribute *attribute, char *text, size_t size)
{
	char path[64];
	char *at = text;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, attribute->file); /* fits */
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, size - 1);

	text[len < 0 ? 0 : len] = '\0';
	if (attribute->line) {
		at = strstr(text, attribute->line);
		assert_non_null(at);
		at[strcspn(at, "\n")] = '\0';
	}
	for (int i = 1; i < attribute->word; i++)
		at += strcspn(at, " \t") + strspn(at + strcspn(at, " \t"), " \t");
	if (attribute->word)
		at[strcspn(at, " \t")] = '\0';
	memmove(text, at, strlen(at) + 1);
}

static void expect_attributes(pid_t program, pid_t gateway, bool odd)
{
	char is[TEXT_MAX], expected[TEXT_MAX], own[TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
		read_attribute(program, &attributes[i], is, sizeof(is));
		read_attribute(gateway, &attributes[i], expected, sizeof(expected));
		read_attribute(getpid(), &attributes[i], own, sizeof(own));
		if (strcmp(is, expected) != 0)
			FAIL("%s: \"%s\", and dived's is \"%s\"", attributes[i].what, is, expected);
		if (odd && attributes[i].odd && strcmp(expected, own) == 0)
			FAIL("%s: \"%s\", as the test's own", attributes[i].what, own);
	}
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
		char path[64];
		struct stat here, there;

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", program, namespaces[i]);
		MUST(stat(path, &here));
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", gateway, namespaces[i]);
		MUST(stat(path, &there));
		if (here.st_ino != there.st_ino)
			FAIL("another %s namespace", namespaces[i]);
	}
}

/* dived's, in surroundings that are not the client's, for whomever the program runs as. */
static void test_attributes_are_diveds(void **state)
{
	static const char *const options[][5] = { { "-T" }, { ELEVATED } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		trail_serve_through("odd", options[i]);
		run_dive_start(&trail.client, &(struct run_options){ .account = "alice" },
			       &trail.gateway, RUN_WORDS(SHOW, "signals"));
		expect_attributes(show_pid(&trail.client), trail.gateway.pid, true);
		show_await_relay(trail.client.pid);
		run_signal(&trail.client, SIGTERM);
		run_wait(&trail.client);
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
	}
}

/* And not what the client is surrounded by. */
static void test_attributes_are_not_the_clients(void **state)
{
	(void)state;
	gateway_start(&trail.gateway, RUN_WORDS("-T"));
	run_start(
		&trail.client,
		&(struct run_options){ .argv = RUN_WORDS("/proc/self/exe", "odd", sandbox_dive(),
							 trail.gateway.address, SHOW, "signals") });
	run_expect(&trail.client, "ready ");
	expect_attributes(show_pid(&trail.client), trail.gateway.pid, false);
	show_await_relay(trail.client.pid);
	run_signal(&trail.client, SIGTERM);
	run_wait(&trail.client);
	run_done(&trail.client);
	gateway_stop(&trail.gateway);
}

/* What a module says about the session's process is said about the program. */
static void test_nice_of_a_module(void **state)
{
	(void)state;
	sandbox_write("/run/dive-test/limits", 0644, "bob - priority 5\n");
	sandbox_service("nice", SANDBOX_SERVICE
			"session required pam_limits.so conf=/run/dive-test/limits\n");
	gateway_start(&trail.gateway, RUN_WORDS(ELEVATED, "-x", "nice"));
	run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway,
		 RUN_WORDS("nice"));
	run_assert_status(&trail.client, 0);
	assert_string_equal(trail.client.out, "5\n");
	gateway_stop(&trail.gateway);
}

/* With -P the groups too, though PAM has been given the target's meanwhile. */
static void test_groups_are_diveds(void **state)
{
	(void)state;
	trail_serve_through("groups", RUN_WORDS("-P", "-a", "never"));
	run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway,
		 RUN_WORDS(SHOW));
	run_assert_status(&trail.client, 0);
	show_expect(trail.client.out, "Uid", "0 0 0 0");
	show_expect(trail.client.out, "Gid", "0 0 0 0");
	show_expect(trail.client.out, "Groups", "29 2003");
	gateway_stop(&trail.gateway);
}

/* --- what is not -------------------------------------------------------------------------- */

/* Neither kept through the change of ids, nor handed on as inheritable. */
static void test_capabilities_are_not_passed_on(void **state)
{
	static const char *const words[] = { "keeping", "inheriting" };
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
	static const char *const options[][5] = { { "-T" }, { ELEVATED } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words) * ARRAY_LEN(options); i++) {
		print_message("case: %s, %s\n", words[i / 2], options[i % 2][0]);
		trail_serve_through(words[i / 2], options[i % 2]);
		run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway,
			 RUN_WORDS(SHOW));
		run_assert_status(&trail.client, 0);
		for (size_t j = 0; j < ARRAY_LEN(sets); j++)
			show_expect(trail.client.out, sets[j], "0000000000000000");
		show_expect(trail.client.out, "regained", "0");
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
	}
}

/* Whatever the umask, the socket is as said, and closed where nothing is said. */
static void test_umask_does_not_open_the_socket(void **state)
{
	static const char address[] = "/run/dive-test/umask.sock";
	static const struct {
		const char *word;
		const char *option; /* NULL: none */
		mode_t mode;
	} cases[] = {
		{ "open", NULL, 0600 },
		{ "open", "--chmod=0640", 0640 },
		{ "closed", NULL, 0600 },
		{ "closed", "--chmod=0666", 0666 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stat info;

		print_message("case: %s, %s\n", cases[i].word,
			      cases[i].option ? cases[i].option : "-");
		run_start(&trail.client,
			  &(struct run_options){ .argv = RUN_WORDS("/proc/self/exe", cases[i].word,
								   sandbox_dived(), address,
								   cases[i].option) });
		run_expect(&trail.client, "op=dive:start");
		MUST(lstat(address, &info));
		assert_int_equal(info.st_mode, S_IFSOCK | cases[i].mode);
		show_await_relay(trail.client.pid);
		run_signal(&trail.client, SIGTERM);
		run_wait(&trail.client);
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
	}
}

/* --- surroundings ------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(98);
	(void)close(fd); /* the write has been checked */
}

static int be_odd(void)
{
	static const struct sched_param no_priority;
	struct sock_filter allow = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog filter = { 1, &allow };
	cpu_set_t cpus, one;
	size_t last = CPU_SETSIZE - 1;

	write_file("/proc/self/oom_score_adj", "321");
	write_file("/proc/self/coredump_filter", "0x1");
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return -1;
	while (last > 0 && !CPU_ISSET(last, &cpus))
		last--;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	return sched_setaffinity(0, sizeof(one), &one) | setpriority(PRIO_PROCESS, 0, 7) |
	       sched_setscheduler(0, SCHED_BATCH, &no_priority) |
	       unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) |
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static int have_groups(void)
{
	static const gid_t groups[] = { 29, SANDBOX_UID_CAROL };

	return setgroups(ARRAY_LEN(groups), groups);
}

/* Changing the uid takes no capabilities away, also in what is executed. */
static int keep_capabilities(void)
{
	return prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
}

static int inherit_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, sets) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		sets[i].inheritable = sets[i].permitted;
	return (int)syscall(SYS_capset, &head, sets);
}

static int open_umask(void)
{
	(void)umask(0);
	return 0;
}

static int close_umask(void)
{
	(void)umask(0777);
	return 0;
}

/* `word program arguments...`: becomes the program in the surroundings of the word. */
static int start_through(char **argv)
{
	static const struct {
		const char *word;
		int (*arrange)(void);
	} surroundings[] = {
		{ "odd", be_odd },
		{ "groups", have_groups },
		{ "keeping", keep_capabilities },
		{ "inheriting", inherit_capabilities },
		{ "open", open_umask },
		{ "closed", close_umask },
	};

	for (size_t i = 0; i < ARRAY_LEN(surroundings); i++)
		if (strcmp(argv[1], surroundings[i].word) == 0 && surroundings[i].arrange() == 0)
			(void)execv(argv[2], argv + 2); /* returns on failure only */
	perror(argv[1]);
	return 97;
}

static int setup(void **state)
{
	(void)state;
	trail.client = (struct run){ .pidfd = -1 };
	return 0;
}

static int teardown(void **state)
{
	run_done(&trail.client);
	gateway_kill(&trail.gateway);
	return sandbox_test_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_attributes_are_diveds),
		TEST(test_attributes_are_not_the_clients),
		TEST(test_nice_of_a_module),
		TEST(test_groups_are_diveds),
		TEST(test_capabilities_are_not_passed_on),
		TEST(test_umask_does_not_open_the_socket),
	};

	if (argc > 2)
		return start_through(argv);
	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
