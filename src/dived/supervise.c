/*
 * supervise - one poll loop over the client, the program and a deadline.
 *
 * The program is our child and stays unreaped until its end has been seen, so
 * its id, and that of the process group it leads, cannot have become another's:
 * a single process is signalled through its pidfd, a group by that id.  No
 * number that a client sent is ever used as an id.
 */
#include "supervise.h"

#include "cleanup.h"
#include "deadline.h"
#include "monitor.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PACKET_MS 2000 /* to receive the rest of a packet that has begun */
#define KILL_MS	  5000 /* --on-disconnect kill: from SIGTERM to SIGKILL */
#define SILENT_MS 5000 /* for a monitor to say how a program has ended, or to exit */

struct state {
	const struct supervise *in;
	int pidfd; /* of the program; -1 for none, and with a monitor once it has ended */
	int conn;  /* -1 once the client has gone */
	bool gone;
	int64_t kill_at; /* deadline.h */
	int64_t silent_at;
};

/* What whoever started dived -J may mean for its program.  SIGCONT acts on dived, too. */
static const int passed_on[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGTSTP, SIGCONT,
				 SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGWINCH };

static void fill_set(sigset_t *set, bool local)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; local && i < ARRAY_LEN(passed_on); i++)
		sigaddset(set, passed_on[i]);
}

int supervise_open_signals(bool local)
{
	sigset_t set;

	fill_set(&set, local);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int supervise_block(bool block, bool local)
{
	sigset_t set;

	fill_set(&set, local);
	/* A module may have had children reaped by the kernel, or by a handler: then nobody
	   could tell how the program has ended. */
	if (block)
		(void)signal(SIGCHLD, SIG_DFL); /* cannot fail */
	return sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL) ? -errno : 0;
}

enum supervise_delivery supervise_delivery(const struct config *config, const struct peer *peer,
					   const struct message_hello *hello, bool elevated,
					   int number)
{
	static const int always[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH
	};

	if (config->signals_group)
		return SUPERVISE_GROUP;
	if (config->signals)
		return SUPERVISE_PROGRAM;
	if (hello->forward == MESSAGE_FORWARD_NONE)
		return SUPERVISE_DROP;
	bool allowed = peer->root || !elevated;
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		allowed = allowed || always[i] == number;
	if (!allowed)
		return SUPERVISE_DROP;
	return hello->forward == MESSAGE_FORWARD_GROUP ? SUPERVISE_GROUP : SUPERVISE_PROGRAM;
}

/*
 * Where somebody has stopped it, more and more signals are not to stop this process as well:
 * those that it has no room for are for the program alone.
 */
static void tell_monitor(const struct state *state, const struct monitor_message *message)
{
	if (monitor_tell(state->in->monitor, message) == -EAGAIN && state->pidfd >= 0)
		(void)pidfd_send_signal(state->pidfd, message->value, NULL, 0);
}

/* A process that is gone already is no failure. */
static void signal_program(const struct state *state, enum supervise_delivery how, int number)
{
	struct monitor_message message = { .type = MONITOR_SIGNAL,
					   .kind = how == SUPERVISE_GROUP,
					   .value = number };

	if (how == SUPERVISE_DROP)
		return;
	if (state->in->monitor >= 0) /* which knows the program's id for sure */
		tell_monitor(state, &message);
	else if (how == SUPERVISE_GROUP)
		(void)kill(-state->in->program, number);
	else if (how == SUPERVISE_PROGRAM)
		(void)(state->pidfd >= 0 ? pidfd_send_signal(state->pidfd, number, NULL, 0)
					 : kill(state->in->program, number));
}

static void deliver(const struct state *state, int number)
{
	const struct supervise *in = state->in;
	enum supervise_delivery how =
		supervise_delivery(in->config, in->peer, in->hello, in->elevated, number);

	/* Without a monitor the program leads an orphaned process group, where the kernel
	   discards the default action of SIGTSTP. */
	bool orphaned = in->monitor < 0;
	signal_program(state, how, orphaned && number == SIGTSTP ? SIGSTOP : number);
}

/* Whatever the program has started, wherever it has gone to in the process tree. */
static void kill_cgroup(int cgroup)
{
	cleanup_fd int fd = cgroup < 0 ? -1 : openat(cgroup, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "1", 1); /* Linux 5.14; before that the group has to do */
}

