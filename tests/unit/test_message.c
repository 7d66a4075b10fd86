/*
 * message: who may say what, when; and that every field is judged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "deadline.h"
#include "leak.h"
#include "message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST sizeof(struct message_request)

enum { S = 1, R = 2, P = 4, A = 8, X = 16 }; /* start, request, pending, asked, running */
enum { C = MESSAGE_FROM_CLIENT, D = MESSAGE_FROM_SERVER };

/* What the header comment of message.h promises, independent of message_rules[]. */
static const struct {
	uint32_t from, states, body, fds;
} promised[MESSAGE_TYPE_END] = {
	[MESSAGE_HELLO] = { C | D, S, 12, 0 },
	[MESSAGE_FDS] = { C, R, 8, 1 },
	[MESSAGE_REQUEST] = { C, R, 72, 0 },
	[MESSAGE_END] = { C, R, 0, 0 },
	[MESSAGE_ANSWER] = { C, A, 4, 0 },
	[MESSAGE_SIGNAL] = { C, P | A | X, 4, 0 },
	[MESSAGE_CONTINUE] = { C, P | A | X, 4, 0 },
	[MESSAGE_PROMPT] = { D, P | A, 4, 0 },
	[MESSAGE_NOTE] = { D, P | A, 4, 0 },
	[MESSAGE_STARTED] = { D, P, 8, 0 },
	[MESSAGE_STOPPED] = { D, X, 4, 0 },
	[MESSAGE_EXITED] = { D, X, 8, 0 },
	[MESSAGE_REFUSED] = { D, S | R | P | A | X, 8, 0 },
};

struct pair {
	int ours, theirs;
};

static int pair_setup(void **state)
{
	static struct pair pair;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	pair = (struct pair){ fds[0], fds[1] };
	*state = &pair;
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *pair = *state;

	close_fd(&pair->ours);
	close_fd(&pair->theirs);
	return 0;
}

/* Sends a packet on a fresh connection and returns message_recv()'s verdict. */
static int verdict(uint32_t from, uint32_t state, uint16_t type, size_t body_len, size_t fd_count)
{
	static const uint8_t body[16384];
	const int fds[4] = { 0, 0, 0, 0 };
	struct packet got;
	void *own = NULL;
	struct pair *p;
	int r;

	assert_int_equal(pair_setup(&own), 0);
	p = own;
	assert_int_equal(packet_send(p->theirs, -1, type, body, body_len, fds, fd_count), 0);
	r = message_recv(p->ours, -1, (struct message_expect){ (enum message_side)from, state },
			 &got);
	if (r == 0)
		packet_done(&got);
	(void)pair_teardown(&own); /* cannot fail */
	return r;
}

static void test_type_side_and_state(void **unused)
{
	(void)unused;
	for (uint16_t type = 0; type < MESSAGE_TYPE_END + 2; type++)
		for (uint32_t from = C; from <= D; from++)
			for (uint32_t state = S; state <= X; state *= 2) {
				bool known = type > 0 && type < MESSAGE_TYPE_END;
				bool allowed = known && promised[type].from & from &&
					       promised[type].states & state;
				size_t body = known ? promised[type].body : 0;
				size_t fds = known ? promised[type].fds : 0;

				if (verdict(from, state, type, body, fds) !=
				    (allowed ? 0 : -EBADMSG))
					fail_msg("type %u from %u in state %u", type, from, state);
			}
	assert_int_equal(verdict(C, S, UINT16_MAX, 0, 0), -EBADMSG);
}

static void test_sizes_and_counts(void **unused)
{
	static const struct {
		const char *what;
		uint32_t from, state;
		uint16_t type;
		size_t body, fds;
		int r;
	} cases[] = {
		{ "long hello", C, S, MESSAGE_HELLO, 13, 0, -EBADMSG },
		{ "hello with fd", C, S, MESSAGE_HELLO, 12, 1, -EBADMSG },
		{ "fds without any", C, R, MESSAGE_FDS, 8, 0, -EBADMSG },
		{ "fds, more entries than fds", C, R, MESSAGE_FDS, 16, 1, -EBADMSG },
		{ "fds, fewer entries than fds", C, R, MESSAGE_FDS, 8, 2, -EBADMSG },
		{ "fds, two", C, R, MESSAGE_FDS, 16, 2, 0 },
		{ "short request", C, R, MESSAGE_REQUEST, REQUEST - 1, 0, -EBADMSG },
		{ "request with three fds", C, R, MESSAGE_REQUEST, REQUEST, 3, 0 },
		{ "request with four fds", C, R, MESSAGE_REQUEST, REQUEST, 4, -EBADMSG },
		{ "end with a body", C, R, MESSAGE_END, 1, 0, -EBADMSG },
		{ "longest answer", C, A, MESSAGE_ANSWER, 4 + 511, 0, 0 },
		{ "answer too long", C, A, MESSAGE_ANSWER, 4 + 512, 0, -EBADMSG },
		{ "longest prompt", D, P, MESSAGE_PROMPT, 4 + 8192, 0, 0 },
		{ "prompt too long", D, P, MESSAGE_PROMPT, 4 + 8193, 0, -EBADMSG },
		{ "started with a terminal", D, P, MESSAGE_STARTED, 8, 1, 0 },
		{ "started with two", D, P, MESSAGE_STARTED, 8, 2, -EBADMSG },
		{ "refused with fd", D, P, MESSAGE_REFUSED, 8, 1, -EBADMSG },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		assert_int_equal(verdict(cases[i].from, cases[i].state, cases[i].type,
					 cases[i].body, cases[i].fds),
				 cases[i].r);
	}
}

