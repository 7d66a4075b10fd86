/*
 * policy/limits.d/dive.conf and policy/access.conf, as they are installed, with the real
 * pam_limits and pam_access: each line does what it says.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "pty.h"
#include "sandbox.h"
#include "show.h"

#include <sys/socket.h>
#include <unistd.h>

#define LIMITS "/etc/security/limits.d/dive.conf"
#define ACCESS "/etc/security/dive-access.conf"

/* As the comment in access.conf says. */
#define ACCESS_SERVICE                                                                             \
	"auth     required pam_unix.so nodelay\n"                                                  \
	"account  required pam_access.so nodefgroup accessfile=" ACCESS "\n"                       \
	"account  required pam_unix.so\n"                                                          \
	"session  required pam_unix.so\n"

static struct world {
	struct gateway gateway;
	struct run client;
	struct pty pty;
	int log;
} world;

static void install(const char *file, const char *path)
{
	char source[256];

	assert_in_range(snprintf(source, sizeof(source), "%s/policy/%s", sandbox_source(), file), 1,
			sizeof(source) - 1);
	run_or_fail(
		&(struct run_options){ .argv = RUN_WORDS("install", "-m", "0644", source, path) });
}

/* The numbers are those of setrlimit(2), in the units of getrlimit(2). */
static const struct {
	const char *line; /* of the file, with single blanks */
	const char *key;
	const char *value;
} limits[] = {
	{ "@dive - nofile 4096", "limit7", "4096 4096" },
	{ "@dive - nproc 512", "limit6", "512 512" },
	{ "@dive soft cpu 60", "limit0", "3600 3660" },
	{ "@dive hard cpu 61", "limit0", "3600 3660" },
	{ "@dive - core 0", "limit4", "0 0" },
	{ "@dive - memlock 1024", "limit8", "1048576 1048576" },
};

/* The file has these lines and no other. */
static void assert_all_lines_are_tried(void)
{
	struct run lines;
	size_t count = 0;

	run(&lines, &(struct run_options){ .argv = RUN_WORDS("sh", "-c",
							     "grep -v '^#' " LIMITS
							     " | grep . | tr -s ' '") });
	run_assert_status(&lines, 0);
	for (const char *at = lines.out; *at; at++)
		count += *at == '\n';
	assert_int_equal(count, ARRAY_LEN(limits));
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		assert_contains(lines.out, limits[i].line);
	run_done(&lines);
}

/* The module complains of a line to syslog, and lets the session be opened. */
static void assert_no_complaint(void)
{
	char text[8192];
	ssize_t len;

	while ((len = recv(world.log, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		text[len] = '\0';
		if (strstr(text, "pam_limits"))
			FAIL("pam_limits says: %s", text);
	}
}

/* What a program has, as its own report. */
static void report(const char *target)
{
	gateway_start(&world.gateway, RUN_WORDS("-u", target, "-a", "never"));
	run_dive(&world.client, &(struct run_options){ .account = "alice" }, &world.gateway,
		 RUN_WORDS(SHOW));
	run_assert_status(&world.client, 0);
	gateway_stop(&world.gateway);
}

static void test_limits(void **state)
{
	(void)state;
	install("limits.d/dive.conf", LIMITS);
	assert_all_lines_are_tried();
	world.log = sandbox_syslog_open();
	report("bob");
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		print_message("case: %s\n", limits[i].line);
		show_expect(world.client.out, limits[i].key, limits[i].value);
	}
	assert_no_complaint();
	run_done(&world.client);
	/* Carol is not in the group. */
	report("carol");
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		print_message("case: not %s\n", limits[i].line);
		if (strcmp(show_get(world.client.out, limits[i].key), limits[i].value) == 0)
			FAIL("it holds for everybody");
	}
	MUST(unlink(LIMITS));
}

static const struct {
	const char *what;
	const char *account; /* NULL: root */
	const char *input;
	const char *service;
	bool at_terminal;
	const char *says; /* of the refusal; NULL: it runs */
} accesses[] = {
	{ "in the group, at a terminal", "alice", SANDBOX_PASSWORD_ALICE "\n", "dived", true,
	  NULL },
	{ "in the group, no terminal", "alice", SANDBOX_PASSWORD_ALICE "\n", "dived", false,
	  "account alice: not allowed by the PAM account rules" },
	{ "not in the group", "carol", SANDBOX_PASSWORD_CAROL "\n", "dived", true,
	  "account carol: not allowed by the PAM account rules" },
	{ "the job, no terminal", "backup", SANDBOX_PASSWORD_BOB "\n", "dived", false, NULL },
	{ "the job, at a terminal", "backup", SANDBOX_PASSWORD_BOB "\n", "dived", true,
	  "account backup: not allowed by the PAM account rules" },
	{ "the job, by another service", "backup", SANDBOX_PASSWORD_BOB "\n", "other-name", false,
	  "account backup: not allowed by the PAM account rules" },
	{ "a wrong password all the same", "alice", "wrong\n", "dived", true,
	  "authentication failed" },
	{ "root, who is not asked", NULL, "", "dived", false, NULL },
};

static void test_access(void **state)
{
	(void)state;
	install("access.conf", ACCESS);
	sandbox_service("dived", ACCESS_SERVICE);
	sandbox_service("other-name", ACCESS_SERVICE);
	pty_start(&world.pty,
		  &(struct run_options){ .account = "alice", .argv = RUN_WORDS("sleep", "600") });
	for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
		struct run_fd terminal = { world.pty.slave, 1 };

		print_message("case: %s\n", accesses[i].what);
		gateway_start(&world.gateway, RUN_WORDS("-u", "root", "-x", accesses[i].service,
							"--auth-tries", "1"));
		run_dive(&world.client,
			 &(struct run_options){ .account = accesses[i].account,
						.input = accesses[i].input,
						.fds = &terminal,
						.fd_count = accesses[i].at_terminal },
			 &world.gateway, RUN_WORDS("-S", "true"));
		run_assert_status(&world.client, accesses[i].says ? 77 : 0);
		assert_contains(world.client.err, accesses[i].says ? accesses[i].says : "");
		run_done(&world.client);
		gateway_stop(&world.gateway);
	}
	pty_done(&world.pty);
}

static int group_setup(void **state)
{
	if (probe_group_setup(state) != 0)
		return -1;
	sandbox_account("backup", 2020, SANDBOX_PASSWORD_BOB, "/bin/sh");
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("sh", "-euc",
				  "groupadd dive; usermod -aG dive bob\n"
				  "groupadd admins; usermod -aG admins alice\n"
				  "rm -f /etc/security/limits.d/*") });
	return 0;
}

static int setup(void **state)
{
	(void)state;
	world = (struct world){ .client.pidfd = -1,
				.pty = { .run.pidfd = -1, .master = -1, .slave = -1 },
				.log = -1 };
	return 0;
}

static int teardown(void **state)
{
	run_done(&world.client);
	pty_done(&world.pty);
	gateway_kill(&world.gateway);
	if (world.log >= 0)
		sandbox_syslog_close(&world.log);
	return sandbox_test_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_limits),
		TEST(test_access),
	};

	return cmocka_run_group_tests(tests, group_setup, sandbox_group_teardown);
}
