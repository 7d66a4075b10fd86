/* Pid files: whose they are, what is overwritten, what is left alone. */
#include "cleanup.h"
#include "leak.h"
#include "pidfile.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char error[256];

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void expect(const char *path, const char *text)
{
	char content[128] = "";
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_int_equal(fread(content, 1, sizeof(content) - 1, file), strlen(text));
	assert_int_equal(fclose(file), 0);
	assert_string_equal(content, text);
}

static void test_written_and_removed(void **state)
{
	static char first[] = "new", second[] = "old";
	char *items[] = { first, second };
	struct option_list files = { .items = items, .count = ARRAY_LEN(items) };
	char own[32];
	struct stat info;

	(void)state;
	(void)snprintf(own, sizeof(own), "%d\n", (int)getpid());
	put("old", "123456789012\nand more\n");
	assert_int_equal(chmod("old", 0600), 0);
	assert_int_equal(pidfile_write(&files, error, sizeof(error)), 0);
	for (size_t i = 0; i < files.count; i++) {
		expect(files.items[i], own);
		assert_int_equal(stat(files.items[i], &info), 0);
		assert_int_equal(info.st_mode, S_IFREG | 0644);
	}
	put("old", "1\n"); /* another's by now */
	pidfile_remove(&files);
	assert_int_equal(access("new", F_OK), -1);
	expect("old", "1\n");
	assert_int_equal(unlink("old"), 0);
	pidfile_remove(&files); /* what is gone is no matter */
}

static void test_refused(void **state)
{
	static const struct {
		const char *path;
		int error;
	} cases[] = {
		{ "link", -ELOOP }, { "dangling", -ELOOP }, { "missing/file", -ENOENT },
		{ ".", -EISDIR },   { "fifo", -ENXIO }, /* nobody reads it, and nobody waits */
	};

	(void)state;
	put("target", "precious\n");
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *items[] = { (char *)(uintptr_t)cases[i].path };
		struct option_list files = { .items = items, .count = 1 };

		assert_int_equal(pidfile_write(&files, error, sizeof(error)), cases[i].error);
		assert_int_equal(strncmp(error, "--pidfile ", 10), 0);
		assert_non_null(strstr(error, cases[i].path));
		assert_non_null(strstr(error, strerror(-cases[i].error)));
		assert_int_equal(strlen(error), strcspn(error, "\n"));
	}
	expect("target", "precious\n");
	assert_int_equal(access("nowhere", F_OK), -1);
	assert_int_equal(unlink("link") | unlink("dangling") | unlink("fifo") | unlink("target"),
			 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_written_and_removed),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, scratch_group_setup, scratch_group_teardown);
}
