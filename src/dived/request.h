/*
 * request - everything a client asks for, read whole before any of it is used.
 *
 * request_recv() runs the protocol from HELLO to END with one deadline and
 * enforces every bound; the result owns its memory and descriptors.
 */
#pragma once

#include "message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct request_fd {
	int number;    /* number in the program */
	int fd;	       /* ours; owned by the request */
	bool terminal; /* the client's controlling terminal, as it says */
};

struct request {
	struct message_hello hello;
	struct message_request fixed;
	char **argv;		/* NULL-terminated; points into `packet` */
	char **envp;		/* NULL-terminated */
	char **strings;		/* owned array behind argv and envp */
	struct packet packet;	/* owns the strings */
	struct request_fd *fds; /* owned; sorted by number */
	size_t fd_count;
	int wait_number; /* number of the wait mode 2 descriptor among fds, or -1 */
	int cwd;	 /* owned; -1 when not sent */
	int root;
	int terminal;
};

/**
 * request_recv() - read a whole request
 * @sock: the client's connection; borrowed
 * @deadline: for the whole of it
 * @ret: filled on success, released with request_done()
 * @reason: on failure a const string fit for the client, never NULL then
 *
 * Return: 0; PACKET_OTHER_VERSION after our HELLO has been sent to a client of
 * another version; -EBADMSG; -ETIMEDOUT; -ENOTCONN the client left
 * without a word; -EPIPE or -ECONNRESET client gone (nobody to tell); -ENOMEM; -EMFILE; other
 * -errno of recvmsg(2).
 */
int request_recv(int sock, int64_t deadline, struct request *ret, const char **reason);

struct config;

/*
 * The request of whoever starts dived -J: its environment, directory, umask and
 * descriptors, those from 3 up being taken over.
 * Return: 0, released with request_done(); -EMFILE; -ENOMEM.
 */
int request_local(const struct config *config, struct request *ret);

void request_done(struct request *request);

/*
 * Closes all descriptors, without blocking (release.h), and keeps the rest: once
 * the program has them, a copy here would keep pipes of the client from ever
 * showing their end.
 */
void request_close_fds(struct request *request);

/* The same for those of the program only: the directories are still to be entered. */
void request_drop_fds(struct request *request);

/* The descriptor the program would have as `number`, or -1. */
int request_find_fd(const struct request *request, int number);
