/*
 * What goes to syslog beside the audit trail: one line for each decision and each
 * end, facility authpriv, in which nothing that a client sends can act on a terminal
 * or end the line.  A machine without a syslog daemon is served all the same.
 *
 * A datagram is a line.  The lines with "op=dive:" are read strictly in their order,
 * those of PAM modules between them are passed over; so one line too many fails the
 * next expectation.
 */
#include "cleanup.h"
#include "family.h"
#include "gateway.h"
#include "must.h"
#include "parse.h"
#include "run.h"
#include "sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define TEXT_MAX 16384

static struct world {
	int log;
	struct gateway gateway;
	struct run client;
	char line[TEXT_MAX];
} world;

static int setup(void **state)
{
	(void)state;
	world = (struct world){ .log = -1, .client.pidfd = -1 };
	return 0;
}

static int teardown(void **state)
{
	run_done(&world.client);
	gateway_kill(&world.gateway);
	if (world.log >= 0)
		sandbox_syslog_close(&world.log);
	return sandbox_test_teardown(state);
}

/* The next line of a kind: of dived's own, one line, as the kernel and syslogd have it. */
static const char *expect_line(const char *op, const char *priority)
{
	sandbox_syslog_expect(world.log, "op=dive:", world.line, sizeof(world.line));
	if (!strstr(world.line, op) || strncmp(world.line, priority, strlen(priority)) != 0)
		FAIL("not %s%s but: %s", priority, op, world.line);
	assert_non_null(strstr(world.line, " dived["));
	for (const char *at = world.line; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			FAIL("a control character, %d, in: %s", *at, world.line);
	return world.line;
}

static void assert_holds(const char *line, const char *text)
{
	if (!strstr(line, text))
		FAIL("\"%s\" is not in: %s", text, line);
}

#define NOTICE "<85>" /* authpriv (10) * 8 + notice (5) */

static void serve(const char *const *options)
{
	gateway_start(&world.gateway, options);
}

static void as_alice(int status, const char *const *words)
{
	run_dive(&world.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &world.gateway, words);
	run_assert_status(&world.client, status);
	run_done(&world.client);
}

static void test_gateway_lines(void **state)
{
	static const char *const facts[] = { "version=", "target=bob", "pam=dived",
					     "audit=", "auth-tries=2" };
	static const char *const ops[] = { "op=dive:start res=success",
					   "op=dive:stop res=success" };

	(void)state;
	world.log = sandbox_syslog_open();
	serve(RUN_WORDS("-u", "bob", "--auth-tries", "2"));
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		const char *line;

		if (i == 1)
			gateway_stop(&world.gateway);
		line = expect_line(ops[i], NOTICE);
		for (size_t j = 0; j < ARRAY_LEN(facts); j++)
			assert_holds(line, facts[j]);
	}
}

/* Kills the session of a program that tells who its parent is, and runs while *ret is open. */
static void lose_session(int *ret)
{
	struct family_fds fds;
	int hold[2];
	pid_t pid;

	MUST(pipe2(hold, O_CLOEXEC));
	run_dive_start(&world.client,
		       &(struct run_options){ .account = "alice",
					      .login_uid = "2001",
					      .fds = &(struct run_fd){ hold[0], 7 },
					      .fd_count = 1 },
		       &world.gateway,
		       RUN_WORDS("sh", "-c", "trap '' HUP; echo $PPID; read end <&7; :"));
	close_fd(&hold[0]);
	run_expect(&world.client, "\n");
	world.client.out[strcspn(world.client.out, "\n")] = '\0';
	assert_int_equal(parse_pid(world.client.out, &pid), 0);
	family_list_fds(pid, &fds); /* it sleeps: it has told the listener of the program */
	MUST(kill(pid, SIGKILL));   /* its child lives, so it is that process */
	run_wait(&world.client);
	assert_int_equal(world.client.status, 127);
	run_done(&world.client);
	*ret = hold[1];
}

