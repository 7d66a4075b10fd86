/*
 * A process that the listener has forked holds a copy of all its descriptors until it gets
 * to close them.  Here it does not get to: what the kernel has yet to say of a session or
 * a template that has ended must not be taken for the next one's end.
 */
#include "cleanup.h"
#include "family.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"
#include "text.h"
#include "tracer.h"

/* Waits until the listener forks and lets it go on; the child stays stopped. */
static pid_t await_fork(const struct gateway *gateway)
{
	pid_t child = tracer_await_fork(gateway->pid);

	tracer_continue(gateway->pid);
	return child;
}

/* Until everything that was due is done. */
static void settle(struct gateway *gateway)
{
	struct family_fds fds;

	family_await(FAMILY_SESSION, 0);
	family_list_fds(gateway->pid, &fds); /* it sleeps */
	family_await("dived: refuse", 0);
}

/* Alice's session dies; returns the process that is to record it, stopped. */
static pid_t lose_session(struct gateway *gateway)
{
	struct run dive;

	sandbox_service("probe",
			"auth required pam_permit.so\n"
			"account required pam_permit.so\n"
			"session required " HOSTILE_PATH " client=alice only=open crash\n");
	gateway_start(gateway, RUN_WORDS("--audit", "off", "-u", "bob", "-x", "probe"));
	tracer_seize(gateway->pid);
	run_dive(&dive, &(struct run_options){ .account = "alice" }, gateway, RUN_WORDS("true"));
	run_assert_status(&dive, 127);
	run_done(&dive);
	return await_fork(gateway);
}

/* The next client has the dead session's place. */
static void test_session(void **state)
{
	struct gateway gateway;
	pid_t held = lose_session(&gateway);

	(void)state;
	gateway_expect_served(&gateway, "carol", "bob");
	tracer_detach(held);
	gateway_expect_log(&gateway, "op=dive:lost");
	tracer_release(gateway.pid);
	settle(&gateway);
	assert_int_equal(text_count(gateway_log(&gateway), "op=dive:exit"), 1);
	assert_int_equal(text_count(gateway_log(&gateway), "op=dive:lost"), 1);
	gateway_stop(&gateway);
}

/* The next template is the current one. */
static void test_template(void **state)
{
	struct gateway gateway;
	pid_t held = lose_session(&gateway);

	(void)state;
	family_kill(FAMILY_TEMPLATE);
	tracer_detach(await_fork(&gateway)); /* the next one */
	gateway_expect_served(&gateway, "carol", "bob");
	tracer_detach(held);
	tracer_release(gateway.pid);
	gateway_expect_log(&gateway, "op=dive:lost");
	settle(&gateway);
	assert_int_equal(text_count(gateway_log(&gateway), "the template died"), 1);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session),
		TEST(test_template),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
