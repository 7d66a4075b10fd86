/*
 * config_words - the effective gateway as sentences, for --check.
 *
 * An administrator who reads this should know who can do what through the
 * gateway without knowing the option table.
 */
#include "config.h"

#include "cleanup.h"
#include "record.h"

#include <stdlib.h>
#include <string.h>

/* A line of what is in a list, where there is anything. */
static void say_list(FILE *out, const char *what, const struct option_list *list)
{
	if (list->count == 0)
		return;
	(void)fputs(what, out);
	for (size_t i = 0; i < list->count; i++)
		(void)fprintf(out, "%s%s", i ? ", " : " ", list->items[i]);
	(void)fputc('\n', out);
}

/* The same of a text. */
static void say_text(FILE *out, const char *what, const char *text)
{
	if (text)
		(void)fprintf(out, "%s %s\n", what, text);
}

static void say_socket(const struct config *config, FILE *out)
{
	(void)fprintf(out, "  socket: mode %04o, owner %s%s\n", (unsigned)config->socket_mode,
		      config->socket_owner ? config->socket_owner : "whoever starts dived",
		      config->address[0] == '@' ? ", applied by dived to an abstract socket" : "");
}

static void say_clients(const struct config *config, FILE *out)
{
	(void)fprintf(out, "gateway %s\n", config->address);
	if (config->mode == CONFIG_MODE_EXECUTE) {
		(void)fputs("  no client: the command is executed for whoever starts dived\n", out);
		return;
	}
	if (config->mode == CONFIG_MODE_INETD)
		(void)fputs("  socket: the connection on descriptor 0, from whoever was let in "
			    "before\n",
			    out);
	else if (config->listen_fds)
		(void)fprintf(out,
			      "  sockets: those a service manager passes; mode and owner of a path "
			      "are as it made them, of an abstract one %04o and %s\n",
			      (unsigned)config->socket_mode,
			      config->socket_owner ? config->socket_owner : "whoever starts dived");
	else
		say_socket(config, out);
	if (config->mode == CONFIG_MODE_ONCE)
		(void)fputs("  serves one client, then ends with its status\n", out);
	say_list(out, "  clients: of those the socket admits only", &config->allow);
	if (!config->allow_set)
		(void)fputs("  clients: whoever the socket's mode and owner admit\n", out);
	(void)fprintf(out,
		      "  sessions: at most %u, %u for one account; before authentication %u, %u "
		      "for one account; a request within %u s\n",
		      config->max_sessions, config->max_sessions_per_user, config->max_pending,
		      config->max_pending_per_user, config->request_timeout);
}

/* Whether there is no client, so that all is of one who starts dived. */
static bool is_execution(const struct config *config)
{
	return config->mode == CONFIG_MODE_EXECUTE;
}

static void say_identity(const struct config *config, FILE *out)
{
	if (config->no_setuid)
		(void)fprintf(out, "  programs run as dived does: uid %u\n", config->inherited.uid);
	else
		(void)fprintf(out, "  programs run as: %s%s\n",
			      config->user	     ? config->user
			      : is_execution(config) ? "whoever starts dived"
						     : "the client itself",
			      config->user_nameless ? ", which has no passwd entry" : "");
	if (config->effective_user)
		(void)fprintf(out, "  effective and saved ids: those of %s\n",
			      config->effective_user);
	say_list(out, "  groups:", &config->groups);
}

/* Quoted as in records, so that words can be told apart. */
static void say_words(FILE *out, char *const *words)
{
	char none[1];
	size_t size = record_join(words, none, sizeof(none)) + 1;
	cleanup_free char *joined = malloc(size);

	if (joined)
		(void)record_join(words, joined, size);
	(void)fprintf(out, " %s", joined ? joined : "?");
}

static void say_command(const struct config *config, FILE *out)
{
	(void)fputs("  command:", out);
	if (config->forced)
		say_words(out, config->forced);
	if (is_execution(config))
		(void)fputc('\n', out);
	else if (config->no_argv)
		(void)fputs(config->forced ? ", and nothing of the client's\n"
					   : " the login shell, whatever the client asks for\n",
			    out);
	else
		(void)fputs(config->forced ? ", then the client's words\n"
					   : " what the client asks for\n",
			    out);
}

static void say_surroundings(const struct config *config, FILE *out)
{
	static const char *const what[] = { "directory", "descriptors", "umask" };
	const unsigned withheld[] = { config->no_chdir, config->no_fds, config->no_umask };
	const char *whose = is_execution(config) ? "dived's own" : "the client's";

	(void)fprintf(out, "  environment: %s\n",
		      config->no_environment ? "nothing of the client's"
		      : config->environment != CONFIG_ENVIRONMENT_DEFAULT
			      ? config_environment_name(config->environment)
		      : is_execution(config)
			      ? "dived's own"
			      : "the client's; a safe selection of it where the spawn is elevated");
	say_list(out, "  environment, also kept:", &config->environment_keep);
	/* The names: values may be long, or secret. */
	for (size_t i = 0; i < config->environment_set.count; i++) {
		const char *item = config->environment_set.items[i];

		(void)fprintf(out, "  environment, set: %.*s\n", (int)strcspn(item, "="), item);
	}
	for (size_t i = 0; i < ARRAY_LEN(what); i++)
		(void)fprintf(out, "  %s: %s%s\n", what[i], withheld[i] ? "not " : "", whose);
}