static void test_one_line_for_each(void **state)
{
	static const char *const common[] = { "acct=alice",	  "client=alice", "client_uid=2001",
					      "client_auid=2001", "gateway=/",	  "dive_id=" };
	const char *line;
	int hold;

	(void)state;
	world.log = sandbox_syslog_open();
	serve(RUN_WORDS(NULL));
	expect_line("op=dive:start", NOTICE);
	as_alice(3, RUN_WORDS("sh", "-c", "exit 3"));
	line = expect_line("op=dive:spawn res=success", NOTICE);
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		assert_holds(line, common[i]);
	assert_holds(line, " cwd=/ ");
	assert_holds(line, " cmd=\"sh -c 'exit 3'\"");
	line = expect_line("op=dive:exit res=success", NOTICE);
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		assert_holds(line, common[i]);
	assert_holds(line, " exit=3 duration_ms=");
	as_alice(127, RUN_WORDS("/nonesuch"));
	expect_line("op=dive:spawn", NOTICE);
	line = expect_line("op=dive:exit res=failed", NOTICE);
	assert_holds(line, " layer=exec step=exec errno=2 ");
	lose_session(&hold);
	expect_line("op=dive:spawn", NOTICE);
	line = expect_line("op=dive:lost res=failed", NOTICE);
	assert_holds(line, "acct=alice");
	assert_holds(line, "client_auid=2001");
	assert_holds(line, " program=running ");
	close_fd(&hold);
	line = expect_line("op=dive:exit res=success", NOTICE);
	assert_holds(line, " exit=? ");
	gateway_stop(&world.gateway);
	expect_line("op=dive:stop", NOTICE);
}

static void test_refusal_line(void **state)
{
	const char *line;

	(void)state;
	world.log = sandbox_syslog_open();
	serve(RUN_WORDS("-u", "bob"));
	expect_line("op=dive:start", NOTICE);
	as_alice(77, RUN_WORDS("-n", "id"));
	line = expect_line("op=dive:refuse res=failed", NOTICE);
	assert_holds(line, "acct=bob");
	assert_holds(line, "client=alice client_uid=2001");
	assert_holds(line, " layer=authentication ");
	assert_holds(line, " reason=\"authentication is needed");
	assert_holds(line, " cmd=id");
	gateway_stop(&world.gateway);
	expect_line("op=dive:stop", NOTICE);
}

static void test_hostile_values_are_escaped(void **state)
{
	static const struct {
		const char *value;
		const char *line; /* how it is shown */
	} cases[] = {
		{ "a\nb", "a\\nb" },
		{ "\033[2J", "\\033[2J" },
		{ "\a\r\b", "\\007\\015\\010" },
		{ "\xff\xfe", "\\377\\376" },
		{ "\xc2\x9b", "\\302\\233" },	       /* C1: a CSI in one character */
		{ "\xe2\x80\xae", "\\342\\200\\256" }, /* turns the direction of text */
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "back\\n", "back\\134n" },
		{ "x\" op=dive:stop", "x\"\" op=dive:stop" },
	};

	(void)state;
	world.log = sandbox_syslog_open();
	serve(RUN_WORDS(NULL));
	expect_line("op=dive:start", NOTICE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char shown[128];

		print_message("case: %zu\n", i);
		(void)snprintf(shown, sizeof(shown), " cmd=\"true '%s'\"", cases[i].line);
		as_alice(0, RUN_WORDS("true", cases[i].value));
		assert_holds(expect_line("op=dive:spawn", NOTICE), shown);
		expect_line("op=dive:exit", NOTICE);
	}
	gateway_stop(&world.gateway);
	expect_line("op=dive:stop", NOTICE);
}

/*
 * Other lines are worth another priority, of the same facility.  The second one comes
 * from a listener that has logged before, and so has its template inherit from it a
 * connection to syslog that is not the template's: libpam, which logs while it reads
 * the service's file, must not take the one for the other.
 */
