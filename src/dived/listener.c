/*
 * listener - set-up, event loop and stopping.
 *
 * A turn of the loop reads what is there, lets timers act, and hands waiting
 * connections on.  Nothing in it blocks: sockets are non-blocking, records and
 * refusals are written by disposable processes, and a shortage of descriptors
 * or processes makes it stop accepting for a moment instead of spinning.
 */
#include "listener.h"

#include "cleanup.h"
#include "deadline.h"
#include "disposable.h"
#include "listener_internal.h"
#include "log.h"
#include "namespace.h"
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SPARE	   64 /* connections that wait for a process that refuses them */
#define EVENTS_MAX 64
#define CLOSE_MS   1000 /* for the sockets to be closed when the gateway stops */

int listener_add(struct listener *listener, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .u64 = tag } };

	return epoll_ctl(listener->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void listener_forget(struct listener *listener, int *fd)
{
	if (*fd >= 0) /* fails for one that is not in the set */
		(void)epoll_ctl(listener->epoll, EPOLL_CTL_DEL, *fd, NULL);
	close_fd(fd);
}

/* Returns whether the process was the one that keeps the namespaces, which nothing replaces. */
static bool holder_ended(const struct listener *listener, pid_t pid)
{
	struct namespaces *namespaces = listener->config->namespaces;

	if (!namespaces || namespaces->holder != pid)
		return false;
	namespaces->holder = 0; /* the number is soon another's */
	log_error("%s: the process that keeps the namespaces has ended", listener->config->address);
	return true;
}

static void reap(struct listener *listener)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid == listener->current.pid)
			listener->current.reaped = true; /* its socket's end says the rest */
		else if (pid == listener->next.pid)
			listener->next.reaped = true;
		else if (pid == listener->names.pid)
			listener_names_ended(listener);
		else if (!holder_ended(listener, pid) && listener->disposables > 0)
			listener->disposables--;
	}
}

/* --- what a service manager is told ---------------------------------------------- */

static void told(const struct listener *listener, int r)
{
	if (r)
		log_warning("%s: the service manager cannot be told (NOTIFY_SOCKET): %s",
			    listener->config->address, strerror(-r));
}

static void describe(const struct listener *listener, char *buffer, size_t size)
{
	const char *what = "serving";
	const char *why = "";

	if (listener->broken) {
		what = "authentication is not available: ";
		why = listener->why;
	} else if (listener->stale[0]) {
		what = "serving; the names of before stay in force: ";
		why = listener->stale;
	}
	(void)snprintf(buffer, size, "%s%s", what, why); /* may be cut */
}

/* A reload that was asked for while this template loaded is still to come. */
void listener_settled(struct listener *listener)
{
	char status[512];

	describe(listener, status, sizeof(status));
	if (listener->reloading && !listener->reload && !listener_names_wanted(listener)) {
		listener->reloading = false;
		told(listener, notify_ready(&listener->notify, false, status));
	} else if (!listener->reloading) {
		told(listener, notify_status(&listener->notify, status));
	}
}

static void begin_reload(struct listener *listener)
{
	listener->reload = listener->resolve = true;
	if (!listener->serving)
		return; /* it has not said that it is ready either */
	listener->reloading = true;
	told(listener, notify_reloading(&listener->notify));
}

/* --- the loop ------------------------------------------------------------------------ */

