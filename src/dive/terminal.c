/*
 * terminal - raw mode, sizes, and bytes.
 *
 * dive opens its terminal anew, so that it can be made non-blocking without the
 * shell, which shares the open file of descriptor 0, noticing.  Output is written
 * in whatever mode the terminal is; the program's own terminal has made it ready.
 *
 * A program that asks for the keyboard while it is in the background of its
 * terminal is stopped there by the kernel, and dive hears of it: so the keyboard
 * need not be taken before (`dive x | less`).
 */
#include "terminal.h"

#include "cleanup.h"
#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DRAIN_MAX (256 * 1024) /* many times what the kernel holds of a terminal's output */

#define TTY_MAJOR 5 /* of /dev/tty */
#define TTY_MINOR 0

bool terminal_is_own(int fd)
{
	/* The kernel answers only where it is the caller's own (TIOCGSID). */
	return tcgetsid(fd) == getsid(0);
}

int terminal_find(void)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int err = -errno;

	for (int fd = STDIN_FILENO; tty < 0 && fd <= STDERR_FILENO; fd++) {
		char path[32];

		if (!terminal_is_own(fd))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
		tty = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	}
	return tty >= 0 ? tty : err;
}

bool terminal_is_indirect(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat info;

	return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && fstat(fd, &info) == 0 &&
	       S_ISCHR(info.st_mode) && info.st_rdev == makedev(TTY_MAJOR, TTY_MINOR);
}

int terminal_open_own(void)
{
	cleanup_fd int tty = terminal_find();
	char name[TTY_NAME_SIZE];
	unsigned number;
	int err;

	if (tty < 0)
		return tty;
	err = tty_number(tty, &number);
	if (err == 0)
		err = tty_name(tty_device(number), name);
	if (err != 0)
		return err;
	cleanup_fd int own = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return -errno;
	/* The terminal of another devpts may have the same number. */
	return terminal_is_own(own) ? take_fd(&own) : -ENOENT;
}

bool terminal_exists(void)
{
	cleanup_fd int tty = terminal_find();

	return tty >= 0;
}

static bool has_own(const struct client_fds *fds, bool *ret_all)
{
	unsigned count = 0;

	for (size_t i = 0; i < fds->count && i < MESSAGE_FDS_MAX; i++)
		count += fds->numbers[i] <= 2 && terminal_is_own(fds->numbers[i]);
	*ret_all = count == 3;
	return count > 0;
}

static void describe(int tty, struct message_request *request)
{
	struct winsize size;
	struct termios modes;

	if (ioctl(tty, TIOCGWINSZ, &size) == 0) {
		request->terminal.rows = size.ws_row;
		request->terminal.columns = size.ws_col;
	}
	/* In the background these are those of somebody else, a shell that edits a line. */
	if (tcgetpgrp(tty) != getpgrp() || tcgetattr(tty, &modes) != 0)
		return;
	request->flags |= MESSAGE_REQUEST_MODES;
	request->terminal.input = modes.c_iflag;
	request->terminal.output = modes.c_oflag;
	request->terminal.control = modes.c_cflag;
	request->terminal.local = modes.c_lflag;
	for (size_t i = 0; i < NCCS && i < MESSAGE_CONTROLS; i++)
		request->terminal.characters[i] = modes.c_cc[i];
}

void terminal_choose(const struct client_config *config, const struct client_fds *fds,
		     uint32_t *flags, struct message_request *request, bool *ret_shared)
{
	cleanup_fd int tty = -1;
	bool all = false;
	bool own = has_own(fds, &all);

	if (config->no_tty != 0 || config->terminal_set || config->wait == MESSAGE_WAIT_START)
		return;
	if (!own && config->tty == 0)
		return;
	*flags |= MESSAGE_HELLO_TTY;
	if (config->tty != 0)
		*flags |= MESSAGE_HELLO_TTY_REQUIRED;
	tty = terminal_find();
	if (tty >= 0)
		describe(tty, request);
	*ret_shared = tty >= 0 && !all;
	/* Only where all of it is the terminal's can nobody else want the keyboard. */
	if (tty < 0 || (all && tcgetpgrp(tty) == getpgrp()))
		request->flags |= MESSAGE_REQUEST_FOREGROUND;
}

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ? -errno : 0;
}

/*
 * Line ends are made by one terminal only: the user's as long as it is not raw, or others
 * of a pipeline write there, so that they find it as it was; else the program's.
 */
