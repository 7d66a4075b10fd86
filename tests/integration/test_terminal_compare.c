/*
 * The same commands under dive, sudo (use_pty) and su --pty.  Where one of the others
 * differs, the table says what it does instead, and why dive does not.
 *
 * `r COMMAND` runs a shell's command as bob through one of the three.
 */
#include "terminal_scene.h"

#include <signal.h>

#define BIN "/run/dive-test/bin/"

enum runner { DIVE, SUDO, SU, RUNNERS };

static const char *const runners[RUNNERS] = {
	"exec dive $G sh -c \"$1\"",
	"exec sudo -u bob sh -c \"$1\"",
	"exec su --pty bob -c \"$1\"",
};
static const char *const names[RUNNERS] = { "dive", "sudo", "su" };

static int setup(void **state)
{
	static const char service[] = "auth sufficient pam_permit.so\n"
				      "account sufficient pam_permit.so\n"
				      "session sufficient pam_permit.so\n";
	int result = show_group_setup(state);

	sandbox_service("su", service);
	sandbox_service("sudo", service);
	sandbox_write("/etc/sudoers", 0440, "%s",
		      "Defaults use_pty\nDefaults !fqdn\nroot ALL=(ALL) ALL\n"
		      "alice ALL=(bob) NOPASSWD: ALL\n");
	return result;
}

static void choose(enum runner runner)
{
	sandbox_write(BIN "r", 0755, "#!/bin/sh\n%s\n", runners[runner]);
}

struct row {
	const char *what;
	const char *line;
	const char *wait; /* for this, and then `keys` are typed; may be NULL */
	const char *keys;
	const char *says[RUNNERS]; /* NULL: as dive */
	const char *why;	   /* dive differs */
};

/* clang-format off */
static const struct row rows[] = {
	{ "exit status", "r 'exit 7'; echo =$?=", NULL, NULL, { "=7=" }, NULL },
	{ "death by signal", "r 'kill -KILL $$'; echo =$?=", NULL, NULL, { "=137=" }, NULL },
	{ "size", "stty rows 33 cols 99; r 'stty size'", NULL, NULL, { "33 99" }, NULL },
	{ "a terminal", "r 'test -t 0 && test -t 1 && test -t 2 && : </dev/tty && echo ye''s'", NULL, NULL, { "yes" }, NULL },
	{ "another one", "a=$(tty); b=$(r tty </dev/tty); [ \"$a\" = \"$b\" ] || echo oth''er", NULL, NULL, { "other" }, NULL },
	{ "owner", "r 'stat -c =%U:%G:%a= $(tty)'", NULL, NULL, { "=bob:tty:620=", NULL, "=bob:tty:600=" },
	  "as after a login, so that write(1) works as the target's mesg(1) says" },
	{ "input from a pipe", "echo x | r 'test -t 0 || echo pi''pe; echo do''ne'", NULL, NULL, { "pipe", NULL, "\r\n" },
	  "su gives a terminal in place of all three, which spoils data" },
	{ "output to a pipe", "r 'test -t 1 || echo pi''pe' | cat; echo do''ne", NULL, NULL, { "pipe", NULL, "\ndone" },
	  "as above" },
	{ "errors apart", "r 'echo er''r >&2; echo out' 2>/dev/null | tr a-z A-Z; echo do''ne", NULL, NULL, { "\nOUT", NULL, "ERR" },
	  "as above" },
	{ "line ends in the background", "r 'echo w''ord' & wait; echo do''ne", NULL, NULL, { "\nword\r\n", "\nword\r\r\n", "done" },
	  "sudo has both terminals make them; su stops in the background" },
	{ "reading in the background", "r 'read x' & wait $!; echo =$?=", NULL, NULL, { "=149=", NULL, "=150=" },
	  "su has stopped before, for setting the terminal up" },
	{ "^C", "sh -c 'r \"echo u\"\"p; exec sleep 1000\"; echo =$?='", "\nup", "\x03", { "=130=" }, NULL },
	{ "^\\", "sh -c 'r \"echo u\"\"p; exec sleep 1000\"; echo =$?='", "\nup", "\x1c", { "=131=", NULL, "^\\" },
	  "su has the program ignore it" },
	{ "^Z", "r 'echo u''p; exec sleep 1000'; echo =$?=", "\nup", "\x1a", { "=148=", NULL, "^Z" },
	  "su leads to no shell: its program's group is orphaned and cannot stop" },
	{ "another intr key", "stty intr ^G; sh -c 'r \"echo u\"\"p; exec sleep 1000\"; echo =$?='", "\nup", "\x07", { "=130=" }, NULL },
	{ "a line", "r 'echo u''p; read x; echo got=$x'", "\nup", "hello\r", { "got=hello" }, NULL },
	{ "the keyboard in a pipeline", "r 'echo u''p; exec sleep 1' | (read a; echo $a; read k </dev/tty; echo key=$k)", "\nup", "hello\n", { "key=hello", NULL, "\r\n" },
	  "su has taken the keyboard from the other reader" },
	{ "asked in a pipeline", "r 'echo u''p >/dev/tty; read k </dev/tty; echo key=$k' | cat", "\nup", "hello\r", { "key=hello" }, NULL },
	{ "nothing is injected", "r '/run/dive-test/show inject' >/dev/null; read -t 1 x; echo \"=$x=\"", NULL, NULL, { "==" }, NULL },
	{ "all of it", "r 'seq 20000; echo la''st'", NULL, NULL, { "\n20000\r\nlast" }, NULL },
	{ "descriptor 9 is the terminal", "r 'test -t 9 && echo y''es || echo n''o' 9</dev/tty", NULL, NULL, { "\nno", NULL, "\nyes" },
	  "the target could type there" },
	{ "descriptor 9 is a file", "echo in >~/in; r 'cat <&9' 9<~/in; echo do''ne", NULL, NULL, { "\nin\r", "Bad file descriptor", NULL },
	  "descriptors cross a gateway: it is what dive is for" },
};
/* clang-format on */

static void play(const struct row *row, enum runner runner)
{
	const char *says = row->says[runner] ? row->says[runner] : row->says[DIVE];

	print_message("case: %s, %s\n", row->what, names[runner]);
	choose(runner);
	if (runner == DIVE)
		gateway_start(&gateway, RUN_WORDS(AS_BOB));
	shell(NULL);
	type(row->line);
	if (row->wait) {
		pty_expect(&pty, row->wait);
		pty_send(&pty, row->keys);
	}
	pty_expect(&pty, says);
	if (row->says[runner] && runner != DIVE)
		print_message("differs from %s: %s\n", names[runner], row->why);
	pty_done(&pty); /* the shell is killed, and what is left of it is hung up */
	if (runner == DIVE) {
		family_await(FAMILY_SESSION, 0);
		gateway_stop(&gateway);
		sandbox_assert_no_children();
	} else {
		sandbox_kill_children(); /* not all of the others end by that */
	}
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int runner = 0; runner < RUNNERS; runner++)
			play(&rows[i], (enum runner)runner);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_rows) };

	return cmocka_run_group_tests(tests, setup, sandbox_group_teardown);
}
