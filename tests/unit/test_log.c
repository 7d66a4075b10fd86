/*
 * log: what reaches standard error and syslog, and that nothing in it can act.
 *
 * The syslog daemon is played by a socket of the test: connect(2), with which log.c
 * names the daemon's, is replaced in this program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "leak.h"
#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_LIMIT 8192
#define RESERVED   100

/* Where the daemon is; length 0 while there is none. */
static struct sockaddr_un daemon_address;
static socklen_t daemon_len;

int connect(int sock, const struct sockaddr *address, socklen_t len)
{
	const struct sockaddr_un *asked = (const void *)address;

	assert_int_equal(len, sizeof(*asked));
	assert_string_equal(asked->sun_path, "/dev/log");
	if (daemon_len == 0) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_connect, sock, &daemon_address, daemon_len);
}

/* Binds an abstract socket of a name that the kernel chooses. */
static int daemon_open(void)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(sock >= 0);
	assert_int_equal(bind(sock, (const void *)&any, sizeof(any.sun_family)), 0);
	daemon_len = sizeof(daemon_address);
	assert_int_equal(getsockname(sock, (void *)&daemon_address, &daemon_len), 0);
	return sock;
}

/* The next line the daemon has got, or "". */
static const char *daemon_read(int sock, char *buffer, size_t size)
{
	ssize_t got = recv(sock, buffer, size - 1, 0);

	buffer[got > 0 ? got : 0] = '\0';
	return buffer;
}

static void test_escape(void **state)
{
#define SAME(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1, text                                                       \
	}
#define CASE(text, wanted)                                                                         \
	{                                                                                          \
		text, sizeof(text) - 1, wanted                                                     \
	}
	static const struct {
		const char *text;
		size_t len;
		const char *wanted;
	} cases[] = {
		SAME(""),
		SAME("plain ~ text"),
		SAME("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
		SAME("\xc2\xa0 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf"),
		CASE("a\nb\tc", "a\\nb\\tc"),
		CASE("\r\033[2J", "\\015\\033[2J"),
		CASE("\0x", "\\000x"),
		CASE("\x7f", "\\177"),
		CASE("\\n", "\\134n"),
		CASE("\xc2\x9b"
		     "2J",
		     "\\302\\2332J"), /* C1 CSI */
		CASE("\xc2\x80", "\\302\\200"),
		CASE("\x9b", "\\233"),		/* CSI as a byte */
		CASE("\xc0\xaf", "\\300\\257"), /* overlong */
		CASE("\xc1\xbf", "\\301\\277"),
		CASE("\xe0\x9f\xbf", "\\340\\237\\277"),
		CASE("\xf0\x8f\xbf\xbf", "\\360\\217\\277\\277"),
		CASE("\xed\xa0\x80", "\\355\\240\\200"), /* surrogate */
		CASE("\xf4\x90\x80\x80", "\\364\\220\\200\\200"),
		CASE("\xf8\x88\x80\x80\x80", "\\370\\210\\200\\200\\200"),
		CASE("\xff", "\\377"),
		CASE("\xc3", "\\303"), /* cut */
		CASE("\xe2\x82x", "\\342\\202x"),
		CASE("\xe2\x80\xae", "\\342\\200\\256"), /* right-to-left override */
		CASE("\xe2\x80\xaa", "\\342\\200\\252"),
		CASE("\xe2\x81\xa6", "\\342\\201\\246"),
		CASE("\xe2\x81\xa9", "\\342\\201\\251"),
		CASE("\xe2\x80\x8b", "\\342\\200\\213"),
		CASE("\xe2\x80\x8f", "\\342\\200\\217"),
		CASE("\xe2\x80\xa8", "\\342\\200\\250"),
		CASE("\xe2\x80\xa9", "\\342\\200\\251"),
		CASE("\xef\xbb\xbf", "\\357\\273\\277"),
		SAME("\xe2\x80\x90 \xe2\x80\xaf \xe2\x81\xa5"), /* neighbours of the ranges */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[64];

		print_message("case: %s\n", cases[i].wanted);
		assert_int_equal(log_escape(cases[i].text, cases[i].len, false, out, sizeof(out)),
				 cases[i].len);
		assert_string_equal(out, cases[i].wanted);
	}
}

static void test_escape_keeps_newlines(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(log_escape("a\nb\tc\r\\", 7, true, out, sizeof(out)), 7);
	assert_string_equal(out, "a\nb\tc\\015\\134");
}

