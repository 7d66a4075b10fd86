/*
 * config_internal - what config.c and config_resolve.c share, and nobody else.
 */
#pragma once

#include "config.h"

/* Where the one line of an error goes. */
struct complaint {
	char *text;
	size_t size;
};

/* Fills the line, cut where it is too long.  Returns -EINVAL. */
int complain(const struct complaint *complaint, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Says why a name was not found: `error` is what account.h returned, `what` is
 * "account" or "group".  Returns -EINVAL, or -ENOMEM when it was that.
 */
int complain_lookup(const struct complaint *complaint, const char *option, const char *value,
		    const char *what, int error);

/* The work of config_resolve(). */
int config_resolve_names(struct config *config, const struct complaint *complaint);
