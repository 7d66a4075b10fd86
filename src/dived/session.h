/*
 * session - one connection from its first byte to its last record.
 *
 * Runs in a process of its own and ends with it: PAM modules may leave what
 * they like behind.
 */
#pragma once

#include "config.h"
#include "fault.h"

#include <security/pam_appl.h>
#include <stdint.h>

struct session_input {
	const struct config *config;
	int conn;	    /* the client; -1 with -J: whoever started dived */
	int control;	    /* the listener; -1 for none */
	int recorder;	    /* without a listener: whoever records if this dies; -1 for none */
	uint64_t occupied;  /* process_occupy() of the template */
	pam_handle_t *pamh; /* from the template; NULL without PAM, or when it is broken */
	int *messages;	    /* -J: where is said what keeps the program from running */
	const char *broken; /* why PAM does not work; NULL when it does */
};

/* How it went, for a process that serves one client only and passes it on. */
struct session_result {
	bool took_pam; /* the handle is not the caller's any more */
	bool ran;      /* a program was executed, and ended as `exited` says */
	struct message_exited exited;
	struct fault fault; /* else: why not; fault.status is an exit status */
};

/*
 * Serves the connection.  With -J and nothing to be done afterwards it does not
 * return: the program is executed in this process.
 */
void session_run(const struct session_input *input, struct session_result *ret);
