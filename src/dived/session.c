/*
 * session - the procedure: who is there, what is asked, is it allowed, do it,
 * write down how it ended.
 *
 * serve() below is the whole of it, in the order the reference gives.  Every
 * step returns 0 or fills the fault and refuses; what has been opened by then
 * is closed in reverse by session_run(), on every path.  Records are written
 * before the client hears of what they record, and before PAM is asked to close:
 * there modules may hang, crash or exit, and would take the end with them.
 *
 * Real, effective and saved uid stay 0 until the child: with the client as real
 * uid, the client could kill this process between a wrong password and its
 * being counted.
 */
#include "session_internal.h"

#include "cleanup.h"
#include "deadline.h"
#include "environment.h"
#include "holder.h"
#include "log.h"
#include "supervise.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_MS 5000  /* for the last packet to a client */
#define SPAWN_MS 30000 /* for all steps between fork and exec */

static int read_request(struct session *session, struct fault *fault)
{
	const char *reason = NULL;
	int r;

	if (session->config->mode == CONFIG_MODE_EXECUTE)
		r = request_local(session->config, &session->request);
	else
		r = request_recv(session->conn,
				 deadline_after((int64_t)session->config->request_timeout * 1000),
				 &session->request, &reason);
	process_vacate(session->in->occupied);
	if (r == 0) {
		introduce_request(session);
		return 0;
	}
	session->silent = r == -ENOTCONN; /* whoever looks whether somebody listens */
	(void)fault_set(fault, MESSAGE_LAYER_REQUEST, "receive", r < 0 ? -r : EPROTO, "%s",
			reason ? reason : "no room for the descriptors");
	return -EACCES;
}

static int authenticate(struct session *session, struct fault *fault)
{
	const struct plan_decision *decision = &session->decision;
	struct auth_input input = {
		.pamh = session->in->pamh,
		.config = session->config,
		.watchdog = &session->watchdog,
		.conn = session->conn,
		.control = session->in->control,
		.forbidden = session->request.hello.flags & MESSAGE_HELLO_NON_INTERACTIVE,
		.asked = session->asked,
		.remote_user = session->accounts.client.name,
		.tty = session->facts.tty,
	};
	char **dive = NULL;

	if (plan_dive(session->config, &session->peer, &session->accounts, &dive))
		return fault_set(fault, MESSAGE_LAYER_AUTHENTICATION, "memory", ENOMEM,
				 "out of memory");
	input.dive = dive;
	session->took_pam = true;
	int r = auth_init(&input, &session->auth, fault);
	environment_done(&dive);
	if (r == 0 && decision->authenticate)
		r = auth_authenticate(&session->auth, decision->asked->name, fault);
	if (r)
		return r;
	return auth_account(&session->auth, decision->authenticate ? decision->asked->name : NULL,
			    decision->target->name, session->peer.root, fault);
}

/* Looks the accounts up, for as long as PAM would be waited for: services hang as modules do. */
static int look_up_accounts(struct session *session, struct fault *fault)
{
	unsigned seconds = session->config->auth_timeout + WATCHDOG_GRACE_S;
	int r = watchdog_init(session->conn, session->heard, &session->watchdog);

	if (r == 0)
		r = watchdog_arm(&session->watchdog, PHASE_NAMES, seconds);
	if (r)
		return fault_set(fault, MESSAGE_LAYER_ACCOUNT, "timer", -r, "out of timers");
	r = introduce_accounts(session, fault);
	watchdog_disarm(&session->watchdog);
	return r;
}

/* Groups without PAM: the target's, where this process may set any; with -P dived's own stay. */
static int set_groups(struct session *session, struct fault *fault)
{
	const struct account *target = session->decision.target;
	int r;

	if (session->config->no_setuid)
		return 0;
	r = watchdog_arm(&session->watchdog, PHASE_NAMES,
			 session->config->auth_timeout + WATCHDOG_GRACE_S);
	if (r)
		return fault_set(fault, MESSAGE_LAYER_SESSION, "timer", -r, "out of timers");
	if (geteuid() == 0 && target->name)
		r = initgroups(target->name, target->gid);
	else if (geteuid() == 0)
		r = setgroups(1, &target->gid);
	int error = errno;
	watchdog_disarm(&session->watchdog);
	return r ? fault_set(fault, MESSAGE_LAYER_SESSION, "initgroups", error,
			     "the groups of the target cannot be set: %s", strerror(error))
		 : 0;
}

