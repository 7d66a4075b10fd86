/*
 * session_end - what follows a program, or a refusal: the record, PAM's close, the answer.
 *
 * In this order.  In close modules may hang, crash or exit, and would take the end of the
 * program with them; and the client is told when all is done, for he may count on it.
 */
#include "session_internal.h"

#include "deadline.h"
#include "log.h"
#include "supervise.h"

#include <string.h>
#include <sys/socket.h>

#define REPLY_MS 5000 /* for the last packet to a client */
#define RECORD_S 120  /* for a record: the kernel may hold its sender back for a minute */

/* The end of a program that was executed, or of one that was recorded and was not. */
static void record_end(struct session *session, const struct fault *fault)
{
	struct audit_exit end = {
		.signalled = session->exited.kind == MESSAGE_EXIT_SIGNAL,
		.value = session->ended ? (int)session->exited.value : (int)fault->status,
		.duration_ms = deadline_now() - session->started,
		.fault = session->ended ? NULL : fault,
	};

	audit_exit(&session->audit, &session->facts, &end);
}

static void reply(struct session *session, const struct fault *fault)
{
	struct message_refused refused = { .layer = fault->layer, .status = fault->status };
	int64_t deadline = deadline_after(REPLY_MS);

	if (session->conn < 0)
		return;
	if (!session->ended)
		(void)message_send(session->conn, deadline, MESSAGE_REFUSED, &refused,
				   sizeof(refused), fault->text, strlen(fault->text), NULL, 0);
	else if (!session->config->no_wait)
		(void)message_send(session->conn, deadline, MESSAGE_EXITED, &session->exited,
				   sizeof(session->exited), NULL, 0, NULL, 0);
}

/*
 * Writes down what is owed, and lets the listener know: what is lost from here on has its
 * end already, and must not get a second one.
 */
static void record(struct session *session, const struct fault *fault, bool refused)
{
	introduce_tell(session, CONTROL_LIMIT, RECORD_S);
	session->facts.command = session->plan.argv ? session->plan.argv : session->words;
	if (session->recorded)
		record_end(session, fault);
	else if (refused && !session->silent && !session->unrecorded)
		audit_refuse(&session->audit, &session->facts, fault);
	introduce_tell(session, CONTROL_RECORDED, 0);
}

/* Writes down how it went; closes what is open, in reverse; then tells the client. */
void session_end(struct session *session, struct fault *fault, bool refused)
{
	struct fault closing = { 0 };
	bool answer = session->ended && !session->config->no_wait;

	child_channel_done(&session->channel);
	/* With -w the client has been told all that it will be. */
	if (session->program && session->config->no_wait) {
		session->auth.conversation.mute = true;
		session->watchdog.conn = -1;
	}
	process_restore_limits(&session->before); /* a refusal may have come before that */
	/* Modules start helpers when they close, too. */
	(void)supervise_block(false, session->config->mode == CONFIG_MODE_EXECUTE);
	record(session, fault, refused);
	if (auth_close(&session->auth, answer ? &session->exited : NULL, &closing))
		log_warning("%s: id=%s: closing failed at %s: %s", session->config->address,
			    session->id, closing.step, closing.text);
	/* Before the client, who may keep us waiting. */
	introduce_tell(session, CONTROL_DONE, 0);
	reply(session, fault);
	/* A child that closes descriptors aside may hold the connection for longer. */
	(void)shutdown(session->conn, SHUT_RDWR); /* fails where the client has gone */
}
