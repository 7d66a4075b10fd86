/*
 * request - what dive hands to the program: descriptors, directories, words.
 *
 * Three steps, in this order: client_fds_list() before anything else opens a
 * descriptor, client_request_prepare() before connecting, client_request_send()
 * after.  Names begin with client_ since dived has a request of its own.
 */
#pragma once

#include "config.h"
#include "failure.h"
#include "message.h"
#include "signals.h"

#include <stdbool.h>

/* The descriptors dive was started with. */
struct client_fds {
	int numbers[MESSAGE_FDS_MAX]; /* the first of them, in no order */
	size_t count;		      /* all of them, also those that do not fit */
	int highest;		      /* -1 when there are none */
};

/* How a new terminal begins. */
struct terminal_start {
	bool alike;	 /* with the modes of dive's */
	bool foreground; /* the program is in the foreground of it */
	bool shared;	 /* not all of 0, 1, 2 are dive's: others of a pipeline may use it, too */
};

struct client_request {
	struct message_hello hello;
	int curdir;	    /* O_PATH */
	int rootdir;	    /* O_PATH, or -1 */
	int terminal;	    /* DIVE_TERMINAL as a path, or -1 */
	int terminal_given; /* DIVE_TERMINAL as @N: a number of the inherited ones, or -1 */
	int holders[2];	    /* a pipe: the write end goes to the program, end of file on the
			       read end says that every holder is gone */
	struct terminal_start begun; /* where the program gets one */
	bool bare;     /* there is no controlling terminal: a new one replaces 0, 1 and 2 (-t) */
	uint8_t *body; /* of the REQUEST packet */
	size_t body_len;
};

/* Fits a struct client_request that holds nothing. */
#define CLIENT_REQUEST_EMPTY                                                                       \
	{                                                                                          \
		.curdir = -1, .rootdir = -1, .terminal = -1, .terminal_given = -1, .holders = {    \
			-1,                                                                        \
			-1                                                                         \
		}                                                                                  \
	}

/* Lists what is open now, from /proc/self/fd.  Return: 0; -errno. */
int client_fds_list(struct client_fds *ret);

/**
 * client_request_prepare() - check, open and encode everything
 * @fds: as listed at the start
 * @envp: the environment, NULL-terminated; its DIVE_* variables are left out
 * @request: CLIENT_REQUEST_EMPTY; release it with client_request_done(), also
 *           after a failure
 *
 * The umask is read by setting it for a moment: no other thread may run.
 *
 * Return: 0; FAILED.
 */
int client_request_prepare(const struct client_config *config, const struct client_fds *fds,
			   char *const *envp, struct client_request *request,
			   struct failure *failure);

/**
 * client_request_send() - the whole burst, HELLO to END
 * @hold: begins before END, since the program may run from then on
 *
 * Afterwards the write end of the pipe is closed here.  A server that has closed
 * the connection meanwhile is no failure: its last message is still to be read.
 *
 * Return: 0; FAILED.
 */
int client_request_send(struct client_request *request, const struct client_fds *fds,
			const struct signals_hold *hold, int sock, struct failure *failure);

void client_request_done(struct client_request *request);
