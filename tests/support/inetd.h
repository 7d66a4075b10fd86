/*
 * inetd - the test as an inetd(8): it listens and accepts, and starts `dived -i` for
 * each client, with the connection as descriptors 0, 1 and 2.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include "gateway.h"
#include "run.h"

struct inetd {
	char address[108];
	int listener;
	struct gateway gateway; /* the address only, for run_dive() */
};

/* Listens at a fresh path, 0666.  Release with inetd_close(). */
void inetd_listen(struct inetd *ret);

/* Waits for a client (10 s); returns the connection, to be closed. */
int inetd_accept(const struct inetd *inetd);

/*
 * Runs `dived -i OPTIONS` with `conn`, which is closed here, as its 0, 1 and 2.  Options
 * that begin with "--inetd..." say -i themselves.
 */
void inetd_start(struct run *ret, const struct run_options *base, int conn,
		 const char *const *options);

/* Both: waits for a client and serves it.  Release with run_done(). */
void inetd_serve(const struct inetd *inetd, struct run *ret, const char *const *options);

/* Releases.  Accepts a released one. */
void inetd_close(struct inetd *inetd);
