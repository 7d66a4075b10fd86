/*
 * plan - config + peer + request + account data in; all that a spawn needs out.
 *
 * In two parts, because PAM stands between them.  plan_decide() says who is
 * asked for a password and as whom the program runs; plan_make() adds what the
 * PAM session gave (groups, environment, limits, umask) and resolves everything
 * that needs memory or names, so that the child needs neither.  Neither part
 * makes a privileged call, opens a file or asks a name service: both are tested
 * without root.
 */
#pragma once

#include "account.h"
#include "config.h"
#include "fault.h"
#include "peer.h"
#include "request.h"

#include <stdbool.h>
#include <sys/resource.h>

/* Accounts as name services know them, found by the session before. */
struct plan_accounts {
	struct account client; /* name NULL: the uid has no entry */
	struct account target;
	struct account asked; /* whose credentials --auth-user asks for; name NULL: no such */
};

struct plan_decision {
	bool elevated;		      /* the spawn gives the client more than it has */
	bool authenticate;	      /* a proof of identity is due first */
	bool pam;		      /* account and session phases are run */
	const struct account *target; /* borrowed from plan_accounts */
	const struct account *asked;  /* set when `authenticate` */
};

/*
 * Fills *ret, or refuses.  The rules are in the reference manual dived(8) under
 * WHO IS ASKED.  One is stricter than "uid differs": a spawn as uid 0 for a
 * client of uid 0 that is not a root client (a container's reduced root) counts
 * as elevated, because the program would hold what that client lacks.
 *
 * Return: 0; -EACCES with *fault filled.
 */
int plan_decide(const struct config *config, const struct peer *peer,
		const struct plan_accounts *accounts, struct plan_decision *ret,
		struct fault *fault);

/* What the PAM session left in the process that ran it. */
struct plan_session {
	const gid_t *groups; /* getgroups(2) after initgroups and PAM */
	size_t group_count;
	char *const *environment; /* pam_getenvlist(3), NULL without PAM */
	struct rlimit limits[RLIM_NLIMITS];
	bool umask_set; /* a module set the umask */
	mode_t umask;
	bool keyring_set; /* a module joined a session keyring */
};

struct plan_fd {
	int number; /* in the program */
	int source; /* borrowed from the request; -1 for /dev/null */
};

struct plan {
	bool change_ids; /* not with -P */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned */
	size_t group_count;
	char **argv;	   /* owned array and strings */
	char **envp;	   /* owned */
	char **candidates; /* owned: paths to try in this order; never empty */
	int directory;	   /* borrowed; fchdir(2) before ids change; -1: stay */
	char *home;	   /* owned; chdir(2) after ids changed (-l); NULL: not */
	mode_t umask;
	struct plan_fd *fds; /* owned, sorted by number */
	size_t fd_count;
	unsigned ignored;  /* enum message_ignored: dispositions that stay ignored */
	bool new_session;  /* setsid(2); else a process group of its own */
	bool join_keyring; /* a fresh session keyring, made as the target */
	int death_signal;  /* sent by the kernel when the session process dies; 0 none */
	struct rlimit limits[RLIM_NLIMITS];
};

/*
 * Fills *ret (released with plan_done()) or refuses.  With a forced command -l
 * changes the directory only: nothing of the client's changes how it is run.
 * The gid is -u's, else that of SO_PEERCRED, whatever passwd(5) says.
 * Return: 0; -EACCES or -ENOMEM with *fault filled.
 */
int plan_make(const struct config *config, const struct peer *peer, const struct request *request,
	      const struct plan_accounts *accounts, const struct plan_decision *decision,
	      const struct plan_session *session, struct plan *ret, struct fault *fault);

void plan_done(struct plan *plan);

/*
 * The DIVE_* lines of a session: for PAM before it is asked, and in every plan's
 * environment.  environment_done() releases them.  Return: 0 or -ENOMEM.
 */
int plan_dive(const struct config *config, const struct peer *peer,
	      const struct plan_accounts *accounts, char ***ret);

/*
 * The command a request will run, as one line of shell-quoted words for prompts
 * and records, before PAM has said anything: forced command, client's words, or
 * "login shell".  At most size - 1 bytes, cut with "...".  Not escaped.
 */
void plan_command(const struct config *config, const struct request *request, char *buffer,
		  size_t size);
