/*
 * account - asks name services for accounts and groups, and copies the answer.
 *
 * Three things may come back from a name service: an entry, "no such entry", or
 * a failure.  Mixing up the last two would let an outage pass for a missing
 * account, so only a successful call without a result is -ENOENT; even ENOENT
 * from the service itself (a missing /etc/passwd) becomes -EIO.
 *
 * An answer is believed only if it is about what was asked: a service that
 * folds case or maps ids would otherwise authenticate one account and run
 * another.  The buffer grows to a bound, since entries come from outside.
 */
#include "account.h"

#include "cleanup.h"
#include "parse.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>

#define ENTRY_SIZE_FIRST ((size_t)4096)
#define ENTRY_SIZE_MAX	 ((size_t)1024 * 1024)
#define GROUPS_FIRST	 64	   /* room for the first attempt */
#define SHELL_DEFAULT	 "/bin/sh" /* passwd(5): an empty field means this */

/* What a lookup asks for and where its raw answer goes. */
struct lookup {
	const char *name; /* NULL: by uid */
	uid_t uid;
	struct passwd passwd;
	struct group group;
	bool found;
};

static int lookup_passwd(struct lookup *lookup, char *buffer, size_t size)
{
	struct passwd *found = NULL;
	int error;

	if (lookup->name)
		error = getpwnam_r(lookup->name, &lookup->passwd, buffer, size, &found);
	else
		error = getpwuid_r(lookup->uid, &lookup->passwd, buffer, size, &found);
	lookup->found = found != NULL;
	return error;
}

static int lookup_group(struct lookup *lookup, char *buffer, size_t size)
{
	struct group *found = NULL;
	int error = getgrnam_r(lookup->name, &lookup->group, buffer, size, &found);

	lookup->found = found != NULL;
	return error;
}

/* Calls `ask` with a growing buffer; *ret_buffer then holds the entry's strings. */
static int lookup_run(int (*ask)(struct lookup *lookup, char *buffer, size_t size),
		      struct lookup *lookup, char **ret_buffer)
{
	size_t size = ENTRY_SIZE_FIRST;

	for (;;) {
		cleanup_free char *buffer = malloc(size);
		int error;

		if (!buffer)
			return -ENOMEM;
		error = ask(lookup, buffer, size);
		if (error == EINTR)
			continue;
		if (error == ERANGE) {
			if (size >= ENTRY_SIZE_MAX)
				return -ERANGE;
			size *= 2;
			continue;
		}
		if (error != 0)
			return error == ENOENT || error < 0 ? -EIO : -error;
		if (!lookup->found)
			return -ENOENT;
		*ret_buffer = take_ptr(buffer);
		return 0;
	}
}

/* Copies a string that may be NULL. */
static int copy_text(const char *text, char **ret)
{
	char *copy = NULL;

	if (text) {
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

static int account_from_passwd(const struct passwd *entry, struct account *ret)
{
	const char *shell = entry->pw_shell && *entry->pw_shell ? entry->pw_shell : SHELL_DEFAULT;
	struct account account = { .uid = entry->pw_uid, .gid = entry->pw_gid };

	/* To setresuid(2) and setresgid(2) -1 means "unchanged": the program would stay root. */
	if (entry->pw_uid == (uid_t)-1 || entry->pw_gid == (gid_t)-1)
		return -EIO;
	if (!entry->pw_name || !*entry->pw_name)
		return -EIO;
	if (copy_text(entry->pw_name, &account.name) || copy_text(entry->pw_dir, &account.home) ||
	    copy_text(shell, &account.shell)) {
		account_done(&account);
		return -ENOMEM;
	}
	*ret = account;
	return 0;
}

int account_by_uid(uid_t uid, struct account *ret)
{
	struct lookup lookup = { .uid = uid };
	cleanup_free char *buffer = NULL;
	int error = lookup_run(lookup_passwd, &lookup, &buffer);

	if (error)
		return error;
	if (lookup.passwd.pw_uid != uid)
		return -EIO;
	return account_from_passwd(&lookup.passwd, ret);
}

int account_by_name(const char *name, struct account *ret)
{
	struct lookup lookup = { .name = name };
	cleanup_free char *buffer = NULL;
	int error;

	if (!*name)
		return -EINVAL;
	error = lookup_run(lookup_passwd, &lookup, &buffer);
	if (error)
		return error;
	/* Another spelling of the name is another account to every later check. */
	if (!lookup.passwd.pw_name || strcmp(lookup.passwd.pw_name, name) != 0)
		return -EIO;
	return account_from_passwd(&lookup.passwd, ret);
}

int account_by_text(const char *text, struct account *ret)
{
	uint32_t id;

	if (!parse_is_number(text))
		return account_by_name(text, ret);
	if (parse_id(text, &id))
		return -EINVAL;
	return account_by_uid(id, ret);
}

int account_group(const char *text, gid_t *ret)
{
	struct lookup lookup = { .name = text };
	cleanup_free char *buffer = NULL;
	uint32_t id;
	int error;

	if (!*text)
		return -EINVAL;
	if (parse_is_number(text)) {
		if (parse_id(text, &id))
			return -EINVAL;
		*ret = id;
		return 0;
	}
	error = lookup_run(lookup_group, &lookup, &buffer);
	if (error)
		return error;
	if (!lookup.group.gr_name || strcmp(lookup.group.gr_name, text) != 0 ||
	    lookup.group.gr_gid == (gid_t)-1)
		return -EIO;
	*ret = lookup.group.gr_gid;
	return 0;
}

int account_groups(const char *name, gid_t gid, gid_t **ret, size_t *ret_count)
{
	int room = GROUPS_FIRST;

	for (;;) {
		cleanup_free gid_t *groups = calloc((size_t)room, sizeof(*groups));
		int count = room;

		if (!groups)
			return -ENOMEM;
		if (getgrouplist(name, gid, groups, &count) >= 0) {
			/* setgroups(2) would refuse it, later and with less to say */
			for (int i = 0; i < count; i++)
				if (groups[i] == (gid_t)-1)
					return -EIO;
			*ret = take_ptr(groups);
			*ret_count = (size_t)count;
			return 0;
		}
		if (count <= room)
			return -EIO; /* not for lack of room */
		if (count > NGROUPS_MAX)
			return -ERANGE;
		room = count;
	}
}

void account_nameless(uid_t uid, gid_t gid, struct account *ret)
{
	*ret = (struct account){ .uid = uid, .gid = gid };
}

int account_copy(const struct account *account, struct account *ret)
{
	struct account copy = { .uid = account->uid, .gid = account->gid };

	if (copy_text(account->name, &copy.name) || copy_text(account->home, &copy.home) ||
	    copy_text(account->shell, &copy.shell)) {
		account_done(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

void account_done(struct account *account)
{
	free(account->name);
	free(account->home);
	free(account->shell);
	*account = (struct account){ 0 };
}
