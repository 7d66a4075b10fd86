/*
 * One end for each beginning: whoever is killed, and at whatever step of a session, the
 * audit trail has a spawn or none, and exactly one record that ends it, of the same dive_id.
 *
 * The session, the program and dive are killed while a PAM module of each phase holds the
 * session, while the new process has not taken its first step to the program (the record
 * is written, nothing is executed), and while the program runs.  What else must hold when
 * processes die (the template and the listener, too) is in test_death.c.
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOGIN_UID    "30711"
#define FIFO	     "/run/dive-test/hold"
#define PROGRAM	     "program"
#define PROGRAM_PATH "/run/dive-test/" PROGRAM
#define DISPOSABLE   "dived: refuse"
#define WAIT_MS	     10000
#define ID_SIZE	     64

enum step { AUTHENTICATE, PROMPT, ACCOUNT, ESTABLISH, OPEN, FORKED, RUNNING, CLOSE, DELETE };
enum victim { SESSION, CHILD, DIVE };
enum end { LOST, REFUSED, EXITED };

/* Of a step with a module: the phase in which it holds the session, as pam_probe has it. */
static const struct {
	const char *what;
	const char *phase;
} steps[] = {
	[AUTHENTICATE] = { "in authenticate", "authenticate" },
	[PROMPT] = { "at the prompt", NULL },
	[ACCOUNT] = { "in acct_mgmt", "account" },
	[ESTABLISH] = { "in setcred", "establish" },
	[OPEN] = { "in open_session", "open" },
	[FORKED] = { "before the program is executed", NULL },
	[RUNNING] = { "while the program runs", NULL },
	[CLOSE] = { "in close_session", "close" },
	[DELETE] = { "in setcred at the end", "delete" },
};

static const char *const victims[] = { "the session", "the program", "dive" };

static const struct row {
	enum step step;
	enum victim victim;
	bool verdict; /* it has been given, so that a loss is an end and no failed attempt */
	bool spawn;   /* a program is recorded */
	enum end end;
	const char *how; /* in the record of the end */
} rows[] = {
	{ AUTHENTICATE, SESSION, false, false, LOST, "reason=\"died\"" },
	{ AUTHENTICATE, DIVE, false, false, REFUSED, "layer=" },
	{ PROMPT, SESSION, false, false, LOST, "reason=\"died\"" },
	{ PROMPT, DIVE, false, false, REFUSED, "layer=authentication" },
	{ ACCOUNT, SESSION, false, false, LOST, "reason=\"died\"" },
	{ ACCOUNT, DIVE, true, false, REFUSED, "step=client" },
	{ ESTABLISH, SESSION, true, false, LOST, "reason=\"died\"" },
	{ ESTABLISH, DIVE, true, false, REFUSED, "step=client" },
	{ OPEN, SESSION, true, false, LOST, "reason=\"died\"" },
	{ OPEN, DIVE, true, false, REFUSED, "step=client" },
	{ FORKED, SESSION, true, true, LOST, "reason=\"died\"" },
	{ FORKED, CHILD, true, true, EXITED, "sig=9" },
	{ FORKED, DIVE, true, true, EXITED, "sig=1" },
	{ RUNNING, SESSION, true, true, LOST, "reason=\"died\"" },
	{ RUNNING, CHILD, true, true, EXITED, "sig=9" },
	{ RUNNING, DIVE, true, true, EXITED, "sig=1" },
	{ CLOSE, SESSION, true, true, EXITED, "exit=0" },
	{ CLOSE, DIVE, true, true, EXITED, "exit=0" },
	{ DELETE, SESSION, true, true, EXITED, "exit=0" },
	{ DELETE, DIVE, true, true, EXITED, "exit=0" },
};

static struct scene {
	int hold;   /* while it is open, whoever has opened the FIFO waits */
	int answer; /* dive's standard input, where no answer is to come */
} scene;

static bool has_fifo(const struct row *row)
{
	return steps[row->step].phase || row->step == FORKED;
}

static void write_service(const struct row *row)
{
	char line[256] = PROBE_PATH;
	char service[1024];

	if (row->step == FORKED)
		(void)snprintf(line, sizeof(line),
			       PROBE_PATH " only=open client=alice hold-child=" FIFO);
	else if (has_fifo(row))
		(void)snprintf(line, sizeof(line), PROBE_PATH " only=%s client=alice hold=" FIFO,
			       steps[row->step].phase); /* all of these fit */
	(void)snprintf(service, sizeof(service),
		       "auth required %s\nauth required pam_unix.so nodelay\n"
		       "account required %s\naccount required pam_unix.so\nsession required %s\n",
		       line, line, line);
	sandbox_service("probe", service);
}

static void ask(const struct row *row)
{
	cleanup_fd int input = -1;
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC));
	input = ends[0];
	scene.answer = ends[1];
	if (row->step != PROMPT)
		sandbox_write_all(scene.answer, SANDBOX_PASSWORD_ALICE "\n",
				  strlen(SANDBOX_PASSWORD_ALICE "\n"));
	run_dive_start(&trail.client,
		       &(struct run_options){ .account = "alice",
					      .login_uid = LOGIN_UID,
					      .fds = &(struct run_fd){ input, 0 },
					      .fd_count = 1 },
		       &trail.gateway,
		       row->step < CLOSE ? RUN_WORDS("-S", PROGRAM_PATH, "600")
					 : RUN_WORDS("-S", "/bin/true"));
}

