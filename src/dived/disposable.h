/*
 * disposable - short-lived processes for what the listener must not do itself.
 *
 * Closing a connection that was never read can block (a descriptor queued in it
 * may be a socket that lingers), and so can writing a record.  A disposable
 * process does it and exits; whatever blocks, blocks nobody.
 */
#pragma once

#include "audit.h"
#include "message.h"
#include "witness.h"

#include <sys/types.h>

/*
 * Forks.  In the child all descriptors but `keep` (put in order there; -1 entries are
 * skipped) and 0 to 2 are closed, and signals are at their defaults and unblocked.
 * Return: 0 in the child, which must end with _exit(2); > 0 the child's id,
 * which the caller reaps; -errno.
 */
pid_t disposable_fork(int *keep, size_t count);

/*
 * Refuses a connection for the gateway: records it with the client's login uid,
 * says why, and lets go of it.  On success *conn has been closed (and is -1),
 * and the last close of it is the child's.
 * Return: the child's id; -errno, with *conn still open.
 */
pid_t disposable_refuse(int *conn, enum config_audit mode, const struct audit_facts *facts,
			const char *text);

/*
 * Lets go of a listening socket with whatever waits in its queue, as above.
 * Return: as above.
 */
pid_t disposable_close(int *sock);

/* Writes the record of a lost session (witness_write()).  Return: the child's id; -errno. */
pid_t disposable_lost(enum config_audit mode, const char *gateway, const struct witness *witness);
