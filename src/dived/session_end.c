/*
 * session_end - what follows a program, or a refusal: the record, PAM's close, the answer.
 *
 * In this order.  In close modules may hang, crash or exit, and would take the end of the
 * program with them; and the client is told when all is done, for he may count on it.
 */
#include "session_internal.h"

#include "cleanup.h"
#include "deadline.h"
#include "log.h"
#include "supervise.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define REPLY_MS 5000 /* for the last packet to a client */
#define STOP_MS	 5000 /* for a program that is killed to end, and for its monitor */
#define STOP_S	 (5 * STOP_MS / 1000 + WATCHDOG_GRACE_S) /* for all that is waited for then */

static void await_end(int pidfd)
{
	if (pidfd >= 0)
		(void)deadline_poll(pidfd, POLLIN, deadline_after(STOP_MS));
}

/* Whether it has closed its end: then it is about to exit, or has. */
static bool has_gone(int monitor)
{
	struct pollfd item = { .fd = monitor };

	return poll(&item, 1, 0) > 0 && item.revents & POLLHUP;
}

/* What is executed has said who it is itself, where its monitor has not. */
static void find_program(struct session *session)
{
	struct monitor_message message;
	cleanup_fd int fd = -1;

	while (session->program_fd < 0 && session->channel.monitor_ours >= 0 &&
	       monitor_recv(session->channel.monitor_ours, &message, &fd) == 0) {
		if (message.type != MONITOR_TERMINAL)
			session->program_fd = take_fd(&fd);
		close_fd(&fd);
	}
}

/*
 * A program whose end cannot be told must not run on: the record says that it has ended.
 * A signal is sent by the pidfd, or, where there was no number left for one, by the monitor,
 * which knows the program, or to a child that is not reaped.
 */
static void stop_program(struct session *session)
{
	const struct monitor_message last = { MONITOR_SIGNAL, 1, SIGKILL };
	int monitor = session->channel.monitor_ours;
	siginfo_t info;

	if (session->ended)
		return;
	/* What is left of the time for a start must not be cut off in the middle of this. */
	introduce_tell(session, CONTROL_LIMIT, STOP_S);
	find_program(session);
	cleanup_fd int child = session->program ? pidfd_open(session->program, 0) : -1;
	/* Its exit hangs the terminal up, and the program gets the time to take that. */
	if (has_gone(monitor) && session->program_fd >= 0) {
		await_end(child);
		await_end(session->program_fd);
	}
	if (session->program_fd >= 0) /* may have ended, as those below */
		(void)pidfd_send_signal(session->program_fd, SIGKILL, NULL, 0);
	else if (monitor >= 0)
		(void)monitor_tell(monitor, &last);
	await_end(session->program_fd);
	/* The monitor ends by itself when its program has, of which it is the parent. */
	if (monitor >= 0)
		await_end(child);
	if (!session->program)
		return;
	/* No child of this number: it has been reaped, and the number may be another's. */
	if (waitid(P_PID, (id_t)session->program, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		(void)kill(session->program, SIGKILL);
	await_end(child);
	(void)waitpid(session->program, NULL, WNOHANG); /* stuck in the kernel it stays */
}

/* The end of a program that was executed, or of one that was recorded and was not. */
static void record_end(struct session *session, const struct fault *fault)
{
	struct audit_exit end = {
		.unknown = session->executed && !session->ended, /* stop_program() has killed it */
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
	introduce_tell(session, CONTROL_LIMIT, SESSION_RECORD_S);
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

	stop_program(session);
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
