/*
 * gateway - a `dived` for a test.
 *
 * All functions fail the running test when they cannot do their work, showing
 * what dived wrote to standard error.
 */
#pragma once

#include "run.h"

struct gateway {
	char address[108]; /* for dive and connect(2); "@name" for an abstract one */
	struct run run;	   /* dived; with -d the process that detached and has ended */
	pid_t pid;	   /* the listener */
	int pidfd;	   /* of the listener */
	int notify;	   /* what dived sends to NOTIFY_SOCKET */
	char notify_path[108];
};

/**
 * gateway_start() - run dived until it serves
 * @options: as on its command line, NULL-terminated.  If the first begins with
 *           '/' or '@' it is the address; else a fresh path in sandbox_dir() is
 *           put in front.  `-C 0666` is put in front too unless -C or --chmod is
 *           among them (before "--").  With -d a pid file is added.
 *
 * Returns when dived has notified READY=1 or its socket listens, which is seen
 * in /proc/net/unix, without a connection that the gateway would have to serve
 * and record.  Fails when dived ends first or after 20 s.  Release with
 * gateway_stop().
 */
void gateway_start(struct gateway *ret, const char *const *options);

/* The same with all of run_options: account, login_uid, envp (NOTIFY_SOCKET is added), fds... */
void gateway_start_with(struct gateway *ret, const struct run_options *base,
			const char *const *options);

/*
 * The same with --listen-fds, as a service manager would start it: `sockets`, which
 * listen already, are descriptors 3 and up, and LISTEN_PID is right unless base->envp
 * sets it.  No address and no -C is added; ret->address is that of the first socket.
 */
void gateway_start_passed(struct gateway *ret, const struct run_options *base, const int *sockets,
			  size_t count, const char *const *options);

/* The same, which dived must refuse as gateway_expect_refusal() says. */
void gateway_expect_passed_refusal(const struct run_options *base, const int *sockets, size_t count,
				   const char *const *options, const char *text);

/*
 * SIGTERM, by pidfd, and wait for the listener's end, which must be with status
 * 0 and without a sanitizer's report on standard error.  Sessions that still
 * run go on, as they should.  Accepts a stopped one.
 */
void gateway_stop(struct gateway *gateway);

/* SIGKILL instead; for teardowns after a failure. */
void gateway_kill(struct gateway *gateway);

/* Sends a signal to the listener, by pidfd. */
void gateway_signal(const struct gateway *gateway, int signal);

/* SIGSTOP for the listener; returns when it has stopped.  SIGCONT lets it go on. */
void gateway_freeze(const struct gateway *gateway);

/* What dived has written to standard error so far; valid until the next call. */
const char *gateway_log(struct gateway *gateway);

/* Waits until `text` is in it (10 s). */
void gateway_expect_log(struct gateway *gateway, const char *text);

/* Waits for a notification that holds `text`, "RELOADING=1" (10 s). */
void gateway_expect_notify(struct gateway *gateway, const char *text);

/*
 * Runs dived with exactly these options (no address is added), which it must
 * refuse: status 4, nothing on standard output, `text` in standard error.
 */
void gateway_expect_refusal(const char *const *options, const char *text);

/* Fails unless the gateway serves this account, whose program is then the target. */
void gateway_expect_served(const struct gateway *gateway, const char *account, const char *target);
