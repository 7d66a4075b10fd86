/*
 * With what capabilities a program runs: -B -b -m -c -L -X, and without any of them,
 * as the kernel tells the program itself.
 *
 * What a program can be asked about is what it has after exec(2), which computes
 * capabilities anew: capabilities(7).
 */
#include "privilege_scene.h"

#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SET_USER_ID    "/run/dive-test/set-user-id"
#define SECUREBITS_ALL "0xf" /* of -L: NOROOT, NO_SETUID_FIXUP, and both locks */

/* --- capabilities ------------------------------------------------------------------------- */

static void test_bounding_set(void **state)
{
	const uint64_t all = own_set("CapBnd");
	const struct {
		const char *options[8];
		uint64_t set;
	} cases[] = {
		{ { "-T" }, all },
		{ { "-B", "net_raw,cap_chown,5" },
		  BIT(CAP_NET_RAW) | BIT(CAP_CHOWN) | BIT(CAP_KILL) },
		{ { "-B", "CAP_KILL", "-B", "Chown" }, BIT(CAP_CHOWN) | BIT(CAP_KILL) },
		{ { "-B", "" }, 0 },
		{ { "-b", "net_raw,0" }, all & ~(BIT(CAP_NET_RAW) | BIT(CAP_CHOWN)) },
		{ { "-b", "" }, all },
		{ { "-B", "net_raw", "-P", "-a", "never" }, BIT(CAP_NET_RAW) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run command;

		print_message("case: %zu\n", i);
		report(&command, cases[i].options);
		expect_set(command.out, "CapBnd", cases[i].set);
		run_done(&command);
	}
}

/* Root has what the bounding set allows, and no more. */
static void test_bounding_set_of_root(void **state)
{
	struct run command;

	(void)state;
	report(&command, RUN_WORDS("-u", "root", "-a", "never", "-B", "net_raw,setpcap"));
	expect_set(command.out, "CapEff", BIT(CAP_NET_RAW) | BIT(CAP_SETPCAP));
	expect_set(command.out, "CapPrm", BIT(CAP_NET_RAW) | BIT(CAP_SETPCAP));
	run_done(&command);
	report(&command, RUN_WORDS("-u", "root", "-a", "never", "-B", ""));
	expect_set(command.out, "CapEff", 0);
	run_done(&command);
	report(&command, RUN_WORDS("-u", "root", "-a", "never"));
	expect_set(command.out, "CapEff", own_set("CapBnd"));
	expect_set(command.out, "CapInh", 0);
	run_done(&command);
}

static void test_ambient(void **state)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
	static const struct {
		const char *options[10];
		uint64_t set;
		const char *securebits;
	} cases[] = {
		{ { "-m", "net_bind_service", "-a", "never" }, BIT(CAP_NET_BIND_SERVICE), "0" },
		{ { "-m", "kill,cap_net_raw", "-u", "bob", "-a", "never" },
		  BIT(CAP_KILL) | BIT(CAP_NET_RAW),
		  "0" },
		{ { "-m", "net_raw", "-B", "net_raw,kill", "-L", "-X", "-a", "never" },
		  BIT(CAP_NET_RAW),
		  SECUREBITS_ALL },
		{ { "-m", "net_raw", "-u", "54321", "-g", "54321", "--no-pam" },
		  BIT(CAP_NET_RAW),
		  "0" },
		{ { "-m", "net_raw", "-c", "cap_kill=p", "-a", "never" }, BIT(CAP_NET_RAW), "0" },
		{ { "-m", "net_raw", "-u", "root", "-L", "-a", "never" },
		  BIT(CAP_NET_RAW),
		  SECUREBITS_ALL },
		{ { "-m", "" }, 0, "0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run command;

		print_message("case: %zu\n", i);
		report(&command, cases[i].options);
		for (size_t j = 0; j < ARRAY_LEN(sets); j++)
			expect_set(command.out, sets[j], cases[i].set);
		show_expect(command.out, "securebits", cases[i].securebits);
		if (!strstr(show_get(command.out, "Uid"), "0 0 0 0")) /* these stay its own */
			show_expect(command.out, "regained", "0");
		run_done(&command);
	}
}

/* What it is for. */
static void test_ambient_binds_a_port(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS(NULL));
	run_dive(&command, &alice, &gateway, RUN_WORDS(SHOW, "bind", "80"));
	run_assert_status(&command, 1);
	assert_string_equal(command.out, "Permission denied\n");
	run_done(&command);
	gateway_stop(&gateway);
	run_behind(&command, RUN_WORDS("-m", "cap_net_bind_service", "-a", "never"),
		   RUN_WORDS(SHOW, "bind", "80"));
	assert_string_equal(command.out, "bound\n");
	run_done(&command);
}

