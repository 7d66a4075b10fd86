/*
 * request - reads a request whole, and only then lets anybody look at it.
 *
 * The client speaks in one burst: HELLO, FDS, REQUEST, END.  message.h says
 * what may come in which state and how large; here stands what one packet alone
 * cannot show: that there is exactly one REQUEST, that no descriptor number
 * comes twice, that all batches together stay within the bounds, and that all
 * of it is there in time.
 *
 * Nothing is answered before END, apart from naming our version to a client of
 * another one.  Descriptors are stored and sorted, never used.
 */
#include "request.h"

#include "cleanup.h"
#include "release.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define cleanup_packet __attribute__((cleanup(packet_done)))

#define TOO_MANY_FDS   "the request passes more than 1024 descriptors"

/* A request while it is being read. */
struct reader {
	struct request request;
	uint32_t state; /* enum message_state */
	bool described; /* REQUEST has come */
	const char *reason;
};

static int refuse(struct reader *reader, const char *reason)
{
	reader->reason = reason;
	return -EBADMSG;
}

static int take_hello(struct reader *reader, struct packet *packet)
{
	int error = message_get_hello(packet, &reader->request.hello);

	if (!error)
		reader->state = MESSAGE_STATE_REQUEST;
	return error;
}

static int take_fds(struct reader *reader, struct packet *packet)
{
	struct request *request = &reader->request;
	size_t count = packet->head.fd_count;
	struct request_fd *fds;

	/* One more than the program may have: that of wait mode 2 is dive's own. */
	if (count > MESSAGE_FDS_MAX + 1 - request->fd_count)
		return refuse(reader, TOO_MANY_FDS);
	fds = reallocarray(request->fds, request->fd_count + count, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	request->fds = fds;
	for (size_t i = 0; i < count; i++) {
		struct message_fd entry;
		int error = message_get_fd(packet, i, &entry);

		if (error)
			return error;
		if ((entry.flags & MESSAGE_FD_WAIT) && request->wait_number >= 0)
			return refuse(reader,
				      "the request passes more than one descriptor to wait for");
		if (entry.flags & MESSAGE_FD_WAIT)
			request->wait_number = (int)entry.number;
		fds[request->fd_count++] = (struct request_fd){
			.number = (int)entry.number,
			.fd = take_fd(&packet->fds[i]),
			.terminal = entry.flags & MESSAGE_FD_TERMINAL,
		};
	}
	return 0;
}

/* An unset descriptor is of any type.  Nobody's server is asked (AT_STATX_DONT_SYNC). */
static bool is_type(int fd, mode_t type)
{
	struct statx info;

	return fd < 0 ||
	       (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &info) == 0 &&
		(info.stx_mode & S_IFMT) == type);
}

static int take_request(struct reader *reader, struct packet *packet)
{
	struct request *request = &reader->request;
	size_t next = 0;
	int error;

	if (reader->described)
		return refuse(reader, "the request comes twice");
	error = message_get_request(packet, &request->fixed, &request->strings);
	if (error)
		return error;
	request->argv = request->strings;
	request->envp = request->strings + request->fixed.argc + 1;
	/* message_get_request() has held the number of descriptors against the flags. */
	if (request->fixed.flags & MESSAGE_REQUEST_CWD)
		request->cwd = take_fd(&packet->fds[next++]);
	if (request->fixed.flags & MESSAGE_REQUEST_ROOT)
		request->root = take_fd(&packet->fds[next++]);
	if (request->fixed.flags & MESSAGE_REQUEST_TERMINAL)
		request->terminal = take_fd(&packet->fds[next++]);
	if (!is_type(request->cwd, S_IFDIR) || !is_type(request->root, S_IFDIR) ||
	    !is_type(request->terminal, S_IFCHR))
		return refuse(reader, "a directory or terminal of the request is none");
	/* The strings lie in the body. */
	request->packet = *packet;
	memset(packet, 0, sizeof(*packet));
	reader->described = true;
	return 0;
}

static int by_number(const void *left, const void *right)
{
	const struct request_fd *a = left;
	const struct request_fd *b = right;

	return (a->number > b->number) - (a->number < b->number);
}

