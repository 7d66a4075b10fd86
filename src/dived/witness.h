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
	bool spawned;	  /* a program was about to be executed */
	bool running;	 /* it did run when the loss was found; its end is to be recorded as well */
	bool outlived;	 /* the loss is recorded, and now the program has ended */
	int program;	 /* its pidfd, owned; -1: not known */
	int64_t started; /* deadline.h */
	const char *lost; /* why it is dead or about to be; NULL when that is not known */
	char id[AUDIT_ID_SIZE];
	char account[CONTROL_ACCOUNT_MAX];
};

/* Why, where its time was over. */
#define WITNESS_OUTLIVED_TIME "killed: it outlived its time"

/* Releases what it holds. */
void witness_release(struct witness *witness);

/*
 * Takes in what a session tells of itself, with the descriptor that came; other messages
 * are passed over.
 */
void witness_hear(struct witness *witness, const struct control *message, int *fd);

/* Why the session was lost, in words. */
const char *witness_reason(const struct witness *witness);

/*
 * Whether a session that has ended before it was done has left its record to be written.
 * If not, PAM alone was not closed, and a line in the log has said so.  Looks whether the
 * program still runs: then its end is to be recorded after the loss.
 */
bool witness_owes(struct witness *witness, const char *gateway);

/*
 * Writes the record of a lost session, or of the end of a program that has outlived it, with its
 * client's login uid, which the calling process takes on.  What the session has not told by then is
 * found out or made: the login uid, an id.  May block: for a process that nobody waits for.
 */
void witness_write(struct witness *witness, enum config_audit mode, const char *gateway);
