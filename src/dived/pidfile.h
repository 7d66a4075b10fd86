/*
 * pidfile - dived's process id, written where it was asked for.
 */
#pragma once

#include "options.h"

#include <stddef.h>

/*
 * Writes "PID\n" to each file: created (0644) or truncated, never through a
 * symbolic link.  A control file of a cgroup (cgroup.procs, tasks) is written
 * without truncating.  Return: 0; -errno with one line in `error`.
 */
int pidfile_write(const struct option_list *files, char *error, size_t error_size);

/* Removes the files that still hold our id; leaves those of cgroups alone. */
void pidfile_remove(const struct option_list *files);
