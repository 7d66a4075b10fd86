/*
 * environment - the program's environment, built from its five sources.
 *
 * The order (later wins): base (the client's, a safe selection of it, nothing,
 * or dived's own), the target account's variables, PAM's list, --env-set, and
 * DIVE_*.  A pure function of its input: no getenv, no files but one: TZ.
 */
#pragma once

#include "account.h"
#include "config.h"

#include <stddef.h>

#define ENVIRONMENT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct environment_input {
	enum config_environment mode; /* never _DEFAULT: see environment_mode() */
	char *const *client;	      /* "NAME=VALUE", NULL-terminated; untrusted */
	char *const *server;	      /* dived's own at start */
	const struct option_list *keep;
	const struct option_list *set;
	char *const *pam;  /* pam_getenvlist(3), may be NULL */
	char *const *dive; /* DIVE_* lines, may be NULL */
	const struct account *target;
};

/* What --environment (or -E, or its absence) means for a spawn. */
enum config_environment environment_mode(const struct config *config, bool elevated);

/**
 * environment_make() - build the list
 * @ret: NULL-terminated array of owned strings, each "NAME=VALUE" with a
 *       non-empty NAME and no two with the same; environment_done() frees it
 *
 * Entries of the client without "=" or with an empty name are dropped, as is
 * every DIVE_* of the client; of repeated names the client's first counts,
 * as getenv(3) would see it.  Strings of more than 128 KiB are refused.
 *
 * Return: 0; -ENOMEM; -E2BIG.
 */
int environment_make(const struct environment_input *input, char ***ret);

/* The value of a name in a list, or NULL. */
const char *environment_get(char *const *list, const char *name);

void environment_done(char ***list);

/* Whether --env-keep may name this variable: it steers no loader, no shell.  `name` may
   end in '*' like a prefix only where the reference says so (it does not). */
bool environment_keep_allowed(const char *name);

/* Whether "NAME=VALUE" is fit for --env-set. */
bool environment_set_valid(const char *text);
