/*
 * --audit auto, require and off, where the kernel audits, where it does not, where
 * it does not say, and where the client's login uid cannot be carried over.
 *
 * "Recorded before it runs" is shown from behind: where the record cannot be had,
 * nothing runs.  The witness of a program that ran is a file.
 *
 * Two states are made by this program itself, which a gateway is started through
 * (see main): a pid namespace, outside the first of which the kernel refuses the
 * question whether it audits; and a filter that refuses dived every plain
 * open(O_WRONLY), by which it would write /proc/self/loginuid.  The kernel itself
 * refuses that write under loginuid_immutable, a switch of the whole machine, which
 * no test should touch.
 */
#include "cleanup.h"
#include "must.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PID_NAMESPACE "pid-namespace"
#define NO_LOGIN_UID  "no-login-uid"
#define NO_KEYRING    "no-keyring"
#define NO_SOCKET     "no-socket"
#define WITNESS	      "/run/witness"

/* Asks the gateway, as alice, for a program that leaves the witness; returns whether it ran. */
static bool spawns(int status)
{
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &trail.gateway, RUN_WORDS("sh", "-c", "echo >> " WITNESS));
	run_assert_status(&trail.client, status);
	return unlink(WITNESS) == 0;
}

static int setup(void **state)
{
	sandbox_group_setup(state);
	/* A directory for the witness that alice can write to. */
	MUST(chmod("/run", 01777));
	return 0;
}

static void test_require_refuses_to_start(void **state)
{
	(void)state;
	audit_stream_set_enabled(&trail.stream, false);
	gateway_expect_refusal(RUN_WORDS("/run/dive-test/never.sock", "--audit", "require"),
			       "--audit require: kernel auditing is disabled");
	gateway_expect_refusal(
		RUN_WORDS("--check", "/run/dive-test/never.sock", "--audit", "require"),
		"--audit require: kernel auditing is disabled");
	assert_int_equal(access("/run/dive-test/never.sock", F_OK), -1);
	audit_stream_set_enabled(&trail.stream, true);
}

/* What it says of the kernel is what the kernel says; with "off" nobody asks. */
static void test_check_tells(void **state)
{
	static const struct {
		const char *mode;
		bool enabled;
		const char *line;
	} cases[] = {
		{ "auto", true, "and to syslog; kernel auditing is enabled\n" },
		{ "auto", false, "and to syslog; kernel auditing is disabled\n" },
		{ "off", true, "  audit: records to syslog only\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		audit_stream_set_enabled(&trail.stream, cases[i].enabled);
		run(&trail.client,
		    &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), "--check",
							     "/run/dive-test/never.sock", "--audit",
							     cases[i].mode) });
		run_assert_status(&trail.client, 0);
		assert_non_null(strstr(trail.client.out, cases[i].line));
		run_done(&trail.client);
	}
	audit_stream_set_enabled(&trail.stream, true);
}

static void fix_login_uids(bool fixed)
{
	cleanup_fd int fd = MUST_INT(audit_open());

	if (audit_set_feature(fd, AUDIT_FEATURE_LOGINUID_IMMUTABLE, fixed, 0) <= 0)
		FAIL("the kernel does not change the feature");
}

/* A dived that has a login uid can serve nobody else then, and says so before it is tried. */
static void test_login_uids_are_fixed(void **state)
{
	static const char line[] = "clients who have another login uid than dived are refused";

	(void)state;
	fix_login_uids(true);
	for (int own = 0; own < 2; own++) {
		run(&trail.client,
		    &(struct run_options){ .login_uid = own ? "2003" : NULL,
					   .argv = RUN_WORDS(sandbox_dived(), "--check",
							     "/run/dive-test/never.sock") });
		run_assert_status(&trail.client, 0);
		assert_int_equal(strstr(trail.client.out, line) != NULL, own);
		run_done(&trail.client);
	}
	trail_serve(RUN_WORDS(NULL)); /* with that login uid */
	gateway_expect_log(&trail.gateway, "clients who have another are refused");
	assert_false(spawns(77));
	assert_non_null(strstr(trail.client.err, "the client's login uid cannot be carried over"));
	run_done(&trail.client);
	gateway_stop(&trail.gateway);
	fix_login_uids(false);
}

