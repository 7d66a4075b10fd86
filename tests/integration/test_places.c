/*
 * dived started where something is missing: in a user namespace, without some or all
 * capabilities, as an ordinary user, without PAM's files or /proc, from a login shell.
 *
 * It either works, or says in one line what is missing and ends; a gateway that
 * starts and then refuses everybody is neither.  --check says the same.
 *
 * The place is made by this program itself, which dived is started through (see
 * main): `places WORD ARGUMENT dived ...`.
 */
#include "audit_stream.h"
#include "cleanup.h"
#include "gateway.h"
#include "inetd.h"
#include "must.h"
#include "parse.h"
#include "run.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF	  "/run/dive-test/bin/places"
#define OPEN	  "/run/dive-test/open"
#define ADDRESS	  OPEN "/place.sock"
#define WORDS_MAX 32
#define ALL	  "all"

/* Words of main(). */
#define USER_DENY  "user-deny"	/* a map, setgroups denied */
#define USER_ALLOW "user-allow" /* a map */
#define WITHOUT	   "without"	/* capabilities, by number, or "all" */
#define NO_FILES   "no-files"	/* a directory that is empty instead */
#define PLAIN	   "plain"	/* nothing */

/* The map of `unshare -Ur` by root, and one that holds all accounts of the sandbox. */
#define ONE	    "0 0 1"
#define MANY	    "0 0 65000"

#define SETGID	    "6"
#define SETUID	    "7"
#define KILL	    "5"
#define SETPCAP	    "8"
#define SYS_CHROOT  "18"
#define SYS_ADMIN   "21"
#define AUDIT_WRITE "29"

enum way { LISTEN, ONCE, EXECUTE, WAYS };

struct place {
	const char *word;
	const char *argument;
	const char *options[6];
	unsigned ways;	     /* bits */
	const char *refusal; /* NULL: it works */
	const char *account; /* dived's; NULL: root */
};

#define BIT(way) (1U << (way))
#define SOCKETS	 (BIT(LISTEN) | BIT(ONCE))
#define EVERY	 (SOCKETS | BIT(EXECUTE))

static const char groups[] = "setgroups(2) is denied in this user namespace";
static const char no_proc[] = "/proc is not mounted";

