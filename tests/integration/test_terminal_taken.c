/*
 * DIVE_TERMINAL: a terminal of the client's becomes the program's controlling one, and
 * nobody else's ever does.
 */
#include "terminal_scene.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define ELSEWHERE "/run/dive-test/pts"

static struct pty other = { .run.pidfd = -1, .master = -1, .slave = -1 };

static int done(void **state)
{
	pty_done(&other);
	(void)umount(ELSEWHERE); /* of a test that failed */
	return teardown(state);
}

/* Runs alice's command at a terminal, with `fd` as descriptor 9 unless it is -1. */
static void at(const char *command, int fd)
{
	const struct run_fd nine = { fd, 9 };

	(void)snprintf(variable, sizeof(variable), "G=%s", gateway.address); /* fits */
	pty_start(&pty, &(struct run_options){ .account = "alice",
					       .argv = RUN_WORDS("sh", "-c", command),
					       .fds = &nine,
					       .fd_count = fd >= 0,
					       .envp = RUN_WORDS(PATHS, variable) });
}

static void expect(const char *says, int status)
{
	pty_expect(&pty, says);
	assert_int_equal(pty_wait(&pty), status);
	pty_done(&pty);
}

/* The program leads a session at the caller's very terminal, in its foreground. */
#define LEADS                                                                                      \
	"sh -c 'set -- $(cut -d\" \" -f 4-8 /proc/$$/stat); echo le''ads >/dev/tty; "              \
	"[ \"$(tty)\" = '$(tty)' ] && [ $3 = $$ ] && [ $5 = $$ ] && exit 9'"

static void test_own_session(void **state)
{
	static const char *const options[][8] = {
		{ "-M" },
		{ AS_BOB },
		{ "-s", "pid" },
		{ "-s", "user", "-tt", "-u", "root", "-a", "never" },
	};
	static const char *const lines[] = {
		"DIVE_TERMINAL=$(tty) exec dive $G " LEADS,
		"DIVE_TERMINAL=@0 exec dive $G " LEADS,
		"DIVE_TERMINAL=/dev/tty exec dive $G " LEADS,
		"DIVE_TERMINAL=@3 exec dive $G " LEADS " 3<>/dev/tty",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options) * ARRAY_LEN(lines); i++) {
		const char *const *chosen = options[i / ARRAY_LEN(lines)];
		bool inside = chosen[0][1] == 's'; /* numbers and names are others there */

		print_message("case: %s %s\n", chosen[0], lines[i % ARRAY_LEN(lines)]);
		gateway_start(&gateway, chosen);
		if (inside)
			at("DIVE_TERMINAL=@0 exec dive $G sh -c 'echo le''ads >/dev/tty; exit 9'",
			   -1);
		else
			at(lines[i % ARRAY_LEN(lines)], -1);
		expect("leads", 9);
		gateway_stop(&gateway);
	}
}

/* Nobody's: a terminal that alice has made. */
static void test_free_terminal(void **state)
{
	int unlocked = 0;
	cleanup_fd int master = MUST_INT(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));

	(void)state;
	MUST(ioctl(master, TIOCSPTLCK, &unlocked));
	cleanup_fd int slave = MUST_INT(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));

	MUST(fchown(slave, SANDBOX_UID_ALICE, 5));
	gateway_start(&gateway, RUN_WORDS(AS_BOB));
	at("DIVE_TERMINAL=@9 exec dive $G sh -c 'echo h''as >/dev/tty; "
	   "[ $(cut -d\" \" -f 7 /proc/$$/stat) != 0 ] && echo t''aken; exit 9'",
	   slave);
	expect("taken", 9);
	gateway_stop(&gateway);
}

enum thing { WRITE_ONLY, READ_ONLY, OF_BOB, OF_BOB_WRITE_ONLY, OF_OTHER_SESSION, OF_OTHER_DEVPTS };

static int open_slave(int flags)
{
	return MUST_INT(open(ttyname(other.slave), flags | O_NOCTTY | O_CLOEXEC));
}

static void mount_elsewhere(void)
{
	(void)mkdir(ELSEWHERE, 0755); /* or it is there */
	MUST(mount("devpts", ELSEWHERE, "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"));
}

