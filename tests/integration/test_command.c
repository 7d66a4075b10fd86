/*
 * What is executed: words, forced command, login shell, the look-up in PATH, and
 * how the end of it comes back.
 *
 * Words are compared as the program received them (show.c escapes what is not
 * printable), so a shell in between that splits or expands anything is seen.
 */
#include "cleanup.h"
#include "gateway_scene.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 16

static void assert_words(const char *report, const char *const *words)
{
	char key[32];
	size_t i;

	for (i = 0; words[i]; i++) {
		(void)snprintf(key, sizeof(key), "arg%zu", i); /* fits */
		show_expect(report, key, words[i]);
	}
	(void)snprintf(key, sizeof(key), "arg%zu=", i);
	assert_false(show_starts(report, key));
}

/* Runs alice's words behind a gateway of their own; the report must show these words. */
static void run_alone(struct run *ret, const char *const *options, const char *const *words,
		      const char *const *shown)
{
	gateway_start(&gateway, options);
	run_dive(ret, &alice, &gateway, words);
	run_assert_status(ret, 0);
	assert_words(ret->out, shown);
}

/* --- words ----------------------------------------------------------------------------- */

/* What is hard to pass on; as words and as the report shows them. */
#define HARD                                                                                       \
	"", "two words", "new\nline", "\n", "q'uo\"te", "$HOME `id` $(id)", "*", "\\", "\xff\xfe", \
		"-n"
#define HARD_SHOWN                                                                                 \
	"", "two words", "new\\x0aline", "\\x0a", "q'uo\"te", "$HOME `id` $(id)", "*", "\\x5c",    \
		"\\xff\\xfe", "-n"