static void test_escape_never_cuts_a_unit(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		size_t consumed;
		const char *wanted;
	} cases[] = {
		{ "ab", 3, 2, "ab" },
		{ "ab", 2, 1, "a" },
		{ "ab", 1, 0, "" },
		{ "a\033", 6, 2, "a\\033" },
		{ "a\033", 5, 1, "a" },
		{ "a\n", 3, 1, "a" },
		{ "a\xc3\xa9", 4, 3, "a\xc3\xa9" },
		{ "a\xc3\xa9", 3, 1, "a" },
		{ "a\xc2\x9b", 9, 1, "a" }, /* both bytes of a character, or neither */
		{ "a\xc2\x9b", 10, 3, "a\\302\\233" },
	};
	char none = 'x';

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[16];

		print_message("case: %s in %zu\n", cases[i].wanted, cases[i].size);
		assert_int_equal(
			log_escape(cases[i].text, strlen(cases[i].text), false, out, cases[i].size),
			cases[i].consumed);
		assert_string_equal(out, cases[i].wanted);
	}
	assert_int_equal(log_escape("a", 1, false, &none, 0), 0);
	assert_int_equal(none, 'x');
}

/* Runs log_notice("%s", text) with standard error in `out`. */
static void capture(const char *text, char *out, size_t size)
{
	cleanup_fd int file = memfd_create("stderr", MFD_CLOEXEC);
	cleanup_fd int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	ssize_t n;

	assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
	log_notice("%s", text);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	n = pread(file, out, size - 1, 0);
	assert_true(n >= 0);
	out[n] = '\0';
}

static void test_line_to_stderr(void **state)
{
	char out[256];

	(void)state;
	capture("before", out, sizeof(out));
	assert_string_equal(out, "before\n");
	log_open("dived", true, false);
	capture("two\nlines", out, sizeof(out));
	assert_string_equal(out, "dived: two\\nlines\n");
}

static void test_line_to_syslog(void **state)
{
	static const struct {
		enum log_level level;
		const char *start; /* facility authpriv (10), and the level */
	} cases[] = {
		{ LOG_LEVEL_ERROR, "<83>" },
		{ LOG_LEVEL_WARNING, "<84>" },
		{ LOG_LEVEL_NOTICE, "<85>" },
		{ LOG_LEVEL_INFO, "<86>" },
	};
	cleanup_fd int sock = daemon_open();
	char line[256], end[64], out[64];

	(void)state;
	(void)snprintf(end, sizeof(end), " dived[%d]: a\\033b", (int)getpid());
	log_open("dived", false, true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		log_line(cases[i].level, "%s", "a\033b");
		(void)daemon_read(sock, line, sizeof(line));
		assert_memory_equal(line, cases[i].start, strlen(cases[i].start));
		assert_true(strlen(line) > strlen(end));
		assert_string_equal(line + strlen(line) - strlen(end), end);
		assert_string_equal(daemon_read(sock, line, sizeof(line)), "");
	}
	capture("x", out, sizeof(out));
	assert_string_equal(out, ""); /* nothing on standard error */
	log_open("dived", true, false);
	daemon_len = 0;
}

/* A daemon that does not read loses lines; whoever logs goes on. */
static void test_stalled_syslog(void **state)
{
	cleanup_fd int sock = daemon_open();
	char line[256];
	int kept = 0;

	(void)state;
	log_open("dived", false, true);
	cleanup_fd int filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(syscall(SYS_connect, filler, &daemon_address, daemon_len), 0);
	while (send(filler, "full", 4, 0) == 4)
		kept++;
	assert_true(kept > 0);
	log_error("lost");
	while (kept-- > 0)
		assert_string_equal(daemon_read(sock, line, sizeof(line)), "full");
	assert_string_equal(daemon_read(sock, line, sizeof(line)), "");
	log_error("arrives");
	assert_non_null(strstr(daemon_read(sock, line, sizeof(line)), ": arrives"));
	log_open("dived", true, false);
	daemon_len = 0;
}

