/*
 * release: descriptors are closed, whoever does it, and -1 and errno are left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "deadline.h"
#include "leak.h"
#include "release.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT_MS 20000

/* Pipes and directories are closed on the spot. */
static void test_plain(void **state)
{
	int fds[4] = { -1, -1, -1, -1 };

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fds[3] = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int copies[4] = { fds[0], fds[1], fds[2], fds[3] };
	errno = EXDEV;
	release_fds(fds, ARRAY_LEN(fds));
	assert_int_equal(errno, EXDEV);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		assert_int_equal(fds[i], -1);
		assert_int_equal(fcntl(copies[i], F_GETFD), -1);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child was needed */
	release_fds(NULL, 0);
}

/* A socket may linger: a child closes it, and all that came with it. */
static void test_aside(void **state)
{
	int pair[2];
	int both[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(both, O_CLOEXEC), 0);
	cleanup_fd int other = pair[1];
	cleanup_fd int reader = both[0];
	int fds[] = { pair[0], both[1] };
	release_fds(fds, ARRAY_LEN(fds));
	assert_int_equal(fds[0], -1);
	assert_int_equal(fds[1], -1);
	/* The other ends see it, without this process having waited for anything. */
	char byte;
	assert_int_equal(deadline_poll(other, POLLIN, deadline_after(EXPECT_MS)), 0);
	assert_int_equal(read(other, &byte, 1), 0);
	assert_int_equal(deadline_poll(reader, POLLIN, deadline_after(EXPECT_MS)), 0);
	assert_int_equal(read(reader, &byte, 1), 0);
	int status = -1;
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(status, 0);
}

/* Forks are refused from now on. */
static bool refuse_clone(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_LEN(filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Without one the socket is left alone: whoever releases must not be held up. */
static void test_no_child(void **state)
{
	int pair[2];
	int both[2];
	int status = -1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(both, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fds[] = { pair[0], both[1] };

		if (!refuse_clone())
			_exit(10);
		release_fds(fds, ARRAY_LEN(fds));
		_exit(fds[0] == -1 && fds[1] == -1 && fcntl(pair[0], F_GETFD) != -1 &&
				      fcntl(both[1], F_GETFD) == -1
			      ? 0
			      : 11);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < ARRAY_LEN(pair); i++) {
		close_fd(&pair[i]);
		close_fd(&both[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_aside, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_no_child, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
