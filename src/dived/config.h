/*
 * config - the option table of dived and what comes out of it.
 *
 * config_load() turns argv into a struct config, validated once; everything
 * after it sees a const pointer.  Names of accounts and groups are resolved
 * here for validation; the target is looked up again for each spawn, since
 * accounts change while a gateway runs.
 */
#pragma once

#include "options.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#define CONFIG_ADDRESS_MAX 107 /* bytes of sun_path, less the NUL */

enum config_environment {
	CONFIG_ENVIRONMENT_DEFAULT, /* safe when elevated, else all */
	CONFIG_ENVIRONMENT_ALL,
	CONFIG_ENVIRONMENT_SAFE,
	CONFIG_ENVIRONMENT_NONE,
	CONFIG_ENVIRONMENT_SERVER,
};

enum config_authenticate {
	CONFIG_AUTHENTICATE_AUTO, /* when elevated, except a root client */
	CONFIG_AUTHENTICATE_ALWAYS,
	CONFIG_AUTHENTICATE_NEVER,
};

enum config_audit { CONFIG_AUDIT_AUTO, CONFIG_AUDIT_REQUIRE, CONFIG_AUDIT_OFF };

enum config_disconnect {
	CONFIG_DISCONNECT_HUP,
	CONFIG_DISCONNECT_KILL,
	CONFIG_DISCONNECT_IGNORE,
};

/* What dived itself was started with: the program inherits parts of it. */
struct config_inherited {
	char *const *environment;	    /* owned copy, NULL-terminated */
	struct rlimit limits[RLIM_NLIMITS]; /* before dived raised its own */
	mode_t umask;
	int directory; /* O_PATH descriptor of the start directory */
	uid_t uid;     /* effective */
	gid_t gid;
	gid_t *groups; /* supplementary; owned */
	size_t group_count;
};

struct config {
	/* serving */
	const char *address; /* as given: a path, or "@name" */
	unsigned detach;
	struct option_list pidfiles;
	mode_t socket_mode;
	const char *socket_owner; /* -U as given, NULL for none */
	uid_t socket_uid;	  /* (uid_t)-1: unchanged */
	gid_t socket_gid;
	struct option_list allow; /* --allow as given */
	bool allow_set;		  /* --allow was given: only these (and nobody else) */
	uid_t *allow_uids;	  /* owned */
	size_t allow_uid_count;
	gid_t *allow_gids; /* owned */
	size_t allow_gid_count;
	unsigned max_sessions;
	unsigned max_sessions_per_user;
	unsigned max_pending;
	unsigned max_pending_per_user;
	unsigned request_timeout; /* seconds */
	unsigned on_disconnect;	  /* enum config_disconnect */
	unsigned signals;	  /* -n */
	unsigned signals_group;	  /* --signals-pgid */
	unsigned no_wait;	  /* -w */
	unsigned check;		  /* --check */
	unsigned help;
	unsigned version;
	unsigned dump_options;
	unsigned allow_insecure;

	/* who */
	const char *user; /* -u as given, NULL for the client */
	uid_t user_uid;	  /* of -u, for the checks at start-up only */
	unsigned no_setuid;

	/* PAM */
	unsigned no_pam;
	const char *pam_service;
	const char *pam_confdir;       /* NULL for the system's */
	unsigned authenticate;	       /* enum config_authenticate */
	const char *authenticate_text; /* -a as given, NULL for none */
	const char *auth_user;	       /* "client", "target" or a name */
	unsigned auth_tries;
	unsigned auth_timeout; /* seconds; also the limit of each later PAM phase */

	/* what the client may set */
	unsigned environment; /* enum config_environment */
	struct option_list environment_keep;
	struct option_list environment_set;
	unsigned no_argv;
	unsigned no_environment;
	unsigned no_chdir;
	unsigned no_fds;
	unsigned no_umask;
	unsigned no_setsid;
	unsigned no_csctty;

	unsigned audit; /* enum config_audit */

	char *const *forced; /* words after "--", NULL-terminated; NULL for none */

	struct config_inherited inherited;
};

extern const struct option_table config_table;

/**
 * config_load() - parse and validate
 * @argv: must outlive the config
 * @ret: filled on success; released with config_done().  Where help, version
 *       or dump_options is set nothing else was validated.
 * @error: one line naming option and value, without program name
 *
 * Looks up names (NSS), reads the state of the calling process (environment,
 * limits, umask, groups, start directory) and makes dived's own umask 077.
 * A dived that is not root gets no_pam and no_setuid.
 *
 * Return: 0; -EINVAL with `error` filled; -ENOMEM.
 */
int config_load(char *const *argv, struct config *ret, char *error, size_t error_size);

/* Resolves --allow and -U again (reload).  On failure the config is unchanged. */
int config_resolve(struct config *config, char *error, size_t error_size);

/* Accepts a zeroed or released config. */
void config_done(struct config *config);

/*
 * Whether spawns of clients other than root may be elevated under this config:
 * judged by target, mode and owner of the socket, and --allow.
 */
bool config_may_elevate(const struct config *config);

/* Returns the word of an enum config_environment, "default" for none given. */
const char *config_environment_name(unsigned environment);

/* Writes version and effective options into one line, for the log. */
void config_describe(const struct config *config, char *buffer, size_t size);

/* Prints the effective gateway in words, some lines, for --check. */
void config_print(const struct config *config, FILE *out);
