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
#include <stdint.h>
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

/* How a gateway gets its clients. */
enum config_mode {
	CONFIG_MODE_LISTEN,  /* ADDRESS, or the sockets of --listen-fds */
	CONFIG_MODE_ONCE,    /* the same with -F: one client, served by this process */
	CONFIG_MODE_INETD,   /* -i: descriptor 0 is the client */
	CONFIG_MODE_EXECUTE, /* -J, -j: no client; whoever starts dived gets the program */
};

/* --rlimit: one entry a resource, in the kernel's numbering. */
struct config_limit {
	bool set;
	struct rlimit value;
};

#define CONFIG_CAPABILITIES_MAX 64 /* as many as the masks have bits */

/* Sets of capabilities; bit n is capability n. */
struct config_capabilities {
	bool set; /* -c was given */
	uint64_t effective;
	uint64_t permitted;
	uint64_t inheritable;
};

/* Who can connect at all. */
struct config_access {
	bool known;
	mode_t mode;
	uid_t uid;
};

struct namespaces;

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
	unsigned ignored; /* enum message_ignored: what dived was started with ignored */
	const int *fds;	  /* -J: open descriptors from 3 up, ascending; borrowed */
	size_t fd_count;
};

struct config {
	/* serving */
	enum config_mode mode; /* derived from the next five */
	unsigned inetd;
	unsigned listen_fds;
	unsigned just_execute; /* 1: -J; 2: -j, which implies -S -T -P */
	unsigned no_fork;
	unsigned children_daemon; /* accepted, means nothing */
	const char
		*address; /* as given: a path, or "@name"; a word for the log where there is none */
	unsigned detach;
	struct option_list pidfiles;
	mode_t socket_mode;
	bool socket_mode_set;	  /* -C was given */
	const char *socket_owner; /* -U as given, NULL for none */
	uid_t socket_uid;	  /* (uid_t)-1: unchanged */
	gid_t socket_gid;
	struct config_access passed; /* --listen-fds: see config_admit() */
	struct option_list allow;    /* --allow as given */
	bool allow_set;		     /* --allow was given: only these (and nobody else) */
	uid_t *allow_uids;	     /* owned */
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
	const char *user;   /* -u as given, NULL for the client */
	uid_t user_uid;	    /* of -u, for the checks at start-up only */
	gid_t user_gid;	    /* the same */
	bool user_nameless; /* -u is a number without a passwd entry (needs -g, and PAM off) */
	struct option_list groups; /* -g as given */
	gid_t *group_ids;	   /* owned; first is the primary group */
	size_t group_id_count;
	const char *effective_user; /* -e as given */
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

	/* where */
	struct option_list unshare_names; /* -s as given */
	unsigned unshare;		  /* bits 1 << enum namespace_kind */
	const char *setup;
	struct option_list setns;     /* -N as given */
	struct option_list setns_pid; /* --setns-pid as given */
	const char *chroot;
	struct option_list pivot_root; /* NEW, OLD */
	const char *chdir;
	unsigned client_chroot;
	unsigned root_to_current;
	struct option_list contents; /* FILE, TEXT, FILE, TEXT... as given */
	unsigned setup_idmap;	     /* -tt */
	const char *cgroup;
	int cgroup_fd;		       /* the directory; owned; -1 for none */
	int root_fd;		       /* -W: dived's root directory; owned; -1 for none */
	struct namespaces *namespaces; /* owned by main; NULL before they are made, or for none */
	bool other_ids;		       /* in a user namespace the target is not who it is here */

	/* with what privileges */
	struct option_list limit_texts;
	struct config_limit limits[RLIM_NLIMITS];
	struct option_list retain_names;
	struct option_list remove_names;
	struct option_list ambient_names;
	const char *capabilities_text;
	uint64_t bounding_drop; /* of -B or -b: capabilities to take out of the bounding set */
	uint64_t ambient;	/* of -m */
	struct config_capabilities capabilities;
	unsigned lock_securebits;
	unsigned no_new_privs;

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

/* Whether -N or --setns-pid is among the options; what else is wrong with them does not count. */
bool config_joins(char *const *argv);

/* Descriptors that a process that forks programs must keep open.  Returns how many. */
#define CONFIG_KEPT_MAX 80
size_t config_list_kept(const struct config *config, int ret[CONFIG_KEPT_MAX]);

/*
 * Resolves -U, --allow and -g again, for a reload, in two halves: the first asks name
 * services, which may hang, and writes what it has found, or why it has not, to a file;
 * the second takes that over.  On failure the config is unchanged.
 * Return: 0; -EINVAL with `error` filled, of config_adopt(); -errno.
 */
int config_resolve(const struct config *config, int fd);
int config_adopt(struct config *config, int fd, char *error, size_t error_size);

/* Accepts a zeroed or released config. */
void config_done(struct config *config);

/*
 * Whether spawns of clients other than root may be elevated under this config:
 * judged by target, -e -g -m -c, user namespace, mode and owner of the socket, and
 * --allow.
 */
bool config_may_elevate(const struct config *config);

/* Who can connect to the widest socket of the gateway: by mode and owner, without --allow. */
struct config_access config_access(const struct config *config);

/*
 * Takes note of the sockets that were passed with --listen-fds, by the widest of
 * them, and makes the safety checks that depend on it.  Before that only what no
 * socket could make safe has been refused.
 * Return: 0; -EINVAL with `error` filled.
 */
int config_admit(struct config *config, const struct config_access *access, char *error,
		 size_t error_size);

/*
 * Takes note that programs join a user namespace (-N, --setns-pid), whose ids are
 * those of others outside, and makes the safety checks that depend on it.
 * Return: 0; -EINVAL with `error` filled.
 */
int config_join_user(struct config *config, char *error, size_t error_size);

/* Whether one of -e -g -m -c is in force: every spawn then is more than its client. */
bool config_adds_privilege(const struct config *config);

/*
 * Whether `file` of -t describes a new namespace and is written once, when that is
 * made: the name without a directory ("uid_map"), or NULL.
 */
const char *config_namespace_file(const char *file);

/* The word of -l for a resource, "nofile". */
const char *config_limit_name(unsigned resource);

/* The name of a capability, "cap_chown", or its number. */
void config_capability_name(int capability, char *buffer, size_t size);

/* What the running kernel knows. */
uint64_t config_known_capabilities(void);

/* Prints the options, and the lists of limits, namespaces and capabilities that they take. */
void config_help(FILE *out);

/* Returns the word of an enum config_environment, "default" for none given. */
const char *config_environment_name(unsigned environment);

/* Writes version and effective options into one line, for the log. */
size_t config_describe(const struct config *config, char *buffer, size_t size);

/* Prints the effective gateway in words, some lines, for --check. */
void config_print(const struct config *config, FILE *out);
