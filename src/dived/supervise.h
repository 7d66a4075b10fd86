/*
 * supervise - while the program runs: signals in, stops and the end out.
 */
#pragma once

#include "config.h"
#include "message.h"
#include "peer.h"
#include "request.h"

#include <sys/types.h>

struct supervise {
	const struct config *config;
	const struct peer *peer;
	const struct message_hello *hello;
	bool elevated;
	int conn;      /* the client; owned by the caller; -1 when it does not wait */
	pid_t program; /* our unreaped child; leads a process group of its id */
	int signals;   /* signalfd(2) for SIGCHLD, which is blocked */
};

/*
 * Opens a signalfd for SIGCHLD, while descriptors are to be had.  The signal
 * stays as it is: PAM modules start helpers of their own.
 * Return: the descriptor, or -errno.
 */
int supervise_open_signals(void);

/* Blocks SIGCHLD, before fork so that no end is missed, or unblocks it. */
int supervise_block(bool block);

/**
 * supervise_run() - relay until the program has ended, and reap it
 * @supervise: conn may be closed meanwhile by the peer: then --on-disconnect is
 *             carried out, and the wait goes on
 * @ret: how it ended
 * @ret_gone: whether the client went away
 *
 * Return: 0; -errno when the program cannot be waited for (somebody else
 * reaped it: a module with a SIGCHLD handler of its own).
 */
int supervise_run(const struct supervise *supervise, struct message_exited *ret, bool *ret_gone);

/*
 * Whether a signal of the client is delivered, and to the process group or the
 * program alone.  Pure; the rules of "Signals" in dived(8).
 */
enum supervise_delivery { SUPERVISE_DROP, SUPERVISE_PROGRAM, SUPERVISE_GROUP };
enum supervise_delivery supervise_delivery(const struct config *config, const struct peer *peer,
					   const struct message_hello *hello, bool elevated,
					   int number);
