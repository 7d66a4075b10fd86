/*
 * auth - PAM, phase by phase.
 *
 * pam_authenticate(3) must say PAM_SUCCESS and nothing else does: there is no
 * variable here that a failed call leaves "true".  After a failed
 * authentication pam_acct_mgmt(3) is never called, because pam_faillock's
 * account part resets the tally.
 *
 * The delay after a wrong password is ours (PAM_FAIL_DELAY): libpam would sleep
 * in the middle of the call, deaf to the deadline.  The listener hears of it
 * before it is served, so that a client that leaves meanwhile still pays.
 */
#include "auth.h"

#include "cleanup.h"
#include "deadline.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Called by libpam at the end of pam_authenticate(3) instead of sleeping. */
static void record_delay(int result, unsigned microseconds, void *appdata)
{
	struct conversation *conversation = appdata;
	struct auth *auth =
		(struct auth *)(void *)((char *)conversation - offsetof(struct auth, conversation));

	auth->delay_ms = result == PAM_SUCCESS ? 0 : microseconds / 1000;
}

/*
 * What every call of libpam ends with.  A module that forks and comes back twice has
 * made a second session, with the same client and the same verdict: only the first is
 * one.  And with other ids than root's the client could kill this process, so those
 * that a module has left behind are put back, as far as that is possible.
 */
static void returned(struct auth *auth, int code)
{
	uid_t now[3];

	if (getpid() != auth->self)
		_exit(1);
	auth->last = code;
	if (getresuid(&now[0], &now[1], &now[2]) == 0 && memcmp(now, auth->ids, sizeof(now)) == 0)
		return;
	auth->ids_changed = true;
	(void)!setresuid(auth->ids[0], auth->ids[1], auth->ids[2]); /* refused in any case */
}

/* libpam takes the delay function as a pointer to data, and PAM_CONV as a struct. */
static int set_items(struct auth *auth, const struct auth_input *input)
{
	struct pam_conv conv = { .conv = conversation_run, .appdata_ptr = &auth->conversation };
	void (*delay)(int, unsigned, void *) = record_delay;
	void *delay_item;
	int r = pam_set_item(auth->pamh, PAM_CONV, &conv);

	memcpy(&delay_item, &delay, sizeof(delay_item));
	if (r == PAM_SUCCESS)
		r = pam_set_item(auth->pamh, PAM_FAIL_DELAY, delay_item);
	if (r == PAM_SUCCESS)
		r = pam_set_item(auth->pamh, PAM_RUSER, input->remote_user);
	if (r == PAM_SUCCESS)
		r = pam_set_item(auth->pamh, PAM_TTY, input->tty);
	for (size_t i = 0; r == PAM_SUCCESS && input->dive && input->dive[i]; i++)
		r = pam_putenv(auth->pamh, input->dive[i]);
	return r;
}

int auth_init(const struct auth_input *input, struct auth *ret, struct fault *fault)
{
	*ret = (struct auth){
		.pamh = input->pamh,
		.config = input->config,
		.watchdog = input->watchdog,
		.conversation = { .sock = input->conn,
				  .control = input->control,
				  .forbidden = input->forbidden,
				  .asked = input->asked },
		.control = input->control,
		.self = getpid(),
	};
	(void)getresuid(&ret->ids[0], &ret->ids[1], &ret->ids[2]); /* cannot fail */
	ret->last = set_items(ret, input);
	if (ret->last != PAM_SUCCESS)
		return fault_set(fault, MESSAGE_LAYER_AUTHENTICATION, "pam_set_item", 0,
				 "authentication is not available");
	return 0;
}

static int set_user(struct auth *auth, const char *user, enum message_layer layer,
		    struct fault *fault)
{
	auth->last = pam_set_item(auth->pamh, PAM_USER, user);
	if (auth->last != PAM_SUCCESS)
		return fault_set(fault, layer, "PAM_USER", 0, "out of memory");
	return 0;
}

int auth_check_user(struct auth *auth, const char *user, enum message_layer layer,
		    struct fault *fault)
{
	const void *now = NULL;

	if (auth->ids_changed)
		return fault_set(fault, layer, "ids", 0,
				 "a PAM module changed the ids of the session");
	if (pam_get_item(auth->pamh, PAM_USER, &now) != PAM_SUCCESS || !now ||
	    strcmp(now, user) != 0)
		return fault_set(fault, layer, "PAM_USER", 0, "a PAM module changed the user");
	return 0;
}

/*
 * Tells the listener how an attempt ended and serves the delay.  Without a
 * listener nobody else holds back the next attempt, so the delay is served to
 * its end even when the client has gone.
 */
static void pay(struct auth *auth, int64_t deadline)
{
	int64_t cap = (int64_t)auth->config->auth_timeout * 1000;
	int64_t delay = auth->delay_ms < cap ? auth->delay_ms : cap;
	int64_t until = deadline_after(delay);

	/* 0 would say success */
	bool told = auth->control >= 0 && control_tell(auth->control, CONTROL_RESULT,
						       delay > 0 ? (uint32_t)delay : 1) == 0;
	if (told && conversation_wait(&auth->conversation, deadline_earlier(until, deadline)))
		return;
	if (!told)
		while (deadline_left(until) > 0)
			(void)poll(NULL, 0, deadline_left(until));
}

