/*
 * admission - who may have how many connections, and the price of a wrong answer.
 *
 * Pure bookkeeping of the listener, by client uid: quotas of pending and
 * admitted connections, and since when the next answer of a uid may be tried.
 * No descriptors, no clock: the caller passes the time, so that all of it is
 * tested without waiting.
 *
 * Answers of one uid are tried one at a time, whatever the number of its
 * connections, and none before the delay of the last failed one is over:
 * opening more connections, or dropping them, buys no guesses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct admission_limits {
	unsigned sessions;
	unsigned sessions_per_user;
	unsigned pending;
	unsigned pending_per_user;
};

struct admission_user {
	uid_t uid;
	unsigned pending;
	unsigned sessions;
	int64_t not_before; /* milliseconds, deadline.h; 0 for none */
	uint64_t trying;    /* serial of the connection whose answer is being tried; 0 none */
};

struct admission {
	struct admission_limits limits;
	unsigned pending;
	unsigned sessions;
	struct admission_user *users; /* owned */
	size_t count;
	size_t room;
};

/* Accepts a zeroed struct. */
void admission_done(struct admission *admission);

/*
 * Counts a new connection as pending.  `exempt` (a root client) is not held to
 * the limits per user.
 * Return: NULL when admitted; else why not, a const string for the client.
 */
const char *admission_enter(struct admission *admission, uid_t uid, bool exempt, int64_t now);

/* The connection is no longer pending but a session, and tries no more answers. */
void admission_verdict(struct admission *admission, uid_t uid, uint64_t serial);

/* The connection is gone. */
void admission_leave(struct admission *admission, uid_t uid, bool pending, uint64_t serial);

/*
 * Asks to try an answer for connection `serial` (> 0).
 * Return: 0 granted, admission_result() must follow; else the time when asking
 * again makes sense, or INT64_MAX while another answer of that uid is tried.
 */
int64_t admission_ask(struct admission *admission, uid_t uid, uint64_t serial, int64_t now);

/* An attempt has ended; after a failed one nothing is granted before `not_before`. */
void admission_result(struct admission *admission, uid_t uid, uint64_t serial, int64_t not_before);
