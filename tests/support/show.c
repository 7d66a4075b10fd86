/*
 * show - reports are searched as text; lines are short and few.
 *
 * The program is opened before the sandbox is entered and copied into it after:
 * a build directory below /root or /home cannot be reached by alice, or not at
 * all.
 */
#include "show.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define AWAIT_MS 15000
#define LOOK_MS	 5

int show_group_setup(void **state)
{
	cleanup_fd int in = MUST_INT(open(SHOW_PROGRAM, O_RDONLY | O_CLOEXEC));
	cleanup_fd int out = -1;

	if (sandbox_group_setup(state) != 0)
		return -1;
	out = MUST_INT(open(SHOW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755));
	while (MUST(sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	MUST(fchmod(out, 0755));
	return 0;
}

/* Returns the place of the first line that begins with `start`, or NULL. */
static const char *find_line(const char *report, const char *start)
{
	size_t len = strlen(start);

	while (report) {
		if (strncmp(report, start, len) == 0)
			return report;
		report = strchr(report, '\n');
		if (report)
			report++;
	}
	return NULL;
}

const char *show_get(const char *report, const char *key)
{
	static char values[8][4096];
	static unsigned next;
	char *value = values[next++ % ARRAY_LEN(values)];
	char start[128];
	const char *line;

	(void)snprintf(start, sizeof(start), "%s=", key); /* keys are short */
	line = find_line(report, start);
	if (!line)
		FAIL("no %s in the report:\n%s", key, report);
	line += strlen(start);
	(void)snprintf(value, sizeof(values[0]), "%.*s", (int)strcspn(line, "\n"), line);
	return value;
}

bool show_starts(const char *report, const char *start)
{
	return find_line(report, start) != NULL;
}

bool show_has(const char *report, const char *line)
{
	size_t len = strlen(line);

	while ((report = find_line(report, line))) {
		if (report[len] == '\n' || report[len] == '\0')
			return true;
		report = strchr(report, '\n');
		if (!report)
			return false;
		report++;
	}
	return false;
}

void show_expect(const char *report, const char *key, const char *value)
{
	const char *is = show_get(report, key);

	if (strcmp(is, value) != 0)
		FAIL("%s is \"%s\", not \"%s\", in the report:\n%s", key, is, value, report);
}

void show_expect_line(const char *report, const char *line, bool there)
{
	if (show_has(report, line) != there)
		FAIL("\"%s\" is %s the report:\n%s", line, there ? "not in" : "in", report);
}

void show_await(struct run *command, const char *text)
{
	int64_t deadline = deadline_after(AWAIT_MS);

	for (run_read(command); !strstr(command->out, text); run_read(command)) {
		if (deadline_passed(deadline))
			FAIL("no \"%s\" in:\n%s%s", text, command->out, command->err);
		(void)poll(NULL, 0, LOOK_MS); /* a file in memory cannot be polled */
	}
}

pid_t show_pid(struct run *command)
{
	char text[32];
	pid_t pid;

	show_await(command, "ready ");
	/* The line is written at once, and what follows it is cut off. */
	(void)snprintf(text, sizeof(text), "%s", strstr(command->out, "ready ") + 6);
	text[strcspn(text, "\n")] = '\0';
	assert_int_equal(parse_pid(text, &pid), 0);
	return pid;
}

void show_await_relay(pid_t dive)
{
	int64_t deadline = deadline_after(AWAIT_MS);
	char path[64];
	char text[4096];
	const char *mask;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)dive); /* fits */
	do {
		cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));

		text[MUST(read(fd, text, sizeof(text) - 1))] = '\0';
		mask = strstr(text, "SigBlk:\t");
		assert_non_null(mask);
		if (deadline_passed(deadline))
			FAIL("dive does not come to forward signals");
	} while (strncmp(mask, "SigBlk:\t0000000000000000", 24) == 0);
}

void show_end(struct run *dive)
{
	show_await_relay(dive->pid);
	run_signal(dive, SIGTERM);
	run_wait(dive);
	run_assert_status(dive, 32 + SIGTERM);
	run_done(dive);
}
