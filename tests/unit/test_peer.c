/* Who is there: this process itself, processes that have gone, and terminals. */
#include "cleanup.h"
#include "leak.h"
#include "must.h"
#include "parse.h"
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t own_id(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	uint64_t value;
	ssize_t len = read(fd, text, sizeof(text) - 1);

	assert_true(len > 0);
	text[len] = '\0';
	assert_int_equal(parse_uint(text, 0, UINT32_MAX, &value), 0);
	return (uint32_t)value;
}

static void test_self(void **state)
{
	cleanup_fd int ours = -1, theirs = -1;
	cleanup_free gid_t *groups = NULL;
	int pair[2];
	int count = getgroups(0, NULL);
	struct peer peer;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ours = pair[0];
	theirs = pair[1];
	assert_true(count >= 0);
	groups = calloc((size_t)count + 1, sizeof(*groups));
	assert_non_null(groups);
	assert_int_equal(getgroups(count, groups), count);

	assert_int_equal(peer_read(ours, &peer), 0);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.group_count, count);
	for (int i = 0; i < count; i++)
		assert_true(peer_in_group(&peer, groups[i]));
	assert_true(peer_in_group(&peer, getegid()));
	assert_false(peer_in_group(&peer, 4000000));
	if (peer.pidfd >= 0) { /* Linux 6.5 */
		assert_true(fcntl(peer.pidfd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(peer.login_uid, own_id("/proc/self/loginuid"));
		assert_int_equal(peer.session_id, own_id("/proc/self/sessionid"));
		if (geteuid() != 0)
			assert_false(peer.root);
	}
	peer_done(&peer);
	assert_int_equal(peer.pidfd, -1);
	assert_null(peer.groups);
	peer_done(&peer);
}

/* More groups than the first attempt has room for; needs the right to set them. */
static void test_many_groups(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		static gid_t groups[5000];
		int pair[2];
		struct peer peer;

		for (size_t i = 0; i < ARRAY_LEN(groups); i++)
			groups[i] = (gid_t)(100000 + i);
		if (setgroups(ARRAY_LEN(groups), groups) < 0)
			_exit(77);
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || peer_read(pair[0], &peer) < 0)
			_exit(1);
		_exit(peer.group_count == ARRAY_LEN(groups) && peer_in_group(&peer, 104999) ? 0
											    : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		SKIP("only root can have other groups");
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A pair whose other end was made by a process that has ended; reaped or still a zombie. */
static int pair_of_the_dead(bool reap, pid_t *ret)
{
	cleanup_fd int carrier = -1, other = -1;
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte;
	struct iovec bytes = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &bytes,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	siginfo_t info;
	int pair[2], sock;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	carrier = pair[0];
	other = pair[1];
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int made[2];
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, made) < 0)
			_exit(1);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &made[0], sizeof(int));
		byte = 'x';
		_exit(sendmsg(other, &message, 0) == 1 ? 0 : 1);
	}
	assert_int_equal(recvmsg(carrier, &message, MSG_CMSG_CLOEXEC), 1);
	memcpy(&sock, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(sock));
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | (reap ? 0 : WNOWAIT)), 0);
	*ret = child;
	return sock;
}

static void test_peer_that_has_gone(void **state)
{
	(void)state;
	for (int reap = 0; reap < 2; reap++) {
		pid_t child;
		cleanup_fd int sock = pair_of_the_dead(reap, &child);
		struct peer peer;

		assert_int_equal(peer_read(sock, &peer), 0);
		assert_int_equal(peer.pid, child);
		assert_int_equal(peer.uid, geteuid());
		assert_int_equal(peer.login_uid, PEER_UNSET);
		assert_int_equal(peer.session_id, PEER_UNSET);
		assert_false(peer.root);
		assert_true(peer.gone);
		assert_false(peer.known);
		peer_done(&peer);
		if (!reap)
			assert_int_equal(waitpid(child, NULL, 0), child);
	}
}

static void test_not_connected(void **state)
{
	cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct peer peer;

	(void)state;
	assert_int_equal(peer_read(sock, &peer), -ENOTCONN);
	assert_int_equal(peer_read(null, &peer), -ENOTSOCK);
	assert_int_equal(peer_read(-1, &peer), -EBADF);
}

static void test_terminal(void **state)
{
	cleanup_fd int master = -1, slave = -1, null = -1, file = -1;
	char expected[PEER_TTY_MAX], name[PEER_TTY_MAX] = "untouched";

	(void)state;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	assert_int_equal(peer_tty(null, name), -ENOTTY);
	assert_int_equal(peer_tty(file, name), -ENOTTY);
	assert_int_equal(peer_tty(-1, name), -EBADF);
	assert_string_equal(name, "untouched");
	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		SKIP("there is no pseudo-terminal to be had");
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, expected, sizeof(expected)), 0);
	slave = open(expected, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_int_equal(peer_tty(master, name), -ENOTTY); /* a master is not a terminal */
	assert_int_equal(peer_tty(slave, name), 0);
	assert_string_equal(name, expected);
	/* Anybody can have these of anybody's terminal. */
	cleanup_fd int path = open(expected, O_PATH | O_CLOEXEC);
	cleanup_fd int write_only = open(expected, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(peer_tty(path, name), -ENOTTY);
	assert_int_equal(peer_tty(write_only, name), -ENOTTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)
		TEST(test_self),	  TEST(test_many_groups), TEST(test_peer_that_has_gone),
		TEST(test_not_connected), TEST(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
