/*
 * log: what reaches standard error and syslog, and that nothing in it can act.
 *
 * syslog(3) is replaced in this program, since there may be no /dev/log; that is
 * why <syslog.h>, which makes it a macro under fortification, is not included.
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
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define AUTHPRIV   80 /* LOG_AUTHPRIV */
#define OPEN_PID   1  /* LOG_PID; LOG_NDELAY would be 8 */
#define LINE_LIMIT 8192

void openlog(const char *ident, int option, int facility);
void closelog(void);
void syslog(int priority, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...);

static struct {
	int priority, option, facility;
	unsigned lines;
	char text[64];
} seen;

void openlog(const char *ident, int option, int facility)
{
	(void)ident;
	seen.option = option;
	seen.facility = facility;
}

void closelog(void)
{
}

__attribute__((format(printf, 2, 0))) static void record(int priority, const char *format,
                                                         va_list args)
{
	seen.priority = priority;
	seen.lines++;
	(void)vsnprintf(seen.text, sizeof(seen.text), format, args);
}

__attribute__((format(printf, 2, 3))) void syslog(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	record(priority, format, args);
	va_end(args);
}

__attribute__((format(printf, 3, 4))) void __syslog_chk(int priority, int flag, const char *format,
                                                        ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	record(priority, format, args);
	va_end(args);
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
		CASE("\x9b", "\\233"),          /* CSI as a byte */
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
	seen.lines = 0;
	capture("before", out, sizeof(out));
	assert_string_equal(out, "before\n");
	log_open("dived", true, false);
	capture("two\nlines", out, sizeof(out));
	assert_string_equal(out, "dived: two\\nlines\n");
	assert_int_equal(seen.lines, 0);
}

static void test_line_to_syslog(void **state)
{
	char out[256];

	(void)state;
	seen.lines = 0;
	log_open("dived", false, true);
	assert_int_equal(seen.facility, AUTHPRIV);
	assert_int_equal(seen.option, OPEN_PID);
	capture("%s \033", out, sizeof(out));
	assert_string_equal(out, "");
	assert_int_equal(seen.lines, 1);
	assert_string_equal(seen.text, "%s \\033");
	assert_int_equal(seen.priority, 5); /* LOG_NOTICE */
	log_error("x");
	assert_int_equal(seen.priority, 3); /* LOG_ERR */
	log_warning("x");
	assert_int_equal(seen.priority, 4);
	log_info("x");
	assert_int_equal(seen.priority, 6);
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
		cmocka_unit_test_setup_teardown(test_long_line_is_cut, leak_setup, leak_teardown),
		cmocka_unit_test(test_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
