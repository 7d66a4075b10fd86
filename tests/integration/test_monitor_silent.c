/*
 * The monitor of a new terminal is stuck before it has told of the program, as it is where a
 * client's descriptor blocks while it is closed: the program is executed, must not run
 * on when its end is recorded, and has not ended because its monitor has.  Here a tracer keeps the
 * monitor from the call that closes.
 */
#include "deadline.h"
#include "held_scene.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define TRACED_MS 7000 /* longer than a stopped monitor is waited for */
#define PACKET	  768  /* the least that a packet takes of a socket's buffer */
#define STUBBORN  "trap '' HUP; exec sleep 1000"

/* A session whose program has been executed, and whose monitor is stopped. */
struct held {
	int session; /* pidfds, to be closed */
	int program;
	pid_t monitor; /* called as its session still */
};

static void hold_monitor(struct held *ret)
{
	pid_t session = held_start(RUN_WORDS(HELD_OPTIONS, "--audit", "require"),
				   RUN_WORDS("sh", "-c", STUBBORN));

	ret->session = MUST_INT(pidfd_open(session, 0));
	pid_t program = held_fork(session, &ret->monitor);
	ret->program = MUST_INT(pidfd_open(program, 0));
	tracer_detach(program);
	tracer_continue_to(ret->monitor, SYS_close_range);
	family_await("sleep", 1);
}

static void finish(struct held *held, int status)
{
	close_fd(&held->session);
	close_fd(&held->program);
	held_finish(status);
}

static void test_session_gives_up(void **state)
{
	struct held held;

	(void)state;
	hold_monitor(&held);
	family_await_end(held.program);
	tracer_detach(held.monitor);
	trail_assert(held_expect_end("op=dive:exit"), "step", "monitor");
	finish(&held, 77);
}

/* Nobody but the monitor could tell of the program, whose end its own is not. */
static void test_session_dies(void **state)
{
	struct held held;

	(void)state;
	hold_monitor(&held);
	MUST(pidfd_send_signal(held.session, SIGKILL, NULL, 0));
	family_await_end(held.session);
	trail_assert(held_expect_end("op=dive:lost"), "program", "unknown");
	tracer_detach(held.monitor);
	family_await("dived: monitor", 0);
	assert_int_equal(family_count("sleep"), 1);
	trail_expect_none(AUDIT_USER_END, "op=dive:exit");
	MUST(pidfd_send_signal(held.program, SIGKILL, NULL, 0));
	finish(&held, 127);
}

/* The packet has the terminal's master, whose close would hang up, and wake, the monitor. */
static void start_on_terminal(struct packet *ret)
{
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never", "--on-disconnect", "kill"));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", "2001");
	hostile_send_terminal_burst(&trail.hostile, RUN_WORDS("sleep", "1000"));
	hostile_expect(&trail.hostile, MESSAGE_STARTED, ret);
}

static void finish_on_terminal(struct packet *started)
{
	packet_done(started);
	hostile_close(&trail.hostile);
	family_await(FAMILY_SESSION, 0);
	gateway_stop(&trail.gateway);
}

/* How the program was ended is told to the trail and to the client. */
static void expect_killed(void)
{
	struct packet packet;

	trail_assert(trail_expect(AUDIT_USER_END, "op=dive:exit"), "sig", "9");
	hostile_expect(&trail.hostile, MESSAGE_EXITED, &packet);
	packet_done(&packet);
}

/* It has said how the program has ended, and does not exit. */
static void test_last_word(void **state)
{
	struct packet started;

	(void)state;
	start_on_terminal(&started);
	pid_t monitor = family_find("dived: monitor");
	tracer_seize(monitor);
	tracer_stop(monitor);
	family_kill("sleep");
	tracer_continue_to(monitor, SYS_sendmsg);
	tracer_step(monitor);
	tracer_await_end(monitor);
	expect_killed();
	finish_on_terminal(&started);
}

/* Somebody traces the program, and its end is not its parent's to see until he lets go of it. */
static void test_traced(void **state)
{
	struct packet started;

	(void)state;
	start_on_terminal(&started);
	pid_t program = family_find("sleep");
	cleanup_fd int session = family_open(FAMILY_SESSION);
	tracer_seize(program);
	MUST(kill(program, SIGKILL)); /* traced by us, so not another's yet */
	assert_int_equal(deadline_poll(session, POLLIN, deadline_after(TRACED_MS)), -ETIMEDOUT);
	tracer_await_end(program);
	expect_killed();
	finish_on_terminal(&started);
}

/* A program on a terminal whose monitor somebody has stopped. */
static void start_stopped(struct packet *ret, int *ret_monitor, int *ret_program)
{
	start_on_terminal(ret);
	*ret_monitor = family_open("dived: monitor");
	*ret_program = family_open("sleep");
	MUST(pidfd_send_signal(*ret_monitor, SIGSTOP, NULL, 0));
}

/* That it ends is seen, and recorded; how, nobody can tell. */
static void test_stopped_while_program_ends(void **state)
{
	struct packet started;
	cleanup_fd int monitor = -1;
	cleanup_fd int program = -1;

	(void)state;
	start_stopped(&started, &monitor, &program);
	MUST(pidfd_send_signal(program, SIGKILL, NULL, 0));
	const char *text = trail_expect(AUDIT_USER_END, "op=dive:exit");
	trail_assert(text, "step", "wait");
	trail_assert(text, "exit", "?");
	trail_assert_text(text, "reason",
			  "the program's end cannot be told: its monitor has been stopped");
	hostile_expect_refused(&trail.hostile, MESSAGE_LAYER_SESSION);
	family_await_end(monitor);
	finish_on_terminal(&started);
}

/*
 * The session goes on all the same: with more signals than the two can have between them, and
 * with the client's disconnection.
 */
static void test_stopped(void **state)
{
	const struct message_signal message = { SIGWINCH };
	struct packet started;
	int buffer = 0;
	socklen_t size = sizeof(buffer);
	cleanup_fd int monitor = -1;
	cleanup_fd int program = -1;

	(void)state;
	start_stopped(&started, &monitor, &program);
	/* More than the monitor's socket takes, and with the connection's it is not too many. */
	MUST(getsockopt(trail.hostile.sock, SOL_SOCKET, SO_SNDBUF, &buffer, &size));
	for (int i = 0; i < buffer / PACKET * 8 / 5; i++)
		assert_int_equal(hostile_send(&trail.hostile, MESSAGE_SIGNAL, &message,
					      sizeof(message), NULL, 0),
				 0);
	hostile_close(&trail.hostile);
	family_await_end(program);
	(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
	finish_on_terminal(&started);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_gives_up), TEST(test_session_dies),
		TEST(test_last_word),	     TEST(test_traced),
		TEST(test_stopped),	     TEST(test_stopped_while_program_ends),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
