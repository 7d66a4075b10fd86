/*
 * environment: one row for each rule about who may set what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "environment.h"
#include "leak.h"
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char bob_name[] = "bob", bob_home[] = "/home/bob", bob_shell[] = "/bin/dash";
static const struct account bob = { 1001, 1001, bob_name, bob_home, bob_shell };

static char keep_item[] = "MY_VAR", keep_zone[] = "TZ", keep_ours[] = "DIVE_UID";
static char *keep_items[] = { keep_item, keep_zone, keep_ours, NULL };
static const struct option_list keep = { keep_items, 3 };

/* What becomes of one line of the client's, or of dived's own. */
static const struct {
	const char *what;
	enum config_environment mode;
	bool server; /* the line is dived's own */
	const char *line;
	const char *name;
	const char *value; /* NULL: not there */
} lines[] = {
#define ALL    CONFIG_ENVIRONMENT_ALL, false
#define SAFE   CONFIG_ENVIRONMENT_SAFE, false
#define NONE   CONFIG_ENVIRONMENT_NONE, false
#define SERVER CONFIG_ENVIRONMENT_SERVER, true
	{ "all takes anything", ALL, "LD_PRELOAD=/x.so", "LD_PRELOAD", "/x.so" },
	{ "all takes functions", ALL, "BASH_FUNC_x%%=() { :; }", "BASH_FUNC_x%%", "() { :; }" },
	{ "all keeps HOME", ALL, "HOME=/mine", "HOME", "/mine" },
	{ "all does not add USER", ALL, "A=1", "USER", NULL },
	{ "all drops ours", ALL, "DIVE_UID=0", "DIVE_UID", NULL },
	{ "all drops unknown of ours", ALL, "DIVE_X=0", "DIVE_X", NULL },
	{ "DIVE alone is not ours", ALL, "DIVE=0", "DIVE", "0" },
	{ "value may hold =", ALL, "A=b=c", "A", "b=c" },
	{ "no =", ALL, "LANG", "LANG", NULL },
	{ "empty value", ALL, "A=", "A", "" },
	{ "all ignores dived's", CONFIG_ENVIRONMENT_ALL, true, "A=1", "A", NULL },
	{ "TERM", SAFE, "TERM=xterm", "TERM", "xterm" },
	{ "COLORTERM", SAFE, "COLORTERM=truecolor", "COLORTERM", "truecolor" },
	{ "NO_COLOR", SAFE, "NO_COLOR=1", "NO_COLOR", "1" },
	{ "LANG", SAFE, "LANG=C.UTF-8", "LANG", "C.UTF-8" },
	{ "LANGUAGE", SAFE, "LANGUAGE=de:en", "LANGUAGE", "de:en" },
	{ "LC_*", SAFE, "LC_ALL=C", "LC_ALL", "C" },
	{ "kept", SAFE, "MY_VAR=1", "MY_VAR", "1" },
	{ "kept, no prefix", SAFE, "MY_VARS=1", "MY_VARS", NULL },
	{ "kept, not longer", SAFE, "MY_VA=1", "MY_VA", NULL },
	{ "unknown", SAFE, "EDITOR=vi", "EDITOR", NULL },
	{ "TERM is no prefix", SAFE, "TERMINFO=x", "TERMINFO", NULL },
	{ "LC is not LC_*", SAFE, "LC=x", "LC", NULL },
	{ "loader", SAFE, "LD_PRELOAD=x", "LD_PRELOAD", NULL },
	{ "ours", SAFE, "DIVE_UID=0", "DIVE_UID", NULL },
	{ "name with a dot", SAFE, "LC_A.B=x", "LC_A.B", NULL },
	{ "name with a newline", SAFE, "LC_A\n=x", "LC_A\n", NULL },
	{ "value with /", SAFE, "LANG=../x", "LANG", NULL },
	{ "value with %", SAFE, "LC_ALL=%s", "LC_ALL", NULL },
	{ "function", SAFE, "TERM=() { :; }", "TERM", NULL },
	{ "() inside is none", SAFE, "TERM=x()", "TERM", "x()" },
	{ "kept with /", SAFE, "MY_VAR=/x", "MY_VAR", NULL },
	{ "kept with %", SAFE, "MY_VAR=%n", "MY_VAR", NULL },
	{ "kept function", SAFE, "MY_VAR=() {", "MY_VAR", NULL },
	{ "zone", SAFE, "TZ=Europe/Berlin", "TZ", "Europe/Berlin" },
	{ "zone, colon", SAFE, "TZ=:Europe/Berlin", "TZ", "Europe/Berlin" },
	{ "zone, path", SAFE, "TZ=:/usr/share/zoneinfo/UTC", "TZ", "/usr/share/zoneinfo/UTC" },
	{ "zone, rule", SAFE, "TZ=<+03>-3,M3.5.0,M10.5.0/3:30", "TZ",
	  "<+03>-3,M3.5.0,M10.5.0/3:30" },
	{ "zone, empty", SAFE, "TZ=", "TZ", "" },
	{ "zone elsewhere", SAFE, "TZ=/etc/shadow", "TZ", NULL },
	{ "zone elsewhere, colon", SAFE, "TZ=:/etc/shadow", "TZ", NULL },
	{ "zone elsewhere, colons", SAFE, "TZ=::/etc/shadow", "TZ", NULL },
	{ "zone beside", SAFE, "TZ=/usr/share/zoneinfox", "TZ", NULL },
	{ "zone up", SAFE, "TZ=/usr/share/zoneinfo/../../x", "TZ", NULL },
	{ "zone up, relative", SAFE, "TZ=../x", "TZ", NULL },
	{ "zone inside up", SAFE, "TZ=Europe/../../../x", "TZ", NULL },
	{ "zone here", SAFE, "TZ=./x", "TZ", NULL },
	{ "zone, root again", SAFE, "TZ=/usr/share/zoneinfo//x", "TZ", NULL },
	{ "zone with %", SAFE, "TZ=%s", "TZ", NULL },
	{ "zone with space", SAFE, "TZ=a b", "TZ", NULL },
	{ "zone function", SAFE, "TZ=() { :; }", "TZ", NULL },
	{ "safe HOME", SAFE, "HOME=/mine", "HOME", "/home/bob" },
	{ "safe SHELL", SAFE, "SHELL=x", "SHELL", "/bin/dash" },
	{ "safe USER", SAFE, "USER=x", "USER", "bob" },
	{ "safe LOGNAME", SAFE, "LOGNAME=x", "LOGNAME", "bob" },
	{ "safe MAIL", SAFE, "MAIL=x", "MAIL", "/var/mail/bob" },
	{ "safe PATH", SAFE, "PATH=/x", "PATH", ENVIRONMENT_PATH },
	{ "none takes nothing", NONE, "LANG=C", "LANG", NULL },
	{ "none USER", NONE, "USER=x", "USER", "bob" },
	{ "none, dived's LANG", CONFIG_ENVIRONMENT_NONE, true, "LANG=C", "LANG", "C" },
	{ "none, dived's TZ", CONFIG_ENVIRONMENT_NONE, true, "TZ=/x", "TZ", "/x" },
	{ "none, dived's other", CONFIG_ENVIRONMENT_NONE, true, "TERM=x", "TERM", NULL },
	{ "server", SERVER, "A=/1", "A", "/1" },
	{ "server keeps PATH", SERVER, "PATH=/x", "PATH", "/x" },
	{ "server, not the manager's", SERVER, "NOTIFY_SOCKET=x", "NOTIFY_SOCKET", NULL },
	{ "server, LISTEN_FDS", SERVER, "LISTEN_FDS=3", "LISTEN_FDS", NULL },
	{ "server, ours", SERVER, "DIVE_UID=0", "DIVE_UID", NULL },
	{ "server, not the client's", CONFIG_ENVIRONMENT_SERVER, false, "A=1", "A", NULL },
};

