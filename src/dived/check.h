/*
 * check - dived --check: a gateway tried and described, and not served.
 */
#pragma once

#include "config.h"

#include <stddef.h>
#include <stdio.h>

/*
 * Tries what start-up would, but for the socket, and prints the effective gateway, what will
 * be audited, and whether it can be.
 * Return: 0, with `out` to be flushed by the caller; -EINVAL with one line in `error`.
 */
int check_gateway(struct config *config, FILE *out, char *error, size_t size);
