/*
 * show - the program tests/programs/show.c inside the sandbox, and its reports.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include "run.h"

#include <stdbool.h>

/* sandbox_group_setup() that also puts the program where every account reaches it. */
int show_group_setup(void **state);

/* Its path in the sandbox. */
#define SHOW "/run/dive-test/show"

/*
 * The value of the first line `key=value` of a report.  Valid until the eighth
 * call after; fails when there is no such line.
 */
const char *show_get(const char *report, const char *key);

/* Whether there is a line that is exactly `line`, "env:NAME=VALUE" for instance. */
bool show_has(const char *report, const char *line);

/* Whether there is a line that begins with `start`. */
bool show_starts(const char *report, const char *start);

/* Fails, showing the report, unless the value of `key` is `value`. */
void show_expect(const char *report, const char *key, const char *value);

/* Fails, showing the report, unless exactly the line is there (or is not). */
void show_expect_line(const char *report, const char *line, bool there);

/* As run_expect() (15 s), for what the program writes when dive may have ended. */
void show_await(struct run *command, const char *text);

/* The process id of `show signals`, which is waited for. */
pid_t show_pid(struct run *command);

/*
 * Before it knows that the program has started dive dies of a signal, as it should;
 * from then on it blocks them, to forward them.  Waits for that (15 s).
 */
void show_await_relay(pid_t dive);

/* Ends a `show signals` that dive waits for: it dies of SIGTERM, and status says so. */
void show_end(struct run *dive);
