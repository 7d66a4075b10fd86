/*
 * attack - guessing a password as fast as a gateway lets one.
 *
 * Each way is tried by alice against one gateway whose service asks for a code,
 * counts failures with pam_faillock and asks for a delay after each.  What was tried
 * is known from the module that saw the answers (probe.h), what was counted from the
 * tally, and how far apart the answers came from the module's clock.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include "gateway.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTACK_SERVICE "attacked"
#define ATTACK_RIGHT   "right" /* the answer that opens */

struct attack_way {
	const char *name;
	void (*run)(const struct gateway *gateway, unsigned count, const char *login_uid);
	bool certain; /* each answer reaches the module, so that as many are tried as are sent */
};

extern const struct attack_way attack_ways[];
extern const unsigned attack_way_count;

struct attack_figures {
	unsigned answers;  /* wrong ones that a module saw */
	unsigned calls;	   /* of pam_authenticate(3), each of which failed */
	unsigned tally;	   /* of pam_faillock */
	unsigned records;  /* dive:refuse and dive:lost in the log */
	int64_t shortest;  /* between two answers, ms; -1 for fewer than two */
	int64_t lasted_ms; /* from the first answer to the last */
};

/*
 * Writes the service, with a delay in milliseconds (of which libpam takes at least
 * half), and starts a gateway to bob with it.  Release with gateway_stop().
 */
void attack_start(struct gateway *ret, unsigned delay_ms);

/*
 * Forgets, tries `count` wrong answers in one way, waits until all sessions have ended,
 * and tells what came of it.  `login_uid` is alice's, for the audit trail.
 */
void attack_run(struct gateway *gateway, const struct attack_way *way, unsigned count,
		const char *login_uid, struct attack_figures *ret);
