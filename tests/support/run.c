/*
 * run - a command as an account.
 *
 * Everything that needs memory or names is looked up before the fork; the child
 * makes system calls only, reports the one that fails to its standard error and
 * exits with CHILD_FAILED.  It never uses an assertion.
 *
 * Descriptors: all sources are duplicated above the highest number asked for,
 * then put in place, so that no source is overwritten by another's target; all
 * others are marked close-on-exec with one close_range(2) before.
 */
#include "run.h"

#include "cleanup.h"
#include "deadline.h"
#include "gateway.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CHILD_FAILED 125
#define GROUPS_MAX   64
#define FDS_MAX	     1100
#define WORDS_MAX    64
#define INPUT_MAX    65536 /* what a pipe takes without a reader */
#define LOOK_MS	     5
#define PATH_TEXT    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	int group_count;
	char environment[4][300]; /* HOME SHELL USER LOGNAME */
};

static void find_identity(const struct run_options *options, struct identity *ret)
{
	const char *name = options->account ? options->account : "root";
	const struct passwd *entry = getpwnam(name);

	*ret = (struct identity){ .uid = options->uid, .gid = options->gid };
	if (!entry)
		FAIL("no account %s", name);
	if (options->account) {
		ret->uid = entry->pw_uid;
		ret->gid = entry->pw_gid;
		ret->group_count = GROUPS_MAX;
		MUST(getgrouplist(name, entry->pw_gid, ret->groups, &ret->group_count));
	}
	/* Names and paths of the sandbox are far shorter than the buffers. */
	(void)snprintf(ret->environment[0], sizeof(ret->environment[0]), "HOME=%s", entry->pw_dir);
	(void)snprintf(ret->environment[1], sizeof(ret->environment[1]), "SHELL=%s",
		       entry->pw_shell);
	(void)snprintf(ret->environment[2], sizeof(ret->environment[2]), "USER=%s", name);
	(void)snprintf(ret->environment[3], sizeof(ret->environment[3]), "LOGNAME=%s", name);
}

/* In the child: says what failed, on the descriptor that is the command's stderr. */
__attribute__((noreturn)) static void child_fail(int err, const char *what)
{
	(void)dprintf(err, "run: %s: %s\n", what, strerror(errno)); /* no other place to say it */
	_exit(CHILD_FAILED);
}

static void child_signals(int err)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;

	(void)sigemptyset(&none); /* cannot fail */
	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &standard, NULL); /* KILL, STOP and libc's own refuse */
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		child_fail(err, "sigprocmask");
}

static void child_login_uid(const char *text, int err)
{
	int fd = open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		child_fail(err, "loginuid");
	(void)close(fd); /* the write has been checked */
}

static void child_identity(const struct identity *identity, int err)
{
	if (setgroups((size_t)identity->group_count, identity->groups) < 0)
		child_fail(err, "setgroups");
	if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
		child_fail(err, "setresgid");
	if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
		child_fail(err, "setresuid");
}

static void child_fds(const struct run_fd *fds, size_t count, int err)
{
	int raised[FDS_MAX];
	int above = 3;

	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		child_fail(err, "close_range");
	for (size_t i = 0; i < count; i++)
		if (fds[i].number >= above)
			above = fds[i].number + 1;
	for (size_t i = 0; i < count; i++) {
		raised[i] = fcntl(fds[i].fd, F_DUPFD_CLOEXEC, above);
		if (raised[i] < 0)
			child_fail(err, "F_DUPFD_CLOEXEC");
	}
	for (size_t i = 0; i < count; i++)
		if (dup2(raised[i], fds[i].number) < 0)
			child_fail(err, "dup2");
}

__attribute__((noreturn)) static void child_run(const struct run_options *options,
						const struct identity *identity,
						const char *const *envp, const struct run_fd *fds,
						size_t fd_count, int err)
{
	child_signals(err);
	if (options->login_uid)
		child_login_uid(options->login_uid, err);
	if (setsid() < 0)
		child_fail(err, "setsid");
	if (options->terminal > 0 && ioctl(options->terminal, TIOCSCTTY, 0) < 0)
		child_fail(err, "TIOCSCTTY");
	(void)umask(022);
	child_identity(identity, err);
	if (chdir(options->directory ? options->directory : "/") < 0)
		child_fail(err, "chdir");
	err = fcntl(err, F_DUPFD_CLOEXEC, 3);
	child_fds(fds, fd_count, err);
	/* exec(3) does not write to the strings; its type is older than const. */
	execvpe(options->argv[0], (char *const *)(uintptr_t)options->argv,
		(char *const *)(uintptr_t)envp);
	child_fail(err, options->argv[0]);
}

/* Returns a descriptor to read standard input from, to be closed. */
static int open_input(const char *input)
{
	size_t len = input ? strlen(input) : 0;
	int ends[2];

	if (!input)
		return MUST_INT(open("/dev/null", O_RDONLY | O_CLOEXEC));
	assert_in_range(len, 0, INPUT_MAX);
	MUST(pipe2(ends, O_CLOEXEC));
	sandbox_write_all(ends[1], input, len);
	close_fd(&ends[1]);
	return ends[0];
}

/*
 * Appending: of a file in memory the kernel does not guard the position that processes
 * share, so that of two lines written at once one would be lost.
 */
static int open_capture(const char *name)
{
	int fd = MUST_INT(memfd_create(name, MFD_CLOEXEC));

	MUST(fcntl(fd, F_SETFL, O_APPEND));
	return fd;
}

