/*
 * config - what the command line and the DIVE_* variables ask of dive.
 *
 * Read once, validated as far as that needs no file: a directory or a terminal
 * that is named here is opened by request.c.  Names begin with client_ since
 * dived has a config of its own and the unit tests link both programs.
 */
#pragma once

#include "failure.h"
#include "message.h"
#include "options.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define CLIENT_ADDRESS_MAX 107 /* bytes of sun_path less the NUL */

struct client_config {
	/* Options: 0 or 1. */
	unsigned non_interactive;
	unsigned from_stdin;
	unsigned askpass;
	unsigned login;
	unsigned tty;	 /* -t */
	unsigned no_tty; /* -T */
	unsigned help;	 /* with this, version or dump nothing below is filled */
	unsigned version;
	unsigned dump;

	/* Environment. */
	const char *curdir;	     /* DIVE_CURDIR, or NULL */
	const char *rootdir;	     /* DIVE_ROOTDIR, or NULL */
	bool terminal_set;	     /* DIVE_TERMINAL is there, whatever it says */
	const char *terminal;	     /* DIVE_TERMINAL where it is a path, or NULL */
	int terminal_fd;	     /* DIVE_TERMINAL where it is @N, or -1 */
	const char *askpass_program; /* DIVE_ASKPASS, absolute, or NULL */
	enum message_wait wait;
	enum message_forward forward;
	bool has_server_uid;
	uid_t server_uid; /* DIVE_SERVER_USER */

	/* Operands. */
	const char *address; /* 1 to CLIENT_ADDRESS_MAX bytes; "@name" is abstract */
	char *const *argv;   /* the program and its arguments, NULL-terminated; may be empty */
};

extern const struct option_table client_options;

/**
 * client_config_load() - read argv and the environment
 * @argv: NULL-terminated; it and the environment must outlive *ret
 * @ret: filled on success, nothing in it to release
 *
 * May ask the name service for DIVE_SERVER_USER, which can open descriptors:
 * list the inherited ones first.
 *
 * Return: 0; FAILED (usage, or out of memory).
 */
int client_config_load(char *const *argv, struct client_config *ret, struct failure *failure);