static void check_value(char **list, const char *name, const char *value)
{
	const char *found = environment_get(list, name);

	if (value) {
		assert_non_null(found);
		assert_string_equal(found, value);
	} else {
		assert_null(found);
	}
}

static void test_base(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		cleanup_free char *line = strdup(lines[i].line);
		char *const list[] = { line, NULL };
		const struct environment_input input = {
			.mode = lines[i].mode,
			.client = lines[i].server ? NULL : list,
			.server = lines[i].server ? list : NULL,
			.keep = &keep,
			.target = &bob,
		};
		char **made;

		print_message("case: %s\n", lines[i].what);
		assert_int_equal(environment_make(&input, &made), 0);
		check_value(made, lines[i].name, lines[i].value);
		environment_done(&made);
		assert_null(made);
	}
}

/* Each source overrides those before it. */
static void test_order(void **state)
{
	static char client[] = "LANG=client", pam1[] = "LANG=pam", pam2[] = "PATH=/pam";
	static char pam3[] = "nothing", set1[] = "LANG=set", set2[] = "DIVE_UID=7";
	static char dive[] = "DIVE_UID=5";
	char *const client_list[] = { client, NULL };
	char *const pam_list[] = { pam1, pam2, pam3, NULL };
	char *set_list[] = { set1, set2, NULL };
	char *const dive_list[] = { dive, NULL };
	const struct option_list set = { set_list, 2 };
	struct environment_input input = {
		.mode = CONFIG_ENVIRONMENT_SAFE,
		.client = client_list,
		.target = &bob,
	};
	char **made;

	(void)state;
	assert_int_equal(environment_make(&input, &made), 0);
	check_value(made, "LANG", "client");
	check_value(made, "PATH", ENVIRONMENT_PATH);
	environment_done(&made);
	input.pam = pam_list;
	assert_int_equal(environment_make(&input, &made), 0);
	check_value(made, "LANG", "pam");
	check_value(made, "PATH", "/pam");
	environment_done(&made);
	input.set = &set;
	assert_int_equal(environment_make(&input, &made), 0);
	check_value(made, "LANG", "set");
	check_value(made, "DIVE_UID", "7");
	environment_done(&made);
	input.dive = dive_list;
	assert_int_equal(environment_make(&input, &made), 0);
	check_value(made, "DIVE_UID", "5");
	for (size_t i = 0; made[i]; i++)
		for (size_t j = i + 1; made[j]; j++)
			assert_false(strncmp(made[i], made[j], strcspn(made[i], "=") + 1) == 0);
	environment_done(&made);
}

