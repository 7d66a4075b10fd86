/*
 * socket - binding the gateway's address.
 *
 * bind(2) makes the file with dived's umask of 077; connect(2) is refused by
 * the kernel until listen(2), so the time between is nobody's.  The directory
 * is opened first and the file handled by its last component below it, so that
 * owner and mode land on the file that was bound, not on what a path names a
 * moment later.
 */
#include "socket.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BACKLOG 128

static int __attribute__((format(printf, 4, 5)))
refuse(char *error, size_t size, int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(error, size, format, list); /* a cut message is still a message */
	va_end(list);
	return code;
}

socklen_t socket_address(const char *address, struct sockaddr_un *ret)
{
	size_t len = strlen(address);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, address, len); /* the caller has looked at the length */
	if (address[0] != '@')
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Opens the directory of the path and sees that nobody else can exchange files there. */
static int open_directory(const char *path, char *error, size_t size)
{
	char parent[CONFIG_ADDRESS_MAX + 2] = ".";
	const char *name = last_component(path);
	struct stat info;

	if (name > path)
		(void)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
	cleanup_fd int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info))
		return refuse(error, size, -errno, "%s: cannot open the directory: %s", path,
			      strerror(errno));
	if (info.st_uid != 0 && info.st_uid != geteuid())
		return refuse(error, size, -EINVAL,
			      "%s: the directory belongs to uid %u, who could replace the socket",
			      path, info.st_uid);
	if ((info.st_mode & (S_IWGRP | S_IWOTH)) && !(info.st_mode & S_ISVTX))
		return refuse(error, size, -EINVAL,
			      "%s: others may write the directory (mode %04o) and it is not sticky",
			      path, info.st_mode & 07777U);
	return take_fd(&fd);
}

/* Removes what a gateway that is gone left behind; refuses anything else. */
static int clear_stale(int directory, const char *path, char *error, size_t size)
{
	const char *name = last_component(path);
	struct sockaddr_un address;
	struct stat before;
	struct stat after;

	if (fstatat(directory, name, &before, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT
			       ? 0
			       : refuse(error, size, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(before.st_mode))
		return refuse(error, size, -EEXIST, "%s: exists and is not a socket", path);
	cleanup_fd int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return refuse(error, size, -errno, "cannot make a socket: %s", strerror(errno));
	socklen_t len = socket_address(path, &address);
	if (connect(probe, (struct sockaddr *)&address, len) == 0 || errno == EAGAIN)
		return refuse(error, size, -EADDRINUSE, "%s: another process is listening there",
			      path);
	if (errno != ECONNREFUSED)
		return refuse(error, size, -errno, "%s: cannot tell whether it is in use: %s", path,
			      strerror(errno));
	if (fstatat(directory, name, &after, AT_SYMLINK_NOFOLLOW) ||
	    after.st_dev != before.st_dev || after.st_ino != before.st_ino)
		return refuse(error, size, -EAGAIN, "%s: changed while it was looked at", path);
	if (unlinkat(directory, name, 0))
		return refuse(error, size, -errno, "%s: cannot remove a stale socket: %s", path,
			      strerror(errno));
	return 0;
}

/* Owner before mode: chown(2) may clear bits, and nobody can connect yet. */
static int set_access(const struct config *config, struct gateway_socket *made, char *error,
		      size_t size)
{
	const char *name = last_component(config->address);
	struct stat info;

	if (fstatat(made->directory, name, &info, AT_SYMLINK_NOFOLLOW) || !S_ISSOCK(info.st_mode))
		return refuse(error, size, -EINVAL, "%s: vanished while it was made",
			      config->address);
	made->dev = info.st_dev;
	made->ino = info.st_ino;
	if (config->socket_owner && fchownat(made->directory, name, config->socket_uid,
					     config->socket_gid, AT_SYMLINK_NOFOLLOW))
		return refuse(error, size, -errno, "--chown %s: %s", config->socket_owner,
			      strerror(errno));
	if (fchmodat(made->directory, name, config->socket_mode, 0))
		return refuse(error, size, -errno, "--chmod %04o: %s", config->socket_mode,
			      strerror(errno));
	return 0;
}

int socket_open(const struct config *config, struct gateway_socket *ret, char *error,
		size_t error_size)
{
	struct gateway_socket made = { .fd = -1, .directory = -1 };
	bool file = config->address[0] != '@';
	struct sockaddr_un address;
	int r = 0;

	if (file) {
		made.directory = open_directory(config->address, error, error_size);
		if (made.directory < 0)
			return made.directory;
		r = clear_stale(made.directory, config->address, error, error_size);
	}
	socklen_t len = socket_address(config->address, &address);
	if (r == 0) {
		made.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (made.fd < 0 || bind(made.fd, (struct sockaddr *)&address, len))
			r = refuse(error, error_size, -errno, "%s: cannot bind: %s",
				   config->address, strerror(errno));
	}
	if (r == 0 && file)
		r = set_access(config, &made, error, error_size);
	if (r == 0 && listen(made.fd, BACKLOG))
		r = refuse(error, error_size, -errno, "%s: cannot listen: %s", config->address,
			   strerror(errno));
	if (r) {
		socket_unlink(&made);
		socket_close(&made);
		return r;
	}
	(void)snprintf(made.name, sizeof(made.name), "%s", config->address); /* length checked */
	*ret = made;
	return 0;
}

int socket_name(int fd, char ret[SOCKET_NAME_SIZE])
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	size_t head = offsetof(struct sockaddr_un, sun_path);

	if (getsockname(fd, (struct sockaddr *)&address, &len))
		return -errno;
	if (address.sun_family != AF_UNIX)
		return -EAFNOSUPPORT;
	if (len <= head)
		return -ENOENT;
	bool abstract = address.sun_path[0] == '\0';
	const char *name = address.sun_path + abstract;
	/* A path may fill all of sun_path; the length the kernel returns then counts one more. */
	size_t size = (len < sizeof(address) ? len : sizeof(address)) - head - abstract;
	size_t used = strnlen(name, size);
	if (abstract && used < size)
		return -EILSEQ;
	if (used == 0)
		return -ENOENT;
	(void)snprintf(ret, SOCKET_NAME_SIZE, "%s%.*s",
		       abstract	      ? "@"
		       : *name == '@' ? "./"
				      : "",
		       (int)used, name); /* fits */
	return 0;
}

void socket_unlink(const struct gateway_socket *socket)
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	struct stat info;

	if (socket->fd < 0 || socket->directory < 0 || socket->ino == 0 ||
	    getsockname(socket->fd, (struct sockaddr *)&address, &len))
		return;
	const char *name = last_component(address.sun_path);
	if (fstatat(socket->directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
	    info.st_dev == socket->dev && info.st_ino == socket->ino)
		(void)unlinkat(socket->directory, name, 0); /* a left-over is stale, not wrong */
}

int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

void socket_close(struct gateway_socket *socket)
{
	close_fd(&socket->fd);
	close_fd(&socket->directory);
}
