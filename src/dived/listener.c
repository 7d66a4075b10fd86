/*
 * listener - event loop, accepting and stopping.
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
#include "peer.h"
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SHORTAGE_MS	200 /* between attempts when descriptors or processes run out */
#define DISPOSABLES_MAX 128 /* refusals at work at a time; more wait in the socket's queue */
#define SPARE		64  /* connections that wait for a process that refuses them */
#define EVENTS_MAX	64

int listener_add(struct listener *listener, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .u64 = tag } };

	return epoll_ctl(listener->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static void accepting(struct listener *listener, bool on)
{
	if (on == listener->accepting)
		return;
	if (on && listener_add(listener, listener->socket.fd, TAG_SOCKET))
		return; /* tried again at the next turn */
	if (!on)
		(void)epoll_ctl(listener->epoll, EPOLL_CTL_DEL, listener->socket.fd, NULL);
	listener->accepting = on;
}

static void pause_accepting(struct listener *listener)
{
	accepting(listener, false);
	listener->accept_at = deadline_after(SHORTAGE_MS);
}

static struct connection *free_connection(struct listener *listener)
{
	for (size_t i = 0; i < listener->room; i++) {
		if (listener->connections[i].state != CONNECTION_FREE)
			continue;
		if (i >= listener->used)
			listener->used = i + 1;
		return &listener->connections[i];
	}
	return NULL;
}

static bool mode_admits(const struct config *config, const struct peer *peer)
{
	uid_t owner = config->socket_uid == (uid_t)-1 ? config->inherited.uid : config->socket_uid;
	gid_t group = config->socket_gid == (gid_t)-1 ? config->inherited.gid : config->socket_gid;

	if (peer->uid == 0)
		return true; /* as root may open any file */
	if (peer->uid == owner)
		return config->socket_mode & 0200; /* connect(2) asks for write permission */
	if (peer_in_group(peer, group))
		return config->socket_mode & 0020;
	return config->socket_mode & 0002;
}

static bool list_admits(const struct config *config, const struct peer *peer)
{
	if (!config->allow_set)
		return true;
	for (size_t i = 0; i < config->allow_uid_count; i++)
		if (config->allow_uids[i] == peer->uid)
			return true;
	for (size_t i = 0; i < config->allow_gid_count; i++)
		if (peer_in_group(peer, config->allow_gids[i]))
			return true;
	return false;
}

/*
 * Whether the client may use the gateway at all, and whether it is a root
 * client, whom the limits per user do not hold.
 */
static const char *judge(const struct config *config, int conn, struct connection *connection,
			 bool *exempt)
{
	bool abstract = config->address[0] == '@';
	struct ucred credentials;
	socklen_t len = sizeof(credentials);
	struct peer peer = { .pidfd = -1 };

	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &credentials, &len))
		return "the client cannot be identified";
	connection->uid = credentials.uid;
	connection->gid = credentials.gid;
	connection->pid = credentials.pid;
	if (!abstract && !config->allow_set && credentials.uid != 0)
		return NULL;
	if (peer_read(conn, &peer))
		return "the client cannot be identified";
	bool admitted = (!abstract || mode_admits(config, &peer)) && list_admits(config, &peer);
	*exempt = peer.root;
	peer_done(&peer);
	return admitted ? NULL : "this account may not use the gateway";
}

/* Takes in one connection.  The slot was free; it stays so when the refusal is on its way. */
static void admit(struct listener *listener, int *conn, struct connection *connection)
{
	bool exempt = false;
	const char *refusal;
	int64_t now = deadline_now();

	*connection = (struct connection){
		.serial = ++listener->serial,
		.conn = -1,
		.control = -1,
		.pidfd = -1,
		.deadline = now + (int64_t)listener->config->request_timeout * 1000,
		.login_uid = PEER_UNSET,
	};
	refusal = judge(listener->config, *conn, connection, &exempt);
	if (!refusal)
		refusal = admission_enter(&listener->admission, connection->uid, exempt, now);
	connection->conn = take_fd(conn);
	if (refusal) {
		connection->state = CONNECTION_REFUSED;
		connection_refuse(listener, connection, refusal);
		return;
	}
	connection->state = CONNECTION_WAITING;
	connection_hand(listener, connection);
}

static void accept_all(struct listener *listener)
{
	while (listener->accepting) {
		struct connection *connection = free_connection(listener);

		if (!connection || listener->disposables >= DISPOSABLES_MAX) {
			pause_accepting(listener);
			return;
		}
		int conn = accept4(listener->socket.fd, NULL, NULL, SOCK_CLOEXEC);
		if (conn >= 0)
			admit(listener, &conn, connection);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR && errno != ECONNABORTED)
			pause_accepting(listener); /* EMFILE, ENFILE, ENOMEM, ENOBUFS */
	}
}

