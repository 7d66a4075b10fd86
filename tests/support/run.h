/*
 * run - a command as an account, with everything given: ids, login uid,
 * environment, directory, descriptors, terminal.
 *
 * A command starts with all signals at their defaults and none blocked, in a
 * session of its own, with umask 022 and no descriptors but those given.
 * Standard output and standard error go to files in memory, so that a command
 * never blocks on them and what it leaves running does not hold up run_wait().
 *
 * All functions fail the running test when they cannot do their work, and when
 * a command outlives its deadline (it is killed then).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct gateway;

#define RUN_DEADLINE_MS 30000

/* A NULL-terminated list of words, for argv, envp and options. */
#define RUN_WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct run_fd {
	int fd;	    /* borrowed */
	int number; /* in the command */
};

struct run_options {
	const char *account; /* with its groups; NULL: uid and gid below, no other groups */
	uid_t uid;	     /* 0 unless set: root */
	gid_t gid;
	const char *login_uid;	  /* written to loginuid first, "2001"; NULL: left alone */
	const char *const *argv;  /* argv[0] has a slash or is looked up in PATH */
	const char *const *envp;  /* NULL: HOME SHELL USER LOGNAME of the account, PATH, LANG */
	const char *directory;	  /* NULL: "/" */
	const char *input;	  /* through a pipe, at most 64 KiB; NULL: /dev/null */
	const struct run_fd *fds; /* put in place last: may replace 0, 1 and 2 */
	size_t fd_count;
	int terminal;	 /* > 0: a terminal slave: controlling terminal, and 0, 1, 2 */
	int deadline_ms; /* 0: RUN_DEADLINE_MS; from the start of the command */
};

struct run {
	pid_t pid;
	int pidfd;  /* -1 when there is nothing to release */
	int out_fd; /* files in memory */
	int err_fd;
	int64_t deadline;
	bool ended;
	int status; /* exit status; -1 when a signal ended it or it still runs */
	int signal; /* the signal that ended it, or 0 */
	char *out;  /* captured so far, NUL-terminated; see run_read() */
	char *err;
	size_t out_len;
	size_t err_len;
};

/* Starts a command.  Release with run_done(). */
void run_start(struct run *ret, const struct run_options *options);

/* Waits for its end; fills in status, signal and the captured output. */
void run_wait(struct run *run);

/* Refreshes out and err with what has been written so far. */
void run_read(struct run *run);

/* Waits until `text` is in standard output or standard error. */
void run_expect(struct run *run, const char *text);

/* Sends a signal by pidfd. */
void run_signal(const struct run *run, int signal);

/* Releases; a command that still runs is killed and reaped.  Accepts a released one. */
void run_done(struct run *run);

/* run_start() and run_wait(). */
void run(struct run *ret, const struct run_options *options);

/*
 * The same for `dive`: options->argv is replaced by dive, those of `words` that
 * come first and begin with a dash, the gateway's address, and the other words:
 *
 *	run_dive(&r, &(struct run_options){ .account = "alice", .input = "secret\n" }, &gateway,
 *		 RUN_WORDS("-S", "id", "-u"));
 */
void run_dive(struct run *ret, const struct run_options *options, const struct gateway *gateway,
	      const char *const *words);
void run_dive_start(struct run *ret, const struct run_options *options,
		    const struct gateway *gateway, const char *const *words);

/*
 * The argv of such a command, for pty_start(): pointers into the arguments in
 * an array to be freed.
 */
const char **run_dive_words(const struct gateway *gateway, const char *const *words);

/* Fails, showing the output, unless the command exited with `status`. */
void run_assert_status(struct run *run, int status);

/* run(), run_assert_status() and run_done(): a command of the set-up. */
void run_or_fail(const struct run_options *options);
