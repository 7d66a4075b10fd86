/*
 * message - what the packets between dive and dived mean.
 *
 * The protocol's state machine is message_rules[]: who may send what, when, how
 * long, with how many descriptors.  message_recv() holds a header against it
 * before a byte of the body is read; there is no second place where a type is
 * let in.  The decoders then judge the fields.  They trust nothing that was
 * checked before them (each asks the table again), so that a fuzzer, a test or
 * a later caller cannot get past a check by coming another way.
 *
 * Nothing here waits, logs or remembers: the state belongs to the caller.
 * Bodies are copied out with memcpy, never cast to a struct.
 */
#include "message.h"

#include "cleanup.h"
#include "secret.h"

#include <limits.h>
#include <string.h>

#define SIGNAL_LAST	      64 /* _NSIG of the kernel on every machine we build for */

#define FROM_BOTH	      (MESSAGE_FROM_CLIENT | MESSAGE_FROM_SERVER)
#define LIVE		      (MESSAGE_STATE_PENDING | MESSAGE_STATE_ASKED | MESSAGE_STATE_RUNNING)
#define TALKING		      (MESSAGE_STATE_PENDING | MESSAGE_STATE_ASKED)
#define ANY_STATE	      (MESSAGE_STATE_START | MESSAGE_STATE_REQUEST | LIVE)

#define FIXED(type)	      sizeof(struct type), sizeof(struct type)
#define FIXED_TEXT(type, max) sizeof(struct type), sizeof(struct type) + (max)

/*
 * The states are the receiver's.  The client is PENDING from the moment its
 * burst is out; a signal may cross any answer of the server on its way, so it
 * is taken in every state from then on.
 */
const struct message_rule message_rules[MESSAGE_TYPE_END] = {
	[MESSAGE_HELLO] = { "HELLO", FROM_BOTH, MESSAGE_STATE_START, FIXED(message_hello), 0, 0 },

	[MESSAGE_FDS] = { "FDS", MESSAGE_FROM_CLIENT, MESSAGE_STATE_REQUEST,
			  sizeof(struct message_fd), PACKET_FDS_MAX * sizeof(struct message_fd), 1,
			  PACKET_FDS_MAX },
	[MESSAGE_REQUEST] = { "REQUEST", MESSAGE_FROM_CLIENT, MESSAGE_STATE_REQUEST,
			      FIXED_TEXT(message_request, MESSAGE_STRINGS_MAX), 0, 3 },
	[MESSAGE_END] = { "END", MESSAGE_FROM_CLIENT, MESSAGE_STATE_REQUEST, 0, 0, 0, 0 },
	[MESSAGE_ANSWER] = { "ANSWER", MESSAGE_FROM_CLIENT, MESSAGE_STATE_ASKED,
			     FIXED_TEXT(message_answer, MESSAGE_ANSWER_MAX), 0, 0 },
	[MESSAGE_SIGNAL] = { "SIGNAL", MESSAGE_FROM_CLIENT, LIVE, FIXED(message_signal), 0, 0 },
	[MESSAGE_CONTINUE] = { "CONTINUE", MESSAGE_FROM_CLIENT, LIVE, FIXED(message_continue), 0,
			       0 },

	[MESSAGE_PROMPT] = { "PROMPT", MESSAGE_FROM_SERVER, TALKING,
			     FIXED_TEXT(message_prompt, MESSAGE_TEXT_MAX), 0, 0 },
	[MESSAGE_NOTE] = { "NOTE", MESSAGE_FROM_SERVER, TALKING,
			   FIXED_TEXT(message_note, MESSAGE_TEXT_MAX), 0, 0 },
	[MESSAGE_STARTED] = { "STARTED", MESSAGE_FROM_SERVER, MESSAGE_STATE_PENDING,
			      FIXED(message_started), 0, 1 },
	[MESSAGE_STOPPED] = { "STOPPED", MESSAGE_FROM_SERVER, MESSAGE_STATE_RUNNING,
			      FIXED(message_stopped), 0, 0 },
	[MESSAGE_EXITED] = { "EXITED", MESSAGE_FROM_SERVER, MESSAGE_STATE_RUNNING,
			     FIXED(message_exited), 0, 0 },
	[MESSAGE_REFUSED] = { "REFUSED", MESSAGE_FROM_SERVER, ANY_STATE,
			      FIXED_TEXT(message_refused, MESSAGE_TEXT_MAX), 0, 0 },
};

