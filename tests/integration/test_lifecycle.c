/*
 * A gateway's life: going to the background, its pid files, reload, stop.
 *
 * Whatever happens to the gateway, a session that runs is not touched: its
 * program goes on, its dive gets the status, and its end is recorded.  The
 * program here waits for a FIFO, so that its end comes when the test says so.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "hostile.h"
#include "must.h"
#include "pty.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS "/run/dive-test/life.sock"
#define HOLD	"/run/dive-test/hold"
#define WAIT_MS 10000

/* A program of alice's that ends with status 7 when it is let go. */
#define HELD_LOGIN_UID "30418" /* in nobody else's records: the stream is the machine's */

struct held {
	struct run dive;
	int fifo;
};

static void start_held(const struct gateway *gateway, struct held *ret)
{
	int64_t deadline = deadline_after(WAIT_MS);

	MUST(mkfifo(HOLD, 0666));
	run_dive_start(&ret->dive,
		       &(struct run_options){ .account = "alice", .login_uid = HELD_LOGIN_UID },
		       gateway, RUN_WORDS("sh", "-c", "read line <" HOLD "; exit 7"));
	while ((ret->fifo = open(HOLD, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		assert_int_equal(errno, ENXIO);
		if (deadline_passed(deadline))
			FAIL("the program does not start");
		(void)poll(NULL, 0, 5); /* a FIFO without a reader cannot be waited for */
	}
	MUST(unlink(HOLD));
}

static void finish_held(struct held *held)
{
	close_fd(&held->fifo);
	run_wait(&held->dive);
	run_assert_status(&held->dive, 7);
	run_done(&held->dive);
}

static int connect_as(const struct gateway *gateway, const char *account)
{
	struct run command;
	int status;

	run_dive(&command, &(struct run_options){ .account = account }, gateway,
		 RUN_WORDS("-n", "true"));
	status = command.status;
	run_done(&command);
	return status;
}

/* Waits until an account is served, or refused, as it should be after a reload. */
static void await_status(const struct gateway *gateway, const char *account, int status)
{
	int64_t deadline = deadline_after(WAIT_MS);

	while (connect_as(gateway, account) != status)
		if (deadline_passed(deadline))
			FAIL("%s does not get status %d", account, status);
}

/* What an administrator sends to the gateway is not for its sessions. */
static void signal_session(int number)
{
	cleanup_fd int session = family_open(FAMILY_SESSION);

	MUST(pidfd_send_signal(session, number, NULL, 0));
}

/* --- stopping ------------------------------------------------------------------- */

static void test_stop_lets_sessions_finish(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct audit_stream stream;
		struct gateway gateway;
		struct gateway after;
		struct held held;

		print_message("case: %s\n", strsignal(signals[i]));
		audit_stream_open(&stream);
		gateway_start(&gateway, RUN_WORDS(ADDRESS));
		start_held(&gateway, &held);
		after = gateway;
		gateway_signal(&gateway, signals[i]);
		/* gateway_stop() would send SIGTERM */
		assert_int_equal(deadline_poll(gateway.pidfd, POLLIN, deadline_after(WAIT_MS)), 0);
		gateway_stop(&gateway);	    /* with status 0 */
		signal_session(signals[i]); /* as one that goes to all of a service's processes */
		family_await(FAMILY_TEMPLATE, 0);
		assert_int_equal(access(ADDRESS, F_OK), -1);
		assert_int_equal(connect_as(&after, "bob"), 2);
		audit_stream_expect_none(&stream, AUDIT_USER_END, "op=dive:exit", ADDRESS, NULL);
		finish_held(&held);
		(void)audit_stream_expect(&stream, AUDIT_USER_END, "op=PAM:session_close",
					  "auid=" HELD_LOGIN_UID " ", "res=success", NULL);
		(void)audit_stream_expect(&stream, AUDIT_USER_END, "op=dive:exit", ADDRESS,
					  "exit=7", NULL);
		family_await(FAMILY_SESSION, 0);
		audit_stream_close(&stream);
	}
}

/* A client that is being asked is a session; one that nobody has looked at is refused. */
static void test_stop_during_authentication(void **state)
{
	struct gateway gateway;
	struct hostile asked;
	struct hostile waiting;
	struct packet packet;

	(void)state;
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-u", "bob"));
	hostile_connect(&asked, ADDRESS, "alice", NULL);
	hostile_send_burst(&asked, RUN_WORDS("/bin/true"), -1);
	hostile_expect(&asked, MESSAGE_PROMPT, &packet);
	packet_done(&packet);
	gateway_freeze(&gateway);
	hostile_connect(&waiting, ADDRESS, "carol", NULL);
	gateway_signal(&gateway, SIGTERM);
	gateway_signal(&gateway, SIGCONT);
	gateway_stop(&gateway);
	hostile_expect_closed(&waiting);
	hostile_send_answer(&asked, SANDBOX_PASSWORD_ALICE);
	hostile_expect(&asked, MESSAGE_STARTED, &packet);
	packet_done(&packet);
	hostile_expect(&asked, MESSAGE_EXITED, &packet);
	packet_done(&packet);
	hostile_close(&asked);
	hostile_close(&waiting);
}

/* ^C and a hangup are for whoever holds the terminal, which no session does. */
static void test_terminal_of_the_gateway(void **state)
{
	struct gateway gateway = { .address = ADDRESS };
	struct held held;
	struct pty pty;

	(void)state;
	pty_start(&pty, &(struct run_options){
				.argv = RUN_WORDS(sandbox_dived(), ADDRESS, "-C", "0666") });
	pty_expect(&pty, "op=dive:start");
	start_held(&gateway, &held);
	pty_send(&pty, "\x03");
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	family_await(FAMILY_TEMPLATE, 0);
	finish_held(&held);
}

/* --- reload ---------------------------------------------------------------------- */

static void reload(struct gateway *gateway, const char *text)
{
	gateway_signal(gateway, SIGHUP);
	gateway_expect_log(gateway, text);
}

/* A name's number changes: of an account, and of a group that carol is in. */
static void test_reload_resolves_names(void **state)
{
	struct gateway gateway;
	struct held held;

	(void)state;
	sandbox_account("renumbered", 2201, NULL, "/bin/sh");
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupadd", "-g", "2300", "team") });
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "--allow", "alice,renumbered,@team"));
	start_held(&gateway, &held);
	assert_int_equal(connect_as(&gateway, "renumbered"), 0);
	assert_int_equal(connect_as(&gateway, "carol"), 77);
	/* To be added to a group needs no reload: the kernel knows the client's groups. */
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-aG", "team", "carol") });
	assert_int_equal(connect_as(&gateway, "carol"), 0);
	sandbox_account("renumbered", 2202, NULL, "/bin/sh");
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupmod", "-g", "2301", "team") });
	assert_int_equal(connect_as(&gateway, "renumbered"), 77);
	assert_int_equal(connect_as(&gateway, "carol"), 77);
	reload(&gateway, "reloading");
	assert_int_equal(connect_as(&gateway, "renumbered"), 0);
	assert_int_equal(connect_as(&gateway, "carol"), 0);
	/* A name that is gone: nobody is admitted, or shut out, by half a list. */
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupdel", "team") });
	reload(&gateway, "--allow @team: there is no such group; the names of before stay");
	assert_int_equal(connect_as(&gateway, "renumbered"), 0);
	assert_int_equal(connect_as(&gateway, "alice"), 0);
	finish_held(&held);
	gateway_stop(&gateway);
}

