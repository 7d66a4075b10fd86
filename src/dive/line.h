/*
 * line - one line from a terminal, a pipe or a file, and not a byte more.
 *
 * The one loop behind every way to get an answer.  While it waits it also
 * watches the connection, since the server may give up first, and signals.
 */
#pragma once

#include "secret.h"

struct line_source {
	int input;   /* blocking or not */
	int sock;    /* the connection: waiting ends when it is readable or gone */
	int signals; /* a signalfd, or -1: waiting ends when it is readable */
};

/* How the waiting ended. */
enum line_end {
	LINE_READ,   /* a line, or a rest without a newline at the end of the input */
	LINE_CLOSED, /* end of the input, or a hangup, before a first byte */
	LINE_LONG,   /* over MESSAGE_ANSWER_MAX bytes, or a NUL in it; read up to its end */
	LINE_SIGNAL, /* a signal waits to be read */
	LINE_SERVER, /* a packet or an end of file waits to be read */
};

/**
 * line_read() - wait for a line
 * @ret: initialised and empty; holds the line without its newline on LINE_READ,
 *       a part of it or nothing otherwise
 *
 * There is no deadline: what it waits for is a human, and the server's patience
 * shows on the connection.
 *
 * Return: enum line_end; -errno.
 */
int line_read(const struct line_source *source, struct secret *ret);
