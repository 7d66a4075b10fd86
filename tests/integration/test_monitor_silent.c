/*
 * The monitor of a new terminal is stuck before it has told of the program, as it is where a
 * client's descriptor blocks while it is closed: the program is executed, and must not run
 * on when its end is recorded.  Here a tracer keeps the monitor from the call that closes.
 */
#include "cleanup.h"
#include "family.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIFO	 "/run/dive-test/hold"
#define STUBBORN "trap '' HUP; exec sleep 1000"

static int await_stop(pid_t pid)
{
	int status = 0;

	assert_int_equal(MUST(waitpid(pid, &status, __WALL)), pid);
	assert_true(WIFSTOPPED(status));
	return status >> 8;
}

/* Waits until a traced process forks; returns the child, which is stopped, and so is it. */
static pid_t await_fork(pid_t pid)
{
	unsigned long child = 0;

	while (await_stop(pid) != (SIGTRAP | PTRACE_EVENT_FORK << 8))
		MUST(ptrace(PTRACE_CONT, pid, NULL, NULL)); /* no signal is passed on */
	MUST(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child));
	(void)await_stop((pid_t)child);
	return (pid_t)child;
}

/* Lets a process that is stopped go as far as its next call of this number. */
static void step_to(pid_t pid, long number)
{
	struct __ptrace_syscall_info info;

	do {
		MUST(ptrace(PTRACE_SYSCALL, pid, NULL, NULL));
		(void)await_stop(pid);
		MUST(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info));
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != (uint64_t)number);
}

static void test_silent_monitor(void **state)
{
	cleanup_free const char **argv = NULL;
	cleanup_fd int hold = -1;
	char id[64];

	(void)state;
	sandbox_service("probe", PROBE_SERVICE "session required " PROBE_PATH
					       " only=open client=alice hold=" FIFO "\n");
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never", "-x", "probe", "--audit", "require"));
	MUST(mkfifo(FIFO, 0600));
	argv = run_dive_words(&trail.gateway, RUN_WORDS("sh", "-c", STUBBORN));
	pty_start(&trail.pty, &(struct run_options){ .account = "alice", .argv = argv });
	hold = MUST_INT(open(FIFO, O_WRONLY | O_CLOEXEC)); /* when the module has it open */
	pid_t session = family_find(FAMILY_SESSION);
	MUST(ptrace(PTRACE_SEIZE, session, NULL, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD));
	MUST(unlink(FIFO));
	close_fd(&hold);
	pid_t monitor = await_fork(session);
	MUST(ptrace(PTRACE_DETACH, session, NULL, NULL));
	MUST(ptrace(PTRACE_CONT, monitor, NULL, NULL));
	pid_t child = await_fork(monitor);
	cleanup_fd int program = MUST_INT(pidfd_open(child, 0));
	MUST(ptrace(PTRACE_DETACH, child, NULL, NULL));
	step_to(monitor, SYS_close_range);
	family_await("sleep", 1);
	family_await_end(program);
	MUST(ptrace(PTRACE_DETACH, monitor, NULL, NULL));
	(void)audit_field(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "dive_id", id, sizeof(id));
	trail_assert(audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", id, NULL),
		     "step", "monitor");
	assert_int_equal(pty_wait(&trail.pty), 77);
	pty_done(&trail.pty);
	family_await(FAMILY_SESSION, 0);
	gateway_stop(&trail.gateway);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_silent_monitor, trail_setup, trail_teardown),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
