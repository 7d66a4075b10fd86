/*
 * fuse - a file whose every close waits for a server that does not answer.
 *
 * A file system in user space (FUSE, linux/fuse.h) is mounted below sandbox_dir()
 * with one file in it.  At each close(2) of a descriptor of such a file, at exec and
 * at the end of a process too, the kernel asks the file system's server (FUSE_FLUSH)
 * and waits, not even to be killed, for an answer.  A descriptor that merely lies in
 * a socket and is dropped with it asks nobody.
 *
 * Until fuse_release() only the test's own process is answered: it may open, send and
 * close the file as any other.  It must not start a process while it has the file open,
 * though: that would wait where it closes or executes.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct fuse {
	char directory[96]; /* where it is mounted; "" when closed */
	char file[112];
	pid_t server;
	int control; /* from the server: a byte for each close that waits */
};

/*
 * Mounts and serves.  Release with fuse_close(); when a test fails before that the
 * server is ended with its other children, which ends all waiting too.
 */
void fuse_open(struct fuse *ret);

/* Returns why there is no FUSE on this machine, for SKIP(); NULL where there is. */
const char *fuse_missing(void);

/* Opens the file for reading and writing; to be closed as said above. */
int fuse_open_file(const struct fuse *fuse);

/* Waits until one more close (than at the last call) of another program waits (20 s). */
void fuse_expect_held(const struct fuse *fuse);

/* From now on everything is answered, what waits already first.  May be repeated. */
void fuse_release(struct fuse *fuse);

/* Releases, unmounts, ends the server.  Accepts a closed one. */
void fuse_close(struct fuse *fuse);
