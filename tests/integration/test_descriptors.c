/*
 * Which descriptors a program has: every one the client had, at the same number,
 * and nothing else, neither of dived's nor of a PAM module's.
 *
 * The program lists what it has open (tests/programs/show.c), and writes its own
 * idea of a descriptor's number through each: a number that is open but leads
 * to another's file is found out.
 */
#include "cleanup.h"
#include "gateway_scene.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define OWN  RUN_WORDS("-T")
#define MANY 97

static bool is_open(const char *report, int number)
{
	char start[32];

	(void)snprintf(start, sizeof(start), "fd%d=", number); /* fits */
	return show_starts(report, start);
}

/* Exactly 0, 1, 2 and these. */
static void assert_open(const char *report, const struct run_fd *fds, size_t count)
{
	size_t lines = 0;

	for (size_t i = 0; i < count; i++)
		if (!is_open(report, fds[i].number))
			FAIL("descriptor %d is missing in:\n%s", fds[i].number, report);
	for (const char *at = report; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		lines += strncmp(at, "fd", 2) == 0 && at[2] >= '0' && at[2] <= '9';
	}
	assert_int_equal(lines, count + 3);
}

/* Each is a file of its own, into which the program writes the number it has there. */
static void assert_filled(const struct run_fd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[32] = "";
		char expected[32];

		(void)snprintf(expected, sizeof(expected), "%d\n", fds[i].number); /* fits */
		MUST(pread(fds[i].fd, text, sizeof(text) - 1, 0));
		assert_string_equal(text, expected);
		MUST(ftruncate(fds[i].fd, 0));
		MUST(lseek(fds[i].fd, 0, SEEK_SET));
	}
}

static void test_hundred_descriptors_arrive(void **state)
{
	struct run_fd fds[MANY + 3] = { { 0, 3 }, { 0, 500 }, { 0, 1023 } };
	struct run command;
	struct run_options client = { .account = "alice", .fds = fds, .fd_count = MANY + 3 };

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[3 + i].number = 11 + 7 * i; /* none of them 500 */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i].fd = MUST_INT(memfd_create("content", MFD_CLOEXEC));
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		gateway_start(&gateway, both[i]);
		dive(&command, &client, RUN_WORDS(SHOW));
		assert_open(command.out, fds, ARRAY_LEN(fds));
		run_done(&command);
		dive(&command, &client, RUN_WORDS(SHOW, "fill"));
		assert_filled(fds, ARRAY_LEN(fds));
		run_done(&command);
		gateway_stop(&gateway);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close_fd(&fds[i].fd);
}

/* Root without CAP_SYS_RESOURCE cannot raise what pam_limits has lowered in its session. */
static void test_descriptor_above_the_limit(void **state)
{
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	const struct run_fd high = { null, 1023 };
	struct rlimit limit;
	struct run command;
	bool raises;

	(void)state;
	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_max++;
	raises = setrlimit(RLIMIT_NOFILE, &limit) == 0;
	sandbox_write("/etc/security/limits.conf", 0644, "bob - nofile 256\n");
	gateway_start(&gateway, both[1]);
	run_dive(&command, &(struct run_options){ .account = "alice", .fds = &high, .fd_count = 1 },
		 &gateway, RUN_WORDS(SHOW));
	run_assert_status(&command, raises ? 0 : 77);
	if (raises)
		assert_open(command.out, &high, 1);
	else
		assert_non_null(strstr(command.err, "descriptor 1023 needs room for"));
	if (!raises)
		assert_non_null(strstr(command.err, "(nofile) of 256"));
	run_done(&command);
	gateway_stop(&gateway);
	sandbox_write("/etc/security/limits.conf", 0644, "%s", "");
}

/* The limit is on what is passed: 1024 arrive, 1025 are refused by dive itself. */
static void test_too_many_descriptors_are_refused(void **state)
{
	static struct run_fd fds[1022];
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	struct run command;
	struct run_options client = { .account = "alice", .fds = fds };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = (struct run_fd){ null, (int)i + 3 };
	gateway_start(&gateway, OWN);
	client.fd_count = 1021;
	dive(&command, &client, RUN_WORDS(SHOW));
	assert_open(command.out, fds, 1021);
	run_done(&command);
	client.fd_count = 1022;
	run_dive(&command, &client, &gateway, RUN_WORDS(SHOW));
	run_assert_status(&command, 1);
	assert_non_null(strstr(command.err, "1025 descriptors are open and at most 1024"));
	assert_string_equal(command.out, "");
	run_done(&command);
	gateway_stop(&gateway);
}

/* Through sh, which can close 0, 1 and 2; the report goes to descriptor 9. */
static void test_missing_standard_descriptors(void **state)
{
	static const struct {
		const char *what;
		const char *options[5];
		const char *closed;
		bool open[3]; /* as /dev/null, then */
	} cases[] = {
		{ "elevated, none", { "-u", "bob", "-a", "never" }, "<&- >&- 2>&-", { 1, 1, 1 } },
		{ "elevated, no 1", { "-u", "bob", "-a", "never" }, ">&-", { 0, 1, 0 } },
		{ "own account", { "-T" }, "<&- >&- 2>&-", { 0, 0, 0 } },
	};
	cleanup_fd int file = MUST_INT(memfd_create("report", MFD_CLOEXEC));
	const struct run_fd nine = { file, 9 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char script[256];
		char text[16384] = "";
		struct run command;

		print_message("case: %s\n", cases[i].what);
		gateway_start(&gateway, cases[i].options);
		(void)snprintf(script, sizeof(script), "exec %s %s " SHOW " report 9 %s",
			       sandbox_dive(), gateway.address, cases[i].closed); /* fits */
		run(&command, &(struct run_options){ .account = "alice",
						     .argv = RUN_WORDS("sh", "-c", script),
						     .fds = &nine,
						     .fd_count = 1 });
		run_assert_status(&command, 0);
		run_done(&command);
		gateway_stop(&gateway);
		MUST(pread(file, text, sizeof(text) - 1, 0));
		MUST(ftruncate(file, 0));
		MUST(lseek(file, 0, SEEK_SET));
		show_expect_line(text, "fd0=/dev/null", i != 2);
		show_expect_line(text, "fd1=/dev/null", cases[i].open[1]);
		show_expect_line(text, "fd2=/dev/null", cases[i].open[2]);
		assert_int_equal(is_open(text, 2), i != 2);
		show_expect(text, "end", "of the report");
	}
}

static void test_no_fds_gives_null(void **state)
{
	cleanup_fd int file = MUST_INT(memfd_create("report", MFD_CLOEXEC));
	const struct run_fd nine = { file, 9 };
	char path[] = "/run/dive-test/no-fds";
	char text[16384] = "";
	struct run command;
	int out;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-O"));
	sandbox_write(path, 0666, "%s", "");
	run_dive(&command, &(struct run_options){ .account = "alice", .fds = &nine, .fd_count = 1 },
		 &gateway,
		 RUN_WORDS("sh", "-c", "exec 7>/run/dive-test/no-fds; exec " SHOW " report 7"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "");
	run_done(&command);
	gateway_stop(&gateway);
	out = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
	MUST(read(out, text, sizeof(text) - 1));
	close_fd(&out);
	show_expect(text, "fd0", "/dev/null");
	show_expect(text, "fd1", "/dev/null");
	show_expect(text, "fd2", "/dev/null");
	assert_false(is_open(text, 9));
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hundred_descriptors_arrive),
		TEST(test_descriptor_above_the_limit),
		TEST(test_too_many_descriptors_are_refused),
		TEST(test_missing_standard_descriptors),
		TEST(test_no_fds_gives_null),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
