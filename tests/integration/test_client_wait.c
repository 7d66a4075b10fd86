/*
 * How long dive waits (DIVE_WAITMODE): for the program, for its start only, or
 * for all that hold the descriptor that dive passes for this.
 *
 * What must go on is held at a FIFO until the test has seen what it is to see,
 * so that no test depends on who is faster.
 */
#include "cleanup.h"
#include "deadline.h"
#include "gateway_scene.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPECT_MS 15000
#define LOOK_MS	  5
#define PATHS	  "PATH=/usr/bin:/bin"

static void make_fifo(const char *path)
{
	(void)unlink(path); /* of the case before */
	MUST(mkfifo(path, 0600));
	MUST(chmod(path, 0666));
}

/* Opens for writing and closes, which lets a reader go on.  It waits for the reader. */
static void release(const char *path)
{
	close_fd(&(int){ MUST_INT(open(path, O_WRONLY | O_CLOEXEC)) });
}

static void test_wait_mode_start(void **state)
{
	static const char *const options[][2] = { { "-T" }, { "-w" } };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		print_message("case: %s\n", options[i][0]);
		gateway_start(&gateway, options[i]);
		run_dive(&command,
			 &(struct run_options){ .account = "alice",
						.envp = RUN_WORDS(PATHS, "DIVE_WAITMODE=1") },
			 &gateway, RUN_WORDS(SHOW, "signals"));
		run_assert_status(&command, 0);
		assert_string_equal(command.err, "");

		/* It runs on, and that dive has ended is no hangup. */
		cleanup_fd int program = MUST_INT(pidfd_open(show_pid(&command), 0));

		MUST(pidfd_send_signal(program, SIGTERM, NULL, 0));
		show_await(&command, "got 15.");
		assert_null(strstr(command.out, "got 1."));
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* Whether dive has a connection: it closes it when the server has no more to say. */
static bool has_socket(pid_t pid)
{
	char path[64];
	char target[64];
	const struct dirent *entry;
	bool found = false;
	DIR *directory;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid); /* fits */
	directory = opendir(path);
	MUST_POINTER(directory);
	while ((entry = readdir(directory))) {
		ssize_t len = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target));

		found = found || (len > 7 && strncmp(target, "socket:", 7) == 0);
	}
	(void)closedir(directory); /* read only */
	return found;
}

/* The program is over and dive knows, but another process still holds a descriptor. */
static void test_wait_mode_holders(void **state)
{
	static const char script[] = "(read x <"
				     "/run/dive-test/hold; echo released) & exit 5";
	static const struct {
		const char *options[2];
		const char *variable;
		int status;
		const char *err;
	} cases[] = {
		{ { "-T" }, "DIVE_WAITMODE=2", 5, "" },
		{ { "-w" }, "DIVE_WAITMODE=2", 0, "" },
		{ { "-w" },
		  NULL,
		  0,
		  "dive: warning: the server does not wait for programs; waiting until all of this "
		  "one's processes are gone, with status 0 (DIVE_WAITMODE=2)\n" },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t deadline = deadline_after(EXPECT_MS);

		print_message("case: %s, %s\n", cases[i].options[0],
			      cases[i].variable ? cases[i].variable : "-");
		make_fifo("/run/dive-test/hold");
		gateway_start(&gateway, cases[i].options);
		run_dive_start(&command,
			       &(struct run_options){ .account = "alice",
						      .envp = RUN_WORDS(PATHS, cases[i].variable) },
			       &gateway, RUN_WORDS("sh", "-c", script));
		while (has_socket(command.pid)) {
			if (deadline_passed(deadline))
				FAIL("the server does not end the connection");
			(void)poll(NULL, 0, LOOK_MS); /* /proc cannot be polled */
		}
		assert_int_equal(deadline_poll(command.pidfd, POLLIN, 0), -ETIMEDOUT);
		release("/run/dive-test/hold");
		run_wait(&command);
		run_assert_status(&command, cases[i].status);
		assert_string_equal(command.out, "released\n");
		assert_string_equal(command.err, cases[i].err);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* Mode 0 does not wait for more than the program. */
static void test_wait_mode_exit(void **state)
{
	struct run command;

	(void)state;
	make_fifo("/run/dive-test/hold");
	gateway_start(&gateway, RUN_WORDS("-T"));
	run_dive(&command, &alice, &gateway,
		 RUN_WORDS("sh", "-c", "(read x </run/dive-test/hold; echo released) & exit 5"));
	run_assert_status(&command, 5);
	assert_string_equal(command.out, "");
	release("/run/dive-test/hold");
	show_await(&command, "released");
	run_done(&command);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wait_mode_start),
		TEST(test_wait_mode_holders),
		TEST(test_wait_mode_exit),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