/* Decodes a body of 32-bit words and a text. */
static int decode(uint16_t type, const uint32_t *words, size_t count, const char *text,
		  size_t text_len, size_t fd_count)
{
	uint8_t body[256] = { 0 };
	const struct packet p = {
		.head = { PACKET_MAGIC, PACKET_VERSION, type, (uint32_t)(count * 4 + text_len),
			  (uint32_t)fd_count },
		.body = body,
	};
	union {
		struct message_hello hello;
		struct message_answer answer;
		struct message_signal signal;
		struct message_continue cont;
		struct message_prompt prompt;
		struct message_note note;
		struct message_started started;
		struct message_stopped stopped;
		struct message_exited exited;
		struct message_refused refused;
		struct message_fd fd;
	} u;
	const char *got = NULL;
	size_t len = SIZE_MAX;
	int r = -ENOSYS;

	memcpy(body, words, count * 4);
	memcpy(body + count * 4, text, text_len);
	switch (type) {
	case MESSAGE_HELLO:
		return message_get_hello(&p, &u.hello);
	case MESSAGE_SIGNAL:
		return message_get_signal(&p, &u.signal);
	case MESSAGE_CONTINUE:
		return message_get_continue(&p, &u.cont);
	case MESSAGE_STARTED:
		return message_get_started(&p, &u.started);
	case MESSAGE_STOPPED:
		return message_get_stopped(&p, &u.stopped);
	case MESSAGE_EXITED:
		return message_get_exited(&p, &u.exited);
	case MESSAGE_FDS:
		return message_get_fd(&p, fd_count - 1, &u.fd);
	case MESSAGE_ANSWER:
		r = message_get_answer(&p, &u.answer, &got, &len);
		break;
	case MESSAGE_PROMPT:
		r = message_get_prompt(&p, &u.prompt, &got, &len);
		break;
	case MESSAGE_NOTE:
		r = message_get_note(&p, &u.note, &got, &len);
		break;
	case MESSAGE_REFUSED:
		r = message_get_refused(&p, &u.refused, &got, &len);
		break;
	}
	if (r == 0) {
		assert_int_equal(len, text_len);
		assert_string_equal(got, text);
	}
	return r;
}

