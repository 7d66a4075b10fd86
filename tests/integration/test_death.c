/*
 * SIGKILL, of each process there is, at each moment of a session.
 *
 * Four can die: the client, the session, the template and the listener.  There
 * are five moments: before the request, at the prompt, while the delay of a wrong
 * password is served, while the program runs, and in pam_close_session (a module
 * that hangs).  Every combination is played.  Whatever dies, no process may be
 * stuck, every session that was begun must be recorded as ended, by itself or by
 * the listener, and whoever is left goes on.
 *
 * The program writes "hup" when it gets SIGHUP, and exits with 7 on SIGTERM and
 * with 9 on SIGHUP, so that its end shows why it came.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "hostile.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDRESS	  "/run/dive-test/death.sock"
#define CLOSER	  "/run/dive-test/closer"
#define HANG	  "/run/dive-test/hang"
#define WAIT_MS	  10000
#define ALICE	  "2001"
#define LOGIN_UID "30417" /* in nobody else's records: the stream is the machine's */

#define SERVICE                                                                                    \
	"auth     optional pam_faildelay.so delay=600000\n"                                        \
	"auth     required pam_unix.so nodelay\n"                                                  \
	"account  required pam_unix.so\n"                                                          \
	"session  required pam_unix.so\n"                                                          \
	"session  optional pam_exec.so quiet type=close_session " CLOSER "\n"

static const char *const program[] = { "/bin/sh", "-c",
				       "trap 'echo hup; exit 9' HUP; trap 'exit 7' TERM; "
				       "echo up; while :; do sleep 0.05; done",
				       NULL };

enum moment { BEFORE_REQUEST, AT_PROMPT, IN_DELAY, RUNNING, CLOSING, MOMENTS };

static const char *const moment_names[MOMENTS] = {
	[BEFORE_REQUEST] = "before the request",
	[AT_PROMPT] = "at the prompt",
	[IN_DELAY] = "in the delay",
	[RUNNING] = "while the program runs",
	[CLOSING] = "in close_session",
};

struct scene {
	struct gateway gateway;
	struct audit_stream stream;
	struct hostile client;
	int output; /* of the program */
	int input;  /* the program's end of it; -1 once it has it */
	int hang;   /* while open, close_session does not return */
};

/* Reads the program's output until `text` has come. */
static void expect_output(const struct scene *scene, const char *text)
{
	char buffer[256] = "";
	size_t len = 0;

	while (!strstr(buffer, text)) {
		if (deadline_poll(scene->output, POLLIN, deadline_after(WAIT_MS)) < 0)
			FAIL("the program does not say \"%s\"", text);
		ssize_t got = MUST(read(scene->output, buffer + len, sizeof(buffer) - 1 - len));
		if (got == 0)
			FAIL("the program has ended without \"%s\"", text);
		len += (size_t)got;
		buffer[len] = '\0';
	}
}

/* Every write end of it is closed: the program and what it started have ended. */
static void expect_program_gone(const struct scene *scene)
{
	char buffer[256];
	ssize_t got;

	do {
		if (deadline_poll(scene->output, POLLIN, deadline_after(WAIT_MS)) < 0)
			FAIL("the program does not end");
		got = MUST(read(scene->output, buffer, sizeof(buffer)));
	} while (got > 0);
}

