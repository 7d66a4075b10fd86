/*
 * The user's own program for prompts.
 *
 * It is the client that asks itself, so no privilege is dropped.  Standard input
 * is /dev/null, for dive's belongs to the program that is to run.  Signals
 * are not caught meanwhile: if dive dies by one, the kernel sends the helper
 * SIGTERM.  If the server gives up first, the helper is ended and reaped here.
 */
#include "askpass.h"

#include "cleanup.h"
#include "deadline.h"
#include "line.h"
#include "log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define GRACE_MS    1000 /* between SIGTERM and SIGKILL */
#define GRACE_STEPS 50

static void run_child(const char *program, const char *text, int output, pid_t parent)
	__attribute__((noreturn));

/* After fork(2), in the child. */
static void run_child(const char *program, const char *text, int output, pid_t parent)
{
	char *copies[] = { strdup(program), strdup(text), NULL };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* cannot fail for a valid signal */
	if (getppid() != parent || copies[0] == NULL || copies[1] == NULL)
		_exit(127);
	/* Where 0 or 1 were closed, `output` or `null` may have landed on them. */
	output = fcntl(output, F_DUPFD_CLOEXEC, 3);
	null = fcntl(null, F_DUPFD_CLOEXEC, 3);
	if (output < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(output, STDOUT_FILENO) < 0)
		_exit(127);
	/* What dive was given is for the program, not for its helper. */
	(void)close_range(3, ~0U, 0); /* missing before Linux 5.9: then they stay open */
	(void)execv(program, copies);
	_exit(127);
}

/* Ends the helper if need be.  Returns its wait status, or -errno. */
static int reap(pid_t pid, bool end)
{
	int status = 0;
	pid_t got;

	if (end) {
		(void)kill(pid, SIGTERM); /* ours, and not reaped yet, so it is there */
		for (int i = 0; i < GRACE_STEPS; i++) {
			got = waitpid(pid, &status, WNOHANG);
			if (got != 0)
				return got > 0 ? status : -errno;
			(void)poll(NULL, 0, GRACE_MS / GRACE_STEPS);
		}
		(void)kill(pid, SIGKILL);
	}
	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	return got > 0 ? status : -errno;
}

/* Waits for the helper to close its output, after the line that counts. */
static int drain(int input, int sock)
{
	struct pollfd watched[] = {
		{ .fd = sock, .events = POLLIN },
		{ .fd = input, .events = POLLIN },
	};
	char ignored[256];
	ssize_t got = 1;

	while (got > 0) {
		if (poll(watched, ARRAY_LEN(watched), -1) < 0) {
			if (errno != EINTR)
				break;
			continue;
		}
		if (watched[0].revents != 0)
			return LINE_SERVER;
		got = read(input, ignored, sizeof(ignored));
		if (got < 0 && errno == EINTR)
			got = 1;
	}
	secret_wipe(ignored, sizeof(ignored)); /* who knows what it prints */
	return LINE_READ;
}

static int escape_text(const char *text, char **ret)
{
	size_t len = strlen(text);
	char *escaped = malloc(4 * len + 1);

	if (escaped == NULL)
		return -ENOMEM;
	(void)log_escape(text, len, true, escaped, 4 * len + 1); /* large enough for all */
	*ret = escaped;
	return 0;
}

int askpass_ask(const char *program, const char *text, int sock, struct secret *answer)
{
	cleanup_free char *escaped = NULL;
	cleanup_fd int input = -1;
	cleanup_fd int output = -1;
	struct line_source source = { .sock = sock, .signals = -1 };
	pid_t parent = getpid();
	int ends[2];
	pid_t pid;
	int result;
	int status;

	/* Only for a better message: what matters is execv(2). */
	if (access(program, X_OK) != 0)
		return -errno;
	if (escape_text(text, &escaped) != 0)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	input = ends[0];
	output = ends[1];
	/* Inherited as ignored, it would make waitpid(2) lose the status. */
	(void)signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_child(program, escaped, output, parent);
	close_fd(&output);
	source.input = input;
	result = line_read(&source, answer);
	if (result == LINE_READ && drain(input, sock) == LINE_SERVER)
		result = LINE_SERVER;
	close_fd(&input);
	status = reap(pid, result < 0 || result == LINE_SERVER);
	if (result >= 0 && result != LINE_SERVER && status != 0)
		result = LINE_CLOSED;
	return result;
}
