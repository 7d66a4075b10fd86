/*
 * listener_template - the template's life as the listener sees it.
 *
 * There is one that forks (`current`) and sometimes one that loads (`next`).
 * A change of PAM's files, SIGHUP, or the death of the current one asks for a
 * next one; from then until it is ready connections wait, so that an edit is in
 * force for the very next client.  A template that dies at once is tried again
 * after a moment, not in a loop.
 */
#include "cleanup.h"
#include "deadline.h"
#include "disposable.h"
#include "listener_internal.h"
#include "log.h"
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define LOAD_MS	 10000 /* for a service to load */
#define RETRY_MS 200   /* after a failure */

/* Whether a connection may be handed on now; looks for changes first. */
bool listener_template_ready(struct listener *listener)
{
	if (listener->watch >= 0 && watch_drain(listener->watch))
		listener->reload = true;
	return listener->current.pid > 0 && !listener->reload && listener->next.pid == 0;
}

/* It ends by itself when it has forked for what is in its queue. */
static void retire(struct listener *listener, struct template *template)
{
	if (template->pid > 0 && !template->reaped)
		listener->disposables++; /* from now on reaped like one */
	listener_forget(listener, &template->control);
	template_retire(template);
}

/* One that loads listens to nobody and may hang in a module. */
static void stop_loading(struct listener *listener)
{
	if (listener->next.pid > 0 && !listener->next.reaped)
		(void)kill(listener->next.pid, SIGKILL); /* our unreaped child */
}

/* Made anew before each load: directories come, go and are included for the first time. */
static int renew_watch(struct listener *listener)
{
	if (listener->config->no_pam)
		return 0;
	listener_forget(listener, &listener->watch);
	listener->watch = watch_open(listener->config);
	return listener->watch < 0 ? listener->watch
				   : listener_add(listener, listener->watch, TAG_WATCH);
}

static void start_next(struct listener *listener)
{
	int r = renew_watch(listener);

	if (r == 0)
		r = template_start(listener->config, &listener->next);

	if (r == 0)
		r = listener_add(listener, listener->next.control, TAG_NEXT);
	if (r) {
		(void)snprintf(listener->why, sizeof(listener->why),
			       "no template can be started: %s", strerror(-r));
		if (listener->serving)
			log_error("%s: %s", listener->config->address, listener->why);
		else
			listener->broken = true; /* the error of start-up */
		retire(listener, &listener->next);
		listener->retry_at = deadline_after(RETRY_MS);
		return;
	}
	listener->reload = false;
	listener->next_deadline = deadline_after(LOAD_MS);
}

static void next_ready(struct listener *listener)
{
	struct template_report report;
	int r = template_receive(&listener->next, &report);

	if (r == -EAGAIN)
		return;
	if (r) {
		log_error("%s: a template died while it loaded", listener->config->address);
		retire(listener, &listener->next);
		listener->retry_at = deadline_after(RETRY_MS);
		listener->reload = true;
		return;
	}
	bool news = !listener->broken || strcmp(listener->why, report.text) != 0;
	if (report.broken)
		(void)snprintf(listener->why, sizeof(listener->why), "%s", report.text);
	if (report.broken && listener->serving && news) /* else it is the error of start-up */
		log_error("%s: authentication is not available: %s", listener->config->address,
			  report.text);
	else if (!report.broken && listener->broken)
		log_notice("%s: authentication is available again", listener->config->address);
	listener->broken = report.broken != 0;
	retire(listener, &listener->current);
	listener->current = listener->next;
	listener->next = (struct template){ .control = -1 };
	listener->next_deadline = DEADLINE_NONE;
	struct epoll_event event = { .events = EPOLLIN, .data = { .u64 = TAG_CURRENT } };
	/* Cannot fail: the descriptor is in the set, with another tag. */
	(void)epoll_ctl(listener->epoll, EPOLL_CTL_MOD, listener->current.control, &event);
	if (listener->serving)
		listener_settled(listener);
}

/*
 * The current template says nothing after its report: an event is its end, or was that of
 * the one before, which this one has replaced in the same turn.
 */
static void current_died(struct listener *listener)
{
	struct template_report report;

	if (template_receive(&listener->current, &report) == -EAGAIN)
		return;
	log_error("%s: the template died and is started again", listener->config->address);
	retire(listener, &listener->current);
	listener->reload = true;
	listener->retry_at = deadline_after(listener->next.pid ? RETRY_MS : 0);
	for (size_t i = 0; i < listener->used; i++)
		connection_return(listener, &listener->connections[i]);
}

void listener_template_event(struct listener *listener, enum listener_tag tag)
{
	if (tag == TAG_NEXT && listener->next.pid > 0)
		next_ready(listener);
	else if (tag == TAG_CURRENT && listener->current.pid > 0)
		current_died(listener);
}

void listener_template_timers(struct listener *listener, int64_t now)
{
	if (listener->next.pid > 0 && deadline_passed(listener->next_deadline)) {
		log_error("%s: the service did not load within %d s", listener->config->address,
			  LOAD_MS / 1000);
		stop_loading(listener);
		retire(listener, &listener->next);
		listener->next_deadline = DEADLINE_NONE;
		listener->retry_at = now + RETRY_MS;
		listener->reload = true;
	}
	if (listener->reload && listener->next.pid == 0 && !listener_names_wanted(listener) &&
	    listener->retry_at <= now)
		start_next(listener);
}

int64_t listener_template_next(const struct listener *listener)
{
	if (listener->next.pid > 0)
		return listener->next_deadline;
	return listener->reload && !listener_names_wanted(listener) ? listener->retry_at
								    : DEADLINE_NONE;
}

void listener_template_stop(struct listener *listener)
{
	stop_loading(listener);
	template_retire(&listener->current);
	template_retire(&listener->next);
}
