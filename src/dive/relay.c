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
#include "terminal.h"

#include <poll.h>
#include <string.h>

struct relay {
	struct relay_wait wait;
	bool forwards;
	int sock;    /* -1 once closed */
	int holders; /* borrowed; -1 once at its end, or when not waited for */
	struct signals_watch watch;
	struct terminal terminal;
	bool relays; /* there is a new terminal, and bytes to be carried */
	bool halted; /* the program has stopped, and dive could not */
	bool told;   /* a signal has been forwarded since the program was last told to go on */
	int dying;   /* the signal dive is to end by, or 0 */
	bool ended;  /* EXITED has come, or never will */
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
	if (!relay->relays) /* else only when the user's terminal is as it was */
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
	cleanup_fd int tty = terminal_find();

	return tty < 0 || tcgetpgrp(tty) == getpgrp();
}

/* dive has been continued, or never stopped: the program goes on in the same way. */
static int resume(struct relay *relay, bool continued, struct failure *failure)
{
	bool taken;

	/* What was written in the background is without line ends of its own. */
	terminal_drain(&relay->terminal, relay->watch.fd);
	taken = terminal_take(&relay->terminal);
	terminal_resize(&relay->terminal); /* while dive was stopped nobody said so */
	/* In the background of a shell without job control, where nothing stops, a program
	   that was told to go on would only ask for the keyboard again. */
	relay->halted = !taken && !continued;
	if (relay->halted && terminal_is_gone(&relay->terminal))
		relay->dying = SIGHUP; /* the keyboard that it waits for will never be there */
	/* A signal that came meanwhile is not taken before it goes on. */
	if (relay->halted && !relay->told)
		return 0;
	relay->told = false;
	return send_number(relay, MESSAGE_CONTINUE, taken, failure);
}

/* Stops the job that dive is part of; the shell finds its terminal as it was. */
static int stop_job(struct relay *relay, int number, struct failure *failure)
{
	terminal_drain(&relay->terminal, relay->watch.fd);
	terminal_release(&relay->terminal);
	return resume(relay, signals_stop_group(number), failure);
}

/* The program has stopped in its new terminal. */
static int stop_relaying(struct relay *relay, int number, struct failure *failure)
{
	if (number != SIGTTIN && number != SIGTTOU)
		return stop_job(relay, number == SIGSTOP ? SIGSTOP : SIGTSTP, failure);
	/* It asks for the keyboard, in the background of its terminal. */
	relay->terminal.wanted = true;
	terminal_drain(&relay->terminal, relay->watch.fd); /* as in resume() */
	if (terminal_take(&relay->terminal))
		return send_number(relay, MESSAGE_CONTINUE, true, failure);
	return stop_job(relay, number, failure);
}

/* A program that has stopped dies of nothing but SIGKILL before it goes on. */
static int forward(struct relay *relay, int number, struct failure *failure)
{
	int err = send_number(relay, MESSAGE_SIGNAL, (uint32_t)number, failure);

	relay->told = number != SIGTSTP && !relay->halted;
	if (err == 0 && relay->halted && number != SIGTSTP)
		err = send_number(relay, MESSAGE_CONTINUE, false, failure);
	return err;
}

/* Signals that are about the terminal, and those that dive takes itself. */
static int take_signal(struct relay *relay, int number, struct failure *failure)
{
	if (number == SIGWINCH) {
		terminal_resize(&relay->terminal);
		return 0;
	}
	if (number == SIGCONT) /* the terminal's modes are the shell's now */
		return resume(relay, true, failure);
	if (relay->forwards && !signals_is_fault(number))
		return forward(relay, number, failure);
	if (number == SIGTSTP)
		return stop_job(relay, number, failure);
	if (number != SIGURG) /* which by default does nothing */
		relay->dying = number;
	return 0;
}

static int forward_signal(struct relay *relay, struct failure *failure)
{
	int number = signals_take(&relay->watch);

	if (number == 0)
		return 0;
	if (relay->relays)
		return take_signal(relay, number, failure);
	return send_number(relay, MESSAGE_SIGNAL, (uint32_t)number, failure);
}

