/*
 * config_mode - how a gateway gets its clients, and what makes no sense then.
 *
 * Four ways, of which one is chosen: a socket of dived's own, sockets that a
 * service manager passes, one connection on descriptor 0, or no client at all.
 * An option that would have no effect in the way chosen is refused: whoever wrote
 * `--allow` or `-C` relies on it.
 */
#include "config_internal.h"

#include "cleanup.h"

#include <string.h>

#define SOCKET_MODE_DEFAULT 0600

/* Returns the option that was written, or NULL for a gateway with an ADDRESS. */
static const char *way_of(const struct config *config)
{
	return config->inetd		   ? "-i"
	       : config->just_execute == 2 ? "-j"
	       : config->just_execute	   ? "-J"
	       : config->listen_fds	   ? "--listen-fds"
					   : NULL;
}

static int choose(struct config *config, const struct complaint *complaint)
{
	const char *way = way_of(config);

	/* way_of() names the first of them in this order. */
	if (config->inetd && config->just_execute)
		return complain(complaint, "%s: excluded by -i",
				config->just_execute == 2 ? "-j" : "-J");
	if (config->listen_fds && (config->inetd || config->just_execute))
		return complain(complaint, "--listen-fds: excluded by %s", way);
	if (config->address && way)
		return complain(complaint, "ADDRESS %s: excluded by %s", config->address, way);
	if (config->no_fork && (config->inetd || config->just_execute))
		return complain(complaint, "-F: excluded by %s", way);
	config->mode = config->just_execute ? CONFIG_MODE_EXECUTE
		       : config->inetd	    ? CONFIG_MODE_INETD
		       : config->no_fork    ? CONFIG_MODE_ONCE
					    : CONFIG_MODE_LISTEN;
	if (way)
		config->address = config->just_execute ? "-J" : way;
	return 0;
}

/* Of a socket that is not dived's own, owner and mode are somebody else's business. */
static int check_socket(struct config *config, const struct complaint *complaint)
{
	const char *way = way_of(config);
	bool given = config->socket_mode != CONFIG_SOCKET_MODE_UNSET;

	/* Among sockets that are passed may be abstract ones, for which dived looks at both. */
	if (given && way && !config->listen_fds)
		return complain(complaint, "-C %04o: excluded by %s, which makes no socket",
				(unsigned)config->socket_mode, way);
	if (config->socket_owner && way && !config->listen_fds)
		return complain(complaint, "-U %s: excluded by %s, which makes no socket",
				config->socket_owner, way);
	if (config->detach && (config->inetd || config->just_execute))
		return complain(complaint, "-d: excluded by %s, which serves nobody after that",
				way);
	config->socket_mode_set = given;
	if (!given)
		config->socket_mode = SOCKET_MODE_DEFAULT;
	return 0;
}

/* Without a client there is nobody to admit, ask or report to. */
static int check_clientless(const struct config *config, const struct complaint *complaint)
{
	const struct {
		bool given;
		const char *option;
	} options[] = {
		{ config->client_chroot, "-r" },
		{ config->no_wait, "-w" },
		{ config->signals, "-n" },
		{ config->signals_group, "--signals-pgid" },
		{ config->no_argv, "-A" },
		{ config->on_disconnect != CONFIG_DISCONNECT_HUP, "--on-disconnect" },
		{ config->authenticate == CONFIG_AUTHENTICATE_ALWAYS, "-a always" },
	};
	const char *way = way_of(config);

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].given)
			return complain(complaint, "%s: excluded by %s, which serves no client",
					options[i].option, way);
	if (config->allow.count > 0)
		return complain(complaint, "--allow %s: excluded by %s, which serves no client",
				config->allow.items[0], way);
	if (strcmp(config->auth_user, "client") != 0)
		return complain(complaint, "--auth-user %s: excluded by %s, which asks nobody",
				config->auth_user, way);
	if (!config->forced)
		return complain(complaint, "%s: needs a command, written after --", way);
	return 0;
}

int config_check_mode(struct config *config, const struct complaint *complaint)
{
	int error = choose(config, complaint);

	if (!error)
		error = check_socket(config, complaint);
	if (error || config->mode != CONFIG_MODE_EXECUTE)
		return error;
	error = check_clientless(config, complaint);
	if (error)
		return error;
	if (config->just_execute == 2)
		config->no_setsid = config->no_csctty = config->no_setuid = 1;
	/* Whoever starts it is not asked; a session is opened where a service is named. */
	if (!config->pam_service && !config->pam_confdir)
		config->no_pam = 1;
	if (config->no_pam && config->audit == CONFIG_AUDIT_REQUIRE)
		return complain(complaint,
				"--audit require: without PAM, nothing is recorded with %s",
				way_of(config));
	return 0;
}
