/*
 * config: as whom programs run (-u by number, -e, -g) and with what (-l -B -b -m -c).
 */
#include "config_scene.h"
#include "must.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BIT(number) (UINT64_C(1) << (number))

static const struct refusal refused[] = {
	{ ANY, { "/s", "-u", "3999999999", "--no-pam" }, "-u 3999999999", "-g" },
	{ ANY, { "/s", "-u", "3999999999", "-g", "5" }, "-u 3999999999", "PAM off" },
	{ ANY, { "/s", "-u", "4294967295", "-g", "5", "--no-pam" }, "-u 4294967295", "" },
	{ ANY, { "/s", "-g", "" }, "-g", "empty" },
	{ ANY, { "/s", "-g", "root,nosuch" }, "-g nosuch", "no such group" },
	{ ANY, { "/s", "-g", "4294967295" }, "-g 4294967295", "possible id" },
	{ ANY, { "/s", "-g", "-1" }, "-g -1", "no such group" },
	{ ANY, { "/s", "-e", "nosuch" }, "-e nosuch", "no such account" },
	{ ANY, { "/s", "-e", "3999999999" }, "-e 3999999999", "no such account" },
	{ ANY, { "/s", "-e", "" }, "-e", "" },
	{ ANY, { "/s", "-e", "root", "-e", "root" }, "-e", "twice" },
	{ ANY, { "/s", "-P", "-e", "root" }, "-e root", "excluded by -P" },
	{ ANY, { "/s", "-P", "-g", "root" }, "-g root", "excluded by -P" },
	{ OTHER, { "/s", "-e", "root" }, "-e root", "does not run as root" },
	{ OTHER, { "/s", "-g", "root" }, "-g root", "does not run as root" },
	/* limits */
	{ ANY, { "/s", "-l", "" }, "-l", "empty" },
	{ ANY, { "/s", "-l", "nofile" }, "-l nofile", "NAME=HARD" },
	{ ANY, { "/s", "-l", "nofile:5=9" }, "-l nofile:5=9", "no resource limit" },
	{ ANY, { "/s", "-l", "NOFILE=9" }, "-l NOFILE=9", "no resource limit" },
	{ ANY, { "/s", "-l", "=9" }, "-l =9", "no resource limit" },
	{ ANY, { "/s", "-l", "16=9" }, "-l 16=9", "no resource limit" },
	{ ANY, { "/s", "-l", "nofile=" }, "-l nofile=", "neither a number" },
	{ ANY, { "/s", "-l", "nofile=5:" }, "-l nofile=5:", "neither a number" },
	{ ANY, { "/s", "-l", "nofile=:5" }, "-l nofile=:5", "neither a number" },
	{ ANY, { "/s", "-l", "nofile=-1" }, "-l nofile=-1", "neither a number" },
	{ ANY, { "/s", "-l", "nofile=0x5" }, "-l nofile=0x5", "neither a number" },
	{ ANY, { "/s", "-l", "nofile=5:4:3" }, "-l nofile=5:4:3", "neither a number" },
	{ ANY, { "/s", "-l", "as=18446744073709551615" }, "-l as=1844", "neither a number" },
	{ ANY, { "/s", "-l", "nofile=5:6" }, "-l nofile=5:6", "above" },
	{ ANY, { "/s", "-l", "core=5:unlimited" }, "-l core=5:unlimited", "above" },
	{ ANY, { "/s", "-l", "core=5", "-l", "4=6" }, "-l 4=6", "core is given twice" },
	/* capabilities */
	{ ANY, { "/s", "-B", "chown", "-b", "kill" }, "-b", "excluded by -B" },
	{ ANY, { "/s", "-B", "", "-b", "" }, "-b", "excluded by -B" },
	{ ANY, { "/s", "-B", "cap_nothing" }, "-B cap_nothing", "no capability" },
	{ ANY, { "/s", "-b", "cap_chown+p" }, "-b cap_chown+p", "no capability" },
	{ ANY, { "/s", "-b", "cap_cap_chown" }, "-b cap_cap_chown", "no capability" },
	{ ANY, { "/s", "-b", "cap_" }, "-b cap_", "no capability" },
	{ ANY, { "/s", "-b", "all" }, "-b all", "no capability" },
	{ ANY, { "/s", "-b", "0x5" }, "-b 0x5", "no capability" },
	{ ANY, { "/s", "-b", "64" }, "-b 64", "no capability" },
	{ ANY, { "/s", "-b", "63" }, "-b 63", "running kernel" },
	{ ANY, { "/s", "-m", "63" }, "-m 63", "running kernel" },
	{ ANY, { "/s", "-m", "nothing" }, "-m nothing", "no capability" },
	{ ANY, { "/s", "-m", "kill", "-b", "kill,chown" }, "-m cap_kill", "excluded by -b" },
	{ ANY, { "/s", "-m", "kill,chown", "-B", "chown" }, "-m cap_kill", "excluded by -B" },
	{ ANY, { "/s", "-c", "" }, "-c ''", "cap_from_text" },
	{ ANY, { "/s", "-c", "cap_nothing=p" }, "-c 'cap_nothing=p'", "cap_from_text" },
	{ ANY, { "/s", "-c", "cap_kill" }, "-c 'cap_kill'", "cap_from_text" },
	{ ANY, { "/s", "-c", "63=p" }, "-c 63=p", "running kernel" },
	{ ANY, { "/s", "-c", "cap_kill=e" }, "-c cap_kill=e", "not permitted" },
	{ ANY, { "/s", "-c", "cap_kill=i", "-b", "kill" }, "-c cap_kill=i", "excluded by -b" },
	{ OTHER, { "/s", "-B", "" }, "-B", "cap_setpcap" },
	{ OTHER, { "/s", "-b", "kill" }, "-b", "cap_setpcap" },
	{ OTHER, { "/s", "-L" }, "-L", "cap_setpcap" },
};

