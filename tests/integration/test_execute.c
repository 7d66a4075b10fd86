/*
 * dived -J: no socket, no client; the command is executed in place, or, where
 * something is left to be done when it ends, as a child whose end is passed on.
 *
 * On a terminal see test_execute_terminal.c.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "deadline.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 48
#define EXPECT_MS 15000
#define SESSION	  "--pam-service", "execute"

static struct run dived;

static int setup(void **state)
{
	(void)state;
	dived = (struct run){ .pidfd = -1 };
	sandbox_service("execute", SANDBOX_SERVICE);
	return 0;
}

static int teardown(void **state)
{
	run_done(&dived);
	return sandbox_test_teardown(state);
}

static void start(const struct run_options *base, const char *const *words)
{
	struct run_options options = *base;
	const char *argv[WORDS_MAX] = { sandbox_dived() };

	for (size_t i = 1; *words; i++) {
		assert_in_range(i, 1, WORDS_MAX - 2);
		argv[i] = *words++;
	}
	options.argv = argv;
	run_done(&dived);
	run_start(&dived, &options);
}

static void execute(const char *const *words)
{
	start(&(struct run_options){ 0 }, words);
	run_wait(&dived);
}

static void expect(int status, const char *output)
{
	run_assert_status(&dived, status);
	assert_string_equal(dived.out, output);
}

/* --- in place --------------------------------------------------------------------- */

static void test_in_place(void **state)
{
	char pid[32];

	(void)state;
	execute(RUN_WORDS("-J", "-D", "--", "/bin/sh", "-c", "echo $$; exit 5"));
	(void)snprintf(pid, sizeof(pid), "%d\n", (int)dived.pid); /* fits */
	expect(5, pid);
	assert_string_equal(dived.err, "");
	execute(RUN_WORDS("-J", "--", "sh", "-c", "kill -TERM $$"));
	assert_int_equal(dived.signal, SIGTERM);
	/* Namespaces do without a process of dived's, too. */
	execute(RUN_WORDS("-J", "-s", "net,uts,mnt", "--", "sh", "-c", "echo $$"));
	(void)snprintf(pid, sizeof(pid), "%d\n", (int)dived.pid); /* fits */
	expect(0, pid);
}

