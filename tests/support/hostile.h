/*
 * hostile - a client that need not keep to the protocol.
 *
 * A connection made by a process of a chosen account (SO_PEERCRED and
 * SO_PEERPIDFD are that process's), used from the test itself.  What is sent
 * is checked by nobody.
 *
 * All functions fail the running test when they cannot do their work; sends to
 * a gateway that has closed are no failure where stated.
 */
#pragma once

#include "message.h"

#include <stdbool.h>
#include <sys/types.h>

#define HOSTILE_DEADLINE_MS 20000

struct hostile {
	int sock;    /* the connection */
	int control; /* to the process that made it */
	pid_t pid;   /* that process */
};

/*
 * Connects as an account (with its groups), or with NULL as root.  With
 * login_uid its login uid is set first.  The process that connected stays until
 * hostile_orphan() or hostile_close().
 */
void hostile_connect(struct hostile *ret, const char *address, const char *account,
		     const char *login_uid);

/* Ends the process that connected; the connection stays. */
void hostile_orphan(struct hostile *hostile);

/* Closes the connection and ends the process.  Accepts a closed one. */
void hostile_close(struct hostile *hostile);

/* Sends bytes as they are.  Returns 0 or -errno (-EPIPE: the gateway has closed). */
int hostile_send_raw(const struct hostile *hostile, const void *data, size_t len);

/* The same with descriptors attached to the first byte, at most 253. */
int hostile_send_raw_fds(const struct hostile *hostile, const void *data, size_t len,
			 const int *fds, size_t fd_count);

/* Sends a header only. */
int hostile_send_header(const struct hostile *hostile, struct packet_header header);

/* Sends one packet with a correct header, of whatever type. */
int hostile_send(const struct hostile *hostile, enum message_type type, const void *body,
		 size_t body_len, const int *fds, size_t fd_count);

/* Well-formed packets, one by one; a failure to send fails the test. */
void hostile_send_hello(const struct hostile *hostile, uint32_t flags);
void hostile_send_fds(const struct hostile *hostile, const struct message_fd *numbers,
		      const int *fds, size_t count);
void hostile_send_request(const struct hostile *hostile, struct message_request fixed,
			  const char *const *argv, const char *const *envp, const int *fds,
			  size_t fd_count);
void hostile_send_end(const struct hostile *hostile);
void hostile_send_answer(const struct hostile *hostile, const char *text);

/*
 * All that dive would send in its burst: HELLO, /dev/null (and a pipe's end, or
 * -1) as 0, 1 and 2, REQUEST with the current directory "/", END.
 */
void hostile_send_burst(const struct hostile *hostile, const char *const *argv, int output);

/* The same without a pipe, from somebody who wants a new terminal. */
void hostile_send_terminal_burst(const struct hostile *hostile, const char *const *argv);

/*
 * Receives packets until one of `type` comes, dropping NOTEs; any other type,
 * and the end of the connection, fails the test.  Release with packet_done().
 */
void hostile_expect(const struct hostile *hostile, enum message_type type, struct packet *ret);

/* Expects REFUSED of this layer (0: any) and then the end of the connection. */
void hostile_expect_refused(const struct hostile *hostile, uint32_t layer);

/* Reads and drops until the gateway closes; fails after HOSTILE_DEADLINE_MS. */
void hostile_expect_closed(const struct hostile *hostile);

/*
 * A TCP socket whose last close blocks for 6 s: SO_LINGER, and unsent data to a
 * receiver whose buffer is full.  Send `sender` to a gateway, then close it here:
 * whoever has the last reference waits.  Closing `receiver` first ends the wait.
 */
struct hostile_linger {
	int sender;
	int receiver;
};
void hostile_linger_open(struct hostile_linger *ret);
void hostile_linger_close(struct hostile_linger *linger);