/* Opens the PAM session.  What the child needs is made before modules lower limits. */
static int open_session(struct session *session, struct fault *fault)
{
	const struct config *config = session->config;
	int r = config->namespaces ? namespace_open(config->namespaces, &session->namespaces, fault)
				   : 0;

	if (r)
		return r;
	session->granted.namespaces = &session->namespaces;
	r = child_prepare(session->decision.terminal, &session->channel);
	if (r == 0)
		session->signals = r = supervise_open_signals(config->mode == CONFIG_MODE_EXECUTE);
	process_park(&session->signals);
	if (r < 0 && session->decision.terminal && r != -EMFILE && r != -ENFILE)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "terminal", -r,
				 "there is no new terminal to be had: %s; -T does without",
				 strerror(-r));
	if (r < 0)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "prepare", -r,
				 "no descriptors left: %s", strerror(-r));
	process_expose(config->inherited.limits);
	r = session->decision.pam ? auth_open(&session->auth, session->decision.target, fault)
				  : set_groups(session, fault);
	if (r)
		return r;
	r = process_capture(&session->before, &session->granted, &session->groups);
	child_renew(&session->channel);
	if (r == 0)
		r = introduce_moved(session);
	if (r == 0 && session->decision.pam) {
		session->pam_environment = pam_getenvlist(session->auth.pamh);
		r = session->pam_environment ? 0 : -ENOMEM;
	}
	session->granted.environment = session->pam_environment;
	session->granted.namespaces = &session->namespaces; /* process_capture() filled it anew */
	session->granted.terminal_is_own = session->terminal_is_own;
	return r ? fault_set(fault, MESSAGE_LAYER_SESSION, "capture", -r,
			     "the session's state cannot be read: %s", strerror(-r))
		 : 0;
}

/* A client that has gone by now is not waiting for a program to start. */
static int check_client(const struct session *session, struct fault *fault)
{
	struct pollfd wait = { .fd = session->conn };

	if (session->conn >= 0 && poll(&wait, 1, 0) > 0)
		return fault_set(fault, MESSAGE_LAYER_REQUEST, "client", 0, "the client has gone");
	return 0;
}

/* What the monitor has said by the time the program is executed. */
static int meet_monitor(struct session *session, int *ret_master, pid_t *ret_number)
{
	for (;;) {
		struct monitor_message message;
		cleanup_fd int fd = -1;
		int r = deadline_poll(session->channel.monitor_ours, POLLIN,
				      deadline_after(REPLY_MS));

		if (r == 0)
			r = monitor_recv(session->channel.monitor_ours, &message, &fd);
		if (r)
			return r;
		if (message.type == MONITOR_TERMINAL) {
			*ret_master = take_fd(&fd);
		} else if (fd >= 0) { /* of the program, from itself or from the monitor */
			close_fd(&session->program_fd);
			session->program_fd = take_fd(&fd);
		}
		if (message.type != MONITOR_PROGRAM)
			continue;
		*ret_number = message.value;
		return *ret_master < 0 ? -EPROTO : 0;
	}
}

static int report_start(struct session *session, struct fault *fault)
{
	struct message_started started = { .pid = (uint32_t)session->program };
	cleanup_fd int master = -1;
	int r = 0;

	if (session->config->no_wait)
		started.flags |= MESSAGE_STARTED_NO_WAIT;
	if (session->plan.terminal == PLAN_TERMINAL_NEW) {
		pid_t number = 0;

		r = meet_monitor(session, &master, &number);
		started.pid = (uint32_t)number;
		started.flags |= MESSAGE_STARTED_TTY;
	} else {
		session->program_fd = pidfd_open(session->program, 0); /* or there is none */
	}
	process_park(&session->program_fd);
	introduce_program(session, session->program_fd);
	if (r)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "monitor", -r,
				 "the terminal's monitor cannot be reached: %s", strerror(-r));
	/* A client that has gone is noticed, and dealt with, by supervise_run(). */
	if (session->conn >= 0)
		(void)message_send(session->conn, deadline_after(REPLY_MS), MESSAGE_STARTED,
				   &started, sizeof(started), NULL, 0, &master, master >= 0);
	return 0;
}

