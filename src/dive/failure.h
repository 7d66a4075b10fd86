/*
 * failure - what went wrong, in words, and the exit status it deserves.
 *
 * Modules of dive neither print nor exit.  A function that takes a struct
 * failure returns 0, or FAILED with the struct filled; main prints its text as
 * one line and exits with its status.  The text begins with the layer that
 * failed ("usage: ", "connection: ") and ends with what to do, where something
 * can be done.  It may hold bytes the server sent: the log sink escapes them.
 */
#pragma once

#include <errno.h>
#include <stddef.h>

/* Exit statuses of dive itself; see dive(1). */
enum dive_status {
	STATUS_FAILURE = 1,	/* on dive's own side */
	STATUS_UNREACHABLE = 2, /* cannot connect, or the listener is not trusted */
	STATUS_OTHER_VERSION = 3,
	STATUS_USAGE = 4,
	STATUS_REFUSED = 77,
	STATUS_DROPPED = 127, /* the server went away, or speaks nonsense */
};

#define FAILURE_TEXT_MAX 8704 /* MESSAGE_TEXT_MAX and words around it */

struct failure {
	int status; /* enum dive_status, or what the server said: 77, 126, 127 */
	char text[FAILURE_TEXT_MAX];
};

#define FAILED (-ECANCELED)

/* Fills *failure; text too long for it is cut.  Returns FAILED, for `return failure_set(...)`. */
int failure_set(struct failure *failure, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for wrong usage.  `format` is a literal and takes at least one argument. */
#define failure_usage(failure, format, ...)                                                        \
	failure_set((failure), STATUS_USAGE, "usage: " format "; try dive --help", __VA_ARGS__)
