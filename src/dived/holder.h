/*
 * holder - the process that makes the namespaces of -s and keeps them.
 *
 * dived itself stays outside.  The holder is the first process in the new
 * namespaces (pid 1 of a new pid namespace), runs --setup there, reaps what is
 * orphaned, and ends when nobody holds the gateway's end of a pipe any more:
 * neither the listener nor the last session.
 */
#pragma once

#include "config.h"
#include "namespace.h"

/**
 * holder_start() - make the namespaces of config->unshare
 * @single: only one program will run in them (-i, -F, -J): it becomes pid 1 of
 *          a new pid namespace, so that one is not made here
 * @namespaces: tied already; made, fresh_pid, maps, alive and holder are filled
 *
 * Writes the maps and offsets of -t and -tt; runs --setup.  Blocks for as long
 * as that takes, a minute at most.
 *
 * Return: 0; -EINVAL with one line in `error` that names the option.
 */
int holder_start(const struct config *config, bool single, struct namespaces *namespaces,
		 char *error, size_t error_size);

/*
 * Ends the holder at once and reaps it, where no pid namespace depends on it:
 * the descriptors keep the others.
 */
void holder_end(struct namespaces *namespaces);
