/*
 * Values that a client chooses, as the audit tools give them back: a real auditd(8) has
 * written them, ausearch(8) reads and decodes them.  They must come out as the same bytes,
 * and be nothing but values: no search by account, result or target finds a record by what
 * a client has put into a name or a word.
 *
 * The log has records of all programs of the machine; ours are told apart by their ids.
 */
#include "auditd.h"
#include "cleanup.h"
#include "must.h"
#include "sandbox.h"
#include "trail.h"

#include <sys/stat.h>
#include <unistd.h>

#define ID_SIZE	     64
#define COMMAND_SIZE 512
#define PATH_SIZE    256

static const char *const values[] = {
	"with space",
	"new\nline",
	"quote\"quote",
	"it's 'quoted'",
	"\033[2J\a",
	"\xff\xfe\xc3(",
	"caf\xc3\xa9 \x7f",
	"back\\slash \\033",
	"DEADBEEF",
	"acct=root",
	"/x acct=\"root\" res=failed'",
	"' res=failed acct=\"root\" auid=2002",
	"uid=2002 auid=2002 uuid=nobody",
	"\ntype=USER_CMD msg=audit(1.000:1): pid=1 uid=0 auid=2002 msg='op=dive:spawn'",
	"\035AUID=\"bob\"", /* where the enriched part of a record begins */
};

static struct auditd auditd;
static struct run answer;
static char ids[ARRAY_LEN(values)][ID_SIZE];

static int setup(void **state)
{
	auditd = (struct auditd){ .run.pidfd = -1 };
	answer = (struct run){ .pidfd = -1 };
	return trail_setup(state);
}

static int teardown(void **state)
{
	run_done(&answer);
	auditd_stop(&auditd);
	return trail_teardown(state);
}

/* Returns whether ausearch has found anything. */
static bool ask(const char *command)
{
	run_done(&answer);
	run(&answer, &(struct run_options){ .argv = RUN_WORDS("sh", "-c", command) });
	if (answer.status == 1 && answer.out_len == 0)
		return false;
	run_assert_status(&answer, 0);
	return true;
}

/* A directory for each value. */
static void name_directory(const char *format, size_t i, char path[PATH_SIZE])
{
	(void)snprintf(path, PATH_SIZE, "/home/alice/%s%zu%s", format, i, values[i]); /* fits */
}

/* Slashes in it are those of directories below each other. */
static void make_directory(char *path)
{
	for (char *slash = path + strlen("/home/alice/"); (slash = strchr(slash, '/'));
	     *slash++ = '/') {
		*slash = '\0';
		MUST(mkdir(path, 0755));
	}
	MUST(mkdir(path, 0755));
	MUST(chown(path, SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
}

/* Alice becomes nobody but herself, in that directory and with that word. */
static void play(const char *format)
{
	if (auditd_is_taken())
		SKIP("the machine has an auditd of its own");
	auditd_start(&auditd, &trail.stream, format);
	trail_serve(RUN_WORDS(NULL));
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char path[PATH_SIZE];

		name_directory(format, i, path);
		make_directory(path);
		run_dive(&trail.client,
			 &(struct run_options){
				 .account = "alice", .login_uid = "2001", .directory = path },
			 &trail.gateway, RUN_WORDS("true", values[i]));
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
		(void)audit_field(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "dive_id", ids[i],
				  sizeof(ids[i]));
	}
	gateway_stop(&trail.gateway);
	auditd_sync(&auditd);
}

/* What stands between two texts in the answer, which hold nothing that a client chose. */
static char *between(const char *before, const char *after)
{
	char *begin = memmem(answer.out, answer.out_len, before, strlen(before));
	char *end;

	if (!begin)
		FAIL("no \"%s\" in: %s", before, answer.out);
	begin += strlen(before);
	end = memmem(begin, strlen(begin), after, strlen(after));
	if (!end)
		FAIL("no \"%s\" after \"%s\" in: %s", after, before, answer.out);
	*end = '\0';
	return begin;
}

/* A shell is the judge of the command. */
static void assert_second_word(const char *command, const char *expected)
{
	struct run shell;

	run(&shell, &(struct run_options){
			    .argv = RUN_WORDS("sh", "-c", "eval \"set -- $1\"; printf %s. \"$#$2\"",
					      "sh", command) });
	run_assert_status(&shell, 0);
	assert_int_equal(shell.out[0], '2');
	shell.out[shell.out_len - 1] = '\0'; /* the dot keeps what ends in a new line */
	assert_string_equal(shell.out + 1, expected);
	run_done(&shell);
}

static void check_value(const char *format, size_t i)
{
	char command[COMMAND_SIZE];
	char path[PATH_SIZE];

	name_directory(format, i, path);
	(void)snprintf(command, sizeof(command), "ausearch -m USER_CMD -uu %s -i --escape raw",
		       ids[i]); /* fits */
	assert_true(ask(command));
	assert_string_equal(between(" cwd=", " root=? cmd="), path);
	assert_true(ask(command));
	assert_second_word(between(" root=? cmd=", " exe=/run/dive-test/bin/dived hostname="),
			   values[i]);
	(void)snprintf(command, sizeof(command),
		       "ausearch -m USER_CMD -uu %s --format text --escape raw", ids[i]); /* fits */
	assert_true(ask(command));
	assert_second_word(between(" successfully ran-command ", " using /run/dive-test/bin/dived"),
			   values[i]);
	/* As people read it: on one line, with nothing that a terminal would obey. */
	(void)snprintf(command, sizeof(command), "ausearch -m USER_CMD -uu %s -i | tail -n +2",
		       ids[i]); /* fits */
	assert_true(ask(command));
	assert_int_equal(strcspn(answer.out, "\n") + 1, answer.out_len);
	for (size_t j = 0; j + 1 < answer.out_len; j++)
		assert_in_range((unsigned char)answer.out[j], ' ', 0xff);
}

/* Every search by which somebody might look for others. */
static const char *const searches[] = {
	"ausearch --raw -ua bob",
	"ausearch --raw -ul bob",
	"ausearch --raw -ui bob",
	"ausearch --raw -m USER_CMD,USER_END -sv no",
	"ausearch --raw -uu nobody",
	"ausearch --raw -m USER_CMD | grep 'op=dive:spawn .* acct=\"root\"'",
	"ausearch --raw -m USER_CMD | grep 'acct=root'",
	"ausearch --raw -m USER_AUTH -ua alice",
};

static void check(const char *format)
{
	play(format);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		print_message("value: %zu\n", i);
		check_value(format, i);
	}
	for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
		print_message("search: %s\n", searches[i]);
		(void)ask(searches[i]);
		for (size_t j = 0; j < ARRAY_LEN(values); j++)
			if (strstr(answer.out, ids[j]))
				FAIL("finds value %zu: %s", j, answer.out);
	}
	/* And the right ones find all. */
	assert_true(ask("ausearch --raw -m USER_CMD -ua alice -sv yes |"
			" grep 'op=dive:spawn .* acct=\"alice\"'"));
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		assert_non_null(strstr(answer.out, ids[i]));
}

static void test_raw(void **state)
{
	(void)state;
	check("RAW");
}

static void test_enriched(void **state)
{
	(void)state;
	check("ENRICHED");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_raw), TEST(test_enriched) };

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
