/*
 * packet: framing and descriptors, above all against a peer that does it wrong.
 *
 * Every test runs inside the leak check: whatever a peer sends, no descriptor of
 * it stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "deadline.h"
#include "leak.h"
#include "packet.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#define V	    PACKET_VERSION
#define PASS_PIDFD  76 /* SO_PASSPIDFD, newer than the C library's headers */
#define RAW_FDS_MAX 253

struct pair {
	int ours, theirs, null;
};

static int pair_setup(void **state)
{
	static struct pair pair;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	pair = (struct pair){ fds[0], fds[1], open("/dev/null", O_RDWR | O_CLOEXEC) };
	*state = &pair;
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *pair = *state;

	close_fd(&pair->ours);
	close_fd(&pair->theirs);
	close_fd(&pair->null);
	return 0;
}

/* A fresh connection for the next case. */
static void pair_renew(struct pair *pair)
{
	void *state = pair;

	(void)pair_teardown(&state); /* cannot fail */
	assert_int_equal(pair_setup(&state), 0);
}

/* Sends bytes with `count` copies of one descriptor, with none of packet.c's care. */
static void send_raw(int sock, const void *bytes, size_t len, int fd, size_t count)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(RAW_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(sock, &msg, MSG_NOSIGNAL), len);
}

static struct packet_header header(uint32_t body_len, uint32_t fd_count)
{
	return (struct packet_header){ PACKET_MAGIC, V, 7, body_len, fd_count };
}

static void test_round_trip(void **state)
{
	static const struct {
		size_t body_len, fd_count;
	} cases[] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 5, 3 }, { 60000, PACKET_FDS_MAX } };
	static uint8_t body[60000];
	const struct pair *p = leak_fixture(state);
	int fds[PACKET_FDS_MAX];

	memset(body, 'b', sizeof(body));
	for (size_t i = 0; i < PACKET_FDS_MAX; i++)
		fds[i] = p->null;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packet got;

		print_message("case: %zu bytes, %zu fds\n", cases[i].body_len, cases[i].fd_count);
		assert_int_equal(packet_send(p->theirs, DEADLINE_NONE, 9, body, cases[i].body_len,
					     fds, cases[i].fd_count),
				 0);
		assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), 0);
		assert_int_equal(got.head.type, 9);
		assert_int_equal(got.head.body_len, cases[i].body_len);
		assert_int_equal(got.head.fd_count, cases[i].fd_count);
		if (cases[i].body_len > 0) {
			assert_memory_equal(got.body, body, cases[i].body_len);
			assert_int_equal(got.body[cases[i].body_len], 0);
		} else {
			assert_null(got.body);
		}
		for (size_t k = 0; k < cases[i].fd_count; k++)
			assert_int_equal(fcntl(got.fds[k], F_GETFD), FD_CLOEXEC);
		packet_done(&got);
		assert_null(got.body);
		assert_int_equal(got.head.fd_count, 0);
		packet_done(&got);
	}
}

static void test_refuses_malformed(void **state)
{
	static const struct {
		const char *what;
		struct packet_header head;
		size_t fds;
	} cases[] = {
		{ "bad magic", { 0, V, 7, 0, 1 }, 1 },
		{ "bad magic and version", { 1, V + 1, 7, 0, 0 }, 0 },
		{ "body too long", { PACKET_MAGIC, V, 7, PACKET_BODY_MAX + 1, 1 }, 1 },
		{ "body of 4 GiB", { PACKET_MAGIC, V, 7, UINT32_MAX, 0 }, 0 },
		{ "smuggled fd", { PACKET_MAGIC, V, 7, 0, 0 }, 1 },
		{ "one fd more", { PACKET_MAGIC, V, 7, 0, 2 }, 3 },
		{ "one fd less", { PACKET_MAGIC, V, 7, 0, 3 }, 2 },
		{ "no fds", { PACKET_MAGIC, V, 7, 0, 1 }, 0 },
		{ "too many fds",
		  { PACKET_MAGIC, V, 7, 0, PACKET_FDS_MAX + 1 },
		  PACKET_FDS_MAX + 1 },
		{ "as many as the kernel lets", { PACKET_MAGIC, V, 7, 0, 253 }, 253 },
		{ "count of 4 Gi", { PACKET_MAGIC, V, 7, 0, UINT32_MAX }, 1 },
	};
	const struct pair *p = leak_fixture(state);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packet got, same;

		print_message("case: %s\n", cases[i].what);
		memset(&got, 'u', sizeof(got));
		memset(&same, 'u', sizeof(same));
		send_raw(p->theirs, &cases[i].head, sizeof(cases[i].head), p->null, cases[i].fds);
		assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), -EBADMSG);
		assert_memory_equal(&got, &same, sizeof(got)); /* outputs on success only */
	}
}

