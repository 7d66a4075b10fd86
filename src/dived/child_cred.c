/*
 * child_cred - the steps that make the child the target.
 *
 * Every change is read back: a setuid(2) that "succeeded" and did not happen
 * (user namespaces, seccomp filters, kernels to come) must not become a root
 * program.  See child.c for the order, credentials(7) and capabilities(7).
 */
#include "child.h"

#include <errno.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int child_groups(struct child *child)
{
	const struct plan *plan = child->plan;

	if (!plan->change_groups)
		return 0;
	return setgroups(plan->group_count, plan->groups) ? -errno : 0;
}

int child_nproc(struct child *child)
{
	const struct plan *plan = child->plan;

	if (!plan->change_ids || plan->uid == 0)
		return 0;
	return setrlimit(RLIMIT_NPROC, &plan->limits[RLIMIT_NPROC]) ? -errno : 0;
}

/* Whether they could be taken back is tried when the capabilities are gone: child_caps.c. */
int child_ids(struct child *child)
{
	const struct plan *plan = child->plan;
	uid_t uid[3];
	gid_t gid[3];

	if (!plan->change_ids)
		return 0;
	if (setresgid(plan->gid, plan->egid, plan->egid) ||
	    setresuid(plan->uid, plan->euid, plan->euid))
		return -errno;
	if (getresuid(&uid[0], &uid[1], &uid[2]) || getresgid(&gid[0], &gid[1], &gid[2]))
		return -errno;
	if (uid[0] != plan->uid || uid[1] != plan->euid || uid[2] != plan->euid)
		return -EPERM;
	if (gid[0] != plan->gid || gid[1] != plan->egid || gid[2] != plan->egid)
		return -EPERM;
	return getgroups(0, NULL) == (int)plan->group_count ? 0 : -EPERM;
}

int child_keyring(struct child *child)
{
	if (!child->plan->join_keyring)
		return 0;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS)
		return -errno;
	return 0;
}

int child_death_signal(struct child *child)
{
	if (!child->plan->death_signal)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)child->plan->death_signal, 0, 0, 0))
		return -errno;
	/* It may have died before it could have been told.  Not getppid(2): in a pid
	   namespace the parent has no number. */
	struct pollfd parent = { .fd = child->parent, .events = POLLIN };
	return child->parent >= 0 && poll(&parent, 1, 0) != 0 ? -ESRCH : 0;
}

int child_limits_raise(struct child *child)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		const struct rlimit *wanted = &child->plan->limits[i];
		struct rlimit now;

		if (getrlimit((__rlimit_resource_t)i, &now))
			return -errno;
		if (wanted->rlim_max <= now.rlim_max)
			continue;
		child->detail = (uint32_t)i;
		now.rlim_max = wanted->rlim_max;
		if (setrlimit((__rlimit_resource_t)i, &now))
			return -errno;
		child->detail = 0;
	}
	return 0;
}

int child_limits(struct child *child)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit now;

		child->detail = (uint32_t)i;
		if (setrlimit((__rlimit_resource_t)i, &child->plan->limits[i]) ||
		    getrlimit((__rlimit_resource_t)i, &now))
			return -errno;
		if (now.rlim_cur != child->plan->limits[i].rlim_cur ||
		    now.rlim_max != child->plan->limits[i].rlim_max)
			return -EPERM;
	}
	return 0;
}
