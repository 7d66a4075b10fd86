/*
 * Between pam_open_session(3) and the program, and after it: what can fail there does,
 * and what was opened is closed, its credentials deleted, and the end recorded.
 *
 * As in test_child_steps.c, which has all the steps of the child, the kernel refuses one
 * system call from the end of pam_open_session(3) on, here in the session itself
 * ("fail-here" of pam_probe.c).  The death of a session at each moment is in test_death.c.
 */
#include "cleanup.h"
#include "family.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPENED "account establish open "
#define CLOSED "close delete"
#define RAN    "/home/bob/ran"

enum record { REFUSED, ENDED, FINE, UNWRITTEN };

struct row {
	const char *what;
	long call;
	int error;
	const char *arguments; /* of the call: see pam_probe.c */
	int status;	       /* of dive */
	const char *says;      /* to the client */
	enum record record;
	const char *step; /* in it */
};

static const struct row rows[] = {
	{ "the groups cannot be read", SYS_getgroups, EPERM, "", 77, "state cannot be read",
	  REFUSED, "capture" },
	{ "the limits cannot be read", SYS_prlimit64, EPERM, ",2=0", 77, "state cannot be read",
	  REFUSED, "capture" },
	{ "signals cannot be blocked", SYS_rt_sigprocmask, EINVAL, "", 77, "signals", ENDED,
	  "signals" },
#ifdef SYS_poll
	/* Only where there are 25 s and more, as for the program to be executed. */
	{ "the program cannot be waited for", SYS_poll, ENOMEM, ",2>25000", 77,
	  "could not be started", ENDED, "deadline" },
#endif
	/* Netlink alone is sent to an address, of 12 bytes; libpam's socket has a low number. */
	{ "the record cannot be written", SYS_sendto, ENOBUFS, ",5=12,0>1023", 77,
	  "auditing is required", UNWRITTEN, "state" },
	/* Those it can do without. */
	{ "no channel of its own", SYS_socketpair, EMFILE, "", 0, "", FINE, NULL },
	{ "no pidfd of the program", SYS_pidfd_open, EMFILE, "", 0, "", FINE, NULL },
};

static void expect_record(const struct row *row)
{
	const char *text;
	char id[64];

	if (row->record == UNWRITTEN) {
		gateway_expect_log(&trail.gateway, "op=dive:refuse");
		gateway_expect_log(&trail.gateway, "step=state");
		return;
	}
	if (row->record == REFUSED) {
		text = trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
		trail_assert(text, "step", row->step);
		trail_expect_none(AUDIT_USER_CMD, "op=dive:spawn");
		return;
	}
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	(void)audit_field(text, "dive_id", id, sizeof(id));
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", id, NULL);
	if (row->record == ENDED)
		trail_assert(text, "step", row->step);
	trail_assert(text, "res", row->record == FINE ? "success" : "failed");
}

/* Runs alice's program, and sees that PAM's session is closed by the time she knows. */
static void run_alice(int status, const char *says)
{
	(void)unlink(RAN);
	probe_forget();
	run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway,
		 RUN_WORDS("touch", RAN));
	run_assert_status(&trail.client, status);
	assert_contains(trail.client.err, says);
	run_done(&trail.client);
	assert_int_equal(access(RAN, F_OK), status ? -1 : 0);
	probe_assert_phases(OPENED CLOSED);
}

static void start(const char *lines)
{
	char service[1024];

	(void)snprintf(service, sizeof(service), PROBE_SERVICE "%s", lines); /* fits */
	sandbox_service("probe", service);
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never", "-x", "probe", "--audit", "require"));
	gateway_expect_served(&trail.gateway, "carol", "bob");
	family_await(FAMILY_SESSION, 0);
	audit_stream_forget(&trail.stream);
}

static void finish(void)
{
	family_await(FAMILY_SESSION, 0);
	gateway_expect_served(&trail.gateway, "carol", "bob");
	gateway_stop(&trail.gateway);
	sandbox_assert_no_children();
}

static void test_each_call_failing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char line[256];

		print_message("case: %s\n", rows[i].what);
		(void)snprintf(line, sizeof(line),
			       "session required " PROBE_PATH
			       " only=open client=alice fail-here=%ld,%d%s\n",
			       rows[i].call, rows[i].error, rows[i].arguments); /* fits */
		start(line);
		run_alice(rows[i].status, rows[i].says);
		expect_record(&rows[i]);
		finish();
	}
}