static void test_other_version(void **state)
{
	const struct packet_header head = { PACKET_MAGIC, V + 1, 1, UINT32_MAX, UINT32_MAX };
	const struct pair *p = leak_fixture(state);
	struct packet got;

	send_raw(p->theirs, &head, sizeof(head), p->null, 2);
	assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got),
			 PACKET_OTHER_VERSION);
	assert_int_equal(got.head.version, V + 1);
	assert_int_equal(got.head.type, 1);
	packet_done(&got); /* harmless, though not needed */
}

static int refuse(const struct packet_header *head, const void *context)
{
	return head->type == 7 ? *(const int *)context : 0;
}

static void test_check_comes_before_body(void **state)
{
	const struct packet_header head = header(PACKET_BODY_MAX, 1);
	const struct pair *p = leak_fixture(state);
	const int error = -EPROTO;
	struct packet got;

	/* None of the body has been sent: waiting for it would never end. */
	send_raw(p->theirs, &head, sizeof(head), p->null, 1);
	assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, refuse, &error, &got), -EPROTO);
}

static void test_end_of_stream(void **state)
{
	const struct packet_header head = header(10, 1);
	static const struct {
		size_t sent; /* of head and body */
		int r;
	} cases[] = { { 0, -EPIPE },	   { 1, -ECONNRESET },	{ 15, -ECONNRESET },
		      { 16, -ECONNRESET }, { 17, -ECONNRESET }, { 25, -ECONNRESET } };
	uint8_t bytes[26] = { 0 };

	memcpy(bytes, &head, sizeof(head));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair *p = leak_fixture(state);
		struct packet got;

		print_message("case: closed after %zu bytes\n", cases[i].sent);
		if (cases[i].sent > 0)
			send_raw(p->theirs, bytes, cases[i].sent, p->null, 1);
		close_fd(&p->theirs);
		assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), cases[i].r);
		pair_renew(p);
	}
}

static void test_slow_sender_meets_deadline(void **state)
{
	const struct packet_header head = header(10, 1);
	static const size_t sent[] = { 0, 1, 15, 16, 17, 25 };
	uint8_t bytes[26] = { 0 };

	memcpy(bytes, &head, sizeof(head));
	for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
		struct pair *p = leak_fixture(state);
		struct packet got;

		print_message("case: silent after %zu bytes\n", sent[i]);
		if (sent[i] > 0)
			send_raw(p->theirs, bytes, sent[i], p->null, 1);
		assert_int_equal(packet_recv(p->ours, deadline_after(1), NULL, NULL, &got),
				 -ETIMEDOUT);
		pair_renew(p);
	}
}

/* Each piece is there when it is looked for, yet the deadline holds. */
static void test_drip_does_not_extend_deadline(void **state)
{
	const struct packet_header head = header(4, 1);
	const struct pair *p = leak_fixture(state);
	struct packet got;

	send_raw(p->theirs, &head, sizeof(head), p->null, 1);
	send_raw(p->theirs, "a", 1, p->null, 1); /* descriptors keep the pieces apart */
	assert_int_equal(packet_recv(p->ours, 0, NULL, NULL, &got), -EBADMSG);
	send_raw(p->theirs, &head, 8, p->null, 1); /* a read ends behind descriptors */
	send_raw(p->theirs, (const uint8_t *)&head + 8, 8, -1, 0);
	send_raw(p->theirs, "body", 4, -1, 0);
	assert_int_equal(packet_recv(p->ours, 0, NULL, NULL, &got), -ETIMEDOUT);
}

static void test_late_descriptors(void **state)
{
	const struct packet_header with = header(4, 1), without = header(4, 0);
	static const struct {
		const char *what;
		bool announced;
		size_t split; /* descriptors come with this byte, too or alone */
	} cases[] = {
		{ "second half of the header", true, 8 },
		{ "body, not announced", false, 16 },
		{ "body, besides the announced", true, 16 },
		{ "middle of the body", true, 18 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair *p = leak_fixture(state);
		uint8_t bytes[20] = { 0 };
		struct packet got;

		print_message("case: %s\n", cases[i].what);
		memcpy(bytes, cases[i].announced ? &with : &without, sizeof(with));
		send_raw(p->theirs, bytes, cases[i].split, p->null, cases[i].announced ? 1 : 0);
		send_raw(p->theirs, bytes + cases[i].split, sizeof(bytes) - cases[i].split, p->null,
			 2);
		assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), -EBADMSG);
		pair_renew(p);
	}
}

/* Our own table is full: the kernel gives some and drops the rest. */
static void test_truncated_descriptors(void **state)
{
	const struct packet_header head = header(0, 3); /* as many as fit */
	const struct pair *p = leak_fixture(state);
	struct rlimit old, low;
	struct packet got;
	int top, r;

	send_raw(p->theirs, &head, sizeof(head), p->null, 8);
	top = fcntl(p->null, F_DUPFD_CLOEXEC, 0); /* the lowest that is free */
	assert_true(top >= 0);
	(void)close(top);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)top + 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	r = packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, -EBADMSG);
}

