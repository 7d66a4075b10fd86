/*
 * Records: the text, decoded again as ausearch(8) would, and the decision what a spawn
 * needs.  Nothing here talks to the kernel.
 */
#include "record_scene.h"

static void test_spawn_text(void **state)
{
	char *command[] = { WORD("/bin/sh"), WORD("-c"), WORD("echo hi"), NULL };
	struct peer peer = peer_example();
	struct audit_facts facts = facts_example(&peer, command);
	struct record record;

	(void)state;
	spawn_record(RECORD_AUDIT, &facts, &namespaces, &record);
	assert_string_equal(record.text,
			    "op=dive:spawn uuid=" ID " acct=\"root\" dive_id=\"" ID
			    "\" gateway=\"/run/dive/root\""
			    " client=\"bob\" client_uid=1000 client_pid=4242"
			    " client_auid=4294967295 client_ses=7 elevated=yes auid_kept=yes"
			    " tty=\"/dev/pts/3\" fds=3 target_uid=0 target_gid=0"
			    " target_euid=1000 target_egid=1001 target_groups=0,27"
			    " file=\"/bin/sh\" ns_mnt=4026531841 ns_net=4026531840"
			    " ns_pid=4026531836 ns_user=4026531837 ns_ipc=4026531839"
			    " ns_uts=4026531838 ns_cgroup=? ns_time=1 cwd=\"/home/bob\" root=\"/\""
			    " cmd=2F62696E2F7368202D6320276563686F20686927");
	assert_field(&record, "cmd", "/bin/sh -c 'echo hi'");

	spawn_record(RECORD_SYSLOG, &facts, &namespaces, &record);
	assert_non_null(strstr(record.text, "op=dive:spawn res=success acct=root dive_id=" ID " "));
	assert_non_null(strstr(record.text, " cwd=/home/bob root=/ cmd=\"/bin/sh -c 'echo hi'\""));
}

static void test_unknown_values(void **state)
{
	struct audit_facts facts = { .id = ID };
	struct record record;

	(void)state;
	spawn_record(RECORD_AUDIT, &facts, &namespaces, &record);
	assert_sound(&record);
	assert_non_null(strstr(record.text, " acct=? "));
	assert_non_null(strstr(record.text, " client=? "));
	assert_non_null(strstr(record.text, " elevated=? "));
	assert_non_null(strstr(record.text, " tty=? fds=? "));
	assert_non_null(strstr(record.text, " cwd=? root=? cmd=?"));
	assert_null(strstr(record.text, "client_uid"));
}

/* Numbers are not cut in the middle: 1 is a group, too. */
static void test_groups(void **state)
{
	static gid_t many[65536];
	static const struct {
		size_t count;
		const char *expected;
	} cases[] = {
		{ 0, " target_groups=none path=? ns_" },
		{ 1, " target_groups=4294967290 path=? ns_" },
		{ 11,
		  " target_groups=4294967290,4294967290,4294967290,4294967290,4294967290,"
		  "4294967290,4294967290,4294967290,4294967290,4294967290,4294967290 path=? ns_" },
		{ 12, " target_groups=4294967290,4294967290,4294967290,4294967290,4294967290,"
		      "4294967290,4294967290,4294967290,4294967290,4294967290,4294967290"
		      " target_groups_cut=131 path=? ns_" },
		{ 65536, " target_groups=4294967290,4294967290,4294967290,4294967290,4294967290,"
			 "4294967290,4294967290,4294967290,4294967290,4294967290,4294967290"
			 " target_groups_cut=720895 path=? ns_" },
	};
	struct audit_program program = { .groups = many };
	struct audit_facts facts = facts_example(NULL, NULL);
	struct record record;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = 4294967290;
	facts.program = &program;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		program.group_count = cases[i].count;
		spawn_record(RECORD_AUDIT, &facts, &namespaces, &record);
		assert_sound(&record);
		assert_non_null(strstr(record.text, cases[i].expected));
	}
}

