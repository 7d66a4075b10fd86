/*
 * deadline: arithmetic, and waiting that neither ends early nor goes on for ever.
 *
 * No test depends on how long anything takes: a deadline has passed before the
 * wait begins, or the awaited event is certain to come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "deadline.h"
#include "leak.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static int alarm_fd = -1;

static void test_earlier(void **state)
{
	(void)state;
	assert_int_equal(deadline_earlier(1, 2), 1);
	assert_int_equal(deadline_earlier(2, 1), 1);
	assert_int_equal(deadline_earlier(DEADLINE_NONE, 5), 5);
	assert_int_equal(deadline_earlier(5, DEADLINE_NONE), 5);
	assert_int_equal(deadline_earlier(DEADLINE_NONE, DEADLINE_NONE), DEADLINE_NONE);
}

static void test_left(void **state)
{
	(void)state;
	assert_int_equal(deadline_left(DEADLINE_NONE), -1);
	assert_int_equal(deadline_left(0), 0);
	assert_int_equal(deadline_left(deadline_now()), 0);
	assert_int_equal(deadline_left(INT64_MAX), INT_MAX);
	assert_in_range(deadline_left(deadline_after(3600000)), 1, 3600000);
	assert_true(deadline_after(INT64_MAX) == INT64_MAX);
}

static void test_passed(void **state)
{
	(void)state;
	assert_true(deadline_passed(0));
	assert_true(deadline_passed(deadline_after(0)));
	assert_false(deadline_passed(deadline_after(3600000)));
	assert_false(deadline_passed(DEADLINE_NONE));
}

static void test_poll(void **state)
{
	cleanup_fd int ours = -1, theirs = -1;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ours = pair[0];
	theirs = pair[1];
	assert_int_equal(deadline_poll(ours, POLLIN, deadline_now()), -ETIMEDOUT);
	assert_int_equal(deadline_poll(ours, POLLIN, deadline_after(2)), -ETIMEDOUT);
	assert_int_equal(deadline_poll(ours, POLLOUT, DEADLINE_NONE), 0);
	close_fd(&theirs);
	assert_int_equal(deadline_poll(ours, POLLIN, DEADLINE_NONE), 0); /* hangup */
	close_fd(&ours);
	assert_int_equal(deadline_poll(pair[0], POLLIN, DEADLINE_NONE), -EBADF);
}

static void on_alarm(int number)
{
	static int count;

	(void)number;
	/* Not at the first: the wait must go on after having been interrupted. */
	if (++count == 3 && write(alarm_fd, "x", 1) != 1)
		_exit(99);
}

static void test_poll_outlives_signals(void **state)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	struct sigaction old;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	alarm_fd = pair[1];
	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	assert_int_equal(deadline_poll(pair[0], POLLIN, DEADLINE_NONE), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_earlier),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_passed),
		cmocka_unit_test_setup_teardown(test_poll, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_poll_outlives_signals, leak_setup,
						leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
