/*
 * What a service manager hears of a gateway, when, and that nobody depends on its
 * listening.
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "must.h"
#include "parse.h"
#include "probe.h"
#include "sandbox.h"
#include "text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS	     "/run/dive-test/notify.sock"
#define PIDFILE	     "/run/dive-test/notify.pid"
#define MANAGER	     "/run/dive-test/manager"
#define WAIT_MS	     10000
#define MESSAGE_SIZE 2048
#define WARNING	     "the service manager cannot be told (NOTIFY_SOCKET)"

static struct gateway gateway;

static int teardown(void **state)
{
	gateway_kill(&gateway);
	(void)unlink(MANAGER);
	(void)unlink(PROBE_SLOW);
	return sandbox_test_teardown(state);
}

/* Takes the next notification; false when none comes in time. */
static bool receive(int fd, int wait_ms, char buffer[MESSAGE_SIZE])
{
	ssize_t len;

	if (deadline_poll(fd, POLLIN, deadline_after(wait_ms)) < 0)
		return false;
	len = recv(fd, buffer, MESSAGE_SIZE - 1, 0);
	if (len < 0)
		FAIL("recv: %s", strerror(errno));
	buffer[len < 0 ? 0 : len] = '\0';
	return true;
}

/* Waits for the next notification, which must be this one: a text, or its beginning. */
static void expect_next(int fd, const char *text, bool whole)
{
	char buffer[MESSAGE_SIZE];

	if (!receive(fd, WAIT_MS, buffer))
		FAIL("no notification, instead of \"%s\"", text);
	if (strncmp(buffer, text, strlen(text)) != 0 || (whole && strcmp(buffer, text) != 0))
		FAIL("\"%s\", not \"%s\"", buffer, text);
}

static void expect_nothing(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

static uint64_t now_usec(void)
{
	struct timespec now;

	MUST(clock_gettime(CLOCK_MONOTONIC, &now));
	return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

/* RELOADING=1 with a time after the signal: an older one would be another reload's. */
static void expect_reloading(int fd, uint64_t signalled)
{
	static const char head[] = "RELOADING=1\nMONOTONIC_USEC=";
	char buffer[MESSAGE_SIZE];
	uint64_t said;

	if (!receive(fd, WAIT_MS, buffer))
		FAIL("no notification of a reload");
	if (strncmp(buffer, head, strlen(head)) != 0)
		FAIL("\"%s\" is no reload", buffer);
	char *number = buffer + strlen(head);
	number[strcspn(number, "\n")] = '\0';
	assert_int_equal(parse_uint(number, signalled, now_usec(), &said), 0);
}

static int connect_as(const char *account)
{
	struct run command;
	int status;

	run_dive(&command, &(struct run_options){ .account = account }, &gateway,
		 RUN_WORDS("-n", "true"));
	status = command.status;
	run_done(&command);
	return status;
}

/* A manager of this test's own. */
static int manage(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = MUST_INT(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	size_t len = strlen(name);

	assert_in_range(len, 1, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	MUST(bind(fd, (const struct sockaddr *)&address,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)));
	return fd;
}

/*
 * Starts a gateway that is to notify another address than the support code's, which
 * finds the socket listening instead, and waits until it serves.
 */
static void start_for(const char *address, const char *const *options)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "NOTIFY_SOCKET=%s", address); /* fits */
	gateway_start_with(&gateway,
			   &(struct run_options){ .envp = RUN_WORDS("PATH=/usr/bin:/bin", line) },
			   options);
	assert_int_equal(connect_as("alice"), 0);
	expect_nothing(gateway.notify);
}

/* --- what is said ------------------------------------------------------------------- */

/* By both kinds of address: each word, once, in this order. */
static void test_a_life(void **state)
{
	char abstract[48]; /* with our pid: such names are the machine's */
	const char *const names[] = { MANAGER, abstract };

	(void)state;
	(void)snprintf(abstract, sizeof(abstract), "@dive-test-%d", (int)getpid()); /* fits */
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cleanup_fd int manager = manage(names[i]);

		print_message("case: %s\n", names[i]);
		start_for(names[i], RUN_WORDS(NULL));
		expect_next(manager, "READY=1\nSTATUS=serving\n", true);
		expect_nothing(manager);
		for (int again = 0; again < 2; again++) {
			uint64_t before = now_usec();

			gateway_signal(&gateway, SIGHUP);
			expect_reloading(manager, before);
			expect_next(manager, "READY=1\nSTATUS=serving\n", true);
		}
		assert_int_equal(connect_as("alice"), 0);
		expect_nothing(manager);
		gateway_stop(&gateway);
		expect_next(manager, "STOPPING=1\n", false);
		expect_nothing(manager);
		assert_true(names[i][0] == '@' || unlink(names[i]) == 0);
	}
}

