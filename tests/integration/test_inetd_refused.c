/*
 * dived -i, where it cannot serve: whoever was connected is refused, and the record says
 * who he was and why, whatever --audit says, as for any other client.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "inetd.h"
#include "must.h"
#include "sandbox.h"

#include <sys/socket.h>
#include <unistd.h>

#define LOGIN_UID "30513" /* in nobody else's records: the stream is the machine's */

static struct scene {
	struct inetd inetd;
	struct run dived;
	struct run dive;
	struct audit_stream stream;
	int syslog;
} scene;

static int setup(void **state)
{
	(void)state;
	scene = (struct scene){
		.dived.pidfd = -1, .dive.pidfd = -1, .stream.fd = -1, .syslog = -1
	};
	audit_stream_open(&scene.stream);
	inetd_listen(&scene.inetd);
	scene.syslog = sandbox_syslog_open();
	sandbox_service("no-module", "auth required pam_nowhere.so\n");
	return 0;
}

static int teardown(void **state)
{
	run_done(&scene.dive);
	run_done(&scene.dived);
	audit_stream_close(&scene.stream);
	inetd_close(&scene.inetd);
	sandbox_syslog_close(&scene.syslog);
	return sandbox_test_teardown(state);
}

/* Alice comes, and is refused. */
static void refuse(const char *const *options)
{
	run_dive_start(&scene.dive,
		       &(struct run_options){ .account = "alice", .login_uid = LOGIN_UID },
		       &scene.inetd.gateway, RUN_WORDS("id"));
	inetd_serve(&scene.inetd, &scene.dived, options);
	run_wait(&scene.dive);
	run_assert_status(&scene.dive, 77);
	if (!strstr(scene.dive.err, "its log says why"))
		FAIL("she was told: %s", scene.dive.err);
	run_wait(&scene.dived);
	run_assert_status(&scene.dived, 4);
	run_done(&scene.dive);
	run_done(&scene.dived);
}

static void assert_field(const char *text, const char *name, const char *expected)
{
	char value[1024];

	if (!strstr(audit_field_decoded(text, name, value, sizeof(value)), expected))
		FAIL("%s is %s, not %s, in: %s", name, value, expected, text);
}

/* One record, of alice. */
static void expect_record(const char *reason)
{
	const char *text = audit_stream_expect(&scene.stream, AUDIT_USER_CMD, "op=dive:refuse",
					       scene.inetd.address, NULL);
	char value[64];

	assert_string_equal(audit_field(text, "auid", value, sizeof(value)), LOGIN_UID);
	assert_string_equal(audit_field(text, "client_uid", value, sizeof(value)), "2001");
	assert_string_equal(audit_field(text, "client_auid", value, sizeof(value)), LOGIN_UID);
	assert_int_equal(strlen(audit_field(text, "dive_id", value, sizeof(value))), 32);
	assert_string_equal(audit_field(text, "res", value, sizeof(value)), "failed");
	assert_field(text, "reason", reason);
	audit_stream_expect_none(&scene.stream, AUDIT_USER_CMD, "op=dive:", scene.inetd.address,
				 NULL);
	audit_stream_expect_none(&scene.stream, AUDIT_USER_AUTH, "op=dive:", scene.inetd.address,
				 NULL);
}

static const struct {
	const char *options[4];
	const char *reason;
} broken[] = {
	{ { "-x", "no-module" }, "--pam-service no-module: " },
	{ { "-x", "not-there" }, "--pam-service not-there" },
	{ { "-p", "/nonexistent/pid" }, "/nonexistent/pid" },
	{ { "-u", "nobody-here" }, "-u nobody-here: " },
	{ { "--nothing" }, "--nothing" },
};

static void test_each_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		print_message("case: %s\n", broken[i].reason);
		refuse(broken[i].options);
		expect_record(broken[i].reason);
	}
}

static void test_each_mode(void **state)
{
	static const char *const modes[] = { "auto", "require", "off" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		char line[2048];

		print_message("case: --audit %s\n", modes[i]);
		refuse(RUN_WORDS("-x", "no-module", "--audit", modes[i]));
		sandbox_syslog_expect(scene.syslog, "op=dive:refuse", line, sizeof(line));
		assert_non_null(strstr(line, "client_auid=" LOGIN_UID " "));
		assert_non_null(strstr(line, "no-module"));
		if (strcmp(modes[i], "off") != 0)
			expect_record("no-module");
		audit_stream_expect_none(&scene.stream, AUDIT_USER_CMD,
					 "op=dive:", scene.inetd.address, NULL);
	}
}

/* Whoever has made the pair is its other end: the test, which is root's. */
static void test_socket_pair(void **state)
{
	char line[2048];
	int pair[2];

	(void)state;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	inetd_start(&scene.dived, &(struct run_options){ 0 }, pair[0], RUN_WORDS(NULL));
	run_wait(&scene.dived);
	run_assert_status(&scene.dived, 4);
	close_fd(&pair[1]);
	sandbox_syslog_expect(scene.syslog, "op=dive:refuse", line, sizeof(line));
	assert_non_null(strstr(line, "one end of a socket pair"));
	assert_non_null(strstr(line, " client_uid=0 "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_reason),
		TEST(test_each_mode),
		TEST(test_socket_pair),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
