/*
 * Clients that do not keep to the protocol, and clients that mean harm.
 *
 * Each case is played by alice against one gateway.  What is promised: the bad
 * connection is refused or dropped, the next client is served at once, and
 * afterwards neither a process nor a descriptor of the listener is left.
 */
#include "hostile_scene.h"

#include <unistd.h>

#define NOISE_LEN (10 * 1024 * 1024)

/* --- what a bad client sends, after it has connected ------------------------ */

static void half_a_header(const struct hostile *client)
{
	struct packet_header head = { PACKET_MAGIC, PACKET_VERSION, MESSAGE_HELLO,
				      sizeof(struct message_hello), 0 };

	assert_int_equal(hostile_send_raw(client, &head, 7), 0);
}

static void half_a_body(const struct hostile *client)
{
	send_head(client, (struct packet_header){ PACKET_MAGIC, PACKET_VERSION, MESSAGE_HELLO,
						  sizeof(struct message_hello), 0 });
	assert_int_equal(hostile_send_raw(client, "12345", 5), 0);
}

static void nothing(const struct hostile *client)
{
	(void)client;
}

static void hello_only(const struct hostile *client)
{
	say_hello(client);
}

/* A long body is announced, and 100 bytes of it come. */
static void body_that_does_not_come(const struct hostile *client)
{
	static const uint8_t some[100];

	say_hello(client);
	send_head(client, (struct packet_header){ PACKET_MAGIC, PACKET_VERSION, MESSAGE_REQUEST,
						  MESSAGE_STRINGS_MAX, 0 });
	assert_int_equal(hostile_send_raw(client, some, sizeof(some)), 0);
}

static void wrong_magic(const struct hostile *client)
{
	send_head(client,
		  (struct packet_header){ 0x20544547, PACKET_VERSION, MESSAGE_HELLO, 12, 0 });
}

static void unknown_type(const struct hostile *client)
{
	send_head(client,
		  (struct packet_header){ PACKET_MAGIC, PACKET_VERSION, MESSAGE_TYPE_END, 0, 0 });
}

static void body_too_long(const struct hostile *client)
{
	say_hello(client);
	send_head(client, (struct packet_header){ PACKET_MAGIC, PACKET_VERSION, MESSAGE_REQUEST,
						  UINT32_MAX, 0 });
}

static void body_too_short(const struct hostile *client)
{
	send_head(client,
		  (struct packet_header){ PACKET_MAGIC, PACKET_VERSION, MESSAGE_HELLO, 4, 0 });
}

static void other_version_later(const struct hostile *client)
{
	say_hello(client);
	send_head(client, (struct packet_header){ PACKET_MAGIC, PACKET_VERSION + 1, MESSAGE_REQUEST,
						  12, 0 });
}

static void unknown_flag(const struct hostile *client)
{
	hostile_send_hello(client, 0x80000000U);
}

static void noise(const struct hostile *client)
{
	cleanup_free uint8_t *data = malloc(NOISE_LEN);
	uint32_t next = 1;

	MUST_POINTER(data);
	for (size_t i = 0; i < NOISE_LEN; i++) {
		next = next * 1664525U + 1013904223U; /* any will do, the same each time */
		data[i] = (uint8_t)(next >> 24);
	}
	(void)hostile_send_raw(client, data, NOISE_LEN); /* the gateway need not take it all */
}

static void noise_as_request(const struct hostile *client)
{
	say_hello(client);
	send_head(client, (struct packet_header){ PACKET_MAGIC, PACKET_VERSION, MESSAGE_REQUEST,
						  PACKET_BODY_MAX - 4096, 0 });
	noise(client);
}

static void end_without_request(const struct hostile *client)
{
	say_hello(client);
	hostile_send_end(client);
}

static void two_requests(const struct hostile *client)
{
	say_hello(client);
	send_request(client);
	send_request(client);
}

static void two_hellos(const struct hostile *client)
{
	say_hello(client);
	say_hello(client);
}

static void fds_with_hello(const struct hostile *client)
{
	struct message_hello hello = { 0 };

	(void)hostile_send(client, MESSAGE_HELLO, &hello, sizeof(hello), &null, 1);
}

