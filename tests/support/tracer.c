/*
 * tracer - processes of dived's held at a moment of the test's choice, by ptrace(2).
 */
#include "tracer.h"

#include "cleanup.h"
#include "family.h"
#include "must.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* Whatever a traced process is made to stop for: the signal, and the event above it. */
static int await_stop(pid_t pid)
{
	int status = 0;

	assert_int_equal(MUST(waitpid(pid, &status, __WALL)), pid);
	assert_true(WIFSTOPPED(status));
	return status >> 8;
}

void tracer_seize(pid_t pid)
{
	MUST(ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD));
}

pid_t tracer_await_fork(pid_t pid)
{
	unsigned long child = 0;

	assert_int_equal(await_stop(pid), SIGTRAP | PTRACE_EVENT_FORK << 8);
	MUST(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child));
	(void)await_stop((pid_t)child);
	return (pid_t)child;
}

void tracer_continue(pid_t pid)
{
	MUST(ptrace(PTRACE_CONT, pid, NULL, NULL));
}

void tracer_continue_to(pid_t pid, long number)
{
	struct __ptrace_syscall_info info;

	do {
		MUST(ptrace(PTRACE_SYSCALL, pid, NULL, NULL));
		(void)await_stop(pid);
		MUST(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info));
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != (uint64_t)number);
}

void tracer_step(pid_t pid)
{
	MUST(ptrace(PTRACE_SYSCALL, pid, NULL, NULL));
}

void tracer_await_end(pid_t pid)
{
	cleanup_fd int pidfd = MUST_INT(pidfd_open(pid, 0));
	int status = 0;

	family_await_end(pidfd);
	assert_int_equal(MUST(waitpid(pid, &status, __WALL)), pid);
	assert_false(WIFSTOPPED(status));
}

void tracer_detach(pid_t pid)
{
	MUST(ptrace(PTRACE_DETACH, pid, NULL, NULL));
}

void tracer_stop(pid_t pid)
{
	MUST(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	(void)await_stop(pid);
}

void tracer_release(pid_t pid)
{
	tracer_stop(pid);
	tracer_detach(pid);
}