/* Whether asking once more makes sense: somebody answered, and wrongly. */
static bool may_retry(const struct auth *auth)
{
	return auth->conversation.outcome == CONVERSATION_FINE && auth->conversation.prompts > 0 &&
	       auth->last != PAM_MAXTRIES && auth->last != PAM_ABORT;
}

static int attempt(struct auth *auth, int64_t deadline)
{
	conversation_restart(&auth->conversation);
	auth->delay_ms = 0;
	returned(auth, pam_authenticate(auth->pamh, 0));
	if (auth->last == PAM_SUCCESS && auth->conversation.outcome == CONVERSATION_FINE) {
		if (auth->control >= 0)
			(void)control_tell(auth->control, CONTROL_RESULT, 0);
		return 0;
	}
	/* An attempt in which no answer reached a module, because the user left the
	   prompt or forbade it, tried nothing and costs nothing. */
	if (auth->conversation.tried || auth->conversation.outcome == CONVERSATION_FINE)
		pay(auth, deadline);
	return -EACCES;
}

int auth_authenticate(struct auth *auth, const char *user, struct fault *fault)
{
	int64_t deadline = deadline_after((int64_t)auth->config->auth_timeout * 1000);
	int r = set_user(auth, user, MESSAGE_LAYER_AUTHENTICATION, fault);

	if (r)
		return r;
	auth->conversation.deadline = deadline;
	if (watchdog_arm(auth->watchdog, PHASE_AUTHENTICATE,
			 auth->config->auth_timeout + WATCHDOG_GRACE_S))
		return fault_set(fault, MESSAGE_LAYER_AUTHENTICATION, "timer", EAGAIN,
				 "authentication is not available");
	r = -EACCES;
	for (unsigned try = 0; r && try < auth->config->auth_tries; try++) {
		r = attempt(auth, deadline);
		if (r && (!may_retry(auth) || deadline_passed(deadline)))
			break;
		if (r && try + 1 < auth->config->auth_tries)
			conversation_note(&auth->conversation, MESSAGE_NOTE_ERROR,
					  "authentication failed, try again");
	}
	watchdog_disarm(auth->watchdog);
	if (r)
		return fault_set(fault, MESSAGE_LAYER_AUTHENTICATION, "pam_authenticate", 0, "%s",
				 conversation_reason(auth->conversation.outcome));
	return auth_check_user(auth, user, MESSAGE_LAYER_AUTHENTICATION, fault);
}

static int refuse_account(struct fault *fault, const char *user, int code)
{
	const char *why;

	switch (code) {
	case PAM_ACCT_EXPIRED:
		why = "the account has expired";
		break;
	case PAM_NEW_AUTHTOK_REQD:
		why = "the password has expired; its owner must change it";
		break;
	case PAM_AUTHTOK_EXPIRED:
		why = "the password has expired";
		break;
	case PAM_PERM_DENIED:
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
		why = "not allowed by the PAM account rules";
		break;
	default:
		why = pam_strerror(NULL, code);
	}
	return fault_set(fault, MESSAGE_LAYER_ACCOUNT, "pam_acct_mgmt", 0, "account %s: %s", user,
			 why);
}

/* Answers in these phases prove nothing, so none needs the listener's leave. */
static void begin_later_phase(struct auth *auth)
{
	auth->conversation.deadline = deadline_after((int64_t)auth->config->auth_timeout * 1000);
	conversation_restart(&auth->conversation);
	auth->conversation.tried = true;
}

static int check_account(struct auth *auth, const char *user, struct fault *fault)
{
	if (watchdog_arm(auth->watchdog, PHASE_ACCOUNT,
			 auth->config->auth_timeout + WATCHDOG_GRACE_S))
		return fault_set(fault, MESSAGE_LAYER_ACCOUNT, "timer", EAGAIN, "out of timers");
	begin_later_phase(auth);
	returned(auth, pam_acct_mgmt(auth->pamh, 0));
	watchdog_disarm(auth->watchdog);
	return auth_check_user(auth, user, MESSAGE_LAYER_ACCOUNT, fault);
}

static int change_password(struct auth *auth, const char *user, struct fault *fault)
{
	if (watchdog_arm(auth->watchdog, PHASE_PASSWORD,
			 auth->config->auth_timeout + WATCHDOG_GRACE_S))
		return fault_set(fault, MESSAGE_LAYER_ACCOUNT, "timer", EAGAIN, "out of timers");
	begin_later_phase(auth);
	returned(auth, pam_chauthtok(auth->pamh, PAM_CHANGE_EXPIRED_AUTHTOK));
	watchdog_disarm(auth->watchdog);
	if (auth->last != PAM_SUCCESS)
		return fault_set(fault, MESSAGE_LAYER_ACCOUNT, "pam_chauthtok", 0,
				 "the password of %s has expired and was not changed", user);
	return auth_check_user(auth, user, MESSAGE_LAYER_ACCOUNT, fault);
}

