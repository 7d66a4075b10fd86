/*
 * config_describe - a config judged and put into words, for log lines.
 *
 * The judgement: can this gateway give somebody more than he has?  Only those
 * count who can get in at all, that is by mode and owner of the socket and by
 * --allow.  Root is left out, having everything already; the reduced root of a
 * container, which has not, is judged for each spawn (plan.c).
 *
 * The words: options as they are in force, implied ones included.  Of --env-set
 * only names are shown, since a value may be a secret and logs are widely read.  What an
 * administrator wrote is quoted as the words of a recorded command are.
 */
#include "config_internal.h"

#include "cleanup.h"
#include "record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Permission to connect to a socket is permission to write (unix(7)). */
#define CONNECT_BY_OTHERS 0022

/* One that somebody else made, or that is not there yet, may be open to all. */
static bool is_socket_closed(const struct config *config, uid_t exempt)
{
	struct config_access access = config_access(config);

	if (config->mode == CONFIG_MODE_INETD || (config->listen_fds && !config->passed.known))
		return false;
	return !(access.mode & CONNECT_BY_OTHERS) && (access.uid == 0 || access.uid == exempt);
}

struct config_access config_access(const struct config *config)
{
	uid_t owner = config->socket_uid == (uid_t)-1 ? config->inherited.uid : config->socket_uid;

	if (config->passed.known)
		return config->passed;
	return (struct config_access){ true, config->socket_mode, owner };
}

bool config_admits_others(const struct config *config, uid_t exempt)
{
	if (config->mode == CONFIG_MODE_EXECUTE || is_socket_closed(config, exempt))
		return false;
	if (!config->allow_set || config->allow_gid_count > 0)
		return true;
	for (size_t i = 0; i < config->allow_uid_count; i++)
		if (config->allow_uids[i] != 0 && config->allow_uids[i] != exempt)
			return true;
	return false;
}

bool config_adds_privilege(const struct config *config)
{
	return config->effective_user || config->group_id_count > 0 || config->ambient ||
	       config->capabilities.set;
}

bool config_may_elevate(const struct config *config)
{
	if (config_adds_privilege(config) || config->other_ids)
		return config_admits_others(config, 0); /* the target itself gets more, too */
	if (!config->user && !config->no_setuid)
		return false; /* everybody is himself */
	return config_admits_others(config,
				    config->user ? config->user_uid : config->inherited.uid);
}

const char *config_environment_name(unsigned environment)
{
	static const char *const names[] = {
		[CONFIG_ENVIRONMENT_DEFAULT] = "default", [CONFIG_ENVIRONMENT_ALL] = "all",
		[CONFIG_ENVIRONMENT_SAFE] = "safe",	  [CONFIG_ENVIRONMENT_NONE] = "none",
		[CONFIG_ENVIRONMENT_SERVER] = "server",
	};

	return environment < ARRAY_LEN(names) ? names[environment] : "?";
}

/* A line that grows until it is full. */
struct line {
	char *text;
	size_t size;
	size_t used;  /* < size */
	size_t total; /* as if there were room */
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
	size_t room = line->size - line->used;
	va_list arguments;
	int written;

	va_start(arguments, format);
	written = vsnprintf(line->text + line->used, room, format, arguments);
	va_end(arguments);
	if (written > 0)
		line->total += (size_t)written;
	if (written > 0)
		line->used += (size_t)written < room ? (size_t)written : room - 1;
}

/* Quoted where a shell would need it, as words of a command are: where one ends is seen. */
static void add_words(struct line *line, char *const *words)
{
	char joined[RECORD_TEXT_MAX];
	size_t total = record_join(words, joined, sizeof(joined));

	add(line, "%s", joined);
	line->total += total - strlen(joined);
}

static void add_word(struct line *line, const char *word, size_t len)
{
	cleanup_free char *copy = strndup(word, len);
	char *const words[] = { copy, NULL };

	if (copy)
		add_words(line, words);
	else
		add(line, "?");
}

/* " key=a,b"; with `names_only` what follows "=" in an item is left out. */
static void add_list(struct line *line, const char *key, const struct option_list *list,
		     bool names_only)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];
		size_t len = names_only ? strcspn(item, "=") : strlen(item);

		if (i == 0)
			add(line, " %s=", key);
		if (i > 0)
			add(line, ",");
		add_word(line, item, len);
	}
}

static void add_text(struct line *line, const char *key, const char *text)
{
	if (!text)
		return;
	add(line, " %s=", key);
	add_word(line, text, strlen(text));
}

/* As add_list(), where a list that was given and is empty says something. */
static void add_set(struct line *line, const char *key, const struct option_list *list)
{
	if (list->items && list->count == 0)
		add(line, " %s=", key);
	add_list(line, key, list, false);
}

