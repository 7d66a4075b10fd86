/*
 * admit - who may use a gateway at all, before anything is said.
 */
#pragma once

#include "audit.h"
#include "config.h"

#include <stdbool.h>
#include <sys/socket.h>

/**
 * admit_judge() - hold a client against --allow and an abstract socket's mode
 * @abstract: the socket has no file whose mode and owner the kernel has looked at
 * @ret: SO_PEERCRED, filled where it can be read
 * @ret_root: whether it is a root client, whom limits per user do not hold
 *
 * Return: NULL when admitted, else a const string for the client.
 */
const char *admit_judge(const struct config *config, int conn, bool abstract, struct ucred *ret,
			bool *ret_root);

/**
 * admit_record() - write down that a client is not let in
 * @facts: as far as they are known; its peer is replaced by what the socket tells now,
 *         and an empty id by a new one
 * @conn: the connection of the client
 *
 * Where the socket tells nothing and no peer is given, nothing is written.  Takes on
 * the client's login uid, and may take its time: for a process that ends after it.
 */
void admit_record(enum config_audit mode, const struct audit_facts *facts, int conn,
		  const char *text);