static_assert(sizeof(struct message_request) + MESSAGE_STRINGS_MAX <= PACKET_BODY_MAX,
	      "the largest request fits a packet");

static const struct message_rule *rule_of(uint32_t type)
{
	return type > 0 && type < MESSAGE_TYPE_END ? &message_rules[type] : NULL;
}

static bool rule_fits(const struct message_rule *rule, size_t body_len, size_t fd_count)
{
	return body_len >= rule->body_min && body_len <= rule->body_max &&
	       fd_count >= rule->fds_min && fd_count <= rule->fds_max;
}

/* What can be said of a header whatever the state. */
static int check_shape(const struct packet_header *head)
{
	const struct message_rule *rule = rule_of(head->type);

	if (!rule || !rule_fits(rule, head->body_len, head->fd_count))
		return -EBADMSG;
	if (head->type == MESSAGE_FDS &&
	    head->body_len != head->fd_count * sizeof(struct message_fd))
		return -EBADMSG;
	return 0;
}

static int check_header(const struct packet_header *head, const void *context)
{
	const struct message_expect *expect = context;
	const struct message_rule *rule = rule_of(head->type);

	if (!rule || !(rule->from & expect->from) || !(rule->states & expect->state))
		return -EBADMSG;
	return check_shape(head);
}

int message_recv(int sock, int64_t deadline, struct message_expect expect, struct packet *ret)
{
	return packet_recv(sock, deadline, check_header, &expect, ret);
}

/* The length at which a text is cut, not inside a UTF-8 character. */
static size_t cut_text(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	for (size_t back = 0; back < 3 && back < max; back++)
		if (((unsigned char)text[max - back] & 0xc0) != 0x80)
			return max - back;
	return max;
}

int message_send(int sock, int64_t deadline, enum message_type type, const void *fixed,
		 size_t fixed_len, const char *text, size_t text_len, const int *fds,
		 size_t fd_count)
{
	const struct message_rule *rule = rule_of(type);
	uint8_t body[sizeof(struct message_refused) + MESSAGE_TEXT_MAX];
	int r;

	assert(rule);
	if (fixed_len <= rule->body_max &&
	    (type == MESSAGE_PROMPT || type == MESSAGE_NOTE || type == MESSAGE_REFUSED))
		text_len = cut_text(text, text_len, rule->body_max - fixed_len);
	if (fixed_len > PACKET_BODY_MAX || text_len > PACKET_BODY_MAX ||
	    !rule_fits(rule, fixed_len + text_len, fd_count))
		return -EMSGSIZE;
	/* The fixed part of a request holds its strings and is not copied. */
	if (text_len == 0)
		return packet_send(sock, deadline, (uint16_t)type, fixed, fixed_len, fds, fd_count);
	if (fixed_len + text_len > sizeof(body))
		return -EMSGSIZE;
	if (fixed_len > 0)
		memcpy(body, fixed, fixed_len);
	memcpy(body + fixed_len, text, text_len);
	r = packet_send(sock, deadline, (uint16_t)type, body, fixed_len + text_len, fds, fd_count);
	secret_wipe(body, fixed_len + text_len); /* it may be an answer */
	return r;
}

/* Copies the fixed part of a packet that is of `type` and has its shape. */
static int get_fixed(const struct packet *packet, enum message_type type, void *ret, size_t len)
{
	if (packet->head.type != type || check_shape(&packet->head) < 0 ||
	    packet->head.body_len < len)
		return -EBADMSG;
	memcpy(ret, packet->body, len);
	return 0;
}

