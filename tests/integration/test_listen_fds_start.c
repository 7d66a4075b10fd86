/*
 * Sockets that a service manager has made: what dived refuses to start with.  What is
 * judged about a descriptor, case by case, is in the unit test.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "passed_scene.h"
#include "sandbox.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int make_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = MUST_INT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	MUST(listen(fd, 4));
	return fd;
}

/* Start-up ends, and the sockets are as they were. */
static void test_bad_sockets(void **state)
{
	cleanup_fd int good = make(PATH, 0600);
	cleanup_fd int datagram = bind_as(SOCK_DGRAM, OTHER);
	cleanup_fd int deaf = bind_as(SOCK_STREAM, abstract_name);
	cleanup_fd int tcp = make_tcp();
	cleanup_fd int file = MUST_INT(open("/dev/null", O_RDONLY | O_CLOEXEC));
	const struct {
		int fd;
		const char *text;
	} cases[] = {
		{ datagram, "--listen-fds: descriptor 4: not a stream socket" },
		{ deaf, "--listen-fds: descriptor 4: does not listen" },
		{ tcp, "--listen-fds: descriptor 4: not a UNIX socket" },
		{ file, "--listen-fds: descriptor 4: not a socket" },
	};
	int many[17];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		gateway_expect_passed_refusal(&none, (const int[]){ good, cases[i].fd }, 2,
					      RUN_WORDS(NULL), cases[i].text);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = good;
	gateway_expect_passed_refusal(&none, many, ARRAY_LEN(many), RUN_WORDS(NULL),
				      "--listen-fds: LISTEN_FDS \"17\"");
	gateway_expect_passed_refusal(&none, &good, 0, RUN_WORDS(NULL),
				      "--listen-fds: LISTEN_FDS \"0\"");
	assert_false(fcntl(good, F_GETFL) & O_NONBLOCK);
	gateway_start_passed(&gateway, &none, &good, 1, RUN_WORDS(NULL));
	assert_int_equal(connect_at(PATH, NULL), 0);
	gateway_stop(&gateway);
}

static void test_bad_options(void **state)
{
	static const char *const wrong[] = { "PATH=/usr/bin:/bin", "LISTEN_PID=1", NULL };
	cleanup_fd int socket = make(PATH, 0600);

	(void)state;
	gateway_expect_passed_refusal(&(struct run_options){ .envp = wrong }, &socket, 1,
				      RUN_WORDS(NULL), "--listen-fds: LISTEN_PID \"1\"");
	gateway_expect_refusal(RUN_WORDS("--listen-fds"),
			       "--listen-fds: LISTEN_PID is not set: no sockets were passed");
	gateway_expect_passed_refusal(&none, &socket, 1, RUN_WORDS("-C", "0600"),
				      "-C 0600: no socket that was passed is abstract");
	gateway_expect_passed_refusal(&none, &socket, 1, RUN_WORDS("-U", "alice"),
				      "-U alice: no socket that was passed is abstract");
	gateway_expect_passed_refusal(&none, &socket, 1, RUN_WORDS(PATH), "ADDRESS " PATH);
	gateway_expect_passed_refusal(&none, &socket, 1, RUN_WORDS("-x", "not-there"),
				      "--pam-service not-there");
	assert_int_equal(access(PATH, F_OK), 0);
}

/* The widest socket counts: what is safe for root alone is not for everybody. */
static void test_safety(void **state)
{
	static const char *const options[] = { "-u", "bob", "--environment", "all", NULL };
	cleanup_fd int closed = make(PATH, 0600);
	cleanup_fd int open = make(OTHER, 0666);
	cleanup_fd int owned = make(abstract_name, 0);

	(void)state;
	gateway_start_passed(&gateway, &none, (const int[]){ closed, owned }, 2, options);
	assert_int_equal(connect_at(PATH, NULL), 0);
	gateway_stop(&gateway);
	gateway_expect_passed_refusal(&none, (const int[]){ closed, open }, 2, options,
				      "--environment all");
	gateway_expect_passed_refusal(&none, (const int[]){ closed, owned }, 2,
				      RUN_WORDS("-U", "alice", "-u", "bob", "--environment", "all"),
				      "--environment all");
}

/* Without a manager: options only. */
static void test_check(void **state)
{
	struct run command;

	(void)state;
	run(&command, &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), "--check",
							       "--listen-fds", "-u", "bob") });
	run_assert_status(&command, 0);
	assert_non_null(strstr(command.out, "sockets: those a service manager passes"));
	run_done(&command);
	gateway_expect_refusal(RUN_WORDS("--check", "--listen-fds", "-u", "nobody-here"),
			       "-u nobody-here");
	gateway_expect_refusal(RUN_WORDS("--check", "--listen-fds", "--", "./x"), "-- ./x");
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_sockets),
		TEST(test_bad_options),
		TEST(test_safety),
		TEST(test_check),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