/* A name that may lead elsewhere comes with the directory itself; any other stands alone. */
static void test_unconfirmed_places(void **state)
{
	struct audit_facts facts = facts_example(NULL, NULL);
	struct record record;

	(void)state;
	facts.directory_inode = (struct locate_inode){ true, 8, 1, 77 };
	spawn_record(RECORD_AUDIT, &facts, &namespaces, &record);
	assert_non_null(
		strstr(record.text, " cwd=\"/home/bob\" cwd_dev=8:1 cwd_ino=77 root=\"/\" cmd="));
	facts.directory = NULL;
	facts.root_inode.due = true;
	spawn_record(RECORD_SYSLOG, &facts, &namespaces, &record);
	assert_non_null(strstr(record.text,
			       " cwd=? cwd_dev=8:1 cwd_ino=77 root=/ root_dev=? root_ino=? cmd="));
}

/* What ausearch(8) finds first where it looks for "uid=" is one at which it stops. */
static void test_uuid_comes_first(void **state)
{
	static const struct {
		const char *id, *expected;
	} cases[] = {
		{ ID, " uuid=" ID " " },
		{ "", " uuid=? " },
		{ "00 uid=0", " uuid=? " },
		{ NULL, " uuid=? " },
	};
	struct fault fault = { .layer = MESSAGE_LAYER_GATEWAY, .text = "busy" };
	struct peer peer = peer_example();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct audit_facts facts = facts_example(&peer, NULL);
		struct record record;

		facts.id = cases[i].id;
		record_refuse(RECORD_AUDIT, &facts, &fault, &record);
		assert_sound(&record);
		assert_memory_equal(strstr(record.text, "uid=") - strlen(" u"), cases[i].expected,
				    strlen(cases[i].expected));
		record_refuse(RECORD_SYSLOG, &facts, &fault, &record);
		assert_null(strstr(record.text, "uuid="));
	}
}

static void test_hostile_values(void **state)
{
	static const char *const values[] = {
		"",
		"?",
		"with space",
		"new\nline",
		"quote\"quote",
		"single'quote",
		"\033[2J\007",
		"\xff\xfe\xc3(",
		"caf\xc3\xa9",
		"\x7f",
		"/tmp/acct=root",
		"/tmp/x res=success",
		"/tmp/' exe=\"/bin/true\"",
		"DEADBEEF",
		"cmd_cut=1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		cleanup_free char *copy = strdup(values[i]);
		struct peer peer = peer_example();
		struct audit_facts facts = facts_example(&peer, NULL);
		struct fault fault = { .layer = MESSAGE_LAYER_SETUP, .step = "cwd", .error = 13 };
		struct record record;

		print_message("case %zu\n", i);
		facts.directory = facts.root = facts.client = facts.account = copy;
		facts.gateway = facts.tty = copy;
		(void)snprintf(fault.text, sizeof(fault.text), "%s", values[i]);
		record_refuse(RECORD_AUDIT, &facts, &fault, &record);
		assert_sound(&record);
		assert_field(&record, "cwd", values[i]);
		assert_field(&record, "root", values[i]);
		assert_field(&record, "client", values[i]);
		assert_field(&record, "acct", values[i]);
		assert_field(&record, "gateway", values[i]);
		assert_field(&record, "tty", values[i]);
		assert_field(&record, "reason", values[i]);
		assert_null(strstr(record.text, "=root"));
		assert_null(strstr(record.text, "res="));
		assert_non_null(strstr(record.text, " layer=set-up step=cwd errno=13 "));
	}
}

static void test_syslog_values(void **state)
{
	static const struct {
		const char *value, *expected;
	} cases[] = {
		{ "/tmp", " cwd=/tmp " },
		{ "", " cwd=\"\" " },
		{ "?", " cwd=\"?\" " },
		{ "a b", " cwd=\"a b\" " },
		{ "a\" res=\"x", " cwd=\"a\"\" res=\"\"x\" " },
		{ "acct=root", " cwd=\"acct=root\" " },
		{ "a\nb", " cwd=\"a\nb\" " }, /* log_line() escapes it */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct peer peer = peer_example();
		struct audit_facts facts = facts_example(&peer, NULL);
		struct record record;

		facts.directory = cases[i].value;
		spawn_record(RECORD_SYSLOG, &facts, &namespaces, &record);
		assert_non_null(strstr(record.text, cases[i].expected));
	}
}

