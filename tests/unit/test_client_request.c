/*
 * What dive sends: the whole burst, read back as the server would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/dive/request.h"
#include "cleanup.h"
#include "deadline.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct signals_hold none_held; /* nothing is forwarded here */

static char *no_words[] = { NULL };

static struct client_config plain_config(char *const *argv)
{
	return (struct client_config){ .terminal_fd = -1, .argv = argv, .address = "/socket" };
}

static void expect_packet(int sock, uint32_t state, uint16_t type, struct packet *ret)
{
	const struct message_expect expect = { .from = MESSAGE_FROM_CLIENT, .state = state };

	assert_int_equal(message_recv(sock, deadline_after(5000), expect, ret), 0);
	assert_int_equal(ret->head.type, type);
}

static bool listed(const struct client_fds *fds, int number)
{
	for (size_t i = 0; i < fds->count; i++) {
		if (fds->numbers[i] == number)
			return true;
	}
	return false;
}

static void test_lists_what_is_open(void **state)
{
	cleanup_fd int high = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 500);
	struct client_fds fds;
	struct client_fds again;

	(void)state;
	assert_true(high >= 500);
	assert_int_equal(client_fds_list(&fds), 0);
	assert_true(listed(&fds, STDERR_FILENO));
	assert_true(listed(&fds, high));
	assert_int_equal(fds.highest, high);
	for (size_t i = 0; i < fds.count; i++)
		assert_true(fcntl(fds.numbers[i], F_GETFD) >= 0); /* the listing itself is not in */
	close_fd(&high);
	assert_int_equal(client_fds_list(&again), 0);
	assert_int_equal(again.count, fds.count - 1);
}

static void test_refuses_what_cannot_be_passed(void **state)
{
	static const struct {
		const char *named; /* in the error */
		size_t count;
		int highest;
		const char *curdir;
		const char *rootdir;
		const char *terminal;
		int terminal_fd;
	} cases[] = {
		{ "1025", 1025, 1024, NULL, NULL, NULL, -1 },
		{ "65536", 1, 65536, NULL, NULL, NULL, -1 },
		{ "DIVE_CURDIR", 0, -1, "/no/such", NULL, NULL, -1 },
		{ "DIVE_CURDIR", 0, -1, "/dev/null", NULL, NULL, -1 },
		{ "DIVE_ROOTDIR", 0, -1, NULL, "/no/such", NULL, -1 },
		{ "DIVE_TERMINAL", 0, -1, NULL, NULL, "/no/such", -1 },
		{ "DIVE_TERMINAL", 0, -1, NULL, NULL, "/dev/null", -1 },
		{ "DIVE_TERMINAL", 0, -1, NULL, NULL, NULL, 0 }, /* open, but not inherited */
	};

	(void)state;
	assert_return_code(setenv("DIVE_TERMINAL", "x", 1), errno);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client_request request = CLIENT_REQUEST_EMPTY;
		struct client_config config = plain_config(no_words);
		struct client_fds fds = { .count = cases[i].count, .highest = cases[i].highest };
		struct failure failure;

		print_message("case %zu: %s\n", i, cases[i].named);
		config.curdir = cases[i].curdir;
		config.rootdir = cases[i].rootdir;
		config.terminal = cases[i].terminal;
		config.terminal_fd = cases[i].terminal_fd;
		assert_int_equal(
			client_request_prepare(&config, &fds, no_words, &request, &failure),
			FAILED);
		assert_int_equal(failure.status, STATUS_FAILURE);
		assert_non_null(strstr(failure.text, cases[i].named));
		client_request_done(&request);
	}
}

static void test_names_the_string_that_is_too_long(void **state)
{
	cleanup_free char *text = malloc(MESSAGE_STRING_MAX + 1);
	char *words[] = { text, NULL };
	struct client_fds fds = { .count = 0, .highest = -1 };
	struct client_request request = CLIENT_REQUEST_EMPTY;
	struct client_config config = plain_config(words);
	struct failure failure;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', MESSAGE_STRING_MAX);
	text[MESSAGE_STRING_MAX] = '\0';
	assert_int_equal(client_request_prepare(&config, &fds, no_words, &request, &failure),
			 FAILED);
	assert_non_null(strstr(failure.text, "argument xxx"));
	client_request_done(&request);

	config.argv = no_words;
	assert_int_equal(client_request_prepare(&config, &fds, words, &request, &failure), FAILED);
	assert_non_null(strstr(failure.text, "environment variable xxx"));
	client_request_done(&request);

	text[MESSAGE_STRING_MAX - 1] = '\0';
	assert_int_equal(client_request_prepare(&config, &fds, words, &request, &failure), 0);
	client_request_done(&request);
}

static void check_request(int sock, const char *argument, const char *variable)
{
	struct message_request fixed;
	cleanup_free char **strings = NULL;
	struct packet packet = { 0 };
	struct stat sent;
	struct stat here;

	expect_packet(sock, MESSAGE_STATE_REQUEST, MESSAGE_REQUEST, &packet);
	assert_int_equal(message_get_request(&packet, &fixed, &strings), 0);
	assert_int_equal(fixed.flags, MESSAGE_REQUEST_CWD | MESSAGE_REQUEST_ROOT);
	assert_int_equal(fixed.umask, 0027);
	assert_int_equal(fixed.ignored, MESSAGE_IGNORED_HUP);
	assert_int_equal(fixed.argc, 1);
	assert_int_equal(fixed.envc, 1);
	assert_string_equal(strings[0], argument);
	assert_string_equal(strings[2], variable);
	assert_int_equal(packet.head.fd_count, 2);
	assert_return_code(fstat(packet.fds[0], &sent), errno);
	assert_return_code(stat(".", &here), errno);
	assert_int_equal(sent.st_ino, here.st_ino);
	assert_return_code(fstat(packet.fds[1], &sent), errno);
	assert_return_code(stat("/proc", &here), errno);
	assert_int_equal(sent.st_ino, here.st_ino);
	packet_done(&packet);
}

