/*
 * config_resolve - the names in -U, --allow and -g, turned into ids.
 *
 * Done at start-up and again at every reload.  All names are resolved before
 * one id of the config is replaced: a name service that fails in the middle of a
 * reload must not leave a gateway with half of its list, which may be the half
 * that admits.
 */
#include "config_internal.h"

#include "account.h"
#include "cleanup.h"
#include "parse.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int complain(const struct complaint *complaint, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(complaint->text, complaint->size, format, arguments); /* may be cut */
	va_end(arguments);
	return -EINVAL;
}

int complain_lookup(const struct complaint *complaint, const char *option, const char *value,
		    const char *what, int error)
{
	if (error == -ENOMEM)
		return -ENOMEM;
	if (error == -ENOENT)
		return complain(complaint, "%s %s: there is no such %s", option, value, what);
	if (error == -EINVAL)
		return complain(complaint, "%s %s: neither a name nor a possible id of a%s %s",
				option, value, *what == 'a' ? "n" : "", what);
	return complain(complaint, "%s %s: the %s cannot be looked up: %s", option, value, what,
			strerror(-error));
}

/* What names are resolved to, apart from the config until all of it is known. */
struct resolved {
	uid_t socket_uid;
	gid_t socket_gid;
	uid_t *uids;
	size_t uid_count;
	gid_t *gids;
	size_t gid_count;
	gid_t *groups; /* of -g */
};

/* A number needs no entry here: what counts is the uid the kernel reports. */
static int resolve_uid(const char *option, const char *value, const char *name, uid_t *ret,
		       const struct complaint *complaint)
{
	struct account account;
	uint32_t id;
	int error;

	if (parse_is_number(name)) {
		if (parse_id(name, &id))
			return complain_lookup(complaint, option, value, "account", -EINVAL);
		*ret = id;
		return 0;
	}
	error = account_by_name(name, &account);
	if (error)
		return complain_lookup(complaint, option, value, "account", error);
	*ret = account.uid;
	account_done(&account);
	return 0;
}

/* USER: means USER and USER's own group, as with chown(1). */
static int resolve_login_group(const char *value, const char *user, gid_t *ret,
			       const struct complaint *complaint)
{
	struct account account;
	int error = account_by_text(user, &account);

	if (error)
		return complain_lookup(complaint, "-U", value, "account", error);
	*ret = account.gid;
	account_done(&account);
	return 0;
}

static int resolve_owner(const char *value, struct resolved *resolved,
			 const struct complaint *complaint)
{
	cleanup_free char *user = NULL;
	const char *group = NULL;
	char *colon;
	int error;

	if (!value)
		return 0;
	user = strdup(value);
	if (!user)
		return -ENOMEM;
	colon = strchr(user, ':');
	if (colon) {
		*colon = '\0';
		group = colon + 1;
	}
	if (!*user && !(group && *group))
		return complain(complaint, "-U %s: names neither a user nor a group", value);
	if (*user) {
		error = resolve_uid("-U", value, user, &resolved->socket_uid, complaint);
		if (error)
			return error;
	}
	if (!group)
		return 0;
	if (!*group)
		return resolve_login_group(value, user, &resolved->socket_gid, complaint);
	error = account_group(group, &resolved->socket_gid);
	return error ? complain_lookup(complaint, "-U", value, "group", error) : 0;
}

static int resolve_allow(const struct option_list *allow, struct resolved *resolved,
			 const struct complaint *complaint)
{
	if (allow->count == 0)
		return 0;
	resolved->uids = calloc(allow->count, sizeof(uid_t));
	resolved->gids = calloc(allow->count, sizeof(gid_t));
	if (!resolved->uids || !resolved->gids)
		return -ENOMEM;
	for (size_t i = 0; i < allow->count; i++) {
		const char *name = allow->items[i];
		int error;

		if (*name == '@') {
			error = account_group(name + 1, &resolved->gids[resolved->gid_count]);
			if (error)
				return complain_lookup(complaint, "--allow", name, "group", error);
			resolved->gid_count++;
		} else {
			error = resolve_uid("--allow", name, name,
					    &resolved->uids[resolved->uid_count], complaint);
			if (error)
				return error;
			resolved->uid_count++;
		}
	}
	return 0;
}

static int resolve_groups(const struct option_list *groups, struct resolved *resolved,
			  const struct complaint *complaint)
{
	if (groups->count == 0)
		return 0;
	if (groups->count > NGROUPS_MAX)
		return complain(complaint, "-g %s: of %zu groups; a process has at most %d",
				groups->items[0], groups->count, NGROUPS_MAX);
	resolved->groups = calloc(groups->count, sizeof(gid_t));
	if (!resolved->groups)
		return -ENOMEM;
	for (size_t i = 0; i < groups->count; i++) {
		int error = account_group(groups->items[i], &resolved->groups[i]);

		if (error)
			return complain_lookup(complaint, "-g", groups->items[i], "group", error);
	}
	return 0;
}

static void resolved_done(struct resolved *resolved)
{
	free(resolved->uids);
	free(resolved->gids);
	free(resolved->groups);
}

