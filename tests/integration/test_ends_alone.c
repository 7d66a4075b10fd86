/*
 * The same as test_ends.c where dived itself is the session, with -i, -F and -J: there
 * its recorder writes what it cannot write any more.
 */
#include "cleanup.h"
#include "ends_scene.h"
#include "family.h"
#include "inetd.h"
#include "text.h"
#include "tracer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OBEDIENT "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"

enum mode { ONCE, INETD, EXECUTE, MODES };

static const char *const mode_names[MODES] = { "-F", "-i", "-J" };

/* dived, started for alice's program, in one of the three ways. */
static struct single {
	enum mode mode;
	struct inetd inetd;
	struct run dived; /* with -F it is trail.gateway.run */
} single;

static int single_setup(void **state)
{
	single = (struct single){ .dived.pidfd = -1, .inetd.listener = -1 };
	return trail_setup(state);
}

static int single_teardown(void **state)
{
	run_done(&single.dived);
	inetd_close(&single.inetd);
	return trail_teardown(state);
}

static void start_once(const char *script)
{
	trail_serve(RUN_WORDS("-F", "-a", "always", "-x", "ends", "--auth-timeout", "1", "--audit",
			      "require"));
	run_dive_start(&trail.client, &alice, &trail.gateway, RUN_WORDS("sh", "-c", script));
}

static void start_inetd(const char *script)
{
	inetd_listen(&single.inetd);
	run_dive_start(&trail.client, &alice, &single.inetd.gateway, RUN_WORDS("sh", "-c", script));
	inetd_start(&single.dived, &(struct run_options){ .login_uid = "2003" },
		    inetd_accept(&single.inetd),
		    RUN_WORDS("-a", "always", "-x", "ends", "--auth-timeout", "1", "--audit",
			      "require"));
	(void)snprintf(trail.field, sizeof(trail.field), "gateway=\"%s\"",
		       single.inetd.address); /* fits */
}

static void start_execute(const char *script)
{
	run_start(&single.dived,
		  &(struct run_options){
			  .login_uid = LOGIN_UID,
			  .argv = RUN_WORDS(sandbox_dived(), "-J", "-u", "alice", "--pam-service",
					    "ends", "--auth-timeout", "1", "--audit", "require",
					    "--", "/bin/sh", "-c", script) });
	/* Its gateway, "-J", is that of all others on this machine, too. */
	(void)snprintf(trail.field, sizeof(trail.field), " client_auid=" LOGIN_UID " "); /* fits */
}

static void single_start(enum mode mode, const char *script)
{
	static void (*const start[MODES])(const char *script) = { start_once, start_inetd,
								  start_execute };

	single.mode = mode;
	start[mode](script);
}

static struct run *single_dived(void)
{
	return single.mode == ONCE ? &trail.gateway.run : &single.dived;
}

/* Whoever sees what the program writes. */
static struct run *single_client(void)
{
	return single.mode == EXECUTE ? &single.dived : &trail.client;
}

/* Both have ended, and so does the recorder; its record can still be on its way. */
static void single_finish(void)
{
	run_wait(single_dived());
	run_wait(single_client());
	family_kill_all("sleep"); /* with -J the program outlives dived */
	family_await(RECORDER, 0);
	if (single.mode == ONCE)
		gateway_kill(&trail.gateway);
	run_done(&trail.client);
	run_done(&single.dived);
	inetd_close(&single.inetd);
	sandbox_assert_no_children();
}

/* The next one may be told apart by its client alone. */
static void single_forget(void)
{
	single_finish();
	audit_stream_forget(&trail.stream);
}

static void test_closing_alone(void **state)
{
	cleanup_fd int log = sandbox_syslog_open();

	(void)state;
	for (size_t i = 0; i < MODES * ARRAY_LEN(closings); i++) {
		const struct closing *closing = &closings[i / MODES];
		char line[2048];

		print_message("case: %s: %s\n", mode_names[i % MODES], closing->does);
		write_service(closing->does);
		single_start((enum mode)(i % MODES), PROGRAM);
		run_wait(single_client());
		if (single.mode != EXECUTE)
			run_assert_status(&trail.client, closing->status);
		assert_string_equal(single_client()->out, "ran\n");
		sandbox_syslog_expect(log, "PAM has not been closed", line, sizeof(line));
		assert_contains(line, closing->says);
		expect_end();
		single_forget();
	}
	sandbox_syslog_close(&log);
}

