/*
 * introduce - the beginning of a session: who is there, and who is meant.
 *
 * Everything is asked of the kernel and of name services, in dived's own
 * namespaces; the texts made here are for people to read, and no decision rests
 * on them.
 */
#include "session_internal.h"

#include "cleanup.h"
#include "deadline.h"
#include "environment.h"
#include "locate.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define ANNOUNCE_MS                                                                                \
	60000 /* the listener answers, or its end shows; it may be stopped for a while */

int introduce_announce(struct session *session)
{
	struct control hello = { .type = CONTROL_HELLO };
	int control = session->in->control;
	struct control reply;

	if (control < 0)
		return 0;
	cleanup_fd int pidfd = pidfd_open(getpid(), 0);
	if (pidfd < 0 || control_send(control, &hello, pidfd) ||
	    deadline_poll(control, POLLIN, deadline_after(ANNOUNCE_MS)) ||
	    control_recv(control, &reply, NULL) || reply.type != CONTROL_GO)
		return -EPIPE;
	return 0;
}

void introduce_tell(const struct session *session, enum control_type type, uint32_t value)
{
	if (session->heard >= 0) /* a listener that has gone is no reason to stop */
		(void)control_tell(session->heard, type, value);
}

void introduce_program(const struct session *session, int pidfd)
{
	struct control message = { .type = CONTROL_PROGRAM };

	if (session->heard >= 0)
		(void)control_send(session->heard, &message, pidfd); /* as above */
}

/* What the listener needs for the record if this process dies. */
static void tell_facts(const struct session *session)
{
	struct control message = { .type = CONTROL_FACTS,
				   .value = session->peer.known,
				   .login_uid = session->peer.login_uid };

	(void)snprintf(message.id, sizeof(message.id), "%s", session->id);
	(void)snprintf(message.account, sizeof(message.account), "%s", session->account);
	if (session->heard >= 0)
		(void)control_send(session->heard, &message, -1); /* as above */
}

void introduce_login_uid(struct session *session)
{
	session->facts.login_uid_kept =
		audit_keep_login_uid(&session->login, session->peer.login_uid) == 0 &&
		session->peer.known;
}

int introduce_identify(struct session *session, struct fault *fault)
{
	bool local = session->config->mode == CONFIG_MODE_EXECUTE;
	enum config_audit mode = (enum config_audit)session->config->audit;
	int r;

	/* What a refusal is recorded with comes before all that may be a reason for one. */
	session->unrecorded = local && session->config->no_pam;
	if (session->unrecorded)
		mode = CONFIG_AUDIT_OFF;
	session->audit.mode = mode;
	r = audit_new_id(session->id);
	if (r == 0)
		r = audit_init(mode, &session->audit);
	process_park(&session->audit.fd);
	audit_open_login(&session->login);
	process_park(&session->login.reading);
	process_park(&session->login.writing);
	log_reserve(PROCESS_PARKED);
	if (r == 0)
		r = local ? peer_read_self(&session->peer)
			  : peer_read(session->conn, &session->peer);
	if (r == 0) {
		session->facts.peer = &session->peer;
		process_park(&session->peer.pidfd);
		introduce_login_uid(session);
		r = process_prepare(&session->before);
	}
	if (r)
		return fault_set(fault, MESSAGE_LAYER_GATEWAY, "identify", -r,
				 "the client cannot be identified: %s", strerror(-r));
	tell_facts(session);
	/*
	 * A connection that outlived the process that made it could be anybody's: its
	 * login uid cannot be told, and "unset" would let whoever holds it shed his own.
	 */
	if (session->peer.gone)
		return fault_set(fault, MESSAGE_LAYER_GATEWAY, "identify", ESRCH,
				 "the process that connected has ended");
	return 0;
}

/*
 * Only a missing entry means "no such account"; a name service that fails is a
 * refusal, never a guess.
 */
static int look_up(int r, struct account *account, uid_t uid, gid_t gid, const char *what,
		   struct fault *fault)
{
	if (r == -ENOENT) {
		account_nameless(uid, gid, account);
		return 0;
	}
	if (r)
		return fault_set(fault, MESSAGE_LAYER_ACCOUNT, "name-service", -r,
				 "the account of the %s cannot be looked up: %s", what,
				 strerror(-r));
	return 0;
}

