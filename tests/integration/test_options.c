/*
 * dived's command line as such: order and forms of options, numbers that are no ids, and
 * forced commands whose meaning the client would decide.
 */
#include "cleanup.h"
#include "gateway_scene.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"

#include <sys/stat.h>
#include <unistd.h>

#define PATH "/run/dive-test/options.sock"
#define HERE "/run/dive-test/here" /* where dived is started */
#define MINE "/run/dive-test/mine" /* the client's PATH and directory */

/* --- order and forms -------------------------------------------------------------------- */

/*
 * The same gateway, however it is written, as --check says; but for whether the kernel
 * audits, which other tests change meanwhile.
 */
static void test_any_order_and_form(void **state)
{
	static const char *const forms[][18] = {
		{ "--check", PATH, "--audit", "off", "-u", "bob", "-C", "0660", "--allow",
		  "alice,@bob", "-n", "--", "/bin/id", "-u" },
		{ "-C", "0660", "-n", "--audit=off", "--check", "-u", "bob", PATH, "--allow",
		  "alice,@bob", "--", "/bin/id", "-u" },
		{ "--allow=alice", "--signals", "--audit=off", "--user=bob", "--chmod=0660",
		  "--allow=@bob", PATH, "--check", "--", "/bin/id", "-u" },
		{ "--user", "bob", "--audit", "off", "--chmod", "660", "--check", "--signals",
		  "--allow", "alice", PATH, "--allow", "@bob", "--", "/bin/id", "-u" },
	};
	char first[4096] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const char *argv[20] = { sandbox_dived() };
		struct run command;

		print_message("case: %zu\n", i);
		for (size_t j = 0; forms[i][j]; j++)
			argv[j + 1] = forms[i][j];
		run(&command, &(struct run_options){ .argv = argv });
		run_assert_status(&command, 0);
		if (i == 0)
			(void)snprintf(first, sizeof(first), "%s", command.out);
		assert_string_equal(command.out, first);
		assert_non_null(strstr(first, "bob"));
		run_done(&command);
	}
}

/* A list has as many entries as a command line can hold: the last one counts, too. */
static void test_long_lists(void **state)
{
	char list[64 * 1024] = "";
	size_t len = 0;
	struct run command;

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%u,", i % 2 ? "@" : "",
					70000 + i); /* fits */
	(void)snprintf(list + len, sizeof(list) - len, "alice");
	gateway_start(&gateway, RUN_WORDS("--allow", list));
	dive(&command, &alice, RUN_WORDS("true"));
	run_done(&command);
	run_dive(&command, &(struct run_options){ .account = "bob" }, &gateway, RUN_WORDS("true"));
	run_assert_status(&command, 77);
	run_done(&command);
	gateway_stop(&gateway);
}

/* --- ids ---------------------------------------------------------------------------------- */

/* In front of what an option takes, where that is an id. */
static void test_impossible_ids(void **state)
{
	static const struct {
		const char *option;
		const char *before; /* of its value */
	} places[] = {
		{ "-u", "" },	   { "-U", "" },       { "-U", ":" },		{ "-U", "alice:" },
		{ "--allow", "" }, { "--allow", "@" }, { "--allow", "alice," },
	};
	static const char *const values[] = {
		"-1",	 "4294967295", "4294967296", "18446744073709551616", "+2002", " 2002",
		"2002 ", "0x7d2",      "2002.0",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places) * ARRAY_LEN(values); i++) {
		const char *option = places[i / ARRAY_LEN(values)].option;
		char value[64];

		(void)snprintf(value, sizeof(value), "%s%s", places[i / ARRAY_LEN(values)].before,
			       values[i % ARRAY_LEN(values)]); /* fits */
		print_message("case: %s '%s'\n", option, value);
		gateway_expect_refusal(RUN_WORDS(PATH, option, value), option);
		assert_int_equal(access(PATH, F_OK), -1);
	}
	gateway_start(&gateway, RUN_WORDS("-u", "2002", "-a", "never", "--allow", "2001"));
	gateway_stop(&gateway); /* so it is not the form that is refused */
}

/* --- forced commands ---------------------------------------------------------------------- */

/* A program "tool" that says where it lies. */
static void make_tool(const char *directory)
{
	char path[128];

	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		MUST(-1);
	(void)snprintf(path, sizeof(path), "%s/tool", directory); /* fits */
	sandbox_write(path, 0755, "#!/bin/sh\necho %s\n", directory);
}

/*
 * A client that sets PATH, or whose directory counts, would say what is run: such a
 * gateway does not start.  That it would is shown where it is forced to.
 */
static void test_forced_command_is_the_servers(void **state)
{
	static const struct {
		const char *options[10];
		const char *refused; /* part of the complaint; NULL: it is served */
		const char *out;
	} cases[] = {
		{ { "--", "tool" }, "-- tool: not an absolute path, and the client's PATH", NULL },
		{ { "--environment=all", "--", "tool" }, "the client's PATH", NULL },
		{ { "--", "./tool" },
		  "-- ./tool: not an absolute path, and the client's dir",
		  NULL },
		{ { "-E", "--", "./tool" }, "the client's directory", NULL },
		{ { "--environment=server", "--", "./tool" }, "the client's directory", NULL },
		{ { "--allow-insecure", "--", "tool" }, NULL, MINE "\n" },
		{ { "--allow-insecure", "--", "./tool" }, NULL, MINE "\n" },
		{ { "-H", "--", "./tool" }, NULL, HERE "\n" },
		{ { "--environment=server", "--", "tool" }, NULL, HERE "\n" },
		{ { "-E", "--env-set", "PATH=" HERE, "--", "tool" }, NULL, HERE "\n" },
		{ { "-u", "bob", "-a", "never", "--env-set", "PATH=" HERE, "--", "tool" },
		  NULL,
		  HERE "\n" },
		{ { "--", HERE "/tool" }, NULL, HERE "\n" },
	};
	const struct run_options server = { .directory = HERE, .envp = RUN_WORDS("PATH=" HERE) };
	const struct run_options client = { .account = "alice",
					    .directory = MINE,
					    .envp = RUN_WORDS("PATH=" MINE) };
	struct run command;

	(void)state;
	make_tool(HERE);
	make_tool(MINE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *words[16] = { PATH, "-C", "0666" };

		print_message("case: %zu\n", i);
		for (size_t j = 0; cases[i].options[j]; j++)
			words[j + 3] = cases[i].options[j];
		if (cases[i].refused) {
			gateway_expect_refusal(words, cases[i].refused);
			continue;
		}
		gateway_start_with(&gateway, &server, cases[i].options);
		dive(&command, &client, RUN_WORDS(NULL));
		assert_string_equal(command.out, cases[i].out);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_any_order_and_form),
		TEST(test_long_lists),
		TEST(test_impossible_ids),
		TEST(test_forced_command_is_the_servers),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