/* Modules that keep the program from being executed; before the verdict it is USER_AUTH. */
static const struct {
	const char *does;
	int type;
	const char *reason;
} losses[] = {
	{ PROBE_PATH " only=authenticate hang", AUDIT_USER_AUTH,
	  "a PAM module did not return in time (authentication)" },
	{ HOSTILE_PATH " only=authenticate exit", AUDIT_USER_AUTH, "died" },
	{ PROBE_PATH " only=authenticate kill", AUDIT_USER_AUTH, "died" },
	{ PROBE_PATH " only=establish hang", AUDIT_USER_END,
	  "a PAM module did not return in time (credentials)" },
	{ HOSTILE_PATH " only=open crash", AUDIT_USER_END, "died" },
	{ PROBE_PATH " only=authenticate hang=deaf", AUDIT_USER_AUTH,
	  "killed: it outlived its time" },
};

static void expect_lost(int type, const char *reason)
{
	const char *text = trail_expect(type, "op=dive:lost");
	char id[64];

	trail_assert(text, "auid", LOGIN_UID);
	trail_assert(text, "client_auid", LOGIN_UID);
	trail_assert(text, "auid_kept", "yes");
	trail_assert_number(text, "client_uid", single.mode == EXECUTE ? 0 : SANDBOX_UID_ALICE);
	trail_assert(text, "res", "failed");
	trail_assert_text(text, "reason", reason);
	assert_int_equal(strlen(audit_field(text, "dive_id", id, sizeof(id))), 32);
	trail_expect_none(AUDIT_USER_CMD, "op=dive:refuse");
	trail_expect_none(AUDIT_USER_AUTH, "op=dive:lost");
	trail_expect_none(AUDIT_USER_END, "op=dive:lost");
}

/* With -J nobody is asked, so modules of that phase are not called. */
static bool is_called(enum mode mode, const char *does)
{
	return mode != EXECUTE || !strstr(does, "only=authenticate");
}

static void test_lost_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODES * ARRAY_LEN(losses); i++) {
		char service[512];

		if (!is_called((enum mode)(i % MODES), losses[i / MODES].does))
			continue;
		print_message("case: %s: %s\n", mode_names[i % MODES], losses[i / MODES].does);
		(void)snprintf(service, sizeof(service),
			       "auth required %s\naccount required pam_permit.so\n"
			       "session required %s\n",
			       losses[i / MODES].does, losses[i / MODES].does); /* fits */
		sandbox_service("ends", service);
		single_start((enum mode)(i % MODES), PROGRAM);
		run_wait(single_dived()); /* 11 s where signals are blocked */
		run_wait(single_client());
		expect_lost(losses[i / MODES].type, losses[i / MODES].reason);
		assert_string_equal(single_client()->out, "");
		single_forget();
	}
}

/* Whoever kills dived while the program runs. */
static void test_killed_alone(void **state)
{
	(void)state;
	write_plain_service();
	for (enum mode mode = 0; mode < MODES; mode++) {
		print_message("case: %s\n", mode_names[mode]);
		single_start(mode, HELD);
		run_expect(single_client(), "up");
		run_signal(single_dived(), SIGKILL);
		(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		expect_lost(AUDIT_USER_END, "died");
		if (mode == EXECUTE) /* where nothing tells the program */
			trail_expect_none(AUDIT_USER_END, "op=dive:exit");
		single_finish();
		if (mode == EXECUTE)
			(void)audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit",
						  trail.field, "exit=?", NULL);
		audit_stream_forget(&trail.stream);
	}
}

/* It holds nothing of anybody's, and is nobody's child whom a module might wait for. */
static void test_recorder_keeps_to_itself(void **state)
{
	(void)state;
	write_plain_service();
	for (enum mode mode = 0; mode < MODES; mode++) {
		struct family_fds fds;
		char path[64];
		char text[4096];
		char parent[32];
		pid_t pid;

		print_message("case: %s\n", mode_names[mode]);
		single_start(mode, HELD);
		run_expect(single_client(), "up");
		family_list_fds(single_dived()->pid, &fds); /* it sleeps: it has told */
		pid = family_find(RECORDER);
		family_list_fds(pid, &fds);
		print_message("%s", fds.text);
		/* The session's socket, its pidfd and that of the program. */
		assert_int_equal(fds.count, 6);
		assert_int_equal(text_count(fds.text, "-> /dev/null"), 3);
		assert_int_equal(text_count(fds.text, "-> socket:"), 1);
		assert_int_equal(text_count(fds.text, "-> anon_inode:[pidfd]") +
					 text_count(fds.text, "-> pidfd:"),
				 2);
		(void)snprintf(path, sizeof(path), "/proc/%d/status", pid); /* fits */
		cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
		ssize_t len = MUST(read(fd, text, sizeof(text) - 1));
		text[len] = '\0';
		(void)snprintf(parent, sizeof(parent), "\nPPid:\t%d\n", getpid()); /* fits */
		assert_contains(text, parent); /* the subreaper's */
		/* What a service manager's stop sends to all does not end it. */
		MUST(kill(pid, SIGTERM));
		MUST(kill(pid, SIGHUP));
		run_signal(single_dived(), SIGKILL);
		expect_lost(AUDIT_USER_END, "died");
		single_forget();
	}
}

