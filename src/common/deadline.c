/*
 * deadline - points in time after which waiting is given up.
 *
 * Everything a peer can make us wait for goes through deadline_poll(), so that
 * no module carries its own idea of restarting poll(2) after a signal with what
 * is left of a timeout.  Nothing here sleeps, uses a timer signal or looks at
 * the wall clock: an administrator who sets the clock must neither cut a
 * conversation short nor leave a connection open for a year.
 */
#include "deadline.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

int64_t deadline_now(void)
{
	struct timespec now = { 0 };

	/* Fails only for a bad clock or pointer (clock_gettime(2)). */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t deadline_after(int64_t ms)
{
	int64_t deadline;

	assert(ms >= 0);
	if (__builtin_add_overflow(deadline_now(), ms, &deadline))
		return INT64_MAX;
	return deadline;
}

int64_t deadline_earlier(int64_t a, int64_t b)
{
	if (a == DEADLINE_NONE)
		return b;
	if (b == DEADLINE_NONE)
		return a;
	return a < b ? a : b;
}

int deadline_left(int64_t deadline)
{
	int64_t now;

	if (deadline == DEADLINE_NONE)
		return -1;
	now = deadline_now();
	if (deadline <= now)
		return 0;
	return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

int deadline_passed(int64_t deadline)
{
	return deadline_left(deadline) == 0;
}

int deadline_poll(int fd, short events, int64_t deadline)
{
	struct pollfd wait = { .fd = fd, .events = events };

	for (;;) {
		int n = poll(&wait, 1, deadline_left(deadline));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			return wait.revents & POLLNVAL ? -EBADF : 0;
		/* After a timeout the wait may go on: deadline_left() is capped. */
		if (deadline_passed(deadline))
			return -ETIMEDOUT;
	}
}
