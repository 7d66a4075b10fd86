/*
 * watchdog - a timer over each PAM phase.
 *
 * The timer is a POSIX one with a real-time signal and a pointer: alarm(2) and
 * SIGALRM belong to the modules, and the pointer makes a global unnecessary.
 * Timers are not inherited by fork(2), so helpers of modules are not hit.
 */
#include "watchdog.h"

#include "deadline.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WATCHDOG_SIGNAL (SIGRTMIN + 3)

#define MODULE		"a PAM module did not return in time "

static const char *const phase_texts[PHASE_END] = {
	[PHASE_NONE] = "nothing was waited for",
	[PHASE_NAMES] = "a name service did not answer in time",
	[PHASE_AUTHENTICATE] = MODULE "(authentication)",
	[PHASE_ACCOUNT] = MODULE "(account check)",
	[PHASE_PASSWORD] = MODULE "(password change)",
	[PHASE_CREDENTIALS] = MODULE "(credentials)",
	[PHASE_OPEN] = MODULE "(session opening)",
	[PHASE_CLOSE] = MODULE "(session closing)",
};

const char *phase_hung(enum phase phase)
{
	return phase_texts[phase >= 0 && phase < PHASE_END ? phase : PHASE_NONE];
}

/* Async-signal-safe: send(2) and _exit(2) on data made beforehand. */
static void expire(int number, siginfo_t *info, void *context)
{
	const struct watchdog *watchdog = info->si_value.sival_ptr;

	(void)number;
	(void)context;
	if (info->si_code != SI_TIMER)
		return; /* sent by somebody: not our timer, and no pointer of ours */
	if (watchdog->conn >= 0)
		(void)send(watchdog->conn, watchdog->last, watchdog->last_len,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
	if (watchdog->control >= 0)
		(void)send(watchdog->control, &watchdog->hung, sizeof(watchdog->hung),
			   MSG_DONTWAIT | MSG_NOSIGNAL);
	_exit(1);
}

static int listen_for_expiry(void)
{
	struct sigaction action = { .sa_sigaction = expire, .sa_flags = SA_SIGINFO };
	sigset_t open;

	sigfillset(&action.sa_mask);
	if (sigaction(WATCHDOG_SIGNAL, &action, NULL))
		return -errno;
	sigemptyset(&open);
	sigaddset(&open, WATCHDOG_SIGNAL);
	return sigprocmask(SIG_UNBLOCK, &open, NULL) ? -errno : 0;
}

int watchdog_init(int conn, int control, struct watchdog *ret)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = WATCHDOG_SIGNAL,
				  .sigev_value = { .sival_ptr = ret } };
	int r = listen_for_expiry();

	*ret = (struct watchdog){ .conn = conn, .control = control };
	if (r)
		return r;
	if (timer_create(CLOCK_MONOTONIC, &event, &ret->timer))
		return -errno;
	ret->ready = true;
	return 0;
}

void watchdog_done(struct watchdog *watchdog)
{
	if (watchdog->ready)
		(void)timer_delete(watchdog->timer);
	watchdog->ready = false;
}

static int start(struct watchdog *watchdog, enum phase phase, unsigned seconds)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)seconds } };

	watchdog->hung = (struct control){ .type = CONTROL_HUNG, .value = (uint32_t)phase };
	if (watchdog->control >= 0) /* a listener that has gone is no reason to fail */
		(void)control_tell(watchdog->control, CONTROL_LIMIT, seconds + WATCHDOG_GRACE_S);
	/* A module of the phase before may have left other handlers and another mask. */
	int r = listen_for_expiry();
	if (r)
		return r;
	return timer_settime(watchdog->timer, 0, &when, NULL) ? -errno : 0;
}

/* Lays out header, fixed part and text as packet_send() would. */
static void compose(struct watchdog *watchdog, enum message_type type, const void *fixed,
		    size_t fixed_len, const char *text)
{
	size_t room = sizeof(watchdog->last) - sizeof(struct packet_header) - fixed_len;
	size_t text_len = strlen(text) < room ? strlen(text) : room;
	struct packet_header head = { .magic = PACKET_MAGIC,
				      .version = PACKET_VERSION,
				      .type = (uint16_t)type,
				      .body_len = (uint32_t)(fixed_len + text_len) };
	unsigned char *at = watchdog->last;

	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), fixed, fixed_len);
	memcpy(at + sizeof(head) + fixed_len, text, text_len);
	watchdog->last_len = sizeof(head) + fixed_len + text_len;
}

int watchdog_arm(struct watchdog *watchdog, enum phase phase, unsigned seconds)
{
	struct message_refused refused = { .layer = phase <= PHASE_PASSWORD
							    ? MESSAGE_LAYER_AUTHENTICATION
							    : MESSAGE_LAYER_SESSION,
					   .status = FAULT_STATUS_REFUSED };

	if (phase == PHASE_ACCOUNT || phase == PHASE_NAMES)
		refused.layer = MESSAGE_LAYER_ACCOUNT;
	compose(watchdog, MESSAGE_REFUSED, &refused, sizeof(refused), phase_hung(phase));
	return start(watchdog, phase, seconds);
}

int watchdog_arm_exited(struct watchdog *watchdog, enum phase phase, unsigned seconds,
			const struct message_exited *exited)
{
	compose(watchdog, MESSAGE_EXITED, exited, sizeof(*exited), "");
	return start(watchdog, phase, seconds);
}

void watchdog_disarm(struct watchdog *watchdog)
{
	struct itimerspec never = { 0 };

	(void)timer_settime(watchdog->timer, 0, &never, NULL); /* fails for no valid timer */
}
