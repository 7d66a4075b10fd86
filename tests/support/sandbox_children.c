/*
 * sandbox - which processes are left, and ending them.
 *
 * The test program is a subreaper: a descendant whose parent ends becomes its
 * child.  So when waitpid(2) says there is no child, there is no descendant,
 * however often anything in between has forked, changed its session or its
 * credentials; and ending direct children until none is left ends them all.
 *
 * /proc/PID/task/TID/children serves to find pids to poll and to name.  Without
 * it (CONFIG_PROC_CHILDREN) the check still works, by looking every 20 ms.
 */
#include "sandbox.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "parse.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define DEADLINE_MS  10000
#define KILL_MS	     10000
#define CHILDREN_MAX 64 /* looked at in one round; the rest have the next one */
#define LOOK_MS	     20
#define DEPTH_MAX    8

/* Reads a small file of /proc as text; a process that is gone gives "". */
static void read_proc(const char *path, char *buffer, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, buffer, size - 1);

	buffer[len < 0 ? 0 : len] = '\0';
}

/* Appends the children of one task; returns the new count. */
static size_t add_children(const char *path, pid_t *pids, size_t count)
{
	char text[4096];
	char *save = NULL;

	read_proc(path, text, sizeof(text));
	for (char *word = strtok_r(text, " \n", &save); word && count < CHILDREN_MAX;
	     word = strtok_r(NULL, " \n", &save)) {
		if (parse_pid(word, &pids[count]) == 0)
			count++;
	}
	return count;
}

/* Fills in the direct children of `pid`, of all its threads. */
static size_t find_children(pid_t pid, pid_t pids[CHILDREN_MAX])
{
	char path[300];
	const struct dirent *task;
	size_t count = 0;
	DIR *tasks;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid); /* fits */
	tasks = opendir(path);
	if (!tasks)
		return 0;
	while ((task = readdir(tasks))) {
		int len = snprintf(path, sizeof(path), "/proc/%d/task/%s/children", pid,
				   task->d_name);

		if (task->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(path))
			count = add_children(path, pids, count);
	}
	(void)closedir(tasks); /* read only: nothing to lose */
	return count;
}

static size_t append(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Returns how much was appended at `buffer`, cut to size. */
static size_t append(char *buffer, size_t size, const char *format, ...)
{
	va_list args;
	int len;

	if (size == 0)
		return 0;
	va_start(args, format);
	len = vsnprintf(buffer, size, format, args);
	va_end(args);
	if (len < 0)
		return 0;
	return (size_t)len < size ? (size_t)len : size - 1;
}

/* One line for a process: pid, state, what it waits in, its command line. */
static size_t describe(pid_t pid, unsigned depth, char *buffer, size_t size)
{
	char path[64];
	char text[512];
	char wait[64];
	const char *state;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid); /* these fit */
	read_proc(path, text, sizeof(text));
	state = strrchr(text, ')');
	char letter = state && state[1] == ' ' ? state[2] : '?';

	(void)snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	read_proc(path, wait, sizeof(wait));
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	len = len < 0 ? 0 : len;
	for (ssize_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[len] = '\0';
	return append(buffer, size, "%*s%d %c %s: %s\n", (int)depth * 2, "", pid, letter, wait,
		      text);
}

static size_t list_below(pid_t parent, unsigned depth, char *buffer, size_t size, size_t *used)
{
	pid_t pids[CHILDREN_MAX];
	size_t count = find_children(parent, pids);
	size_t total = count;

	for (size_t i = 0; i < count && depth < DEPTH_MAX; i++) {
		*used += describe(pids[i], depth, buffer + *used, size - *used);
		total += list_below(pids[i], depth + 1, buffer, size, used);
	}
	return total;
}

size_t sandbox_list_children(char *buffer, size_t size)
{
	size_t used = 0;

	assert_true(size > 0);
	buffer[0] = '\0';
	return list_below(getpid(), 0, buffer, size, &used);
}

/* Reaps all that have ended.  Returns whether any child remains. */
static bool reap(void)
{
	pid_t pid;

	do {
		pid = waitpid(-1, NULL, WNOHANG | __WALL);
	} while (pid > 0 || (pid < 0 && errno == EINTR));
	return pid == 0;
}

/*
 * Waits for the end of any child, having sent each `signal` unless it is 0.
 * The pids are our own children's and only we reap: none can be another's.
 */
static void await_children(int64_t deadline, int signal)
{
	struct pollfd polls[CHILDREN_MAX];
	pid_t pids[CHILDREN_MAX];
	size_t count = find_children(getpid(), pids);
	size_t open_count = 0;

	for (size_t i = 0; i < count; i++) {
		int fd = pidfd_open(pids[i], 0);

		if (fd < 0)
			continue;
		if (signal != 0)
			(void)pidfd_send_signal(fd, signal, NULL, 0); /* may have ended */
		polls[open_count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	int left = deadline_left(deadline);
	int wait = open_count == 0 && left > LOOK_MS ? LOOK_MS : left;

	(void)poll(polls, open_count, wait); /* a wakeup too early or none: reap() tells */
	for (size_t i = 0; i < open_count; i++)
		close_fd(&polls[i].fd);
}

void sandbox_kill_children(void)
{
	int64_t deadline = deadline_after(KILL_MS);

	while (reap()) {
		if (deadline_passed(deadline)) {
			char text[8192];

			(void)sandbox_list_children(text, sizeof(text));
			FAIL("processes that SIGKILL does not end:\n%s", text);
		}
		await_children(deadline, SIGKILL);
	}
}

void sandbox_assert_no_children_within(int deadline_ms)
{
	int64_t deadline = deadline_after(deadline_ms);
	char text[8192];

	while (reap()) {
		if (deadline_passed(deadline)) {
			(void)sandbox_list_children(text, sizeof(text));
			sandbox_kill_children();
			FAIL("processes left over after %d ms:\n%s", deadline_ms, text);
		}
		await_children(deadline, 0);
	}
}

void sandbox_assert_no_children(void)
{
	sandbox_assert_no_children_within(DEADLINE_MS);
}
