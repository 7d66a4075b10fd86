/*
 * What dived says before it serves: errors, --check, --help, warnings.
 *
 * Every value is judged at start-up.  An error ends dived with status 4 and one
 * line that names the option and the value, and leaves no socket behind; the
 * rest of the line (and a second one, where to find help) is for people.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "sandbox.h"

#include <sys/stat.h>
#include <unistd.h>

#define PATH "/run/dive-test/startup.sock"

static const struct {
	const char *options[8];
	const char *names; /* option and value, as in the line */
	const char *why;
} errors[] = {
	{ { "-C", "8" }, "-C: \"8\"", "octal" },
	{ { "-C", "01777" }, "-C: \"01777\"", "octal" },
	{ { "--chmod=" }, "--chmod: \"\"", "octal" },
	{ { "-U", "nobody-here" }, "-U nobody-here", "no such account" },
	{ { "-U", "alice:nothing-here" }, "-U alice:nothing-here", "no such group" },
	{ { "-U", ":" }, "-U :", "neither a user nor a group" },
	{ { "-U", "4294967295" }, "-U 4294967295", "" },
	{ { "-U", "54321:" }, "-U 54321:", "" }, /* its group cannot be known */
	{ { "--allow", "" }, "--allow", "" },
	{ { "--allow", "," }, "--allow", "" },
	{ { "--allow", "nobody-here" }, "--allow nobody-here", "no such account" },
	{ { "--allow", "alice,@nothing" }, "--allow @nothing", "no such group" },
	{ { "--allow", "@" }, "--allow @", "" },
	{ { "--allow", "-1" }, "--allow -1", "" },
	{ { "--max-sessions", "0" }, "--max-sessions: \"0\"", "from 1" },
	{ { "--max-sessions", "x" }, "--max-sessions: \"x\"", "from 1" },
	{ { "--max-sessions-per-user", "65537" },
	  "--max-sessions-per-user: \"65537\"",
	  "to 65536" },
	{ { "--max-pending=+1" }, "--max-pending: \"+1\"", "number" },
	{ { "--max-pending-per-user", " 1" }, "--max-pending-per-user: \" 1\"", "number" },
	{ { "--request-timeout", "3601" }, "--request-timeout: \"3601\"", "to 3600" },
	{ { "--request-timeout", "1", "--request-timeout", "2" }, "--request-timeout", "" },
	{ { "--on-disconnect", "maybe" }, "--on-disconnect: \"maybe\"", "hup" },
	{ { "-p", "" }, "-p ''", "empty" },
	{ { "-p", "/nonexistent/file" }, "/nonexistent/file", "No such file" },
	{ { "-u", "nobody-here" }, "-u nobody-here", "no such account" },
	{ { "-u", "54321" }, "-u 54321", "no passwd entry" },
	{ { "-u", "18446744073709551616" }, "-u 18446744073709551616", "" },
	{ { "-P", "-u", "bob" }, "-u bob", "excluded by -P" },
	{ { "-x", "../dived" }, "-x '../dived'", "not a name of a PAM service" },
	{ { "-x", "not-there" }, "--pam-service not-there", "" },
	{ { "-x", "no-module" }, "--pam-service no-module", "pam_nowhere" },
	{ { "--pam-confdir", "etc" }, "--pam-confdir 'etc'", "absolute" },
	{ { "--pam-confdir", "/etc/passwd" }, "--pam-confdir /etc/passwd", "not a directory" },
	{ { "-a", "/bin/hook" }, "-a /bin/hook", "program hook is gone" },
	{ { "--auth-user", "nobody-here" }, "--auth-user nobody-here", "no such account" },
	{ { "--auth-tries", "0" }, "--auth-tries: \"0\"", "from 1" },
	{ { "--auth-timeout", "1s" }, "--auth-timeout: \"1s\"", "number" },
	{ { "--no-pam", "-x", "dived" }, "-x dived", "--no-pam" },
	{ { "--no-pam", "-a", "always" }, "-a always", "--no-pam" },
	{ { "--environment", "most" }, "--environment: \"most\"", "safe" },
	{ { "-E", "--environment", "all" }, "--environment all", "excluded by -E" },
	{ { "-u", "bob", "--environment", "all" }, "--environment all", "--allow-insecure" },
	{ { "--env-keep", "LD_PRELOAD" }, "--env-keep LD_PRELOAD", "" },
	{ { "--env-set", "X" }, "--env-set X", "NAME=VALUE" },
	{ { "-n", "--signals-pgid" }, "--signals-pgid", "excluded by -n" },
	{ { "--audit", "maybe" }, "--audit: \"maybe\"", "require" },
	{ { "--", "id" }, "-- id", "not an absolute path" },
	{ { "--", "" }, "--", "no command" },
	{ { "--nothing", "net" }, "unknown option", "--nothing" }, /* not ignored */
	{ { "-dn" }, "unknown option", "-dn" },
	{ { "second" }, "second", "a second ADDRESS" },
	{ { "-C" }, "-C", "needs a value" },
	{ { "--detach=yes" }, "--detach", "takes no value" },
};