/* The service is another for the next client, and the same for one that runs. */
static void test_reload_reads_the_service(void **state)
{
	struct gateway gateway;
	struct stat before;
	struct stat after;
	struct held held;

	(void)state;
	sandbox_service("life", SANDBOX_SERVICE);
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-x", "life"));
	MUST(lstat(ADDRESS, &before));
	start_held(&gateway, &held);
	sandbox_service("life", "auth required pam_deny.so\naccount required pam_deny.so\n");
	reload(&gateway, "reloading");
	await_status(&gateway, "bob", 77);
	sandbox_service("life", SANDBOX_SERVICE);
	reload(&gateway, "reloading");
	await_status(&gateway, "bob", 0);
	MUST(lstat(ADDRESS, &after));
	assert_int_equal(after.st_ino, before.st_ino); /* the socket is the same */
	family_await(FAMILY_TEMPLATE, 1);	       /* the others have ended */
	finish_held(&held);
	gateway_stop(&gateway);
}

/* A service that does not load shuts the gateway until it does; it does not end it. */
static void test_reload_of_a_broken_service(void **state)
{
	struct gateway gateway;

	(void)state;
	sandbox_service("life", SANDBOX_SERVICE);
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-x", "life"));
	assert_int_equal(connect_as(&gateway, "bob"), 0);
	sandbox_service("life", "account required pam_nowhere.so\n");
	reload(&gateway, "authentication is not available");
	assert_int_equal(connect_as(&gateway, "bob"), 77);
	assert_int_equal(connect_as(&gateway, NULL), 77); /* not even root: there is no PAM */
	sandbox_service("life", SANDBOX_SERVICE);
	reload(&gateway, "authentication is available again");
	assert_int_equal(connect_as(&gateway, "bob"), 0);
	gateway_stop(&gateway);
}

