/*
 * That every program whose start is in the audit trail has one end there, whatever PAM
 * does when it is closed: a module that hangs, exits, crashes or kills its process takes
 * the session with it, and not the record.
 */
#include "cleanup.h"
#include "family.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define PROGRAM "echo ran; exit 3"

static const struct run_options alice = { .account = "alice", .login_uid = "2001" };

/* What modules do in close_session and when credentials are deleted; dive then ends so. */
static const struct closing {
	const char *does;
	int status;
	const char *says; /* in the listener's log */
} closings[] = {
	{ PROBE_PATH " only=close hang", 3, "(session closing)" },
	{ PROBE_PATH " only=delete hang", 3, "(session closing)" },
	{ HOSTILE_PATH " only=close exit", 127, "(died)" },
	{ HOSTILE_PATH " only=delete crash", 127, "(died)" },
	{ PROBE_PATH " only=close kill", 127, "(died)" },
};

static void write_service(const char *does)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "auth required pam_permit.so\nauth required %s\naccount required "
		       "pam_permit.so\nsession required %s\n",
		       does, does); /* fits */
	sandbox_service("ends", text);
}

/* The start and the one end of alice's program. */
static void expect_end(void)
{
	const char *text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	char id[64];

	(void)audit_field(text, "dive_id", id, sizeof(id));
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", trail.field, id,
				   NULL);
	trail_assert(text, "exit", "3");
	trail_assert(text, "auid", "2001");
	trail_assert(text, "res", "success");
	trail_expect_none(AUDIT_USER_END, "op=dive:exit");
	trail_expect_none(AUDIT_USER_END, "op=dive:lost");
}

static void test_behind_a_listener(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(closings); i++) {
		print_message("case: %s\n", closings[i].does);
		write_service(closings[i].does);
		trail_serve(RUN_WORDS("-x", "ends", "--auth-timeout", "1", "--audit", "require"));
		run_dive(&trail.client, &alice, &trail.gateway, RUN_WORDS("sh", "-c", PROGRAM));
		assert_string_equal(trail.client.out, "ran\n");
		run_assert_status(&trail.client, closings[i].status);
		run_done(&trail.client);
		gateway_expect_log(&trail.gateway, "PAM has not been closed");
		assert_contains(gateway_log(&trail.gateway), closings[i].says);
		family_await(FAMILY_SESSION, 0);
		expect_end();
		gateway_stop(&trail.gateway);
	}
}

/* The gateway is stopped while the program runs: the session is on its own then. */
static void test_listener_gone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(closings); i++) {
		int hold[2];

		print_message("case: %s\n", closings[i].does);
		write_service(closings[i].does);
		trail_serve(RUN_WORDS("-x", "ends", "--auth-timeout", "1", "--audit", "require"));
		MUST(pipe2(hold, O_CLOEXEC));
		run_dive_start(&trail.client,
			       &(struct run_options){ .account = "alice",
						      .login_uid = "2001",
						      .fds = &(struct run_fd){ hold[0], 7 },
						      .fd_count = 1 },
			       &trail.gateway,
			       RUN_WORDS("sh", "-c", "echo up; read end <&7; exit 3"));
		close_fd(&hold[0]);
		run_expect(&trail.client, "up");
		gateway_stop(&trail.gateway);
		close_fd(&hold[1]);
		run_wait(&trail.client);
		run_assert_status(&trail.client, closings[i].status);
		run_done(&trail.client);
		family_await(FAMILY_SESSION, 0);
		expect_end();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_behind_a_listener),
		TEST(test_listener_gone),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
