/*
 * Every step between fork and exec that can fail, made to fail.
 *
 * A PAM module of the target's session has the kernel refuse one system call in the
 * processes that the session forks from then on (pam_probe.c, "fail"), so dived itself
 * needs no hooks for this.  A call may also do nothing and say that it has: what is
 * read back afterwards is for that.
 *
 * Whatever the step: the client is refused and told which it was, the program has not
 * run, the PAM session is closed and its credentials are deleted, the record of the end
 * names the step, no process and no descriptor is left, and the next client is served.
 */
#include "child.h"
#include "cleanup.h"
#include "family.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAN	   "/home/bob/ran" /* what the program would make */
#define SAID	   0		   /* no error: the call does nothing and says that it has */
#define HIGH	   200		   /* a descriptor of the client's */
#define NARROW	   "narrow"	   /* dived has fewer than that, see main() */
#define NARROW_MAX 128
#define CGROUP	   "/run/dive-test/cgroup"
#define ROOT	   "/run/dive-test/root" /* the sandbox again, at another place */
#define BEFORE	   "account establish open "
#define AFTERWARDS "close delete"

/*
 * What an argument of the call must be (=) or must not be (!); nothing where sign is 0.
 * prlimit64(2) sets where it has a third argument, and else gets.
 */
struct argument {
	int index;
	char sign;
	unsigned long value;
};

#define FAILS(step_, call_, error_) .step = (step_), .call = (call_), .error = (error_)
#define ONLY(index, value)	    .arguments = { { index, '=', value } }
#define GETS(resource)		    .arguments = { { 1, '=', resource }, { 2, '=', 0 } }
#define SETS(resource)		    .arguments = { { 1, '=', resource }, { 2, '!', 0 } }

struct row {
	const char *step;
	long call;
	int error;
	struct argument arguments[2];
	int reported;		/* errno in the record; 0: `error`, or EPERM where that is SAID */
	int status;		/* of dive; 0: 77 */
	const char *says;	/* NULL: the step's name in brackets */
	const char *options[4]; /* of dived, more */
	const char *word;	/* an option of dive */
	bool narrow;		/* dived is started through NARROW */
	bool terminal;		/* dive is at a terminal, so the program gets a new one */
	bool taken;		/* ... or that one (DIVE_TERMINAL) */
};

