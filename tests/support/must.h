/*
 * must - what the support code does when it cannot continue.
 *
 * MUST(call) passes the result of a system call on, or fails the running test
 * with the call's text, its place and errno.  Never use it (or any assertion)
 * between fork and exec: an assertion in a child would go on as a second copy
 * of the test program.
 *
 * Also the one place that includes what <cmocka.h> needs before it.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline long must_be(long result, const char *call, const char *file, int line)
{
	if (result < 0) {
		print_error("%s: %s\n", call, strerror(errno));
		_fail(file, line);
	}
	return result;
}

/* For calls that return -1 and set errno. */
#define MUST(call) must_be((long)(call), #call, __FILE__, __LINE__)

/* The same for the int results that descriptors and pids are. */
#define MUST_INT(call) ((int)MUST(call))

/* For calls that return a pointer, NULL on failure. */
#define MUST_POINTER(pointer) (void)must_be((pointer) ? 0 : -1, #pointer, __FILE__, __LINE__)

/* fail_msg() without its limit of 1 KiB, which hides what a program has said. */
#define FAIL(...)                                                                                  \
	do {                                                                                       \
		(void)fprintf(stderr, __VA_ARGS__);                                                \
		(void)fputc('\n', stderr);                                                         \
		_fail(__FILE__, __LINE__);                                                         \
	} while (0)

/* skip() with a reason, which is what the last lines of a run name. */
#define SKIP(reason)                                                                               \
	do {                                                                                       \
		print_message("%s\n", reason);                                                     \
		skip();                                                                            \
	} while (0)
