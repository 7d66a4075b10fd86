/*
 * soak - `./dev soak [N]`: what a gateway has grown to after N sessions, and how fast
 * passwords can be guessed.
 *
 * The long versions of test_soak.c and test_attack.c, with figures.  It happens in the
 * sandbox of the integration tests; the audit system is left alone.
 */
#include "soak.h"
#include "attack.h"
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "parse.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"

#define SESSIONS 10000
#define STEPS	 4 /* looks on the way */
#define WARM_UP	 100
#define GUESSES	 200
#define DELAY_MS 100

static unsigned sessions = SESSIONS;

static void test_sessions(void **state)
{
	struct soak_look before, now;
	struct gateway gateway;
	unsigned done = WARM_UP;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "--auth-tries", "1"));
	soak_run(&gateway, WARM_UP);
	soak_take(&gateway, &before);
	soak_print(&before, done);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned more = sessions / STEPS + (step == 0 ? sessions % STEPS : 0);

		soak_run(&gateway, more);
		done += more;
		soak_take(&gateway, &now);
		soak_print(&now, done);
	}
	soak_assert_flat(&before, &now);
	gateway_stop(&gateway);
}

static void test_guessing(void **state)
{
	struct gateway gateway;

	(void)state;
	attack_start(&gateway, DELAY_MS);
	print_message("%u wrong answers each, with a delay of %u ms, of which libpam makes %u or "
		      "more\n",
		      GUESSES, DELAY_MS, DELAY_MS / 2);
	for (unsigned i = 0; i < attack_way_count; i++) {
		struct attack_figures figures;

		attack_run(&gateway, &attack_ways[i], GUESSES, NULL, &figures);
		print_message("%-24s %3u answers in %6.1f s: %5.2f a second, %lld ms apart or "
			      "more; tally %u, records %u\n",
			      attack_ways[i].name, figures.answers,
			      (double)figures.lasted_ms / 1000,
			      figures.lasted_ms > 0
				      ? (figures.answers - 1) * 1000.0 / (double)figures.lasted_ms
				      : 0,
			      (long long)figures.shortest, figures.tally, figures.records);
		if (figures.answers > 1)
			assert_in_range(figures.shortest, DELAY_MS / 2 - 1, INT32_MAX);
		assert_int_equal(figures.tally, figures.calls);
		assert_in_range(figures.tally, figures.answers, GUESSES);
		assert_in_range(figures.records, figures.calls, INT32_MAX);
	}
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { TEST(test_sessions), TEST(test_guessing) };
	uint64_t number = SESSIONS;

	if (argc > 2 || (argc == 2 && parse_uint(argv[1], 1, 10000000, &number))) {
		(void)fprintf(stderr, "usage: dive-soak [SESSIONS]\n");
		return 4;
	}
	sessions = (unsigned)number;
	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