/* Waits until the module, or the new process, has the FIFO open for reading. */
static void await_hold(void)
{
	int64_t deadline = deadline_after(WAIT_MS);

	while ((scene.hold = open(FIFO, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		assert_int_equal(errno, ENXIO);
		if (deadline_passed(deadline))
			FAIL("the step is not reached");
		(void)poll(NULL, 0, 5); /* a FIFO without a reader cannot be waited for */
	}
}

/* The name goes first: some phases come twice, and the second time nobody is to wait. */
static void release_hold(void)
{
	if (unlink(FIFO) < 0)
		assert_int_equal(errno, ENOENT);
	close_fd(&scene.hold);
}

static void reach(const struct row *row)
{
	print_message("case: %s, %s is killed\n", steps[row->step].what, victims[row->victim]);
	write_service(row);
	trail_serve(RUN_WORDS("-u", "bob", "-x", "probe", "--audit", "require"));
	gateway_expect_served(&trail.gateway, NULL, "bob");
	family_await(FAMILY_SESSION, 0);
	audit_stream_forget(&trail.stream);
	if (has_fifo(row))
		MUST(mkfifo(FIFO, 0600));
	ask(row);
	if (has_fifo(row))
		await_hold();
	else if (row->step == PROMPT)
		run_expect(&trail.client, "Password:");
	else
		(void)family_find(PROGRAM);
}

static void kill_victim(const struct row *row)
{
	struct family_fds fds;

	switch (row->victim) {
	case SESSION:
		if (row->step == FORKED) /* it sleeps: it has told of the new process */
			family_list_fds(family_find(FAMILY_SESSION), &fds);
		family_kill(FAMILY_SESSION);
		break;
	case CHILD:
		family_kill(row->step == FORKED ? PROBE_HELD : PROGRAM);
		break;
	case DIVE:
		run_signal(&trail.client, SIGKILL);
		run_wait(&trail.client); /* its connection is closed by then */
		break;
	}
}

/* The record that ends it, of this login uid. */
static const char *expect_end(const struct row *row)
{
	static const struct {
		int type;
		const char *op;
	} ends[] = {
		[LOST] = { AUDIT_USER_AUTH, "op=dive:lost" },
		[REFUSED] = { AUDIT_USER_CMD, "op=dive:refuse" },
		[EXITED] = { AUDIT_USER_END, "op=dive:exit" },
	};
	int type = row->end == LOST && row->verdict ? AUDIT_USER_END : ends[row->end].type;
	const char *text = audit_stream_expect(&trail.stream, type, ends[row->end].op, trail.field,
					       row->how, NULL);

	trail_assert(text, "auid", LOGIN_UID);
	trail_assert(text, "client_auid", LOGIN_UID);
	trail_assert(text, "res", row->end == EXITED ? "success" : "failed");
	return text;
}

/* When the listener has done all it had to do. */
static void settle(void)
{
	family_await(FAMILY_SESSION, 0);
	gateway_expect_served(&trail.gateway, NULL, "bob");
	family_await(FAMILY_SESSION, 0);
	family_await(DISPOSABLE, 0);
}

static void expect_one_end(const struct row *row)
{
	static const int types[] = { AUDIT_USER_CMD, AUDIT_USER_END, AUDIT_USER_AUTH };
	char id[ID_SIZE];
	char spawned[ID_SIZE];
	const char *end = expect_end(row);
	bool outlived = row->end == LOST && strstr(end, " program=running ");

	(void)audit_field(end, "dive_id", id, sizeof(id));
	assert_int_equal(strlen(id), 32);
	if (row->spawn) {
		const char *spawn =
			audit_stream_expect(&trail.stream, AUDIT_USER_CMD, "op=dive:spawn",
					    trail.field, "client=\"alice\"", NULL);

		assert_string_equal(audit_field(spawn, "dive_id", spawned, sizeof(spawned)), id);
	}
	if (row->step == FORKED && row->end == LOST)
		trail_assert(end, "program", "running"); /* as what is held must be */
	/* Of a program that has outlived its session the listener tells the end as well. */
	if (outlived)
		(void)audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", id, NULL);
	settle();
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		audit_stream_expect_none(&trail.stream, types[i], id, NULL);
		audit_stream_expect_none(&trail.stream, types[i], trail.field, "client=\"alice\"",
					 NULL);
	}
}

static void test_one_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		reach(row);
		kill_victim(row);
		if (row->end == LOST) /* also while the new process is still held */
			family_await(FAMILY_SESSION, 0);
		release_hold();
		close_fd(&scene.answer);
		run_wait(&trail.client);
		run_done(&trail.client);
		expect_one_end(row);
		/* Whose session was dead before it was executed must not be any more. */
		family_await(PROBE_HELD, 0);
		family_await(PROGRAM, 0);
		gateway_stop(&trail.gateway);
		sandbox_assert_no_children();
	}
}

static int group_setup(void **state)
{
	if (probe_group_setup(state) != 0)
		return -1;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("cp", "/bin/sleep", PROGRAM_PATH) });
	return 0;
}

static int setup(void **state)
{
	scene = (struct scene){ .hold = -1, .answer = -1 };
	return trail_setup(state);
}

static int teardown(void **state)
{
	close_fd(&scene.hold);
	close_fd(&scene.answer);
	(void)unlink(FIFO); /* left by a test that has failed */
	return trail_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, sandbox_group_teardown);
}
