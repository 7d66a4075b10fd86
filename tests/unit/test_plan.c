/*
 * plan: who is asked, as whom and in which surroundings a program runs.
 */
#include "plan_world.h"

#include "environment.h"

#include <signal.h>
#include <stdio.h>

#define AUTO   CONFIG_AUTHENTICATE_AUTO
#define ALWAYS CONFIG_AUTHENTICATE_ALWAYS
#define NEVER  CONFIG_AUTHENTICATE_NEVER

static const struct {
	const char *what;
	uid_t client, target;
	bool root; /* a root client */
	unsigned authenticate, no_pam;
	bool elevated, asks;
} decisions[] = {
	{ "himself", ANN, ANN, false, AUTO, 0, false, false },
	{ "another", ANN, BOB, false, AUTO, 0, true, true },
	{ "root", ANN, 0, false, AUTO, 0, true, true },
	{ "root client for another", 0, BOB, true, AUTO, 0, true, false },
	{ "root client for root", 0, 0, true, AUTO, 0, false, false },
	{ "reduced root for root", 0, 0, false, AUTO, 0, true, true },
	{ "reduced root for another", 0, BOB, false, AUTO, 0, true, true },
	{ "always, himself", ANN, ANN, false, ALWAYS, 0, false, true },
	{ "always, root client", 0, 0, true, ALWAYS, 0, false, true },
	{ "never, another", ANN, BOB, false, NEVER, 0, true, false },
	{ "no PAM, another", ANN, BOB, false, AUTO, 1, true, false },
	{ "no PAM, nameless", 4000, 4000, false, AUTO, 1, false, false },
};

static void test_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(decisions); i++) {
		const struct config config = {
			.authenticate = decisions[i].authenticate,
			.no_pam = decisions[i].no_pam,
		};
		const struct peer peer = { .uid = decisions[i].client, .root = decisions[i].root };
		const struct plan_accounts accounts = {
			.client = account_of(decisions[i].client),
			.target = account_of(decisions[i].target),
			.asked = account_of(decisions[i].client),
		};
		struct plan_decision decision;
		struct fault fault;

		print_message("case: %s\n", decisions[i].what);
		assert_int_equal(plan_decide(&config, &peer, &(struct request){ 0 }, &accounts,
					     &decision, &fault),
				 0);
		assert_int_equal(decision.elevated, decisions[i].elevated);
		assert_int_equal(decision.authenticate, decisions[i].asks);
		assert_int_equal(decision.pam, !decisions[i].no_pam);
		assert_ptr_equal(decision.target, &accounts.target);
		assert_ptr_equal(decision.asked, decisions[i].asks ? &accounts.asked : NULL);
	}
}

static const struct {
	const char *what;
	uid_t client, target, asked;
	struct config config;
	enum message_layer layer; /* 0: no refusal */
	bool root;
} refusals[] = {
	{ "client without a name", 4000, BOB, 4000, { 0 }, MESSAGE_LAYER_ACCOUNT, false },
	{ "the same, not asked", 4000, BOB, 4000, { .authenticate = NEVER }, 0, false },
	{ "target without a name", 4000, 4000, 4000, { 0 }, MESSAGE_LAYER_ACCOUNT, false },
	{ "asked without a name", ANN, BOB, 4001, { 0 }, MESSAGE_LAYER_ACCOUNT, false },
	{ "all, elevated",
	  ANN,
	  BOB,
	  ANN,
	  { .environment = CONFIG_ENVIRONMENT_ALL },
	  MESSAGE_LAYER_REQUEST,
	  false },
	{ "all, reduced root",
	  0,
	  0,
	  0,
	  { .environment = CONFIG_ENVIRONMENT_ALL },
	  MESSAGE_LAYER_REQUEST,
	  false },
	{ "all, root client", 0, BOB, 0, { .environment = CONFIG_ENVIRONMENT_ALL }, 0, true },
	{ "all, himself", ANN, ANN, ANN, { .environment = CONFIG_ENVIRONMENT_ALL }, 0, false },
	{ "all, insecure",
	  ANN,
	  BOB,
	  ANN,
	  { .environment = CONFIG_ENVIRONMENT_ALL, .allow_insecure = 1 },
	  0,
	  false },
};

static void test_refuses_before_asking(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct peer peer = { .uid = refusals[i].client, .root = refusals[i].root };
		const struct plan_accounts accounts = {
			.client = account_of(refusals[i].client),
			.target = account_of(refusals[i].target),
			.asked = account_of(refusals[i].asked),
		};
		struct plan_decision decision;
		struct fault fault = { 0 };

		print_message("case: %s\n", refusals[i].what);
		assert_int_equal(plan_decide(&refusals[i].config, &peer, &(struct request){ 0 },
					     &accounts, &decision, &fault),
				 refusals[i].layer ? -EACCES : 0);
		assert_int_equal(fault.layer, refusals[i].layer);
		if (refusals[i].layer) {
			assert_int_equal(fault.status, FAULT_STATUS_REFUSED);
			assert_true(fault.text[0] != '\0');
		}
	}
}

