/*
 * dived -F: a gateway for one client, whose program's end is dived's own.
 *
 * There is neither a listener nor a template: the process that was started waits,
 * becomes the session, and passes on how the program ended.
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway_scene.h"
#include "hostile.h"
#include "must.h"
#include "pty.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS	  "/run/dive-test/once.sock"
#define PIDFILE	  "/run/dive-test/once.pid"
#define EXPECT_MS 15000

static struct run client;
static struct hostile hostile;

static int setup(void **state)
{
	(void)state;
	client = (struct run){ .pidfd = -1 };
	hostile = (struct hostile){ .sock = -1, .control = -1 };
	return 0;
}

static int once_teardown(void **state)
{
	run_done(&client);
	hostile_close(&hostile);
	return teardown(state);
}

/* The gateway ends by itself: with this status, or by a signal, given as -N. */
static void expect_end(int status)
{
	run_wait(&gateway.run);
	if (status < 0)
		assert_int_equal(gateway.run.signal, -status);
	else
		run_assert_status(&gateway.run, status);
	assert_int_equal(access(ADDRESS, F_OK), -1);
	gateway_kill(&gateway);
}

static void ask(const char *account, const char *const *words)
{
	run_dive(&client, &(struct run_options){ .account = account }, &gateway, words);
}

static void test_passes_the_end_on(void **state)
{
	static const struct {
		const char *script;
		int end;
	} cases[] = {
		{ "exit 0", 0 },
		{ "exit 7", 7 },
		{ "exit 255", 255 },
		{ "kill -TERM $$", -SIGTERM },
		{ "kill -KILL $$", -SIGKILL },
		{ "kill -ABRT $$", -SIGABRT },
		{ "exec /nonexistent", 127 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].script);
		gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F"));
		ask("alice", RUN_WORDS("sh", "-c", cases[i].script));
		assert_int_equal(client.signal ? -client.signal : client.status, cases[i].end);
		run_done(&client);
		expect_end(cases[i].end);
	}
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F"));
	ask("alice", RUN_WORDS("/nonexistent"));
	run_assert_status(&client, 127);
	expect_end(127);
}

static void test_authentication(void **state)
{
	static const struct {
		const char *input;
		int status;
	} cases[] = { { SANDBOX_PASSWORD_ALICE "\n", 6 }, { "wrong\nwrong\n", 77 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-u", "bob", "--auth-tries", "2"));
		run_dive(&client,
			 &(struct run_options){ .account = "alice", .input = cases[i].input },
			 &gateway, RUN_WORDS("-S", "sh", "-c", "id -un; exit 6"));
		run_assert_status(&client, cases[i].status);
		assert_string_equal(client.out, cases[i].status == 6 ? "bob\n" : "");
		run_done(&client);
		expect_end(cases[i].status);
	}
}

/* As soon as the client is in, nobody else finds a gateway; it is still the process known. */
static void test_socket_goes(void **state)
{
	struct gateway after;
	struct run second;
	char text[32] = "";
	char expected[32];

	(void)state;
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-p", PIDFILE));
	after = gateway;
	run_dive_start(&client, &alice, &gateway, RUN_WORDS(SHOW, "signals"));
	run_expect(&client, "ready ");
	show_await_relay(client.pid);
	assert_int_equal(access(ADDRESS, F_OK), -1);
	run_dive(&second, &alice, &after, RUN_WORDS("true"));
	run_assert_status(&second, 2);
	run_done(&second);
	cleanup_fd int fd = MUST_INT(open(PIDFILE, O_RDONLY | O_CLOEXEC));
	MUST(read(fd, text, sizeof(text) - 1));
	(void)snprintf(expected, sizeof(expected), "%d\n", gateway.pid); /* fits */
	assert_string_equal(text, expected);
	assert_int_equal(family_count(FAMILY_TEMPLATE), 0);
	/* A service manager's stop lets the client finish, as a listener's sessions do. */
	for (int i = 0; i < 3; i++)
		gateway_signal(&gateway, (int[]){ SIGTERM, SIGINT, SIGHUP }[i]);
	show_await_relay(client.pid);
	run_signal(&client, SIGTERM);
	run_wait(&client);
	run_assert_status(&client, 32 + SIGTERM);
	assert_null(strstr(client.out, "got 1."));
	assert_null(strstr(client.out, "got 2."));
	expect_end(32 + SIGTERM);
	assert_int_equal(access(PIDFILE, F_OK), -1);
}

/* --- who counts ------------------------------------------------------------------- */

static void connect_and_leave(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = ADDRESS };
	cleanup_fd int fd = MUST_INT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	MUST(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
}

static void test_others_do_not_count(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "--allow", "alice,root"));
	for (int i = 0; i < 20; i++) {
		ask("bob", RUN_WORDS("true"));
		run_assert_status(&client, 77);
		assert_non_null(strstr(client.err, "may not use the gateway"));
		run_done(&client);
	}
	connect_and_leave();
	/* Whoever looks whether the gateway is alive leaves it so. */
	gateway_expect_refusal(RUN_WORDS(ADDRESS), ADDRESS);
	ask("alice", RUN_WORDS("id", "-un"));
	run_assert_status(&client, 0);
	assert_string_equal(client.out, "alice\n");
	expect_end(0);
}