/* Descriptors, environment, directory, umask, what is ignored: as from a shell. */
static void test_what_is_handed_on(void **state)
{
	cleanup_fd int file = MUST_INT(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	const struct run_fd fds[] = { { file, 5 }, { file, 40 }, { file, 1500 } };
	struct run_options options = {
		.envp = RUN_WORDS("PATH=/usr/bin:/bin", "X=1", "LD_LIKE=/x", "LISTEN_PID=1",
				  "NOTIFY_SOCKET=/nowhere", "DIVE_UID=7"),
		.directory = "/home/bob",
		.fds = fds,
		.fd_count = ARRAY_LEN(fds),
	};
	const char *const *const ways[] = { RUN_WORDS("-J", "--", SHOW),
					    RUN_WORDS("-J", SESSION, "--", SHOW) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		unsigned count = 0;

		start(&options, ways[i]);
		run_wait(&dived);
		run_assert_status(&dived, 0);
		show_expect(dived.out, "fd5", "/etc/passwd");
		show_expect(dived.out, "fd40", "/etc/passwd");
		show_expect(dived.out, "fd1500", "/etc/passwd");
		for (const char *at = dived.out; (at = strstr(at, "\nfd")); at++)
			count++;
		assert_int_equal(count, 6); /* and 0, 1, 2: nothing of dived's own */
		show_expect_line(dived.out, "env:X=1", true);
		show_expect_line(dived.out, "env:LD_LIKE=/x", true);
		assert_false(show_starts(dived.out, "env:LISTEN_PID"));
		assert_false(show_starts(dived.out, "env:NOTIFY_SOCKET"));
		assert_false(show_starts(dived.out, "env:DIVE_")); /* there is no client */
		show_expect(dived.out, "cwd", "/home/bob");
		show_expect(dived.out, "Umask", "0022");
		show_expect(dived.out, "session", "own");
		show_expect(dived.out, "SigBlk", "0000000000000000");
	}
}

static void test_bad_commands(void **state)
{
	static const struct {
		const char *command;
		int status;
		const char *text;
	} cases[] = {
		{ "/nonexistent", 127, "dived: /nonexistent: not found" },
		{ "no-such-program", 127, "dived: no-such-program: not found" },
		{ "/etc/passwd", 126, "dived: /etc/passwd: Permission denied" },
		{ "/etc", 126, "dived: /etc: Permission denied" },
	};
	static const char *const extra[][3] = {
		{ "-O" },	   { "--audit=auto" },	  { SESSION },
		{ SESSION, "-O" }, { "-s", "pid", "-O" }, { "-s", "net" }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(extra); i++) {
		const char *const *more = extra[i / ARRAY_LEN(cases)];
		const char *words[8] = { "-J" };
		size_t count = 1;

		for (size_t j = 0; j < 3 && more[j]; j++)
			words[count++] = more[j];
		words[count++] = "--";
		words[count] = cases[i % ARRAY_LEN(cases)].command;
		execute(words);
		expect(cases[i % ARRAY_LEN(cases)].status, "");
		if (!strstr(dived.err, cases[i % ARRAY_LEN(cases)].text))
			FAIL("%s: %s", words[count], dived.err);
	}
}

/* What is wrong with dived's own words is said before anything runs. */
static void test_bad_words(void **state)
{
	(void)state;
	gateway_expect_refusal(RUN_WORDS("-J"), "needs a command");
	gateway_expect_refusal(RUN_WORDS("-J", "-u", "nobody-here", "--", "id"), "nobody-here");
	gateway_expect_refusal(RUN_WORDS("-J", "-d", "--", "id"), "-d: excluded by -J");
	gateway_expect_refusal(RUN_WORDS("-J", "-w", "--", "id"), "-w: excluded by -J");
	gateway_expect_refusal(RUN_WORDS("-J", "-x", "not-there", "--", "id"),
			       "--pam-service not-there");
}

/* --- as whom ------------------------------------------------------------------------ */

static void test_target(void **state)
{
	(void)state;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupadd", "-f", "crew") });
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-aG", "crew", "bob") });
	execute(RUN_WORDS("-J", "-u", "bob", "--", "sh", "-c", "id -un; id -Gn"));
	expect(0, "bob\nbob crew\n");
	execute(RUN_WORDS("-J", "-u", "bob", SESSION, "--", "sh", "-c", "id -un; id -Gn"));
	expect(0, "bob\nbob crew\n");
	execute(RUN_WORDS("-J", "-u", "bob", "--", SHOW));
	show_expect(dived.out, "Uid", "2002 2002 2002 2002");
	show_expect(dived.out, "CapPrm", "0000000000000000");
	show_expect(dived.out, "regained", "0");
	/* A root shell that is no more than any user's. */
	execute(RUN_WORDS("-J", "-L", "--", SHOW));
	show_expect(dived.out, "Uid", "0 0 0 0");
	show_expect(dived.out, "CapPrm", "0000000000000000");
	show_expect(dived.out, "CapEff", "0000000000000000");
}

static void test_as_it_is(void **state)
{
	(void)state;
	execute(RUN_WORDS("-j", "--", SHOW));
	run_assert_status(&dived, 0);
	show_expect(dived.out, "session", "own"); /* the session that this test gave to dived */
	show_expect(dived.out, "Uid", "0 0 0 0");
	execute(RUN_WORDS("-J", "--", SHOW));
	start(&(struct run_options){ .account = "alice" }, RUN_WORDS("-j", "--", SHOW));
	run_wait(&dived);
	run_assert_status(&dived, 0);
	show_expect(dived.out, "Uid", "2001 2001 2001 2001");
	gateway_expect_refusal(RUN_WORDS("-j", "-u", "bob", "--", "id"), "-u bob: excluded by");
}

static void test_ordinary_user(void **state)
{
	(void)state;
	start(&(struct run_options){ .account = "alice" },
	      RUN_WORDS("-J", "-s", "user", "-tt", "--", "sh", "-c", "id -u; exit 3"));
	run_wait(&dived);
	expect(3, "0\n");
	assert_string_equal(dived.err, "");
	start(&(struct run_options){ .account = "alice" },
	      RUN_WORDS("-J", "-s", "user,pid,mnt", "-tt", "--", "sh", "-c", "echo $$; exit 4"));
	run_wait(&dived);
	expect(4, "1\n");
}

static void test_first_process(void **state)
{
	(void)state;
	execute(RUN_WORDS("-J", "-s", "pid", "--", "sh", "-c",
			  "echo $$; setsid sleep 1000 >/dev/null 2>&1 & exit 7"));
	expect(7, "1\n");
	sandbox_assert_no_children(); /* what was left in the namespace ended with it */
	execute(RUN_WORDS("-J", "-u", "bob", "-s", "pid,time", SESSION, "--", "sh", "-c",
			  "echo $$; id -un; kill -TERM $$; exit 9"));
	expect(9, "1\nbob\n"); /* the first process is spared by signals of its own */
}

/* --- with a session ------------------------------------------------------------------- */

/* Ignored, SIGCHLD would let nobody wait for the program. */
static void test_ignored_child_signal(void **state)
{
	(void)state;
	run_done(&dived);
	run_start(&dived, &(struct run_options){
				  .argv = RUN_WORDS("/bin/sh", "-c", "trap '' CHLD; exec \"$@\"",
						    "sh", sandbox_dived(), "-J", "-s", "pid", "--",
						    "/bin/sh", "-c", "exit 7") });
	run_wait(&dived);
	expect(7, "");
}

static void test_session(void **state)
{
	(void)state;
	sandbox_service("execute", PROBE_SERVICE "session required pam_limits.so\n");
	sandbox_write("/etc/security/limits.conf", 0644, "bob - nproc 777\n");
	probe_forget();
	execute(RUN_WORDS("-J", "-u", "bob", SESSION, "--", "bash", "-c", "ulimit -u; exit 7"));
	expect(7, "777\n");
	probe_assert_phases("account establish open close delete");
	probe_assert_line("open", 0, "user=bob");
	probe_forget();
	execute(RUN_WORDS("-J", "-u", "bob", SESSION, "--", "sh", "-c", "kill -KILL $$"));
	assert_int_equal(dived.signal, SIGKILL);
	probe_assert_phases("account establish open close delete");
	probe_forget();
	/* Opened is closed, also where nothing could be executed. */
	execute(RUN_WORDS("-J", "-u", "bob", SESSION, "--", "/nonexistent"));
	expect(127, "");
	probe_assert_phases("account establish open close delete");
	sandbox_write("/etc/security/limits.conf", 0644, "%s", "");
}

/* Nobody answers: whatever asks fails.  Whatever only tells is told on standard error. */
static void test_conversation(void **state)
{
	(void)state;
	sandbox_service("execute", "account required " PROBE " info=Welcome error=Beware send\n"
				   "session required " PROBE "\n");
	execute(RUN_WORDS("-J", "-u", "bob", SESSION, "--", "echo", "in"));
	expect(0, "in\n");
	assert_string_equal(dived.err, "Welcome\nBeware\n");
	sandbox_service("execute", "account required " PROBE " hidden=Code: send\n"
				   "session required " PROBE "\n");
	start(&(struct run_options){ .input = "code\n" },
	      RUN_WORDS("-J", "-u", "bob", SESSION, "--", "echo", "in"));
	run_wait(&dived);
	expect(77, "");
	assert_int_equal(strncmp(dived.err, "dived: ", 7), 0);
	sandbox_service("execute", "account required pam_deny.so\n");
	execute(RUN_WORDS("-J", "-u", "bob", SESSION, "--", "echo", "in"));
	expect(77, "");
	assert_non_null(strstr(dived.err, "account bob: "));
	probe_forget();
}

static void test_records(void **state)
{
	struct audit_stream stream;

	(void)state;
	audit_stream_open(&stream);
	start(&(struct run_options){ .login_uid = "30512" },
	      RUN_WORDS("-J", "-u", "bob", SESSION, "--audit", "require", "--", "sh", "-c",
			"cat /proc/self/loginuid; exit 3"));
	run_wait(&dived);
	expect(3, "30512");
	(void)audit_stream_expect(&stream, AUDIT_USER_CMD, "op=dive:spawn", "auid=30512 ",
				  "acct=\"bob\"", "gateway=\"-J\"", NULL);
	(void)audit_stream_expect(&stream, AUDIT_USER_END, "op=dive:exit", "auid=30512 ", "exit=3",
				  NULL);
	/* Without a session it is like any other command. */
	start(&(struct run_options){ .login_uid = "30512" },
	      RUN_WORDS("-J", "-u", "bob", "--", "true"));
	run_wait(&dived);
	run_assert_status(&dived, 0);
	audit_stream_expect_none(&stream, AUDIT_USER_CMD, "op=dive:spawn", "auid=30512 ", NULL);
	audit_stream_close(&stream);
}

/* --- signals ---------------------------------------------------------------------------- */

static void await_state(pid_t pid, char wanted)
{
	int64_t deadline = deadline_after(EXPECT_MS);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid); /* fits */
	for (;;) {
		char text[512];
		cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));

		text[MUST(read(fd, text, sizeof(text) - 1))] = '\0';
		if (strrchr(text, ')')[2] == wanted)
			return;
		if (deadline_passed(deadline))
			FAIL("not in state %c: %s", wanted, text);
		(void)poll(NULL, 0,
			   5); /* a state cannot be waited for by another than the parent */
	}
}

