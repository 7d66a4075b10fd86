/*
 * session_internal - the state of one session, shared by the files that serve it.
 *
 * introduce.c    who is there and what is asked, before PAM
 * session.c      the procedure
 * session_end.c  what follows it, on every path
 */
#pragma once

#include "audit.h"
#include "auth.h"
#include "child.h"
#include "control.h"
#include "monitor.h"
#include "plan.h"
#include "process.h"
#include "session.h"
#include "socket.h"

#include <limits.h>

#define SESSION_COMMAND_MAX 512 /* bytes of the command in a prompt */
#define SESSION_RECORD_S    120 /* for a record: the kernel may hold its sender back for a minute */

struct session {
	const struct session_input *in;
	const struct config *config; /* the gateway's; `own` where that serves several sockets */
	struct config own; /* a copy that borrows all, but with `gateway` as its address */
	char gateway[SOCKET_NAME_SIZE];
	int conn;  /* the client; -1 for none */
	int heard; /* whom to tell: the listener or the recorder; -1 for none; borrowed */
	struct peer peer;
	struct request request;
	struct plan_accounts accounts;
	struct plan_decision decision;
	struct process_state before;
	struct plan_session granted;
	bool terminal_is_own;	/* what is to be in it, too: it is filled late */
	char **words;		/* owned array: forced command and the client's words, borrowed */
	gid_t *groups;		/* owned, behind granted.groups */
	char **pam_environment; /* owned, behind granted.environment */
	struct plan plan;
	struct auth auth;
	struct watchdog watchdog;
	struct audit audit;
	struct audit_facts facts;
	struct audit_program program_facts; /* behind facts.program */
	struct namespace_set namespaces;
	struct child_channel channel;
	int signals;	     /* owned */
	int outside;	     /* owned: the root directory before modules run */
	int moved_directory; /* owned, behind granted.directory */
	struct audit_login login;
	bool may_fork; /* children are in our own pid namespace: process_forks_elsewhere() */
	int64_t started;
	pid_t program;	 /* 0 until it is executed; with a new terminal the monitor's */
	int program_fd;	 /* owned: pidfd of the program itself; -1 for none */
	bool executed;	 /* the program has been, or may have been */
	bool took_pam;	 /* the handle of the input is in `auth` */
	bool unrecorded; /* -J without PAM: nothing is written down */
	bool silent;	 /* the client left without a word: nothing was asked, nothing is refused */
	bool recorded;	 /* the spawn has its record, so an end is owed */
	struct message_exited exited;
	bool ended; /* `exited` is set */
	char id[AUDIT_ID_SIZE];
	char directory[PATH_MAX];
	char root[PATH_MAX];
	char tty[PEER_TTY_MAX];
	char account[CONTROL_ACCOUNT_MAX];
	char command[SESSION_COMMAND_MAX];
	char asked[SESSION_COMMAND_MAX + 1024];
};

/*
 * Makes itself known to the listener and waits until it lets go of the
 * connection.  End of file instead means that the connection is not this
 * session's any more: the listener has gone, or has given it to another.
 * Return: 0; -EPIPE, and nothing may be said to the client.
 */
int introduce_announce(struct session *session);

/* Who is there; carries the login uid over, before the first record and PAM call. */
int introduce_identify(struct session *session, struct fault *fault);

/* Carries it over, and notes whether it could be: again after modules have run. */
void introduce_login_uid(struct session *session);

/*
 * Fills what records and prompts say about a request, as soon as it has been read: whatever
 * refuses it is to be recorded with it.
 */
void introduce_request(struct session *session);

/* Looks up client, target and whoever is to be asked; what is found is recorded. */
int introduce_accounts(struct session *session, struct fault *fault);

/* Adds what has been decided, after plan_decide(). */
void introduce_describe(struct session *session);

/*
 * Where a module has changed the root directory or the mount namespace: finds where the
 * program will start, and describes it anew.  Return: 0; -errno.
 */
int introduce_moved(struct session *session);

/* Adds what the plan has made of it, for the record of the spawn. */
void introduce_plan(struct session *session);

/* Judges the terminal of DIVE_TERMINAL, if it is to be taken.  Return: 0; -EACCES. */
int introduce_terminal(struct session *session, struct fault *fault);

/*
 * Writes down how it went, closes what is open, in reverse, and tells the client.
 * @refused: no program has run to its end, and `fault` says why
 */
void session_end(struct session *session, struct fault *fault, bool refused);

/* Tells the listener or the recorder of the program; `pidfd` -1: nobody can watch it. */
void introduce_program(const struct session *session, int pidfd);

/* Tells the listener or the recorder, if there is one. */
void introduce_tell(const struct session *session, enum control_type type, uint32_t value);
