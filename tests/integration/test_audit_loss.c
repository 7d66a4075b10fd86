/*
 * The audit trail lost between the start of a gateway and a program: auditing turned off,
 * no permission to send, a socket that fails, a queue that is full.  Nothing runs whose
 * record is due and cannot be had; what runs all the same is at least in syslog.
 *
 * What is so from the start on is in test_audit_modes.c.  A call that fails is refused by
 * a filter that pam_probe.c sets in the session, after it has opened everything; lost
 * permissions are taken from dived by this program (see main).  The queue is filled
 * under the lock, which also has its limits put back.
 */
#include "audit_machine.h"
#include "cleanup.h"
#include "family.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_WRITE   "no-audit-write"
#define NO_CONTROL "no-audit-control"
#define NEITHER	   "neither"
#define WITNESS	   "/run/witness"
#define QUEUE	   4 /* records the kernel may keep */
#define FILLING	   300
#define ATTEMPTS   20

/* Asks the gateway, as alice, for a program that leaves the witness; returns whether it ran. */
static bool spawns(int status)
{
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &trail.gateway, RUN_WORDS("sh", "-c", "echo >> " WITNESS));
	run_assert_status(&trail.client, status);
	return unlink(WITNESS) == 0;
}

static void assert_refused(const char *says)
{
	assert_false(spawns(77));
	assert_contains(trail.client.err, "dive: audit: ");
	assert_contains(trail.client.err, says);
	run_done(&trail.client);
	trail_expect_none(AUDIT_USER_END, "op=dive:exit");
}

static void assert_runs(void)
{
	assert_true(spawns(0));
	run_done(&trail.client);
	gateway_expect_log(&trail.gateway, "op=dive:spawn");
	gateway_expect_log(&trail.gateway, "op=dive:exit");
}

/* --- turned off --------------------------------------------------------------------- */

static void test_auto_goes_on_when_turned_off(void **state)
{
	(void)state;
	trail_serve(RUN_WORDS("--audit", "auto"));
	audit_stream_set_enabled(&trail.stream, false);
	assert_runs();
	assert_null(strstr(gateway_log(&trail.gateway), "not written"));
	audit_stream_set_enabled(&trail.stream, true);
	trail_expect_none(AUDIT_USER_CMD, "op=dive:spawn");
	gateway_stop(&trail.gateway);
}

