/*
 * The listening socket, in a directory of this test's own: where it may lie, what is
 * replaced, what stays, and that no refusal leaves a descriptor or a file.  Owners
 * are left to the integration tests, since they need root.
 */
#include "cleanup.h"
#include "leak.h"
#include "scratch.h"
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static char error[512];

static struct config make(const char *address, mode_t mode)
{
	return (struct config){
		.address = address,
		.socket_mode = mode,
		.socket_uid = (uid_t)-1,
		.socket_gid = (gid_t)-1,
	};
}

/* Returns 0 when somebody listens there, or -errno. */
static int try_connect(const char *address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(address);

	memcpy(name.sun_path, address, len);
	if (address[0] == '@')
		name.sun_path[0] = '\0';
	if (connect(fd, (struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	return 0;
}

static void test_path(void **state)
{
	struct config config = make("socket", 0640);
	struct gateway_socket gateway;
	struct stat info;

	(void)state;
	assert_int_equal(socket_open(&config, &gateway, error, sizeof(error)), 0);
	assert_int_equal(lstat("socket", &info), 0);
	assert_int_equal(info.st_mode, S_IFSOCK | 0640);
	assert_int_equal(info.st_ino, gateway.ino);
	assert_true(fcntl(gateway.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(gateway.fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(try_connect("socket"), 0);
	socket_unlink(&gateway);
	assert_int_equal(lstat("socket", &info), -1);
	socket_unlink(&gateway); /* nothing left to do */
	socket_close(&gateway);
	assert_int_equal(gateway.fd, -1);
	socket_close(&gateway);
}

static void test_abstract(void **state)
{
	char name[64];
	struct config config = make(name, 0600);
	struct gateway_socket gateway, second;

	(void)state;
	(void)snprintf(name, sizeof(name), "@dive-socket-%d", (int)getpid());
	assert_int_equal(socket_open(&config, &gateway, error, sizeof(error)), 0);
	assert_int_equal(gateway.directory, -1);
	assert_int_equal(try_connect(name), 0);
	assert_int_equal(socket_open(&config, &second, error, sizeof(error)), -EADDRINUSE);
	assert_non_null(strstr(error, name));
	socket_unlink(&gateway);
	socket_close(&gateway);
	assert_int_equal(try_connect(name), -ECONNREFUSED);
}

static void test_stale_is_replaced(void **state)
{
	struct config config = make("socket", 0600);
	struct gateway_socket stale, gateway;

	(void)state;
	assert_int_equal(socket_open(&config, &stale, error, sizeof(error)), 0);
	socket_close(&stale); /* as by a crash */
	assert_int_equal(try_connect("socket"), -ECONNREFUSED);
	assert_int_equal(socket_open(&config, &gateway, error, sizeof(error)), 0);
	assert_int_equal(try_connect("socket"), 0);
	socket_unlink(&gateway);
	socket_close(&gateway);
}

static void test_live_stays(void **state)
{
	struct config config = make("socket", 0600);
	struct gateway_socket gateway, second = { .fd = -7 };

	(void)state;
	assert_int_equal(socket_open(&config, &gateway, error, sizeof(error)), 0);
	assert_int_equal(socket_open(&config, &second, error, sizeof(error)), -EADDRINUSE);
	assert_int_equal(second.fd, -7); /* written on success only */
	assert_int_equal(try_connect("socket"), 0);
	socket_unlink(&gateway);
	socket_close(&gateway);
}

/* The name is another file's by now. */
static void test_only_its_own_is_removed(void **state)
{
	struct config config = make("socket", 0600);
	struct gateway_socket gateway;

	(void)state;
	assert_int_equal(socket_open(&config, &gateway, error, sizeof(error)), 0);
	assert_int_equal(rename("socket", "elsewhere"), 0);
	assert_int_equal(mkfifo("socket", 0600), 0);
	socket_unlink(&gateway);
	assert_int_equal(unlink("socket"), 0);
	assert_int_equal(unlink("elsewhere"), 0);
	socket_close(&gateway);
}

static void test_refused(void **state)
{
	static const struct {
		const char *address;
		mode_t mode; /* of the directory "d" */
		int result;
		const char *text;
	} cases[] = {
		{ "file", 0700, -EEXIST, "not a socket" },
		{ "link", 0700, -EEXIST, "not a socket" },
		{ "missing/socket", 0700, -ENOENT, "cannot open the directory" },
		{ "file/socket", 0700, -ENOTDIR, "cannot open the directory" },
		{ "d/socket", 0777, -EINVAL, "others may write" },
		{ "d/socket", 0770, -EINVAL, "others may write" },
		{ "d/socket", 0702, -EINVAL, "others may write" },
		{ "d/socket", 01777, 0, "" },
		{ "d/socket", 0755, 0, "" },
	};
	struct gateway_socket gateway;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(mknod("file", S_IFREG | 0600, 0), 0);
	assert_int_equal(symlink("d/socket", "link"), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config config = make(cases[i].address, 0600);

		assert_int_equal(chmod("d", cases[i].mode), 0);
		assert_int_equal(socket_open(&config, &gateway, error, sizeof(error)),
				 cases[i].result);
		if (cases[i].result == 0) {
			socket_unlink(&gateway);
			socket_close(&gateway);
			continue;
		}
		assert_non_null(strstr(error, cases[i].address));
		assert_non_null(strstr(error, cases[i].text));
		assert_int_equal(access("d/socket", F_OK), -1);
	}
	assert_int_equal(unlink("file") | unlink("link") | rmdir("d"), 0);
}

/* Of a socket that listens, and of what it has accepted. */
static void test_name(void **state)
{
	char abstract[64];
	const char *const addresses[] = { "socket", abstract };
	char name[SOCKET_NAME_SIZE] = "untouched";
	int pair[2];

	(void)state;
	(void)snprintf(abstract, sizeof(abstract), "@dive-socket-%d", (int)getpid());
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct config config = make(addresses[i], 0600);
		struct gateway_socket gateway;

		assert_int_equal(socket_open(&config, &gateway, error, sizeof(error)), 0);
		assert_string_equal(gateway.name, addresses[i]);
		assert_int_equal(socket_is_abstract(&gateway), i == 1);
		assert_int_equal(try_connect(addresses[i]), 0);
		cleanup_fd int accepted = accept4(gateway.fd, NULL, NULL, SOCK_CLOEXEC);
		assert_int_equal(socket_name(accepted, name), 0);
		assert_string_equal(name, addresses[i]);
		strcpy(name, "untouched");
		socket_unlink(&gateway);
		socket_close(&gateway);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cleanup_fd int one = pair[0];
	cleanup_fd int other = pair[1];
	cleanup_fd int inet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(socket_name(one, name), -ENOENT);
	assert_int_equal(socket_name(other, name), -ENOENT);
	assert_int_equal(socket_name(inet, name), -EAFNOSUPPORT);
	assert_int_equal(socket_name(-1, name), -EBADF);
	assert_string_equal(name, "untouched");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_path),
		TEST(test_abstract),
		TEST(test_stale_is_replaced),
		TEST(test_live_stays),
		TEST(test_only_its_own_is_removed),
		TEST(test_refused),
		TEST(test_name),
	};

	return cmocka_run_group_tests(tests, scratch_group_setup, scratch_group_teardown);
}
