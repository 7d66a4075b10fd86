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
#include "tracer.h"
#include "trail.h"

#include <fcntl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIFO	 "/run/dive-test/hold"
#define STUBBORN "trap '' HUP; exec sleep 1000"

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
	tracer_seize(session);
	MUST(unlink(FIFO));
	close_fd(&hold);
	pid_t monitor = tracer_await_fork(session);
	tracer_detach(session);
	tracer_continue(monitor);
	pid_t child = tracer_await_fork(monitor);
	cleanup_fd int program = MUST_INT(pidfd_open(child, 0));
	tracer_detach(child);
	tracer_continue_to(monitor, SYS_close_range);
	family_await("sleep", 1);
	family_await_end(program);
	tracer_detach(monitor);
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
