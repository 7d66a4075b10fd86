/*
 * Sockets that are passed: which are taken and what is made of them, every kind
 * that is refused and why, that a refusal changes none of them, and who they let
 * in when all are taken together.
 *
 * main() frees the descriptors from 3 on, where the protocol puts the sockets.
 */
#include "cleanup.h"
#include "leak.h"
#include "listen_fds.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

#define ELSEWHERE 40 /* descriptors are made from here on, and put in place then */

static char error[512];

/* The environment of a process that was passed `count` sockets; NULL leaves a variable out. */
struct passed {
	char pid[64];
	char count[64];
	char *environment[4];
	struct config config;
};

static void pass(struct passed *ret, const char *pid, const char *count)
{
	static char other[] = "LISTEN_FDNAMES=a:b";
	size_t used = 0;

	*ret = (struct passed){
		.config = { .socket_mode = 0600, .socket_uid = (uid_t)-1, .socket_gid = (gid_t)-1 }
	};
	ret->environment[used++] = other;
	if (pid) {
		(void)snprintf(ret->pid, sizeof(ret->pid), "LISTEN_PID=%s", pid);
		ret->environment[used++] = ret->pid;
	}
	if (count) {
		(void)snprintf(ret->count, sizeof(ret->count), "LISTEN_FDS=%s", count);
		ret->environment[used++] = ret->count;
	}
	ret->config.inherited.environment = ret->environment;
}

static void pass_own(struct passed *ret, const char *count)
{
	char pid[32];

	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	pass(ret, pid, count);
}

/* Puts what was made at `fd` to a number. */
static void put(int fd, int number)
{
	assert_true(fd >= 0);
	assert_int_equal(dup2(fd, number), number);
	assert_int_equal(close(fd), 0);
}

static int make_socket(int family, int type)
{
	int fd = socket(family, type, 0);
	int high = fcntl(fd, F_DUPFD, ELSEWHERE);

	assert_true(high >= 0);
	assert_int_equal(close(fd), 0);
	return high;
}

/* Binds to a name; `len` bytes of it, so that it can hold a NUL. */
static int make_bound(int type, const char *name, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = make_socket(AF_UNIX, type);

	assert_in_range(len, 1, sizeof(address.sun_path));
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	return fd;
}

