/*
 * ancillary - SCM_RIGHTS, see cmsg(3).
 *
 * Only system calls, and no memory: the monitor uses it after a fork.
 */
#include "ancillary.h"

#include "cleanup.h"

#include <string.h>

void ancillary_send(struct msghdr *head, union ancillary *room, const int *fds, size_t count)
{
	struct cmsghdr *item = &room->align; /* what CMSG_FIRSTHDR() gives */

	memset(room, 0, sizeof(*room));
	head->msg_control = room->bytes;
	head->msg_controllen = CMSG_SPACE(count * sizeof(*fds));
	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_RIGHTS;
	item->cmsg_len = CMSG_LEN(count * sizeof(*fds));
	memcpy(CMSG_DATA(item), fds, count * sizeof(*fds));
}

void ancillary_expect(struct msghdr *head, union ancillary *room)
{
	head->msg_control = room->bytes;
	head->msg_controllen = sizeof(room->bytes);
}

size_t ancillary_take(struct msghdr *head, int *ret, size_t count)
{
	size_t taken = 0;

	for (size_t i = 0; i < count; i++)
		ret[i] = -1;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(head); item; item = CMSG_NXTHDR(head, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
			continue;
		size_t came = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < came; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(fd));
			if (taken < count)
				ret[taken++] = fd;
			else
				close_fd(&fd);
		}
	}
	return taken;
}
