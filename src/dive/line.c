/*
 * One line, byte by byte.
 *
 * Reading single bytes looks wasteful, but standard input is shared with the
 * program that is about to run: a byte read beyond the newline would be lost to
 * it.  And each byte goes straight into the secret, so there is no buffer that
 * would have to be wiped.
 */
#include "line.h"

#include "cleanup.h"

#include <poll.h>
#include <stdbool.h>

/* Waits for the input.  Return: LINE_READ when it can be read; else as line_read(). */
static int wait_input(const struct line_source *source)
{
	struct pollfd watched[] = {
		{ .fd = source->signals, .events = POLLIN },
		{ .fd = source->sock, .events = POLLIN },
		{ .fd = source->input, .events = POLLIN },
	};

	for (;;) {
		if (poll(watched, ARRAY_LEN(watched), -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (watched[0].revents != 0)
			return LINE_SIGNAL;
		if (watched[1].revents != 0)
			return LINE_SERVER;
		if (watched[2].revents != 0)
			return LINE_READ;
	}
}

/* Reads a byte.  Return: 1; 0 at the end of the input; -EAGAIN to wait again; -errno. */
static int read_byte(int fd, char *ret)
{
	ssize_t got = read(fd, ret, 1);

	if (got >= 0)
		return (int)got;
	switch (errno) {
	case EINTR:
	case EAGAIN:
		return -EAGAIN;
	case EIO:   /* the terminal hung up, or nobody could continue a stopped dive */
	case EBADF: /* standard input was closed from the start */
		return 0;
	default:
		return -errno;
	}
}

int line_read(const struct line_source *source, struct secret *ret)
{
	bool bad = false;
	char byte = 0;
	int result;

	for (;;) {
		result = wait_input(source);
		if (result != LINE_READ)
			break;
		result = read_byte(source->input, &byte);
		if (result == -EAGAIN)
			continue;
		if (result < 0)
			break;
		if (result == 0 && ret->len == 0 && !bad) {
			result = LINE_CLOSED;
			break;
		}
		if (result == 0 || byte == '\n') {
			result = bad ? LINE_LONG : LINE_READ;
			break;
		}
		if (byte == '\0' || secret_append(ret, byte) != 0)
			bad = true;
	}
	secret_wipe(&byte, sizeof(byte));
	return result;
}
