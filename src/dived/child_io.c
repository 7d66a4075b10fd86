/*
 * child_io - the steps about signals, session, directories, descriptors, exec.
 */
#include "child.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int child_signals(struct child *child)
{
	static const struct {
		int number;
		unsigned bit;
	} kept[] = {
		{ SIGHUP, MESSAGE_IGNORED_HUP },
		{ SIGINT, MESSAGE_IGNORED_INT },
		{ SIGQUIT, MESSAGE_IGNORED_QUIT },
	};
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++) {
		if (i == SIGKILL || i == SIGSTOP || i == 32 || i == 33)
			continue; /* cannot be changed; 32 and 33 are libc's own */
		if (sigaction(i, &action, NULL))
			return -errno;
	}
	action.sa_handler = SIG_IGN;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if ((child->plan->ignored & kept[i].bit) &&
		    sigaction(kept[i].number, &action, NULL))
			return -errno;
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) ? -errno : 0;
}

/* Either way the program leads a process group, which its id names; but for -J -S. */
int child_session(struct child *child)
{
	if (child->plan->terminal == PLAN_TERMINAL_NEW)
		return 0; /* the session is the monitor's: child_tty.c */
	/* One that leads a session already is executed in place, without a terminal: session.c. */
	if (child->plan->new_session) {
		if (setsid() < 0 && getsid(0) != getpid())
			return -EPERM;
		return child_take_terminal(child);
	}
	return child->plan->new_group && setpgid(0, 0) ? -errno : 0;
}

int child_directory(struct child *child)
{
	int directory = child->directory >= 0 ? child->directory : child->plan->directory;

	if (directory < 0)
		return 0;
	return fchdir(directory) ? -errno : 0;
}

int child_home(struct child *child)
{
	const struct namespace_set *namespaces = child->plan->namespaces;

	if (!child->plan->home)
		return 0;
	if (namespaces && namespaces->foreign) /* where a link may lead to what is open here */
		return child_enter_directory(child, child->plan->home);
	return chdir(child->plan->home) ? -errno : 0;
}

int child_umask(struct child *child)
{
	(void)umask(child->plan->umask);
	return 0;
}

/* The descriptor that is to be put in place i. */
static int source_of(const struct child *child, size_t i)
{
	int source = child->plan->fds[i].source;

	return source == PLAN_FD_TERMINAL ? child->slave : source < 0 ? child->null : source;
}

/*
 * Every target number must be below the limit.  A source that stands where
 * targets are put is first moved above all targets and sources.
 */
int child_room(struct child *child)
{
	int top = child->highest > child->report ? child->highest : child->report;
	size_t moves = child->report >= 0 && child->report <= child->highest;
	struct rlimit limit;

	for (size_t i = 0; i < child->plan->fd_count; i++) {
		int source = source_of(child, i);

		if (child->plan->fds[i].source == PLAN_FD_TERMINAL)
			continue; /* it will be opened above all targets */
		moves += source <= child->highest;
		top = source > top ? source : top;
	}
	rlim_t spare = child->plan->terminal == PLAN_TERMINAL_NEW ? 2 : 0;
	rlim_t needed = moves ? (rlim_t)top + 1 + moves : (rlim_t)child->highest + 1 + spare;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	if (limit.rlim_cur >= needed)
		return 0;
	child->detail = (uint32_t)needed;
	limit.rlim_cur = needed;
	if (limit.rlim_max < needed)
		limit.rlim_max = needed;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return -EMFILE;
	child->detail = 0;
	return 0;
}

/* Copies a descriptor above all targets, unless it is there already. */
static int lift(const struct child *child, int fd)
{
	int lifted;

	if (fd > child->highest)
		return fd;
	lifted = fcntl(fd, F_DUPFD_CLOEXEC, child->highest + 1);
	return lifted < 0 ? -errno : lifted;
}

/* Closes all but the targets and the way back, which is above them and closed by the exec. */
static int close_rest(const struct child *child)
{
	const struct plan *plan = child->plan;
	unsigned next = 0;

	for (size_t i = 0; i <= plan->fd_count; i++) {
		int kept = i < plan->fd_count ? plan->fds[i].number : child->report;

		if (kept < 0)
			continue;
		if ((unsigned)kept > next && close_range(next, (unsigned)kept - 1, 0))
			return -errno;
		next = (unsigned)kept + 1;
	}
	return close_range(next, ~0U, 0) ? -errno : 0;
}

/*
 * First no source stands where a target will be; then the sources are put in
 * place; then all else is closed, here and not by the exec: while a program is
 * being executed, the interpreter that it names may be /proc/self/fd/N/..., and in
 * a container that would lead through a directory of dived's to files of the host.
 */
int child_fds(struct child *child)
{
	const struct plan *plan = child->plan;
	int report = child->report < 0 ? -1 : lift(child, child->report);

	if (report < 0 && child->report >= 0)
		return report;
	child->report = report;
	for (size_t i = 0; i < plan->fd_count; i++) {
		child->sources[i] = lift(child, source_of(child, i));
		if (child->sources[i] < 0)
			return child->sources[i];
	}
	for (size_t i = 0; i < plan->fd_count; i++)
		if (dup2(child->sources[i], plan->fds[i].number) < 0)
			return -errno;
	return close_rest(child);
}

/*
 * Tries the candidates as execvp(3) would, but for its last resort: a file the
 * kernel does not know how to execute is an error, not a script for a shell.
 */
int child_exec(struct child *child)
{
	const struct plan *plan = child->plan;
	int first = ENOENT;

	for (size_t i = 0; plan->candidates[i]; i++) {
		(void)execve(plan->candidates[i], plan->argv, plan->envp);
		switch (errno) {
		case EACCES:
			first = EACCES; /* found: says more than the "not found" of others */
			break;
		case ENOENT:
		case ENOTDIR:
		case ENODEV:
		case ESTALE:
		case ETIMEDOUT:
			break;
		default:
			return -errno;
		}
	}
	return -first;
}