static const struct place places[] = {
	{ PLAIN, "", { NULL }, EVERY, NULL, NULL },

	/* (a) */
	{ USER_DENY, ONE, { NULL }, EVERY, groups, NULL },
	{ USER_DENY, ONE, { "-P" }, SOCKETS, groups, NULL },
	{ USER_DENY, ONE, { "-P", "--no-pam" }, SOCKETS, NULL, NULL },
	{ USER_DENY, ONE, { "-P" }, BIT(EXECUTE), NULL, NULL },
	{ USER_DENY, ONE, { "-P", "--no-pam", "-s", "net,mnt,uts" }, SOCKETS, NULL, NULL },
	{ USER_DENY, ONE, { "-P", "-s", "pid,mnt" }, BIT(EXECUTE), NULL, NULL },
	{ USER_ALLOW, ONE, { "--no-pam" }, SOCKETS, NULL, NULL },
	/* The root of outside is not that of in here, and would be asked. */
	{ USER_ALLOW, ONE, { "-a", "never" }, SOCKETS, NULL, NULL },
	{ USER_ALLOW, ONE, { NULL }, BIT(EXECUTE), NULL, NULL },
	{ USER_ALLOW, ONE, { "-u", "bob" }, EVERY, "namespace holds no user id 2002", NULL },
	{ USER_ALLOW, ONE, { "-g", "bob" }, EVERY, "namespace holds no group id 2002", NULL },
	{ USER_ALLOW, ONE, { "-s", "user" }, EVERY, "the new user namespace holds no ids", NULL },
	{ USER_ALLOW, ONE, { "-s", "user,pid", "-tt", "-a", "never" }, SOCKETS, NULL, NULL },
	{ USER_ALLOW, ONE, { "-s", "user,pid", "-tt" }, BIT(EXECUTE), NULL, NULL },
	{ USER_ALLOW, MANY, { "-u", "bob", "-a", "never" }, SOCKETS, NULL, NULL },
	{ USER_ALLOW, MANY, { "-u", "bob" }, BIT(EXECUTE), NULL, NULL },
	{ USER_ALLOW,
	  ONE,
	  { "--audit", "require" },
	  SOCKETS,
	  "--audit require: kernel auditing is",
	  NULL },

	/* (b) */
	{ WITHOUT, ALL, { NULL }, EVERY, "dived lacks CAP_SETUID", NULL },
	{ WITHOUT, ALL, { "-P" }, SOCKETS, "dived lacks CAP_SETGID", NULL },
	{ WITHOUT, ALL, { "-P", "--no-pam", "--audit", "off" }, SOCKETS, NULL, NULL },
	{ WITHOUT, ALL, { "-P" }, BIT(EXECUTE), NULL, NULL },
	{ WITHOUT, SETUID, { NULL }, EVERY, "dived lacks CAP_SETUID", NULL },
	{ WITHOUT, SETGID, { NULL }, EVERY, "dived lacks CAP_SETGID", NULL },
	{ WITHOUT, KILL, { NULL }, SOCKETS, "dived lacks CAP_KILL", NULL },
	{ WITHOUT, KILL, { NULL }, BIT(EXECUTE), NULL, NULL },
	{ WITHOUT, KILL, { "-x", "dived" }, BIT(EXECUTE), "dived lacks CAP_KILL", NULL },
	{ WITHOUT, AUDIT_WRITE, { NULL }, SOCKETS, "dived lacks CAP_AUDIT_WRITE", NULL },
	{ WITHOUT, AUDIT_WRITE, { "--no-pam", "--audit", "off" }, SOCKETS, NULL, NULL },
	{ WITHOUT, AUDIT_WRITE, { "--audit", "off" }, SOCKETS, NULL, NULL },
	{ WITHOUT, AUDIT_WRITE, { NULL }, BIT(EXECUTE), NULL, NULL },
	{ WITHOUT, SYS_ADMIN, { "-s", "net" }, EVERY, "dived lacks CAP_SYS_ADMIN, for -s", NULL },
	{ WITHOUT,
	  SYS_ADMIN,
	  { "-V", "/run", "mnt" },
	  EVERY,
	  "dived lacks CAP_SYS_ADMIN, for -V",
	  NULL },
	{ WITHOUT,
	  SYS_ADMIN,
	  { "-N", "/proc/1/ns/net" },
	  EVERY,
	  "dived lacks CAP_SYS_ADMIN, for -N",
	  NULL },
	{ WITHOUT, SYS_ADMIN, { "-s", "user,net", "-tt" }, BIT(EXECUTE), NULL, NULL },
	{ WITHOUT, SYS_CHROOT, { "-R", "/" }, EVERY, "dived lacks CAP_SYS_CHROOT, for -R", NULL },
	{ WITHOUT, SYS_CHROOT, { NULL }, EVERY, NULL, NULL },
	{ WITHOUT, SETPCAP, { "-L" }, EVERY, "dived needs cap_setpcap", NULL },

	/* (c) */
	{ PLAIN, "", { NULL }, EVERY, NULL, "alice" },
	{ PLAIN, "", { "-u", "bob" }, EVERY, "-u bob: dived does not run as root", "alice" },
	{ PLAIN, "", { "-s", "net" }, EVERY, "dived lacks CAP_SYS_ADMIN, for -s", "alice" },
	{ PLAIN, "", { "-s", "user,net,pid", "-tt" }, EVERY, NULL, "alice" },
	{ PLAIN, "", { "-x", "dived" }, EVERY, "-x dived: ", "alice" },

	/* (d) */
	{ NO_FILES, "/etc/pam.d", { NULL }, SOCKETS, "--pam-service dived: ", NULL },
	{ NO_FILES, "/etc/pam.d", { "--no-pam" }, SOCKETS, NULL, NULL },
	{ NO_FILES, "/etc/pam.d", { NULL }, BIT(EXECUTE), NULL, NULL },
	{ NO_FILES, "/etc/pam.d", { "-x", "dived" }, BIT(EXECUTE), "--pam-service dived: ", NULL },

	/* (e) */
	{ NO_FILES, "/proc", { NULL }, SOCKETS, no_proc, NULL },
	{ NO_FILES, "/proc", { "-P", "--no-pam" }, SOCKETS, no_proc, NULL },
	{ NO_FILES, "/proc", { NULL }, BIT(EXECUTE), NULL, NULL },
	{ NO_FILES, "/proc", { "-u", "root", "-L" }, BIT(EXECUTE), NULL, NULL },
	{ NO_FILES, "/proc", { "-x", "dived" }, BIT(EXECUTE), no_proc, NULL },
	{ NO_FILES, "/proc", { "-s", "net" }, BIT(EXECUTE), no_proc, NULL },
	{ NO_FILES, "/proc", { "-t", "/run/dive-test/x", "text" }, BIT(EXECUTE), no_proc, NULL },
	{ NO_FILES, "/proc", { NULL }, BIT(EXECUTE), NULL, "alice" },
};

