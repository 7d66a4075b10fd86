/*
 * config with sockets that are passed: what depends on who can connect is judged when
 * they are known.  Open ones make spawns elevated, closed ones leave PATH to the
 * client; what neither would make safe is refused at once (test_config.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"
#include "leak.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WORDS 8

static void test_passed_sockets(void **state)
{
	static const struct {
		const char *words[WORDS];
		bool open; /* whether open sockets are fine, and closed ones */
		bool closed;
	} cases[] = {
		{ { "--listen-fds", "-P" }, true, true },
		{ { "--listen-fds", "-P", "--environment", "all" }, false, true },
		{ { "--listen-fds", "-P", "--", "id" }, true, false },
		{ { "--listen-fds", "-P", "-r" }, false, true },
		{ { "--listen-fds", "-P", "-r", "-X" }, true, true },
		{ { "--listen-fds", "-P", "--environment", "all", "--allow-insecure" },
		  true,
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *argv[WORDS + 2] = { (char *)(uintptr_t) "dived" };
		struct config config;
		char error[256];

		print_message("case: %s\n", cases[i].words[2] ? cases[i].words[2] : "");
		for (size_t j = 0; cases[i].words[j]; j++)
			argv[j + 1] = (char *)(uintptr_t)cases[i].words[j];
		assert_int_equal(config_load(argv, &config, error, sizeof(error)), 0);
		assert_string_equal(config.address, "--listen-fds");
		assert_false(config.socket_mode_set);
		assert_false(config.passed.known);
		for (int open = 0; open < 2; open++) {
			struct config_access access = { .mode = open ? 0666 : 0600,
							.uid = geteuid() };
			bool fine = open ? cases[i].open : cases[i].closed;

			assert_int_equal(config_admit(&config, &access, error, sizeof(error)),
					 fine ? 0 : -EINVAL);
			assert_int_equal(config_may_elevate(&config), open);
			assert_int_equal(config_access(&config).mode, access.mode);
		}
		config_done(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_passed_sockets, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