static int resolve_all(const struct config *config, struct resolved *ret,
		       const struct complaint *complaint)
{
	struct resolved resolved = { .socket_uid = (uid_t)-1, .socket_gid = (gid_t)-1 };
	int error = resolve_owner(config->socket_owner, &resolved, complaint);

	if (!error)
		error = resolve_allow(&config->allow, &resolved, complaint);
	if (!error)
		error = resolve_groups(&config->groups, &resolved, complaint);
	if (error)
		resolved_done(&resolved);
	else
		*ret = resolved;
	return error;
}

static void adopt(struct config *config, const struct resolved *resolved)
{
	free(config->allow_uids);
	free(config->allow_gids);
	free(config->group_ids);
	config->socket_uid = resolved->socket_uid;
	config->socket_gid = resolved->socket_gid;
	config->allow_uids = resolved->uids;
	config->allow_uid_count = resolved->uid_count;
	config->allow_gids = resolved->gids;
	config->allow_gid_count = resolved->gid_count;
	config->group_ids = resolved->groups;
	config->group_id_count = config->groups.count;
}

int config_resolve_names(struct config *config, const struct complaint *complaint)
{
	struct resolved resolved = { 0 };
	int error = resolve_all(config, &resolved, complaint);

	if (error == 0)
		adopt(config, &resolved);
	return error;
}

/* --- by another process ---------------------------------------------------------- */

/* What config_resolve() writes first; the lists follow, which the config says the sizes of. */
struct finding {
	int error;
	char text[256];
	uid_t socket_uid;
	gid_t socket_gid;
	size_t uid_count;
	size_t gid_count;
};

static int write_all(int fd, const void *data, size_t len)
{
	ssize_t written = len ? write(fd, data, len) : 0; /* to memory: whole, or not at all */

	if (written < 0)
		return -errno;
	return (size_t)written == len ? 0 : -EIO;
}

int config_resolve(const struct config *config, int fd)
{
	struct resolved resolved = { 0 };
	struct finding finding = { .text = "out of memory" };
	struct complaint complaint = { finding.text, sizeof(finding.text) };

	finding.error = resolve_all(config, &resolved, &complaint);
	finding.socket_uid = resolved.socket_uid;
	finding.socket_gid = resolved.socket_gid;
	finding.uid_count = resolved.uid_count;
	finding.gid_count = resolved.gid_count;
	int r = write_all(fd, &finding, sizeof(finding));
	if (r == 0 && finding.error == 0)
		r = write_all(fd, resolved.uids, resolved.uid_count * sizeof(uid_t));
	if (r == 0 && finding.error == 0)
		r = write_all(fd, resolved.gids, resolved.gid_count * sizeof(gid_t));
	if (r == 0 && finding.error == 0)
		r = write_all(fd, resolved.groups, config->groups.count * sizeof(gid_t));
	resolved_done(&resolved);
	return r;
}

/* Reads a list into memory of its own.  Return: 0; -errno. */
static int read_list(int fd, size_t count, void **ret)
{
	static_assert(sizeof(uid_t) == sizeof(gid_t), "one size of ids");
	cleanup_free void *list = calloc(count + 1, sizeof(gid_t));
	ssize_t len = (ssize_t)(count * sizeof(gid_t));

	if (!list)
		return -ENOMEM;
	if (read(fd, list, (size_t)len) != len)
		return -EIO;
	*ret = take_ptr(list);
	return 0;
}

static int read_lists(const struct config *config, int fd, const struct finding *finding,
		      struct resolved *ret)
{
	cleanup_free void *uids = NULL;
	cleanup_free void *gids = NULL;
	cleanup_free void *groups = NULL;
	int r = finding->uid_count + finding->gid_count == config->allow.count ? 0 : -EIO;

	if (r == 0)
		r = read_list(fd, finding->uid_count, &uids);
	if (r == 0)
		r = read_list(fd, finding->gid_count, &gids);
	if (r == 0)
		r = read_list(fd, config->groups.count, &groups);
	if (r)
		return r;
	*ret = (struct resolved){ .socket_uid = finding->socket_uid,
				  .socket_gid = finding->socket_gid,
				  .uids = take_ptr(uids),
				  .uid_count = finding->uid_count,
				  .gids = take_ptr(gids),
				  .gid_count = finding->gid_count,
				  .groups = take_ptr(groups) };
	return 0;
}

int config_adopt(struct config *config, int fd, char *error, size_t error_size)
{
	const struct complaint complaint = { error, error_size };
	struct resolved resolved = { 0 };
	struct finding finding;

	if (lseek(fd, 0, SEEK_SET) || read(fd, &finding, sizeof(finding)) != sizeof(finding))
		return complain(&complaint, "the names cannot be looked up");
	finding.text[sizeof(finding.text) - 1] = '\0';
	if (finding.error)
		return complain(&complaint, "%s", finding.text);
	if (read_lists(config, fd, &finding, &resolved))
		return complain(&complaint, "what the names are cannot be read");
	adopt(config, &resolved);
	return 0;
}
