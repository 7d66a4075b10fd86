/*
 * fake - a listener that is not dived, for what dive must bear.
 *
 * It serves from the test itself, one connection at a time, and sends what it is
 * told to; nothing is checked on the way out.
 *
 * All functions fail the running test when they cannot do their work; what dive
 * no longer takes is no failure.
 */
#pragma once

#include "message.h"

#include <sys/types.h>

struct fake {
	char address[108];
	int listener;
	int conn; /* -1 before fake_accept() */
};

/* Listens at a fresh path, 0666, as this uid: what SO_PEERCRED tells dive. */
void fake_listen(struct fake *ret, uid_t uid);

/* Waits for a client (10 s) and takes its whole request. */
void fake_accept(struct fake *fake);

/* Waits for a client and for its going (10 s each); returns the bytes it has sent. */
size_t fake_count_bytes(struct fake *fake);

/* Sends bytes as they are. */
void fake_send_raw(const struct fake *fake, const void *data, size_t len);

/* Sends a packet: a fixed part and a text (which may be NULL). */
void fake_send(const struct fake *fake, enum message_type type, const void *fixed, size_t len,
	       const char *text);

/* Waits for an answer (20 s) and returns its text, valid until the next call; NULL: cancelled. */
const char *fake_expect_answer(const struct fake *fake);

/* Ends the connection; the listener stays. */
void fake_hang_up(struct fake *fake);

/* Releases.  Accepts a released one. */
void fake_close(struct fake *fake);
