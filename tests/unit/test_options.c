/*
 * options: what a command line means, what it is told when it means nothing,
 * and what --help looks like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "options.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct config {
	unsigned detach, tries, audit;
	mode_t mode;
	const char *user;
	struct option_list content, allow, retain;
};

#define AT(field) .offset = offsetof(struct config, field)

static const char *const audit_choices[] = { "auto", "require", "off", NULL };

static const struct option_row rows[] = {
	{ "Serving", "d", "detach", NULL, OPTION_FLAG, AT(detach), .value = 2,
	  .help = "detach after the socket listens" },
	{ "Serving", "C", "chmod", "MODE", OPTION_MODE, 1, AT(mode), .help = "mode of the socket" },
	{ "Who", "u", "user", "USER", OPTION_TEXT, 1, AT(user), .once = true,
	  .help = "target account: a name, or a number that has a passwd entry, and this "
		  "sentence goes on for more than one line" },
	{ "Who", NULL, "auth-tries", "N", OPTION_UINT, 1, AT(tries), .min = 1, .max = 100,
	  .help = "attempts" },
	{ "Who", NULL, "allow", "USER,...", OPTION_NAMES, 1, AT(allow), .help = "only these" },
	{ "Who", "B", NULL, "LIST", OPTION_NAMES, 1, AT(retain), .value = 1, .help = "keep these" },
	{ "Rest", "t", "write-content", "FILE TEXT", OPTION_LIST, 2, AT(content), .help = "write" },
	{ "Rest", "tt", NULL, NULL, OPTION_FLAG, AT(detach), .value = 9, .help = "map" },
	{ "Rest", NULL, "audit", "WHEN", OPTION_CHOICE, 1, AT(audit), .value = 5,
	  .choices = audit_choices, .help = "audit" },
	{ "Rest", NULL, "secret", NULL, OPTION_FLAG, AT(detach), .value = 1, .help = "hidden one",
	  .hidden = true },
};

static const struct option_table server = {
	"dived", "dived ADDRESS [options]\ndived -i [options]", "About it.", rows, ARRAY_LEN(rows),
	false,
};
static const struct option_table client = {
	"dive", "dive [options] ADDRESS", NULL, rows, ARRAY_LEN(rows), true,
};

struct run {
	struct config config;
	struct option_operands operands;
	char error[256];
	int r;
};

#define RUN(run, table, ...) run_options(run, table, (const char *[]){ "prog", __VA_ARGS__, NULL })

static void run_options(struct run *run, const struct option_table *table, const char *const *words)
{
	*run = (struct run){ .config = { .mode = 0600, .audit = 77 } };
	run->r = options_parse(table, (char *const *)(uintptr_t)words, &run->config, &run->operands,
			       run->error, sizeof(run->error));
}

static void run_done(struct run *run)
{
	option_operands_done(&run->operands);
	option_list_done(&run->config.content);
	option_list_done(&run->config.allow);
	option_list_done(&run->config.retain);
}

static void test_every_type(void **state)
{
	struct run run;

	(void)state;
	RUN(&run, &server, "-d", "--chmod=0660", "addr", "-u", "bob", "--auth-tries", "100",
	    "--allow=a,,b,", "-t", "f", "x", "--write-content=g", "y", "--audit", "require");
	assert_int_equal(run.r, 0);
	assert_int_equal(run.config.detach, 2);
	assert_int_equal(run.config.mode, 0660);
	assert_string_equal(run.config.user, "bob");
	assert_int_equal(run.config.tries, 100);
	assert_int_equal(run.config.audit, 6);
	assert_int_equal(run.config.allow.count, 2);
	assert_string_equal(run.config.allow.items[0], "a");
	assert_string_equal(run.config.allow.items[1], "b");
	assert_null(run.config.allow.items[2]);
	assert_int_equal(run.config.content.count, 4);
	assert_string_equal(run.config.content.items[2], "g");
	assert_string_equal(run.config.content.items[3], "y");
	assert_int_equal(run.operands.count, 1);
	assert_string_equal(run.operands.operands[0], "addr");
	assert_null(run.operands.rest);
	assert_null(run.config.retain.items); /* not given */
	run_done(&run);
	RUN(&run, &server, "-tt", "--user=", "-B", "");
	assert_int_equal(run.r, 0);
	assert_int_equal(run.config.detach, 9);
	assert_int_equal(run.config.mode, 0600); /* the default stays */
	assert_string_equal(run.config.user, "");
	assert_int_equal(run.config.retain.count, 0);
	assert_non_null(run.config.retain.items); /* given, and empty */
	run_done(&run);
}

