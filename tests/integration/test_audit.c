/*
 * What is written to the kernel's audit trail, field by field: a spawn, its end,
 * every kind of refusal, a session that was lost.
 *
 * The gateway has a login uid of its own here (carol's), as if it had been started
 * from a login shell, so that wherever a record shows the client's, dived has
 * carried it over; a record of dived's own would show carol's.
 */
#include "cleanup.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_namespaces(const char *text)
{
	static const char *const names[] = { "mnt", "net", "pid",    "user",
					     "ipc", "uts", "cgroup", "time" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[64];
		char field[16];
		struct stat status;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]); /* fits */
		(void)snprintf(field, sizeof(field), "ns_%s", names[i]);
		MUST(stat(path, &status));
		trail_assert_number(text, field, status.st_ino);
	}
}

static void read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name); /* fits */
	fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
	memset(buffer, 0, size);
	MUST(read(fd, buffer, size - 1));
}

/* The program waits for the end of descriptor 7, so that its processes can be looked at. */
#define HELD "cat /proc/self/loginuid; echo; read end <&7; :"

static void check_spawn(const char *login_uid)
{
	char session_id[32];
	const char *text;
	int hold[2];

	MUST(pipe2(hold, O_CLOEXEC));
	run_dive_start(&trail.client,
		       &(struct run_options){ .account = "alice",
					      .login_uid = login_uid,
					      .directory = "/home/alice",
					      .input = SANDBOX_PASSWORD_ALICE "\n",
					      .fds = &(struct run_fd){ hold[0], 7 },
					      .fd_count = 1 },
		       &trail.gateway, RUN_WORDS("-S", "sh", "-c", HELD));
	close_fd(&hold[0]);
	run_expect(&trail.client, login_uid); /* of the program */
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	read_proc(trail.client.pid, "sessionid", session_id, sizeof(session_id));
	trail_assert(text, "auid", login_uid);
	trail_assert(text, "uid", "0");
	trail_assert(text, "acct", "bob");
	trail_assert(text, "client", "alice");
	trail_assert_number(text, "client_uid", SANDBOX_UID_ALICE);
	trail_assert_number(text, "client_pid", (uint64_t)trail.client.pid);
	trail_assert(text, "client_auid", login_uid);
	trail_assert(text, "client_ses", session_id);
	trail_assert(text, "elevated", "yes");
	trail_assert(text, "auid_kept", "yes");
	trail_assert(text, "tty", "?");
	trail_assert(text, "terminal", "?");
	trail_assert(text, "fds", "4");
	assert_namespaces(text);
	trail_assert(text, "cwd", "/home/alice");
	trail_assert(text, "root", "?"); /* dive has sent none */
	trail_assert_text(text, "cmd", "sh -c '" HELD "'");
	assert_true(audit_has_field(text, "dive_id"));
	trail_assert(text, "res", "success");
	close_fd(&hold[1]);
	run_wait(&trail.client);
	run_assert_status(&trail.client, 0);
	assert_memory_equal(trail.client.out, login_uid, strlen(login_uid));
	run_done(&trail.client);
}

/* The gateway's own: who started it, and with what options. */
static void test_gateway_records(void **state)
{
	static const char *const facts[] = { "version=", "mode=0640", "target=bob", "audit=auto",
					     "auth-tries=2" };
	static const char *const ops[] = { "op=dive:start", "op=dive:stop" };

	(void)state;
	trail_serve(RUN_WORDS("-u", "bob", "--auth-tries", "2", "--chmod=0640"));
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		char info[TRAIL_TEXT_MAX];
		const char *text;

		if (i == 1)
			gateway_stop(&trail.gateway);
		text = trail_expect(AUDIT_USER, ops[i]);
		trail_assert(text, "auid", "2003");
		trail_assert(text, "res", "success");
		(void)audit_field_decoded(text, "info", info, sizeof(info));
		for (size_t j = 0; j < ARRAY_LEN(facts); j++)
			if (!strstr(info, facts[j]))
				FAIL("\"%s\" is not in: %s", facts[j], info);
	}
}