static void test_refused(void **state)
{
	(void)state;
	expect_refused(refused, ARRAY_LEN(refused));
}

static const struct acceptance accepted[] = {
	{ ROOT, { "/s", "-e", "root", "-g", "root,3999999999,7" } },
	{ ROOT, { "/s", "-e", "0", "-u", "root" } },
	{ ROOT, { "-J", "-u", "3999999999", "-g", "5", "--", "/bin/id" } },
	{ ANY, { "/s", "-b", "", "-m", "", "-X" } },
	{ ROOT, { "/s", "-L", "-B", "", "-c", "cap_kill=ep" } },
	/* capabilities come with the namespace */
	{ OTHER, { "/s", "-s", "user", "-B", "", "-L" } },
	{ OTHER, { "/s", "--setns-pid", "1:user", "-b", "kill" } },
	{ ROOT, { "/s", "-s", "user", "-m", "sys_resource,sys_admin" } },
};

static void test_accepted(void **state)
{
	(void)state;
	expect_accepted(accepted, ARRAY_LEN(accepted));
}

static void test_nameless(void **state)
{
	struct config config;

	(void)state;
	if (geteuid() != 0)
		SKIP("needs root");
	load_good(LINE("/s", "-u", "3999999999", "-g", "7,8", "--no-pam"), &config);
	assert_true(config.user_nameless);
	assert_int_equal(config.user_uid, 3999999999);
	assert_int_equal(config.user_gid, 7);
	assert_int_equal(config.group_id_count, 2);
	assert_int_equal(config.group_ids[1], 8);
	config_done(&config);
	load_good(LINE("/s", "-u", "root"), &config);
	assert_false(config.user_nameless);
	assert_int_equal(config.user_uid, 0);
	assert_int_equal(config.user_gid, 0);
	config_done(&config);
}

/* A reload looks groups up again, and keeps what it has where it cannot. */
static void test_reload_of_groups(void **state)
{
	struct config config;
	char error[256];

	(void)state;
	if (geteuid() != 0)
		SKIP("needs root");
	load_good(LINE("/s", "-g", "7,8"), &config);
	free(config.groups.items[1]);
	config.groups.items[1] = strdup("nosuch");
	assert_int_equal(reload(&config, error, sizeof(error)), -EINVAL);
	assert_int_equal(config.group_ids[1], 8);
	free(config.groups.items[1]);
	config.groups.items[1] = strdup("9");
	assert_int_equal(reload(&config, error, sizeof(error)), 0);
	assert_int_equal(config.group_ids[1], 9);
	assert_int_equal(config.group_id_count, 2);
	config_done(&config);
}

static void test_limits(void **state)
{
	static const struct {
		const char *text;
		int resource;
		rlim_t hard, soft;
	} rows[] = {
		{ "nofile=20:10", RLIMIT_NOFILE, 20, 10 },
		{ "nofile=20", RLIMIT_NOFILE, 20, 20 },
		{ "nofile=20:0", RLIMIT_NOFILE, 20, 0 },
		{ "7=020", RLIMIT_NOFILE, 20, 20 },
		{ "cpu=5", RLIMIT_CPU, 5, 5 },
		{ "rttime=6:6", RLIMIT_RTTIME, 6, 6 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config config;

		print_message("case: %s\n", rows[i].text);
		load_good(LINE("/s", "-l", rows[i].text), &config);
		for (int j = 0; j < (int)RLIM_NLIMITS; j++)
			assert_int_equal(config.limits[j].set, j == rows[i].resource);
		assert_true(config.limits[rows[i].resource].value.rlim_max == rows[i].hard);
		assert_true(config.limits[rows[i].resource].value.rlim_cur == rows[i].soft);
		config_done(&config);
	}
	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		assert_string_not_equal(config_limit_name(i), "?");
}

/* Above dived's own hard limit: only where that can be raised. */
static void test_limit_that_cannot_be_raised(void **state)
{
	struct rlimit before, low;
	struct config config;
	char error[512];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_CORE, &before), 0);
	low = (struct rlimit){ 0, 4096 };
	assert_int_equal(setrlimit(RLIMIT_CORE, &low), 0);
	load_good(LINE("/s", "-l", "core=4096"), &config);
	config_done(&config);
	(void)become(OTHER);
	assert_int_equal(load(LINE("/s", "-l", "core=4097"), &config, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "-l core=4097: dived's own hard limit of 4096"));
	assert_int_equal(load(LINE("/s", "-l", "core=unlimited:5"), &config, error, sizeof(error)),
			 -EINVAL);
	come_back();
	(void)setrlimit(RLIMIT_CORE, &before); /* not without cap_sys_resource; harmless then */
}