static void say_terminal(const struct config *config, FILE *out)
{
	if (config->no_setsid)
		(void)fputs("  terminal: none to control; a process group of its own, in dived's "
			    "session\n",
			    out);
	else if (config->no_csctty || config->no_fds)
		(void)fputs("  terminal: none to control; a session of its own\n", out);
	else
		(void)fprintf(out, "  terminal: %sthe one that the client gives up\n",
			      config->no_wait ? "" : "a new one, or ");
}

/* Of -t only the files: the texts may be long, or secret. */
static void say_place(const struct config *config, FILE *out)
{
	const struct option_list *pivot = &config->pivot_root;

	say_list(out, "  new namespaces, for all programs together:", &config->unshare_names);
	say_text(out, "  prepared by:", config->setup);
	if (config->setup_idmap)
		(void)fputs("  user namespace: dived's uid and gid are root in it\n", out);
	say_list(out, "  namespaces joined:", &config->setns);
	say_list(out, "  namespaces joined of process:", &config->setns_pid);
	say_text(out, "  cgroup:", config->cgroup);
	for (size_t i = 0; i < config->contents.count; i += 2)
		(void)fprintf(out, "  written before: %s\n", config->contents.items[i]);
	say_text(out, "  root directory:", config->chroot);
	if (pivot->count == 2)
		(void)fprintf(out, "  root directory: %s, mounted as such; the old one at %s\n",
			      pivot->items[0], pivot->items[1]);
	if (config->client_chroot)
		(void)fputs("  root directory: the client's, where it sends one\n", out);
	say_text(out, "  starts in:", config->chdir);
	if (config->root_to_current)
		(void)fputs("  starts in: dived's root directory\n", out);
}

static void say_privileges(const struct config *config, FILE *out)
{
	if (config->retain_names.items && config->retain_names.count == 0)
		(void)fputs("  capability bounding set: empty\n", out);
	say_list(out, "  capability bounding set: at most", &config->retain_names);
	say_list(out, "  capability bounding set: all but", &config->remove_names);
	say_list(out, "  ambient capabilities:", &config->ambient_names);
	say_text(out, "  capabilities after the change of ids:", config->capabilities_text);
	if (config->lock_securebits)
		(void)fputs("  root has no capabilities of its own: NO_SETUID_FIXUP and NOROOT are "
			    "set and locked\n",
			    out);
	if (config->no_new_privs)
		(void)fputs("  no program can gain privileges: no_new_privs is set\n", out);
	say_list(out, "  limits, over PAM's:", &config->limit_texts);
}

static void say_authentication(const struct config *config, FILE *out)
{
	static const char *const when[] = {
		[CONFIG_AUTHENTICATE_AUTO] = "where the spawn is elevated, but not of root",
		[CONFIG_AUTHENTICATE_ALWAYS] = "always",
		[CONFIG_AUTHENTICATE_NEVER] = "never",
	};
	const char *whose = strcmp(config->auth_user, "client") == 0   ? "the client"
			    : strcmp(config->auth_user, "target") == 0 ? "the target"
								       : config->auth_user;

	if (config->no_pam) {
		(void)fputs("  authentication: none; there is no PAM session\n", out);
		return;
	}
	(void)fprintf(out, "  PAM: service %s%s%s\n", config->pam_service,
		      config->pam_confdir ? " from " : "",
		      config->pam_confdir ? config->pam_confdir : "");
	(void)fprintf(out, "  authentication: %s", when[config->authenticate]);
	if (config->authenticate != CONFIG_AUTHENTICATE_NEVER)
		(void)fprintf(out, "; %s is asked, %u times, within %u s", whose,
			      config->auth_tries, config->auth_timeout);
	(void)fputc('\n', out);
}

static void say_running(const struct config *config, FILE *out)
{
	static const char *const disconnect[] = {
		[CONFIG_DISCONNECT_HUP] = "its program is hung up",
		[CONFIG_DISCONNECT_KILL] = "its program is killed",
		[CONFIG_DISCONNECT_IGNORE] = "its program goes on",
	};

	(void)fprintf(out, "  exit status: %s\n",
		      config->no_wait ? "not reported" : "reported to the client");
	(void)fprintf(out, "  a client that disconnects: %s\n", disconnect[config->on_disconnect]);
	(void)fprintf(out, "  signals: %s\n",
		      config->signals	      ? "all of the client's, to the program"
		      : config->signals_group ? "all of the client's, to the process group"
					      : "those of job control and termination; all where "
						"the spawn is not elevated or for root");
}

void config_print(const struct config *config, FILE *out)
{
	say_clients(config, out);
	say_identity(config, out);
	say_command(config, out);
	say_surroundings(config, out);
	if (!is_execution(config))
		say_terminal(config, out);
	say_place(config, out);
	say_privileges(config, out);
	if (!is_execution(config) || !config->no_pam)
		say_authentication(config, out);
	if (!is_execution(config))
		say_running(config, out);
	if (config->allow_insecure)
		(void)fputs("  what is refused as unsafe is served all the same "
			    "(--allow-insecure)\n",
			    out);
}