/* A limit that leaves no such number is no reason to go without. */
static void test_reserved_below(void **state)
{
	cleanup_fd int sock = daemon_open();
	struct rlimit before, few;
	char line[256];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = RESERVED;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	log_open("dived", false, true);
	log_reserve(RESERVED);
	daemon_len = 0; /* its name is gone */
	log_error("still");
	assert_non_null(strstr(daemon_read(sock, line, sizeof(line)), ": still"));
	log_open("dived", true, false);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* What was set aside reaches the daemon it was made for, and after its end the next. */
static void test_reserved(void **state)
{
	cleanup_fd int first = daemon_open();
	char line[256];

	(void)state;
	log_open("dived", false, true);
	log_reserve(RESERVED);
	cleanup_fd int second = daemon_open();
	log_error("one");
	assert_non_null(strstr(daemon_read(first, line, sizeof(line)), ": one"));
	assert_string_equal(daemon_read(second, line, sizeof(line)), "");
	close_fd(&first);
	log_error("two");
	assert_non_null(strstr(daemon_read(second, line, sizeof(line)), ": two"));
	log_open("dived", true, false);
	assert_int_equal(fcntl(RESERVED, F_GETFD), -1);
	daemon_len = 0;
}

/* The pipe is full but for so many pages; returns what comes out of it after these. */
static void write_to_pipe(int ends[2], const char *text, int pages, char *out, size_t size)
{
	cleanup_fd int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	char page[PIPE_BUF] = { 0 };
	int left = fcntl(ends[1], F_GETPIPE_SZ) / PIPE_BUF - pages;
	size_t len = 0;
	ssize_t got;

	for (int i = 0; i < left; i++)
		assert_int_equal(write(ends[1], page, sizeof(page)), sizeof(page));
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	(void)alarm(20); /* instead of waiting for good */
	log_error("%s", text);
	(void)alarm(0);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close_fd(&ends[1]);
	for (int i = 0; i < left; i++)
		assert_int_equal(read(ends[0], page, sizeof(page)), sizeof(page));
	while ((got = read(ends[0], out + len, size - len - 1)) > 0)
		len += (size_t)got;
	out[len] = '\0';
	close_fd(&ends[0]);
}

/* A named one cannot be asked not to wait in the same way. */
static void open_pipe(int ends[2], bool named)
{
	char path[] = "/tmp/dive-log-XXXXXX";

	if (!named) {
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		return;
	}
	assert_non_null(mkdtemp(path));
	char name[sizeof(path) + 8];
	(void)snprintf(name, sizeof(name), "%s/pipe", path); /* fits */
	assert_int_equal(mkfifo(name, 0600), 0);
	ends[0] = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ends[1] = open(name, O_WRONLY | O_CLOEXEC);
	assert_true(ends[0] >= 0 && ends[1] >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(path), 0);
}

/*
 * A long line is written to a pipe as several, none of which is lost in part: where there
 * is room for one of them, that is all there is, and whoever logs goes on.
 */
static void test_pipe(void **state)
{
	static const struct {
		bool named;
		int pages;
		size_t lines;
	} cases[] = { { false, 8, 3 }, { true, 8, 3 }, { false, 1, 1 }, { true, 1, 1 } };
	static char text[LINE_LIMIT], out[3 * LINE_LIMIT];

	(void)state;
	log_open("dived", true, false);
	for (size_t i = 0; i + 2 < sizeof(text); i += 2) /* of two bytes each */
		memcpy(text + i, "\303\251", 2);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t lines = 0, len = 0;
		int ends[2];

		open_pipe(ends, cases[i].named);
		write_to_pipe(ends, text, cases[i].pages, out, sizeof(out));
		for (char *line = out, *end; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			assert_memory_equal(line, lines ? "dived: ...\303\251" : "dived: \303\251",
					    lines ? 12 : 9);
			assert_int_equal(memcmp(end - 3, "...", 3) == 0, lines < 2);
			len += strlen(line) - strlen("dived: ") - (lines ? 3 : 0) -
			       (lines < 2 ? 3 : 0);
			lines++;
		}
		assert_int_equal(lines, cases[i].lines);
		if (cases[i].pages > 1)
			assert_int_equal(len, strlen(text));
	}
}

static void test_no_syslog(void **state)
{
	(void)state;
	log_open("dived", false, true);
	log_error("nobody hears this");
	log_open("dived", true, false);
}

static void test_long_line_is_cut(void **state)
{
	static char text[3 * LINE_LIMIT], out[2 * LINE_LIMIT];
	const size_t prefix = strlen("dived: ");

	(void)state;
	log_open("dived", true, false);
	memset(text, 'x', LINE_LIMIT);
	capture(text, out, sizeof(out));
	assert_int_equal(strlen(out), prefix + LINE_LIMIT + 1);
	assert_null(strstr(out, "..."));
	memset(text, 'x', LINE_LIMIT + 1);
	capture(text, out, sizeof(out));
	assert_int_equal(strlen(out), prefix + LINE_LIMIT + 1);
	assert_string_equal(out + prefix + LINE_LIMIT - 4, "x...\n");
	memset(text, '\n', sizeof(text) - 1); /* grows by escaping */
	capture(text, out, sizeof(out));
	assert_string_equal(out + prefix + LINE_LIMIT - 6, "\\n...\n");
}

static void test_keeps_errno(void **state)
{
	(void)state;
	log_open("dived", false, false);
	errno = ENOTTY;
	log_error("x");
	assert_int_equal(errno, ENOTTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_keeps_newlines),
		cmocka_unit_test(test_escape_never_cuts_a_unit),
		cmocka_unit_test_setup_teardown(test_line_to_stderr, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_line_to_syslog, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_stalled_syslog, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_reserved, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_reserved_below, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_pipe, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_no_syslog, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_long_line_is_cut, leak_setup, leak_teardown),
		cmocka_unit_test(test_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