/* Of the sets of -c only the inheritable one outlives exec for an ordinary account... */
static void test_set_capabilities(void **state)
{
	struct run command;

	(void)state;
	report(&command, RUN_WORDS("-c", "cap_net_raw,cap_kill=eip cap_chown+ep", "-a", "never"));
	expect_set(command.out, "CapInh", BIT(CAP_NET_RAW) | BIT(CAP_KILL));
	expect_set(command.out, "CapPrm", 0);
	expect_set(command.out, "CapEff", 0);
	expect_set(command.out, "CapAmb", 0);
	show_expect(command.out, "Uid", "2001 2001 2001 2001");
	run_done(&command);
	/* ...while root gets all again, but for -L. */
	report(&command, RUN_WORDS("-c", "=", "-u", "root", "-a", "never"));
	expect_set(command.out, "CapEff", own_set("CapBnd"));
	run_done(&command);
	report(&command, RUN_WORDS("-c", "=", "-P", "-L", "-a", "never"));
	expect_set(command.out, "CapPrm", 0);
	run_done(&command);
}

/* ... and before it they are in force: here for the change of directory to a closed home. */
static void test_set_capabilities_before_exec(void **state)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = { { "=", 77 },
		      { "cap_dac_read_search=p", 77 },
		      { "cap_dac_read_search=ep", 0 } };

	(void)state;
	MUST(chmod("/home/carol", 0));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run command;

		print_message("case: %s\n", cases[i].text);
		gateway_start(&gateway,
			      RUN_WORDS("-u", "carol", "-c", cases[i].text, "-a", "never"));
		run_dive(&command, &alice, &gateway, RUN_WORDS("-l", "true"));
		run_assert_status(&command, cases[i].status);
		if (cases[i].status != 0)
			assert_non_null(strstr(command.err, "(home): Permission denied"));
		run_done(&command);
		gateway_stop(&gateway);
	}
	MUST(chmod("/home/carol", 0700));
}

/* With -P all is as dived has it, and -m adds to it. */
static void test_unchanged(void **state)
{
	struct run command;

	(void)state;
	report(&command, RUN_WORDS("-P", "-a", "never"));
	show_expect(command.out, "Uid", "0 0 0 0");
	expect_set(command.out, "CapEff", own_set("CapEff"));
	expect_set(command.out, "CapInh", own_set("CapInh"));
	expect_set(command.out, "CapAmb", 0);
	run_done(&command);
	report(&command, RUN_WORDS("-P", "-m", "net_raw", "-a", "never"));
	expect_set(command.out, "CapEff", own_set("CapEff"));
	expect_set(command.out, "CapInh", own_set("CapInh") | BIT(CAP_NET_RAW));
	expect_set(command.out, "CapAmb", BIT(CAP_NET_RAW));
	run_done(&command);
}

/* Makes a capability of this test inheritable, and ambient, or neither. */
static void inherit(int capability, bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	MUST(syscall(SYS_capget, &head, data));
	data[0].inheritable = on ? (uint32_t)BIT(capability) : 0;
	MUST(syscall(SYS_capset, &head, data)); /* takes it out of the ambient set, too */
	if (on)
		MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0));
}

