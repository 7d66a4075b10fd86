/*
 * gateway - what every way to serve does at its start and at its end.
 */
#pragma once

#include "audit.h"
#include "config.h"

#include <stddef.h>

/*
 * Looks whether dived can do what its options ask for where it has been started:
 * /proc, capabilities, ids that its user namespace holds.
 * Return: 0; -EINVAL with one line in `error` that says what is missing.
 */
int gateway_check_place(const struct config *config, char *error, size_t size);

/* -J without PAM is like any other command: nothing of it is recorded, or warned of. */
bool gateway_is_unrecorded(const struct config *config);

/*
 * Whether the kernel audits as --audit asks; with `warn`, warnings about this
 * and about the options are logged.
 * Return: 0; -EINVAL with one line in `error`.
 */
struct gateway_audit {
	enum audit_state state;
	bool login_uid_fixed; /* clients have to have dived's own, or are refused */
};
int gateway_check_audit(const struct config *config, bool warn, struct gateway_audit *ret,
			char *error, size_t size);

/*
 * Looks at the namespaces that are joined (-N, --setns-pid), and makes them the config's; those
 * that are made come later.  *ret is released by namespaces_done(), also after a failure.
 * Return: 0; -errno with one line in `error`.
 */
int gateway_tie(struct config *config, struct namespaces *ret, char *error, size_t size);

/* Whether the new user namespace holds the target, if that is known by now.  As above. */
int gateway_check_maps(const struct config *config, char *error, size_t size);

/*
 * Whether --on-disconnect kill, which ends all that is in the cgroup, leaves dived
 * alone.  After the pid files are written, which may have moved it.  As above.
 */
int gateway_check_cgroup(const struct config *config, char *error, size_t size);

/*
 * Records the start or the stop, with version and effective options, in the kernel, in the
 * log, or in both.  In the kernel it is that of the login uid of the calling process.
 */
enum gateway_sinks {
	GATEWAY_KERNEL = 1,
	GATEWAY_LOG = 2,
	GATEWAY_BOTH = GATEWAY_KERNEL | GATEWAY_LOG,
};
void gateway_record(const struct config *config, bool start, enum gateway_sinks sinks);
