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
#include "namespace.h"
#include "peer.h"
#include "request.h"

#include <stdbool.h>
#include <sys/resource.h>

/* Accounts as name services know them, found by the session before. */
struct plan_accounts {
	struct account client; /* name NULL: the uid has no entry */
	struct account target;
	struct account asked;	  /* whose credentials --auth-user asks for; name NULL: no such */
	struct account effective; /* of -e; zeroed without */
	gid_t *effective_groups;  /* its groups; owned; NULL without -e */
	size_t effective_group_count;
	gid_t tty_gid; /* of the group tty, for a new terminal; (gid_t)-1 for none */
};

struct plan_decision {
	bool terminal;		      /* the program gets a new pseudo-terminal */
	bool elevated;		      /* the spawn gives the client more than it has */
	bool authenticate;	      /* a proof of identity is due first */
	bool pam;		      /* account and session phases are run */
	const struct account *target; /* borrowed from plan_accounts */
	const struct account *asked;  /* set when `authenticate` */
};

/*
 * Fills *ret, or refuses.  The rules are in the reference manual dived(8) under
 * WHO IS ASKED: -e -g -m -c elevate whatever the target is, and -J nobody.  Two
 * are stricter than "uid differs".  A spawn as uid 0 for a client of uid 0 that is
 * not a root client (a container's reduced root) counts as elevated, because the
 * program would hold what that client lacks.  So does one in a user namespace that
 * is joined, or whose maps are not of each id to itself: bob's uid in there is the uid
 * of somebody else outside, who owns other files.
 *
 * Return: 0; -EACCES with *fault filled.
 */
int plan_decide(const struct config *config, const struct peer *peer, const struct request *request,
		const struct plan_accounts *accounts, struct plan_decision *ret,
		struct fault *fault);

/*
 * Whether the program is to take the terminal that the request names (DIVE_TERMINAL),
 * which must then be judged.  -T, -O and -S say that none is ever taken.
 */
bool plan_takes_terminal(const struct config *config, const struct request *request);

/* What the PAM session left in the process that ran it. */
struct plan_session {
	const gid_t *groups; /* getgroups(2) after initgroups and PAM */
	size_t group_count;
	char *const *environment; /* pam_getenvlist(3), NULL without PAM */
	struct rlimit limits[RLIM_NLIMITS];
	bool umask_set; /* a module set the umask */
	mode_t umask;
	bool terminal_is_own; /* what DIVE_TERMINAL names has been judged: peer.h */
	bool keyring_set;     /* a module joined a session keyring */
	uint64_t inheritable; /* capabilities that a module has added */
	bool moved;	      /* a module changed root or mount namespace: */
	int directory;	      /* the program starts here; borrowed */
	const struct namespace_set *namespaces; /* what the program enters; borrowed; may be NULL */
};

#define PLAN_FD_NULL	 (-1) /* /dev/null */
#define PLAN_FD_TERMINAL (-2) /* the new terminal */

struct plan_fd {
	int number; /* in the program */
	int source; /* borrowed from the request; or one of the above */
};

enum plan_terminal {
	PLAN_TERMINAL_NONE,
	PLAN_TERMINAL_NEW,   /* a new pseudo-terminal, whose master goes to the client */
	PLAN_TERMINAL_TAKEN, /* one of the client's: `taken` */
};

/* What root directory the program gets, and how. */
enum plan_root {
	PLAN_ROOT_SAME,	  /* that of its mount namespace */
	PLAN_ROOT_CHROOT, /* -R */
	PLAN_ROOT_PIVOT,  /* -V */
	PLAN_ROOT_CLIENT, /* -r: the client's descriptor */
};

/* What capability sets start from, before -m is added. */
enum plan_base {
	PLAN_CAPABILITIES_SAME, /* -P: all sets as they are */
	PLAN_CAPABILITIES_NONE, /* a target that is not root: `inheritable` alone */
	PLAN_CAPABILITIES_ROOT, /* root: effective and permitted as they are, nothing inheritable */
	PLAN_CAPABILITIES_EXACT, /* -c: `capabilities` */
};

struct plan {
	/* where */
	const struct namespace_set *namespaces; /* borrowed; NULL: dived's own */
	enum plan_root root;
	const char *root_path;	    /* -R's DIR or -V's NEW; borrowed from the config */
	const char *root_old;	    /* -V's OLD; borrowed */
	int root_fd;		    /* -r; borrowed */
	const char *directory_path; /* -h; borrowed; NULL: `directory` */
	int start;		    /* what relative paths are relative to; borrowed */
	const char **contents;	    /* owned array of FILE, TEXT pairs, strings borrowed */
	size_t content_count;	    /* strings, twice the number of pairs */
	bool content_create;	    /* a missing FILE is made */
	int cgroup;		    /* directory of a cgroup v2; borrowed; -1 for none */

	/* with what privileges */
	uint64_t inheritable; /* of a target that is not root; without -c */
	uint64_t bounding_drop;
	uint64_t ambient;
	enum plan_base base;
	struct config_capabilities capabilities;
	bool lock_securebits;
	bool no_new_privs;

	bool change_ids;    /* not with -P */
	bool change_groups; /* with -P they are put back, where dived's have been changed at all */
	uid_t uid;	    /* real */
	gid_t gid;
	uid_t euid; /* effective and saved */
	gid_t egid;
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
	unsigned ignored; /* enum message_ignored: dispositions that stay ignored */
	enum plan_terminal terminal;
	struct message_terminal terminal_modes; /* what a new one begins with */
	int taken;				/* borrowed */
	bool taken_is_own; /* the client's session has it, and loses it; else nobody may have it */
	bool has_modes;	   /* else only the size is meant */
	bool foreground;   /* the program begins in the foreground of it */
	bool own_devpts;   /* to be of the target's devpts, where there is one */
	gid_t tty_gid;	   /* of the group tty; (gid_t)-1: as the devpts says */
	bool new_session;  /* setsid(2) */
	bool new_group;	   /* else: a process group of its own (not with -J -S) */
	bool join_keyring; /* a fresh session keyring, made as the target */
	int death_signal;  /* sent by the kernel when the session process dies; 0 none */
	struct rlimit limits[RLIM_NLIMITS];
};

/*
 * Fills *ret (released with plan_done()) or refuses.  With a forced command -l
 * changes the directory only: nothing of the client's changes how it is run.
 * The gid is the first of -g, else -u's, else that of SO_PEERCRED, whatever
 * passwd(5) says; with -e the effective one is that account's.
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
