/*
 * plan: ids, groups, capabilities and limits of a program; what elevates.
 */
#include "plan_world.h"

#define CAROL 1002

static gid_t chosen[] = { 31, 32, 33 }, carols[] = { 71, 72 };
static char carol_name[] = "carol";

/* What options an elevation may come from. */
static void with_effective(struct world *w)
{
	w->config.effective_user = carol_name;
	w->accounts.effective = (struct account){ .uid = CAROL, .gid = 70, .name = carol_name };
	w->accounts.effective_groups = carols;
	w->accounts.effective_group_count = ARRAY_LEN(carols);
}

static void with_groups(struct world *w)
{
	w->config.group_ids = chosen;
	w->config.group_id_count = ARRAY_LEN(chosen);
}

static void with_ambient(struct world *w)
{
	w->config.ambient = 1;
}

static void with_capabilities(struct world *w)
{
	w->config.capabilities.set = true;
}

static void (*const extras[])(struct world *w) = {
	with_effective,
	with_groups,
	with_ambient,
	with_capabilities,
};

static struct plan_decision decide(struct world *w)
{
	struct plan_decision decision;

	assert_int_equal(
		plan_decide(&w->config, &w->peer, &w->request, &w->accounts, &decision, &w->fault),
		0);
	return decision;
}

static void test_elevation(void **state)
{
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
		struct plan_decision decision;

		print_message("case: %zu\n", i);
		(void)world_of(&w, ANN, ANN);
		assert_false(decide(&w).elevated);
		extras[i](&w);
		decision = decide(&w);
		assert_true(decision.elevated);
		assert_true(decision.authenticate);
		(void)world_of(&w, 0, 0);
		extras[i](&w);
		decision = decide(&w);
		assert_true(decision.elevated);
		assert_false(decision.authenticate); /* a root client */
		(void)world_of(&w, ANN, BOB);
		extras[i](&w);
		w.config.mode = CONFIG_MODE_EXECUTE;
		w.config.authenticate = CONFIG_AUTHENTICATE_ALWAYS;
		decision = decide(&w);
		assert_false(decision.elevated);
		assert_false(decision.authenticate);
		assert_true(decision.pam);
	}
	/* what takes away only */
	(void)world_of(&w, ANN, ANN);
	w.config.bounding_drop = 1;
	w.config.lock_securebits = w.config.no_new_privs = 1;
	w.config.limits[0].set = true;
	assert_false(decide(&w).elevated);
}

