/*
 * sealed - dived executed from a copy of itself that nobody can change.
 */
#pragma once

#include <stddef.h>

/**
 * sealed_execute() - execute a sealed copy of the running program in its place
 * @argv: of main(); looked at for -N and --setns-pid, and passed on
 *
 * Does nothing where neither option is given, and in the copy itself.  To be called
 * first of all in main(), while everything is as whoever started dived left it.
 *
 * Return: 0 to go on; -EINVAL with one line in `error`.
 */
int sealed_execute(char *const *argv, char *error, size_t error_size);