static void test_fields(void **unused)
{
	static const struct {
		uint16_t type;
		size_t words, fds;
		uint32_t bad[3];
		uint32_t good[3];
	} cases[] = {
		{ MESSAGE_HELLO, 3, 0, { 8, 0, 0 }, { 7, 2, 2 } },
		{ MESSAGE_HELLO, 3, 0, { 0, 3, 0 }, { 0, 1, 0 } },
		{ MESSAGE_HELLO, 3, 0, { 0, 0, 3 }, { 0, 0, 1 } },
		{ MESSAGE_ANSWER, 1, 0, { 2 }, { 1 } },
		{ MESSAGE_SIGNAL, 1, 0, { 0 }, { 1 } },
		{ MESSAGE_SIGNAL, 1, 0, { 65 }, { 64 } },
		{ MESSAGE_CONTINUE, 1, 0, { 2 }, { 1 } },
		{ MESSAGE_PROMPT, 1, 0, { 0 }, { 1 } },
		{ MESSAGE_PROMPT, 1, 0, { 3 }, { 2 } },
		{ MESSAGE_NOTE, 1, 0, { 0 }, { 1 } },
		{ MESSAGE_NOTE, 1, 0, { 4 }, { 3 } },
		{ MESSAGE_STARTED, 2, 0, { 1, 4 }, { 1, 1 } },
		{ MESSAGE_STARTED, 2, 0, { 1, 2 }, { 1, 0 } },
		{ MESSAGE_STARTED, 2, 1, { 1, 0 }, { 1, 2 } },
		{ MESSAGE_STARTED, 2, 0, { 0x80000000, 0 }, { 0x7fffffff, 0 } },
		{ MESSAGE_STOPPED, 1, 0, { 0 }, { 19 } },
		{ MESSAGE_STOPPED, 1, 0, { 65 }, { 64 } },
		{ MESSAGE_EXITED, 2, 0, { 0, 256 }, { 0, 255 } },
		{ MESSAGE_EXITED, 2, 0, { 1, 0 }, { 1, 1 } },
		{ MESSAGE_EXITED, 2, 0, { 1, 65 }, { 1, 64 } },
		{ MESSAGE_EXITED, 2, 0, { 2, 1 }, { 0, 0 } },
		{ MESSAGE_REFUSED, 2, 0, { 0, 77 }, { 1, 77 } },
		{ MESSAGE_REFUSED, 2, 0, { MESSAGE_LAYER_END, 77 }, { 8, 127 } },
		{ MESSAGE_REFUSED, 2, 0, { 1, 0 }, { 1, 126 } },
		{ MESSAGE_FDS, 2, 1, { 65536, 0 }, { 65535, 0 } },
		{ MESSAGE_FDS, 2, 1, { 0, 4 }, { 0, 3 } },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %zu, %s\n", i, message_rules[cases[i].type].name);
		assert_int_equal(
			decode(cases[i].type, cases[i].bad, cases[i].words, "", 0, cases[i].fds),
			-EBADMSG);
		assert_int_equal(
			decode(cases[i].type, cases[i].good, cases[i].words, "", 0, cases[i].fds),
			0);
		/* A decoder does not rely on message_recv() having looked. */
		assert_int_equal(decode(cases[i].type, cases[i].good, cases[i].words - 1, "", 0,
					cases[i].fds),
				 -EBADMSG);
	}
}

static void test_texts(void **unused)
{
	static const uint16_t types[] = { MESSAGE_ANSWER, MESSAGE_PROMPT, MESSAGE_NOTE,
					  MESSAGE_REFUSED };
	const uint32_t first[] = { 0, 1, 1, 1 };

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const uint32_t words[] = { first[i], 77 };
		size_t count = types[i] == MESSAGE_REFUSED ? 2 : 1;

		print_message("case: %s\n", message_rules[types[i]].name);
		assert_int_equal(decode(types[i], words, count, "text", 4, 0), 0);
		assert_int_equal(decode(types[i], words, count, "te\0t", 4, 0), -EBADMSG);
		assert_int_equal(decode(types[i], words, count, "text", 5, 0), -EBADMSG);
	}
	assert_int_equal(
		decode(MESSAGE_ANSWER, &(uint32_t){ MESSAGE_ANSWER_CANCELLED }, 1, "x", 1, 0),
		-EBADMSG);
}

static void test_fd_index(void **unused)
{
	struct message_fd entries[2] = { { 5, 0 }, { 6, 1 } }, got;
	struct packet p = { .head = { PACKET_MAGIC, 1, MESSAGE_FDS, sizeof(entries), 2 },
			    .body = (uint8_t *)entries };

	(void)unused;
	assert_int_equal(message_get_fd(&p, 1, &got), 0);
	assert_int_equal(got.number, 6);
	assert_int_equal(got.flags, 1);
	assert_int_equal(message_get_fd(&p, 2, &got), -EBADMSG);
	p.head.type = MESSAGE_REQUEST;
	assert_int_equal(message_get_fd(&p, 1, &got), -EBADMSG);
}

static int decode_request(const struct message_request *fixed, const char *strings, size_t len,
			  size_t fd_count, struct message_request *ret, char ***ret_strings)
{
	static uint8_t body[sizeof(*fixed) + 2 * MESSAGE_STRING_MAX];
	const struct packet p = {
		.head = { PACKET_MAGIC, 1, MESSAGE_REQUEST, (uint32_t)(sizeof(*fixed) + len),
			  (uint32_t)fd_count },
		.body = body,
	};

	memcpy(body, fixed, sizeof(*fixed));
	memcpy(body + sizeof(*fixed), strings, len);
	return message_get_request(&p, ret, ret_strings);
}

