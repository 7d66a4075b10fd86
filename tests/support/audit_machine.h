/*
 * audit_machine - the audit system of the machine, as a test found it.
 *
 * There is one for all processes and namespaces, so whatever a test sets must be put
 * back.  Only for who holds the lock of audit_stream.h, whose guardian saves and restores.
 */
#pragma once

#include <libaudit.h>
#include <stddef.h>

/* All keys of rules that tests load begin so, as those of policy/ do. */
#define AUDIT_MACHINE_KEY "dive-"

struct audit_machine {
	struct audit_status status;
	uint32_t features; /* bits of AUDIT_FEATURE_* */
	struct audit_rule_data **rules;
	size_t count;
};

/* Reads both, of the kernel; fails the running test when it does not answer. */
void audit_machine_save(struct audit_machine *ret);

/*
 * Sets what differs from `saved`: whether auditing is enabled, what happens on failure, the
 * length of the queue and how long senders wait for it, the rate, and features.  Rules that
 * are not in it are taken away if their key is one of ours: another may be an administrator's.
 * Return: 0; -1 when something could not be done.  Fails no test: see audit_stream.c.
 */
int audit_machine_restore(const struct audit_machine *saved);

/* Releases. */
void audit_machine_done(struct audit_machine *machine);

/* What the kernel says now; fails the running test when it does not answer. */
void audit_machine_status(struct audit_status *ret);
