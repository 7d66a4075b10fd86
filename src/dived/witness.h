/*
 * witness - what is known of a session from outside, and the record of its loss.
 *
 * A session tells what it does over its control socket (control.h).  If it dies,
 * whoever holds the other end writes down what it could not: the listener, which has
 * one of these for each connection, or the recorder of a session without a listener.
 */
#pragma once

#include "audit.h"
#include "control.h"
#include "peer.h"

#include <stdbool.h>

struct witness {
	struct peer peer; /* who connected: ids; the login uid, or until then a pidfd; no groups */
	bool admitted;	  /* after the verdict */
	bool recorded;	  /* the session has written its own end */
	bool done;	  /* nothing is owed any more */
	const char *lost; /* why it is dead or about to be; NULL when that is not known */
	char id[AUDIT_ID_SIZE];
	char account[CONTROL_ACCOUNT_MAX];
};

/* Releases what it holds. */
void witness_release(struct witness *witness);

/* Takes in what a session tells of itself; other messages are passed over. */
void witness_hear(struct witness *witness, const struct control *message);

/* Why the session was lost, in words. */
const char *witness_reason(const struct witness *witness);

/*
 * Whether a session that has ended before it was done has left its record to be written.
 * If not, PAM alone was not closed, and a line in the log has said so.
 */
bool witness_owes(const struct witness *witness, const char *gateway);

/*
 * Writes the record of a lost session, with its client's login uid, which the calling
 * process takes on.  What the session has not told by then is found out or made: the
 * login uid, an id.  May block: for a process that nobody waits for.
 */
void witness_write(struct witness *witness, enum config_audit mode, const char *gateway);
