/*
 * cleanup - scope-bound ownership of descriptors and memory.
 *
 * `cleanup_fd int fd = -1;` closes fd when the scope ends, however it ends.
 * To hand the object on, take it out: `*ret = take_fd(&fd);` leaves -1 behind,
 * so that exactly one owner exists at any time.
 *
 * An unset descriptor is -1, an unset pointer is NULL; destructors accept both.
 * None of these changes errno.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Closes *fd unless it is unset, and unsets it. */
static inline void close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing can be done about a failure here, and Linux
				     frees the number whatever close(2) returns */
	*fd = -1;
	errno = saved;
}

static inline void free_pointer(void *pointer)
{
	int saved = errno;

	free(*(void **)pointer);
	*(void **)pointer = NULL;
	errno = saved;
}

#define cleanup_fd   __attribute__((cleanup(close_fd)))
#define cleanup_free __attribute__((cleanup(free_pointer)))

/* Returns the descriptor and leaves -1 in its place. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Returns the pointer and leaves NULL in its place. */
#define take_ptr(pointer)                                                                          \
	__extension__({                                                                            \
		__typeof__(pointer) *place_ = &(pointer);                                          \
		__typeof__(pointer) taken_ = *place_;                                              \
		*place_ = NULL;                                                                    \
		taken_;                                                                            \
	})