/* A long list of options comes out whole, and of one that is longer the length. */
static void test_long_options(void **state)
{
	static char word[5001];
	char info[TRAIL_TEXT_MAX];
	char number[32];
	const char *text;
	uint64_t total;

	(void)state;
	memset(word, 'x', 2050);
	trail_serve(RUN_WORDS("-u", "bob", "--", "/bin/echo", word, "it's last"));
	text = trail_expect(AUDIT_USER, "op=dive:start");
	(void)audit_field_decoded(text, "info", info, sizeof(info));
	assert_non_null(strstr(info, " command=/bin/echo xx"));
	assert_non_null(strstr(info, "xx 'it'\\''s last'"));
	assert_false(audit_has_field(text, "info_cut"));
	gateway_stop(&trail.gateway);
	memset(word, 'x', sizeof(word) - 1);
	trail_serve(RUN_WORDS("-u", "bob", "--", "/bin/echo", word, word));
	text = trail_expect(AUDIT_USER, "op=dive:start");
	(void)audit_field(text, "info_cut", number, sizeof(number));
	assert_int_equal(parse_uint(number, 10000, 11000, &total), 0);
	gateway_stop(&trail.gateway);
}

static void test_spawn_record(void **state)
{
	static const char *const login_uids[] = { "2001", TRAIL_UNSET, "2002" };

	(void)state;
	trail_serve(RUN_WORDS("-u", "bob"));
	for (size_t i = 0; i < ARRAY_LEN(login_uids); i++) {
		print_message("case: login uid %s\n", login_uids[i]);
		check_spawn(login_uids[i]);
	}
	gateway_stop(&trail.gateway);
}

/* libpam writes its own, from the session; they are of the same human. */
static void test_pam_records(void **state)
{
	static const struct {
		int type;
		const char *op;
		const char *account;
	} records[] = {
		{ AUDIT_USER_AUTH, "op=PAM:authentication", "acct=\"alice\"" },
		{ AUDIT_USER_ACCT, "op=PAM:accounting", "acct=\"alice\"" },
		{ AUDIT_USER_ACCT, "op=PAM:accounting", "acct=\"bob\"" },
		{ AUDIT_CRED_ACQ, "op=PAM:setcred", "acct=\"bob\"" },
		{ AUDIT_USER_START, "op=PAM:session_open", "acct=\"bob\"" },
		{ AUDIT_USER_END, "op=PAM:session_close", "acct=\"bob\"" },
		{ AUDIT_CRED_DISP, "op=PAM:setcred", "acct=\"bob\"" },
	};
	char session[32];
	char pid[48];

	(void)state;
	trail_serve(RUN_WORDS("-u", "bob"));
	run_dive(&trail.client,
		 &(struct run_options){ .account = "alice",
					.login_uid = "2001",
					.input = SANDBOX_PASSWORD_ALICE "\n" },
		 &trail.gateway, RUN_WORDS("-S", "true"));
	run_assert_status(&trail.client, 0);
	(void)audit_field(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "pid", session,
			  sizeof(session));
	(void)snprintf(pid, sizeof(pid), "pid=%s ", session); /* fits */
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		const char *text;

		print_message("case: %s %s\n", records[i].op, records[i].account);
		text = audit_stream_expect(&trail.stream, records[i].type, pid, records[i].op,
					   records[i].account, NULL);
		trail_assert(text, "auid", "2001");
		trail_assert(text, "res", "success");
	}
	gateway_stop(&trail.gateway);
}

