/*
 * child_caps - the steps about securebits and capabilities.
 *
 * What the child has at each moment: until the ids change, all that the session
 * has.  Then the kernel takes the effective set, and the permitted one too unless
 * it is told to keep it.  The exact sets are put in place right after, and from
 * there on no step needs a capability.  Everything that is set is read back: see
 * capabilities(7).
 */
#include "child.h"

#include "capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOCKED_BITS                                                                                \
	(SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT |                  \
	 SECBIT_NOROOT_LOCKED)

/* Those that are locked stay as they are; whatever is not is as after a login. */
static int login_bits(int now)
{
	int kept = 0;

	for (int i = SECURE_NOROOT; i <= SECURE_NO_CAP_AMBIENT_RAISE; i += 2) {
		int value = 1 << i;
		int lock = 1 << (i + 1);

		if (now & lock)
			kept |= now & (value | lock);
		now &= ~(value | lock);
	}
	return kept | now; /* bits of later kernels restrict exec; a login leaves them, too */
}

static bool must_keep(const struct plan *plan)
{
	const struct config_capabilities *sets = &plan->capabilities;

	return plan->change_ids &&
	       (plan->ambient || (plan->base == PLAN_CAPABILITIES_EXACT &&
				  (sets->effective | sets->permitted | sets->inheritable)));
}

int child_securebits(struct child *child)
{
	const struct plan *plan = child->plan;
	int now = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);

	if (now < 0)
		return -errno;
	int wanted = plan->change_ids ? login_bits(now) : now;
	if (plan->lock_securebits)
		wanted |= LOCKED_BITS;
	if (wanted != now) {
		if (prctl(PR_SET_SECUREBITS, (unsigned long)wanted, 0, 0, 0))
			return -errno;
		if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != wanted)
			return -EPERM;
	}
	if (must_keep(plan) && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	return 0;
}

int child_bounding(struct child *child)
{
	for (int i = 0; i < CONFIG_CAPABILITIES_MAX; i++) {
		if (!capability_has(child->plan->bounding_drop, i))
			continue;
		if (prctl(PR_CAPBSET_DROP, (unsigned long)i, 0, 0, 0))
			return -errno;
		if (prctl(PR_CAPBSET_READ, (unsigned long)i, 0, 0, 0) != 0)
			return -EPERM;
	}
	return 0;
}

static int raise_ambient(uint64_t ambient)
{
	for (int i = 0; i < CONFIG_CAPABILITIES_MAX; i++) {
		unsigned long capability = (unsigned long)i;

		if (!capability_has(ambient, i))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))
			return -errno;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) != 1)
			return -EPERM;
	}
	return 0;
}

/* Ids that can be taken back have not been given up. */
static int check_no_return(const struct plan *plan, const struct capability_sets *sets)
{
	if (!plan->change_ids || plan->uid == 0 || plan->euid == 0 ||
	    capability_has(sets->effective, CAP_SETUID))
		return 0;
	return setuid(0) == 0 ? -EPERM : 0;
}

int child_capabilities(struct child *child)
{
	const struct plan *plan = child->plan;
	struct capability_sets sets;
	int r = capability_read(&sets);

	if (r)
		return r;
	switch (plan->base) {
	case PLAN_CAPABILITIES_SAME:
		if (!plan->ambient)
			return 0;
		break;
	case PLAN_CAPABILITIES_NONE:
		sets = (struct capability_sets){ .inheritable = plan->inheritable };
		break;
	case PLAN_CAPABILITIES_ROOT:
		sets.inheritable = 0;
		break;
	case PLAN_CAPABILITIES_EXACT:
		sets = (struct capability_sets){ plan->capabilities.effective,
						 plan->capabilities.permitted,
						 plan->capabilities.inheritable };
		break;
	}
	sets.permitted |= plan->ambient;
	sets.inheritable |= plan->ambient;
	if (plan->base != PLAN_CAPABILITIES_SAME &&
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno; /* EINVAL: a kernel that has no ambient set */
	r = capability_write(&sets);
	if (r == 0)
		r = raise_ambient(plan->ambient);
	if (r == 0)
		r = check_no_return(plan, &sets);
	return r;
}

int child_no_new_privs(struct child *child)
{
	if (!child->plan->no_new_privs)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
}
