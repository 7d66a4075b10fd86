/*
 * watch - inotify(7) on directories, since editors replace files by renaming.
 *
 * Any event in one of PAM's directories counts, whatever file it is about: a
 * service can include any of them.  /etc itself changes for other reasons all
 * the time, so there only pam.conf and pam.d count.
 */
#include "watch.h"

#include "cleanup.h"
#include "stack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#define CHANGES                                                                                    \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |        \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR)

/* The first watch descriptor of an inotify instance is 1, so /etc is known by it. */
#define WATCH_ETC 1

static void add(int fd, const char *directory)
{
	(void)inotify_add_watch(fd, directory, CHANGES); /* one that is not there cannot change */
}

/* `file` is cut at its last slash. */
static void add_parent(int fd, char *file)
{
	char *slash = file ? strrchr(file, '/') : NULL;

	if (!slash || slash == file)
		return;
	*slash = '\0';
	if (strcmp(file, "/etc") != 0)
		add(fd, file);
}

/* Where the file is named, and where it is, should that be a symbolic link. */
static void add_parents(int fd, const char *file)
{
	cleanup_free char *named = strdup(file);
	cleanup_free char *real = realpath(file, NULL);

	add_parent(fd, named);
	add_parent(fd, real);
}

int watch_open(const struct config *config)
{
	char error[256];
	struct stack stack;
	cleanup_fd int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (inotify_add_watch(fd, "/etc", CHANGES) != WATCH_ETC)
		return -errno;
	add(fd, "/etc/pam.d");
	add(fd, "/usr/lib/pam.d");
	if (config->pam_confdir)
		add(fd, config->pam_confdir);
	if (stack_read(config->pam_service, config->pam_confdir, &stack, error, sizeof(error)))
		return take_fd(&fd); /* the template says what is wrong with it */
	for (size_t i = 0; i < stack.file_count; i++)
		add_parents(fd, stack.files[i]);
	stack_done(&stack);
	return take_fd(&fd);
}

static bool matters(const struct inotify_event *event)
{
	if (event->mask & IN_IGNORED)
		return false;
	if (event->wd != WATCH_ETC || (event->mask & IN_Q_OVERFLOW))
		return true;
	return event->len > 0 &&
	       (strcmp(event->name, "pam.conf") == 0 || strcmp(event->name, "pam.d") == 0);
}

bool watch_drain(int fd)
{
	_Alignas(struct inotify_event) char buffer[4096];
	bool changed = false;
	ssize_t got;

	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		for (char *at = buffer; at < buffer + got;) {
			const struct inotify_event *event = (const void *)at;

			changed = changed || matters(event);
			at += sizeof(*event) + event->len;
		}
	}
	return changed;
}
