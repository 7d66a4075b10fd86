/*
 * Sockets that a service manager has made: how they are served, and what dived
 * leaves alone.  The manager is this test, or systemd-socket-activate(1).
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "hostile.h"
#include "must.h"
#include "passed_scene.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACTIVATE "/usr/bin/systemd-socket-activate"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76 /* Linux 6.5 */
#endif

/* --- what is served ----------------------------------------------------------------- */

/* Mode and file are the manager's, and who came while nobody served is not lost. */
static void test_path(void **state)
{
	cleanup_fd int socket = make(PATH, 0620);
	struct stat before;
	struct stat after;
	struct run early;

	(void)state;
	MUST(chown(PATH, 0, SANDBOX_UID_BOB));
	MUST(lstat(PATH, &before));
	gateway_start_passed(&gateway, &none, &socket, 1, RUN_WORDS(NULL));
	gateway_expect_log(&gateway, "op=dive:start res=success gateway=" PATH " ");
	assert_int_equal(connect_at(PATH, "bob"), 0);
	assert_int_equal(connect_at(PATH, "alice"), 2);
	gateway_stop(&gateway);
	MUST(lstat(PATH, &after));
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode, S_IFSOCK | 0620);
	assert_int_equal(after.st_gid, SANDBOX_UID_BOB);
	run_dive_start(&early, &(struct run_options){ .account = "bob" },
		       &(struct gateway){ .address = PATH }, RUN_WORDS("echo", "served"));
	gateway_start_passed(&gateway, &none, &socket, 1, RUN_WORDS(NULL));
	run_wait(&early);
	run_assert_status(&early, 0);
	assert_string_equal(early.out, "served\n");
	run_done(&early);
	gateway_stop(&gateway);
}

/* What a client is told, and what is recorded, names the socket it came by. */
static void test_two_sockets(void **state)
{
	const char *const addresses[] = { PATH, abstract_name };
	cleanup_fd int path = make(PATH, 0666);
	cleanup_fd int abstract = make(abstract_name, 0);
	char text[256];

	(void)state;
	gateway_start_passed(&gateway, &none, (const int[]){ path, abstract }, 2,
			     RUN_WORDS("-u", "bob", "-C", "0666", "--allow", "alice"));
	(void)snprintf(text, sizeof(text), " gateway=" PATH ",%s info=", abstract_name); /* fits */
	gateway_expect_log(&gateway, text);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct gateway at = gateway;
		struct run command;

		(void)snprintf(at.address, sizeof(at.address), "%s", addresses[i]);
		run_dive(&command,
			 &(struct run_options){ .account = "alice",
						.input = SANDBOX_PASSWORD_ALICE "\n" },
			 &at, RUN_WORDS("-S", "sh", "-c", "echo $DIVE_GATEWAY"));
		run_assert_status(&command, 0);
		(void)snprintf(text, sizeof(text), "%s\n", addresses[i]); /* fits */
		assert_string_equal(command.out, text);
		(void)snprintf(text, sizeof(text), "through %s", addresses[i]); /* fits */
		assert_non_null(strstr(command.err, text));
		run_done(&command);
		assert_int_equal(connect_at(addresses[i], "carol"), 77);
	}
	for (size_t i = 0; i < 2 * ARRAY_LEN(addresses); i++) {
		const char *op = i % 2 ? "refuse res=failed" : "spawn res=success acct=bob";
		const char *at = gateway_log(&gateway);

		(void)snprintf(text, sizeof(text), " gateway=%s ", addresses[i / 2]); /* fits */
		while ((at = strstr(at, op)) && (size_t)(strstr(at, text) - at) > strcspn(at, "\n"))
			at++;
		if (!at)
			FAIL("no \"%s\" with%sin:\n%s", op, text, gateway_log(&gateway));
	}
	gateway_stop(&gateway);
}

/* What -C and -U say is applied to an abstract socket, and to it alone. */
static void test_abstract(void **state)
{
	static const struct {
		const char *options[5];
		const char *who; /* first letters of those who are served at it */
	} cases[] = {
		{ { NULL }, "" },
		{ { "-C", "0666" }, "abc" },
		{ { "-U", "alice" }, "a" },
		{ { "-C", "0660", "-U", ":bob" }, "b" },
		{ { "-C", "0606", "-U", "carol:bob" }, "ac" },
	};
	static const char *const people[] = { "alice", "bob", "carol" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_fd int path = make(PATH, 0600);
		cleanup_fd int abstract = make(abstract_name, 0);

		print_message("case: %s %s\n", cases[i].options[0] ? cases[i].options[0] : "(none)",
			      cases[i].options[1] ? cases[i].options[1] : "");
		MUST(chown(PATH, SANDBOX_UID_BOB, 0));
		gateway_start_passed(&gateway, &none, (const int[]){ path, abstract }, 2,
				     cases[i].options);
		for (size_t j = 0; j < ARRAY_LEN(people); j++) {
			assert_int_equal(connect_at(abstract_name, people[j]),
					 strchr(cases[i].who, people[j][0]) ? 0 : 77);
			assert_int_equal(connect_at(PATH, people[j]), people[j][0] == 'b' ? 0 : 2);
		}
		assert_int_equal(connect_at(abstract_name, NULL), 0);
		gateway_stop(&gateway);
	}
}