void run_start(struct run *ret, const struct run_options *options)
{
	struct identity identity;
	struct run_fd fds[FDS_MAX];
	cleanup_fd int input = open_input(options->input);
	int terminal = options->terminal;

	assert_in_range(options->fd_count, 0, FDS_MAX - 3);
	find_identity(options, &identity);
	*ret = (struct run){ .status = -1 };
	ret->out_fd = open_capture("stdout");
	ret->err_fd = open_capture("stderr");
	fds[0] = (struct run_fd){ terminal > 0 ? terminal : input, 0 };
	fds[1] = (struct run_fd){ terminal > 0 ? terminal : ret->out_fd, 1 };
	fds[2] = (struct run_fd){ terminal > 0 ? terminal : ret->err_fd, 2 };
	for (size_t i = 0; i < options->fd_count; i++)
		fds[3 + i] = options->fds[i];

	const char *standard[] = { identity.environment[0],
				   identity.environment[1],
				   identity.environment[2],
				   identity.environment[3],
				   PATH_TEXT,
				   "LANG=C.UTF-8",
				   terminal > 0 ? "TERM=xterm" : NULL,
				   NULL };

	ret->deadline =
		deadline_after(options->deadline_ms > 0 ? options->deadline_ms : RUN_DEADLINE_MS);
	ret->pid = MUST_INT(fork());
	if (ret->pid == 0)
		child_run(options, &identity, options->envp ? options->envp : standard, fds,
			  3 + options->fd_count, ret->err_fd);
	ret->pidfd = MUST_INT(pidfd_open(ret->pid, 0)); /* not reaped yet: it is the child's */
}

/* Replaces *text by the whole content of a file in memory, NUL-terminated. */
static void read_capture(int fd, char **text, size_t *len)
{
	struct stat status;
	ssize_t got;

	MUST(fstat(fd, &status));
	free_pointer(text);
	*text = malloc((size_t)status.st_size + 1);
	MUST_POINTER(*text);
	got = MUST(pread(fd, *text, (size_t)status.st_size, 0));
	(*text)[got] = '\0';
	*len = (size_t)got;
}

void run_read(struct run *run)
{
	read_capture(run->out_fd, &run->out, &run->out_len);
	read_capture(run->err_fd, &run->err, &run->err_len);
}

static void collect(struct run *run)
{
	int status;

	MUST(waitpid(run->pid, &status, 0));
	run->ended = true;
	run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void kill_and_fail(struct run *run, const char *what)
{
	char children[4096];

	run_read(run);
	(void)sandbox_list_children(children, sizeof(children));
	run_signal(run, SIGKILL);
	collect(run);
	FAIL("%s\nstandard output:\n%s\nstandard error:\n%s\nprocesses:\n%s", what, run->out,
	     run->err, children);
}

void run_wait(struct run *run)
{
	if (run->ended)
		return;
	if (deadline_poll(run->pidfd, POLLIN, run->deadline) < 0)
		kill_and_fail(run, "the command did not end within its deadline");
	collect(run);
	run_read(run);
}

void run_expect(struct run *run, const char *text)
{
	for (;;) {
		bool ended = deadline_poll(run->pidfd, POLLIN, deadline_after(LOOK_MS)) == 0;

		run_read(run);
		if (strstr(run->out, text) || strstr(run->err, text))
			return;
		if (ended)
			FAIL("the command ended without \"%s\"\nstandard output:\n%s\n"
			     "standard error:\n%s",
			     text, run->out, run->err);
		if (deadline_passed(run->deadline))
			kill_and_fail(run, text);
	}
}

void run_signal(const struct run *run, int signal)
{
	MUST(pidfd_send_signal(run->pidfd, signal, NULL, 0));
}

void run_done(struct run *run)
{
	if (run->pid <= 0)
		return;
	if (!run->ended) {
		run_signal(run, SIGKILL);
		collect(run);
	}
	close_fd(&run->pidfd);
	close_fd(&run->out_fd);
	close_fd(&run->err_fd);
	free_pointer(&run->out);
	free_pointer(&run->err);
	*run = (struct run){ .pidfd = -1, .out_fd = -1, .err_fd = -1, .ended = true, .status = -1 };
}

void run(struct run *ret, const struct run_options *options)
{
	run_start(ret, options);
	run_wait(ret);
}

const char **run_dive_words(const struct gateway *gateway, const char *const *words)
{
	const char **argv = calloc(WORDS_MAX, sizeof(*argv));
	size_t count = 0;

	MUST_POINTER(argv);
	argv[count++] = sandbox_dive();
	while (*words && **words == '-')
		argv[count++] = *words++;
	argv[count++] = gateway->address;
	while (*words) {
		assert_in_range(count, 1, WORDS_MAX - 2);
		argv[count++] = *words++;
	}
	return argv;
}

void run_dive_start(struct run *ret, const struct run_options *options,
		    const struct gateway *gateway, const char *const *words)
{
	struct run_options copy = *options;
	const char **argv = run_dive_words(gateway, words);

	copy.argv = argv;
	run_start(ret, &copy);
	free(argv); /* the command has its own copy since the fork */
}

void run_dive(struct run *ret, const struct run_options *options, const struct gateway *gateway,
	      const char *const *words)
{
	run_dive_start(ret, options, gateway, words);
	run_wait(ret);
}

void run_assert_status(struct run *run, int status)
{
	if (run->status == status)
		return;
	run_read(run);
	FAIL("exit status %d (signal %d), not %d\nstandard output:\n%s\nstandard error:\n%s",
	     run->status, run->signal, status, run->out, run->err);
}

void run_or_fail(const struct run_options *options)
{
	struct run command;

	run(&command, options);
	run_assert_status(&command, 0);
	run_done(&command);
}
