/* Quotas by uid, and the price of a wrong answer, with a clock of the test's own. */
#include "admission.h"
#include "cleanup.h"
#include "leak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ALICE 2001
#define BOB   2002

static struct admission make(unsigned sessions, unsigned sessions_per_user, unsigned pending,
			     unsigned pending_per_user)
{
	return (struct admission){
		.limits = { sessions, sessions_per_user, pending, pending_per_user },
	};
}

static void expect_refused(struct admission *admission, uid_t uid, bool exempt, const char *text)
{
	unsigned pending = admission->pending;
	const char *reason = admission_enter(admission, uid, exempt, 0);

	assert_non_null(reason);
	assert_int_equal(strncmp(reason, "busy: ", 6), 0);
	assert_non_null(strstr(reason, text));
	assert_int_equal(admission->pending, pending); /* who is refused does not count */
}

static void test_pending_per_user(void **state)
{
	struct admission admission = make(10, 10, 10, 2);

	(void)state;
	assert_null(admission_enter(&admission, ALICE, false, 0));
	assert_null(admission_enter(&admission, ALICE, false, 0));
	expect_refused(&admission, ALICE, false, "your connections");
	assert_null(admission_enter(&admission, ALICE, true, 0)); /* a root client of that uid */
	assert_null(admission_enter(&admission, BOB, false, 0));
	admission_leave(&admission, ALICE, true, 1);
	admission_verdict(&admission, ALICE, 1); /* one is a session now, none is pending more */
	assert_null(admission_enter(&admission, ALICE, false, 0));
	expect_refused(&admission, ALICE, false, "your connections");
	admission_done(&admission);
}

static void test_pending_in_all(void **state)
{
	struct admission admission = make(10, 10, 2, 2);

	(void)state;
	assert_null(admission_enter(&admission, ALICE, false, 0));
	assert_null(admission_enter(&admission, BOB, false, 0));
	expect_refused(&admission, BOB, false, "waiting for authentication");
	expect_refused(&admission, 0, true, "waiting for authentication");
	admission_verdict(&admission, ALICE, 1);
	assert_null(admission_enter(&admission, 0, true, 0));
	admission_done(&admission);
}

static void test_sessions_per_user(void **state)
{
	struct admission admission = make(10, 2, 10, 10);

	(void)state;
	assert_null(admission_enter(&admission, ALICE, false, 0));
	admission_verdict(&admission, ALICE, 1);
	assert_null(admission_enter(&admission, ALICE, false, 0)); /* pending counts too */
	expect_refused(&admission, ALICE, false, "you have too many sessions");
	assert_null(admission_enter(&admission, BOB, false, 0));
	admission_leave(&admission, ALICE, false, 1);
	assert_null(admission_enter(&admission, ALICE, false, 0));
	admission_done(&admission);
}

static void test_sessions_in_all(void **state)
{
	struct admission admission = make(2, 2, 10, 10);

	(void)state;
	assert_null(admission_enter(&admission, ALICE, false, 0));
	admission_verdict(&admission, ALICE, 1);
	assert_null(admission_enter(&admission, BOB, false, 0));
	expect_refused(&admission, 0, true, "too many sessions");
	admission_leave(&admission, BOB, true, 2);
	assert_null(admission_enter(&admission, 0, true, 0));
	admission_done(&admission);
}

/* What never entered cannot make room for what did. */
static void test_leaving_twice(void **state)
{
	struct admission admission = make(10, 10, 1, 1);

	(void)state;
	admission_leave(&admission, ALICE, true, 1);
	admission_verdict(&admission, ALICE, 1);
	assert_null(admission_enter(&admission, ALICE, false, 0));
	admission_leave(&admission, ALICE, false, 1); /* it was no session */
	expect_refused(&admission, ALICE, false, "waiting");
	admission_leave(&admission, ALICE, true, 1);
	admission_leave(&admission, ALICE, true, 1);
	assert_int_equal(admission.pending, 0);
	assert_int_equal(admission.sessions, 0);
	admission_done(&admission);
}