/* What dived itself inherited is for no program, but where all is as dived has it. */
static void test_inherited_capabilities(void **state)
{
	static const struct {
		const char *options[6];
		bool passed_on;
	} cases[] = {
		{ { "-T" }, false },
		{ { "-u", "bob", "-a", "never" }, false },
		{ { "-u", "root", "-a", "never" }, false },
		{ { "-c", "=", "-a", "never" }, false },
		{ { "-P", "-a", "never" }, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run command;

		print_message("case: %zu\n", i);
		inherit(CAP_NET_RAW, true);
		gateway_start(&gateway, cases[i].options);
		inherit(CAP_NET_RAW, false);
		dive(&command, &alice, RUN_WORDS(SHOW));
		expect_set(command.out, "CapInh", cases[i].passed_on ? BIT(CAP_NET_RAW) : 0);
		expect_set(command.out, "CapAmb", cases[i].passed_on ? BIT(CAP_NET_RAW) : 0);
		run_done(&command);
		gateway_stop(&gateway);
	}
}

/* --- securebits and no_new_privs -------------------------------------------------------------- */

/* A root shell that cannot do what root can. */
static void test_lock_securebits(void **state)
{
	static const struct expectation cases[] = {
		{ { "-T" }, { "securebits", "0" } },
		{ { "-L" }, { "securebits", SECUREBITS_ALL, "CapPrm", NOTHING } },
		{ { "-L", "-u", "root", "-a", "never" },
		  { "securebits", SECUREBITS_ALL, "Uid", "0 0 0 0", "CapEff", NOTHING, "CapPrm",
		    NOTHING } },
		{ { "-L", "-u", "bob", "-a", "never" },
		  { "securebits", SECUREBITS_ALL, "Uid", "2002 2002 2002 2002", "CapPrm", NOTHING,
		    "regained", "0" } },
		{ { "-L", "-P", "-a", "never" },
		  { "securebits", SECUREBITS_ALL, "CapEff", NOTHING } },
	};
	struct run command;

	(void)state;
	expect_all(cases, ARRAY_LEN(cases));
	run_behind(&command, RUN_WORDS("-L", "-u", "root", "-a", "never"),
		   RUN_WORDS("sh", "-c", "id -u; chown alice /etc/hosts 2>&1 || echo no"));
	assert_int_equal(strncmp(command.out, "0\n", 2), 0);
	assert_non_null(strstr(command.out, "\nno\n"));
	run_done(&command);
}

/*
 * Securebits that dived itself was started with: a change of ids that leaves all
 * capabilities is not for programs.
 */
static void test_inherited_securebits(void **state)
{
	struct run command;

	(void)state;
	MUST(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_CAP_AMBIENT_RAISE));
	gateway_start(&gateway, RUN_WORDS("-u", "bob", "-a", "never", "-m", "net_raw"));
	MUST(prctl(PR_SET_SECUREBITS, 0));
	dive(&command, &alice, RUN_WORDS(SHOW));
	show_expect(command.out, "securebits", "0");
	expect_set(command.out, "CapPrm", BIT(CAP_NET_RAW));
	show_expect(command.out, "regained", "0");
	run_done(&command);
	gateway_stop(&gateway);
}

static void test_no_new_privs(void **state)
{
	static const struct expectation cases[] = {
		{ { "-T" }, { "NoNewPrivs", "0" } },
		{ { "-X" }, { "NoNewPrivs", "1", "Uid", "2001 2001 2001 2001" } },
		{ { "-X", "-u", "bob", "-a", "never" }, { "NoNewPrivs", "1" } },
		{ { "-X", "-P", "-a", "never" }, { "NoNewPrivs", "1" } },
	};
	struct run command;

	(void)state;
	expect_all(cases, ARRAY_LEN(cases));
	/* A set-user-ID program as it is, and without effect. */
	run_behind(&command, RUN_WORDS(NULL), RUN_WORDS(SET_USER_ID));
	show_expect(command.out, "Uid", "2001 0 0 0");
	run_done(&command);
	run_behind(&command, RUN_WORDS("-X"), RUN_WORDS(SET_USER_ID));
	show_expect(command.out, "Uid", "2001 2001 2001 2001");
	run_done(&command);
}

static int setup(void **state)
{
	if (show_group_setup(state) != 0)
		return -1;
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("cp", SHOW, SET_USER_ID) });
	MUST(chmod(SET_USER_ID, 04755));
	return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bounding_set),     TEST(test_bounding_set_of_root),
		TEST(test_ambient),	     TEST(test_ambient_binds_a_port),
		TEST(test_set_capabilities), TEST(test_set_capabilities_before_exec),
		TEST(test_unchanged),	     TEST(test_inherited_capabilities),
		TEST(test_lock_securebits),  TEST(test_inherited_securebits),
		TEST(test_no_new_privs),
	};

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