/* --- -d and -p ---------------------------------------------------------------------- */

static pid_t read_pid(const char *path)
{
	char text[32] = "";
	char expected[32];
	cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
	pid_t pid;

	MUST(read(fd, text, sizeof(text) - 1));
	pid = family_find("dived");
	(void)snprintf(expected, sizeof(expected), "%d\n", pid); /* fits */
	assert_string_equal(text, expected);
	return pid;
}

static void expect_link(pid_t pid, const char *name, const char *target)
{
	char path[64];
	char text[256];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name); /* fits */
	len = MUST(readlink(path, text, sizeof(text) - 1));
	text[len] = '\0';
	assert_string_equal(text, target);
}

/*
 * The process that was started ends when the other one serves: the very next
 * connection succeeds.  Without -C the socket is root's alone.
 */
static void test_detach(void **state)
{
	struct gateway gateway = { .address = ADDRESS };
	struct run command;
	struct stat info;
	pid_t pid;

	(void)state;
	run(&command, &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), ADDRESS, "-d", "-D",
							       "-H", "-p", "/run/dive-test/one",
							       "-p", "/run/dive-test/two"),
					     .directory = "/home/carol" });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "");
	run_done(&command);
	MUST(lstat(ADDRESS, &info));
	assert_int_equal(info.st_mode, S_IFSOCK | 0600);
	assert_int_equal(info.st_uid, 0);
	assert_int_equal(connect_as(&gateway, "alice"), 2);
	run_dive(&command, &(struct run_options){ 0 }, &gateway, RUN_WORDS("pwd"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "/home/carol\n");
	run_done(&command);
	pid = read_pid("/run/dive-test/one");
	assert_int_equal(read_pid("/run/dive-test/two"), pid);
	expect_link(pid, "cwd", "/home/carol");
	expect_link(pid, "fd/0", "/dev/null");
	expect_link(pid, "fd/1", "/dev/null");
	expect_link(pid, "fd/2", "/dev/null");
	assert_int_equal(getsid(pid), pid);
	MUST(kill(pid, SIGTERM)); /* an orphan, so our child, and not reaped */
	MUST(waitpid(pid, NULL, 0));
	assert_int_equal(access("/run/dive-test/one", F_OK), -1);
	assert_int_equal(access("/run/dive-test/two", F_OK), -1);
	assert_int_equal(access(ADDRESS, F_OK), -1);
}

static void test_detach_reports_errors(void **state)
{
	(void)state;
	sandbox_write("/run/dive-test/file", 0644, "in the way\n");
	gateway_expect_refusal(RUN_WORDS("/run/dive-test/file", "-d"), "not a socket");
	gateway_expect_refusal(RUN_WORDS(ADDRESS, "-d", "-x", "not-there"), "not-there");
	gateway_expect_refusal(RUN_WORDS(ADDRESS, "-d", "-u", "nobody-here"), "nobody-here");
	MUST(unlink("/run/dive-test/file"));
	assert_int_equal(access(ADDRESS, F_OK), -1);
}

