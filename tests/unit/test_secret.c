/*
 * secret: what is left of a password.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leak.h"
#include "secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char zeros[SECRET_MAX];

static void test_appends_until_full(void **state)
{
	struct secret secret;

	(void)state;
	assert_int_equal(secret_init(&secret), 0);
	assert_int_equal(secret.len, 0);
	assert_string_equal(secret.text, "");
	for (size_t i = 0; i < SECRET_MAX - 1; i++)
		assert_int_equal(secret_append(&secret, 'x'), 0);
	assert_int_equal(secret.len, SECRET_MAX - 1);
	assert_int_equal(secret_append(&secret, 'y'), -EMSGSIZE);
	assert_int_equal(secret.len, SECRET_MAX - 1);
	assert_int_equal(strlen(secret.text), SECRET_MAX - 1);
	assert_null(strchr(secret.text, 'y'));
	secret_done(&secret);
}

static void test_clear_wipes_all(void **state)
{
	struct secret secret;

	(void)state;
	assert_int_equal(secret_init(&secret), 0);
	memset(secret.text, 'x', SECRET_MAX); /* beyond len, too */
	secret.len = 3;
	secret_clear(&secret);
	assert_int_equal(secret.len, 0);
	assert_memory_equal(secret.text, zeros, SECRET_MAX);
	assert_int_equal(secret_append(&secret, 'a'), 0);
	assert_string_equal(secret.text, "a");
	secret_done(&secret);
}

static void test_done_leaves_nothing(void **state)
{
	struct secret secret;
	int pipefd[2];
	const char *was;

	(void)state;
	assert_int_equal(secret_init(&secret), 0);
	was = secret.text;
	secret_done(&secret);
	assert_null(secret.text);
	assert_int_equal(secret.len, 0);
	secret_done(&secret);
	/* The kernel says EFAULT where the mapping is gone, without a crash. */
	assert_int_equal(pipe(pipefd), 0);
	assert_int_equal(write(pipefd[1], was, 1), -1);
	assert_int_equal(errno, EFAULT);
	(void)close(pipefd[0]);
	(void)close(pipefd[1]);
}

static void test_stays_out_of_dumps(void **state)
{
	struct secret secret;
	char line[512], start[32];
	bool inside = false, excluded = false;
	FILE *maps;

	(void)state;
	assert_int_equal(secret_init(&secret), 0);
	(void)snprintf(start, sizeof(start), "%jx-", (uintmax_t)(uintptr_t)secret.text);
	maps = fopen("/proc/self/smaps", "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = true;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			excluded = strstr(line, " dd") != NULL;
			break;
		}
	}
	(void)fclose(maps);
	secret_done(&secret);
	assert_true(inside);
	assert_true(excluded);
}

static void test_wipe(void **state)
{
	char memory[] = "password";

	(void)state;
	secret_wipe(NULL, 0);
	secret_wipe(memory, 4);
	assert_memory_equal(memory, "\0\0\0\0word", sizeof(memory));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appends_until_full),
		cmocka_unit_test(test_clear_wipes_all),
		cmocka_unit_test_setup_teardown(test_done_leaves_nothing, leak_setup,
						leak_teardown),
		cmocka_unit_test(test_stays_out_of_dumps),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
