/*
 * The support code itself: that the sandbox isolates and sees, and that its
 * checks can fail.  A check that cannot fail proves nothing in the other tests.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "deadline.h"
#include "gateway.h"
#include "hostile.h"
#include "must.h"
#include "packet.h"
#include "pty.h"
#include "run.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int machine_root = -1; /* "/" as it was before the sandbox */

static int setup(void **state)
{
	machine_root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	return sandbox_group_setup(state);
}

static int teardown(void **state)
{
	close_fd(&machine_root);
	return sandbox_group_teardown(state);
}

/* Returns whether the machine's own file of this name (no leading slash) holds the text. */
static bool machine_has(const char *path, const char *text)
{
	static char content[1 << 20];
	cleanup_fd int fd = openat(machine_root, path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : MUST(read(fd, content, sizeof(content) - 1));

	content[len] = '\0';
	return strstr(content, text) != NULL;
}

static void test_sandbox_is_private(void **state)
{
	static const char *const made[] = { "etc/pam.d/dive-test-probe", "home/alice",
					    "run/dive-test", "dev/log" };
	int log = sandbox_syslog_open();

	(void)state;
	sandbox_service("dive-test-probe", SANDBOX_SERVICE);
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		char inside[64];

		(void)snprintf(inside, sizeof(inside), "/%s", made[i]); /* fits */
		print_message("case: %s\n", made[i]);
		assert_int_equal(access(inside, F_OK), 0);
		assert_int_equal(faccessat(machine_root, made[i], F_OK, 0), -1);
	}
	assert_false(machine_has("etc/passwd", "dive-test-extra"));
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("useradd", "-m", "dive-test-extra") });
	assert_non_null(getpwnam("dive-test-extra"));
	assert_false(machine_has("etc/passwd", "dive-test-extra"));
	assert_int_equal(faccessat(machine_root, "var/mail/dive-test-extra", F_OK, 0), -1);
	sandbox_syslog_close(&log);
}

static void test_sandbox_copies_etc(void **state)
{
	static const char *const paths[] = { "etc/shadow", "etc/passwd", "etc/pam.d/su",
					     "etc/security/limits.conf", "etc/alternatives" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		char inside[64];
		struct stat copy;
		struct stat original;

		(void)snprintf(inside, sizeof(inside), "/%s", paths[i]); /* fits */
		print_message("case: %s\n", paths[i]);
		MUST(lstat(inside, &copy));
		MUST(fstatat(machine_root, paths[i], &original, AT_SYMLINK_NOFOLLOW));
		assert_int_equal(copy.st_mode, original.st_mode);
		assert_int_equal(copy.st_uid, original.st_uid);
		assert_int_equal(copy.st_gid, original.st_gid);
		assert_int_not_equal(copy.st_dev, original.st_dev);
	}
}

/* The accounts work with the real pam_unix: su from bob to alice asks for her password. */
static void test_accounts_have_passwords(void **state)
{
	struct run command;

	(void)state;
	run(&command, &(struct run_options){ .account = "bob",
					     .argv = RUN_WORDS("su", "alice", "-c", "id -un"),
					     .input = SANDBOX_PASSWORD_ALICE "\n" });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "alice\n");
	run_done(&command);
	run(&command, &(struct run_options){ .account = "bob",
					     .argv = RUN_WORDS("su", "alice", "-c", "id -un"),
					     .input = "wrong\n" });
	run_assert_status(&command, 1);
	run_done(&command);
}

static void test_run_gives_what_is_asked_for(void **state)
{
	struct run command;
	int ends[2];
	char text[16] = "";

	(void)state;
	MUST(pipe2(ends, O_CLOEXEC));
	run(&command,
	    &(struct run_options){
		    .account = "carol",
		    .login_uid = "2003",
		    .argv = RUN_WORDS("sh", "-c",
				      "id -u; id -G; cat /proc/self/loginuid; echo; pwd; cat; "
				      "echo seven >&7; ls /proc/self/fd | wc -l; echo err >&2; "
				      "exit 3"),
		    .directory = "/home/carol",
		    .input = "from the input\n",
		    .fds = &(struct run_fd){ ends[1], 7 },
		    .fd_count = 1 });
	run_assert_status(&command, 3);
	/* 0, 1, 2, 7 and the one ls(1) opens */
	assert_string_equal(command.out, "2003\n2003\n2003\n/home/carol\nfrom the input\n5\n");
	assert_string_equal(command.err, "err\n");
	assert_int_equal(MUST(read(ends[0], text, sizeof(text) - 1)), 6);
	assert_string_equal(text, "seven\n");
	run_done(&command);
	close_fd(&ends[0]);
	close_fd(&ends[1]);
}

