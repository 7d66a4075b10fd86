/*
 * -t: what is written where, when, and through what it is never written.
 *
 * The files of a new user or time namespace are in test_unshare_user.c.
 */
#include "container_scene.h"
#include "probe.h"

#define TOP	 "/run/dive-test"
#define EXISTING TOP "/existing"
#define MISSING	 TOP "/missing"

static void expect_content(const char *path, const char *text)
{
	if (strcmp(content_of(path), text) != 0)
		FAIL("%s: not \"%s\" but \"%s\"", path, text, content_of(path));
}

/* --- files ---------------- */

/* Truncated, its owner and mode kept; written for every program anew. */
static void test_file_that_exists(void **state)
{
	struct stat status;

	(void)state;
	sandbox_write(EXISTING, 0640, "a longer text than the new one");
	MUST(chown(EXISTING, SANDBOX_UID_BOB, SANDBOX_UID_BOB));
	gateway_start(&gateway, RUN_WORDS("-t", EXISTING, "new"));
	expect_content(EXISTING, "a longer text than the new one"); /* not at start-up */
	expect_output(&alice, RUN_WORDS("/bin/true"), "");
	expect_content(EXISTING, "new");
	sandbox_write(EXISTING, 0640, "other text");
	expect_output(&alice, RUN_WORDS("/bin/true"), "");
	expect_content(EXISTING, "new");
	MUST(stat(EXISTING, &status));
	assert_int_equal(status.st_uid, SANDBOX_UID_BOB);
	assert_int_equal(status.st_mode & 07777, 0640);
	gateway_stop(&gateway);
}

/* Root's and 0644, whatever the umask of dived, of the client and of PAM. */
static void test_file_that_is_missing(void **state)
{
	static const struct {
		const char *what;
		const char *options[12];
		const char *umask;
	} cases[] = {
		{ "own", { "-T" }, "0" },
		{ "tight", { "-T" }, "0777" },
		{ "another", { "-u", "bob", UNASKED }, "0" },
		{ "pam_umask", { "-x", "dive-umask" }, "022" },
		{ "user namespace", { "-s", "user", IDENTITY_MAPS }, "0" },
		{ "shifted",
		  { "-s", "user", "-t", "uid_map", "0 100000 65536", "-t", "gid_map",
		    "0 100000 65536", UNASKED },
		  "0" },
		{ "net namespace", { "-s", "net,mnt" }, "0" },
	};
	struct run command;
	struct stat status;

	(void)state;
	sandbox_service("dive-umask", SANDBOX_SERVICE "session required pam_umask.so umask=0777\n");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[16] = { "-t", MISSING, "made\n" };

		print_message("case: %s\n", cases[i].what);
		for (size_t j = 0; cases[i].options[j]; j++)
			options[3 + j] = cases[i].options[j];
		gateway_start(&gateway, options);
		run(&command,
		    &(struct run_options){ .account = "alice",
					   .argv = RUN_WORDS(SHOW, "umask", cases[i].umask,
							     sandbox_dive(), gateway.address,
							     "/bin/cat", MISSING) });
		run_assert_status(&command, 0);
		assert_string_equal(command.out, "made\n"); /* it is there before the program */
		run_done(&command);
		MUST(stat(MISSING, &status));
		assert_int_equal(status.st_uid, 0);
		assert_int_equal(status.st_gid, 0);
		assert_int_equal(status.st_mode, S_IFREG | 0644);
		MUST(unlink(MISSING));
		gateway_stop(&gateway);
	}
}

/* In this order; the last one stays. */
static void test_order_and_repetition(void **state)
{
	(void)state;
	sandbox_write(EXISTING, 0644, "old");
	gateway_start(&gateway, RUN_WORDS("-t", EXISTING, "first", "-t", MISSING, "made", "-t",
					  EXISTING, "last"));
	expect_output(&alice, RUN_WORDS("/bin/true"), "");
	expect_content(EXISTING, "last");
	expect_content(MISSING, "made");
	MUST(unlink(MISSING));
	gateway_stop(&gateway);
	/* What comes before the one that fails has been written, what comes after has not. */
	sandbox_write(EXISTING, 0644, "old");
	gateway_start(&gateway, RUN_WORDS("-t", EXISTING, "first", "-t", "/dev/null", "x", "-t",
					  EXISTING, "last"));
	expect_refused(&alice, RUN_WORDS("/bin/true"), "(contents): /dev/null: ");
	expect_content(EXISTING, "first");
	gateway_stop(&gateway);
}

