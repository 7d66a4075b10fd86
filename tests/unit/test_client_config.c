/*
 * What dive makes of its command line and of the DIVE_* variables.
 *
 * Every malformed variable must be named in the error, whatever else is right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/dive/config.h"
#include "cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const variables[] = { "DIVE_CURDIR",	    "DIVE_ROOTDIR",   "DIVE_TERMINAL",
					 "DIVE_WAITMODE",   "DIVE_SIGFWMODE", "DIVE_ASKPASS",
					 "DIVE_SERVER_USER" };

static int clear_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		assert_return_code(unsetenv(variables[i]), errno);
	return 0;
}

static int load(const char *const *words, struct client_config *config, struct failure *failure)
{
	char *argv[8] = { NULL };

	for (size_t i = 0; words[i] != NULL; i++) {
		assert_true(i + 1 < ARRAY_LEN(argv));
		argv[i] = (char *)(uintptr_t)words[i]; /* never written to */
	}
	memset(config, 0xa5, sizeof(*config));
	return client_config_load(argv, config, failure);
}

static int load_plain(struct client_config *config, struct failure *failure)
{
	static const char *const words[] = { "dive", "/socket", NULL };

	return load(words, config, failure);
}

static void test_defaults(void **state)
{
	struct client_config config;
	struct failure failure;

	(void)state;
	assert_int_equal(load_plain(&config, &failure), 0);
	assert_string_equal(config.address, "/socket");
	assert_int_equal(config.non_interactive | config.from_stdin | config.askpass, 0);
	assert_int_equal(config.login | config.help | config.version | config.dump, 0);
	assert_null(config.curdir);
	assert_null(config.rootdir);
	assert_null(config.terminal);
	assert_int_equal(config.terminal_fd, -1);
	assert_null(config.askpass_program);
	assert_int_equal(config.wait, MESSAGE_WAIT_EXIT);
	assert_int_equal(config.forward, MESSAGE_FORWARD_PROGRAM);
	assert_false(config.has_server_uid);
}

static void test_malformed_variable_is_named(void **state)
{
	static const struct {
		const char *name;
		const char *value;
	} cases[] = {
		{ "DIVE_CURDIR", "" },
		{ "DIVE_ROOTDIR", "" },
		{ "DIVE_TERMINAL", "@" },
		{ "DIVE_TERMINAL", "@-2" },
		{ "DIVE_TERMINAL", "@x" },
		{ "DIVE_TERMINAL", "@ 1" },
		{ "DIVE_TERMINAL", "@65536" },
		{ "DIVE_TERMINAL", "@99999999999999999999" },
		{ "DIVE_WAITMODE", "" },
		{ "DIVE_WAITMODE", "3" },
		{ "DIVE_WAITMODE", "-1" },
		{ "DIVE_WAITMODE", "1 " },
		{ "DIVE_WAITMODE", "one" },
		{ "DIVE_SIGFWMODE", "" },
		{ "DIVE_SIGFWMODE", "3" },
		{ "DIVE_SIGFWMODE", "0x1" },
		{ "DIVE_ASKPASS", "" },
		{ "DIVE_ASKPASS", "askpass" },
		{ "DIVE_ASKPASS", "./askpass" },
		{ "DIVE_SERVER_USER", "" },
		{ "DIVE_SERVER_USER", "-1" },
		{ "DIVE_SERVER_USER", "4294967295" },
		{ "DIVE_SERVER_USER", "4294967296" },
		{ "DIVE_SERVER_USER", "no such user" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client_config config;
		struct failure failure;

		print_message("case: %s=%s\n", cases[i].name, cases[i].value);
		assert_int_equal(clear_environment(state), 0);
		assert_return_code(setenv(cases[i].name, cases[i].value, 1), errno);
		assert_int_equal(load_plain(&config, &failure), FAILED);
		assert_int_equal(failure.status, STATUS_USAGE);
		assert_non_null(strstr(failure.text, cases[i].name));
		assert_non_null(strstr(failure.text, cases[i].value));
		assert_non_null(strstr(failure.text, "dive --help"));
	}
}

static void test_wellformed_variables(void **state)
{
	struct client_config config;
	struct failure failure;

	(void)state;
	assert_return_code(setenv("DIVE_CURDIR", "some/where", 1), errno);
	assert_return_code(setenv("DIVE_ROOTDIR", "/", 1), errno);
	assert_return_code(setenv("DIVE_WAITMODE", "2", 1), errno);
	assert_return_code(setenv("DIVE_SIGFWMODE", "0", 1), errno);
	assert_return_code(setenv("DIVE_ASKPASS", "/bin/true", 1), errno);
	assert_return_code(setenv("DIVE_SERVER_USER", "1234", 1), errno);
	assert_int_equal(load_plain(&config, &failure), 0);
	assert_string_equal(config.curdir, "some/where");
	assert_string_equal(config.rootdir, "/");
	assert_int_equal(config.wait, MESSAGE_WAIT_HOLDERS);
	assert_int_equal(config.forward, MESSAGE_FORWARD_NONE);
	assert_string_equal(config.askpass_program, "/bin/true");
	assert_int_equal(config.askpass, 0); /* named is not yet asked for */
	assert_true(config.has_server_uid);
	assert_int_equal(config.server_uid, 1234);

	assert_return_code(setenv("DIVE_SERVER_USER", "root", 1), errno);
	assert_int_equal(load_plain(&config, &failure), 0);
	assert_true(config.has_server_uid);
	assert_int_equal(config.server_uid, 0);
}

static void test_terminal_forms(void **state)
{
	static const struct {
		const char *value;
		const char *path;
		int fd;
	} cases[] = {
		{ "", NULL, -1 },
		{ "@-1", NULL, -1 },
		{ "@0", NULL, 0 },
		{ "@7", NULL, 7 },
		{ "@65535", NULL, 65535 },
		{ "tty", "tty", -1 },
		{ "/dev/tty", "/dev/tty", -1 },
	};
	struct client_config config;
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: DIVE_TERMINAL=%s\n", cases[i].value);
		assert_return_code(setenv("DIVE_TERMINAL", cases[i].value, 1), errno);
		assert_int_equal(load_plain(&config, &failure), 0);
		assert_int_equal(config.terminal_fd, cases[i].fd);
		if (cases[i].path == NULL)
			assert_null(config.terminal);
		else
			assert_string_equal(config.terminal, cases[i].path);
	}
}

