/*
 * listen_fds - the sockets a service manager has made and passes on.
 *
 * The protocol is sd_listen_fds(3): LISTEN_PID names the process they are for,
 * LISTEN_FDS says how many there are, from descriptor 3 on.  The environment is
 * that of config->inherited; LISTEN_FDNAMES means nothing here.
 */
#pragma once

#include "config.h"
#include "socket.h"

#include <stddef.h>

#define LISTEN_FDS_LABEL_SIZE (SOCKETS_MAX * SOCKET_NAME_SIZE)

/**
 * listen_fds_adopt() - take over the sockets that were passed
 * @config: parsed; called by the process that was started, before any fork
 * @ret: room for `max`; on success the first *count are listening sockets, made
 *       non-blocking and close-on-exec, and the caller's to close.  No file is
 *       ever removed for them: `directory` is -1.
 * @error: one line that names the variable or the descriptor
 *
 * Each must be a listening AF_UNIX stream socket with a name.  -C and -U are
 * refused where none of them is abstract, since dived leaves mode and owner of a
 * path to whoever made it.
 *
 * Return: 0; -EINVAL with `error` filled, and no descriptor changed hands.
 */
int listen_fds_adopt(const struct config *config, struct gateway_socket *ret, size_t max,
		     size_t *count, char *error, size_t error_size);

/*
 * What mode and owner of the sockets let in, all taken together: of a path as
 * stat(2) says, of an abstract one as -C and -U say.  A path that cannot be looked
 * at counts as open to everybody.
 */
struct config_access listen_fds_access(const struct config *config,
				       const struct gateway_socket *sockets, size_t count);

/*
 * Both, and the consequences: the safety checks are made with what the sockets let
 * in, and config->address becomes their names, which are put in `label`.
 * Return: as above; on failure nothing is left open.
 */
int listen_fds_take(struct config *config, struct gateway_sockets *ret,
		    char label[LISTEN_FDS_LABEL_SIZE], char *error, size_t error_size);
