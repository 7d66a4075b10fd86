/*
 * deadline - points in time after which waiting is given up.
 *
 * A deadline is a CLOCK_MONOTONIC time in milliseconds, so that a step of the
 * wall clock neither ends a wait early nor makes it endless.
 */
#pragma once

#include <stdint.h>

#define DEADLINE_NONE ((int64_t)-1)

/* Returns the present time in milliseconds.  Cannot fail. */
int64_t deadline_now(void);

/* Returns the deadline `ms` milliseconds from now (ms >= 0). */
int64_t deadline_after(int64_t ms);

/* Returns the earlier of two deadlines; DEADLINE_NONE is later than any. */
int64_t deadline_earlier(int64_t a, int64_t b);

/*
 * Returns what is left as a timeout for poll(2): -1 for DEADLINE_NONE, 0 when
 * it has passed, else milliseconds, capped at INT_MAX.
 */
int deadline_left(int64_t deadline);

/* Returns whether the deadline has passed. */
int deadline_passed(int64_t deadline);

/*
 * Waits until `fd` shows one of `events` (poll(2)) or the deadline passes;
 * interruptions by signals do not end the wait.
 *
 * Return: 0 when an event (or error or hangup) is there; -ETIMEDOUT; -errno.
 */
int deadline_poll(int fd, short events, int64_t deadline);
