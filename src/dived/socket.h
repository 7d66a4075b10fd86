/*
 * socket - the gateway's listening socket: bound, owned, moded, and only then listening.
 */
#pragma once

#include "config.h"

#include <stddef.h>
#include <sys/types.h>

struct gateway_socket {
	int fd;	       /* listening; owned; -1 when closed */
	int directory; /* O_PATH, of the directory the path is in; owned; -1 for abstract */
	dev_t dev;     /* identity of the file in the file system */
	ino_t ino;
};

/**
 * socket_open() - create the socket of config->address
 *
 * A path in a directory that others than root or dived's uid may write is
 * refused unless the directory is sticky.  A socket nobody listens on is
 * replaced; one that answers, and a file that is no socket, are refused.  No
 * client can connect before owner and mode are set.
 *
 * Return: 0, released with socket_close(); -EINVAL or other -errno with one
 * line in `error`.
 */
int socket_open(const struct config *config, struct gateway_socket *ret, char *error,
		size_t error_size);

/* Removes the file if it still is the one that was made, without closing. */
void socket_unlink(const struct gateway_socket *socket);

void socket_close(struct gateway_socket *socket);