static struct run dived;
static struct run client;
static struct audit_stream stream = { .fd = -1 };
static struct inetd inetd;

/* Auditing is on, for all to be asked of whoever says that it works. */
static int setup(void **state)
{
	(void)state;
	dived = client = (struct run){ .pidfd = -1 };
	inetd = (struct inetd){ .listener = -1 };
	audit_stream_open(&stream);
	return 0;
}

static int teardown(void **state)
{
	run_done(&client);
	run_done(&dived);
	audit_stream_close(&stream);
	inetd_close(&inetd);
	(void)unlink(ADDRESS); /* of a gateway that was killed */
	return sandbox_test_teardown(state);
}

static void start(const struct place *place, enum way way, bool check)
{
	const char *argv[WORDS_MAX] = { SELF, place->word, place->argument, sandbox_dived() };
	static const char *const ways[WAYS][4] = {
		[LISTEN] = { ADDRESS, "-C", "0666" },
		[ONCE] = { ADDRESS, "-F", "-C", "0666" },
		[EXECUTE] = { "-J" },
	};
	size_t count = 4;

	for (size_t i = 0; i < 4 && ways[way][i]; i++)
		argv[count++] = ways[way][i];
	for (size_t i = 0; i < ARRAY_LEN(place->options) && place->options[i]; i++)
		argv[count++] = place->options[i];
	if (check)
		argv[count++] = "--check";
	if (way == EXECUTE) {
		argv[count++] = "--";
		argv[count++] = "/bin/sh";
		argv[count++] = "-c";
		argv[count++] = "echo works";
	}
	run_start(&dived, &(struct run_options){ .argv = argv, .account = place->account });
}

static void expect_refusal(const char *text)
{
	const char *line;

	run_wait(&dived);
	run_assert_status(&dived, 4);
	assert_string_equal(dived.out, "");
	/* The last of its lines, and the only one that is not a warning. */
	line = strstr(dived.err, text);
	if (!line || strcspn(line, "\n") + 1 != strlen(line))
		FAIL("\"%s\" is not the last line of:\n%s", text, dived.err);
	assert_int_equal(access(ADDRESS, F_OK), -1);
	run_done(&dived);
}

static void expect_works(const struct place *place, enum way way)
{
	static struct gateway gateway = { .address = ADDRESS };

	if (way == EXECUTE) {
		run_wait(&dived);
		run_assert_status(&dived, 0);
		assert_string_equal(dived.out, "works\n");
		run_done(&dived);
		return;
	}
	run_expect(&dived, "op=dive:start"); /* written when the socket listens */
	run_dive(&client, &(struct run_options){ .account = place->account }, &gateway,
		 RUN_WORDS("/bin/sh", "-c", "echo works"));
	if (client.status != 0) {
		run_read(&dived);
		FAIL("%s\ndived said:\n%s", client.err, dived.err);
	}
	assert_string_equal(client.out, "works\n");
	run_done(&client);
	if (way == LISTEN)
		run_signal(&dived, SIGTERM);
	run_wait(&dived);
	run_assert_status(&dived, 0);
	run_done(&dived);
}

