/*
 * The socket: where it may lie, who may connect, and how many at a time.
 *
 * What a file's mode and owner do for a path, dived does itself for an abstract
 * address; both are played from one table, with the same outcome.  Who is
 * refused by the kernel sees dive's status 2, who is refused by dived sees 77.
 */
#include "cleanup.h"
#include "family.h"
#include "gateway.h"
#include "hostile.h"
#include "must.h"
#include "sandbox.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH	 "/run/dive-test/gateway.sock"
#define ABSTRACT "@dive-test-gateway"
#define OPS	 2100 /* a group, with carol in it */

static const char *const people[] = { "alice", "bob", "carol" };

/* Runs a program; returns dive's status, and checks its one line where it was refused. */
static int connect_as(const struct gateway *gateway, const char *account, const char *complaint)
{
	struct run command;
	int status;

	run_dive(&command, &(struct run_options){ .account = account }, gateway,
		 RUN_WORDS("echo", "served"));
	status = command.status;
	if (status == 0)
		assert_string_equal(command.out, "served\n");
	else if (!*complaint || !strstr(command.err, complaint))
		FAIL("\"%s\" is not in: %s", complaint, command.err);
	run_done(&command);
	return status;
}

/* `who` lists those to be served, by their first letters; others get `status`. */
static void expect_people(const struct gateway *gateway, const char *who, int status,
			  const char *complaint)
{
	for (size_t i = 0; i < ARRAY_LEN(people); i++) {
		int expected = strchr(who, people[i][0]) ? 0 : status;
		int actual = connect_as(gateway, people[i], complaint);

		if (actual != expected)
			FAIL("%s: status %d, not %d", people[i], actual, expected);
	}
}

static const struct {
	const char *mode;
	const char *owner; /* NULL: no -U */
	mode_t bits;
	uid_t uid;
	gid_t gid;
	const char *who;
} accesses[] = {
	{ "0600", NULL, 0600, 0, 0, "" },
	{ "666", NULL, 0666, 0, 0, "abc" },
	{ "0600", "alice", 0600, SANDBOX_UID_ALICE, 0, "a" },
	{ "0660", "alice:", 0660, SANDBOX_UID_ALICE, SANDBOX_UID_ALICE, "a" },
	{ "0660", ":bob", 0660, 0, SANDBOX_UID_BOB, "b" },
	{ "0660", ":ops", 0660, 0, OPS, "c" },
	{ "0660", "2001:2002", 0660, SANDBOX_UID_ALICE, SANDBOX_UID_BOB, "ab" },
	{ "0660", "bob:ops", 0660, SANDBOX_UID_BOB, OPS, "bc" },
	{ "0620", ":ops", 0620, 0, OPS, "c" }, /* to connect is to write */
	{ "0640", ":ops", 0640, 0, OPS, "" },
	{ "0066", "alice", 0066, SANDBOX_UID_ALICE, 0, "bc" }, /* the owner's bits alone */
	{ "0606", ":ops", 0606, 0, OPS, "ab" },		       /* the group's bits alone */
	{ "0602", NULL, 0602, 0, 0, "abc" },
};

/* covers: dived -C -U */
static void test_mode_and_owner(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(accesses); i++) {
		bool abstract = i % 2;
		const char *address = abstract ? ABSTRACT : PATH;
		const char *owner = accesses[i / 2].owner;
		struct gateway gateway;
		struct stat info;

		print_message("case: %s -C %s -U %s\n", address, accesses[i / 2].mode,
			      owner ? owner : "(none)");
		gateway_start(&gateway, RUN_WORDS(address, "--no-pam", "-C", accesses[i / 2].mode,
						  owner ? "-U" : NULL, owner));
		if (!abstract) {
			MUST(lstat(PATH, &info));
			assert_int_equal(info.st_mode, S_IFSOCK | accesses[i / 2].bits);
			assert_int_equal(info.st_uid, accesses[i / 2].uid);
			assert_int_equal(info.st_gid, accesses[i / 2].gid);
		}
		expect_people(&gateway, accesses[i / 2].who, abstract ? 77 : 2,
			      abstract ? "may not use the gateway" : "permission denied");
		assert_int_equal(connect_as(&gateway, NULL, ""), 0);
		gateway_stop(&gateway);
		assert_int_equal(access(PATH, F_OK), -1);
	}
}

static void test_allow(void **state)
{
	static const struct {
		const char *options[4];
		const char *who;
		int root;
	} cases[] = {
		{ { "--allow", "alice" }, "a", 77 },
		{ { "--allow", "2002" }, "b", 77 },
		{ { "--allow", "@ops" }, "c", 77 },
		{ { "--allow", "@2001" }, "a", 77 }, /* a primary group, by number */
		{ { "--allow", "alice,@ops,root" }, "ac", 0 },
		{ { "--allow", "alice", "--allow=bob" }, "ab", 77 },
		{ { "--allow", "54321" }, "", 77 }, /* a number needs no account */
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		const char *const *options = cases[i / 2].options;
		const char *address = i % 2 ? ABSTRACT : PATH;
		struct gateway gateway;

		print_message("case: %s %s %s\n", address, options[1], options[2]);
		gateway_start(&gateway, RUN_WORDS(address, "--no-pam", options[0], options[1],
						  options[2], options[3]));
		expect_people(&gateway, cases[i / 2].who, 77, "may not use the gateway");
		assert_int_equal(connect_as(&gateway, NULL, "may not use the gateway"),
				 cases[i / 2].root);
		gateway_stop(&gateway);
	}
}

