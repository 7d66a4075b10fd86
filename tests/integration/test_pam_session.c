/*
 * What was opened is closed, in reverse and on every way out; and what modules
 * set up (environment, limits, umask, groups, keyring) is the program's, and does
 * the session no harm.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define BEFORE	"authenticate account account establish "
#define ALL	BEFORE "open close delete"

#define ACCOUNT "account required pam_permit.so\n"
#define ASKING	"auth required " PROBE " only=authenticate hidden=Code: send\n" ACCOUNT

/* However the program ends, and also if it never began. */
static void test_closed_however_it_ends(void **state)
{
	static const struct {
		const char *words[6];
		int status; /* -1: by signal */
		int signal;
	} cases[] = {
		{ { "-n", "true" }, 0, 0 },
		{ { "-n", "sh", "-c", "exit 42" }, 42, 0 },
		{ { "-n", "sh", "-c", "kill -9 $$" }, -1, SIGKILL },
		{ { "-n", "sh", "-c", "kill -15 $$" }, -1, SIGTERM },
		{ { "-n", "/nonesuch" }, 127, 0 },
		{ { "-n", "/etc/passwd" }, 126, 0 },
	};
	struct gateway gateway;

	(void)state;
	probe_start(&gateway, PROBE_SERVICE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run dive;

		print_message("case %zu\n", i);
		probe_forget();
		run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
			 cases[i].words);
		probe_assert_phases(ALL); /* by the time the client knows */
		assert_int_equal(dive.status, cases[i].status);
		assert_int_equal(dive.signal, cases[i].signal);
		run_done(&dive);
	}
	gateway_stop(&gateway);
}