static void handle_signals(struct listener *listener)
{
	struct signalfd_siginfo info;

	while (read(listener->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			listener->stop = true;
		else if (info.ssi_signo == SIGHUP)
			begin_reload(listener);
	}
	reap(listener);
}

static void dispatch(struct listener *listener, const struct epoll_event *event)
{
	uint64_t tag = event->data.u64;

	if (tag == TAG_SIGNALS)
		handle_signals(listener);
	else if (tag == TAG_WATCH)
		listener->reload =
			(listener->watch >= 0 && watch_drain(listener->watch)) || listener->reload;
	else if (tag == TAG_CURRENT || tag == TAG_NEXT)
		listener_template_event(listener, (enum listener_tag)tag);
	else if (tag & TAG_PROCESS)
		connection_ended(listener,
				 &listener->connections[(tag & ~TAG_PROCESS) - TAG_CONNECTIONS]);
	else if (tag & TAG_PROGRAM)
		connection_program_ended(
			listener, &listener->connections[(tag & ~TAG_PROGRAM) - TAG_CONNECTIONS]);
	else if (tag >= TAG_SOCKETS && tag < TAG_CONNECTIONS)
		listener_socket_event(listener, (unsigned)(tag - TAG_SOCKETS), event->events);
	else if (tag >= TAG_CONNECTIONS)
		connection_event(listener, &listener->connections[tag - TAG_CONNECTIONS]);
}

static int64_t next_deadline(const struct listener *listener)
{
	int64_t next = listener_template_next(listener);

	if (listener->names.pid)
		next = deadline_earlier(next, listener->names.deadline);
	if (!listener->accepting)
		next = deadline_earlier(next, listener->accept_at);
	if (listener->hand_at)
		next = deadline_earlier(next, listener->hand_at);
	return next;
}

void listener_wait(struct listener *listener, int64_t next)
{
	struct epoll_event events[EVENTS_MAX];

	for (size_t i = 0; i < listener->used; i++)
		next = deadline_earlier(next, connection_next(&listener->connections[i]));
	int count = epoll_wait(listener->epoll, events, EVENTS_MAX, deadline_left(next));

	for (int i = 0; i < count; i++)
		dispatch(listener, &events[i]);
}

void listener_connections(struct listener *listener, int64_t now)
{
	for (size_t i = 0; i < listener->used; i++)
		connection_timers(listener, &listener->connections[i], now);
	while (listener->used > 0 &&
	       listener->connections[listener->used - 1].state == CONNECTION_FREE)
		listener->used--;
}

static void turn(struct listener *listener)
{
	/* Sessions first: what they free can be taken by who waits in the queue. */
	listener_wait(listener, next_deadline(listener));
	listener_names_timers(listener);
	if (listener->resolve && !listener->names.pid)
		listener_names_start(listener);
	if (!listener_names_wanted(listener))
		listener_accept(listener);
	int64_t now = deadline_now();
	listener->hand_at = 0;
	listener_template_timers(listener, now);
	listener_connections(listener, now);
	if (!listener->accepting && listener->accept_at <= now)
		listener_accepting(listener, true);
}

static bool any_abstract(const struct gateway_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (socket_is_abstract(&sockets->items[i]))
			return true;
	return false;
}

/*
 * Disposable processes close the sockets, with whoever still waits in the queues.  An
 * abstract name is free when no process holds its socket any more, and whoever starts
 * the gateway anew begins when this process has ended: so they are waited for (each
 * has held all of the sockets for a moment), but not for ever.
 */
static void close_sockets(struct gateway_sockets *sockets)
{
	bool patient = any_abstract(sockets);
	int64_t deadline = deadline_after(CLOSE_MS);

	for (size_t i = 0; i < sockets->count; i++) {
		socket_unlink(&sockets->items[i]);
		pid_t pid = disposable_close(&sockets->items[i].fd);
		if (pid <= 0 || !patient)
			continue; /* where it failed the socket closes when this process exits */
		cleanup_fd int ended = pidfd_open(pid, 0); /* not reaped: it is the child's */
		if (ended >= 0)
			(void)deadline_poll(ended, POLLIN, deadline);
	}
}

/*
 * The sockets and connections nobody serves yet are given up by disposable
 * processes; running sessions finish by themselves.
 */
static void stop(struct listener *listener)
{
	told(listener, notify_stopping(&listener->notify));
	listener_accepting(listener, false);
	close_sockets(&listener->sockets);
	for (size_t i = 0; i < listener->used; i++) {
		struct connection *connection = &listener->connections[i];

		if (connection->conn >= 0)
			connection_refuse(listener, connection, "the gateway is stopping");
	}
	listener_template_stop(listener);
	if (listener_leave_recorder(listener))
		return;
	for (size_t i = 0; i < listener->used; i++)
		connection_stop(listener, &listener->connections[i]);
}

static void listener_done(struct listener *listener)
{
	listener_names_stop(listener);
	listener_template_stop(listener);
	close_fd(&listener->epoll);
	close_fd(&listener->signals);
	close_fd(&listener->watch);
	notify_done(&listener->notify);
	for (size_t i = 0; i < listener->sockets.count; i++)
		socket_close(&listener->sockets.items[i]);
	admission_done(&listener->admission);
	free(listener->connections);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int set_up(struct config *config, struct listener *ret)
{
	int r = 0;

	*ret = (struct listener){
		.config = config,
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.signals = open_signals(),
		.watch = -1,
		.current = { .control = -1 },
		.next = { .control = -1 },
		.next_deadline = DEADLINE_NONE,
		.notify = NOTIFY_NONE,
		.room = (size_t)config->max_sessions + SPARE,
		.reload = true,
		.admission = { .limits = { config->max_sessions, config->max_sessions_per_user,
					   config->max_pending, config->max_pending_per_user } },
	};
	ret->connections = calloc(ret->room, sizeof(*ret->connections));
	if (ret->epoll < 0)
		r = -errno;
	else if (ret->signals < 0)
		r = ret->signals;
	else if (!ret->connections)
		r = -ENOMEM;
	if (r == 0)
		r = listener_add(ret, ret->signals, TAG_SIGNALS);
	told(ret, notify_open(config->inherited.environment, &ret->notify));
	return r;
}

/* Runs the loop without a socket until the first template is ready, or a signal says stop. */
static int await_template(struct listener *listener, char *error, size_t error_size)
{
	listener->accepting = true; /* there is no socket to add yet */
	while (!listener->stop && !listener_template_ready(listener)) {
		if (listener->broken)
			break;
		turn(listener);
	}
	listener->accepting = false;
	listener->serving = listener_template_ready(listener) && !listener->broken;
	if (listener->serving || (listener->stop && !listener->broken))
		return 0;
	(void)snprintf(error, error_size, "--pam-service %s: %s", listener->config->pam_service,
		       listener->why);
	return -EINVAL;
}

int listener_check(const struct config *config, char *error, size_t error_size)
{
	struct template template;
	struct template_report report;
	int r = template_start(config, &template);
	pid_t pid = r == 0 ? template.pid : 0;

	if (r == 0)
		r = deadline_poll(template.control, EPOLLIN, deadline_after(30000));
	if (r == 0)
		r = template_receive(&template, &report);
	if (pid) {
		template_retire(&template);
		(void)kill(pid, SIGKILL); /* our unreaped child; a module may hang in it */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (r)
		(void)snprintf(error, error_size, "--pam-service %s: cannot be tried: %s",
			       config->pam_service, strerror(-r));
	else if (report.broken)
		(void)snprintf(error, error_size, "--pam-service %s: %s", config->pam_service,
			       report.text);
	return r || report.broken ? -EINVAL : 0;
}

int listener_run(struct config *config, struct gateway_sockets *sockets,
		 void (*ready)(void *context), void *context, char *error, size_t error_size)
{
	struct listener listener;
	int r = set_up(config, &listener);

	listener.sockets = *sockets;
	sockets->count = 0;
	if (r) {
		(void)snprintf(error, error_size, "the gateway cannot be set up: %s", strerror(-r));
	} else {
		error[0] = '\0';
		r = await_template(&listener, error, error_size);
	}
	if (r) {
		for (size_t i = 0; i < listener.sockets.count; i++)
			socket_unlink(&listener.sockets.items[i]);
		listener_done(&listener);
		return r;
	}
	if (!listener.stop) {
		listener_accepting(&listener, true);
		/* Before `ready`: with --detach the process that was started ends by it. */
		told(&listener, notify_ready(&listener.notify, config->detach != 0, "serving"));
		if (ready)
			ready(context);
	}
	while (!listener.stop)
		turn(&listener);
	stop(&listener);
	listener_done(&listener);
	return 0;
}