/* Stops with the program; CONTINUE stands for the SIGCONT that ended the stop. */
static int stop(struct relay *relay, const struct packet *packet, struct failure *failure)
{
	struct message_stopped stopped;

	if (message_get_stopped(packet, &stopped) != 0)
		return server_confused(failure, "a malformed stop");
	if (relay->relays)
		return stop_relaying(relay, (int)stopped.signal, failure);
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
	struct pollfd watched[3 + TERMINAL_POLLS] = {
		{ .fd = relay->watch.fd, .events = POLLIN },
		{ .fd = relay->sock, .events = POLLIN },
		{ .fd = relay->holders, .events = POLLIN },
	};

	for (size_t i = 3; i < ARRAY_LEN(watched); i++)
		watched[i].fd = -1;
	if (relay->relays)
		terminal_prepare(&relay->terminal, watched + 3);
	if (poll(watched, ARRAY_LEN(watched), -1) < 0) {
		if (errno == EINTR)
			return 0;
		return failure_set(failure, STATUS_FAILURE, "system: cannot wait: %s",
				   strerror(errno));
	}
	if (relay->relays)
		terminal_serve(&relay->terminal, watched + 3);
	if (watched[0].revents != 0 && forward_signal(relay, failure) != 0)
		return FAILED;
	if (watched[1].revents != 0 && hear_server(relay, failure) != 0)
		return FAILED;
	if (watched[2].revents != 0)
		hear_holders(relay);
	return 0;
}

/* With a new terminal signals are caught in any case, to put the user's back before dying. */
static int begin(struct relay *relay, const struct signals_hold *hold, struct failure *failure)
{
	sigset_t set = hold->set;
	int err;

	if (!relay->forwards && !relay->relays)
		return 0;
	if (!relay->forwards)
		signals_forwardable(&set);
	if (relay->relays)
		signals_add_faults(&set);
	err = signals_watch(&set, &relay->watch);
	if (err != 0)
		return failure_set(failure, STATUS_FAILURE, "system: cannot catch signals: %s",
				   strerror(-err));
	relay->watch.mask = hold->open; /* they are held back already */
	return 0;
}

static int begin_relaying(struct relay *relay, const struct relay_ends *ends,
			  struct failure *failure)
{
	int err = terminal_open(ends->master, &ends->begun, &relay->terminal);

	if (err != 0)
		return failure_set(failure, STATUS_FAILURE, "terminal: cannot be relayed: %s",
				   strerror(-err));
	(void)terminal_take(&relay->terminal); /* in the background it waits */
	return 0;
}

/* By default these do not end a process, and stopping is for a job that goes on. */
static bool is_harmless(int number)
{
	return number == SIGWINCH || number == SIGCONT || number == SIGURG || number == SIGTSTP;
}

/* The program's last words: waited for as long as nobody wants dive to end. */
static void drain_last(struct relay *relay)
{
	do
		terminal_drain(&relay->terminal, relay->watch.fd);
	while (is_harmless(signals_take(&relay->watch)));
}

int relay_run(struct relay_wait wait, const struct signals_hold *hold, int sock,
	      struct relay_ends ends, struct outcome *ret, struct failure *failure)
{
	struct relay relay = {
		.wait = wait,
		.forwards = sigisemptyset(&hold->set) == 0,
		.sock = sock,
		.holders = wait.mode == MESSAGE_WAIT_HOLDERS ? ends.holders : -1,
		.watch = { .fd = -1 },
		.terminal = TERMINAL_EMPTY,
		.ended = !wait.server_waits,
		.outcome = { .kind = OUTCOME_STATUS, .value = 0 },
	};
	int err = 0;

	relay.relays = ends.master >= 0;
	if (wait.mode != MESSAGE_WAIT_START) {
		err = begin(&relay, hold, failure);
		if (err == 0 && relay.relays)
			err = begin_relaying(&relay, &ends, failure);
		while (err == 0 && relay.dying == 0 && (!relay.ended || relay.holders >= 0))
			err = wait_once(&relay, failure);
	}
	if (relay.terminal.master >= 0)
		drain_last(&relay);
	terminal_close(&relay.terminal);
	close_fd(&relay.sock);
	/* A signal that came after the end has nobody left to go to, and must not replace
	   the outcome: it stays blocked. */
	close_fd(&relay.watch.fd);
	if (err != 0)
		return err;
	*ret = relay.outcome;
	if (relay.dying != 0)
		*ret = (struct outcome){ .kind = OUTCOME_SIGNAL, .value = relay.dying };
	return 0;
}