static void test_require_refuses_the_unknown(void **state)
{
	struct run dived;

	(void)state;
	run(&dived, &(struct run_options){
			    .argv = RUN_WORDS("/proc/self/exe", PID_NAMESPACE, sandbox_dived(),
					      "/run/dive-test/never.sock", "--audit", "require") });
	run_assert_status(&dived, 4);
	assert_non_null(strstr(dived.err, "--audit require: kernel auditing is unknown"));
	assert_int_equal(access("/run/dive-test/never.sock", F_OK), -1);
	run_done(&dived);
}

/* No socket to ask by: then every program would be refused. */
static void test_start_without_a_socket(void **state)
{
	static const struct {
		const char *mode;
		const char *says;
	} cases[] = {
		{ "auto", "whether the kernel audits is not to be found out" },
		{ "require", "--audit require: kernel auditing is not to be found out" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		run(&trail.client,
		    &(struct run_options){ .argv = RUN_WORDS("/proc/self/exe", NO_SOCKET,
							     sandbox_dived(),
							     "/run/dive-test/never.sock", "--audit",
							     cases[i].mode) });
		run_assert_status(&trail.client, 4);
		assert_non_null(strstr(trail.client.err, cases[i].says));
		run_done(&trail.client);
	}
}

/* Asked of the kernel at each spawn, not at start-up alone. */
static void test_require_refuses_a_spawn(void **state)
{
	(void)state;
	trail_serve(RUN_WORDS("--audit", "require"));
	assert_true(spawns(0));
	run_done(&trail.client);
	(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	audit_stream_set_enabled(&trail.stream, false);
	assert_false(spawns(77));
	assert_non_null(strstr(trail.client.err, "audit"));
	assert_non_null(strstr(trail.client.err, "auditing is required, and is disabled"));
	run_done(&trail.client);
	audit_stream_set_enabled(&trail.stream, true);
	assert_true(spawns(0));
	(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	gateway_stop(&trail.gateway);
}

static void test_auto_without_auditing(void **state)
{
	(void)state;
	audit_stream_set_enabled(&trail.stream, false);
	trail_serve(RUN_WORDS("--audit", "auto"));
	gateway_expect_log(&trail.gateway,
			   "kernel auditing is disabled: records go to syslog alone");
	assert_true(spawns(0));
	run_done(&trail.client);
	gateway_expect_log(&trail.gateway, "op=dive:spawn");
	gateway_expect_log(&trail.gateway, "op=dive:exit");
	/* And with it, from the next spawn on. */
	audit_stream_set_enabled(&trail.stream, true);
	assert_true(spawns(0));
	(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
	gateway_stop(&trail.gateway);
}

static void test_auto_with_the_unknown(void **state)
{
	const char *text;

	(void)state;
	trail_serve_through(PID_NAMESPACE, RUN_WORDS("--audit", "auto"));
	gateway_expect_log(&trail.gateway,
			   "kernel auditing is unknown: records go to syslog as well");
	assert_true(spawns(0));
	gateway_expect_log(&trail.gateway, "op=dive:spawn");
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	trail_assert(text, "auid", "2001");
	(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
	gateway_stop(&trail.gateway);
}

/* There is nobody to write the stop once the first process of a pid namespace has ended. */
static void test_stop_of_the_first_process(void **state)
{
	(void)state;
	trail_serve_through(PID_NAMESPACE, RUN_WORDS("-F", "--audit", "auto"));
	assert_true(spawns(0));
	(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
	(void)trail_expect(AUDIT_USER, "op=dive:stop");
	run_wait(&trail.gateway.run);
	trail_expect_none(AUDIT_USER, "op=dive:stop");
	gateway_kill(&trail.gateway);
}

static void test_login_uid_not_carried_over(void **state)
{
	static const char *const modes[] = { "auto", "require" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const char *text;

		print_message("case: %s\n", modes[i]);
		trail_serve_through(NO_LOGIN_UID, RUN_WORDS("--audit", modes[i]));
		assert_false(spawns(77));
		assert_non_null(strstr(trail.client.err, "login uid cannot be carried over"));
		run_done(&trail.client);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
		trail_assert(text, "auid", "2003"); /* which is why */
		trail_assert(text, "client_auid", "2001");
		trail_assert(text, "auid_kept", "no");
		trail_assert(text, "layer", "audit");
		trail_assert(text, "step", "loginuid");
		trail_expect_none(AUDIT_USER_CMD, "op=dive:spawn");
		gateway_stop(&trail.gateway);
	}
}

/* What a module has made of it counts for nothing. */
static void test_login_uid_is_put_back(void **state)
{
	static const char *const logins[] = { "2001", TRAIL_UNSET };
	const char *text;

	(void)state;
	sandbox_service("named", SANDBOX_SERVICE "session required pam_loginuid.so\n");
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never", "-x", "named", "--audit", "require"));
	for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice", .login_uid = logins[i] },
			 &trail.gateway, RUN_WORDS("cat", "/proc/self/loginuid"));
		run_assert_status(&trail.client, 0);
		assert_string_equal(trail.client.out, logins[i]);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		trail_assert(text, "auid", logins[i]);
		trail_assert(text, "client_auid", logins[i]);
		trail_assert(text, "auid_kept", "yes");
		run_done(&trail.client);
	}
	gateway_stop(&trail.gateway);
}

/* Limits and the root are the target's from a module on; its record is written all the same. */
static void test_limits_of_the_target(void **state)
{
	static const char *const limits[] = { "* - nofile 8", "* - nofile 10\n* - fsize 0",
					      "* - chroot /run/dive-test/jail" };

	cleanup_fd int log = sandbox_syslog_open();

	(void)state;
	MUST(mkdir("/run/dive-test/jail", 0755));
	sandbox_service("limited", SANDBOX_SERVICE
			"session required pam_limits.so conf=/run/dive-test/limits.conf\n"
			"session optional pam_loginuid.so\n");
	trail_serve(RUN_WORDS("-x", "limited", "--audit", "require"));
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		const char *text;
		char line[8192];

		print_message("case: %s\n", limits[i]);
		sandbox_write("/run/dive-test/limits.conf", 0644, "%s\n", limits[i]);
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice", .login_uid = "2001" },
			 &trail.gateway, RUN_WORDS("/nonesuch"));
		run_assert_status(&trail.client, 127);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		trail_assert(text, "auid", "2001");
		trail_assert(text, "auid_kept", "yes");
		(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
		sandbox_syslog_expect(log, "op=dive:spawn", line, sizeof(line));
		sandbox_syslog_expect(log, "op=dive:exit", line, sizeof(line));
		run_done(&trail.client);
	}
	gateway_stop(&trail.gateway);
	sandbox_syslog_close(&log);
}

/*
 * Where poll(2) fails, since there may be no descriptors at all, what the kernel says of its
 * auditing, at times a moment late, is waited for all the same.
 */
static void test_no_descriptors(void **state)
{
	cleanup_fd int log = sandbox_syslog_open();
	char line[8192];

	(void)state;
	sandbox_service("limited", SANDBOX_SERVICE
			"session required pam_limits.so conf=/run/dive-test/limits.conf\n");
	sandbox_write("/run/dive-test/limits.conf", 0644, "* - nofile 0\n");
	trail_serve(RUN_WORDS("-x", "limited", "--audit", "require"));
	for (int i = 0; i < 20; i++) {
		assert_false(spawns(77));
		run_done(&trail.client);
		(void)trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
		sandbox_syslog_expect(log, "op=dive:refuse", line, sizeof(line));
		assert_null(strstr(line, "not written"));
	}
	gateway_stop(&trail.gateway);
	sandbox_syslog_close(&log);
}

/* A session that cannot even begin: without a keyring of its own it would use its client's. */
static void test_earliest_refusal(void **state)
{
	const char *text;

	(void)state;
	trail_serve_through(NO_KEYRING, RUN_WORDS("--audit", "require"));
	assert_false(spawns(77));
	assert_non_null(strstr(trail.client.err, "the client cannot be identified"));
	text = trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
	trail_assert(text, "auid", "2001");
	trail_assert_number(text, "client_uid", SANDBOX_UID_ALICE);
	trail_assert(text, "step", "identify");
	gateway_expect_log(&trail.gateway, "op=dive:refuse");
	gateway_stop(&trail.gateway);
}

/* Without auditing it is a field of the syslog line. */
static void test_login_uid_not_carried_over_unaudited(void **state)
{
	(void)state;
	audit_stream_set_enabled(&trail.stream, false);
	trail_serve_through(NO_LOGIN_UID, RUN_WORDS("--audit", "auto"));
	assert_true(spawns(0));
	gateway_expect_log(&trail.gateway, "client_auid=2001 ");
	gateway_expect_log(&trail.gateway, "auid_kept=no");
	audit_stream_set_enabled(&trail.stream, true);
	gateway_stop(&trail.gateway);
}

static void test_off(void **state)
{
	static const int types[] = { AUDIT_USER_CMD, AUDIT_USER_END, AUDIT_USER };
	char address[sizeof(trail.field)];

	(void)state;
	trail_serve(RUN_WORDS("--audit", "off", "--allow", "alice"));
	assert_true(spawns(0));
	run_done(&trail.client);
	run_dive(&trail.client, &(struct run_options){ .account = "bob" }, &trail.gateway,
		 RUN_WORDS("true"));
	run_assert_status(&trail.client, 77);
	gateway_expect_log(&trail.gateway, "op=dive:spawn");
	gateway_expect_log(&trail.gateway, "op=dive:exit");
	gateway_expect_log(&trail.gateway, "op=dive:refuse");
	assert_null(strstr(gateway_log(&trail.gateway), "kernel auditing"));
	(void)snprintf(address, sizeof(address), "%s", trail.field); /* the same size */
	gateway_stop(&trail.gateway);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		audit_stream_expect_none(&trail.stream, types[i], address, NULL);
}

/* Who the human is does not depend on whether it is recorded. */
static void test_off_keeps_the_login_uid(void **state)
{
	(void)state;
	trail_serve(RUN_WORDS("--audit", "off"));
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &trail.gateway, RUN_WORDS("cat", "/proc/self/loginuid"));
	run_assert_status(&trail.client, 0);
	assert_string_equal(trail.client.out, "2001");
	gateway_stop(&trail.gateway);
}

/* Passes SIGTERM on to a child that is pid 1 of a new namespace, and its status back. */
static void enter_pid_namespace(void)
{
	sigset_t set;
	pid_t pid;
	int number;
	int status;

	(void)sigemptyset(&set); /* these cannot fail */
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	if (unshare(CLONE_NEWPID) < 0 || (pid = fork()) < 0)
		_exit(98);
	if (pid == 0) {
		(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after a test that failed */
		return;
	}
	while (sigwait(&set, &number) == 0 && number == SIGTERM)
		(void)kill(pid, SIGTERM); /* our child, not reaped */
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		_exit(97);
	_exit(WEXITSTATUS(status));
}

/* The call fails from now on, where its third argument, as far as the mask goes, is this. */
static void refuse(uint32_t call, uint32_t mask, uint32_t third, uint32_t error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, third, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	/* As root no_new_privs is not needed, and would change what the test is about. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
		  &(struct sock_fprog){ ARRAY_LEN(filter), filter }) < 0)
		_exit(96);
}

/* `word program arguments...`: arranges what the word says and becomes the program. */
static int start_through(char **argv)
{
	if (strcmp(argv[1], PID_NAMESPACE) == 0)
		enter_pid_namespace();
	else if (strcmp(argv[1], NO_LOGIN_UID) == 0)
		refuse(SYS_openat, ~0U, O_WRONLY | O_CLOEXEC, EPERM);
	else if (strcmp(argv[1], NO_KEYRING) == 0)
		refuse(SYS_keyctl, 0, 0, EPERM);
	else if (strcmp(argv[1], NO_SOCKET) == 0)
		refuse(SYS_socket, ~0U, NETLINK_AUDIT, ENFILE);
	(void)execv(argv[2], argv + 2); /* returns on failure only */
	return 95;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_require_refuses_to_start),
		TEST(test_check_tells),
		TEST(test_login_uids_are_fixed),
		TEST(test_require_refuses_the_unknown),
		TEST(test_start_without_a_socket),
		TEST(test_require_refuses_a_spawn),
		TEST(test_auto_without_auditing),
		TEST(test_auto_with_the_unknown),
		TEST(test_stop_of_the_first_process),
		TEST(test_login_uid_not_carried_over),
		TEST(test_login_uid_not_carried_over_unaudited),
		TEST(test_login_uid_is_put_back),
		TEST(test_limits_of_the_target),
		TEST(test_no_descriptors),
		TEST(test_earliest_refusal),
		TEST(test_off),
		TEST(test_off_keeps_the_login_uid),
	};

	if (argc > 2)
		return start_through(argv);
	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
