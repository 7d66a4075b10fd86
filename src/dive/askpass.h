/*
 * askpass - getting an answer from a program of the user's.
 */
#pragma once

#include "secret.h"

/**
 * askpass_ask() - run the program and read the first line of its output
 * @program: absolute path
 * @text: the prompt, NUL-terminated; its only argument, control characters escaped
 * @sock: the connection, only watched
 * @answer: initialised and empty
 *
 * Run as dive itself, without a shell; of descriptors it has standard error,
 * /dev/null to read and a pipe to write.  It never outlives the call, nor dive.
 *
 * Return: enum line_end, never LINE_SIGNAL; LINE_CLOSED also when it failed;
 * -errno when it could not be run at all.
 */
int askpass_ask(const char *program, const char *text, int sock, struct secret *answer);