static void test_request_fields(void **unused)
{
	static const struct {
		const char *what;
		struct message_request fixed;
		const char *strings;
		size_t len, fds;
		int r;
	} cases[] = {
		{ "nothing", { 0 }, "", 0, 0, 0 },
		{ "all flags", { .flags = 63, .umask = 0777, .ignored = 7 }, "", 0, 3, 0 },
		{ "login needs no fd", { .flags = 1 }, "", 0, 0, 0 },
		{ "login with fd", { .flags = 1 }, "", 0, 1, -EBADMSG },
		{ "cwd without fd", { .flags = 2 }, "", 0, 0, -EBADMSG },
		{ "modes and foreground need no fd", { .flags = 16 | 32 }, "", 0, 0, 0 },
		{ "unknown flag", { .flags = 64 }, "", 0, 0, -EBADMSG },
		{ "umask", { .umask = 01000 }, "", 0, 0, -EBADMSG },
		{ "unknown signal", { .ignored = 8 }, "", 0, 0, -EBADMSG },
		{ "two words", { .argc = 1, .envc = 1 }, "a\0b", 4, 0, 0 },
		{ "no NUL at the end", { .argc = 1, .envc = 1 }, "a\0b", 3, 0, -EBADMSG },
		{ "a word missing", { .argc = 2, .envc = 1 }, "a\0b", 4, 0, -EBADMSG },
		{ "a word left over", { .argc = 1 }, "a\0b", 4, 0, -EBADMSG },
		{ "a byte left over", { .argc = 1 }, "a\0", 3, 0, -EBADMSG },
		{ "sum wraps", { .argc = UINT32_MAX, .envc = 3 }, "a\0b", 4, 0, -EBADMSG },
		{ "huge", { .argc = UINT32_MAX, .envc = UINT32_MAX }, "", 0, 0, -EBADMSG },
		{ "over the words", { .argc = MESSAGE_WORDS_MAX + 1 }, "", 0, 0, -EBADMSG },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char **strings = NULL;
		struct message_request got;

		print_message("case: %s\n", cases[i].what);
		assert_int_equal(decode_request(&cases[i].fixed, cases[i].strings, cases[i].len,
						cases[i].fds, &got, &strings),
				 cases[i].r);
		assert_true((cases[i].r == 0) == (strings != NULL));
	}
}

static void test_request_string_length(void **unused)
{
	const struct message_request fixed = { .argc = 1 };
	static char text[MESSAGE_STRING_MAX + 1];
	struct message_request got;
	char **strings = NULL;

	(void)unused;
	memset(text, 'x', MESSAGE_STRING_MAX - 1);
	assert_int_equal(decode_request(&fixed, text, MESSAGE_STRING_MAX, 0, &got, &strings), 0);
	free(strings);
	text[MESSAGE_STRING_MAX - 1] = 'x';
	assert_int_equal(decode_request(&fixed, text, MESSAGE_STRING_MAX + 1, 0, &got, &strings),
			 -EBADMSG);
}

static void test_request_round_trip(void **unused)
{
	char one[] = "ls", two[] = "", three[] = "A=b";
	char *argv[] = { one, two, NULL }, *envp[] = { three, NULL };
	const struct message_request fixed = { .umask = 022,
					       .terminal = { .rows = 24, .columns = 80 } };
	cleanup_free char **strings = NULL;
	cleanup_free uint8_t *body = NULL;
	struct message_request got;
	size_t len;

	(void)unused;
	assert_int_equal(message_put_request(fixed, argv, envp, &body, &len), 0);
	assert_int_equal(len, sizeof(fixed) + 3 + 1 + 4);
	const struct packet p = { .head = { PACKET_MAGIC, 1, MESSAGE_REQUEST, (uint32_t)len, 0 },
				  .body = body };
	assert_int_equal(message_get_request(&p, &got, &strings), 0);
	assert_int_equal(got.argc, 2);
	assert_int_equal(got.envc, 1);
	assert_int_equal(got.umask, 022);
	assert_int_equal(got.terminal.columns, 80);
	assert_string_equal(strings[0], "ls");
	assert_string_equal(strings[1], "");
	assert_null(strings[2]);
	assert_string_equal(strings[3], "A=b");
	assert_null(strings[4]);
}