/* clang-format off */
static const struct row rows[] = {
	{ FAILS("signals", SYS_rt_sigaction, EINVAL), ONLY(0, SIGUSR1) },
	{ FAILS("signals", SYS_rt_sigprocmask, EINVAL), ONLY(0, SIG_SETMASK) },
	{ FAILS("raise-limits", SYS_prlimit64, EPERM), GETS(RLIMIT_RTTIME) },
	{ FAILS("room", SYS_prlimit64, EPERM), SETS(RLIMIT_NOFILE), .reported = EMFILE,
	  .says = "descriptor 200 needs room for", .narrow = true },
	{ FAILS("session", SYS_setsid, EPERM) },
	{ FAILS("session", SYS_setpgid, EPERM), .options = { "-S" } },
	{ FAILS("namespaces", SYS_setns, EPERM), .options = { "-s", "net" },
	  .says = "(namespaces): net: Operation not permitted" },
	{ FAILS("namespaces", SYS_prctl, EPERM), ONLY(0, PR_SET_DUMPABLE), .options = { "-s", "net" } },
	{ FAILS("move", SYS_clone3, EAGAIN), .options = { "-s", "pid" } },
	{ FAILS("move", SYS_pipe2, EMFILE), .options = { "-s", "pid" } },
	{ FAILS("contents", SYS_openat2, EACCES), .options = { "-t", "/proc/self/oom_score_adj", "0" },
	  .says = "(contents): /proc/self/oom_score_adj: Permission denied" },
	{ FAILS("contents", SYS_write, EIO), .options = { "-t", "/proc/self/oom_score_adj", "0" } },
	{ FAILS("root", SYS_chroot, EPERM), .options = { "-R", "/" }, .says = "(root): /: " },
	{ FAILS("root", SYS_openat2, EACCES), .options = { "-H", "-h", "/tmp" }, .says = "(root): /tmp: " },
	{ FAILS("root", SYS_unshare, EPERM), .options = { "-V", ROOT, "." } },
	{ FAILS("root", SYS_pivot_root, EBUSY), .options = { "-V", ROOT, "." } },
	{ FAILS("securebits", SYS_prctl, EPERM), ONLY(0, PR_SET_SECUREBITS), .options = { "-L" } },
	{ FAILS("securebits", SYS_prctl, SAID), ONLY(0, PR_SET_SECUREBITS), .options = { "-L" } },
	{ FAILS("bounding", SYS_prctl, EPERM), ONLY(0, PR_CAPBSET_DROP), .options = { "-b", "cap_mknod" } },
	{ FAILS("bounding", SYS_prctl, SAID), ONLY(0, PR_CAPBSET_DROP), .options = { "-b", "cap_mknod" } },
	{ FAILS("undumpable", SYS_prctl, EINVAL), ONLY(0, PR_SET_DUMPABLE) },
	{ FAILS("no-new-privs", SYS_prctl, EINVAL), ONLY(0, PR_SET_NO_NEW_PRIVS), .options = { "-X" } },
	{ FAILS("no-new-privs", SYS_prctl, SAID), ONLY(0, PR_SET_NO_NEW_PRIVS), .options = { "-X" } },
	{ FAILS("terminal", SYS_ioctl, EIO), ONLY(1, TIOCSPTLCK), .terminal = true },
	{ FAILS("terminal", SYS_ioctl, EMFILE), ONLY(1, TIOCGPTPEER), .terminal = true },
	{ FAILS("terminal", SYS_fcntl, EMFILE), ONLY(1, F_DUPFD_CLOEXEC), .terminal = true },
	{ FAILS("terminal", SYS_ioctl, EINVAL), ONLY(1, TIOCSWINSZ), .terminal = true },
	{ FAILS("terminal", SYS_ioctl, EIO), ONLY(1, TCGETS), .terminal = true },
	{ FAILS("terminal", SYS_ioctl, EINVAL), ONLY(1, TCSETS), .terminal = true },
	{ FAILS("terminal", SYS_fchown, EPERM), .terminal = true },
	{ FAILS("terminal", SYS_fchmod, EPERM), .terminal = true },
	{ FAILS("terminal", SYS_sendmsg, ENOBUFS), .terminal = true },
	{ FAILS("monitor", SYS_setsid, EPERM), .terminal = true },
	{ FAILS("monitor", SYS_ioctl, EPERM), ONLY(1, TIOCSCTTY), .terminal = true },
	{ FAILS("monitor", SYS_pidfd_open, EMFILE), .terminal = true },
	{ FAILS("monitor", SYS_clone, EAGAIN), .terminal = true },
	{ FAILS("monitor", SYS_setpgid, EPERM), .terminal = true },
	{ FAILS("monitor", SYS_ioctl, EIO), ONLY(1, TIOCSPGRP), .terminal = true },
	{ FAILS("free-terminal", SYS_setsid, EPERM), .options = { "-s", "pid" }, .taken = true },
	{ FAILS("free-terminal", SYS_ioctl, EIO), ONLY(1, TIOCSCTTY), .options = { "-s", "pid" }, .taken = true },
	{ FAILS("free-terminal", SYS_ioctl, EIO), ONLY(1, TIOCNOTTY), .options = { "-s", "pid" }, .taken = true },
	{ FAILS("session", SYS_ioctl, EIO), ONLY(1, TIOCSCTTY), .taken = true },
	{ FAILS("session", SYS_ioctl, EPERM), ONLY(1, TIOCSCTTY), .taken = true,
	  .says = "(session): the terminal (DIVE_TERMINAL) is that of another session" },
	/* As above, in the process that its monitor has forked. */
	{ FAILS("ids", SYS_setresuid, EAGAIN), .terminal = true },
	{ FAILS("exec", SYS_execve, EPERM), .status = 126, .terminal = true,
	  .says = "exec: touch: Operation not permitted" },
	{ FAILS("directory", SYS_fchdir, EACCES) },
	{ FAILS("groups", SYS_setgroups, EPERM) },
	{ FAILS("nproc", SYS_prlimit64, EPERM), SETS(RLIMIT_NPROC) },
	{ FAILS("ids", SYS_setresgid, EPERM) },
	{ FAILS("ids", SYS_setresgid, SAID) },
	{ FAILS("ids", SYS_setresuid, EAGAIN) },
	{ FAILS("ids", SYS_setresuid, SAID) },
	{ FAILS("ids", SYS_getresuid, EFAULT) },
	{ FAILS("ids", SYS_getresgid, EFAULT) },
	{ FAILS("ids", SYS_getgroups, EPERM) },
	{ FAILS("capabilities", SYS_prctl, EPERM), ONLY(0, PR_CAP_AMBIENT) },
	{ FAILS("capabilities", SYS_capset, EPERM) },
	{ FAILS("capabilities", SYS_capget, EFAULT) },
	{ FAILS("capabilities", SYS_setuid, SAID) }, /* root is there to be taken back */
	{ FAILS("home", SYS_chdir, EACCES), .word = "-l" },
	{ FAILS("keyring", SYS_keyctl, EDQUOT), ONLY(0, KEYCTL_JOIN_SESSION_KEYRING) },
	{ FAILS("death-signal", SYS_prctl, EINVAL), ONLY(0, PR_SET_PDEATHSIG) },
#ifdef SYS_poll
	{ FAILS("death-signal", SYS_poll, EINTR), .reported = ESRCH }, /* as if it had ended */
#endif
	{ FAILS("descriptors", SYS_close_range, ENOSYS) },
#ifdef SYS_dup2
	{ FAILS("descriptors", SYS_dup2, EBUSY) },
#endif
	{ FAILS("limits", SYS_prlimit64, EPERM), SETS(RLIMIT_RTTIME) },
	{ FAILS("exec", SYS_execve, EPERM), .status = 126, .says = "exec: touch: Operation not permitted" },
	{ FAILS("exec", SYS_execve, ENOENT), .status = 127, .says = "exec: touch: not found" },
	{ FAILS("exec", SYS_execve, EAGAIN), .status = 126, .says = "exec: touch: the target has too many" },
};
/* clang-format on */

