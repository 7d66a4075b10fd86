/*
 * What the files of terminals are called: a table of device numbers, as in
 * Documentation/admin-guide/devices.txt of the kernel.
 *
 * Terminals are looked for by nothing but this: a search through /dev would find what
 * somebody has put there.
 */
#include "tty.h"

#include "cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

static const struct tty_range {
	unsigned major;
	unsigned first; /* minor; the first number in names is 0 */
	unsigned last;
	const char *prefix;
	bool numbered;
} ranges[] = {
	{ 136, 0, UINT32_MAX, "/dev/pts/", true }, /* all of them, 20 bits of minor */
	{ 4, 0, 63, "/dev/tty", true },
	{ 4, 64, 255, "/dev/ttyS", true },
	{ 5, 1, 1, "/dev/console", false },
	{ 229, 0, 255, "/dev/hvc", true },
	{ 204, 64, 79, "/dev/ttyAMA", true },
	{ 188, 0, 255, "/dev/ttyUSB", true },
	{ 166, 0, 255, "/dev/ttyACM", true },
};

int tty_name(dev_t device, char ret[TTY_NAME_SIZE])
{
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		const struct tty_range *range = &ranges[i];
		unsigned number = minor(device) - range->first;

		if (major(device) != range->major || minor(device) < range->first ||
		    minor(device) > range->last)
			continue;
		/* All are far shorter. */
		if (range->numbered)
			(void)snprintf(ret, TTY_NAME_SIZE, "%s%u", range->prefix, number);
		else
			(void)snprintf(ret, TTY_NAME_SIZE, "%s", range->prefix);
		return 0;
	}
	return -ENOTTY;
}

int tty_number(int fd, unsigned *ret)
{
	return ioctl(fd, TIOCGDEV, ret) ? -errno : 0;
}

/* new_decode_dev() of the kernel. */
dev_t tty_device(unsigned number)
{
	return makedev(number >> 8 & 0xfff, (number & 0xff) | (number >> 12 & 0xfff00));
}
