/*
 * socket - the gateway's listening sockets: one of its own, bound, owned, moded, and only then
 * listening; or those a service manager has made (listen_fds.h).
 */
#pragma once

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define SOCKETS_MAX	 16  /* of one gateway */
#define SOCKET_NAME_SIZE 112 /* a path of 108 bytes, "./" and a NUL */

struct gateway_socket {
	int fd;	       /* listening; owned; -1 when closed */
	int directory; /* O_PATH, of the directory the path is in; owned; -1: no file of ours */
	dev_t dev;     /* identity of the file in the file system; unset for no file of ours */
	ino_t ino;
	char name[SOCKET_NAME_SIZE]; /* path, or "@name": dived itself applies -C and -U */
};

struct gateway_sockets {
	struct gateway_socket items[SOCKETS_MAX];
	size_t count;
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

static inline bool socket_is_abstract(const struct gateway_socket *socket)
{
	return socket->name[0] == '@';
}

/**
 * socket_name() - the local address of a socket, as text
 * @ret: '@' and the name of an abstract socket, or a path as it was bound, with "./" in front
 *       of one that begins with '@' itself; for an accepted connection that is the
 *       name of the socket that listens
 *
 * Return: 0; -EAFNOSUPPORT not an AF_UNIX socket; -ENOENT it has no name;
 * -EILSEQ an abstract name with a NUL in it, which no text can show; -errno.
 */
int socket_name(int fd, char ret[SOCKET_NAME_SIZE]);

/*
 * The address that is written as a path, or as '@' and the name of an abstract socket,
 * of at most as many characters as sun_path has room for.
 * Return: its length.
 */
socklen_t socket_address(const char *address, struct sockaddr_un *ret);

/* A number of SOL_SOCKET, see socket(7).  Return: it; -1 for what is no socket. */
int socket_option(int fd, int option);

/* Removes the file if it still is the one that was made, without closing. */
void socket_unlink(const struct gateway_socket *socket);

void socket_close(struct gateway_socket *socket);
