/*
 * control - messages between a session and the listener.
 *
 * Both ends are root processes of one program, so a message is a plain struct
 * of fixed size; its length is checked all the same, because a module that
 * scribbles over a session must not take the listener with it.
 */
#include "control.h"

#include "cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int control_send(int sock, const struct control *message, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message) };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		memset(&ancillary, 0, sizeof(ancillary));
		head.msg_control = ancillary.bytes;
		head.msg_controllen = sizeof(ancillary.bytes);
		struct cmsghdr *item = CMSG_FIRSTHDR(&head);
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(item), &fd, sizeof(fd));
	}
	for (;;) {
		if (sendmsg(sock, &head, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* Takes the first descriptor out of the ancillary data and closes any other. */
static int take_descriptor(struct msghdr *head)
{
	int first = -1;

	for (struct cmsghdr *item = CMSG_FIRSTHDR(head); item; item = CMSG_NXTHDR(head, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(fd));
			if (first < 0)
				first = fd;
			else
				close_fd(&fd);
		}
	}
	return first;
}

int control_recv(int sock, struct control *ret, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct control message;
	struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
	struct msghdr head = { .msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = ancillary.bytes,
			       .msg_controllen = sizeof(ancillary.bytes) };
	ssize_t got;

	do
		got = recvmsg(sock, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	cleanup_fd int fd = take_descriptor(&head);
	if (got == 0)
		return -EPIPE;
	if ((size_t)got != sizeof(message) || (head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
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
