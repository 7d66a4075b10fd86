/*
 * audit_stream - the kernel's audit records, without auditd.
 *
 * Listens to the multicast group AUDIT_NLGRP_READLOG (audit(7) netlink, Linux
 * 3.16 and later).  The audit system is the machine's, not the sandbox's: other
 * programs' records come too, so expectations must name something of their own
 * (a session id, an account's uid, a gateway's address).
 *
 * Auditing is off after boot.  An open stream holds a lock, one for the machine,
 * under which it turns auditing on and later back to what it was, with all else that
 * audit_machine.h has saved; also when the test program is killed.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include <libaudit.h>
#include <stdbool.h>
#include <stddef.h>

#define AUDIT_STREAM_DEADLINE_MS 10000

struct audit_record {
	int type;   /* AUDIT_USER_CMD... */
	char *text; /* "audit(1732302000.123:45): pid=..." */
	bool taken; /* by audit_stream_expect() */
};

struct audit_stream {
	int fd;			      /* the stream */
	struct audit_record *records; /* all since the opening or audit_stream_forget() */
	size_t count;
	size_t size;
};

/*
 * Waits up to two minutes for the lock, enables auditing and starts to listen.
 * Release with audit_stream_close().  One at a time: where a test that failed
 * has left one open, that one is given up first.
 */
void audit_stream_open(struct audit_stream *ret);

/* Restores, unlocks, releases.  Accepts a closed one. */
void audit_stream_close(struct audit_stream *stream);

/* Turns auditing on or off, for tests of a machine without it. */
void audit_stream_set_enabled(struct audit_stream *stream, bool enabled);

/*
 * Returns the text of the first record of this type, not returned before, that
 * holds all the strings (a NULL-terminated list); waits for it if need be.
 * Records that do not match stay for later expectations, in whatever order.
 * The text is valid until audit_stream_forget() or audit_stream_close().
 */
const char *audit_stream_expect(struct audit_stream *stream, int type, ...)
	__attribute__((sentinel));

/*
 * Fails if a record of this type with all the strings has come and has not been
 * taken.  No waiting for nothing: it sends a record of its own and reads until
 * that shows up, which puts everything sent before it in the past.
 */
void audit_stream_expect_none(struct audit_stream *stream, int type, ...) __attribute__((sentinel));

/* Reads up to such a marker and drops all records. */
void audit_stream_forget(struct audit_stream *stream);

/* Prints the records kept that hold `text`, one a line; for demonstrations and failures. */
void audit_stream_print(const struct audit_stream *stream, const char *text);

/*
 * The value of a field: of `name=value`, `name="value"` or `name=HEX`, the
 * first in the text, that of a user message included.  Quotes are taken off.
 * audit_field_decoded() is for fields written by audit_encode_nv_string(3), where
 * an unquoted value is hexadecimal (the two cannot be told apart from the text: a
 * number looks like hexadecimal); "?" and "(null)" stay.
 * Returns `buffer`, NUL-terminated; fails when there is no such field.
 */
const char *audit_field(const char *text, const char *name, char *buffer, size_t size);
const char *audit_field_decoded(const char *text, const char *name, char *buffer, size_t size);

/* Returns whether there is a field of that name. */
bool audit_has_field(const char *text, const char *name);
