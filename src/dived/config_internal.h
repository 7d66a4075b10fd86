/*
 * config_internal - what the files of config share, and nobody else.
 *
 * config.c            argv to config: the order of the checks, those about PAM, safety
 * config_mode.c       how clients come: -i -J -j -F --listen-fds
 * config_place.c      where programs run: namespaces, root, directory, content
 * config_privilege.c  as whom and with what: ids, limits, capabilities
 * config_resolve.c    names that a reload looks up again: -U, --allow, -g
 *
 * A check returns 0, or -EINVAL or -ENOMEM with the complaint made.
 */
#pragma once

#include "config.h"

#define CONFIG_SOCKET_MODE_UNSET ((mode_t)-1) /* -C was not given; only until the first check */

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

/*
 * Chooses the mode, and sets what it implies: `address`, the default of -C, what -j
 * stands for, and no_pam for -J.
 */
int config_check_mode(struct config *config, const struct complaint *complaint);

/* -u and -e.  Needs no_pam as far as the options say it, and -g resolved. */
int config_check_user(struct config *config, const struct complaint *complaint);
int config_check_effective_user(struct config *config, const struct complaint *complaint);

/* -l. */
int config_check_limits(struct config *config, const struct complaint *complaint);

/* -B, -b, -m, -c, and -L; after config_check_place(), since namespaces bring capabilities. */
int config_check_capabilities(struct config *config, const struct complaint *complaint);

/* All of "Where"; opens cgroup_fd and root_fd. */
int config_check_place(struct config *config, const struct complaint *complaint);

/* Whether -r is safe with whoever may connect; when all else is known. */
int config_check_client_root(const struct config *config, const struct complaint *complaint);

/* Bits of the kinds of namespace in which programs may not be in dived's own. */
unsigned config_changed_namespaces(const struct config *config);

/* Whether anybody but root and `exempt` can connect, as far as is known at start-up. */
bool config_admits_others(const struct config *config, uid_t exempt);