/* Finds the text behind `fixed` bytes; a NUL inside would cut it for every user of strings. */
static int get_text(const struct packet *packet, size_t fixed, const char **ret_text,
		    size_t *ret_len)
{
	const char *text = (const char *)packet->body + fixed;
	size_t len = packet->head.body_len - fixed;

	if (len > 0 && memchr(text, '\0', len))
		return -EBADMSG;
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static bool is_signal(uint32_t number)
{
	return number >= 1 && number <= SIGNAL_LAST;
}

int message_get_hello(const struct packet *packet, struct message_hello *ret)
{
	struct message_hello hello;
	int r = get_fixed(packet, MESSAGE_HELLO, &hello, sizeof(hello));

	if (r < 0)
		return r;
	if (hello.flags & ~(uint32_t)(MESSAGE_HELLO_TTY | MESSAGE_HELLO_NON_INTERACTIVE |
				      MESSAGE_HELLO_TTY_REQUIRED))
		return -EBADMSG;
	if (hello.wait > MESSAGE_WAIT_HOLDERS || hello.forward > MESSAGE_FORWARD_GROUP)
		return -EBADMSG;
	*ret = hello;
	return 0;
}

int message_get_answer(const struct packet *packet, struct message_answer *ret,
		       const char **ret_text, size_t *ret_len)
{
	struct message_answer answer;
	int r = get_fixed(packet, MESSAGE_ANSWER, &answer, sizeof(answer));

	if (r < 0)
		return r;
	if (answer.status > MESSAGE_ANSWER_CANCELLED)
		return -EBADMSG;
	if (answer.status == MESSAGE_ANSWER_CANCELLED && packet->head.body_len > sizeof(answer))
		return -EBADMSG;
	r = get_text(packet, sizeof(answer), ret_text, ret_len);
	if (r < 0)
		return r;
	*ret = answer;
	return 0;
}

int message_get_signal(const struct packet *packet, struct message_signal *ret)
{
	struct message_signal signal;
	int r = get_fixed(packet, MESSAGE_SIGNAL, &signal, sizeof(signal));

	if (r < 0)
		return r;
	if (!is_signal(signal.number))
		return -EBADMSG;
	*ret = signal;
	return 0;
}

int message_get_continue(const struct packet *packet, struct message_continue *ret)
{
	struct message_continue cont;
	int r = get_fixed(packet, MESSAGE_CONTINUE, &cont, sizeof(cont));

	if (r < 0)
		return r;
	if (cont.foreground > 1)
		return -EBADMSG;
	*ret = cont;
	return 0;
}

int message_get_prompt(const struct packet *packet, struct message_prompt *ret,
		       const char **ret_text, size_t *ret_len)
{
	struct message_prompt prompt;
	int r = get_fixed(packet, MESSAGE_PROMPT, &prompt, sizeof(prompt));

	if (r < 0)
		return r;
	if (prompt.style < MESSAGE_PROMPT_HIDDEN || prompt.style > MESSAGE_PROMPT_VISIBLE)
		return -EBADMSG;
	r = get_text(packet, sizeof(prompt), ret_text, ret_len);
	if (r < 0)
		return r;
	*ret = prompt;
	return 0;
}

int message_get_note(const struct packet *packet, struct message_note *ret, const char **ret_text,
		     size_t *ret_len)
{
	struct message_note note;
	int r = get_fixed(packet, MESSAGE_NOTE, &note, sizeof(note));

	if (r < 0)
		return r;
	if (note.kind < MESSAGE_NOTE_INFO || note.kind > MESSAGE_NOTE_ASKED)
		return -EBADMSG;
	r = get_text(packet, sizeof(note), ret_text, ret_len);
	if (r < 0)
		return r;
	*ret = note;
	return 0;
}

int message_get_started(const struct packet *packet, struct message_started *ret)
{
	struct message_started started;
	int r = get_fixed(packet, MESSAGE_STARTED, &started, sizeof(started));
	bool tty;

	if (r < 0)
		return r;
	if (started.flags & ~(uint32_t)(MESSAGE_STARTED_NO_WAIT | MESSAGE_STARTED_TTY))
		return -EBADMSG;
	tty = started.flags & MESSAGE_STARTED_TTY;
	if (started.pid > INT32_MAX || packet->head.fd_count != (tty ? 1U : 0U))
		return -EBADMSG;
	*ret = started;
	return 0;
}

int message_get_stopped(const struct packet *packet, struct message_stopped *ret)
{
	struct message_stopped stopped;
	int r = get_fixed(packet, MESSAGE_STOPPED, &stopped, sizeof(stopped));

	if (r < 0)
		return r;
	if (!is_signal(stopped.signal))
		return -EBADMSG;
	*ret = stopped;
	return 0;
}

int message_get_exited(const struct packet *packet, struct message_exited *ret)
{
	struct message_exited exited;
	int r = get_fixed(packet, MESSAGE_EXITED, &exited, sizeof(exited));

	if (r < 0)
		return r;
	if (exited.kind > MESSAGE_EXIT_SIGNAL)
		return -EBADMSG;
	if (exited.kind == MESSAGE_EXIT_SIGNAL ? !is_signal(exited.value) : exited.value > 255)
		return -EBADMSG;
	*ret = exited;
	return 0;
}

int message_get_refused(const struct packet *packet, struct message_refused *ret,
			const char **ret_text, size_t *ret_len)
{
	struct message_refused refused;
	int r = get_fixed(packet, MESSAGE_REFUSED, &refused, sizeof(refused));

	if (r < 0)
		return r;
	if (refused.layer < MESSAGE_LAYER_GATEWAY || refused.layer >= MESSAGE_LAYER_END)
		return -EBADMSG;
	if (refused.status != 77 && refused.status != 126 && refused.status != 127)
		return -EBADMSG;
	r = get_text(packet, sizeof(refused), ret_text, ret_len);
	if (r < 0)
		return r;
	*ret = refused;
	return 0;
}

int message_get_fd(const struct packet *packet, size_t i, struct message_fd *ret)
{
	struct message_fd fd;

	if (packet->head.type != MESSAGE_FDS || check_shape(&packet->head) < 0 ||
	    i >= packet->head.fd_count)
		return -EBADMSG;
	memcpy(&fd, packet->body + i * sizeof(fd), sizeof(fd));
	if (fd.number >= MESSAGE_FD_LIMIT ||
	    fd.flags & ~(uint32_t)(MESSAGE_FD_WAIT | MESSAGE_FD_TERMINAL))
		return -EBADMSG;
	*ret = fd;
	return 0;
}

static int check_request(const struct packet *packet, const struct message_request *request)
{
	const uint32_t with_fd =
		MESSAGE_REQUEST_CWD | MESSAGE_REQUEST_ROOT | MESSAGE_REQUEST_TERMINAL;
	const uint32_t ignored = MESSAGE_IGNORED_HUP | MESSAGE_IGNORED_INT | MESSAGE_IGNORED_QUIT;
	uint64_t words = (uint64_t)request->argc + request->envc;

	if (request->flags & ~(with_fd | MESSAGE_REQUEST_LOGIN | MESSAGE_REQUEST_MODES |
			       MESSAGE_REQUEST_FOREGROUND) ||
	    request->ignored & ~ignored)
		return -EBADMSG;
	if (request->umask > 0777)
		return -EBADMSG;
	if (packet->head.fd_count != (uint32_t)__builtin_popcount(request->flags & with_fd))
		return -EBADMSG;
	/* A word takes a byte at least, so the array is no larger than the body allows. */
	if (words > MESSAGE_WORDS_MAX || words > packet->head.body_len - sizeof(*request))
		return -EBADMSG;
	return 0;
}

/* Takes the string at *at, which must end before `end`, and moves *at behind it. */
static int get_string(char **at, const char *end, char **ret)
{
	size_t left = (size_t)(end - *at);
	char *nul = memchr(*at, '\0', left < MESSAGE_STRING_MAX ? left : MESSAGE_STRING_MAX);

	if (!nul)
		return -EBADMSG;
	*ret = *at;
	*at = nul + 1;
	return 0;
}

int message_get_request(const struct packet *packet, struct message_request *ret,
			char ***ret_strings)
{
	cleanup_free char **strings = NULL;
	struct message_request request;
	char *at, *end;
	int r = get_fixed(packet, MESSAGE_REQUEST, &request, sizeof(request));

	if (r == 0)
		r = check_request(packet, &request);
	if (r < 0)
		return r;
	strings = calloc((size_t)request.argc + request.envc + 2, sizeof(*strings));
	if (!strings)
		return -ENOMEM;
	at = (char *)packet->body + sizeof(request);
	end = (char *)packet->body + packet->head.body_len;
	for (size_t i = 0; i < (size_t)request.argc + request.envc; i++) {
		r = get_string(&at, end, &strings[i < request.argc ? i : i + 1]);
		if (r < 0)
			return r;
	}
	if (at != end)
		return -EBADMSG;
	*ret = request;
	*ret_strings = take_ptr(strings);
	return 0;
}

/* Adds a vector's strings to the sums.  Return: 0 or -E2BIG. */
static int measure_words(char *const *words, uint32_t *count, size_t *total)
{
	*count = 0;
	for (; words && words[*count]; (*count)++) {
		size_t len = strlen(words[*count]) + 1;

		if (len > MESSAGE_STRING_MAX || len > MESSAGE_STRINGS_MAX - *total ||
		    *count == MESSAGE_WORDS_MAX)
			return -E2BIG;
		*total += len;
	}
	return 0;
}

static uint8_t *put_words(uint8_t *at, char *const *words, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		size_t len = strlen(words[i]) + 1;

		memcpy(at, words[i], len);
		at += len;
	}
	return at;
}