static void test_first_of_repeated_counts(void **state)
{
	static char a[] = "B=1", b[] = "LANG=/bad", c[] = "B=2", d[] = "LANG=C", e[] = "BB=3";
	char *const list[] = { a, b, c, d, e, NULL };
	struct environment_input input = {
		.mode = CONFIG_ENVIRONMENT_ALL,
		.client = list,
		.target = &bob,
	};
	char **made;

	(void)state;
	assert_int_equal(environment_make(&input, &made), 0);
	assert_string_equal(made[0], "B=1");
	assert_string_equal(made[1], "LANG=/bad");
	assert_string_equal(made[2], "BB=3");
	assert_null(made[3]);
	environment_done(&made);
	input.mode = CONFIG_ENVIRONMENT_SAFE; /* a bad first does not make room for a second */
	assert_int_equal(environment_make(&input, &made), 0);
	check_value(made, "LANG", NULL);
	environment_done(&made);
}

static void test_nameless_target(void **state)
{
	const struct account nameless = { .uid = 4000, .gid = 4000 };
	const struct environment_input input = {
		.mode = CONFIG_ENVIRONMENT_NONE,
		.target = &nameless,
	};
	char **made;

	(void)state;
	assert_int_equal(environment_make(&input, &made), 0);
	check_value(made, "USER", NULL);
	check_value(made, "MAIL", NULL);
	check_value(made, "HOME", NULL);
	check_value(made, "SHELL", "/bin/sh");
	environment_done(&made);
}

