/*
 * child_ns - the steps that change where the child is: cgroup, namespaces, root.
 *
 * Namespaces are entered by descriptors that the session opened and judged in
 * dived's own.  A child with power here enters the user namespace last, since in
 * it the power over the others would be gone; one without enters it first, since
 * it is what gives power.
 *
 * A pid namespace takes in only what is forked after it was entered, and a
 * session that entered one would have its PAM modules' helpers in it as well.  So
 * the child enters, forks a sibling of its own, which is the session's child like
 * itself, and leaves the rest to that.
 *
 * Paths that are looked up inside a namespace of somebody else are looked up
 * without following magic links of /proc, where a link of that world's could
 * lead out of it again.
 */
#include "child.h"

#include "capability.h"
#include "cleanup.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int child_cgroup(struct child *child)
{
	if (child->plan->cgroup < 0 || child->in_cgroup)
		return 0;
	cleanup_fd int fd = openat(child->plan->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) < 0)
		return -errno;
	return 0;
}

static bool has_power(void)
{
	struct capability_sets sets;

	return capability_read(&sets) == 0 && capability_has(sets.effective, CAP_SYS_ADMIN);
}

static int enter(struct child *child, int kind)
{
	int fd = child->plan->namespaces->fds[kind];

	child->detail = (uint32_t)kind;
	return fd >= 0 && setns(fd, namespace_rows[kind].flag) ? -errno : 0;
}

int child_namespaces(struct child *child)
{
	const struct namespace_set *set = child->plan->namespaces;
	bool user_first = !has_power();
	int r = 0;

	if (!set || !set->any)
		return 0;
	if (user_first)
		r = enter(child, NAMESPACE_USER);
	for (int i = 0; i < (int)NAMESPACE_KINDS && r == 0; i++)
		if (i != NAMESPACE_USER)
			r = enter(child, i);
	if (r == 0 && !user_first)
		r = enter(child, NAMESPACE_USER);
	if (r)
		return r;
	child->detail = NAMESPACE_PID;
	if (set->fresh_pid && unshare(CLONE_NEWPID))
		return -errno;
	child->detail = 0;
	/* Whoever has power over that user namespace has none over dived's memory. */
	return prctl(PR_SET_DUMPABLE, 0) ? -errno : 0;
}

/* The process that stays goes on only when the session has been told of it. */
static int tell_of(const struct child *child, pid_t pid)
{
	struct child_report report = { .step = CHILD_MOVED, .error = pid };

	return send(child->report, &report, sizeof(report), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int child_move(struct child *child)
{
	const struct namespace_set *set = child->plan->namespaces;
	int gate[2];
	char byte = 0;

	if (!set || (!set->fresh_pid && !namespace_set_enters(set, NAMESPACE_PID)))
		return 0;
	if (child->plan->terminal == PLAN_TERMINAL_NEW)
		return 0; /* the program is forked by its monitor, which stays outside */
	if (child->parent < 0)
		return -EINVAL; /* executed in place: main.c knows better */
	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	pid_t pid = process_fork_sibling();
	if (pid < 0)
		return -errno;
	if (pid > 0) /* where this fails the other sees the end of file */
		_exit(tell_of(child, pid) == 0 && write(gate[1], &byte, 1) == 1 ? 0 : 1);
	close_fd(&gate[1]);
	ssize_t got;
	do
		got = read(gate[0], &byte, 1);
	while (got < 0 && errno == EINTR);
	close_fd(&gate[0]);
	if (got != 1)
		_exit(127);
	return 0;
}

/* Opens a path of the options'; in somebody else's world without magic links. */
int child_open_path(const struct child *child, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC };

	if (child->plan->namespaces && child->plan->namespaces->foreign)
		how.resolve = RESOLVE_NO_MAGICLINKS;
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* "self/fd/N" without stdio.  The buffer takes any descriptor. */
static void write_link(int fd, char buffer[32])
{
	static const char prefix[] = "self/fd/";
	char digits[12];
	size_t count = 0;

	memcpy(buffer, prefix, sizeof(prefix));
	do
		digits[count++] = (char)('0' + fd % 10);
	while ((fd /= 10) > 0);
	for (size_t i = 0; i < count; i++)
		buffer[sizeof(prefix) - 1 + i] = digits[count - 1 - i];
	buffer[sizeof(prefix) - 1 + count] = '\0';
}

int child_reopen(const struct child *child, int found, int flags)
{
	char link[32];

	write_link(found, link);
	int fd = openat(child->proc, link, flags);
	return fd < 0 ? -errno : fd;
}

/*
 * Opens a file that exists for writing.  It is looked at before it is opened, for
 * opening a device or a FIFO is an act of its own; what was looked at is then
 * opened through dived's own /proc, so that nothing can be exchanged between.
 */
static int open_existing(const struct child *child, const char *path)
{
	struct stat info;
	cleanup_fd int found = child_open_path(child, path, O_PATH | O_NOFOLLOW);

	if (found < 0)
		return found;
	if (fstat(found, &info))
		return -errno;
	if (S_ISLNK(info.st_mode))
		return -ELOOP;
	if (!S_ISREG(info.st_mode))
		return -EINVAL;
	return child_reopen(child, found, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC);
}

static int open_content(const struct child *child, const char *path)
{
	int fd = open_existing(child, path);

	if (fd != -ENOENT || !child->plan->content_create)
		return fd;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0644)) { /* whatever the umask is by now */
		int error = errno;

		close_fd(&fd);
		return -error;
	}
	return fd;
}

