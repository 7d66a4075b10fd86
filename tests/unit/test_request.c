/*
 * request: a burst of packets, and every way in which one can be wrong.
 *
 * A case is a string, one letter a packet.  Nothing sleeps: the writing end is
 * closed, or the deadline has passed when the reader begins to wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "deadline.h"
#include "leak.h"
#include "must.h"
#include "request.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define WAIT_MS 5000

/* FDS with `count` descriptors from `first` on, the one at `wait` marked. */
static void send_fds(int sock, unsigned first, unsigned count, int wait)
{
	struct message_fd entries[PACKET_FDS_MAX];
	int fds[PACKET_FDS_MAX];
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(null >= 0);
	for (unsigned i = 0; i < count; i++) {
		fds[i] = null;
		entries[i] = (struct message_fd){ first + i, wait == (int)i };
	}
	assert_int_equal(packet_send(sock, deadline_after(WAIT_MS), MESSAGE_FDS, entries,
				     count * sizeof(entries[0]), fds, count),
			 0);
}

static void send_request(int sock, uint32_t flags, size_t fd_count)
{
	static char word0[] = "prog", word1[] = "", env0[] = "A=1";
	char *const argv[] = { word0, word1, NULL };
	char *const envp[] = { env0, NULL };
	const struct message_request fixed = { .flags = flags, .umask = 027, .ignored = 1 };
	cleanup_fd int root = open("/", O_PATH | O_CLOEXEC);
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const int fds[] = { root, null, null, null };
	cleanup_free uint8_t *body = NULL;
	size_t len;

	assert_int_equal(message_put_request(fixed, argv, envp, &body, &len), 0);
	assert_int_equal(packet_send(sock, deadline_after(WAIT_MS), MESSAGE_REQUEST, body, len, fds,
				     fd_count),
			 0);
}

static void send_raw(int sock, struct packet_header head)
{
	assert_int_equal(send(sock, &head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
}

static void send_plain(int sock, uint16_t type, const void *body, size_t len)
{
	assert_int_equal(packet_send(sock, deadline_after(WAIT_MS), type, body, len, NULL, 0), 0);
}

static void send_letter(int sock, char letter)
{
	const struct message_hello hello = { 0, MESSAGE_WAIT_HOLDERS, 1 };
	const struct message_hello bad_hello = { UINT32_MAX, 0, 0 };
	const struct message_signal signal = { 15 };

	switch (letter) {
	case 'H':
		return send_plain(sock, MESSAGE_HELLO, &hello, sizeof(hello));
	case 'h':
		return send_plain(sock, MESSAGE_HELLO, &bad_hello, sizeof(bad_hello));
	case 'F': /* 0 to 2 */
		return send_fds(sock, 0, 3, -1);
	case 'G': /* 5 and 6, 6 to wait for: below no number of F */
		return send_fds(sock, 5, 2, 1);
	case 'g': /* again a descriptor to wait for */
		return send_fds(sock, 9, 1, 0);
	case 'f': /* 2 again */
		return send_fds(sock, 2, 1, -1);
	case 'R':
		return send_request(sock, MESSAGE_REQUEST_CWD, 1);
	case 'r':
		return send_request(sock, MESSAGE_REQUEST_CWD, 2);
	case 'T':
		return send_request(sock, MESSAGE_REQUEST_ROOT | MESSAGE_REQUEST_TERMINAL, 2);
	case 'E':
		return send_plain(sock, MESSAGE_END, NULL, 0);
	case 'S':
		return send_plain(sock, MESSAGE_SIGNAL, &signal, sizeof(signal));
	case 'V':
		return send_raw(sock, (struct packet_header){ PACKET_MAGIC, PACKET_VERSION + 1,
							      MESSAGE_HELLO, 12, 0 });
	case 'N':
		return send_raw(sock, (struct packet_header){ 0x20544547, 0x202f, 0x5448, 1, 1 });
	case '/': /* half a header */
		assert_int_equal(send(sock, "DIVE", 4, MSG_NOSIGNAL), 4);
		return;
	default:
		fail();
	}
}

struct pair {
	int ours;
	int theirs;
};

static struct pair make_pair(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){ fds[0], fds[1] };
}

static const struct {
	const char *what;
	const char *packets;
	int result;
	const char *reason; /* a part of it; NULL: any */
} cases[] = {
	{ "smallest", "HRE", 0, NULL },
	{ "with descriptors", "HFRE", 0, NULL },
	{ "descriptors behind", "HRFE", 0, NULL },
	{ "two batches", "HGFRE", 0, NULL },
	{ "all descriptors of its own", "HTE", 0, NULL },
	{ "nothing", "", -ENOTCONN, "gone" },
	{ "only HELLO", "H", -EPIPE, "gone" },
	{ "no END", "HFR", -EPIPE, "gone" },
	{ "half a header", "/", -ECONNRESET, "gone" },
	{ "half a header later", "HF/", -ECONNRESET, "gone" },
	{ "noise", "N", -EBADMSG, "malformed" },
	{ "noise later", "HFRN", -EBADMSG, "malformed" },
	{ "no HELLO", "RE", -EBADMSG, "malformed" },
	{ "two HELLOs", "HHRE", -EBADMSG, "malformed" },
	{ "unknown flags in HELLO", "hRE", -EBADMSG, "malformed" },
	{ "END before REQUEST", "HFE", -EBADMSG, "what to run" },
	{ "two REQUESTs", "HRRE", -EBADMSG, "twice" },
	{ "number in two batches", "HFRfE", -EBADMSG, "one number" },
	{ "two to wait for", "HGgRE", -EBADMSG, "to wait for" },
	{ "one descriptor too many", "HrE", -EBADMSG, "malformed" },
	{ "a signal too early", "HSRE", -EBADMSG, "malformed" },
	{ "another version", "V", PACKET_OTHER_VERSION, "version" },
	{ "another version later", "HV", -EBADMSG, "malformed" },
};

static void test_bursts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair pair = make_pair();
		const char *reason = NULL;
		struct request request;
		int result;

		print_message("case: %s\n", cases[i].what);
		for (const char *c = cases[i].packets; *c; c++)
			send_letter(pair.theirs, *c);
		assert_int_equal(shutdown(pair.theirs, SHUT_WR), 0);
		result = request_recv(pair.ours, deadline_after(WAIT_MS), &request, &reason);
		assert_int_equal(result, cases[i].result);
		if (result == 0) {
			request_done(&request);
		} else {
			assert_non_null(reason);
			assert_non_null(strstr(reason, cases[i].reason));
		}
		close_fd(&pair.ours);
		close_fd(&pair.theirs);
	}
}

