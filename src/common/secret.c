/*
 * secret - memory for passwords, and the certain wiping of any memory.
 *
 * A password gets a mapping of its own rather than a piece of the heap: locking
 * and leaving out of core dumps work on whole pages, and nothing else may share
 * its fate.  A secret never moves (no realloc leaves a copy behind), is never
 * printed, and is wiped before its memory goes back to the kernel.
 *
 * A page that cannot be locked (RLIMIT_MEMLOCK) is used all the same: refusing
 * to ask for a password at all would not make anybody safer.
 */
#include "secret.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int secret_init(struct secret *ret)
{
	void *page =
		mmap(NULL, SECRET_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -ENOMEM;
	(void)mlock(page, SECRET_MAX);			/* best effort, see above */
	(void)madvise(page, SECRET_MAX, MADV_DONTDUMP); /* known to every kernel since 3.4 */
	*ret = (struct secret){ .text = page };
	return 0;
}

void secret_done(struct secret *secret)
{
	if (secret->text) {
		secret_wipe(secret->text, SECRET_MAX);
		(void)munmap(secret->text, SECRET_MAX); /* fails only for an address not ours */
	}
	*secret = (struct secret){ 0 };
}

void secret_clear(struct secret *secret)
{
	/* All of it: an earlier, longer text may have been here. */
	if (secret->text)
		secret_wipe(secret->text, SECRET_MAX);
	secret->len = 0;
}

int secret_append(struct secret *secret, char byte)
{
	assert(secret->text);
	if (secret->len >= SECRET_MAX - 1)
		return -EMSGSIZE;
	secret->text[secret->len++] = byte; /* the page began as zeros: the NUL is there */
	return 0;
}

void secret_wipe(void *memory, size_t len)
{
	if (len > 0)
		explicit_bzero(memory, len);
}
