/*
 * plan - every decision of a spawn, in one place, before any of it is done.
 *
 * plan_decide() runs before PAM and answers: who is it for, is that more than
 * the client has, must somebody prove who he is.  plan_make() runs after PAM
 * and resolves all the child needs: between fork and exec there is no memory to
 * be had and nothing to be looked up.
 *
 * Both only compute.  What they are given has been read by others (peer.c,
 * request.c, account.c); descriptors are passed through by number and never
 * touched.  A refusal says what the client can do about it, where it can.
 * What runs, in which words, is in plan_program.c; as whom, in plan_identity.c;
 * where, in plan_place.c.
 */
#include "plan_internal.h"

#include "cleanup.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UMASK_ELEVATED 022

int plan_no_memory(struct fault *fault)
{
	(void)fault_set(fault, MESSAGE_LAYER_SETUP, "plan", ENOMEM, "out of memory");
	return -ENOMEM;
}

int plan_format(char **ret, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return -ENOMEM; /* what `text` is then is undefined */
	*ret = text;
	return 0;
}

/* --- who is asked ---------------------------------------------------------------- */

static bool is_elevated(const struct config *config, const struct peer *peer,
			const struct account *target)
{
	/* With -J whoever starts dived has all the power that dived has. */
	if (config->mode == CONFIG_MODE_EXECUTE)
		return false;
	if (config_adds_privilege(config) || config->other_ids)
		return true;
	/* A container's reduced root is uid 0 as well, without the power of ours. */
	return target->uid != peer->uid || (target->uid == 0 && !peer->root);
}

static bool is_proof_due(const struct config *config, const struct peer *peer, bool elevated)
{
	if (config->mode == CONFIG_MODE_EXECUTE)
		return false; /* there is nobody to ask */
	switch ((enum config_authenticate)config->authenticate) {
	case CONFIG_AUTHENTICATE_ALWAYS:
		return true;
	case CONFIG_AUTHENTICATE_NEVER:
		return false;
	case CONFIG_AUTHENTICATE_AUTO:
		break;
	}
	return elevated && !peer->root;
}

/*
 * With -T, -O and -S there is no terminal but what the descriptors are, and a
 * program that nobody waits for would outlive the master.
 */
static bool gets_terminal(const struct config *config, const struct request *request)
{
	return (request->hello.flags & MESSAGE_HELLO_TTY) && request->terminal < 0 &&
	       !config->no_csctty && !config->no_fds && !config->no_setsid && !config->no_wait &&
	       request->hello.wait != MESSAGE_WAIT_START;
}

int plan_decide(const struct config *config, const struct peer *peer, const struct request *request,
		const struct plan_accounts *accounts, struct plan_decision *ret,
		struct fault *fault)
{
	struct plan_decision decision = { .target = &accounts->target,
					  .terminal = gets_terminal(config, request) };

	decision.elevated = is_elevated(config, peer, decision.target);
	decision.pam = !config->no_pam;
	decision.authenticate = decision.pam && is_proof_due(config, peer, decision.elevated);
	/*
	 * config.c has refused this for clients it could foresee.  Here comes who it
	 * could not: a reduced root, for one, who passes any socket's mode.
	 */
	if (decision.elevated && !peer->root && !config->allow_insecure &&
	    environment_mode(config, true) == CONFIG_ENVIRONMENT_ALL)
		return fault_set(fault, MESSAGE_LAYER_REQUEST, NULL, 0,
				 "this gateway takes all of the client's environment, which it "
				 "must not for a program with more privileges than the client");
	/* Also where it sends no root this time: what may be asked for is one thing or the other.
	 */
	if (config->client_chroot && decision.elevated && !peer->root)
		return fault_set(
			fault, MESSAGE_LAYER_REQUEST, NULL, 0,
			"this gateway takes the client's root directory, which it must not "
			"for a program with more privileges than the client");
	if ((request->hello.flags & MESSAGE_HELLO_TTY_REQUIRED) && !decision.terminal)
		return fault_set(fault, MESSAGE_LAYER_REQUEST, NULL, 0,
				 "this gateway gives programs no terminal (-t)");
	if (decision.pam && !decision.target->name)
		return fault_set(fault, MESSAGE_LAYER_ACCOUNT, NULL, 0,
				 "user id %u has no account name", (unsigned)decision.target->uid);
	if (decision.authenticate) {
		/* Such ids come by the thousand (subuid(5)), each with a delay of its own. */
		if (!accounts->client.name)
			return fault_set(fault, MESSAGE_LAYER_ACCOUNT, NULL, 0,
					 "your user id %u has no account name",
					 (unsigned)peer->uid);
		decision.asked = &accounts->asked;
		if (!decision.asked->name)
			return fault_set(fault, MESSAGE_LAYER_ACCOUNT, NULL, 0,
					 "the account to authenticate as has no name");
	}
	*ret = decision;
	return 0;
}

