/*
 * held_scene - a session that a tracer has in its hands before its program is forked.
 */
#pragma once

#include "cleanup.h"
#include "family.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "tracer.h"
#include "trail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELD_FIFO    "/run/dive-test/hold"
#define HELD_OPTIONS "-u", "bob", "-a", "never", "-x", "probe"

/*
 * Starts a gateway with these options, which must hold HELD_OPTIONS, and alice's client for
 * the program, on a terminal of its own.  Returns the session, traced and stopped while its
 * PAM session is being opened; it goes on with tracer_continue() and the like.
 */
static inline pid_t held_start(const char *const *options, const char *const *program)
{
	cleanup_free const char **argv = NULL;
	cleanup_fd int hold = -1;

	sandbox_service("probe", PROBE_SERVICE "session required " PROBE_PATH
					       " only=open client=alice hold=" HELD_FIFO "\n");
	trail_serve(options);
	MUST(mkfifo(HELD_FIFO, 0600));
	argv = run_dive_words(&trail.gateway, program);
	pty_start(&trail.pty, &(struct run_options){ .account = "alice", .argv = argv });
	hold = MUST_INT(open(HELD_FIFO, O_WRONLY | O_CLOEXEC)); /* when the module has it open */
	pid_t session = family_find(FAMILY_SESSION);
	tracer_seize(session);
	tracer_stop(session);
	MUST(unlink(HELD_FIFO));
	return session;
}

/* As far as the forks of its monitor and of the program, both of which are stopped then. */
static inline pid_t held_fork(pid_t session, pid_t *ret_monitor)
{
	tracer_continue(session);
	*ret_monitor = tracer_await_fork(session);
	tracer_detach(session);
	tracer_continue(*ret_monitor);
	return tracer_await_fork(*ret_monitor);
}

/* The record of the end of this session. */
static inline const char *held_expect_end(const char *op)
{
	char id[64];

	(void)audit_field(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "dive_id", id, sizeof(id));
	return audit_stream_expect(&trail.stream, AUDIT_USER_END, op, id, NULL);
}

/* Waits until client and session have ended, and ends the gateway. */
static inline void held_finish(int status)
{
	assert_int_equal(pty_wait(&trail.pty), status);
	pty_done(&trail.pty);
	family_await(FAMILY_SESSION, 0);
	gateway_stop(&trail.gateway);
}
