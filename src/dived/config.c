/*
 * config - from argv to a validated struct config.
 *
 * Everything that can be found wrong is found here, once, before a socket
 * exists: a gateway that starts is a gateway that works as written.  Each check
 * answers with one line that names the option and the value.  Options that
 * contradict each other are an error rather than a precedence rule, because one
 * of the two is what the administrator relies on.
 *
 * Never here: anything about PAM service files (stack.c), and anything that
 * changes the system.  Of the process itself only the umask is changed, to 077:
 * whatever dived creates stays its own unless a mode is set on purpose.
 */
#include "config_internal.h"

#include "account.h"
#include "cleanup.h"
#include "environment.h"
#include "message.h"
#include "namespace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAM_SERVICE_DEFAULT "dived"

#define HOOK_GONE                                                                                  \
	"the -a program hook is gone; use pam_exec in the service for a check, "                   \
	"--setup for preparing a namespace; see the man page"

/* --- what dived was started with ------------------------------------------ */

static int copy_environment(char *const *list, char *const **ret)
{
	size_t count = 0;
	char **copy;

	while (list && list[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i]) {
			environment_done(&copy);
			return -ENOMEM;
		}
	}
	*ret = copy;
	return 0;
}

static int copy_groups(struct config_inherited *inherited)
{
	int count = getgroups(0, NULL);

	if (count < 0)
		return -errno;
	inherited->groups = calloc((size_t)count + 1, sizeof(gid_t)); /* never of size 0 */
	if (!inherited->groups)
		return -ENOMEM;
	count = getgroups(count, inherited->groups);
	if (count < 0)
		return -errno;
	inherited->group_count = (size_t)count;
	return 0;
}

/* Like nohup(1) it may have been started so that programs ignore them as well. */
static unsigned ignored_signals(void)
{
	static const struct {
		int number;
		unsigned bit;
	} signals[] = {
		{ SIGHUP, MESSAGE_IGNORED_HUP },
		{ SIGINT, MESSAGE_IGNORED_INT },
		{ SIGQUIT, MESSAGE_IGNORED_QUIT },
	};
	unsigned ignored = 0;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct sigaction action;

		if (sigaction(signals[i].number, NULL, &action) == 0 &&
		    action.sa_handler == SIG_IGN)
			ignored |= signals[i].bit;
	}
	return ignored;
}

static int inherit(struct config_inherited *inherited, const struct complaint *complaint)
{
	int error;

	inherited->umask = umask(077);
	inherited->uid = geteuid();
	inherited->gid = getegid();
	inherited->ignored = ignored_signals();
	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		if (getrlimit((__rlimit_resource_t)i, &inherited->limits[i]))
			return complain(complaint, "resource limit %u cannot be read: %s", i,
					strerror(errno));
	error = copy_environment(environ, &inherited->environment);
	if (error)
		return error;
	inherited->directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (inherited->directory < 0)
		return complain(complaint, "the current directory cannot be opened: %s",
				strerror(errno));
	error = copy_groups(inherited);
	if (error && error != -ENOMEM)
		return complain(complaint, "dived's groups cannot be read: %s", strerror(-error));
	return error;
}

/* --- checks, in the order they are made ------------------------------------ */

static int check_address(struct config *config, const struct complaint *complaint)
{
	const char *address = config->address;

	if (!address)
		return complain(complaint, "no ADDRESS given; see dived --help");
	if (!*address || strcmp(address, "@") == 0)
		return complain(complaint, "ADDRESS '%s': the name is empty", address);
	if (strlen(address) > CONFIG_ADDRESS_MAX)
		return complain(complaint, "ADDRESS %s: longer than the %d bytes a socket takes",
				address, CONFIG_ADDRESS_MAX);
	if (config->forced && (!config->forced[0] || !*config->forced[0]))
		return complain(complaint, "--: no command follows it");
	for (size_t i = 0; i < config->pidfiles.count; i++)
		if (!*config->pidfiles.items[i])
			return complain(complaint, "-p '': the name is empty");
	return 0;
}