static void test_priorities(void **state)
{
	(void)state;
	world.log = sandbox_syslog_open();
	serve(RUN_WORDS("-u", "bob", "--no-pam"));
	sandbox_syslog_expect(world.log, "--no-pam: whoever may connect", world.line,
			      sizeof(world.line));
	assert_memory_equal(world.line, "<84>", 4); /* warning */
	expect_line("op=dive:start", NOTICE);
	gateway_stop(&world.gateway);
	expect_line("op=dive:stop", NOTICE);
	sandbox_service("fragile", SANDBOX_SERVICE);
	serve(RUN_WORDS("-x", "fragile"));
	expect_line("op=dive:start", NOTICE);
	as_alice(0, RUN_WORDS("true"));
	expect_line("op=dive:spawn", NOTICE);
	expect_line("op=dive:exit", NOTICE);
	/* In one step: each change that is seen has libpam log, and nobody reads meanwhile. */
	sandbox_write("/etc/draft", 0644, "auth required pam_nonesuch.so\n");
	MUST(rename("/etc/draft", "/etc/pam.d/fragile"));
	as_alice(77, RUN_WORDS("true"));
	sandbox_syslog_expect(world.log, "authentication is not available", world.line,
			      sizeof(world.line));
	assert_memory_equal(world.line, "<83>", 4); /* error */
	gateway_stop(&world.gateway);
}

/* Detached, there is no standard error, and syslog is all there is. */
static void test_detached(void **state)
{
	(void)state;
	world.log = sandbox_syslog_open();
	serve(RUN_WORDS("-d"));
	expect_line("op=dive:start", NOTICE);
	as_alice(0, RUN_WORDS("true"));
	expect_line("op=dive:spawn", NOTICE);
	expect_line("op=dive:exit", NOTICE);
	assert_null(strstr(gateway_log(&world.gateway), "op=dive:spawn"));
	gateway_stop(&world.gateway);
	expect_line("op=dive:stop", NOTICE);
}

static void test_no_logger(void **state)
{
	(void)state;
	assert_int_equal(access("/dev/log", F_OK), -1);
	serve(RUN_WORDS(NULL));
	as_alice(0, RUN_WORDS("true"));
	/* One that comes later is found. */
	world.log = sandbox_syslog_open();
	as_alice(0, RUN_WORDS("true"));
	expect_line("op=dive:spawn", NOTICE);
	expect_line("op=dive:exit", NOTICE);
	/* And one that has died, leaving its socket, is no failure either. */
	close_fd(&world.log);
	as_alice(0, RUN_WORDS("true"));
	gateway_stop(&world.gateway);
	MUST(unlink("/dev/log"));
}

/*
 * Limits are the target's and act on the session, too, where it cannot raise them again.
 * However low they are, there is a line for what was decided, and one for how it ended.
 */
static void test_limits_of_the_target(void **state)
{
	static const char limits[] = "/run/dive-test/limits.conf";

	(void)state;
	sandbox_service("dive-limits", SANDBOX_SERVICE
			"session required pam_limits.so conf=/run/dive-test/limits.conf\n");
	world.log = sandbox_syslog_open();
	serve(RUN_WORDS("-x", "dive-limits"));
	expect_line("op=dive:start", NOTICE);
	for (int count = 0; count <= 24; count++) {
		print_message("case: %d descriptors\n", count);
		sandbox_write(limits, 0644, "* - nofile %d\n* - fsize 0\n", count);
		run_dive(&world.client, &(struct run_options){ .account = "alice" }, &world.gateway,
			 RUN_WORDS("/bin/true"));
		if (world.client.status == 77) {
			expect_line("op=dive:refuse", NOTICE);
		} else {
			expect_line("op=dive:spawn", NOTICE);
			expect_line("op=dive:exit", NOTICE);
		}
		run_done(&world.client);
	}
	gateway_stop(&world.gateway);
	expect_line("op=dive:stop", NOTICE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gateway_lines), TEST(test_one_line_for_each),
		TEST(test_refusal_line),  TEST(test_hostile_values_are_escaped),
		TEST(test_priorities),	  TEST(test_detached),
		TEST(test_no_logger),	  TEST(test_limits_of_the_target),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