/*
 * The same for memory: from a certain amount on there is enough for one allocation
 * more, for another, and in the end for the program.  The first lines of the list fail
 * while the session is opened, and have no session to close.
 */
static void test_memory_running_out(void **state)
{
	bool opened = false;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	SKIP("AddressSanitizer ends a process that has no memory");
#endif
	for (unsigned bytes = 24; bytes < 65536; bytes += bytes / 2) {
		char line[256];

		(void)snprintf(line, sizeof(line),
			       "session required " HOSTILE_PATH
			       " only=open client=alice exhaust=%u\n",
			       bytes); /* fits */
		start(line);
		probe_forget();
		run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway,
			 RUN_WORDS("true"));
		print_message("case: %u bytes: status %d\n%s", bytes, trail.client.status,
			      trail.client.err);
		if (trail.client.status != 77) { /* it runs, and starves by itself */
			assert_true(opened);
			run_done(&trail.client);
			finish();
			return;
		}
		opened = opened || strstr(probe_log(), "phase=close");
		probe_assert_phases(strstr(probe_log(), "phase=close") ? OPENED CLOSED
								       : OPENED "delete");
		gateway_expect_log(&trail.gateway, "res=failed");
		run_done(&trail.client);
		finish();
	}
	FAIL("it is never enough");
}

/* Ignores what the kernel sends it when its session or its monitor ends. */
#define STUBBORN "trap '' HUP; echo up; exec sleep 1000"

/* The end is recorded as a failure of this step, and by then the program has ended. */
static void expect_stopped(const char *step)
{
	const char *text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	char id[64];

	(void)audit_field(text, "dive_id", id, sizeof(id));
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", id, NULL);
	assert_int_equal(family_count("sleep") + family_count("sh"), 0);
	trail_assert(text, "step", step);
	trail_assert(text, "res", "failed");
	trail_assert(text, "exit", "?");
	assert_true(audit_has_field(text, "reason"));
}

/* What poll(3) without a deadline calls, and how to tell it from one with. */
#ifdef SYS_poll
#define POLL	  SYS_poll
#define UNLIMITED "2=4294967295" /* -1, in 32 bits */
#else
#define POLL	  SYS_ppoll
#define UNLIMITED "2=0"
#endif

/* The program is executed, and the session can no longer wait for it. */
static void test_program_that_cannot_be_waited_for(void **state)
{
	char line[256];

	(void)state;
	(void)snprintf(line, sizeof(line),
		       "session required " PROBE_PATH
		       " only=open client=alice fail-here=%ld,%d," UNLIMITED "\n",
		       (long)POLL, ENOMEM);
	start(line);
	run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway,
		 RUN_WORDS("sh", "-c", STUBBORN));
	run_assert_status(&trail.client, 77);
	run_done(&trail.client);
	expect_stopped("wait");
	finish();
}

/* The monitor of a program on a terminal is killed, and the program does not mind. */
static void test_program_whose_monitor_dies(void **state)
{
	cleanup_free const char **argv = NULL;

	(void)state;
	start("");
	argv = run_dive_words(&trail.gateway, RUN_WORDS("sh", "-c", STUBBORN));
	pty_start(&trail.pty, &(struct run_options){ .account = "alice", .argv = argv });
	pty_expect(&trail.pty, "up");
	family_kill("dived: monitor");
	expect_stopped("wait");
	assert_int_equal(pty_wait(&trail.pty), 77);
	pty_done(&trail.pty);
	finish();
}

/* The client leaves while the session is opened, and the module does not mind. */
static void test_client_leaves_while_opening(void **state)
{
	struct packet prompt;
	const char *text;

	(void)state;
	start("session required " HOSTILE_PATH " only=open client=alice ask\n");
	probe_forget();
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", NULL);
	hostile_send_burst(&trail.hostile, RUN_WORDS("/bin/touch", RAN), -1);
	hostile_expect(&trail.hostile, MESSAGE_PROMPT, &prompt);
	packet_done(&prompt);
	(void)unlink(RAN);
	hostile_close(&trail.hostile);
	text = trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
	trail_assert_text(text, "reason", "the client has gone");
	trail_expect_none(AUDIT_USER_CMD, "op=dive:spawn");
	probe_expect_phases(OPENED CLOSED); /* after the record, and nobody waits for it */
	assert_int_equal(access(RAN, F_OK), -1);
	finish();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_call_failing),
		TEST(test_memory_running_out),
		TEST(test_program_that_cannot_be_waited_for),
		TEST(test_program_whose_monitor_dies),
		TEST(test_client_leaves_while_opening),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
