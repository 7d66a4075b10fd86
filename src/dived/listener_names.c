/*
 * listener_names - the names of the options, looked up again at SIGHUP.
 *
 * A name service may hang, and the listener must not: a disposable process asks, and
 * what it has found is taken over when it has ended.  Until then nobody is let in, since
 * a reload is in force for the next client; but not for longer than NAMES_MS.
 */
#include "cleanup.h"
#include "deadline.h"
#include "disposable.h"
#include "listener_internal.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NAMES_MS 5000

static void keep_names(struct listener *listener, const char *why)
{
	log_error("%s: reload: %s; the names of before stay in force", listener->config->address,
		  why);
	(void)snprintf(listener->stale, sizeof(listener->stale), "%s", why);
}

void listener_names_start(struct listener *listener)
{
	struct listener_names *names = &listener->names;

	listener->resolve = false;
	listener->stale[0] = '\0';
	names->fd = memfd_create("dived names", MFD_CLOEXEC);
	pid_t pid = names->fd < 0 ? -errno : disposable_fork(&names->fd, 1);
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, "dived: names");
		_exit(config_resolve(listener->config, names->fd) != 0);
	}
	if (pid < 0) {
		keep_names(listener, "no process can be made to look the names up");
		close_fd(&names->fd);
		return;
	}
	names->pid = pid;
	names->deadline = deadline_after(NAMES_MS);
	if (!listener->serving)
		return; /* the sockets are not served yet either */
	listener_accepting(listener, false);
	listener->ready = 0; /* found again when the sockets are back in the set */
	listener->accept_at = names->deadline;
}

static void forget_process(struct listener *listener)
{
	close_fd(&listener->names.fd);
	listener->names.pid = 0;
	listener->accept_at = 0; /* at the end of this turn */
}

void listener_names_ended(struct listener *listener)
{
	struct listener_names *names = &listener->names;
	char error[sizeof(listener->stale)];

	if (config_adopt(listener->config, names->fd, error, sizeof(error)))
		keep_names(listener, error);
	else
		log_notice("%s: reloading", listener->config->address);
	forget_process(listener);
}

void listener_names_timers(struct listener *listener)
{
	struct listener_names *names = &listener->names;

	if (!names->pid || !deadline_passed(names->deadline))
		return;
	keep_names(listener, "the name services do not answer");
	listener_names_stop(listener);
}

void listener_names_stop(struct listener *listener)
{
	struct listener_names *names = &listener->names;

	if (!names->pid)
		return;
	(void)kill(names->pid, SIGKILL); /* our unreaped child */
	listener->disposables++;	 /* from now on reaped like one */
	forget_process(listener);
}

bool listener_names_wanted(const struct listener *listener)
{
	return listener->resolve || listener->names.pid;
}
