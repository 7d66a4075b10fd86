/*
 * conversation - PAM prompts over the wire.
 *
 * Before the first answer of an attempt is handed to a module, the listener is
 * asked (CONTROL_ASK): it lets the answers of one uid through one at a time and
 * not before the delay of the last failed one is over.  So guessing is slow
 * however many connections are opened or dropped, while a prompt that merely
 * stands on a second terminal holds up nobody.
 *
 * Answers live in packets that are wiped when released, and in the copies that
 * PAM owns; the response array is wiped here when a later question fails.
 */
#include "conversation.h"

#include "cleanup.h"
#include "control.h"
#include "deadline.h"
#include "log.h"
#include "message.h"
#include "secret.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SEND_MS	  10000 /* a client that does not read is gone */
#define PACKET_MS 2000	/* to receive the rest of a packet that has begun */

void conversation_restart(struct conversation *conversation)
{
	conversation->prompts = 0;
	conversation->tried = false;
}

const char *conversation_reason(enum conversation_outcome outcome)
{
	switch (outcome) {
	case CONVERSATION_FORBIDDEN:
		return "authentication is needed, and prompting was forbidden (-n)";
	case CONVERSATION_CANCELLED:
		return "no answer was given";
	case CONVERSATION_GONE:
		return "the client has gone";
	case CONVERSATION_LATE:
		return "the time to answer is over";
	case CONVERSATION_FLOOD:
		return "too many questions were asked";
	case CONVERSATION_FAILED:
		return "the question could not be put";
	case CONVERSATION_FINE:
		break;
	}
	return "authentication failed";
}

static int fail(struct conversation *conversation, enum conversation_outcome outcome)
{
	if (conversation->outcome == CONVERSATION_FINE)
		conversation->outcome = outcome;
	return PAM_CONV_ERR;
}

static int send_note(struct conversation *conversation, enum message_note_kind kind,
		     const char *text)
{
	struct message_note note = { .kind = kind };

	if (conversation->mute)
		return 0;
	if (conversation->sock < 0) {
		char line[1024];

		(void)log_escape(text, strlen(text), true, line, sizeof(line)); /* or cut */
		return dprintf(STDERR_FILENO, "%s\n", line) < 0 ? -errno : 0;
	}
	return message_send(conversation->sock, deadline_after(SEND_MS), MESSAGE_NOTE, &note,
			    sizeof(note), text, strlen(text), NULL, 0);
}

void conversation_note(struct conversation *conversation, enum message_note_kind kind,
		       const char *text)
{
	if (conversation->notes++ < CONVERSATION_NOTES_MAX)
		(void)send_note(conversation, kind, text);
}

/* Receives packets until an ANSWER comes; SIGNAL and CONTINUE mean nothing here. */
static int receive_answer(struct conversation *conversation, char **ret)
{
	struct message_expect expect = { MESSAGE_FROM_CLIENT, MESSAGE_STATE_ASKED };
	struct message_answer answer;
	const char *text;
	size_t len;

	for (;;) {
		struct packet packet;
		int r = deadline_poll(conversation->sock, POLLIN, conversation->deadline);
		if (r == -ETIMEDOUT || deadline_passed(conversation->deadline))
			return fail(conversation, CONVERSATION_LATE);
		if (r == 0)
			r = message_recv(conversation->sock, deadline_after(PACKET_MS), expect,
					 &packet);
		if (r)
			return fail(conversation, CONVERSATION_GONE);
		if (packet.head.type != MESSAGE_ANSWER) {
			packet_done(&packet);
			continue;
		}
		r = message_get_answer(&packet, &answer, &text, &len);
		if (r == 0 && answer.status == MESSAGE_ANSWERED)
			*ret = strdup(text);
		packet_done(&packet);
		if (r)
			return fail(conversation, CONVERSATION_GONE);
		if (answer.status != MESSAGE_ANSWERED)
			return fail(conversation, CONVERSATION_CANCELLED);
		return *ret ? PAM_SUCCESS : fail(conversation, CONVERSATION_FAILED);
	}
}

