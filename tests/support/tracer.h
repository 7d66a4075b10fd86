/*
 * tracer - processes of dived's held at a moment of the test's choice, by ptrace(2).
 *
 * What a process that is traced forks is traced as well, and stops before its first step.
 * Signals that stop a traced process are not passed on; those it has blocked stop nothing.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include <sys/types.h>

/* Begins, while the process runs on. */
void tracer_seize(pid_t pid);

/* Waits until a traced process forks; returns the child.  Both are stopped then. */
pid_t tracer_await_fork(pid_t pid);

/* Stops a traced process that runs, also in a system call that waits. */
void tracer_stop(pid_t pid);

/* Lets a stopped process run on, traced. */
void tracer_continue(pid_t pid);

/* The same as far as its next system call of this number, before which it is stopped. */
void tracer_continue_to(pid_t pid, long number);

/* Lets it make the call that it is stopped before: after that it stops again, if it lives. */
void tracer_step(pid_t pid);

/* Waits until a traced process has ended (10 s), and lets go of it. */
void tracer_await_end(pid_t pid);

/* Lets a stopped process go for good. */
void tracer_detach(pid_t pid);

/* The same for one that may be running. */
void tracer_release(pid_t pid);