/*
 * The gateway's stop is recorded once, in the kernel and in the log, and not as the client's,
 * whose login uid dived has taken on by then; also where dived was killed.
 */
static void test_stop(void **state)
{
	cleanup_fd int log = sandbox_syslog_open();

	(void)state;
	write_plain_service();
	for (unsigned i = 0; i < 2U * EXECUTE; i++) {
		bool killed = i % 2;
		char line[8192];

		print_message("case: %s%s\n", mode_names[i / 2], killed ? ", killed" : "");
		single_start((enum mode)(i / 2), killed ? HELD : PROGRAM);
		if (killed) {
			run_expect(single_client(), "up");
			run_signal(single_dived(), SIGKILL);
		}
		sandbox_syslog_expect(log, "op=dive:stop", line, sizeof(line));
		trail_assert(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "auid", LOGIN_UID);
		trail_assert(trail_expect(AUDIT_USER, "op=dive:start"), "auid", "2003");
		trail_assert(trail_expect(AUDIT_USER, "op=dive:stop"), "auid", "2003");
		if (killed)
			expect_lost(AUDIT_USER_END, "died");
		run_wait(single_dived());
		family_await(RECORDER, 0);
		trail_expect_none(AUDIT_USER, "op=dive:stop");
		/* libpam's, of a handle that nobody has used. */
		audit_stream_expect_none(&trail.stream, AUDIT_USER_ERR, "op=PAM:bad_ident", NULL);
		single_forget();
	}
	sandbox_syslog_close(&log);
}

/* Killed once all of the session is done, before anything is said of the stop. */
static void test_killed_before_stop(void **state)
{
	cleanup_fd int log = sandbox_syslog_open();
	char line[8192];

	(void)state;
	write_plain_service();
	single_start(ONCE, OBEDIENT);
	run_expect(single_client(), "up");
	tracer_seize(single_dived()->pid);
	tracer_stop(single_dived()->pid);
	run_signal(single_client(), SIGTERM);
	tracer_continue_to(single_dived()->pid, SYS_shutdown);
	run_signal(single_dived(), SIGKILL);
	expect_end();
	(void)trail_expect(AUDIT_USER, "op=dive:stop");
	sandbox_syslog_expect(log, "op=dive:stop", line, sizeof(line));
	single_finish();
	sandbox_syslog_close(&log);
}

/* dived does not wait for it. */
static void test_recorder_is_not_waited_for(void **state)
{
	(void)state;
	write_plain_service();
	for (enum mode mode = 0; mode < MODES; mode++) {
		print_message("case: %s\n", mode_names[mode]);
		single_start(mode, OBEDIENT);
		run_expect(single_client(), "up");
		cleanup_fd int recorder = family_open(RECORDER);
		MUST(pidfd_send_signal(recorder, SIGSTOP, NULL, 0));
		run_signal(single_client(), SIGTERM);
		run_wait(single_dived());
		run_assert_status(single_dived(), 3);
		MUST(pidfd_send_signal(recorder, SIGCONT, NULL, 0));
		expect_end();
		single_forget();
	}
}

/*
 * Its first process is the program, and would else have been the recorder.  A sanitizer's
 * leak check would need one more, and there can be none when the first has ended.
 */
static void test_unshared_pid_namespace(void **state)
{
	char line[256];

	(void)state;
	write_plain_service();
	(void)snprintf(
		line, sizeof(line),
		"ASAN_OPTIONS=detect_leaks=0 unshare -p %s -J --pam-service ends -- /bin/sh -c "
		"'echo number $$' 2>&1 | cat",
		sandbox_dived()); /* fits */
	run(&single.dived, &(struct run_options){ .login_uid = LOGIN_UID,
						  .argv = RUN_WORDS("/bin/sh", "-c", line) });
	assert_string_equal(single.dived.out, "number 1\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, single_setup, single_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_closing_alone),
		TEST(test_lost_alone),
		TEST(test_killed_alone),
		TEST(test_recorder_keeps_to_itself),
		TEST(test_stop),
		TEST(test_killed_before_stop),
		TEST(test_recorder_is_not_waited_for),
		TEST(test_unshared_pid_namespace),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
