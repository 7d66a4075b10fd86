/*
 * hostile - a client that need not keep to the protocol.
 *
 * The kernel records the peer's identity at connect(2), so a child drops to the
 * account, connects, and passes the socket back; the test then speaks for it.
 * The child stays, because a gateway may look at the process (its login uid);
 * hostile_orphan() makes the case where it is gone.
 *
 * Raw sends do not go through packet.h, whose checks they are to escape.
 */
#include "hostile.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define FDS_MAX	       253 /* SCM_MAX_FD */
#define LINGER_SECONDS 6

static socklen_t make_address(const char *text, struct sockaddr_un *ret)
{
	size_t len = strlen(text);

	assert_in_range(len, 1, sizeof(ret->sun_path) - 1);
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, text, len);
	if (text[0] != '@')
		return sizeof(*ret);
	ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* sendmsg(2) of everything, descriptors with the first byte.  Returns 0 or -errno. */
static int send_all(int sock, const void *data, size_t len, const int *fds, size_t fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec vector = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	assert(fd_count <= FDS_MAX);
	if (fd_count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);

		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
	}
	while (vector.iov_len > 0) {
		ssize_t sent = sendmsg(sock, &message, MSG_NOSIGNAL);

		if (sent < 0)
			return -errno;
		vector.iov_base = (char *)vector.iov_base + sent;
		vector.iov_len -= (size_t)sent;
		message.msg_control = NULL;
		message.msg_controllen = 0;
	}
	return 0;
}

/* In the child: connects as the account, passes the socket back, stays.  Exits with errno. */
__attribute__((noreturn)) static void child_connect(int control, const struct sockaddr_un *address,
						    socklen_t len, const struct passwd *entry,
						    const char *login_uid)
{
	char byte = 0;
	int sock;

	if (login_uid) {
		int fd = open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, login_uid, strlen(login_uid)) < 0)
			_exit(errno);
		(void)close(fd); /* the write has been checked */
	}
	if (entry && (initgroups(entry->pw_name, entry->pw_gid) < 0 ||
		      setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
		      setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0))
		_exit(errno);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (const struct sockaddr *)address, len) < 0)
		_exit(errno);
	if (send_all(control, &byte, 1, &sock, 1) < 0)
		_exit(errno);
	(void)close(sock);		/* the message holds it */
	(void)!read(control, &byte, 1); /* until hostile_orphan() closes the other end */
	_exit(0);
}

/* Receives the socket; returns -1 when the child has ended without sending it. */
static int receive_socket(int control)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} buffer = { 0 };
	char byte;
	struct iovec vector = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = buffer.bytes,
				  .msg_controllen = sizeof(buffer.bytes) };
	const struct cmsghdr *head;
	int sock;

	if (MUST(recvmsg(control, &message, MSG_CMSG_CLOEXEC)) == 0)
		return -1;
	head = CMSG_FIRSTHDR(&message);
	MUST_POINTER(head);
	memcpy(&sock, CMSG_DATA(head), sizeof(sock));
	return sock;
}

void hostile_connect(struct hostile *ret, const char *address, const char *account,
		     const char *login_uid)
{
	const struct passwd *entry = account ? getpwnam(account) : NULL;
	struct sockaddr_un where;
	socklen_t len = make_address(address, &where);
	int ends[2];
	int status;

	if (account)
		MUST_POINTER(entry);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	ret->pid = MUST_INT(fork());
	if (ret->pid == 0) {
		/* Nothing of the test's is kept open by it, its own control end included. */
		if (close_range(3, (unsigned)ends[1] - 1, 0) < 0 ||
		    close_range((unsigned)ends[1] + 1, ~0U, 0) < 0)
			_exit(errno);
		child_connect(ends[1], &where, len, entry, login_uid);
	}
	close_fd(&ends[1]);
	ret->control = ends[0];
	ret->sock = receive_socket(ends[0]);
	if (ret->sock >= 0)
		return;
	MUST(waitpid(ret->pid, &status, 0));
	close_fd(&ret->control);
	FAIL("cannot connect to %s: %s", address,
	     WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "killed");
}

void hostile_orphan(struct hostile *hostile)
{
	if (hostile->pid <= 0)
		return;
	close_fd(&hostile->control);
	/* A later hostile's child may hold our end, so closing need not wake it. */
	(void)kill(hostile->pid, SIGKILL); /* our child, not reaped: it is no other */
	MUST(waitpid(hostile->pid, NULL, 0));
	hostile->pid = 0;
}

void hostile_close(struct hostile *hostile)
{
	hostile_orphan(hostile);
	if (hostile->sock > 0)
		close_fd(&hostile->sock);
	*hostile = (struct hostile){ .sock = -1, .control = -1 };
}

int hostile_send_raw(const struct hostile *hostile, const void *data, size_t len)
{
	return send_all(hostile->sock, data, len, NULL, 0);
}

int hostile_send_raw_fds(const struct hostile *hostile, const void *data, size_t len,
			 const int *fds, size_t fd_count)
{
	return send_all(hostile->sock, data, len, fds, fd_count);
}

int hostile_send_header(const struct hostile *hostile, struct packet_header header)
{
	return send_all(hostile->sock, &header, sizeof(header), NULL, 0);
}

int hostile_send(const struct hostile *hostile, enum message_type type, const void *body,
		 size_t body_len, const int *fds, size_t fd_count)
{
	return packet_send(hostile->sock, deadline_after(HOSTILE_DEADLINE_MS), (uint16_t)type, body,
			   body_len, fds, fd_count);
}

void hostile_send_hello(const struct hostile *hostile, uint32_t flags)
{
	struct message_hello hello = { .flags = flags, .forward = MESSAGE_FORWARD_PROGRAM };

	assert_int_equal(hostile_send(hostile, MESSAGE_HELLO, &hello, sizeof(hello), NULL, 0), 0);
}

