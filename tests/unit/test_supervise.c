/* Which signals of a client reach the program, and how: the rules of "Signals" in dived(8). */
#include "cleanup.h"
#include "leak.h"
#include "supervise.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* HUP, INT, QUIT, TERM, TSTP, CONT and WINCH. */
static bool is_ordinary(int number)
{
	return number == SIGHUP || number == SIGINT || number == SIGQUIT || number == SIGTERM ||
	       number == SIGTSTP || number == SIGCONT || number == SIGWINCH;
}

static const struct {
	const char *name;
	struct config config;
	enum message_forward forward;
	bool root;
	bool elevated;
	enum supervise_delivery ordinary;
	enum supervise_delivery other;
} cases[] = {
	{ "plain",
	  { 0 },
	  MESSAGE_FORWARD_PROGRAM,
	  false,
	  false,
	  SUPERVISE_PROGRAM,
	  SUPERVISE_PROGRAM },
	{ "elevated",
	  { 0 },
	  MESSAGE_FORWARD_PROGRAM,
	  false,
	  true,
	  SUPERVISE_PROGRAM,
	  SUPERVISE_DROP },
	{ "elevated, group",
	  { 0 },
	  MESSAGE_FORWARD_GROUP,
	  false,
	  true,
	  SUPERVISE_GROUP,
	  SUPERVISE_DROP },
	{ "root client",
	  { 0 },
	  MESSAGE_FORWARD_PROGRAM,
	  true,
	  true,
	  SUPERVISE_PROGRAM,
	  SUPERVISE_PROGRAM },
	{ "group", { 0 }, MESSAGE_FORWARD_GROUP, false, false, SUPERVISE_GROUP, SUPERVISE_GROUP },
	{ "none", { 0 }, MESSAGE_FORWARD_NONE, true, false, SUPERVISE_DROP, SUPERVISE_DROP },
	{ "-n",
	  { .signals = 1 },
	  MESSAGE_FORWARD_PROGRAM,
	  false,
	  true,
	  SUPERVISE_PROGRAM,
	  SUPERVISE_PROGRAM },
	/* The client's choice counts where the server has made none. */
	{ "-n, group",
	  { .signals = 1 },
	  MESSAGE_FORWARD_GROUP,
	  false,
	  true,
	  SUPERVISE_PROGRAM,
	  SUPERVISE_PROGRAM },
	{ "--signals-pgid",
	  { .signals_group = 1 },
	  MESSAGE_FORWARD_PROGRAM,
	  false,
	  true,
	  SUPERVISE_GROUP,
	  SUPERVISE_GROUP },
};

static void test_delivery(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct message_hello hello = { .forward = cases[i].forward };
		struct peer peer = { .root = cases[i].root, .pidfd = -1 };

		for (int number = 1; number <= 64; number++) {
			enum supervise_delivery expected =
				is_ordinary(number) ? cases[i].ordinary : cases[i].other;
			enum supervise_delivery actual = supervise_delivery(
				&cases[i].config, &peer, &hello, cases[i].elevated, number);

			if (actual != expected)
				fail_msg("%s: signal %d: %d, not %d", cases[i].name, number,
					 (int)actual, (int)expected);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_delivery, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
