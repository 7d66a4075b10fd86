/*
 * container - a first process, in two forks.
 *
 * The first one makes the namespaces, the second one is in those of pids and time,
 * too, and stays: an orphan that is the test program's, which is a subreaper.  Between
 * fork and exit nothing is asserted; failures are said on standard error.
 */
#include "container.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define START_MS 10000
#define SHOW	 "/run/dive-test/show"

/* What the processes need. */
struct making {
	const struct container_options *options;
	uid_t uid;
	gid_t gid;
	int control; /* SOCK_SEQPACKET to the test */
	int life;
};

__attribute__((noreturn)) static void give_up(const char *what)
{
	(void)dprintf(2, "container: %s: %s\n", what, strerror(errno)); /* no other place */
	_exit(1);
}

#define NEED(call)                                                                                 \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			give_up(#call);                                                            \
	} while (0)

/* A directory of the machine's, or the link that it is. */
static void put_directory(const char *name)
{
	char target[64] = "";
	struct stat status;

	NEED(lstat(name, &status));
	if (S_ISLNK(status.st_mode)) {
		NEED(readlink(name, target, sizeof(target) - 1));
		NEED(symlink(target, name + 1));
		return;
	}
	NEED(mkdir(name + 1, 0755));
	NEED(mount(name, name + 1, NULL, MS_BIND | MS_REC, NULL));
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	NEED(fd);
	NEED(write(fd, text, strlen(text)));
	(void)close(fd);
}

