/*
 * --cgroup: the program and all it starts are in it from their beginning.
 *
 * Played in a cgroup of this test's own, which is made below the root of the machine's
 * version 2 hierarchy and removed again.
 */
#include "family.h"
#include "place_scene.h"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>

#define TOP   "/run/dive-test/cgroups"
#define IN_SH "/bin/sh", "-c"

static char group[64];	  /* its directory */
static char group_is[64]; /* its name, as in /proc/PID/cgroup */

static const char *in_group(const char *name)
{
	return path_in(group, name);
}

static int group_setup(void **state)
{
	(void)state;
	MUST(mkdir(group, 0755));
	return 0;
}

static int group_teardown(void **state)
{
	gateway_kill(&gateway);
	if (access(group, F_OK) == 0) {
		sandbox_write(in_group("cgroup.kill"), 0200, "1");
		sandbox_write(in_group("cgroup.freeze"), 0644, "0");
		await_content(in_group("cgroup.events"), "populated 0");
		MUST(rmdir(group));
	}
	return sandbox_test_teardown(state);
}

/* --- in it ---------------- */

static void test_program_is_in_it(void **state)
{
	static const struct {
		const char *what;
		const char *options[12];
	} cases[] = {
		{ "own", { "-T" } },
		{ "another", { "-u", "bob", UNASKED } },
		{ "in new namespaces", { "-s", "pid,mnt,uts" } },
		{ "user namespace", { "-s", "user,pid", IDENTITY_MAPS } },
		{ "its pid 1", { "-F", "-s", "pid" } },
		{ "as dived", { "-P", UNASKED } },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[16] = { "--cgroup", group };

		print_message("case: %s\n", cases[i].what);
		for (size_t j = 0; cases[i].options[j]; j++)
			options[2 + j] = cases[i].options[j];
		gateway_start(&gateway, options);
		dive(&command, &alice, RUN_WORDS(SHOW));
		show_expect(command.out, "cgroup", group_is);
		run_done(&command);
		gateway_stop(&gateway);
		await_content(in_group("cgroup.events"),
			      "populated 0"); /* nothing of dived's stays */
	}
}

/* Only the program, and what it starts; not who waits for it. */
static void test_nobody_else_is(void **state)
{
	struct run command;
	char list[64];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("--cgroup", group, "-s", "pid"));
	run_dive_start(&command, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
	show_await(&command, "ready ");
	(void)snprintf(list, sizeof(list), "%.60s",
		       content_of(in_group("cgroup.procs")));	       /* fits */
	assert_ptr_equal(strchr(list, '\n'), list + strlen(list) - 1); /* one line */
	assert_int_not_equal(strtol(list, NULL, 10), family_find(HOLDER));
	assert_int_not_equal(strtol(list, NULL, 10), family_find(FAMILY_SESSION));
	show_end(&command);
	gateway_stop(&gateway);
}

static void test_without_a_socket(void **state)
{
	static const char *const ways[] = { "-J", "-j" };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		run(&command,
		    &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), ways[i], "--cgroup",
							     group, "--", SHOW) });
		run_assert_status(&command, 0);
		show_expect(command.out, "cgroup", group_is);
		run_done(&command);
	}
}

/* --- when the client goes away ---------------- */

/* One that leaves its process group, and does not care for what it is sent. */
#define ESCAPE                                                                                     \
	"setsid sh -c 'trap : HUP TERM; echo away; while :; do sleep 1000; done' & "               \
	"while :; do sleep 1000; done"

static void start_escape(struct run *command, const char *const *options)
{
	gateway_start(&gateway, options);
	run_dive_start(command, &alice, &gateway, RUN_WORDS(IN_SH, ESCAPE));
	run_expect(command, "away");
	run_signal(command, SIGKILL);
	run_wait(command);
	assert_int_equal(command->signal, SIGKILL);
	run_done(command);
	family_await(FAMILY_SESSION, 0);
}

static void test_kill_reaches_all(void **state)
{
	struct run command;

	(void)state;
	start_escape(&command, RUN_WORDS("--cgroup", group, "--on-disconnect", "kill"));
	await_content(in_group("cgroup.events"), "populated 0");
	gateway_stop(&gateway);
}

/* With the default it is the process group's business only. */
static void test_hangup_does_not(void **state)
{
	struct run command;

	(void)state;
	start_escape(&command, RUN_WORDS("--cgroup", group));
	assert_non_null(strstr(content_of(in_group("cgroup.events")), "populated 1"));
	sandbox_write(in_group("cgroup.kill"), 0200, "1");
	await_content(in_group("cgroup.events"), "populated 0");
	gateway_stop(&gateway);
}

/* --- refusals ---------------- */

static void test_frozen(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("--cgroup", group));
	sandbox_write(in_group("cgroup.freeze"), 0644, "1");
	await_content(in_group("cgroup.events"), "frozen 1");
	expect_refused(&alice, RUN_WORDS(SHOW), "the cgroup: it is frozen");
	sandbox_write(in_group("cgroup.freeze"), 0644, "0");
	await_content(in_group("cgroup.events"), "frozen 0");
	dive(&command, &alice, RUN_WORDS(SHOW));
	show_expect(command.out, "cgroup", group_is);
	run_done(&command);
	gateway_stop(&gateway);
}

/* Another of the same name is another. */
static void test_removed(void **state)
{
	static const char text[] = "no process can be made in the cgroup: ";

	(void)state;
	gateway_start(&gateway, RUN_WORDS("--cgroup", group));
	MUST(rmdir(group));
	expect_refused(&alice, RUN_WORDS(SHOW), text);
	MUST(mkdir(group, 0755));
	expect_refused(&alice, RUN_WORDS(SHOW), text);
	gateway_stop(&gateway);
}

static void test_start_up_errors(void **state)
{
	(void)state;
	gateway_expect_refusal(RUN_WORDS("@refused", "--cgroup", "/run"),
			       "--cgroup /run: not a directory of a version 2 cgroup");
	gateway_expect_refusal(RUN_WORDS("@refused", "--cgroup", in_group("missing")),
			       "No such file or directory");
	gateway_expect_refusal(RUN_WORDS("@refused", "--cgroup", in_group("cgroup.procs")),
			       "Not a directory");
	gateway_expect_refusal(RUN_WORDS("@refused", "--cgroup", ""), "--cgroup");
	/* Else the first client that goes would kill the gateway. */
	gateway_expect_refusal(RUN_WORDS("@refused", "-p", in_group("cgroup.procs"), "--cgroup",
					 group, "--on-disconnect", "kill"),
			       "--on-disconnect kill: dived itself is in the cgroup");
	gateway_start(&gateway, RUN_WORDS("-p", in_group("cgroup.procs"), "--cgroup", group));
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, group_setup, group_teardown)

static int setup(void **state)
{
	int result = show_group_setup(state);

	MUST(mkdir(TOP, 0755));
	MUST(mount("cgroup2", TOP, "cgroup2", 0, NULL));
	(void)snprintf(group_is, sizeof(group_is), "/dive-cgroup-%d", getpid()); /* both fit */
	(void)snprintf(group, sizeof(group), TOP "/dive-cgroup-%d", getpid());
	return result;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_program_is_in_it), TEST(test_nobody_else_is),
		TEST(test_without_a_socket), TEST(test_kill_reaches_all),
		TEST(test_hangup_does_not),  TEST(test_frozen),
		TEST(test_removed),	     TEST(test_start_up_errors),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