static void choose_processing(struct terminal *terminal, bool own)
{
	struct termios modes;

	if (terminal->tty < 0 || tcgetattr(terminal->master, &modes) != 0)
		return;
	if (own) {
		modes.c_oflag |= terminal->processing;
		terminal->processing = 0;
	} else {
		terminal->processing |= modes.c_oflag & OPOST;
		modes.c_oflag &= ~(tcflag_t)OPOST;
	}
	(void)tcsetattr(terminal->master, TCSANOW, &modes); /* of a master it does not stop */
}

int terminal_open(int master, const struct terminal_start *begun, struct terminal *ret)
{
	struct termios modes;

	*ret = (struct terminal){ .tty = terminal_find(),
				  .master = master,
				  .wanted = begun->foreground,
				  .alike = begun->alike,
				  .shared = begun->shared };
	ret->input = ret->tty >= 0 ? ret->tty : STDIN_FILENO;
	ret->output = ret->tty >= 0 ? ret->tty : STDOUT_FILENO;
	int err = make_nonblocking(master);
	if (err == 0 && ret->tty >= 0)
		err = make_nonblocking(ret->tty);
	if (err != 0) {
		terminal_close(ret);
		return err;
	}
	if (ret->tty < 0) {
		ret->wanted = true; /* there is nobody to share it with (-t) */
		return 0;
	}
	/* In the background it has begun without. */
	if (!begun->foreground && tcgetattr(ret->tty, &modes) == 0)
		ret->processing = modes.c_oflag & OPOST;
	terminal_resize(ret); /* it may have changed since the request */
	return 0;
}

bool terminal_in_foreground(const struct terminal *terminal)
{
	return terminal->tty < 0 || tcgetpgrp(terminal->tty) == getpgrp();
}

bool terminal_is_gone(const struct terminal *terminal)
{
	return terminal->tty >= 0 && tcgetpgrp(terminal->tty) < 0;
}

/* In the background SIGTTOU would stop dive here; the caller has looked. */
static bool set_modes(const struct terminal *terminal, int when, const struct termios *modes)
{
	int result;

	do
		result = tcsetattr(terminal->tty, when, modes);
	while (result != 0 && errno == EINTR);
	return result == 0;
}

static bool make_raw(struct terminal *terminal)
{
	struct termios modes;

	if (!terminal->wanted || !terminal_in_foreground(terminal))
		return false;
	if (!terminal->raw && tcgetattr(terminal->tty, &terminal->saved) != 0)
		return false;
	modes = terminal->saved;
	cfmakeraw(&modes);
	if (terminal->shared)
		modes.c_oflag = terminal->saved.c_oflag;
	/* What has been typed ahead is for the program. */
	return set_modes(terminal, TCSADRAIN, &modes);
}

bool terminal_take(struct terminal *terminal)
{
	if (terminal->tty < 0)
		return terminal->wanted;
	terminal->raw = make_raw(terminal);
	if (terminal->raw && !terminal->alike) { /* in the background there was nothing to go by */
		(void)tcsetattr(terminal->master, TCSANOW, &terminal->saved);
		terminal->alike = true;
		terminal->processing = 0;
	}
	choose_processing(terminal, terminal->raw && !terminal->shared);
	return terminal->raw;
}

void terminal_release(struct terminal *terminal)
{
	if (!terminal->raw)
		return;
	terminal->raw = false;
	choose_processing(terminal, false);
	/* In the background it is somebody else's, who has set it for himself. */
	if (terminal_in_foreground(terminal))
		(void)set_modes(terminal, TCSADRAIN, &terminal->saved); /* or it is hung up */
}

void terminal_close(struct terminal *terminal)
{
	terminal_release(terminal);
	close_fd(&terminal->tty);
	close_fd(&terminal->master);
}

void terminal_resize(const struct terminal *terminal)
{
	struct winsize size;

	if (terminal->tty >= 0 && terminal->master >= 0 &&
	    ioctl(terminal->tty, TIOCGWINSZ, &size) == 0)
		(void)ioctl(terminal->master, TIOCSWINSZ, &size); /* the kernel tells the program */
}

/* --- bytes ----------------------------------------------------------------------- */

