/*
 * -R, -r, -h, -H, -W: which root and which directory a program has.  -V is in
 * test_pivot.c.
 */
#include "container_scene.h"
#include "hostile.h"
#include "jail_scene.h"

/* --- -R, -h, -H, -W ---------------- */

static void test_roots_and_directories(void **state)
{
	static const struct {
		const char *what;
		const char *start; /* where dived is started */
		const char *options[8];
		const char *root;
		const char *directory;
	} cases[] = {
		{ "-R, absolute", "/", { "-R", JAIL }, JAIL, "/home/alice/closed" },
		{ "-R, relative", TOP, { "-R", "jail" }, JAIL, "/home/alice/closed" },
		{ "-R, here", JAIL, { "-R", "." }, JAIL, "/home/alice/closed" },
		{ "-R and -H", OUTSIDE, { "-R", JAIL, "-H" }, JAIL, OUTSIDE },
		{ "-R and -h: outside", "/", { "-R", JAIL, "-H", "-h", OUTSIDE }, JAIL, OUTSIDE },
		{ "-h and -R", "/", { "-h", OUTSIDE, "-H", "-R", JAIL }, JAIL, OUTSIDE },
		{ "swapped", "/", { "-R", OUTSIDE, "-H", "-h", JAIL }, OUTSIDE, JAIL },
		{ "both relative", TOP, { "-R", "jail", "-H", "-h", "outside" }, JAIL, OUTSIDE },
		{ "-h inside", TOP, { "-R", "jail", "-H", "-h", "jail/usr" }, JAIL, JAIL "/usr" },
		{ "-h alone", TOP, { "-H", "-h", "outside" }, "/", OUTSIDE },
		{ "-H alone", OUTSIDE, { "-H" }, "/", OUTSIDE },
		{ "-W", OUTSIDE, { "-W" }, "/", "/" },
		{ "-W and -R", OUTSIDE, { "-W", "-R", JAIL }, JAIL, "/" },
	};
	const struct run_options client = { .account = "alice", .directory = "/home/alice/closed" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		gateway_start_with(&gateway, &(struct run_options){ .directory = cases[i].start },
				   cases[i].options);
		expect_place(&client, cases[i].root, cases[i].directory);
		gateway_stop(&gateway);
	}
}

/* The program says it with exit statuses, having no descriptors. */
static void test_directory_is_kept_without_descriptors(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-O", "-R", JAIL));
	run_dive(&command, &(struct run_options){ .account = "alice", .directory = OUTSIDE },
		 &gateway, RUN_WORDS(IN_SH, "test -f /mark && test -f only-outside"));
	run_assert_status(&command, 0);
	run_done(&command);
	gateway_stop(&gateway);
}

/* bob cannot name the directory that alice is in, and is in it. */
static void test_directory_the_target_cannot_name(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-R", JAIL, "-u", "bob", UNASKED));
	expect_place(&(struct run_options){ .account = "alice", .directory = "/home/alice/closed" },
		     JAIL, "/home/alice/closed");
	gateway_stop(&gateway);
}

