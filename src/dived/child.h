/*
 * child - from fork to exec: the plan carried out.
 *
 * child_start() forks; the child runs child_steps[] in order and executes the
 * program.  A failing step travels back on a close-on-exec SOCK_SEQPACKET pair;
 * end of file without a report means that the exec has happened.
 */
#pragma once

#include "fault.h"
#include "plan.h"

#include <stdint.h>
#include <sys/types.h>

/* What a step sees.  Set up before the fork; steps change it only in the child. */
struct child {
	const struct plan *plan;
	int report;	 /* our end of the pair, in the child; in place (-J): for messages */
	int parent;	 /* pidfd of the session's process; -1: executed in place */
	int proc;	 /* dived's own /proc; -1 where there is none */
	int directory;	 /* -h's DIR once it is open; else -1 */
	int ptmx;	 /* master of a new terminal of the host's; -1 for none */
	int monitor;	 /* our end of the monitor's pair; -1 for none */
	int slave;	 /* the new terminal, once it is there; else -1 */
	bool in_cgroup;	 /* the kernel has put the child there from its first moment */
	int *sources;	 /* plan->fd_count descriptors, filled by the fds step */
	int null;	 /* /dev/null, read-write */
	int highest;	 /* highest target number, -1 for none */
	uint32_t detail; /* a number for the report, see struct child_report */
};

/*
 * What comes back when a step fails.  A child that enters or makes a pid namespace
 * goes on as a new process: it says so with CHILD_MOVED and the new id.
 */
#define CHILD_MOVED UINT32_MAX
struct child_report {
	uint32_t step;	 /* index into child_steps, or CHILD_MOVED */
	int32_t error;	 /* positive errno; CHILD_MOVED: the id */
	uint32_t detail; /* room: how many descriptors are needed; limits: which one */
};

/*
 * A step returns 0 or -errno.  Between fork and exec only async-signal-safe
 * calls are made: no malloc, stdio, name services or logging.
 */
struct child_step {
	const char *name;
	int (*run)(struct child *child);
	const char *why; /* what its place in the order is for */
};

extern const struct child_step child_steps[];
extern const unsigned child_step_count;

/* What is needed before PAM may lower limits: child_prepare() makes it. */
struct child_channel {
	int ours; /* all owned; -1 when closed */
	int theirs;
	int null;
	int parent;
	int proc;
	int ptmx; /* these three only for a new terminal */
	int monitor_ours;
	int monitor_theirs;
	/*
	 * Told of the process that is to be the program, or with a new terminal its monitor,
	 * before its first step has been waited for, and of the one that goes on in its place
	 * (CHILD_MOVED).  It is not reaped.
	 */
	void (*made)(void *context, pid_t pid);
	void *context;
};
#define CHILD_CHANNEL_CLOSED                                                                       \
	(struct child_channel)                                                                     \
	{                                                                                          \
		-1, -1, -1, -1, -1, -1, -1, -1, NULL, NULL                                         \
	}

/* `terminal`: the program may get a new one.  Return: 0; -errno. */
int child_prepare(bool terminal, struct child_channel *ret);

/*
 * Makes the pairs of the channel and the terminal anew once modules have run: a process
 * that one of them has left behind holds the first, whose end would never be seen.  Where
 * limits that PAM has set leave no number for them the first stay.
 */
void child_renew(struct child_channel *channel);
void child_channel_done(struct child_channel *channel);

/**
 * child_start() - fork, and wait until the program is executed or has failed
 * @deadline: for all steps together; a child that exceeds it is killed
 * @ret: id of the program; the caller reaps it.  Set also when a step failed
 *       and the child could not be reaped here: then 0.
 *
 * channel->made is to be set; channel->theirs is closed, and channel->ours when it returns.
 *
 * Return: 0; -EACCES, it has not been executed; another -errno, that was not to be learnt in
 * time, and what was waited for has been killed.  Then *fault is filled (layer, step, errno,
 * exit status).
 */
int child_start(const struct plan *plan, struct child_channel *channel, int64_t deadline,
		pid_t *ret, struct fault *fault);

/*
 * Executes the program in the calling process, without a fork (-J).  Returns only
 * when a step has failed: the process is then of no more use than to say so, on
 * *messages, which is moved where the program has its number.  All else may be closed.
 * Return: -EACCES with *fault filled.
 */
int child_execute(const struct plan *plan, struct child_channel *channel, int *messages,
		  struct fault *fault);

/*
 * Changes to a directory of this name as the child sees it, without magic links of
 * proc(5) where the namespaces are somebody else's.  Return: 0; -errno.
 */
int child_enter_directory(struct child *child, const char *path);

/* Part of the session step: makes the client's terminal the controlling one, if it is to be. */
int child_take_terminal(struct child *child);

/* Opens a path in the same way.  Return: a descriptor, close-on-exec; -errno. */
int child_open_path(const struct child *child, const char *path, uint64_t flags);

/* Opens what an O_PATH descriptor names, through dived's own /proc.  Return: as above. */
int child_reopen(const struct child *child, int found, int flags);

/* The steps, by file. */
int child_cgroup(struct child *child);
int child_namespaces(struct child *child);
int child_move(struct child *child);
int child_contents(struct child *child);
int child_root(struct child *child);
int child_undumpable(struct child *child);
int child_free_terminal(struct child *child);
int child_terminal(struct child *child);
int child_monitor(struct child *child);
int child_signals(struct child *child);
int child_limits_raise(struct child *child);
int child_room(struct child *child);
int child_session(struct child *child);
int child_directory(struct child *child);
int child_groups(struct child *child);
int child_nproc(struct child *child);
int child_ids(struct child *child);
int child_capabilities(struct child *child);
int child_home(struct child *child);
int child_keyring(struct child *child);
int child_death_signal(struct child *child);
int child_umask(struct child *child);
int child_fds(struct child *child);
int child_limits(struct child *child);
int child_exec(struct child *child);
int child_securebits(struct child *child);
int child_bounding(struct child *child);
int child_no_new_privs(struct child *child);
