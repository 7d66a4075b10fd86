/*
 * pty - a person at a terminal.
 *
 * One loop reads the master while it waits for anything: a program that writes
 * more than the terminal holds would block otherwise, and never come to what
 * is waited for.
 *
 * The slave stays open here.  A read of the master would otherwise fail with
 * EIO as soon as nobody has the slave open, between two programs for instance.
 */
#include "pty.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define DEADLINE_MS 20000
#define LOOK_MS	    10
#define DRAIN_MAX   (1024 * 1024)
#define TTY_GROUP   5

__attribute__((noreturn)) static void fail_showing(const struct pty *pty, const char *what,
						   const char *text)
{
	(void)fprintf(stderr, "%s \"%s\"; the screen:\n", what, text);
	for (size_t i = 0; i < pty->len; i++) {
		unsigned char byte = (unsigned char)pty->screen[i];

		if (byte == '\n' || (byte >= ' ' && byte < 0x7f))
			(void)fputc(byte, stderr);
		else if (byte != '\r')
			(void)fprintf(stderr, "\\x%02x", byte);
	}
	(void)fputs("\n--- end of the screen\n", stderr);
	_fail(__FILE__, __LINE__);
	abort(); /* _fail() does not come back */
}

static void open_terminal(struct pty *ret, const struct run_options *options)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	const struct passwd *entry = options->account ? getpwnam(options->account) : NULL;
	int unlocked = 0;

	ret->master = MUST_INT(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
	MUST(ioctl(ret->master, TIOCSPTLCK, &unlocked));
	ret->slave = MUST_INT(ioctl(ret->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
	MUST(ioctl(ret->master, TIOCSWINSZ, &size));
	MUST(fchown(ret->slave, entry ? entry->pw_uid : options->uid, TTY_GROUP));
	MUST(fchmod(ret->slave, 0620));
}

void pty_start(struct pty *ret, const struct run_options *options)
{
	struct run_options copy = *options;

	*ret = (struct pty){ .master = -1, .slave = -1, .size = 4096 };
	ret->screen = calloc(1, ret->size);
	MUST_POINTER(ret->screen);
	open_terminal(ret, options);
	copy.terminal = ret->slave;
	run_start(&ret->run, &copy);
}

/*
 * Takes what the master has now, of a program that writes without end no more than a part.
 * Returns whether there was anything.
 */
static bool drain(struct pty *pty)
{
	size_t before = pty->len;
	bool any = false;

	while (pty->len - before < DRAIN_MAX) {
		ssize_t len;

		if (pty->size - pty->len < 2048) {
			char *larger = realloc(pty->screen, pty->size * 2);

			MUST_POINTER(larger);
			pty->screen = larger;
			pty->size *= 2;
		}
		len = read(pty->master, pty->screen + pty->len, pty->size - pty->len - 1);
		if (len <= 0) /* EAGAIN, or EIO after a hangup */
			return any;
		any = true;
		pty->len += (size_t)len;
		pty->screen[pty->len] = '\0';
	}
	return any;
}

/* Waits a moment for output, or for the end of the command. */
static void await_output(const struct pty *pty)
{
	struct pollfd polls[] = {
		{ .fd = pty->master, .events = POLLIN },
		{ .fd = pty->run.ended ? -1 : pty->run.pidfd, .events = POLLIN },
	};

	(void)poll(polls, ARRAY_LEN(polls), LOOK_MS); /* the callers look for themselves */
}

/* NULs in the output must not hide what follows: memmem(3), not strstr(3). */
static const char *find(const struct pty *pty, size_t from, const char *text)
{
	return memmem(pty->screen + from, pty->len - from, text, strlen(text));
}

void pty_expect(struct pty *pty, const char *text)
{
	int64_t deadline = deadline_after(DEADLINE_MS);

	for (;;) {
		bool over = deadline_poll(pty->run.pidfd, POLLIN, 0) == 0;
		bool any = drain(pty);
		const char *place = find(pty, pty->seen, text);

		if (place) {
			pty->seen = (size_t)(place - pty->screen) + strlen(text);
			return;
		}
		if (over && !any)
			fail_showing(pty, "the command ended without", text);
		if (deadline_passed(deadline))
			fail_showing(pty, "no", text);
		await_output(pty);
	}
}

void pty_assert_absent(struct pty *pty, const char *text)
{
	(void)drain(pty); /* whether there is more does not matter */
	if (find(pty, 0, text))
		fail_showing(pty, "unwanted", text);
}

size_t pty_send_some(struct pty *pty, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t written = write(pty->master, data + done, len - done);

		if (written < 0 && errno == EAGAIN)
			break;
		done += (size_t)MUST(written);
	}
	return done;
}

void pty_send(struct pty *pty, const char *text)
{
	int64_t deadline = deadline_after(DEADLINE_MS);
	size_t left = strlen(text);

	while (left > 0) {
		size_t taken = pty_send_some(pty, text, left);

		text += taken;
		left -= taken;
		(void)drain(pty); /* the echo needs room */
		if (left > 0 && deadline_passed(deadline))
			fail_showing(pty, "the terminal does not take", text);
		if (left > 0)
			await_output(pty);
	}
}

int pty_wait(struct pty *pty)
{
	int64_t deadline = deadline_after(DEADLINE_MS);

	while (!pty->run.ended && deadline_poll(pty->run.pidfd, POLLIN, 0) < 0) {
		(void)drain(pty); /* so that the command can go on */
		if (deadline_passed(deadline))
			fail_showing(pty, "the command does not end:", "pty_wait");
		await_output(pty);
	}
	run_wait(&pty->run);
	(void)drain(pty); /* its last words */
	return pty->run.signal ? 128 + pty->run.signal : pty->run.status;
}

/* Of the master, which answers for the slave also when the slave is hung up. */
struct termios pty_termios(const struct pty *pty)
{
	struct termios modes;

	MUST(tcgetattr(pty->master, &modes));
	return modes;
}

void pty_expect_lflag(struct pty *pty, tcflag_t flag, bool set)
{
	int64_t deadline = deadline_after(DEADLINE_MS);

	while (((pty_termios(pty).c_lflag & flag) != 0) != set) {
		(void)drain(pty); /* as in pty_wait() */
		if (deadline_passed(deadline))
			fail_showing(pty, "terminal mode is not", set ? "set" : "clear");
		await_output(pty);
	}
}

void pty_resize(const struct pty *pty, unsigned short rows, unsigned short columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	MUST(ioctl(pty->master, TIOCSWINSZ, &size));
}

pid_t pty_foreground(const struct pty *pty)
{
	return MUST_INT(tcgetpgrp(pty->master));
}

void pty_hang_up(struct pty *pty)
{
	close_fd(&pty->slave);
	close_fd(&pty->master);
}

void pty_done(struct pty *pty)
{
	run_done(&pty->run);
	close_fd(&pty->master);
	close_fd(&pty->slave);
	free_pointer(&pty->screen);
	*pty = (struct pty){ .run.pidfd = -1, .master = -1, .slave = -1 };
}
