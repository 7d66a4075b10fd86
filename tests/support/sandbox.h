/*
 * sandbox - a machine of its own for one integration test program.
 *
 * A private mount namespace with copies or fresh instances of everything that
 * dived, PAM and the tests write to; nothing of it is seen outside, and all of
 * it is gone when the last process in it ends:
 *
 *   /etc         a copy, in memory; nsswitch.conf asks files only; /etc/pam.d/dived is
 *                SANDBOX_SERVICE; /etc/environment is empty
 *   /run, /home  empty, but for sandbox_dir() and the homes
 *   /var/mail, /var/log   empty
 *   /dev         null zero full random urandom tty ptmx, shm, and a devpts of its own;
 *                no /dev/log
 *
 * Everything else, /tmp and the rest of /var included, is the machine's own.  The network,
 * the processes and the audit system are the machine's too.
 *
 * Needs root; without it the calling test fails rather than skips.  All
 * functions fail the running test when they cannot do their work.
 */
#pragma once

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

/* Accounts, each with a group of the same name and number and /home/NAME (0700). */
#define SANDBOX_UID_ALICE      2001 /* /bin/bash */
#define SANDBOX_UID_BOB	       2002 /* /bin/bash */
#define SANDBOX_UID_CAROL      2003 /* /bin/sh */
#define SANDBOX_PASSWORD_ALICE "Alice-opens-9"
#define SANDBOX_PASSWORD_BOB   "Bob-builds-8"
#define SANDBOX_PASSWORD_CAROL "Carol-sings-7"

/* A complete stack without pam_unix's two seconds of delay after a failure. */
#define SANDBOX_SERVICE                                                                            \
	"auth     required pam_unix.so nodelay\n"                                                  \
	"account  required pam_unix.so\n"                                                          \
	"password required pam_unix.so sha512\n"                                                   \
	"session  required pam_limits.so\n"                                                        \
	"session  required pam_env.so\n"                                                           \
	"session  required pam_unix.so\n"

/*
 * Whether programs of this build cannot run with an empty directory in place of
 * `path`: AddressSanitizer itself needs /proc, and ends them with a complaint.
 */
static inline bool is_impossible(const char *path)
{
#ifdef __SANITIZE_ADDRESS__
	return strcmp(path, "/proc") == 0;
#else
	(void)path;
	return false;
#endif
}

/*
 * Enters the sandbox for the rest of this program, once: mounts, the accounts
 * above, current directory "/", umask 022.  The program becomes the subreaper
 * of everything it starts, so that nothing it causes can escape the check
 * sandbox_assert_no_children().
 */
void sandbox_enter(void);

/* The first half of sandbox_enter(): without accounts and without /etc/pam.d/dived. */
void sandbox_isolate(void);

/* The same for cmocka: group setup, and a teardown that checks for leftover processes. */
int sandbox_group_setup(void **state);
int sandbox_group_teardown(void **state);

/* A per-test teardown: no process may be left over. */
int sandbox_test_teardown(void **state);

/* A private directory, root's, 0755, on a tmpfs.  No trailing slash. */
const char *sandbox_dir(void);

/*
 * The programs under test, and the source tree, at places inside the sandbox
 * that every account can reach, wherever the tree itself lies (/root, /home).
 */
const char *sandbox_dived(void);
const char *sandbox_dive(void);
const char *sandbox_source(void);

/* Writes a file (replacing its content) and sets its mode. */
void sandbox_write(const char *path, mode_t mode, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same to an open descriptor's end, for text that is built elsewhere. */
void sandbox_write_all(int fd, const void *data, size_t len);

/* Writes the PAM service /etc/pam.d/NAME. */
void sandbox_service(const char *name, const char *text);

/*
 * Adds (or replaces) an account and its group: id is uid and gid.  A NULL
 * password locks it.  /home/NAME is made.
 */
void sandbox_account(const char *name, uid_t id, const char *password, const char *shell);

/* Replaces the line of `name` in a colon-separated file of /etc, or adds it. */
void sandbox_account_line(const char *path, const char *name, const char *line);

/* A syslog daemon's socket: binds /dev/log and returns a descriptor to close. */
int sandbox_syslog_open(void);

/* Closes it and removes /dev/log. */
void sandbox_syslog_close(int *fd);

/*
 * Reads datagrams until one holds `text` (10 s) and copies it, cut to size,
 * into buffer.  Those before it are dropped.
 */
void sandbox_syslog_expect(int fd, const char *text, char *buffer, size_t size);

/*
 * Waits until this process has no descendant left (10 s, or deadline_ms), else
 * ends those that remain and fails, listing them.  Reaps whatever it finds:
 * call it after everything whose exit status matters has been waited for.
 */
void sandbox_assert_no_children(void);
void sandbox_assert_no_children_within(int deadline_ms);

/*
 * Returns the number of descendants that are alive; lists them, one a line,
 * in `buffer`.
 */
size_t sandbox_list_children(char *buffer, size_t size);

/*
 * Ends and reaps every descendant.  Only ever signals this process's own
 * children, which cannot have been replaced by others of the same number while
 * they have not been reaped; grandchildren become children as parents end.
 */
void sandbox_kill_children(void);
