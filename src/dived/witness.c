/*
 * witness - what is known of a session from outside, and the record of its loss.
 */
#include "witness.h"

#include "cleanup.h"
#include "deadline.h"
#include "log.h"
#include "process.h"
#include "watchdog.h"

#include <stdio.h>

void witness_release(struct witness *witness)
{
	close_fd(&witness->peer.pidfd);
	close_fd(&witness->program);
}

void witness_hear(struct witness *witness, const struct control *message, int *fd)
{
	switch (message->type) {
	case CONTROL_FACTS:
		witness->peer.login_uid = message->login_uid;
		witness->peer.known = message->value != 0;
		close_fd(&witness->peer.pidfd); /* nothing is left to be found out */
		(void)snprintf(witness->id, sizeof(witness->id), "%s", message->id);
		(void)snprintf(witness->account, sizeof(witness->account), "%s", message->account);
		break;
	case CONTROL_PROGRAM:
		if (!witness->spawned)
			witness->started = deadline_now();
		witness->spawned = true;
		close_fd(&witness->program);
		witness->program = take_fd(fd);
		break;
	case CONTROL_VERDICT:
		witness->admitted = true;
		break;
	case CONTROL_HUNG:
		witness->lost = phase_hung((enum phase)message->value);
		break;
	case CONTROL_RECORDED:
		witness->recorded = true;
		break;
	case CONTROL_DONE:
		witness->done = true;
		break;
	default:
		break;
	}
}

const char *witness_reason(const struct witness *witness)
{
	return witness->lost ? witness->lost : "died";
}

static const char *tell_program(const struct witness *witness)
{
	if (!witness->spawned)
		return "none";
	if (witness->program < 0)
		return "unknown";
	return witness->running ? "running" : "ended";
}

bool witness_owes(struct witness *witness, const char *gateway)
{
	if (witness->done)
		return false;
	if (witness->recorded)
		log_warning("%s: id=%s uid=%u: the session was lost (%s), and PAM has not been "
			    "closed",
			    gateway, witness->id, witness->peer.uid, witness_reason(witness));
	witness->running =
		!witness->recorded && witness->program >= 0 && process_lives(witness->program);
	return !witness->recorded;
}

void witness_write(struct witness *witness, enum config_audit mode, const char *gateway)
{
	struct audit_facts facts = {
		.id = witness->id, /* filled below, if need be */
		.gateway = gateway,
		.account = witness->account[0] ? witness->account : NULL,
		.peer = &witness->peer,
	};
	const struct audit_exit end = {
		.unknown = true,
		.duration_ms = deadline_now() - witness->started,
	};
	struct audit audit;

	if (witness->peer.pidfd >= 0)
		peer_read_process(&witness->peer); /* or it has gone */
	if (witness->id[0] == '\0')
		(void)audit_new_id(witness->id); /* or there is none */
	/* Else the record says dived's own. */
	facts.login_uid_kept =
		audit_set_login_uid(witness->peer.login_uid) == 0 && witness->peer.known;
	(void)audit_init(mode, &audit); /* or there is syslog */
	if (witness->outlived)
		audit_exit(&audit, &facts, &end);
	else
		audit_lost(&audit, &facts, !witness->admitted, tell_program(witness),
			   witness_reason(witness));
	audit_done(&audit);
}