static void test_capabilities(void **state)
{
	static const struct {
		const char *words[WORDS];
		uint64_t listed; /* kept with -B, else dropped */
		uint64_t ambient;
	} rows[] = {
		{ { "/s", "-B", "cap_chown,KILL,7" }, BIT(0) | BIT(5) | BIT(7), 0 },
		{ { "/s", "-B", "" }, 0, 0 },
		{ { "/s", "-b", "Cap_Net_Raw,net_raw" }, BIT(13), 0 },
		{ { "/s", "-b", "" }, 0, 0 },
		{ { "/s", "-m", "kill,chown", "-b", "net_raw" }, BIT(13), BIT(0) | BIT(5) },
	};
	uint64_t known = config_known_capabilities();

	(void)state;
	assert_true(known & BIT(CAP_CHOWN));
	assert_false(known & BIT(63));
	if (geteuid() != 0)
		SKIP("needs root");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config config;

		print_message("case: %zu\n", i);
		load_good(rows[i].words, &config);
		assert_true(config.bounding_drop ==
			    (config.retain_names.items ? known & ~rows[i].listed : rows[i].listed));
		assert_true(config.ambient == rows[i].ambient);
		assert_int_equal(config_adds_privilege(&config), rows[i].ambient != 0);
		config_done(&config);
	}
}

static void test_set_text(void **state)
{
	struct config config;

	(void)state;
	if (geteuid() != 0)
		SKIP("needs root");
	load_good(LINE("/s", "-c", "cap_kill=eip cap_chown+p"), &config);
	assert_true(config.capabilities.set);
	assert_true(config.capabilities.effective == BIT(CAP_KILL));
	assert_true(config.capabilities.permitted == (BIT(CAP_KILL) | BIT(CAP_CHOWN)));
	assert_true(config.capabilities.inheritable == BIT(CAP_KILL));
	assert_true(config_adds_privilege(&config));
	config_done(&config);
	load_good(LINE("/s", "-c", "="), &config);
	assert_true(config.capabilities.set);
	assert_true(config.capabilities.permitted == 0);
	config_done(&config);
}

/* What dived itself lacks it cannot give. */
static void test_lacking(void **state)
{
	static const char *const lines[][5] = {
		{ "/s", "-m", "chown,kill" },
		{ "/s", "-c", "cap_kill=p" },
		{ "/s", "-c", "cap_kill=i" },
	};
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		SKIP("needs root");
	/* For good: in a child, which says what went wrong by its exit status. */
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (syscall(SYS_capget, &head, data))
			_exit(1);
		data[0].effective &= ~(uint32_t)BIT(CAP_KILL);
		data[0].permitted &= ~(uint32_t)BIT(CAP_KILL);
		if (syscall(SYS_capset, &head, data))
			_exit(2);
		for (int i = 0; i < (int)ARRAY_LEN(lines); i++) {
			struct config config;
			char error[512];

			if (load(lines[i], &config, error, sizeof(error)) != -EINVAL ||
			    !strstr(error, "dived itself does not have") ||
			    !strstr(error, "cap_kill"))
				_exit(10 + i);
		}
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_words(void **state)
{
	char text[2048];
	struct config config;

	(void)state;
	if (geteuid() != 0)
		SKIP("needs root");
	load_good(LINE("/s", "-e", "root", "-g", "5", "-B", "", "-l", "core=0", "-c", "=", "-X"),
		  &config);
	config_describe(&config, text, sizeof(text));
	assert_non_null(strstr(text, " groups=5 effective-user=root "));
	assert_non_null(strstr(text, " rlimit=core=0 retain-capabilities= set-capabilities== "));
	assert_non_null(strstr(text, " no-new-privs"));
	config_done(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused),	 TEST(test_accepted),
		TEST(test_nameless),	 TEST(test_reload_of_groups),
		TEST(test_limits),	 TEST(test_limit_that_cannot_be_raised),
		TEST(test_capabilities), TEST(test_set_text),
		TEST(test_lacking),	 TEST(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
