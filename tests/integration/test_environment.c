/*
 * Which variables the program has, and from whom: the client, dived, the target
 * account, PAM, --env-set, and the gateway itself, in this order.
 *
 * All sources set variables of their own and variables of each other's, and the
 * program reports what it has got; what is absent is checked as well as what is
 * there.  Which file a name leads to in the final PATH is in test_command.c.
 */
#include "cleanup.h"
#include "gateway_scene.h"
#include "hostile.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINES_MAX     16
#define STANDARD_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ELEVATED      "-u", "bob", "-a", "never"

/* Of dived's; what a service manager says to it is not for programs. */
static const char *const server_environment[] = {
	"PATH=/server/bin",  "LANG=C.UTF-8", "TZ=UTC0",	  "SERVER_ONLY=1",   "INVOCATION_ID=7",
	"LISTEN_FDNAMES=no", "LD_X=server",  "TERM=dumb", "DIVE_USER=dived", NULL
};

static const char *const client_environment[] = { "PATH=/client/bin",
						  "LANG=C",
						  "TZ=CET-1CEST",
						  "TERM=xterm",
						  "CLIENT_ONLY=1",
						  "HOME=/client",
						  "LD_X=client",
						  "DIVE_USER=root",
						  "DIVE_EXTRA=1",
						  "DIVE_PID=1",
						  "() { x=1",
						  "BASH_ENV=/tmp",
						  NULL };

/* Runs the report as alice, with this environment, behind a gateway with these options. */
static void report(struct run *ret, const char *const *options, const char *const *environment)
{
	gateway_start_with(&gateway, &(struct run_options){ .envp = server_environment }, options);
	run_dive(ret, &(struct run_options){ .account = "alice", .envp = environment }, &gateway,
		 RUN_WORDS(SHOW));
	run_assert_status(ret, 0);
	assert_string_equal(ret->err, "");
	gateway_stop(&gateway);
}

static void expect(const char *report, const char *assignment, bool there)
{
	char line[4096];

	(void)snprintf(line, sizeof(line), "env:%s", assignment); /* fits */
	show_expect_line(report, line, there);
}

/* No variable of this name. */
static void expect_unset(const char *report, const char *name)
{
	char start[256];

	(void)snprintf(start, sizeof(start), "env:%s=", name); /* fits */
	if (show_starts(report, start))
		FAIL("%s is set in:\n%s", name, report);
}

/* Without the sanitizer options that the test run adds to dived's environment. */
static size_t count_variables(const char *report)
{
	size_t count = 0;

	for (const char *at = strstr(report, "\nenv:"); at; at = strstr(at + 1, "\nenv:"))
		count += strncmp(at + 5, "ASAN_", 5) != 0 && strncmp(at + 5, "UBSAN_", 6) != 0 &&
			 strncmp(at + 5, "LSAN_", 5) != 0;
	return count;
}

/* --- the base ------------------------------------------------------------------------------ */

