/*
 * config: defaults, every option that is refused and why, and the two judgements
 * that are derived (elevation, the safety checks).  Modes, places and privileges
 * have files of their own.
 */
#include "config_scene.h"

#include <sys/stat.h>

#define LONG_50	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ADDRESS_107 "/" LONG_50 LONG_50 "bbbbbb"

static const struct refusal refused[] = {
	{ ANY, { NULL }, "ADDRESS", "" },
	{ ANY, { "-d" }, "ADDRESS", "" },
	{ ANY, { "" }, "ADDRESS", "empty" },
	{ ANY, { "@" }, "ADDRESS", "@" },
	{ ANY, { ADDRESS_107 "c" }, "ADDRESS", "107" },
	{ ANY, { "/s", "/t" }, "/t", "second" },
	{ ANY, { "/s", "--listen-fds" }, "ADDRESS /s", "--listen-fds" },
	{ ANY, { "--listen-fds", "-P", "--", "./x" }, "./x", "absolute" },
	{ ANY, { "--listen-fds", "-P", "--environment", "all", "--", "id" }, "--environment", "" },
	{ ANY, { "/s", "--" }, "--", "command" },
	{ ANY, { "/s", "--", "" }, "--", "command" },
	{ ANY, { "/s", "-p", "" }, "-p", "empty" },
	{ ANY, { "/s", "-C", "0778" }, "-C", "0778" },
	{ ANY, { "/s", "-C", "10000" }, "-C", "10000" },
	{ ANY, { "/s", "-U", "" }, "-U", "neither" },
	{ ANY, { "/s", "-U", ":" }, "-U", ":" },
	{ ANY, { "/s", "-U", "nosuch" }, "-U", "nosuch" },
	{ ANY, { "/s", "-U", "root:nosuch" }, "-U", "root:nosuch" },
	{ ANY, { "/s", "-U", "-1" }, "-U", "-1" },
	{ ANY, { "/s", "-U", "4294967295" }, "-U", "4294967295" },
	{ ANY, { "/s", "-U", ":4294967295" }, "-U", "4294967295" },
	{ ANY, { "/s", "-U", "3999999999:" }, "-U", "3999999999" },
	{ ANY, { "/s", "--allow", "nosuch" }, "--allow", "nosuch" },
	{ ANY, { "/s", "--allow", "root,@nosuch" }, "--allow", "@nosuch" },
	{ ANY, { "/s", "--allow", "@" }, "--allow", "@" },
	{ ANY, { "/s", "--allow", "" }, "--allow", "empty" },
	{ ANY, { "/s", "--allow", "4294967295" }, "--allow", "4294967295" },
	{ ANY, { "/s", "--max-sessions", "0" }, "--max-sessions", "0" },
	{ ANY, { "/s", "--max-sessions", "65537" }, "--max-sessions", "65537" },
	{ ANY, { "/s", "--max-pending=+1" }, "--max-pending", "+1" },
	{ ANY, { "/s", "--request-timeout", "3601" }, "--request-timeout", "3601" },
	{ ANY, { "/s", "--on-disconnect", "stop" }, "--on-disconnect", "stop" },
	{ ANY, { "/s", "-n", "--signals-pgid" }, "--signals-pgid", "-n" },
	{ ANY, { "/s", "-u", "nosuch" }, "-u", "nosuch" },
	{ ANY, { "/s", "-u", "3999999999" }, "-u", "passwd entry" },
	{ ANY, { "/s", "-u", "-1" }, "-u", "-1" },
	{ ANY, { "/s", "-u", "" }, "-u", "" },
	{ ANY, { "/s", "-u", "root", "-u", "root" }, "-u", "twice" },
	{ ANY, { "/s", "-P", "-u", "root" }, "-u root", "-P" },
	{ ANY, { "/s", "-x", "" }, "-x", "''" },
	{ ANY, { "/s", "-x", "a/b" }, "-x", "a/b" },
	{ ANY, { "/s", "-x", "." }, "-x", "." },
	{ ANY, { "/s", "-x", ".." }, "-x", ".." },
	{ ANY, { "/s", "--pam-confdir", "etc" }, "--pam-confdir", "etc" },
	{ ANY, { "/s", "--pam-confdir", "/nosuch" }, "--pam-confdir", "/nosuch" },
	{ ANY, { "/s", "--pam-confdir", "/dev/null" }, "--pam-confdir", "not a directory" },
	{ ANY,
	  { "/s", "-a", "/bin/check" },
	  "-a /bin/check",
	  "the -a program hook is gone; use pam_exec in the service for a check, --setup for "
	  "preparing a namespace; see the man page" },
	{ ANY, { "/s", "-a", "Always" }, "-a", "program hook is gone" },
	{ ANY, { "/s", "--auth-user", "nosuch" }, "--auth-user", "nosuch" },
	{ ANY, { "/s", "--auth-user", "" }, "--auth-user", "" },
	{ ANY, { "/s", "--auth-tries", "101" }, "--auth-tries", "101" },
	{ ANY, { "/s", "--auth-timeout", "0" }, "--auth-timeout", "0" },
	{ ANY, { "/s", "--audit", "on" }, "--audit", "on" },
	{ ANY, { "/s", "--no-pam", "-x", "su" }, "-x su", "--no-pam" },
	{ ANY, { "/s", "--no-pam", "--pam-confdir", "/etc" }, "--pam-confdir", "--no-pam" },
	{ ANY, { "/s", "--no-pam", "-a", "always" }, "-a always", "--no-pam" },
	{ ANY, { "/s", "--environment", "some" }, "--environment", "some" },
	{ ANY, { "/s", "-E", "--environment", "all" }, "--environment all", "-E" },
	{ ANY, { "/s", "-E", "--environment", "server" }, "--environment server", "-E" },
	{ ANY, { "/s", "--env-keep", "A,LD_PRELOAD" }, "--env-keep", "LD_PRELOAD" },
	{ ANY, { "/s", "--env-keep", "A=B" }, "--env-keep", "A=B" },
	{ ANY, { "/s", "--env-set", "A" }, "--env-set", "A" },
	{ ANY, { "/s", "--env-set", "1A=x" }, "--env-set", "1A=x" },
	/* safety */
	{ ANY, { "/s", "--environment", "all", "--", "id" }, "-- id", "PATH" },
	{ ANY, { "/s", "--environment", "safe", "--", "./id" }, "-- ./id", "directory" },
	{ ROOT, { "/s", "--", "id" }, "-- id", "PATH" },
	{ ROOT,
	  { "/s", "-u", "root", "-C", "666", "--environment", "all" },
	  "--environment all",
	  "privileges" },
	{ ROOT,
	  { "/s", "-P", "-C", "660", "--environment", "all" },
	  "--environment all",
	  "privileges" },
	/* without root */
	{ OTHER, { "/s", "-u", "root" }, "-u root", "root" },
	{ OTHER, { "/s", "--audit", "require" }, "--audit require", "root" },
	{ OTHER, { "/s", "-a", "always" }, "-a always", "root" },
	{ OTHER, { "/s", "-x", "dived" }, "-x dived", "root" },
	{ OTHER, { "/s", "-C", "666", "--environment", "all" }, "--environment all", "privileges" },
};

