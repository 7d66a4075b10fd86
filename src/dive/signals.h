/*
 * signals - catching them as data, and dying by one.
 *
 * Caught signals are blocked and read from a signalfd(2): no handler runs, so
 * there is no global state and no code restricted to async-signal-safe calls.
 * A signal that was ignored when dive started is never caught and stays ignored.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

struct signals_watch {
	int fd;	       /* readable when a caught signal is pending; -1 when nothing is caught */
	sigset_t mask; /* what was blocked before */
};

/* Returns whether the signal's disposition is SIG_IGN. */
bool signals_ignored(int number);

/*
 * Fills *ret with every signal that can be caught and forwarded: not KILL and
 * STOP, not those that report dive's own faults (SEGV, BUS, ILL, FPE, TRAP,
 * SYS), not CHLD, PIPE, TTIN and TTOU, which are about dive's own children and
 * its own reading and writing, and not those that are ignored.
 */
void signals_forwardable(sigset_t *ret);

/*
 * Those that report faults, SIGPIPE included: sent by somebody they can be caught, too,
 * and then end dive.  A fault of dive's own ends it in any case: the kernel sees to that.
 */
void signals_add_faults(sigset_t *set);
bool signals_is_fault(int number);

/* Begins to catch `set`.  Return: 0; -errno, with nothing changed. */
int signals_watch(const sigset_t *set, struct signals_watch *ret);

/*
 * Signals held back, so that none acts on dive between the start of the program
 * and the moment dive learns of it: a ^C then is the program's.
 */
struct signals_hold {
	sigset_t set;  /* what is held back; empty when nothing is forwarded */
	sigset_t open; /* what was blocked before */
};

/* Fills *ret, without blocking anything yet; `forwards`: signals are forwarded. */
void signals_hold_init(bool forwards, struct signals_hold *ret);

/* Holds signals back, or lets them act again, those that are pending at once. */
void signals_hold(const struct signals_hold *hold);
void signals_release(const struct signals_hold *hold);

/* Waits until `fd` is readable; signals act meanwhile, and only then. */
void signals_wait_readable(const struct signals_hold *hold, int fd);

/* Takes one pending signal, without waiting.  Returns its number, or 0 for none. */
int signals_take(const struct signals_watch *watch);

/*
 * Ends it; accepts a watch that is not one.  Signals still pending act on dive
 * now, which may end it.
 */
void signals_unwatch(struct signals_watch *watch);

/* Takes a SIGCONT that is pending, where it is blocked.  Returns whether there was one. */
bool signals_take_continue(void);

/*
 * Lets `number`, SIGTSTP for instance, stop dive by its default action, although
 * it is caught.  Returns after dive was continued, at once where the kernel does
 * not stop orphaned process groups.
 */
void signals_stop(int number);

/*
 * The same for dive's whole process group, which is a job of the shell's.
 * Returns whether dive was continued, that is, had been stopped at all; told by
 * SIGCONT, which must be blocked.
 */
bool signals_stop_group(int number);

/*
 * Dies by the signal's default action, without a core dump.  Returns only where
 * that is impossible: the default action is not to end, or dive is an init.
 */
void signals_die(int number);