static void test_end_of_options(void **state)
{
	struct run run;

	(void)state;
	RUN(&run, &server, "a", "-", "-d", "--", "-d", "--");
	assert_int_equal(run.r, 0);
	assert_int_equal(run.operands.count, 2);
	assert_string_equal(run.operands.operands[1], "-");
	assert_string_equal(run.operands.rest[0], "-d");
	assert_string_equal(run.operands.rest[1], "--");
	assert_null(run.operands.rest[2]);
	run_done(&run);
	RUN(&run, &server, "a", "--");
	assert_non_null(run.operands.rest); /* there, and empty */
	assert_null(run.operands.rest[0]);
	run_done(&run);
	RUN(&run, &client, "-d", "addr", "-u", "--", "--frob");
	assert_int_equal(run.r, 0);
	assert_null(run.config.user);
	assert_int_equal(run.operands.count, 4);
	assert_string_equal(run.operands.operands[3], "--frob");
	assert_string_equal(run.operands.operands[2], "--");
	run_done(&run);
	RUN(&run, &client, "--", "-addr", "--", "-d");
	assert_int_equal(run.r, 0);
	assert_int_equal(run.operands.count, 3);
	assert_string_equal(run.operands.operands[0], "-addr");
	assert_null(run.operands.rest);
	assert_int_equal(run.config.detach, 0);
	run_done(&run);
	run_options(&run, &server, (const char *[]){ NULL }); /* not even argv[0] */
	assert_int_equal(run.r, 0);
	assert_int_equal(run.operands.count, 0);
	run_done(&run);
}