static void test_directory(void **state)
{
	static const struct {
		const char *what;
		bool login, no_chdir;
		int cwd;
		char *home;
		enum message_layer refused;
		int directory;
		const char *entered;
	} rows[] = {
		{ "the client's", false, false, 8, home, 0, 8, NULL },
		{ "not sent", false, false, -1, home, MESSAGE_LAYER_REQUEST, 0, NULL },
		{ "-H", false, true, 8, home, 0, 9, NULL },
		{ "-H, not sent", false, true, -1, home, 0, 9, NULL },
		{ "-l", true, false, 8, home, 0, 8, "/home/x" },
		{ "-l, not sent", true, false, -1, home, 0, -1, "/home/x" },
		{ "-l, -H", true, true, 8, home, 0, 9, NULL },
		{ "-l, no home", true, false, 8, NULL, MESSAGE_LAYER_ACCOUNT, 0, NULL },
		{ "-l, empty home", true, false, 8, none, MESSAGE_LAYER_ACCOUNT, 0, NULL },
		{ "-l, relative home", true, false, 8, relative, MESSAGE_LAYER_ACCOUNT, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
		size_t row = i / 2;
		struct world w;

		print_message("case: %s\n", rows[row].what);
		(void)world_of(&w, ANN, ANN);
		if (i % 2)
			world_force(&w); /* makes no difference */
		w.request.fixed.flags = rows[row].login ? MESSAGE_REQUEST_LOGIN : 0;
		w.request.cwd = rows[row].cwd;
		w.config.no_chdir = rows[row].no_chdir;
		w.accounts.target.home = rows[row].home;
		if (rows[row].refused) {
			make_refused(&w, rows[row].refused, FAULT_STATUS_REFUSED);
			continue;
		}
		make_good(&w);
		assert_int_equal(w.plan.directory, rows[row].directory);
		if (rows[row].entered)
			assert_string_equal(w.plan.home, rows[row].entered);
		else
			assert_null(w.plan.home);
		plan_done(&w.plan);
	}
}

static void test_identity(void **state)
{
	struct world w;

	(void)state;
	make_good(world_of(&w, ANN, ANN));
	assert_true(w.plan.change_ids);
	assert_int_equal(w.plan.uid, ANN);
	assert_int_equal(w.plan.gid, 77); /* as the kernel reports */
	assert_int_equal(w.plan.group_count, 2);
	assert_int_equal(w.plan.groups[1], 6);
	assert_int_equal(w.plan.limits[RLIMIT_NOFILE].rlim_max, 20);
	plan_done(&w.plan);

	make_good(world_of(&w, ANN, BOB));
	assert_int_equal(w.plan.uid, BOB);
	assert_int_equal(w.plan.gid, BOB + 10);
	plan_done(&w.plan);

	(void)world_of(&w, ANN, BOB);
	w.config.user = NULL;
	w.config.no_setuid = 1;
	make_good(&w);
	assert_false(w.plan.change_ids);
	assert_int_equal(w.plan.uid, 50);
	assert_int_equal(w.plan.gid, 51);
	assert_int_equal(w.plan.group_count, 1);
	assert_int_equal(w.plan.groups[0], 99);
	plan_done(&w.plan);
}

static void test_umask(void **state)
{
	static const struct {
		uid_t target;
		bool pam;
		unsigned no_umask;
		mode_t umask;
	} rows[] = {
		{ ANN, false, 0, 02 },	{ ANN, false, 1, 07 },	{ BOB, false, 0, 022 },
		{ BOB, false, 1, 027 }, { ANN, true, 0, 0101 }, { BOB, true, 1, 0101 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		(void)world_of(&w, ANN, rows[i].target);
		w.session.umask_set = rows[i].pam;
		w.session.umask = 0101;
		w.config.no_umask = rows[i].no_umask;
		make_good(&w);
		assert_int_equal(w.plan.umask, rows[i].umask);
		plan_done(&w.plan);
	}
}

static void test_descriptors(void **state)
{
	static const struct {
		const char *what;
		uid_t target;
		unsigned no_fds, no_wait;
		uint32_t wait;
		const char *expected; /* number, = and source; n: /dev/null */
	} rows[] = {
		{ "the client's", ANN, 0, 0, MESSAGE_WAIT_EXIT, "1=31 5=35 " },
		{ "elevated", BOB, 0, 0, MESSAGE_WAIT_EXIT, "0=n 1=31 2=n 5=35 " },
		{ "mode 1", ANN, 0, 0, MESSAGE_WAIT_START, "1=31 5=35 " },
		{ "mode 2", ANN, 0, 0, MESSAGE_WAIT_HOLDERS, "1=31 5=35 7=37 " },
		{ "-w", ANN, 0, 1, MESSAGE_WAIT_EXIT, "1=31 5=35 7=37 " },
		{ "-O", ANN, 1, 0, MESSAGE_WAIT_HOLDERS, "0=n 1=n 2=n " },
		{ "-O, elevated", BOB, 1, 1, MESSAGE_WAIT_EXIT, "0=n 1=n 2=n " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static const struct request_fd fds[] = { { 1, 31, false },
							 { 5, 35, false },
							 { 7, 37, false } };
		char text[256] = "";
		struct world w;

		print_message("case: %s\n", rows[i].what);
		(void)world_of(&w, ANN, rows[i].target);
		memcpy(w.fds, fds, sizeof(fds));
		w.request.fd_count = 3;
		w.request.wait_number = 7;
		w.request.hello.wait = rows[i].wait;
		w.config.no_fds = rows[i].no_fds;
		w.config.no_wait = rows[i].no_wait;
		make_good(&w);
		for (size_t n = 0; n < w.plan.fd_count; n++) {
			size_t used = strlen(text);

			if (w.plan.fds[n].source < 0)
				(void)snprintf(text + used, sizeof(text) - used, "%d=n ",
					       w.plan.fds[n].number);
			else
				(void)snprintf(text + used, sizeof(text) - used, "%d=%d ",
					       w.plan.fds[n].number, w.plan.fds[n].source);
		}
		assert_string_equal(text, rows[i].expected);
		plan_done(&w.plan);
	}
}

static void test_death_signal(void **state)
{
	static const struct {
		unsigned on_disconnect, no_wait;
		uint32_t wait;
		int signal;
	} rows[] = {
		{ CONFIG_DISCONNECT_HUP, 0, MESSAGE_WAIT_EXIT, SIGHUP },
		{ CONFIG_DISCONNECT_KILL, 0, MESSAGE_WAIT_EXIT, SIGKILL },
		{ CONFIG_DISCONNECT_IGNORE, 0, MESSAGE_WAIT_EXIT, 0 },
		{ CONFIG_DISCONNECT_KILL, 1, MESSAGE_WAIT_EXIT, 0 },
		{ CONFIG_DISCONNECT_KILL, 0, MESSAGE_WAIT_START, 0 },
		{ CONFIG_DISCONNECT_KILL, 0, MESSAGE_WAIT_HOLDERS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		(void)world_of(&w, ANN, ANN);
		w.config.on_disconnect = rows[i].on_disconnect;
		w.config.no_wait = rows[i].no_wait;
		w.request.hello.wait = rows[i].wait;
		make_good(&w);
		assert_int_equal(w.plan.death_signal, rows[i].signal);
		plan_done(&w.plan);
	}
}

static void test_flags(void **state)
{
	struct world w;

	(void)state;
	make_good(world_of(&w, ANN, ANN));
	assert_true(w.plan.new_session);
	assert_true(w.plan.join_keyring);
	assert_int_equal(w.plan.ignored, MESSAGE_IGNORED_HUP);
	plan_done(&w.plan);
	(void)world_of(&w, ANN, ANN);
	w.config.no_setsid = 1;
	w.session.keyring_set = true;
	make_good(&w);
	assert_false(w.plan.new_session);
	assert_false(w.plan.join_keyring);
	plan_done(&w.plan);
}

static void test_environment(void **state)
{
	static char lie[] = "DIVE_UID=0", pam[] = "PATH=/pam";
	char *const pam_list[] = { pam, NULL };
	struct world w;

	(void)state;
	world_of(&w, ANN, BOB)->envp[1] = lie;
	w.session.environment = pam_list;
	make_good(&w);
	assert_string_equal(environment_get(w.plan.envp, "DIVE_UID"), "1000");
	assert_string_equal(environment_get(w.plan.envp, "DIVE_GID"), "77");
	assert_string_equal(environment_get(w.plan.envp, "DIVE_PID"), "42");
	assert_string_equal(environment_get(w.plan.envp, "DIVE_USER"), "ann");
	assert_string_equal(environment_get(w.plan.envp, "DIVE_GATEWAY"), "/run/s");
	assert_string_equal(environment_get(w.plan.envp, "USER"), "bob");
	assert_words(w.plan.candidates, "/pam/prog", NULL);
	plan_done(&w.plan);
	(void)world_of(&w, 4000, 4000);
	w.config.no_pam = 1;
	make_good(&w);
	assert_string_equal(environment_get(w.plan.envp, "DIVE_USER"), "");
	plan_done(&w.plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_decides),	 TEST(test_refuses_before_asking),
		TEST(test_directory),	 TEST(test_identity),
		TEST(test_umask),	 TEST(test_descriptors),
		TEST(test_death_signal), TEST(test_flags),
		TEST(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
