/*
 * PAM, name services and audit beside new namespaces: they stay in dived's own.
 *
 * A whole session, password, limits, groups, modules that start helpers, and the
 * records, in every kind of new namespace.  The records name those namespaces that the
 * program is in, which may not even send any.
 */
#include "place_scene.h"
#include "trail.h"

#include <libaudit.h>
#include <sys/resource.h>

#define LOOK	"/run/dive-test/look"
#define HELPERS LOOK ".out"
#define SERVICE "dive-place"

static const struct run_options known = { .account = "alice",
					  .input = SANDBOX_PASSWORD_ALICE "\n",
					  .login_uid = "2001" };

static const struct session_case {
	const char *list;
	unsigned made;
} cases[] = {
	{ "ipc", IPC },
	{ "net", NET },
	{ "mnt", MNT },
	{ "pid", PID },
	{ "uts", UTS },
	{ "user", USER },
	{ "time", TIME },
	{ "cgroup", CGROUP },
	{ "pid,time,user", PID | TIME | USER },
	{ "ipc,net,mnt,pid,uts,user,cgroup,time", ALL },
};

/* Each phase starts a helper, which writes down where it is. */
static void write_service(void)
{
	sandbox_write(
		LOOK, 0755,
		"#!/bin/sh\nfor kind in mnt net pid pid_for_children user ipc uts cgroup time "
		"time_for_children\ndo echo $kind $(readlink /proc/self/ns/$kind)\ndone "
		">>" HELPERS "\necho $PAM_TYPE >>" HELPERS "\n");
	sandbox_service(SERVICE, "auth required pam_exec.so " LOOK "\n" SANDBOX_SERVICE
				 "session required pam_exec.so " LOOK "\n");
	sandbox_write("/etc/security/limits.conf", 0644, "bob - nofile 256\n");
	sandbox_account_line("/etc/group", "video", "video:x:44:bob");
}

/* All that helpers have written is of dived's own namespaces. */
static void check_helpers(void)
{
	static const char *const types[] = { "auth", "open_session", "close_session" };
	char text[8192];
	char *save = NULL;

	(void)snprintf(text, sizeof(text), "%s", content_of(HELPERS));
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_non_null(strstr(text, types[i]));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char path[64], own[64] = "";
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = '\0';
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", line); /* fits */
		MUST(readlink(path, own, sizeof(own) - 1));
		assert_string_equal(value, own);
	}
	MUST(unlink(HELPERS));
}

static void check_record(const char *report, unsigned made)
{
	const char *text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char field[16];

		(void)snprintf(field, sizeof(field), "ns_%s", kinds[i]); /* fits */
		trail_assert_number(text, field, shown_inode(report, i));
		assert_int_equal(shown_inode(report, i) != inode_of(0, i), (made >> i) & 1);
	}
	trail_assert(text, "auid", "2001");
	trail_assert(text, "res", "success");
	(void)trail_expect(AUDIT_USER_END, "op=dive:exit");
}

static void check_case(const struct session_case *item)
{
	const char *options[24] = { "-s",  item->list, "-x",	  SERVICE,	"-u",
				    "bob", "--audit",  "require", IDENTITY_MAPS };
	char line[64];

	if (!(item->made & USER))
		options[8] = NULL;
	trail_serve(options);
	run_dive(&trail.client, &known, &trail.gateway, RUN_WORDS("-S", SHOW));
	run_assert_status(&trail.client, 0);
	show_expect(trail.client.out, "Uid", "2002 2002 2002 2002");
	show_expect(trail.client.out, "Groups", "44 2002");
	show_expect(trail.client.out, "loginuid", "2001");
	(void)snprintf(line, sizeof(line), "limit%d", (int)RLIMIT_NOFILE); /* fits */
	show_expect(trail.client.out, line, "256 256");
	check_record(trail.client.out, item->made);
	run_done(&trail.client);
	check_helpers();
	run_dive(&trail.client,
		 &(struct run_options){ .account = "alice", .input = "wrong\nwrong\nwrong\n" },
		 &trail.gateway, RUN_WORDS("-S", SHOW));
	run_assert_status(&trail.client, 77);
	run_done(&trail.client);
	(void)trail_expect(AUDIT_USER_CMD, "op=dive:refuse");
	MUST(unlink(HELPERS));
	gateway_stop(&trail.gateway);
}

static void test_a_session_in_each_kind(void **state)
{
	(void)state;
	write_service();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: -s %s\n", cases[i].list);
		check_case(&cases[i]);
	}
}

/* What the program has alone has no number yet when the record is written. */
static void test_records_of_what_is_not_made_yet(void **state)
{
	const char *text;

	(void)state;
	sandbox_write("/etc/security/limits.conf", 0644, "%s", "");
	trail_serve(RUN_WORDS("-F", "-s", "pid", "-V", "/run/dive-test", ".", "-H"));
	run_dive(&trail.client, &alice, &trail.gateway, RUN_WORDS("/show"));
	run_assert_status(&trail.client, 0);
	show_expect(trail.client.out, "getpid", "1");
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	trail_assert(text, "ns_mnt", "new");
	trail_assert(text, "ns_pid", "new");
	trail_assert_number(text, "ns_net", inode_of(0, 1));
	gateway_stop(&trail.gateway);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_session_in_each_kind),
		TEST(test_records_of_what_is_not_made_yet),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
