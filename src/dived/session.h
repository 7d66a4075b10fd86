/*
 * session - one connection from its first byte to its last record.
 *
 * Runs in a process of its own and ends with it: PAM modules may leave what
 * they like behind.
 */
#pragma once

#include "config.h"

#include <security/pam_appl.h>
#include <stdint.h>

struct session_input {
	const struct config *config;
	int conn;	    /* the client */
	int control;	    /* the listener; -1 for none */
	uint64_t occupied;  /* process_occupy() of the template */
	pam_handle_t *pamh; /* from the template; NULL without PAM, or when it is broken */
	const char *broken; /* why PAM does not work; NULL when it does */
};

/* Serves the connection.  Return: exit status for the process. */
int session_run(const struct session_input *input);