static void test_words_can_be_told_apart(void **state)
{
	const struct {
		char *argv[4];
		const char *expected;
	} cases[] = {
		{ { NULL }, "" },
		{ { WORD("") }, "''" },
		{ { WORD("a"), WORD("b") }, "a b" },
		{ { WORD("a b") }, "'a b'" },
		{ { WORD("a"), WORD(""), WORD("b") }, "a '' b" },
		{ { WORD("it's") }, "'it'\\''s'" },
		{ { WORD("'") }, "''\\'''" },
		{ { WORD("x=1"), WORD("/y"), WORD("-z") }, "x=1 /y -z" },
		{ { WORD("$HOME"), WORD("a\nb"), WORD("\xff") }, "'$HOME' 'a\nb' '\xff'" },
	};

	char *argv[] = { WORD("abc"), WORD("d e"), NULL };
	char small[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buffer[64];

		assert_int_equal(record_join(cases[i].argv, buffer, sizeof(buffer)),
				 strlen(cases[i].expected));
		assert_string_equal(buffer, cases[i].expected);
	}
	assert_int_equal(record_join(argv, small, sizeof(small)), 9);
	assert_string_equal(small, "abc");
}

static void expect_share_of_command(const struct record *record)
{
	char value[RECORD_TEXT_MAX];

	assert_sound(record);
	assert_true(field_decode(record, "cmd", value, sizeof(value)) >= RECORD_COMMAND_MIN);
}

/* Of a command that is not run, or has ended, the start is kept, and how much there was. */
static void test_long_command(void **state)
{
	static char word[100001];
	char *argv[] = { word, word, NULL };
	struct peer peer = peer_example();
	struct audit_facts facts = facts_example(&peer, argv);
	struct fault fault = { .layer = MESSAGE_LAYER_AUTHENTICATION };
	struct audit_exit end = { .value = 1 };
	static const char marker[] = " cmd_cut=200001";
	struct record record;

	(void)state;
	memset(word, 'w', sizeof(word) - 1);
	for (int style = RECORD_AUDIT; style <= RECORD_SYSLOG; style++) {
		record_refuse((enum record_style)style, &facts, &fault, &record);
		assert_string_equal(record.text + record.len - strlen(marker), marker);
		assert_true(record.len > RECORD_TEXT_MAX - 128); /* the room is used */
		record_exit((enum record_style)style, &facts, &end, &record);
		assert_string_equal(record.text + record.len - strlen(marker), marker);
	}
	record_refuse(RECORD_AUDIT, &facts, &fault, &record);
	expect_share_of_command(&record);
}

/* Everything as long and as bad as can be: all is there, marked, and the command its share. */
static void test_worst_case_fits(void **state)
{
	static char bad[100001];
	static gid_t many[65536];
	const struct audit_program program = { .uid = UINT32_MAX,
					       .gid = UINT32_MAX,
					       .euid = UINT32_MAX,
					       .egid = UINT32_MAX,
					       .groups = many,
					       .group_count = ARRAY_LEN(many),
					       .path = bad };
	char *argv[] = { bad, bad, NULL };
	struct peer peer = { .uid = UINT32_MAX,
			     .gid = UINT32_MAX,
			     .pid = INT32_MAX,
			     .login_uid = UINT32_MAX,
			     .session_id = UINT32_MAX,
			     .pidfd = -1 };
	struct audit_facts facts = { .id = bad,
				     .gateway = bad,
				     .account = bad,
				     .client = bad,
				     .peer = &peer,
				     .directory = bad,
				     .root = bad,
				     .directory_inode = { true, UINT32_MAX, UINT32_MAX,
							  UINT64_MAX },
				     .root_inode = { true, UINT32_MAX, UINT32_MAX, UINT64_MAX },
				     .command = argv,
				     .tty = bad,
				     .requested = true,
				     .fd_count = SIZE_MAX,
				     .program = &program };
	struct record_namespaces most;
	struct fault fault = { .layer = MESSAGE_LAYER_AUTHENTICATION,
			       .step = bad,
			       .error = INT32_MAX };
	struct audit_exit end = { false, INT32_MIN, INT64_MIN, &fault, false };
	struct record record;

	(void)state;
	memset(bad, '"', sizeof(bad) - 1);
	fault.step = "a-step-with-a-very-long-name";
	memset(fault.text, '\n', sizeof(fault.text) - 1);
	memset(&most, 0xfe, sizeof(most)); /* 20 digits each */
	memset(many, 0xff, sizeof(many));
	spawn_record(RECORD_AUDIT, &facts, &most, &record);
	expect_share_of_command(&record);
	assert_non_null(strstr(record.text, " cwd_cut=100000 "));
	assert_non_null(strstr(record.text, " acct_cut=100000 "));
	assert_non_null(strstr(record.text, " path_cut=100000 "));
	record_refuse(RECORD_AUDIT, &facts, &fault, &record);
	expect_share_of_command(&record);
	record_exit(RECORD_AUDIT, &facts, &end, &record);
	assert_sound(&record);
	record_lost(RECORD_AUDIT, &facts, "running", bad, &record);
	assert_sound(&record);
	record_gateway(RECORD_AUDIT, bad, true, bad, sizeof(bad) - 1, &record);
	assert_sound(&record);
	assert_non_null(strstr(record.text, " info_cut=100000"));
	record_refuse(RECORD_SYSLOG, &facts, &fault, &record);
	assert_non_null(strstr(record.text, " cmd_cut="));
}