/* What has been said of reloads. */
struct reloads {
	unsigned begun;
	bool running;
};

/* Takes what comes within so many milliseconds of another. */
static void take_all(int fd, int wait_ms, struct reloads *reloads)
{
	char buffer[MESSAGE_SIZE];

	while (receive(fd, wait_ms, buffer)) {
		bool ready = strncmp(buffer, "READY=1\n", 8) == 0;

		if (ready && !reloads->running)
			FAIL("ready, without a reload before");
		reloads->begun += strncmp(buffer, "RELOADING=1\n", 12) == 0;
		reloads->running = !ready;
	}
}

/* Signals while a template loads: each reload that is begun is ended, the last one too. */
static void test_reload_upon_reload(void **state)
{
	cleanup_fd int manager = manage(MANAGER);
	struct reloads reloads = { 0 };

	(void)state;
	start_for(MANAGER, RUN_WORDS(NULL));
	expect_next(manager, "READY=1\n", false);
	for (int i = 0; i < 40; i++) {
		gateway_signal(&gateway, SIGHUP);
		take_all(manager, i % 4, &reloads); /* some find a template that loads */
	}
	take_all(manager, 1000, &reloads);
	assert_false(reloads.running);
	assert_in_range(reloads.begun, 2, 40);
	assert_int_equal(connect_as("alice"), 0);
	gateway_stop(&gateway);
}

/* A reload that fails is complete, and the status says what of it failed. */
static void test_what_failed_is_said(void **state)
{
	cleanup_fd int manager = manage(MANAGER);

	(void)state;
	sandbox_service("notify", SANDBOX_SERVICE);
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupadd", "-g", "2400", "band") });
	start_for(MANAGER, RUN_WORDS("-x", "notify", "--allow", "alice,@band"));
	expect_next(manager, "READY=1\nSTATUS=serving\n", true);
	gateway_freeze(&gateway); /* so that the change and the signal are seen together */
	sandbox_service("notify", "account required pam_nowhere.so\n");
	gateway_signal(&gateway, SIGHUP);
	gateway_signal(&gateway, SIGCONT);
	expect_next(manager, "RELOADING=1\n", false);
	expect_next(manager, "READY=1\nSTATUS=authentication is not available: ", false);
	gateway_freeze(&gateway);
	sandbox_service("notify", SANDBOX_SERVICE);
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupdel", "band") });
	gateway_signal(&gateway, SIGHUP);
	gateway_signal(&gateway, SIGCONT);
	expect_next(manager, "RELOADING=1\n", false);
	expect_next(manager,
		    "READY=1\nSTATUS=serving; the names of before stay in force: --allow @band",
		    false);
	/* Without a signal too: the service's files are watched. */
	sandbox_service("notify", "account required pam_nowhere.so\n");
	expect_next(manager, "STATUS=authentication is not available: ", false);
	gateway_stop(&gateway);
}

/* The process that was started has ended: the manager must know which one stays. */
static void test_detach(void **state)
{
	cleanup_fd int manager = manage(MANAGER);
	char text[64];

	(void)state;
	start_for(MANAGER, RUN_WORDS("-d"));
	(void)snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\n", gateway.pid); /* fits */
	expect_next(manager, text, false);
	gateway_signal(&gateway, SIGHUP);
	expect_next(manager, "RELOADING=1\n", false);
	expect_next(manager, "READY=1\n", false);
	gateway_stop(&gateway);
	expect_next(manager, "STOPPING=1\n", false);
}

