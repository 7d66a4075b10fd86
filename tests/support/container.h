/*
 * container - namespaces that somebody else has made, with a first process in them.
 *
 * The process is a fork of the test program that does nothing but reap, until it is
 * stopped.  With a root of its own (CLONE_NEWNS and `root`) there is in it: /usr, /bin,
 * /lib, /dev, a /proc, an /etc whose passwd(5) makes everybody root, and /show.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include <sys/types.h>

struct container_options {
	int flags;	      /* CLONE_NEW*: what is made */
	const char *account;  /* who makes it; NULL: root */
	const char *map;      /* of CLONE_NEWUSER, for uids and gids; NULL: none */
	const char *root;     /* an empty directory for pivot_root(2); NULL: root as it is */
	pid_t within;	      /* made in the user namespace of this process; 0: in our own */
	pid_t number;	      /* the pid it is to have; 0: any.  Not with CLONE_NEWPID */
	int (*prepare)(void); /* run inside, last; not 0 is a failure; may be NULL */
};

struct container {
	pid_t pid; /* the first process, as seen from here */
	int pidfd;
	int life; /* the process ends when this is closed */
};

void container_start(struct container *ret, const struct container_options *options);

/* Ends it and waits.  Accepts a stopped one. */
void container_stop(struct container *container);