static void test_reload_keeps_sockets(void **state)
{
	cleanup_fd int path = make(PATH, 0666);
	cleanup_fd int other = make(OTHER, 0666);

	(void)state;
	gateway_start_passed(&gateway, &none, (const int[]){ path, other }, 2, RUN_WORDS(NULL));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(connect_at(PATH, "alice"), 0);
		assert_int_equal(connect_at(OTHER, "alice"), 0);
		gateway_signal(&gateway, SIGHUP);
		gateway_expect_notify(&gateway, "READY=1");
	}
	assert_int_equal(connect_at(PATH, "alice"), 0);
	assert_int_equal(connect_at(OTHER, "alice"), 0);
	gateway_stop(&gateway);
}

/* The sockets are for the process that was started, which is not the one that serves. */
static void test_detach(void **state)
{
	cleanup_fd int socket = make(PATH, 0666);

	(void)state;
	gateway_start_passed(&gateway, &none, &socket, 1, RUN_WORDS("-d"));
	assert_int_equal(connect_at(PATH, "alice"), 0);
	gateway_stop(&gateway);
	assert_int_equal(access(PATH, F_OK), 0);
}

/* A manager of a user's own, and a dived that is not root. */
static void test_unprivileged(void **state)
{
	cleanup_fd int socket = make(PATH, 0666);
	struct run command;

	(void)state;
	gateway_start_passed(&gateway, &(struct run_options){ .account = "carol" }, &socket, 1,
			     RUN_WORDS(NULL));
	run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("sh", "-c", "id -un; echo $DIVE_GATEWAY"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "carol\n" PATH "\n");
	run_done(&command);
	gateway_stop(&gateway);
}

