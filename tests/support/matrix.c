/*
 * matrix - runs the two sides of a row and compares.
 *
 * What modules leave behind (tallies, changed passwords, homes) must not reach the
 * next side: what they write to is put back before each of them.  The report comes
 * through a pipe, which no limit touches.
 */
#include "matrix.h"

#include "cleanup.h"
#include "gateway.h"
#include "matrix_compare.h"
#include "must.h"
#include "probe.h"
#include "pty.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPORT_FD    3 /* in the program */
#define REPORT	     "3"
#define SHELL	     "/run/dive-test/shell"
#define WORDS_MAX    32
#define COMMAND_MAX  1024
#define SU_STATUS    1
#define DIVED_STATUS 77

static struct gateway gateway;
static struct pty pty = { .run.pidfd = -1, .master = -1, .slave = -1 };
static int pipe_ends[2] = { -1, -1 };
static int syslog_fd = -1;
static struct matrix_side su, dived;

static void shell_as_root(const char *script)
{
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("sh", "-euc", script) });
}

/*
 * What rows change, in its state of before.  su and sudo change limits on their own,
 * without PAM: they are set up, or told, to find nothing to do.
 */
static void save(void)
{
	struct rlimit limit;

	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 1024;
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	sandbox_write(SHELL, 0755, "#!/bin/sh\nexec " SHOW " report " REPORT "\n");
	shell_as_root("sed -i '/^ENV_PATH/d' /etc/login.defs\n"
		      "printf 'FAIL_DELAY 0\nENV_PATH %s\n' \"$PATH\" >>/etc/login.defs\n"
		      "echo 'Defaults !lecture, passwd_tries=1, closefrom=4, !use_pty, "
		      "rlimit_core=default\n"
		      "Defaults env_keep += SSH_AUTH_SOCK\n"
		      "alice ALL=(ALL:ALL) ALL' >/etc/sudoers.d/alice\n"
		      "chmod 0440 /etc/sudoers.d/alice\n"
		      "echo 'Set disable_coredump false' >>/etc/sudo.conf\n"
		      "mkdir /run/dive-test/saved && cd /etc && rm -rf security/limits.d/*\n"
		      "cp -a passwd shadow group gshadow login.defs environment security shells "
		      "/run/dive-test/saved/");
}

/* Nothing is removed unless save() has been here: these are names of any machine. */
static void restore(void)
{
	shell_as_root("test -d /run/dive-test/saved\n"
		      "rm -rf /etc/security /etc/nologin /run/nologin /etc/securetty " MATRIX_DIR
		      " /run/faillock /run/utmp /var/mail/* /var/log/*\n"
		      "find /home -mindepth 2 -delete\n"
		      "cp -a /run/dive-test/saved/* /etc/\nmkdir -p " MATRIX_DIR " /home/bob\n"
		      "chown bob:bob /home/bob\nchmod 0700 /home/bob");
}

static const char *target_of(const struct matrix_row *row)
{
	return row->target ? row->target : "bob";
}

/* Takes what has come to syslog; the queue of the socket is short. */
static void take_syslog(struct matrix_side *side)
{
	char line[4096];
	ssize_t len;

	while (syslog_fd >= 0 &&
	       (len = recv(syslog_fd, line, sizeof(line) - 1, MSG_DONTWAIT)) > 0) {
		line[len] = '\0';
		matrix_append(&side->log, line);
		matrix_append(&side->log, "\n");
	}
}

/* Reads what the program has written; nobody holds the other end any more. */
static void take_report(struct matrix_side *side)
{
	char text[4096];
	ssize_t len;

	close_fd(&pipe_ends[1]);
	while ((len = MUST(read(pipe_ends[0], text, sizeof(text) - 1))) > 0) {
		text[len] = '\0';
		matrix_append(&side->report, text);
	}
	close_fd(&pipe_ends[0]);
}

/* A question of which the answer is hidden is ready for it when echo is off. */
static void converse(const struct matrix_row *row, struct matrix_side *side)
{
	for (size_t i = 0; i < MATRIX_ANSWERS_MAX && row->answers[i].prompt; i++) {
		const struct matrix_answer *answer = &row->answers[i];

		pty_expect(&pty, answer->prompt);
		pty_expect_lflag(&pty, ECHO, false);
		take_syslog(side);
		pty_send(&pty, answer->answer);
		pty_send(&pty, "\n");
	}
}

/* Runs alice's command at a terminal to its end. */
static void run_side(const struct matrix_row *row, const char *const *words,
		     struct matrix_side *side)
{
	const char *argv[WORDS_MAX] = { "sh", "-euc", row->wrap ? row->wrap : "exec \"$@\"", "sh" };
	struct run_fd report;

	for (size_t i = 0; words[i]; i++) {
		assert_in_range(i, 0, WORDS_MAX - 6);
		argv[4 + i] = words[i];
	}
	MUST(pipe2(pipe_ends, O_CLOEXEC));
	report = (struct run_fd){ pipe_ends[1], REPORT_FD };
	pty_start(&pty, &(struct run_options){
				.account = "alice", .argv = argv, .fds = &report, .fd_count = 1 });
	converse(row, side);
	side->status = pty_wait(&pty);
	matrix_append(&side->screen, pty.screen);
	pty_done(&pty);
	take_report(side);
	take_syslog(side);
}

static void prepare(const struct matrix_row *row)
{
	restore();
	if (row->login)
		shell_as_root("usermod -s " SHELL " bob");
	if (row->prepare)
		shell_as_root(row->prepare);
	if (row->logs)
		syslog_fd = sandbox_syslog_open();
}

static void finish(const struct matrix_row *row, struct matrix_side *side)
{
	if (syslog_fd >= 0) {
		take_syslog(side);
		sandbox_syslog_close(&syslog_fd);
	}
	if (row->check)
		shell_as_root(row->check);
}