static void test_refused(void **state)
{
	(void)state;
	expect_refused(refused, ARRAY_LEN(refused));
}

static const struct acceptance accepted[] = {
	{ ANY, { "/s" } },
	{ ANY, { "@s" } },
	{ ANY, { ADDRESS_107 } },
	{ ANY, { "-d", "/s", "-A", "-E", "-H", "-O", "-M", "-S" } },
	{ ANY, { "/s", "-T", "-w", "-n", "--check" } },
	{ ANY, { "/s", "-p", "/a", "-p", "/b", "--no-pam" } },
	{ ANY, { "/s", "-E", "--environment", "none" } },
	{ ANY, { "/s", "--environment", "safe", "--", "id" } },
	{ ANY, { "/s", "--environment", "safe", "-H", "--", "./id" } },
	{ ANY, { "/s", "-E", "--", "id" } },
	{ ANY, { "/s", "--allow-insecure", "--", "id" } },
	{ ANY, { "/s", "--environment", "all", "--", "/bin/id" } },
	/* --allow says who may connect: nobody whom it would elevate */
	{ ROOT, { "/s", "-u", "root", "-C", "666", "--allow", "root", "--environment", "all" } },
	{ ANY, { "/s", "--allow", "root,@root,3999999999,@3999999999" } },
	{ ROOT, { "/s", "-u", "root", "-C", "666", "--", "id" } }, /* safe, as elevated */
	{ ROOT, { "/s", "-u", "root", "--environment", "all" } },  /* 0600: root alone */
	{ ROOT, { "/s", "-a", "always", "-x", "su", "--audit", "require" } },
	{ ROOT, { "/s", "--auth-user", "root", "--pam-confdir", "/etc" } },
	{ OTHER, { "/s", "--environment", "all" } },
	{ OTHER, { "/s", "--audit", "off", "-a", "never" } },
};

