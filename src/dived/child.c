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
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

const struct child_step child_steps[] = {
	{ "signals", child_signals, "first: the session runs with signals blocked" },
	{ "raise-limits", child_limits_raise, "raising a hard limit needs CAP_SYS_RESOURCE" },
	{ "room", child_room, "as above; high descriptor numbers need a high nofile limit" },
	{ "cgroup", child_cgroup,
	  "by name of dived's own mounts; before there is much to account" },
	{ "free-terminal", child_free_terminal,
	  "stealing needs CAP_SYS_ADMIN outside, and the session must survive the move" },
	{ "namespaces", child_namespaces,
	  "after limits were raised, which a user namespace forbids; the user namespace last" },
	{ "move", child_move, "a pid namespace takes in only what is forked now" },
	{ "session", child_session,
	  "by the process that stays; before the ids change, so that the target cannot interfere" },
	{ "contents", child_contents,
	  "inside the namespaces, outside of the new root, with power" },
	{ "root", child_root, "inside the new mount namespace, still with CAP_SYS_CHROOT" },
	{ "terminal", child_terminal, "in the target's own devpts, if its root has one" },
	{ "monitor", child_monitor,
	  "leads the terminal's session; in the program's place, with the powers of root" },
	{ "directory", child_directory, "by descriptor; may be one the target cannot reach" },
	{ "securebits", child_securebits,
	  "needs CAP_SETPCAP; says what the change of ids leaves, so before it" },
	{ "bounding", child_bounding, "needs CAP_SETPCAP, which the change of ids takes" },
	{ "groups", child_groups, "needs CAP_SETGID, so before the ids" },
	{ "nproc", child_nproc, "the kernel counts the target's processes when the uid changes" },
	{ "ids", child_ids, "gid, then uid, then read back; the point of no return" },
	{ "undumpable", child_undumpable, "changing ids may have changed it" },
	{ "capabilities", child_capabilities,
	  "exactly those of the plan, whatever the ids have left; nothing below needs any" },
	{ "home", child_home, "with the target's own permissions" },
	{ "keyring", child_keyring, "belongs to whoever makes it: so as the target" },
	{ "death-signal", child_death_signal, "changing ids clears it" },
	{ "umask", child_umask, "the steps above make no files" },
	{ "descriptors", child_fds, "the steps above still need their own" },
	{ "no-new-privs", child_no_new_privs, "nothing above may depend on what it forbids" },
	{ "limits", child_limits, "last: a low nofile, as or fsize breaks steps before it" },
	{ "exec", child_exec, "each candidate in turn, as the target" },
};
const unsigned child_step_count = ARRAY_LEN(child_steps);

static int open_pair(int *ret_ours, int *ret_theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	process_park(&pair[0]);
	process_park(&pair[1]);
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

/* The host's ptmx, and a pair for the monitor. */
static int prepare_terminal(struct child_channel *channel)
{
	int r = open_pair(&channel->monitor_ours, &channel->monitor_theirs);

	if (r)
		return r;
	channel->ptmx = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (channel->ptmx < 0)
		return -errno;
	process_park(&channel->ptmx);
	return 0;
}

int child_prepare(bool terminal, struct child_channel *ret)
{
	struct child_channel channel = CHILD_CHANNEL_CLOSED;
	cleanup_fd int ours = -1;
	cleanup_fd int theirs = -1;
	int r = open_pair(&ours, &theirs);

	if (r)
		return r;
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	cleanup_fd int parent = pidfd_open(getpid(), 0);
	if (null < 0 || parent < 0)
		return -errno;
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC); /* not everywhere */
	process_park(&null);
	process_park(&parent);
	process_park(&proc);
	r = terminal ? prepare_terminal(&channel) : 0;
	if (r) {
		child_channel_done(&channel);
		return r;
	}
	channel.ours = take_fd(&ours);
	channel.theirs = take_fd(&theirs);
	channel.null = take_fd(&null);
	channel.parent = take_fd(&parent);
	channel.proc = take_fd(&proc);
	*ret = channel;
	return 0;
}

void child_channel_done(struct child_channel *channel)
{
	close_fd(&channel->ours);
	close_fd(&channel->theirs);
	close_fd(&channel->null);
	close_fd(&channel->parent);
	close_fd(&channel->proc);
	close_fd(&channel->ptmx);
	close_fd(&channel->monitor_ours);
	close_fd(&channel->monitor_theirs);
}

/* Returns only when a step has failed. */
static struct child_report run_steps(struct child *child)
{
	for (unsigned i = 0; i < child_step_count; i++) {
		int r = child_steps[i].run(child);

		if (r)
			return (struct child_report){ i, -r, child->detail };
	}
	return (struct child_report){ child_step_count, EPROTO, 0 }; /* exec does not return 0 */
}

/* Executes the program, or reports and exits. */
static void __attribute__((noreturn)) run_child(struct child *child)
{
	struct child_report report = run_steps(child);

	(void)send(child->report, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT);
	_exit(127);
}