/* Steps without a row, and why. */
static const struct {
	const char *step;
	const char *why;
} sure[] = {
	{ "umask", "umask(2) always succeeds" },
	{ "cgroup", "the kernel puts the child there: see test_cgroup_failing" },
};

/* Writes the service: for alice, and nobody else, the call fails. */
static void write_service(const char *action, const struct row *row)
{
	const struct argument *argument = row->arguments;
	char list[64] = "";
	char text[1024];
	size_t len = 0;

	/* All fit. */
	for (size_t i = 0; i < ARRAY_LEN(row->arguments) && argument[i].sign; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, ",%d%c%lu",
					argument[i].index, argument[i].sign, argument[i].value);
	(void)snprintf(text, sizeof(text),
		       PROBE_SERVICE "session required " PROBE_PATH
				     " only=open client=alice %s=%ld,%d%s\n",
		       action, row->call, row->error, list);
	sandbox_service("probe", text);
}

static void start(const struct row *row)
{
	const char *const options[] = { "-u",
					"bob",
					"-a",
					"never",
					"-x",
					"probe",
					row->options[0],
					row->options[1],
					row->options[2],
					row->options[3],
					NULL };

	if (row->narrow)
		trail_serve_through(NARROW, options);
	else
		trail_serve(options);
}

/* The same at a terminal, where there is one output. */
static void expect_refused_at_terminal(struct run_options *options, int status, const char *says)
{
	cleanup_free const char **argv = run_dive_words(&trail.gateway, RUN_WORDS("touch", RAN));

	options->argv = argv;
	pty_start(&trail.pty, options);
	pty_expect(&trail.pty, says);
	assert_int_equal(pty_wait(&trail.pty), status);
	pty_done(&trail.pty);
}

/* alice is refused, in these words, with nothing on standard output. */
static void expect_refused(const struct row *row)
{
	static const char *const taking[] = { "PATH=/usr/bin:/bin", "DIVE_TERMINAL=@0", NULL };
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	const struct run_fd high = { null, HIGH };
	struct run_options options = { .account = "alice", .fds = &high, .fd_count = 1 };
	int status = row->status ? row->status : 77;
	char brackets[64];
	const char *says = row->says ? row->says : brackets;

	(void)snprintf(brackets, sizeof(brackets),
		       "dive: set-up: the program could not be set up (%s)", row->step); /* fits */
	if (row->taken)
		options.envp = taking;
	if (row->terminal || row->taken) {
		expect_refused_at_terminal(&options, status, says);
	} else {
		run_dive(&trail.client, &options, &trail.gateway,
			 row->word ? RUN_WORDS(row->word, "touch", RAN) : RUN_WORDS("touch", RAN));
		run_assert_status(&trail.client, status);
		assert_string_equal(trail.client.out, "");
		assert_contains(trail.client.err, says);
		run_done(&trail.client);
	}
	assert_int_equal(access(RAN, F_OK), -1);
}