/* Where an id is not in the namespace, setfsuid(2) and setfsgid(2) change nothing. */
static bool set_file_ids(uid_t uid, gid_t gid)
{
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
}

/*
 * In a user namespace the child still has the ids of root outside of it.  Where root
 * inside may mount, and so say what a name leads to, files are opened as root inside,
 * or, where there is none, as the target: else a file that only root outside may write
 * would be written.  The real and effective ids are left for child_ids().
 */
static int become_owner_inside(const struct child *child)
{
	const struct plan *plan = child->plan;
	const struct namespace_set *set = plan->namespaces;

	if (!namespace_set_enters(set, NAMESPACE_USER) || !namespace_set_enters(set, NAMESPACE_MNT))
		return 0;
	if (!plan->change_ids)
		return 0; /* the program keeps those ids, too */
	if (setgroups(0, NULL))
		return -errno;
	if (!set_file_ids(0, 0) && !set_file_ids(plan->euid, plan->egid))
		return -EINVAL;
	return prctl(PR_SET_DUMPABLE, 0) ? -errno : 0; /* changing ids may have changed it */
}

int child_contents(struct child *child)
{
	const struct plan *plan = child->plan;
	int r = plan->content_count ? become_owner_inside(child) : 0;

	if (r)
		return r;
	for (size_t i = 0; i + 1 < plan->content_count; i += 2) {
		const char *text = plan->contents[i + 1];

		child->detail = (uint32_t)i;
		cleanup_fd int fd = open_content(child, plan->contents[i]);
		if (fd < 0)
			return fd;
		ssize_t done = write(fd, text, strlen(text));
		if (done < 0)
			return -errno;
		if ((size_t)done != strlen(text))
			return -EIO;
	}
	child->detail = 0;
	return 0;
}

/* Opens a directory of the options'. */
static int open_directory(const struct child *child, const char *path)
{
	return child_open_path(child, path, O_PATH | O_DIRECTORY);
}

int child_enter_directory(struct child *child, const char *path)
{
	cleanup_fd int fd = open_directory(child, path);

	if (fd < 0)
		return fd;
	return fchdir(fd) ? -errno : 0;
}

/*
 * The new root must be a mount of this namespace, so it is bound onto itself.  Before
 * the directory of -h is looked up: one below the new root shall be on that mount, else
 * ".." would lead from it past the new root into the old one.
 */
static int bind_root(struct child *child)
{
	cleanup_fd int new = open_directory(child, child->plan->root_path);

	if (new < 0)
		return new;
	/* A relative NEW is looked up from here a second time, so the way back is kept. */
	cleanup_fd int start = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (start < 0 || fchdir(new) || mount(".", ".", NULL, MS_BIND | MS_REC, NULL) ||
	    fchdir(start))
		return -errno;
	return 0;
}

/*
 * NEW is looked up again, to be on the mount instead of below it.  A relative OLD
 * is below NEW; "." means that the old root is not kept at all.
 */
static int pivot(struct child *child)
{
	const char *old = child->plan->root_old;
	int r = child_enter_directory(child, child->plan->root_path);

	if (r)
		return r;
	if (syscall(SYS_pivot_root, ".", old))
		return -errno;
	/* The old root now lies on top of the new one, which is the current directory. */
	if (strcmp(old, ".") == 0 && umount2(".", MNT_DETACH))
		return -errno;
	return chdir("/") ? -errno : 0;
}

static int change_root(struct child *child)
{
	const struct plan *plan = child->plan;
	int r = 0;

	switch (plan->root) {
	case PLAN_ROOT_SAME:
		return 0;
	case PLAN_ROOT_PIVOT:
		return pivot(child);
	case PLAN_ROOT_CLIENT:
		r = fchdir(plan->root_fd) ? -errno : 0;
		break;
	case PLAN_ROOT_CHROOT:
		r = child_enter_directory(child, plan->root_path);
		break;
	}
	return r || (chroot(".") == 0 && chdir("/") == 0) ? r : -errno;
}

int child_root(struct child *child)
{
	const struct plan *plan = child->plan;

	if (plan->root == PLAN_ROOT_SAME && !plan->directory_path)
		return 0;
	/* What relative paths are relative to; also in a new mount namespace, which takes the
	   current directory along. */
	if (!namespace_set_enters(plan->namespaces, NAMESPACE_MNT) && plan->start >= 0 &&
	    fchdir(plan->start))
		return -errno;
	/* Nothing of what is mounted from here on is seen elsewhere. */
	if (plan->root == PLAN_ROOT_PIVOT) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			return -errno;
		int r = bind_root(child);
		if (r)
			return r;
	}
	if (plan->directory_path) {
		/* Before the root changes, so that it may lie outside of it. */
		child->directory = open_directory(child, plan->directory_path);
		if (child->directory < 0) {
			child->detail = 1;
			return child->directory;
		}
	}
	return change_root(child);
}

/* The default of a kernel; with fs.suid_dumpable set it is not what a change of ids leaves. */
int child_undumpable(struct child *child)
{
	(void)child;
	return prctl(PR_SET_DUMPABLE, 0) ? -errno : 0;
}
