/*
 * monitor - reports on the program, and keeps the terminal.
 *
 * It runs inside the target's namespaces and root, as root, and trusts nothing
 * there: it opens no file, reads nothing but the session's messages, and is not
 * dumpable.  Between fork and here there is no exec, so only system calls are made.
 *
 * As long as it holds the terminal open the master sees no hangup, and what the
 * program wrote last can still be read.
 */
#include "monitor.h"

#include "ancillary.h"
#include "cleanup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int send_message(int sock, const struct monitor_message *message, int fd, int flags)
{
	struct monitor_message copy = *message;
	union ancillary ancillary;
	struct iovec part = { &copy, sizeof(copy) };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0)
		ancillary_send(&head, &ancillary, &fd, 1);
	return sendmsg(sock, &head, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

int monitor_send(int sock, const struct monitor_message *message, int fd)
{
	return send_message(sock, message, fd, 0);
}

int monitor_tell(int sock, const struct monitor_message *message)
{
	return send_message(sock, message, -1, MSG_DONTWAIT);
}

int monitor_recv(int sock, struct monitor_message *ret, int *ret_fd)
{
	union ancillary ancillary;
	struct monitor_message message;
	struct iovec part = { &message, sizeof(message) };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
	cleanup_fd int fd = -1;

	ancillary_expect(&head, &ancillary);
	ssize_t got = recvmsg(sock, &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : errno == EINTR ? -EAGAIN : -errno;
	(void)ancillary_take(&head, &fd, 1); /* most have none */
	if (got == 0)
		return -EPIPE;
	if (got != (ssize_t)sizeof(message))
		return -EBADMSG;
	*ret = message;
	*ret_fd = take_fd(&fd);
	return 0;
}

void monitor_introduce(int sock)
{
	const struct monitor_message message = { .type = MONITOR_SELF };
	cleanup_fd int self = pidfd_open(getpid(), 0);

	if (self >= 0)
		(void)monitor_send(sock, &message, self); /* the monitor says it once more */
}

struct monitor {
	pid_t program;
	pid_t holder; /* the process group that has had the keyboard; 0: none but the program's */
	int sock;
	int terminal;
	int signals;
};

static void tell_with(const struct monitor *monitor, enum monitor_type type, uint32_t kind,
		      int value, int fd)
{
	struct monitor_message message = { type, kind, value };

	if (monitor_send(monitor->sock, &message, fd))
		_exit(1); /* the session is gone */
}

static void tell(const struct monitor *monitor, enum monitor_type type, uint32_t kind, int value)
{
	tell_with(monitor, type, kind, value, -1);
}

/* In namespaces of its own the number means nothing to the session; the pidfd does. */
static void tell_program(const struct monitor *monitor)
{
	cleanup_fd int pidfd = pidfd_open(monitor->program, 0); /* or there is no room for one */

	tell_with(monitor, MONITOR_PROGRAM, 0, monitor->program, pidfd);
}

/* Nobody has the keyboard.  Who has had it may be a job of the program's, if that is a shell. */
static void take_keyboard(struct monitor *monitor)
{
	pid_t holder = tcgetpgrp(monitor->terminal);

	if (holder == getpgrp())
		return;
	monitor->holder = holder > 0 ? holder : 0;
	(void)tcsetpgrp(monitor->terminal, getpgrp());
}

/* To whom it was taken from, or has never been given.  A group that has ended cannot have it. */
static void give_keyboard(struct monitor *monitor)
{
	if (tcgetpgrp(monitor->terminal) != getpgrp())
		return;
	if (monitor->holder == 0 || tcsetpgrp(monitor->terminal, monitor->holder))
		(void)tcsetpgrp(monitor->terminal, monitor->program);
	monitor->holder = 0;
}

/* Looks for changes of the program; does not return when it has ended. */
static void look(struct monitor *monitor)
{
	for (;;) {
		siginfo_t info;

		memset(&info, 0, sizeof(info));
		if (waitid(P_PID, (id_t)monitor->program, &info, WEXITED | WSTOPPED | WNOHANG))
			_exit(1);
		if (info.si_pid == 0)
			return;
		if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
		    info.si_code == CLD_DUMPED) {
			tell(monitor, MONITOR_EXITED, info.si_code != CLD_EXITED,
			     info.si_code == CLD_EXITED ? info.si_status & 0xff : info.si_status);
			_exit(0);
		}
		/* Whoever goes on first shall not find the keyboard still taken. */
		take_keyboard(monitor);
		tell(monitor, MONITOR_STOPPED, 0, info.si_status);
	}
}

static void obey(struct monitor *monitor)
{
	struct monitor_message message;
	cleanup_fd int fd = -1;
	int r = monitor_recv(monitor->sock, &message, &fd);

	if (r == -EAGAIN)
		return;
	if (r)
		_exit(1);
	if (message.type == MONITOR_SIGNAL) {
		(void)kill(message.kind ? -monitor->program : monitor->program, message.value);
		return;
	}
	if (message.type != MONITOR_CONTINUE)
		return;
	if (message.kind)
		give_keyboard(monitor);
	else
		take_keyboard(monitor);
	(void)kill(-monitor->program, SIGCONT);
}

static int watch_children(void)
{
	static const int ignored[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGTERM, SIGPIPE,
				       SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2 };
	sigset_t set;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void monitor_run(pid_t program, int sock, int terminal)
{
	struct monitor monitor = {
		.program = program, .sock = sock, .terminal = terminal, .signals = watch_children()
	};
	struct signalfd_siginfo info;
	struct pollfd waits[] = {
		{ .fd = monitor.signals, .events = POLLIN },
		{ .fd = sock, .events = POLLIN },
	};

	(void)prctl(PR_SET_NAME, "dived: monitor"); /* for ps(1) only */
	if (monitor.signals < 0)
		_exit(1);
	tell_program(&monitor);
	for (;;) {
		look(&monitor);
		if (poll(waits, ARRAY_LEN(waits), -1) < 0 && errno != EINTR)
			_exit(1);
		while (read(monitor.signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			;
		if (waits[1].revents)
			obey(&monitor);
	}
}
