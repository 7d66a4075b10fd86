/*
 * parse: what is a number, and what only looks like one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "parse.h"

#include <errno.h>
#include <inttypes.h>

static void test_uint(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int r;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 9, 0, 0 },
		{ "007", 0, 9, 0, 7 },
		{ "1", 1, 100, 0, 1 },
		{ "100", 1, 100, 0, 100 },
		{ "0", 1, 100, -ERANGE, 0 },
		{ "101", 1, 100, -ERANGE, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999", 0, UINT64_MAX, -ERANGE, 0 },
		{ "184467440737095516160", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999x", 0, UINT64_MAX, -EINVAL, 0 },
		{ "", 0, 9, -EINVAL, 0 },
		{ " 1", 0, 9, -EINVAL, 0 },
		{ "1 ", 0, 9, -EINVAL, 0 },
		{ "1\n", 0, 9, -EINVAL, 0 },
		{ "+1", 0, 9, -EINVAL, 0 },
		{ "-1", 0, UINT64_MAX, -EINVAL, 0 },
		{ "-0", 0, 9, -EINVAL, 0 },
		{ "0x1", 0, 9, -EINVAL, 0 },
		{ "a", 0, 99, -EINVAL, 0 },
		{ "1a", 0, 99, -EINVAL, 0 },
		{ "1.0", 0, 9, -EINVAL, 0 },
		{ "1,0", 0, 99, -EINVAL, 0 },
		{ "/", 0, 99, -EINVAL, 0 },
		{ ":", 0, 99, -EINVAL, 0 },
		{ "\xd9\xa1", 0, 9, -EINVAL, 0 }, /* Arabic one */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = 12345;

		print_message("case: \"%s\"\n", cases[i].text);
		assert_int_equal(parse_uint(cases[i].text, cases[i].min, cases[i].max, &value),
				 cases[i].r);
		assert_true(value == (cases[i].r < 0 ? 12345 : cases[i].value));
	}
}

static void test_id(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint32_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "4294967294", 0, UINT32_MAX - 1 },
		{ "4294967295", -ERANGE, 0 },
		{ "4294967296", -ERANGE, 0 }, /* 0 in 32 bits: root */
		{ "18446744073709551616", -ERANGE, 0 },
		{ "-1", -EINVAL, 0 },
		{ "root", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t value = 7;

		print_message("case: \"%s\"\n", cases[i].text);
		assert_int_equal(parse_id(cases[i].text, &value), cases[i].r);
		assert_int_equal(value, cases[i].r < 0 ? 7 : cases[i].value);
	}
}

static void test_is_number(void **state)
{
	(void)state;
	assert_true(parse_is_number("0"));
	assert_true(parse_is_number("99999999999999999999999"));
	assert_false(parse_is_number(""));
	assert_false(parse_is_number("-1"));
	assert_false(parse_is_number("1x"));
	assert_false(parse_is_number(" 1"));
}

static void test_mode(void **state)
{
	static const struct {
		const char *text;
		int r;
		mode_t value;
	} cases[] = {
		{ "0", 0, 0 },		 { "600", 0, 0600 },	 { "0777", 0, 0777 },
		{ "777", 0, 0777 },	 { "1000", -ERANGE, 0 }, { "4755", -ERANGE, 0 },
		{ "00600", -EINVAL, 0 }, { "9z", -EINVAL, 0 },	 { "8", -EINVAL, 0 },
		{ "", -EINVAL, 0 },	 { "u+r", -EINVAL, 0 },	 { "-1", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		mode_t value = 01234;

		print_message("case: \"%s\"\n", cases[i].text);
		assert_int_equal(parse_mode(cases[i].text, &value), cases[i].r);
		assert_int_equal(value, cases[i].r < 0 ? 01234 : cases[i].value);
	}
}

static void test_pid(void **state)
{
	pid_t pid = -7;

	(void)state;
	assert_int_equal(parse_pid("0", &pid), -ERANGE);
	assert_int_equal(parse_pid("2147483648", &pid), -ERANGE);
	assert_int_equal(parse_pid("-1", &pid), -EINVAL);
	assert_int_equal(parse_pid("self", &pid), -EINVAL);
	assert_int_equal(pid, -7);
	assert_int_equal(parse_pid("1", &pid), 0);
	assert_int_equal(pid, 1);
	assert_int_equal(parse_pid("2147483647", &pid), 0);
	assert_int_equal(pid, INT32_MAX);
}

static void test_fd(void **state)
{
	int fd = -7;

	(void)state;
	assert_int_equal(parse_fd("-1", 9, false, &fd), -EINVAL);
	assert_int_equal(parse_fd("-2", 9, true, &fd), -EINVAL);
	assert_int_equal(parse_fd("-01", 9, true, &fd), -EINVAL);
	assert_int_equal(parse_fd("10", 9, true, &fd), -ERANGE);
	assert_int_equal(parse_fd("", 9, true, &fd), -EINVAL);
	assert_int_equal(fd, -7);
	assert_int_equal(parse_fd("-1", 9, true, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(parse_fd("9", 9, true, &fd), 0);
	assert_int_equal(fd, 9);
	assert_int_equal(parse_fd("0", 0, false, &fd), 0);
	assert_int_equal(fd, 0);
}

static void test_proc_field(void **state)
{
	static const char status[] = "Name:\tCapEff:\n"
				     "PPid:\t7\n"
				     "Pid:\t42\n"
				     "NSpid:\t42\t1\n"
				     "CapEff:\t000001ffffffffff\n"
				     "Empty:\t\n"
				     "None:\n"
				     "Gone:\t-1\n"
				     "Huge:\t1ffffffffffffffff\n"
				     "Last: 5";
	static const struct {
		const char *key;
		int base;
		int r;
		uint64_t value;
	} cases[] = {
		{ "Pid", 10, 0, 42 },
		{ "PPid", 10, 0, 7 },
		{ "CapEff", 16, 0, UINT64_C(0x1ffffffffff) },
		{ "CapEff", 10, -EINVAL, 0 },
		{ "NSpid", 10, -EINVAL, 0 },
		{ "Empty", 10, -EINVAL, 0 },
		{ "None", 10, -EINVAL, 0 },
		{ "Gone", 10, -EINVAL, 0 },
		{ "Huge", 16, -ERANGE, 0 },
		{ "Last", 10, 0, 5 },
		{ "Cap", 16, -ENOENT, 0 },
		{ "CapEffective", 16, -ENOENT, 0 },
		{ "id", 10, -ENOENT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = 99;

		print_message("case: %s in base %d\n", cases[i].key, cases[i].base);
		assert_int_equal(parse_proc_field(status, cases[i].key, cases[i].base, &value),
				 cases[i].r);
		assert_true(value == (cases[i].r < 0 ? 99 : cases[i].value));
	}
	assert_int_equal(parse_proc_field("", "Pid", 10, &(uint64_t){ 0 }), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uint),	   cmocka_unit_test(test_id),
		cmocka_unit_test(test_is_number),  cmocka_unit_test(test_mode),
		cmocka_unit_test(test_pid),	   cmocka_unit_test(test_fd),
		cmocka_unit_test(test_proc_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