static void test_accepted(void **state)
{
	(void)state;
	expect_accepted(accepted, ARRAY_LEN(accepted));
}

static void test_defaults(void **state)
{
	const char *const words[WORDS] = { "/s" };
	struct config config;
	char error[256];

	(void)state;
	(void)umask(025);
	assert_int_equal(load(words, &config, error, sizeof(error)), 0);
	assert_string_equal(config.address, "/s");
	assert_int_equal(config.socket_mode, 0600);
	assert_int_equal(config.socket_uid, (uid_t)-1);
	assert_int_equal(config.socket_gid, (gid_t)-1);
	assert_false(config.allow_set);
	assert_int_equal(config.max_sessions, 1024);
	assert_int_equal(config.max_sessions_per_user, 256);
	assert_int_equal(config.max_pending, 64);
	assert_int_equal(config.max_pending_per_user, 8);
	assert_int_equal(config.request_timeout, 10);
	assert_int_equal(config.on_disconnect, CONFIG_DISCONNECT_HUP);
	assert_string_equal(config.pam_service, "dived");
	assert_null(config.pam_confdir);
	assert_int_equal(config.authenticate, CONFIG_AUTHENTICATE_AUTO);
	assert_string_equal(config.auth_user, "client");
	assert_int_equal(config.auth_tries, 3);
	assert_int_equal(config.auth_timeout, 120);
	assert_int_equal(config.audit, CONFIG_AUDIT_AUTO);
	assert_int_equal(config.environment, CONFIG_ENVIRONMENT_DEFAULT);
	assert_null(config.forced);
	assert_int_equal(config.no_pam, geteuid() != 0);
	assert_int_equal(config.no_setuid, geteuid() != 0);
	assert_int_equal(config.inherited.umask, 025);
	assert_int_equal(umask(022), 077);
	assert_true(config.inherited.directory >= 0);
	assert_int_equal(config.inherited.uid, geteuid());
	assert_ptr_not_equal(config.inherited.environment, environ);
	config_done(&config);
}

/* Without root there is no PAM, and ids stay. */
static void test_without_root(void **state)
{
	const char *const words[WORDS] = { "/s" };
	struct config config;
	char error[256];
	int result;

	(void)state;
	(void)become(OTHER);
	result = load(words, &config, error, sizeof(error));
	come_back();
	assert_int_equal(result, 0);
	assert_true(config.no_pam);
	assert_true(config.no_setuid);
	config_done(&config);
}

static void test_values(void **state)
{
	char *argv[] = { (char[]){ "dived" },
			 (char[]){ "--chmod=0660" },
			 (char[]){ "@x" },
			 (char[]){ "--allow" },
			 (char[]){ "root,@7" },
			 (char[]){ "--environment=server" },
			 (char[]){ "--env-set" },
			 (char[]){ "A=secret" },
			 (char[]){ "--on-disconnect=kill" },
			 (char[]){ "-a" },
			 (char[]){ "never" },
			 (char[]){ "--" },
			 (char[]){ "/bin/id" },
			 (char[]){ "-u" },
			 NULL };
	struct config config;
	char error[256], text[1024];

	(void)state;
	assert_int_equal(config_load(argv, &config, error, sizeof(error)), 0);
	assert_int_equal(config.socket_mode, 0660);
	assert_true(config.allow_set);
	assert_int_equal(config.allow_uid_count, 1);
	assert_int_equal(config.allow_uids[0], 0);
	assert_int_equal(config.allow_gid_count, 1);
	assert_int_equal(config.allow_gids[0], 7);
	assert_int_equal(config.environment, CONFIG_ENVIRONMENT_SERVER);
	assert_int_equal(config.on_disconnect, CONFIG_DISCONNECT_KILL);
	assert_int_equal(config.authenticate, CONFIG_AUTHENTICATE_NEVER);
	assert_string_equal(config.forced[0], "/bin/id");
	assert_string_equal(config.forced[1], "-u");
	assert_null(config.forced[2]);
	config_describe(&config, text, sizeof(text));
	assert_non_null(strstr(text, "address=@x mode=0660"));
	assert_non_null(strstr(text, " allow=root,@7"));
	assert_non_null(strstr(text, " environment=server"));
	assert_non_null(strstr(text, " env-set=A"));
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, " command=/bin/id -u"));
	size_t total = strlen(text);
	for (size_t size = 1; size < 64; size++) {
		assert_int_equal(config_describe(&config, text, size), total);
		assert_int_equal(strlen(text), size - 1);
	}
	/* A reload keeps what it cannot replace. */
	free(config.allow.items[1]);
	config.allow.items[1] = strdup("@nosuch");
	assert_int_equal(reload(&config, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "--allow @nosuch: there is no such group"));
	assert_int_equal(config.allow_gids[0], 7);
	free(config.allow.items[1]);
	config.allow.items[1] = strdup("@8");
	assert_int_equal(reload(&config, error, sizeof(error)), 0);
	assert_int_equal(config.allow_gids[0], 8);
	config_done(&config);
}