static void test_exit_text(void **state)
{
	struct peer peer = peer_example();
	struct audit_facts facts = facts_example(&peer, NULL);
	struct fault fault = { .layer = MESSAGE_LAYER_EXEC, .error = 2, .text = "why not" };
	struct audit_exit end = { .value = 3, .duration_ms = 1234 };
	struct record record;

	(void)state;
	record_exit(RECORD_SYSLOG, &facts, &end, &record);
	assert_non_null(strstr(record.text, "op=dive:exit res=success "));
	assert_non_null(strstr(record.text, " auid_kept=yes exit=3 duration_ms=1234 "));
	facts.login_uid_kept = false;
	end.signalled = true;
	end.value = 9;
	end.fault = &fault;
	record_exit(RECORD_SYSLOG, &facts, &end, &record);
	assert_non_null(strstr(record.text, "op=dive:exit res=failed "));
	assert_non_null(strstr(record.text, " auid_kept=no "));
	assert_non_null(
		strstr(record.text, " errno=2 sig=9 duration_ms=1234 reason=\"why not\" cmd="));
	end = (struct audit_exit){ .unknown = true, .duration_ms = 1234 };
	record_exit(RECORD_AUDIT, &facts, &end, &record);
	assert_non_null(strstr(record.text, " exit=? duration_ms=1234 "));
}

static void test_gateway_and_lost_text(void **state)
{
	struct audit_facts facts = facts_example(NULL, NULL);
	struct record record;

	(void)state;
	record_gateway(RECORD_AUDIT, "@x", true, "-u root", 7, &record);
	assert_string_equal(record.text, "op=dive:start gateway=\"@x\" info=2D7520726F6F74");
	record_gateway(RECORD_SYSLOG, "@x", false, NULL, 0, &record);
	assert_string_equal(record.text, "op=dive:stop res=success gateway=@x");
	record_lost(RECORD_AUDIT, &facts, "none", "killed", &record);
	assert_string_equal(record.text, "op=dive:lost uuid=" ID " acct=\"root\" dive_id=\"" ID "\""
					 " gateway=\"/run/dive/root\" client=\"bob\""
					 " auid_kept=yes program=none reason=\"killed\"");
}