static void reap(struct listener *listener)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid == listener->current.pid)
			listener->current.reaped = true; /* its socket's end says the rest */
		else if (pid == listener->next.pid)
			listener->next.reaped = true;
		else if (listener->disposables > 0)
			listener->disposables--;
	}
}

static void handle_signals(struct listener *listener)
{
	struct signalfd_siginfo info;

	while (read(listener->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			listener->stop = true;
		else if (info.ssi_signo == SIGHUP)
			listener->reload = listener->resolve = true;
	}
	reap(listener);
}

static void resolve(struct listener *listener)
{
	char error[512];

	listener->resolve = false;
	if (config_resolve(listener->config, error, sizeof(error)))
		log_error("%s: reload: %s; the names of before stay in force",
			  listener->config->address, error);
	else
		log_notice("%s: reloading", listener->config->address);
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
	else if (tag >= TAG_CONNECTIONS)
		connection_event(listener, &listener->connections[tag - TAG_CONNECTIONS]);
}

static int64_t next_deadline(const struct listener *listener)
{
	int64_t next = listener_template_next(listener);

	if (!listener->accepting)
		next = deadline_earlier(next, listener->accept_at);
	if (listener->hand_at)
		next = deadline_earlier(next, listener->hand_at);
	for (size_t i = 0; i < listener->used; i++)
		next = deadline_earlier(next, connection_next(&listener->connections[i]));
	return next;
}

static void turn(struct listener *listener)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(listener->epoll, events, EVENTS_MAX,
			       deadline_left(next_deadline(listener)));

	/* Sessions first: what they free can be taken by who waits in the queue. */
	for (int i = 0; i < count; i++)
		dispatch(listener, &events[i]);
	if (listener->resolve)
		resolve(listener);
	for (int i = 0; i < count; i++)
		if (events[i].data.u64 == TAG_SOCKET)
			accept_all(listener);
	int64_t now = deadline_now();
	listener->hand_at = 0;
	listener_template_timers(listener, now);
	for (size_t i = 0; i < listener->used; i++)
		connection_timers(listener, &listener->connections[i], now);
	while (listener->used > 0 &&
	       listener->connections[listener->used - 1].state == CONNECTION_FREE)
		listener->used--;
	if (!listener->accepting && listener->accept_at <= now)
		accepting(listener, true);
}

/*
 * The socket and connections nobody serves yet are given up by disposable
 * processes; running sessions finish by themselves.
 */
static void stop(struct listener *listener)
{
	accepting(listener, false);
	socket_unlink(&listener->socket);
	(void)disposable_close(&listener->socket.fd); /* else it closes when this process exits */
	for (size_t i = 0; i < listener->used; i++) {
		struct connection *connection = &listener->connections[i];

		if (connection->conn >= 0)
			connection_refuse(listener, connection, "the gateway is stopping");
	}
	listener_template_stop(listener);
}

static void listener_done(struct listener *listener)
{
	listener_template_stop(listener);
	close_fd(&listener->epoll);
	close_fd(&listener->signals);
	close_fd(&listener->watch);
	socket_close(&listener->socket);
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
		.socket = { .fd = -1, .directory = -1 },
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.signals = open_signals(),
		.watch = -1,
		.current = { .control = -1 },
		.next = { .control = -1 },
		.next_deadline = DEADLINE_NONE,
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

	if (r == 0)
		r = deadline_poll(template.control, EPOLLIN, deadline_after(30000));
	if (r == 0)
		r = template_receive(&template, &report);
	template_retire(&template);
	while (waitpid(-1, NULL, 0) < 0 && errno == EINTR)
		;
	if (r)
		(void)snprintf(error, error_size, "--pam-service %s: cannot be tried: %s",
			       config->pam_service, strerror(-r));
	else if (report.broken)
		(void)snprintf(error, error_size, "--pam-service %s: %s", config->pam_service,
			       report.text);
	return r || report.broken ? -EINVAL : 0;
}

int listener_run(struct config *config, struct gateway_socket *socket, void (*ready)(void *context),
		 void *context, char *error, size_t error_size)
{
	struct listener listener;
	int r = set_up(config, &listener);

	listener.socket = *socket;
	*socket = (struct gateway_socket){ .fd = -1, .directory = -1 };
	if (r) {
		(void)snprintf(error, error_size, "the gateway cannot be set up: %s", strerror(-r));
	} else {
		error[0] = '\0';
		r = await_template(&listener, error, error_size);
	}
	if (r) {
		socket_unlink(&listener.socket);
		listener_done(&listener);
		return r;
	}
	if (!listener.stop) {
		accepting(&listener, true);
		if (ready)
			ready(context);
	}
	while (!listener.stop)
		turn(&listener);
	stop(&listener);
	listener_done(&listener);
	return 0;
}
