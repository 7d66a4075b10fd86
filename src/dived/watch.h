/*
 * watch - notices changes of the files PAM reads its services from.
 */
#pragma once

#include "config.h"

/*
 * Watches /etc/pam.d, /usr/lib/pam.d, --pam-confdir, /etc/pam.conf and the directories of
 * all files that the service includes now.  Directories that do not exist are
 * watched for by nobody.  Return: a descriptor (inotify(7), close-on-exec,
 * non-blocking), or -errno.
 */
int watch_open(const struct config *config);

/* Reads all events.  Return: whether anything changed that PAM reads. */
bool watch_drain(int fd);
