/*
 * holder_process - the first process in the new namespaces.
 *
 * The user namespace comes first, so that the others belong to it.  Time and pid
 * namespaces take in only children of the process that makes them, so it forks
 * once more; the new process is made a child of dived's (CLONE_PARENT), which
 * would otherwise wait for a process that is gone.
 *
 * It trusts nobody inside: once it has been looked at by dived it is no longer
 * dumpable, so that root of the new user namespace cannot trace it.
 */
#include "holder_internal.h"

#include "cleanup.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const struct holder *holder, enum holder_step step, int value)
{
	struct holder_report report = { .step = step, .value = value };

	(void)send(holder->control, &report, sizeof(report), MSG_NOSIGNAL); /* or nobody waits */
}

static void __attribute__((noreturn))
fail(const struct holder *holder, enum holder_step step, int value)
{
	tell(holder, step, value);
	_exit(1);
}

/* Waits for dived's word to go on. */
static void await_go(const struct holder *holder)
{
	char byte;
	ssize_t got;

	do
		got = recv(holder->control, &byte, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		_exit(1);
}

static int kinds_to_flags(unsigned kinds)
{
	int flags = 0;

	for (int i = 0; i < (int)NAMESPACE_KINDS; i++)
		if (kinds & NAMESPACE_BIT(i))
			flags |= namespace_rows[i].flag;
	return flags;
}

static void write_offsets(const struct holder *holder)
{
	if (!holder->offsets)
		return;
	cleanup_fd int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, holder->offsets, strlen(holder->offsets)) < 0)
		fail(holder, HOLDER_FAILED_OFFSETS, errno);
}

static void make(const struct holder *holder)
{
	unsigned user = NAMESPACE_BIT(NAMESPACE_USER);

	if (holder->kinds & user) {
		if (unshare(CLONE_NEWUSER))
			fail(holder, HOLDER_FAILED_USER, errno);
		tell(holder, HOLDER_USER, 0);
		await_go(holder);
	}
	if (unshare(kinds_to_flags(holder->kinds & ~user)))
		fail(holder, HOLDER_FAILED_UNSHARE, errno);
	/* What is mounted inside stays inside, and what is mounted outside stays there. */
	if ((holder->kinds & NAMESPACE_BIT(NAMESPACE_MNT)) &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail(holder, HOLDER_FAILED_PRIVATE, errno);
	write_offsets(holder);
}

/* Goes on as the first process of the new pid and time namespaces. */
static void move_in(const struct holder *holder)
{
	const unsigned forking = NAMESPACE_BIT(NAMESPACE_PID) | NAMESPACE_BIT(NAMESPACE_TIME);
	pid_t pid = holder->kinds & forking ? process_fork_sibling() : getpid();

	if (pid < 0)
		fail(holder, HOLDER_FAILED_FORK, errno);
	if (pid > 0)
		tell(holder, HOLDER_MADE, (int)pid);
	if (pid > 0 && (holder->kinds & forking))
		_exit(0);
	await_go(holder); /* dived opens the namespaces */
}

/* Between fork and exec of --setup. */
static void __attribute__((noreturn)) run_setup(const struct holder *holder)
{
	char *const argv[] = { (char *)(uintptr_t)holder->config->setup, NULL };
	static const int ignored[] = { SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* What it prints is for whoever starts dived, and that is where errors go. */
	if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0 || chdir("/"))
		_exit(126);
	(void)umask(022);
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_DFL);
	(void)setsid(); /* cannot fail in a fork */
	process_expose(holder->config->inherited.limits);
	(void)execve(holder->config->setup, argv, holder->envp);
	fail(holder, HOLDER_FAILED_EXEC, errno);
}

static void __attribute__((noreturn))
end_setup(const struct holder *holder, pid_t pid, enum holder_step why)
{
	(void)kill(-pid, SIGKILL); /* it leads a group; our unreaped child */
	(void)kill(pid, SIGKILL);
	fail(holder, why, 0);
}

static void set_up(const struct holder *holder)
{
	int status = 0;

	if (!holder->config->setup)
		return;
	/* "As root" is uid 0 inside, where there is one (holder.c has looked). */
	if ((holder->kinds & NAMESPACE_BIT(NAMESPACE_USER)) &&
	    (setresgid(0, 0, 0) || setresuid(0, 0, 0)))
		fail(holder, HOLDER_FAILED_ROOT, errno);
	pid_t pid = fork();
	if (pid == 0)
		run_setup(holder);
	cleanup_fd int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
	if (pidfd < 0)
		fail(holder, HOLDER_FAILED_FORK, errno);
	struct pollfd waits[] = { { .fd = pidfd, .events = POLLIN }, { .fd = holder->control } };
	int ready;
	do
		ready = poll(waits, ARRAY_LEN(waits), holder->setup_ms);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		end_setup(holder, pid, HOLDER_FAILED_TIME);
	if (!waits[0].revents) /* dived has ended: nobody is left to set up for */
		end_setup(holder, pid, HOLDER_FAILED_SETUP);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		fail(holder, HOLDER_FAILED_SETUP, status);
}

/* Whatever ends inside is reaped by the kernel; the pipe's end is the gateway's. */
static void __attribute__((noreturn)) hold(const struct holder *holder)
{
	char byte;

	(void)prctl(PR_SET_DUMPABLE, 0); /* changing ids may have changed it */
	(void)signal(SIGCHLD, SIG_IGN);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* of what --setup has left behind: the kernel reaps only from now on */
	if (holder->config->detach)
		process_detach();
	while (read(holder->alive, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

void holder_process_run(const struct holder *holder)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE };

	(void)prctl(PR_SET_NAME, "dived: holder"); /* for ps(1) only */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	make(holder);
	move_in(holder);
	if (prctl(PR_SET_DUMPABLE, 0))
		fail(holder, HOLDER_FAILED_ROOT, errno);
	set_up(holder);
	tell(holder, HOLDER_READY, 0);
	hold(holder);
}