static void expect_record(const struct row *row)
{
	const char *text = audit_stream_expect(&trail.stream, AUDIT_USER_CMD, "op=dive:spawn",
					       trail.field, "client=\"alice\"", NULL);
	int error = row->reported ? row->reported : row->error ? row->error : EPERM;
	char id[64];

	(void)audit_field(text, "dive_id", id, sizeof(id));
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", trail.field, id,
				   NULL);
	trail_assert(text, "layer", row->status ? "exec" : "set-up");
	trail_assert(text, "step", row->step);
	trail_assert_number(text, "errno", (uint64_t)error);
	trail_assert_number(text, "exit", (uint64_t)(row->status ? row->status : 77));
	trail_assert(text, "res", "failed");
}

static void play(const char *action, const struct row *row)
{
	struct family_fds before;

	print_message("case: %s, system call %ld: %s\n", row->step, row->call,
		      row->error ? strerror(row->error) : "does nothing");
	(void)unlink(RAN); /* of a case that failed */
	write_service(action, row);
	start(row);
	gateway_expect_served(&trail.gateway, "carol",
			      "bob"); /* now all there is has been opened */
	family_await(FAMILY_SESSION, 0);
	family_list_fds(trail.gateway.pid, &before);
	probe_forget();
	expect_refused(row);
	probe_assert_phases(BEFORE AFTERWARDS); /* by the time the client knows */
	expect_record(row);
	family_await(FAMILY_SESSION, 0);
	family_expect_fds(trail.gateway.pid, &before);
	gateway_expect_served(&trail.gateway, "carol", "bob");
	gateway_stop(&trail.gateway);
	sandbox_assert_no_children();
}

static void test_each_step_failing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		play("fail", &rows[i]);
}

/* No step: there is no process to take one. */
static void test_fork_failing(void **state)
{
	static const struct row row = { "fork", SYS_clone, EAGAIN,
					.says = "no process can be made" };

	(void)state;
	play("fail-here", &row);
}

/* The child is not there yet, so its step is taken by the session. */
static void test_cgroup_failing(void **state)
{
	static const struct row row = { "cgroup", SYS_clone3, EACCES,
					.options = { "--cgroup", CGROUP },
					.says = "no process can be made in the cgroup" };

	(void)state;
	MUST(mkdir(CGROUP, 0700));
	MUST(mount("cgroup2", CGROUP, "cgroup2", 0, NULL));
	play("fail-here", &row);
	MUST(umount(CGROUP));
	MUST(rmdir(CGROUP));
}

static bool is_listed(const char *step)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(rows) && !found; i++)
		found = strcmp(rows[i].step, step) == 0;
	for (size_t i = 0; i < ARRAY_LEN(sure) && !found; i++)
		found = strcmp(sure[i].step, step) == 0;
	return found;
}

/* A step that is added to child.c needs a row here. */
static void test_no_step_is_left_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < child_step_count; i++)
		if (!is_listed(child_steps[i].name))
			FAIL("no row for the step \"%s\"", child_steps[i].name);
	for (size_t i = 0; i < ARRAY_LEN(sure); i++) {
		unsigned j = 0;

		while (j < child_step_count && strcmp(child_steps[j].name, sure[i].step) != 0)
			j++;
		assert_in_range(j, 0, child_step_count - 1);
		print_message("not made to fail: %s, because %s\n", sure[i].step, sure[i].why);
	}
}

/* `narrow dived ...`: executes dived with few descriptors, for good. */
static int start_narrow(char **argv)
{
	const struct rlimit limit = { NARROW_MAX, NARROW_MAX };

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 98;
	(void)execv(argv[0], argv); /* returns on failure only */
	return 97;
}

static int setup(void **state)
{
	int result = probe_group_setup(state);

	MUST(mkdir(ROOT, 0755));
	MUST(mount("/", ROOT, NULL, MS_BIND | MS_REC, NULL));
	return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_step_failing),
		TEST(test_fork_failing),
		TEST(test_cgroup_failing),
		cmocka_unit_test(test_no_step_is_left_out),
	};

	if (argc > 2 && strcmp(argv[1], NARROW) == 0)
		return start_narrow(argv + 2);
	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