/* A manager may have asked for the client's credentials with everything that is received. */
static void test_credentials_in_messages(void **state)
{
	static const int options[] = { SO_PASSCRED, SO_PASSPIDFD };
	cleanup_fd int socket = make(PATH, 0666);
	struct run command;
	int on = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (setsockopt(socket, SOL_SOCKET, options[i], &on, sizeof(on)))
			assert_int_equal(errno, ENOPROTOOPT); /* an older kernel */
	gateway_start_passed(&gateway, &none, &socket, 1, RUN_WORDS("-u", "bob"));
	run_dive(&command,
		 &(struct run_options){ .account = "alice", .input = SANDBOX_PASSWORD_ALICE "\n" },
		 &gateway, RUN_WORDS("-S", "id", "-un"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "bob\n");
	run_done(&command);
	gateway_stop(&gateway);
}

/* --- one socket beside another ------------------------------------------------------- */

/* Two places, a crowd at one socket, one client at the other: each socket has its turn. */
static void test_crowd(void **state)
{
	cleanup_fd int path = make(PATH, 0666);
	cleanup_fd int other = make(OTHER, 0666);
	struct hostile crowd[4];
	struct hostile bob;
	struct packet packet;

	(void)state;
	gateway_start_passed(&gateway, &none, (const int[]){ path, other }, 2,
			     RUN_WORDS("--max-sessions", "2"));
	gateway_freeze(&gateway);
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
		hostile_connect(&crowd[i], PATH, "alice", NULL);
	hostile_connect(&bob, OTHER, "bob", NULL);
	gateway_signal(&gateway, SIGCONT);
	hostile_send_burst(&bob, RUN_WORDS("/bin/true"), -1);
	hostile_expect(&bob, MESSAGE_STARTED, &packet);
	packet_done(&packet);
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
		hostile_close(&crowd[i]);
	hostile_close(&bob);
	gateway_stop(&gateway);
}

/* Whoever has made a socket can end it: that is said once, and the other goes on. */
static void test_shut_down(void **state)
{
	static const char line[] = PATH ": the socket has been shut down";
	cleanup_fd int path = make(PATH, 0666);
	cleanup_fd int other = make(OTHER, 0666);

	(void)state;
	gateway_start_passed(&gateway, &none, (const int[]){ path, other }, 2, RUN_WORDS(NULL));
	MUST(shutdown(path, SHUT_RDWR));
	gateway_expect_log(&gateway, line);
	for (int i = 0; i < 3; i++)
		assert_int_equal(connect_at(OTHER, "alice"), 0);
	assert_int_equal(connect_at(PATH, "alice"), 2);
	assert_null(strstr(strstr(gateway_log(&gateway), line) + 1, line));
	gateway_stop(&gateway);
}

/* --- what stays out ------------------------------------------------------------------ */

static void expect_without(pid_t pid, const char *socket)
{
	struct family_fds fds;

	family_list_fds(pid, &fds);
	if (strstr(fds.text, socket))
		FAIL("%d holds %s:\n%s", pid, socket, fds.text);
}

/*
 * No other process of the gateway holds a socket, no program hears of the manager,
 * and what else was left open is closed.
 */
static void test_nothing_is_passed_on(void **state)
{
	static const char *const envp[] = { "PATH=/usr/bin:/bin", "SEEN=1",
					    "LISTEN_FDNAMES=one:two", NULL };
	cleanup_fd int path = make(PATH, 0666);
	cleanup_fd int other = make(OTHER, 0666);
	struct hostile session;
	struct packet packet;
	struct run command;
	struct stat info;
	char text[64];
	int left[2];

	(void)state;
	MUST(pipe2(left, O_CLOEXEC));
	gateway_start_passed(&gateway,
			     &(struct run_options){ .envp = envp,
						    .fds = &(struct run_fd){ left[1], 9 },
						    .fd_count = 1 },
			     (const int[]){ path, other }, 2, RUN_WORDS("--environment", "server"));
	close_fd(&left[1]);
	assert_int_equal(deadline_poll(left[0], POLLIN, deadline_after(5000)), 0); /* its end */
	close_fd(&left[0]);
	MUST(fstat(path, &info));
	(void)snprintf(text, sizeof(text), "socket:[%lu]", (unsigned long)info.st_ino); /* fits */
	hostile_connect(&session, OTHER, "alice", NULL);
	hostile_send_burst(&session, RUN_WORDS("/bin/sleep", "1000"), -1);
	hostile_expect(&session, MESSAGE_STARTED, &packet);
	packet_done(&packet);
	expect_without(family_find(FAMILY_TEMPLATE), text);
	expect_without(family_find(FAMILY_SESSION), text);
	expect_without(family_find("sleep"), "socket:");
	run_dive(&command, &(struct run_options){ .account = "alice" }, &gateway, RUN_WORDS("env"));
	run_assert_status(&command, 0);
	assert_non_null(strstr(command.out, "SEEN=1\n"));
	assert_null(strstr(command.out, "LISTEN_"));
	assert_null(strstr(command.out, "NOTIFY_SOCKET"));
	run_done(&command);
	hostile_close(&session);
	gateway_stop(&gateway);
}

/* --- systemd's own activator ----------------------------------------------------------- */

static void test_systemd_socket_activate(void **state)
{
	int64_t deadline = deadline_after(10000);
	struct run command;

	(void)state;
	if (access(ACTIVATE, X_OK))
		SKIP("there is no " ACTIVATE " (package systemd)");
	run_start(&command, &(struct run_options){ .argv = RUN_WORDS(ACTIVATE, "-l", PATH, "-l",
								     abstract_name, sandbox_dived(),
								     "--listen-fds", "-C", "0660",
								     "-U", ":bob") });
	/* It waits for the first client, and then becomes dived. */
	while (connect_at(PATH, NULL) == 2)
		if (deadline_passed(deadline))
			FAIL("the activator makes no socket");
	assert_int_equal(connect_at(PATH, "alice"), 2); /* 0644 is the activator's */
	assert_int_equal(connect_at(abstract_name, "alice"), 77);
	assert_int_equal(connect_at(abstract_name, "bob"), 0);
	show_await_relay(command.pid);
	run_signal(&command, SIGTERM);
	run_wait(&command);
	run_assert_status(&command, 0);
	assert_non_null(strstr(command.err, "op=dive:stop res=success gateway=" PATH ",@dive-"));
	run_done(&command);
	assert_int_equal(access(PATH, F_OK), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_path),
		TEST(test_two_sockets),
		TEST(test_abstract),
		TEST(test_reload_keeps_sockets),
		TEST(test_detach),
		TEST(test_unprivileged),
		TEST(test_credentials_in_messages),
		TEST(test_crowd),
		TEST(test_shut_down),
		TEST(test_nothing_is_passed_on),
		TEST(test_systemd_socket_activate),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