/*
 * With -J, where nothing is left to be done when the program has ended.  A leader of a
 * process group cannot become that of a session, if it is none yet; a child of it can.
 */
static bool must_execute_here(const struct session *session)
{
	const struct config *config = session->config;
	const unsigned forking = NAMESPACE_BIT(NAMESPACE_PID) | NAMESPACE_BIT(NAMESPACE_TIME);

	return config->mode == CONFIG_MODE_EXECUTE && !session->decision.pam &&
	       (!session->plan.new_session || getpgrp() != getpid() || process_is_apart()) &&
	       !(config->unshare & forking) &&
	       !namespace_set_enters(&session->namespaces, NAMESPACE_PID);
}

/* From its first step on, should this process die before it is executed. */
static void tell_made(void *context, pid_t pid)
{
	const struct session *session = context;
	/* With a new terminal it is the monitor, which ends when we do; the program need not. */
	bool known = session->plan.terminal != PLAN_TERMINAL_NEW;
	cleanup_fd int pidfd = known ? pidfd_open(pid, 0) : -1; /* or no number is left for it */

	introduce_program(session, pidfd);
}

static int spawn(struct session *session, struct fault *fault)
{
	int r = plan_make(session->config, &session->peer, &session->request, &session->accounts,
			  &session->decision, &session->granted, &session->plan, fault);

	if (r == 0)
		r = check_client(session, fault);
	if (r)
		return r;
	introduce_plan(session);
	if (must_execute_here(session)) {
		if (session->config->namespaces)
			holder_end(session->config->namespaces); /* the descriptors keep them */
		return child_execute(&session->plan, &session->channel, session->in->messages,
				     fault);
	}
	introduce_login_uid(session); /* a module may have given it another: pam_loginuid */
	introduce_tell(session, CONTROL_LIMIT, SESSION_RECORD_S);
	r = session->unrecorded ? 0 : audit_spawn(&session->audit, &session->facts, fault);
	if (r)
		return r;
	/* Else the child closes them when it executes the program, and may wait there; but not
	   by what would be the first process of the program's pid namespace. */
	if (session->config->no_fds && session->may_fork)
		request_drop_fds(&session->request);
	session->recorded = !session->unrecorded;
	session->started = deadline_now();
	introduce_tell(session, CONTROL_LIMIT, SPAWN_MS / 1000 + WATCHDOG_GRACE_S);
	r = supervise_block(true, session->config->mode == CONFIG_MODE_EXECUTE);
	if (r)
		return fault_set(fault, MESSAGE_LAYER_SETUP, "signals", -r, "signals: %s",
				 strerror(-r));
	introduce_tell(session, CONTROL_PROGRAM, 0);
	session->channel.made = tell_made;
	session->channel.context = session;
	r = child_start(&session->plan, &session->channel, deadline_after(SPAWN_MS),
			&session->program, fault);
	session->executed = r != -EACCES;
	if (r)
		return r;
	introduce_tell(session, CONTROL_LIMIT, 0);
	r = report_start(session, fault);
	if (r)
		return r;
	request_close_fds(&session->request);
	return 0;
}

static int wait_for_program(struct session *session, struct fault *fault)
{
	struct supervise supervise = {
		.config = session->config,
		.peer = &session->peer,
		.hello = &session->request.hello,
		.elevated = session->decision.elevated,
		.conn = session->conn,
		.program = session->program,
		.signals = session->signals,
		.local = session->config->mode == CONFIG_MODE_EXECUTE,
		.apart = !session->may_fork,
		.shared = !session->plan.new_session && !session->plan.new_group,
		.cgroup = session->config->cgroup_fd,
		.monitor = session->channel.monitor_ours,
		.program_fd = session->program_fd,
	};
	bool gone = false;
	int r = supervise_run(&supervise, &session->exited, &gone);

	if (gone)
		session->watchdog.conn = -1;
	if (r)
		return fault_set(fault, MESSAGE_LAYER_SESSION, "wait", -r,
				 "the program's end cannot be told: %s",
				 r == -ETIMEDOUT ? "its monitor has been stopped" : strerror(-r));
	session->ended = true;
	return 0;
}