/* The end of a program cannot be refused; what is missing is said. */
static void test_turned_off_while_a_program_runs(void **state)
{
	static const struct {
		const char *mode;
		bool due;
	} modes[] = { { "require", true }, { "auto", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		int hold[2];

		print_message("case: %s\n", modes[i].mode);
		trail_serve(RUN_WORDS("--audit", modes[i].mode));
		MUST(pipe2(hold, O_CLOEXEC));
		run_dive_start(&trail.client,
			       &(struct run_options){ .account = "alice",
						      .login_uid = "2001",
						      .fds = &(struct run_fd){ hold[0], 0 },
						      .fd_count = 1 },
			       &trail.gateway, RUN_WORDS("sh", "-c", "echo up; read end; :"));
		close_fd(&hold[0]);
		run_expect(&trail.client, "up");
		audit_stream_set_enabled(&trail.stream, false);
		close_fd(&hold[1]);
		run_wait(&trail.client);
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
		gateway_expect_log(&trail.gateway, "op=dive:exit");
		family_await(FAMILY_SESSION, 0);
		assert_int_equal(strstr(gateway_log(&trail.gateway),
					"audit record not written (disabled): op=dive:exit") !=
					 NULL,
				 modes[i].due);
		audit_stream_set_enabled(&trail.stream, true);
		gateway_stop(&trail.gateway);
	}
}

/* --- no permission ------------------------------------------------------------------ */

/* The kernel does not say whether it audits, and takes what it is sent, or not even that. */
static void test_no_permission_to_ask(void **state)
{
	static const struct {
		const char *what;
		const char *log;
		bool recorded;
	} cases[] = {
		{ NO_CONTROL, "kernel auditing is unknown: records go to syslog as well", true },
		{ NEITHER, "kernel auditing is absent: records go to syslog alone", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		trail_serve_through(cases[i].what, RUN_WORDS("--audit", "auto", "--no-pam"));
		gateway_expect_log(&trail.gateway, cases[i].log);
		assert_runs();
		if (cases[i].recorded)
			(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		trail_expect_none(AUDIT_USER_CMD, "op=dive:");
		gateway_stop(&trail.gateway);
	}
}

/* It may not write, which did not matter when it was started. */
static void test_no_permission_when_turned_on(void **state)
{
	(void)state;
	audit_stream_set_enabled(&trail.stream, false);
	trail_serve_through(NO_WRITE, RUN_WORDS("--audit", "auto", "--no-pam"));
	assert_runs();
	audit_stream_set_enabled(&trail.stream, true);
	assert_refused("the audit record cannot be written: Operation not permitted");
	gateway_expect_log(&trail.gateway, "audit record not written (Operation not permitted)");
	gateway_stop(&trail.gateway);
}

static void test_no_permission_is_no_start(void **state)
{
	static const struct {
		const char *what;
		const char *mode;
		const char *says;
	} cases[] = { { NO_CONTROL, "require", "--audit require: kernel auditing is unknown" },
		      { NO_WRITE, "auto", "dived lacks CAP_AUDIT_WRITE" },
		      { NO_WRITE, "require", "dived lacks CAP_AUDIT_WRITE" },
		      { NEITHER, "require", "--audit require: kernel auditing is absent" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run dived;

		print_message("case: %s, %s\n", cases[i].what, cases[i].mode);
		run(&dived, &(struct run_options){ .argv = RUN_WORDS("/proc/self/exe",
								     cases[i].what, sandbox_dived(),
								     "/run/dive-test/never.sock",
								     "--audit", cases[i].mode) });
		run_assert_status(&dived, 4);
		assert_contains(dived.err, cases[i].says);
		run_done(&dived);
	}
}

/* --- a socket that fails ------------------------------------------------------------ */

#define RECORD_ONLY ",2>200" /* the question is answered: it is short */

/* libpam's own socket has a low number. */
static void serve_failing(int error, const char *mode, const char *what)
{
	char service[1024];

	(void)snprintf(service, sizeof(service),
		       PROBE_SERVICE "session required " PROBE_PATH
				     " only=open client=alice fail-here=%d,%d,5=12,0>1023%s\n",
		       SYS_sendto, error, what); /* fits */
	sandbox_service("probe", service);
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never", "-x", "probe", "--audit", mode));
}

static void test_the_socket_fails(void **state)
{
	/* ECONNREFUSED is what libaudit gives as 0, which is no success. */
	static const int errors[] = { ENOBUFS, EPERM, ECONNREFUSED, EAGAIN, ENOMEM };
	static const char *const modes[] = { "auto", "require" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errors) * ARRAY_LEN(modes); i++) {
		int error = errors[i / ARRAY_LEN(modes)];
		const char *mode = modes[i % ARRAY_LEN(modes)];
		char step[64];

		print_message("case: %s, %s\n", strerror(error), mode);
		serve_failing(error, mode, RECORD_ONLY);
		probe_forget();
		assert_refused("the audit record cannot be written: ");
		probe_assert_phases("account establish open close delete");
		(void)snprintf(step, sizeof(step), "layer=audit step=write errno=%d ", error);
		gateway_expect_log(&trail.gateway, step);
		gateway_expect_log(&trail.gateway, "audit record not written (");
		trail_expect_none(AUDIT_USER_CMD, "op=dive:");
		/* Only that session was ill. */
		gateway_expect_served(&trail.gateway, "carol", "bob");
		gateway_stop(&trail.gateway);
	}
}

/* Neither a question nor a record can be sent, by the session that has to decide. */
static void test_the_socket_fails_altogether(void **state)
{
	static const int errors[] = { ENOBUFS, ENOMEM, EAGAIN, EBADF };
	static const char *const modes[] = { "auto", "require" };
	static const char *const says[] = {
		"whether the kernel audits is not to be found out",
		"auditing is required, and is not to be found out",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errors) * ARRAY_LEN(modes); i++) {
		int error = errors[i / ARRAY_LEN(modes)];
		size_t mode = i % ARRAY_LEN(modes);

		print_message("case: %s, %s\n", strerror(error), modes[mode]);
		serve_failing(error, modes[mode], "");
		assert_refused(says[mode]);
		gateway_expect_log(&trail.gateway, "layer=audit step=state errno=0 ");
		gateway_expect_log(&trail.gateway, "audit record not written (");
		trail_expect_none(AUDIT_USER_CMD, "op=dive:");
		gateway_expect_served(&trail.gateway, "carol", "bob");
		gateway_stop(&trail.gateway);
	}
}

/* --- a queue that is full ----------------------------------------------------------- */

/* As auditd(8) that has stopped: it is the one the kernel sends to, and reads nothing. */
static int stop_reading(void)
{
	int fd = MUST_INT(audit_open());
	int size = 1;

	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size))); /* the kernel's least */
	if (audit_set_pid(fd, (uint32_t)getpid(), WAIT_NO) <= 0)
		FAIL("the kernel has an auditd already");
	return fd;
}