/* An old, longer content goes; a link is not followed; another's file stays. */
static void test_pidfiles(void **state)
{
	static const char file[] = "/run/dive-test/pid";
	struct gateway gateway;
	struct stat info;

	(void)state;
	MUST(symlink("/run/dive-test/victim", file));
	gateway_expect_refusal(RUN_WORDS(ADDRESS, "-p", file), "--pidfile /run/dive-test/pid: ");
	assert_int_equal(access("/run/dive-test/victim", F_OK), -1);
	MUST(unlink(file));
	/* What was written before the one that fails does not stay. */
	gateway_expect_refusal(RUN_WORDS(ADDRESS, "-p", file, "-p", "/nonexistent/pid"),
			       "--pidfile /nonexistent/pid: ");
	assert_int_equal(access(file, F_OK), -1);
	sandbox_write(file, 0600, "123456789012345\nand more\n");
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-p", file));
	assert_int_equal(read_pid(file), gateway.pid);
	MUST(stat(file, &info));
	assert_int_equal(info.st_mode, S_IFREG | 0644);
	assert_int_equal(connect_as(&gateway, "bob"), 0); /* it is ready now */
	gateway_stop(&gateway);
	assert_int_equal(access(file, F_OK), -1);
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-p", file));
	assert_int_equal(connect_as(&gateway, "bob"), 0);
	sandbox_write(file, 0644, "%d\n", gateway.pid ^ 1); /* as long */
	gateway_stop(&gateway);
	assert_int_equal(access(file, F_OK), 0);
	MUST(unlink(file));
}

/* A control group's file takes the process in, and stays as it is. */
static void test_pidfile_of_a_cgroup(void **state)
{
	static const char *const hierarchies[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified",
						   "/sys/fs/cgroup/pids" };
	bool tried = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		char directory[64], procs[96], group[64], text[1024] = "";
		struct gateway gateway;

		(void)snprintf(directory, sizeof(directory), "%s/dive-test-%d", hierarchies[i],
			       (int)getpid()); /* fits, as do the others */
		(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", directory);
		(void)snprintf(group, sizeof(group), ":/dive-test-%d\n", (int)getpid());
		if (mkdir(directory, 0755))
			continue; /* this machine has it elsewhere */
		if (access(procs, F_OK)) {
			MUST(rmdir(directory)); /* no control groups here: a directory as any */
			continue;
		}
		tried = true;
		print_message("case: %s\n", hierarchies[i]);
		MUST(chmod(procs, 0600)); /* not ours to change */
		gateway_start(&gateway, RUN_WORDS(ADDRESS, "-p", procs));
		/* The session that runs this is in it as well. */
		struct run command;
		run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway,
			 RUN_WORDS("cat", "/proc/self/cgroup"));
		run_assert_status(&command, 0);
		(void)snprintf(text, sizeof(text), "%s", command.out);
		run_done(&command);
		gateway_stop(&gateway);
		family_await(FAMILY_SESSION, 0);
		family_await(FAMILY_TEMPLATE, 0);
		struct stat info;
		MUST(stat(procs, &info));
		assert_int_equal(info.st_mode, S_IFREG | 0600);
		sandbox_assert_no_children(); /* or it could not be removed */
		MUST(rmdir(directory));
		if (!strstr(text, group))
			FAIL("\"%s\" is not in:\n%s", group, text);
	}
	if (!tried)
		SKIP("no cgroup hierarchy is mounted");
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stop_lets_sessions_finish),
		TEST(test_stop_during_authentication),
		TEST(test_terminal_of_the_gateway),
		TEST(test_reload_resolves_names),
		TEST(test_reload_reads_the_service),
		TEST(test_reload_of_a_broken_service),
		TEST(test_detach),
		TEST(test_detach_reports_errors),
		TEST(test_pidfiles),
		TEST(test_pidfile_of_a_cgroup),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