static int check_authenticate(struct config *config, const struct complaint *complaint)
{
	static const char *const words[] = {
		[CONFIG_AUTHENTICATE_AUTO] = "auto",
		[CONFIG_AUTHENTICATE_ALWAYS] = "always",
		[CONFIG_AUTHENTICATE_NEVER] = "never",
	};

	if (!config->authenticate_text)
		return 0;
	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(config->authenticate_text, words[i]) == 0) {
			config->authenticate = i;
			return 0;
		}
	}
	return complain(complaint, "-a %s: %s", config->authenticate_text, HOOK_GONE);
}

static int check_pam(struct config *config, const struct complaint *complaint)
{
	const char *service = config->pam_service;
	const char *directory = config->pam_confdir;
	const char *asked = config->auth_user;
	struct account account;
	struct stat status;
	int error;

	/* libpam makes a path of it: "../x" would leave the directory of services. */
	if (service && (!*service || strchr(service, '/') || strcmp(service, ".") == 0 ||
			strcmp(service, "..") == 0))
		return complain(complaint, "-x '%s': not a name of a PAM service", service);
	if (directory && *directory != '/')
		return complain(complaint, "--pam-confdir '%s': not an absolute path", directory);
	if (directory && stat(directory, &status))
		return complain(complaint, "--pam-confdir %s: %s", directory, strerror(errno));
	if (directory && !S_ISDIR(status.st_mode))
		return complain(complaint, "--pam-confdir %s: not a directory", directory);
	if (!asked || strcmp(asked, "client") == 0 || strcmp(asked, "target") == 0)
		return 0;
	error = account_by_name(asked, &account);
	if (error)
		return complain_lookup(complaint, "--auth-user", asked, "account", error);
	account_done(&account);
	return 0;
}

static int check_variables(struct config *config, const struct complaint *complaint)
{
	for (size_t i = 0; i < config->environment_keep.count; i++)
		if (!environment_keep_allowed(config->environment_keep.items[i]))
			return complain(
				complaint,
				"--env-keep %s: no name of a variable that a client may set",
				config->environment_keep.items[i]);
	for (size_t i = 0; i < config->environment_set.count; i++)
		if (!environment_set_valid(config->environment_set.items[i]))
			return complain(complaint, "--env-set %s: not of the form NAME=VALUE",
					config->environment_set.items[i]);
	return 0;
}

static int check_exclusive(struct config *config, const struct complaint *complaint)
{
	const char *unchanged = config->just_execute == 2 ? "-j" : "-P";

	if (config->no_setuid && config->user)
		return complain(complaint, "-u %s: excluded by %s, which changes no ids",
				config->user, unchanged);
	if (config->no_setuid && config->groups.count > 0)
		return complain(complaint, "-g %s: excluded by %s, which changes no groups",
				config->groups.items[0], unchanged);
	if (config->no_setuid && config->effective_user)
		return complain(complaint, "-e %s: excluded by %s, which changes no ids",
				config->effective_user, unchanged);
	if (config->no_environment && config->environment != CONFIG_ENVIRONMENT_DEFAULT &&
	    config->environment != CONFIG_ENVIRONMENT_NONE)
		return complain(complaint, "--environment %s: excluded by -E, which means none",
				config_environment_name(config->environment));
	if (config->signals && config->signals_group)
		return complain(complaint, "--signals-pgid: excluded by -n");
	return 0;
}

/* With PAM off a gateway that was told to use it would let people in unasked. */
static int check_pam_wanted(const struct config *config, const char *why,
			    const struct complaint *complaint)
{
	if (config->pam_service)
		return complain(complaint, "-x %s: there is no PAM %s", config->pam_service, why);
	if (config->pam_confdir)
		return complain(complaint, "--pam-confdir %s: there is no PAM %s",
				config->pam_confdir, why);
	if (config->authenticate == CONFIG_AUTHENTICATE_ALWAYS)
		return complain(complaint, "-a always: there is no PAM %s", why);
	return 0;
}

