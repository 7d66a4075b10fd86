/*
 * single - accepting one client, and ending as its program has ended.
 *
 * The rules for who is let in are the listener's (admit.h).  Refusals are said
 * by disposable processes for the same reason as there: closing a connection
 * that nobody has read may block.
 */
#include "single.h"

#include "admit.h"
#include "audit.h"
#include "cleanup.h"
#include "deadline.h"
#include "disposable.h"
#include "log.h"
#include "peer.h"
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSALS_MAX 16	 /* at work at a time; more wait in the socket's queue */
#define SHORTAGE_MS  200 /* between attempts when descriptors or processes run out */
#define SAY_MS	     1000
#define FDS_MAX	     1024  /* of -J, as many as a client may send */
#define FD_LIMIT     65536 /* their numbers are below this */

/* Reaps those refusals that are over.  The holder, if there is one, is not waited for here. */
static unsigned reap(pid_t *refusals, unsigned count)
{
	unsigned left = 0;

	for (unsigned i = 0; i < count; i++)
		if (waitpid(refusals[i], NULL, WNOHANG) == 0)
			refusals[left++] = refusals[i];
	return left;
}

static pid_t refuse(const struct config *config, const struct gateway_socket *socket, int *conn,
		    const struct ucred *credentials, const char *text)
{
	struct peer peer = { .uid = credentials->uid,
			     .gid = credentials->gid,
			     .pid = credentials->pid,
			     .login_uid = PEER_UNSET,
			     .session_id = PEER_UNSET,
			     .pidfd = -1 };
	struct audit_facts facts = { .id = "", .gateway = socket->name, .peer = &peer };

	return disposable_refuse(conn, (enum config_audit)config->audit, &facts, text);
}

struct waiting {
	struct config *config;
	struct gateway_sockets *sockets;
	struct notify *notify;
	int signals;
	bool stop;
	pid_t refusals[REFUSALS_MAX];
	unsigned refusal_count;
	int conn;
	bool chosen;	   /* `conn` is the one client, and not just somebody admitted */
	int64_t choose_at; /* until then it may say a first word; deadline.h */
};

/* Takes one connection of a socket, if there is one that is admitted. */
static void accept_one(struct waiting *waiting, const struct gateway_socket *socket)
{
	struct ucred credentials = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	bool root = false;
	int conn = accept4(socket->fd, NULL, NULL, SOCK_CLOEXEC);
	const char *text;

	if (conn < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			(void)poll(NULL, 0, SHORTAGE_MS); /* no descriptors, no memory */
		return;
	}
	text = admit_judge(waiting->config, conn, socket_is_abstract(socket), &credentials, &root);
	if (!text) {
		waiting->conn = conn;
		waiting->choose_at =
			deadline_after((int64_t)waiting->config->request_timeout * 1000);
		return;
	}
	pid_t pid = refuse(waiting->config, socket, &conn, &credentials, text);
	while (pid < 0) {
		struct pollfd wait = { .fd = waiting->signals, .events = POLLIN };

		if (poll(&wait, 1, SHORTAGE_MS) > 0)
			return; /* the connection is left to our end: closing it may block */
		pid = refuse(waiting->config, socket, &conn, &credentials, text);
	}
	waiting->refusals[waiting->refusal_count++] = pid;
}

/* Whoever only looks whether somebody listens is not the one client. */
static void judge_candidate(struct waiting *waiting, bool readable)
{
	char byte;

	if (readable && recv(waiting->conn, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		close_fd(&waiting->conn); /* it has left, and nothing lies in the queue */
	else if (readable || deadline_passed(waiting->choose_at))
		waiting->chosen = true;
}

/* As the listener does it; the service is read again in any case, when a client comes. */
static void reload(struct waiting *waiting)
{
	cleanup_fd int fd = memfd_create("dived names", MFD_CLOEXEC);
	char error[512] = "out of memory";

	(void)notify_reloading(waiting->notify); /* see notify.h */
	/* A name service that hangs holds up nobody but the one client. */
	if (fd < 0 || config_resolve(waiting->config, fd) ||
	    config_adopt(waiting->config, fd, error, sizeof(error)))
		log_error("%s: reload: %s; the names of before stay in force",
			  waiting->config->address, error);
	else
		log_notice("%s: reloading", waiting->config->address);
	(void)notify_ready(waiting->notify, false, "serving"); /* as above */
}

static void handle_signals(struct waiting *waiting)
{
	struct signalfd_siginfo info;

	while (read(waiting->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(waiting);
		else
			waiting->stop = true;
	}
}

static void turn(struct waiting *waiting)
{
	struct pollfd waits[SOCKETS_MAX + 2] = {
		{ .fd = waiting->signals, .events = POLLIN },
		{ .fd = waiting->conn, .events = POLLIN },
	};
	bool full = waiting->conn >= 0 || waiting->refusal_count == REFUSALS_MAX;
	size_t count = full ? 0 : waiting->sockets->count;
	int64_t until = waiting->conn >= 0 ? waiting->choose_at : DEADLINE_NONE;

	for (size_t i = 0; i < count; i++)
		waits[i + 2] =
			(struct pollfd){ .fd = waiting->sockets->items[i].fd, .events = POLLIN };
	/* With refusals at work a look at them is due now and then. */
	if (waiting->refusal_count > 0)
		until = deadline_earlier(until, deadline_after(SHORTAGE_MS));
	if (poll(waits, count + 2, deadline_left(until)) < 0)
		return; /* EINTR */
	waiting->refusal_count = reap(waiting->refusals, waiting->refusal_count);
	if (waits[0].revents)
		handle_signals(waiting);
	if (waiting->conn >= 0)
		judge_candidate(waiting, waits[1].revents != 0);
	for (size_t i = 0; i < count && waiting->conn < 0; i++)
		if (waits[i + 2].revents && waiting->refusal_count < REFUSALS_MAX)
			accept_one(waiting, &waiting->sockets->items[i]);
}

/* What still waits in the queues is given up by processes that may block. */
static void let_go(struct gateway_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++) {
		pid_t pid;

		socket_unlink(&sockets->items[i]);
		pid = disposable_close(&sockets->items[i].fd);
		if (pid > 0)
			(void)waitpid(pid, NULL, WNOHANG); /* or it is reaped when we end */
		socket_close(&sockets->items[i]);
	}
	sockets->count = 0;
}

int single_open(struct single *ret, char *error, size_t error_size)
{
	sigset_t set;

	*ret = (struct single){ .signals = -1 };
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, &ret->before) == 0)
		ret->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (ret->signals >= 0)
		return 0;
	(void)snprintf(error, error_size, "-F: signals cannot be waited for: %s", strerror(errno));
	return -EINVAL;
}

