/*
 * gateway - checks before anything is served, and the records of start and stop.
 *
 * A gateway that starts is a gateway that works as written.  What options ask of
 * the kernel is therefore looked at here, once: a container's reduced root, a
 * user namespace that holds one id, a system without /proc.  Each check answers
 * with what is missing and, where there is one, the option that does without.
 */
#include "gateway.h"

#include "capability.h"
#include "cleanup.h"
#include "log.h"
#include "namespace.h"
#include "record.h"
#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

struct place {
	const struct config *config;
	uint64_t effective;
	char *error;
	size_t size;
};

static int __attribute__((format(printf, 2, 3)))
lacks(const struct place *place, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(place->error, place->size, format, list); /* may be cut */
	va_end(list);
	return -EINVAL;
}

static int read_capabilities(struct place *place)
{
	struct capability_sets sets;
	int r = capability_read(&sets);

	if (r)
		return lacks(place, "capabilities cannot be read: %s", strerror(-r));
	place->effective = sets.effective;
	return 0;
}

static int check_proc(struct place *place)
{
	const struct config *config = place->config;
	struct statfs info;

	if (statfs("/proc", &info) == 0 && info.f_type == PROC_SUPER_MAGIC)
		return 0;
	if (config->mode != CONFIG_MODE_EXECUTE)
		return lacks(place, "/proc is not mounted, and without it nothing is known of a "
				    "client");
	if (!config->no_pam)
		return lacks(place, "--pam-service: /proc is not mounted, which PAM modules need");
	if (config->unshare || config->setns.count || config->setns_pid.count)
		return lacks(place, "-s, -N, --setns-pid: /proc is not mounted, where namespaces "
				    "are found");
	if (config->contents.count)
		return lacks(place, "-t: /proc is not mounted, through which files are opened");
	return 0;
}

static bool makes_user_namespace(const struct config *config)
{
	return config->unshare & NAMESPACE_BIT(NAMESPACE_USER);
}

/* By the session, outside of whatever namespace: the target's, for modules as well. */
static bool sets_groups(const struct config *config)
{
	return !config->no_setuid || !config->no_pam;
}

/* What capability an option takes; inside a new user namespace there are all. */
static int check_capabilities(struct place *place)
{
	const struct config *config = place->config;
	bool inside = makes_user_namespace(config);
	bool joins = config->setns.count || config->setns_pid.count;
	const struct {
		bool needed;
		int capability;
		const char *what;
	} needs[] = {
		{ !config->no_setuid && !inside, CAP_SETUID,
		  "CAP_SETUID, to run programs as others (-P does without)" },
		{ sets_groups(config), CAP_SETGID,
		  "CAP_SETGID, to set groups (-P with --no-pam does without)" },
		{ !config->no_setuid && !inside && !gateway_is_unrecorded(config), CAP_KILL,
		  "CAP_KILL, to pass signals on to programs of others (-P does without)" },
		{ config->unshare && !inside, CAP_SYS_ADMIN,
		  "CAP_SYS_ADMIN, for -s (-s user,... with -tt does without)" },
		{ joins, CAP_SYS_ADMIN, "CAP_SYS_ADMIN, for -N and --setns-pid" },
		{ (config->chroot || config->client_chroot) && !inside && !joins, CAP_SYS_CHROOT,
		  "CAP_SYS_CHROOT, for -R and -r" },
		{ config->pivot_root.count && !inside && !joins, CAP_SYS_ADMIN,
		  "CAP_SYS_ADMIN, for -V" },
	};

	for (size_t i = 0; i < ARRAY_LEN(needs); i++)
		if (needs[i].needed && !capability_has(place->effective, needs[i].capability))
			return lacks(place, "dived lacks %s", needs[i].what);
	return 0;
}

/* user_namespaces(7): where it says "deny", setgroups(2) fails whatever the capabilities. */
static int check_setgroups(struct place *place)
{
	char text[8] = "";
	cleanup_fd int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);

	if (!sets_groups(place->config) || fd < 0)
		return 0; /* a kernel without user namespaces has no such file */
	if (read(fd, text, sizeof(text) - 1) < 0 || strncmp(text, "deny", 4) != 0)
		return 0;
	return lacks(place, "setgroups(2) is denied in this user namespace, so no groups can be "
			    "set (-P with --no-pam does without)");
}

