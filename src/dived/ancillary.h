/*
 * ancillary - descriptors beside the messages of dived's own processes.
 *
 * For control.c, monitor.c and template.c, whose messages carry two descriptors at
 * most.  What comes from clients is packet.c's.
 */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

#define ANCILLARY_MAX 2 /* descriptors of one message */

/* Room for them, as the kernel lays it out. */
union ancillary {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(ANCILLARY_MAX * sizeof(int))];
};

/* Makes *head send up to ANCILLARY_MAX descriptors, which stay the caller's. */
void ancillary_send(struct msghdr *head, union ancillary *room, const int *fds, size_t count);

/* Makes *head receive what there is room for. */
void ancillary_expect(struct msghdr *head, union ancillary *room);

/*
 * Takes the first `count` descriptors that came, and closes any other.  What did not
 * come is -1.  Return: how many came of those.
 */
size_t ancillary_take(struct msghdr *head, int *ret, size_t count);