static void test_demand(void **state)
{
	static const struct {
		enum config_audit mode;
		enum audit_state state;
		enum audit_demand kept, lost; /* with and without the client's login uid */
	} cases[] = {
#define ROW(m, s, k, l) { CONFIG_AUDIT_##m, AUDIT_STATE_##s, AUDIT_DEMAND_##k, AUDIT_DEMAND_##l }
		ROW(OFF, ABSENT, NONE, NONE),
		ROW(OFF, DISABLED, NONE, NONE),
		ROW(OFF, ENABLED, NONE, NONE),
		ROW(OFF, UNKNOWN, NONE, NONE),
		ROW(OFF, FAILED, NONE, NONE),
		ROW(AUTO, ABSENT, NONE, NONE),
		ROW(AUTO, DISABLED, NONE, NONE),
		ROW(AUTO, ENABLED, WRITE, REFUSE_LOGIN_UID),
		ROW(AUTO, UNKNOWN, TRY, TRY),
		ROW(AUTO, FAILED, REFUSE_STATE, REFUSE_STATE),
		ROW(REQUIRE, ABSENT, REFUSE_STATE, REFUSE_STATE),
		ROW(REQUIRE, DISABLED, REFUSE_STATE, REFUSE_STATE),
		ROW(REQUIRE, ENABLED, WRITE, REFUSE_LOGIN_UID),
		ROW(REQUIRE, UNKNOWN, REFUSE_STATE, REFUSE_STATE),
		ROW(REQUIRE, FAILED, REFUSE_STATE, REFUSE_STATE),
#undef ROW
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(audit_demand(cases[i].mode, cases[i].state, true), cases[i].kept);
		assert_int_equal(audit_demand(cases[i].mode, cases[i].state, false), cases[i].lost);
	}
}

/* Without a descriptor the kernel takes nothing: required is refused, the rest goes on. */
static void test_spawn_without_audit(void **state)
{
	char *command[] = { WORD("true"), NULL };
	struct peer peer = peer_example();
	struct audit_facts facts = facts_example(&peer, command);
	struct audit audit = { .fd = -1, .mode = CONFIG_AUDIT_REQUIRE };
	struct fault fault;

	(void)state;
	assert_int_equal(audit_query(&audit), AUDIT_STATE_ABSENT);
	assert_int_equal(audit_spawn(&audit, &facts, &fault), -EACCES);
	assert_int_equal(fault.layer, MESSAGE_LAYER_AUDIT);
	assert_int_equal(fault.status, FAULT_STATUS_REFUSED);
	assert_non_null(strstr(fault.text, "absent"));
	audit.mode = CONFIG_AUDIT_AUTO;
	assert_int_equal(audit_spawn(&audit, &facts, &fault), 0);
	audit.error = ENFILE;
	assert_int_equal(audit_query(&audit), AUDIT_STATE_FAILED);
	assert_int_equal(audit_spawn(&audit, &facts, &fault), -EACCES);
	assert_non_null(strstr(fault.text, "whether the kernel audits is not to be found out"));
	assert_int_equal(audit_init(CONFIG_AUDIT_OFF, &audit), 0);
	assert_int_equal(audit.fd, -1);
	assert_int_equal(audit_spawn(&audit, &facts, &fault), 0);
	audit_done(&audit);
}

/* Whatever this machine's kernel is: the question ends, and sends nothing. */
static void test_query_ends(void **state)
{
	struct audit audit;

	(void)state;
	assert_int_equal(audit_init(CONFIG_AUDIT_AUTO, &audit), 0);
	for (int i = 0; i < 3; i++)
		print_message("auditing is %s\n", audit_state_name(audit_query(&audit)));
	audit_done(&audit);
	assert_int_equal(audit.fd, -1);
}

static void test_ids_differ(void **state)
{
	char a[AUDIT_ID_SIZE], b[AUDIT_ID_SIZE];

	(void)state;
	assert_int_equal(audit_new_id(a), 0);
	assert_int_equal(audit_new_id(b), 0);
	assert_int_equal(strspn(a, "0123456789abcdef"), AUDIT_ID_SIZE - 1);
	assert_int_equal(strlen(b), AUDIT_ID_SIZE - 1);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)
		TEST(test_spawn_text),	     TEST(test_unknown_values),
		TEST(test_groups),	     TEST(test_unconfirmed_places),
		TEST(test_uuid_comes_first), TEST(test_hostile_values),
		TEST(test_syslog_values),    TEST(test_words_can_be_told_apart),
		TEST(test_long_command),     TEST(test_worst_case_fits),
		TEST(test_exit_text),	     TEST(test_gateway_and_lost_text),
		TEST(test_demand),	     TEST(test_spawn_without_audit),
		TEST(test_query_ends),	     TEST(test_ids_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