/* Returns how many lines a text has. */
static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* covers: nothing, for none of these starts */
static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		const char *argv[16] = { sandbox_dived(), PATH, "-C", "0666" };
		const char *const *options = errors[i].options;
		bool mode = strcmp(options[0], "-C") == 0 || strncmp(options[0], "--chmod", 7) == 0;
		struct run command;

		for (size_t j = 0; options[j]; j++)
			argv[(mode ? 2 : 4) + j] = options[j];
		if (mode)
			argv[options[1] ? 4 : 3] = NULL;
		print_message("case: %s %s\n", options[0], options[1] ? options[1] : "");
		run(&command, &(struct run_options){ .argv = argv, .deadline_ms = 5000 });
		run_assert_status(&command, 4);
		assert_string_equal(command.out, "");
		assert_int_equal(strncmp(command.err, "dived: ", 7), 0);
		if (!strstr(command.err, errors[i].names) || !strstr(command.err, errors[i].why))
			FAIL("\"%s\" or \"%s\" is not in: %s", errors[i].names, errors[i].why,
			     command.err);
		run_done(&command);
		assert_int_equal(access(PATH, F_OK), -1);
	}
}

static void test_addresses(void **state)
{
	char name[110];

	(void)state;
	gateway_expect_refusal(RUN_WORDS(NULL), "no ADDRESS given");
	gateway_expect_refusal(RUN_WORDS("-d"), "no ADDRESS given");
	gateway_expect_refusal(RUN_WORDS(""), "ADDRESS ''");
	gateway_expect_refusal(RUN_WORDS("@"), "ADDRESS '@'");
	memset(name, 'x', sizeof(name));
	memcpy(name, "/run/", 5);
	name[108] = '\0';
	gateway_expect_refusal(RUN_WORDS(name), "longer than the 107 bytes");
	gateway_expect_refusal(RUN_WORDS("/nonexistent/socket"), "/nonexistent/socket");
}

/* Root is never asked for anything. */
static void expect_served(const struct gateway *gateway)
{
	struct run command;

	run_dive(&command, &(struct run_options){ 0 }, gateway, RUN_WORDS("true"));
	run_assert_status(&command, 0);
	run_done(&command);
}

/* As long as a path may be. */
static void test_longest_address(void **state)
{
	char name[108];
	struct gateway gateway;

	(void)state;
	(void)snprintf(name, sizeof(name), "/run/dive-test/%092d", 0);
	assert_int_equal(strlen(name), 107);
	gateway_start(&gateway, RUN_WORDS(name));
	expect_served(&gateway);
	gateway_stop(&gateway);
}

/* Runs dived with these options; returns its output, which the caller releases with the run. */
static const char *print(struct run *command, int status, const char *const *options)
{
	const char *argv[16] = { sandbox_dived() };

	for (size_t i = 0; options[i]; i++)
		argv[i + 1] = options[i];
	run(command, &(struct run_options){ .argv = argv });
	run_assert_status(command, status);
	return command->out;
}

static void test_help_and_version(void **state)
{
	struct run command;
	const char *text = print(&command, 0, RUN_WORDS("--help"));

	(void)state;
	assert_non_null(strstr(text, "--max-pending-per-user N"));
	assert_non_null(strstr(text, "-u, --user USER"));
	assert_null(strstr(text, "--dump-options"));
	assert_string_equal(command.err, "");
	run_done(&command);
	text = print(&command, 0, RUN_WORDS("--version"));
	assert_int_equal(strncmp(text, "dived ", 6), 0);
	assert_int_equal(count_lines(text), 1);
	run_done(&command);
}

