/*
 * A pid file that is a cgroup's list of processes: everything of the gateway is in that
 * cgroup from its beginning, nobody else is thrown out, and nothing is left behind but
 * the cgroup, which is the administrator's.
 *
 * Played in a cgroup of its own, of version 2 and, where there is one, of version 1.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	char directory[256];
	struct gateway gateway;
	struct run client;
	struct run neighbour;
} world;

/* Finds where cgroups of a kind are mounted.  Version 1: any hierarchy that takes processes. */
static bool find_mount(const char *type, char *path, size_t size)
{
	FILE *table = setmntent("/proc/self/mounts", "re");
	const struct mntent *entry;
	bool found = false;

	MUST_POINTER(table);
	while (!found && (entry = getmntent(table))) {
		/* A new cpuset takes nobody before it has been told which CPUs it has. */
		found = strcmp(entry->mnt_type, type) == 0 && !hasmntopt(entry, "cpuset") &&
			!hasmntopt(entry, "ro");
		if (found)
			(void)snprintf(path, size, "%s", entry->mnt_dir); /* short */
	}
	(void)endmntent(table); /* read only */
	return found;
}

/* Where a process is, by the kernel's own account: the line of /proc/PID/cgroup. */
static void assert_inside(const char *pid, bool inside)
{
	const char *name = strrchr(world.directory, '/');
	char path[64];
	char text[4096];

	(void)snprintf(path, sizeof(path), "/proc/%s/cgroup", pid); /* fits */
	cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
	ssize_t len = MUST(read(fd, text, sizeof(text) - 1));

	text[len] = '\0';
	if ((strstr(text, name) != NULL) != inside)
		FAIL("process %s is %sin %s:\n%s", pid, inside ? "not " : "", name, text);
}

static void assert_pid_inside(pid_t pid)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%d", pid); /* fits */
	assert_inside(text, true);
}

/* One that has been there before. */
static void move_neighbour(const char *list)
{
	run_start(
		&world.neighbour,
		&(struct run_options){ .argv = RUN_WORDS("sh", "-c", "echo up; exec sleep 1000") });
	run_expect(&world.neighbour, "up");
	sandbox_write(list, 0644, "%d\n", world.neighbour.pid);
	assert_pid_inside(world.neighbour.pid);
}

/* The listener, the session and the program. */
static void assert_gateway_inside(void)
{
	char *save = NULL;

	assert_pid_inside(world.gateway.pid);
	run_dive_start(&world.client, &(struct run_options){ .account = "alice" }, &world.gateway,
		       RUN_WORDS("sh", "-c", "echo $PPID $$ up; exec sleep 1000"));
	run_expect(&world.client, "up");
	assert_inside(strtok_r(world.client.out, " ", &save), true);
	assert_inside(strtok_r(NULL, " ", &save), true);
	show_await_relay(world.client.pid);
	run_signal(&world.client, SIGTERM);
	run_wait(&world.client);
	assert_int_equal(world.client.signal, SIGTERM);
	run_done(&world.client);
}

static void play(const char *type, const char *name)
{
	static const char *const detached[] = { NULL, "-d" };
	char list[320];
	struct stat info;

	if (!find_mount(type, world.directory, sizeof(world.directory) - 32)) {
		print_message("no %s here\n", type);
		assert_string_equal(type, "cgroup"); /* version 2 is everywhere */
		return;
	}
	(void)snprintf(world.directory + strlen(world.directory), 32, "/dive-test-%d", getpid());
	(void)snprintf(list, sizeof(list), "%s/%s", world.directory, name); /* both fit */
	MUST(mkdir(world.directory, 0755));
	move_neighbour(list);
	MUST(chmod(list, 0600)); /* a file of dived's own becomes 0644 */
	for (size_t i = 0; i < ARRAY_LEN(detached); i++) {
		print_message("case: %s %s\n", list, detached[i] ? detached[i] : "");
		gateway_start(&world.gateway, RUN_WORDS("-p", list, detached[i]));
		assert_gateway_inside();
		gateway_stop(&world.gateway);
		MUST(stat(list, &info));
		assert_int_equal(info.st_mode, S_IFREG | 0600);
		assert_pid_inside(world.neighbour.pid);
	}
	assert_inside("self", false);
	run_done(&world.neighbour); /* ends it */
	sandbox_assert_no_children();
	MUST(rmdir(world.directory));
	world.directory[0] = '\0';
}

static void test_version_2(void **state)
{
	(void)state;
	play("cgroup2", "cgroup.procs");
}

static void test_version_1(void **state)
{
	(void)state;
	play("cgroup", "tasks");
	play("cgroup", "cgroup.procs");
}

static int setup(void **state)
{
	(void)state;
	world.client = world.neighbour = (struct run){ .pidfd = -1 };
	return 0;
}

static int teardown(void **state)
{
	int result;

	run_done(&world.client);
	run_done(&world.neighbour);
	gateway_kill(&world.gateway);
	result = sandbox_test_teardown(state);
	if (world.directory[0])
		(void)rmdir(world.directory); /* after a failure */
	world.directory[0] = '\0';
	return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_version_2),
		TEST(test_version_1),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