static int make_listening(int type, const char *name, size_t len)
{
	int fd = make_bound(type, name, len);

	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int make_path(void)
{
	(void)unlink("socket");
	return make_listening(SOCK_STREAM, "socket", 6);
}

static int make_abstract(void)
{
	char name[64];
	int len = snprintf(name, sizeof(name), "@dive-listen-%d", (int)getpid());

	return make_listening(SOCK_STREAM, name, (size_t)len);
}

/* --- what is refused --------------------------------------------------------------- */

static int make_nothing(void)
{
	return -1;
}

static int make_file(void)
{
	return fcntl(open("/dev/null", O_RDONLY | O_CLOEXEC), F_DUPFD, ELSEWHERE);
}

static int make_datagram(void)
{
	return make_bound(SOCK_DGRAM, "other", 5);
}

static int make_packets(void)
{
	return make_listening(SOCK_SEQPACKET, "other", 5);
}

static int make_deaf(void)
{
	return make_bound(SOCK_STREAM, "other", 5);
}

static int make_nul(void)
{
	return make_listening(SOCK_STREAM, "@a\0b", 4);
}

static int make_pair(void)
{
	int pair[2];
	int high;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	high = fcntl(pair[0], F_DUPFD, ELSEWHERE);
	assert_int_equal(close(pair[0]) | close(pair[1]), 0);
	return high;
}

static int make_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = make_socket(AF_INET, SOCK_STREAM);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static const struct {
	int (*make)(void); /* descriptor 4; 3 is a good one */
	const char *text;
} bad_descriptors[] = {
	{ make_nothing, "descriptor 4: Bad file descriptor" },
	{ make_file, "descriptor 4: not a socket" },
	{ make_datagram, "descriptor 4: not a stream socket" },
	{ make_packets, "descriptor 4: not a stream socket" },
	{ make_deaf, "descriptor 4: does not listen" },
	{ make_pair, "descriptor 4: does not listen" },
	{ make_nul, "descriptor 4: its name holds a NUL byte" },
	{ make_tcp, "descriptor 4: not a UNIX socket" },
};

static void expect_refusal(const struct passed *passed, const char *text)
{
	struct gateway_socket sockets[SOCKETS_MAX] = { { .fd = -7 } };
	size_t count = 77;

	error[0] = '\0';
	assert_int_equal(listen_fds_adopt(&passed->config, sockets, SOCKETS_MAX, &count, error,
					  sizeof(error)),
			 -EINVAL);
	if (!strstr(error, text))
		fail_msg("\"%s\" is not in: %s", text, error);
	assert_int_equal(strcspn(error, "\n"), strlen(error));
	assert_int_equal(sockets[0].fd, -7); /* written on success only */
	assert_int_equal(count, 77);
}

/* The good one beside it is as it was: not close-on-exec, not non-blocking. */
static void test_bad_descriptors(void **state)
{
	struct passed passed;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_descriptors); i++) {
		int fd = bad_descriptors[i].make();

		print_message("case: %s\n", bad_descriptors[i].text);
		put(make_path(), 3);
		if (fd >= 0)
			put(fd, 4);
		pass_own(&passed, "2");
		expect_refusal(&passed, bad_descriptors[i].text);
		assert_int_equal(fcntl(3, F_GETFD), 0);
		assert_false(fcntl(3, F_GETFL) & O_NONBLOCK);
		assert_int_equal(close(3), 0);
		if (fd >= 0)
			assert_int_equal(close(4), 0);
		(void)unlink("other");
		assert_int_equal(unlink("socket"), 0);
	}
}

static void test_bad_variables(void **state)
{
	static const struct {
		const char *pid; /* "own": this process's */
		const char *count;
		const char *text;
	} cases[] = {
		{ NULL, NULL, "LISTEN_PID is not set" },
		{ NULL, "1", "LISTEN_PID is not set" },
		{ "own", NULL, "LISTEN_FDS is not set" },
		{ "1", "1", "LISTEN_PID \"1\": the sockets are for another process" },
		{ "", "1", "LISTEN_PID \"\": not a process id" },
		{ "0", "1", "LISTEN_PID \"0\": not a process id" },
		{ "-1", "1", "LISTEN_PID \"-1\": not a process id" },
		{ "99999999999", "1", "not a process id" },
		{ "own", "", "LISTEN_FDS \"\": not from 1 to 16" },
		{ "own", "0", "LISTEN_FDS \"0\": not from 1 to 16" },
		{ "own", "17", "LISTEN_FDS \"17\": not from 1 to 16" },
		{ "own", "+1", "LISTEN_FDS \"+1\": not from 1 to 16" },
		{ "own", "1x", "LISTEN_FDS \"1x\": not from 1 to 16" },
		{ "own", "4294967297", "not from 1 to 16" },
		{ "own", "2", "descriptor 4: Bad file descriptor" }, /* one more than there are */
	};

	(void)state;
	put(make_path(), 3);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct passed passed;

		print_message("case: %s\n", cases[i].text);
		if (cases[i].pid && strcmp(cases[i].pid, "own") == 0)
			pass_own(&passed, cases[i].count);
		else
			pass(&passed, cases[i].pid, cases[i].count);
		expect_refusal(&passed, cases[i].text);
		assert_int_equal(fcntl(3, F_GETFD), 0);
	}
	assert_int_equal(close(3) | unlink("socket"), 0);
}

/* A caller may want fewer than there can be. */
static void test_room(void **state)
{
	struct gateway_socket sockets[1];
	struct passed passed;
	size_t count;

	(void)state;
	put(make_path(), 3);
	put(make_abstract(), 4);
	pass_own(&passed, "2");
	assert_int_equal(listen_fds_adopt(&passed.config, sockets, 1, &count, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "LISTEN_FDS \"2\": not from 1 to 1"));
	assert_int_equal(close(3) | close(4) | unlink("socket"), 0);
}