/* An address that the kernel admits nobody to is not opened by --allow. */
static void test_allow_does_not_widen_the_mode(void **state)
{
	struct gateway gateway;

	(void)state;
	gateway_start(&gateway, RUN_WORDS(ABSTRACT, "-C", "0600", "--allow", "alice,root"));
	expect_people(&gateway, "", 77, "may not use the gateway");
	assert_int_equal(connect_as(&gateway, NULL, ""), 0);
	gateway_stop(&gateway);
}

/* --- where it may lie ---------------------------------------------------------- */

static int bind_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = MUST_INT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	assert_in_range(strlen(path), 1, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	MUST(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static void test_stale_socket_is_replaced(void **state)
{
	int fd = bind_at(PATH);
	struct gateway gateway;

	(void)state;
	close_fd(&fd);
	gateway_start(&gateway, RUN_WORDS(PATH));
	expect_people(&gateway, "abc", 0, "");
	gateway_stop(&gateway);
}

static void test_what_is_in_the_way_stays(void **state)
{
	static const char file[] = "/run/dive-test/file";
	static const char link[] = "/run/dive-test/link";
	cleanup_fd int live = bind_at(PATH);
	struct gateway gateway;
	struct stat info;

	(void)state;
	MUST(listen(live, 1));
	gateway_expect_refusal(RUN_WORDS(PATH), "gateway.sock: another process is listening");
	MUST(lstat(PATH, &info));
	MUST(unlink(PATH));
	sandbox_write(file, 0644, "precious\n");
	gateway_expect_refusal(RUN_WORDS(file), "file: exists and is not a socket");
	MUST(symlink("/run/dive-test/nowhere", link));
	gateway_expect_refusal(RUN_WORDS(link), "link: exists and is not a socket");
	MUST(lstat(link, &info));
	MUST(unlink(link));
	MUST(stat(file, &info));
	assert_int_equal(info.st_size, 9);
	MUST(unlink(file));
	/* The same for names that are no files. */
	gateway_start(&gateway, RUN_WORDS(ABSTRACT));
	gateway_expect_refusal(RUN_WORDS(ABSTRACT), ABSTRACT ": cannot bind");
	expect_people(&gateway, "abc", 0, "");
	gateway_stop(&gateway);
}

static void test_directories(void **state)
{
	static const struct {
		mode_t mode;
		uid_t uid;
		gid_t gid;
		const char *complaint; /* NULL: it may lie there */
	} cases[] = {
		{ 0755, 0, 0, NULL },
		{ 0777, 0, 0, "others may write the directory" },
		{ 0775, 0, SANDBOX_UID_BOB, "others may write the directory" },
		{ 01777, 0, 0, NULL },
		{ 01775, 0, SANDBOX_UID_BOB, NULL },
		{ 0755, SANDBOX_UID_ALICE, 0, "belongs to uid 2001" },
		{ 01777, SANDBOX_UID_ALICE, 0, "belongs to uid 2001" },
	};
	static const char directory[] = "/run/dive-test/directory";
	static const char address[] = "/run/dive-test/directory/socket";

	(void)state;
	MUST(mkdir(directory, 0700));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gateway gateway;

		print_message("case: %04o %u:%u\n", cases[i].mode, cases[i].uid, cases[i].gid);
		MUST(chown(directory, cases[i].uid, cases[i].gid));
		MUST(chmod(directory, cases[i].mode));
		if (cases[i].complaint) {
			gateway_expect_refusal(RUN_WORDS(address), cases[i].complaint);
			assert_int_equal(access(address, F_OK), -1);
			continue;
		}
		gateway_start(&gateway, RUN_WORDS(address));
		expect_people(&gateway, "abc", 0, "");
		gateway_stop(&gateway);
	}
	MUST(rmdir(directory));
	gateway_expect_refusal(RUN_WORDS(address), "cannot open the directory");
}

/* Another gateway's by now: it is not for this one to remove. */
static void test_only_its_own_socket_is_removed(void **state)
{
	struct gateway first;
	struct gateway second;

	(void)state;
	gateway_start(&first, RUN_WORDS(PATH));
	MUST(unlink(PATH));
	gateway_start(&second, RUN_WORDS(PATH));
	gateway_stop(&first);
	expect_people(&second, "abc", 0, "");
	gateway_stop(&second);
	assert_int_equal(access(PATH, F_OK), -1);
}

/* --- how many ---------------------------------------------------------------------- */

/* Starts a program that runs until the connection is closed. */
static void start_session(const struct gateway *gateway, const char *account, struct hostile *ret)
{
	struct packet packet;

	hostile_connect(ret, gateway->address, account, NULL);
	hostile_send_burst(ret, RUN_WORDS("/bin/sleep", "1000"), -1);
	hostile_expect(ret, MESSAGE_STARTED, &packet);
	packet_done(&packet);
}

/* A connection of which the gateway knows, and which says nothing. */
static void start_pending(const struct gateway *gateway, const char *account, struct hostile *ret)
{
	size_t before = family_count(FAMILY_SESSION);

	hostile_connect(ret, gateway->address, account, NULL);
	family_await(FAMILY_SESSION, before + 1);
}

/*
 * Each quota is 2 here.  Two connections of `holder` use it up; then the people
 * of `who` are served, the others, and root by its status, hear why not.
 */
static const struct {
	const char *option;
	void (*start)(const struct gateway *gateway, const char *account, struct hostile *ret);
	const char *holder;
	const char *who;
	int root;
	const char *complaint;
} quotas[] = {
	{ "--max-sessions", start_session, "alice", "", 77, "busy: too many sessions" },
	{ "--max-sessions", start_pending, NULL, "", 77, "busy: too many sessions" },
	{ "--max-sessions-per-user", start_session, "alice", "bc", 0,
	  "busy: you have too many sessions" },
	{ "--max-sessions-per-user", start_session, NULL, "abc", 0, "" },
	{ "--max-pending", start_pending, "alice", "", 77, "waiting for authentication" },
	{ "--max-pending", start_pending, NULL, "", 77, "waiting for authentication" },
	{ "--max-pending", start_session, "alice", "abc", 0, "" },
	{ "--max-pending-per-user", start_pending, "alice", "bc", 0,
	  "busy: too many of your connections" },
	{ "--max-pending-per-user", start_pending, NULL, "abc", 0, "" },
	{ "--max-pending-per-user", start_session, "alice", "abc", 0, "" },
};

static void test_quotas(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(quotas); i++) {
		struct hostile holders[2];
		struct gateway gateway;

		print_message("case: %s, %s %s\n", quotas[i].option,
			      quotas[i].start == start_session ? "sessions" : "connections",
			      quotas[i].holder ? quotas[i].holder : "root");
		gateway_start(&gateway, RUN_WORDS("--no-pam", quotas[i].option, "2",
						  "--request-timeout", "60"));
		for (size_t j = 0; j < ARRAY_LEN(holders); j++)
			quotas[i].start(&gateway, quotas[i].holder, &holders[j]);
		for (size_t j = 0; j < ARRAY_LEN(people); j++) {
			int expected = strchr(quotas[i].who, people[j][0]) ? 0 : 77;

			assert_int_equal(connect_as(&gateway, people[j], quotas[i].complaint),
					 expected);
			family_await(FAMILY_SESSION, ARRAY_LEN(holders));
		}
		assert_int_equal(connect_as(&gateway, NULL, quotas[i].complaint), quotas[i].root);
		/* Freed again, one by one. */
		hostile_close(&holders[0]);
		family_await(FAMILY_SESSION, 1);
		assert_int_equal(connect_as(&gateway, "alice", ""), 0);
		hostile_close(&holders[1]);
		family_await(FAMILY_SESSION, 0);
		expect_people(&gateway, "abc", 0, "");
		gateway_stop(&gateway);
	}
}