/* The order of the reference.  Return: 0 the program ran and has ended; else refused. */
static int serve(struct session *session, struct fault *fault)
{
	int r = introduce_identify(session, fault);

	if (r == 0 && session->in->broken)
		r = fault_set(fault, MESSAGE_LAYER_AUTHENTICATION, "service", 0,
			      "authentication is not available");
	if (r == 0)
		r = read_request(session, fault);
	if (r == 0)
		r = look_up_accounts(session, fault);
	if (r == 0)
		r = plan_decide(session->config, &session->peer, &session->request,
				&session->accounts, &session->decision, fault);
	if (r)
		return r;
	introduce_describe(session);
	r = introduce_terminal(session, fault);
	if (r == 0 && session->decision.pam)
		r = authenticate(session, fault);
	if (r)
		return r;
	introduce_tell(session, CONTROL_VERDICT, 0);
	r = open_session(session, fault);
	if (r == 0)
		r = spawn(session, fault);
	if (r == 0)
		r = wait_for_program(session, fault);
	return r;
}

static void release(struct session *session)
{
	watchdog_done(&session->watchdog);
	namespace_set_done(&session->namespaces);
	plan_done(&session->plan);
	free(session->words);
	free(session->groups);
	for (size_t i = 0; session->pam_environment && session->pam_environment[i]; i++)
		free(session->pam_environment[i]);
	free(session->pam_environment);
	account_done(&session->accounts.client);
	account_done(&session->accounts.target);
	account_done(&session->accounts.asked);
	account_done(&session->accounts.effective);
	free(session->accounts.effective_groups);
	request_done(&session->request);
	peer_done(&session->peer);
	audit_done(&session->audit);
	close_fd(&session->program_fd);
	close_fd(&session->signals);
	close_fd(&session->outside);
	close_fd(&session->moved_directory);
	audit_close_login(&session->login);
}

/*
 * Of several sockets, the gateway's address is from here on that of the one this
 * client came by: in prompts, records and DIVE_GATEWAY.
 */
static void find_gateway(struct session *session)
{
	const struct config *config = session->in->config;

	session->config = config;
	if (!config->listen_fds || socket_name(session->conn, session->gateway))
		return;
	session->own = *config;
	session->own.address = session->gateway;
	session->config = &session->own;
}

void session_run(const struct session_input *input, struct session_result *ret)
{
	struct session *session = calloc(1, sizeof(*session));
	struct fault fault = { 0 };

	*ret = (struct session_result){ .ran = false };
	(void)fault_set(&ret->fault, MESSAGE_LAYER_GATEWAY, "memory", ENOMEM, "out of memory");
	if (!session)
		return;				    /* the listener records that no verdict came */
	(void)prctl(PR_SET_NAME, "dived: session"); /* for ps(1) only */
	*session = (struct session){
		.in = input,
		.conn = input->conn,
		.heard = input->control >= 0 ? input->control : input->recorder,
		.peer = { .pidfd = -1 },
		.audit = { .fd = -1 },
		.program_fd = -1,
		.signals = -1,
		.outside = -1,
		.moved_directory = -1,
		.login = { -1, -1 },
		.channel = CHILD_CHANNEL_CLOSED,
		.namespaces = NAMESPACE_SET_EMPTY,
		.request = { .wait_number = -1, .cwd = -1, .root = -1, .terminal = -1 },
		.facts = { .id = session->id },
	};
	find_gateway(session);
	session->facts.gateway = session->config->address;
	if (introduce_announce(session) == 0) {
		int r = serve(session, &fault);

		session_end(session, &fault, r != 0);
		*ret = (struct session_result){ session->took_pam, session->ended, session->exited,
						fault };
	}
	release(session);
	free(session);
}
