/* Messages between session and listener: whole, with their descriptor, or refused. */
#include "cleanup.h"
#include "control.h"
#include "leak.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

struct pair {
	int session;
	int listener;
};

static struct pair open_pair(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	return (struct pair){ ends[0], ends[1] };
}

static void close_pair(struct pair *pair)
{
	close_fd(&pair->session);
	close_fd(&pair->listener);
}

static void test_message_arrives(void **state)
{
	struct control sent = { .type = CONTROL_FACTS, .value = 7, .login_uid = 2001 };
	struct pair pair = open_pair();
	struct control received;
	int fd = 99;

	(void)state;
	memset(sent.id, 'i', sizeof(sent.id) - 1);
	memset(sent.account, 'a', sizeof(sent.account) - 1);
	assert_int_equal(control_recv(pair.listener, &received, &fd), -EAGAIN);
	assert_int_equal(fd, 99); /* written on success only */
	assert_int_equal(control_send(pair.session, &sent, -1), 0);
	assert_int_equal(control_tell(pair.session, CONTROL_LIMIT, 30), 0);
	assert_int_equal(control_recv(pair.listener, &received, &fd), 0);
	assert_memory_equal(&received, &sent, sizeof(sent));
	assert_int_equal(fd, -1);
	assert_int_equal(control_recv(pair.listener, &received, NULL), 0);
	assert_int_equal(received.type, CONTROL_LIMIT);
	assert_int_equal(received.value, 30);
	close_pair(&pair);
}

static void test_descriptor_arrives(void **state)
{
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct control hello = { .type = CONTROL_HELLO };
	struct pair pair = open_pair();
	struct stat ours, theirs;
	int fd = -1;

	(void)state;
	assert_int_equal(control_send(pair.session, &hello, null), 0);
	assert_int_equal(control_recv(pair.listener, &hello, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(null, &ours), 0);
	assert_int_equal(fstat(fd, &theirs), 0);
	assert_int_equal(ours.st_rdev, theirs.st_rdev);
	close_fd(&fd);
	/* One that nobody wants is closed; the fixture counts. */
	assert_int_equal(control_send(pair.session, &hello, null), 0);
	assert_int_equal(control_recv(pair.listener, &hello, NULL), 0);
	close_pair(&pair);
}

/* Sends `len` bytes with `count` descriptors, as a session gone wrong might. */
static void send_odd(int sock, size_t len, const int *fds, size_t count)
{
	static const char bytes[2 * sizeof(struct control)];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} ancillary = { 0 };
	struct iovec part = { (void *)(uintptr_t)bytes, len };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

	assert_true(count <= 8 && len <= sizeof(bytes));
	if (count > 0) {
		head.msg_control = ancillary.bytes;
		head.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *item = CMSG_FIRSTHDR(&head);
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(item), fds, count * sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &head, 0), len);
}

static void test_odd_messages_are_refused(void **state)
{
	static const struct {
		size_t len;
		size_t count;
	} cases[] = {
		{ 1, 0 },
		{ sizeof(struct control) - 1, 0 },
		{ sizeof(struct control) + 1, 0 },
		{ sizeof(struct control) + 1, 1 },
		{ sizeof(struct control), 2 }, /* fits a buffer for one, by its padding */
		{ sizeof(struct control), 8 },
	};
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = null;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair pair = open_pair();
		struct control message = { .type = 99 };
		int fd = -1;
		int r;

		send_odd(pair.session, cases[i].len, fds, cases[i].count);
		r = control_recv(pair.listener, &message, &fd);
		if (r == 0) { /* of several descriptors the first is taken, the others are closed */
			assert_int_equal(cases[i].len, sizeof(message));
			assert_true(fd >= 0);
			close_fd(&fd);
		} else {
			assert_int_equal(r, -EBADMSG);
			assert_int_equal(message.type, 99);
		}
		close_pair(&pair);
	}
}

/* Texts end within their arrays, whatever came. */
static void test_texts_are_terminated(void **state)
{
	struct pair pair = open_pair();
	struct control message;

	(void)state;
	memset(&message, 'x', sizeof(message));
	assert_int_equal(control_send(pair.session, &message, -1), 0);
	assert_int_equal(control_recv(pair.listener, &message, NULL), 0);
	assert_int_equal(strlen(message.id), sizeof(message.id) - 1);
	assert_int_equal(strlen(message.account), sizeof(message.account) - 1);
	close_pair(&pair);
}

static void test_the_other_side_has_gone(void **state)
{
	struct control message = { .type = CONTROL_DONE };
	struct pair pair = open_pair();

	(void)state;
	assert_int_equal(control_send(pair.session, &message, -1), 0);
	close_fd(&pair.session);
	/* What it said before it went is still heard. */
	assert_int_equal(control_recv(pair.listener, &message, NULL), 0);
	assert_int_equal(control_recv(pair.listener, &message, NULL), -EPIPE);
	assert_int_equal(control_tell(pair.listener, CONTROL_GO, 0), -EPIPE); /* and no SIGPIPE */
	close_pair(&pair);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_message_arrives),	     TEST(test_descriptor_arrives),
		TEST(test_odd_messages_are_refused), TEST(test_texts_are_terminated),
		TEST(test_the_other_side_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