static int check_privilege(struct config *config, const struct complaint *complaint)
{
	int error;

	if (config->no_pam) {
		error = check_pam_wanted(config, "with --no-pam", complaint);
		if (error)
			return error;
	}
	if (config->inherited.uid == 0)
		return 0;
	error = check_pam_wanted(config, "where dived does not run as root", complaint);
	if (error)
		return error;
	if (config->user && config->user_uid != config->inherited.uid)
		return complain(complaint,
				"-u %s: dived does not run as root and cannot change its ids",
				config->user);
	if (config->groups.count > 0)
		return complain(complaint,
				"-g %s: dived does not run as root and cannot change its groups",
				config->groups.items[0]);
	if (config->effective_user)
		return complain(complaint,
				"-e %s: dived does not run as root and cannot change its ids",
				config->effective_user);
	if (config->audit == CONFIG_AUDIT_REQUIRE)
		return complain(complaint, "--audit require: dived does not run as root");
	config->no_pam = 1;
	config->no_setuid = 1;
	return 0;
}

static int judge_safety(const struct config *config, const struct complaint *complaint)
{
	bool may_elevate = config_may_elevate(config);
	bool all = config->environment == CONFIG_ENVIRONMENT_ALL;
	int error = config_check_client_root(config, complaint);

	if (error) /* not a matter of --allow-insecure: it would give root away at once */
		return error;
	/* With -J environment, directory and command are of one who starts dived. */
	if (config->allow_insecure || config->mode == CONFIG_MODE_EXECUTE)
		return 0;
	if (all && may_elevate)
		return complain(complaint, "--environment all: a client would control the "
					   "environment of programs that run with more "
					   "privileges than it has (--allow-insecure permits it)");
	if (config->environment == CONFIG_ENVIRONMENT_DEFAULT && !config->no_environment)
		all = !may_elevate; /* else it is `all` only for a client of the same uid */
	if (!config->forced || *config->forced[0] == '/')
		return 0;
	if (strchr(config->forced[0], '/') && !config->no_chdir)
		return complain(complaint,
				"-- %s: not an absolute path, and the client's directory would "
				"say where it is (--allow-insecure permits it)",
				config->forced[0]);
	if (all && !strchr(config->forced[0], '/'))
		return complain(complaint,
				"-- %s: not an absolute path, and the client's PATH would say "
				"where it is (--allow-insecure permits it)",
				config->forced[0]);
	return 0;
}

/* Of sockets that are passed nothing is known yet: refused is what none would make safe. */
static int check_safety(struct config *config, const struct complaint *complaint)
{
	struct config either_way = *config;
	int error;

	if (!config->listen_fds || config->passed.known)
		return judge_safety(config, complaint);
	either_way.passed = (struct config_access){ true, 0600, 0 };
	error = judge_safety(&either_way, complaint);
	if (!error)
		return 0;
	either_way.passed.mode = 0666;
	return judge_safety(&either_way, complaint);
}

int config_admit(struct config *config, const struct config_access *access, char *error,
		 size_t error_size)
{
	config->passed = *access;
	config->passed.known = true;
	return judge_safety(config, &(struct complaint){ error, error_size });
}

int config_join_user(struct config *config, char *error, size_t error_size)
{
	config->other_ids = !config->no_setuid;
	return check_safety(config, &(struct complaint){ error, error_size });
}

/*
 * The order matters: the mode first, since it decides whether there is PAM; names
 * before what is derived from them, contradictions before -P and --no-pam are
 * implied, safety when all else is known.
 */
static int (*const checks[])(struct config *config, const struct complaint *complaint) = {
	check_authenticate,
	config_check_mode,
	check_address,
	check_exclusive,
	config_resolve_names,
	config_check_user,
	config_check_effective_user,
	check_pam,
	check_variables,
	check_privilege,
	config_check_place,
	config_check_limits,
	config_check_capabilities,
	check_safety,
};