/* Everything is tried, PAM's modules included, but for the socket. */
static void test_check(void **state)
{
	static const char *const shown[] = { PATH,   "0600",	"alice",
					     "@bob", "/bin/id", "kernel auditing" };
	struct run command;
	const char *text;

	(void)state;
	text = print(&command, 0,
		     RUN_WORDS("--check", PATH, "-u", "bob", "--allow", "alice,@bob", "-p",
			       "/run/dive-test/check.pid", "--", "/bin/id"));
	for (size_t i = 0; i < ARRAY_LEN(shown); i++)
		if (!strstr(text, shown[i]))
			FAIL("\"%s\" is not in: %s", shown[i], text);
	assert_string_equal(command.err, "");
	run_done(&command);
	assert_int_equal(access(PATH, F_OK), -1);
	assert_int_equal(access("/run/dive-test/check.pid", F_OK), -1);
	gateway_expect_refusal(RUN_WORDS("--check", PATH, "-x", "no-module"), "pam_nowhere");
	gateway_expect_refusal(RUN_WORDS("--check", PATH, "-u", "nobody-here"), "-u nobody-here");
	gateway_expect_refusal(RUN_WORDS("--check"), "no ADDRESS given");
	assert_int_equal(access(PATH, F_OK), -1);
}

static void test_no_pam_warns(void **state)
{
	static const char warning[] = "whoever may connect gets the target account";
	static const struct {
		const char *options[6];
		bool warned;
	} cases[] = {
		{ { "--no-pam", "-u", "bob" }, true },
		{ { "--no-pam", "-P" }, true },
		{ { "--no-pam" }, false },			      /* everybody is himself */
		{ { "--no-pam", "-u", "bob", "-C", "0600" }, false }, /* nobody but root */
		{ { "-u", "bob" }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;

		print_message("case: %zu\n", i);
		gateway_start(&gateway, cases[i].options);
		expect_served(&gateway); /* what it had to say has been said */
		assert_int_equal(strstr(gateway_log(&gateway), warning) != NULL, cases[i].warned);
		gateway_stop(&gateway);
	}
}

/* -P: as dived does, groups included; whoever is not of its uid proves himself. */
static void test_no_setuid(void **state)
{
	struct gateway gateway;
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-P"));
	run_dive(&command,
		 &(struct run_options){ .account = "alice", .input = SANDBOX_PASSWORD_ALICE "\n" },
		 &gateway, RUN_WORDS("-S", "sh", "-c", "id -u; id -g; id -G"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "0\n0\n0\n");
	run_done(&command);
	run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "id"));
	run_assert_status(&command, 77);
	run_done(&command);
	gateway_stop(&gateway);
}

/* A dived that is not root serves its own account to whom its socket admits. */
static void test_unprivileged(void **state)
{
	static const char address[] = "/home/carol/gateway.sock";
	struct gateway gateway;
	struct run command;

	(void)state;
	MUST(chmod("/home/carol", 0711));
	gateway_start_with(&gateway, &(struct run_options){ .account = "carol" },
			   RUN_WORDS(address));
	gateway_expect_log(&gateway, "not root: no PAM, and every program runs as uid 2003");
	run_dive(&command,
		 &(struct run_options){
			 .account = "alice",
			 .envp = RUN_WORDS("DIVE_SERVER_USER=carol", "PATH=/usr/bin:/bin") },
		 &gateway, RUN_WORDS("-n", "id", "-un"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "carol\n");
	run_done(&command);
	gateway_stop(&gateway);
	assert_int_equal(access(address, F_OK), -1);
}

static void test_unprivileged_errors(void **state)
{
	static const struct {
		const char *options[4];
		const char *text;
	} cases[] = {
		{ { "-x", "dived" }, "-x dived: there is no PAM where dived does not run as root" },
		{ { "-a", "always" }, "-a always: there is no PAM" },
		{ { "-u", "alice" }, "-u alice: dived does not run as root" },
		{ { "--audit", "require" }, "--audit require: dived does not run as root" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const *options = cases[i].options;
		struct run command;

		print_message("case: %s %s\n", options[0], options[1]);
		run(&command, &(struct run_options){ .account = "carol",
						     .argv = RUN_WORDS(sandbox_dived(),
								       "/home/carol/other.sock",
								       options[0], options[1]) });
		run_assert_status(&command, 4);
		if (!strstr(command.err, cases[i].text))
			FAIL("\"%s\" is not in: %s", cases[i].text, command.err);
		run_done(&command);
	}
}

static int setup(void **state)
{
	int result = sandbox_group_setup(state);

	sandbox_service("no-module", "auth required pam_nowhere.so\n");
	return result;
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_errors),
		TEST(test_addresses),
		TEST(test_longest_address),
		TEST(test_help_and_version),
		TEST(test_check),
		TEST(test_no_pam_warns),
		TEST(test_no_setuid),
		TEST(test_unprivileged),
		TEST(test_unprivileged_errors),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
