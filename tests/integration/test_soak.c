/*
 * Many sessions, and a gateway that is as it was.  The short version of `./dev soak`.
 */
#include "gateway.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "soak.h"

#define WARM_UP	 16 /* sessions after which everything there is has been allocated */
#define SESSIONS 200

/* AddressSanitizer keeps what is freed, and would grow by itself. */
static const struct run_options unquarantined = {
	.envp = RUN_WORDS("PATH=/usr/sbin:/usr/bin:/sbin:/bin",
			  "ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0")
};

static void test_gateway_does_not_grow(void **state)
{
	struct soak_look before, now;
	struct gateway gateway;

	(void)state;
	gateway_start_with(&gateway, &unquarantined, RUN_WORDS("-u", "bob", "--auth-tries", "1"));
	soak_run(&gateway, WARM_UP);
	soak_take(&gateway, &before);
	soak_print(&before, WARM_UP);
	soak_run(&gateway, SESSIONS);
	soak_take(&gateway, &now);
	soak_print(&now, WARM_UP + SESSIONS);
	soak_assert_flat(&before, &now);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_gateway_does_not_grow) };

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