void hostile_send_fds(const struct hostile *hostile, const struct message_fd *numbers,
		      const int *fds, size_t count)
{
	assert_int_equal(
		hostile_send(hostile, MESSAGE_FDS, numbers, count * sizeof(*numbers), fds, count),
		0);
}

void hostile_send_request(const struct hostile *hostile, struct message_request fixed,
			  const char *const *argv, const char *const *envp, const int *fds,
			  size_t fd_count)
{
	cleanup_free uint8_t *body = NULL;
	size_t len;

	/* message_put_request() does not write to the strings. */
	assert_int_equal(message_put_request(fixed, (char *const *)(uintptr_t)argv,
					     (char *const *)(uintptr_t)envp, &body, &len),
			 0);
	assert_int_equal(hostile_send(hostile, MESSAGE_REQUEST, body, len, fds, fd_count), 0);
}

void hostile_send_end(const struct hostile *hostile)
{
	assert_int_equal(hostile_send(hostile, MESSAGE_END, NULL, 0, NULL, 0), 0);
}

void hostile_send_answer(const struct hostile *hostile, const char *text)
{
	uint8_t body[sizeof(struct message_answer) + 1024] = { 0 }; /* status 0: answered */
	size_t len = strlen(text);

	assert_in_range(len, 0, 1024);
	memcpy(body + sizeof(struct message_answer), text, len);
	assert_int_equal(hostile_send(hostile, MESSAGE_ANSWER, body,
				      sizeof(struct message_answer) + len, NULL, 0),
			 0);
}

static void send_burst(const struct hostile *hostile, const char *const *argv, int output,
		       uint32_t flags)
{
	static const char *const envp[] = { "PATH=/usr/bin:/bin", "TERM=dumb", NULL };
	static const struct message_fd numbers[] = { { 0, 0 }, { 1, 0 }, { 2, 0 } };
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	cleanup_fd int root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	int fds[] = { null, output < 0 ? null : output, output < 0 ? null : output };

	hostile_send_hello(hostile, flags);
	hostile_send_fds(hostile, numbers, fds, ARRAY_LEN(fds));
	hostile_send_request(hostile,
			     (struct message_request){ .flags = MESSAGE_REQUEST_CWD, .umask = 022 },
			     argv, envp, &root, 1);
	hostile_send_end(hostile);
}

void hostile_send_burst(const struct hostile *hostile, const char *const *argv, int output)
{
	send_burst(hostile, argv, output, 0);
}

void hostile_send_terminal_burst(const struct hostile *hostile, const char *const *argv)
{
	send_burst(hostile, argv, -1, MESSAGE_HELLO_TTY);
}

void hostile_expect(const struct hostile *hostile, enum message_type type, struct packet *ret)
{
	int64_t deadline = deadline_after(HOSTILE_DEADLINE_MS);

	for (;;) {
		int result = packet_recv(hostile->sock, deadline, NULL, NULL, ret);

		if (result != 0)
			FAIL("no %s from the gateway: %s", message_rules[type].name,
			     result > 0 ? "another version" : strerror(-result));
		if (ret->head.type == type)
			return;
		if (ret->head.type != MESSAGE_NOTE)
			FAIL("packet of type %u, not %u (%s): %s", ret->head.type, type,
			     message_rules[type].name,
			     ret->head.body_len > 4 ? (const char *)ret->body + 4 : "");
		packet_done(ret);
	}
}

void hostile_expect_refused(const struct hostile *hostile, uint32_t layer)
{
	struct message_refused refused;
	struct packet packet;
	const char *text;
	size_t len;

	hostile_expect(hostile, MESSAGE_REFUSED, &packet);
	assert_int_equal(message_get_refused(&packet, &refused, &text, &len), 0);
	if (layer != 0 && refused.layer != layer)
		FAIL("refused by layer %s, not %s: %s", message_layer_name(refused.layer),
		     message_layer_name(layer), text);
	packet_done(&packet);
	hostile_expect_closed(hostile);
}

void hostile_expect_closed(const struct hostile *hostile)
{
	int64_t deadline = deadline_after(HOSTILE_DEADLINE_MS);
	char buffer[4096];
	ssize_t len;

	do {
		if (deadline_poll(hostile->sock, POLLIN, deadline) < 0)
			FAIL("the gateway keeps the connection open");
		len = recv(hostile->sock, buffer, sizeof(buffer), 0);
	} while (len > 0);
	if (len < 0 && errno != ECONNRESET) /* closed with bytes unread: as good */
		MUST(len);
}

void hostile_linger_open(struct hostile_linger *ret)
{
	static const char block[65536];
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger linger = { .l_onoff = 1, .l_linger = LINGER_SECONDS };
	socklen_t len = sizeof(address);
	cleanup_fd int listener = MUST_INT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	MUST(bind(listener, (const struct sockaddr *)&address, len));
	MUST(listen(listener, 1));
	MUST(getsockname(listener, (struct sockaddr *)&address, &len));
	ret->sender = MUST_INT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(connect(ret->sender, (const struct sockaddr *)&address, sizeof(address)));
	ret->receiver = MUST_INT(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	MUST(setsockopt(ret->sender, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	/* Until both buffers have been full for a moment: the kernel enlarges them at first. */
	do {
		while (send(ret->sender, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
		assert_int_equal(errno, EAGAIN);
	} while (deadline_poll(ret->sender, POLLOUT, deadline_after(200)) == 0);
}

void hostile_linger_close(struct hostile_linger *linger)
{
	close_fd(&linger->receiver); /* first: the close of the other then has nothing to send */
	close_fd(&linger->sender);
}
