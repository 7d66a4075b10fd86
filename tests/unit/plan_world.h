/*
 * plan_world - everything plan_make() takes, for the tests of its two halves.
 *
 * world_of() gives a client, a target and a plain request; a test then changes
 * what its rule is about.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "leak.h"
#include "plan.h"

#include <errno.h>
#include <string.h>

#define TEST(function) cmocka_unit_test_setup_teardown(function, leak_setup, leak_teardown)

#define ANN	       1000
#define BOB	       1001

static char ann_name[] = "ann", bob_name[] = "bob", root_name[] = "root";
static char home[] = "/home/x", shell[] = "/bin/dash";
static char relative[] __attribute__((unused)) = "x/y", none[] __attribute__((unused)) = "";

static inline struct account account_of(uid_t uid)
{
	struct account account = { .uid = uid, .gid = uid + 10, .home = home, .shell = shell };

	account.name = uid == ANN ? ann_name : uid == BOB ? bob_name : uid == 0 ? root_name : NULL;
	return account;
}

/* Everything plan_make() takes; a test changes what its rule is about. */
struct world {
	struct config config;
	struct peer peer;
	struct request request;
	struct plan_accounts accounts;
	struct plan_session session;
	struct plan plan;
	struct fault fault;
	gid_t groups[2];
	gid_t own_groups[1];
	struct request_fd fds[3];
	char *argv[4];
	char *envp[3];
	char *forced[3];
};

static char word_prog[] = "prog", word_arg[] = "it's", word_path[] = "PATH=/a:rel::/b/:.";
static char word_forced[] = "/opt/run", word_option[] = "-x", address[] = "/run/s";

static inline struct world *world_of(struct world *w, uid_t client, uid_t target)
{
	*w = (struct world){
		.config = { .address = address,
			    .cgroup_fd = -1,
			    .root_fd = -1,
			    .inherited = { .umask = 07, .directory = 9, .uid = 50, .gid = 51 } },
		.peer = { .uid = client, .gid = 77, .pid = 42, .root = client == 0 },
		.request = { .wait_number = -1,
			     .cwd = 8,
			     .root = -1,
			     .terminal = -1,
			     .fixed = { .umask = 02, .ignored = MESSAGE_IGNORED_HUP } },
		.accounts = { .client = account_of(client),
			      .target = account_of(target),
			      .asked = account_of(client) },
		.groups = { 5, 6 },
		.own_groups = { 99 },
		.argv = { word_prog, word_arg },
		.envp = { word_path },
	};
	w->config.user = target == client ? NULL : "target";
	w->config.inherited.groups = w->own_groups;
	w->config.inherited.group_count = 1;
	w->request.argv = w->argv;
	w->request.envp = w->envp;
	w->request.fds = w->fds;
	w->session.groups = w->groups;
	w->session.group_count = 2;
	w->session.limits[RLIMIT_NOFILE] = (struct rlimit){ 10, 20 };
	return w;
}

static inline void world_force(struct world *w)
{
	w->forced[0] = word_forced;
	w->forced[1] = word_option;
	w->config.forced = w->forced;
}

static inline int make(struct world *w)
{
	struct plan_decision decision;

	assert_int_equal(
		plan_decide(&w->config, &w->peer, &w->request, &w->accounts, &decision, &w->fault),
		0);
	return plan_make(&w->config, &w->peer, &w->request, &w->accounts, &decision, &w->session,
			 &w->plan, &w->fault);
}

static inline void make_good(struct world *w)
{
	w->fault.text[0] = '\0';
	if (make(w))
		fail_msg("refused: %s", w->fault.text);
}

static inline void make_refused(struct world *w, enum message_layer layer, unsigned status)
{
	assert_int_equal(make(w), -EACCES);
	print_message("case: %s\n", w->fault.text);
	assert_int_equal(w->fault.layer, layer);
	assert_int_equal(w->fault.status, status);
	assert_true(w->fault.text[0] != '\0');
}

static inline void assert_words(char **words, const char *first, ...)
{
	va_list expected;
	size_t i = 0;

	va_start(expected, first);
	for (const char *word = first; word; word = va_arg(expected, const char *), i++) {
		assert_non_null(words[i]);
		assert_string_equal(words[i], word);
	}
	va_end(expected);
	assert_null(words[i]);
}
