/*
 * packet - one framed message, with its descriptors, on an AF_UNIX stream.
 *
 * The only module that calls sendmsg(2) or recvmsg(2) on a client's connection.
 * It checks sizes and counts; what a body means belongs to message.h.
 *
 * Functions return 0 or -errno and write outputs on success only, except where
 * stated.  Sizes are bytes; host byte order, since both ends run on one kernel.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAGIC	UINT32_C(0x45564944) /* "DIVE" */
#define PACKET_VERSION	2
#define PACKET_FDS_MAX	250			 /* SCM_RIGHTS takes 253 */
#define PACKET_BODY_MAX (6 * 1024 * 1024 + 4096) /* strings, and a fixed part */

struct packet_header {
	uint32_t magic;	   /* PACKET_MAGIC; this, version and type never change place */
	uint16_t version;  /* PACKET_VERSION; exact match, never negotiated */
	uint16_t type;	   /* enum message_type */
	uint32_t body_len; /* bytes after this header, <= PACKET_BODY_MAX */
	uint32_t fd_count; /* descriptors attached, <= PACKET_FDS_MAX */
};
static_assert(sizeof(struct packet_header) == 16, "no padding on the wire");

struct packet {
	struct packet_header head;
	uint8_t *body;		 /* head.body_len bytes and a NUL; owned; NULL when empty */
	int fds[PACKET_FDS_MAX]; /* head.fd_count descriptors, owned, close-on-exec */
};

/* What the body of the other side's other version is: nothing is known of it. */
#define PACKET_OTHER_VERSION 1

/**
 * packet_check_fn - judges a header before a byte of the body is read
 * Return: 0 to go on, or a negative errno that packet_recv() returns unchanged.
 */
typedef int packet_check_fn(const struct packet_header *head, const void *context);

/**
 * packet_recv() - wait for one packet
 * @sock: connected socket, blocking or not; borrowed
 * @deadline: see deadline.h; for the whole packet
 * @check: asked about the header before the body is allocated; NULL for none
 * @ret: filled on success; the caller then releases it with packet_done()
 *
 * The descriptors must come with the first read of the header, exactly
 * head.fd_count of them.  On failure no received descriptor stays open.
 *
 * Return: 0; PACKET_OTHER_VERSION (positive) when the magic is right and the
 * version is not: ret->head is filled (lengths 0), nothing else, nothing to release;
 * -EPIPE peer closed between packets; -ECONNRESET closed inside one or reset;
 * -EBADMSG malformed, oversized, truncated or wrong descriptors (drop the
 * peer); -ETIMEDOUT; -ENOMEM; else -errno of recvmsg(2).
 */
int packet_recv(int sock, int64_t deadline, packet_check_fn *check, const void *context,
		struct packet *ret);

/**
 * packet_send() - send one packet
 * @type: enum message_type
 * @body: body_len bytes; borrowed
 * @fds: fd_count descriptors; borrowed, and still the caller's afterwards
 *
 * Raises no SIGPIPE.
 *
 * Return: 0; -EPIPE or -ECONNRESET peer gone; -ETIMEDOUT; -EMSGSIZE over the
 * maxima; -ETOOMANYREFS too many descriptors in flight; else -errno.
 */
int packet_send(int sock, int64_t deadline, uint16_t type, const void *body, size_t body_len,
		const int *fds, size_t fd_count);

/*
 * Closes the descriptors, wipes (up to 64 KiB) and frees the body; accepts a
 * zeroed packet and leaves one.
 */
void packet_done(struct packet *packet);