/* The current directory is the new root, until it is "/". */
static void change_root(const char *root)
{
	static const char *const directories[] = { "/usr", "/bin", "/lib", "/lib64", "/dev" };

	NEED(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	NEED(mount("container", root, "tmpfs", 0, "mode=0755"));
	NEED(chdir(root));
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		if (access(directories[i], F_OK) == 0)
			put_directory(directories[i]);
	NEED(mkdir("proc", 0755));
	NEED(mkdir("etc", 0755));
	NEED(mkdir("old", 0755));
	put_file("etc/passwd", "root:x:0:0::/:/bin/sh\nbob:x:0:0::/evil:/bin/false\n"
			       "alice:x:0:0::/evil:/bin/false\n");
	put_file("etc/group", "root:x:0:bob,alice\n");
	if (access(SHOW, F_OK) == 0) {
		put_file("show", "");
		NEED(mount(SHOW, "show", NULL, MS_BIND, NULL));
	}
	NEED(mount("proc", "proc", "proc", 0, NULL));
	NEED((int)syscall(SYS_pivot_root, ".", "old"));
	NEED(umount2("/old", MNT_DETACH));
	NEED(rmdir("/old"));
	NEED(chdir("/"));
}

/* The first process: says that it is there, and waits for its end. */
__attribute__((noreturn)) static void stay(const struct making *making)
{
	const struct container_options *options = making->options;
	pid_t pid = 0;
	char byte;

	(void)prctl(PR_SET_NAME, "container");
	(void)signal(SIGCHLD, SIG_IGN);
	if (options->flags & CLONE_NEWUTS)
		NEED(sethostname("container", 9));
	if (options->root)
		change_root(options->root);
	if (options->prepare && options->prepare() != 0)
		give_up("prepare");
	NEED(send(making->control, &pid, sizeof(pid), 0)); /* ready */
	(void)close(making->control);
	while (read(making->life, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static void enter_user(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid); /* fits */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	NEED(fd);
	NEED(setns(fd, CLONE_NEWUSER));
	(void)close(fd);
}

__attribute__((noreturn)) static void make(const struct making *making)
{
	const struct container_options *options = making->options;
	const int user = options->flags & CLONE_NEWUSER;
	char byte;

	if (options->within)
		enter_user(options->within);
	if (making->uid) {
		NEED(setresgid(making->gid, making->gid, making->gid));
		NEED(setresuid(making->uid, making->uid, making->uid));
		NEED(prctl(PR_SET_DUMPABLE, 1)); /* else it may not look at itself */
	}
	if (user) {
		NEED(unshare(CLONE_NEWUSER));
		NEED(send(making->control, "u", 1, 0)); /* to be mapped */
		NEED(recv(making->control, &byte, 1, 0));
		if (options->map) {
			NEED(setresgid(0, 0, 0));
			NEED(setresuid(0, 0, 0));
		}
	}
	NEED(unshare(options->flags & ~user));
	pid_t pid = fork();
	NEED(pid);
	if (pid == 0)
		stay(making);
	NEED(send(making->control, &pid, sizeof(pid), 0));
	_exit(0);
}

/* Where the pid matters there is one process only. */
__attribute__((noreturn)) static void make_here(const struct making *making)
{
	pid_t pid = getpid();

	NEED(unshare(making->options->flags));
	NEED(send(making->control, &pid, sizeof(pid), 0));
	stay(making);
}

/* Else one container would keep the end of another's life, and much else. */
static void keep_only_ours(struct making *making)
{
	int control = fcntl(making->control, F_DUPFD_CLOEXEC, 5);
	int life = fcntl(making->life, F_DUPFD_CLOEXEC, 5);

	NEED(control);
	NEED(life);
	NEED(making->control = dup2(control, 3));
	NEED(making->life = dup2(life, 4));
	(void)close_range(5, ~0U, 0);
}

static pid_t fork_as(pid_t number)
{
	pid_t numbers[] = { number };
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = number ? (uint64_t)(uintptr_t)numbers : 0,
				   .set_tid_size = number ? 1 : 0 };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static size_t receive(int control, void *data, size_t size)
{
	assert_int_equal(deadline_poll(control, POLLIN, deadline_after(START_MS)), 0);
	return (size_t)MUST(recv(control, data, size, 0));
}

static void write_map(pid_t pid, const char *name, const char *map)
{
	char path[64];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name); /* fits */
	fd = MUST_INT(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, map, strlen(map)));
}

static void map_user(const struct container_options *options, pid_t pid, int control)
{
	char byte;

	if (receive(control, &byte, 1) != 1)
		FAIL("the container has failed");
	if (options->map) {
		write_map(pid, "uid_map", options->map);
		write_map(pid, "gid_map", options->map);
	}
	MUST(send(control, "m", 1, MSG_NOSIGNAL));
}

void container_start(struct container *ret, const struct container_options *options)
{
	struct making making = { .options = options };
	pid_t pid = 0, ready = -1;
	int control[2], life[2];

	if (options->account) {
		const struct passwd *account = getpwnam(options->account);

		MUST_POINTER(account);
		making.uid = account->pw_uid;
		making.gid = account->pw_gid;
	}
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control));
	MUST(pipe2(life, O_CLOEXEC));
	making.control = control[1];
	making.life = life[0];
	pid_t maker = MUST_INT(fork_as(options->number));
	if (maker == 0) {
		keep_only_ours(&making);
		if (options->number)
			make_here(&making);
		make(&making);
	}
	close_fd(&control[1]);
	close_fd(&life[0]);
	if (options->flags & CLONE_NEWUSER)
		map_user(options, maker, control[0]);
	/* The pid and the word that it is ready come in any order. */
	for (int i = 0; i < 2; i++) {
		pid_t got = 0;

		if (receive(control[0], &got, sizeof(got)) != sizeof(got))
			FAIL("the container has failed");
		if (got)
			pid = got;
		else
			ready = 0;
	}
	assert_int_equal(ready, 0);
	if (maker != pid)
		MUST(waitpid(maker, NULL, 0));
	close_fd(&control[0]);
	*ret = (struct container){ pid, MUST_INT(pidfd_open(pid, 0)), life[1] };
}

void container_stop(struct container *container)
{
	if (container->pid <= 0)
		return;
	close_fd(&container->life);
	if (deadline_poll(container->pidfd, POLLIN, deadline_after(START_MS)) < 0)
		FAIL("the container does not end");
	close_fd(&container->pidfd);
	(void)waitpid(container->pid, NULL, 0); /* ours since its parent has ended */
	*container = (struct container){ .pidfd = -1, .life = -1 };
}