/* One that stays and says nothing is a client, whose time runs out. */
static void test_mute_client(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "--request-timeout", "1"));
	hostile_connect(&hostile, ADDRESS, "alice", NULL);
	hostile_expect_refused(&hostile, MESSAGE_LAYER_REQUEST);
	expect_end(77);
}

/* --- while it waits ------------------------------------------------------------------ */

static void test_stop_while_waiting(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-p", PIDFILE));
		gateway_signal(&gateway, signals[i]);
		expect_end(0);
		assert_int_equal(access(PIDFILE, F_OK), -1);
	}
	/* Also with somebody who has connected and has not said a word. */
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F"));
	hostile_connect(&hostile, ADDRESS, "alice", NULL);
	gateway_signal(&gateway, SIGTERM);
	hostile_expect_closed(&hostile);
	expect_end(0);
}

static void test_reload(void **state)
{
	(void)state;
	sandbox_account("renumbered", 2211, NULL, "/bin/sh");
	sandbox_service("once", SANDBOX_SERVICE);
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-x", "once", "--allow", "renumbered"));
	sandbox_account("renumbered", 2212, NULL, "/bin/sh");
	ask("renumbered", RUN_WORDS("true"));
	run_assert_status(&client, 77);
	run_done(&client);
	gateway_signal(&gateway, SIGHUP);
	gateway_expect_notify(&gateway, "RELOADING=1");
	gateway_expect_notify(&gateway, "READY=1");
	/* The service needs no signal: it is read when the client comes. */
	sandbox_service("once", "account required pam_deny.so\n");
	ask("renumbered", RUN_WORDS("true"));
	run_assert_status(&client, 77);
	assert_non_null(strstr(client.err, "PAM account rules"));
	run_done(&client);
	expect_end(77);
	sandbox_service("once", SANDBOX_SERVICE);
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-x", "once"));
	sandbox_service("once", "account required pam_nowhere.so\n");
	ask("alice", RUN_WORDS("true"));
	run_assert_status(&client, 77);
	gateway_expect_log(&gateway, "authentication is not available: ");
	expect_end(77);
}

static void test_detach(void **state)
{
	char path[64];
	char text[64];
	ssize_t len;

	(void)state;
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-d"));
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/2", (int)gateway.pid); /* fits */
	len = MUST(readlink(path, text, sizeof(text) - 1));
	text[len] = '\0';
	assert_string_equal(text, "/dev/null");
	ask("alice", RUN_WORDS("sh", "-c", "exit 9"));
	run_assert_status(&client, 9);
	int status;
	MUST(waitpid(gateway.pid, &status, 0)); /* an orphan, so our child */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
	assert_int_equal(access(ADDRESS, F_OK), -1);
	gateway_kill(&gateway);
}

/* The socket is the service manager's: it stays when the gateway ends. */
static void test_passed_socket(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = ADDRESS };
	cleanup_fd int listener = MUST_INT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	const struct run_fd fds[] = { { listener, 3 } };
	struct gateway given = { .address = ADDRESS };
	struct run dived;

	(void)state;
	MUST(bind(listener, (const struct sockaddr *)&address, sizeof(address)));
	MUST(chmod(ADDRESS, 0666));
	MUST(listen(listener, 4));
	run_start(&dived, &(struct run_options){
				  .argv = RUN_WORDS("/bin/sh", "-c",
						    "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"",
						    sandbox_dived(), "--listen-fds", "-F"),
				  .fds = fds,
				  .fd_count = 1 });
	run_dive(&client, &alice, &given,
		 RUN_WORDS("sh", "-c",
			   "echo $DIVE_GATEWAY $LISTEN_FDS; ls -l /proc/self/fd; exit 4"));
	run_assert_status(&client, 4);
	assert_int_equal(strncmp(client.out, ADDRESS "\n", strlen(ADDRESS) + 1), 0);
	assert_null(strstr(client.out, "socket:"));
	run_wait(&dived);
	run_assert_status(&dived, 4);
	run_done(&dived);
	assert_int_equal(access(ADDRESS, F_OK), 0);
	MUST(unlink(ADDRESS));
}

/* --- where the program is ---------------------------------------------------------------- */