static void disconnect(struct state *state)
{
	const struct supervise *in = state->in;

	state->conn = -1;
	state->gone = true;
	if (in->config->no_wait || in->hello->wait != MESSAGE_WAIT_EXIT ||
	    in->config->on_disconnect == CONFIG_DISCONNECT_IGNORE)
		return;
	signal_program(state, SUPERVISE_GROUP, SIGHUP);
	signal_program(state, SUPERVISE_GROUP, SIGCONT);
	if (in->config->on_disconnect != CONFIG_DISCONNECT_KILL)
		return;
	signal_program(state, SUPERVISE_GROUP, SIGTERM);
	state->kill_at = deadline_after(KILL_MS);
}

static void resume(struct state *state, bool foreground)
{
	struct monitor_message message = { .type = MONITOR_CONTINUE, .kind = foreground };

	if (state->in->monitor >= 0)
		(void)monitor_tell(state->in->monitor, &message); /* or it has ended */
	else
		deliver(state, SIGCONT);
}

static void serve_client(struct state *state)
{
	struct message_expect expect = { MESSAGE_FROM_CLIENT, MESSAGE_STATE_RUNNING };
	struct message_continue resumed;
	struct message_signal signal_;
	struct packet packet;

	if (message_recv(state->conn, deadline_after(PACKET_MS), expect, &packet)) {
		disconnect(state);
		return;
	}
	if (packet.head.type == MESSAGE_SIGNAL && message_get_signal(&packet, &signal_) == 0)
		deliver(state, (int)signal_.number);
	else if (packet.head.type == MESSAGE_CONTINUE &&
		 message_get_continue(&packet, &resumed) == 0)
		resume(state, resumed.foreground);
	else
		disconnect(state);
	packet_done(&packet);
}

/* Whether the program goes on already, or did and was stopped again: the shell's signal
   was for all of the group that dived shares with it. */
static bool has_gone_on(const struct state *state)
{
	siginfo_t info = { 0 };

	return state->in->shared &&
	       waitid(P_PID, (id_t)state->in->program, &info,
		      WCONTINUED | WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid != 0;
}

/*
 * A shell that started dived -J is to see it stop with its program, and go on with it.
 * The signal that ends the stop is dealt with here: passed on later, it would undo the
 * next stop.
 */
static void stop_with(const struct state *state)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	(void)kill(getpid(), SIGSTOP);
	(void)sigtimedwait(&set, NULL, &now); /* pending, or discarded by a stop since */
	if (!has_gone_on(state))
		signal_program(state, state->in->shared ? SUPERVISE_PROGRAM : SUPERVISE_GROUP,
			       SIGCONT);
}

static void report_stop(struct state *state, int number)
{
	struct message_stopped stopped = { (uint32_t)number };

	if (state->in->local)
		stop_with(state);
	if (state->conn >= 0 && !state->in->config->no_wait &&
	    message_send(state->conn, deadline_after(PACKET_MS), MESSAGE_STOPPED, &stopped,
			 sizeof(stopped), NULL, 0, NULL, 0))
		disconnect(state);
}

/* The same as look(), through the monitor. */
static int listen_to_monitor(struct state *state, struct message_exited *ret)
{
	for (;;) {
		struct monitor_message message;
		cleanup_fd int fd = -1;
		int r = monitor_recv(state->in->monitor, &message, &fd);

		if (r == -EAGAIN)
			return 0;
		if (r)
			return r == -EPIPE ? -ECHILD : r;
		if (message.type == MONITOR_STOPPED)
			report_stop(state, message.value);
		if (message.type != MONITOR_EXITED)
			continue;
		*ret = (struct message_exited){ message.kind ? MESSAGE_EXIT_SIGNAL
							     : MESSAGE_EXIT_STATUS,
						(uint32_t)message.value };
		/* The monitor exits with its last word, unless somebody has stopped it. */
		(void)kill(state->in->program, SIGKILL);
		process_reap(state->in->program, deadline_after(SILENT_MS));
		return 1;
	}
}

/* Looks for a change of the program.  Return: 1 it has ended and *ret says how; 0; -errno. */
static int look(struct state *state, struct message_exited *ret)
{
	siginfo_t info;

	if (state->in->monitor >= 0)
		return listen_to_monitor(state, ret);
	for (;;) {
		memset(&info, 0, sizeof(info));
		if (waitid(P_PID, (id_t)state->in->program, &info, WEXITED | WSTOPPED | WNOHANG))
			return -errno;
		if (info.si_pid == 0)
			return 0;
		if (info.si_code == CLD_EXITED) {
			*ret = (struct message_exited){ MESSAGE_EXIT_STATUS,
							(uint32_t)info.si_status & 0xff };
			return 1;
		}
		if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
			*ret = (struct message_exited){ MESSAGE_EXIT_SIGNAL,
							(uint32_t)info.si_status };
			return 1;
		}
		report_stop(state, info.si_status);
	}
}