static void test_start_up_errors(void **state)
{
	static const struct {
		const char *options[8];
		const char *text;
	} cases[] = {
		{ { "-R", TOP "/missing" }, "-R " TOP "/missing: No such file or directory" },
		{ { "-R", "/etc/passwd" }, "-R /etc/passwd: not a directory" },
		{ { "-R", "" }, "the name is empty" },
		{ { "-V", JAIL, "" }, "the name is empty" },
		{ { "-V", TOP "/missing", "." }, "-V " TOP "/missing: No such file" },
		{ { "-V", JAIL, ".", "-R", JAIL }, "-R " JAIL ": excluded by -V" },
		{ { "-h", "/" }, "-h /: counts only with -H" },
		{ { "-H", "-h", "/missing" }, "-h /missing: No such file" },
		{ { "-W", "-h", "/" }, "-h /: excluded by -W" },
		{ { "-r", "-X", "-R", JAIL }, "-r: excluded by -R" },
		{ { "-r", "-X", "-V", JAIL, "." }, "-r: excluded by -V" },
		{ { "-s", "mnt", "-R", "jail" }, "not an absolute path" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[12] = { "@refused" };

		print_message("case: %s\n", cases[i].text);
		for (size_t j = 0; cases[i].options[j]; j++)
			options[1 + j] = cases[i].options[j];
		gateway_expect_refusal(options, cases[i].text);
	}
}

/* A name of dived's options means at each spawn what it means then. */
static void test_root_that_goes_away(void **state)
{
	(void)state;
	MUST(mkdir(TOP "/passing", 0755));
	gateway_start(&gateway, RUN_WORDS("-R", TOP "/passing"));
	MUST(rmdir(TOP "/passing"));
	expect_refused(&alice, RUN_WORDS(SHOW),
		       "(root): " TOP "/passing: No such file or directory");
	gateway_stop(&gateway);
}

/* --- the program in there ---------------- */

static void expect_status(const char *const *environment, const char *word, int status)
{
	struct run command;

	run_dive(&command, &(struct run_options){ .account = "alice", .envp = environment },
		 &gateway, RUN_WORDS(word));
	run_assert_status(&command, status);
	run_done(&command);
}

/* PATH is looked through in the new root, as the target. */
static void test_program_is_found_inside(void **state)
{
	static const char *const path[] = { "PATH=" TOP "/bin:jail:/inner/bin", NULL };
	static const char *const outside[] = { "PATH=" TOP "/bin", NULL };
	static const char *const hidden[] = { "PATH=/hidden", NULL };

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-R", JAIL));
	expect_status(path, "tool", 0);
	expect_status(path, "dived", 127); /* there is one, outside */
	expect_status(outside, "tool", 127);
	expect_status(hidden, "tool", 126); /* what only root may look into */
	expect_status(NULL, TOP "/bin/dived", 127);
	expect_status(NULL, "/only-inside", 0);
	expect_status(NULL, "/hidden/tool", 126);
	gateway_stop(&gateway);
}

/* -l without a program: the shell of passwd(5), which is dived's own. */
static void test_shell_is_found_inside(void **state)
{
	(void)state;
	gateway_start_with(&gateway, &(struct run_options){ .directory = JAIL },
			   RUN_WORDS("-R", JAIL, "-H"));
	expect_output(&(struct run_options){ .account = "alice", .input = MARK "\n" },
		      RUN_WORDS(NULL), "jail\n");
	gateway_stop(&gateway);
}

static void test_root_in_a_new_mount_namespace(void **state)
{
	(void)state;
	MUST(mkdir(TOP "/later", 0755));
	sandbox_write(TOP "/mount-later", 0755,
		      "#!/bin/sh\nmount -t tmpfs later " TOP "/later && mkdir -p " TOP "/later" TOP
		      "; cp " SHOW " " TOP "/later" TOP "\n");
	gateway_start(&gateway, RUN_WORDS("-s", "mnt", "--setup", TOP "/mount-later", "-R",
					  TOP "/later", "-H", "-h", TOP "/later"));
	struct run command;
	dive(&command, &alice, RUN_WORDS(SHOW));
	show_expect(command.out, "cwd", "/");
	assert_string_equal(show_get(command.out, "root-is"), show_get(command.out, "cwd-is"));
	run_done(&command);
	assert_int_equal(access(TOP "/later" SHOW, F_OK), -1);
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("-s", "mnt", "-R", "/nowhere"));
	expect_refused(&alice, RUN_WORDS(SHOW), "(root): /nowhere: No such file or directory");
	gateway_stop(&gateway);
	gateway_start(&gateway, RUN_WORDS("-s", "mnt", "-H", "-h", "/nowhere"));
	expect_refused(&alice, RUN_WORDS(SHOW), "(root): /nowhere: No such file or directory");
	gateway_stop(&gateway);
}

/* --- in a container ---------------- */

/* Links as a container's own root can make them, of which the last two are harmless. */
static int make_links(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/cwd", "/cwd" },
		{ "/proc/self/root", "/root" },
		{ "/proc/1/root", "/first" },
		{ "/proc/self/fd/2", "/fd2" },
		{ "/proc/thread-self/cwd", "/own" },
		{ "/proc/self/cwd/etc", "/longer" },
		{ "/inner", "/plain" },
		{ "../../inner", "/up" },
	};

	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlink(links[i][0], links[i][1]))
			return -1;
	if (mkdir("/inner", 0755) || link("/etc/group", "/inner/group"))
		return -1;
	return 0;
}

static void test_links_of_a_container_do_not_lead_out(void **state)
{
	static const char *const bad[] = {
		"/cwd",	      "/root", "/first", "/fd2", "/own", "/longer", "/proc/self/root/inner",
		"/proc/1/cwd"
	};
	static const char *const good[] = { "/plain", "/up", "/inner" };
	static const char text[] = "Too many levels of symbolic links";

	(void)state;
	start_box(make_links);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char path[64];

		print_message("case: %s\n", bad[i]);
		(void)snprintf(path, sizeof(path), "%s/x", bad[i]); /* fits */
		gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), "-R", bad[i]));
		expect_refused(&alice, RUN_WORDS(SHOW), text);
		gateway_stop(&gateway);
		gateway_start(&gateway,
			      RUN_WORDS("--setns-pid", name_of(&box, ""), "-H", "-h", bad[i]));
		expect_refused(&alice, RUN_WORDS(SHOW), text);
		gateway_stop(&gateway);
		gateway_start(&gateway,
			      RUN_WORDS("--setns-pid", name_of(&box, ""), "-t", path, "text"));
		expect_refused(&alice, RUN_WORDS(SHOW), text);
		gateway_stop(&gateway);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		print_message("case: %s\n", good[i]);
		gateway_start(&gateway,
			      RUN_WORDS("--setns-pid", name_of(&box, ""), "-H", "-h", good[i]));
		expect_output(&alice, RUN_WORDS(IN_SH, "pwd; ls"), "/inner\ngroup\n");
		gateway_stop(&gateway);
	}
}