static void test_request_too_big(void **unused)
{
	const size_t most = MESSAGE_STRINGS_MAX / MESSAGE_STRING_MAX;
	cleanup_free char *text = malloc(MESSAGE_STRING_MAX + 1);
	cleanup_free char **words = calloc(MESSAGE_WORDS_MAX + 2, sizeof(*words));
	const struct message_request fixed = { 0 };
	char empty[] = "", *single[] = { text, NULL };
	uint8_t *body = NULL;
	size_t len;

	(void)unused;
	memset(text, 'x', MESSAGE_STRING_MAX);
	text[MESSAGE_STRING_MAX] = '\0';
	assert_int_equal(message_put_request(fixed, single, NULL, &body, &len), -E2BIG);
	text[MESSAGE_STRING_MAX - 1] = '\0';
	for (size_t i = 0; i < most; i++)
		words[i] = text;
	assert_int_equal(message_put_request(fixed, words, NULL, &body, &len), 0);
	free_pointer(&body);
	assert_int_equal(message_put_request(fixed, words, (char *[]){ empty, NULL }, &body, &len),
			 -E2BIG);
	for (size_t i = 0; i < MESSAGE_WORDS_MAX; i++)
		words[i] = empty;
	assert_int_equal(message_put_request(fixed, words, NULL, &body, &len), 0);
	free_pointer(&body);
	assert_int_equal(message_put_request(fixed, words, (char *[]){ empty, NULL }, &body, &len),
			 -E2BIG);
	words[MESSAGE_WORDS_MAX] = empty;
	assert_int_equal(message_put_request(fixed, NULL, words, &body, &len), -E2BIG);
	assert_null(body);
}

static void test_send_cuts_text(void **state)
{
	const struct message_expect from_server = { MESSAGE_FROM_SERVER, P };
	const struct message_note note = { MESSAGE_NOTE_INFO };
	const struct pair *p = leak_fixture(state);
	char text[MESSAGE_TEXT_MAX + 10];
	struct message_note got;
	const char *got_text;
	struct packet packet;
	size_t len;

	memset(text, 'x', sizeof(text));
	memcpy(text + MESSAGE_TEXT_MAX - 1, "\xc3\xa9", 2); /* across the cut */
	assert_int_equal(message_send(p->theirs, -1, MESSAGE_NOTE, &note, sizeof(note), text,
				      sizeof(text), NULL, 0),
			 0);
	assert_int_equal(message_recv(p->ours, -1, from_server, &packet), 0);
	assert_int_equal(message_get_note(&packet, &got, &got_text, &len), 0);
	assert_int_equal(len, MESSAGE_TEXT_MAX - 1);
	assert_memory_equal(got_text, text, len);
	packet_done(&packet);
}

static void test_send_refuses_what_the_table_does(void **state)
{
	const struct message_answer answer = { MESSAGE_ANSWERED };
	const struct pair *p = leak_fixture(state);
	static const char text[MESSAGE_ANSWER_MAX + 1];
	const int fd = p->ours;

	/* An answer is never cut: it would be another password. */
	assert_int_equal(message_send(p->theirs, -1, MESSAGE_ANSWER, &answer, sizeof(answer), text,
				      sizeof(text), NULL, 0),
			 -EMSGSIZE);
	assert_int_equal(message_send(p->theirs, -1, MESSAGE_ANSWER, NULL, 0, NULL, 0, NULL, 0),
			 -EMSGSIZE);
	assert_int_equal(message_send(p->theirs, -1, MESSAGE_END, NULL, 0, NULL, 0, &fd, 1),
			 -EMSGSIZE);
	assert_int_equal(message_send(p->theirs, -1, MESSAGE_END, NULL, 0, NULL, 0, NULL, 0), 0);
}

static void test_layer_names(void **unused)
{
	(void)unused;
	for (uint32_t layer = 1; layer < MESSAGE_LAYER_END; layer++)
		assert_string_not_equal(message_layer_name(layer), "unknown");
	assert_string_equal(message_layer_name(MESSAGE_LAYER_AUTHENTICATION), "authentication");
	for (uint32_t layer = 0; layer <= MESSAGE_LAYER_END; layer += MESSAGE_LAYER_END)
		assert_string_equal(message_layer_name(layer), "unknown");
}

int main(void)
{
	static struct leak_fixture pair = { pair_setup, pair_teardown };
#define PLAIN(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)
#define TEST(name)  cmocka_unit_test_prestate_setup_teardown(name, leak_setup, leak_teardown, &pair)
	const struct CMUnitTest tests[] = { PLAIN(test_type_side_and_state),
					    PLAIN(test_sizes_and_counts),
					    cmocka_unit_test(test_fields),
					    cmocka_unit_test(test_texts),
					    cmocka_unit_test(test_fd_index),
					    cmocka_unit_test(test_request_fields),
					    cmocka_unit_test(test_request_string_length),
					    cmocka_unit_test(test_request_round_trip),
					    cmocka_unit_test(test_request_too_big),
					    TEST(test_send_cuts_text),
					    TEST(test_send_refuses_what_the_table_does),
					    cmocka_unit_test(test_layer_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
