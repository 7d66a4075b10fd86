/*
 * fake - the kernel notes who listens at listen(2), by effective ids; so these
 * are changed for that one call, and the socket is made and served as root.
 */
#include "fake.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_MS 10000
#define ANSWER_MS 20000

void fake_listen(struct fake *ret, uid_t uid)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	static unsigned serial;

	*ret = (struct fake){ .conn = -1 };
	(void)snprintf(ret->address, sizeof(ret->address), "%s/fake%u-%d.sock", sandbox_dir(),
		       ++serial, (int)getpid()); /* fits */
	strcpy(name.sun_path, ret->address);
	ret->listener = MUST_INT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(bind(ret->listener, (const struct sockaddr *)&name, sizeof(name)));
	MUST(chmod(ret->address, 0666));
	MUST(seteuid(uid));
	MUST(listen(ret->listener, 8));
	MUST(seteuid(0));
}

static void accept_client(struct fake *fake)
{
	if (deadline_poll(fake->listener, POLLIN, deadline_after(CLIENT_MS)) < 0)
		FAIL("no client has come");
	fake->conn = MUST_INT(accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC));
}

void fake_accept(struct fake *fake)
{
	int64_t deadline = deadline_after(CLIENT_MS);
	uint16_t type = 0;

	accept_client(fake);
	while (type != MESSAGE_END) {
		struct packet packet;

		assert_int_equal(packet_recv(fake->conn, deadline, NULL, NULL, &packet), 0);
		type = packet.head.type;
		packet_done(&packet);
	}
}

size_t fake_count_bytes(struct fake *fake)
{
	int64_t deadline = deadline_after(CLIENT_MS);
	size_t count = 0;
	char bytes[4096];
	ssize_t got;

	accept_client(fake);
	do {
		if (deadline_poll(fake->conn, POLLIN, deadline) < 0)
			FAIL("the client has not gone");
		got = MUST(read(fake->conn, bytes, sizeof(bytes)));
		count += (size_t)got;
	} while (got > 0);
	return count;
}

void fake_send_raw(const struct fake *fake, const void *data, size_t len)
{
	(void)send(fake->conn, data, len, MSG_NOSIGNAL); /* dive may have gone, on purpose */
}

void fake_send(const struct fake *fake, enum message_type type, const void *fixed, size_t len,
	       const char *text)
{
	size_t text_len = text ? strlen(text) : 0;
	char body[16384];

	assert_in_range(len + text_len, 0, sizeof(body));
	if (len > 0)
		memcpy(body, fixed, len);
	if (text_len > 0)
		memcpy(body + len, text, text_len);
	(void)packet_send(fake->conn, deadline_after(CLIENT_MS), (uint16_t)type, body,
			  len + text_len, NULL, 0); /* as above */
}

const char *fake_expect_answer(const struct fake *fake)
{
	static char text[MESSAGE_ANSWER_MAX + 1];
	struct message_answer answer;
	struct packet packet;
	const char *given;
	size_t len;

	assert_int_equal(packet_recv(fake->conn, deadline_after(ANSWER_MS), NULL, NULL, &packet),
			 0);
	assert_int_equal(packet.head.type, MESSAGE_ANSWER);
	assert_int_equal(message_get_answer(&packet, &answer, &given, &len), 0);
	(void)snprintf(text, sizeof(text), "%.*s", (int)len, given);
	packet_done(&packet);
	return answer.status == MESSAGE_ANSWERED ? text : NULL;
}

void fake_hang_up(struct fake *fake)
{
	close_fd(&fake->conn);
}

void fake_close(struct fake *fake)
{
	if (fake->address[0] == '\0')
		return;
	close_fd(&fake->conn);
	close_fd(&fake->listener);
	(void)unlink(fake->address); /* the sandbox goes away with it */
	*fake = (struct fake){ .listener = -1, .conn = -1 };
}
