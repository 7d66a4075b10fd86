/*
 * dived -i below programs that people use: openbsd-inetd, socat; and what becomes of
 * the program when the client goes, with nobody but the session to notice.
 */
#include "cleanup.h"
#include "deadline.h"
#include "gateway.h"
#include "inetd.h"
#include "must.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define INETD	  "/usr/sbin/inetd"
#define SOCAT	  "/usr/bin/socat"
#define CONFIG	  "/run/dive-test/inetd.conf"
#define ADDRESS	  "/run/dive-test/served.sock"
#define DIVED	  "/run/dive-test/bin/dived"
#define EXPECT_MS 15000

static struct run server;
static struct run client;
static struct inetd inetd;
static int log_fd = -1; /* of a syslog daemon */
static struct gateway served = { .address = ADDRESS };
static const struct run_options alice = { .account = "alice" };

static int setup(void **state)
{
	(void)state;
	server = client = (struct run){ .pidfd = -1 };
	inetd = (struct inetd){ .listener = -1 };
	return 0;
}

static int teardown(void **state)
{
	run_done(&client);
	run_done(&server);
	inetd_close(&inetd);
	if (log_fd >= 0)
		sandbox_syslog_close(&log_fd);
	(void)unlink(ADDRESS); /* of a server that was killed */
	return sandbox_test_teardown(state);
}

/* Starts a program and waits for its socket. */
static void start_server(const char *const *argv)
{
	int64_t deadline = deadline_after(EXPECT_MS);
	struct stat info;

	run_start(&server, &(struct run_options){ .argv = argv });
	while (stat(ADDRESS, &info) || (info.st_mode & 0666) != 0666) {
		if (deadline_poll(server.pidfd, POLLIN, deadline_after(5)) == 0)
			FAIL("%s has ended", argv[0]);
		if (deadline_passed(deadline))
			FAIL("%s does not listen", argv[0]);
	}
}

static void stop_server(void)
{
	run_signal(&server, SIGTERM);
	run_wait(&server);
	run_done(&server);
}

/* Two clients at a time, each with an account, a password and a status of its own. */
static void expect_served(void)
{
	struct run other;

	run_dive_start(&other, &(struct run_options){ .account = "carol" }, &served,
		       RUN_WORDS("-n", "id", "-un"));
	run_dive(&client,
		 &(struct run_options){ .account = "alice", .input = SANDBOX_PASSWORD_ALICE "\n" },
		 &served, RUN_WORDS("-S", "sh", "-c", "id -un; echo $DIVE_GATEWAY; exit 7"));
	run_assert_status(&client, 7);
	assert_string_equal(client.out, "bob\n" ADDRESS "\n");
	run_done(&client);
	run_wait(&other);
	run_assert_status(&other, 77);
	run_done(&other);
}

static void test_openbsd_inetd(void **state)
{
	(void)state;
	sandbox_write(CONFIG, 0644, ADDRESS " stream unix nowait root " DIVED " dived -i -u bob\n");
	start_server(RUN_WORDS(INETD, "-i", CONFIG));
	expect_served();
	expect_served();
	stop_server();
}

/* An argument with a fault reaches the client as a refusal, and nothing else does. */
static void test_openbsd_inetd_misconfigured(void **state)
{
	(void)state;
	sandbox_write(CONFIG, 0644, ADDRESS " stream unix nowait root " DIVED " dived -i -u x\n");
	start_server(RUN_WORDS(INETD, "-i", CONFIG));
	run_dive(&client, &alice, &served, RUN_WORDS("id"));
	run_assert_status(&client, 77);
	assert_non_null(strstr(client.err, "its log says why"));
	stop_server();
}

static void test_socat(void **state)
{
	(void)state;
	start_server(RUN_WORDS(SOCAT, "UNIX-LISTEN:" ADDRESS ",fork,mode=0666",
			       "EXEC:" DIVED " -i -u bob,nofork"));
	expect_served();
	stop_server();
}