static int validate(struct config *config, const struct complaint *complaint)
{
	config->allow_set = config->allow.count > 0;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		int error = checks[i](config, complaint);

		if (error)
			return error;
	}
	if (!config->pam_service)
		config->pam_service = PAM_SERVICE_DEFAULT;
	return 0;
}

/* --- the whole --------------------------------------------------------------- */

static const struct config config_defaults = {
	.socket_mode = CONFIG_SOCKET_MODE_UNSET,
	.socket_uid = (uid_t)-1,
	.socket_gid = (gid_t)-1,
	.user_uid = (uid_t)-1,
	.max_sessions = 1024,
	.max_sessions_per_user = 256,
	.max_pending = 64,
	.max_pending_per_user = 8,
	.request_timeout = 10,
	.auth_user = "client",
	.auth_tries = 3,
	.auth_timeout = 120,
	.cgroup_fd = -1,
	.root_fd = -1,
	.inherited.directory = -1,
};

static int parse(char *const *argv, struct config *config, const struct complaint *complaint)
{
	struct option_operands operands = { 0 };
	int error;

	if (!argv[0] || !argv[1])
		return complain(complaint, "no ADDRESS given; see dived --help");
	error = options_parse(&config_table, argv, config, &operands, complaint->text,
			      complaint->size);
	if (error)
		return error;
	config->forced = operands.rest;
	if (operands.count > 0)
		config->address = operands.operands[0];
	if (operands.count > 1)
		error = complain(complaint,
				 "%s: a second ADDRESS; a forced command is written after --",
				 operands.operands[1]);
	option_operands_done(&operands);
	return error;
}

int config_load(char *const *argv, struct config *ret, char *error, size_t error_size)
{
	const struct complaint complaint = { error, error_size };
	struct config config = config_defaults;
	int result = parse(argv, &config, &complaint);

	if (!result && !config.help && !config.version && !config.dump_options) {
		result = inherit(&config.inherited, &complaint);
		if (!result)
			result = validate(&config, &complaint);
	}
	if (result) {
		config_done(&config);
		return result;
	}
	*ret = config;
	return 0;
}

bool config_joins(char *const *argv)
{
	char error[256];
	struct config config = config_defaults;
	int r = parse(argv, &config, &(struct complaint){ error, sizeof(error) });
	bool joins = r == 0 && (config.setns.count > 0 || config.setns_pid.count > 0);

	config_done(&config);
	return joins;
}

size_t config_list_kept(const struct config *config, int ret[CONFIG_KEPT_MAX])
{
	const int own[] = { config->inherited.directory, config->cgroup_fd, config->root_fd };
	size_t count = 0;

	static_assert(ARRAY_LEN(own) + NAMESPACE_KEPT_MAX <= CONFIG_KEPT_MAX, "room for all");
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i] >= 0)
			ret[count++] = own[i];
	if (config->namespaces)
		count += namespace_list_kept(config->namespaces, ret + count);
	return count;
}

void config_done(struct config *config)
{
	/* Owned by the config; const is a promise to everybody else. */
	char **environment = (char **)(uintptr_t)config->inherited.environment;
	bool owned = environment != NULL;

	struct option_list *const lists[] = {
		&config->pidfiles,	&config->allow,		  &config->groups,
		&config->unshare_names, &config->setns,		  &config->setns_pid,
		&config->pivot_root,	&config->contents,	  &config->environment_keep,
		&config->limit_texts,	&config->environment_set, &config->retain_names,
		&config->remove_names,	&config->ambient_names,
	};
	/* In a zeroed config, which is empty too, 0 would be somebody else's. */
	int *const fds[] = { &config->inherited.directory, &config->cgroup_fd, &config->root_fd };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		option_list_done(lists[i]);
	for (size_t i = 0; owned && i < ARRAY_LEN(fds); i++)
		close_fd(fds[i]);
	free(config->allow_uids);
	free(config->allow_gids);
	free(config->group_ids);
	environment_done(&environment);
	free(config->inherited.groups);
	*config = config_defaults;
}