/* --- in what surroundings ------------------------------------------------------------ */

int plan_dive(const struct config *config, const struct peer *peer,
	      const struct plan_accounts *accounts, char ***ret)
{
	const char *name = accounts->client.name ? accounts->client.name : "";
	cleanup_words char **lines = calloc(6, sizeof(*lines));

	if (!lines)
		return -ENOMEM;
	if (config->mode == CONFIG_MODE_EXECUTE) { /* there is no client to tell of */
		*ret = take_ptr(lines);
		return 0;
	}
	if (plan_format(&lines[0], "DIVE_UID=%u", (unsigned)peer->uid) ||
	    plan_format(&lines[1], "DIVE_GID=%u", (unsigned)peer->gid) ||
	    plan_format(&lines[2], "DIVE_PID=%d", (int)peer->pid) ||
	    plan_format(&lines[3], "DIVE_USER=%s", name) ||
	    plan_format(&lines[4], "DIVE_GATEWAY=%s", config->address))
		return -ENOMEM;
	*ret = take_ptr(lines);
	return 0;
}

static int make_environment(struct maker *maker)
{
	const struct config *config = maker->config;
	cleanup_words char **dive = NULL;
	struct environment_input input = {
		.mode = environment_mode(config, maker->decision->elevated),
		.client = maker->request->envp,
		.server = config->inherited.environment,
		.keep = &config->environment_keep,
		.set = &config->environment_set,
		.pam = maker->session->environment,
		.target = maker->decision->target,
	};
	int error = plan_dive(config, maker->peer, maker->accounts, &dive);

	if (error)
		return plan_no_memory(maker->fault);
	input.dive = dive;
	error = environment_make(&input, &maker->plan.envp);
	if (error == -E2BIG)
		return fault_set(maker->fault, MESSAGE_LAYER_SETUP, "environment", E2BIG,
				 "a variable is longer than the kernel takes");
	return error ? plan_no_memory(maker->fault) : 0;
}

bool plan_takes_terminal(const struct config *config, const struct request *request)
{
	return request->terminal >= 0 && !config->no_csctty && !config->no_fds &&
	       !config->no_setsid;
}

static int make_terminal(struct maker *maker)
{
	const struct message_request *fixed = &maker->request->fixed;
	struct plan *plan = &maker->plan;

	if (plan_takes_terminal(maker->config, maker->request)) {
		plan->terminal = PLAN_TERMINAL_TAKEN;
		plan->taken = maker->request->terminal;
		plan->taken_is_own = maker->session->terminal_is_own;
		return 0;
	}
	if (!maker->decision->terminal)
		return 0;
	plan->terminal = PLAN_TERMINAL_NEW;
	plan->terminal_modes = fixed->terminal;
	plan->has_modes = fixed->flags & MESSAGE_REQUEST_MODES;
	plan->foreground = fixed->flags & MESSAGE_REQUEST_FOREGROUND;
	plan->tty_gid = maker->accounts->tty_gid;
	/* Never where the client has furnished the root. */
	plan->own_devpts = plan->root != PLAN_ROOT_CLIENT &&
			   (plan->root != PLAN_ROOT_SAME ||
			    namespace_set_enters(plan->namespaces, NAMESPACE_MNT));
	return 0;
}

/* Whether the descriptor of wait mode 2 stays with the program. */
static bool is_wait_descriptor_used(const struct maker *maker)
{
	return maker->request->hello.wait == MESSAGE_WAIT_HOLDERS || maker->config->no_wait;
}

