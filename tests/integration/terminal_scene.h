/*
 * terminal_scene - what the tests of terminals share: alice at a terminal, and the one
 * gateway behind which things happen.
 *
 * Words that are expected are typed in parts, a''b, so as not to be found in the echo.
 */
#pragma once

#include "cleanup.h"
#include "family.h"
#include "gateway.h"
#include "must.h"
#include "pty.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"
#include "text.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define MONITOR "dived: monitor"
#define PATHS	"PATH=/run/dive-test/bin:/run/dive-test:/usr/sbin:/usr/bin:/sbin:/bin"
#define AS_BOB	"-u", "bob", "-a", "never"

static struct gateway gateway;
static struct pty pty = { .run.pidfd = -1, .master = -1, .slave = -1 };
static char variable[160];

static inline int teardown(void **state)
{
	pty_done(&pty);
	gateway_kill(&gateway);
	return sandbox_test_teardown(state);
}

/* alice's command at a terminal; $G is the gateway, and `more` NULL or a variable. */
static inline void at_terminal(const char *const *argv, const char *more)
{
	(void)snprintf(variable, sizeof(variable), "G=%s", gateway.address); /* fits */
	pty_start(&pty,
		  &(struct run_options){ .account = "alice",
					 .argv = argv,
					 .directory = "/home/alice",
					 .envp = RUN_WORDS(PATHS, "PS1=ready> ", "HOME=/home/alice",
							   "TERM=dumb", variable, more) });
}

/* A shell with job control. */
static inline void shell(const char *more)
{
	at_terminal(RUN_WORDS("bash", "--norc", "--noediting", "-i"), more);
	pty_expect(&pty, "ready> ");
}

static inline void type(const char *line)
{
	pty_send(&pty, line);
	pty_send(&pty, "\n");
}

static inline void leave(void)
{
	type("exit 0");
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
}

/* How often a text is on the screen since `from`. */
static inline unsigned count_since(size_t from, const char *text)
{
	return text_count(pty.screen + from, text);
}

/* Modes that nobody would choose. */
static inline struct termios set_odd_modes(void)
{
	struct termios modes = pty_termios(&pty);

	modes.c_iflag ^= IUTF8 | IXANY;
	modes.c_oflag ^= TAB3;
	modes.c_lflag ^= ECHOK;
	modes.c_cc[VINTR] = 7;	/* ^G */
	modes.c_cc[VQUIT] = 5;	/* ^E */
	modes.c_cc[VSUSP] = 20; /* ^T */
	MUST(tcsetattr(pty.slave, TCSANOW, &modes));
	return pty_termios(&pty);
}

static inline bool same_modes(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

static inline void assert_modes(const struct termios *wanted)
{
	struct termios now = pty_termios(&pty);

	if (!same_modes(wanted, &now))
		FAIL("modes are %o %o %o %o, not %o %o %o %o (or characters differ)", now.c_iflag,
		     now.c_oflag, now.c_cflag, now.c_lflag, wanted->c_iflag, wanted->c_oflag,
		     wanted->c_cflag, wanted->c_lflag);
}

/* The number after `what` on the screen, in what was expected last or before. */
static inline pid_t number_after(const char *what)
{
	const char *at = NULL;

	for (const char *next = pty.screen; (next = strstr(next, what)); next++)
		at = next + strlen(what);
	assert_non_null(at);
	return (pid_t)strtol(at, NULL, 10);
}
