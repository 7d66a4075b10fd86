/*
 * Signals as data, and dying by one.
 *
 * When dive ends by a signal, it is by the program's, or by one that came while
 * a prompt was up.  In the first case the program has left its core already and
 * dive's would only bury it; in the second a core of dive could hold half a
 * password.  So none is written.
 */
#include "signals.h"

#include "cleanup.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

bool signals_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void signals_forwardable(sigset_t *ret)
{
	static const int excluded[] = {
		SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,
		SIGTRAP, SIGSYS,  SIGCHLD, SIGPIPE, SIGTTIN, SIGTTOU,
	};

	(void)sigfillset(ret); /* leaves out what libc keeps for itself */
	for (size_t i = 0; i < ARRAY_LEN(excluded); i++)
		(void)sigdelset(ret, excluded[i]); /* valid numbers */
	/* Blocked, an ignored signal would become pending: the kernel cannot know that it
	   will still be ignored when it is unblocked. */
	for (int number = 1; number <= SIGRTMAX; number++) {
		if (signals_ignored(number))
			(void)sigdelset(ret, number);
	}
}

static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGPIPE };

void signals_add_faults(sigset_t *set)
{
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (!signals_ignored(faults[i]))
			(void)sigaddset(set, faults[i]); /* valid numbers */
	}
}

bool signals_is_fault(int number)
{
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (faults[i] == number)
			return true;
	}
	return false;
}

int signals_watch(const sigset_t *set, struct signals_watch *ret)
{
	struct signals_watch watch = { .fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK) };

	if (watch.fd < 0 || sigprocmask(SIG_BLOCK, set, &watch.mask) != 0) {
		int err = -errno;

		close_fd(&watch.fd);
		return err;
	}
	*ret = watch;
	return 0;
}

void signals_hold_init(bool forwards, struct signals_hold *ret)
{
	(void)sigemptyset(&ret->set);
	if (forwards)
		signals_forwardable(&ret->set);
	(void)sigprocmask(SIG_BLOCK, NULL, &ret->open); /* fails for a bad `how` only */
}

void signals_hold(const struct signals_hold *hold)
{
	(void)sigprocmask(SIG_BLOCK, &hold->set, NULL); /* as above */
}

void signals_release(const struct signals_hold *hold)
{
	(void)sigprocmask(SIG_SETMASK, &hold->open, NULL); /* as above */
}

void signals_wait_readable(const struct signals_hold *hold, int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	/* Interrupted, or failed: the caller reads, and sees. */
	while (ppoll(&wait, 1, NULL, &hold->open) < 0 && errno == EINTR)
		;
}

int signals_take(const struct signals_watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

void signals_unwatch(struct signals_watch *watch)
{
	if (watch->fd < 0)
		return;
	close_fd(&watch->fd);
	(void)sigprocmask(SIG_SETMASK, &watch->mask, NULL); /* fails for a bad `how` only */
}

bool signals_take_continue(void)
{
	static const struct timespec at_once = { 0 };
	sigset_t resumed;

	(void)sigemptyset(&resumed);
	(void)sigaddset(&resumed, SIGCONT);
	return sigtimedwait(&resumed, NULL, &at_once) == SIGCONT; /* there may be none */
}

/* Sends it where `pid` says, to dive in any case, and lets it act. */
static bool stop(pid_t pid, int number)
{
	sigset_t one;
	sigset_t mask;

	(void)sigemptyset(&one);
	(void)sigaddset(&one, number);
	(void)kill(pid, number);		     /* blocked, so pending; SIGSTOP acts here */
	(void)sigprocmask(SIG_UNBLOCK, &one, &mask); /* stops here, and goes on here */
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	/* The SIGCONT that ended it has done its work: the caller knows already. */
	return sigismember(&mask, SIGCONT) == 1 && signals_take_continue();
}

void signals_stop(int number)
{
	(void)stop(getpid(), number);
}

bool signals_stop_group(int number)
{
	return stop(0, number);
}

void signals_die(int number)
{
	static const struct rlimit none = { 0 };
	sigset_t one;

	/* These would stop it instead, and wait for somebody to continue a dead program. */
	if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU)
		return;
	(void)setrlimit(RLIMIT_CORE, &none); /* lowering is always allowed */
	(void)prctl(PR_SET_DUMPABLE, 0);     /* also for a core_pattern that is a pipe */
	(void)signal(number, SIG_DFL);	     /* fails for SIGKILL, which needs no help */
	(void)sigemptyset(&one);
	(void)sigaddset(&one, number);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
	(void)raise(number);
}
