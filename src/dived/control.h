/*
 * control - what a session and the listener tell each other.
 *
 * One SOCK_SEQPACKET pair a connection.  The session identifies itself (HELLO,
 * with a pidfd), waits for GO, reports what the listener must know should the
 * session die (FACTS), asks before an answer reaches a PAM module (ASK), and
 * says when it no longer counts as pending (VERDICT), that there is a program
 * (PROGRAM), when its end is recorded (RECORDED) and when nothing is left to be done
 * (DONE).  End of file without DONE means that the session died; without RECORDED
 * its end is the listener's to record.
 *
 * A session without a listener tells a recorder (recorder.h) the same, which never
 * answers: there is no HELLO and no ASK.
 *
 * GO comes after the listener has closed its own copy of the connection, so
 * that closing it for the last time, which can block, is never the listener's.
 */
#pragma once

#include "audit.h"

#include <stdint.h>

#define CONTROL_ACCOUNT_MAX 256

enum control_type {
	CONTROL_HELLO = 1, /* session: one descriptor, its own pidfd */
	CONTROL_GO,	   /* listener: read the request */
	CONTROL_FACTS,	   /* session: id, account, login_uid, value 1: for sure; may repeat */
	CONTROL_ASK,	   /* session: an answer is about to be tried */
	CONTROL_GRANT,	   /* listener: try it */
	CONTROL_RESULT,	   /* session: value 0 success, else delay in ms after a failed attempt */
	CONTROL_LIMIT,	   /* session: value seconds that this phase may last, 0 no limit */
	CONTROL_VERDICT,   /* session: admitted, no longer pending */
	CONTROL_PROGRAM,   /* session: one is to be executed; again with its pidfd, if known */
	CONTROL_HUNG,	   /* session's watchdog: value is the enum phase that did not return */
	CONTROL_RECORDED,  /* session: its end is recorded, and PAM is yet to be closed */
	CONTROL_DONE,	   /* session: closed as well, about to exit */
	CONTROL_SERVING,   /* to a recorder: the gateway's start is recorded, a stop will be due */
	CONTROL_STOPPED,   /* to a recorder: that stop is in the log already */
};

struct control {
	uint32_t type; /* enum control_type */
	uint32_t value;
	uint32_t login_uid;
	char id[AUDIT_ID_SIZE];
	char account[CONTROL_ACCOUNT_MAX];
};

/*
 * Sends one message; waits where the other side does not read.
 * Return: 0; -EPIPE the other side is gone; -EAGAIN; -errno.
 */
int control_send(int sock, const struct control *message, int fd);

/*
 * Receives one message without waiting.  *ret_fd becomes the descriptor that
 * came with it, close-on-exec and the caller's, or -1; ret_fd may be NULL: then
 * one that came is closed.
 * A PROGRAM for whose descriptor there was no room comes without it.
 * Return: 0; -EAGAIN none there; -EPIPE end of file; -EBADMSG; -errno.
 */
int control_recv(int sock, struct control *ret, int *ret_fd);

/* Sends a message with a type and a value only.  Return: as control_send(). */
int control_tell(int sock, enum control_type type, uint32_t value);

/* The same without waiting, for the listener.  Return: also -EAGAIN. */
int control_tell_now(int sock, enum control_type type);
