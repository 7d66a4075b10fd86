/*
 * config: the options about where programs run, and the table of namespaces.
 */
#include "config_scene.h"

#include "must.h"
#include "namespace.h"

#include <fcntl.h>
#include <sys/stat.h>

static const struct refusal refused[] = {
	{ ANY, { "/s", "-s", "net,nothing" }, "-s", "\"nothing\" is no namespace" },
	{ ANY, { "/s", "-s", "Net" }, "-s", "\"Net\"" },
	{ ANY, { "/s", "-s", "" }, "-s", "empty" },
	{ ANY, { "/s", "-N", "proc" }, "-N 'proc'", "absolute" },
	{ ANY, { "/s", "-N", "" }, "-N ''", "absolute" },
	{ ANY, { "/s", "--setns-pid", "" }, "--setns-pid ''", "PID" },
	{ ANY, { "/s", "--setns-pid", "0" }, "--setns-pid '0'", "PID" },
	{ ANY, { "/s", "--setns-pid", "1x" }, "--setns-pid '1x'", "PID" },
	{ ANY, { "/s", "--setns-pid", "-1" }, "--setns-pid '-1'", "PID" },
	{ ANY, { "/s", "--setns-pid", "00000000001" }, "--setns-pid", "PID" },
	{ ANY, { "/s", "--setns-pid", "2147483648" }, "--setns-pid", "PID" },
	{ ANY, { "/s", "--setns-pid", "1:" }, "--setns-pid '1:'", "no namespace" },
	{ ANY, { "/s", "--setns-pid", "1:net," }, "--setns-pid '1:net,'", "no namespace" },
	{ ANY, { "/s", "--setns-pid", "1:net,x" }, "--setns-pid '1:net,x'", "no namespace" },
	{ ANY, { "/s", "--setup", "true", "-s", "net" }, "--setup 'true'", "absolute" },
	{ ANY, { "/s", "--setup", "/bin/sh" }, "--setup /bin/sh", "-s" },
	{ ANY, { "/s", "--setup", "/nosuch", "-s", "net" }, "--setup /nosuch", "No such file" },
	{ ANY, { "/s", "--setup", "/etc", "-s", "net" }, "--setup /etc", "executed" },
	{ ANY, { "/s", "--setup", "/etc/passwd", "-s", "net" }, "--setup /etc/passwd", "denied" },
	{ ANY, { "/s", "-V", "/", "/old", "-R", "/" }, "-R /", "excluded by -V" },
	{ ANY, { "/s", "-r", "-X", "-R", "/" }, "-r", "excluded by -R" },
	{ ANY, { "/s", "-r", "-X", "-V", "/", "/o" }, "-r", "excluded by -V" },
	{ ANY, { "/s", "-W", "-h", "/" }, "-h /", "excluded by -W" },
	{ ANY, { "/s", "-W", "-H", "-h", "/" }, "-h /", "excluded by -W" },
	{ ANY, { "/s", "-h", "/" }, "-h /", "counts only with -H" },
	{ ANY, { "/s", "-R", "" }, "-R ''", "empty" },
	{ ANY, { "/s", "-V", "", "/o" }, "-V ''", "empty" },
	{ ANY, { "/s", "-V", "/", "" }, "-V / ''", "empty" },
	{ ANY, { "/s", "-V", "/" }, "-V", "needs two values" },
	{ ANY, { "/s", "-V", "/", "/o", "-V", "/", "/o" }, "-V", "twice" },
	{ ANY, { "/s", "-H", "-h", "" }, "-h ''", "empty" },
	{ ANY, { "/s", "-R", "/nosuch" }, "-R /nosuch", "No such file" },
	{ ANY, { "/s", "-R", "/etc/passwd" }, "-R /etc/passwd", "not a directory" },
	{ ANY, { "/s", "-R", "nosuch" }, "-R nosuch", "No such file" },
	{ ANY, { "/s", "-V", "/nosuch", "/o" }, "-V /nosuch", "No such file" },
	{ ANY, { "/s", "-H", "-h", "/nosuch", "-s", "net" }, "-h /nosuch", "No such file" },
	{ ANY, { "/s", "-R", ".", "-s", "mnt" }, "-R .", "absolute" },
	{ ANY, { "/s", "-R", ".", "-s", "fs" }, "-R .", "absolute" },
	{ ANY, { "/s", "-R", ".", "-N", "/proc/1/ns/net" }, "-R .", "absolute" },
	{ ANY, { "/s", "-R", ".", "--setns-pid", "1" }, "-R .", "absolute" },
	{ ANY, { "/s", "-H", "-h", ".", "--setns-pid", "1:mnt" }, "-h .", "absolute" },
	{ ANY, { "/s", "-V", ".", "old", "-s", "mnt" }, "-V .", "absolute" },
	{ ANY, { "/s", "-t", "uid_map", "0 0 1" }, "-t uid_map", "-s user" },
	{ ANY, { "/s", "-t", "gid_map", "0 0 1", "-s", "net" }, "-t gid_map", "-s user" },
	{ ANY,
	  { "/s", "-t", "/proc/self/setgroups", "deny" },
	  "-t /proc/self/setgroups",
	  "-s user" },
	{ ANY, { "/s", "-t", "timens_offsets", "x", "-s", "user" }, "timens_offsets", "-s time" },
	{ ANY, { "/s", "-tt" }, "-tt", "-s user" },
	{ ANY,
	  { "/s", "-tt", "-s", "user", "-t", "uid_map", "x" },
	  "-t uid_map",
	  "excluded by -tt" },
	{ ANY,
	  { "/s", "-tt", "-s", "user", "-t", "/proc/self/gid_map", "x" },
	  "-t /proc/self/gid_map",
	  "excluded by -tt" },
	{ ANY,
	  { "/s", "-s", "user", "-t", "uid_map", "x", "-t", "/proc/self/uid_map", "x" },
	  "-t /proc/self/uid_map",
	  "twice" },
	{ ANY, { "/s", "-t", "relative", "x" }, "-t 'relative'", "absolute" },
	{ ANY, { "/s", "-t", "", "x" }, "-t ''", "absolute" },
	{ ANY, { "/s", "-t", "/f", "" }, "-t /f ''", "no text" },
	{ ANY, { "/s", "-t", "/f", "x", "-t", "/g", "" }, "-t /g ''", "no text" },
	{ ANY, { "/s", "-t", "/f" }, "-t", "needs two values" },
	{ ANY, { "/s", "--cgroup", "/nosuch" }, "--cgroup '/nosuch'", "No such file" },
	{ ANY, { "/s", "--cgroup", "" }, "--cgroup ''", "No such file" },
	{ ANY, { "/s", "--cgroup", "/etc/passwd" }, "--cgroup '/etc/passwd'", "Not a directory" },
	{ ANY, { "/s", "--cgroup", "/etc" }, "--cgroup /etc", "cgroup" },
	/* who may bring a root directory of his own */
	{ ROOT, { "/s", "-r", "-C", "0666" }, "-r", "set-user-ID" },
	{ ROOT, { "/s", "-r", "-C", "0660", "--allow-insecure" }, "-r", "set-user-ID" },
	{ ROOT, { "/s", "-r", "-U", "3999999999" }, "-r", "set-user-ID" },
	{ ROOT, { "/s", "-r", "-C", "0666", "--allow", "root,3999999999" }, "-r", "set-user-ID" },
	{ ROOT, { "/s", "-r", "-C", "0666", "--allow", "@root" }, "-r", "set-user-ID" },
	{ ROOT, { "/s", "-r", "-C", "0666", "-B", "chown" }, "-r", "set-user-ID" },
	{ ROOT, { "/s", "-r", "-C", "0666", "-b", "" }, "-r", "set-user-ID" },
	{ ROOT, { "-i", "-r" }, "-r", "set-user-ID" },
	{ OTHER, { "/s", "-r" }, "-r", "set-user-ID" },
};

