/*
 * service - a PAM service loaded and judged: what a template does once for many
 * sessions, and a process that serves one client for itself.
 */
#pragma once

#include "config.h"

#include <security/pam_appl.h>
#include <stdbool.h>
#include <stdint.h>

#define SERVICE_TEXT_MAX 256

struct service {
	pam_handle_t *pamh;	     /* owned until a session takes it; NULL without PAM */
	uint64_t occupied;	     /* low descriptor numbers, kept free for PAM (process.h) */
	bool broken;		     /* the service cannot be used */
	char text[SERVICE_TEXT_MAX]; /* why; one line */
};

/*
 * Loads the service of the config (nothing with --no-pam), warms the caches of
 * name services, and then occupies the low descriptor numbers.  Sockets that
 * loading left open make the service broken: forks would share them.
 */
void service_load(const struct config *config, struct service *ret);

/* Ends what no session has taken over.  Accepts a zeroed or released one. */
void service_done(struct service *service);

/* The same again: service files may have changed since. */
void service_reload(const struct config *config, struct service *service);