/* What the program is, for sh -c: the row's script and then show. */
static void make_command(const struct matrix_row *row, char *command, size_t size)
{
	int len = snprintf(command, size, "set -eu\n%s\nexec " SHOW " report " REPORT,
			   row->script ? row->script : "");

	assert_in_range(len, 1, size - 1);
}

static void run_su(const struct matrix_row *row)
{
	const char *target = target_of(row);
	char command[COMMAND_MAX];

	make_command(row, command, sizeof(command));
	prepare(row);
	sandbox_service(row->sudo ? "sudo" : row->login ? "su-l" : "su", row->service);
	if (row->sudo)
		run_side(row,
			 RUN_WORDS("sudo", "-p", "Password: ", "-u", target, "sh", "-c", command),
			 &su);
	else if (row->login)
		run_side(row, RUN_WORDS("su", "-l", target), &su);
	else
		run_side(row, RUN_WORDS("su", target, "-c", command), &su);
	finish(row, &su);
}

/* The options of the gateway that is what su, or sudo, is. */
static void list_options(const struct matrix_row *row, const char **options, size_t size)
{
	const char *target = target_of(row);
	size_t count = 0;

	options[count++] = "-x";
	options[count++] = "matrix";
	options[count++] = "--auth-tries";
	options[count++] = "1";
	if (strcmp(target, "alice") == 0) {
		options[count++] = "-a";
		options[count++] = "always";
	} else {
		options[count++] = "-u";
		options[count++] = target;
		options[count++] = "--auth-user";
		options[count++] = row->sudo ? "client" : "target";
	}
	for (size_t i = 0; row->options[i]; i++)
		options[count++] = row->options[i];
	options[count] = NULL;
	assert_in_range(count, 1, size - 1);
}

static void run_dived(const struct matrix_row *row)
{
	const char *options[WORDS_MAX] = { "/run/dive-test/matrix.sock" };
	char command[COMMAND_MAX];

	make_command(row, command, sizeof(command));
	prepare(row);
	sandbox_service("matrix", row->service);
	list_options(row, options + 1, WORDS_MAX - 1);
	if (row->start_refuses) {
		gateway_expect_refusal(options, row->start_refuses);
		finish(row, &dived);
		return;
	}
	gateway_start(&gateway, options + 1);
	take_syslog(&dived);
	if (row->login)
		run_side(row, RUN_WORDS(sandbox_dive(), "-l", gateway.address), &dived);
	else
		run_side(row, RUN_WORDS(sandbox_dive(), gateway.address, "sh", "-c", command),
			 &dived);
	if (row->warns)
		gateway_expect_log(&gateway, row->warns);
	gateway_stop(&gateway);
	sandbox_assert_no_children(); /* sessions are closed: what modules do then is done */
	finish(row, &dived);
}

static void test_row(void **state)
{
	const struct matrix_row *row = *state;

	matrix_assert_row(row);
#ifdef __SANITIZE_ADDRESS__
	if (row->address_space)
		SKIP("AddressSanitizer cannot live with a limited address space");
#endif
	run_su(row);
	matrix_assert_side(row, &su, "su", row->su_refuses,
			   row->su_status ? row->su_status : SU_STATUS);
	run_dived(row);
	if (row->start_refuses)
		return;
	matrix_assert_side(row, &dived, "dived", row->dived_refuses, DIVED_STATUS);
	matrix_assert_pair(row, &su, &dived);
}

static int row_teardown(void **state)
{
	(void)state;
	gateway_kill(&gateway);
	pty_done(&pty);
	close_fd(&pipe_ends[0]);
	close_fd(&pipe_ends[1]);
	if (syslog_fd >= 0)
		sandbox_syslog_close(&syslog_fd);
	matrix_side_done(&su);
	matrix_side_done(&dived);
	restore();
	sandbox_assert_no_children();
	return 0;
}

static int group_setup(void **state)
{
	int r = probe_group_setup(state);

	if (r == 0)
		save();
	return r;
}

static void print_rows(const struct matrix_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct matrix_row *row = &rows[i];

		(void)printf("%s\t%s%s\t%s\t%s\t%s\t%s\n", row->module, row->what,
			     row->sudo ? " (sudo)" : "", row->why ? "differs" : "agrees",
			     row->su_refuses ? "refuses" : "runs",
			     row->start_refuses	  ? "does not start"
			     : row->dived_refuses ? "refuses"
						  : "runs",
			     row->why ? row->why : "");
	}
}

/* "MODULE:WHAT_WITHOUT_BLANKS", to be freed. */
static char *name_row(const struct matrix_row *row)
{
	char *name;

	if (asprintf(&name, "%s:%s%s", row->module, row->what, row->sudo ? "_(sudo)" : "") < 0)
		abort();
	for (char *at = name; *at; at++)
		if (*at == ' ')
			*at = '_';
	return name;
}

int matrix_main(int argc, char **argv, const struct matrix_row *rows, size_t count)
{
	struct CMUnitTest *tests;
	int failed;

	if (argc > 1 && strcmp(argv[1], "--rows") == 0) {
		print_rows(rows, count);
		return 0;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	tests = calloc(count, sizeof(*tests));
	if (!tests)
		abort();
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){ .name = name_row(&rows[i]),
						.test_func = test_row,
						.teardown_func = row_teardown,
						/* handed back as const in test_row() */
						.initial_state = (void *)(uintptr_t)&rows[i] };
	failed = _cmocka_run_group_tests("rows", tests, count, group_setup, sandbox_group_teardown);
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)tests[i].name); /* ours, and const only there */
	free(tests);
	return failed;
}