static int look_up_target(struct session *session, struct fault *fault)
{
	const struct config *config = session->config;
	struct account *target = &session->accounts.target;
	int r;

	if (config->no_setuid)
		return look_up(account_by_uid(config->inherited.uid, target), target,
			       config->inherited.uid, config->inherited.gid, "target", fault);
	if (config->user_nameless) {
		account_nameless(config->user_uid, config->user_gid, target);
		return 0;
	}
	if (config->user) {
		r = account_by_text(config->user, target);
		return r ? fault_set(fault, MESSAGE_LAYER_ACCOUNT, "name-service", -r,
				     "the target account cannot be looked up")
			 : 0;
	}
	r = account_copy(&session->accounts.client, target);
	if (r)
		return fault_set(fault, MESSAGE_LAYER_ACCOUNT, "memory", ENOMEM, "out of memory");
	target->gid = session->peer.gid; /* as the kernel reports it */
	return 0;
}

static int look_up_effective(struct session *session, struct fault *fault)
{
	struct plan_accounts *accounts = &session->accounts;
	const char *user = session->config->effective_user;
	int r;

	if (!user)
		return 0;
	r = account_by_text(user, &accounts->effective);
	if (r == 0)
		r = account_groups(accounts->effective.name, accounts->effective.gid,
				   &accounts->effective_groups, &accounts->effective_group_count);
	return r ? fault_set(fault, MESSAGE_LAYER_ACCOUNT, "name-service", -r,
			     "the account of the effective ids cannot be looked up")
		 : 0;
}

/* What is known of accounts is in the record, whatever comes next; the listener's, too. */
static void describe_target(struct session *session)
{
	const struct account *target = &session->accounts.target;
	struct audit_facts *facts = &session->facts;

	if (target->name)
		(void)snprintf(session->account, sizeof(session->account), "%s", target->name);
	else
		(void)snprintf(session->account, sizeof(session->account), "%u", target->uid);
	facts->account = session->account;
	if (!session->config->no_chdir && (session->request.fixed.flags & MESSAGE_REQUEST_LOGIN))
		facts->directory = target->home;
	tell_facts(session);
}

int introduce_accounts(struct session *session, struct fault *fault)
{
	const struct config *config = session->config;
	const struct peer *peer = &session->peer;
	struct plan_accounts *accounts = &session->accounts;
	int r = look_up(account_by_uid(peer->uid, &accounts->client), &accounts->client, peer->uid,
			peer->gid, "client", fault);

	if (r)
		return r;
	session->facts.client = accounts->client.name;
	r = look_up_target(session, fault);
	if (r)
		return r;
	describe_target(session);
	r = look_up_effective(session, fault);
	if (r)
		return r;
	accounts->tty_gid = (gid_t)-1;
	if (session->request.hello.flags & MESSAGE_HELLO_TTY)
		(void)account_group("tty", &accounts->tty_gid); /* there may be none */
	if (strcmp(config->auth_user, "client") == 0)
		r = account_copy(&accounts->client, &accounts->asked);
	else if (strcmp(config->auth_user, "target") == 0)
		r = account_copy(&accounts->target, &accounts->asked);
	else
		r = account_by_name(config->auth_user, &accounts->asked);
	return r ? fault_set(fault, MESSAGE_LAYER_AUTHENTICATION, "name-service", -r,
			     "authentication failed")
		 : 0;
}

/* What is asked for, word by word, before the plan has made the real argv of it. */
static char **list_words(const struct config *config, const struct request *request)
{
	size_t room = 1;
	size_t count = 0;

	for (size_t i = 0; config->forced && config->forced[i]; i++)
		room++;
	for (size_t i = 0; !config->no_argv && request->argv[i]; i++)
		room++;
	char **list = room > 1 ? calloc(room, sizeof(*list)) : NULL;
	if (!list)
		return NULL; /* a login shell; or the record says ? */
	for (size_t i = 0; config->forced && config->forced[i]; i++)
		list[count++] = config->forced[i];
	for (size_t i = 0; !config->no_argv && request->argv[i]; i++)
		list[count++] = request->argv[i];
	return list;
}

/* Whether the directory is given by a descriptor, and not by -h or for -l. */
static bool is_directory_open(const struct session *session)
{
	return session->config->no_chdir ? !session->config->chdir
					 : !(session->request.fixed.flags & MESSAGE_REQUEST_LOGIN);
}