static int open_elsewhere(int *ret_master)
{
	int unlocked = 0;
	int master = MUST_INT(open(ELSEWHERE "/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));

	MUST(ioctl(master, TIOCSPTLCK, &unlocked));
	int fd = MUST_INT(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
	MUST(fchown(fd, SANDBOX_UID_ALICE, 5));
	*ret_master = master;
	return fd;
}

static int open_thing(enum thing thing)
{
	bool bobs = thing == OF_BOB || thing == OF_BOB_WRITE_ONLY;

	if (thing == OF_OTHER_DEVPTS) {
		mount_elsewhere();
		return open_elsewhere(&other.master);
	}
	pty_start(&other, &(struct run_options){ .account = bobs ? "bob" : "alice",
						 .argv = RUN_WORDS("cat") });
	switch (thing) {
	case WRITE_ONLY:
	case OF_BOB_WRITE_ONLY:
		return open_slave(O_WRONLY);
	case READ_ONLY:
		return open_slave(O_RDONLY);
	default:
		return open_slave(O_RDWR);
	}
}

/* Whoever had it has it still. */
static void expect_kept(void)
{
	if (other.run.pid <= 0)
		return;
	pty_send(&other, "still\n");
	pty_expect(&other, "still\r\nstill"); /* the echo, and cat */
	pty_send(&other, "\x03");
	assert_int_equal(pty_wait(&other), 128 + SIGINT); /* to the session that has it */
}

static void test_what_is_not_taken(void **state)
{
	static const struct {
		const char *what;
		enum thing thing;
		const char *says;
	} cases[] = {
		{ "write-only", WRITE_ONLY, "not taken: it is not open for reading and writing" },
		{ "read-only", READ_ONLY, "not taken: it is not open for reading and writing" },
		{ "bob's", OF_BOB, "not taken: it belongs to another account" },
		{ "bob's, write-only", OF_BOB_WRITE_ONLY, "not open for reading and writing" },
		{ "of another devpts", OF_OTHER_DEVPTS,
		  "not taken: it is no terminal of this host" },
		{ "of another session", OF_OTHER_SESSION, "is that of another session" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t j = i % ARRAY_LEN(cases);
		int fd;

		print_message("case: %s\n", cases[j].what);
		gateway_start(&gateway, i < ARRAY_LEN(cases)
						? RUN_WORDS("-u", "root", "-a", "never")
						: RUN_WORDS("-s", "pid"));
		fd = open_thing(cases[j].thing);
		at("DIVE_TERMINAL=@9 exec dive $G true", fd);
		close_fd(&fd);
		expect(cases[j].says, 77);
		expect_kept();
		pty_done(&other);
		family_await(FAMILY_SESSION,
			     0); /* which holds what was sent for longer than dive */
		if (cases[j].thing == OF_OTHER_DEVPTS)
			MUST(umount(ELSEWHERE));
		gateway_stop(&gateway);
	}
}

/*
 * /dev/tty is of another devpts, and another terminal of alice's has its number: that one
 * has the name which the number stands for.
 */
static void test_same_number_elsewhere(void **state)
{
	int masters[64];
	size_t count = 0;
	int number, made;
	cleanup_fd int slave = -1;
	struct run command;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	pty_start(&other, &(struct run_options){ .account = "alice", .argv = RUN_WORDS("cat") });
	MUST(ioctl(other.master, TIOCGPTN, &number));
	mount_elsewhere();
	do {
		assert_in_range(count, 0, ARRAY_LEN(masters) - 1);
		close_fd(&slave);
		slave = open_elsewhere(&masters[count]);
		MUST(ioctl(masters[count++], TIOCGPTN, &made));
	} while (made != number);
	(void)snprintf(variable, sizeof(variable), "G=%s", gateway.address); /* fits */
	run(&command,
	    &(struct run_options){
		    .account = "alice",
		    .envp = RUN_WORDS(PATHS, variable, "HOME=/home/alice"),
		    .argv = RUN_WORDS("sh", "-c",
				      "DIVE_TERMINAL=/dev/tty exec dive $G true 2>~/said"),
		    .terminal = slave });
	run_assert_status(&command, 1);
	run_done(&command);
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("grep", "-F",
							     "whose own file cannot be opened here",
							     "/home/alice/said") });
	expect_kept();
	while (count > 0)
		close_fd(&masters[--count]);
	close_fd(&slave);
	MUST(umount(ELSEWHERE));
	gateway_stop(&gateway);
}

/* The server's options say that none is taken: the program runs without. */
static void test_server_takes_none(void **state)
{
	static const char *const options[] = { "-T", "-S", "-O" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		print_message("case: %s\n", options[i]);
		gateway_start(&gateway, RUN_WORDS(options[i]));
		at("DIVE_TERMINAL=@0 dive $G sh -c '(: </dev/tty) || exit 9'; echo status $?; : "
		   "</dev/tty",
		   -1);
		expect("status 9", 0);
		gateway_stop(&gateway);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_own_session),	      TEST(test_free_terminal),
		TEST(test_what_is_not_taken), TEST(test_same_number_elsewhere),
		TEST(test_server_takes_none),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
