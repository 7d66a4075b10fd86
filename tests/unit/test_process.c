/*
 * process: which descriptor numbers are kept free, and for whom.  What PAM modules
 * leave behind is tested with real ones, in the integration tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "leak.h"
#include "process.h"

#include <fcntl.h>

static void test_park(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int low = fd;
	int none = -1;

	(void)state;
	process_park(&fd);
	assert_true(fd >= PROCESS_PARKED);
	assert_int_equal(fcntl(low, F_GETFD), -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close_fd(&fd);
	process_park(&none);
	assert_int_equal(none, -1);
}

/* Where the limit leaves no high number the descriptor stays where it is. */
static void test_park_under_a_limit(void **state)
{
	struct rlimit before, low;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = PROCESS_PARKED;
	cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int same = fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	process_park(&fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(fd, same);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void test_occupy(void **state)
{
	cleanup_fd int own = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint64_t occupied = process_occupy();

	(void)state;
	assert_true(own < PROCESS_LOW);
	assert_int_equal(occupied & (UINT64_C(1) << own | 7), 0); /* none that was taken */
	cleanup_fd int arrived = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(arrived >= PROCESS_LOW);
	process_vacate(occupied);
	assert_int_equal(fcntl(own, F_GETFD), FD_CLOEXEC); /* still there */
	cleanup_fd int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(next < PROCESS_LOW);
}

static void test_list_and_close(void **state)
{
	int ours = fcntl(0, F_DUPFD_CLOEXEC, PROCESS_PARKED);
	int theirs = fcntl(0, F_DUPFD_CLOEXEC, 2 * PROCESS_PARKED);
	struct process_fds fds;
	size_t found = 0;

	(void)state;
	assert_int_equal(process_list_fds(&fds), 0);
	int later = fcntl(0, F_DUPFD_CLOEXEC, 3 * PROCESS_PARKED);
	for (size_t i = 0; i < fds.count; i++) {
		assert_true(fds.list[i] > (i ? fds.list[i - 1] : 2));
		assert_int_not_equal(fcntl(fds.list[i], F_GETFD), -1); /* not that of the listing */
		found += fds.list[i] == ours || fds.list[i] == theirs;
	}
	assert_int_equal(found, 2);
	process_close_fds(&fds, theirs);
	free(fds.list);
	assert_int_equal(fcntl(ours, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(theirs, F_GETFD), -1);
	assert_int_equal(fcntl(later, F_GETFD), FD_CLOEXEC);
	close_fd(&ours);
	close_fd(&later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_park, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_park_under_a_limit, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_occupy, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_list_and_close, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
