/*
 * listener_recorder - who listens to the sessions that outlive their gateway.
 *
 * One that is lost then must have its record all the same, and its program an end.  So a
 * process goes on as the listener did, until the last session has ended.  It has the
 * connections' descriptors and a set of events of its own, and nothing else.
 */
#include "cleanup.h"
#include "deadline.h"
#include "listener_internal.h"
#include "log.h"
#include "process.h"
#include "recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>
#include <unistd.h>

static void __attribute__((noreturn)) keep_listening(struct listener *listener)
{
	closelog(); /* its descriptor has been closed, and the number is soon another's */
	(void)setsid();
	(void)signal(SIGCHLD, SIG_IGN); /* disposable processes are reaped by the kernel */
	recorder_become();
	for (size_t i = 0; i < listener->used; i++)
		connection_keep(&listener->connections[i]);
	listener_connections(listener, deadline_now());
	while (listener->used > 0) {
		listener_wait(listener, DEADLINE_NONE);
		listener_connections(listener, deadline_now());
	}
	_exit(0);
}

/* Made before the process is, so that nothing can fail in that.  Return: 0; -errno. */
static int watch_connections(struct listener *listener, int *ret)
{
	int before = listener->epoll;
	cleanup_fd int epoll = epoll_create1(EPOLL_CLOEXEC);
	int r = epoll < 0 ? -errno : 0;

	listener->epoll = epoll;
	for (size_t i = 0; i < listener->used && r == 0; i++)
		r = connection_watch(listener, &listener->connections[i]);
	listener->epoll = before;
	if (r == 0)
		*ret = take_fd(&epoll);
	return r;
}

/*
 * What a service manager sends to all of a service, and perhaps twice, does not end it: a
 * listener has the signals that stop it blocked, and a recorder ignores them.
 */
static pid_t fork_recorder(struct listener *listener, int epoll, int *kept, size_t count)
{
	pid_t pid = fork();

	if (pid)
		return pid < 0 ? -errno : pid;
	kept[count++] = epoll;
	process_close_others(3, kept, count);
	listener->epoll = epoll;
	keep_listening(listener);
}

bool listener_leave_recorder(struct listener *listener)
{
	cleanup_free int *kept = calloc(listener->used + 1, CONNECTION_FDS * sizeof(*kept));
	cleanup_fd int epoll = -1;
	size_t count = 0;

	for (size_t i = 0; kept && i < listener->used; i++)
		count += connection_list(&listener->connections[i], kept + count);
	if (kept && count == 0)
		return false;
	int r = kept ? watch_connections(listener, &epoll) : -ENOMEM;
	if (r == 0)
		r = fork_recorder(listener, epoll, kept, count);
	if (r < 0)
		log_error("%s: nobody can be left behind to record what becomes of the sessions: "
			  "%s",
			  listener->config->address, strerror(-r));
	return r > 0;
}
