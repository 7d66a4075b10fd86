/*
 * release - letting go of descriptors that somebody else has chosen.
 *
 * close(2) can block, and not only the last one: a file on FUSE or NFS waits for
 * its server at every close, unkillably, and a socket may linger at the last.
 * Whoever is handed descriptors must not be held up by that.
 */
#pragma once

#include <stddef.h>

/*
 * Closes `count` descriptors (-1 is skipped) and sets them to -1.  Where closing
 * one of them might block, a child process that shares this one's table of
 * descriptors does it and is left to itself: then the numbers become free when
 * they do, and what this process has open besides stays open until that child
 * has done, even when this process ends.  Where no child can be made, those that might
 * block stay open, without a name, until this process ends.  Does not change errno.
 */
void release_fds(int *fds, size_t count);
