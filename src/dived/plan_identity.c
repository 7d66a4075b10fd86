/*
 * plan_identity - as whom a program runs, and with what privileges.
 *
 * Capability sets start from a base: nothing for an ordinary target, what root
 * has for root, exactly what -c says, or dived's own with -P, where all is left
 * as it is.  What -m names is added to it.  The child sets the result whatever the
 * change of ids has left.
 */
#include "plan_internal.h"

#include <stdlib.h>
#include <string.h>

static void choose_ids(struct maker *maker)
{
	const struct config *config = maker->config;
	const struct account *target = maker->decision->target;
	struct plan *plan = &maker->plan;

	plan->change_ids = !config->no_setuid;
	/* Decided here: in a new user namespace everybody may look like root to the child.
	   With -P only the preparations for PAM have changed them. */
	plan->change_groups =
		plan->change_ids || (maker->decision->pam && config->inherited.uid == 0);
	plan->uid = target->uid;
	/* Without -u the client's gid is what the kernel reports, not what passwd says. */
	plan->gid = config->user ? target->gid : maker->peer->gid;
	if (config->group_id_count > 0)
		plan->gid = config->group_ids[0];
	if (config->no_setuid) {
		plan->uid = config->inherited.uid;
		plan->gid = config->inherited.gid;
	}
	plan->euid = plan->uid;
	plan->egid = plan->gid;
	if (config->effective_user) {
		plan->euid = maker->accounts->effective.uid;
		plan->egid = maker->accounts->effective.gid;
	}
}

int plan_make_identity(struct maker *maker)
{
	const struct config *config = maker->config;
	const gid_t *groups = maker->session->groups;
	size_t count = maker->session->group_count;
	struct plan *plan = &maker->plan;

	choose_ids(maker);
	if (config->no_setuid) {
		groups = config->inherited.groups;
		count = config->inherited.group_count;
	} else if (config->group_id_count > 0) {
		groups = config->group_ids;
		count = config->group_id_count;
	} else if (config->effective_user) {
		groups = maker->accounts->effective_groups;
		count = maker->accounts->effective_group_count;
	}
	plan->groups = calloc(count + 1, sizeof(*plan->groups)); /* never of size 0 */
	if (!plan->groups)
		return plan_no_memory(maker->fault);
	if (count > 0)
		memcpy(plan->groups, groups, count * sizeof(*groups));
	plan->group_count = count;
	return 0;
}

static enum plan_base choose_base(const struct config *config, const struct plan *plan)
{
	if (config->capabilities.set)
		return PLAN_CAPABILITIES_EXACT;
	if (config->no_setuid)
		return PLAN_CAPABILITIES_SAME;
	return plan->uid == 0 || plan->euid == 0 ? PLAN_CAPABILITIES_ROOT : PLAN_CAPABILITIES_NONE;
}

int plan_make_privileges(struct maker *maker)
{
	const struct config *config = maker->config;
	struct plan *plan = &maker->plan;

	plan->base = choose_base(config, plan);
	plan->capabilities = config->capabilities;
	plan->ambient = config->ambient;
	plan->bounding_drop = config->bounding_drop;
	plan->inheritable = maker->session->inheritable & ~config->bounding_drop;
	plan->lock_securebits = config->lock_securebits;
	plan->no_new_privs = config->no_new_privs;
	for (size_t i = 0; i < RLIM_NLIMITS; i++)
		plan->limits[i] =
			config->limits[i].set ? config->limits[i].value : maker->session->limits[i];
	return 0;
}