static void test_wrong_command_lines(void **state)
{
	static const struct {
		const char *words[6];
		const char *named; /* in the error */
	} cases[] = {
		{ { "dive" }, "ADDRESS" },
		{ { "dive", "--" }, "ADDRESS" },
		{ { "dive", "-n" }, "ADDRESS" },
		{ { "dive", "" }, "ADDRESS" },
		{ { "dive", "@" }, "ADDRESS" },
		{ { "dive", "-nS", "/socket" }, "-nS" },
		{ { "dive", "-x", "/socket" }, "-x" },
		{ { "dive", "--bogus", "/socket" }, "--bogus" },
		{ { "dive", "--stdin=yes", "/socket" }, "--stdin" },
		{ { "dive", "-A", "/socket" }, "DIVE_ASKPASS" },
		{ { "dive", "-S", "-A", "/socket" }, "--askpass" },
	};
	struct client_config config;
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s %s\n", cases[i].named,
			      cases[i].words[1] != NULL ? cases[i].words[1] : "");
		assert_int_equal(load(cases[i].words, &config, &failure), FAILED);
		assert_int_equal(failure.status, STATUS_USAGE);
		assert_non_null(strstr(failure.text, cases[i].named));
	}
}

static void test_everything_after_address_is_the_programs(void **state)
{
	static const struct {
		const char *words[7];
		size_t argc; /* of the program */
		const char *first;
	} cases[] = {
		{ { "dive", "/socket" }, 0, NULL },
		{ { "dive", "/socket", "ls", "-l" }, 2, "ls" },
		{ { "dive", "/socket", "-n", "--help" }, 2, "-n" },
		{ { "dive", "/socket", "--", "ls" }, 2, "--" },
		{ { "dive", "--", "/socket", "-V" }, 1, "-V" },
		{ { "dive", "/socket", "" }, 1, "" },
	};
	struct client_config config;
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *argv[8] = { NULL };
		size_t argc = 0;

		print_message("case %zu\n", i);
		for (size_t j = 0; cases[i].words[j] != NULL; j++)
			argv[j] = (char *)(uintptr_t)cases[i].words[j];
		assert_int_equal(client_config_load(argv, &config, &failure), 0);
		assert_string_equal(config.address, "/socket");
		assert_int_equal(config.non_interactive | config.help | config.version, 0);
		while (config.argv[argc] != NULL)
			argc++;
		assert_int_equal(argc, cases[i].argc);
		if (argc > 0)
			assert_string_equal(config.argv[0], cases[i].first);
	}
}

