/*
 * account - a passwd entry, copied.
 *
 * The only place besides config.c that asks name services for accounts.  Runs
 * in dived's own namespaces and root only, before anything of a target's world
 * is entered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct account {
	uid_t uid;
	gid_t gid;
	char *name;  /* owned; NULL for an id without an entry */
	char *home;  /* owned; NULL or "" when the entry has none */
	char *shell; /* owned; "/bin/sh" where the entry has none (passwd(5)) */
};

/*
 * Looks up by number or by exact name; the entry found must carry the id, or the
 * name, that was asked for.  Memory is bounded (entries above 1 MiB are -ERANGE).
 * Return: 0 with *ret filled, released with account_done(); -ENOENT no such
 * entry; -EIO or another -errno when a name service failed, which is never
 * taken for "no such entry".
 */
int account_by_uid(uid_t uid, struct account *ret);
int account_by_name(const char *name, struct account *ret);

/*
 * A name, or a number that has an entry: what -u takes.
 * Return: as above, and -EINVAL for an empty string or an impossible number.
 */
int account_by_text(const char *text, struct account *ret);

/* A name or a number (which needs no entry) of a group.  Return: as above. */
int account_group(const char *text, gid_t *ret);

/*
 * The groups of an account, `gid` among them, in no order: what initgroups(3) would set.
 * Bounded by what a process may have.  Return: 0 with *ret the caller's to free(3);
 * -ERANGE for more than that; -ENOMEM; -EIO.
 */
int account_groups(const char *name, gid_t gid, gid_t **ret, size_t *ret_count);

/* *ret becomes an account with ids only.  Cannot fail. */
void account_nameless(uid_t uid, gid_t gid, struct account *ret);

/* Deep copy.  Return: 0 or -ENOMEM. */
int account_copy(const struct account *account, struct account *ret);

/* Accepts a zeroed or released account, leaves it zeroed. */
void account_done(struct account *account);