/* A phase that fails ends the transaction there, and only what was opened is closed. */
static void test_failing_phases(void **state)
{
	static const struct {
		const char *what;
		const char *service;
		const char *phases;
		int status;
		const char *says;
	} cases[] = {
		{ "account",
		  "auth required " PROBE "\naccount required " PROBE " return=6\n"
		  "session required " PROBE "\n",
		  "authenticate account", 77, "account alice: not allowed" },
		{ "credentials",
		  "auth required " PROBE " only=establish return=17\naccount required " PROBE
		  "\nsession required " PROBE "\n",
		  "authenticate account account establish", 77,
		  "PAM credentials cannot be established" },
		{ "open",
		  "auth required " PROBE "\naccount required " PROBE "\n"
		  "session required " PROBE " only=open return=14\n",
		  BEFORE "open delete", 77, "the PAM session cannot be opened" },
		{ "close",
		  "auth required " PROBE "\naccount required " PROBE "\n"
		  "session required " PROBE " only=close return=14\n",
		  ALL, 0, "" },
		{ "a question while the session is opened",
		  "auth required " PROBE "\naccount required " PROBE "\n"
		  "session required " PROBE " only=open hidden=Code: send expect=42\n",
		  ALL, 0, "Code:" },
		{ "a message while it is closed",
		  "auth required " PROBE "\naccount required " PROBE "\n"
		  "session required " PROBE " only=close info=Goodbye send\n",
		  ALL, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;
		struct run dive;

		print_message("case: %s\n", cases[i].what);
		probe_start(&gateway, cases[i].service);
		probe_ask(&dive, &gateway, "alice", "42\n");
		run_assert_status(&dive, cases[i].status);
		assert_string_equal(dive.out, cases[i].status ? "" : "bob\n");
		assert_contains(dive.err, cases[i].says);
		assert_null(strstr(dive.err, "Goodbye"));
		probe_assert_phases(cases[i].phases);
		if (strcmp(cases[i].what, "close") == 0)
			gateway_expect_log(&gateway, "closing failed at pam_close_session");
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

static void test_dive_killed_at_prompt(void **state)
{
	struct gateway gateway;
	struct run dive;
	int ends[2];

	(void)state;
	MUST(pipe2(ends, O_CLOEXEC)); /* no answer, and no end of file either */
	probe_start(&gateway, ASKING "session required " PROBE "\n");
	run_dive_start(&dive,
		       &(struct run_options){ .account = "alice",
					      .fds = &(struct run_fd){ ends[0], 0 },
					      .fd_count = 1 },
		       &gateway, RUN_WORDS("-S", "true"));
	run_expect(&dive, "Code:");
	run_signal(&dive, SIGKILL);
	run_wait(&dive);
	probe_expect("result="); /* the module hears of it, */
	gateway_expect_log(&gateway, "the client has gone");
	gateway_stop(&gateway);
	sandbox_assert_no_children();
	probe_assert_phases("authenticate"); /* and nothing more is called */
	run_done(&dive);
	close_fd(&ends[0]);
	close_fd(&ends[1]);
}

static void test_dive_killed_while_running(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	probe_start(&gateway, PROBE_SERVICE);
	run_dive_start(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		       RUN_WORDS("-n", "sh", "-c", "echo up; exec sleep 1000"));
	run_expect(&dive, "up");
	probe_assert_phases(BEFORE "open");
	run_signal(&dive, SIGKILL);
	run_wait(&dive);
	probe_expect_phases(ALL);
	gateway_expect_log(&gateway, "dive:exit");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* Asks for nothing; `lines` are session modules. */
static void start_session(struct gateway *ret, const char *lines)
{
	char service[2048];

	(void)snprintf(service, sizeof(service),
		       "auth required " PROBE "\n%s%ssession required %s\n", ACCOUNT, lines,
		       PROBE); /* fits */
	probe_start(ret, service);
}

static void test_environment_reaches_program(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	sandbox_write("/run/dive-test/env.conf", 0644,
		      "REALM DEFAULT=north\nLANG OVERRIDE=fi_FI.UTF-8\n");
	sandbox_service("probe",
			"auth required " PROBE " only=authenticate putenv=FROM_AUTH=1\n"
			"auth required " PROBE " only=establish putenv=FROM_CRED=2\n" ACCOUNT
			"session required pam_env.so conffile=/run/dive-test/env.conf "
			"readenv=0\n"
			"session required " PROBE " only=open putenv=FROM_OPEN=3 "
			"[putenv=DIVE_USER=root]\n");
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "sh", "-c",
			   "echo $FROM_AUTH $FROM_CRED $FROM_OPEN $REALM $LANG $DIVE_USER"));
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, "1 2 3 north fi_FI.UTF-8 alice\n");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* Modules are careless; what they leave open is root's. */
static void test_leaked_descriptors(void **state)
{
	static const char *const standard[] = { "fd0=", "fd1=", "fd2=" };
	struct gateway gateway;
	struct run dive;

	(void)state;
	start_session(&gateway, "session required " PROBE_PATH " only=open leak leak\n");
	run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", SHOW));
	run_assert_status(&dive, 0);
	for (const char *at = strstr(dive.out, "\nfd"); at; at = strstr(at + 1, "\nfd")) {
		bool expected = false;

		for (size_t i = 0; i < ARRAY_LEN(standard); i++)
			expected = expected || strncmp(at + 1, standard[i], 4) == 0;
		if (!expected)
			FAIL("%.40s in:\n%s", at + 1, dive.out);
	}
	run_done(&dive);
	gateway_stop(&gateway);
}

/* The words of a shell script for bob; its output. */
static void expect_output(const struct gateway *gateway, const char *script, const char *output)
{
	struct run dive;

	run_dive(&dive, &(struct run_options){ .account = "alice" }, gateway,
		 RUN_WORDS("-n", "bash", "-c", script));
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, output);
	run_done(&dive);
}

/*
 * Soft and hard, as bob's lines say; and the session, which must not starve on
 * them, still closes and writes its records.
 */
static void test_limits(void **state)
{
	static const struct {
		const char *lines;
		const char *script; /* writes to pipes only: fsize 0 would forbid a file */
	} cases[] = {
		{ "bob hard nofile 64\nbob soft nofile 32\n",
		  "test \"$(ulimit -Sn; ulimit -Hn)\" = \"32\n64\"" },
		{ "bob - nofile 24\n", "test $(ulimit -Hn) = 24" },
		{ "bob - fsize 0\n", "test $(ulimit -Hf) = 0" },
		{ "bob - cpu 7\nbob - stack 2048\n",
		  "test \"$(ulimit -Ht; ulimit -Hs)\" = \"420\n2048\"" },
		{ "alice - nofile 40\n", "test $(ulimit -Hn) != 40" },
	};
	struct audit_stream audit;
	char login_uid[16];
	char auid[32];

	(void)state;
	(void)snprintf(login_uid, sizeof(login_uid), "%u", 20000000U + (unsigned)getpid());
	(void)snprintf(auid, sizeof(auid), " auid=%s ", login_uid);
	audit_stream_open(&audit);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;
		struct run dive;

		print_message("case: %s", cases[i].lines);
		sandbox_write("/run/dive-test/limits", 0644, "%s", cases[i].lines);
		start_session(&gateway,
			      "session required pam_limits.so conf=/run/dive-test/limits\n");
		run_dive(&dive, &(struct run_options){ .account = "alice", .login_uid = login_uid },
			 &gateway, RUN_WORDS("-n", "bash", "-c", cases[i].script));
		run_assert_status(&dive, 0);
		probe_assert_phases("authenticate establish open close delete");
		(void)audit_stream_expect(&audit, AUDIT_USER_END, auid, "op=dive:exit", "exit=0",
					  NULL);
		run_done(&dive);
		gateway_stop(&gateway);
	}
	audit_stream_close(&audit);
}

