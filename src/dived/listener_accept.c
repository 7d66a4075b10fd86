/*
 * listener_accept - who is let in at the gateway's sockets.
 *
 * The kernel has checked the mode of a path; for an abstract socket, which has
 * none, the same rules are applied here, and so is --allow for both.  Then the
 * quotas.  Whoever is not let in is refused by a disposable process.
 */
#include "admit.h"
#include "cleanup.h"
#include "deadline.h"
#include "listener_internal.h"
#include "log.h"
#include "peer.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define SHORTAGE_MS	200 /* between attempts when descriptors or processes run out */
#define DISPOSABLES_MAX 128 /* refusals at work at a time; more wait in the socket's queue */

static bool is_shut(const struct listener *listener, size_t index)
{
	return listener->shut >> index & 1;
}

static void forget_sockets(const struct listener *listener, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_shut(listener, i)) /* each is in the set: cannot fail */
			(void)epoll_ctl(listener->epoll, EPOLL_CTL_DEL,
					listener->sockets.items[i].fd, NULL);
}

/* Shut down by somebody, a socket is ready for ever with nobody to accept: told from RDHUP. */
static int watch_socket(const struct listener *listener, size_t index)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP,
				     .data = { .u64 = TAG_SOCKETS + index } };

	return epoll_ctl(listener->epoll, EPOLL_CTL_ADD, listener->sockets.items[index].fd, &event)
		       ? -errno
		       : 0;
}

void listener_accepting(struct listener *listener, bool on)
{
	size_t count = listener->sockets.count;

	if (on == listener->accepting)
		return;
	for (size_t i = 0; on && i < count; i++) {
		if (is_shut(listener, i) || watch_socket(listener, i) == 0)
			continue;
		forget_sockets(listener, i);
		listener->accept_at = deadline_after(SHORTAGE_MS);
		return;
	}
	if (!on)
		forget_sockets(listener, count);
	listener->accepting = on;
}

static void pause_accepting(struct listener *listener)
{
	listener_accepting(listener, false);
	listener->accept_at = deadline_after(SHORTAGE_MS);
	listener->ready = 0; /* found again when the sockets are back in the set */
}

void listener_socket_event(struct listener *listener, unsigned index, uint32_t events)
{
	listener->ready |= UINT32_C(1) << index;
	if (events & (EPOLLHUP | EPOLLRDHUP))
		listener->hung_up |= UINT32_C(1) << index;
}

/* Whoever passed a socket may shut it down.  Those who waited have been taken in. */
static void give_up_socket(struct listener *listener, unsigned index)
{
	const struct gateway_socket *socket = &listener->sockets.items[index];

	log_error("%s: the socket has been shut down and is not served any more", socket->name);
	(void)epoll_ctl(listener->epoll, EPOLL_CTL_DEL, socket->fd, NULL); /* is in the set */
	listener->shut |= UINT32_C(1) << index;
	listener->ready &= ~listener->shut;
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

/* Whether the client may use the gateway, and whether limits per user do not hold it. */
static const char *judge(const struct listener *listener, int conn, struct connection *connection,
			 bool *exempt)
{
	bool abstract = socket_is_abstract(&listener->sockets.items[connection->socket]);
	struct ucred credentials = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	const char *refusal = admit_judge(listener->config, conn, abstract, &credentials, exempt);

	connection->witness.peer.uid = credentials.uid;
	connection->witness.peer.gid = credentials.gid;
	connection->witness.peer.pid = credentials.pid;
	return refusal;
}

/* Takes in one connection.  The slot was free; it stays so when the refusal is on its way. */
static void admit(struct listener *listener, unsigned socket, int *conn,
		  struct connection *connection)
{
	bool exempt = false;
	const char *refusal;
	int64_t now = deadline_now();

	*connection = (struct connection){
		.serial = ++listener->serial,
		.socket = socket,
		.conn = -1,
		.control = -1,
		.pidfd = -1,
		.deadline = now + (int64_t)listener->config->request_timeout * 1000,
		.witness.program = -1,
		.witness.peer = { .login_uid = PEER_UNSET, .session_id = PEER_UNSET, .pidfd = -1 },
	};
	refusal = judge(listener, *conn, connection, &exempt);
	if (!refusal)
		refusal = admission_enter(&listener->admission, connection->witness.peer.uid,
					  exempt, now);
	connection->conn = take_fd(conn);
	/* For the record, should the session die before it has told whom it serves. */
	if (!refusal)
		connection->witness.peer.pidfd = peer_pidfd(connection->conn);
	if (refusal) {
		connection->state = CONNECTION_REFUSED;
		connection_refuse(listener, connection, refusal);
		return;
	}
	connection->state = CONNECTION_WAITING;
	connection_hand(listener, connection);
}

/* Takes in one client, if somebody waits there and can be taken in. */
static void accept_one(struct listener *listener, unsigned index)
{
	struct connection *connection = free_connection(listener);
	bool hung_up = listener->hung_up >> index & 1;

	if (!connection || listener->disposables >= DISPOSABLES_MAX) {
		pause_accepting(listener);
		return;
	}
	int conn = accept4(listener->sockets.items[index].fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn >= 0)
		admit(listener, index, &conn, connection);
	else if (errno == EINVAL || (errno == EAGAIN && hung_up))
		give_up_socket(listener, index);
	else if (errno == EAGAIN)
		listener->ready &= ~(UINT32_C(1) << index);
	else if (errno != EINTR && errno != ECONNABORTED)
		pause_accepting(listener); /* EMFILE, ENFILE, ENOMEM, ENOBUFS */
}

/* One from each in turn, so that a crowd at one socket does not shut out those at another. */
void listener_accept(struct listener *listener)
{
	unsigned count = (unsigned)listener->sockets.count;

	while (listener->accepting && listener->ready) {
		unsigned index = listener->accept_next;

		listener->accept_next = (index + 1) % count;
		if (listener->ready >> index & 1)
			accept_one(listener, index);
	}
}