static void test_options(void **state)
{
	static const struct {
		const char *words[5];
		size_t field; /* offset of the one that is set */
	} cases[] = {
		{ { "dive", "-n", "/s" }, offsetof(struct client_config, non_interactive) },
		{ { "dive", "--non-interactive", "/s" },
		  offsetof(struct client_config, non_interactive) },
		{ { "dive", "-S", "/s" }, offsetof(struct client_config, from_stdin) },
		{ { "dive", "--stdin", "/s" }, offsetof(struct client_config, from_stdin) },
		{ { "dive", "-A", "/s" }, offsetof(struct client_config, askpass) },
		{ { "dive", "--askpass", "/s" }, offsetof(struct client_config, askpass) },
		{ { "dive", "-l", "/s" }, offsetof(struct client_config, login) },
		{ { "dive", "--login", "/s" }, offsetof(struct client_config, login) },
		{ { "dive", "-h" }, offsetof(struct client_config, help) },
		{ { "dive", "--help" }, offsetof(struct client_config, help) },
		{ { "dive", "-V" }, offsetof(struct client_config, version) },
		{ { "dive", "--version" }, offsetof(struct client_config, version) },
		{ { "dive", "--dump-options" }, offsetof(struct client_config, dump) },
	};
	struct client_config config;
	struct failure failure;

	(void)state;
	assert_return_code(setenv("DIVE_ASKPASS", "/bin/true", 1), errno);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *bytes = (const char *)&config;
		unsigned value;

		print_message("case: %s\n", cases[i].words[1]);
		assert_int_equal(load(cases[i].words, &config, &failure), 0);
		memcpy(&value, bytes + cases[i].field, sizeof(value));
		assert_int_equal(value, 1);
		assert_int_equal(config.non_interactive + config.from_stdin + config.askpass +
					 config.login + config.help + config.version + config.dump,
				 1);
	}
}

static void test_help_needs_nothing_else(void **state)
{
	static const char *const words[] = { "dive", "-h", NULL };
	struct client_config config;
	struct failure failure;

	(void)state;
	assert_return_code(setenv("DIVE_WAITMODE", "nonsense", 1), errno);
	assert_int_equal(load(words, &config, &failure), 0);
	assert_int_equal(config.help, 1);
}

static void test_address_length(void **state)
{
	static const struct {
		char first;
		size_t len;
		int result;
	} cases[] = {
		{ '/', 1, 0 },	       { '/', 107, 0 }, { '/', 108, FAILED },
		{ '/', 4096, FAILED }, { '@', 107, 0 }, { '@', 108, FAILED },
	};
	struct client_config config;
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *address = malloc(cases[i].len + 1);
		const char *const words[] = { "dive", address, NULL };

		print_message("case: %c, %zu bytes\n", cases[i].first, cases[i].len);
		assert_non_null(address);
		memset(address, 'x', cases[i].len);
		address[0] = cases[i].first;
		address[cases[i].len] = '\0';
		assert_int_equal(load(words, &config, &failure), cases[i].result);
		if (cases[i].result == 0)
			assert_ptr_equal(config.address, address); /* whole, never cut */
		else
			assert_int_equal(failure.status, STATUS_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, clear_environment),
		cmocka_unit_test_setup(test_malformed_variable_is_named, clear_environment),
		cmocka_unit_test_setup(test_wellformed_variables, clear_environment),
		cmocka_unit_test_setup(test_terminal_forms, clear_environment),
		cmocka_unit_test_setup(test_wrong_command_lines, clear_environment),
		cmocka_unit_test_setup(test_everything_after_address_is_the_programs,
				       clear_environment),
		cmocka_unit_test_setup(test_options, clear_environment),
		cmocka_unit_test_setup(test_help_needs_nothing_else, clear_environment),
		cmocka_unit_test_setup(test_address_length, clear_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
