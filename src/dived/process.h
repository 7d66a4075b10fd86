/*
 * process - what PAM modules change in the process they run in: limits, umask,
 * groups, session keyring.  Set up before, read after, put back.
 */
#pragma once

#include "plan.h"

#include <stdint.h>
#include <sys/resource.h>

struct process_state {
	struct rlimit limits[RLIM_NLIMITS]; /* of the session, to be put back */
	int32_t keyring; /* serial of the session keyring joined, 0 where the kernel has none */
};

/*
 * Makes the calling process a session's: a fresh session keyring, a umask that
 * no module would choose, not dumpable, and handlers that do nothing for the
 * signals that are not for it (a program started by a module has the defaults again).
 * Return: 0 with *ret filled; -errno.
 */
int process_prepare(struct process_state *ret);

/*
 * Puts the limits to those dived was started with, for the modules to change:
 * what stands afterwards is the program's.
 */
void process_expose(const struct rlimit *inherited);

/*
 * Reads what the modules left into *ret, whose group list becomes the caller's
 * to free(3), and puts the process's own limits back as far as that is allowed.
 * A hard limit that could not be put back (no CAP_SYS_RESOURCE) stays low.
 * Return: 0; -errno.
 */
int process_capture(const struct process_state *before, struct plan_session *ret,
		    gid_t **ret_groups);

/*
 * The low descriptor numbers are for PAM modules, which may run under a low
 * nofile limit, and not for what clients send.  Descriptors of our own move up;
 * a client's are never copied and closed, because that can block, so the free
 * numbers below PROCESS_LOW are occupied while they arrive.
 */
#define PROCESS_PARKED 1024
#define PROCESS_LOW    64

/* Moves *fd to a number from PROCESS_PARKED up; where the limit forbids that it stays, as does -1.
 */
void process_park(int *fd);

/* Occupies the free numbers from 3 to PROCESS_LOW - 1; returns which, as bits. */
uint64_t process_occupy(void);

/* Frees them again. */
void process_vacate(uint64_t occupied);

/*
 * Raises the soft limit of open descriptors to the hard one: listener and
 * session hold those of many clients.  Failing is harmless.
 */
void process_raise_nofile(void);

/*
 * Lets go of standard input, output and error, and logs to syslog only: no
 * process of a detached gateway holds anything of whoever started it.
 */
void process_detach(void);
