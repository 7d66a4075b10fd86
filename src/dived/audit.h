/*
 * audit - one record for each decision and each end, to the kernel and syslog.
 *
 * Kernel records go through libaudit; their text is made by record.h, with every value from
 * outside encoded.  Whether the kernel audits is asked for each spawn, because a send
 * succeeds silently where it does not.
 *
 * The functions that record write one syslog line each (notice) and, where a record was due
 * and could not be written, one more (error).  They may block for as long as the kernel
 * holds the sender back: audit_backlog_wait_time, when its queue is full.
 */
#pragma once

#include "account.h"
#include "config.h"
#include "fault.h"
#include "locate.h"
#include "namespace.h"
#include "peer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define AUDIT_ID_SIZE 33 /* 128 random bits in hex, and a NUL */

enum audit_state {
	AUDIT_STATE_ABSENT,   /* no audit in this kernel, or no permission to send */
	AUDIT_STATE_DISABLED, /* the kernel says: off */
	AUDIT_STATE_ENABLED,
	AUDIT_STATE_UNKNOWN, /* sends work, the question is refused (EPERM) */
	AUDIT_STATE_FAILED,  /* the socket does not work, or the kernel did not answer in time */
};

/*
 * One for each process: answers of the kernel go to the socket, so that two processes with
 * one socket between them would read each other's.
 */
struct audit {
	int fd;	   /* NETLINK_AUDIT; owned; -1 for none */
	int error; /* why none could be made, though there is audit: positive errno; else 0 */
	enum config_audit mode;
};

/*
 * What the plan has made of a request.  Borrowed.  Ids are those that the program is given,
 * in its user namespace.
 */
struct audit_program {
	uid_t uid;
	gid_t gid;
	uid_t euid; /* effective and saved */
	gid_t egid;
	const gid_t *groups; /* supplementary */
	size_t group_count;
	const char *file; /* what is executed; NULL: whatever `path` leads to first */
	const char *path; /* the directories that are searched, "/usr/bin:/bin" */
	int proc;	  /* dived's /proc, which may be out of reach by name; -1 for none */
};

/* What all records of a connection have in common.  Strings are borrowed. */
struct audit_facts {
	const char *id;	     /* ties the records of a session together */
	const char *gateway; /* socket address */
	const char *account; /* target's name, or number as text; NULL when not known yet */
	const char *client;  /* client's name; NULL when it has none */
	const struct peer *peer;
	const char *directory;		     /* cwd, as locate.h names it; NULL unknown */
	const char *root;		     /* as directory */
	struct locate_inode directory_inode; /* of a name that is not confirmed */
	struct locate_inode root_inode;
	char *const *command; /* argv; NULL when not known */
	const char *tty;      /* NULL: unknown, recorded as ? */
	bool requested;	      /* the request has been read: fd_count is known */
	size_t fd_count;
	bool decided; /* elevated is known */
	bool elevated;
	bool login_uid_kept; /* the client's login uid was carried over to this process */
	const struct audit_program *program;	/* of spawns; NULL: not known */
	const struct namespace_set *namespaces; /* what the program enters; NULL: nothing */
	bool new_mounts;			/* it gets a mount namespace of its own */
};

/*
 * Opens the descriptor unless mode is off.  A kernel without audit, or without
 * permission, gives fd -1 and success; the state tells.
 * Return: 0; -errno, which *ret remembers: whoever records all the same does so in syslog,
 * and says there that the kernel's record is missing.
 */
int audit_init(enum config_audit mode, struct audit *ret);
void audit_done(struct audit *audit);

/* Asks the kernel; waits some 5 s for the answer. */
enum audit_state audit_query(const struct audit *audit);

/* Returns the word for a state: "enabled". */
const char *audit_state_name(enum audit_state state);

/* What must happen before a program may be executed. */
enum audit_demand {
	AUDIT_DEMAND_NONE,	       /* syslog alone */
	AUDIT_DEMAND_TRY,	       /* send; a failure is tolerated */
	AUDIT_DEMAND_WRITE,	       /* send; a failure refuses the spawn */
	AUDIT_DEMAND_REFUSE_STATE,     /* refuse: a record is, or may be, due and cannot be had */
	AUDIT_DEMAND_REFUSE_LOGIN_UID, /* refuse: the record would name the wrong human */
};