static void test_umask(void **state)
{
	static const struct {
		const char *lines;
		const char *client; /* its umask */
		const char *program;
	} cases[] = {
		{ "", "0027", "0027\n" },
		{ "", "0002", "0022\n" },
		{ "session required pam_umask.so umask=0027\n", "0022", "0027\n" },
		{ "session required pam_umask.so umask=0027\n", "0077", "0027\n" },
		{ "session required pam_umask.so umask=0002\n", "0077", "0002\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;
		struct run dive;
		char script[512];

		print_message("case: %s, client %s\n", cases[i].lines, cases[i].client);
		start_session(&gateway, cases[i].lines);
		(void)snprintf(script, sizeof(script), "umask %s; exec %s -n %s sh -c umask",
			       cases[i].client, sandbox_dive(), gateway.address); /* fits */
		run(&dive, &(struct run_options){ .account = "alice",
						  .argv = RUN_WORDS("sh", "-c", script) });
		run_assert_status(&dive, 0);
		assert_string_equal(dive.out, cases[i].program);
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

/* pam_group adds while credentials are established, after initgroups(3). */
static void test_groups(void **state)
{
	struct gateway gateway;

	(void)state;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupadd", "-g", "2600", "divers") });
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupadd", "-g", "2601", "crew") });
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-aG", "crew", "bob") });
	sandbox_write("/etc/security/group.conf", 0644, "*;*;bob;Al0000-2400;divers\n");
	sandbox_service("probe", "auth required " PROBE "\nauth optional pam_group.so\n" ACCOUNT
				 "session required " PROBE "\n");
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-x", "probe"));
	expect_output(&gateway, "id -G | tr ' ' '\\n' | sort | tr '\\n' ' '", "2002 2600 2601 ");
	gateway_stop(&gateway);
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("gpasswd", "-d", "bob", "crew") });
}

/* The program's session keyring: a fresh one of bob's, or the one pam_keyinit made. */
static void test_keyring(void **state)
{
	static const struct {
		const char *lines;
		bool kept; /* the session's is the program's */
	} cases[] = {
		{ "", false },
		{ "session required pam_keyinit.so force revoke\n", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;
		struct run dive;
		char text[64];

		print_message("case: %s\n", cases[i].lines);
		start_session(&gateway, cases[i].lines);
		run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
			 RUN_WORDS("-n", SHOW));
		run_assert_status(&dive, 0);
		(void)snprintf(text, sizeof(text), "keyring=%08lx ",
			       strtoul(show_get(dive.out, "keyring"), NULL, 10)); /* fits */
		if (cases[i].kept)
			probe_assert_line("open", 0, text);
		else
			assert_null(strstr(probe_log(), text));
		assert_contains(show_get(dive.out, "keyring-is"), ";2002;");
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_closed_however_it_ends),
		TEST(test_failing_phases),
		TEST(test_dive_killed_at_prompt),
		TEST(test_dive_killed_while_running),
		TEST(test_environment_reaches_program),
		TEST(test_leaked_descriptors),
		TEST(test_limits),
		TEST(test_umask),
		TEST(test_groups),
		TEST(test_keyring),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