/* Where the program will be: what was sent counts only where the options let it. */
static void describe_place(struct session *session)
{
	const struct config *config = session->config;
	struct audit_facts *facts = &session->facts;
	int directory = !config->no_chdir	  ? session->request.cwd
			: config->root_to_current ? config->root_fd
						  : config->inherited.directory;

	if (is_directory_open(session))
		facts->directory = locate_directory(directory, -1, session->may_fork,
						    session->directory, &facts->directory_inode);
	else if (config->no_chdir)
		facts->directory = config->chdir; /* of -l it is known with the account */
	if (config->client_chroot)
		facts->root = locate_directory(session->request.root, -1, session->may_fork,
					       session->root, &facts->root_inode);
	else if (config->chroot)
		facts->root = config->chroot;
	else if (config->pivot_root.count > 0)
		facts->root = config->pivot_root.items[0];
}

/* What options name is looked up in the new place; of the rest it is told from outside. */
static void describe_moved(struct session *session, int outside)
{
	struct audit_facts *facts = &session->facts;
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (is_directory_open(session))
		facts->directory =
			locate_directory(session->moved_directory, outside, session->may_fork,
					 session->directory, &facts->directory_inode);
	else
		facts->directory_inode.due = true;
	if (!facts->root)
		facts->root = locate_directory(root, outside, session->may_fork, session->root,
					       &facts->root_inode);
	else if (!session->config->client_chroot)
		facts->root_inode.due = true;
}

/*
 * A directory of before is a way out of a root directory that a module has set: the
 * program starts in that of the same name, or in "/".  The name must be one that the client
 * has not made up.
 */
int introduce_moved(struct session *session)
{
	const struct audit_facts *facts = &session->facts;
	cleanup_fd int outside = take_fd(&session->outside);
	bool usable = facts->directory && *facts->directory == '/' && !facts->directory_inode.due;

	if (!session->granted.moved)
		return 0;
	session->moved_directory = process_open_directory(usable ? facts->directory : "/");
	if (session->moved_directory < 0)
		return session->moved_directory;
	process_park(&session->moved_directory);
	session->granted.directory = session->moved_directory;
	describe_moved(session, outside);
	return 0;
}

void introduce_request(struct session *session)
{
	const struct config *config = session->config;
	struct audit_facts *facts = &session->facts;

	for (int i = 0; i < 3 && !facts->tty; i++)
		if (peer_tty(request_find_fd(&session->request, i), session->tty) == 0)
			facts->tty = session->tty;
	session->may_fork = !process_forks_elsewhere(true);
	if (!session->unrecorded)
		describe_place(session);
	session->outside = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC); /* or it stays unknown */
	process_park(&session->outside);
	facts->requested = true;
	facts->fd_count = config->no_fds ? 0 : session->request.fd_count;
	if (!config->no_fds && session->request.wait_number >= 0)
		facts->fd_count--; /* dive's own; the program has it in wait mode 2 only */
	facts->command = session->words = list_words(config, &session->request);
	plan_command(config, &session->request, session->command, sizeof(session->command));
}

void introduce_describe(struct session *session)
{
	struct audit_facts *facts = &session->facts;
	const char *asked = session->decision.asked ? session->decision.asked->name : NULL;

	facts->decided = true;
	facts->elevated = session->decision.elevated;
	if (asked)
		(void)snprintf(session->asked, sizeof(session->asked),
			       "%s must authenticate to run %s as %s through %s", asked,
			       session->command, session->account, session->config->address);
}

void introduce_plan(struct session *session)
{
	const struct plan *plan = &session->plan;
	struct audit_facts *facts = &session->facts;

	bool searched = plan->candidates[1] != NULL;

	session->program_facts = (struct audit_program){
		.uid = plan->change_ids ? plan->uid : getuid(),
		.gid = plan->change_ids ? plan->gid : getgid(),
		.euid = plan->change_ids ? plan->euid : geteuid(),
		.egid = plan->change_ids ? plan->egid : getegid(),
		.groups = plan->groups,
		.group_count = plan->group_count,
		.file = searched ? NULL : plan->candidates[0],
		.path = searched ? environment_get(plan->envp, "PATH") : NULL,
		.proc = session->channel.proc,
	};
	facts->program = &session->program_facts;
	facts->command = plan->argv;
	facts->namespaces = &session->namespaces;
	facts->new_mounts = plan->root == PLAN_ROOT_PIVOT;
}

int introduce_terminal(struct session *session, struct fault *fault)
{
	const char *reason = "";

	if (!plan_takes_terminal(session->config, &session->request) ||
	    peer_judge_terminal(&session->peer, session->request.terminal,
				&session->terminal_is_own, &reason) == 0)
		return 0;
	return fault_set(fault, MESSAGE_LAYER_REQUEST, "terminal", EACCES,
			 "the terminal (DIVE_TERMINAL) is not taken: %s", reason);
}