static void describe_serving(struct line *line, const struct config *config)
{
	static const char *const disconnect[] = { "hup", "kill", "ignore" };

	add(line, "version=%s", DIVE_VERSION);
	add_text(line, "address", config->address);
	if ((config->address[0] != '-' && !config->listen_fds) || config->socket_mode_set)
		add(line, " mode=%04o", (unsigned)config->socket_mode);
	add_text(line, "owner", config->socket_owner);
	add_list(line, "allow", &config->allow, false);
	add_list(line, "pidfile", &config->pidfiles, false);
	add(line, " max-sessions=%u/%u max-pending=%u/%u request-timeout=%u", config->max_sessions,
	    config->max_sessions_per_user, config->max_pending, config->max_pending_per_user,
	    config->request_timeout);
	add(line, " on-disconnect=%s signals=%s", disconnect[config->on_disconnect],
	    config->signals	    ? "program"
	    : config->signals_group ? "group"
				    : "client");
}

static void describe_who(struct line *line, const struct config *config)
{
	static const char *const authenticate[] = { "auto", "always", "never" };
	static const char *const audit[] = { "auto", "require", "off" };

	add_text(line, "target",
		 config->no_setuid ? "dived"
		 : config->user	   ? config->user
				   : "client");
	add_list(line, "groups", &config->groups, false);
	add_text(line, "effective-user", config->effective_user);
	if (config->no_pam)
		add(line, " pam=off");
	else
		add(line, " pam=%s authenticate=%s auth-user=%s auth-tries=%u auth-timeout=%u",
		    config->pam_service, authenticate[config->authenticate], config->auth_user,
		    config->auth_tries, config->auth_timeout);
	add_text(line, "pam-confdir", config->pam_confdir);
	add(line, " audit=%s", audit[config->audit]);
}

/* Of -t only the files: the texts may be long, or secret. */
static void describe_place(struct line *line, const struct config *config)
{
	add_list(line, "unshare", &config->unshare_names, false);
	add_text(line, "setup", config->setup);
	add_list(line, "setns", &config->setns, false);
	add_list(line, "setns-pid", &config->setns_pid, false);
	add_text(line, "chroot", config->chroot);
	add_list(line, "pivot-root", &config->pivot_root, false);
	add_text(line, "chdir", config->chdir);
	for (size_t i = 0; i < config->contents.count; i += 2) {
		add(line, "%s", i ? "," : " write-content=");
		add_word(line, config->contents.items[i], strlen(config->contents.items[i]));
	}
	add_text(line, "cgroup", config->cgroup);
}

static void describe_privileges(struct line *line, const struct config *config)
{
	add_list(line, "rlimit", &config->limit_texts, false);
	add_set(line, "retain-capabilities", &config->retain_names);
	add_set(line, "remove-capabilities", &config->remove_names);
	add_list(line, "ambient-capabilities", &config->ambient_names, false);
	add_text(line, "set-capabilities", config->capabilities_text);
}

size_t config_describe(const struct config *config, char *buffer, size_t size)
{
	const struct {
		unsigned set;
		const char *name;
	} flags[] = {
		{ config->listen_fds, "listen-fds" },
		{ config->detach, "detach" },
		{ config->no_fork, "no-fork" },
		{ config->no_wait, "no-wait" },
		{ config->no_argv, "no-argv" },
		{ config->no_chdir, "no-chdir" },
		{ config->no_fds, "no-fds" },
		{ config->no_umask, "no-umask" },
		{ config->no_setsid, "no-setsid" },
		{ config->no_csctty, "no-csctty" },
		{ config->client_chroot, "client-chroot" },
		{ config->root_to_current, "root-to-current" },
		{ config->setup_idmap, "setup-uidgidmap" },
		{ config->lock_securebits, "lock-securebits" },
		{ config->no_new_privs, "no-new-privs" },
		{ config->allow_insecure, "allow-insecure" },
	};
	struct line line = { buffer, size, 0, 0 };

	if (size == 0)
		return 0;
	describe_serving(&line, config);
	describe_who(&line, config);
	describe_place(&line, config);
	describe_privileges(&line, config);
	add(&line, " environment=%s",
	    config_environment_name(config->no_environment ? CONFIG_ENVIRONMENT_NONE
							   : config->environment));
	add_list(&line, "env-keep", &config->environment_keep, false);
	add_list(&line, "env-set", &config->environment_set, true);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].set)
			add(&line, " %s", flags[i].name);
	if (config->forced) {
		add(&line, " command=");
		add_words(&line, config->forced);
	}
	return line.total;
}