/* --- files of the kernel ---------------- */

/* All in one write: the kernel takes each part for a value of its own. */
static void test_files_of_the_kernel(void **state)
{
	static const struct {
		const char *what;
		const char *file;
		const char *text;
		const char *options[12];
		const char *is;
	} cases[] = {
		{ "of the process", "/proc/self/oom_score_adj", "321", { "-T" }, "321\n" },
		{ "in a pid namespace",
		  "/proc/self/oom_score_adj",
		  "321",
		  { "-s", "pid" },
		  "321\n" },
		{ "net",
		  "/proc/sys/net/ipv4/ping_group_range",
		  "7 1977",
		  { "-s", "net" },
		  "7\t1977\n" },
		{ "uts", "/proc/sys/kernel/hostname", "content", { "-s", "uts" }, "content\n" },
		{ "ipc", "/proc/sys/kernel/shm_rmid_forced", "1", { "-s", "ipc" }, "1\n" },
		{ "net, user",
		  "/proc/sys/net/ipv4/ping_group_range",
		  "7 1977",
		  { "-s", "net,user", IDENTITY_MAPS },
		  "7\t1977\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[16] = { "-t", cases[i].file, cases[i].text };
		char before[256];

		print_message("case: %s\n", cases[i].what);
		(void)snprintf(before, sizeof(before), "%.255s",
			       content_of(cases[i].file)); /* fits */
		for (size_t j = 0; cases[i].options[j]; j++)
			options[3 + j] = cases[i].options[j];
		gateway_start(&gateway, options);
		expect_output(&alice, RUN_WORDS("/bin/cat", cases[i].file), cases[i].is);
		gateway_stop(&gateway);
		expect_content(cases[i].file, before); /* here nothing has changed */
	}
}

/* What the kernel does not take ends the spawn. */
static void test_text_that_is_refused(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-t", "/proc/self/oom_score_adj", "much"));
	expect_refused(&alice, RUN_WORDS("/bin/true"),
		       "(contents): /proc/self/oom_score_adj: Invalid argument");
	gateway_stop(&gateway);
}

/* --- what is never written to ---------------- */

static void test_what_is_no_file(void **state)
{
	static const struct {
		const char *what;
		const char *file;
		const char *text;
	} cases[] = {
		{ "link to a file", TOP "/link", "Too many levels of symbolic links" },
		{ "link to nothing", TOP "/dangling", "Too many levels of symbolic links" },
		{ "FIFO", TOP "/fifo", "Invalid argument" },
		{ "device", "/dev/null", "Invalid argument" },
		{ "terminal", "/dev/ptmx", "Invalid argument" },
		{ "directory", TOP, "Invalid argument" },
		{ "socket", TOP "/socket", "Invalid argument" },
		{ "no directory", TOP "/none/file", "No such file or directory" },
		{ "below a file", EXISTING "/file", "Not a directory" },
	};

	(void)state;
	sandbox_service("probe", PROBE_SERVICE);
	sandbox_write(EXISTING, 0644, "kept");
	MUST(symlink(EXISTING, TOP "/link"));
	MUST(symlink(TOP "/pointed-at", TOP "/dangling"));
	MUST(mkfifo(TOP "/fifo", 0600));
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("perl", "-MIO::Socket::UNIX", "-e",
							     "IO::Socket::UNIX->new(Local => '" TOP
							     "/socket', Listen => 1)") });
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[256];

		print_message("case: %s\n", cases[i].what);
		(void)snprintf(text, sizeof(text), "(contents): %s: %s", cases[i].file,
			       cases[i].text); /* fits */
		gateway_start(&gateway, RUN_WORDS("-t", cases[i].file, "text", "-x", "probe"));
		probe_forget();
		expect_refused(&alice, RUN_WORDS("/bin/touch", "/home/alice/ran"), text);
		assert_int_equal(access("/home/alice/ran", F_OK), -1);
		probe_assert_phases("account establish open close delete");
		gateway_stop(&gateway);
	}
	expect_content(EXISTING, "kept");
	assert_int_equal(access(TOP "/pointed-at", F_OK), -1);
}

/* --- when ---------------- */

