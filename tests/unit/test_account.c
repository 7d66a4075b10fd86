/*
 * account: what is found, what is not, and what is no account at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "account.h"
#include "cleanup.h"
#include "leak.h"

#include <errno.h>
#include <string.h>

static void test_finds_root(void **state)
{
	static const char *const texts[] = { "root", "0", "00" };
	struct account account;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		print_message("case: %s\n", texts[i]);
		assert_int_equal(account_by_text(texts[i], &account), 0);
		assert_int_equal(account.uid, 0);
		assert_int_equal(account.gid, 0);
		assert_string_equal(account.name, "root");
		assert_non_null(account.home);
		assert_int_equal(account.shell[0], '/');
		account_done(&account);
		assert_null(account.name);
		account_done(&account);
	}
}

static void test_refuses(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{ "", -EINVAL },
		{ "no-such-account", -ENOENT },
		{ "3999999999", -ENOENT }, /* a number needs an entry */
		{ "4294967295", -EINVAL }, /* (uid_t)-1 */
		{ "4294967296", -EINVAL }, /* 0 to who cuts */
		{ "18446744073709551616", -EINVAL },
		{ "-1", -ENOENT }, /* a name, and nobody's */
		{ "+0", -ENOENT },
		{ " 0", -ENOENT },
		{ "ROOT", -ENOENT },
	};
	struct account account;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: '%s'\n", cases[i].text);
		memset(&account, 0x5a, sizeof(account));
		assert_int_equal(account_by_text(cases[i].text, &account), cases[i].result);
		assert_int_equal(*(unsigned char *)&account, 0x5a); /* untouched */
	}
}

static void test_finds_groups(void **state)
{
	static const struct {
		const char *text;
		int result;
		gid_t gid;
	} cases[] = {
		{ "root", 0, 0 },
		{ "0", 0, 0 },
		{ "3999999999", 0, 3999999999 }, /* a number needs no entry */
		{ "4294967295", -EINVAL, 7 },
		{ "", -EINVAL, 7 },
		{ "no-such-group", -ENOENT, 7 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		gid_t gid = 7;

		print_message("case: '%s'\n", cases[i].text);
		assert_int_equal(account_group(cases[i].text, &gid), cases[i].result);
		assert_int_equal(gid, cases[i].gid);
	}
}

static void test_lists_groups(void **state)
{
	gid_t *groups = NULL;
	bool own = false;
	size_t count = 0;

	(void)state;
	assert_int_equal(account_groups("root", 3999999999, &groups, &count), 0);
	for (size_t i = 0; i < count; i++)
		own |= groups[i] == 3999999999;
	assert_true(own);
	free(groups);
	groups = NULL;
	/* It would become "unchanged" or an error in setgroups(2). */
	assert_int_equal(account_groups("root", (gid_t)-1, &groups, &count), -EIO);
	assert_null(groups);
}

static void test_copies_deeply(void **state)
{
	struct account nameless, copy;
	struct account whole = { 5, 6, strdup("ann"), strdup("/home/ann"), strdup("/bin/zsh") };

	(void)state;
	account_nameless(7, 8, &nameless);
	assert_int_equal(account_copy(&nameless, &copy), 0);
	assert_int_equal(copy.uid, 7);
	assert_int_equal(copy.gid, 8);
	assert_null(copy.name);
	account_done(&copy);
	assert_int_equal(account_copy(&whole, &copy), 0);
	account_done(&whole);
	assert_string_equal(copy.name, "ann");
	assert_string_equal(copy.home, "/home/ann");
	assert_string_equal(copy.shell, "/bin/zsh");
	assert_int_equal(copy.uid, 5);
	account_done(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_finds_root, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_refuses, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_finds_groups, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_lists_groups, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_copies_deeply, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
