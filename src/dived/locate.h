/*
 * locate - what a directory is called that somebody has opened, for records.
 *
 * The kernel tells a name of every descriptor (readlink(2) of /proc/self/fd/N).  Of one that
 * was opened in another mount namespace it is the name there: whoever makes a user
 * namespace can mount his home where the programs of the administrator are, and open that.
 * So the name is looked up anew, and counts as confirmed only where it leads to the
 * same directory on the same mount.
 *
 * No decision rests on any of this.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What goes with a name that is not confirmed: the directory itself. */
struct locate_inode {
	bool due;	/* the name is not confirmed */
	uint32_t major; /* of the device */
	uint32_t minor;
	uint64_t number; /* 0: not known */
};

/**
 * locate_directory() - name a directory
 * @fd: the directory; -1 for none
 * @outside: the root directory that names are to be seen from, where this process has left
 *           it; else -1
 * @buffer: of PATH_MAX bytes, filled with the name
 * @may_fork: else only what the kernel has at hand counts, and nothing is seen from outside
 * @ret: filled always
 *
 * What is looked up may belong to a network, or to a process of the client's.  So it is a
 * child that waits for it, and is given up after LOCATE_MS.
 *
 * Return: `buffer`; NULL for no descriptor, or where there is no name: then @ret tells.
 */
#define LOCATE_MS 1000
const char *locate_directory(int fd, int outside, bool may_fork, char *buffer,
			     struct locate_inode *ret);
