/*
 * Steps that take as long as they may, and no session that is ended for it halfway: neither
 * where its program has not been executed in time, nor where the kernel holds its record
 * back.  Whoever watches over a session ends it when it is late, so he has to know what it
 * is waiting for.
 */
#include "deadline.h"
#include "held_scene.h"

#include <poll.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#define START_MS  60000 /* more than a start may take, and the ends of those who hang in it */
#define RECORD_MS 14000 /* more than with --auth-timeout 1 is left for PAM */

/*
 * A program that a tracer keeps from being executed.  It does not take the hangup, so it is
 * to be killed, and must not be executed later on.
 */
static void test_start(void **state)
{
	(void)state;
	pid_t session = held_start(RUN_WORDS(HELD_OPTIONS), RUN_WORDS("sleep", "1000"));
	pid_t monitor;
	pid_t program = held_fork(session, &monitor);
	cleanup_fd int pidfd = MUST_INT(pidfd_open(program, 0));
	tracer_detach(monitor);
	tracer_continue_to(program, SYS_execve);
	assert_int_equal(deadline_poll(pidfd, POLLIN, deadline_after(START_MS)), 0);
	/* It might have been executed by then. */
	gateway_expect_log(&trail.gateway, " layer=set-up step=deadline errno=110 exit=? ");
	held_finish(77);
}

/* The kernel may keep a record's sender waiting for a minute; PAM's own time is shorter here. */
static void test_record(void **state)
{
	(void)state;
	pid_t session =
		held_start(RUN_WORDS(HELD_OPTIONS, "--auth-timeout", "1"), RUN_WORDS("true"));
	cleanup_fd int pidfd = MUST_INT(pidfd_open(session, 0));
	tracer_continue_to(session, SYS_timer_settime); /* the module has returned */
	tracer_continue_to(session, SYS_sendto);	/* the kernel is asked, and answers late */
	assert_int_equal(deadline_poll(pidfd, POLLIN, deadline_after(RECORD_MS)), -ETIMEDOUT);
	tracer_detach(session);
	gateway_expect_log(&trail.gateway, "op=dive:exit");
	held_finish(0);
}

/* Nothing is read from the kernel's audit stream, of which there is one for all tests. */
#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start),
		TEST(test_record),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