/*
 * What the terminal sends is for a whole process group, which is dived's: so for all
 * of the program's where it has one of its own.  The same goes for stopping, going on
 * and the hangup that a shell passes to its jobs; any other signal that somebody sends
 * to dived is for the program alone.
 */
static enum supervise_delivery local_delivery(const struct supervise *in,
					      const struct signalfd_siginfo *info)
{
	bool terminal = info->ssi_code == SI_KERNEL;

	if (in->shared)
		return terminal ? SUPERVISE_DROP : SUPERVISE_PROGRAM; /* it has it already */
	return terminal || info->ssi_signo == SIGTSTP || info->ssi_signo == SIGCONT ||
			       info->ssi_signo == SIGHUP
		       ? SUPERVISE_GROUP
		       : SUPERVISE_PROGRAM;
}

/* Passes signals on to the program of dived -J.  Those of SIGCHLD say only: look(). */
static void drain(const struct state *state)
{
	struct signalfd_siginfo info;

	while (read(state->in->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int number = (int)info.ssi_signo;

		if (number == SIGCHLD)
			continue;
		/* As in deliver(): an orphaned group has no default action for it. */
		signal_program(state, local_delivery(state->in, &info),
			       number == SIGTSTP ? SIGSTOP : number);
	}
}

/*
 * After an unshare(2) of the pid namespace the program is the first process of the new one, and
 * its end waits until all others in there have been reaped: also those that close
 * descriptors (release.h) or were started by a module, which are our children.
 */
static void reap_others(const struct state *state)
{
	for (;;) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid == 0 ||
		    info.si_pid == state->in->program)
			return;
		(void)waitpid(info.si_pid, NULL, WNOHANG); /* as has just been seen */
	}
}

/* Looks at a child that nobody else asks about. */
static bool is_stopped(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

/* A program that has ended is its monitor's to tell of; but somebody may have stopped that. */
static int watch_monitor(struct state *state, bool ended)
{
	if (state->in->monitor < 0)
		return 0;
	if (ended) {
		state->pidfd = -1;
		state->silent_at = deadline_after(SILENT_MS);
	}
	if (!deadline_passed(state->silent_at))
		return 0;
	if (!is_stopped(state->in->program)) { /* it waits itself: for the program's tracer */
		state->silent_at = deadline_after(SILENT_MS);
		return 0;
	}
	(void)kill(state->in->program, SIGKILL); /* a child that is not reaped */
	return -ETIMEDOUT;
}

static void expire(struct state *state)
{
	signal_program(state, SUPERVISE_GROUP, SIGKILL);
	if (state->pidfd >= 0)
		(void)pidfd_send_signal(state->pidfd, SIGKILL, NULL, 0); /* or it has ended */
	kill_cgroup(state->in->cgroup);
	state->kill_at = DEADLINE_NONE;
}

/* One turn.  Return: as look(). */
static int turn(struct state *state, struct message_exited *ret)
{
	int64_t until = deadline_earlier(state->kill_at, state->silent_at);
	struct pollfd waits[] = {
		{ .fd = state->in->signals, .events = POLLIN },
		{ .fd = state->pidfd, .events = POLLIN },
		{ .fd = state->conn, .events = POLLIN },
		{ .fd = state->in->monitor, .events = POLLIN },
	};

	if (poll(waits, ARRAY_LEN(waits), deadline_left(until)) < 0 && errno != EINTR)
		return -errno;
	drain(state);
	if (state->in->apart)
		reap_others(state);
	if (waits[2].revents && state->conn >= 0)
		serve_client(state);
	if (deadline_passed(state->kill_at))
		expire(state);
	int r = look(state, ret);
	return r ? r : watch_monitor(state, waits[1].revents != 0);
}

int supervise_run(const struct supervise *supervise, struct message_exited *ret, bool *ret_gone)
{
	bool direct = supervise->monitor < 0;
	cleanup_fd int own = direct ? pidfd_open(supervise->program, 0) : -1;
	struct state state = { .in = supervise,
			       .pidfd = direct ? own : supervise->program_fd,
			       .conn = supervise->conn,
			       .kill_at = DEADLINE_NONE,
			       .silent_at = DEADLINE_NONE };
	int r;

	/* A limit set by PAM may leave no number for a pidfd: the id of an unreaped child does
	   as well, and the program must not run unattended. */
	do
		r = turn(&state, ret);
	while (r == 0);
	/* A client that has gone does not wait for what the program has left behind. */
	if (state.kill_at != DEADLINE_NONE)
		kill_cgroup(supervise->cgroup);
	*ret_gone = state.gone;
	return r < 0 ? r : 0;
}
