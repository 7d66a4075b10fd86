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
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int child_groups(struct child *child)
{
	const struct plan *plan = child->plan;

	if (!plan->change_ids && geteuid() != 0)
		return 0; /* as dived runs: nothing was changed and nothing may be */
	return setgroups(plan->group_count, plan->groups) ? -errno : 0;
}

int child_nproc(struct child *child)
{
	const struct plan *plan = child->plan;

	if (!plan->change_ids || plan->uid == 0)
		return 0;
	return setrlimit(RLIMIT_NPROC, &plan->limits[RLIMIT_NPROC]) ? -errno : 0;
}

int child_ids(struct child *child)
{
	const struct plan *plan = child->plan;
	uid_t uid[3];
	gid_t gid[3];

	if (!plan->change_ids)
		return 0;
	if (setresgid(plan->gid, plan->gid, plan->gid) ||
	    setresuid(plan->uid, plan->uid, plan->uid))
		return -errno;
	if (getresuid(&uid[0], &uid[1], &uid[2]) || getresgid(&gid[0], &gid[1], &gid[2]))
		return -errno;
	for (int i = 0; i < 3; i++)
		if (uid[i] != plan->uid || gid[i] != plan->gid)
			return -EPERM;
	if (getgroups(0, NULL) != (int)plan->group_count)
		return -EPERM;
	if (plan->uid != 0 && setuid(0) == 0)
		return -EPERM; /* it could be taken back, so it has not been given up */
	return 0;
}

/*
 * For a target other than root nothing may be left.  The kernel drops all but
 * the inheritable set with the uid, unless dived was started with securebits
 * that keep them; so the sets are emptied and read back whatever it did.
 */
int child_capabilities(struct child *child)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (!child->plan->change_ids || child->plan->uid == 0)
		return 0;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno; /* EINVAL: a kernel that has no ambient set */
	if (syscall(SYS_capset, &head, sets) || syscall(SYS_capget, &head, sets))
		return -errno;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (sets[i].effective || sets[i].permitted || sets[i].inheritable)
			return -EPERM;
	return 0;
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
	if (getppid() != child->parent) /* it died before it could have been told */
		return -ESRCH;
	return 0;
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
