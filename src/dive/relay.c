/*
 * From the start of the program to its end.
 *
 * Signals are forwarded by number and decided upon by the server; dive takes
 * none of them itself, or ^C would end dive before a program that catches it.
 * Stopping is the program's decision too: ^Z is forwarded, and only when the
 * server reports the stop does dive stop, so that the shell sees one job.
 * SIGSTOP is used for that, which no disposition and no orphaned process group
 * turns into nothing.
 *
 * The end of the pipe tells when the last process holding its write end is
 * gone, with no help of the server: the kernel counts.
 */
#include "relay.h"

#include "cleanup.h"
#include "deadline.h"
#include "server.h"
#include "signals.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

struct relay {
	struct relay_wait wait;
	bool forwards;
	int sock;    /* -1 once closed */
	int holders; /* borrowed; -1 once at its end, or when not waited for */
	struct signals_watch watch;
	bool ended; /* EXITED has come, or never will */
	struct outcome outcome;
};

struct relay_wait relay_wait(enum message_wait asked, const struct message_started *started)
{
	struct relay_wait wait = {
		.mode = asked,
		.server_waits = (started->flags & MESSAGE_STARTED_NO_WAIT) == 0,
	};

	if (asked == MESSAGE_WAIT_EXIT && !wait.server_waits)
		wait.mode = MESSAGE_WAIT_HOLDERS;
	return wait;
}

/* Without the connection there is nobody to forward to: signals act on dive again. */
static void disconnect(struct relay *relay)
{
	close_fd(&relay->sock);
	signals_unwatch(&relay->watch);
}

static int send_number(struct relay *relay, enum message_type type, uint32_t number,
		       struct failure *failure)
{
	/* Both packets are one number. */
	struct message_signal body = { .number = number };
	int err;

	static_assert(sizeof(struct message_signal) == sizeof(struct message_continue),
		      "both are one number");
	err = message_send(relay->sock, deadline_after(SERVER_SEND_MS), type, &body, sizeof(body),
			   NULL, 0, NULL, 0);
	/* If the server has gone, its last message is still to be read, and tells more. */
	if (err == 0 || err == -EPIPE || err == -ECONNRESET)
		return 0;
	return failure_set(failure, STATUS_DROPPED,
			   "connection: the server does not take a signal: %s", strerror(-err));
}

static bool in_foreground(void)
{
	cleanup_fd int tty = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return tty < 0 || tcgetpgrp(tty) == getpgrp();
}

static int forward_signal(struct relay *relay, struct failure *failure)
{
	int number = signals_take(&relay->watch);

	if (number == 0)
		return 0;
	return send_number(relay, MESSAGE_SIGNAL, (uint32_t)number, failure);
}

/* Stops with the program; CONTINUE stands for the SIGCONT that ended the stop. */
static int stop(struct relay *relay, const struct packet *packet, struct failure *failure)
{
	struct message_stopped stopped;

	if (message_get_stopped(packet, &stopped) != 0)
		return server_confused(failure, "a malformed stop");
	if (!relay->forwards)
		return 0;
	signals_stop(SIGSTOP);
	return send_number(relay, MESSAGE_CONTINUE, in_foreground(), failure);
}

static int note_end(struct relay *relay, const struct packet *packet, struct failure *failure)
{
	struct message_exited exited;

	if (relay->ended || message_get_exited(packet, &exited) != 0)
		return server_confused(failure, "an end that makes no sense");
	relay->ended = true;
	relay->outcome = (struct outcome){
		.kind = exited.kind == MESSAGE_EXIT_SIGNAL ? OUTCOME_SIGNAL : OUTCOME_STATUS,
		.value = (int)exited.value,
	};
	return 0;
}

static int hear_server(struct relay *relay, struct failure *failure)
{
	struct packet packet = { 0 };
	int err = server_recv(relay->sock, MESSAGE_STATE_RUNNING, &packet, failure);

	if (err == -EPIPE) {
		disconnect(relay);
		return relay->ended ? 0 : server_dropped(failure);
	}
	if (err != 0)
		return err;
	if (packet.head.type == MESSAGE_STOPPED)
		err = stop(relay, &packet, failure);
	else if (packet.head.type == MESSAGE_EXITED)
		err = note_end(relay, &packet, failure);
	else
		err = server_confused(failure, "an unexpected message");
	packet_done(&packet);
	return err;
}

/* Nobody writes to the pipe on purpose; what somebody writes is thrown away. */
static void hear_holders(struct relay *relay)
{
	char ignored[512];
	ssize_t got = read(relay->holders, ignored, sizeof(ignored));

	if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
		relay->holders = -1;
}

static int wait_once(struct relay *relay, struct failure *failure)
{
	struct pollfd watched[] = {
		{ .fd = relay->watch.fd, .events = POLLIN },
		{ .fd = relay->sock, .events = POLLIN },
		{ .fd = relay->holders, .events = POLLIN },
	};

	if (poll(watched, ARRAY_LEN(watched), -1) < 0) {
		if (errno == EINTR)
			return 0;
		return failure_set(failure, STATUS_FAILURE, "system: cannot wait: %s",
				   strerror(errno));
	}
	if (watched[0].revents != 0 && forward_signal(relay, failure) != 0)
		return FAILED;
	if (watched[1].revents != 0 && hear_server(relay, failure) != 0)
		return FAILED;
	if (watched[2].revents != 0)
		hear_holders(relay);
	return 0;
}

static int begin(struct relay *relay, const struct signals_hold *hold, struct failure *failure)
{
	int err;

	if (!relay->forwards)
		return 0;
	err = signals_watch(&hold->set, &relay->watch);
	if (err != 0)
		return failure_set(failure, STATUS_FAILURE, "system: cannot catch signals: %s",
				   strerror(-err));
	relay->watch.mask = hold->open; /* they are held back already */
	return 0;
}

int relay_run(struct relay_wait wait, const struct signals_hold *hold, int sock, int holders,
	      struct outcome *ret, struct failure *failure)
{
	struct relay relay = {
		.wait = wait,
		.forwards = sigisemptyset(&hold->set) == 0,
		.sock = sock,
		.holders = wait.mode == MESSAGE_WAIT_HOLDERS ? holders : -1,
		.watch = { .fd = -1 },
		.ended = !wait.server_waits,
		.outcome = { .kind = OUTCOME_STATUS, .value = 0 },
	};
	int err = 0;

	if (wait.mode != MESSAGE_WAIT_START) {
		err = begin(&relay, hold, failure);
		while (err == 0 && (!relay.ended || relay.holders >= 0))
			err = wait_once(&relay, failure);
	}
	close_fd(&relay.sock);
	/* A signal that came after the end has nobody left to go to, and must not replace
	   the outcome: it stays blocked. */
	close_fd(&relay.watch.fd);
	if (err != 0)
		return err;
	*ret = relay.outcome;
	return 0;
}