/* Each case: all its variables but the five DIVE_* ones. */
static const struct base_case {
	const char *what;
	const char *options[8];
	const char *lines[LINES_MAX];
} base_cases[] = {
	{ "own account: all",
	  { "-T" },
	  { "PATH=/client/bin", "LANG=C", "TZ=CET-1CEST", "TERM=xterm", "CLIENT_ONLY=1",
	    "HOME=/client", "LD_X=client", "() { x=1", "BASH_ENV=/tmp" } },
	{ "elevated: safe",
	  { ELEVATED },
	  { "LANG=C", "TZ=CET-1CEST", "TERM=xterm", "HOME=/home/bob", "SHELL=/bin/bash", "USER=bob",
	    "LOGNAME=bob", "MAIL=/var/mail/bob", STANDARD_PATH } },
	{ "safe",
	  { "--environment", "safe" },
	  { "LANG=C", "TZ=CET-1CEST", "TERM=xterm", "HOME=/home/alice", "SHELL=/bin/bash",
	    "USER=alice", "LOGNAME=alice", "MAIL=/var/mail/alice", STANDARD_PATH } },
	{ "safe, and one kept",
	  { "--environment", "safe", "--env-keep", "CLIENT_ONLY,OTHER" },
	  { "LANG=C", "TZ=CET-1CEST", "TERM=xterm", "CLIENT_ONLY=1", "HOME=/home/alice",
	    "SHELL=/bin/bash", "USER=alice", "LOGNAME=alice", "MAIL=/var/mail/alice",
	    STANDARD_PATH } },
	{ "none",
	  { "--environment", "none", "-u", "carol", "-a", "never" },
	  { "LANG=C.UTF-8", "TZ=UTC0", "HOME=/home/carol", "SHELL=/bin/sh", "USER=carol",
	    "LOGNAME=carol", "MAIL=/var/mail/carol", STANDARD_PATH } },
	{ "-E",
	  { "-E" },
	  { "LANG=C.UTF-8", "TZ=UTC0", "HOME=/home/alice", "SHELL=/bin/bash", "USER=alice",
	    "LOGNAME=alice", "MAIL=/var/mail/alice", STANDARD_PATH } },
	{ "server",
	  { "--environment", "server" },
	  { "PATH=/server/bin", "LANG=C.UTF-8", "TZ=UTC0", "SERVER_ONLY=1", "LD_X=server",
	    "TERM=dumb" } },
	{ "server, elevated",
	  { "--environment", "server", ELEVATED },
	  { "PATH=/server/bin", "LANG=C.UTF-8", "TZ=UTC0", "SERVER_ONLY=1", "LD_X=server",
	    "TERM=dumb" } },
	{ "all, elevated, by force",
	  { "--environment", "all", "--allow-insecure", ELEVATED },
	  { "PATH=/client/bin", "LANG=C", "TZ=CET-1CEST", "TERM=xterm", "CLIENT_ONLY=1",
	    "HOME=/client", "LD_X=client", "() { x=1", "BASH_ENV=/tmp" } },
};

static void test_bases(void **state)
{
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(base_cases); i++) {
		size_t count = 0;

		print_message("case: %s\n", base_cases[i].what);
		report(&command, base_cases[i].options, client_environment);
		for (; base_cases[i].lines[count]; count++)
			expect(command.out, base_cases[i].lines[count], true);
		if (count_variables(command.out) != count + 5)
			FAIL("there is more:\n%s", command.out);
		run_done(&command);
	}
}

/* Elevated programs must not run in the client's environment unless somebody insists. */
static void test_all_is_refused_when_elevated(void **state)
{
	(void)state;
	gateway_expect_refusal(
		RUN_WORDS("@refused", "-C", "0666", "--environment", "all", ELEVATED),
		"--environment");
}

static void test_safe_values(void **state)
{
	static const struct {
		const char *line;
		const char *is; /* NULL: dropped */
	} cases[] = {
		{ "LC_ALL=C.UTF-8", "LC_ALL=C.UTF-8" },
		{ "LC_MESSAGES=/home/alice/catalogue", NULL },
		{ "LANG=../../home/alice", NULL },
		{ "LANGUAGE=%n%n", NULL },
		{ "TERM=() { :;}; echo", NULL },
		{ "TERM=(screen)", "TERM=(screen)" },
		{ "COLORTERM=", "COLORTERM=" },
		{ "NO_COLOR=1", "NO_COLOR=1" },
		{ "KEPT=plain text", "KEPT=plain text" },
		{ "KEPT=/a/path", NULL },
		{ "KEPT=100%", NULL },
		{ "KEPT=() { :; }", NULL },
		{ "KEPTNOT=1", NULL },
		{ "TZ=Europe/Berlin", "TZ=Europe/Berlin" },
		{ "TZ=:Europe/Berlin", "TZ=Europe/Berlin" },
		{ "TZ=/usr/share/zoneinfo/UTC", "TZ=/usr/share/zoneinfo/UTC" },
		{ "TZ=:/usr/share/zoneinfo/UTC", "TZ=/usr/share/zoneinfo/UTC" },
		{ "TZ=<+03>-3", "TZ=<+03>-3" },
		{ "TZ=/usr/share/zoneinfo/../../../home/alice/zone", NULL },
		{ "TZ=/home/alice/zone", NULL },
		{ "TZ=:/home/alice/zone", NULL },
		{ "TZ=../alice/zone", NULL },
		{ "TZ=::x", NULL },
		{ "TZ=./x", NULL },
		{ "TZ=%s", NULL },
	};
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS(ELEVATED, "--env-keep", "KEPT"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[32];

		print_message("case: %s\n", cases[i].line);
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(cases[i].line, "="),
			       cases[i].line); /* fits */
		run_dive(&command,
			 &(struct run_options){ .account = "alice",
						.envp = RUN_WORDS(cases[i].line) },
			 &gateway, RUN_WORDS(SHOW));
		run_assert_status(&command, 0);
		if (cases[i].is)
			expect(command.out, cases[i].is, true);
		else
			expect_unset(command.out, name);
		run_done(&command);
	}
	gateway_stop(&gateway);
}