/* -r: a root directory of the client's, and more than the client has, never meet. */
static void test_client_root(void **state)
{
	static const struct {
		uid_t client, target;
		bool root;
		bool refused;
	} rows[] = {
		{ ANN, ANN, false, false }, { ANN, BOB, false, true }, { ANN, 0, false, true },
		{ 0, BOB, true, false },    { 0, 0, true, false },     { 0, 0, false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
		struct plan_decision decision;
		struct world w;
		int r;

		print_message("case: %zu\n", i);
		(void)world_of(&w, rows[i / 2].client, rows[i / 2].target);
		w.peer.root = rows[i / 2].root;
		w.config.client_chroot = 1;
		w.config.allow_insecure = 1; /* makes no difference */
		w.request.root = i % 2 ? 12 : -1;
		r = plan_decide(&w.config, &w.peer, &w.request, &w.accounts, &decision, &w.fault);
		assert_int_equal(r, rows[i / 2].refused ? -EACCES : 0);
		if (r) {
			assert_int_equal(w.fault.layer, MESSAGE_LAYER_REQUEST);
			continue;
		}
		make_good(&w);
		assert_int_equal(w.plan.root, i % 2 ? PLAN_ROOT_CLIENT : PLAN_ROOT_SAME);
		assert_int_equal(w.plan.root_fd, i % 2 ? 12 : -1);
		plan_done(&w.plan);
	}
}

/* uid, gid, euid, egid, groups */
static void expect_ids(struct world *w, uid_t uid, gid_t gid, uid_t euid, gid_t egid,
		       const gid_t *groups, size_t count)
{
	make_good(w);
	assert_true(w->plan.change_ids);
	assert_int_equal(w->plan.uid, uid);
	assert_int_equal(w->plan.gid, gid);
	assert_int_equal(w->plan.euid, euid);
	assert_int_equal(w->plan.egid, egid);
	assert_int_equal(w->plan.group_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(w->plan.groups[i], groups[i]);
	plan_done(&w->plan);
}

static void test_ids(void **state)
{
	struct world w;

	(void)state;
	(void)world_of(&w, ANN, BOB);
	expect_ids(&w, BOB, BOB + 10, BOB, BOB + 10, w.groups, 2);
	with_groups(&w);
	expect_ids(&w, BOB, 31, BOB, 31, chosen, 3);
	with_effective(&w);
	expect_ids(&w, BOB, 31, CAROL, 70, chosen, 3);
	(void)world_of(&w, ANN, ANN);
	with_effective(&w);
	expect_ids(&w, ANN, 77, CAROL, 70, carols, 2);
	/* -u by a number without an entry */
	(void)world_of(&w, ANN, 4000);
	w.config.no_pam = 1;
	w.config.user_nameless = true;
	with_groups(&w);
	expect_ids(&w, 4000, 31, 4000, 31, chosen, 3);
	/* -P */
	(void)world_of(&w, ANN, BOB);
	w.config.user = NULL;
	w.config.no_setuid = 1;
	make_good(&w);
	assert_false(w.plan.change_ids);
	assert_int_equal(w.plan.euid, 50);
	assert_int_equal(w.plan.egid, 51);
	plan_done(&w.plan);
}

static void test_base(void **state)
{
	static const struct {
		uid_t target, effective;
		unsigned no_setuid;
		bool set;
		enum plan_base base;
	} rows[] = {
		{ BOB, BOB, 0, false, PLAN_CAPABILITIES_NONE },
		{ BOB, CAROL, 0, false, PLAN_CAPABILITIES_NONE },
		{ 0, 0, 0, false, PLAN_CAPABILITIES_ROOT },
		{ BOB, 0, 0, false, PLAN_CAPABILITIES_ROOT },
		{ 0, CAROL, 0, false, PLAN_CAPABILITIES_ROOT },
		{ BOB, BOB, 1, false, PLAN_CAPABILITIES_SAME },
		{ BOB, BOB, 0, true, PLAN_CAPABILITIES_EXACT },
		{ 0, 0, 0, true, PLAN_CAPABILITIES_EXACT },
		{ BOB, BOB, 1, true, PLAN_CAPABILITIES_EXACT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		print_message("case: %zu\n", i);
		(void)world_of(&w, ANN, rows[i].target);
		if (rows[i].effective != rows[i].target) {
			with_effective(&w);
			w.accounts.effective.uid = rows[i].effective;
		}
		w.config.no_setuid = rows[i].no_setuid;
		w.config.capabilities = (struct config_capabilities){ rows[i].set, 1, 3, 4 };
		make_good(&w);
		assert_int_equal(w.plan.base, rows[i].base);
		assert_int_equal(w.plan.capabilities.permitted, 3);
		plan_done(&w.plan);
	}
}

static void test_passed_on(void **state)
{
	struct world w;

	(void)state;
	make_good(world_of(&w, ANN, ANN));
	assert_true(w.plan.bounding_drop == 0 && w.plan.ambient == 0);
	assert_false(w.plan.lock_securebits || w.plan.no_new_privs);
	plan_done(&w.plan);
	w.config.bounding_drop = 6;
	w.session.inheritable = 12;
	w.config.ambient = 9;
	w.config.lock_securebits = w.config.no_new_privs = 1;
	make_good(&w);
	assert_true(w.plan.bounding_drop == 6 && w.plan.ambient == 9);
	assert_int_equal(w.plan.inheritable, 8); /* what is dropped is not handed on */
	assert_true(w.plan.lock_securebits && w.plan.no_new_privs);
	plan_done(&w.plan);
}

/* -l is above what PAM has set, and only where it says something. */
static void test_limits(void **state)
{
	struct world w;

	(void)state;
	(void)world_of(&w, ANN, ANN);
	w.session.limits[RLIMIT_CORE] = (struct rlimit){ 3, 4 };
	w.config.limits[RLIMIT_NOFILE] = (struct config_limit){ true, { 15, 25 } };
	make_good(&w);
	assert_int_equal(w.plan.limits[RLIMIT_NOFILE].rlim_cur, 15);
	assert_int_equal(w.plan.limits[RLIMIT_NOFILE].rlim_max, 25);
	assert_int_equal(w.plan.limits[RLIMIT_CORE].rlim_cur, 3);
	assert_int_equal(w.plan.limits[RLIMIT_CORE].rlim_max, 4);
	plan_done(&w.plan);
}

/* A session, a process group of its own, or neither. */
static void test_session(void **state)
{
	static const struct {
		enum config_mode mode;
		unsigned no_setsid;
		bool session, group;
	} rows[] = {
		{ CONFIG_MODE_LISTEN, 0, true, false },	  { CONFIG_MODE_LISTEN, 1, false, true },
		{ CONFIG_MODE_INETD, 1, false, true },	  { CONFIG_MODE_EXECUTE, 0, true, false },
		{ CONFIG_MODE_EXECUTE, 1, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		(void)world_of(&w, ANN, ANN);
		w.config.mode = rows[i].mode;
		w.config.no_setsid = rows[i].no_setsid;
		w.config.inherited.environment = w.envp; /* with -J the base */
		make_good(&w);
		assert_int_equal(w.plan.new_session, rows[i].session);
		assert_int_equal(w.plan.new_group, rows[i].group);
		assert_int_equal(w.plan.death_signal != 0, rows[i].mode != CONFIG_MODE_EXECUTE);
		plan_done(&w.plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_elevation), TEST(test_client_root), TEST(test_ids),	  TEST(test_base),
		TEST(test_passed_on), TEST(test_limits),      TEST(test_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