static void test_refused(void **state)
{
	(void)state;
	expect_refused(refused, ARRAY_LEN(refused));
}

static const struct acceptance accepted[] = {
	{ ANY, { "/s", "-s", "ipc,net,mnt,pid,uts,user,cgroup,time" } },
	{ ANY, { "/s", "-s", "fs", "-s", "net", "--setup", "/bin/sh" } },
	{ ANY, { "/s", "-N", "/run/netns/a", "-N", "/nosuch", "--setns-pid", "1:net,fs" } },
	{ ANY, { "/s", "-R", "/", "-H", "-h", "/etc" } },
	{ ANY, { "/s", "-R", ".", "-H", "-h", "." } },
	{ ANY, { "/s", "-R", ".", "-s", "net", "--setns-pid", "1:net" } },
	{ ANY, { "/s", "-R", "/nosuch", "-H", "-h", "/nosuch", "-s", "mnt" } },
	{ ANY, { "/s", "-V", "/nosuch", "old", "--setns-pid", "4194304" } },
	{ ANY, { "/s", "-V", ".", "old" } },
	{ ANY, { "/s", "-s", "user,time", "-t", "uid_map", "x", "-t", "timens_offsets", "x" } },
	{ ANY, { "/s", "-s", "user", "-tt", "-t", "setgroups", "deny", "-t", "/f", "x" } },
	{ ANY, { "/s", "-t", "/proc/sys/kernel/x", "y", "-t", "/proc/sys/kernel/x", "z" } },
	{ ROOT, { "/s", "-r" } },
	{ ROOT, { "/s", "-r", "-C", "0666", "-X" } },
	{ ROOT, { "/s", "-r", "-C", "0666", "-B", "" } },
	{ ROOT, { "/s", "-r", "-C", "0666", "--allow", "root" } },
	{ ROOT, { "-i", "-r", "--allow", "0" } },
	{ OTHER, { "/s", "-r", "-X" } },
};

