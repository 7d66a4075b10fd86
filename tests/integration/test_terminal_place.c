/*
 * Which devpts the new terminal is of: the target's own, where its root has one that is
 * one; else the host's, whatever lies at its place.  And terminals in namespaces.
 */
#include "container.h"
#include "terminal_scene.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define JAIL "/run/dive-test/jail"
#define BOX  "/run/dive-test/box"

static struct container box = { .pidfd = -1, .life = -1 };

static int setup(void **state)
{
	static const char script[] =
		"set -e; umask 022; mkdir " JAIL " " BOX "; cd " JAIL "; mkdir usr proc dev; "
		"mount --bind /usr usr; mount -t proc proc proc; "
		"for i in bin lib lib64; do ln -s usr/$i $i; done; "
		">dev/null; mount --bind /dev/null dev/null; >dev/tty; mount --bind /dev/tty "
		"dev/tty";
	int result = show_group_setup(state);

	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("sh", "-c", script) });
	return result;
}

static void script(const char *text)
{
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("sh", "-c", text),
					   .directory = JAIL "/dev" });
}

static int done(void **state)
{
	int result = teardown(state);

	container_stop(&box);
	script("umount pts/pts 2>/dev/null; umount pts 2>/dev/null; rm -rf pts");
	return result;
}

/* The number of the file system that holds a path. */
static unsigned long device_of(const char *path)
{
	struct stat info;

	MUST(stat(path, &info));
	return info.st_dev;
}

/* Runs dive with what comes before $G, and returns where the program's terminal is. */
static unsigned long terminal_device(const char *words)
{
	char line[400];
	unsigned long device;

	(void)snprintf(line, sizeof(line),
		       "exec dive %s $G /bin/sh -c 'echo de''v=$(stat -c %%d -).; echo h''as "
		       ">/dev/tty; stat -c =%%u:%%g:%%a= -'",
		       words); /* fits */
	at_terminal(RUN_WORDS("sh", "-c", line), NULL);
	pty_expect(&pty, "dev=");
	pty_expect(&pty, ".");
	pty_expect(&pty, "has");
	assert_int_equal(pty_wait(&pty), 0);
	device = strtoul(strstr(pty.screen, "dev=") + 4, NULL, 10);
	return device;
}

