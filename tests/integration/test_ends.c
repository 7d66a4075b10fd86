/*
 * That every program whose start is in the audit trail has one end there, whatever PAM
 * does when it is closed: a module that hangs, exits, crashes or kills its process takes
 * the session with it, and not the record.  Behind a listener, behind one that has been
 * stopped, and behind one that can make no process; test_ends_alone.c has those without.
 */
#include "cleanup.h"
#include "deadline.h"
#include "ends_scene.h"
#include "family.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_behind_a_listener(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(closings); i++) {
		print_message("case: %s\n", closings[i].does);
		write_service(closings[i].does);
		trail_serve(RUN_WORDS("-x", "ends", "--auth-timeout", "1", "--audit", "require"));
		run_dive(&trail.client, &alice, &trail.gateway, RUN_WORDS("sh", "-c", PROGRAM));
		assert_string_equal(trail.client.out, "ran\n");
		run_assert_status(&trail.client, closings[i].status);
		run_done(&trail.client);
		gateway_expect_log(&trail.gateway, "PAM has not been closed");
		assert_contains(gateway_log(&trail.gateway), closings[i].says);
		family_await(FAMILY_SESSION, 0);
		expect_end();
		gateway_stop(&trail.gateway);
	}
}

/* Starts one that runs while the hold is open; returns when the listener knows of it. */
static void start_held(const char *const *words, int *ret_hold)
{
	struct family_fds fds;
	int hold[2];

	MUST(pipe2(hold, O_CLOEXEC));
	run_dive_start(&trail.client,
		       &(struct run_options){ .account = "alice",
					      .login_uid = LOGIN_UID,
					      .fds = &(struct run_fd){ hold[0], 7 },
					      .fd_count = 1 },
		       &trail.gateway, words);
	close_fd(&hold[0]);
	*ret_hold = hold[1];
	run_expect(&trail.client, "up");
	family_list_fds(family_find(FAMILY_SESSION), &fds); /* it sleeps: it has told */
}

/* The gateway is stopped while the program runs: the session is on its own then. */
static void test_listener_gone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(closings); i++) {
		int hold;

		print_message("case: %s\n", closings[i].does);
		write_service(closings[i].does);
		trail_serve(RUN_WORDS("-x", "ends", "--auth-timeout", "1", "--audit", "require"));
		start_held(RUN_WORDS("sh", "-c", "echo up; read end <&7; exit 3"), &hold);
		gateway_stop(&trail.gateway);
		close_fd(&hold);
		run_wait(&trail.client);
		run_assert_status(&trail.client, closings[i].status);
		run_done(&trail.client);
		family_await(FAMILY_SESSION, 0);
		expect_end();
	}
}

/*
 * It is killed before it has told whom it serves: the listener, which is stopped, has
 * the HELLO and nothing else.
 */
static void test_killed_at_once(void **state)
{
	struct family_fds fds;
	const char *text;
	char id[64];

	(void)state;
	write_plain_service();
	trail_serve(RUN_WORDS("-x", "ends"));
	cleanup_fd int template = family_open(FAMILY_TEMPLATE);
	MUST(pidfd_send_signal(template, SIGSTOP, NULL, 0));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", LOGIN_UID);
	family_list_fds(trail.gateway.pid, &fds); /* by then it has been handed on */
	gateway_freeze(&trail.gateway);
	MUST(pidfd_send_signal(template, SIGCONT, NULL, 0));
	family_list_fds(family_find(FAMILY_SESSION), &fds); /* by then it waits for the answer */
	family_kill(FAMILY_SESSION);
	gateway_signal(&trail.gateway, SIGCONT);
	text = trail_expect(AUDIT_USER_AUTH, "op=dive:lost");
	trail_assert(text, "auid", LOGIN_UID);
	trail_assert(text, "client_auid", LOGIN_UID);
	trail_assert_number(text, "client_uid", SANDBOX_UID_ALICE);
	assert_int_equal(strlen(audit_field(text, "dive_id", id, sizeof(id))), 32);
	trail_assert(text, "uuid", id);
	hostile_close(&trail.hostile);
	gateway_stop(&trail.gateway);
}

/* What becomes of a program whose session is killed, and what the records say of it. */
static const struct {
	const char *options[4];
	const char *words[4];
	const char *program; /* in the record of the loss */
} fates[] = {
	{ { NULL }, { "sh", "-c", "trap '' HUP; echo up; read end <&7; :" }, "running" },
	{ { "--on-disconnect", "ignore" }, { "sh", "-c", "echo up; read end <&7; :" }, "running" },
	/* It is killed with its session; the listener may still see it go. */
	{ { "--on-disconnect", "kill" }, { "sh", "-c", "echo up; read end <&7; :" }, NULL },
	{ { "-s", "pid" }, { "sh", "-c", "trap '' HUP; echo up; read end <&7; :" }, "running" },
};