static void test_exit_records(void **state)
{
	static const struct {
		const char *const words[4];
		const char *field;
		const char *value;
		const char *layer; /* NULL: it was executed */
		const char *error;
	} cases[] = {
		{ { "sh", "-c", "exit 7" }, "exit", "7", NULL, NULL },
		{ { "true" }, "exit", "0", NULL, NULL },
		{ { "sh", "-c", "kill -9 $$" }, "sig", "9", NULL, NULL },
		{ { "/nonesuch" }, "exit", "127", "exec", "2" },
		{ { "/etc/passwd" }, "exit", "126", "exec", "13" },
	};

	(void)state;
	trail_serve(RUN_WORDS(NULL));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char id[64];
		char duration[32];
		uint64_t milliseconds;
		const char *text;

		print_message("case: %s %s\n", cases[i].words[0], cases[i].value);
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice", .login_uid = "2001" },
			 &trail.gateway, cases[i].words);
		run_done(&trail.client);
		text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
		(void)audit_field(text, "dive_id", id, sizeof(id));
		text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit",
					   trail.field, id, NULL);
		trail_assert(text, "auid", "2001");
		trail_assert(text, "auid_kept", "yes");
		trail_assert(text, "acct", "alice");
		trail_assert(text, cases[i].field, cases[i].value);
		assert_false(audit_has_field(text, strcmp(cases[i].field, "sig") ? "sig" : "exit"));
		assert_int_equal(audit_has_field(text, "reason"), cases[i].layer != NULL);
		(void)audit_field(text, "duration_ms", duration, sizeof(duration));
		assert_int_equal(parse_uint(duration, 0, 60000, &milliseconds), 0);
		trail_assert(text, "res", cases[i].layer ? "failed" : "success");
		assert_int_equal(audit_has_field(text, "layer"), cases[i].layer != NULL);
		if (!cases[i].layer)
			continue;
		trail_assert(text, "layer", cases[i].layer);
		trail_assert(text, "step", "exec");
		trail_assert(text, "errno", cases[i].error);
	}
	gateway_stop(&trail.gateway);
}

/* A refusal of alice, and no sign that anything was executed. */
static void assert_refusal(const char *layer, const char *reason)
{
	const char *text = trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
	char value[TRAIL_TEXT_MAX];

	trail_assert(text, "auid", "2001");
	trail_assert(text, "res", "failed");
	trail_assert_number(text, "client_uid", SANDBOX_UID_ALICE);
	trail_assert(text, "client_auid", "2001");
	assert_int_equal(strlen(audit_field(text, "dive_id", value, sizeof(value))), 32);
	trail_assert(text, "layer", layer);
	if (!strstr(audit_field_decoded(text, "reason", value, sizeof(value)), reason))
		FAIL("the reason is not %s but %s", reason, value);
	audit_stream_expect_none(&trail.stream, AUDIT_USER_CMD, trail.field, NULL);
}

/* An edit counts for the next client; before there was one it would be a failure to start. */
static void break_service(void)
{
	run_dive(&trail.client, &(struct run_options){ .account = "alice" }, &trail.gateway,
		 RUN_WORDS("true"));
	run_assert_status(&trail.client, 0);
	run_done(&trail.client);
	(void)trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	sandbox_service("fragile", "auth required pam_nonesuch.so\n");
}

static const struct {
	const char *what;
	const char *const options[6];
	const char *const words[4];
	void (*before)(void);
	const char *layer;
	const char *reason;
} refusals[] = {
	{ "wrong password",
	  { "-u", "bob", "--auth-tries", "2" },
	  { "-S", "true" },
	  NULL,
	  "authentication",
	  "authentication failed" },
	{ "would prompt",
	  { "-u", "bob" },
	  { "-n", "true" },
	  NULL,
	  "authentication",
	  "prompting was forbidden" },
	{ "not allowed",
	  { "--allow", "bob" },
	  { "true" },
	  NULL,
	  "gateway",
	  "this account may not" },
	{ "target expired",
	  { "-u", "expired", "-a", "never" },
	  { "true" },
	  NULL,
	  "account",
	  "account expired: the account has expired" },
	{ "broken service",
	  { "-x", "fragile" },
	  { "true" },
	  break_service,
	  "authentication",
	  "authentication is not available" },
	{ "session module", { "-x", "closed" }, { "true" }, NULL, "session", "session" },
};

