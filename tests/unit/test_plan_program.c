/*
 * plan_program: what is executed, and where it is looked for.
 */
#include "plan_world.h"

#include <limits.h>

static const struct {
	const char *what;
	bool forced, words, no_argv, login;
	const char *argv[5];
	const char *candidates[3];
} commands[] = {
	{ "program", false, true, false, false, { "prog", "it's" }, { "/a/prog", "/b/prog" } },
	{ "forced",
	  true,
	  true,
	  false,
	  false,
	  { "/opt/run", "-x", "prog", "it's" },
	  { "/opt/run" } },
	{ "forced alone", true, false, false, false, { "/opt/run", "-x" }, { "/opt/run" } },
	{ "forced, -A", true, true, true, false, { "/opt/run", "-x" }, { "/opt/run" } },
	{ "shell", false, false, false, false, { "dash" }, { "/bin/dash" } },
	{ "shell, -A", false, true, true, false, { "dash" }, { "/bin/dash" } },
	{ "login shell", false, false, false, true, { "-dash" }, { "/bin/dash" } },
	{ "login shell, program",
	  false,
	  true,
	  false,
	  true,
	  { "-dash", "-c", "'prog' 'it'\\''s'" },
	  { "/bin/dash" } },
	{ "forced, login",
	  true,
	  true,
	  false,
	  true,
	  { "/opt/run", "-x", "prog", "it's" },
	  { "/opt/run" } },
};

/* Words and candidates for each mix of forced command, client's words, -A and -l. */
static void test_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct world w;
		size_t n;

		print_message("case: %s\n", commands[i].what);
		(void)world_of(&w, ANN, ANN);
		if (commands[i].forced)
			world_force(&w);
		if (!commands[i].words)
			w.argv[0] = NULL;
		w.config.no_argv = commands[i].no_argv;
		w.request.fixed.flags = commands[i].login ? MESSAGE_REQUEST_LOGIN : 0;
		make_good(&w);
		for (n = 0; n < 5 && commands[i].argv[n]; n++)
			assert_string_equal(w.plan.argv[n], commands[i].argv[n]);
		assert_null(w.plan.argv[n]);
		for (n = 0; n < 3 && commands[i].candidates[n]; n++)
			assert_string_equal(w.plan.candidates[n], commands[i].candidates[n]);
		assert_null(w.plan.candidates[n]);
		plan_done(&w.plan);
		assert_null(w.plan.argv);
	}
}

static void test_program_lookup(void **state)
{
	static char slash[] = "./prog", no_path[] = "A=1", useless[] = "PATH=rel:.::";
	static char long_name[NAME_MAX + 2];
	struct world w;

	(void)state;
	world_of(&w, ANN, ANN)->argv[0] = slash;
	make_good(&w);
	assert_words(w.plan.candidates, "./prog", NULL);
	plan_done(&w.plan);

	world_of(&w, ANN, ANN)->argv[0] = none;
	make_refused(&w, MESSAGE_LAYER_EXEC, FAULT_STATUS_NOTFOUND);
	w.request.fixed.flags = MESSAGE_REQUEST_LOGIN;
	make_refused(&w, MESSAGE_LAYER_EXEC, FAULT_STATUS_NOTFOUND);

	world_of(&w, ANN, ANN)->envp[0] = no_path;
	make_refused(&w, MESSAGE_LAYER_EXEC, FAULT_STATUS_NOTFOUND);
	world_of(&w, ANN, ANN)->envp[0] = useless;
	make_refused(&w, MESSAGE_LAYER_EXEC, FAULT_STATUS_NOTFOUND);

	memset(long_name, 'x', sizeof(long_name) - 1);
	world_of(&w, ANN, ANN)->argv[0] = long_name;
	make_refused(&w, MESSAGE_LAYER_EXEC, FAULT_STATUS_NOTFOUND);

	/* Of an elevated spawn the PATH is not the client's. */
	world_of(&w, ANN, BOB);
	make_good(&w);
	assert_string_equal(w.plan.candidates[0], "/usr/local/sbin/prog");
	plan_done(&w.plan);
}

static void test_path_is_bounded(void **state)
{
	cleanup_free char *path = malloc(16 + 2 * 2000);
	struct world w;

	(void)state;
	assert_non_null(path);
	(void)strcpy(path, "PATH=");
	for (size_t i = 0; i < 1024; i++)
		(void)strcpy(path + 5 + 2 * i, "/:");
	world_of(&w, ANN, ANN)->envp[0] = path;
	make_good(&w);
	assert_string_equal(w.plan.candidates[1023], "/prog");
	plan_done(&w.plan);
	(void)strcpy(path + 5 + 2 * 1024, "/");
	world_of(&w, ANN, ANN)->envp[0] = path;
	make_refused(&w, MESSAGE_LAYER_REQUEST, FAULT_STATUS_REFUSED);
}

static void test_shell(void **state)
{
	struct world w;

	(void)state;
	world_of(&w, ANN, ANN)->argv[0] = NULL;
	w.accounts.target.shell = relative;
	make_refused(&w, MESSAGE_LAYER_ACCOUNT, FAULT_STATUS_REFUSED);
	w.accounts.target = account_of(ANN);
	w.accounts.target.shell = NULL;
	make_good(&w);
	assert_words(w.plan.argv, "sh", NULL);
	assert_words(w.plan.candidates, "/bin/sh", NULL);
	plan_done(&w.plan);
}

/* One string of a program's is no longer than the kernel takes, quotes included. */
static void test_login_words_are_bounded(void **state)
{
	cleanup_free char *word = malloc(MESSAGE_STRING_MAX);
	struct world w;

	(void)state;
	assert_non_null(word);
	memset(word, 'x', MESSAGE_STRING_MAX - 1);
	word[MESSAGE_STRING_MAX - 1] = '\0';
	world_of(&w, ANN, ANN)->argv[0] = word;
	w.request.fixed.flags = MESSAGE_REQUEST_LOGIN;
	make_refused(&w, MESSAGE_LAYER_EXEC, FAULT_STATUS_EXEC);
}

static void test_command_line(void **state)
{
	static const struct {
		bool forced, words, no_argv;
		size_t size;
		const char *text;
	} rows[] = {
		{ false, true, false, 64, "prog 'it'\\''s' ''" },
		{ true, true, false, 64, "/opt/run -x prog 'it'\\''s' ''" },
		{ true, true, true, 64, "/opt/run -x" },
		{ false, true, true, 64, "login shell" },
		{ false, false, false, 64, "login shell" },
		{ false, false, false, 12, "login shell" },
		{ false, false, false, 11, "login s..." },
		{ true, true, false, 12, "/opt/run..." },
		{ true, true, false, 4, "..." },
		{ true, true, false, 1, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];
		struct world w;

		world_of(&w, ANN, ANN)->argv[2] = none;
		if (rows[i].forced)
			world_force(&w);
		if (!rows[i].words)
			w.argv[0] = NULL;
		w.config.no_argv = rows[i].no_argv;
		plan_command(&w.config, &w.request, text, rows[i].size);
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_command), TEST(test_program_lookup),		TEST(test_path_is_bounded),
		TEST(test_shell),   TEST(test_login_words_are_bounded), TEST(test_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