static void test_accepted(void **state)
{
	(void)state;
	expect_accepted(accepted, ARRAY_LEN(accepted));
}

static void test_values(void **state)
{
	struct stat root, slash;
	char text[2048];
	struct config config;

	(void)state;
	load_good(LINE("/s", "-s", "net,fs", "-s", "user", "-t", "/f", "secret", "-tt"), &config);
	assert_int_equal(config.unshare, NAMESPACE_BIT(NAMESPACE_NET) |
						 NAMESPACE_BIT(NAMESPACE_MNT) |
						 NAMESPACE_BIT(NAMESPACE_USER));
	assert_int_equal(config.root_fd, -1);
	assert_int_equal(config.cgroup_fd, -1);
	config_describe(&config, text, sizeof(text));
	assert_non_null(strstr(text, " unshare=net,fs,user"));
	assert_non_null(strstr(text, " write-content=/f "));
	assert_null(strstr(text, "secret"));
	config_done(&config);

	load_good(LINE("/s", "-W"), &config);
	assert_int_equal(config.no_chdir, 1);
	assert_int_equal(stat("/", &slash), 0);
	assert_int_equal(fstat(config.root_fd, &root), 0);
	assert_int_equal(root.st_ino, slash.st_ino);
	assert_int_equal(fcntl(config.root_fd, F_GETFD), FD_CLOEXEC);
	config_done(&config);
	assert_int_equal(config.root_fd, -1);
}

/* Where this machine has a version 2 hierarchy. */
static void test_cgroup(void **state)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct config config;
		char error[512];

		if (load(LINE("/s", "--cgroup", places[i]), &config, error, sizeof(error)))
			continue;
		assert_true(config.cgroup_fd >= 0);
		assert_int_equal(fcntl(config.cgroup_fd, F_GETFD), FD_CLOEXEC);
		config_done(&config);
		return;
	}
	SKIP("no cgroup hierarchy is mounted");
}

static void test_namespace_table(void **state)
{
	static const char own[] = "/proc/self/ns/";
	static const struct {
		const char *list;
		unsigned kinds;
		const char *wrong;
	} lists[] = {
		{ "net", NAMESPACE_BIT(NAMESPACE_NET), NULL },
		{ "fs,mnt,pid", NAMESPACE_BIT(NAMESPACE_MNT) | NAMESPACE_BIT(NAMESPACE_PID), NULL },
		{ "", 0, "" },
		{ "net,", 0, "" },
		{ ",net", 0, ",net" },
		{ "net,nets", 0, "nets" },
		{ "ne", 0, "ne" },
	};

	(void)state;
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
		char path[64];

		assert_int_equal(namespace_find(namespace_rows[kind].name), kind);
		(void)snprintf(path, sizeof(path), "%s%s", own, namespace_rows[kind].name);
		if (access(path, F_OK))
			print_message("not in this kernel: %s\n", path);
		for (int other = 0; other < kind; other++)
			assert_int_not_equal(namespace_rows[kind].flag, namespace_rows[other].flag);
	}
	assert_int_equal(namespace_find("fs"), NAMESPACE_MNT);
	assert_int_equal(namespace_find(""), -1);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		unsigned kinds = 0;
		const char *wrong = namespace_parse_list(lists[i].list, &kinds);

		assert_int_equal(kinds, lists[i].kinds);
		if (lists[i].wrong)
			assert_string_equal(wrong, lists[i].wrong);
		else
			assert_null(wrong);
	}
	assert_string_equal(config_namespace_file("/proc/self/uid_map"), "uid_map");
	assert_string_equal(config_namespace_file("timens_offsets"), "timens_offsets");
	assert_null(config_namespace_file("/proc/1/uid_map"));
	assert_null(config_namespace_file("/uid_map"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused), TEST(test_accepted),	TEST(test_values),
		TEST(test_cgroup),  TEST(test_namespace_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
