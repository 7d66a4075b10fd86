/*
 * process - the traces PAM modules leave in their process.
 *
 * pam_limits sets limits on the process that calls it, pam_umask its umask,
 * pam_group its groups, pam_keyinit its keyring, pam_cap its inheritable capabilities.  The program
 * shall have them; the session, which still has to close what was opened, shall not suffer them.
 *
 * pam_limits may change the root directory and pam_namespace the mount namespace.
 * A directory that was opened before is outside of them, and would lead out.
 *
 * Whether a module set the umask can only be told by a value that none would
 * set: 0067 is as tight as 0077 for files, which are made without x bits, and
 * lets the owner's bits alone.
 *
 * dived runs with a raised soft nofile limit, which is not for programs: before
 * the modules run it is put back to what dived was started with.
 */
#include "process.h"

#include "capability.h"
#include "cleanup.h"
#include "deadline.h"
#include "log.h"
#include "parse.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TELLTALE_UMASK 0067
#define PROBED_MAX     65536 /* numbers of descriptors looked at where /proc is missing */

static long session_keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0);
}

/* Joins a fresh anonymous keyring.  A kernel built without keys has nothing to keep apart. */
static int join_keyring(int32_t *ret)
{
	long serial = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);

	if (serial < 0 && errno != ENOSYS)
		return -errno;
	*ret = serial < 0 ? 0 : (int32_t)serial;
	return 0;
}

/* As good as SIG_IGN here, and back at the default in whatever a module executes. */
static void pass_over(int number)
{
	(void)number;
}

int process_pass_over(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ };
	struct sigaction action = { .sa_handler = pass_over, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (sigaction(numbers[i], &action, NULL))
			return -errno;
	return 0;
}

static struct process_place find_place(void)
{
	struct process_place place = { 0 };
	struct stat info;

	if (stat("/", &info) == 0) {
		place.root_device = info.st_dev;
		place.root = info.st_ino;
	}
	if (stat("/proc/self/ns/mnt", &info) == 0)
		place.mounts = info.st_ino;
	return place;
}

static bool same_place(const struct process_place *a, const struct process_place *b)
{
	return a->root_device == b->root_device && a->root == b->root && a->mounts == b->mounts;
}

int process_open_directory(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS };
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0)
		fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

int process_prepare(struct process_state *ret)
{
	struct process_state state = { .place = find_place() };
	struct capability_sets sets;
	int r = join_keyring(&state.keyring);

	if (r == 0)
		r = capability_read(&sets);
	if (r == 0)
		r = process_pass_over();
	if (r)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0)) /* passwords pass through this memory: no core, no ptrace */
		return -errno;
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		if (getrlimit((__rlimit_resource_t)i, &state.limits[i]))
			return -errno;
	(void)umask(TELLTALE_UMASK);
	state.inheritable = sets.inheritable;
	state.known = true;
	*ret = state;
	return 0;
}

void process_expose(const struct rlimit *inherited)
{
	struct rlimit now;

	/* Only this one differs.  The soft limit goes down, which is always allowed. */
	if (getrlimit(RLIMIT_NOFILE, &now) == 0) {
		now.rlim_cur = inherited[RLIMIT_NOFILE].rlim_cur;
		(void)setrlimit(RLIMIT_NOFILE, &now);
	}
}

void process_restore_limits(const struct process_state *before)
{
	for (int i = 0; before->known && i < (int)RLIM_NLIMITS; i++) {
		struct rlimit now;

		if (!setrlimit((__rlimit_resource_t)i, &before->limits[i]) ||
		    getrlimit((__rlimit_resource_t)i, &now))
			continue;
		/* The hard limit stays down; at least the soft one goes up to it. */
		now.rlim_cur = now.rlim_max;
		(void)setrlimit((__rlimit_resource_t)i, &now); /* as far as allowed */
	}
}

