/*
 * prompt - asking a human at the terminal, and showing what the server says.
 */
#pragma once

#include "secret.h"

#include <stdbool.h>
#include <stddef.h>

struct prompt {
	const char *text; /* what the server sent */
	size_t len;
	bool hidden; /* the answer is not echoed */
};

/*
 * Writes text of the server, control characters escaped except newlines and
 * tabs.  Failures are not reported: there would be nowhere to.
 */
void prompt_show(int fd, const char *text, size_t len);

/**
 * prompt_ask() - show a prompt on the terminal and read the answer
 * @tty: from terminal_find(); borrowed
 * @sock: the connection, only watched
 * @answer: initialised and empty
 * @ret_signal: the number, on LINE_SIGNAL
 *
 * Pending input is discarded before and after, and the terminal is as it was on
 * every return.  Signals that end a process are caught meanwhile; those that stop it take effect
 * with the terminal restored, and after SIGCONT the prompt is shown again.  In
 * the background the terminal stops dive with SIGTTOU, as it does any program.
 *
 * Return: enum line_end; -errno when the terminal cannot be set.
 */
int prompt_ask(int tty, int sock, const struct prompt *prompt, struct secret *answer,
	       int *ret_signal);