/* --- -r ---------------- */

#define ROOTED(name, directory)                                                                    \
	&(struct run_options)                                                                      \
	{                                                                                          \
		.account = (name), .envp = RUN_WORDS("DIVE_ROOTDIR=" directory, "PATH=/bin")       \
	}

static void test_root_of_the_client(void **state)
{
	struct run command;

	(void)state;
	sandbox_account_line("/etc/group", "chrooters", "chrooters:x:3001:alice");
	gateway_start(&gateway, RUN_WORDS("-r", "-X", "--allow", "@chrooters"));
	expect_place(ROOTED("alice", JAIL), JAIL, "/");
	expect_place(&alice, "/", "/");
	dive(&command, ROOTED("alice", JAIL), RUN_WORDS(SHOW));
	show_expect(command.out, "NoNewPrivs", "1");
	show_expect(command.out, "Uid", "2001 2001 2001 2001");
	show_expect(command.out, "CapEff", "0000000000000000");
	run_done(&command);
	expect_refused(ROOTED("bob", JAIL), RUN_WORDS(SHOW), "may not use the gateway");
	gateway_stop(&gateway);
	/* Where it is not asked for it has no effect. */
	gateway_start(&gateway, RUN_WORDS("-X"));
	expect_place(ROOTED("alice", JAIL), "/", "/");
	gateway_stop(&gateway);
	/* Without descriptors, too. */
	gateway_start(&gateway, RUN_WORDS("-r", "-O", "-B", ""));
	run_dive(&command, ROOTED("alice", JAIL), &gateway, RUN_WORDS(IN_SH, "test -f /mark"));
	run_assert_status(&command, 0);
	run_done(&command);
	gateway_stop(&gateway);
}

static void test_root_of_the_client_needs_care(void **state)
{
	static const char text[] = "it needs -X or -B ''";

	(void)state;
	gateway_expect_refusal(RUN_WORDS("@refused", "-C", "0666", "-r"), text);
	gateway_expect_refusal(RUN_WORDS("@refused", "-C", "0666", "-r", "-B", "chown"), text);
	gateway_expect_refusal(RUN_WORDS("@refused", "-C", "0666", "-r", "-b", "chown"), text);
	/* For root alone it is root's own business. */
	gateway_start(&gateway, RUN_WORDS("-C", "0600", "-r"));
	expect_place(ROOTED(NULL, JAIL), JAIL, "/");
	gateway_stop(&gateway);
}

/* Who gains by the spawn does not choose what the programs of the target find. */
static void test_root_of_the_client_and_elevated(void **state)
{
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-r", "-X", "-u", "bob", UNASKED));
	run_dive(&command, ROOTED("alice", JAIL), &gateway, RUN_WORDS(SHOW));
	run_assert_status(&command, 77);
	assert_non_null(strstr(command.err, "root directory"));
	run_done(&command);
	dive(&command, ROOTED(NULL, JAIL), RUN_WORDS(SHOW));
	expect_directory(command.out, "root-is", JAIL);
	show_expect(command.out, "Uid", "2002 2002 2002 2002");
	run_done(&command);
	gateway_stop(&gateway);
}

/* Sends what dive would not: a root that is none. */
static void test_root_that_is_none(void **state)
{
	const struct message_request request = { .flags = MESSAGE_REQUEST_CWD |
							  MESSAGE_REQUEST_ROOT };
	int fds[] = { MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)),
		      MUST_INT(open("/etc/passwd", O_RDONLY | O_CLOEXEC)) };
	struct hostile hostile;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-r", "-X"));
	hostile_connect(&hostile, gateway.address, "alice", NULL);
	hostile_send_hello(&hostile, 0);
	hostile_send_request(&hostile, request, RUN_WORDS(SHOW), RUN_WORDS("A=1"), fds, 2);
	hostile_send_end(&hostile);
	hostile_expect_refused(&hostile, MESSAGE_LAYER_REQUEST);
	hostile_close(&hostile);
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, container_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_roots_and_directories),
		TEST(test_directory_is_kept_without_descriptors),
		TEST(test_directory_the_target_cannot_name),
		TEST(test_start_up_errors),
		TEST(test_root_that_goes_away),
		TEST(test_program_is_found_inside),
		TEST(test_shell_is_found_inside),
		TEST(test_root_in_a_new_mount_namespace),
		TEST(test_links_of_a_container_do_not_lead_out),
		TEST(test_root_of_the_client),
		TEST(test_root_of_the_client_needs_care),
		TEST(test_root_of_the_client_and_elevated),
		TEST(test_root_that_is_none),
	};

	return cmocka_run_group_tests(tests, jail_group_setup, sandbox_group_teardown);
}