static void test_bounds(void **state)
{
	cleanup_free char *line = malloc(MESSAGE_STRING_MAX + 1);
	char *const list[] = { line, NULL };
	const struct environment_input input = {
		.mode = CONFIG_ENVIRONMENT_ALL,
		.client = list,
		.target = &bob,
	};
	char **made = NULL;

	(void)state;
	assert_non_null(line);
	memset(line, 'a', MESSAGE_STRING_MAX);
	line[1] = '=';
	line[MESSAGE_STRING_MAX - 1] = '\0';
	assert_int_equal(environment_make(&input, &made), 0);
	environment_done(&made);
	line[MESSAGE_STRING_MAX - 1] = 'a';
	line[MESSAGE_STRING_MAX] = '\0';
	assert_int_equal(environment_make(&input, &made), -E2BIG);
	assert_null(made);
}

/* As many lines as a client may send: minutes, were each compared with all others. */
static void test_many(void **state)
{
	size_t count = 200000;
	char **list = calloc(count + 1, sizeof(*list));
	const struct environment_input input = {
		.mode = CONFIG_ENVIRONMENT_ALL,
		.client = list,
		.target = &bob,
	};
	char **made;

	(void)state;
	assert_non_null(list);
	for (size_t i = 0; i < count; i++)
		assert_true(asprintf(&list[i], "V%zu=x", i) > 0);
	assert_int_equal(environment_make(&input, &made), 0);
	assert_string_equal(made[count - 1], list[count - 1]);
	environment_done(&made);
	environment_done(&list);
}

static void test_mode(void **state)
{
	static const struct {
		unsigned environment, none;
		bool elevated;
		enum config_environment mode;
	} cases[] = {
		{ CONFIG_ENVIRONMENT_DEFAULT, 0, false, CONFIG_ENVIRONMENT_ALL },
		{ CONFIG_ENVIRONMENT_DEFAULT, 0, true, CONFIG_ENVIRONMENT_SAFE },
		{ CONFIG_ENVIRONMENT_DEFAULT, 1, false, CONFIG_ENVIRONMENT_NONE },
		{ CONFIG_ENVIRONMENT_SAFE, 0, false, CONFIG_ENVIRONMENT_SAFE },
		{ CONFIG_ENVIRONMENT_ALL, 0, true, CONFIG_ENVIRONMENT_ALL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct config config = {
			.environment = cases[i].environment,
			.no_environment = cases[i].none,
		};

		assert_int_equal(environment_mode(&config, cases[i].elevated), cases[i].mode);
	}
}

static void test_options(void **state)
{
	static const char *const kept[] = { "EDITOR", "_x9", "SSH_AUTH_SOCK", "LDX", "ENVY", "P" };
	static const char *const not_kept[] = {
		"",	    "A=B",	     "1A",	    "LC_*",
		"A B",	    "LD_PRELOAD",    "LD_",	    "GCONV_PATH",
		"ENV",	    "IFS",	     "PS4",	    "BASH_ENV",
		"PERL5LIB", "PYTHONSTARTUP", "BASH_FUNC_x", "GLIBC_TUNABLES",
		"DIVE_UID",
	};
	static const char *const set[] = { "A=", "A=b=c", "LD_PRELOAD=/x", "_=1" };
	static const char *const not_set[] = { "", "A", "=x", "1A=x", "A B=x", "A.B=x" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		assert_true(environment_keep_allowed(kept[i]));
	for (size_t i = 0; i < ARRAY_LEN(not_kept); i++)
		assert_false(environment_keep_allowed(not_kept[i]));
	for (size_t i = 0; i < ARRAY_LEN(set); i++)
		assert_true(environment_set_valid(set[i]));
	for (size_t i = 0; i < ARRAY_LEN(not_set); i++)
		assert_false(environment_set_valid(not_set[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_base, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_order, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_first_of_repeated_counts, leak_setup,
						leak_teardown),
		cmocka_unit_test_setup_teardown(test_nameless_target, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_bounds, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_many, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_mode, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_options, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
