/*
 * notify - datagrams to NOTIFY_SOCKET.
 *
 * The socket is made once, so that a shortage of descriptors does not silence
 * it, and is never connected: a manager that has made its own anew under the
 * same name is found again.
 */
#include "notify.h"

#include "cleanup.h"
#include "environment.h"
#include "log.h"
#include "socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATUS_MAX  512
#define MESSAGE_MAX 1024

static int fill(const char *name, struct notify *notify)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || !name[1])
		return -EINVAL;
	if (len >= sizeof(notify->address.sun_path))
		return -ENAMETOOLONG;
	notify->len = socket_address(name, &notify->address);
	return 0;
}

int notify_open(char *const *environment, struct notify *ret)
{
	const char *name = environment_get(environment, "NOTIFY_SOCKET");
	struct notify notify = NOTIFY_NONE;

	*ret = notify;
	if (!name)
		return 0;
	int r = fill(name, &notify);
	if (r)
		return r;
	notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify.fd < 0)
		return -errno;
	*ret = notify;
	return 0;
}

static int __attribute__((format(printf, 2, 3)))
tell(struct notify *notify, const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list list;

	if (notify->fd < 0)
		return 0;
	va_start(list, format);
	int len = vsnprintf(message, sizeof(message), format, list); /* fits */
	va_end(list);
	if (sendto(notify->fd, message, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&notify->address, notify->len) >= 0 ||
	    notify->failed)
		return 0;
	notify->failed = true;
	return -errno;
}

/* A line break would begin another assignment. */
static const char *escape(const char *status, char buffer[STATUS_MAX])
{
	(void)log_escape(status, strlen(status), false, buffer, STATUS_MAX);
	return buffer;
}

int notify_ready(struct notify *notify, bool main_pid, const char *status)
{
	char buffer[STATUS_MAX];

	if (main_pid)
		return tell(notify, "READY=1\nMAINPID=%d\nSTATUS=%s\n", (int)getpid(),
			    escape(status, buffer));
	return tell(notify, "READY=1\nSTATUS=%s\n", escape(status, buffer));
}

int notify_reloading(struct notify *notify)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now))
		return -errno;
	return tell(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reloading\n",
		    (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U);
}

int notify_status(struct notify *notify, const char *status)
{
	char buffer[STATUS_MAX];

	return tell(notify, "STATUS=%s\n", escape(status, buffer));
}

int notify_stopping(struct notify *notify)
{
	return tell(notify, "STOPPING=1\nSTATUS=stopping\n");
}

void notify_done(struct notify *notify)
{
	close_fd(&notify->fd);
	*notify = NOTIFY_NONE;
}
