/*
 * dived -i: one client, accepted by somebody else, on descriptor 0.
 *
 * The test is the inetd here; the real one (openbsd-inetd) and socat come at the
 * end.  Whatever dived has to say goes to syslog: on its standard error is the
 * client, and whoever made the connection is only known if it was accepted.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "hostile.h"
#include "inetd.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "show.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOGIN_UID "30511" /* in nobody else's records: the stream is the machine's */
#define SECRET	  "--pam-service", "inetd"

/* The one scene of the running test. */
static struct scene {
	struct inetd inetd;
	struct run dived;
	struct run dive;
	struct hostile hostile;
	struct audit_stream stream;
	int syslog;
} scene;

static int setup(void **state)
{
	(void)state;
	scene = (struct scene){ .dived.pidfd = -1,
				.dive.pidfd = -1,
				.hostile = { .sock = -1, .control = -1 },
				.stream.fd = -1,
				.syslog = -1 };
	inetd_listen(&scene.inetd);
	return 0;
}

static int teardown(void **state)
{
	run_done(&scene.dive);
	run_done(&scene.dived);
	hostile_close(&scene.hostile);
	audit_stream_close(&scene.stream);
	inetd_close(&scene.inetd);
	if (scene.syslog >= 0)
		sandbox_syslog_close(&scene.syslog);
	return sandbox_test_teardown(state);
}

/* The client's words as alice, served with these options. */
static void start(const char *input, const char *const *options, const char *const *words)
{
	run_dive_start(&scene.dive, &(struct run_options){ .account = "alice", .input = input },
		       &scene.inetd.gateway, words);
	inetd_serve(&scene.inetd, &scene.dived, options);
}

static void finish(int dive, int dived)
{
	run_wait(&scene.dive);
	run_assert_status(&scene.dive, dive);
	run_wait(&scene.dived);
	run_assert_status(&scene.dived, dived);
}

static void release(void)
{
	run_done(&scene.dive);
	run_done(&scene.dived);
}

static void expect_log(const char *text)
{
	char line[2048];

	sandbox_syslog_expect(scene.syslog, text, line, sizeof(line));
}

/* --- serving ---------------------------------------------------------------------- */

static void test_asks_and_serves(void **state)
{
	char expected[160];

	(void)state;
	start(SANDBOX_PASSWORD_ALICE "\n", RUN_WORDS("-u", "bob"),
	      RUN_WORDS("-S", "sh", "-c", "id -un; echo $DIVE_GATEWAY $DIVE_USER; exit 7"));
	finish(7, 7);
	(void)snprintf(expected, sizeof(expected), "bob\n%s alice\n", scene.inetd.address);
	assert_string_equal(scene.dive.out, expected);
	/* The first prompt says by which door. */
	if (!strstr(scene.dive.err, scene.inetd.address))
		FAIL("no address in: %s", scene.dive.err);
}

static void test_wrong_password(void **state)
{
	(void)state;
	start("wrong\n", RUN_WORDS("-u", "bob", "--auth-tries", "1"), RUN_WORDS("-S", "id"));
	finish(77, 77);
	assert_string_equal(scene.dive.out, "");
}

static void test_death_by_signal(void **state)
{
	static const int signals[] = { SIGTERM, SIGKILL, SIGSEGV };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		char text[32];

		print_message("case: %s\n", strsignal(signals[i]));
		(void)snprintf(text, sizeof(text), "kill -%d $$", signals[i]); /* fits */
		start(NULL, RUN_WORDS("--on-disconnect", "ignore"), RUN_WORDS("sh", "-c", text));
		run_wait(&scene.dive);
		run_wait(&scene.dived);
		assert_int_equal(scene.dive.signal, signals[i]);
		assert_int_equal(scene.dived.signal, signals[i]);
		release();
	}
}

/* Nothing of the connection, or of what dived holds, reaches the program. */
static void test_descriptors(void **state)
{
	const char *report;

	(void)state;
	start(NULL, RUN_WORDS("-a", "never"), RUN_WORDS(SHOW));
	finish(0, 0);
	report = scene.dive.out;
	show_expect(report, "fd0", "/dev/null");
	assert_true(show_starts(report, "fd1=/memfd:"));
	for (int fd = 3; fd < 64; fd++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "fd%d=", fd); /* fits */
		assert_false(show_starts(report, key));
	}
	assert_null(strstr(report, "socket:"));
}