static void test_words_arrive_unchanged(void **state)
{
	static const struct {
		const char *what;
		const char *options[5];
		const char *words[WORDS_MAX];
	} cases[] = {
		{ "own account", { "-T" }, { SHOW, "report", "1", HARD } },
		{ "elevated", { "-u", "bob", "-a", "never" }, { SHOW, "report", "1", HARD } },
		{ "through bash of -l", { "-T" }, { "-l", SHOW, "report", "1", HARD } },
		{ "through sh of -l",
		  { "-u", "carol", "-a", "never" },
		  { "-l", SHOW, "report", "1", HARD } },
	};
	static const char *const shown[] = { SHOW, "report", "1", HARD_SHOWN, NULL };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		run_alone(&command, cases[i].options, cases[i].words, shown);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

static void test_forced_command(void **state)
{
	static const struct {
		const char *what;
		const char *options[8];
		const char *words[4];
		const char *shown[6];
	} cases[] = {
		{ "alone", { "--", SHOW, "report", "1" }, { NULL }, { SHOW, "report", "1" } },
		{ "the client's words behind",
		  { "--", SHOW, "report", "1" },
		  { "a b", "-l" },
		  { SHOW, "report", "1", "a b", "-l" } },
		{ "-A", { "-A", "--", SHOW, "report", "1" }, { "a b" }, { SHOW, "report", "1" } },
		{ "-l puts no shell in front",
		  { "--", SHOW, "report", "1" },
		  { "-l", "$HOME" },
		  { SHOW, "report", "1", "$HOME" } },
		{ "-l, alone", { "--", SHOW, "report", "1" }, { "-l" }, { SHOW, "report", "1" } },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool login = cases[i].words[0] && strcmp(cases[i].words[0], "-l") == 0;

		print_message("case: %s\n", cases[i].what);
		run_alone(&command, cases[i].options, cases[i].words, cases[i].shown);
		show_expect(command.out, "cwd", login ? "/home/alice" : "/");
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* --- login shell ------------------------------------------------------------------------- */

/* dora's login shell is the program that reports; that of carol is the real sh(1). */
static void test_login_shell(void **state)
{
	static const struct {
		const char *what;
		const char *options[6];
		const char *words[5];
		const char *shown[4];
		const char *directory;
	} cases[] = {
		{ "no program", { "-u", "dora", "-a", "never" }, { NULL }, { "show" }, "/" },
		{ "-l", { "-u", "dora", "-a", "never" }, { "-l" }, { "-show" }, "/home/dora" },
		{ "-l with a program",
		  { "-u", "dora", "-a", "never" },
		  { "-l", "a b", "it's", "" },
		  { "-show", "-c", "'a b' 'it'\\x5c''s' ''" },
		  "/home/dora" },
		{ "-A: no program of the client's",
		  { "-A", "-u", "dora", "-a", "never" },
		  { "id" },
		  { "show" },
		  "/" },
	};
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		run_alone(&command, cases[i].options, cases[i].words, cases[i].shown);
		show_expect(command.out, "cwd", cases[i].directory);
		run_done(&command);
		gateway_stop(&gateway);
	}
	/* A real one, which reads its commands from dive's standard input. */
	gateway_start(&gateway, RUN_WORDS("-u", "carol", "-a", "never"));
	run_dive(&command, &(struct run_options){ .account = "alice", .input = "echo $0; pwd\n" },
		 &gateway, RUN_WORDS("-l"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "-sh\n/home/carol\n");
	run_done(&command);
	gateway_stop(&gateway);
}

/* --- the look-up in PATH ------------------------------------------------------------------ */

#define P "/run/dive-test/path"

static void make_tool(const char *directory, const char *name, uid_t owner, mode_t mode,
		      const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), P "/%s", directory); /* short, as below */
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		MUST(-1);
	(void)snprintf(path, sizeof(path), P "/%s/%s", directory, name);
	sandbox_write(path, mode, "%s", text);
	MUST(chown(path, owner, owner));
}

static void make_tools(void)
{
	if (mkdir(P, 0755) < 0)
		return; /* made by the test before */
	make_tool("1", "tool", SANDBOX_UID_BOB, 0700, "#!/bin/sh\necho one\n");
	make_tool("2", "tool", 0, 0755, "#!/bin/sh\necho two\n");
	make_tool("1", "closed", 0, 0644, "#!/bin/sh\necho closed\n");
	make_tool("1", "text", 0, 0755, "echo run by a shell\n");
	make_tool("2", "text", 0, 0755, "#!/bin/sh\necho two\n");
	make_tool("1", "lost", 0, 0755, "#!/nonexistent/interpreter\n");
	MUST(mkdir(P "/1/directory", 0755));
}

static void test_look_up(void **state)
{
	static const struct {
		const char *what;
		const char *path; /* NULL: not set */
		const char *program;
		int status;
		const char *text; /* of standard output, or in standard error */
	} cases[] = {
		{ "the second, where the first is not for us", "PATH=" P "/1:" P "/2", "tool", 0,
		  "two\n" },
		{ "a slash at the end", "PATH=" P "/2/", "tool", 0, "two\n" },
		{ "found, not executable", "PATH=" P "/1:/nonexistent", "closed", 126,
		  "exec: closed: Permission denied" },
		{ "found, not executable, then nothing", "PATH=" P "/1:" P "/2", "closed", 126,
		  "Permission denied" },
		{ "relative and empty entries", "PATH=:.:2:../path/2::", "tool", 127,
		  "tool: not found" },
		{ "nowhere", "PATH=" P "/1:" P "/2", "nonesuch", 127, "exec: nonesuch: not found" },
		{ "no PATH", NULL, "tool", 127, "PATH is not set" },
		{ "not for a shell, nor for the next entry", "PATH=" P "/1:" P "/2", "text", 126,
		  "exec: text: Exec format error" },
		{ "no interpreter", "PATH=" P "/1", "lost", 127, "lost: not found" },
		{ "a directory", "PATH=" P "/1", "directory", 126, "Permission denied" },
		{ "with a slash, PATH does not count", "PATH=" P "/1", "./tool", 0, "two\n" },
		{ "with a slash, missing", "PATH=" P "/2", "/nonexistent/tool", 127, "not found" },
		{ "with a slash, not executable", "PATH=" P "/2", P "/1/closed", 126,
		  "Permission denied" },
		{ "a file as a directory", "PATH=" P "/2/tool", "tool", 127, "tool: not found" },
		{ "a file as a directory, then found", "PATH=" P "/2/tool:" P "/2", "tool", 0,
		  "two\n" },
		{ "no name", "PATH=" P "/2", "", 127, "not found" },
	};
	struct run command;

	(void)state;
	make_tools();
	gateway_start(&gateway, RUN_WORDS("-T"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		run_dive(&command,
			 &(struct run_options){
				 .account = "alice",
				 .directory = P "/2",
				 .envp = RUN_WORDS(cases[i].path ? cases[i].path : "HOME=/") },
			 &gateway, RUN_WORDS(cases[i].program));
		run_assert_status(&command, cases[i].status);
		if (cases[i].status == 0)
			assert_string_equal(command.out, cases[i].text);
		else if (!strstr(command.err, cases[i].text) || *command.out)
			FAIL("no \"%s\" in: %s%s", cases[i].text, command.err, command.out);
		run_done(&command);
	}
	gateway_stop(&gateway);
}

/* In the target's final PATH, with the target's rights. */
static void test_look_up_is_the_targets(void **state)
{
	const struct run_options client = { .account = "alice",
					    .envp = RUN_WORDS("PATH=" P "/2:/usr/bin:/bin") };
	struct run command;

	(void)state;
	make_tools();
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-a", "never"));
	run_dive(&command, &client, &gateway, RUN_WORDS("tool"));
	run_assert_status(&command, 127);
	run_done(&command);
	gateway_stop(&gateway);
	gateway_start(&gateway,
		      RUN_WORDS("-u", "bob", "-a", "never", "--env-set", "PATH=" P "/1:" P "/2"));
	run_dive(&command, &client, &gateway, RUN_WORDS("tool"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "one\n");
	run_done(&command);
	gateway_stop(&gateway);
}

/* --- the end ------------------------------------------------------------------------------ */

static void test_every_exit_status_comes_back(void **state)
{
	struct run command;
	char script[256];

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-T"));
	(void)snprintf(script, sizeof(script),
		       "for i in $(seq 0 255); do %s %s /bin/sh -c \"exit $i\"; s=$?;"
		       "[ $s = $i ] || echo $i became $s; done; echo all",
		       sandbox_dive(), gateway.address); /* fits */
	run(&command,
	    &(struct run_options){ .account = "alice", .argv = RUN_WORDS("bash", "-c", script) });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "all\n");
	assert_string_equal(command.err, "");
	run_done(&command);
	gateway_stop(&gateway);
}

static void test_death_by_signal_comes_back(void **state)
{
	static const int signals[] = {
		SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGHUP, SIGINT, SIGPIPE
	};
	static const char *const options[][5] = { { "-T" }, { "-u", "bob", "-a", "never" } };
	struct run command;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options) * ARRAY_LEN(signals); i++) {
		int number = signals[i % ARRAY_LEN(signals)];
		char script[64];

		print_message("case: %d, %s\n", number, options[i / ARRAY_LEN(signals)][0]);
		if (i % ARRAY_LEN(signals) == 0)
			gateway_start(&gateway, options[i / ARRAY_LEN(signals)]);
		(void)snprintf(script, sizeof(script), "kill -%d $$; sleep 60", number); /* fits */
		run_dive(&command, &alice, &gateway, RUN_WORDS("/bin/sh", "-c", script));
		assert_int_equal(command.signal, number);
		assert_string_equal(command.err, "");
		run_done(&command);
		if (i % ARRAY_LEN(signals) == ARRAY_LEN(signals) - 1)
			gateway_stop(&gateway);
	}
}

