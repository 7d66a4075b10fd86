/*
 * holder: what its process does with a --setup that does not end, and when dived is gone.
 *
 * No namespace is asked for, so no power is needed; what there is with namespaces is
 * in tests/integration/test_unshare_setup.c.
 */
#include "cleanup.h"
#include "deadline.h"
#include "holder_internal.h"
#include "leak.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ENOUGH_MS 10000

/* A holder, and our ends of what dived holds of it. */
struct started {
	pid_t pid;
	int control;
	int alive;
	int life; /* end of file when holder and --setup are gone */
};

static char setup_path[PATH_MAX];

static void write_setup(const char *text)
{
	assert_non_null(getcwd(setup_path, sizeof(setup_path) - 16));
	strcat(setup_path, "/setup");
	cleanup_fd int fd = open(setup_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static struct started start(const char *setup, int setup_ms)
{
	static struct config config;
	static char *envp[] = { NULL };
	int control[2], alive[2], life[2];

	config = (struct config){ .setup = setup_path };
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &config.inherited.limits[RLIMIT_NOFILE]), 0);
	write_setup(setup);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
	assert_int_equal(pipe(life), 0); /* kept by whatever is executed */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close_fd(&control[0]);
		close_fd(&alive[1]);
		close_fd(&life[0]);
		holder_process_run(&(struct holder){ .config = &config,
						     .control = control[1],
						     .alive = alive[0],
						     .envp = envp,
						     .setup_ms = setup_ms });
	}
	close_fd(&control[1]);
	close_fd(&alive[0]);
	close_fd(&life[1]);
	return (struct started){ pid, control[0], alive[1], life[0] };
}

static struct holder_report next(const struct started *started)
{
	struct holder_report report;

	assert_int_equal(deadline_poll(started->control, POLLIN, deadline_after(ENOUGH_MS)), 0);
	assert_int_equal(recv(started->control, &report, sizeof(report), 0), sizeof(report));
	return report;
}

/* It says where it is, and goes on when it is told to. */
static void let_go_on(const struct started *started)
{
	struct holder_report report = next(started);

	assert_int_equal(report.step, HOLDER_MADE);
	assert_int_equal(report.value, started->pid);
	assert_int_equal(send(started->control, "", 1, MSG_NOSIGNAL), 1);
}

/* Waits until neither the holder nor --setup is left.  Returns the holder's wait status. */
static int await_end(struct started *started)
{
	int status = -1;
	char byte;

	assert_int_equal(deadline_poll(started->life, POLLIN, deadline_after(ENOUGH_MS)), 0);
	assert_int_equal(read(started->life, &byte, 1), 0);
	assert_int_equal(waitpid(started->pid, &status, 0), started->pid);
	close_fd(&started->control);
	close_fd(&started->alive);
	close_fd(&started->life);
	assert_int_equal(unlink(setup_path), 0);
	return status;
}

/* With all that it has started, for that is what it waits for. */
static void test_setup_that_hangs_is_ended(void **state)
{
	struct started started = start("#!/bin/sh\nsleep 1000\n", 50);

	(void)state;
	let_go_on(&started);
	assert_int_equal(next(&started).step, HOLDER_FAILED_TIME);
	assert_int_equal(await_end(&started), 1 << 8);
}

static void test_setup_that_ends_is_not(void **state)
{
	struct started started = start("#!/bin/sh\n:\n", ENOUGH_MS);
	struct pollfd ended = { .fd = started.life, .events = POLLIN };

	(void)state;
	let_go_on(&started);
	assert_int_equal(next(&started).step, HOLDER_READY);
	assert_int_equal(poll(&ended, 1, 0), 0); /* it holds */
	close_fd(&started.alive);
	assert_int_equal(await_end(&started), 0);
}

static void test_exit_status_is_told(void **state)
{
	struct started started = start("#!/bin/sh\nexit 7\n", ENOUGH_MS);
	struct holder_report report;

	(void)state;
	let_go_on(&started);
	report = next(&started);
	assert_int_equal(report.step, HOLDER_FAILED_SETUP);
	assert_int_equal(report.value, 7 << 8);
	assert_int_equal(await_end(&started), 1 << 8);
}

/* dived has died before it has said that --setup may run. */
static void test_nothing_runs_without_dived(void **state)
{
	struct started started = start("#!/bin/sh\n>ran\n", ENOUGH_MS);

	(void)state;
	assert_int_equal(next(&started).step, HOLDER_MADE);
	close_fd(&started.control);
	assert_int_equal(await_end(&started), 1 << 8);
	assert_int_equal(access("ran", F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_setup_that_hangs_is_ended),
		TEST(test_setup_that_ends_is_not),
		TEST(test_exit_status_is_told),
		TEST(test_nothing_runs_without_dived),
	};

	return cmocka_run_group_tests(tests, scratch_group_setup, scratch_group_teardown);
}