/* One that is not up there would be in the way of the program's own numbers. */
static bool is_parked(int fd)
{
	return fd >= PROCESS_PARKED;
}

/* What is replaced is closed by whoever closes `fresh`. */
static void exchange(int *fd, int *fresh)
{
	int old = *fd;

	*fd = *fresh;
	*fresh = old;
}

void child_renew(struct child_channel *channel)
{
	struct child_channel fresh = CHILD_CHANNEL_CLOSED;

	if (channel->ptmx >= 0 && prepare_terminal(&fresh) == 0 && is_parked(fresh.ptmx) &&
	    is_parked(fresh.monitor_ours) && is_parked(fresh.monitor_theirs)) {
		exchange(&channel->ptmx, &fresh.ptmx);
		exchange(&channel->monitor_ours, &fresh.monitor_ours);
		exchange(&channel->monitor_theirs, &fresh.monitor_theirs);
	}
	if (open_pair(&fresh.ours, &fresh.theirs) == 0 && is_parked(fresh.ours) &&
	    is_parked(fresh.theirs)) {
		exchange(&channel->ours, &fresh.ours);
		exchange(&channel->theirs, &fresh.theirs);
	}
	child_channel_done(&fresh);
}

static void describe_limit(rlim_t value, char *buffer, size_t size)
{
	if (value == RLIM_INFINITY)
		(void)snprintf(buffer, size, "unlimited");
	else
		(void)snprintf(buffer, size, "%llu", (unsigned long long)value);
}

static void describe_limits(const struct child *child, unsigned resource, char *buffer, size_t size)
{
	const struct rlimit *limit = &child->plan->limits[resource];
	char hard[32], soft[32];

	describe_limit(limit->rlim_max, hard, sizeof(hard));
	describe_limit(limit->rlim_cur, soft, sizeof(soft));
	(void)snprintf(buffer, size, "%s=%s:%s: ", config_limit_name(resource), hard, soft);
}

/* What the step was at, "nofile=20:10: " for instance; "" when the step says it all. */
static void describe_detail(const struct child *child, const struct child_report *report,
			    const char *step, char *buffer, size_t size)
{
	const struct plan *plan = child->plan;
	const char *what = NULL;

	buffer[0] = '\0';
	if ((strcmp(step, "raise-limits") == 0 || strcmp(step, "limits") == 0) &&
	    report->detail < RLIM_NLIMITS)
		describe_limits(child, report->detail, buffer, size);
	else if (strcmp(step, "namespaces") == 0 && report->detail < NAMESPACE_KINDS)
		what = namespace_rows[report->detail].name;
	else if (strcmp(step, "contents") == 0 && report->detail < plan->content_count)
		what = plan->contents[report->detail];
	else if (strcmp(step, "root") == 0)
		what = report->detail ? plan->directory_path : plan->root_path;
	if (what)
		(void)snprintf(buffer, size, "%.200s: ", what);
}

static int explain_exec(const struct child *child, int error, struct fault *fault)
{
	bool missing = error == ENOENT || error == ENOTDIR;

	(void)fault_set(fault, MESSAGE_LAYER_EXEC, "exec", error, "%s: %s", child->plan->argv[0],
			missing		  ? "not found"
			: error == EAGAIN ? "the target has too many processes (nproc)"
					  : strerror(error));
	fault->status = missing ? FAULT_STATUS_NOTFOUND : FAULT_STATUS_EXEC;
	return -EACCES;
}

static int explain_room(const struct child *child, const struct child_report *report,
			struct fault *fault)
{
	struct rlimit limit = { 0 };

	(void)getrlimit(RLIMIT_NOFILE, &limit); /* for the message */
	return fault_set(fault, MESSAGE_LAYER_SETUP, "room", report->error,
			 "descriptor %d needs room for %u descriptors, and the hard limit (nofile) "
			 "of %llu cannot be raised",
			 child->highest, report->detail, (unsigned long long)limit.rlim_max);
}

/* Words for a step that failed.  The exec step has exit statuses of its own. */
static int explain(const struct child *child, const struct child_report *report,
		   struct fault *fault)
{
	const char *step = report->step < child_step_count ? child_steps[report->step].name : "?";
	const char *words = strerror(report->error);
	char detail[256];

	if (strcmp(step, "exec") == 0)
		return explain_exec(child, report->error, fault);
	if (strcmp(step, "room") == 0 && report->detail)
		return explain_room(child, report, fault);
	if ((strcmp(step, "move") == 0 || strcmp(step, "monitor") == 0) &&
	    report->error == ENOMEM) /* pid_namespaces(7) */
		words = "namespace gone: the first process of the pid namespace has ended";
	if (report->error == EPERM && child->plan->terminal == PLAN_TERMINAL_TAKEN &&
	    (strcmp(step, "session") == 0 || strcmp(step, "free-terminal") == 0))
		words = "the terminal (DIVE_TERMINAL) is that of another session";
	/* user_namespaces(7): an id that the namespace does not hold is no valid argument. */
	if (report->error == EINVAL &&
	    namespace_set_enters(child->plan->namespaces, NAMESPACE_USER) &&
	    (strcmp(step, "ids") == 0 || strcmp(step, "groups") == 0))
		words = "the user namespace does not hold all of the target's ids";
	describe_detail(child, report, step, detail, sizeof(detail));
	return fault_set(fault, MESSAGE_LAYER_SETUP, step, report->error,
			 "the program could not be set up (%s): %s%s", step, detail, words);
}