static void test_burst(void **state)
{
	char argument[] = "program";
	char kept[] = "DIVER=1";
	char dropped[] = "DIVE_GATEWAY=forged";
	char *argv[] = { argument, NULL };
	char *envp[] = { dropped, kept, NULL };
	struct client_fds fds = { .numbers = { 0, 2 }, .count = 2, .highest = 2 };
	struct client_request request = CLIENT_REQUEST_EMPTY;
	struct client_config config = plain_config(argv);
	struct message_hello hello;
	struct message_fd entry;
	struct packet packet = { 0 };
	struct failure failure;
	int pair[2];
	int number;
	mode_t mask = umask(0027);
	char byte;

	(void)state;
	(void)signal(SIGHUP, SIG_IGN);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
	config.wait = MESSAGE_WAIT_HOLDERS;
	config.forward = MESSAGE_FORWARD_GROUP;
	config.non_interactive = 1;
	config.rootdir = "/proc";
	assert_int_equal(client_request_prepare(&config, &fds, envp, &request, &failure), 0);
	assert_int_equal(umask(mask), 0027); /* as it was */
	(void)umask(0027);
	number = request.holders[1];
	assert_int_equal(client_request_send(&request, &fds, &none_held, pair[0], &failure), 0);
	assert_int_equal(request.holders[1], -1);
	(void)umask(mask);
	(void)signal(SIGHUP, SIG_DFL);

	expect_packet(pair[1], MESSAGE_STATE_START, MESSAGE_HELLO, &packet);
	assert_int_equal(message_get_hello(&packet, &hello), 0);
	assert_int_equal(hello.flags, MESSAGE_HELLO_NON_INTERACTIVE);
	assert_int_equal(hello.wait, MESSAGE_WAIT_HOLDERS);
	assert_int_equal(hello.forward, MESSAGE_FORWARD_GROUP);
	packet_done(&packet);

	expect_packet(pair[1], MESSAGE_STATE_REQUEST, MESSAGE_FDS, &packet);
	assert_int_equal(packet.head.fd_count, 3);
	for (size_t i = 0; i < 3; i++) {
		const uint32_t numbers[] = { 0, 2, (uint32_t)number };

		assert_int_equal(message_get_fd(&packet, i, &entry), 0);
		assert_int_equal(entry.number, numbers[i]);
		assert_int_equal(entry.flags, i == 2 ? MESSAGE_FD_WAIT : 0);
	}
	assert_int_equal(fcntl(request.holders[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(request.holders[0], &byte, 1), -1); /* the packet still holds it */
	packet_done(&packet);
	assert_int_equal(read(request.holders[0], &byte, 1), 0);

	check_request(pair[1], argument, kept);
	expect_packet(pair[1], MESSAGE_STATE_REQUEST, MESSAGE_END, &packet);
	packet_done(&packet);
	client_request_done(&request);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
}

static void test_batches(void **state)
{
	/* The largest batch, its neighbours, and the most there can be. */
	static const size_t counts[] = { 0, 1, 248, 249, 250, 251, 499, 500, 1000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct client_request request = CLIENT_REQUEST_EMPTY;
		struct client_config config = plain_config(no_words);
		struct client_fds fds = { .count = counts[i], .highest = 0 };
		struct packet packet = { 0 };
		struct failure failure;
		size_t received = 0;
		int pair[2];

		print_message("case: %zu descriptors\n", counts[i]);
		assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
		assert_int_equal(
			client_request_prepare(&config, &fds, no_words, &request, &failure), 0);
		assert_int_equal(client_request_send(&request, &fds, &none_held, pair[0], &failure),
				 0);
		expect_packet(pair[1], MESSAGE_STATE_START, MESSAGE_HELLO, &packet);
		packet_done(&packet);
		while (received < counts[i] + 1) {
			expect_packet(pair[1], MESSAGE_STATE_REQUEST, MESSAGE_FDS, &packet);
			received += packet.head.fd_count;
			packet_done(&packet);
		}
		assert_int_equal(received, counts[i] + 1);
		expect_packet(pair[1], MESSAGE_STATE_REQUEST, MESSAGE_REQUEST, &packet);
		packet_done(&packet);
		client_request_done(&request);
		close_fd(&pair[0]);
		close_fd(&pair[1]);
	}
}

static void test_server_gone_is_no_failure_of_sending(void **state)
{
	struct client_request request = CLIENT_REQUEST_EMPTY;
	struct client_config config = plain_config(no_words);
	struct client_fds fds = { .numbers = { 0 }, .count = 1, .highest = 0 };
	struct failure failure;
	int pair[2];

	(void)state;
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
	close_fd(&pair[1]);
	assert_int_equal(client_request_prepare(&config, &fds, no_words, &request, &failure), 0);
	assert_int_equal(client_request_send(&request, &fds, &none_held, pair[0], &failure), 0);
	client_request_done(&request);
	close_fd(&pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_what_is_open),
		cmocka_unit_test(test_refuses_what_cannot_be_passed),
		cmocka_unit_test(test_names_the_string_that_is_too_long),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_server_gone_is_no_failure_of_sending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
