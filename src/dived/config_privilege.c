/*
 * config_privilege - as whom programs run and with what, judged at start-up.
 *
 * A gateway that starts is one that works as written: a capability that dived
 * does not hold itself, or a limit that it cannot raise, is an error here rather
 * than a refusal of each program.  A new or joined user namespace brings
 * capabilities of its own, so with one of these only the child can tell.
 *
 * Names of capabilities are compared here: cap_from_name(3) stops reading where
 * the name ends, and takes "cap_chown+p" for cap_chown.
 */
#include "config_internal.h"

#include "account.h"
#include "capability.h"
#include "cleanup.h"
#include "namespace.h"
#include "parse.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* --- accounts ------------------------------------------------------------------ */

/* A number without an entry: nobody's groups and no PAM session can be found for it. */
static int check_nameless(struct config *config, const struct complaint *complaint)
{
	uint32_t id;

	if (parse_id(config->user, &id))
		return complain_lookup(complaint, "-u", config->user, "account", -EINVAL);
	if (!config->no_pam || config->group_id_count == 0)
		return complain(complaint,
				"-u %s: this number has no passwd entry; it needs -g, and PAM off",
				config->user);
	config->user_uid = id;
	config->user_gid = config->group_ids[0];
	config->user_nameless = true;
	return 0;
}

int config_check_user(struct config *config, const struct complaint *complaint)
{
	struct account account;
	int error;

	if (!config->user)
		return 0;
	error = account_by_text(config->user, &account);
	if (error == -ENOENT && parse_is_number(config->user))
		return check_nameless(config, complaint);
	if (error)
		return complain_lookup(complaint, "-u", config->user, "account", error);
	config->user_uid = account.uid;
	config->user_gid = account.gid;
	account_done(&account);
	return 0;
}

int config_check_effective_user(struct config *config, const struct complaint *complaint)
{
	struct account account;
	int error;

	if (!config->effective_user)
		return 0;
	error = account_by_text(config->effective_user, &account);
	if (error)
		return complain_lookup(complaint, "-e", config->effective_user, "account", error);
	account_done(&account);
	return 0;
}

/* --- what dived holds itself ------------------------------------------------------- */

static int own_sets(struct capability_sets *ret, const struct complaint *complaint)
{
	int r = capability_read(ret);

	return r ? complain(complaint, "dived's own capabilities cannot be read: %s", strerror(-r))
		 : 0;
}

/* --- limits ------------------------------------------------------------------------ */

static const char *const limit_names[RLIM_NLIMITS] = {
	[RLIMIT_AS] = "as",
	[RLIMIT_CORE] = "core",
	[RLIMIT_CPU] = "cpu",
	[RLIMIT_DATA] = "data",
	[RLIMIT_FSIZE] = "fsize",
	[RLIMIT_LOCKS] = "locks",
	[RLIMIT_MEMLOCK] = "memlock",
	[RLIMIT_MSGQUEUE] = "msgqueue",
	[RLIMIT_NICE] = "nice",
	[RLIMIT_NOFILE] = "nofile",
	[RLIMIT_NPROC] = "nproc",
	[RLIMIT_RSS] = "rss",
	[RLIMIT_RTPRIO] = "rtprio",
	[RLIMIT_RTTIME] = "rttime",
	[RLIMIT_SIGPENDING] = "sigpending",
	[RLIMIT_STACK] = "stack",
};

const char *config_limit_name(unsigned resource)
{
	return resource < ARRAY_LEN(limit_names) && limit_names[resource] ? limit_names[resource]
									  : "?";
}

static int find_limit(const char *name)
{
	uint64_t number;

	if (parse_uint(name, 0, RLIM_NLIMITS - 1, &number) == 0)
		return (int)number;
	for (unsigned i = 0; i < ARRAY_LEN(limit_names); i++)
		if (limit_names[i] && strcmp(limit_names[i], name) == 0)
			return (int)i;
	return -1;
}

static int parse_value(const char *text, rlim_t *ret)
{
	uint64_t value = RLIM_INFINITY;

	if (strcmp(text, "unlimited") != 0 &&
	    parse_uint(text, 0, (uint64_t)RLIM_INFINITY - 1, &value))
		return -EINVAL;
	*ret = value;
	return 0;
}

