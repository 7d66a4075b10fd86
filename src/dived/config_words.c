/*
 * config_words - the effective gateway as sentences, for --check.
 *
 * An administrator who reads this should know who can do what through the
 * gateway without knowing the option table.
 */
#include "config.h"

#include "cleanup.h"

#include <string.h>

static void say_list(FILE *out, const struct option_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		(void)fprintf(out, "%s%s", i ? ", " : " ", list->items[i]);
}

static void say_clients(const struct config *config, FILE *out)
{
	(void)fprintf(out, "gateway %s\n", config->address);
	(void)fprintf(out, "  socket: mode %04o, owner %s%s\n", (unsigned)config->socket_mode,
		      config->socket_owner ? config->socket_owner : "whoever starts dived",
		      config->address[0] == '@' ? ", applied by dived to an abstract socket" : "");
	if (config->allow_set) {
		(void)fputs("  clients: of those the socket admits only", out);
		say_list(out, &config->allow);
		(void)fputc('\n', out);
	} else {
		(void)fputs("  clients: whoever the socket's mode and owner admit\n", out);
	}
	(void)fprintf(out,
		      "  sessions: at most %u, %u for one account; before authentication %u, %u "
		      "for one account\n",
		      config->max_sessions, config->max_sessions_per_user, config->max_pending,
		      config->max_pending_per_user);
}

static void say_program(const struct config *config, FILE *out)
{
	if (config->no_setuid)
		(void)fprintf(out, "  programs run as dived does: uid %u\n", config->inherited.uid);
	else
		(void)fprintf(out, "  programs run as: %s\n",
			      config->user ? config->user : "the client itself");
	(void)fputs("  command:", out);
	for (size_t i = 0; config->forced && config->forced[i]; i++)
		(void)fprintf(out, " %s", config->forced[i]);
	if (config->no_argv)
		(void)fputs(config->forced ? ", and nothing of the client's\n"
					   : " the login shell, whatever the client asks for\n",
			    out);
	else
		(void)fputs(config->forced ? ", then the client's words\n"
					   : " what the client asks for\n",
			    out);
	(void)fprintf(out, "  environment: %s",
		      config->no_environment ? "nothing of the client's"
		      : config->environment == CONFIG_ENVIRONMENT_DEFAULT
			      ? "the client's; a safe selection of it where the spawn is elevated"
			      : config_environment_name(config->environment));
	if (config->environment_keep.count) {
		(void)fputs("; also keeping", out);
		say_list(out, &config->environment_keep);
	}
	(void)fputc('\n', out);
	static const char *const what[] = { "directory", "descriptors", "umask" };
	const unsigned withheld[] = { config->no_chdir, config->no_fds, config->no_umask };
	for (size_t i = 0; i < ARRAY_LEN(what); i++)
		(void)fprintf(out, "  %s: %s\n", what[i],
			      withheld[i] ? "not the client's" : "the client's");
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
	say_program(config, out);
	say_authentication(config, out);
	say_running(config, out);
}
