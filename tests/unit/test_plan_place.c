/*
 * plan: namespaces, content, root, directory and cgroup of a program.
 */
#include "plan_world.h"

static char directory_path[] = "in/there", root_path[] = "/jail", old_path[] = "/jail/old";
static char map[] = "/proc/self/uid_map", offsets[] = "timens_offsets";
static char file[] = "/proc/sys/net/x", text[] = "1", text2[] = "2";

static void test_nothing(void **state)
{
	struct world w;

	(void)state;
	(void)world_of(&w, ANN, ANN);
	w.request.root = 12; /* sent, and not asked for */
	make_good(&w);
	assert_null(w.plan.namespaces);
	assert_int_equal(w.plan.root, PLAN_ROOT_SAME);
	assert_int_equal(w.plan.root_fd, -1);
	assert_null(w.plan.root_path);
	assert_null(w.plan.directory_path);
	assert_int_equal(w.plan.content_count, 0);
	assert_int_equal(w.plan.cgroup, -1);
	assert_int_equal(w.plan.start, 9);
	plan_done(&w.plan);
	assert_int_equal(w.plan.cgroup, -1);
	assert_int_equal(w.plan.root_fd, -1);
}

static void test_root(void **state)
{
	char *pivot[] = { root_path, old_path, NULL };
	struct world w;

	(void)state;
	(void)world_of(&w, ANN, ANN);
	w.config.chroot = root_path;
	make_good(&w);
	assert_int_equal(w.plan.root, PLAN_ROOT_CHROOT);
	assert_ptr_equal(w.plan.root_path, root_path);
	plan_done(&w.plan);
	(void)world_of(&w, ANN, ANN);
	w.config.pivot_root = (struct option_list){ pivot, 2 };
	make_good(&w);
	assert_int_equal(w.plan.root, PLAN_ROOT_PIVOT);
	assert_ptr_equal(w.plan.root_path, root_path);
	assert_ptr_equal(w.plan.root_old, old_path);
	plan_done(&w.plan);
}

/* A module has changed root or mount namespace: no descriptor of before counts. */
static void test_moved(void **state)
{
	struct world w;

	(void)state;
	(void)world_of(&w, ANN, ANN);
	w.session.moved = true;
	w.session.directory = 23;
	make_good(&w);
	assert_int_equal(w.plan.directory, 23);
	plan_done(&w.plan);
	(void)world_of(&w, ANN, ANN);
	w.session.moved = true;
	w.session.directory = 23;
	w.config.no_chdir = w.config.root_to_current = 1;
	w.config.root_fd = 17;
	make_good(&w);
	assert_int_equal(w.plan.directory, 23);
	plan_done(&w.plan);
}

static void test_directory(void **state)
{
	struct world w;

	(void)state;
	(void)world_of(&w, ANN, ANN);
	w.config.no_chdir = 1;
	w.config.chdir = directory_path;
	make_good(&w);
	assert_int_equal(w.plan.directory, 9);
	assert_ptr_equal(w.plan.directory_path, directory_path);
	plan_done(&w.plan);
	(void)world_of(&w, ANN, ANN);
	w.config.no_chdir = w.config.root_to_current = 1;
	w.config.root_fd = 17;
	make_good(&w);
	assert_int_equal(w.plan.directory, 17);
	assert_null(w.plan.directory_path);
	plan_done(&w.plan);
}

/* What describes the gateway's own namespaces is not written for each program. */
static void test_contents(void **state)
{
	char *contents[] = { map, text, file, text2, offsets, text, file, text, NULL };
	struct world w;

	(void)state;
	(void)world_of(&w, ANN, ANN);
	w.config.contents = (struct option_list){ contents, 8 };
	make_good(&w);
	assert_int_equal(w.plan.content_count, 4);
	assert_ptr_equal(w.plan.contents[0], file);
	assert_ptr_equal(w.plan.contents[1], text2);
	assert_ptr_equal(w.plan.contents[2], file);
	assert_ptr_equal(w.plan.contents[3], text);
	plan_done(&w.plan);
	assert_null(w.plan.contents);
}

/* In namespaces of somebody else nothing is created. */
static void test_namespaces(void **state)
{
	struct namespace_set set = NAMESPACE_SET_EMPTY;
	struct world w;

	(void)state;
	make_good(world_of(&w, ANN, ANN));
	assert_true(w.plan.content_create);
	plan_done(&w.plan);
	w.session.namespaces = &set;
	w.config.cgroup_fd = 18;
	make_good(&w);
	assert_ptr_equal(w.plan.namespaces, &set);
	assert_true(w.plan.content_create);
	assert_int_equal(w.plan.cgroup, 18);
	plan_done(&w.plan);
	set.foreign = true;
	make_good(&w);
	assert_false(w.plan.content_create);
	plan_done(&w.plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing),   TEST(test_root),	   TEST(test_moved),
		TEST(test_directory), TEST(test_contents), TEST(test_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