static void add_descriptor(struct plan *plan, int number, int source)
{
	plan->fds[plan->fd_count++] = (struct plan_fd){ number, source };
}

static int make_descriptors(struct maker *maker)
{
	const struct request *request = maker->request;
	size_t count = maker->config->no_fds ? 0 : request->fd_count;
	bool fill = maker->config->no_fds || maker->decision->elevated;
	struct plan *plan = &maker->plan;
	int next = 0; /* the first of 0, 1, 2 that nothing has been said about */

	plan->fds = calloc(count + 3, sizeof(*plan->fds));
	if (!plan->fds)
		return plan_no_memory(maker->fault);
	for (size_t i = 0; i < count; i++) {
		const struct request_fd *fd = &request->fds[i];

		if (fd->number == request->wait_number && !is_wait_descriptor_used(maker))
			continue;
		/* With a terminal of its own the program gets nothing of the client's. */
		bool replaced = fd->terminal && plan->terminal == PLAN_TERMINAL_NEW;

		if (replaced && fd->number >= 3)
			continue;
		/* What a privileged program opens next must not become its standard error. */
		for (; fill && next < 3 && next < fd->number; next++)
			add_descriptor(plan, next, PLAN_FD_NULL);
		add_descriptor(plan, fd->number, replaced ? PLAN_FD_TERMINAL : fd->fd);
		next = fd->number < INT_MAX ? fd->number + 1 : INT_MAX;
	}
	for (; fill && next < 3; next++)
		add_descriptor(plan, next, PLAN_FD_NULL);
	return 0;
}

static mode_t choose_umask(const struct maker *maker)
{
	mode_t mask = (mode_t)maker->request->fixed.umask;

	if (maker->session->umask_set)
		return maker->session->umask;
	if (maker->config->no_umask)
		mask = maker->config->inherited.umask;
	return maker->decision->elevated ? mask | UMASK_ELEVATED : mask;
}

/* Where nobody waits for the program, nobody's death is a disconnect. */
static int choose_death_signal(const struct maker *maker)
{
	/* With -J there is nobody who could go away; dived may have become the program. */
	if (maker->config->mode == CONFIG_MODE_EXECUTE)
		return 0;
	if (maker->config->no_wait || maker->request->hello.wait != MESSAGE_WAIT_EXIT)
		return 0;
	switch ((enum config_disconnect)maker->config->on_disconnect) {
	case CONFIG_DISCONNECT_HUP:
		return SIGHUP;
	case CONFIG_DISCONNECT_KILL:
		return SIGKILL;
	case CONFIG_DISCONNECT_IGNORE:
		break;
	}
	return 0;
}

/* In this order: the program is looked up in the environment that it will have. */
static int (*const parts[])(struct maker *maker) = {
	plan_make_identity, plan_make_privileges, make_environment, plan_make_command,
	plan_make_place,    make_terminal,	  make_descriptors,
};

int plan_make(const struct config *config, const struct peer *peer, const struct request *request,
	      const struct plan_accounts *accounts, const struct plan_decision *decision,
	      const struct plan_session *session, struct plan *ret, struct fault *fault)
{
	struct maker maker = {
		.config = config,
		.peer = peer,
		.request = request,
		.accounts = accounts,
		.decision = decision,
		.session = session,
		.plan = PLAN_EMPTY,
		.fault = fault,
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		int error = parts[i](&maker);

		if (error) {
			plan_done(&maker.plan);
			return error;
		}
	}
	maker.plan.umask = choose_umask(&maker);
	maker.plan.death_signal = choose_death_signal(&maker);
	maker.plan.ignored = request->fixed.ignored;
	maker.plan.new_session = !config->no_setsid;
	/* With -J -S the program stays in the process group of whoever starts it. */
	maker.plan.new_group = config->no_setsid && config->mode != CONFIG_MODE_EXECUTE;
	maker.plan.join_keyring = !session->keyring_set;
	*ret = maker.plan;
	return 0;
}

void plan_done(struct plan *plan)
{
	free(plan->groups);
	environment_done(&plan->argv);
	environment_done(&plan->envp);
	environment_done(&plan->candidates);
	free(plan->home);
	free(plan->fds);
	free(plan->contents);
	*plan = PLAN_EMPTY;
}
