/*
 * secret - memory for passwords, and the certain wiping of any memory.
 *
 * A secret lives in pages of its own that are locked out of swap as far as
 * limits allow, left out of core dumps (MADV_DONTDUMP) and wiped when it is
 * released.  It holds at most SECRET_MAX - 1 bytes of text and a NUL.
 */
#pragma once

#include <stddef.h>

#define SECRET_MAX 512 /* bytes with the NUL: PAM_MAX_RESP_SIZE of Linux-PAM */

struct secret {
	char *text; /* SECRET_MAX bytes, NUL-terminated; NULL when empty */
	size_t len; /* bytes before the NUL */
};

/*
 * Fills *ret with an empty secret; the caller releases it with secret_done().
 * Return: 0 or -ENOMEM.
 */
int secret_init(struct secret *ret);

/* Wipes and releases; accepts a zeroed or released secret, leaves it zeroed. */
void secret_done(struct secret *secret);

/* Wipes the text, keeps the memory. */
void secret_clear(struct secret *secret);

/* Appends one byte.  Return: 0; -EMSGSIZE when full (the byte is dropped). */
int secret_append(struct secret *secret, char byte);

/* Overwrites memory in a way no compiler removes; accepts NULL with len 0. */
void secret_wipe(void *memory, size_t len);
