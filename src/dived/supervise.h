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
	int conn;	/* the client; owned by the caller; -1 when it does not wait */
	pid_t program;	/* our unreaped child; leads a process group of its id */
	int signals;	/* signalfd(2) of supervise_open_signals(), whose signals are blocked */
	bool local;	/* -J: signals to this process are for the program */
	bool shared;	/* the program is in our own process group: it has those of the terminal */
	bool apart;	/* children are in another pid namespace than we are: all are reaped */
	int monitor;	/* our end, with a new terminal: `program` is the monitor; else -1 */
	int program_fd; /* the program's own pidfd; borrowed; -1 for none */
	int cgroup;	/* its cgroup's directory, for --on-disconnect kill; -1 for none */
};

/*
 * Opens a signalfd for SIGCHLD and, with `local`, for what is passed on to the
 * program, while descriptors are to be had.  The signals stay as they are: PAM
 * modules start helpers of their own.
 * Return: the descriptor, or -errno.
 */
int supervise_open_signals(bool local);

/* Blocks these signals, before fork so that none is missed, or unblocks them. */
int supervise_block(bool block, bool local);

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
