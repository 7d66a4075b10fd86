/*
 * What dived says at start-up about ways to serve, places and privileges.
 *
 * As in test_startup.c: status 4, one line that names option and value, and no
 * socket.  Here the whole line is compared: what it says is all that helps.
 */
#include "cleanup.h"
#include "gateway.h"
#include "must.h"
#include "sandbox.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PATH	"/run/dive-test/options.sock"
#define HELP	" (dived --help lists the options)\n"
#define KINDS	"(mnt or fs, net, pid, user, ipc, uts, cgroup, time)"
#define FOREIGN ": not an absolute path, as it must be where the mount namespace may not be dived's"

static const struct {
	const char *words[12];
	const char *says;
} errors[] = {
	/* ways to serve */
	{ { "-i", PATH }, "ADDRESS " PATH ": excluded by -i" },
	{ { "-J", PATH, "--", "id" }, "ADDRESS " PATH ": excluded by -J" },
	{ { "--listen-fds", PATH }, "ADDRESS " PATH ": excluded by --listen-fds" },
	{ { "-i", "-J", "--", "id" }, "-J: excluded by -i" },
	{ { "-i", "-j", "--", "id" }, "-j: excluded by -i" },
	{ { "-i", "--listen-fds" }, "--listen-fds: excluded by -i" },
	{ { "-j", "--listen-fds", "--", "id" }, "--listen-fds: excluded by -j" },
	{ { "-i", "-F" }, "-F: excluded by -i" },
	{ { "-J", "-F", "--", "id" }, "-F: excluded by -J" },
	{ { "-i", "-C", "0666" }, "-C 0666: excluded by -i, which makes no socket" },
	{ { "-J", "-C", "0600", "--", "id" }, "-C 0600: excluded by -J, which makes no socket" },
	{ { "-i", "-U", "alice" }, "-U alice: excluded by -i, which makes no socket" },
	{ { "-i", "-d" }, "-d: excluded by -i, which serves nobody after that" },
	{ { "-J", "-d", "--", "id" }, "-d: excluded by -J, which serves nobody after that" },
	{ { "-J", "-r", "--", "id" }, "-r: excluded by -J, which serves no client" },
	{ { "-J", "-w", "--", "id" }, "-w: excluded by -J, which serves no client" },
	{ { "-j", "-n", "--", "id" }, "-n: excluded by -j, which serves no client" },
	{ { "-J", "--signals-pgid", "--", "id" },
	  "--signals-pgid: excluded by -J, which serves no client" },
	{ { "-J", "-A", "--", "id" }, "-A: excluded by -J, which serves no client" },
	{ { "-J", "--allow", "alice", "--", "id" },
	  "--allow alice: excluded by -J, which serves no client" },
	{ { "-J", "-a", "always", "--", "id" },
	  "-a always: excluded by -J, which serves no client" },
	{ { "-J", "--auth-user", "bob", "--", "id" },
	  "--auth-user bob: excluded by -J, which asks nobody" },
	{ { "-J" }, "-J: needs a command, written after --" },
	{ { "-J", "--audit", "require", "--", "id" },
	  "--audit require: without PAM, nothing is recorded with -J" },
	{ { "-j", "-u", "bob", "--", "id" }, "-u bob: excluded by -j, which changes no ids" },
	/* who */
	{ { PATH, "-P", "-e", "bob" }, "-e bob: excluded by -P, which changes no ids" },
	{ { PATH, "-P", "-g", "bob" }, "-g bob: excluded by -P, which changes no groups" },
	{ { PATH, "-u", "54321" },
	  "-u 54321: this number has no passwd entry; it needs -g, and PAM off" },
	{ { PATH, "-u", "54321", "-g", "5" },
	  "-u 54321: this number has no passwd entry; it needs -g, and PAM off" },
	{ { PATH, "-u", "54321", "--no-pam" },
	  "-u 54321: this number has no passwd entry; it needs -g, and PAM off" },
	{ { PATH, "-g", "" }, "-g: \"\" is an empty list" },
	{ { PATH, "-g", "bob,nothing" }, "-g nothing: there is no such group" },
	{ { PATH, "-g", "4294967295" },
	  "-g 4294967295: neither a name nor a possible id of a group" },
	{ { PATH, "-e", "nobody-here" }, "-e nobody-here: there is no such account" },
	{ { PATH, "-e", "54321" }, "-e 54321: there is no such account" },
	/* places */
	{ { PATH, "-s", "net,nothing" }, "-s: \"nothing\" is no namespace " KINDS },
	{ { PATH, "-N", "ns/net" }, "-N 'ns/net': not an absolute path" },
	{ { PATH, "--setns-pid", "x" }, "--setns-pid 'x': not of the form PID[:LIST]" },
	{ { PATH, "--setns-pid", "1:x" },
	  "--setns-pid '1:x': names something that is no namespace " KINDS },
	{ { PATH, "--setup", "true", "-s", "net" }, "--setup 'true': not an absolute path" },
	{ { PATH, "--setup", "/bin/true" },
	  "--setup /bin/true: there are no new namespaces without -s" },
	{ { PATH, "--setup", "/nothing", "-s", "net" },
	  "--setup /nothing: No such file or directory" },
	{ { PATH, "--setup", "/dev/null", "-s", "net" },
	  "--setup /dev/null: not a file that can be executed" },
	{ { PATH, "--setup", "/etc/passwd", "-s", "net" },
	  "--setup /etc/passwd: Permission denied" },
	{ { PATH, "-R", "/", "-V", "/", "/o" }, "-R /: excluded by -V" },
	{ { PATH, "-r", "-R", "/" }, "-r: excluded by -R, which says what the root is" },
	{ { PATH, "-r", "-V", "/", "/o" }, "-r: excluded by -V, which says what the root is" },
	{ { PATH, "-W", "-h", "/" }, "-h /: excluded by -W" },
	{ { PATH, "-h", "/" }, "-h /: counts only with -H" },
	{ { PATH, "-R", "" }, "-R '': the name is empty" },
	{ { PATH, "-V", "/", "" }, "-V / '': the name is empty" },
	{ { PATH, "-R", "/nothing" }, "-R /nothing: No such file or directory" },
	{ { PATH, "-H", "-h", "/etc/passwd" }, "-h /etc/passwd: not a directory" },
	{ { PATH, "-R", "etc", "-s", "mnt" }, "-R etc" FOREIGN },
	{ { PATH, "-V", "etc", "/o", "-s", "mnt" }, "-V etc" FOREIGN },
	{ { PATH, "-H", "-h", "etc", "--setns-pid", "1" }, "-h etc" FOREIGN },
	{ { PATH, "-t", "uid_map", "0 0 1" },
	  "-t uid_map: belongs to a new namespace, and there is no -s user" },
	{ { PATH, "-t", "timens_offsets", "x", "-s", "user" },
	  "-t timens_offsets: belongs to a new namespace, and there is no -s time" },
	{ { PATH, "-tt" }, "-tt: there is no new user namespace without -s user" },
	{ { PATH, "-s", "user", "-tt", "-t", "gid_map", "0 0 1" },
	  "-t gid_map: excluded by -tt, which writes it" },
	{ { PATH, "-s", "user", "-t", "setgroups", "deny", "-t", "setgroups", "deny" },
	  "-t setgroups: given twice, and the kernel takes it once" },
	{ { PATH, "-t", "file", "x" }, "-t 'file': not an absolute path" },
	{ { PATH, "-t", "/file", "" }, "-t /file '': there is no text to write" },
	{ { PATH, "--cgroup", "/nothing" }, "--cgroup '/nothing': No such file or directory" },
	{ { PATH, "--cgroup", "/etc" }, "--cgroup /etc: not a directory of a version 2 cgroup" },
	{ { PATH, "-C", "0666", "-r", "--allow-insecure" },
	  "-r: a client could give set-user-ID programs a root directory of its own making; it "
	  "needs -X or -B '', or a socket for root alone" },
	/* privileges */
	{ { PATH, "-l", "nofile" }, "-l nofile: not of the form NAME=HARD[:SOFT]" },
	{ { PATH, "-l", "files=5" }, "-l files=5: no resource limit has this name or number" },
	{ { PATH, "-l", "nofile=x" }, "-l nofile=x: neither a number nor \"unlimited\"" },
	{ { PATH, "-l", "nofile=5:6" }, "-l nofile=5:6: the soft limit is above the hard one" },
	{ { PATH, "-l", "core=5,4=6" }, "-l 4=6: a limit of core is given twice" },
	{ { PATH, "-B", "kill", "-b", "kill" }, "-b: excluded by -B" },
	{ { PATH, "-B", "all" }, "-B all: no capability" },
	{ { PATH, "-b", "63" }, "-b 63: the running kernel has no such capability" },
	{ { PATH, "-m", "cap_net" }, "-m cap_net: no capability" },
	{ { PATH, "-m", "kill", "-b", "kill" }, "-m cap_kill: excluded by -b, which drops it" },
	{ { PATH, "-m", "kill", "-B", "" }, "-m cap_kill: excluded by -B, which drops it" },
	{ { PATH, "-c", "kill" }, "-c 'kill': not of the form of cap_from_text(3)" },
	{ { PATH, "-c", "63+p" }, "-c 63+p: the running kernel has no capability 63" },
	{ { PATH, "-c", "cap_kill+e" }, "-c cap_kill+e: cap_kill is effective and not permitted" },
	{ { PATH, "-c", "cap_kill+i", "-b", "kill" },
	  "-c cap_kill+i: inheritable cap_kill is excluded by -b, which drops it" },
};