/* Holds one target against the map of a user namespace. */
static int check_map(const struct config *config, const struct namespace_map *uids,
		     const struct namespace_map *gids, const char *where, char *error, size_t size)
{
	uid_t uid = config->user ? config->user_uid : (uid_t)-1;
	gid_t gid = config->group_id_count ? config->group_ids[0]
		    : config->user	   ? config->user_gid
					   : (gid_t)-1;

	if (config->no_setuid)
		return 0;
	if (uid != (uid_t)-1 && !namespace_map_holds(uids, uid)) {
		(void)snprintf(error, size, "-u %s: %s holds no user id %u", config->user, where,
			       (unsigned)uid);
		return -EINVAL;
	}
	if (gid != (gid_t)-1 && !namespace_map_holds(gids, gid)) {
		(void)snprintf(error, size, "%s %s: %s holds no group id %u",
			       config->group_id_count ? "-g" : "-u",
			       config->group_id_count ? config->groups.items[0] : config->user,
			       where, (unsigned)gid);
		return -EINVAL;
	}
	if (!uids->count) {
		(void)snprintf(error, size,
			       "%s holds no ids: map some with -tt or -t uid_map and "
			       "-t gid_map, or change none with -P",
			       where);
		return -EINVAL;
	}
	return 0;
}

static int check_own_maps(struct place *place)
{
	struct namespace_map uids = { 0 };
	struct namespace_map gids = { 0 };
	int r = 0;

	/* A kernel without user namespaces holds every id. */
	if (namespace_map_read("/proc/self/uid_map", &uids) == 0 &&
	    namespace_map_read("/proc/self/gid_map", &gids) == 0)
		r = check_map(place->config, &uids, &gids, "dived's own user namespace",
			      place->error, place->size);
	free(uids.ranges);
	free(gids.ranges);
	return r;
}

int gateway_check_place(const struct config *config, char *error, size_t size)
{
	struct place place = { .config = config, .error = error, .size = size };
	int (*const checks[])(struct place *) = { check_proc, read_capabilities, check_capabilities,
						  check_setgroups, check_own_maps };

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		int r = checks[i](&place);

		if (r)
			return r;
	}
	return 0;
}

int gateway_check_maps(const struct config *config, char *error, size_t size)
{
	const struct namespaces *namespaces = config->namespaces;

	if (!namespaces || !namespaces->user_made)
		return 0;
	return check_map(config, &namespaces->uids, &namespaces->gids, "the new user namespace",
			 error, size);
}