static void test_run_reports_signals(void **state)
{
	struct run command;

	(void)state;
	run_start(&command, &(struct run_options){
				    .argv = RUN_WORDS("sh", "-c", "echo here; exec sleep 60") });
	run_expect(&command, "here");
	run_signal(&command, SIGTERM);
	run_wait(&command);
	assert_int_equal(command.signal, SIGTERM);
	assert_int_equal(command.status, -1);
	run_done(&command);
}

/* Runs `body` as a test of its own, in a child; returns whether it failed. */
static bool fails(void (*body)(void **))
{
	int status;
	pid_t pid = MUST_INT(fork());

	if (pid == 0) {
		const struct CMUnitTest tests[] = { { "expected to fail", body, NULL, NULL,
						      NULL } };
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		/* Its lines must not be counted with those of this program. */
		if (null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
		    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) /* fork(2) clears it */
			_exit(99);
		_exit(cmocka_run_group_tests(tests, NULL, NULL) == 1 ? 1 : 0);
	}
	MUST(waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 1;
}

static void leave_child(void **state)
{
	struct run command;

	(void)state;
	run_start(&command, &(struct run_options){ .argv = RUN_WORDS("sleep", "60") });
	sandbox_assert_no_children_within(100);
}

/* A grandchild in a session of its own, with another identity, whose parent has ended. */
static void leave_orphan(void **state)
{
	struct run command;

	(void)state;
	run(&command, &(struct run_options){
			      .account = "alice",
			      .argv = RUN_WORDS("sh", "-c", "setsid -f sh -c 'sleep 60; :'") });
	run_assert_status(&command, 0);
	sandbox_assert_no_children_within(100);
}

static void leave_nothing(void **state)
{
	struct run command;

	(void)state;
	run(&command, &(struct run_options){ .argv = RUN_WORDS("sh", "-c", "sleep 0.2 & :") });
	sandbox_assert_no_children();
}

static void test_child_check_can_fail(void **state)
{
	(void)state;
	assert_true(fails(leave_child));
	assert_true(fails(leave_orphan));
	assert_false(fails(leave_nothing));
	sandbox_assert_no_children_within(0); /* the failing checks have cleaned up */
}

static void test_children_are_named(void **state)
{
	struct run command;
	char text[4096];

	(void)state;
	run_start(&command,
		  &(struct run_options){ .argv = RUN_WORDS("sh", "-c", "echo up; sleep 61.5; :") });
	run_expect(&command, "up");
	assert_in_range(sandbox_list_children(text, sizeof(text)), 1, 2);
	assert_non_null(strstr(text, "sleep 61.5"));
	sandbox_kill_children();
	command.ended = true; /* reaped there */
	run_done(&command);
	sandbox_assert_no_children_within(0);
}

static void expire(void **state)
{
	struct run command;

	(void)state;
	run(&command,
	    &(struct run_options){ .argv = RUN_WORDS("sleep", "60"), .deadline_ms = 100 });
}

static void test_run_deadline_fails(void **state)
{
	(void)state;
	assert_true(fails(expire));
	sandbox_assert_no_children_within(0);
}

static void test_pty_is_a_terminal(void **state)
{
	struct pty pty;
	struct termios modes;

	(void)state;
	pty_start(&pty,
		  &(struct run_options){ .account = "alice",
					 .argv = RUN_WORDS("bash", "--norc", "-i"),
					 .envp = RUN_WORDS("PS1=ready> ", "PATH=/usr/bin:/bin") });
	pty_expect(&pty, "ready> ");
	pty_send(&pty, "tty; stat -c %U:%a $(tty); stty size; echo $((6*7))\n");
	pty_expect(&pty, "/dev/pts/0");
	pty_expect(&pty, "alice:620");
	pty_expect(&pty, "24 80");
	pty_expect(&pty, "42");
	pty_expect(&pty, "ready> "); /* before that readline sets the size it has read */
	pty_resize(&pty, 50, 132);
	pty_send(&pty, "stty size\n");
	pty_expect(&pty, "50 132");
	/* Job control: the terminal is the shell's controlling one. */
	pty_send(&pty, "sh -c 'echo cat is $((1+1)); exec cat'\n");
	pty_expect(&pty, "cat is 2");
	pty_send(&pty, "abc\n");
	pty_expect(&pty, "abc\r\nabc\r\n"); /* the echo, and cat's copy */
	pty_send(&pty, "\x1a");
	pty_expect(&pty, "Stopped");
	pty_send(&pty, "sh -c 'stty -echo; echo is off; exec cat'\n");
	pty_expect(&pty, "is off\r\n");
	pty_expect_lflag(&pty, ECHO, false);
	modes = pty_termios(&pty);
	assert_int_equal(modes.c_lflag & ECHO, 0);
	assert_int_not_equal(pty_foreground(&pty), pty.run.pid);
	pty_send(&pty, "\x03");
	pty_expect(&pty, "ready> ");
	pty_assert_absent(&pty, "no such text");
	pty_send(&pty, "fg\n");
	pty_expect(&pty, "exec cat'\r\n"); /* what fg brings back */
	pty_send(&pty, "def\n");
	pty_expect(&pty, "def\r\ndef\r\n"); /* cat reads: it is in the foreground by now */
	pty_send(&pty, "\x03");
	pty_expect(&pty, "ready> ");
	pty_send(&pty, "exit 9\n");
	assert_int_equal(pty_wait(&pty), 9);
	pty_done(&pty);
}

static void expect_in_vain(void **state)
{
	struct pty pty;

	(void)state;
	pty_start(&pty, &(struct run_options){ .argv = RUN_WORDS("echo", "one") });
	pty_expect(&pty, "two");
}

static void test_pty_expect_can_fail(void **state)
{
	(void)state;
	assert_true(fails(expect_in_vain));
}

static void test_audit_stream_sees_records(void **state)
{
	struct audit_stream stream;
	char buffer[128];
	const char *text;
	int fd;

	(void)state;
	audit_stream_open(&stream);
	fd = MUST_INT(audit_open());
	assert_true(audit_log_user_message(fd, AUDIT_USER_CMD,
					   "op=dive-test-probe plain=77 enc=616C6963652073 q=\"x\"",
					   NULL, NULL, NULL, 1) > 0);
	text = audit_stream_expect(&stream, AUDIT_USER_CMD, "op=dive-test-probe", "res=success",
				   NULL);
	assert_string_equal(audit_field(text, "plain", buffer, sizeof(buffer)), "77");
	assert_string_equal(audit_field_decoded(text, "enc", buffer, sizeof(buffer)), "alice s");
	assert_string_equal(audit_field_decoded(text, "q", buffer, sizeof(buffer)), "x");
	assert_string_equal(audit_field(text, "res", buffer, sizeof(buffer)), "success");
	assert_false(audit_has_field(text, "nonesuch"));
	/* It has been taken, so there is none left. */
	audit_stream_expect_none(&stream, AUDIT_USER_CMD, "op=dive-test-probe", NULL);
	close_fd(&fd);
	audit_stream_close(&stream);
}

static void find_unwanted(void **state)
{
	struct audit_stream stream;
	int fd;

	(void)state;
	audit_stream_open(&stream);
	fd = MUST_INT(audit_open());
	(void)audit_log_user_message(fd, AUDIT_USER_CMD, "op=dive-test-unwanted", NULL, NULL, NULL,
				     1);
	audit_stream_expect_none(&stream, AUDIT_USER_CMD, "op=dive-test-unwanted", NULL);
}

/* As after a test that has failed: the stream was never closed. */
static void test_audit_stream_opens_again(void **state)
{
	struct audit_stream lost;
	struct audit_stream stream;

	(void)state;
	audit_stream_open(&lost);
	audit_stream_open(&stream);
	audit_stream_forget(&stream);
	audit_stream_close(&stream);
	free(lost.records);
	close_fd(&lost.fd);
}

/* The child dies with the stream open: its guardian restores and unlocks. */
static void test_audit_expect_none_can_fail(void **state)
{
	struct audit_stream stream;
	int fd = MUST_INT(audit_open());
	int before = audit_is_enabled(fd);

	(void)state;
	assert_true(fails(find_unwanted));
	audit_stream_open(&stream); /* waits until the guardian has gone */
	audit_stream_close(&stream);
	assert_int_equal(audit_is_enabled(fd), before);
	close_fd(&fd);
	sandbox_assert_no_children_within(0);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = MUST_INT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	assert_in_range(strlen(path), 1, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	MUST(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	MUST(chmod(path, 0666));
	MUST(listen(fd, 8));
	return fd;
}

static void test_hostile_is_the_account(void **state)
{
	static const char path[] = "/run/dive-test/hostile.sock";
	cleanup_fd int listener = listen_at(path);
	cleanup_fd int peer = -1;
	struct ucred who;
	socklen_t len = sizeof(who);
	struct hostile hostile;
	struct packet packet;

	(void)state;
	hostile_connect(&hostile, path, "alice", "2001");
	peer = MUST_INT(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	MUST(getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &len));
	assert_int_equal(who.uid, SANDBOX_UID_ALICE);
	assert_int_equal(who.pid, hostile.pid);
	hostile_send_burst(&hostile, RUN_WORDS("/bin/true"), -1);
	hostile_orphan(&hostile);
	assert_int_equal(packet_recv(peer, DEADLINE_NONE, NULL, NULL, &packet), 0);
	assert_int_equal(packet.head.type, MESSAGE_HELLO);
	packet_done(&packet);
	assert_int_equal(packet_recv(peer, DEADLINE_NONE, NULL, NULL, &packet), 0);
	assert_int_equal(packet.head.type, MESSAGE_FDS);
	assert_int_equal(packet.head.fd_count, 3);
	packet_done(&packet);
	close_fd(&peer);
	hostile_expect_closed(&hostile);
	assert_int_equal(hostile_send_raw(&hostile, "x", 1), -EPIPE);
	hostile_close(&hostile);
}

/* The last close blocks: in a child, whose end is waited for with a short deadline. */
static void test_lingering_socket_lingers(void **state)
{
	struct hostile_linger linger;
	int64_t before;
	pid_t pid;

	(void)state;
	hostile_linger_open(&linger);
	pid = MUST_INT(fork());
	if (pid == 0) {
		(void)poll(NULL, 0, 100); /* the parent closes its own first */
		(void)close(linger.sender);
		_exit(0);
	}
	close_fd(&linger.sender);
	before = time(NULL);
	MUST(waitpid(pid, NULL, 0));
	assert_in_range(time(NULL) - before, 4, 9);
	hostile_linger_close(&linger);
}

static void test_syslog_is_caught(void **state)
{
	char line[256];
	int fd = sandbox_syslog_open();

	(void)state;
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("logger", "-p", "authpriv.info", "dive-test line") });
	sandbox_syslog_expect(fd, "dive-test line", line, sizeof(line));
	assert_non_null(strstr(line, "<86>")); /* authpriv (10) * 8 + info (6) */
	sandbox_syslog_close(&fd);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sandbox_is_private),	       TEST(test_sandbox_copies_etc),
		TEST(test_accounts_have_passwords),    TEST(test_run_gives_what_is_asked_for),
		TEST(test_run_reports_signals),	       TEST(test_child_check_can_fail),
		TEST(test_children_are_named),	       TEST(test_run_deadline_fails),
		TEST(test_pty_is_a_terminal),	       TEST(test_pty_expect_can_fail),
		TEST(test_audit_stream_sees_records),  TEST(test_audit_stream_opens_again),
		TEST(test_audit_expect_none_can_fail), TEST(test_hostile_is_the_account),
		TEST(test_lingering_socket_lingers),   TEST(test_syslog_is_caught),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