static void test_signals(void **state)
{
	static const int signals[] = { SIGINT,	SIGHUP,	 SIGQUIT,  SIGUSR1,
				       SIGUSR2, SIGALRM, SIGWINCH, SIGTERM };
	pid_t program;

	(void)state;
	start(&(struct run_options){ 0 },
	      RUN_WORDS("-J", "-u", "bob", SESSION, "--", SHOW, "signals", "stay"));
	program = show_pid(&dived);
	assert_int_not_equal(program, dived.pid);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		char text[32];

		run_signal(&dived, signals[i]);
		(void)snprintf(text, sizeof(text), "got %d.", signals[i]); /* fits */
		show_await(&dived, text);
	}
	/* Stopped together, and together they go on. */
	run_signal(&dived, SIGTSTP);
	await_state(program, 'T');
	await_state(dived.pid, 'T');
	run_signal(&dived, SIGCONT);
	show_await(&dived, "got 18.");
	await_state(program, 'S');
	await_state(dived.pid, 'S');
	cleanup_fd int pidfd = MUST_INT(pidfd_open(program, 0));
	MUST(pidfd_send_signal(pidfd, SIGKILL, NULL, 0));
	run_wait(&dived);
	assert_int_equal(dived.signal, SIGKILL);
}

/* --- descriptors ---------------------------------------------------------------------- */