int gateway_check_cgroup(const struct config *config, char *error, size_t size)
{
	int fd = -1;
	FILE *list;
	bool inside = false;
	char own[16];
	char line[16];

	if (config->cgroup_fd < 0 || config->on_disconnect != CONFIG_DISCONNECT_KILL)
		return 0;
	fd = openat(config->cgroup_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopen(fd, "r");
	if (!list) {
		close_fd(&fd);
		return 0; /* as unreadable as for a program that would start there */
	}
	(void)snprintf(own, sizeof(own), "%d\n", getpid()); /* fits */
	while (!inside && fgets(line, sizeof(line), list))
		inside = strcmp(line, own) == 0;
	(void)fclose(list); /* read only */
	if (!inside)
		return 0;
	(void)snprintf(error, size,
		       "--on-disconnect kill: dived itself is in the cgroup %s and would be "
		       "killed by the first client that goes",
		       config->cgroup);
	return -EINVAL;
}

static void warn_options(const struct config *config)
{
	struct stack stack;
	char error[256];

	if (config->inherited.uid != 0)
		log_warning("%s: not root: no PAM, and every program runs as uid %u, whoever the "
			    "client is",
			    config->address, config->inherited.uid);
	else if (config->no_pam && config_may_elevate(config) &&
		 (config->mode == CONFIG_MODE_INETD || (config_access(config).mode & 0022)))
		log_warning("%s: --no-pam: whoever may connect gets the target account without "
			    "being asked",
			    config->address);
	if (config->no_pam ||
	    stack_read(config->pam_service, config->pam_confdir, &stack, error, sizeof(error)))
		return;
	if (stack_find(&stack, "pam_loginuid.so", NULL))
		log_warning("%s: the service %s uses pam_loginuid, which replaces the login uid of "
			    "whoever connects by the target's, in the records of PAM; remove it",
			    config->address, config->pam_service);
	stack_done(&stack);
}

bool gateway_is_unrecorded(const struct config *config)
{
	return config->mode == CONFIG_MODE_EXECUTE && config->no_pam;
}

int gateway_tie(struct config *config, struct namespaces *ret, char *error, size_t size)
{
	if (!config->unshare && !config->setns.count && !config->setns_pid.count)
		return 0;
	int r = namespace_tie(config, ret, error, size);

	if (r == -ENOMEM)
		(void)snprintf(error, size, "out of memory");
	if (r)
		return r;
	config->namespaces = ret;
	return ret->user_joined ? config_join_user(config, error, size) : 0;
}

static void warn_audit(const struct config *config, const struct gateway_audit *found)
{
	if (config->audit == CONFIG_AUDIT_AUTO && found->state != AUDIT_STATE_ENABLED)
		log_warning("%s: kernel auditing is %s: records go to syslog%s", config->address,
			    audit_state_name(found->state),
			    found->state == AUDIT_STATE_UNKNOWN ? " as well" : " alone");
	if (found->login_uid_fixed)
		log_warning("%s: dived has a login uid, which the kernel does not let it replace "
			    "by another (loginuid_immutable): clients who have another are refused",
			    config->address);
}

/* Asks the kernel.  With -J whoever starts dived is the client as well. */
static struct gateway_audit ask(const struct config *config)
{
	struct gateway_audit found;
	struct audit audit;

	(void)audit_init((enum config_audit)config->audit, &audit);
	found.state = audit_query(&audit);
	found.login_uid_fixed = config->mode != CONFIG_MODE_EXECUTE &&
				found.state == AUDIT_STATE_ENABLED &&
				audit_login_uid_is_fixed(&audit);
	audit_done(&audit);
	return found;
}

int gateway_check_audit(const struct config *config, bool warn, struct gateway_audit *ret,
			char *error, size_t size)
{
	struct gateway_audit found = ask(config);
	enum audit_state state = found.state;

	/* Else every single spawn would be refused. */
	if (state == AUDIT_STATE_ENABLED && config->audit != CONFIG_AUDIT_OFF) {
		struct place place = { .config = config, .error = error, .size = size };
		int r = read_capabilities(&place);

		if (r)
			return r;
		if (!capability_has(place.effective, CAP_AUDIT_WRITE))
			return lacks(&place, "dived lacks CAP_AUDIT_WRITE, to write audit records "
					     "(--audit off does without)");
	}
	if (audit_demand((enum config_audit)config->audit, state, true) ==
	    AUDIT_DEMAND_REFUSE_STATE) {
		(void)snprintf(
			error, size,
			config->audit == CONFIG_AUDIT_REQUIRE
				? "--audit require: kernel auditing is %s"
				: "whether the kernel audits is %s (--audit off does without)",
			audit_state_name(state));
		return -EINVAL;
	}
	if (ret)
		*ret = found;
	if (warn) {
		warn_options(config);
		warn_audit(config, &found);
	}
	return 0;
}

void gateway_record(const struct config *config, bool start, enum gateway_sinks sinks)
{
	enum config_audit mode =
		sinks & GATEWAY_KERNEL ? (enum config_audit)config->audit : CONFIG_AUDIT_OFF;
	char text[RECORD_TEXT_MAX]; /* a record takes no more */
	struct audit audit;
	size_t total = config_describe(config, text, sizeof(text));

	(void)audit_init(mode, &audit); /* or there is the log */
	audit_gateway(&audit, config->address, start, text, total, sinks & GATEWAY_LOG);
	audit_done(&audit);
}
