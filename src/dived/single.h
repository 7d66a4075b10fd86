/*
 * single - a dived that serves one client in its own process: -i, -F and -J.
 *
 * There is no listener and no template: the process itself is the session, and
 * passes the end of the program on as its own.
 */
#pragma once

#include "config.h"
#include "notify.h"
#include "process.h"
#include "session.h"
#include "socket.h"

#include <signal.h>
#include <stddef.h>

struct single {
	int signals; /* signalfd(2); owned until the process ends or has its client */
	sigset_t before;
};

/*
 * Takes over SIGTERM, SIGINT and SIGHUP.  Before there is a socket: whoever sees it
 * may send one of them.
 * Return: 0; -EINVAL with one line in `error`.
 */
int single_open(struct single *ret, char *error, size_t error_size);

/**
 * single_accept() - wait for the one client of -F
 * @config: --allow is resolved again at SIGHUP
 * @sockets: listening; let go of when a client has come, and their files removed
 * @notify: told of reloading
 *
 * Clients that may not use the gateway are refused, and do not count; neither does
 * one that leaves without a word.
 *
 * Return: the connection, the caller's; -1 where SIGTERM or SIGINT came first.
 */
int single_accept(struct single *single, struct config *config, struct gateway_sockets *sockets,
		  struct notify *notify);

/*
 * Judges what -i has been given: a connected AF_UNIX stream socket, accepted from one
 * with a name, of a client that --allow admits.  If not, refuses the client.
 * Return: 0; -EINVAL with one line in `error`.
 */
int single_judge(const struct config *config, int conn, char *error, size_t error_size);

/*
 * Refuses a client before a session has begun: records why, and tells him `text`, which
 * is one line.  Does nothing where the descriptor is no client's.  Takes on the client's
 * login uid, for a process that ends after it.
 */
#define SINGLE_CANNOT_SERVE "the gateway cannot serve; its log says why"
void single_refuse(enum config_audit mode, int conn, const char *reason, const char *text);

/*
 * What whoever starts dived -J hands to its program.  `fds` is borrowed for good.
 * Return: 0; -EINVAL with one line in `error`.
 */
int single_take_descriptors(struct config *config, const struct process_fds *fds, char *error,
			    size_t error_size);

/*
 * The exit status that `result` means.  Where a signal ended the program this process
 * ends by the same one, without a core dump, and the call does not return.
 */
int single_pass_on(const struct session_result *result);