/* Runs dived with these words, as `account`, which must not start. */
static void expect_error(const char *account, const char *const *words, const char *says)
{
	const char *argv[16] = { sandbox_dived() };
	char expected[512];
	struct run command;

	for (size_t i = 0; words[i]; i++)
		argv[i + 1] = words[i];
	print_message("case: %s\n", says);
	run(&command,
	    &(struct run_options){ .account = account, .argv = argv, .deadline_ms = 5000 });
	run_assert_status(&command, 4);
	assert_string_equal(command.out, "");
	(void)snprintf(expected, sizeof(expected), "dived: %s%s", says, HELP); /* fits */
	assert_string_equal(command.err, expected);
	run_done(&command);
	assert_int_equal(access(PATH, F_OK), -1);
}

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		expect_error(NULL, errors[i].words, errors[i].says);
}

/* What dived does not have it cannot give, and it knows before anybody asks. */
static void test_errors_of_power(void **state)
{
	static const struct {
		const char *words[6];
		const char *says;
	} cases[] = {
		{ { PATH, "-m", "kill" }, "-m cap_kill: dived itself does not have it" },
		{ { PATH, "-c", "cap_kill=p" },
		  "-c cap_kill=p: dived itself does not have cap_kill" },
		{ { PATH, "-B", "" }, "-B: dived needs cap_setpcap for it" },
		{ { PATH, "-b", "kill" }, "-b: dived needs cap_setpcap for it" },
		{ { PATH, "-L" }, "-L: dived needs cap_setpcap for it" },
		{ { PATH, "-g", "carol" },
		  "-g carol: dived does not run as root and cannot change its groups" },
		{ { PATH, "-e", "bob" },
		  "-e bob: dived does not run as root and cannot change its ids" },
		{ { "-J", "-u", "bob", "--", "id" },
		  "-u bob: dived does not run as root and cannot change its ids" },
		{ { "-J", "-x", "dived", "--", "id" },
		  "-x dived: there is no PAM where dived does not run as root" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_error("carol", cases[i].words, cases[i].says);
}

/* Runs dived with these words; returns its output, which the caller releases with the run. */
static const char *print(struct run *command, const char *const *words)
{
	const char *argv[40] = { sandbox_dived() };

	for (size_t i = 0; words[i]; i++)
		argv[i + 1] = words[i];
	run(command, &(struct run_options){ .argv = argv });
	run_assert_status(command, 0);
	assert_string_equal(command->err, "");
	return command->out;
}

static void expect_lines(const char *text, const char *const *lines)
{
	for (size_t i = 0; lines[i]; i++)
		if (!strstr(text, lines[i]))
			FAIL("\"%s\" is not in: %s", lines[i], text);
}

static void test_help_lists(void **state)
{
	struct run command;
	const char *text = print(&command, RUN_WORDS("--help"));
	bool last = prctl(PR_CAPBSET_READ, CAP_LAST_CAP, 0, 0, 0) >= 0;

	(void)state;
	expect_lines(text, RUN_WORDS("\nLimits, for -l:\n  cpu fsize data ", " rttime\n",
				     "\n  mnt (or fs) net pid user ipc uts cgroup time\n",
				     "\n  cap_chown cap_dac_override ", "cap_net_raw"));
	if (last)
		expect_lines(text, RUN_WORDS("cap_checkpoint_restore\n"));
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		assert_in_range(strcspn(line, "\n"), 0, 80);
	run_done(&command);
}

static void test_check(void **state)
{
	struct run command;

	(void)state;
	expect_lines(print(&command,
			   RUN_WORDS("--check", PATH, "-e", "bob", "-g", "carol,7", "-R", "/etc",
				     "-H", "-h", "/home", "-t", "/proc/sys/x", "secret", "-l",
				     "core=0,nofile=20:10", "-B", "kill,net_raw", "-m", "kill",
				     "-c", "=", "-L", "-X", "-C", "0660")),
		     RUN_WORDS("\n  effective and saved ids: those of bob\n",
			       "\n  groups: carol, 7\n", "\n  root directory: /etc\n",
			       "\n  starts in: /home\n", "\n  written before: /proc/sys/x\n",
			       "\n  limits, over PAM's: core=0, nofile=20:10\n",
			       "\n  capability bounding set: at most kill, net_raw\n",
			       "\n  ambient capabilities: kill\n",
			       "\n  capabilities after the change of ids: =\n",
			       "NO_SETUID_FIXUP and NOROOT", "no_new_privs is set"));
	assert_null(strstr(command.out, "secret"));
	run_done(&command);
	expect_lines(
		print(&command, RUN_WORDS("--check", PATH, "--env-set", "TOKEN=secret", "--env-set",
					  "A=", "-T", "--request-timeout", "7", "--allow-insecure",
					  "--", "/bin/echo", "a b", "it's")),
		RUN_WORDS("\n  environment, set: TOKEN\n  environment, set: A\n",
			  "\n  terminal: none to control; a session of its own\n",
			  "; a request within 7 s\n", "(--allow-insecure)\n",
			  "\n  command: /bin/echo 'a b' 'it'\\''s', then the client's words\n"));
	assert_null(strstr(command.out, "secret"));
	run_done(&command);
	expect_lines(print(&command, RUN_WORDS("--check", PATH, "-S")),
		     RUN_WORDS("\n  terminal: none to control; a process group of its own"));
	run_done(&command);
	expect_lines(print(&command, RUN_WORDS("--check", PATH)),
		     RUN_WORDS("\n  terminal: a new one"));
	run_done(&command);
	expect_lines(print(&command, RUN_WORDS("--check", "-J", "-B", "", "--", "id")),
		     RUN_WORDS("gateway -J\n  no client:", "\n  command: id\n",
			       "\n  environment: dived's own\n",
			       "\n  capability bounding set: empty\n",
			       "\n  audit: nothing is recorded"));
	assert_null(strstr(command.out, "client's"));
	run_done(&command);
	expect_lines(print(&command, RUN_WORDS("--check", "-i", "-r", "-X", "-W")),
		     RUN_WORDS("connection on descriptor 0", "\n  root directory: the client's",
			       "\n  starts in: dived's root directory\n"));
	run_done(&command);
	assert_int_equal(access(PATH, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_errors),
		TEST(test_errors_of_power),
		TEST(test_help_lists),
		TEST(test_check),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
