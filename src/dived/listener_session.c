/*
 * listener_session - one connection, from accept to the end of its session.
 *
 * FREE → WAITING (no template ready) → HANDED (to a template) → PENDING (its
 * session has said HELLO; our copy of the connection is closed, then GO) → OPEN
 * (verdict) → FREE at the end of file of the control socket.  A session that
 * ends without DONE has died: that is recorded, unless its end is already, and
 * before the verdict it counts as a failed authentication of its uid.
 */
#include "cleanup.h"
#include "control.h"
#include "deadline.h"
#include "disposable.h"
#include "listener_internal.h"
#include "log.h"
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define DIE_MS	     3000 /* between SIGKILL and the record of a session that does not die */
#define DIED_MS	     2000 /* the price of a session that died before its verdict */
#define RETRY_MS     20	  /* a template's queue is full; a process cannot be made */
#define RECORD_MS    100  /* the same, for the record of a loss */
#define RECORD_TRIES 50
#define HANDS_MAX    3 /* a connection that kills templates is not handed on for ever */

static void release(struct listener *listener, struct connection *connection)
{
	/* Then it is for later: write_record(), connection_program_ended(). */
	if (connection->record_at || connection->witness.running) {
		listener_forget(listener, &connection->control);
		listener_forget(listener, &connection->pidfd);
		connection->deadline = DEADLINE_NONE;
		connection->over = true;
		return;
	}
	if (connection->state != CONNECTION_REFUSED)
		admission_leave(&listener->admission, connection->witness.peer.uid,
				connection->state != CONNECTION_OPEN, connection->serial);
	listener_forget(listener, &connection->control);
	listener_forget(listener, &connection->pidfd);
	witness_release(&connection->witness);
	connection->state = CONNECTION_FREE;
}

static const char *gateway_of(const struct listener *listener, const struct connection *connection)
{
	return listener->sockets.items[connection->socket].name;
}

/*
 * The last state of a connection nobody serves: a disposable process says why,
 * records it, and lets go.  While no process can be made the connection stays.
 */
void connection_refuse(struct listener *listener, struct connection *connection, const char *text)
{
	struct audit_facts facts = { .id = connection->witness.id,
				     .gateway = gateway_of(listener, connection),
				     .peer = &connection->witness.peer };

	if (connection->state != CONNECTION_REFUSED) {
		admission_leave(&listener->admission, connection->witness.peer.uid, true,
				connection->serial);
		connection->state = CONNECTION_REFUSED;
	}
	connection->refusal = text;
	if (disposable_refuse(&connection->conn, (enum config_audit)listener->config->audit, &facts,
			      text) < 0) {
		connection->deadline = deadline_after(RETRY_MS);
		return;
	}
	listener->disposables++;
	release(listener, connection);
}

static uint64_t tag_of(const struct listener *listener, const struct connection *connection)
{
	return TAG_CONNECTIONS + (uint64_t)(connection - listener->connections);
}

/*
 * What is repaired is not always seen: the directory of an included file may have come
 * back under another that nobody watches.  So while the service is broken each client
 * has it loaded again, or waits for the load that is under way.
 */
static void retry_broken(struct listener *listener, struct connection *connection)
{
	if (!listener->broken || connection->retried)
		return;
	connection->retried = true;
	if (listener->next.pid == 0)
		listener->reload = true;
}

/* Gives a connection to the template, or leaves it waiting. */
void connection_hand(struct listener *listener, struct connection *connection)
{
	int pair[2];

	retry_broken(listener, connection);
	if (!listener_template_ready(listener))
		return;
	if (connection->handed >= HANDS_MAX) {
		connection_refuse(listener, connection, "busy: no session can be started");
		return;
	}
	listener->hand_at = deadline_after(RETRY_MS); /* should one of the next calls fail */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return;
	cleanup_fd int ours = pair[0];
	cleanup_fd int theirs = pair[1];
	if (listener_add(listener, ours, tag_of(listener, connection)) ||
	    template_hand(&listener->current, connection->conn, theirs))
		return; /* closing takes it out of the set */
	listener->hand_at = 0;
	connection->handed++;
	connection->control = take_fd(&ours);
	connection->state = CONNECTION_HANDED;
}

void connection_return(struct listener *listener, struct connection *connection)
{
	if (connection->state != CONNECTION_HANDED)
		return;
	listener_forget(listener, &connection->control);
	connection->state = CONNECTION_WAITING;
}

/*
 * Closes our copy of a connection, which its session holds until GO at least;
 * if that is dead already the close could be the last, and is another's.
 */
static void release_conn(struct listener *listener, struct connection *connection, int pidfd)
{
	if (pidfd >= 0 && process_lives(pidfd))
		close_fd(&connection->conn);
	else if (disposable_close(&connection->conn) > 0)
		listener->disposables++;
}