/* -C and -U are for abstract sockets. */
static void test_mode_and_owner(void **state)
{
	struct gateway_socket sockets[SOCKETS_MAX];
	struct passed passed;
	size_t count;

	(void)state;
	put(make_path(), 3);
	pass_own(&passed, "1");
	passed.config.socket_mode_set = true;
	expect_refusal(&passed, "-C 0600: no socket that was passed is abstract");
	passed.config.socket_mode_set = false;
	passed.config.socket_owner = "root:5";
	expect_refusal(&passed, "-U root:5: no socket that was passed is abstract");
	put(make_abstract(), 4);
	pass_own(&passed, "2");
	passed.config.socket_mode_set = true;
	passed.config.socket_owner = "root:5";
	assert_int_equal(listen_fds_adopt(&passed.config, sockets, SOCKETS_MAX, &count, error,
					  sizeof(error)),
			 0);
	assert_int_equal(count, 2);
	assert_int_equal(close(3) | close(4) | unlink("socket"), 0);
}

/* --- what is taken ------------------------------------------------------------------ */

static void test_taken(void **state)
{
	static const char full[] = "ffffffffffffffffffffffffffffffffffffffffffffffffffffff"
				   "ffffffffffffffffffffffffffffffffffffffffffffffffffffff";
	struct gateway_socket sockets[SOCKETS_MAX];
	struct passed passed;
	struct stat info;
	char names[5][SOCKET_NAME_SIZE] = { "socket", "", "", "./@file", "" };
	char high[109] = "@";
	size_t count = 0;

	(void)state;
	memset(high + 1, 'h', 107);
	strcpy(names[2], high);
	strcpy(names[4], full);
	(void)snprintf(names[1], sizeof(names[1]), "@dive-listen-%d", (int)getpid());
	put(make_path(), 3);
	put(make_abstract(), 4);
	put(make_listening(SOCK_STREAM, high, 108), 5);
	/* A path that looks like an abstract name is not taken for one. */
	int fd = make_socket(AF_UNIX, SOCK_STREAM);
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "@file" };
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	put(fd, 6);
	assert_int_equal(strlen(full), 108); /* fills sun_path, without a NUL */
	put(make_listening(SOCK_STREAM, full, 108), 7);
	pass_own(&passed, "5");
	assert_int_equal(listen_fds_adopt(&passed.config, sockets, SOCKETS_MAX, &count, error,
					  sizeof(error)),
			 0);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(sockets[i].fd, 3 + (int)i);
		assert_string_equal(sockets[i].name, names[i]);
		assert_int_equal(socket_is_abstract(&sockets[i]), i == 1 || i == 2);
		assert_int_equal(fcntl(sockets[i].fd, F_GETFD), FD_CLOEXEC);
		assert_true(fcntl(sockets[i].fd, F_GETFL) & O_NONBLOCK);
		socket_unlink(&sockets[i]); /* not ours to remove */
		socket_close(&sockets[i]);
		assert_int_equal(sockets[i].fd, -1);
	}
	assert_int_equal(lstat("socket", &info) | lstat("@file", &info) | lstat(full, &info), 0);
	assert_int_equal(unlink("socket") | unlink("@file") | unlink(full), 0);
}

/* --- who they let in ----------------------------------------------------------------- */

#define ANN 1001
#define BOB 1002

/* Makes a file of a socket with this mode and owner, which root can give it only. */
static void make_owned(const char *path, mode_t mode, uid_t owner)
{
	int fd = make_bound(SOCK_STREAM, path, strlen(path));

	assert_int_equal(chmod(path, mode), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(path, owner, 0), 0);
	assert_int_equal(close(fd), 0);
}

