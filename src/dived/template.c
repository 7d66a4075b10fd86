/*
 * template - loads once, forks often.
 *
 * A template loads the service (service.c), tells the listener how that went,
 * and from then on only receives connections and forks.
 */
#include "template.h"

#include "ancillary.h"
#include "cleanup.h"
#include "disposable.h"
#include "process.h"
#include "service.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Receives a connection.  Return: 0; -EAGAIN nothing usable came; -EPIPE at the end. */
static int receive(int control, int ret[2])
{
	union ancillary ancillary;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

	ancillary_expect(&head, &ancillary);
	ssize_t got = recvmsg(control, &head, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return errno == EINTR ? -EAGAIN : -EPIPE;
	if (got == 0)
		return -EPIPE;
	if (ancillary_take(&head, ret, 2) == 2)
		return 0;
	close_fd(&ret[0]); /* there was room for one: the listener sees the end of file */
	return -EAGAIN;
}

static void __attribute__((noreturn))
become_session(const struct config *config, const struct service *service, const int fds[2])
{
	struct session_input input = {
		.config = config,
		.conn = fds[0],
		.control = fds[1],
		.recorder = -1,
		.occupied = service->occupied,
		.pamh = service->pamh,
		.broken = service->broken ? service->text : NULL,
	};

	(void)setsid(); /* fails for a group leader only, which a fork is not */
	(void)signal(SIGCHLD, SIG_DFL);
	struct session_result result;
	session_run(&input, &result);
	_exit(0); /* the listener has been told */
}

/*
 * The session waits until our copies are closed, so that the last close of a
 * connection, which can block, is never this process's.  A failure shows at the
 * listener as an end of file before HELLO.
 */
static void fork_session(const struct config *config, const struct service *service, int control,
			 int fds[2])
{
	int gate[2] = { -1, -1 };
	char byte;
	pid_t pid = pipe2(gate, O_CLOEXEC) ? -1 : fork();

	if (pid == 0) {
		close_fd(&gate[1]);
		close_fd(&control);
		while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
			;
		close_fd(&gate[0]);
		process_park(&fds[0]);
		process_park(&fds[1]);
		become_session(config, service, fds);
	}
	close_fd(&fds[0]); /* where nothing was forked the listener still holds it */
	close_fd(&fds[1]);
	close_fd(&gate[0]);
	close_fd(&gate[1]);
}

static void __attribute__((noreturn)) run(const struct config *config, int control)
{
	struct template_report report = { 0 };
	struct service service;
	int fds[2] = { -1, -1 };
	int r;

	(void)prctl(PR_SET_NAME, "dived: template"); /* for ps(1) only */
	(void)clearenv();
	if (config->detach)
		process_detach();
	service_load(config, &service);
	report.broken = service.broken;
	(void)snprintf(report.text, sizeof(report.text), "%s", service.text);
	if (send(control, &report, sizeof(report), MSG_NOSIGNAL) < 0)
		_exit(1);
	(void)signal(SIGCHLD, SIG_IGN); /* sessions are reaped by the kernel */
	while ((r = receive(control, fds)) != -EPIPE)
		if (r == 0)
			fork_session(config, &service, control, fds);
	_exit(0);
}

int template_start(const struct config *config, struct template *ret)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	cleanup_fd int ours = pair[0];
	cleanup_fd int theirs = pair[1];
	int keep[CONFIG_KEPT_MAX + 1] = { theirs };
	size_t count = 1 + config_list_kept(config, keep + 1);
	pid_t pid = disposable_fork(keep, count);
	if (pid < 0)
		return pid;
	if (pid == 0)
		run(config, theirs);
	*ret = (struct template){ .pid = pid, .control = take_fd(&ours) };
	return 0;
}

int template_receive(const struct template *template, struct template_report *ret)
{
	struct template_report report;
	ssize_t got = recv(template->control, &report, sizeof(report), MSG_DONTWAIT);

	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (got == 0)
		return -EPIPE;
	if ((size_t)got != sizeof(report))
		return -EBADMSG;
	report.text[sizeof(report.text) - 1] = '\0';
	*ret = report;
	return 0;
}

int template_hand(const struct template *template, int conn, int control)
{
	const int fds[] = { conn, control };
	union ancillary ancillary;
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

	ancillary_send(&head, &ancillary, fds, ARRAY_LEN(fds));
	return sendmsg(template->control, &head, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void template_retire(struct template *template)
{
	close_fd(&template->control);
	*template = (struct template){ .control = -1 };
}