static void test_what_lies_there(void **state)
{
	static const struct {
		const char *script;
		bool own;
	} cases[] = {
		{ "true", false },
		{ "mkdir pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts pts", true },
		/* The mode of its ptmx is for users: root makes the terminal. */
		{ "mkdir pts; mount -t devpts -o newinstance,ptmxmode=0 devpts pts", true },
		{ "mkdir pts; ln -s /dev/null pts/ptmx", false },
		{ "mkdir pts; ln -s /proc/1/root/dev/ptmx pts/ptmx", false },
		{ "mkdir pts; mkfifo pts/ptmx", false },
		{ "mkdir pts; mknod pts/ptmx c 1 3", false },
		{ "mkdir pts; mknod pts/ptmx c 5 2", false },
		{ "mkdir pts; >pts/ptmx", false },
		/* One that works, and is not the devpts at its place. */
		{ "mkdir -p pts/pts; mknod pts/ptmx c 5 2; "
		  "mount -t devpts -o newinstance,ptmxmode=0666 devpts pts/pts",
		  false },
		{ "mkdir -p pts/ptmx", false },
		{ "ln -s pts pts", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned long device;

		print_message("case: %s\n", cases[i].script);
		script(cases[i].script);
		gateway_start(&gateway, RUN_WORDS("-R", JAIL, "-H", AS_BOB));
		device = terminal_device("");
		assert_int_equal(device,
				 device_of(cases[i].own ? JAIL "/dev/pts/ptmx" : "/dev/pts"));
		pty_expect(&pty, "=2002:5:620=");
		pty_done(&pty);
		gateway_stop(&gateway);
		script("! mountpoint -q pts/pts || umount pts/pts; "
		       "! mountpoint -q pts || umount pts; rm -rf pts");
	}
}

/* Where the client has chosen the root, nothing in it is looked at. */
static void test_root_of_the_client(void **state)
{
	(void)state;
	script("mkdir pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts pts");
	gateway_start(&gateway, RUN_WORDS("-r", "-X", "-H", "-h", "/"));
	at_terminal(RUN_WORDS("sh", "-c",
			      "DIVE_ROOTDIR=" JAIL
			      " exec dive $G /bin/sh -c 'echo de''v=$(stat -c %d -).'"),
		    NULL);
	pty_expect(&pty, "dev=");
	pty_expect(&pty, ".");
	assert_int_equal(pty_wait(&pty), 0);
	assert_int_equal(strtoul(strstr(pty.screen, "dev=") + 4, NULL, 10), device_of("/dev/pts"));
	pty_done(&pty);
	gateway_stop(&gateway);
}

static int mount_devpts(void)
{
	return mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666");
}

/* A container with a devpts of its own, one that has the host's, and one that has none. */
static void test_containers(void **state)
{
	static int (*const prepares[])(void) = { mount_devpts, NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(prepares); i++) {
		char number[32];
		unsigned long device;

		container_start(&box, &(struct container_options){
					      .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS,
					      .root = BOX,
					      .prepare = prepares[i] });
		(void)snprintf(number, sizeof(number), "%d", (int)box.pid); /* fits */
		gateway_start(&gateway, RUN_WORDS("--setns-pid", number, "-H", "-h", "/"));
		device = terminal_device("");
		if (prepares[i])
			assert_int_not_equal(device, device_of("/dev/pts"));
		else
			assert_int_equal(device, device_of("/dev/pts"));
		pty_done(&pty);
		gateway_stop(&gateway);
		container_stop(&box);
	}
}

/* In namespaces of all kinds the terminal is there and job control works. */
static void test_namespaces(void **state)
{
	static const char *const lists[] = { "pid", "mnt", "pid,mnt,uts,ipc,net", "user",
					     "user,mnt,pid" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		bool user = strstr(lists[i], "user");

		print_message("case: %s\n", lists[i]);
		if (user)
			gateway_start(&gateway, RUN_WORDS("-s", lists[i], "-tt", "-u", "root", "-a",
							  "never", "-H", "-h", "/"));
		else
			gateway_start(&gateway, RUN_WORDS("-s", lists[i]));
		shell(NULL);
		type("dive $G sh -c 'echo u''p >/dev/tty; read x; echo got=$x; exit 7'");
		pty_expect(&pty, "\nup");
		pty_expect_lflag(&pty, ICANON, false);
		pty_send(&pty, "\x1a");
		pty_expect(&pty, "Stopped");
		pty_expect(&pty, "ready> ");
		type("fg");
		pty_expect_lflag(&pty, ICANON, false);
		pty_send(&pty, "hello\r");
		pty_expect(&pty, "got=hello");
		pty_expect(&pty, "ready> ");
		type("echo sta''tus=$?");
		pty_expect(&pty, "status=7");
		leave();
		gateway_stop(&gateway);
	}
}

/* -F -s pid: the program is the first process, of a namespace that ends with it. */
static void test_first_process(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-F", "-s", "pid"));
	at_terminal(RUN_WORDS("sh", "-c",
			      "exec dive $G sh -c 'echo pi''d=$$.; sleep 1000 & exec >/dev/tty; "
			      "read x; echo got=$x; exit 7'"),
		    NULL);
	pty_expect(&pty, "pid=1.");
	pty_send(&pty, "hello\r");
	pty_expect(&pty, "got=hello");
	assert_int_equal(pty_wait(&pty), 7);
	pty_done(&pty);
	run_wait(&gateway.run); /* and sleep has been killed: see teardown */
	assert_int_equal(gateway.run.status, 7);
	gateway_kill(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_lies_there), TEST(test_root_of_the_client), TEST(test_containers),
		TEST(test_namespaces),	    TEST(test_first_process),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