/* Waits until the module has the FIFO open for reading. */
static int open_hang(void)
{
	int64_t deadline = deadline_after(WAIT_MS);
	int fd;

	while ((fd = open(HANG, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		assert_int_equal(errno, ENXIO);
		if (deadline_passed(deadline))
			FAIL("close_session is not reached");
		(void)poll(NULL, 0, 5); /* a FIFO without a reader cannot be waited for */
	}
	return fd;
}

static void release_hang(struct scene *scene)
{
	if (scene->hang < 0)
		return;
	close_fd(&scene->hang);
	MUST(unlink(HANG));
}

/* Until the session has announced itself and knows whom it serves. */
static void await_identified(void)
{
	int64_t deadline = deadline_after(WAIT_MS);
	char path[64];
	char text[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/loginuid", family_find(FAMILY_SESSION));
	for (;;) {
		cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
		ssize_t len = MUST(read(fd, text, sizeof(text) - 1));

		text[len] = '\0';
		if (strcmp(text, LOGIN_UID) == 0)
			return;
		if (deadline_passed(deadline))
			FAIL("the session does not carry the login uid over: %s", text);
		(void)poll(NULL, 0, 5);
	}
}

static void send_signal(const struct scene *scene, uint32_t number)
{
	struct message_signal message = { number };

	assert_int_equal(
		hostile_send(&scene->client, MESSAGE_SIGNAL, &message, sizeof(message), NULL, 0),
		0);
}

static void expect(const struct scene *scene, enum message_type type)
{
	struct packet packet;

	hostile_expect(&scene->client, type, &packet);
	packet_done(&packet);
}

/* After hostile_connect(), whose process would hold the program's end as well. */
static void open_output(struct scene *scene)
{
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC));
	scene->output = ends[0];
	scene->input = ends[1];
}

/* The steps of a session; each is taken from the moment before it. */
static void step_connect(struct scene *scene)
{
	hostile_connect(&scene->client, ADDRESS, "alice", LOGIN_UID);
	await_identified();
}

static void step_request(struct scene *scene)
{
	open_output(scene);
	hostile_send_burst(&scene->client, program, scene->input);
	close_fd(&scene->input);
	expect(scene, MESSAGE_PROMPT);
}

static void step_wrong(struct scene *scene)
{
	hostile_send_answer(&scene->client, "wrong");
	/* libpam's own record is the last thing before the delay. */
	(void)audit_stream_expect(&scene->stream, AUDIT_USER_AUTH, "op=PAM:authentication",
				  "auid=" LOGIN_UID " ", "res=failed", NULL);
}

static void step_right(struct scene *scene)
{
	hostile_send_answer(&scene->client, SANDBOX_PASSWORD_ALICE);
	expect(scene, MESSAGE_STARTED);
	expect_output(scene, "up");
}

static void step_close(struct scene *scene)
{
	MUST(mkfifo(HANG, 0600));
	send_signal(scene, SIGTERM);
	scene->hang = open_hang();
}

static void reach(struct scene *scene, enum moment moment)
{
	print_message("case: %s\n", moment_names[moment]);
	step_connect(scene);
	if (moment >= AT_PROMPT)
		step_request(scene);
	if (moment == IN_DELAY)
		step_wrong(scene);
	if (moment >= RUNNING)
		step_right(scene);
	if (moment == CLOSING)
		step_close(scene);
}

/* From the moment to the end, as if nothing had happened. */
static void finish(struct scene *scene, enum moment moment)
{
	struct message_exited exited;
	struct packet packet;

	if (moment == BEFORE_REQUEST)
		step_request(scene);
	if (moment == IN_DELAY)
		expect(scene, MESSAGE_PROMPT);
	if (moment < RUNNING)
		step_right(scene);
	if (moment < CLOSING)
		send_signal(scene, SIGTERM);
	release_hang(scene);
	hostile_expect(&scene->client, MESSAGE_EXITED, &packet);
	assert_int_equal(message_get_exited(&packet, &exited), 0);
	assert_int_equal(exited.kind, MESSAGE_EXIT_STATUS);
	assert_int_equal(exited.value, 7);
	packet_done(&packet);
	hostile_expect_closed(&scene->client);
	expect_program_gone(scene);
}

/* Both ends of what was opened: PAM's session, and ours. */
static void expect_closed_and_recorded(struct scene *scene, const char *how)
{
	(void)audit_stream_expect(&scene->stream, AUDIT_USER_END, "op=PAM:session_close",
				  "auid=" LOGIN_UID " ", "res=success", NULL);
	(void)audit_stream_expect(&scene->stream, AUDIT_USER_END, "op=dive:exit", ADDRESS, how,
				  NULL);
}

static void expect_served(const struct scene *scene)
{
	struct run command;

	run_dive(&command, &(struct run_options){ 0 }, &scene->gateway, RUN_WORDS("id", "-un"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "bob\n");
	run_done(&command);
	family_await(FAMILY_SESSION, 0);
}

static void open_scene(struct scene *ret)
{
	*ret = (struct scene){ .output = -1, .input = -1, .hang = -1 };
	audit_stream_open(&ret->stream);
	gateway_start(&ret->gateway, RUN_WORDS(ADDRESS, "-u", "bob", "-x", "death"));
	expect_served(ret);
	audit_stream_forget(&ret->stream);
}

/* Whoever comes next is served, and what is left then is left for good. */
static void close_scene(struct scene *scene)
{
	expect_served(scene);
	release_hang(scene);
	hostile_close(&scene->client);
	family_await(FAMILY_SESSION, 0);
	gateway_stop(&scene->gateway);
	close_fd(&scene->output);
	audit_stream_close(&scene->stream);
	sandbox_assert_no_children();
}

static void test_client_dies(void **state)
{
	(void)state;
	for (enum moment moment = 0; moment < MOMENTS; moment++) {
		struct scene scene;

		open_scene(&scene);
		reach(&scene, moment);
		hostile_close(&scene.client); /* kills the process that connected, too */
		if (moment == AT_PROMPT || moment == IN_DELAY)
			(void)audit_stream_expect(&scene.stream, AUDIT_USER_CMD, "op=dive:refuse",
						  ADDRESS, "res=failed", NULL);
		if (moment == RUNNING) {
			expect_output(&scene, "hup");
			expect_closed_and_recorded(&scene, "exit=9");
		}
		if (moment == CLOSING) {
			release_hang(&scene);
			expect_closed_and_recorded(&scene, "exit=7");
		}
		family_await(FAMILY_SESSION, 0);
		audit_stream_expect_none(&scene.stream, AUDIT_USER_AUTH, "op=dive:lost", ADDRESS,
					 NULL);
		audit_stream_expect_none(&scene.stream, AUDIT_USER_END, "op=dive:lost", ADDRESS,
					 NULL);
		close_scene(&scene);
	}
}

/* The same with the real one, which the program's environment knows (DIVE_PID). */
static void test_dive_dies(void **state)
{
	struct scene scene;
	struct run dive;

	(void)state;
	open_scene(&scene);
	open_output(&scene);
	run_dive_start(&dive,
		       &(struct run_options){ .account = "alice",
					      .login_uid = LOGIN_UID,
					      .input = SANDBOX_PASSWORD_ALICE "\n",
					      .fds = &(struct run_fd){ scene.input, 1 },
					      .fd_count = 1 },
		       &scene.gateway, RUN_WORDS("-S", program[0], program[1], program[2]));
	close_fd(&scene.input);
	expect_output(&scene, "up");
	run_signal(&dive, SIGKILL);
	run_wait(&dive);
	assert_int_equal(dive.signal, SIGKILL);
	run_done(&dive);
	expect_output(&scene, "hup");
	expect_program_gone(&scene);
	expect_closed_and_recorded(&scene, "exit=9");
	close_scene(&scene);
}

/* By the listener, as the client's. */
static void expect_lost(struct scene *scene, enum moment moment)
{
	const char *text = audit_stream_expect(&scene->stream,
					       moment < RUNNING ? AUDIT_USER_AUTH : AUDIT_USER_END,
					       "op=dive:lost", ADDRESS, "res=failed", NULL);
	char id[64];

	assert_non_null(strstr(text, " auid=" LOGIN_UID " "));
	assert_string_equal(audit_field(text, "client_uid", id, sizeof(id)), ALICE);
	if (moment < RUNNING)
		return;
	/* It is the session whose start was recorded. */
	(void)audit_field(text, "dive_id", id, sizeof(id));
	(void)audit_stream_expect(&scene->stream, AUDIT_USER_CMD, "op=dive:spawn", id, NULL);
}

/* Of a program that has ended the end is known, whatever becomes of PAM; there is but one. */
static void expect_recorded_before(struct scene *scene)
{
	gateway_expect_log(&scene->gateway, "PAM has not been closed");
	(void)audit_stream_expect(&scene->stream, AUDIT_USER_END, "op=dive:exit", ADDRESS, "exit=7",
				  NULL);
	audit_stream_expect_none(&scene->stream, AUDIT_USER_END, "op=dive:lost", ADDRESS, NULL);
}

static void test_session_dies(void **state)
{
	(void)state;
	for (enum moment moment = 0; moment < MOMENTS; moment++) {
		struct scene scene;

		open_scene(&scene);
		reach(&scene, moment);
		family_kill(FAMILY_SESSION);
		if (moment == CLOSING)
			expect_recorded_before(&scene);
		else
			expect_lost(&scene, moment);
		hostile_expect_closed(&scene.client);
		if (moment == RUNNING)
			expect_output(&scene, "hup");
		release_hang(&scene); /* the module's helper is nobody's child now */
		if (moment > BEFORE_REQUEST)
			expect_program_gone(&scene);
		close_scene(&scene);
	}
}

static void test_template_dies(void **state)
{
	(void)state;
	for (enum moment moment = 0; moment < MOMENTS; moment++) {
		struct scene scene;
		struct family_fds before;

		open_scene(&scene);
		family_list_fds(scene.gateway.pid, &before);
		reach(&scene, moment);
		family_kill(FAMILY_TEMPLATE);
		finish(&scene, moment);
		expect_closed_and_recorded(&scene, "exit=7");
		gateway_expect_log(&scene.gateway, "the template died and is started again");
		(void)family_find(FAMILY_TEMPLATE);
		family_await(FAMILY_SESSION, 0);
		family_expect_fds(scene.gateway.pid, &before);
		close_scene(&scene);
	}
}

static void test_listener_dies(void **state)
{
	(void)state;
	for (enum moment moment = 0; moment < MOMENTS; moment++) {
		struct scene scene;

		open_scene(&scene);
		reach(&scene, moment);
		gateway_kill(&scene.gateway);
		family_await(FAMILY_TEMPLATE, 0);
		finish(&scene, moment);
		expect_closed_and_recorded(&scene, "exit=7");
		family_await(FAMILY_SESSION, 0);
		/* What it left behind is a stale socket, for the next one to replace. */
		assert_int_equal(access(ADDRESS, F_OK), 0);
		gateway_start(&scene.gateway, RUN_WORDS(ADDRESS, "-u", "bob", "-x", "death"));
		close_scene(&scene);
	}
}

/* Connections that a template has in its queue when it dies go to the next one. */
static void test_connections_wait_for_a_template(void **state)
{
	struct scene scene;
	struct run waiting[3];
	cleanup_fd int template = -1;

	(void)state;
	open_scene(&scene);
	template = family_open(FAMILY_TEMPLATE);
	MUST(pidfd_send_signal(template, SIGSTOP, NULL, 0));
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		run_dive_start(&waiting[i], &(struct run_options){ 0 }, &scene.gateway,
			       RUN_WORDS("id", "-un"));
	/* The client of the last one is known to be in the queue: nothing is accepted later. */
	hostile_connect(&scene.client, ADDRESS, NULL, NULL);
	MUST(pidfd_send_signal(template, SIGKILL, NULL, 0));
	family_await_end(template);
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
		run_wait(&waiting[i]);
		run_assert_status(&waiting[i], 0);
		assert_string_equal(waiting[i].out, "bob\n");
		run_done(&waiting[i]);
	}
	hostile_send_burst(&scene.client, RUN_WORDS("/bin/true"), -1);
	expect(&scene, MESSAGE_STARTED);
	expect(&scene, MESSAGE_EXITED);
	close_scene(&scene);
}

static int setup(void **state)
{
	int result = sandbox_group_setup(state);

	sandbox_service("death", SERVICE);
	sandbox_write(CLOSER, 0755, "#!/bin/sh\n[ ! -p %s ] || exec cat %s\n", HANG, HANG);
	return result;
}

static int teardown(void **state)
{
	(void)unlink(HANG); /* left by a test that has failed */
	return sandbox_test_teardown(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client_dies),	  TEST(test_dive_dies),
		TEST(test_session_dies),  TEST(test_template_dies),
		TEST(test_listener_dies), TEST(test_connections_wait_for_a_template),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
