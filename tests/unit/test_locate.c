/*
 * locate: names of directories, which are confirmed only where they lead to the same one.
 * What takes another mount namespace or root is in test_audit_facts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "leak.h"
#include "locate.h"
#include "scratch.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[PATH_MAX];
static struct locate_inode inode;

static int open_directory(const char *name)
{
	int fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Locates, and holds what is said of the directory itself against fstat(2). */
static const char *locate(int fd)
{
	const char *name = locate_directory(fd, -1, true, buffer, &inode);
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	if (inode.due)
		assert_int_equal(inode.number, status.st_ino);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	return name;
}

static void expect_name(const char *name, const char *tail)
{
	char expected[PATH_MAX];

	(void)snprintf(expected, sizeof(expected), "%s/%s", scratch_directory, tail);
	assert_non_null(name);
	assert_string_equal(name, expected);
}

static void test_confirmed(void **state)
{
	(void)state;
	assert_int_equal(mkdir("plain", 0700), 0);
	cleanup_fd int fd = open_directory("plain");
	expect_name(locate(fd), "plain");
	assert_false(inode.due);
	assert_int_equal(rename("plain", "with (deleted)"), 0);
	expect_name(locate(fd), "with (deleted)"); /* which is its name */
	assert_false(inode.due);
	assert_int_equal(rmdir("with (deleted)"), 0);
	assert_null(locate_directory(-1, -1, true, buffer, &inode));
	assert_false(inode.due);
}

static void test_deleted(void **state)
{
	(void)state;
	assert_int_equal(mkdir("gone", 0700), 0);
	cleanup_fd int fd = open_directory("gone");
	assert_int_equal(rmdir("gone"), 0);
	expect_name(locate(fd), "gone (deleted)");
	assert_true(inode.due);
	/* What the kernel has called it is that of another now. */
	assert_int_equal(mkdir("gone (deleted)", 0700), 0);
	expect_name(locate(fd), "gone (deleted)");
	assert_true(inode.due);
	assert_int_equal(rmdir("gone (deleted)"), 0);
}

/* Longer than the kernel tells. */
static void test_long(void **state)
{
	static const char part[] = "a-name-of-a-hundred-bytes-a-name-of-a-hundred-bytes-"
				   "a-name-of-a-hundred-bytes-a-name-of-a-hundred-by";
	enum { DEPTH = 50 };
	cleanup_fd int at = open_directory(".");

	(void)state;
	for (int i = 0; i < DEPTH; i++) {
		assert_int_equal(mkdirat(at, part, 0700), 0);
		int next = openat(at, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close_fd(&at);
		at = next;
	}
	assert_null(locate(at));
	assert_true(inode.due);
	for (int i = 0; i < DEPTH; i++) {
		int next = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close_fd(&at);
		at = next;
		assert_int_equal(unlinkat(at, part, AT_REMOVEDIR), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)
		TEST(test_confirmed),
		TEST(test_deleted),
		TEST(test_long),
	};

	return cmocka_run_group_tests(tests, scratch_group_setup, scratch_group_teardown);
}