static void test_errors(void **state)
{
	static const struct {
		const char *words[4]; /* behind the program's name */
		const char *error;
	} cases[] = {
		{ { "--frob" }, "unknown option --frob" },
		{ { "--frob=x" }, "unknown option --frob" },
		{ { "-z" }, "unknown option -z" },
		{ { "-ubob" }, "unknown option -ubob" },
		{ { "-u=bob" }, "unknown option -u=bob" },
		{ { "-dd" }, "unknown option -dd" },
		{ { "--use", "bob" }, "unknown option --use" },
		{ { "--B", "x" }, "unknown option --B" },
		{ { "-user", "x" }, "unknown option -user" },
		{ { "--=x" }, "unknown option --" },
		{ { "-\033[2J" }, "unknown option -\\033[2J" },
		{ { "--user" }, "--user needs a value" },
		{ { "-u" }, "-u needs a value" },
		{ { "-t", "f" }, "-t needs two values: FILE TEXT" },
		{ { "--write-content=f" }, "--write-content needs two values: FILE TEXT" },
		{ { "--detach=yes" }, "--detach takes no value" },
		{ { "--detach=" }, "--detach takes no value" },
		{ { "--auth-tries", "x" }, "--auth-tries: \"x\" is not a number from 1 to 100" },
		{ { "--auth-tries=0" }, "--auth-tries: \"0\" is not a number from 1 to 100" },
		{ { "--auth-tries=101" }, "--auth-tries: \"101\" is not a number from 1 to 100" },
		{ { "--auth-tries=a\nb" },
		  "--auth-tries: \"a\\nb\" is not a number from 1 to 100" },
		{ { "-C", "9z" }, "-C: \"9z\" is not an octal mode" },
		{ { "--audit", "x" }, "--audit: \"x\" is not one of auto, require, off" },
		{ { "--audit=" }, "--audit: \"\" is not one of auto, require, off" },
		{ { "--allow", "" }, "--allow: \"\" is an empty list" },
		{ { "--allow=,," }, "--allow: \",,\" is an empty list" },
		{ { "-u", "a", "--user=b" }, "--user is given twice" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *words[6] = { "prog" };
		struct run run;

		print_message("case: %s\n", cases[i].error);
		memcpy(words + 1, cases[i].words, sizeof(cases[i].words));
		run_options(&run, &server, words);
		assert_int_equal(run.r, -EINVAL);
		assert_string_equal(run.error, cases[i].error);
		assert_null(run.operands.operands);
		run_done(&run);
	}
}

static void test_long_value_is_cut(void **state)
{
	char value[400], small[8];
	struct config config = { 0 };
	struct option_operands operands = { 0 };
	struct run run;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	RUN(&run, &server, "--auth-tries", value);
	assert_int_equal(run.r, -EINVAL);
	assert_non_null(strstr(run.error, "vvv...\" is not a number from 1 to 100"));
	run_done(&run);
	assert_int_equal(
		options_parse(&server,
			      (char *const *)(uintptr_t)(const char *[]){ "p", "--frob", NULL },
			      &config, &operands, small, sizeof(small)),
		-EINVAL);
	assert_string_equal(small, "unknown");
}

static void test_list(void **state)
{
	struct option_list list = { 0 };
	char text[] = "a";

	(void)state;
	option_list_done(&list);
	assert_int_equal(option_list_add(&list, text), 0);
	text[0] = 'b'; /* a copy was taken */
	assert_int_equal(option_list_add(&list, text), 0);
	assert_string_equal(list.items[0], "a");
	assert_string_equal(list.items[1], "b");
	assert_null(list.items[2]);
	option_list_done(&list);
	assert_null(list.items);
	assert_int_equal(list.count, 0);
}

static void test_help(void **state)
{
	static const char wanted[] =
		"usage: dived ADDRESS [options]\n"
		"       dived -i [options]\n"
		"\n"
		"About it.\n"
		"\n"
		"Serving:\n"
		"  -d, --detach            detach after the socket listens\n"
		"  -C, --chmod MODE        mode of the socket\n"
		"\n"
		"Who:\n"
		"  -u, --user USER         target account: a name, or a number that has a passwd\n"
		"                          entry, and this sentence goes on for more than one\n"
		"                          line\n"
		"      --auth-tries N      attempts\n"
		"      --allow USER,...    only these\n"
		"  -B LIST                 keep these\n"
		"\n"
		"Rest:\n"
		"  -t, --write-content FILE TEXT\n"
		"                          write\n"
		"  -tt                     map\n"
		"      --audit WHEN        audit\n";
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	options_help(&server, out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, wanted);
	free(text);
}

static void test_dump(void **state)
{
	char *text = NULL;
	size_t len, lines = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	options_dump(&server, out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	assert_int_equal(lines, ARRAY_LEN(rows) - 1);
	assert_non_null(strstr(text, "Serving\td\tdetach\t-\tflag\tdetach after"));
	assert_non_null(strstr(text, "Who\tB\t-\tLIST\tnames\tkeep these\n"));
	assert_non_null(strstr(text, "Rest\t-\taudit\tWHEN\tchoice\taudit\n"));
	assert_null(strstr(text, "hidden"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type), cmocka_unit_test(test_end_of_options),
		cmocka_unit_test(test_errors),	   cmocka_unit_test(test_long_value_is_cut),
		cmocka_unit_test(test_list),	   cmocka_unit_test(test_help),
		cmocka_unit_test(test_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
