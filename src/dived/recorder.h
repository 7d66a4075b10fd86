/*
 * recorder - writes down the loss of a session that has no listener: -i, -F and -J.
 *
 * There the process that calls PAM is dived itself, and when a module hangs in it, exits,
 * crashes or kills it, nobody would be left to say so.  A process of its own is therefore
 * forked before PAM is called.  It holds the other end of the session's control socket
 * and a pidfd of it, and nothing else: no connection, terminal or pipe of anybody's.
 * When the session ends without having said that it is done, it writes the record, and
 * ends.  It is also who writes the kernel's record of the gateway's stop: the session has
 * taken on its client's login uid by then, and the client has not stopped the gateway.  As a
 * listener does, it kills a session that outlives what it has said a phase may last.
 */
#pragma once

#include "config.h"

#include <stddef.h>

/**
 * recorder_start() - fork the recorder of the calling process
 * @conn: the client; -1: whoever started dived (-J)
 * @ret: the control socket, the caller's, to be told what control.h says of a session;
 *       -1 where there is nothing to be recorded, and where no recorder can be
 *
 * The recorder is nobody's child whom a module or a caller could wait for: it has been
 * let go of by the process in between.
 *
 * Whoever was started by a process that has asked for a new pid namespace for its
 * children (unshare(1) without -f) gets none: it would be pid 1 there in the place of the
 * program.
 *
 * Return: 0; -errno with one line in `error`.
 */
int recorder_start(const struct config *config, int conn, int *ret, char *error, size_t error_size);

/*
 * Makes a recorder of the calling process, which was forked for that: what stops a service does
 * not end it, and it holds nothing of whoever has started dived.
 */
void recorder_become(void);

/* Says in the log that the gateway has stopped, and tells the recorder that this is done. */
void recorder_stop(int recorder, const struct config *config);
