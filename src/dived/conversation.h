/*
 * conversation - a PAM conversation carried to the client and back.
 *
 * Prompts and messages of modules become PROMPT and NOTE packets; answers are
 * waited for in a poll loop that sees the deadline and the client going away.
 * Once anything but an answer has come, every further question of any module
 * fails at once: a module that ignores its conversation's failure gains nothing.
 */
#pragma once

#include "message.h"

#include <security/pam_appl.h>
#include <stdbool.h>
#include <stdint.h>

#define CONVERSATION_PROMPTS_MAX 16 /* an attempt */
#define CONVERSATION_NOTES_MAX	 64 /* a session; more are dropped */

enum conversation_outcome {
	CONVERSATION_FINE,
	CONVERSATION_FORBIDDEN, /* the client asked not to be prompted */
	CONVERSATION_CANCELLED, /* the user gave no answer */
	CONVERSATION_GONE,	/* the client disconnected or broke the protocol */
	CONVERSATION_LATE,	/* the deadline passed */
	CONVERSATION_FLOOD,	/* too many prompts */
	CONVERSATION_FAILED,	/* out of memory, a kind of prompt nobody can answer */
};

struct conversation {
	int sock;	  /* the client; borrowed; -1: notes go to standard error, nobody answers */
	int control;	  /* the listener; borrowed; -1 for none */
	int64_t deadline; /* for answers */
	bool forbidden;	  /* refuse instead of prompting */
	bool mute;	  /* send nothing any more: the client waits for EXITED */
	const char *asked; /* line sent before the first prompt; borrowed */
	bool asked_sent;
	bool tried;	  /* an answer of this attempt has been let through to a module */
	unsigned prompts; /* of this attempt */
	unsigned notes;
	enum conversation_outcome outcome;
};

/* A struct pam_conv function; appdata_ptr is a struct conversation. */
int conversation_run(int count, const struct pam_message **messages, struct pam_response **ret,
		     void *appdata);

/*
 * Shows a line at the client.  Losing one is no failure: that the client has
 * gone is found out soon enough.
 */
void conversation_note(struct conversation *conversation, enum message_note_kind kind,
		       const char *text);

/* A new attempt begins: prompts are counted anew. */
void conversation_restart(struct conversation *conversation);

/*
 * Waits until `until` (deadline.h) or until the client is gone.  What the
 * client sends meanwhile is held against the protocol and otherwise dropped.
 * Return: 0 the time has come; -EPIPE the client is gone.
 */
int conversation_wait(struct conversation *conversation, int64_t until);

/* The outcome in words fit for client and record. */
const char *conversation_reason(enum conversation_outcome outcome);