/* bash says "(core dumped)" where the kernel has; pam_limits keeps the program from it. */
static void test_dive_leaves_no_core(void **state)
{
	struct run command;
	char script[256];

	(void)state;
	sandbox_write("/etc/security/limits.conf", 0644, "alice - core 0\n");
	gateway_start(&gateway, RUN_WORDS("-T"));
	(void)snprintf(script, sizeof(script),
		       "ulimit -c unlimited; %s %s /bin/sh -c 'kill -6 $$'; echo $?",
		       sandbox_dive(), gateway.address); /* fits */
	run(&command, &(struct run_options){ .account = "alice",
					     .directory = "/home/alice",
					     .argv = RUN_WORDS("bash", "-c", script) });
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "134\n");
	assert_non_null(strstr(command.err, "Aborted"));
	assert_null(strstr(command.err, "core dumped"));
	run_done(&command);
	gateway_stop(&gateway);
	sandbox_write("/etc/security/limits.conf", 0644, "%s", "");
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

static int setup(void **state)
{
	int result = show_group_setup(state);

	sandbox_account("dora", 2010, "Dora-reads-6", SHOW);
	return result;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_words_arrive_unchanged),
		TEST(test_forced_command),
		TEST(test_login_shell),
		TEST(test_look_up),
		TEST(test_look_up_is_the_targets),
		TEST(test_every_exit_status_comes_back),
		TEST(test_death_by_signal_comes_back),
		TEST(test_dive_leaves_no_core),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
