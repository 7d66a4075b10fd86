/*
 * pty - a person at a terminal.
 *
 * Starts a command as session leader of a new pseudo-terminal and talks to it.
 * Output is collected from the beginning; pty_expect() looks for text after
 * the place where the last one found its own, as a reader would.
 *
 * When the session leader ends, the kernel hangs up the terminal and resets its
 * modes.  To look at the modes after a program has ended, let a shell lead:
 * sh -c 'dive ...; echo over; read line'.
 *
 * All functions fail the running test, showing the screen, when they cannot do
 * their work or their deadline (20 s) has passed.
 */
#pragma once

#include "run.h"

#include <termios.h>

struct pty {
	struct run run; /* the command; run.out and run.err are empty */
	int master;
	int slave;    /* kept open: output is not lost, modes can be read */
	char *screen; /* all output so far, NUL-terminated */
	size_t len;
	size_t size;
	size_t seen; /* bytes of it that pty_expect() has consumed */
};

/*
 * Starts options->argv; options->terminal is ignored.  The terminal has 24 rows
 * and 80 columns and belongs to the account, group tty, 0620, as after a login.
 * Release with pty_done().
 */
void pty_start(struct pty *ret, const struct run_options *options);

/* Waits until the text comes, after what was expected last. */
void pty_expect(struct pty *pty, const char *text);

/* Reads what there is; fails if `text` is anywhere in the output so far. */
void pty_assert_absent(struct pty *pty, const char *text);

/* Types.  "\x03" is ^C, "\x1a" is ^Z, "\x04" is ^D. */
void pty_send(struct pty *pty, const char *text);

/* Types until the kernel's buffer is full or all is written; returns the bytes taken. */
size_t pty_send_some(struct pty *pty, const char *data, size_t len);

/* Waits for the end of the command; returns its exit status, or 128 + signal. */
int pty_wait(struct pty *pty);

/* The terminal's modes, as the slave has them. */
struct termios pty_termios(const struct pty *pty);

/* Waits until `flag` (ECHO, ICANON...) of c_lflag is set, or clear. */
void pty_expect_lflag(struct pty *pty, tcflag_t flag, bool set);

/* Changes the size: SIGWINCH for the foreground process group. */
void pty_resize(const struct pty *pty, unsigned short rows, unsigned short columns);

/* The foreground process group. */
pid_t pty_foreground(const struct pty *pty);

/* Closes the master: the terminal hangs up. */
void pty_hang_up(struct pty *pty);

/* Releases; a command that still runs is killed.  Accepts a released one. */
void pty_done(struct pty *pty);
