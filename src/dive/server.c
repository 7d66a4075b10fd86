/*
 * The other end of the connection.
 *
 * SO_PEERCRED is read before a byte is sent: whoever can create a socket where
 * the gateway's is expected would otherwise be handed the environment, every
 * descriptor and a password.  The credentials are those of the process that
 * called listen(2), as the kernel noted them then; nothing the listener says
 * about itself counts.
 *
 * This file never prompts and never decides what a packet is for; it only puts
 * what goes wrong with the connection into words.
 */
#include "server.h"

#include "cleanup.h"
#include "deadline.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define CONNECT_SECONDS 10
#define PACKET_MS	30000

static int connect_address(int sock, const char *address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	/* Without a limit connect(2) waits for ever on a listener that accepts nothing. */
	const struct timeval limit = { .tv_sec = CONNECT_SECONDS };
	size_t len = strlen(address);
	socklen_t size;

	if (len > CLIENT_ADDRESS_MAX)
		return -ENAMETOOLONG;
	memcpy(name.sun_path, address, len);
	/* An abstract name is exactly its bytes after a NUL; a path is counted with its own. */
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (address[0] != '@'));
	if (address[0] == '@')
		name.sun_path[0] = '\0';
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
		return -errno;
	/* An interrupted connect(2) on AF_UNIX has not happened, and may be repeated. */
	while (connect(sock, (const struct sockaddr *)&name, size) != 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int explain_connect(int err, const char *address, struct failure *failure)
{
	const char *what;

	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		what = "no such socket; check the address, or start dived there";
		break;
	case -EACCES:
	case -EPERM:
		what = "permission denied; the socket's mode, owner or directory does not admit "
		       "you";
		break;
	case -ECONNREFUSED:
		what = address[0] == '@' ? "no such abstract socket, or nobody listening on it"
					 : "nobody listening; start dived there again";
		break;
	case -EPROTOTYPE:
		what = "the socket is of another type, not dived's";
		break;
	case -EAGAIN:
		what = "the listener is there but accepts nobody; try again later";
		break;
	default:
		what = strerror(-err);
		break;
	}
	return failure_set(failure, STATUS_UNREACHABLE, "connection: cannot connect to %s: %s",
			   address, what);
}

static int check_listener(int sock, const struct client_config *config, struct failure *failure)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return failure_set(failure, STATUS_UNREACHABLE,
				   "connection: cannot tell who listens on %s: %s", config->address,
				   strerror(errno));
	if (peer.uid == 0 || peer.uid == geteuid() || peer.uid == getuid())
		return 0;
	if (config->has_server_uid && peer.uid == config->server_uid)
		return 0;
	return failure_set(failure, STATUS_UNREACHABLE,
			   "connection: the listener on %s runs as uid %u and is not trusted; set "
			   "DIVE_SERVER_USER if that is the right one",
			   config->address, (unsigned)peer.uid);
}

int server_connect(const struct client_config *config, int *ret_sock, struct failure *failure)
{
	cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (sock < 0)
		return failure_set(failure, STATUS_FAILURE, "system: no socket can be made: %s",
				   strerror(errno));
	err = connect_address(sock, config->address);
	if (err != 0)
		return explain_connect(err, config->address, failure);
	if (check_listener(sock, config, failure) != 0)
		return FAILED;
	*ret_sock = take_fd(&sock);
	return 0;
}

int server_dropped(struct failure *failure)
{
	return failure_set(failure, STATUS_DROPPED,
			   "connection: the server dropped the connection");
}

int server_confused(struct failure *failure, const char *what)
{
	return failure_set(failure, STATUS_DROPPED,
			   "protocol: the server sent %s; is it really dived?", what);
}

static int explain_refused(const struct packet *packet, struct failure *failure)
{
	struct message_refused refused;
	const char *text;
	size_t len;
	int status = STATUS_REFUSED;

	if (message_get_refused(packet, &refused, &text, &len) != 0)
		return server_confused(failure, "a malformed refusal");
	if (refused.status == 126 || refused.status == 127)
		status = (int)refused.status;
	return failure_set(failure, status, "%s: %.*s", message_layer_name(refused.layer), (int)len,
			   text);
}

int server_recv(int sock, uint32_t state, struct packet *ret, struct failure *failure)
{
	const struct message_expect expect = { .from = MESSAGE_FROM_SERVER, .state = state };
	struct packet packet = { 0 };
	int err;

	/* How long the server takes is its own affair: it has the deadlines. */
	err = deadline_poll(sock, POLLIN, DEADLINE_NONE);
	if (err == 0)
		err = message_recv(sock, deadline_after(PACKET_MS), expect, &packet);
	switch (err) {
	case 0:
		break;
	case PACKET_OTHER_VERSION:
		return failure_set(failure, STATUS_OTHER_VERSION,
				   "protocol: this dive speaks version %d and the server version "
				   "%u; use the dive that was installed with that dived",
				   PACKET_VERSION, (unsigned)packet.head.version);
	case -EPIPE:
		return -EPIPE;
	case -ECONNRESET:
		return server_dropped(failure);
	case -EBADMSG:
		return server_confused(failure, "what dive does not understand");
	case -ETIMEDOUT:
		return server_confused(failure, "half a packet and no more");
	default:
		return failure_set(failure, STATUS_FAILURE, "connection: cannot receive: %s",
				   strerror(-err));
	}
	if (packet.head.type == MESSAGE_REFUSED) {
		err = explain_refused(&packet, failure);
		packet_done(&packet);
		return err;
	}
	*ret = packet;
	return 0;
}
