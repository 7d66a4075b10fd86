/*
 * terminal - the user's terminal, and the program's new one behind the gateway.
 *
 * dive holds the master of the new terminal and carries bytes between the two.
 * The keyboard is taken (raw mode) only while dive is in the foreground and the
 * program may have it; the modes found are put back on every way out.
 */
#pragma once

#include "config.h"
#include "message.h"
#include "request.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#define TERMINAL_ROOM 16384 /* bytes on their way, in each direction */

/* What is on its way to one side. */
struct terminal_flow {
	char bytes[TERMINAL_ROOM];
	size_t used;
	uint64_t came; /* bytes that came in ever */
	char last;     /* byte that came in; 0 before the first */
	bool closed;   /* nothing more comes in */
};

struct terminal {
	int tty;     /* the user's, an open file of dive's own; owned; -1 for none */
	int input;   /* where keys come from: tty, or 0 without one; borrowed */
	int output;  /* where the program's output goes: tty, or 1; borrowed */
	int master;  /* of the program's terminal; owned; -1 before the start */
	bool wanted; /* the program may have the keyboard */
	bool raw;    /* it has: `saved` is to be put back */
	bool alike;  /* the program's terminal has begun with the modes of the user's */
	bool shared; /* not all of 0, 1, 2 are the user's: others of a pipeline write there */
	tcflag_t processing; /* OPOST, as long as the program's terminal lacks it for ours */
	struct termios saved;
	struct terminal_flow keys;   /* to the program */
	struct terminal_flow screen; /* from the program */
};

#define TERMINAL_EMPTY                                                                             \
	{                                                                                          \
		.tty = -1, .input = -1, .output = -1, .master = -1                                 \
	}

/*
 * Opens the controlling terminal, read-write and close-on-exec: /dev/tty, and where there is
 * no such file, in a root that is almost bare, what is open already as 0, 1 or 2.
 * Return: the descriptor, owned by the caller; -errno, -ENXIO without one.
 */
int terminal_find(void);

/* Whether dive has a controlling terminal. */
bool terminal_exists(void);

/* Whether a descriptor is the controlling terminal of dive's session. */
bool terminal_is_own(int fd);

/* Whether it was opened as /dev/tty, for reading and writing: a file that is every terminal's
   and tells of none. */
bool terminal_is_indirect(int fd);

/*
 * Opens the controlling terminal by its own name, found from its number.
 * Return: the descriptor, owned by the caller; -ENOENT where the file of that name is not
 * this terminal's; -errno.
 */
int terminal_open_own(void);

/**
 * terminal_choose() - decide whether the program is to have a new terminal
 * @flags: HELLO flags to be added to
 * @request: REQUEST flags, modes and size to be filled
 * @ret_shared: whether others may use the terminal, too; set where one is wanted
 *
 * One is wanted where any of 0, 1, 2 is the controlling terminal, unless -T or
 * DIVE_TERMINAL or DIVE_WAITMODE=1 says otherwise, and with -t.
 */
void terminal_choose(const struct client_config *config, const struct client_fds *fds,
		     uint32_t *flags, struct message_request *request, bool *ret_shared);

/**
 * terminal_open() - the program has started, with this master
 * @master: taken over
 * @begun: how the program's terminal has begun
 * Return: 0, released with terminal_close(); -errno.
 */
int terminal_open(int master, const struct terminal_start *begun, struct terminal *ret);

/* Puts the terminal back as it was, in the foreground only, once all output is out. */
void terminal_release(struct terminal *terminal);

/* The same, and closes; accepts an empty one. */
void terminal_close(struct terminal *terminal);

/*
 * Takes the keyboard, if it is wanted and dive is in the foreground.
 * Returns whether the program has it now.
 */
bool terminal_take(struct terminal *terminal);

/* Whether dive is in the foreground of the user's terminal; true without one. */
bool terminal_in_foreground(const struct terminal *terminal);

/* Whether the user's terminal has hung up, or become another session's. */
bool terminal_is_gone(const struct terminal *terminal);

/* Tells the program's terminal the size of the user's. */
void terminal_resize(const struct terminal *terminal);

/* Fills three entries for poll(2), and acts on what it said. */
#define TERMINAL_POLLS 3
void terminal_prepare(const struct terminal *terminal, struct pollfd polls[TERMINAL_POLLS]);
void terminal_serve(struct terminal *terminal, const struct pollfd polls[TERMINAL_POLLS]);

/*
 * Carries to the user's terminal what the program has written so far.  Blocks for as
 * long as that does not take it, and no longer than until `signals` is readable.  Others
 * may go on writing: of that only a part is carried.
 */
void terminal_drain(struct terminal *terminal, int signals);