static void test_owner(void **state)
{
	static const struct {
		const char *text;
		uid_t uid;
		gid_t gid;
	} owners[] = {
		{ "root", 0, (gid_t)-1 },	   { "root:", 0, 0 },
		{ ":root", (uid_t)-1, 0 },	   { "root:5", 0, 5 },
		{ "3999999999:4", 3999999999, 4 }, { "3999999999", 3999999999, (gid_t)-1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		const char *const words[WORDS] = { "/s", "-U", owners[i].text };
		struct config config;
		char error[256];

		print_message("case: %s\n", owners[i].text);
		assert_int_equal(load(words, &config, error, sizeof(error)), 0);
		assert_int_equal(config.socket_uid, owners[i].uid);
		assert_int_equal(config.socket_gid, owners[i].gid);
		config_done(&config);
	}
}

/* --help wins over everything that is wrong beside it. */
static void test_questions(void **state)
{
	static const char *const questions[] = { "--help", "--version", "--dump-options" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		const char *const words[WORDS] = { questions[i], "-u", "nosuch" };
		struct config config;
		char error[256];

		assert_int_equal(load(words, &config, error, sizeof(error)), 0);
		assert_int_equal(config.help + config.version + config.dump_options, 1);
		config_done(&config);
	}
}

static uid_t only_bob[] = { 1001, 0 }, only_ann[] = { 1002 }, only_root[] = { 0 };
static gid_t group[] = { 5 };

static const struct {
	const char *what;
	struct config config;
	bool may;
} elevations[] = {
	{ "as themselves", { .socket_mode = 0666, .socket_uid = (uid_t)-1 }, false },
	{ "-u, open",
	  { .user = "bob", .user_uid = 1001, .socket_mode = 0666, .socket_uid = (uid_t)-1 },
	  true },
	{ "-u, root alone",
	  { .user = "bob", .user_uid = 1001, .socket_mode = 0600, .socket_uid = (uid_t)-1 },
	  false },
	{ "-u, its own socket",
	  { .user = "bob", .user_uid = 1001, .socket_mode = 0600, .socket_uid = 1001 },
	  false },
	{ "-u, another's socket",
	  { .user = "bob", .user_uid = 1001, .socket_mode = 0600, .socket_uid = 1002 },
	  true },
	{ "-u, group",
	  { .user = "bob", .user_uid = 1001, .socket_mode = 0620, .socket_uid = (uid_t)-1 },
	  true },
	{ "-P, open", { .no_setuid = 1, .socket_mode = 0666, .socket_uid = (uid_t)-1 }, true },
	{ "-P, own",
	  { .no_setuid = 1, .socket_mode = 0600, .socket_uid = (uid_t)-1, .inherited.uid = 1001 },
	  false },
	{ "-J",
	  { .mode = CONFIG_MODE_EXECUTE, .user = "bob", .user_uid = 1001, .socket_mode = 0666 },
	  false },
	{ "-i, whoever that is",
	  { .mode = CONFIG_MODE_INETD,
	    .user = "bob",
	    .user_uid = 1001,
	    .socket_mode = 0600,
	    .socket_uid = (uid_t)-1 },
	  true },
	{ "--listen-fds, the same",
	  { .listen_fds = 1,
	    .user = "bob",
	    .user_uid = 1001,
	    .socket_mode = 0600,
	    .socket_uid = (uid_t)-1 },
	  true },
	{ "-i, root allowed",
	  { .mode = CONFIG_MODE_INETD,
	    .user = "bob",
	    .user_uid = 1001,
	    .allow_set = true,
	    .allow_uids = only_root,
	    .allow_uid_count = 1 },
	  false },
	{ "-e, open",
	  { .effective_user = "bob", .socket_mode = 0666, .socket_uid = (uid_t)-1 },
	  true },
	{ "-e, root alone",
	  { .effective_user = "bob", .socket_mode = 0600, .socket_uid = (uid_t)-1 },
	  false },
	{ "-g, open", { .group_id_count = 1, .socket_mode = 0666, .socket_uid = (uid_t)-1 }, true },
	{ "-g, the target's own socket",
	  { .group_id_count = 1,
	    .user = "bob",
	    .user_uid = 1001,
	    .socket_mode = 0600,
	    .socket_uid = 1001 },
	  true },
	{ "-g, the target allowed",
	  { .group_id_count = 1,
	    .user = "bob",
	    .user_uid = 1001,
	    .socket_mode = 0666,
	    .allow_set = true,
	    .allow_uids = only_bob,
	    .allow_uid_count = 2 },
	  true },
	{ "-m, open", { .ambient = 1, .socket_mode = 0666, .socket_uid = (uid_t)-1 }, true },
	{ "-c, open",
	  { .capabilities.set = true, .socket_mode = 0666, .socket_uid = (uid_t)-1 },
	  true },
	{ "-c with -J", { .capabilities.set = true, .mode = CONFIG_MODE_EXECUTE }, false },
	{ "only himself allowed",
	  { .user = "bob",
	    .user_uid = 1001,
	    .socket_mode = 0666,
	    .socket_uid = (uid_t)-1,
	    .allow_set = true,
	    .allow_uids = only_bob,
	    .allow_uid_count = 2 },
	  false },
	{ "another allowed",
	  { .user = "bob",
	    .user_uid = 1001,
	    .socket_mode = 0666,
	    .socket_uid = (uid_t)-1,
	    .allow_set = true,
	    .allow_uids = only_ann,
	    .allow_uid_count = 1 },
	  true },
	{ "ids of others",
	  { .other_ids = true, .socket_mode = 0666, .socket_uid = (uid_t)-1 },
	  true },
	{ "ids of others, for root alone",
	  { .other_ids = true, .socket_mode = 0600, .socket_uid = (uid_t)-1 },
	  false },
	{ "a group allowed",
	  { .user = "bob",
	    .user_uid = 1001,
	    .socket_mode = 0666,
	    .socket_uid = (uid_t)-1,
	    .allow_set = true,
	    .allow_gids = group,
	    .allow_gid_count = 1 },
	  true },
};

static void test_may_elevate(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(elevations); i++) {
		print_message("case: %s\n", elevations[i].what);
		assert_int_equal(config_may_elevate(&elevations[i].config), elevations[i].may);
	}
}

/* The table itself: rows of one group stand together, names come once. */
static void test_table(void **state)
{
	const struct option_row *rows = config_table.rows;

	(void)state;
	for (size_t i = 0; i < config_table.count; i++) {
		assert_non_null(rows[i].long_name);
		assert_non_null(rows[i].help);
		assert_true(rows[i].help[strlen(rows[i].help) - 1] != '.');
		for (size_t j = i + 1; j < config_table.count; j++) {
			assert_string_not_equal(rows[i].long_name, rows[j].long_name);
			if (rows[i].short_name && rows[j].short_name)
				assert_string_not_equal(rows[i].short_name, rows[j].short_name);
			if (strcmp(rows[i].group, rows[j].group) == 0)
				assert_string_equal(rows[j - 1].group, rows[j].group);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused),	 TEST(test_accepted),	 TEST(test_defaults),
		TEST(test_without_root), TEST(test_values),	 TEST(test_owner),
		TEST(test_questions),	 TEST(test_may_elevate), TEST(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