/* The start, the loss, and the end of what went on. */
static void expect_fate(const char *program)
{
	const char *text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	char value[64];
	char id[64];

	(void)audit_field(text, "dive_id", id, sizeof(id));
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:lost", trail.field, id,
				   NULL);
	if (program)
		trail_assert(text, "program", program);
	if (strcmp(audit_field(text, "program", value, sizeof(value)), "running") != 0)
		return;
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", trail.field, id,
				   NULL);
	trail_assert(text, "exit", "?");
	trail_assert(text, "auid", LOGIN_UID);
	trail_assert(text, "auid_kept", "yes");
	trail_assert(text, "res", "success");
	assert_true(audit_has_field(text, "duration_ms"));
}

static void test_program_without_session(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
		struct family_fds before;
		int hold;

		print_message("case: %s %s\n", fates[i].options[0], fates[i].words[2]);
		trail_serve(fates[i].options);
		gateway_expect_served(&trail.gateway, "carol", "carol");
		family_await(FAMILY_SESSION, 0);
		family_list_fds(trail.gateway.pid, &before);
		audit_stream_forget(&trail.stream);
		start_held(fates[i].words, &hold);
		family_kill(FAMILY_SESSION);
		run_wait(&trail.client);
		run_done(&trail.client);
		if (fates[i].program)
			trail_expect_none(AUDIT_USER_END, "op=dive:exit"); /* not before */
		close_fd(&hold);
		expect_fate(fates[i].program);
		trail_expect_none(AUDIT_USER_END, "op=dive:exit");
		trail_expect_none(AUDIT_USER_END, "op=dive:lost");
		family_expect_fds(trail.gateway.pid, &before); /* all is given back */
		gateway_stop(&trail.gateway);
	}
}

/* A session whose gateway has been stopped is killed, or at the moment when it is. */
static void test_lost_after_the_stop(void **state)
{
	(void)state;
	for (int killed_before = 0; killed_before < 2; killed_before++) {
		int hold;

		print_message("case: killed %s the stop\n", killed_before ? "before" : "after");
		trail_serve(RUN_WORDS("--on-disconnect", "ignore"));
		start_held(RUN_WORDS("sh", "-c", "echo up; read end <&7; :"), &hold);
		if (killed_before) {
			gateway_freeze(&trail.gateway);
			family_kill(FAMILY_SESSION);
			gateway_signal(&trail.gateway, SIGTERM);
			gateway_signal(&trail.gateway, SIGCONT);
		}
		gateway_stop(&trail.gateway);
		if (!killed_before) {
			MUST(kill(family_find(RECORDER), SIGTERM)); /* sent to all of a service */
			family_kill(FAMILY_SESSION);
		}
		run_wait(&trail.client);
		run_done(&trail.client);
		close_fd(&hold);
		expect_fate("running");
		family_await(RECORDER, 0);
		trail_expect_none(AUDIT_USER_END, "op=dive:exit");
		trail_expect_none(AUDIT_USER_END, "op=dive:lost");
		sandbox_assert_no_children();
	}
}

/* Whoever watches over sessions ends with the last, and has nothing to say of them. */
static void test_sessions_after_the_stop(void **state)
{
	struct family_fds fds;
	int hold;

	(void)state;
	write_plain_service();
	trail_serve(RUN_WORDS("-x", "ends"));
	gateway_expect_served(&trail.gateway, "carol", "carol");
	start_held(RUN_WORDS("sh", "-c", "echo up; read end <&7; exit 3"), &hold);
	audit_stream_forget(&trail.stream);
	gateway_stop(&trail.gateway);
	family_list_fds(family_find(RECORDER), &fds);
	print_message("%s", fds.text);
	/* Standard ones, the set, the session's socket and pidfd, and that of the program. */
	assert_int_equal(fds.count, 7);
	close_fd(&hold);
	run_wait(&trail.client);
	run_assert_status(&trail.client, 3);
	run_done(&trail.client);
	(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
	family_await(RECORDER, 0);
	trail_expect_none(AUDIT_USER_END, "op=dive:lost");
	sandbox_assert_no_children();
}

/* With a terminal of its own the monitor is the session's child, and hands the pidfd on. */
static void test_program_on_terminal(void **state)
{
	cleanup_free const char **argv = NULL;
	struct family_fds fds;
	const char *text;
	char id[64];

	(void)state;
	trail_serve(RUN_WORDS("--on-disconnect", "ignore"));
	argv = run_dive_words(&trail.gateway,
			      RUN_WORDS("sh", "-c", "trap '' HUP; echo up; sleep 1000; :"));
	pty_start(&trail.pty, &(struct run_options){
				      .account = "alice", .login_uid = LOGIN_UID, .argv = argv });
	pty_expect(&trail.pty, "up");
	family_list_fds(family_find(FAMILY_SESSION), &fds);
	assert_int_equal(family_count("dived: monitor"), 1);
	family_kill(FAMILY_SESSION);
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	(void)audit_field(text, "dive_id", id, sizeof(id));
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:lost", id, NULL);
	trail_assert(text, "program", "running");
	family_await("dived: monitor", 0);
	trail_expect_none(AUDIT_USER_END, "op=dive:exit");
	family_kill_all("sh");
	family_kill_all("sleep");
	(void)audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", id, "exit=?",
				  NULL);
	gateway_stop(&trail.gateway);
}

