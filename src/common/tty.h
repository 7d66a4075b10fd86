/*
 * tty - what the files of terminals are called.
 */
#pragma once

#include <sys/types.h>

#define TTY_NAME_SIZE 64

/*
 * The name that Linux gives the file of a terminal with this number: "/dev/pts/N",
 * "/dev/ttyN".  It is a proposal: the file of that name may be another, or missing, and
 * the same number exists in every devpts instance.
 * Return: 0; -ENOTTY for numbers that are not of terminals.  /dev/tty and /dev/ptmx count as
 * such: they are names of something else each time they are opened.
 */
int tty_name(dev_t device, char ret[TTY_NAME_SIZE]);

/*
 * The number of the terminal that is open as `fd`, as tty_nr in proc_pid_stat(5) has it.
 * It tells which terminal /dev/tty, /dev/tty0 or /dev/console is, where the file's own
 * does not.  An ioctl(2): only for a character device that is known to be a terminal.
 * Return: 0; -errno.
 */
int tty_number(int fd, unsigned *ret);

/* Such a number as a device number. */
dev_t tty_device(unsigned number);
