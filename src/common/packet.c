/*
 * packet - one framed message, with its descriptors, on an AF_UNIX stream.
 *
 * The rules this file keeps:
 *
 * - A descriptor that has arrived is open in this process whatever becomes of
 *   the packet, so each goes into an owner with a destructor before anything is
 *   judged: too many, too few, unasked for, truncated, late, all are closed.
 *   Their number is taken from cmsg_len; a buffer for 3 can bring 4.
 * - Every read takes control data, bodies too: a plain read would let the kernel
 *   drop descriptors silently, and the peer's protocol error would go unseen.
 * - Nothing is allocated for a body before its length and its type are accepted.
 * - No call blocks but deadline_poll(); the socket's own O_NONBLOCK, which is
 *   shared with whoever passed it to us, is neither needed nor changed.
 * - A peer that sends a byte now and then does not extend its deadline.
 *
 * The kernel hands descriptors over with the read that touches the bytes they
 * were sent with, and one read may run from bytes without into bytes with them.
 * "With the first byte" therefore means: with the first read of the header.
 */
#include "packet.h"

#include "cleanup.h"
#include "deadline.h"
#include "release.h"
#include "secret.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define KERNEL_FDS_MAX 253   /* SCM_MAX_FD of the kernel: one message never has more */
#define WIPE_MAX       65536 /* see packet_done() */

#ifndef SCM_PIDFD
#define SCM_PIDFD 4 /* since Linux 6.5 */
#endif

/* Descriptors that have arrived and belong to nobody yet. */
struct rights {
	int fds[KERNEL_FDS_MAX];
	size_t count;
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(KERNEL_FDS_MAX * sizeof(int)) + 256]; /* and credentials */
};

static void rights_done(struct rights *rights)
{
	release_fds(rights->fds, rights->count);
	rights->count = 0;
}

/*
 * Takes over all descriptors of a message.  Those the peer did not choose to
 * send (a service manager may have set SO_PASSPIDFD or SO_PASSCRED on the
 * socket we were given) are no error: closed or passed over.
 */
static int rights_collect(struct rights *rights, struct msghdr *msg)
{
	int result = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		bool pidfd = c->cmsg_type == SCM_PIDFD;

		if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS && !pidfd))
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (pidfd) {
				close_fd(&fd); /* the kernel's own: nothing to wait for */
			} else if (rights->count == ARRAY_LEN(rights->fds)) {
				result = -EBADMSG;
				release_fds(&fd, 1);
			} else {
				rights->fds[rights->count++] = fd;
			}
		}
	}
	return result;
}

/*
 * One read.  Whatever it returns, descriptors that arrived are in `rights`.
 * Return: 0 with the number of bytes, 0 of them at the end; -EAGAIN; -errno.
 */
static int receive_some(int sock, void *buffer, size_t len, struct rights *rights, size_t *ret)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = len };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;
	int r;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r = rights_collect(rights, &msg);
	if (r < 0)
		return r;
	/* Also where our own descriptor table was full: some are lost. */
	if (msg.msg_flags & MSG_CTRUNC)
		return -EBADMSG;
	*ret = (size_t)n;
	return 0;
}

/*
 * Reads exactly `len` bytes of a packet of which `before` have been read.
 * Return: as packet_recv(); descriptors are in `rights` in any case.
 */
static int receive_exactly(int sock, int64_t deadline, uint8_t *buffer, size_t len, size_t before,
			   struct rights *rights)
{
	for (size_t done = 0; done < len;) {
		size_t held = rights->count;
		bool first = before + done == 0;
		size_t n = 0;
		int r = receive_some(sock, buffer + done, len - done, rights, &n);

		if (r == -EAGAIN) {
			r = deadline_poll(sock, POLLIN, deadline);
			if (r < 0)
				return r;
			continue;
		}
		if (r < 0)
			return r;
		if (n == 0)
			return first ? -EPIPE : -ECONNRESET;
		if (!first && rights->count != held)
			return -EBADMSG;
		done += n;
		if (done < len && deadline_passed(deadline))
			return -ETIMEDOUT;
	}
	return 0;
}