/* --- a listener that can make no process --------------------------------------------- */

#define PIDS "/run/dive-test/pids"

static char pids[64]; /* the cgroup of the listener alone */

/* Of either version, wherever the machine has the controller. */
static bool open_pids(void)
{
	MUST(mkdir(PIDS, 0755));
	if (mount("cgroup", PIDS, "cgroup", 0, "pids")) {
		MUST(mount("cgroup2", PIDS, "cgroup2", 0, NULL));
		cleanup_fd int fd = open(PIDS "/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "+pids", 5) < 0) {
			MUST(umount(PIDS));
			MUST(rmdir(PIDS));
			return false;
		}
	}
	(void)snprintf(pids, sizeof(pids), PIDS "/dive-ends-%d", getpid()); /* fits */
	MUST(mkdir(pids, 0755));
	return true;
}

static void close_pids(void)
{
	sandbox_assert_no_children(); /* of which some may be in it still */
	MUST(rmdir(pids));
	MUST(umount(PIDS));
	MUST(rmdir(PIDS));
}

static void write_pids(const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", pids, name); /* fits */
	cleanup_fd int fd = MUST_INT(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, text, strlen(text)));
}

/* Until a fork has failed for it. */
static void await_failure(void)
{
	int64_t deadline = deadline_after(10000);
	char text[64] = "max 0\n";
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/pids.events", pids); /* fits */
	while (strcmp(text, "max 0\n") == 0) {
		cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
		ssize_t len = MUST(read(fd, text, sizeof(text) - 1));

		text[len] = '\0';
		if (deadline_passed(deadline))
			FAIL("the listener has not tried");
		(void)poll(NULL, 0, 5);
	}
}

/* From now on the listener can make no process. */
static void allow_no_process(void)
{
	char number[32];

	(void)snprintf(number, sizeof(number), "%d", trail.gateway.pid); /* fits */
	write_pids("cgroup.procs", number);
	write_pids("pids.max", "1");
}

/* A session is killed then. */
static void lose_session(void)
{
	write_plain_service();
	trail_serve(RUN_WORDS("-x", "ends", "--max-sessions-per-user", "1"));
	run_dive_start(&trail.client, &alice, &trail.gateway, RUN_WORDS("sh", "-c", HELD));
	run_expect(&trail.client, "up");
	allow_no_process();
	family_kill(FAMILY_SESSION);
	await_failure();
	run_wait(&trail.client);
	run_done(&trail.client);
	trail_expect_none(AUDIT_USER_END, "op=dive:lost");
}

static void test_no_process_for_a_while(void **state)
{
	(void)state;
	if (!open_pids())
		SKIP("no pids controller for cgroups");
	lose_session();
	write_pids("pids.max", "max");
	(void)trail_expect(AUDIT_USER_END, "op=dive:lost");
	/* The place is free again. */
	run_dive(&trail.client, &alice, &trail.gateway, RUN_WORDS("true"));
	run_assert_status(&trail.client, 0);
	run_done(&trail.client);
	trail_expect_none(AUDIT_USER_END, "op=dive:lost");
	gateway_stop(&trail.gateway);
	close_pids();
}

static void test_no_process_at_all(void **state)
{
	(void)state;
	if (!open_pids())
		SKIP("no pids controller for cgroups");
	lose_session();
	gateway_expect_log(&trail.gateway, "no process can be made to record it");
	write_pids("pids.max", "max");
	run_dive(&trail.client, &alice, &trail.gateway, RUN_WORDS("true"));
	run_assert_status(&trail.client, 0);
	run_done(&trail.client);
	gateway_stop(&trail.gateway);
	close_pids();
}

/* The gateway is stopped while the record is owed, of a session of which nothing is left. */
static void test_no_process_and_a_stop(void **state)
{
	struct family_fds fds;

	(void)state;
	if (!open_pids())
		SKIP("no pids controller for cgroups");
	trail_serve(RUN_WORDS(NULL));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", LOGIN_UID);
	family_list_fds(family_find(FAMILY_SESSION), &fds); /* it waits: for the request */
	allow_no_process();
	family_kill(FAMILY_SESSION);
	await_failure();
	gateway_signal(&trail.gateway, SIGTERM);
	gateway_expect_log(&trail.gateway, "no process can be made to record it");
	gateway_kill(&trail.gateway); /* it ends, but a sanitizer needs a process for its check */
	hostile_close(&trail.hostile);
	close_pids();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_behind_a_listener),	TEST(test_listener_gone),
		TEST(test_killed_at_once),	TEST(test_program_without_session),
		TEST(test_lost_after_the_stop), TEST(test_sessions_after_the_stop),
		TEST(test_program_on_terminal), TEST(test_no_process_for_a_while),
		TEST(test_no_process_at_all),	TEST(test_no_process_and_a_stop),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