static void test_steering_names_are_never_kept(void **state)
{
	static const char *const names[] = {
		"LD_PRELOAD",  "LD_X",		"GCONV_PATH", "GLIBC_TUNABLES",
		"BASH_ENV",    "ENV",		"IFS",	      "PS4",
		"PERL5LIB",    "PERL5OPT",	"PYTHONPATH", "PYTHONSTARTUP",
		"BASH_FUNC_x", "BASH_FUNC_x%%", "DIVE_UID",   "A,LD_X"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		print_message("case: %s\n", names[i]);
		gateway_expect_refusal(RUN_WORDS("@refused", "--env-keep", names[i]), "--env-keep");
	}
}

/* --- the order -------------------------------------------------------------------------------- */

/* 1 client, 2 account, 3 PAM, 4 --env-set, 5 the gateway: each overrides those before. */
static void test_later_sources_win(void **state)
{
	static const char *const environment[] = { "TERM=client", "LC_A=client", "LC_B=client",
						   "DIVE_USER=client", NULL };
	struct run command;

	(void)state;
	sandbox_write("/etc/security/dive-env.conf", 0644,
		      "LC_A DEFAULT=pam\nLC_B DEFAULT=pam\nMAIL DEFAULT=pam\nUSER DEFAULT=pam\n"
		      "PAM_ONLY DEFAULT=pam\nDIVE_USER DEFAULT=pam\nDIVE_UID DEFAULT=0\n");
	sandbox_service("dive-env", SANDBOX_SERVICE
			"session required pam_env.so conffile=/etc/security/dive-env.conf\n");
	report(&command,
	       RUN_WORDS("-x", "dive-env", ELEVATED, "--env-set", "LC_B=set", "--env-set",
			 "USER=set", "--env-set", "SET_ONLY=a=b c", "--env-set", "DIVE_GID=0"),
	       environment);
	expect(command.out, "TERM=client", true);
	expect(command.out, "LOGNAME=bob", true);
	expect(command.out, "LC_A=pam", true);
	expect(command.out, "MAIL=pam", true);
	expect(command.out, "PAM_ONLY=pam", true);
	expect(command.out, "LC_B=set", true);
	expect(command.out, "USER=set", true);
	expect(command.out, "SET_ONLY=a=b c", true);
	expect(command.out, "DIVE_USER=alice", true);
	expect(command.out, "DIVE_UID=2001", true);
	expect(command.out, "DIVE_GID=2001", true);
	expect(command.out, "LC_A=client", false);
	expect(command.out, "LC_B=pam", false);
	expect(command.out, "USER=bob", false);
	expect(command.out, "DIVE_USER=pam", false);
	run_done(&command);
}

/* --- DIVE_* --------------------------------------------------------------- */

static void expect_dive(const char *report, const struct run *command, const char *ids,
			const char *name)
{
	char line[256];

	/* All fit. */
	(void)snprintf(line, sizeof(line), "DIVE_UID=%s", ids);
	expect(report, line, true);
	(void)snprintf(line, sizeof(line), "DIVE_GID=%s", ids);
	expect(report, line, true);
	(void)snprintf(line, sizeof(line), "DIVE_PID=%d", (int)command->pid);
	expect(report, line, true);
	(void)snprintf(line, sizeof(line), "DIVE_USER=%s", name);
	expect(report, line, true);
	(void)snprintf(line, sizeof(line), "DIVE_GATEWAY=%s", gateway.address);
	expect(report, line, true);
}