static void said_hello(struct listener *listener, struct connection *connection, int *pidfd)
{
	const struct config *config = listener->config;
	int64_t seconds =
		(int64_t)config->request_timeout + config->auth_timeout + 2 * WATCHDOG_GRACE_S;

	if (connection->state != CONNECTION_HANDED)
		return;
	release_conn(listener, connection, *pidfd);
	connection->pidfd = take_fd(pidfd);
	/* Failing costs only the record of a death that the control socket does not show. */
	(void)listener_add(listener, connection->pidfd, tag_of(listener, connection) | TAG_PROCESS);
	connection->state = CONNECTION_PENDING;
	connection->deadline = deadline_after(seconds * 1000);
	(void)control_tell_now(connection->control, CONTROL_GO); /* else its end is seen */
}

static void limit(struct connection *connection, uint32_t seconds)
{
	connection->deadline = seconds ? deadline_after((int64_t)seconds * 1000) : DEADLINE_NONE;
}

static void result(struct listener *listener, struct connection *connection, uint32_t delay_ms)
{
	int64_t cap = (int64_t)listener->config->auth_timeout * 1000;
	int64_t delay = delay_ms < cap ? delay_ms : cap;

	admission_result(&listener->admission, connection->witness.peer.uid, connection->serial,
			 delay_ms ? deadline_after(delay) : 0);
}

static void handle(struct listener *listener, struct connection *connection,
		   const struct control *message, int *fd)
{
	switch (message->type) {
	case CONTROL_HELLO:
		said_hello(listener, connection, fd);
		break;
	case CONTROL_ASK:
		connection->ask_at = deadline_now();
		break;
	case CONTROL_RESULT:
		result(listener, connection, message->value);
		break;
	case CONTROL_LIMIT:
		limit(connection, message->value);
		break;
	case CONTROL_VERDICT:
		if (connection->state == CONNECTION_PENDING) {
			admission_verdict(&listener->admission, connection->witness.peer.uid,
					  connection->serial);
			connection->state = CONNECTION_OPEN;
		}
		break;
	default:
		break;
	}
	witness_hear(&connection->witness, message, fd);
}

/*
 * A disposable process writes the record of a loss.  While none can be made it stays owed,
 * and with it the place in the quotas taken, but not for ever.
 */
static void write_record(struct listener *listener, struct connection *connection)
{
	const struct witness *witness = &connection->witness;
	const char *gateway = gateway_of(listener, connection);
	pid_t pid = disposable_lost((enum config_audit)listener->config->audit, gateway, witness);

	if (pid < 0 && ++connection->record_try < RECORD_TRIES) {
		connection->record_at = deadline_after(RECORD_MS);
		return;
	}
	if (pid > 0)
		listener->disposables++;
	else
		log_error("%s: id=%s uid=%u: the session was lost (%s) and no process can be made "
			  "to record it",
			  gateway, witness->id, witness->peer.uid, witness_reason(witness));
	connection->record_at = 0;
	/* What has been said to be running is waited for, in the place of its session. */
	if (connection->witness.running &&
	    (pid < 0 || listener_add(listener, connection->witness.program,
				     tag_of(listener, connection) | TAG_PROGRAM)))
		connection->witness.running = false;
	if (connection->over)
		release(listener, connection);
}

void connection_program_ended(struct listener *listener, struct connection *connection)
{
	struct witness *witness = &connection->witness;

	if (connection->state == CONNECTION_FREE || !witness->running ||
	    process_lives(witness->program))
		return;
	witness->running = false;
	witness->outlived = true;
	listener_forget(listener, &witness->program);
	connection->record_try = 0;
	write_record(listener, connection);
}

void connection_stop(struct listener *listener, struct connection *connection)
{
	if (connection->state == CONNECTION_FREE || !connection->record_at)
		return;
	connection->record_try = RECORD_TRIES;
	write_record(listener, connection);
}

static bool has_session(const struct connection *connection)
{
	return connection->state == CONNECTION_PENDING || connection->state == CONNECTION_OPEN;
}

size_t connection_list(const struct connection *connection, int *fds)
{
	const int all[CONNECTION_FDS] = { connection->control, connection->pidfd,
					  connection->witness.program,
					  connection->witness.peer.pidfd };
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(all) && has_session(connection); i++)
		if (all[i] >= 0)
			fds[count++] = all[i];
	return count;
}

int connection_watch(struct listener *listener, const struct connection *connection)
{
	const struct witness *witness = &connection->witness;
	uint64_t tag = tag_of(listener, connection);
	int r = 0;

	if (!has_session(connection))
		return 0;
	if (connection->control >= 0)
		r = listener_add(listener, connection->control, tag);
	if (r == 0 && connection->pidfd >= 0)
		r = listener_add(listener, connection->pidfd, tag | TAG_PROCESS);
	if (r == 0 && witness->running && !connection->record_at) /* else write_record() does it */
		r = listener_add(listener, witness->program, tag | TAG_PROGRAM);
	return r;
}

void connection_keep(struct connection *connection)
{
	if (!has_session(connection))
		connection->state = CONNECTION_FREE;
}

/* A session has ended, or is given up: by now it can write nothing any more. */
static void settle(struct listener *listener, struct connection *connection)
{
	struct witness *witness = &connection->witness;

	if (!witness->done && connection->state != CONNECTION_OPEN)
		admission_result(&listener->admission, witness->peer.uid, connection->serial,
				 deadline_after(DIED_MS));
	if (witness_owes(witness, gateway_of(listener, connection)))
		write_record(listener, connection);
	witness->done = true;
}

