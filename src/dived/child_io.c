/*
 * child_io - the steps about signals, session, directories, descriptors, exec.
 */
#include "child.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
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

/* Either way the program leads a process group, which its id names. */
int child_session(struct child *child)
{
	if (child->plan->new_session)
		return setsid() < 0 ? -errno : 0;
	return setpgid(0, 0) ? -errno : 0;
}

int child_directory(struct child *child)
{
	if (child->plan->directory < 0)
		return 0;
	return fchdir(child->plan->directory) ? -errno : 0;
}

int child_home(struct child *child)
{
	if (!child->plan->home)
		return 0;
	return chdir(child->plan->home) ? -errno : 0;
}

int child_umask(struct child *child)
{
	(void)umask(child->plan->umask);
	return 0;
}

/* Room above the highest target number for a copy of every source and of the report pipe. */
int child_room(struct child *child)
{
	rlim_t needed = (rlim_t)child->highest + 2 + child->plan->fd_count;
	struct rlimit limit;

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

/*
 * All sources are first copied above every target number, then everything is
 * marked close-on-exec (PAM modules leak descriptors that are not), then the
 * copies are put in place, which clears the mark on those and only those.
 */
int child_fds(struct child *child)
{
	const struct plan *plan = child->plan;
	int above = child->highest + 1;

	int report = fcntl(child->report, F_DUPFD_CLOEXEC, above);
	if (report < 0)
		return -errno;
	child->report = report;
	for (size_t i = 0; i < plan->fd_count; i++) {
		int source = plan->fds[i].source;

		child->sources[i] =
			fcntl(source < 0 ? child->null : source, F_DUPFD_CLOEXEC, above);
		if (child->sources[i] < 0)
			return -errno;
	}
	if (close_range(0, ~0U, CLOSE_RANGE_CLOEXEC))
		return -errno;
	for (size_t i = 0; i < plan->fd_count; i++)
		if (dup2(child->sources[i], plan->fds[i].number) < 0)
			return -errno;
	return 0;
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