static void test_refuse_records(void **state)
{
	(void)state;
	sandbox_account("expired", 2010, SANDBOX_PASSWORD_BOB, "/bin/sh");
	sandbox_account_line("/etc/shadow", "expired", "expired:!:20000:0:99999:7::100:");
	sandbox_service("fragile", SANDBOX_SERVICE);
	sandbox_service("closed", SANDBOX_SERVICE "session required pam_deny.so\n");
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		print_message("case: %s\n", refusals[i].what);
		trail_serve(refusals[i].options);
		if (refusals[i].before)
			refusals[i].before();
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice",
						.login_uid = "2001",
						.input = "wrong\nwrong too\n" },
			 &trail.gateway, refusals[i].words);
		run_assert_status(&trail.client, 77);
		run_done(&trail.client);
		assert_refusal(refusals[i].layer, refusals[i].reason);
		gateway_stop(&trail.gateway);
	}
}

static void test_refuse_malformed(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		const char *layer;
	} cases[] = {
		{ "noise", "GET / HTTP/1.0\r\n\r\n", "request" },
		{ "nothing", "", "request" },
	};

	(void)state;
	trail_serve(RUN_WORDS("--request-timeout", "1"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		hostile_connect(&trail.hostile, trail.gateway.address, "alice", "2001");
		assert_int_equal(
			hostile_send_raw(&trail.hostile, cases[i].bytes, strlen(cases[i].bytes)),
			0);
		hostile_expect_closed(&trail.hostile);
		hostile_close(&trail.hostile);
		assert_refusal(cases[i].layer, "");
	}
	gateway_stop(&trail.gateway);
}

static void test_refuse_busy(void **state)
{
	(void)state;
	trail_serve(RUN_WORDS("--max-pending-per-user", "1"));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", "2002");
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &trail.gateway, RUN_WORDS("true"));
	run_assert_status(&trail.client, 77);
	assert_refusal("gateway", "busy");
	hostile_close(&trail.hostile);
	gateway_stop(&trail.gateway);
}

/* A module tells which process it runs in: the session, which is then killed. */
static void test_lost_records(void **state)
{
	struct packet packet;
	const char *text;
	char number[32] = "";
	pid_t pid;

	(void)state;
	sandbox_write("/run/tell", 0755, "#!/bin/sh\necho $PPID > /run/told\n");
	sandbox_service("telling", "auth required pam_exec.so quiet /run/tell\n" SANDBOX_SERVICE);
	trail_serve(RUN_WORDS("-u", "bob", "-x", "telling"));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", "2001");
	hostile_send_burst(&trail.hostile, RUN_WORDS("sleep", "60"), -1);
	hostile_expect(&trail.hostile, MESSAGE_PROMPT, &packet);
	packet_done(&packet);
	cleanup_fd int fd = MUST_INT(open("/run/told", O_RDONLY | O_CLOEXEC));
	MUST(read(fd, number, sizeof(number) - 1));
	number[strcspn(number, "\n")] = '\0';
	assert_int_equal(parse_pid(number, &pid), 0);
	MUST(kill(pid, SIGKILL)); /* it waits for the answer, so it is that process */
	hostile_expect_closed(&trail.hostile);
	text = trail_expect(AUDIT_USER_AUTH, "op=dive:lost");
	trail_assert(text, "auid", "2001");
	trail_assert(text, "acct", "bob");
	trail_assert_number(text, "client_uid", SANDBOX_UID_ALICE);
	trail_assert(text, "client_auid", "2001");
	trail_assert(text, "res", "failed");
	assert_true(audit_has_field(text, "reason"));
	gateway_stop(&trail.gateway);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gateway_records),  TEST(test_long_options), TEST(test_spawn_record),
		TEST(test_pam_records),	     TEST(test_exit_records), TEST(test_refuse_records),
		TEST(test_refuse_malformed), TEST(test_refuse_busy),  TEST(test_lost_records),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
