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

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* Whatever a traced process is made to stop for. */
static int await_stop(pid_t pid)
{
	int status = 0;

	assert_int_equal(MUST(waitpid(pid, &status, __WALL)), pid);
	assert_true(WIFSTOPPED(status));
	return status >> 8;
}

static void detach(pid_t pid)
{
	MUST(ptrace(PTRACE_DETACH, pid, NULL, NULL));
}

/* Stops what it forks from now on. */
static void trace(pid_t listener)
{
	MUST(ptrace(PTRACE_SEIZE, listener, NULL, PTRACE_O_TRACEFORK));
}

static void untrace(pid_t listener)
{
	MUST(ptrace(PTRACE_INTERRUPT, listener, NULL, NULL));
	(void)await_stop(listener);
	detach(listener);
}

/* Waits until it forks; returns the child, which is stopped before its first step. */
static pid_t await_fork(pid_t listener)
{
	unsigned long child = 0;

	assert_int_equal(await_stop(listener), SIGTRAP | PTRACE_EVENT_FORK << 8);
	MUST(ptrace(PTRACE_GETEVENTMSG, listener, NULL, &child));
	(void)await_stop((pid_t)child);
	MUST(ptrace(PTRACE_CONT, listener, NULL, NULL));
	return (pid_t)child;
}

static unsigned count(struct gateway *gateway, const char *what)
{
	unsigned n = 0;

	for (const char *at = gateway_log(gateway); (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
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
	trace(gateway->pid);
	run_dive(&dive, &(struct run_options){ .account = "alice" }, gateway, RUN_WORDS("true"));
	run_assert_status(&dive, 127);
	run_done(&dive);
	return await_fork(gateway->pid);
}

/* The next client has the dead session's place. */
static void test_session(void **state)
{
	struct gateway gateway;
	pid_t held = lose_session(&gateway);

	(void)state;
	gateway_expect_served(&gateway, "carol", "bob");
	detach(held);
	gateway_expect_log(&gateway, "op=dive:lost");
	untrace(gateway.pid);
	settle(&gateway);
	assert_int_equal(count(&gateway, "op=dive:exit"), 1);
	assert_int_equal(count(&gateway, "op=dive:lost"), 1);
	gateway_stop(&gateway);
}

/* The next template is the current one. */
static void test_template(void **state)
{
	struct gateway gateway;
	pid_t held = lose_session(&gateway);

	(void)state;
	family_kill(FAMILY_TEMPLATE);
	detach(await_fork(gateway.pid)); /* the next one */
	gateway_expect_served(&gateway, "carol", "bob");
	detach(held);
	untrace(gateway.pid);
	gateway_expect_log(&gateway, "op=dive:lost");
	settle(&gateway);
	assert_int_equal(count(&gateway, "the template died"), 1);
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