/* Its own end of a pair is root's: whoever connects would be a root client. */
static void test_socat_with_a_pair(void **state)
{
	char line[1024];

	(void)state;
	log_fd = sandbox_syslog_open();
	start_server(RUN_WORDS(SOCAT, "UNIX-LISTEN:" ADDRESS ",fork,mode=0666",
			       "EXEC:" DIVED " -i --no-pam -u root"));
	run_dive(&client, &alice, &served, RUN_WORDS("sh", "-c", "id > /run/dive-test/proof"));
	sandbox_syslog_expect(log_fd, "one end of a socket pair", line, sizeof(line));
	/* 77, or 127 where socat has not carried the refusal over before it saw the end. */
	assert_true(client.status == 77 || client.status == 127);
	assert_int_equal(access("/run/dive-test/proof", F_OK), -1);
	stop_server();
}

/* --- the client goes ---------------------------------------------------------------- */

static void test_disconnect(void **state)
{
	static const struct {
		const char *mode;
		bool hup;
		bool term;
	} cases[] = { { "hup", true, false }, { "kill", true, true }, { "ignore", false, false } };

	(void)state;
	inetd_listen(&inetd);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].mode);
		run_dive_start(&client, &alice, &inetd.gateway, RUN_WORDS(SHOW, "signals", "stay"));
		inetd_serve(&inetd, &server, RUN_WORDS("--on-disconnect", cases[i].mode));
		run_expect(&client, "ready ");
		cleanup_fd int program = MUST_INT(pidfd_open(show_pid(&client), 0));
		run_signal(&client, SIGKILL);
		if (cases[i].hup)
			show_await(&client, "got 1.");
		if (cases[i].term)
			show_await(&client, "got 15.");
		else {
			MUST(pidfd_send_signal(program, SIGUSR1, NULL, 0));
			show_await(&client, "got 10.");
		}
		assert_int_equal(strstr(client.out, "got 1.") != NULL, cases[i].hup);
		assert_int_equal(strstr(client.out, "got 15.") != NULL, cases[i].term);
		MUST(pidfd_send_signal(program, SIGKILL, NULL, 0));
		run_wait(&server);
		assert_int_equal(server.signal, SIGKILL);
		run_done(&server);
		run_done(&client);
	}
}

static void test_no_wait(void **state)
{
	(void)state;
	inetd_listen(&inetd);
	run_dive_start(
		&client,
		&(struct run_options){ .account = "alice",
				       .envp = RUN_WORDS("PATH=/usr/bin:/bin", "DIVE_WAITMODE=1") },
		&inetd.gateway, RUN_WORDS(SHOW, "signals"));
	inetd_serve(&inetd, &server, RUN_WORDS("-w"));
	run_wait(&client);
	run_assert_status(&client, 0);
	cleanup_fd int program = MUST_INT(pidfd_open(show_pid(&client), 0));
	MUST(pidfd_send_signal(program, SIGTERM, NULL, 0));
	run_wait(&server);
	run_assert_status(&server, 32 + SIGTERM);
	assert_null(strstr(client.out, "got 1."));
}

/* Signals of the client come by the connection; those that an inetd sends are not for it. */
static void test_signals(void **state)
{
	(void)state;
	inetd_listen(&inetd);
	run_dive_start(&client, &alice, &inetd.gateway, RUN_WORDS(SHOW, "signals"));
	inetd_serve(&inetd, &server, RUN_WORDS(NULL));
	run_expect(&client, "ready ");
	show_await_relay(client.pid);
	run_signal(&server, SIGTERM);
	run_signal(&server, SIGHUP);
	run_signal(&client, SIGINT);
	show_await(&client, "got 2.");
	run_signal(&client, SIGQUIT);
	run_wait(&client);
	run_assert_status(&client, 32 + SIGQUIT);
	assert_null(strstr(client.out, "got 15."));
	assert_null(strstr(client.out, "got 1."));
	run_wait(&server);
	run_assert_status(&server, 32 + SIGQUIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_openbsd_inetd), TEST(test_openbsd_inetd_misconfigured),
		TEST(test_socat),	  TEST(test_socat_with_a_pair),
		TEST(test_disconnect),	  TEST(test_no_wait),
		TEST(test_signals),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