static void fds_with_end(const struct hostile *client)
{
	say_hello(client);
	send_request(client);
	(void)hostile_send(client, MESSAGE_END, NULL, 0, &null, 1);
}

/* Counted in the header as none. */
static void fds_uncounted(const struct hostile *client)
{
	struct {
		struct packet_header head;
		struct message_hello hello;
	} packet = { .head = { PACKET_MAGIC, PACKET_VERSION, MESSAGE_HELLO, 12, 0 } };

	(void)hostile_send_raw_fds(client, &packet, sizeof(packet), &null, 1);
}

/* Counted, and not there. */
static void fds_missing(const struct hostile *client)
{
	struct message_fd fd = { 5, 0 };

	say_hello(client);
	send_head(client, (struct packet_header){ PACKET_MAGIC, PACKET_VERSION, MESSAGE_FDS,
						  sizeof(fd), 1 });
	(void)hostile_send_raw(client, &fd, sizeof(fd));
}

static void send_numbers(const struct hostile *client, const struct message_fd *numbers,
			 size_t count)
{
	int fds[PACKET_FDS_MAX];

	assert_in_range(count, 1, PACKET_FDS_MAX);
	for (size_t i = 0; i < count; i++)
		fds[i] = null;
	hostile_send_fds(client, numbers, fds, count);
}

static void fds_twice_one_number(const struct hostile *client)
{
	say_hello(client);
	send_numbers(client, standard, ARRAY_LEN(standard));
	send_numbers(client, &standard[1], 1);
	send_request(client);
	hostile_send_end(client);
}

static void fd_number_too_high(const struct hostile *client)
{
	say_hello(client);
	send_numbers(client, &(struct message_fd){ MESSAGE_FD_LIMIT, 0 }, 1);
}

static void fds_two_to_wait_for(const struct hostile *client)
{
	say_hello(client);
	send_numbers(client, (const struct message_fd[]){ { 5, 1 }, { 6, 1 } }, 2);
}

static void send_many(const struct hostile *client, uint32_t total)
{
	struct message_fd numbers[PACKET_FDS_MAX];

	say_hello(client);
	for (uint32_t sent = 0; sent < total;) {
		uint32_t count = total - sent < PACKET_FDS_MAX ? total - sent : PACKET_FDS_MAX;

		for (uint32_t i = 0; i < count; i++)
			numbers[i] = (struct message_fd){ 10 + sent + i, 0 };
		send_numbers(client, numbers, count);
		sent += count;
	}
}

static void fds_too_many(const struct hostile *client)
{
	send_many(client, MESSAGE_FDS_MAX + 1);
	send_request(client);
	hostile_send_end(client);
}

/* Refused without waiting for what else there might be. */
static void fds_without_end(const struct hostile *client)
{
	send_many(client, MESSAGE_FDS_MAX + 2);
}

/* A body within the limit of a packet, with one string that is over its own. */
static void word_too_long(const struct hostile *client)
{
	size_t len = sizeof(struct message_request) + MESSAGE_STRING_MAX + 1;
	cleanup_free uint8_t *body = calloc(1, len);
	struct message_request fixed = { .argc = 1 };

	MUST_POINTER(body);
	say_hello(client);
	memcpy(body, &fixed, sizeof(fixed));
	memset(body + sizeof(fixed), 'x', MESSAGE_STRING_MAX);
	(void)hostile_send(client, MESSAGE_REQUEST, body, len, NULL, 0);
}

static void too_many_words(const struct hostile *client)
{
	size_t len = sizeof(struct message_request) + MESSAGE_WORDS_MAX + 1;
	cleanup_free uint8_t *body = calloc(1, len);
	struct message_request fixed = { .argc = MESSAGE_WORDS_MAX + 1 };

	MUST_POINTER(body);
	say_hello(client);
	memcpy(body, &fixed, sizeof(fixed));
	(void)hostile_send(client, MESSAGE_REQUEST, body, len, NULL, 0);
}

static void too_few_words(const struct hostile *client)
{
	struct message_request fixed = { .argc = UINT32_MAX, .envc = 2 };

	say_hello(client);
	(void)hostile_send(client, MESSAGE_REQUEST, &fixed, sizeof(fixed), NULL, 0);
}