/* --- while the service loads ---------------------------------------------------------- */

#define QUIET_MS 300 /* long enough for what should not happen */

static void expect_quiet(int fd)
{
	assert_int_equal(deadline_poll(fd, POLLIN, deadline_after(QUIET_MS)), -ETIMEDOUT);
}

/* Starts a gateway whose service does not load until PROBE_SLOW is gone. */
static void start_slowly(struct run *ret, const char *detach)
{
	sandbox_service("probe", PROBE_SERVICE);
	sandbox_write(PROBE_SLOW, 0600, "%s", "");
	run_start(ret,
		  &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), ADDRESS, "-C", "0666",
							   "-x", "probe", "-p", PIDFILE, detach),
					 .envp = RUN_WORDS("NOTIFY_SOCKET=" MANAGER) });
	family_await(FAMILY_TEMPLATE, 1);
}

/* Who has come by then is served, too. */
static void test_ready_when_loaded(void **state)
{
	cleanup_fd int manager = manage(MANAGER);
	struct run early;
	struct run dived;

	(void)state;
	start_slowly(&dived, NULL);
	run_dive_start(&early, &(struct run_options){ .account = "alice" },
		       &(struct gateway){ .address = ADDRESS }, RUN_WORDS("true"));
	run_signal(&dived, SIGHUP); /* nothing that is loaded could be loaded again */
	expect_quiet(manager);
	MUST(unlink(PROBE_SLOW));
	expect_next(manager, "READY=1\nSTATUS=serving\n", true);
	run_wait(&early);
	run_assert_status(&early, 0);
	run_done(&early);
	run_signal(&dived, SIGTERM);
	run_wait(&dived);
	run_assert_status(&dived, 0);
	run_done(&dived);
}

/* Of a reload too; and a second one while the first loads needs a template of its own. */
static void test_reloaded_when_loaded(void **state)
{
	cleanup_fd int manager = manage(MANAGER);
	struct run early;

	(void)state;
	sandbox_service("probe", PROBE_SERVICE);
	start_for(MANAGER, RUN_WORDS("-x", "probe"));
	expect_next(manager, "READY=1\n", false);
	sandbox_write(PROBE_SLOW, 0600, "%s", "");
	gateway_signal(&gateway, SIGHUP);
	expect_next(manager, "RELOADING=1\n", false);
	family_await(FAMILY_TEMPLATE, 2);
	gateway_signal(&gateway, SIGHUP);
	expect_next(manager, "RELOADING=1\n", false);
	run_dive_start(&early, &(struct run_options){ .account = "alice" }, &gateway,
		       RUN_WORDS("true"));
	expect_quiet(manager);
	MUST(unlink(PROBE_SLOW));
	expect_next(manager, "READY=1\nSTATUS=serving\n", true);
	run_wait(&early);
	run_assert_status(&early, 0);
	run_done(&early);
	expect_nothing(manager);
	gateway_stop(&gateway);
}

/* The process that serves, or will. */
static int open_listener(void)
{
	char text[32] = "";
	cleanup_fd int fd = MUST_INT(open(PIDFILE, O_RDONLY | O_CLOEXEC));
	pid_t pid;

	MUST(read(fd, text, sizeof(text) - 1));
	text[strcspn(text, "\n")] = '\0';
	assert_int_equal(parse_pid(text, &pid), 0);
	return MUST_INT(pidfd_open(pid, 0));
}

/* Told to stop before it serves: no success with -d, and nothing has begun that could end. */
static void test_stopped_before_it_is_ready(void **state)
{
	static const char *const detach[] = { NULL, "-d" };
	cleanup_fd int manager = manage(MANAGER);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(detach); i++) {
		struct run dived;

		start_slowly(&dived, detach[i]);
		cleanup_fd int listener = open_listener();
		MUST(pidfd_send_signal(listener, SIGTERM, NULL, 0));
		run_wait(&dived);
		run_assert_status(&dived, detach[i] ? 1 : 0);
		assert_null(strstr(dived.err, "op=dive:"));
		run_done(&dived);
		MUST(unlink(PROBE_SLOW));
		family_await(FAMILY_TEMPLATE, 0);
		expect_next(manager, "STOPPING=1\n", false);
		expect_nothing(manager);
		assert_int_equal(access(ADDRESS, F_OK) & access(PIDFILE, F_OK), -1);
	}
}

