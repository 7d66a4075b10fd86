/*
 * A gateway into somebody else's namespaces runs from a copy in memory: what a
 * container finds as /proc/self/exe when it is made to execute that can be read,
 * and never written to.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>

static int open_executable(const struct gateway *gateway, int flags, char *path, size_t size)
{
	char link[64];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/%d/exe", (int)gateway->pid); /* fits */
	len = MUST(readlink(link, path, size - 1));
	path[len] = '\0';
	return open(link, flags | O_CLOEXEC);
}

static void test_copy_is_sealed(void **state)
{
	static const char *const options[][6] = {
		{ "-N", "/proc/self/ns/net" },
		{ "--setns=/proc/self/ns/uts" },
		/* Here "--" is a value. */
		{ "-t", "/run/dive-test/file", "--", "-N", "/proc/self/ns/net" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		struct gateway gateway;
		struct run command;
		char path[PATH_MAX];

		gateway_start(&gateway, options[i]);
		cleanup_fd int readable =
			MUST_INT(open_executable(&gateway, O_RDONLY, path, sizeof(path)));
		cleanup_fd int writable = open_executable(&gateway, O_WRONLY, path, sizeof(path));
		assert_ptr_equal(strstr(path, "/memfd:dived"), path);
		assert_int_equal(fcntl(readable, F_GET_SEALS),
				 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
		assert_true(writable < 0 || write(writable, "#", 1) < 0);
		run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway,
			 RUN_WORDS("id", "-un"));
		run_assert_status(&command, 0);
		assert_string_equal(command.out, "alice\n");
		run_done(&command);
		gateway_stop(&gateway);
	}
}

static void test_no_copy_without_need(void **state)
{
	struct gateway gateway;
	char path[PATH_MAX];

	(void)state;
	/* Behind "--" they are words of the command. */
	gateway_start(&gateway, RUN_WORDS("-s", "net", "--", "/bin/echo", "-N"));
	cleanup_fd int fd = MUST_INT(open_executable(&gateway, O_RDONLY, path, sizeof(path)));
	assert_null(strstr(path, "memfd"));
	assert_int_equal(fcntl(fd, F_GET_SEALS), -1); /* a file of the file system */
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_copy_is_sealed),
		TEST(test_no_copy_without_need),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