/*
 * The kernel tries for some tenths of a second to hand a record over before it drops what is
 * in the queue, all at once: long enough for a spawn as a rule, which is why there are some
 * attempts.
 */
static void fill_queue(void)
{
	cleanup_fd int fd = MUST_INT(audit_open());

	if (audit_set_backlog_wait_time(fd, 0) <= 0 || audit_set_backlog_limit(fd, QUEUE) <= 0)
		FAIL("the kernel's queue cannot be made short");
	for (int i = 0; i < FILLING; i++)
		if (audit_log_user_message(fd, AUDIT_TEST, "op=filling", NULL, NULL, NULL, 1) <= 0)
			FAIL("the queue cannot be filled: %s", strerror(errno));
}

static void empty_queue(int *auditd)
{
	cleanup_fd int fd = MUST_INT(audit_open());

	close_fd(auditd); /* the kernel notices, and lets everything go */
	if (audit_set_backlog_limit(fd, 0) <= 0)
		FAIL("the kernel's queue cannot be made long");
	audit_stream_forget(&trail.stream);
}

static void ask_until_refused(void)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		fill_queue();
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice", .login_uid = "2001" },
			 &trail.gateway, RUN_WORDS("sh", "-c", "echo >> " WITNESS));
		if (trail.client.status == 77)
			break;
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
		MUST(unlink(WITNESS));
	}
	if (trail.client.pid <= 0)
		FAIL("it runs, with a queue that is full");
	assert_contains(trail.client.err, "dive: audit: the audit record cannot be written: the "
					  "kernel is losing records");
	run_done(&trail.client);
	assert_int_equal(access(WITNESS, F_OK), -1);
	gateway_expect_log(&trail.gateway, "layer=audit step=write errno=105 ");
}

static void test_the_queue_is_full(void **state)
{
	static const char *const modes[] = { "auto", "require" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		cleanup_fd int auditd = -1;

		print_message("case: %s\n", modes[i]);
		trail_serve(RUN_WORDS("--audit", modes[i]));
		auditd = stop_reading();
		ask_until_refused();
		empty_queue(&auditd);
		assert_runs();
		(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
		gateway_stop(&trail.gateway);
	}
}

/* --- a rate that is too high ----------------------------------------------------------- */

/* The kernel takes one record a second, and acknowledges all. */
static void test_the_rate_is_too_high(void **state)
{
	static const char *const modes[] = { "auto", "require" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		cleanup_fd int fd = MUST_INT(audit_open());

		print_message("case: %s\n", modes[i]);
		trail_serve(RUN_WORDS("--audit", modes[i]));
		if (audit_set_rate_limit(fd, 1) <= 0)
			FAIL("the rate cannot be limited");
		assert_false(spawns(77));
		assert_contains(trail.client.err, "dive: audit: the audit record cannot be "
						  "written: the kernel is losing records");
		run_done(&trail.client);
		gateway_expect_log(&trail.gateway, "layer=audit step=write errno=105 ");
		gateway_expect_log(&trail.gateway,
				   "audit record not written (the kernel is losing records)");
		if (audit_set_rate_limit(fd, 0) <= 0)
			FAIL("the rate cannot be freed");
		audit_stream_forget(&trail.stream);
		assert_runs();
		(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
		gateway_stop(&trail.gateway);
	}
}

/* --- this program as what dived is started through ---------------------------------- */

static int start_through(char **argv)
{
	bool neither = strcmp(argv[1], NEITHER) == 0;

	if ((neither || strcmp(argv[1], NO_WRITE) == 0) &&
	    prctl(PR_CAPBSET_DROP, CAP_AUDIT_WRITE, 0, 0, 0) < 0)
		return 96;
	if ((neither || strcmp(argv[1], NO_CONTROL) == 0) &&
	    prctl(PR_CAPBSET_DROP, CAP_AUDIT_CONTROL, 0, 0, 0) < 0)
		return 96;
	(void)execv(argv[2], argv + 2); /* returns on failure only */
	return 95;
}

static int setup(void **state)
{
	if (probe_group_setup(state) != 0)
		return -1;
	MUST(chmod("/run", 01777)); /* a place for the witness that alice and bob can write to */
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_auto_goes_on_when_turned_off), TEST(test_turned_off_while_a_program_runs),
		TEST(test_no_permission_to_ask),	 TEST(test_no_permission_when_turned_on),
		TEST(test_no_permission_is_no_start),	 TEST(test_the_socket_fails),
		TEST(test_the_socket_fails_altogether),	 TEST(test_the_queue_is_full),
		TEST(test_the_rate_is_too_high),
	};

	if (argc > 2)
		return start_through(argv);
	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