/* Returns false when nothing more can come from there. */
static bool fill(int from, struct terminal_flow *flow)
{
	ssize_t got = read(from, flow->bytes + flow->used, sizeof(flow->bytes) - flow->used);

	if (got > 0) {
		flow->used += (size_t)got;
		flow->came += (uint64_t)got;
		flow->last = flow->bytes[flow->used - 1];
		return true;
	}
	return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* A descriptor that others share may block on more than poll(2) has seen room for.
   Returns false when nothing more is taken there. */
static bool flush(int to, struct terminal_flow *flow)
{
	size_t len = flow->used < PIPE_BUF ? flow->used : PIPE_BUF;
	ssize_t sent = len > 0 ? write(to, flow->bytes, len) : 0;

	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	flow->used -= (size_t)sent;
	memmove(flow->bytes, flow->bytes + sent, flow->used);
	return true;
}

static bool has_room(const struct terminal_flow *flow)
{
	return !flow->closed && flow->used < sizeof(flow->bytes);
}

/*
 * The end of standard input, where that is no terminal, is the end of what is typed.
 * After half a line the first key for it ends only that.
 */
static void end_keys(struct terminal *terminal)
{
	struct terminal_flow *keys = &terminal->keys;
	int count = keys->last != '\0' && keys->last != '\n' ? 2 : 1;
	struct termios modes;

	keys->closed = true;
	if (terminal->tty >= 0 || tcgetattr(terminal->master, &modes) != 0 ||
	    !(modes.c_lflag & ICANON))
		return;
	for (int i = 0; i < count && keys->used < sizeof(keys->bytes); i++)
		keys->bytes[keys->used++] = (char)modes.c_cc[VEOF];
}

void terminal_prepare(const struct terminal *terminal, struct pollfd polls[TERMINAL_POLLS])
{
	bool listens = terminal->raw || terminal->tty < 0;
	short master = 0;

	if (has_room(&terminal->screen))
		master |= POLLIN;
	if (terminal->keys.used > 0)
		master |= POLLOUT;
	polls[0] =
		(struct pollfd){ .fd = listens && has_room(&terminal->keys) ? terminal->input : -1,
				 .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = terminal->screen.used > 0 ? terminal->output : -1,
				    .events = POLLOUT };
	polls[2] = (struct pollfd){ .fd = master ? terminal->master : -1, .events = master };
}

void terminal_serve(struct terminal *terminal, const struct pollfd polls[TERMINAL_POLLS])
{
	struct terminal_flow *screen = &terminal->screen;

	if (polls[0].revents != 0 && !fill(terminal->input, &terminal->keys))
		end_keys(terminal);
	if ((polls[2].revents & POLLOUT) && !flush(terminal->master, &terminal->keys))
		terminal->keys.used = 0;
	if ((polls[2].revents & ~POLLOUT) && has_room(screen) && !fill(terminal->master, screen))
		screen->closed = true; /* EIO: nobody holds the other side any more */
	/* A terminal that is gone takes nothing, which must not stop the program. */
	if (polls[1].revents != 0 && !flush(terminal->output, screen))
		screen->used = 0;
}

/* The first three entries, but for keys, which wait, and for output above the limit. */
static void prepare_screen(const struct terminal *terminal, uint64_t limit,
			   struct pollfd polls[TERMINAL_POLLS])
{
	terminal_prepare(terminal, polls);
	polls[0].fd = -1;
	polls[2].events &= ~POLLOUT;
	if (polls[2].events == 0 || terminal->screen.came >= limit)
		polls[2].fd = -1;
}

void terminal_drain(struct terminal *terminal, int signals)
{
	const uint64_t limit = terminal->screen.came + DRAIN_MAX;

	for (;;) {
		struct pollfd polls[TERMINAL_POLLS + 1];
		bool wait = terminal->screen.used > 0;

		if (terminal->screen.closed && !wait)
			return;
		prepare_screen(terminal, limit, polls);
		polls[TERMINAL_POLLS] = (struct pollfd){ .fd = signals, .events = POLLIN };
		/* What was written before is there to be read: on a master poll(2) itself waits
		   for what is on its way in the kernel. */
		int ready = poll(polls, ARRAY_LEN(polls), wait ? -1 : 0);
		if ((ready < 0 && errno != EINTR) || (ready == 0 && !wait) ||
		    (ready > 0 && polls[TERMINAL_POLLS].revents != 0 && wait &&
		     polls[1].revents == 0))
			return;
		if (ready > 0)
			terminal_serve(terminal, polls);
		if (ready > 0 && polls[1].revents == 0 && polls[2].revents == 0)
			return; /* a signal, and nothing to carry */
	}
}
