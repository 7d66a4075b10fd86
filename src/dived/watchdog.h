/*
 * watchdog - ends a session whose PAM module, or name service, does not return.
 *
 * A module runs in the session's own process and may hang where no poll loop
 * looks.  While a phase runs, a timer stands over it; when it expires, a signal
 * handler sends the client a packet made beforehand, tells the listener which
 * phase hung, and exits.  The handler makes async-signal-safe calls only.
 *
 * A module that blocks signals escapes it; the listener, told how long the
 * phase may last (CONTROL_LIMIT), then kills the session.
 */
#pragma once

#include "control.h"
#include "message.h"

#include <signal.h>
#include <time.h>

enum phase {
	PHASE_NONE,
	PHASE_NAMES, /* not PAM's: name services, which may hang as well */
	PHASE_AUTHENTICATE,
	PHASE_ACCOUNT,
	PHASE_PASSWORD,
	PHASE_CREDENTIALS,
	PHASE_OPEN,
	PHASE_CLOSE,
	PHASE_END,
};

#define WATCHDOG_GRACE_S 5 /* between our own deadline, the watchdog's, and the listener's */

struct watchdog {
	timer_t timer;
	bool ready;  /* the timer exists */
	int conn;    /* borrowed; -1 when the client is gone */
	int control; /* of a listener or a recorder; borrowed; -1 for none */
	struct control hung;
	size_t last_len; /* bytes of `last` */
	unsigned char last[sizeof(struct packet_header) + sizeof(struct message_refused) + 256];
};

/*
 * Makes the timer and installs the handler.  The struct must stay where it is
 * until watchdog_done().  Return: 0 or -errno.
 */
int watchdog_init(int conn, int control, struct watchdog *ret);
void watchdog_done(struct watchdog *watchdog);

/* Arms for a phase; on expiry the client is told that the phase timed out. */
int watchdog_arm(struct watchdog *watchdog, enum phase phase, unsigned seconds);

/* The same, but on expiry the client gets this EXITED: its program has ended. */
int watchdog_arm_exited(struct watchdog *watchdog, enum phase phase, unsigned seconds,
			const struct message_exited *exited);

void watchdog_disarm(struct watchdog *watchdog);

/* Returns what is said of a phase that hung, to the client and in the record. */
const char *phase_hung(enum phase phase);
