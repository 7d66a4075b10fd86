/*
 * witness - what is known of a session from outside, and the record of its loss.
 */
#include "witness.h"

#include "cleanup.h"
#include "log.h"
#include "watchdog.h"

#include <stdio.h>

void witness_release(struct witness *witness)
{
	close_fd(&witness->peer.pidfd);
}

void witness_hear(struct witness *witness, const struct control *message)
{
	switch (message->type) {
	case CONTROL_FACTS:
		witness->peer.login_uid = message->login_uid;
		close_fd(&witness->peer.pidfd); /* nothing is left to be found out */
		(void)snprintf(witness->id, sizeof(witness->id), "%s", message->id);
		(void)snprintf(witness->account, sizeof(witness->account), "%s", message->account);
		break;
	case CONTROL_VERDICT:
		witness->admitted = true;
		break;
	case CONTROL_HUNG:
		witness->lost = phase_name((enum phase)message->value);
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

bool witness_owes(const struct witness *witness, const char *gateway)
{
	if (witness->done)
		return false;
	if (witness->recorded)
		log_warning("%s: id=%s uid=%u: the session was lost (%s), and PAM has not been "
			    "closed",
			    gateway, witness->id, witness->peer.uid, witness_reason(witness));
	return !witness->recorded;
}

void witness_write(struct witness *witness, enum config_audit mode, const char *gateway)
{
	const struct audit_facts facts = {
		.id = witness->id, /* filled below, if need be */
		.gateway = gateway,
		.account = witness->account[0] ? witness->account : NULL,
		.peer = &witness->peer,
	};
	struct audit audit;

	if (witness->peer.pidfd >= 0)
		peer_read_process(&witness->peer); /* or it has gone */
	if (witness->id[0] == '\0')
		(void)audit_new_id(witness->id);	    /* or there is none */
	(void)audit_set_login_uid(witness->peer.login_uid); /* else the record says dived's own */
	if (audit_init(mode, &audit))
		return;
	audit_lost(&audit, &facts, !witness->admitted, witness_reason(witness));
	audit_done(&audit);
}