int message_put_request(struct message_request fixed, char *const *argv, char *const *envp,
			uint8_t **ret, size_t *ret_len)
{
	size_t total = 0;
	uint8_t *body, *at;
	int r = measure_words(argv, &fixed.argc, &total);

	if (r == 0)
		r = measure_words(envp, &fixed.envc, &total);
	if (r < 0)
		return r;
	if (fixed.argc + fixed.envc > MESSAGE_WORDS_MAX)
		return -E2BIG;
	body = malloc(sizeof(fixed) + total);
	if (!body)
		return -ENOMEM;
	memcpy(body, &fixed, sizeof(fixed));
	at = put_words(body + sizeof(fixed), argv, fixed.argc);
	at = put_words(at, envp, fixed.envc);
	assert(at == body + sizeof(fixed) + total);
	*ret = body;
	*ret_len = sizeof(fixed) + total;
	return 0;
}

const char *message_layer_name(uint32_t layer)
{
	static const char *const names[MESSAGE_LAYER_END] = {
		[MESSAGE_LAYER_GATEWAY] = "gateway",
		[MESSAGE_LAYER_REQUEST] = "request",
		[MESSAGE_LAYER_AUTHENTICATION] = "authentication",
		[MESSAGE_LAYER_ACCOUNT] = "account",
		[MESSAGE_LAYER_SESSION] = "session",
		[MESSAGE_LAYER_AUDIT] = "audit",
		[MESSAGE_LAYER_SETUP] = "set-up",
		[MESSAGE_LAYER_EXEC] = "exec",
	};

	return layer < MESSAGE_LAYER_END && names[layer] ? names[layer] : "unknown";
}
