/*
 * notify - telling a service manager how the gateway is: sd_notify(3).
 *
 * The address is NOTIFY_SOCKET of the environment dived was started with, a path
 * or "@name"; without it everything here succeeds and does nothing.  No call
 * waits: a manager that does not read is not told.
 *
 * Functions return 0, or -errno for the first failure of all; later ones are
 * not reported, so that a caller that logs them says it once.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /* owned; -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t len;
	bool failed; /* and that has been reported */
};

#define NOTIFY_NONE                                                                                \
	(struct notify)                                                                            \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Makes a socket for the address in `environment`; on failure *ret is NOTIFY_NONE. */
int notify_open(char *const *environment, struct notify *ret);

/* Serving, or serving again after a reload.  `main_pid`: this process is not the one started. */
int notify_ready(struct notify *notify, bool main_pid, const char *status);

/* From now on until notify_ready(). */
int notify_reloading(struct notify *notify);

/* For people; control characters are escaped, and what is too long is cut. */
int notify_status(struct notify *notify, const char *status);

int notify_stopping(struct notify *notify);

void notify_done(struct notify *notify);
