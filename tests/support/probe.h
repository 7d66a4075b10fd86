/*
 * probe - what tests/modules/pam_probe.c has seen, and telling it what to do.
 *
 * The module is named in a service file: "auth required " PROBE " hidden=Code:\n".
 * It reports through a FIFO, which limits set by other modules (fsize) do not touch.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include "run.h"

#include <stdint.h>

#define PROBE_PATH "/run/dive-test/pam_probe.so"
#define PROBE_LOG  "/run/dive-test/probe.fifo"
#define PROBE_SLOW "/run/dive-test/probe.slow" /* while it exists the module does not load */
#define PROBE	   PROBE_PATH " log=" PROBE_LOG

/* tests/modules/pam_hostile.c, and what it leaves behind is called. */
#define HOSTILE_PATH  "/run/dive-test/pam_hostile.so"
#define HOSTILE_CHILD "hostile"

/* tests/modules/nss_test.c: where LD_LIBRARY_PATH leads, what it knows, and its mood. */
#define NSS_DIRECTORY "/run/dive-test"
#define NSS_PATH      NSS_DIRECTORY "/libnss_test.so.2"
#define NSS_MOOD      NSS_DIRECTORY "/nss.mood"
#define NSS_UID	      2500

/* Its name for a process that it holds between fork and the steps to the program. */
#define PROBE_HELD "held child"

/* A service that refuses nobody, asks nothing and reports every phase. */
#define PROBE_SERVICE                                                                              \
	"auth     required " PROBE "\n"                                                            \
	"account  required " PROBE "\n"                                                            \
	"password required " PROBE "\n"                                                            \
	"session  required " PROBE "\n"

/* show_group_setup() that also puts the modules and the FIFO into the sandbox. */
int probe_group_setup(void **state);

/*
 * Writes the service "probe", forgets, and starts a gateway to bob with it:
 * `-u bob -x probe`.  Release with gateway_stop().
 */
void probe_start(struct gateway *ret, const char *service);

/* Runs `dive -S ADDRESS id -un` as an account (NULL: root), with these lines as answers. */
void probe_ask(struct run *ret, const struct gateway *gateway, const char *account,
	       const char *input);

/* Fails, showing the text, unless `wanted` is in it. */
void assert_contains(const char *text, const char *wanted);

/* Forgets what has been reported so far. */
void probe_forget(void);

/* All reported since: lines, valid until the next call of any function here. */
const char *probe_log(void);

/*
 * Waits until the phases reported are exactly these, "account open close" (10 s).
 * probe_assert_phases() does not wait: what is to come has come.
 */
void probe_expect_phases(const char *phases);
void probe_assert_phases(const char *phases);

/* Waits until a line holds the text, 10 s. */
void probe_expect(const char *text);

/* Fails unless line `index` (from 0) of those of a phase holds `text`. */
void probe_assert_line(const char *phase, unsigned index, const char *text);

/*
 * When conversation `index` (from 0) had its answers, whose ever it was:
 * milliseconds of CLOCK_MONOTONIC.
 */
int64_t probe_answered(unsigned index);
