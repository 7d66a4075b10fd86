/*
 * relay - from the start of the program to its end.
 *
 * Forwards signals, stops and continues together with the program, and waits for
 * what DIVE_WAITMODE says.  Data is not relayed, since the program has dive's own
 * descriptors, except between the user's terminal and a new one (terminal.h).
 */
#pragma once

#include "config.h"
#include "failure.h"
#include "message.h"
#include "request.h"
#include "signals.h"

enum outcome_kind { OUTCOME_STATUS, OUTCOME_SIGNAL };

/* How the program ended, and so dive. */
struct outcome {
	enum outcome_kind kind;
	int value; /* exit status, or signal number */
};

/* What is waited for. */
struct relay_wait {
	enum message_wait mode;
	bool server_waits; /* EXITED will come */
};

/*
 * What to wait for, given what was asked for and what the server does.  A
 * server that does not wait turns mode 0 into mode 2; the caller warns.
 */
struct relay_wait relay_wait(enum message_wait asked, const struct message_started *started);

/* What is watched besides the connection. */
struct relay_ends {
	int holders; /* read end of the pipe whose write end the program's side holds; borrowed */
	int master;  /* of the program's new terminal; taken over; -1 for none */
	struct terminal_start begun; /* how that has begun */
};

/**
 * relay_run() - wait for the program
 * @hold: the signals to forward, held back on entry; an empty set leaves all
 *        signals their default actions, and takes no part in the program's stops
 * @sock: the connection; taken over, closed on return
 *
 * While the connection lives, signals are forwarded (signals_forwardable());
 * once it does not, as with a server that does not wait, they act on dive.
 * An end that the server cannot tell counts as status 0.
 *
 * Return: 0; FAILED.
 */
int relay_run(struct relay_wait wait, const struct signals_hold *hold, int sock,
	      struct relay_ends ends, struct outcome *ret, struct failure *failure);
