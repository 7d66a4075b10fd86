/*
 * recorder - writes down the loss of a session that has no listener.
 */
#include "recorder.h"

#include "cleanup.h"
#include "control.h"
#include "deadline.h"
#include "disposable.h"
#include "gateway.h"
#include "process.h"
#include "socket.h"
#include "witness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct recorder {
	const struct config *config;
	struct witness witness;
	int control; /* of the session; -1 once it has closed it */
	int session; /* its pidfd */
	int64_t deadline;
	bool serving; /* a start of the gateway has its record */
	bool stopped; /* and its stop is in the log */
	const char *gateway;
};

/* All that has been told. */
static void listen_to(struct recorder *recorder)
{
	struct control message;
	int fd = -1;
	int r;

	while ((r = control_recv(recorder->control, &message, &fd)) == 0) {
		witness_hear(&recorder->witness, &message, &fd);
		close_fd(&fd);
		recorder->serving = recorder->serving || message.type == CONTROL_SERVING;
		recorder->stopped = recorder->stopped || message.type == CONTROL_STOPPED;
		if (message.type == CONTROL_LIMIT)
			recorder->deadline = message.value
						     ? deadline_after((int64_t)message.value * 1000)
						     : DEADLINE_NONE;
	}
	if (r != -EAGAIN)
		close_fd(&recorder->control);
}

/* Until the session has ended; one that has lost its descriptors is still limited. */
static void watch(struct recorder *recorder)
{
	while (process_lives(recorder->session)) {
		struct pollfd waits[] = {
			{ .fd = recorder->session, .events = POLLIN },
			{ .fd = recorder->control, .events = POLLIN },
		};

		if (poll(waits, ARRAY_LEN(waits), deadline_left(recorder->deadline)) < 0 &&
		    errno != EINTR)
			return;
		if (recorder->control >= 0 && waits[1].revents)
			listen_to(recorder);
		if (!deadline_passed(recorder->deadline))
			continue;
		recorder->witness.lost = WITNESS_OUTLIVED_TIME;
		recorder->deadline = DEADLINE_NONE;
		(void)pidfd_send_signal(recorder->session, SIGKILL, NULL, 0); /* or it has ended */
	}
	if (recorder->control >= 0)
		listen_to(recorder); /* what it has said last */
}

/* The loss; and if the program goes on without its session, its end, whenever that is. */
static void record(struct recorder *recorder)
{
	enum config_audit mode = (enum config_audit)recorder->config->audit;
	struct witness *witness = &recorder->witness;

	if (!witness_owes(witness, recorder->gateway))
		return;
	witness_write(witness, mode, recorder->gateway);
	if (!witness->running)
		return;
	while (process_lives(witness->program))
		(void)deadline_poll(witness->program, POLLIN, DEADLINE_NONE);
	witness->outlived = true;
	witness_write(witness, mode, recorder->gateway);
}

/* Whoever stops a service signals all of its processes, this one for no good. */
static void ignore_signals(void)
{
	static const int numbers[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGTERM,
				       SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		(void)signal(numbers[i], SIG_IGN); /* cannot fail for these */
}

void recorder_become(void)
{
	ignore_signals();
	process_detach();
	(void)!chdir("/");			     /* or a file system stays busy */
	(void)prctl(PR_SET_NAME, "dived: recorder"); /* for ps(1) only; last: now it is one */
}

static void __attribute__((noreturn)) keep(struct recorder *recorder)
{
	recorder_become();
	watch(recorder);
	/* First, as dived's own. */
	if (recorder->serving)
		gateway_record(recorder->config, false,
			       recorder->stopped ? GATEWAY_KERNEL : GATEWAY_BOTH);
	record(recorder);
	_exit(0);
}

/* Two forks: what the process in between leaves behind is no child of ours. */
static int fork_recorder(struct recorder *recorder)
{
	int kept[] = { recorder->control, recorder->session };
	pid_t pid = disposable_fork(kept, ARRAY_LEN(kept));
	int status = 0;

	if (pid < 0)
		return (int)pid;
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			keep(recorder);
		_exit(pid < 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status ? -EAGAIN : 0;
}

static int start(const struct config *config, int conn, int *ret)
{
	struct recorder recorder = { .config = config,
				     .deadline = DEADLINE_NONE,
				     .witness = { .program = -1 } };
	char name[SOCKET_NAME_SIZE];
	struct peer peer;
	int pair[2];
	int r;

	r = conn >= 0 ? peer_read(conn, &peer) : peer_read_self(&peer);
	if (r)
		return r;
	recorder.witness.peer = peer;
	recorder.witness.peer.groups = NULL;
	recorder.witness.peer.group_count = 0;
	recorder.witness.peer.pidfd = -1;
	peer_done(&peer);
	/* Of several sockets that of this client, as in the records of the session. */
	recorder.gateway = conn >= 0 && config->listen_fds && socket_name(conn, name) == 0
				   ? name
				   : config->address;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	cleanup_fd int ours = pair[0];
	cleanup_fd int theirs = pair[1];
	cleanup_fd int session = pidfd_open(getpid(), 0);
	if (session < 0)
		return -errno;
	recorder.control = theirs;
	recorder.session = session;
	r = fork_recorder(&recorder);
	if (r)
		return r;
	*ret = take_fd(&ours);
	process_park(ret);
	return 0;
}

int recorder_start(const struct config *config, int conn, int *ret, char *error, size_t error_size)
{
	int r = 0;

	*ret = -1;
	if (!gateway_is_unrecorded(config) && !process_forks_elsewhere(false))
		r = start(config, conn, ret);
	if (r)
		(void)snprintf(error, error_size,
			       "no process can be made to record what happens: %s", strerror(-r));
	return r;
}

void recorder_stop(int recorder, const struct config *config)
{
	gateway_record(config, false, GATEWAY_LOG);
	(void)control_tell(recorder, CONTROL_STOPPED, 0); /* or there is nobody to say it twice */
}