static void kill_and_reap(pid_t pid, pid_t *ret)
{
	(void)kill(pid, SIGKILL); /* our unreaped child: the id is its own */
	process_reap(pid, deadline_after(2000));
	*ret = 0;
}

/* One report.  Return: 1 with *ret filled; 0 the program is executed; -errno. */
static int receive(int sock, int64_t deadline, struct child_report *ret)
{
	ssize_t got;
	int r = deadline_poll(sock, POLLIN, deadline);

	if (r)
		return r;
	do
		got = recv(sock, ret, sizeof(*ret), 0);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return 0;
	if (got != (ssize_t)sizeof(*ret))
		*ret = (struct child_report){ child_step_count, EPROTO, 0 };
	return 1;
}

/* Waits for the report, or for the end of file that the exec brings. */
static int await(struct child *child, const struct child_channel *channel, pid_t pid,
		 int64_t deadline, pid_t *ret, struct fault *fault)
{
	struct child_report report = { 0 };

	channel->made(channel->context, pid);
	int r = receive(channel->ours, deadline, &report);

	if (r > 0 && report.step == CHILD_MOVED) {
		channel->made(channel->context, report.error); /* which may go on already */
		process_reap(pid, deadline); /* it lets the other go on, and exits */
		pid = report.error;
		r = receive(channel->ours, deadline, &report);
	}
	if (r == 0) {
		*ret = pid;
		return 0;
	}
	kill_and_reap(pid, ret);
	if (r > 0)
		return explain(child, &report, fault);
	(void)fault_set(fault, MESSAGE_LAYER_SETUP, "deadline", -r,
			"the program could not be started in time");
	return r;
}

static struct child child_of(const struct plan *plan, const struct child_channel *channel)
{
	return (struct child){
		.plan = plan,
		.report = channel->theirs,
		.parent = channel->parent,
		.proc = channel->proc,
		.directory = -1,
		.ptmx = channel->ptmx,
		.monitor = channel->monitor_theirs,
		.slave = -1,
		.null = channel->null,
		.highest = plan->fd_count ? plan->fds[plan->fd_count - 1].number : -1,
	};
}

/*
 * Into the cgroup from the first moment on, so that nothing of the program is
 * ever accounted elsewhere.  Where clone3(2) is missing or filtered, the child
 * moves itself (step "cgroup").
 */
static pid_t fork_child(struct child *child)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = (unsigned)child->plan->cgroup };
	pid_t pid = -1;

	if (child->plan->cgroup >= 0) {
		child->in_cgroup = true;
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (pid >= 0 || errno != ENOSYS)
			return pid;
		child->in_cgroup = false;
	}
	return fork();
}

/* What is made in a frozen cgroup does not run, and would be taken for a step that hangs. */
static bool is_frozen(int cgroup)
{
	char text[128] = "";
	cleanup_fd int fd = cgroup < 0 ? -1 : openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "frozen 1");
}

int child_start(const struct plan *plan, struct child_channel *channel, int64_t deadline,
		pid_t *ret, struct fault *fault)
{
	cleanup_free int *sources = calloc(plan->fd_count + 1, sizeof(*sources));
	struct child child = child_of(plan, channel);

	if (!sources)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "fork", ENOMEM, "out of memory");
	if (is_frozen(plan->cgroup))
		return fault_set(fault, MESSAGE_LAYER_SETUP, "cgroup", EAGAIN,
				 "no process can be made in the cgroup: it is frozen");
	child.sources = sources;
	pid_t pid = fork_child(&child);
	if (pid < 0)
		return fault_set(fault, MESSAGE_LAYER_SETUP, child.in_cgroup ? "cgroup" : "fork",
				 errno, "no process can be made%s: %s",
				 child.in_cgroup ? " in the cgroup" : "", strerror(errno));
	if (pid == 0)
		run_child(&child);
	close_fd(&channel->theirs);
	close_fd(&channel->ptmx); /* the client is to have the only master */
	close_fd(&channel->monitor_theirs);
	int r = await(&child, channel, pid, deadline, ret, fault);
	close_fd(&channel->ours);
	return r;
}

int child_execute(const struct plan *plan, struct child_channel *channel, int *messages,
		  struct fault *fault)
{
	cleanup_free int *sources = calloc(plan->fd_count + 1, sizeof(*sources));
	struct child child = child_of(plan, channel);
	struct child_report report;

	if (!sources)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "fork", ENOMEM, "out of memory");
	child.sources = sources;
	child.report = *messages;
	child.parent = -1;
	report = run_steps(&child);
	*messages = child.report;
	return explain(&child, &report, fault);
}