int single_accept(struct single *single, struct config *config, struct gateway_sockets *sockets,
		  struct notify *notify)
{
	struct waiting waiting = { .config = config,
				   .sockets = sockets,
				   .notify = notify,
				   .signals = single->signals,
				   .conn = -1 };

	while (!waiting.stop && !waiting.chosen)
		turn(&waiting);
	let_go(sockets);
	if (!waiting.chosen)
		return -1; /* somebody who has not yet said a word is let go of by our end */
	/* From here on the signals are a session's: a client that is in is served. */
	process_pass_over();
	(void)sigprocmask(SIG_SETMASK, &single->before, NULL);
	close_fd(&single->signals);
	process_park(&waiting.conn);
	return waiting.conn;
}

/* Peer credentials of a listening socket are its own: root's.  Datagrams have none. */
static bool is_connection(int conn)
{
	return socket_option(conn, SO_DOMAIN) == AF_UNIX &&
	       socket_option(conn, SO_TYPE) == SOCK_STREAM &&
	       socket_option(conn, SO_ACCEPTCONN) == 0;
}

void single_refuse(enum config_audit mode, int conn, const char *reason, const char *text)
{
	struct message_refused refused = { .layer = MESSAGE_LAYER_GATEWAY,
					   .status = FAULT_STATUS_REFUSED };
	char name[SOCKET_NAME_SIZE];
	struct audit_facts facts = { .id = "", .gateway = "-i" };

	/* On whatever else there is, these bytes would mean something else. */
	if (!is_connection(conn))
		return;
	if (socket_name(conn, name) == 0)
		facts.gateway = name;
	admit_record(mode, &facts, conn, reason);
	(void)message_send(conn, deadline_after(SAY_MS), MESSAGE_REFUSED, &refused, sizeof(refused),
			   text, strlen(text), NULL, 0); /* or it has gone */
}

static int complain(char *error, size_t size, const char *text)
{
	(void)snprintf(error, size, "-i: %s", text);
	return -EINVAL;
}

int single_judge(const struct config *config, int conn, char *error, size_t error_size)
{
	struct ucred credentials = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	const char *told = SINGLE_CANNOT_SERVE;
	char name[SOCKET_NAME_SIZE];
	bool root = false;
	const char *text = NULL;
	int r = socket_name(conn, name);

	if (!is_connection(conn))
		return complain(error, error_size,
				"descriptor 0 is not a connection of a UNIX stream socket (inetd: "
				"stream and nowait)");
	/* The other end of a socket pair belongs to whoever made it: socat, as root. */
	if (r == -ENOENT && !config->allow_insecure)
		text = "descriptor 0 is one end of a socket pair, which tells nothing of the "
		       "client (socat: use nofork)";
	else if (r && r != -ENOENT)
		text = strerror(-r);
	if (!text)
		told = text = admit_judge(config, conn, false, &credentials, &root);
	if (!text)
		return 0;
	single_refuse((enum config_audit)config->audit, conn, text, told);
	return complain(error, error_size, text);
}

int single_take_descriptors(struct config *config, const struct process_fds *fds, char *error,
			    size_t error_size)
{
	struct config_inherited *own = &config->inherited;

	own->fds = fds->list;
	while (own->fd_count < fds->count && fds->list[own->fd_count] < FD_LIMIT)
		own->fd_count++;
	if (own->fd_count <= FDS_MAX)
		return 0;
	(void)snprintf(error, error_size, "-J: more than %d descriptors are open (-O passes none)",
		       FDS_MAX);
	return config->no_fds ? 0 : -EINVAL;
}

int single_pass_on(const struct session_result *result)
{
	const struct rlimit none = { 0, 0 };
	int number = (int)result->exited.value;
	sigset_t set;

	if (!result->ran)
		return (int)result->fault.status;
	if (result->exited.kind != MESSAGE_EXIT_SIGNAL)
		return (int)result->exited.value;
	(void)setrlimit(RLIMIT_CORE, &none); /* one core is enough, and was the program's */
	(void)signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)kill(getpid(), number);
	return 128 + number; /* pid 1 of a container is not ended by its own signals */
}
