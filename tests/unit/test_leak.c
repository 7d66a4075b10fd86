/*
 * The descriptor check itself: a check that cannot fail proves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "leak.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static struct leak_set before;

static void test_silent_without_leak(void **state)
{
	char report[256] = "untouched";

	(void)state;
	leak_take(&before);
	assert_int_equal(leak_compare(&before, report, sizeof(report)), 0);
	assert_string_equal(report, "untouched");
}

static void test_names_a_leak(void **state)
{
	char report[256], wanted[64];
	cleanup_fd int fd = -1;

	(void)state;
	leak_take(&before);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(leak_compare(&before, report, sizeof(report)), 1);
	(void)snprintf(wanted, sizeof(wanted), "descriptor %d leaked: /dev/null", fd);
	assert_string_equal(report, wanted);
}

static void test_sees_a_swap(void **state)
{
	cleanup_fd int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cleanup_fd int second = -1;
	char report[256];

	(void)state;
	leak_take(&before);
	second = fcntl(first, F_DUPFD_CLOEXEC, first + 1);
	close_fd(&first); /* as many as before, but not the same */
	assert_int_equal(leak_compare(&before, report, sizeof(report)), 2);
	assert_non_null(strstr(report, "was closed"));
}

static void test_teardown_fails_on_leak(void **state)
{
	cleanup_fd int fd = -1;
	void *own = NULL;

	(void)state;
	assert_int_equal(leak_setup(&own), 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(leak_teardown(&own), -1);
	close_fd(&fd);
	assert_int_equal(leak_setup(&own), 0);
	assert_int_equal(leak_teardown(&own), 0);
}

static int inner_setup(void **state)
{
	static int made = 42;

	*state = &made;
	return 0;
}

static int inner_teardown(void **state)
{
	return *(int *)*state == 42 ? 0 : -1;
}

static void test_wraps_a_fixture(void **state)
{
	assert_int_equal(*(int *)leak_fixture(state), 42);
}

int main(void)
{
	static struct leak_fixture inner = { inner_setup, inner_teardown };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent_without_leak),
		cmocka_unit_test(test_names_a_leak),
		cmocka_unit_test(test_sees_a_swap),
		cmocka_unit_test(test_teardown_fails_on_leak),
		cmocka_unit_test_prestate_setup_teardown(test_wraps_a_fixture, leak_setup,
							 leak_teardown, &inner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