int process_groups(gid_t **ret, size_t *ret_count)
{
	int count = getgroups(0, NULL);

	if (count < 0)
		return -errno;
	cleanup_free gid_t *groups = calloc((size_t)count + 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	count = getgroups(count, groups);
	if (count < 0)
		return -errno;
	*ret = take_ptr(groups);
	*ret_count = (size_t)count;
	return 0;
}

int process_capture(const struct process_state *before, struct plan_session *ret,
		    gid_t **ret_groups)
{
	struct plan_session session = { 0 };
	cleanup_free gid_t *groups = NULL;
	struct capability_sets sets;
	int r = process_groups(&groups, &session.group_count);

	if (r == 0)
		r = capability_read(&sets);
	if (r)
		return r;
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		if (getrlimit((__rlimit_resource_t)i, &session.limits[i]))
			return -errno;
	process_restore_limits(before);
	mode_t mask = umask(077);
	session.umask_set = mask != TELLTALE_UMASK;
	session.umask = mask;
	struct process_place place = find_place();
	session.inheritable = sets.inheritable & ~before->inheritable;
	session.moved = !same_place(&place, &before->place);
	session.directory = -1;
	session.keyring_set = before->keyring && session_keyring() != before->keyring;
	session.groups = groups;
	*ret = session;
	*ret_groups = take_ptr(groups);
	return 0;
}

void process_park(int *fd)
{
	int parked = *fd < 0 ? -1 : fcntl(*fd, F_DUPFD_CLOEXEC, PROCESS_PARKED);

	if (parked < 0)
		return;
	close_fd(fd);
	*fd = parked;
}

int process_copy_up(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_PARKED);

	if (copy < 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return copy < 0 ? -errno : copy;
}

uint64_t process_occupy(void)
{
	uint64_t occupied = 0;

	static_assert(PROCESS_LOW <= 64, "one bit for each number");
	for (;;) {
		cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (fd < 3 || fd >= PROCESS_LOW)
			return occupied; /* none left below; or no descriptors at all */
		occupied |= UINT64_C(1) << fd;
		(void)take_fd(&fd); /* kept until process_vacate() */
	}
}

void process_vacate(uint64_t occupied)
{
	for (int fd = 3; fd < PROCESS_LOW; fd++)
		if (occupied >> fd & 1)
			(void)close(fd); /* of /dev/null: cannot fail */
}

static int compare_fds(const void *left, const void *right)
{
	const int *a = left;
	const int *b = right;

	return (*a > *b) - (*a < *b);
}

/* Without /proc: as many as a descriptor table has room for by default. */
static int probe_fds(struct process_fds *ret)
{
	cleanup_free int *list = calloc(PROBED_MAX, sizeof(*list));
	size_t count = 0;

	if (!list)
		return -ENOMEM;
	for (int fd = 3; fd < PROBED_MAX; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			list[count++] = fd;
	*ret = (struct process_fds){ take_ptr(list), count };
	return 0;
}

int process_list_fds(struct process_fds *ret)
{
	DIR *listing = opendir("/proc/self/fd");
	cleanup_free int *list = NULL;
	size_t count = 0;

	*ret = (struct process_fds){ 0 };
	if (!listing)
		return probe_fds(ret);
	for (struct dirent *entry; (entry = readdir(listing));) {
		int fd;

		if (parse_fd(entry->d_name, INT_MAX, false, &fd) || fd < 3 || fd == dirfd(listing))
			continue;
		int *more = reallocarray(list, count + 1, sizeof(*list));
		if (!more) {
			(void)closedir(listing);
			return -ENOMEM;
		}
		list = more;
		list[count++] = fd;
	}
	(void)closedir(listing);
	if (count > 0)
		qsort(list, count, sizeof(*list), compare_fds);
	*ret = (struct process_fds){ take_ptr(list), count };
	return 0;
}

void process_close_fds(const struct process_fds *fds, int from)
{
	for (size_t i = 0; i < fds->count; i++)
		if (fds->list[i] >= from)
			(void)close(fds->list[i]); /* another's: nothing was written to it */
}

static int compare_numbers(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

void process_close_others(unsigned from, int *keep, size_t count)
{
	qsort(keep, count, sizeof(*keep), compare_numbers);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < 0 || (unsigned)keep[i] < from)
			continue;
		if ((unsigned)keep[i] > from)
			(void)close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	(void)close_range(from, ~0U, 0);
}

void process_raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

void process_detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		(void)dup2(null, fd); /* cannot fail for valid descriptors */
	close_fd(&null);
	log_open("dived", false, true);
}

int process_give_up_terminal(int fd)
{
	void (*before)(int) = signal(SIGHUP, SIG_IGN); /* which giving it up sends */
	int r = ioctl(fd, TIOCNOTTY) ? -errno : 0;

	(void)signal(SIGHUP, before);
	return r;
}

/*
 * A session of its own where that can be had.  Whoever leads a process group must
 * join another one first: that of whoever started it, a shell with job control.
 * What then remains is a session leader, which gives its terminal up.
 */
void process_leave_terminal(void)
{
	if (setsid() >= 0)
		return;
	pid_t group = getpgid(getppid());
	if (group > 0 && setpgid(0, group) == 0 && setsid() >= 0)
		return;
	int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		return;				  /* there is none */
	(void)process_give_up_terminal(terminal); /* cannot fail for one's own */
	close_fd(&terminal);
}

bool process_forks_elsewhere(bool unknown)
{
	struct stat own, children;

	if (stat("/proc/self/ns/pid", &own))
		return unknown;
	/* There is none to be seen while it has no process: it waits for its first. */
	return stat("/proc/self/ns/pid_for_children", &children) || children.st_ino != own.st_ino;
}

void process_reap(pid_t pid, int64_t deadline)
{
	while (waitpid(pid, NULL, WNOHANG) == 0 && !deadline_passed(deadline))
		(void)poll(NULL, 0, 1);
}

bool process_lives(int pidfd)
{
	struct pollfd item = { .fd = pidfd, .events = POLLIN };
	int count;

	do
		count = poll(&item, 1, 0);
	while (count < 0 && errno == EINTR);
	return count == 0;
}

bool process_is_apart(void)
{
	if (getsid(0) != getpid())
		return false;
	cleanup_fd int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	return terminal < 0 && errno == ENXIO;
}

pid_t process_fork_sibling(void)
{
	struct clone_args args = { .flags = CLONE_PARENT }; /* ends with our own exit signal */

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int process_fill_standard(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) <= 2)
		if (fd < 0)
			return -errno;
	close_fd(&fd); /* the first above 2, or whoever passes sockets seems to have left it */
	return 0;
}