static void test_result(void **state)
{
	struct pair pair = make_pair();
	const char *reason = NULL;
	struct request request;
	struct stat status;

	(void)state;
	for (const char *c = "HGFRES"; *c; c++)
		send_letter(pair.theirs, *c);
	assert_int_equal(request_recv(pair.ours, deadline_after(WAIT_MS), &request, &reason), 0);
	assert_int_equal(request.hello.wait, MESSAGE_WAIT_HOLDERS);
	assert_int_equal(request.fixed.umask, 027);
	assert_string_equal(request.argv[0], "prog");
	assert_string_equal(request.argv[1], "");
	assert_null(request.argv[2]);
	assert_string_equal(request.envp[0], "A=1");
	assert_null(request.envp[1]);
	assert_int_equal(request.fd_count, 5);
	for (size_t i = 0; i < 5; i++) {
		static const int numbers[] = { 0, 1, 2, 5, 6 };

		assert_int_equal(request.fds[i].number, numbers[i]);
		assert_int_equal(fcntl(request.fds[i].fd, F_GETFD), FD_CLOEXEC);
	}
	assert_int_equal(request.wait_number, 6);
	assert_int_equal(request_find_fd(&request, 5), request.fds[3].fd);
	assert_int_equal(request_find_fd(&request, 4), -1);
	assert_int_equal(fstat(request.cwd, &status), 0);
	assert_true(S_ISDIR(status.st_mode));
	assert_int_equal(request.root, -1);
	assert_int_equal(request.terminal, -1);
	request_done(&request);
	assert_int_equal(request.cwd, -1);
	assert_int_equal(request_find_fd(&request, 5), -1);
	/* What follows END is not ours to read. */
	assert_true(recv(pair.ours, &status, 1, MSG_DONTWAIT) == 1);
	close_fd(&pair.ours);
	close_fd(&pair.theirs);
}

/* The bound is on all batches together. */
static void test_descriptor_bound(void **state)
{
	static const struct {
		unsigned last; /* descriptors in the fifth batch */
		int wait;      /* which of them is to wait for; it comes on top */
		int result;
	} bounds[] = { { 24, -1, 0 }, { 25, -1, -EBADMSG }, { 25, 24, 0 }, { 26, 0, -EBADMSG } };
	struct rlimit limit;

	(void)state;
	/* Theirs in flight and ours received count against the same limit. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 2048)
		SKIP("the limit of descriptors is lower than the test needs");
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		struct pair pair = make_pair();
		const char *reason = NULL;
		struct request request;

		send_letter(pair.theirs, 'H');
		for (unsigned batch = 0; batch < 4; batch++)
			send_fds(pair.theirs, batch * 250, 250, -1);
		send_fds(pair.theirs, 1000, bounds[i].last, bounds[i].wait);
		send_letter(pair.theirs, 'R');
		send_letter(pair.theirs, 'E');
		assert_int_equal(
			request_recv(pair.ours, deadline_after(WAIT_MS), &request, &reason),
			bounds[i].result);
		if (bounds[i].result == 0)
			request_done(&request);
		else
			assert_non_null(strstr(reason, "1024"));
		close_fd(&pair.ours);
		close_fd(&pair.theirs);
	}
}

/* A client that holds its line open costs the deadline, and no more. */
static void test_deadline(void **state)
{
	static const char *const bursts[] = { "", "H", "HFR", "HF/" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bursts); i++) {
		struct pair pair = make_pair();
		const char *reason = NULL;
		struct request request;

		for (const char *c = bursts[i]; *c; c++)
			send_letter(pair.theirs, *c);
		assert_int_equal(request_recv(pair.ours, deadline_after(20), &request, &reason),
				 -ETIMEDOUT);
		assert_non_null(strstr(reason, "in time"));
		close_fd(&pair.ours);
		close_fd(&pair.theirs);
	}
}

static void test_names_its_version(void **state)
{
	struct pair pair = make_pair();
	struct packet_header head;
	struct request request;
	const char *reason;

	(void)state;
	send_letter(pair.theirs, 'V');
	assert_int_equal(request_recv(pair.ours, deadline_after(WAIT_MS), &request, &reason),
			 PACKET_OTHER_VERSION);
	assert_int_equal(recv(pair.theirs, &head, sizeof(head), MSG_DONTWAIT), sizeof(head));
	assert_int_equal(head.type, MESSAGE_HELLO);
	assert_int_equal(head.version, PACKET_VERSION);
	close_fd(&pair.ours);
	close_fd(&pair.theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bursts, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_result, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_descriptor_bound, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_deadline, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_names_its_version, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