static void test_first_process(void **state)
{
	static const char *const options[][3] = {
		{ "-s", "pid" },
		{ "-s", "pid,mnt" },
		{ "-s", "pid,user,mnt", "-tt" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const char *extra = options[i][2];

		print_message("case: -s %s\n", options[i][1]);
		gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-s", options[i][1], extra));
		ask(NULL,
		    RUN_WORDS("sh", "-c", "echo $$; setsid sleep 1000 >/dev/null 2>&1 & exit 3"));
		run_assert_status(&client, 3);
		assert_string_equal(client.out, "1\n");
		run_done(&client);
		expect_end(3);
		/* What it left behind ended with it. */
		sandbox_assert_no_children();
	}
}

/* The target of dived's own terminal: a person who runs a gateway by hand. */
static void expect_no_terminal(struct pty *pty, const char *const *argv)
{
	struct gateway by_hand = { .address = ADDRESS };
	int64_t deadline = deadline_after(EXPECT_MS);

	pty_start(pty, &(struct run_options){ .argv = argv });
	while (access(ADDRESS, F_OK) < 0) {
		if (deadline_passed(deadline))
			FAIL("no gateway; the screen:\n%s", pty->screen);
		(void)poll(NULL, 0, 5); /* a name cannot be waited for */
	}
	run_dive(&client, &alice, &by_hand,
		 RUN_WORDS("sh", "-c", "(: </dev/tty) 2>/dev/null && echo mine; exit 5"));
	run_assert_status(&client, 5);
	assert_string_equal(client.out, "");
	run_done(&client);
	assert_int_equal(pty_wait(pty), 5);
	pty_done(pty);
}

/* A program that could open it could type into the shell of whoever started dived. */
static void test_terminal_is_not_passed_on(void **state)
{
	struct pty pty = { .run.pidfd = -1, .master = -1, .slave = -1 };

	(void)state;
	expect_no_terminal(&pty, RUN_WORDS(sandbox_dived(), ADDRESS, "-F", "-S", "-C", "0666"));
	/* Under job control dived leads a process group of the shell's session. */
	expect_no_terminal(&pty, RUN_WORDS("/bin/bash", "-mc", "\"$0\" \"$@\"; exit $?",
					   sandbox_dived(), ADDRESS, "-F", "-S", "-C", "0666"));
}

/* --- the client goes ------------------------------------------------------------------------ */

static void test_no_wait(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "-w"));
	run_dive(
		&client,
		&(struct run_options){ .account = "alice",
				       .envp = RUN_WORDS("PATH=/usr/bin:/bin", "DIVE_WAITMODE=1") },
		&gateway, RUN_WORDS(SHOW, "signals"));
	run_assert_status(&client, 0);
	cleanup_fd int program = MUST_INT(pidfd_open(show_pid(&client), 0));
	assert_int_equal(deadline_poll(gateway.pidfd, POLLIN, 0), -ETIMEDOUT);
	MUST(pidfd_send_signal(program, SIGTERM, NULL, 0));
	expect_end(32 + SIGTERM);
}

static void test_disconnect(void **state)
{
	static const struct {
		const char *mode;
		bool hup;
		bool term;
	} cases[] = { { "hup", true, false }, { "kill", true, true }, { "ignore", false, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].mode);
		gateway_start(&gateway, RUN_WORDS(ADDRESS, "-F", "--on-disconnect", cases[i].mode));
		run_dive_start(&client, &alice, &gateway, RUN_WORDS(SHOW, "signals", "stay"));
		run_expect(&client, "ready ");
		cleanup_fd int program = MUST_INT(pidfd_open(show_pid(&client), 0));
		run_signal(&client, SIGKILL);
		if (cases[i].hup)
			show_await(&client, "got 1.");
		if (cases[i].term)
			show_await(&client, "got 15.");
		MUST(pidfd_send_signal(program, SIGUSR1, NULL, 0));
		if (!cases[i].term) /* else SIGKILL is on its way */
			show_await(&client, "got 10.");
		assert_int_equal(strstr(client.out, "got 1.") != NULL, cases[i].hup);
		assert_int_equal(strstr(client.out, "got 15.") != NULL, cases[i].term);
		MUST(pidfd_send_signal(program, SIGKILL, NULL, 0));
		expect_end(-SIGKILL);
		run_done(&client);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, once_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_passes_the_end_on),
		TEST(test_authentication),
		TEST(test_socket_goes),
		TEST(test_others_do_not_count),
		TEST(test_mute_client),
		TEST(test_stop_while_waiting),
		TEST(test_reload),
		TEST(test_detach),
		TEST(test_passed_socket),
		TEST(test_first_process),
		TEST(test_terminal_is_not_passed_on),
		TEST(test_no_wait),
		TEST(test_disconnect),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