static void test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places) * WAYS; i++) {
		const struct place *place = &places[i / WAYS];
		enum way way = i % WAYS;

		if (!(place->ways & BIT(way)) || is_impossible(place->argument))
			continue;
		print_message("case: row %zu, %s %s, way %d\n", i / WAYS, place->word,
			      place->argument, way);
		start(place, way, false);
		if (place->refusal)
			expect_refusal(place->refusal);
		else
			expect_works(place, way);
		/* Maps of a namespace are known when it is made. */
		if (place->refusal && strstr(place->refusal, "the new user namespace"))
			continue;
		start(place, way, true);
		if (place->refusal) {
			expect_refusal(place->refusal);
		} else {
			run_wait(&dived);
			run_assert_status(&dived, 0);
			run_done(&dived);
		}
	}
}

/* With -i the client hears only that the gateway cannot serve. */
static void test_below_an_inetd(void **state)
{
	static const struct {
		const char *word;
		const char *argument;
		int status;
	} cases[] = {
		{ PLAIN, "", 0 },	  { USER_DENY, ONE, 4 },
		{ WITHOUT, SETUID, 4 },	  { NO_FILES, "/etc/pam.d", 4 },
		{ NO_FILES, "/proc", 4 },
	};

	(void)state;
	inetd_listen(&inetd);
	for (size_t i = 0; i < ARRAY_LEN(cases) && !is_impossible(cases[i].argument); i++) {
		print_message("case: %s %s\n", cases[i].word, cases[i].argument);
		run_dive_start(&client, &(struct run_options){ .account = "alice" }, &inetd.gateway,
			       RUN_WORDS("true"));
		cleanup_fd int conn = inetd_accept(&inetd);
		const struct run_fd fds[] = { { conn, 0 }, { conn, 1 }, { conn, 2 } };
		run_start(&dived, &(struct run_options){ .argv = RUN_WORDS(SELF, cases[i].word,
									   cases[i].argument,
									   sandbox_dived(), "-i"),
							 .fds = fds,
							 .fd_count = 3 });
		close_fd(&conn);
		run_wait(&client);
		run_assert_status(&client, cases[i].status ? 77 : 0);
		if (cases[i].status)
			assert_non_null(strstr(client.err, "its log says why"));
		run_wait(&dived);
		run_assert_status(&dived, cases[i].status);
		run_done(&client);
		run_done(&dived);
	}
}

/* Without /proc nobody lists descriptors, and they are handed on all the same. */
static void test_descriptors_without_proc(void **state)
{
	cleanup_fd int file = MUST_INT(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	const struct run_fd fds[] = { { file, 7 }, { file, 900 } };

	(void)state;
	run(&dived,
	    &(struct run_options){ .argv = RUN_WORDS(SELF, NO_FILES, "/proc", sandbox_dived(), "-J",
						     "-u", "bob", "--", "/bin/bash", "-c",
						     "head -c4 <&7 && head -c4 <&900"),
				   .fds = fds,
				   .fd_count = 2 });
	run_assert_status(&dived, 0);
	assert_int_equal(strlen(dived.out), 8);
}

/*
 * (f) From a login shell: the login uid of the client is carried over, whatever
 * dived's own is, by every way that has a client; -J keeps it.
 */
static void test_login_uid(void **state)
{
	static const char *const ways[][3] = { { ADDRESS }, { ADDRESS, "-F" } };
	static struct gateway gateway = { .address = ADDRESS };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		run_start(&dived, &(struct run_options){
					  .login_uid = "2003",
					  .argv = RUN_WORDS(sandbox_dived(), ADDRESS, "--audit",
							    "require", "-C", "0666", ways[i][1]) });
		run_expect(&dived, "op=dive:start");
		run_dive(&client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
			 &gateway, RUN_WORDS("cat", "/proc/self/loginuid"));
		run_assert_status(&client, 0);
		assert_string_equal(client.out, "2001");
		run_done(&client);
		if (!ways[i][1])
			run_signal(&dived, SIGTERM);
		run_wait(&dived);
		run_assert_status(&dived, 0);
		run_done(&dived);
	}
	run(&dived, &(struct run_options){ .login_uid = "2003",
					   .argv = RUN_WORDS(sandbox_dived(), "-J", "-u", "bob",
							     "-x", "dived", "--audit", "require",
							     "--", "cat", "/proc/self/loginuid") });
	run_assert_status(&dived, 0);
	assert_string_equal(dived.out, "2003");
}

