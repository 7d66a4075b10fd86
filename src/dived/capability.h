/*
 * capability - the capability sets of this process, see capabilities(7).
 *
 * By system calls and not by libcap, which takes memory: they are needed between
 * fork and exec as well.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A bit for each capability. */
struct capability_sets {
	uint64_t effective;
	uint64_t permitted;
	uint64_t inheritable;
};

static inline bool capability_has(uint64_t set, int capability)
{
	return set >> capability & 1;
}

/* Async-signal-safe.  Return: 0; -errno. */
int capability_read(struct capability_sets *ret);

/*
 * Sets them and looks whether they are set: the kernel leaves out what it does not know.
 * Async-signal-safe.
 * Return: 0; -EPERM they are others than asked for; -errno.
 */
int capability_write(const struct capability_sets *sets);
