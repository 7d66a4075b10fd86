/*
 * disposable - processes that may block, because nobody waits for them.
 *
 * A disposable process that has to give up a connection does not close it but
 * exits: in an exiting process the kernel does not linger (inet_release() looks
 * at PF_EXITING), so most of what a client can queue costs nothing at all.
 */
#include "disposable.h"

#include "admit.h"
#include "cleanup.h"
#include "deadline.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>

#define SAY_MS 1000 /* a client that does not read its refusal does without */

pid_t disposable_fork(int *keep, size_t count)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return pid;
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL); /* KILL, STOP and libc's own refuse; the rest matter */
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Else syslog(3) goes on with a number that is closed here and is soon another's: of a
	   configuration file, a connection, the audit socket. */
	closelog();
	process_close_others(3, keep, count);
	(void)setsid(); /* a ^C at the terminal dived was started from is not for us */
	(void)prctl(PR_SET_NAME, "dived: refuse");
	return 0;
}

/*
 * Forks a child that holds *sock and returns in it only after the parent has
 * closed its own copy: it reads from a pipe whose other end goes away then.
 */
static pid_t hand_over(int *sock)
{
	int gate[2];
	char byte;

	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	int keep[] = { *sock, gate[0] };
	pid_t pid = disposable_fork(keep, ARRAY_LEN(keep));
	if (pid == 0) {
		while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
			;
		return 0;
	}
	close_fd(&gate[0]);
	if (pid > 0)
		close_fd(sock);
	close_fd(&gate[1]);
	return pid;
}

pid_t disposable_refuse(int *conn, enum config_audit mode, const struct audit_facts *facts,
			const char *text)
{
	struct message_refused refused = { .layer = MESSAGE_LAYER_GATEWAY,
					   .status = FAULT_STATUS_REFUSED };
	pid_t pid = hand_over(conn);

	if (pid)
		return pid;
	admit_record(mode, facts, *conn, text);
	(void)message_send(*conn, deadline_after(SAY_MS), MESSAGE_REFUSED, &refused,
			   sizeof(refused), text, strlen(text), NULL, 0);
	_exit(0);
}

pid_t disposable_close(int *sock)
{
	pid_t pid = hand_over(sock);

	if (pid)
		return pid;
	_exit(0);
}

pid_t disposable_lost(enum config_audit mode, const char *gateway, const struct witness *witness)
{
	struct witness known = *witness;
	pid_t pid = disposable_fork(&known.peer.pidfd, 1);

	if (pid)
		return pid;
	witness_write(&known, mode, gateway);
	_exit(0);
}