static int ask(struct conversation *conversation, enum message_prompt_style style, const char *text,
	       char **ret)
{
	struct message_prompt prompt = { .style = style };

	if (conversation->mute)
		return fail(conversation, CONVERSATION_FAILED);
	if (conversation->forbidden || conversation->sock < 0)
		return fail(conversation, CONVERSATION_FORBIDDEN);
	if (++conversation->prompts > CONVERSATION_PROMPTS_MAX)
		return fail(conversation, CONVERSATION_FLOOD);
	if (!conversation->asked_sent && conversation->asked &&
	    send_note(conversation, MESSAGE_NOTE_ASKED, conversation->asked))
		return fail(conversation, CONVERSATION_GONE);
	conversation->asked_sent = true;
	if (message_send(conversation->sock, deadline_after(SEND_MS), MESSAGE_PROMPT, &prompt,
			 sizeof(prompt), text, strlen(text), NULL, 0))
		return fail(conversation, CONVERSATION_GONE);
	return receive_answer(conversation, ret);
}

/*
 * Waits until the listener lets an answer through.  Where there is no listener,
 * or it has gone, delays are served by this process alone (auth.c).
 */
static int obtain_grant(struct conversation *conversation)
{
	struct control reply;
	int r;

	if (conversation->tried)
		return PAM_SUCCESS;
	conversation->tried = true;
	if (conversation->control < 0 || control_tell(conversation->control, CONTROL_ASK, 0))
		return PAM_SUCCESS;
	do {
		r = deadline_poll(conversation->control, POLLIN, conversation->deadline);
		if (r == -ETIMEDOUT)
			return fail(conversation, CONVERSATION_LATE);
		if (r == 0)
			r = control_recv(conversation->control, &reply, NULL);
	} while (r == -EAGAIN || (r == 0 && reply.type != CONTROL_GRANT));
	return PAM_SUCCESS;
}

static void wipe_responses(struct pam_response *responses, int count)
{
	for (int i = 0; i < count; i++) {
		if (responses[i].resp)
			secret_wipe(responses[i].resp, strlen(responses[i].resp));
		free(responses[i].resp);
	}
	free(responses);
}

static int handle(struct conversation *conversation, const struct pam_message *message,
		  struct pam_response *response)
{
	const char *text = message->msg ? message->msg : "";

	switch (message->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
		return ask(conversation, MESSAGE_PROMPT_HIDDEN, text, &response->resp);
	case PAM_PROMPT_ECHO_ON:
		return ask(conversation, MESSAGE_PROMPT_VISIBLE, text, &response->resp);
	case PAM_ERROR_MSG:
		conversation_note(conversation, MESSAGE_NOTE_ERROR, text);
		return PAM_SUCCESS;
	case PAM_TEXT_INFO:
		conversation_note(conversation, MESSAGE_NOTE_INFO, text);
		return PAM_SUCCESS;
	default:
		return fail(conversation, CONVERSATION_FAILED);
	}
}

int conversation_run(int count, const struct pam_message **messages, struct pam_response **ret,
		     void *appdata)
{
	struct conversation *conversation = appdata;
	bool answered = false;
	int r = PAM_SUCCESS;

	if (!conversation || conversation->outcome != CONVERSATION_FINE || count <= 0 ||
	    count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	struct pam_response *responses = calloc((size_t)count, sizeof(*responses));
	if (!responses)
		return fail(conversation, CONVERSATION_FAILED);
	for (int i = 0; i < count && r == PAM_SUCCESS; i++) {
		r = handle(conversation, messages[i], &responses[i]);
		answered = answered || responses[i].resp;
	}
	if (r == PAM_SUCCESS && answered)
		r = obtain_grant(conversation);
	if (r != PAM_SUCCESS) {
		wipe_responses(responses, count);
		return r;
	}
	*ret = responses;
	return PAM_SUCCESS;
}

int conversation_wait(struct conversation *conversation, int64_t until)
{
	struct message_expect expect = { MESSAGE_FROM_CLIENT, MESSAGE_STATE_PENDING };

	for (;;) {
		struct packet packet;
		int r = deadline_poll(conversation->sock, POLLIN, until);
		if (r == -ETIMEDOUT || deadline_passed(until))
			return 0;
		if (r == 0)
			r = message_recv(conversation->sock, deadline_after(PACKET_MS), expect,
					 &packet);
		if (r) {
			(void)fail(conversation, CONVERSATION_GONE);
			return -EPIPE;
		}
		packet_done(&packet);
	}
}
