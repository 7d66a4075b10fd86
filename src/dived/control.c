/*
 * control - messages between a session and the listener.
 *
 * Both ends are root processes of one program, so a message is a plain struct
 * of fixed size; its length is checked all the same, because a module that
 * scribbles over a session must not take the listener with it.
 */
#include "control.h"

#include "ancillary.h"
#include "cleanup.h"

#include <errno.h>
#include <sys/socket.h>

int control_send(int sock, const struct control *message, int fd)
{
	union ancillary ancillary;
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message) };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0)
		ancillary_send(&head, &ancillary, &fd, 1);
	for (;;) {
		if (sendmsg(sock, &head, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int control_recv(int sock, struct control *ret, int *ret_fd)
{
	union ancillary ancillary;
	struct control message;
	struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
	cleanup_fd int fd = -1;
	ssize_t got;

	ancillary_expect(&head, &ancillary);
	do
		got = recvmsg(sock, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	(void)ancillary_take(&head, &fd, 1); /* there may be none */
	if (got == 0)
		return -EPIPE;
	if ((size_t)got != sizeof(message) || (head.msg_flags & MSG_TRUNC))
		return -EBADMSG;
	/* One descriptor too few must not cost a session whose program runs. */
	if ((head.msg_flags & MSG_CTRUNC) && message.type != CONTROL_PROGRAM)
		return -EBADMSG;
	message.id[sizeof(message.id) - 1] = '\0';
	message.account[sizeof(message.account) - 1] = '\0';
	*ret = message;
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return 0;
}

int control_tell(int sock, enum control_type type, uint32_t value)
{
	struct control message = { .type = type, .value = value };

	return control_send(sock, &message, -1);
}

int control_tell_now(int sock, enum control_type type)
{
	struct control message = { .type = type };

	return send(sock, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
