/*
 * Large environments arrive byte for byte; too large ones are refused in words.
 *
 * Compared is a checksum made by the program itself (tests/programs/show.c), once
 * started directly and once behind the gateway.  DIVE_* variables are left out
 * of it, for the gateway adds them.
 */
#include "cleanup.h"
#include "gateway_scene.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Fills `envp` with `count` variables of `size` bytes each, all different; `text` holds them. */
static void make_variables(const char **envp, char *text, size_t count, size_t size)
{
	char name[16];

	for (size_t i = 0; i < count; i++, text += size) {
		memset(text, 'a' + (int)(i % 26), size - 1);
		text[size - 1] = '\0';
		(void)snprintf(name, sizeof(name), "V%06u=", (unsigned)i % 1000000);
		memcpy(text, name, 8);
		envp[i] = text;
	}
	envp[count] = NULL;
}

static void test_large_environments_arrive(void **state)
{
	static const struct {
		size_t count;
		size_t size;
	} cases[] = { { 16, 64 * 1024 }, { 8, 128 * 1024 }, { 20000, 52 } };
	static const char *envp[20001];
	cleanup_free char *text = calloc(1, 20000 * 64);

	(void)state;
	MUST_POINTER(text);
	gateway_start(&gateway, RUN_WORDS("-T"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run_options client = { .account = "alice",
					      .envp = envp,
					      .argv = RUN_WORDS(SHOW, "sum") };
		struct run direct;
		struct run behind;

		print_message("case: %zu of %zu bytes\n", cases[i].count, cases[i].size);
		make_variables(envp, text, cases[i].count, cases[i].size);
		run(&direct, &client);
		run_assert_status(&direct, 0);
		run_dive(&behind, &client, &gateway, RUN_WORDS(SHOW, "sum"));
		run_assert_status(&behind, 0);
		assert_int_equal(strtoul(show_get(direct.out, "bytes"), NULL, 10),
				 cases[i].count * cases[i].size);
		assert_string_equal(behind.out, direct.out);
		run_done(&direct);
		run_done(&behind);
	}
	gateway_stop(&gateway);
}

/* With a larger stack limit dive takes more than a program of dived's limit can. */
static void test_too_large_environments_are_refused(void **state)
{
	static const struct {
		size_t count;
		int status;
		const char *text;
	} cases[] = {
		{ 256 * 1024 + 1, 1, "more than 262144 strings" },
		{ 200 * 1024, 126, "Argument list too long" },
	};
	const size_t room = 256 * 1024 + 2;
	const char **envp = calloc(room, sizeof(*envp));
	struct rlimit before;
	struct rlimit limit;
	struct run command;

	(void)state;
	MUST_POINTER(envp);
	gateway_start(&gateway, RUN_WORDS("-T"));
	MUST(getrlimit(RLIMIT_STACK, &before));
	limit = before;
	limit.rlim_cur = 64 << 20;
	MUST(setrlimit(RLIMIT_STACK, &limit));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = calloc(cases[i].count, 12);

		MUST_POINTER(text);
		make_variables(envp, text, cases[i].count, 12);
		run_dive(&command, &(struct run_options){ .account = "alice", .envp = envp },
			 &gateway, RUN_WORDS("/bin/true"));
		run_assert_status(&command, cases[i].status);
		if (!strstr(command.err, cases[i].text))
			FAIL("no \"%s\" in: %s", cases[i].text, command.err);
		run_done(&command);
		free(text);
	}
	MUST(setrlimit(RLIMIT_STACK, &before));
	free(envp);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_large_environments_arrive),
		TEST(test_too_large_environments_are_refused),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
