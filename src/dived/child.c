/*
 * child - the ordered steps between fork and exec, and the pipe back.
 *
 * The child is a fork of a process that holds root, PAM's memory and every
 * descriptor of the request.  It takes the plan and does nothing that could
 * wait for a lock held at the time of the fork: system calls only.
 *
 * fork(2) and not a shared-memory clone: after the ids have changed, the target
 * may stop or trace its own processes, and a child that shares memory with the
 * session would hand it both.
 */
#include "child.h"

#include "cleanup.h"
#include "deadline.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

const struct child_step child_steps[] = {
	{ "signals", child_signals, "first: the session runs with signals blocked" },
	{ "raise-limits", child_limits_raise, "raising a hard limit needs CAP_SYS_RESOURCE" },
	{ "room", child_room, "as above; high descriptor numbers need a high nofile limit" },
	{ "session", child_session, "before the ids change, so that the target cannot interfere" },
	{ "directory", child_directory, "by descriptor; may be one the target cannot reach" },
	{ "groups", child_groups, "needs CAP_SETGID, so before the ids" },
	{ "nproc", child_nproc, "the kernel counts the target's processes when the uid changes" },
	{ "ids", child_ids, "gid, then uid, then read back; the point of no return" },
	{ "capabilities", child_capabilities,
	  "what is left after the ids is read back, not assumed" },
	{ "home", child_home, "with the target's own permissions" },
	{ "keyring", child_keyring, "belongs to whoever makes it: so as the target" },
	{ "death-signal", child_death_signal, "changing ids clears it" },
	{ "umask", child_umask, "the steps above make no files" },
	{ "descriptors", child_fds, "the steps above still need their own" },
	{ "limits", child_limits, "last: a low nofile, as or fsize breaks steps before it" },
	{ "exec", child_exec, "each candidate in turn, as the target" },
};
const unsigned child_step_count = ARRAY_LEN(child_steps);

int child_prepare(struct child_channel *ret)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	cleanup_fd int ours = pair[0];
	cleanup_fd int theirs = pair[1];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	process_park(&ours);
	process_park(&theirs);
	process_park(&null);
	*ret = (struct child_channel){ take_fd(&ours), take_fd(&theirs), null };
	return 0;
}

void child_channel_done(struct child_channel *channel)
{
	close_fd(&channel->ours);
	close_fd(&channel->theirs);
	close_fd(&channel->null);
}

/* Never returns: executes the program, or reports and exits. */
static void __attribute__((noreturn)) run_steps(struct child *child)
{
	struct child_report report = { 0 };

	for (unsigned i = 0; i < child_step_count; i++) {
		int r = child_steps[i].run(child);

		if (r == 0)
			continue;
		report = (struct child_report){ i, -r, child->detail };
		break;
	}
	(void)send(child->report, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT);
	_exit(127);
}

/* Words for a step that failed.  The exec step has exit statuses of its own. */
static int explain(const struct child *child, const struct child_report *report,
		   struct fault *fault)
{
	const char *step = report->step < child_step_count ? child_steps[report->step].name : "?";
	int error = report->error;
	struct rlimit limit = { 0 };

	if (strcmp(step, "exec") == 0) {
		bool missing = error == ENOENT || error == ENOTDIR;

		(void)fault_set(fault, MESSAGE_LAYER_EXEC, step, error, "%s: %s",
				child->plan->argv[0],
				missing		  ? "not found"
				: error == EAGAIN ? "the target has too many processes (nproc)"
						  : strerror(error));
		fault->status = missing ? FAULT_STATUS_NOTFOUND : FAULT_STATUS_EXEC;
		return -EACCES;
	}
	(void)getrlimit(RLIMIT_NOFILE, &limit); /* for the message */
	if (strcmp(step, "room") == 0 && report->detail)
		return fault_set(fault, MESSAGE_LAYER_SETUP, step, error,
				 "descriptor %d needs room for %u descriptors, and the hard limit "
				 "(nofile) of %llu cannot be raised",
				 child->highest, report->detail,
				 (unsigned long long)limit.rlim_max);
	return fault_set(fault, MESSAGE_LAYER_SETUP, step, error,
			 "the program could not be set up (%s): %s", step, strerror(error));
}

static void kill_and_reap(pid_t pid, pid_t *ret)
{
	int64_t deadline = deadline_after(2000);

	(void)kill(pid, SIGKILL); /* our unreaped child: the id is its own */
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (deadline_passed(deadline)) { /* stuck in the kernel: init will have it */
			*ret = 0;
			return;
		}
		(void)poll(NULL, 0, 10);
	}
	*ret = 0;
}

/* Waits for the report, or for the end of file that the exec brings. */
static int await(struct child *child, int sock, pid_t pid, int64_t deadline, pid_t *ret,
		 struct fault *fault)
{
	struct child_report report;
	ssize_t got;
	int r = deadline_poll(sock, POLLIN, deadline);

	if (r) {
		kill_and_reap(pid, ret);
		return fault_set(fault, MESSAGE_LAYER_SETUP, "deadline", -r,
				 "the program could not be started in time");
	}
	do
		got = recv(sock, &report, sizeof(report), 0);
	while (got < 0 && errno == EINTR);
	if (got == 0) {
		*ret = pid;
		return 0;
	}
	kill_and_reap(pid, ret);
	if (got != (ssize_t)sizeof(report))
		report = (struct child_report){ child_step_count, EPROTO, 0 };
	return explain(child, &report, fault);
}

int child_start(const struct plan *plan, struct child_channel *channel, int64_t deadline,
		pid_t *ret, struct fault *fault)
{
	cleanup_free int *sources = calloc(plan->fd_count + 1, sizeof(*sources));
	struct child child = {
		.plan = plan,
		.report = channel->theirs,
		.parent = getpid(),
		.sources = sources,
		.null = channel->null,
		.highest = plan->fd_count ? plan->fds[plan->fd_count - 1].number : -1,
	};

	if (!sources)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "fork", ENOMEM, "out of memory");
	pid_t pid = fork();
	if (pid < 0)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "fork", errno,
				 "no process can be made: %s", strerror(errno));
	if (pid == 0)
		run_steps(&child);
	close_fd(&channel->theirs);
	int r = await(&child, channel->ours, pid, deadline, ret, fault);
	close_fd(&channel->ours);
	return r;
}