static int take_end(struct reader *reader, struct packet *packet)
{
	struct request *request = &reader->request;

	(void)packet; /* END has no body */
	if (!reader->described)
		return refuse(reader, "the request ends before it says what to run");
	if (request->fd_count > MESSAGE_FDS_MAX && request->wait_number < 0)
		return refuse(reader, TOO_MANY_FDS);
	if (request->fd_count > 0)
		qsort(request->fds, request->fd_count, sizeof(*request->fds), by_number);
	for (size_t i = 1; i < request->fd_count; i++)
		if (request->fds[i].number == request->fds[i - 1].number)
			return refuse(reader,
				      "the request passes two descriptors under one number");
	reader->state = MESSAGE_STATE_PENDING;
	return 0;
}

static int (*const takers[MESSAGE_TYPE_END])(struct reader *reader, struct packet *packet) = {
	[MESSAGE_HELLO] = take_hello,
	[MESSAGE_FDS] = take_fds,
	[MESSAGE_REQUEST] = take_request,
	[MESSAGE_END] = take_end,
};

/* One packet.  Return: as request_recv(). */
static int read_one(struct reader *reader, int sock, int64_t deadline)
{
	const struct message_expect expect = { MESSAGE_FROM_CLIENT, reader->state };
	cleanup_packet struct packet packet = { 0 };
	int error = message_recv(sock, deadline, expect, &packet);

	if (error == PACKET_OTHER_VERSION) {
		memset(&packet, 0, sizeof(packet)); /* nothing of it is to be released */
		/* Nobody changes versions in the middle of a conversation. */
		return reader->state == MESSAGE_STATE_START ? error : -EBADMSG;
	}
	if (error) {
		memset(&packet, 0, sizeof(packet));
		return error;
	}
	/* message_rules[] lets no other type into these states. */
	assert(packet.head.type < MESSAGE_TYPE_END && takers[packet.head.type]);
	return takers[packet.head.type](reader, &packet);
}

static const char *reason_for(int error)
{
	switch (error) {
	case PACKET_OTHER_VERSION:
		return "the request is in another version of the protocol";
	case -EBADMSG:
		return "the request is malformed";
	case -ETIMEDOUT:
		return "the request was not complete in time";
	case -ENOTCONN:
	case -EPIPE:
	case -ECONNRESET:
		return "the client has gone";
	case -ENOMEM:
		return "the server has no memory for the request";
	case -EMFILE:
	case -ENFILE:
		return "the server has no room for so many descriptors";
	default:
		return "the request cannot be received";
	}
}

int request_recv(int sock, int64_t deadline, struct request *ret, const char **reason)
{
	struct reader reader = {
		.request = { .wait_number = -1, .cwd = -1, .root = -1, .terminal = -1 },
		.state = MESSAGE_STATE_START,
	};
	int error = 0;

	while (!error && reader.state != MESSAGE_STATE_PENDING)
		error = read_one(&reader, sock, deadline);
	if (error == PACKET_OTHER_VERSION) {
		const struct message_hello hello = { 0 };

		/* A courtesy: the header names our version.  The connection ends anyway. */
		(void)message_send(sock, deadline, MESSAGE_HELLO, &hello, sizeof(hello), NULL, 0,
				   NULL, 0);
	}
	if (error == -EPIPE && reader.state == MESSAGE_STATE_START)
		error = -ENOTCONN;
	if (error) {
		request_done(&reader.request);
		*reason = reader.reason ? reader.reason : reason_for(error);
		return error;
	}
	*ret = reader.request;
	return 0;
}

void request_drop_fds(struct request *request)
{
	int *all = calloc(request->fd_count + 1, sizeof(*all));

	/* At once, so that one child is enough for all that may block. */
	for (size_t i = 0; i < request->fd_count; i++) {
		if (all)
			all[i] = request->fds[i].fd;
		else
			release_fds(&request->fds[i].fd, 1);
	}
	if (all)
		release_fds(all, request->fd_count);
	free(all);
	free(request->fds);
	request->fds = NULL;
	request->fd_count = 0;
}

void request_close_fds(struct request *request)
{
	int others[] = { request->cwd, request->root, request->terminal };

	request_drop_fds(request);
	release_fds(others, ARRAY_LEN(others));
	request->cwd = request->root = request->terminal = -1;
}

void request_done(struct request *request)
{
	request_close_fds(request);
	free(request->strings);
	packet_done(&request->packet);
	*request = (struct request){ .wait_number = -1, .cwd = -1, .root = -1, .terminal = -1 };
}

int request_find_fd(const struct request *request, int number)
{
	const struct request_fd key = { .number = number };
	const struct request_fd *found;

	if (request->fd_count == 0)
		return -1;
	found = bsearch(&key, request->fds, request->fd_count, sizeof(key), by_number);
	return found ? found->fd : -1;
}