static void test_access(void **state)
{
	static const struct {
		const char *what;
		struct {
			char name[8];
			mode_t mode;
			uid_t owner;
		} sockets[2];
		mode_t mode;
		uid_t uid;
	} cases[] = {
		{ "one", { { "a", 0640, 0 } }, 0640, 0 },
		{ "modes add up", { { "a", 0600, 0 }, { "b", 0060, 0 } }, 0660, 0 },
		{ "an owner", { { "a", 0600, ANN } }, 0600, ANN },
		{ "root and an owner", { { "a", 0600, 0 }, { "b", 0600, ANN } }, 0600, ANN },
		{ "an owner and root", { { "a", 0600, ANN }, { "b", 0600, 0 } }, 0600, ANN },
		{ "the same twice", { { "a", 0600, ANN }, { "b", 0600, ANN } }, 0600, ANN },
		{ "two owners", { { "a", 0600, ANN }, { "b", 0600, BOB } }, 0602, ANN },
		{ "-C and -U", { { "@a", 0, 0 } }, 0620, BOB },
		{ "both kinds", { { "a", 0600, ANN }, { "@b", 0, 0 } }, 0622, ANN },
		{ "gone", { { "missing", 0, 0 } }, 0666, 0 },
		{ "no socket", { { ".", 0, 0 } }, 0666, 0 },
	};
	struct config config = { .socket_mode = 0620, .socket_uid = BOB };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway_socket sockets[2] = { 0 };
		struct config_access access;
		size_t count = 0;

		print_message("case: %s\n", cases[i].what);
		for (; count < 2 && cases[i].sockets[count].name[0]; count++) {
			const char *name = cases[i].sockets[count].name;

			strcpy(sockets[count].name, name);
			if (name[1] == '\0' && name[0] != '.')
				make_owned(name, cases[i].sockets[count].mode,
					   cases[i].sockets[count].owner);
		}
		access = listen_fds_access(&config, sockets, count);
		(void)unlink("a");
		(void)unlink("b");
		if (cases[i].uid && geteuid() != 0)
			continue;
		assert_true(access.known);
		assert_int_equal(access.mode, cases[i].mode);
		if (geteuid() == 0)
			assert_int_equal(access.uid, cases[i].uid);
	}
}

/* The safety checks of start-up, once the sockets are known. */
static void test_take(void **state)
{
	struct gateway_sockets sockets = { .count = 7 };
	char label[LISTEN_FDS_LABEL_SIZE];
	char expected[128];
	struct passed passed;

	(void)state;
	(void)snprintf(expected, sizeof(expected), "socket,@dive-listen-%d", (int)getpid());
	for (int wide = 1; wide >= 0; wide--) {
		put(make_path(), 3);
		put(make_abstract(), 4);
		assert_int_equal(chmod("socket", wide ? 0666 : 0600), 0);
		pass_own(&passed, "2");
		passed.config.listen_fds = 1;
		passed.config.user = "somebody";
		passed.config.user_uid = geteuid();
		passed.config.inherited.uid = geteuid();
		passed.config.environment = CONFIG_ENVIRONMENT_ALL;
		passed.config.address = "--listen-fds";
		if (!wide)
			break;
		assert_int_equal(
			listen_fds_take(&passed.config, &sockets, label, error, sizeof(error)),
			-EINVAL);
		assert_non_null(strstr(error, "--environment all"));
		assert_int_equal(sockets.count, 7);
		assert_int_equal(fcntl(3, F_GETFD), -1); /* nothing is left open */
		assert_int_equal(fcntl(4, F_GETFD), -1);
	}
	assert_int_equal(listen_fds_take(&passed.config, &sockets, label, error, sizeof(error)), 0);
	assert_int_equal(sockets.count, 2);
	assert_string_equal(passed.config.address, expected);
	for (size_t i = 0; i < sockets.count; i++)
		socket_close(&sockets.items[i]);
	assert_int_equal(unlink("socket"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_descriptors),
		TEST(test_bad_variables),
		TEST(test_room),
		TEST(test_mode_and_owner),
		TEST(test_taken),
		TEST(test_access),
		TEST(test_take),
	};

	closefrom(3);
	return cmocka_run_group_tests(tests, scratch_group_setup, scratch_group_teardown);
}
