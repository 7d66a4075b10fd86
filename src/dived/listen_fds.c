/*
 * listen_fds - judging descriptors that somebody else has opened.
 *
 * Nothing about them is believed but what the kernel says: a stream that does
 * not listen would be served as one client for ever, a socket of another family
 * has no peer whose uid could be asked for.  All are judged before one is
 * changed, so that a refusal leaves things as they were.
 */
#include "listen_fds.h"

#include "cleanup.h"
#include "environment.h"
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST 3 /* SD_LISTEN_FDS_START */

/* To connect is to write (unix(7)). */
#define OPEN_TO_OTHERS 0002
#define OPEN_TO_ALL    0666

static int __attribute__((format(printf, 3, 4)))
refuse(char *error, size_t size, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(error, size, format, list); /* a cut message is still a message */
	va_end(list);
	return -EINVAL;
}

/* How many there are, by the variables. */
static int read_variables(const struct config *config, size_t max, size_t *ret, char *error,
			  size_t size)
{
	const char *pid_text = environment_get(config->inherited.environment, "LISTEN_PID");
	const char *count_text = environment_get(config->inherited.environment, "LISTEN_FDS");
	uint64_t count;
	pid_t pid;

	if (!pid_text || !count_text)
		return refuse(error, size, "--listen-fds: %s is not set: no sockets were passed",
			      pid_text ? "LISTEN_FDS" : "LISTEN_PID");
	if (parse_pid(pid_text, &pid))
		return refuse(error, size, "--listen-fds: LISTEN_PID \"%s\": not a process id",
			      pid_text);
	if (pid != getpid())
		return refuse(error, size,
			      "--listen-fds: LISTEN_PID \"%s\": the sockets are for another "
			      "process, not %d",
			      pid_text, (int)getpid());
	if (parse_uint(count_text, 1, max, &count))
		return refuse(error, size, "--listen-fds: LISTEN_FDS \"%s\": not from 1 to %zu",
			      count_text, max);
	*ret = (size_t)count;
	return 0;
}

static int judge(int fd, struct gateway_socket *ret, char *error, size_t size)
{
	struct gateway_socket socket = { .fd = fd, .directory = -1 };
	struct stat info;

	if (fstat(fd, &info))
		return refuse(error, size, "--listen-fds: descriptor %d: %s", fd, strerror(errno));
	if (!S_ISSOCK(info.st_mode))
		return refuse(error, size, "--listen-fds: descriptor %d: not a socket", fd);
	if (socket_option(fd, SO_DOMAIN) != AF_UNIX)
		return refuse(error, size, "--listen-fds: descriptor %d: not a UNIX socket", fd);
	if (socket_option(fd, SO_TYPE) != SOCK_STREAM)
		return refuse(error, size, "--listen-fds: descriptor %d: not a stream socket", fd);
	if (socket_option(fd, SO_ACCEPTCONN) != 1)
		return refuse(error, size, "--listen-fds: descriptor %d: does not listen", fd);
	int r = socket_name(fd, socket.name);
	if (r)
		return refuse(error, size, "--listen-fds: descriptor %d: %s", fd,
			      r == -ENOENT   ? "has no name"
			      : r == -EILSEQ ? "its name holds a NUL byte"
					     : strerror(-r));
	*ret = socket;
	return 0;
}

static int check_options(const struct config *config, const struct gateway_socket *sockets,
			 size_t count, char *error, size_t size)
{
	for (size_t i = 0; i < count; i++)
		if (socket_is_abstract(&sockets[i]))
			return 0;
	if (config->socket_owner)
		return refuse(error, size,
			      "-U %s: no socket that was passed is abstract, and the owner of a "
			      "path is the service manager's to set",
			      config->socket_owner);
	if (config->socket_mode_set)
		return refuse(error, size,
			      "-C %04o: no socket that was passed is abstract, and the mode of a "
			      "path is the service manager's to set",
			      (unsigned)config->socket_mode);
	return 0;
}

/* Not inherited by programs, and accept(2) never waits for a client that has gone. */
static int take(int fd, char *error, size_t size)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return refuse(error, size, "--listen-fds: descriptor %d: %s", fd, strerror(errno));
	return 0;
}

int listen_fds_adopt(const struct config *config, struct gateway_socket *ret, size_t max,
		     size_t *count, char *error, size_t error_size)
{
	size_t limit = max < SOCKETS_MAX ? max : SOCKETS_MAX;
	struct gateway_socket sockets[SOCKETS_MAX];
	size_t found = 0;
	int r = read_variables(config, limit, &found, error, error_size);

	for (size_t i = 0; r == 0 && i < found; i++)
		r = judge(FIRST + (int)i, &sockets[i], error, error_size);
	if (r == 0)
		r = check_options(config, sockets, found, error, error_size);
	for (size_t i = 0; r == 0 && i < found; i++)
		r = take(sockets[i].fd, error, error_size);
	if (r)
		return r;
	memcpy(ret, sockets, found * sizeof(*ret));
	*count = found;
	return 0;
}

/* Adds what one more socket lets in. */
static void widen(struct config_access *access, mode_t mode, uid_t owner)
{
	access->mode |= mode;
	/* Root may anyway; two owners are more than one account, so as good as everybody. */
	if (access->uid == 0)
		access->uid = owner;
	else if (owner != 0 && owner != access->uid)
		access->mode |= OPEN_TO_OTHERS;
}

struct config_access listen_fds_access(const struct config *config,
				       const struct gateway_socket *sockets, size_t count)
{
	struct config_access access = { .known = true };
	struct config_access own = config_access(config);
	struct stat info;

	for (size_t i = 0; i < count; i++) {
		if (socket_is_abstract(&sockets[i]))
			widen(&access, own.mode, own.uid);
		else if (stat(sockets[i].name, &info) || !S_ISSOCK(info.st_mode))
			widen(&access, OPEN_TO_ALL, 0);
		else
			widen(&access, info.st_mode & 0777, info.st_uid);
	}
	return access;
}

static void write_label(const struct gateway_sockets *sockets, char *label)
{
	size_t used = 0;

	for (size_t i = 0; i < sockets->count; i++) { /* there is room for all */
		int len = snprintf(label + used, LISTEN_FDS_LABEL_SIZE - used, "%s%s", i ? "," : "",
				   sockets->items[i].name);
		used += (size_t)len;
	}
}

int listen_fds_take(struct config *config, struct gateway_sockets *ret,
		    char label[LISTEN_FDS_LABEL_SIZE], char *error, size_t error_size)
{
	struct gateway_sockets sockets = { .count = 0 };
	int r = listen_fds_adopt(config, sockets.items, SOCKETS_MAX, &sockets.count, error,
				 error_size);

	if (r)
		return r;
	struct config_access access = listen_fds_access(config, sockets.items, sockets.count);
	r = config_admit(config, &access, error, error_size);
	if (r) {
		for (size_t i = 0; i < sockets.count; i++)
			socket_close(&sockets.items[i]);
		return r;
	}
	write_label(&sockets, label);
	config->address = label;
	*ret = sockets;
	return 0;
}
