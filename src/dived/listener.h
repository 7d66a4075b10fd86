/*
 * listener - the gateway's first process: accepts, counts, hands on.
 *
 * It never reads a packet of a client, never loads a PAM module, and never is
 * the last to close a connection.  Everything a peer could use to hold it up
 * happens in another process: sessions (template.h) and disposables.
 */
#pragma once

#include "audit.h"
#include "config.h"
#include "socket.h"

/*
 * Starts a template and waits until it is ready, as a check before anything is served.
 * Return: 0; -EINVAL with one line in `error`.
 */
int listener_check(const struct config *config, char *error, size_t error_size);

/**
 * listener_run() - serve until SIGTERM or SIGINT
 * @config: changed only by a reload (names of --allow and -U)
 * @sockets: listening, at least one; taken over
 * @ready: called once when the first template is ready and clients are served;
 *         may be NULL
 * @error: one line, when it could not begin to serve
 *
 * Return: 0 after a signal; -EINVAL or other -errno with `error` filled.
 */
int listener_run(struct config *config, struct gateway_sockets *sockets,
		 void (*ready)(void *context), void *context, char *error, size_t error_size);