static void test_answers_one_at_a_time(void **state)
{
	struct admission admission = make(10, 10, 10, 10);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_null(admission_enter(&admission, ALICE, false, 0));
	assert_null(admission_enter(&admission, BOB, false, 0));
	assert_int_equal(admission_ask(&admission, ALICE, 1, 100), 0);
	assert_int_equal(admission_ask(&admission, ALICE, 1, 100), 0);
	assert_int_equal(admission_ask(&admission, ALICE, 2, 100), INT64_MAX);
	assert_int_equal(admission_ask(&admission, BOB, 4, 100), 0);
	/* The result of another connection is nobody's turn. */
	admission_result(&admission, ALICE, 3, 0);
	assert_int_equal(admission_ask(&admission, ALICE, 2, 100), INT64_MAX);
	admission_result(&admission, ALICE, 1, 0);
	assert_int_equal(admission_ask(&admission, ALICE, 2, 100), 0);
	/* Who leaves in the middle of a try is not waited for. */
	admission_leave(&admission, ALICE, true, 2);
	assert_int_equal(admission_ask(&admission, ALICE, 3, 100), 0);
	/* Nor is a session: the verdict is a result, too. */
	admission_verdict(&admission, ALICE, 3);
	assert_int_equal(admission_ask(&admission, ALICE, 1, 100), 0);
	/* Who never entered is never granted. */
	assert_int_equal(admission_ask(&admission, 4242, 9, 100), INT64_MAX);
	admission_done(&admission);
}

static void test_delay_after_failure(void **state)
{
	struct admission admission = make(10, 10, 10, 10);

	(void)state;
	assert_null(admission_enter(&admission, ALICE, false, 0));
	assert_null(admission_enter(&admission, BOB, false, 0));
	assert_int_equal(admission_ask(&admission, ALICE, 1, 100), 0);
	admission_result(&admission, ALICE, 1, 3000);
	assert_int_equal(admission_ask(&admission, ALICE, 1, 2999), 3000);
	assert_int_equal(admission_ask(&admission, BOB, 2, 2999), 0);
	admission_result(&admission, ALICE, 5, 1000); /* a shorter one does not shorten it */
	assert_int_equal(admission_ask(&admission, ALICE, 1, 2999), 3000);
	assert_int_equal(admission_ask(&admission, ALICE, 1, 3000), 0);
	admission_done(&admission);
}

/* Neither a new connection nor those of a thousand others make it forgotten. */
static void test_delay_outlives_connections(void **state)
{
	struct admission admission = make(65536, 10, 65536, 10);
	size_t rows;

	(void)state;
	assert_null(admission_enter(&admission, ALICE, false, 0));
	assert_int_equal(admission_ask(&admission, ALICE, 1, 100), 0);
	admission_result(&admission, ALICE, 1, 3000);
	admission_leave(&admission, ALICE, true, 1);
	for (uid_t uid = 10000; uid < 11000; uid++)
		assert_null(admission_enter(&admission, uid, false, 200));
	assert_null(admission_enter(&admission, ALICE, false, 200));
	assert_int_equal(admission_ask(&admission, ALICE, 2, 200), 3000);
	/* Rows of uids that have gone are used again. */
	for (uid_t uid = 10000; uid < 11000; uid++)
		admission_leave(&admission, uid, true, uid);
	rows = admission.count;
	for (uid_t uid = 20000; uid < 21000; uid++)
		assert_null(admission_enter(&admission, uid, false, 4000));
	assert_int_equal(admission.count, rows);
	assert_int_equal(admission.pending, 1001);
	admission_done(&admission);
	assert_null(admission.users);
	admission_done(&admission);
}

static void test_table_has_an_end(void **state)
{
	struct admission admission = make(65536, 10, 65536, 10);
	uid_t uid = 0;

	(void)state;
	while (uid < 16384)
		assert_null(admission_enter(&admission, uid++, false, 0));
	expect_refused(&admission, uid, false, "memory");
	assert_null(admission_enter(&admission, 5, false, 0)); /* has its row */
	admission_done(&admission);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pending_per_user),	TEST(test_pending_in_all),
		TEST(test_sessions_per_user),	TEST(test_sessions_in_all),
		TEST(test_leaving_twice),	TEST(test_answers_one_at_a_time),
		TEST(test_delay_after_failure), TEST(test_delay_outlives_connections),
		TEST(test_table_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