/* Splits "NAME=HARD[:SOFT]" in place.  Returns NULL, or what is wrong with it. */
static const char *parse_limit(char *text, int *ret_resource, struct rlimit *ret)
{
	char *hard = strchr(text, '=');

	if (!hard)
		return "not of the form NAME=HARD[:SOFT]";
	*hard++ = '\0';
	char *soft = strchr(hard, ':');
	if (soft)
		*soft++ = '\0';
	*ret_resource = find_limit(text);
	if (*ret_resource < 0)
		return "no resource limit has this name or number";
	if (parse_value(hard, &ret->rlim_max) || parse_value(soft ? soft : hard, &ret->rlim_cur))
		return "neither a number nor \"unlimited\"";
	if (ret->rlim_cur > ret->rlim_max)
		return "the soft limit is above the hard one";
	return NULL;
}

static int check_limit(struct config *config, const char *text, bool may_raise,
		       const struct complaint *complaint)
{
	cleanup_free char *copy = strdup(text);
	struct rlimit limit;
	int resource;

	if (!copy)
		return -ENOMEM;
	const char *wrong = parse_limit(copy, &resource, &limit);
	if (wrong)
		return complain(complaint, "-l %s: %s", text, wrong);
	if (config->limits[resource].set)
		return complain(complaint, "-l %s: a limit of %s is given twice", text,
				config_limit_name((unsigned)resource));
	rlim_t now = config->inherited.limits[resource].rlim_max;
	if (limit.rlim_max > now && !may_raise)
		return complain(complaint,
				"-l %s: dived's own hard limit of %llu is lower, and it cannot "
				"raise it without cap_sys_resource",
				text, (unsigned long long)now);
	config->limits[resource] = (struct config_limit){ true, limit };
	return 0;
}

int config_check_limits(struct config *config, const struct complaint *complaint)
{
	struct capability_sets own;
	int error;

	if (config->limit_texts.count == 0)
		return 0;
	error = own_sets(&own, complaint);
	for (size_t i = 0; !error && i < config->limit_texts.count; i++)
		error = check_limit(config, config->limit_texts.items[i],
				    capability_has(own.effective, CAP_SYS_RESOURCE), complaint);
	return error;
}

/* --- capabilities ----------------------------------------------------------------- */

/* Fails where the number is no capability: see PR_CAPBSET_READ in prctl(2). */
static bool is_known(int capability)
{
	return prctl(PR_CAPBSET_READ, (unsigned long)capability, 0, 0, 0) >= 0;
}

void config_capability_name(int capability, char *buffer, size_t size)
{
	char *name = cap_to_name(capability);

	if (name)
		(void)snprintf(buffer, size, "%s", name); /* cut where there is no room */
	else
		(void)snprintf(buffer, size, "%d", capability);
	(void)cap_free(name); /* fails only for what is no name, NULL for one */
}

uint64_t config_known_capabilities(void)
{
	uint64_t known = 0;

	for (int i = 0; i < CONFIG_CAPABILITIES_MAX; i++)
		if (is_known(i))
			known |= UINT64_C(1) << i;
	return known;
}

/* Returns the number of a capability that is named or numbered, or -1. */
static int find_capability(const char *text)
{
	uint64_t number;

	if (parse_is_number(text))
		return parse_uint(text, 0, CONFIG_CAPABILITIES_MAX - 1, &number) ? -1 : (int)number;
	for (int i = 0; i < CONFIG_CAPABILITIES_MAX; i++) {
		char name[64];

		config_capability_name(i, name, sizeof(name));
		if (strcasecmp(name, text) == 0 ||
		    (strncmp(name, "cap_", 4) == 0 && strcasecmp(name + 4, text) == 0))
			return i;
	}
	return -1;
}

/* The lowest capability of a set that is not empty. */
static const char *first_name(uint64_t mask, char *buffer, size_t size)
{
	config_capability_name(__builtin_ctzll(mask), buffer, size);
	return buffer;
}

static int parse_names(const char *option, const struct option_list *names, uint64_t *ret,
		       const struct complaint *complaint)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < names->count; i++) {
		int capability = find_capability(names->items[i]);

		if (capability < 0)
			return complain(complaint, "%s %s: no capability", option, names->items[i]);
		if (!is_known(capability))
			return complain(complaint,
					"%s %s: the running kernel has no such capability", option,
					names->items[i]);
		mask |= UINT64_C(1) << capability;
	}
	*ret = mask;
	return 0;
}

