/*
 * The conversation before the program runs.
 *
 * The server leads; this file answers.  An answer lives in a struct secret from
 * the first byte to the packet, and is wiped when the function that asked
 * returns, however it returns.  Whatever ends a question without an answer is
 * told to the server as "cancelled", so that it need not guess.
 */
#include "dialogue.h"

#include "askpass.h"
#include "cleanup.h"
#include "deadline.h"
#include "line.h"
#include "prompt.h"
#include "secret.h"
#include "server.h"
#include "terminal.h"

#include <string.h>

/* Notes and prompts go to the terminal, unless there is none or it must not be touched. */
static int open_output(const struct client_config *config)
{
	return config->from_stdin != 0 ? -ENXIO : terminal_find();
}

static void send_answer(int sock, const struct secret *answer)
{
	struct message_answer fixed = {
		.status = answer != NULL ? MESSAGE_ANSWERED : MESSAGE_ANSWER_CANCELLED,
	};

	/* If the server is gone, what it said last is read next, and tells more. */
	(void)message_send(sock, deadline_after(SERVER_SEND_MS), MESSAGE_ANSWER, &fixed,
			   sizeof(fixed), answer != NULL ? answer->text : NULL,
			   answer != NULL ? answer->len : 0, NULL, 0);
}

static int show_note(const struct client_config *config, const struct packet *packet,
		     struct failure *failure)
{
	cleanup_fd int tty = -1;
	struct message_note note;
	const char *text;
	size_t len;
	int output;

	if (message_get_note(packet, &note, &text, &len) != 0)
		return server_confused(failure, "a malformed note");
	tty = open_output(config);
	output = tty >= 0 ? tty : STDERR_FILENO;
	prompt_show(output, text, len);
	if (len == 0 || text[len - 1] != '\n')
		prompt_show(output, "\n", 1);
	return 0;
}

static int ask_stdin(int sock, const struct prompt *prompt, struct secret *answer)
{
	const struct line_source source = { .input = STDIN_FILENO, .sock = sock, .signals = -1 };
	int result;

	prompt_show(STDERR_FILENO, prompt->text, prompt->len);
	result = line_read(&source, answer);
	/* Unless a terminal has echoed one, the prompt's line is still open. */
	if (result != LINE_READ || isatty(STDIN_FILENO) == 0)
		prompt_show(STDERR_FILENO, "\n", 1);
	return result;
}

/* Gets an answer from the right place.  Returns as line_read(), -ENXIO for no terminal. */
static int ask(const struct client_config *config, int sock, const struct prompt *prompt,
	       struct secret *answer, int *ret_signal)
{
	cleanup_fd int tty = -1;

	if (config->askpass != 0)
		return askpass_ask(config->askpass_program, prompt->text, sock, answer);
	if (config->from_stdin != 0)
		return ask_stdin(sock, prompt, answer);
	tty = terminal_find();
	if (tty < 0)
		return -ENXIO;
	return prompt_ask(tty, sock, prompt, answer, ret_signal);
}

/* The server spoke, or went, while its question was open.  0: it was but a note. */
static int hear(const struct client_config *config, int sock, struct failure *failure)
{
	struct packet packet = { 0 };
	int err = server_recv(sock, MESSAGE_STATE_ASKED, &packet, failure);

	if (err == -EPIPE)
		return server_dropped(failure);
	if (err != 0)
		return err;
	if (packet.head.type == MESSAGE_NOTE)
		err = show_note(config, &packet, failure);
	else
		err = server_confused(failure, "a message while its question was open");
	packet_done(&packet);
	return err;
}

static int conclude(int sock, int result, const struct secret *answer, int number,
		    struct failure *failure)
{
	if (result == LINE_READ) {
		send_answer(sock, answer);
		return 0;
	}
	send_answer(sock, NULL);
	switch (result) {
	case LINE_CLOSED:
		return 0; /* the server says what follows from that */
	case LINE_SIGNAL:
		return number;
	case LINE_LONG:
		return failure_set(failure, STATUS_REFUSED,
				   "authentication: the answer has more than %d bytes, or a NUL, "
				   "and was not sent",
				   MESSAGE_ANSWER_MAX);
	case -ENXIO:
		return failure_set(failure, STATUS_REFUSED,
				   "authentication: the server asks, and there is no terminal; -S "
				   "(standard input) or -A (a program) would help");
	default:
		return failure_set(failure, STATUS_FAILURE, "prompt: cannot get an answer: %s",
				   strerror(-result));
	}
}

static int answer_prompt(const struct client_config *config, int sock,
			 const struct signals_hold *hold, const struct packet *packet,
			 struct failure *failure)
{
	struct message_prompt fixed;
	struct secret answer = { 0 };
	struct prompt prompt;
	int number = 0;
	int result;

	if (message_get_prompt(packet, &fixed, &prompt.text, &prompt.len) != 0)
		return server_confused(failure, "a malformed prompt");
	if (config->non_interactive != 0)
		return failure_set(failure, STATUS_REFUSED,
				   "authentication: %s would have asked: %s", config->address,
				   prompt.text);
	prompt.hidden = fixed.style == MESSAGE_PROMPT_HIDDEN;
	result = secret_init(&answer);
	signals_release(hold); /* no program starts while a question is open */
	if (result == 0)
		result = ask(config, sock, &prompt, &answer, &number);
	while (result == LINE_SERVER) {
		result = hear(config, sock, failure);
		if (result != 0)
			break;
		secret_clear(&answer);
		result = ask(config, sock, &prompt, &answer, &number);
	}
	signals_hold(hold);
	if (result != FAILED)
		result = conclude(sock, result, &answer, number, failure);
	secret_done(&answer);
	return result;
}

static int note_start(struct packet *packet, struct message_started *ret, int *ret_master,
		      struct failure *failure)
{
	if (message_get_started(packet, ret) != 0)
		return server_confused(failure, "a malformed start");
	*ret_master = -1;
	if ((ret->flags & MESSAGE_STARTED_TTY) != 0)
		*ret_master = take_fd(&packet->fds[0]);
	return 0;
}

int dialogue_run(const struct client_config *config, int sock, const struct signals_hold *hold,
		 struct message_started *ret, int *ret_master, struct failure *failure)
{
	bool started = false;
	int err;

	while (!started) {
		struct packet packet = { 0 };

		signals_wait_readable(hold, sock);
		err = server_recv(sock, MESSAGE_STATE_PENDING, &packet, failure);
		if (err == -EPIPE)
			return server_dropped(failure);
		if (err != 0)
			return err;
		switch (packet.head.type) {
		case MESSAGE_NOTE:
			err = show_note(config, &packet, failure);
			break;
		case MESSAGE_PROMPT:
			err = answer_prompt(config, sock, hold, &packet, failure);
			break;
		case MESSAGE_STARTED:
			err = note_start(&packet, ret, ret_master, failure);
			started = true;
			break;
		default:
			err = server_confused(failure, "an unexpected message");
			break;
		}
		packet_done(&packet);
		if (err != 0)
			return err;
	}
	return 0;
}