static const struct {
	const char *name;
	void (*send)(const struct hostile *client);
} malformed[] = {
	{ "wrong magic", wrong_magic },
	{ "unknown type", unknown_type },
	{ "body too long", body_too_long },
	{ "body too short", body_too_short },
	{ "other version in the middle", other_version_later },
	{ "unknown flag", unknown_flag },
	{ "10 MB of noise", noise },
	{ "noise as a request", noise_as_request },
	{ "END without REQUEST", end_without_request },
	{ "two REQUESTs", two_requests },
	{ "two HELLOs", two_hellos },
	{ "descriptors with HELLO", fds_with_hello },
	{ "descriptors with END", fds_with_end },
	{ "descriptors not counted", fds_uncounted },
	{ "descriptors counted and missing", fds_missing },
	{ "two descriptors of one number", fds_twice_one_number },
	{ "descriptor number 65536", fd_number_too_high },
	{ "two descriptors to wait for", fds_two_to_wait_for },
	{ "1025 descriptors", fds_too_many },
	{ "1026 descriptors, and no end", fds_without_end },
	{ "a word too long", word_too_long },
	{ "too many words", too_many_words },
	{ "more words than bytes", too_few_words },
};

/* Those that end by the request's time limit only. */
static void (*const incomplete[])(const struct hostile *client) = {
	nothing, half_a_header, half_a_body, hello_only, body_that_does_not_come,
};

static void test_malformed_requests(void **state)
{
	struct scene scene;

	(void)state;
	open_scene(&scene, RUN_WORDS("--request-timeout", "60"));
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
		struct hostile client;

		print_message("case: %s\n", malformed[i].name);
		hostile_connect(&client, scene.gateway.address, "alice", NULL);
		malformed[i].send(&client);
		hostile_expect_refused(&client, MESSAGE_LAYER_REQUEST);
		hostile_close(&client);
		expect_served(&scene, "bob");
		family_await(FAMILY_SESSION, 0);
		family_expect_fds(scene.gateway.pid, &scene.before);
	}
	close_scene(&scene);
}

static void test_incomplete_requests(void **state)
{
	struct hostile clients[ARRAY_LEN(incomplete)];
	struct scene scene;

	(void)state;
	open_scene(&scene, RUN_WORDS("--request-timeout", "1"));
	for (size_t i = 0; i < ARRAY_LEN(incomplete); i++) {
		hostile_connect(&clients[i], scene.gateway.address, "alice", NULL);
		incomplete[i](&clients[i]);
	}
	expect_served(&scene, "bob"); /* while they are waited for */
	expect_served(&scene, "alice");
	for (size_t i = 0; i < ARRAY_LEN(incomplete); i++) {
		print_message("case: %zu\n", i);
		hostile_expect_refused(&clients[i], MESSAGE_LAYER_REQUEST);
		hostile_close(&clients[i]);
	}
	expect_served(&scene, "alice");
	close_scene(&scene);
}

/* A client of another version learns ours, whatever else its packet holds. */
static void test_other_versions(void **state)
{
	static const uint16_t versions[] = { 0, PACKET_VERSION + 1, UINT16_MAX };
	struct scene scene;

	(void)state;
	open_scene(&scene, RUN_WORDS(NULL));
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct hostile client;
		struct packet packet;

		print_message("case: version %u\n", versions[i]);
		hostile_connect(&client, scene.gateway.address, "alice", NULL);
		send_head(&client, (struct packet_header){ PACKET_MAGIC, versions[i], MESSAGE_HELLO,
							   UINT32_MAX, UINT32_MAX });
		hostile_expect(&client, MESSAGE_HELLO, &packet);
		assert_int_equal(packet.head.version, PACKET_VERSION);
		packet_done(&packet);
		hostile_expect_closed(&client);
		hostile_close(&client);
		expect_served(&scene, "bob");
	}
	close_scene(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_malformed_requests),
		TEST(test_incomplete_requests),
		TEST(test_other_versions),
	};

	return cmocka_run_group_tests(tests, scene_group_setup, scene_group_teardown);
}