/* The decision of audit_spawn(), as a pure function. */
enum audit_demand audit_demand(enum config_audit mode, enum audit_state state, bool login_uid_kept);

/* Fills a fresh random id.  Return: 0 or -errno of getrandom(2). */
int audit_new_id(char ret[AUDIT_ID_SIZE]);

/**
 * audit_spawn() - record that a program is about to be executed
 *
 * AUDIT_USER_CMD op=dive:spawn, and where the command has no room in it op=dive:more, up
 * to RECORD_COMMAND_MAX bytes; and syslog lines.  Under `require`, and under
 * `auto` where auditing is enabled at this moment, failing to write is a
 * refusal, as is a login uid that could not be carried over.  Not written is
 * also what is sent while the kernel's queue for auditd(8) is full, if anything is
 * dropped before there is room again; that is waited for, 5 s at most.
 *
 * Return: 0; -EACCES with *fault filled.
 */
int audit_spawn(const struct audit *audit, const struct audit_facts *facts, struct fault *fault);

/*
 * AUDIT_USER_CMD op=dive:refuse, and syslog.  `fault` says why.  This and the functions below
 * fail nobody: a record that could not be written where the kernel audits, or under
 * `require`, is an error line.  Under `require` so is one that was sent while auditing was
 * off or the queue full, as above.
 */
void audit_refuse(const struct audit *audit, const struct audit_facts *facts,
		  const struct fault *fault);

/* AUDIT_USER_END op=dive:exit, and syslog. */
struct audit_exit {
	bool signalled;
	int value; /* exit status or signal */
	int64_t duration_ms;
	const struct fault *fault; /* exec failed after all; NULL normally */
	bool unknown;		   /* nobody was left to be told how it ended: no value */
};
void audit_exit(const struct audit *audit, const struct audit_facts *facts,
		const struct audit_exit *end);

/*
 * Written by the listener for a session that died or was killed, op=dive:lost res=failed
 * program=`program` reason=`what`: before its verdict AUDIT_USER_AUTH, after it
 * AUDIT_USER_END.  A program that is said to be running has its own end, audit_exit().
 */
void audit_lost(const struct audit *audit, const struct audit_facts *facts, bool before_verdict,
		const char *program, const char *what);

/*
 * Start and stop of the gateway: AUDIT_USER op=dive:start or dive:stop, info=`text` (the
 * options, of which there are `total` bytes; may be NULL), and with `log` syslog.  Not
 * AUDIT_SERVICE_START, which is the service manager's word on the same event and would be
 * counted twice.
 */
void audit_gateway(const struct audit *audit, const char *gateway, bool start, const char *text,
		   size_t total, bool log);

/*
 * Whether this process has a login uid, and the kernel lets nobody replace one by another,
 * whatever his capabilities: auditctl --loginuid-immutable.
 */
bool audit_login_uid_is_fixed(const struct audit *audit);

/* That of the calling process; AUDIT_LOGIN_UID_UNSET for none.  Return: 0; -errno. */
#define AUDIT_LOGIN_UID_UNSET UINT32_MAX
int audit_own_login_uid(uint32_t *ret);

/*
 * Carries a login uid over to the calling process (/proc/self/loginuid).  Nothing is written
 * where it is that already: each write allocates a new audit session id.
 * Return: 0 when it now is `login_uid`; -errno.
 */
int audit_set_login_uid(uint32_t login_uid);

/*
 * The same through descriptors that were opened before: modules may change the root, so that
 * there is no /proc, and the limit of descriptors.  They serve the process that has opened
 * them and no other; one that cannot be opened fails what needs it.
 */
struct audit_login {
	int reading; /* owned; -1 for none */
	int writing; /* only for a login uid that is another */
};
void audit_open_login(struct audit_login *ret);
void audit_close_login(struct audit_login *login);
int audit_keep_login_uid(const struct audit_login *login, uint32_t login_uid);
