/*
 * What the record of a spawn says of the program, held against what the program itself
 * finds: its ids and groups, where it is, and in which namespaces.
 */
#include "cleanup.h"
#include "must.h"
#include "sandbox.h"
#include "trail.h"

#include <stdio.h>
#include <unistd.h>

/* Alice runs these words through trail.gateway; returns the record of it. */
static const char *play(const char *const *words)
{
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &trail.gateway, words);
	run_assert_status(&trail.client, 0);
	return trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
}

/* --- as whom --------------------------------------------------------------------- */

/* The word of this number (from 0) of a line of /proc/PID/status, "" for none. */
static void take_word(const char *status, const char *line, unsigned number, char ret[16])
{
	const char *at = strstr(status, line);

	assert_non_null(at);
	at += strlen(line);
	for (unsigned i = 0;; i++) {
		size_t len;

		at += strspn(at, "\t ");
		len = strcspn(at, "\t \n");
		assert_in_range(len, 0, 15);
		memcpy(ret, at, len);
		ret[len] = '\0';
		if (i == number || len == 0)
			return;
		at += len;
	}
}

/* In the order of the kernel, which sorts them. */
static void join_groups(const char *status, char *buffer, size_t size)
{
	size_t used = 0;
	char word[16];

	buffer[0] = '\0';
	for (unsigned i = 0; take_word(status, "\nGroups:", i, word), word[0]; i++) {
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", i ? "," : "", word);
		assert_in_range(used, 1, size - 1);
	}
	if (used == 0)
		(void)snprintf(buffer, size, "none"); /* fits */
}

static const struct {
	const char *const options[6];
	const char *account; /* of the record */
	const char *uid, *gid, *euid, *egid, *groups;
} identities[] = {
	{ { "-u", "bob" }, "bob", "2002", "2002", "2002", "2002", "2002" },
	{ { "-u", "bob", "-e", "root" }, "bob", "2002", "2002", "0", "0", "0" },
	{ { "-u", "root", "-e", "bob" }, "root", "0", "0", "2002", "2002", "2002" },
	{ { "-u", "toor" }, "toor", "0", "2042", "0", "2042", "2042" },
	{ { "-g", "42,100,2003" }, "alice", "2001", "42", "2001", "42", "42,100,2003" },
	{ { "-P" }, "root", "0", "0", "0", "0", NULL },
};

static void test_identity(void **state)
{
	(void)state;
	sandbox_account_line("/etc/passwd", "toor", "toor:x:0:2042:root again:/root:/bin/sh");
	sandbox_account_line("/etc/shadow", "toor", "toor:*:20000:0:99999:7:::");
	for (size_t i = 0; i < ARRAY_LEN(identities); i++) {
		const char *options[9] = { "-a", "never" };
		static const char *const fields[] = { "target_uid", "target_gid", "target_euid",
						      "target_egid" };
		const char *const expected[] = { identities[i].uid, identities[i].gid,
						 identities[i].euid, identities[i].egid };
		char groups[256];
		const char *text;

		print_message("case: %zu\n", i);
		memcpy(options + 2, identities[i].options, sizeof(identities[i].options));
		trail_serve(options);
		text = play(RUN_WORDS("cat", "/proc/self/status"));
		trail_assert(text, "acct", identities[i].account);
		for (unsigned j = 0; j < ARRAY_LEN(fields); j++) {
			char word[16];

			trail_assert(text, fields[j], expected[j]);
			take_word(trail.client.out, j % 2 ? "\nGid:" : "\nUid:", j / 2, word);
			assert_string_equal(word, expected[j]);
		}
		join_groups(trail.client.out, groups, sizeof(groups));
		if (identities[i].groups)
			assert_string_equal(groups, identities[i].groups);
		trail_assert(text, "target_groups", groups);
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_identity) };

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
