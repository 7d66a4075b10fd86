/*
 * auth - one PAM transaction: authenticate, account, credentials, session.
 *
 * The order of calls is the caller's (session.c), the rules within each phase
 * are here.  Functions return 0, or a negative errno with *fault filled; what
 * the fault tells the client before authentication has succeeded is never more
 * than that it failed.  Each phase has a deadline (watchdog.h).
 */
#pragma once

#include "account.h"
#include "config.h"
#include "conversation.h"
#include "fault.h"
#include "watchdog.h"

#include <security/pam_appl.h>
#include <stdbool.h>

struct auth {
	pam_handle_t *pamh; /* owned from auth_init() on */
	const struct config *config;
	struct watchdog *watchdog;
	struct conversation conversation;
	int control;	   /* the listener, -1 for none; borrowed */
	unsigned delay_ms; /* asked for by the modules of the last failed attempt */
	bool established;  /* credentials are to be deleted */
	bool opened;	   /* the session is to be closed */
	int last;	   /* PAM code of the last phase, for pam_end(3) */
	pid_t self;	   /* this process: a module's child is another */
	uid_t ids[3];	   /* real, effective and saved uid, which are to stay */
	bool ids_changed;  /* a module has changed them, which is a refusal */
};

struct auth_input {
	pam_handle_t *pamh; /* from the template; taken over on success and failure */
	const struct config *config;
	struct watchdog *watchdog;
	int conn;
	int control;
	bool forbidden;		 /* the client forbids prompts */
	const char *asked;	 /* the line before the first prompt; must outlive auth */
	const char *remote_user; /* PAM_RUSER; NULL for none */
	const char *tty;	 /* PAM_TTY; NULL for none */
	char *const *dive;	 /* DIVE_* for PAM's environment */
};

/* Prepares the transaction.  The struct must not move afterwards (PAM holds its address). */
int auth_init(const struct auth_input *input, struct auth *ret, struct fault *fault);

/* Asks for the credentials of `user`, as often as --auth-tries allows. */
int auth_authenticate(struct auth *auth, const char *user, struct fault *fault);

/*
 * Account management for the account that was asked (NULL when none was) and,
 * where it is another, for the target; changes an expired password of the asked
 * account.  `lenient` (a root client) makes an expired password of the target a note.
 */
int auth_account(struct auth *auth, const char *asked, const char *target, bool lenient,
		 struct fault *fault);

/* Groups, credentials and session of the target.  What a failure leaves, auth_close() undoes. */
int auth_open(struct auth *auth, const struct account *target, struct fault *fault);

/* Checks that no module has changed the user, or this process's own ids, meanwhile. */
int auth_check_user(struct auth *auth, const char *user, enum message_layer layer,
		    struct fault *fault);

/*
 * Undoes in reverse what was opened and ends the transaction; accepts a zeroed
 * or closed struct.  `exited` is what the client is told if a module hangs now;
 * NULL when it has not been started.
 * Return: 0; -EIO when a module failed, with *fault filled for the log.
 */
int auth_close(struct auth *auth, const struct message_exited *exited, struct fault *fault);