/* The target was not asked for anything, so its password cannot be changed here. */
static int check_target(struct auth *auth, const char *target, bool lenient, struct fault *fault)
{
	int r = set_user(auth, target, MESSAGE_LAYER_ACCOUNT, fault);

	if (r == 0)
		r = check_account(auth, target, fault);
	if (r)
		return r;
	if (auth->last == PAM_NEW_AUTHTOK_REQD && lenient) {
		conversation_note(&auth->conversation, MESSAGE_NOTE_INFO,
				  "the password of the target account has expired");
		return 0;
	}
	return auth->last == PAM_SUCCESS ? 0 : refuse_account(fault, target, auth->last);
}

int auth_account(struct auth *auth, const char *asked, const char *target, bool lenient,
		 struct fault *fault)
{
	if (asked) {
		int r = check_account(auth, asked, fault);

		if (r)
			return r;
		if (auth->last == PAM_NEW_AUTHTOK_REQD)
			r = change_password(auth, asked, fault);
		else if (auth->last != PAM_SUCCESS)
			r = refuse_account(fault, asked, auth->last);
		if (r)
			return r;
		if (strcmp(asked, target) == 0)
			return 0;
	}
	return check_target(auth, target, lenient, fault);
}

static int phase_open(struct auth *auth, enum phase phase, struct fault *fault)
{
	bool open = phase == PHASE_OPEN;

	if (watchdog_arm(auth->watchdog, phase, auth->config->auth_timeout + WATCHDOG_GRACE_S))
		return fault_set(fault, MESSAGE_LAYER_SESSION, "timer", EAGAIN, "out of timers");
	returned(auth, open ? pam_open_session(auth->pamh, 0)
			    : pam_setcred(auth->pamh, PAM_ESTABLISH_CRED));
	watchdog_disarm(auth->watchdog);
	if (auth->last != PAM_SUCCESS)
		return fault_set(fault, MESSAGE_LAYER_SESSION,
				 open ? "pam_open_session" : "pam_setcred", 0, "%s: %s",
				 open ? "the PAM session cannot be opened"
				      : "PAM credentials cannot be established",
				 pam_strerror(auth->pamh, auth->last));
	return 0;
}

static int set_groups(struct auth *auth, const struct account *target, struct fault *fault)
{
	if (watchdog_arm(auth->watchdog, PHASE_NAMES,
			 auth->config->auth_timeout + WATCHDOG_GRACE_S))
		return fault_set(fault, MESSAGE_LAYER_SESSION, "timer", EAGAIN, "out of timers");
	int r = initgroups(target->name, target->gid);
	int error = errno;
	watchdog_disarm(auth->watchdog);
	return r ? fault_set(fault, MESSAGE_LAYER_SESSION, "initgroups", error,
			     "the groups of %s cannot be set", target->name)
		 : 0;
}

int auth_open(struct auth *auth, const struct account *target, struct fault *fault)
{
	int r = set_user(auth, target->name, MESSAGE_LAYER_SESSION, fault);

	if (r)
		return r;
	r = set_groups(auth, target, fault);
	if (r)
		return r;
	begin_later_phase(auth);
	r = phase_open(auth, PHASE_CREDENTIALS, fault);
	if (r)
		return r;
	auth->established = true;
	r = phase_open(auth, PHASE_OPEN, fault);
	if (r)
		return r;
	auth->opened = true;
	return auth_check_user(auth, target->name, MESSAGE_LAYER_SESSION, fault);
}

/* Arms for closing; without a timer a module that hangs is left to the listener. */
static void arm_close(struct auth *auth, const struct message_exited *exited)
{
	if (exited)
		(void)watchdog_arm_exited(auth->watchdog, PHASE_CLOSE, auth->config->auth_timeout,
					  exited);
	else
		(void)watchdog_arm(auth->watchdog, PHASE_CLOSE, auth->config->auth_timeout);
}

int auth_close(struct auth *auth, const struct message_exited *exited, struct fault *fault)
{
	int r = 0;

	if (!auth->pamh)
		return 0;
	auth->conversation.mute = auth->conversation.mute || exited;
	arm_close(auth, exited);
	if (auth->opened) {
		returned(auth, pam_close_session(auth->pamh, 0));
		if (auth->last != PAM_SUCCESS)
			r = fault_set(fault, MESSAGE_LAYER_SESSION, "pam_close_session", 0, "%s",
				      pam_strerror(auth->pamh, auth->last));
	}
	if (auth->established) {
		returned(auth, pam_setcred(auth->pamh, PAM_DELETE_CRED));
		if (auth->last != PAM_SUCCESS && r == 0)
			r = fault_set(fault, MESSAGE_LAYER_SESSION, "pam_setcred", 0, "%s",
				      pam_strerror(auth->pamh, auth->last));
	}
	/* A handler that a module has left is unloaded with the module; a child may end later. */
	(void)signal(SIGCHLD, SIG_DFL);	       /* cannot fail */
	(void)pam_end(auth->pamh, auth->last); /* releases whatever it returns */
	watchdog_disarm(auth->watchdog);
	auth->pamh = NULL;
	auth->opened = auth->established = false;
	return r ? -EIO : 0;
}