static int check_bounding(struct config *config, const struct complaint *complaint)
{
	uint64_t listed = 0;
	int error;

	if (config->retain_names.items && config->remove_names.items)
		return complain(complaint, "-b: excluded by -B");
	if (config->retain_names.items) {
		error = parse_names("-B", &config->retain_names, &listed, complaint);
		config->bounding_drop = config_known_capabilities() & ~listed;
	} else {
		error = parse_names("-b", &config->remove_names, &listed, complaint);
		config->bounding_drop = listed;
	}
	return error;
}

/* The bits of one flag of a set.  A capability above libcap's limit is not in it. */
static uint64_t set_bits(cap_t set, cap_flag_t flag)
{
	uint64_t mask = 0;

	for (int i = 0; i < CONFIG_CAPABILITIES_MAX; i++) {
		cap_flag_value_t value = CAP_CLEAR;

		if (cap_get_flag(set, i, flag, &value) == 0 && value == CAP_SET)
			mask |= UINT64_C(1) << i;
	}
	return mask;
}

static int check_set_text(struct config *config, const struct complaint *complaint)
{
	struct config_capabilities *sets = &config->capabilities;
	const char *text = config->capabilities_text;
	char name[64];
	cap_t set;

	if (!text)
		return 0;
	set = *text ? cap_from_text(text) : NULL;
	if (!set)
		return *text && errno == ENOMEM
			       ? -ENOMEM
			       : complain(complaint, "-c '%s': not of the form of cap_from_text(3)",
					  text);
	*sets = (struct config_capabilities){
		.set = true,
		.effective = set_bits(set, CAP_EFFECTIVE),
		.permitted = set_bits(set, CAP_PERMITTED),
		.inheritable = set_bits(set, CAP_INHERITABLE),
	};
	(void)cap_free(set); /* fails only for what is no set */
	uint64_t unknown = (sets->effective | sets->permitted | sets->inheritable) &
			   ~config_known_capabilities();
	if (unknown)
		return complain(complaint, "-c %s: the running kernel has no capability %s", text,
				first_name(unknown, name, sizeof(name)));
	uint64_t useless = sets->effective & ~sets->permitted;
	if (useless)
		return complain(complaint, "-c %s: %s is effective and not permitted", text,
				first_name(useless, name, sizeof(name)));
	return 0;
}

/* Neither ambient nor inheritable is what the bounding set does not hold: capabilities(7). */
static int check_dropped(const struct config *config, const struct complaint *complaint)
{
	const char *option = config->retain_names.items ? "-B" : "-b";
	uint64_t ambient = config->ambient & config->bounding_drop;
	uint64_t inheritable = config->capabilities.inheritable & config->bounding_drop;
	char name[64];

	if (ambient)
		return complain(complaint, "-m %s: excluded by %s, which drops it",
				first_name(ambient, name, sizeof(name)), option);
	if (inheritable)
		return complain(complaint,
				"-c %s: inheritable %s is excluded by %s, which drops it",
				config->capabilities_text,
				first_name(inheritable, name, sizeof(name)), option);
	return 0;
}

static int check_power(const struct config *config, const struct complaint *complaint)
{
	const struct config_capabilities *sets = &config->capabilities;
	struct capability_sets own;
	char name[64];
	int error;

	if (config_changed_namespaces(config) & NAMESPACE_BIT(NAMESPACE_USER))
		return 0;
	error = own_sets(&own, complaint);
	if (error)
		return error;
	uint64_t missing = config->ambient & ~own.permitted;
	if (missing)
		return complain(complaint, "-m %s: dived itself does not have it",
				first_name(missing, name, sizeof(name)));
	missing = (sets->permitted | sets->inheritable) & ~own.permitted;
	if (missing)
		return complain(complaint, "-c %s: dived itself does not have %s",
				config->capabilities_text, first_name(missing, name, sizeof(name)));
	if (capability_has(own.effective, CAP_SETPCAP))
		return 0;
	if (config->bounding_drop)
		return complain(complaint, "%s: dived needs cap_setpcap for it",
				config->retain_names.items ? "-B" : "-b");
	if (config->lock_securebits)
		return complain(complaint, "-L: dived needs cap_setpcap for it");
	return 0;
}

int config_check_capabilities(struct config *config, const struct complaint *complaint)
{
	int error = check_bounding(config, complaint);

	if (!error)
		error = parse_names("-m", &config->ambient_names, &config->ambient, complaint);
	if (!error)
		error = check_set_text(config, complaint);
	if (!error)
		error = check_dropped(config, complaint);
	if (!error)
		error = check_power(config, complaint);
	return error;
}
