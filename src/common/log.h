/*
 * log - the one log sink: standard error, syslog, or both.
 *
 * Only main, the listener and the session log; library code returns errors.
 * One call is one line.  Control characters (C1 too), DEL, backslash, bytes that
 * are not valid UTF-8, and characters that are invisible or turn the direction
 * of text are escaped (\n, \t, all others in octal: \033, \134), so that nothing
 * a peer sent can forge a line or drive a terminal.  A missing /dev/log costs no
 * delay.  errno stays as it was.
 *
 * The sink is the project's only mutable global besides the signal flag.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
};

/*
 * Opens the sink.  `ident` (borrowed for good) begins every line.  Lines go to
 * syslog with facility LOG_AUTHPRIV if `use_syslog`, and to standard error if
 * `use_stderr`.  Before the first call lines go to standard error only.
 */
void log_open(const char *ident, bool use_stderr, bool use_syslog);

/*
 * Sets a descriptor of `from` or above aside for syslog in this process, connected to the
 * daemon of now: for lines that must be written when no other can be had any more, or
 * /dev/log leads elsewhere.  Without one lines are still tried.  log_open() closes it.
 */
void log_reserve(int from);

/* Writes one line; a line longer than 8 KiB is cut, with "..." at the cut. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)

/*
 * Escapes `len` bytes of `text` into `buffer` as described above, always
 * NUL-terminated when size > 0.  An escape is never cut in half.
 * `keep_newlines` leaves \n and \t alone (messages for a terminal).
 *
 * Returns the number of bytes of `text` that were consumed (less than len when
 * the buffer was too small).
 */
size_t log_escape(const char *text, size_t len, bool keep_newlines, char *buffer, size_t size);
