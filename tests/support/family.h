/*
 * family - the processes behind a gateway, found among the descendants of this test.
 *
 * dived names its processes for ps(1): "dived: template", "dived: session",
 * "dived: refuse".  Only descendants of the running test program are ever
 * looked at or signalled, by pidfd.  Processes that have ended and have not been
 * reaped do not count.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define FAMILY_SESSION	"dived: session"
#define FAMILY_TEMPLATE "dived: template"

/* Returns how many descendants of this name (NULL: of any) are alive now. */
size_t family_count(const char *name);

/* Waits until there are exactly so many (10 s). */
void family_await(const char *name, size_t count);

/* Waits until there is exactly one (10 s); returns its pid. */
pid_t family_find(const char *name);

/* The same, as a pidfd, to be closed. */
int family_open(const char *name);

/* SIGKILL for the one of this name; returns when it has ended. */
void family_kill(const char *name);

/* SIGKILL for each of this name, however many; returns when all have ended. */
void family_kill_all(const char *name);

/* Waits for the end of a process (10 s). */
void family_await_end(int pidfd);

/*
 * What descriptors a process holds; the text, one "number -> target" a line, is for
 * messages.  To compare a gateway with itself before and after.  Taken when the
 * process sleeps, which a listener does only when it has dealt with all there is.
 */
struct family_fds {
	size_t count;
	char text[16384];
};
void family_list_fds(pid_t pid, struct family_fds *ret);

/* Waits until the process holds as many again (10 s). */
void family_expect_fds(pid_t pid, const struct family_fds *before);