/* --- the places; no assertion here: this is no test any more ------------------------------- */

static int complain(const char *what)
{
	(void)fprintf(stderr, "places: %s: %s\n", what, strerror(errno));
	return 125;
}

static int write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name); /* fits */
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Maps are written from outside, by a child that stays behind for that. */
static int enter_user(const char *map, bool deny)
{
	int gate[2];
	int status;
	char byte;

	if (pipe2(gate, O_CLOEXEC))
		return -1;
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		(void)close(gate[1]);
		(void)!read(gate[0], &byte, 1); /* the end: it is in */
		_exit((deny && write_file(self, "setgroups", "deny")) ||
		      write_file(self, "gid_map", map) || write_file(self, "uid_map", map));
	}
	if (unshare(CLONE_NEWUSER))
		return -1;
	(void)close(gate[1]);
	(void)close(gate[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		return -1;
	return setresgid(0, 0, 0) || setresuid(0, 0, 0) ? -1 : 0;
}

/* From the bounding set as well: executing a file as root gives all that is in it. */
static int drop(const char *which)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	uint64_t one = CAP_LAST_CAP + 1;

	if (strcmp(which, ALL) != 0 && parse_uint(which, 0, CAP_LAST_CAP, &one) < 0)
		return -1;
	if (syscall(SYS_capget, &head, sets))
		return -1;
	for (unsigned i = 0; i <= CAP_LAST_CAP; i++) {
		if (one <= CAP_LAST_CAP && i != one)
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0))
			return -1;
		sets[CAP_TO_INDEX(i)].inheritable &= ~CAP_TO_MASK(i);
	}
	return syscall(SYS_capset, &head, sets) ? -1 : 0;
}

static int hide(const char *path)
{
	if (geteuid() != 0 && unshare(CLONE_NEWUSER))
		return -1;
	return unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			       mount("tmpfs", path, "tmpfs", 0, "mode=0755")
		       ? -1
		       : 0;
}

static int enter(const char *word, const char *argument)
{
	if (strcmp(word, USER_DENY) == 0 || strcmp(word, USER_ALLOW) == 0)
		return enter_user(argument, strcmp(word, USER_DENY) == 0);
	if (strcmp(word, WITHOUT) == 0)
		return drop(argument);
	return strcmp(word, NO_FILES) == 0 ? hide(argument) : 0;
}

static int group_setup(void **state)
{
	if (show_group_setup(state))
		return -1;
	/* This program where every account reaches it. */
	cleanup_fd int in = MUST_INT(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	cleanup_fd int out = MUST_INT(open(SELF, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	while (MUST(sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	MUST(mkdir(OPEN, 0700));
	MUST(chmod(OPEN, 01777));
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_places),
		TEST(test_below_an_inetd),
		TEST(test_descriptors_without_proc),
		TEST(test_login_uid),
	};

	if (argc > 3) {
		if (enter(argv[1], argv[2]) == 0)
			(void)execv(argv[3], argv + 3);
		return complain(argv[1]);
	}
	return cmocka_run_group_tests(tests, group_setup, sandbox_group_teardown);
}