/* A service manager may hand us a socket that adds control data of its own. */
static void test_foreign_control_data(void **state)
{
	const struct pair *p = leak_fixture(state);
	const int one = 1;
	struct packet got;

	assert_int_equal(setsockopt(p->ours, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
	if (setsockopt(p->ours, SOL_SOCKET, PASS_PIDFD, &one, sizeof(one)) < 0)
		print_message("no SO_PASSPIDFD here\n");
	assert_int_equal(packet_send(p->theirs, DEADLINE_NONE, 3, "body", 4, &p->null, 1), 0);
	assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), 0);
	assert_int_equal(got.head.fd_count, 1);
	packet_done(&got);
}

static void test_packets_do_not_run_together(void **state)
{
	const struct pair *p = leak_fixture(state);
	struct packet got;

	for (uint16_t i = 1; i <= 5; i++)
		assert_int_equal(
			packet_send(p->theirs, DEADLINE_NONE, i, "xy", i % 3, &p->null, i % 2), 0);
	for (uint16_t i = 1; i <= 5; i++) {
		assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), 0);
		assert_int_equal(got.head.type, i);
		assert_int_equal(got.head.body_len, i % 3);
		assert_int_equal(got.head.fd_count, i % 2);
		packet_done(&got);
	}
}

static void test_largest_body_in_pieces(void **state)
{
	struct pair *p = leak_fixture(state);
	cleanup_free uint8_t *body = malloc(PACKET_BODY_MAX);
	struct packet got;
	int status;
	pid_t pid;

	assert_non_null(body);
	for (size_t i = 0; i < PACKET_BODY_MAX; i++)
		body[i] = (uint8_t)(i * 31 + (i >> 8));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(packet_send(p->theirs, DEADLINE_NONE, 2, body, PACKET_BODY_MAX, &p->null,
				  1) == 0
			      ? 0
			      : 1);
	close_fd(&p->theirs);
	assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), 0);
	assert_int_equal(got.head.body_len, PACKET_BODY_MAX);
	assert_int_equal(memcmp(got.body, body, PACKET_BODY_MAX), 0);
	assert_int_equal(got.head.fd_count, 1);
	packet_done(&got);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_send_errors(void **state)
{
	struct pair *p = leak_fixture(state);
	cleanup_free uint8_t *body = calloc(1, PACKET_BODY_MAX + 1);
	int fds[PACKET_FDS_MAX + 1] = { 0 };
	int bad = -1;

	assert_non_null(body);
	assert_int_equal(packet_send(p->theirs, -1, 1, body, PACKET_BODY_MAX + 1, NULL, 0),
			 -EMSGSIZE);
	assert_int_equal(packet_send(p->theirs, -1, 1, NULL, 0, fds, PACKET_FDS_MAX + 1),
			 -EMSGSIZE);
	assert_int_equal(packet_send(p->theirs, -1, 1, NULL, 0, &bad, 1), -EBADF);
	/* Nobody reads: the buffer fills, and there is no time left. */
	assert_int_equal(
		packet_send(p->theirs, deadline_after(1), 1, body, PACKET_BODY_MAX, NULL, 0),
		-ETIMEDOUT);
	close_fd(&p->ours); /* and no SIGPIPE ends this test */
	assert_int_equal(packet_send(p->theirs, -1, 1, NULL, 0, NULL, 0), -EPIPE);
}

static void test_reset_passes_on(void **state)
{
	struct pair *p = leak_fixture(state);
	struct packet got;

	send_raw(p->ours, "unread", 6, -1, 0);
	close_fd(&p->theirs);
	assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), -ECONNRESET);
}

static int alarm_fd = -1;

static void on_alarm(int number)
{
	const struct packet_header head = { PACKET_MAGIC, V, 4, 0, 0 };
	static unsigned count;

	(void)number;
	/* In pieces, each after an interruption. */
	if (count < sizeof(head) && write(alarm_fd, (const char *)&head + count++, 1) != 1)
		_exit(99);
}

static void test_signals_do_not_interrupt(void **state)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	const struct pair *p = leak_fixture(state);
	struct sigaction old;
	struct packet got;

	alarm_fd = p->theirs;
	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	assert_int_equal(packet_recv(p->ours, DEADLINE_NONE, NULL, NULL, &got), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
	assert_int_equal(got.head.type, 4);
	packet_done(&got);
}

int main(void)
{
	static struct leak_fixture pair = { pair_setup, pair_teardown };
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, leak_setup, leak_teardown, &pair)
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_refuses_malformed),
		TEST(test_other_version),
		TEST(test_check_comes_before_body),
		TEST(test_end_of_stream),
		TEST(test_slow_sender_meets_deadline),
		TEST(test_drip_does_not_extend_deadline),
		TEST(test_late_descriptors),
		TEST(test_truncated_descriptors),
		TEST(test_foreign_control_data),
		TEST(test_packets_do_not_run_together),
		TEST(test_largest_body_in_pieces),
		TEST(test_send_errors),
		TEST(test_reset_passes_on),
		TEST(test_signals_do_not_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