static int header_check(const struct packet_header *head, size_t fds_arrived)
{
	if (head->body_len > PACKET_BODY_MAX || head->fd_count > PACKET_FDS_MAX)
		return -EBADMSG;
	return head->fd_count == fds_arrived ? 0 : -EBADMSG;
}

int packet_recv(int sock, int64_t deadline, packet_check_fn *check, const void *context,
		struct packet *ret)
{
	__attribute__((cleanup(packet_done))) struct packet packet = { 0 };
	__attribute__((cleanup(rights_done))) struct rights rights = { .count = 0 };
	struct packet_header head;
	int r;

	r = receive_exactly(sock, deadline, (uint8_t *)&head, sizeof(head), 0, &rights);
	if (r < 0)
		return r;
	if (head.magic != PACKET_MAGIC)
		return -EBADMSG;
	if (head.version != PACKET_VERSION) {
		/* The rest of the header may mean anything there. */
		head.body_len = 0;
		head.fd_count = 0;
		*ret = (struct packet){ .head = head };
		return PACKET_OTHER_VERSION;
	}
	r = header_check(&head, rights.count);
	if (r == 0 && check)
		r = check(&head, context);
	if (r < 0)
		return r;

	packet.head = head;
	memcpy(packet.fds, rights.fds, rights.count * sizeof(int));
	rights.count = 0; /* the packet has them now */
	if (head.body_len > 0) {
		packet.body = malloc((size_t)head.body_len + 1);
		if (!packet.body)
			return -ENOMEM;
		packet.body[head.body_len] = '\0';
		r = receive_exactly(sock, deadline, packet.body, head.body_len, sizeof(head),
				    &rights);
		if (r < 0)
			return r;
	}
	*ret = packet;
	packet = (struct packet){ 0 };
	return 0;
}

/* Puts descriptors into a message; `control` must live as long as it. */
static void attach_fds(struct msghdr *msg, union control *control, const int *fds, size_t count)
{
	struct cmsghdr *c = &control->align;
	size_t len = count * sizeof(int);

	if (count == 0)
		return;
	memset(control, 0, sizeof(*control));
	*c = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(len),
	};
	memcpy(CMSG_DATA(c), fds, len);
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(len);
}

/* Takes `sent` bytes off the front of a message, and its descriptors with them. */
static void skip_sent(struct msghdr *msg, size_t sent)
{
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	while (msg->msg_iovlen > 0 && sent >= msg->msg_iov->iov_len) {
		sent -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (msg->msg_iovlen > 0) {
		msg->msg_iov->iov_base = (uint8_t *)msg->msg_iov->iov_base + sent;
		msg->msg_iov->iov_len -= sent;
	}
}

static int send_all(int sock, int64_t deadline, struct msghdr *msg)
{
	while (msg->msg_iovlen > 0) {
		ssize_t n = sendmsg(sock, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (n >= 0) {
			skip_sent(msg, (size_t)n);
			if (msg->msg_iovlen > 0 && deadline_passed(deadline))
				return -ETIMEDOUT;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = deadline_poll(sock, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

int packet_send(int sock, int64_t deadline, uint16_t type, const void *body, size_t body_len,
		const int *fds, size_t fd_count)
{
	struct packet_header head = {
		.magic = PACKET_MAGIC,
		.version = PACKET_VERSION,
		.type = type,
	};
	struct iovec iov[2] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		/* iovec knows no const; sendmsg(2) only reads. */
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = body_len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov) };
	union control control;

	if (body_len > PACKET_BODY_MAX || fd_count > PACKET_FDS_MAX)
		return -EMSGSIZE;
	head.body_len = (uint32_t)body_len;
	head.fd_count = (uint32_t)fd_count;
	attach_fds(&msg, &control, fds, fd_count);
	return send_all(sock, deadline, &msg);
}

void packet_done(struct packet *packet)
{
	release_fds(packet->fds, packet->head.fd_count);
	/*
	 * Answers, which are what must not stay in memory, are far below WIPE_MAX.
	 * Only a request is longer: its strings are copied and handed on in the
	 * clear anyway, and touching megabytes again would cost more than it hides.
	 */
	if (packet->body && packet->head.body_len <= WIPE_MAX)
		secret_wipe(packet->body, packet->head.body_len);
	free(packet->body);
	*packet = (struct packet){ 0 };
}