static void test_too_many_descriptors(void **state)
{
	enum { MANY = 1030 };
	struct run_fd *fds = calloc(MANY, sizeof(*fds));
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	struct run_options options = { .fds = fds };

	(void)state;
	MUST_POINTER(fds);
	for (int i = 0; i < MANY; i++)
		fds[i] = (struct run_fd){ null, i + 3 };
	options.fd_count = 1024;
	start(&options, RUN_WORDS("-J", "--", "sh", "-c", "ls /proc/self/fd | wc -l"));
	run_wait(&dived);
	expect(0, "1028\n"); /* and 0, 1, 2, and that of ls */
	options.fd_count = MANY;
	start(&options, RUN_WORDS("-J", "--", "true"));
	run_wait(&dived);
	expect(4, "");
	assert_non_null(strstr(dived.err, "more than 1024 descriptors"));
	start(&options, RUN_WORDS("-J", "-O", "--", "sh", "-c", "echo out; echo err >&2"));
	run_wait(&dived);
	expect(0, "");
	assert_string_equal(dived.err, "");
	free(fds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_place),
		TEST(test_what_is_handed_on),
		TEST(test_bad_commands),
		TEST(test_bad_words),
		TEST(test_target),
		TEST(test_as_it_is),
		TEST(test_ordinary_user),
		TEST(test_first_process),
		TEST(test_ignored_child_signal),
		TEST(test_session),
		TEST(test_conversation),
		TEST(test_records),
		TEST(test_signals),
		TEST(test_too_many_descriptors),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
