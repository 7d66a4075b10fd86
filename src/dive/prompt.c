/*
 * Asking a human at the terminal.
 *
 * Echo goes off with TCSAFLUSH, so that what was typed before the prompt, seen on
 * the screen, is not taken for an answer; and it comes back with TCSAFLUSH, so
 * that half a password typed when the wait ended never reaches a shell as a command.
 * Echo is verified to be off, since tcsetattr(3) succeeds when any part of a change did.
 *
 * Signals are read as data (signals.h): the terminal is restored by ordinary
 * code, in one place, whatever ended the wait.
 */
#include "prompt.h"

#include "cleanup.h"
#include "line.h"
#include "log.h"
#include "signals.h"

#include <string.h>
#include <termios.h>

static void write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t sent = write(fd, text, len);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return;
		text += sent;
		len -= (size_t)sent;
	}
}

void prompt_show(int fd, const char *text, size_t len)
{
	char escaped[1024];

	while (len > 0) {
		size_t used = log_escape(text, len, true, escaped, sizeof(escaped));

		if (used == 0)
			return;
		write_all(fd, escaped, strlen(escaped));
		text += used;
		len -= used;
	}
}

static int set_terminal(int tty, const struct termios *wanted)
{
	/* Stopped here by SIGTTOU in the background; on SIGCONT the kernel starts it over. */
	while (tcsetattr(tty, TCSAFLUSH, wanted) != 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int hide_echo(int tty, const struct termios *saved, bool hidden)
{
	struct termios wanted = *saved;
	int err;

	if (hidden)
		wanted.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	err = set_terminal(tty, &wanted);
	if (err != 0)
		return err;
	if (tcgetattr(tty, &wanted) != 0)
		return -errno;
	return hidden && (wanted.c_lflag & ECHO) != 0 ? -EIO : 0;
}

/*
 * Puts the terminal back.  If dive is no longer in the foreground, someone else
 * has set the terminal for himself, and it is not touched.
 */
static void restore_terminal(int tty, const struct termios *saved)
{
	if (tcgetpgrp(tty) == getpgrp())
		(void)set_terminal(tty, saved); /* hung up: nothing left to restore */
}

/* What can end, stop or resume dive while the prompt is up. */
static void prompt_signals(sigset_t *ret)
{
	signals_forwardable(ret);
	/* Not these, which do nothing by default. */
	(void)sigdelset(ret, SIGWINCH);
	(void)sigdelset(ret, SIGURG);
}

/*
 * In the background the modes are those of somebody else, a shell that edits a line:
 * discarding input stops dive there first, as setting them would.
 */
static int read_modes(int tty, struct termios *ret)
{
	while (tcflush(tty, TCIFLUSH) != 0) {
		if (errno != EINTR)
			return -errno;
	}
	/* What was a reason to begin again is no more: this is the beginning. */
	(void)signals_take_continue();
	return tcgetattr(tty, ret) == 0 ? 0 : -errno;
}

/* One showing of the prompt.  The terminal is restored on return.  Returns as line_read(). */
static int ask_once(const struct line_source *source, const struct prompt *prompt,
		    struct secret *answer)
{
	struct termios saved;
	int result = read_modes(source->input, &saved);

	if (result != 0)
		return result;
	result = hide_echo(source->input, &saved, prompt->hidden);
	if (result == 0) {
		prompt_show(source->input, prompt->text, prompt->len);
		result = line_read(source, answer);
	}
	/* The newline that was not echoed, or that did not come. */
	if (prompt->hidden || result != LINE_READ)
		write_all(source->input, "\n", 1);
	restore_terminal(source->input, &saved);
	return result;
}

int prompt_ask(int tty, int sock, const struct prompt *prompt, struct secret *answer,
	       int *ret_signal)
{
	struct line_source source = { .input = tty, .sock = sock };
	struct signals_watch watch;
	sigset_t set;
	int result;
	int number = 0;

	prompt_signals(&set);
	result = signals_watch(&set, &watch);
	if (result != 0)
		return result;
	source.signals = watch.fd;
	for (;;) {
		result = ask_once(&source, prompt, answer);
		if (result != LINE_SIGNAL)
			break;
		number = signals_take(&watch);
		if (number == SIGTSTP)
			signals_stop(number);
		else if (number != 0 && number != SIGCONT)
			break;
		/* Stopped or continued: someone else may have set the terminal; begin again. */
		secret_clear(answer);
	}
	signals_unwatch(&watch);
	if (result == LINE_SIGNAL)
		*ret_signal = number;
	return result;
}