/*
 * A child of the session that closes a client's descriptors aside (release.h) may
 * hold the control socket on.  The record is due now; the place in the quotas
 * stays taken until that child has done, or such children could be piled up.
 */
void connection_ended(struct listener *listener, struct connection *connection)
{
	uint64_t serial = connection->serial;

	connection_event(listener, connection); /* what it has said before */
	if (connection->serial != serial || connection->pidfd < 0 ||
	    process_lives(connection->pidfd) ||
	    (connection->state != CONNECTION_PENDING && connection->state != CONNECTION_OPEN))
		return;
	if (connection->control < 0) { /* recorded when that ended */
		release(listener, connection);
		return;
	}
	listener_forget(listener, &connection->pidfd);
	connection->deadline = DEADLINE_NONE;
	connection->ask_at = 0;
	settle(listener, connection);
}

/*
 * A module may close every descriptor of its session, which then goes on unheard.  Its
 * place stays taken and its time limited until it has ended.  (So it is, for a moment,
 * with one that is just ending.)
 */
static bool lives_on(struct listener *listener, struct connection *connection)
{
	int r;

	if (connection->pidfd < 0 || !process_lives(connection->pidfd))
		return false;
	r = listener_add(listener, connection->pidfd, tag_of(listener, connection) | TAG_PROCESS);
	if (r == 0 || r == -EEXIST)
		return true;
	(void)pidfd_send_signal(connection->pidfd, SIGKILL, NULL, 0); /* nobody would see its end */
	return false;
}

static void end_of_file(struct listener *listener, struct connection *connection)
{
	if (connection->state == CONNECTION_HANDED) {
		/* The template could not fork, or died: another attempt follows. */
		connection_return(listener, connection);
		connection->ask_at = 0;
		return;
	}
	settle(listener, connection);
	connection->ask_at = 0;
	if (lives_on(listener, connection))
		listener_forget(listener, &connection->control);
	else
		release(listener, connection);
}

void connection_event(struct listener *listener, struct connection *connection)
{
	while (connection->control >= 0) {
		struct control message;
		cleanup_fd int fd = -1;
		int r = control_recv(connection->control, &message, &fd);

		if (r == -EAGAIN)
			return;
		if (r == 0)
			handle(listener, connection, &message, &fd);
		else
			end_of_file(listener, connection);
	}
}

/* Lets an answer through when it is its turn. */
static void grant(struct listener *listener, struct connection *connection, int64_t now)
{
	int64_t wait = admission_ask(&listener->admission, connection->witness.peer.uid,
				     connection->serial, now);

	if (wait) { /* INT64_MAX: until another result comes, which makes a turn of its own */
		connection->ask_at = wait == INT64_MAX ? DEADLINE_NONE : wait;
		return;
	}
	connection->ask_at = 0;
	(void)control_tell_now(connection->control, CONTROL_GRANT); /* else its end is seen */
}

/*
 * It has outlived its time, and did not end by itself.  One that does not even
 * die, stuck in the kernel, is recorded after a moment; its place stays taken.
 */
static void kill_session(struct listener *listener, struct connection *connection)
{
	connection->deadline = DEADLINE_NONE;
	if (!connection->witness.lost)
		connection->witness.lost = WITNESS_OUTLIVED_TIME;
	if (!connection->killed) {
		(void)pidfd_send_signal(connection->pidfd, SIGKILL, NULL, 0); /* or gone already */
		connection->killed = true;
		connection->deadline = deadline_after(DIE_MS);
	} else {
		settle(listener, connection);
	}
}

static void expire(struct listener *listener, struct connection *connection)
{
	switch (connection->state) {
	case CONNECTION_WAITING:
	case CONNECTION_HANDED:
		listener_forget(listener, &connection->control);
		connection_refuse(listener, connection,
				  "busy: no session could be started in time");
		break;
	case CONNECTION_REFUSED:
		connection_refuse(listener, connection, connection->refusal);
		break;
	case CONNECTION_PENDING:
	case CONNECTION_OPEN:
		kill_session(listener, connection);
		break;
	case CONNECTION_FREE:
		break;
	}
}

void connection_timers(struct listener *listener, struct connection *connection, int64_t now)
{
	if (connection->state == CONNECTION_FREE)
		return;
	if (connection->ask_at && connection->ask_at <= now)
		grant(listener, connection, now);
	if (connection->state == CONNECTION_WAITING)
		connection_hand(listener, connection);
	if (connection->record_at && connection->record_at <= now)
		write_record(listener, connection);
	if (connection->state != CONNECTION_FREE && deadline_passed(connection->deadline))
		expire(listener, connection);
}

int64_t connection_next(const struct connection *connection)
{
	int64_t next = connection->deadline;

	if (connection->state == CONNECTION_FREE)
		return DEADLINE_NONE;
	if (connection->ask_at > 0)
		next = deadline_earlier(next, connection->ask_at);
	if (connection->record_at)
		next = deadline_earlier(next, connection->record_at);
	return next;
}
