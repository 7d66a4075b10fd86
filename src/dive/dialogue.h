/*
 * dialogue - from the end of the request until the program has started.
 *
 * Shows the server's notes and answers its prompts, from where the options say.
 */
#pragma once

#include "config.h"
#include "failure.h"
#include "message.h"
#include "signals.h"

/**
 * dialogue_run() - wait for the verdict
 * @ret: filled when the program has started
 * @ret_master: the master of its new terminal, the caller's; -1 for none
 *
 * Signals are held back on entry and on return, and have their default actions
 * while dive waits, except while a prompt is on the terminal: so ^C ends dive
 * before the program has started, and is the program's afterwards.
 *
 * Return: 0 the program has started; FAILED; a positive number: the signal that
 * came while a prompt was up, by which dive is to die now.
 */
int dialogue_run(const struct client_config *config, int sock, const struct signals_hold *hold,
		 struct message_started *ret, int *ret_master, struct failure *failure);