/* A gateway that does not come up never was ready. */
static void test_failed_start(void **state)
{
	cleanup_fd int manager = manage(MANAGER);
	struct run command;

	(void)state;
	run(&command,
	    &(struct run_options){ .argv = RUN_WORDS(sandbox_dived(), ADDRESS, "-x", "not-there"),
				   .envp = RUN_WORDS("NOTIFY_SOCKET=" MANAGER) });
	run_assert_status(&command, 4);
	run_done(&command);
	expect_nothing(manager);
}

/* --- whoever does not listen ------------------------------------------------------------ */

/* The whole of a life goes on as ever, and one warning is written. */
static void live_unheard(const char *name, const char *why)
{
	start_for(name, RUN_WORDS(NULL));
	for (int i = 1; i < 3; i++) {
		gateway_signal(&gateway, SIGHUP);
		while (text_count(gateway_log(&gateway), ": reloading\n") != (size_t)i)
			(void)poll(NULL, 0, 5); /* a file in memory cannot be polled */
		assert_int_equal(connect_as("alice"), 0);
	}
	assert_int_equal(text_count(gateway_log(&gateway), WARNING), 1);
	gateway_expect_log(&gateway, why);
	gateway_stop(&gateway);
}

static void test_full_manager(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = MANAGER };
	cleanup_fd int manager = manage(MANAGER);
	cleanup_fd int other =
		MUST_INT(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	(void)state;
	assert_true(manager >= 0); /* and it is never read */
	while (sendto(other, "x", 1, 0, (const struct sockaddr *)&address, sizeof(address)) == 1)
		;
	assert_int_equal(errno, EAGAIN);
	live_unheard(MANAGER, WARNING ": Resource temporarily unavailable\n");
}

static void test_dead_manager(void **state)
{
	int manager = manage(MANAGER);

	(void)state;
	close_fd(&manager);
	live_unheard(MANAGER, WARNING ": Connection refused\n");
	MUST(unlink(MANAGER));
	live_unheard(MANAGER, WARNING ": No such file or directory\n");
	live_unheard("run/manager", WARNING ": Invalid argument\n");
}

/* --- whom it does not concern ------------------------------------------------------------ */

static void test_programs_do_not_hear_of_it(void **state)
{
	static const char hook[] = "/run/dive-test/hook";
	cleanup_fd int manager = manage(MANAGER);
	struct run command;

	(void)state;
	/* Neither do the programs that PAM modules run. */
	sandbox_write(hook, 0755, "#!/bin/sh\nenv >/run/dive-test/hook.out\n");
	sandbox_service("notify", SANDBOX_SERVICE
			"session required pam_exec.so seteuid /run/dive-test/hook\n");
	start_for(MANAGER, RUN_WORDS("-x", "notify", "--environment", "server"));
	expect_next(manager, "READY=1\n", false);
	run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway, RUN_WORDS("env"));
	run_assert_status(&command, 0);
	assert_non_null(strstr(command.out, "DIVE_GATEWAY="));
	assert_null(strstr(command.out, "NOTIFY_SOCKET"));
	run_done(&command);
	run(&command, &(struct run_options){ .argv = RUN_WORDS("cat", "/run/dive-test/hook.out") });
	run_assert_status(&command, 0);
	assert_non_null(strstr(command.out, "PAM_TYPE="));
	assert_null(strstr(command.out, "NOTIFY_SOCKET"));
	run_done(&command);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_life),
		TEST(test_reload_upon_reload),
		TEST(test_what_failed_is_said),
		TEST(test_detach),
		TEST(test_ready_when_loaded),
		TEST(test_reloaded_when_loaded),
		TEST(test_stopped_before_it_is_ready),
		TEST(test_failed_start),
		TEST(test_full_manager),
		TEST(test_dead_manager),
		TEST(test_programs_do_not_hear_of_it),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