static void test_dive_variables_are_the_kernels(void **state)
{
	static const struct {
		const char *what;
		const char *options[6];
		struct run_options client;
		const char *ids;
		const char *name;
	} cases[] = {
		{ "own account", { "-T" }, { .account = "alice" }, "2001", "alice" },
		{ "elevated", { ELEVATED }, { .account = "alice" }, "2001", "alice" },
		{ "root", { ELEVATED }, { .uid = 0 }, "0", "root" },
		{ "no name", { ELEVATED }, { .uid = 4001, .gid = 4001 }, "4001", "" },
		{ "abstract",
		  { "@dive-environment", ELEVATED },
		  { .account = "carol" },
		  "2003",
		  "carol" },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run_options client = cases[i].client;

		print_message("case: %s\n", cases[i].what);
		client.envp = client_environment;
		gateway_start(&gateway, cases[i].options);
		run_dive(&command, &client, &gateway, RUN_WORDS(SHOW));
		run_assert_status(&command, 0);
		expect_dive(command.out, &command, cases[i].ids, cases[i].name);
		expect_unset(command.out, "DIVE_EXTRA");
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* dive sends none; a client that does gains nothing by it. */
static void test_dive_variables_of_a_client_are_dropped(void **state)
{
	static const char *const environment[] = { "PATH=/usr/bin:/bin", "DIVE_EXTRA=1",
						   "DIVE_UID=0", "CLIENT_ONLY=1", NULL };
	cleanup_fd int out = MUST_INT(memfd_create("report", MFD_CLOEXEC));
	cleanup_fd int root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	const struct message_fd one = { 1, 0 };
	struct hostile hostile;
	struct packet packet;
	char text[16384] = "";

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	hostile_connect(&hostile, gateway.address, "alice", NULL);
	hostile_send_hello(&hostile, 0);
	hostile_send_fds(&hostile, &one, &out, 1);
	hostile_send_request(&hostile, (struct message_request){ .flags = MESSAGE_REQUEST_CWD },
			     RUN_WORDS(SHOW), environment, &root, 1);
	hostile_send_end(&hostile);
	hostile_expect(&hostile, MESSAGE_STARTED, &packet);
	packet_done(&packet);
	hostile_expect(&hostile, MESSAGE_EXITED, &packet);
	packet_done(&packet);
	hostile_close(&hostile);
	gateway_stop(&gateway);
	MUST(pread(out, text, sizeof(text) - 1, 0));
	expect(text, "CLIENT_ONLY=1", true);
	expect(text, "DIVE_UID=2001", true);
	expect(text, "DIVE_UID=0", false);
	expect_unset(text, "DIVE_EXTRA");
}

static void read_text(const char *path, char *text, size_t size)
{
	cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));

	memset(text, 0, size);
	MUST(read(fd, text, size - 1));
}

/* pam_exec runs before the password is asked for, and sees nothing the client has set. */
static void test_pam_sees_dive_variables(void **state)
{
	static char text[16384];
	struct run command;

	(void)state;
	sandbox_write("/run/dive-test/look", 0755,
		      "#!/bin/sh\nenv | sed s/^/env:/ >/run/dive-test/look.out\n");
	sandbox_service("dive-look", "auth required pam_exec.so /run/dive-test/look\n"
				     "auth required pam_deny.so\n"
				     "account required pam_unix.so\n");
	gateway_start(&gateway, RUN_WORDS("-x", "dive-look", "-u", "bob", "--auth-tries", "1"));
	run_dive(&command, &(struct run_options){ .account = "alice", .envp = client_environment },
		 &gateway, RUN_WORDS("-n", SHOW));
	run_assert_status(&command, 77);
	read_text("/run/dive-test/look.out", text, sizeof(text));
	expect_dive(text, &command, "2001", "alice");
	expect(text, "PAM_RUSER=alice", true);
	expect_unset(text, "CLIENT_ONLY");
	expect_unset(text, "DIVE_EXTRA");
	expect_unset(text, "LD_X");
	run_done(&command);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bases),
		TEST(test_all_is_refused_when_elevated),
		TEST(test_safe_values),
		TEST(test_steering_names_are_never_kept),
		TEST(test_later_sources_win),
		TEST(test_dive_variables_are_the_kernels),
		TEST(test_dive_variables_of_a_client_are_dropped),
		TEST(test_pam_sees_dive_variables),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
