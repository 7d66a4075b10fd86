/*
 * config: how clients come (-i -J -j -F --listen-fds), and what that excludes and
 * implies.
 */
#include "config_scene.h"

#include "environment.h"
#include "message.h"
#include "must.h"

#include <signal.h>

static const struct refusal refused[] = {
	{ ANY, { "/s", "-i" }, "ADDRESS /s", "-i" },
	{ ANY, { "@s", "-J", "--", "/bin/id" }, "ADDRESS @s", "-J" },
	{ ANY, { "/s", "-j", "--", "/bin/id" }, "ADDRESS /s", "-j" },
	{ ANY, { "--listen-fds", "/s" }, "ADDRESS /s", "--listen-fds" },
	{ ANY, { "-i", "-J", "--", "/bin/id" }, "-J", "excluded by -i" },
	{ ANY, { "-i", "-j", "--", "/bin/id" }, "-j", "excluded by -i" },
	{ ANY, { "-i", "--listen-fds" }, "--listen-fds", "excluded by -i" },
	{ ANY, { "-J", "--listen-fds", "--", "/bin/id" }, "--listen-fds", "excluded by -J" },
	{ ANY, { "-i", "-F" }, "-F", "excluded by -i" },
	{ ANY, { "-J", "-F", "--", "/bin/id" }, "-F", "excluded by -J" },
	{ ANY, { "-F" }, "ADDRESS", "" },
	{ ANY, { "-i", "-C", "0666" }, "-C 0666", "excluded by -i" },
	{ ANY, { "-i", "-C", "0600" }, "-C 0600", "excluded by -i" },
	{ ANY, { "-i", "-U", "root" }, "-U root", "excluded by -i" },
	{ ANY, { "-i", "-d" }, "-d", "excluded by -i" },
	{ ANY, { "-J" }, "-J", "needs a command" },
	{ ANY, { "-j" }, "-j", "needs a command" },
	{ ANY, { "-J", "--" }, "--", "command" },
	{ ANY, { "-J", "-C", "0600", "--", "/bin/id" }, "-C 0600", "excluded by -J" },
	{ ANY, { "-J", "-U", "root", "--", "/bin/id" }, "-U root", "excluded by -J" },
	{ ANY, { "-J", "-d", "--", "/bin/id" }, "-d", "excluded by -J" },
	{ ANY, { "-J", "-r", "--", "/bin/id" }, "-r", "excluded by -J" },
	{ ANY, { "-J", "-w", "--", "/bin/id" }, "-w", "excluded by -J" },
	{ ANY, { "-J", "-n", "--", "/bin/id" }, "-n", "excluded by -J" },
	{ ANY, { "-J", "--signals-pgid", "--", "/bin/id" }, "--signals-pgid", "excluded by -J" },
	{ ANY, { "-J", "-A", "--", "/bin/id" }, "-A", "excluded by -J" },
	{ ANY, { "-J", "--allow", "root", "--", "/bin/id" }, "--allow root", "excluded by -J" },
	{ ANY, { "-J", "-a", "always", "--", "/bin/id" }, "-a always", "excluded by -J" },
	{ ANY, { "-j", "-a", "always", "--", "/bin/id" }, "-a always", "excluded by -j" },
	{ ANY,
	  { "-J", "--auth-user", "root", "--", "/bin/id" },
	  "--auth-user root",
	  "excluded by -J" },
	{ ANY,
	  { "-J", "--on-disconnect", "kill", "--", "/bin/id" },
	  "--on-disconnect",
	  "excluded by -J" },
	{ ANY, { "-J", "--audit", "require", "--", "/bin/id" }, "--audit require", "recorded" },
	{ ANY, { "-J", "--no-pam", "-x", "su", "--", "/bin/id" }, "-x su", "--no-pam" },
	{ ANY, { "-j", "-u", "root", "--", "/bin/id" }, "-u root", "excluded by -j" },
	{ ANY, { "-j", "-g", "root", "--", "/bin/id" }, "-g root", "excluded by -j" },
	{ OTHER, { "-J", "-x", "su", "--", "/bin/id" }, "-x su", "root" },
};

static void test_refused(void **state)
{
	(void)state;
	expect_refused(refused, ARRAY_LEN(refused));
}

static void test_modes(void **state)
{
	static const struct {
		const char *words[WORDS];
		enum config_mode mode;
		const char *address;
	} rows[] = {
		{ { "/s" }, CONFIG_MODE_LISTEN, "/s" },
		{ { "/s", "-F", "-D" }, CONFIG_MODE_ONCE, "/s" },
		{ { "--listen-fds", "--check" }, CONFIG_MODE_LISTEN, "--listen-fds" },
		{ { "--listen-fds", "-F", "-d" }, CONFIG_MODE_ONCE, "--listen-fds" },
		{ { "-i", "--allow", "root", "-w", "-p", "/p" }, CONFIG_MODE_INETD, "-i" },
		{ { "-J", "-O", "-p", "/p", "--", "id" }, CONFIG_MODE_EXECUTE, "-J" },
		{ { "-j", "--", "./id" }, CONFIG_MODE_EXECUTE, "-J" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config config;

		print_message("case: %zu\n", i);
		load_good(rows[i].words, &config);
		assert_int_equal(config.mode, rows[i].mode);
		assert_string_equal(config.address, rows[i].address);
		assert_int_equal(config.socket_mode, 0600);
		config_done(&config);
	}
}

/* -J has PAM where it is told which; -j is more than -J. */
static void test_execution(void **state)
{
	static const struct {
		const char *words[WORDS];
		bool pam;
		bool unchanged; /* -S -T -P */
	} rows[] = {
		{ { "-J", "--", "id" }, false, false },
		{ { "-J", "-a", "never", "--", "id" }, false, false },
		{ { "-J", "-x", "su", "--", "id" }, true, false },
		{ { "-J", "--pam-confdir", "/etc", "--", "id" }, true, false },
		{ { "-j", "--", "id" }, false, true },
		{ { "-j", "-x", "su", "--", "id" }, true, true },
		{ { "-J", "-x", "su", "--audit", "require", "--", "id" }, true, false },
	};

	(void)state;
	if (geteuid() != 0)
		SKIP("needs root");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config config;

		print_message("case: %zu\n", i);
		load_good(rows[i].words, &config);
		assert_int_equal(config.no_pam, !rows[i].pam);
		assert_int_equal(config.no_setuid, rows[i].unchanged);
		assert_int_equal(config.no_setsid, rows[i].unchanged);
		assert_int_equal(config.no_csctty, rows[i].unchanged);
		assert_false(config_may_elevate(&config));
		assert_int_equal(environment_mode(&config, false), CONFIG_ENVIRONMENT_SERVER);
		config_done(&config);
	}
}

/* What dived was told to ignore, as by nohup(1), programs of its own shall ignore. */
static void test_ignored_signals(void **state)
{
	struct config config;

	(void)state;
	load_good(LINE("/s"), &config);
	assert_int_equal(config.inherited.ignored, 0);
	config_done(&config);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	load_good(LINE("/s"), &config);
	(void)signal(SIGHUP, SIG_DFL);
	(void)signal(SIGQUIT, SIG_DFL);
	assert_int_equal(config.inherited.ignored, MESSAGE_IGNORED_HUP | MESSAGE_IGNORED_QUIT);
	config_done(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused),
		TEST(test_modes),
		TEST(test_execution),
		TEST(test_ignored_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