static void test_namespaces(void **state)
{
	(void)state;
	start(NULL, RUN_WORDS("-s", "pid,uts"), RUN_WORDS("sh", "-c", "echo $$; exit 3"));
	finish(3, 3);
	assert_string_equal(scene.dive.out, "1\n");
	release();
	start(NULL, RUN_WORDS("-s", "user,net", "-tt", "-P"),
	      RUN_WORDS("sh", "-c", "id -u; cat /proc/self/uid_map"));
	run_wait(&scene.dive);
	run_wait(&scene.dived);
	/* -P gives alice what dived has, which she must prove. */
	assert_int_equal(scene.dive.status, 77);
	assert_int_equal(scene.dived.status, 77);
}

/* --- what is on descriptor 0 ---------------------------------------------------------- */

static int bound_socket(int type, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = MUST_INT(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));

	(void)unlink(path);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path); /* fits */
	MUST(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	if (type != SOCK_DGRAM)
		MUST(listen(fd, 1));
	return fd;
}

/* Fills *ret_near with what dived gets, *ret_far with its other end (-1: none). */
static void open_tcp(int *ret_near, int *ret_far)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	cleanup_fd int listener = MUST_INT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	MUST(bind(listener, (const struct sockaddr *)&address, sizeof(address)));
	MUST(getsockname(listener, (struct sockaddr *)&address, &len));
	MUST(listen(listener, 1));
	*ret_far = MUST_INT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(connect(*ret_far, (const struct sockaddr *)&address, sizeof(address)));
	*ret_near = MUST_INT(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

static void open_file(int *ret_near, int *ret_far)
{
	*ret_near = MUST_INT(open("/run/dive-test/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	*ret_far = MUST_INT(open("/run/dive-test/file", O_RDONLY | O_CLOEXEC));
}

static void open_datagram(int *ret_near, int *ret_far)
{
	*ret_near = bound_socket(SOCK_DGRAM, "/run/dive-test/near");
	*ret_far = bound_socket(SOCK_DGRAM, "/run/dive-test/far");
	for (int i = 0; i < 2; i++) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };

		(void)snprintf(address.sun_path, sizeof(address.sun_path), "/run/dive-test/%s",
			       i ? "near" : "far");
		MUST(connect(i ? *ret_far : *ret_near, (const struct sockaddr *)&address,
			     sizeof(address)));
	}
}

static void open_packets(int *ret_near, int *ret_far)
{
	cleanup_fd int listener = bound_socket(SOCK_SEQPACKET, "/run/dive-test/near");
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/dive-test/near" };

	*ret_far = MUST_INT(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	MUST(connect(*ret_far, (const struct sockaddr *)&address, sizeof(address)));
	*ret_near = MUST_INT(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

/* What an inetd in "wait" mode passes: its peer credentials are those of the listener. */
static void open_listener(int *ret_near, int *ret_far)
{
	*ret_near = bound_socket(SOCK_STREAM, "/run/dive-test/near");
	*ret_far = -1;
}

/* What socat makes without nofork: whoever made it is its peer, and that is root. */
static void open_pair(int *ret_near, int *ret_far)
{
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	*ret_near = pair[0];
	*ret_far = pair[1];
}

static const struct {
	const char *what;
	void (*open)(int *ret_near, int *ret_far);
	const char *log;
} strange[] = {
	{ "a file", open_file, "descriptor 0 is not a connection of a UNIX stream" },
	{ "TCP", open_tcp, "descriptor 0 is not a connection of a UNIX stream" },
	{ "datagrams", open_datagram, "descriptor 0 is not a connection of a UNIX stream" },
	{ "packets", open_packets, "descriptor 0 is not a connection of a UNIX stream" },
	{ "a listener", open_listener, "descriptor 0 is not a connection of a UNIX stream" },
	{ "a pair", open_pair, "one end of a socket pair" },
};

static void assert_nothing_received(int fd)
{
	char byte;
	ssize_t got = fd < 0 ? 0 : read(fd, &byte, 1);

	/* The end, or nothing yet from what has none. */
	if (got > 0)
		FAIL("something was written to descriptor 0");
}

static void test_strange_descriptors(void **state)
{
	static const char *const options[][4] = { { "-a", "never" }, { "-i", "--nothing" } };

	(void)state;
	scene.syslog = sandbox_syslog_open();
	for (size_t i = 0; i < ARRAY_LEN(strange) * ARRAY_LEN(options); i++) {
		bool sane = i % 2 == 0;
		int near;
		int far;

		print_message("case: %s%s\n", strange[i / 2].what, sane ? "" : ", bad option");
		strange[i / 2].open(&near, &far);
		if (far >= 0)
			MUST(fcntl(far, F_SETFL, fcntl(far, F_GETFL) | O_NONBLOCK));
		inetd_start(&scene.dived, &(struct run_options){ 0 }, near, options[i % 2]);
		run_wait(&scene.dived);
		run_assert_status(&scene.dived, 4);
		if (sane)
			expect_log(strange[i / 2].log);
		/* A file is no client: a person may be looking at its messages.  Behind a pair
		   there is one, who is told. */
		if (i / 2 > 0 && i / 2 < 5)
			assert_nothing_received(far);
		run_done(&scene.dived);
		close_fd(&far);
	}
}

/* --- refusals ----------------------------------------------------------------------- */

static void test_refuses_unwanted_clients(void **state)
{
	const char *text;
	char uid[32];

	(void)state;
	audit_stream_open(&scene.stream);
	run_dive_start(&scene.dive,
		       &(struct run_options){ .account = "alice", .login_uid = LOGIN_UID },
		       &scene.inetd.gateway, RUN_WORDS("id"));
	inetd_serve(&scene.inetd, &scene.dived, RUN_WORDS("--allow", "bob,@carol"));
	finish(77, 4);
	assert_non_null(strstr(scene.dive.err, "this account may not use the gateway"));
	assert_string_equal(scene.dive.out, "");
	text = audit_stream_expect(&scene.stream, AUDIT_USER_CMD, "op=dive:refuse",
				   scene.inetd.address, NULL);
	(void)audit_field(text, "auid", uid, sizeof(uid));
	assert_string_equal(uid, LOGIN_UID);
	audit_stream_close(&scene.stream);
	release();
	start(NULL, RUN_WORDS("--allow", "bob,alice"), RUN_WORDS("id", "-un"));
	finish(0, 0);
	assert_string_equal(scene.dive.out, "alice\n");
}

/* Where dived itself cannot serve, the client hears that and no more. */
static const struct {
	const char *options[6];
	const char *log;
} broken[] = {
	{ { "-u", "nobody-here" }, "-u nobody-here: " },
	{ { "--nothing" }, "--nothing" },
	{ { "--inetd=yes" }, "--inetd" },
	{ { "-C", "0666" }, "-C 0666: excluded by -i" },
	{ { "-d" }, "-d: excluded by -i" },
	{ { "-x", "not-there" }, "--pam-service not-there" },
	{ { "-x", "no-module" }, "--pam-service no-module: " },
	{ { "-s", "user" }, "the new user namespace" },
	{ { "-p", "/nonexistent/pid" }, "/nonexistent/pid" },
};

static void test_broken_gateways(void **state)
{
	(void)state;
	scene.syslog = sandbox_syslog_open();
	sandbox_service("no-module", "auth required pam_nowhere.so\n");
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		print_message("case: %s\n", broken[i].options[0]);
		hostile_connect(&scene.hostile, scene.inetd.address, "alice", NULL);
		inetd_serve(&scene.inetd, &scene.dived, broken[i].options);
		/* A packet that is well-formed, and then the end: nothing else is there. */
		hostile_expect_refused(&scene.hostile, MESSAGE_LAYER_GATEWAY);
		run_wait(&scene.dived);
		run_assert_status(&scene.dived, 4);
		expect_log(broken[i].log);
		hostile_close(&scene.hostile);
		run_done(&scene.dived);
	}
	start(NULL, RUN_WORDS("-x", "no-module"), RUN_WORDS("id"));
	finish(77, 4);
	assert_non_null(strstr(scene.dive.err, "its log says why"));
	assert_null(strstr(scene.dive.err, "pam_nowhere"));
}

/* --- without a listener that remembers -------------------------------------------------- */

/* Whoever has guessed wrong and hangs up leaves a process that sits the delay out. */
static void test_delay_is_served(void **state)
{
	struct packet packet;
	int64_t answered;

	(void)state;
	sandbox_service("inetd",
			"auth required " PROBE " delay=3000000 hidden=Code: send expect=right\n"
			"account required " PROBE "\nsession required " PROBE "\n");
	hostile_connect(&scene.hostile, scene.inetd.address, "alice", NULL);
	inetd_serve(&scene.inetd, &scene.dived,
		    RUN_WORDS("-a", "always", "--auth-tries", "2", SECRET));
	hostile_send_burst(&scene.hostile, RUN_WORDS("/bin/true"), -1);
	hostile_expect(&scene.hostile, MESSAGE_PROMPT, &packet);
	packet_done(&packet);
	answered = deadline_now(); /* libpam makes it up to a half longer or shorter */
	hostile_send_answer(&scene.hostile, "wrong");
	hostile_close(&scene.hostile);
	run_wait(&scene.dived);
	assert_in_range(deadline_now() - answered, 1400, 20000);
	run_assert_status(&scene.dived, 77);
	probe_forget();
}

/* A module that hangs is ended by its own clock, there being no listener to do it. */
static void test_hanging_module(void **state)
{
	(void)state;
	sandbox_service("inetd", "auth required pam_permit.so\naccount required " PROBE
				 " hang\nsession required pam_permit.so\n");
	start(NULL, RUN_WORDS("--auth-timeout", "1", SECRET), RUN_WORDS("id"));
	run_wait(&scene.dive);
	run_assert_status(&scene.dive, 77);
	assert_non_null(strstr(scene.dive.err, "did not return in time"));
	run_wait(&scene.dived);
	assert_int_not_equal(scene.dived.status, 0);
}

/* Whoever connects and says nothing is not waited for. */
static void test_silent_client(void **state)
{
	(void)state;
	hostile_connect(&scene.hostile, scene.inetd.address, "alice", NULL);
	inetd_serve(&scene.inetd, &scene.dived, RUN_WORDS("--request-timeout", "1"));
	hostile_expect_refused(&scene.hostile, MESSAGE_LAYER_REQUEST);
	run_wait(&scene.dived);
	run_assert_status(&scene.dived, 77);
	hostile_close(&scene.hostile);
	run_done(&scene.dived);
	/* Whoever connects and leaves is not even recorded. */
	hostile_connect(&scene.hostile, scene.inetd.address, "alice", NULL);
	hostile_close(&scene.hostile);
	inetd_serve(&scene.inetd, &scene.dived, RUN_WORDS(NULL));
	run_wait(&scene.dived);
	run_assert_status(&scene.dived, 77);
}

/* --- records ------------------------------------------------------------------------- */

static void test_records(void **state)
{
	char gateway[160];
	char id[2][64];

	(void)state;
	audit_stream_open(&scene.stream);
	(void)snprintf(gateway, sizeof(gateway), "gateway=\"%s\"", scene.inetd.address);
	run_dive_start(
		&scene.dive, &(struct run_options){ .account = "alice", .login_uid = LOGIN_UID },
		&scene.inetd.gateway, RUN_WORDS("sh", "-c", "cat /proc/self/loginuid; exit 5"));
	inetd_start(&scene.dived, &(struct run_options){ .login_uid = "2003" },
		    inetd_accept(&scene.inetd), RUN_WORDS("--audit", "require"));
	finish(5, 5);
	assert_string_equal(scene.dive.out, LOGIN_UID);
	(void)audit_stream_expect(&scene.stream, AUDIT_USER, "op=dive:start", gateway, "auid=2003 ",
				  NULL);
	(void)audit_field(audit_stream_expect(&scene.stream, AUDIT_USER_CMD, "op=dive:spawn",
					      gateway, "auid=" LOGIN_UID " ", "acct=\"alice\"",
					      NULL),
			  "dive_id", id[0], sizeof(id[0]));
	(void)audit_stream_expect(&scene.stream, AUDIT_USER_END, "op=PAM:session_close",
				  "auid=" LOGIN_UID " ", "res=success", NULL);
	(void)audit_field(audit_stream_expect(&scene.stream, AUDIT_USER_END, "op=dive:exit",
					      gateway, "exit=5", NULL),
			  "dive_id", id[1], sizeof(id[1]));
	assert_string_equal(id[0], id[1]);
	(void)audit_stream_expect(&scene.stream, AUDIT_USER, "op=dive:stop", gateway, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_asks_and_serves),
		TEST(test_wrong_password),
		TEST(test_death_by_signal),
		TEST(test_descriptors),
		TEST(test_namespaces),
		TEST(test_strange_descriptors),
		TEST(test_refuses_unwanted_clients),
		TEST(test_broken_gateways),
		TEST(test_delay_is_served),
		TEST(test_hanging_module),
		TEST(test_silent_client),
		TEST(test_records),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
