/*
 * soak - one gateway, very many sessions, and what it has grown to.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include "gateway.h"

#define SOAK_GROWTH_KIB 256 /* of the allocator's, and of pages that are touched late */

struct soak_process {
	size_t fds;
	unsigned long rss_kib;
	/* Of what no file backs: libraries are shared with whatever else runs on the machine. */
	unsigned long pss_kib;
};

struct soak_look {
	struct soak_process listener;
	struct soak_process template;
	size_t processes; /* of the gateway, these two included */
};

/* Waits until no session is left, and looks. */
void soak_take(const struct gateway *gateway, struct soak_look *ret);

/* One line for people. */
void soak_print(const struct soak_look *look, unsigned sessions);

/* Fails if there are more descriptors or processes than before, or much more memory. */
void soak_assert_flat(const struct soak_look *before, const struct soak_look *now);

/*
 * So many sessions, one after the other: in turns of a client that is asked for its
 * password, root, one whose password is wrong and one whose program does not exist.
 */
void soak_run(const struct gateway *gateway, unsigned count);
