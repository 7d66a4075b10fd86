/*
 * auditd - a real auditd(8) in the sandbox, for tests of what an administrator reads with
 * ausearch(8) and aureport(8).
 *
 * The kernel serves one auditd, the machine's or ours; under the lock of an open
 * audit_stream, and on a machine that runs none, that can be ours.  It writes to
 * /var/log/audit/audit.log of the sandbox and is configured in the sandbox's /etc/audit,
 * so that inside the tools need no options to find its log.  Records of all programs of
 * the machine get there, too.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include "audit_stream.h"
#include "run.h"

struct auditd {
	struct run run;
};

/*
 * Returns whether the kernel has an auditd already, which no test may take the records
 * from: a reason to skip, and said on standard error.
 */
bool auditd_is_taken(void);

/*
 * Starts it with an empty log, under the lock of `stream`, and waits until the kernel sends
 * to it.  `format`: RAW or ENRICHED, which has the names of accounts next to their
 * numbers.  It is ended with the test program, whatever becomes of that.
 */
void auditd_start(struct auditd *ret, struct audit_stream *stream, const char *format);

/* Waits until all that has been recorded up to now is in the log. */
void auditd_sync(const struct auditd *auditd);

/* Ends it; the kernel must have let go of it.  Accepts one that is not running. */
void auditd_stop(struct auditd *auditd);