/* uid 0 without CAP_SYS_ADMIN, as a container's root is: no root client. */
static void test_reduced_root_has_a_quota(void **state)
{
	struct gateway gateway;
	struct run held;
	struct run refused;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("--no-pam", "--max-sessions-per-user", "1"));
	const char *const argv[] = { "setpriv",
				     "--bounding-set",
				     "-sys_admin",
				     sandbox_dive(),
				     gateway.address,
				     "sh",
				     "-c",
				     "echo up; exec sleep 1000",
				     NULL };
	run_start(&held, &(struct run_options){ .argv = argv });
	run_expect(&held, "up");
	run(&refused, &(struct run_options){ .argv = argv });
	run_assert_status(&refused, 77);
	assert_non_null(strstr(refused.err, "busy: you have too many sessions"));
	run_done(&refused);
	assert_int_equal(connect_as(&gateway, NULL, ""), 0);
	run_signal(&held, SIGTERM);
	run_wait(&held);
	run_done(&held);
	gateway_stop(&gateway);
}

static int setup(void **state)
{
	int result = sandbox_group_setup(state);

	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("groupadd", "-g", "2100", "ops") });
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("usermod", "-aG", "ops", "carol") });
	return result;
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mode_and_owner),
		TEST(test_allow),
		TEST(test_allow_does_not_widen_the_mode),
		TEST(test_stale_socket_is_replaced),
		TEST(test_what_is_in_the_way_stays),
		TEST(test_directories),
		TEST(test_only_its_own_socket_is_removed),
		TEST(test_quotas),
		TEST(test_reduced_root_has_a_quota),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
