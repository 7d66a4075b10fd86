/*
 * probe - the test's end of the module's FIFO.
 *
 * Held open for reading and writing, so that neither side ever sees an end of
 * file; read on demand.  64 KiB fit in, more than any test causes between two
 * looks.
 */
#include "probe.h"

#include "cleanup.h"
#include "deadline.h"
#include "gateway.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"
#include "show.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_MS 10000
#define LOOK_MS 5

static int fifo = -1;
static char text[256 * 1024];
static size_t text_len;

static const struct {
	const char *built;
	const char *place; /* in the sandbox */
} modules[] = {
	{ PROBE_MODULE, PROBE_PATH },
	{ HOSTILE_MODULE, HOSTILE_PATH },
	{ NSS_MODULE, NSS_PATH },
};

static void install(int in, const char *place)
{
	cleanup_fd int out = MUST_INT(open(place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755));

	while (MUST(sendfile(out, in, NULL, 1 << 20)) > 0)
		;
}

/* The modules are opened before the sandbox hides where they were built (see show.c). */
int probe_group_setup(void **state)
{
	int in[ARRAY_LEN(modules)];

	for (size_t i = 0; i < ARRAY_LEN(modules); i++)
		in[i] = MUST_INT(open(modules[i].built, O_RDONLY | O_CLOEXEC));
	if (show_group_setup(state) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(modules); i++) {
		install(in[i], modules[i].place);
		close_fd(&in[i]);
	}
	MUST(mkfifo(PROBE_LOG, 0600));
	fifo = MUST_INT(open(PROBE_LOG, O_RDWR | O_NONBLOCK | O_CLOEXEC));
	return 0;
}

const char *probe_log(void)
{
	ssize_t got;

	do {
		got = read(fifo, text + text_len, sizeof(text) - 1 - text_len);
		if (got > 0)
			text_len += (size_t)got;
	} while (got > 0);
	if (got < 0 && errno != EAGAIN)
		MUST(got);
	assert_true(text_len < sizeof(text) - 1);
	text[text_len] = '\0';
	return text;
}

void probe_forget(void)
{
	(void)probe_log(); /* only to empty the FIFO */
	text_len = 0;
}

void probe_start(struct gateway *ret, const char *service)
{
	sandbox_service("probe", service);
	probe_forget();
	gateway_start(ret, RUN_WORDS("-u", "bob", "-x", "probe"));
}

void probe_ask(struct run *ret, const struct gateway *gateway, const char *account,
	       const char *input)
{
	run_dive(ret, &(struct run_options){ .account = account, .input = input }, gateway,
		 RUN_WORDS("-S", "id", "-un"));
}

void assert_contains(const char *haystack, const char *wanted)
{
	if (!strstr(haystack, wanted))
		FAIL("\"%s\" is not in:\n%s", wanted, haystack);
}

/* The phases reported, in order, separated by spaces. */
static void list_phases(char *list, size_t size)
{
	size_t len = 0;

	list[0] = '\0';
	for (const char *at = strstr(probe_log(), "phase="); at; at = strstr(at, "phase=")) {
		at += strlen("phase=");
		len += (size_t)snprintf(list + len, size - len, "%s%.*s", len ? " " : "",
					(int)strcspn(at, " \n"), at);
		assert_true(len < size);
	}
}

void probe_assert_phases(const char *phases)
{
	char list[1024];

	list_phases(list, sizeof(list));
	if (strcmp(list, phases) != 0)
		FAIL("phases \"%s\" instead of \"%s\":\n%s", list, phases, text);
}

void probe_expect_phases(const char *phases)
{
	int64_t deadline = deadline_after(WAIT_MS);
	char list[1024];

	for (;;) {
		list_phases(list, sizeof(list));
		if (strcmp(list, phases) == 0 || deadline_passed(deadline))
			break;
		(void)poll(NULL, 0, LOOK_MS);
	}
	probe_assert_phases(phases);
}

void probe_expect(const char *wanted)
{
	int64_t deadline = deadline_after(WAIT_MS);

	while (!strstr(probe_log(), wanted)) {
		if (deadline_passed(deadline))
			FAIL("\"%s\" has not been reported:\n%s", wanted, text);
		(void)poll(NULL, 0, LOOK_MS);
	}
}

void probe_assert_line(const char *phase, unsigned index, const char *wanted)
{
	char line[4096];
	char start[64];
	const char *at = probe_log();

	(void)snprintf(start, sizeof(start), "phase=%s ", phase); /* fits */
	for (unsigned i = 0; at && i <= index; i++) {
		at = strstr(at, start);
		at = at ? at + strlen(start) : NULL;
	}
	if (!at)
		FAIL("phase %s was not reported %u times:\n%s", phase, index + 1, text);
	(void)snprintf(line, sizeof(line), "%.*s ", (int)strcspn(at, "\n"), at);
	if (!strstr(line, wanted))
		FAIL("\"%s\" is not in: %s%s", wanted, start, line);
}

int64_t probe_answered(unsigned index)
{
	const char *line = probe_log();
	uint64_t time = 0;

	for (const char *end; *line; line = end + 1) {
		const char *answers = strstr(line, " answers=");
		char number[32];

		end = strchrnul(line, '\n');
		if (answers && answers < end && index-- == 0) {
			(void)snprintf(number, sizeof(number), "%.*s", (int)(answers - line - 2),
				       line + 2); /* t=... */
			assert_int_equal(parse_uint(number, 0, INT64_MAX, &time), 0);
			return (int64_t)time;
		}
		if (!*end)
			break;
	}
	FAIL("there were fewer conversations:\n%s", text);
	return -1;
}