/* In the new mount namespace, where --setup has mounted, and outside of the new root. */
static void test_inside_namespaces_and_outside_of_the_root(void **state)
{
	static const char jail[] = TOP "/jail";

	(void)state;
	MUST(mkdir(jail, 0755));
	sandbox_write(TOP "/mount-jail", 0755,
		      "#!/bin/sh\nset -e\nmount -t tmpfs over %s\nmkdir -p %s" TOP "\n"
		      "cp " SHOW " %s" TOP "\n",
		      jail, jail, jail);
	gateway_start(&gateway, RUN_WORDS("-s", "mnt", "--setup", TOP "/mount-jail", "-R", jail,
					  "-t", TOP "/jail/inside", "text", "-t", MISSING, "text"));
	struct run command;
	dive(&command, &alice, RUN_WORDS(SHOW));
	run_done(&command);
	expect_content(MISSING, "text");
	assert_int_equal(access(TOP "/jail/inside", F_OK), -1); /* on that mount only */
	gateway_stop(&gateway);
	MUST(unlink(MISSING));
}

/* --- somebody else's namespaces ---------------- */

static int make_files(void)
{
	int fd = open("/there", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 || write(fd, "longer than that", 16) != 16 || symlink("/there", "/link") ||
	       mkfifo("/fifo", 0600);
}

/* What is there is written to; nothing is made there. */
static void test_in_a_container(void **state)
{
	static const struct {
		const char *file;
		const char *text;
	} cases[] = {
		{ "/missing", "(contents): /missing: No such file or directory" },
		{ "/etc/missing", "(contents): /etc/missing: No such file or directory" },
		{ "/link", "(contents): /link: Too many levels of symbolic links" },
		{ "/fifo", "(contents): /fifo: Invalid argument" },
	};

	(void)state;
	start_box(make_files);
	gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), "-t", "/there", "new",
					  "-u", "root", UNASKED, "-t",
					  "/proc/sys/net/ipv4/ping_group_range", "7 1977"));
	expect_output(&alice,
		      RUN_WORDS("/bin/cat", "/there", "/proc/sys/net/ipv4/ping_group_range"),
		      "new7\t1977\n");
	gateway_stop(&gateway);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].file);
		gateway_start(&gateway, RUN_WORDS("--setns-pid", name_of(&box, ""), "-t",
						  cases[i].file, "text", UNASKED));
		expect_refused(&alice, RUN_WORDS("/bin/true"), cases[i].text);
		gateway_stop(&gateway);
	}
	/* Whatever is joined: it may be in their power what a name means. */
	gateway_start(&gateway,
		      RUN_WORDS("--setns-pid", name_of(&box, ":net"), "-t", MISSING, "text"));
	expect_refused(&alice, RUN_WORDS("/bin/true"), "(contents): " MISSING ": No such file");
	gateway_stop(&gateway);
}

/* Root inside mounts a file of the host's root where the next program's content goes. */
static void test_not_written_as_root_outside(void **state)
{
	(void)state;
	sandbox_write(EXISTING, 0666, "%s", "");
	sandbox_write(MISSING, 0600, "of the host");
	gateway_start(&gateway, RUN_WORDS("-s", "user,mnt", "-t", "uid_map", "0 100000 65536", "-t",
					  "gid_map", "0 100000 65536", "-t", EXISTING, "text", "-u",
					  "root", UNASKED));
	expect_output(&alice,
		      RUN_WORDS("/bin/sh", "-c",
				"cat " EXISTING " && mount --bind " MISSING " " EXISTING),
		      "text");
	expect_refused(&alice, RUN_WORDS("/bin/true"),
		       "(contents): " EXISTING ": Permission denied");
	expect_content(MISSING, "of the host");
	MUST(unlink(MISSING));
	gateway_stop(&gateway);
}

static void test_start_up_errors(void **state)
{
	(void)state;
	gateway_expect_refusal(RUN_WORDS("@refused", "-t", "relative", "x"),
			       "-t 'relative': not an absolute path");
	gateway_expect_refusal(RUN_WORDS("@refused", "-t", "/file", ""), "there is no text");
	gateway_expect_refusal(RUN_WORDS("@refused", "-t", "/file"), "-t");
	gateway_expect_refusal(RUN_WORDS("@refused", "-t", "/proc/self/setgroups", "deny"),
			       "there is no -s user");
}

#define TEST(name) cmocka_unit_test_teardown(name, container_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_file_that_exists),
		TEST(test_file_that_is_missing),
		TEST(test_order_and_repetition),
		TEST(test_files_of_the_kernel),
		TEST(test_text_that_is_refused),
		TEST(test_what_is_no_file),
		TEST(test_inside_namespaces_and_outside_of_the_root),
		TEST(test_in_a_container),
		TEST(test_not_written_as_root_outside),
		TEST(test_start_up_errors),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
