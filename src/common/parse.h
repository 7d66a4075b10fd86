/*
 * parse - strict text to number, id, mode and signal.
 *
 * The only place that turns text into numbers.  "Strict" means: the whole
 * string is the number; no sign, no white space, no base prefix unless stated,
 * no overflow, no empty string.
 *
 * Functions return 0, or -EINVAL for what is not of the form at all, or
 * -ERANGE for a well-formed value outside the range.  Outputs are written on
 * success only.  Nothing is allocated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Decimal digits only, min <= value <= max. */
int parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* A decimal uid or gid.  4294967295, the kernel's "no id", is -ERANGE. */
int parse_id(const char *text, uint32_t *ret);

/* Returns whether the text consists of one or more decimal digits. */
bool parse_is_number(const char *text);

/* Octal permission bits, 1 to 4 digits, at most 0777. */
int parse_mode(const char *text, mode_t *ret);

/* A process id: decimal, 1 to INT32_MAX. */
int parse_pid(const char *text, pid_t *ret);

/* A descriptor: decimal, 0 to max; or "-1" where allow_none, giving -1. */
int parse_fd(const char *text, int max, bool allow_none, int *ret);

/*
 * The value after `key` in the text of a /proc file with lines "key:\tvalue",
 * as a number in `base` 10 or 16 (/proc/PID/status CapEff, fdinfo Pid).
 * -ENOENT when there is no such line.
 */
int parse_proc_field(const char *text, const char *key, int base, uint64_t *ret);

/*
 * One line of /proc/PID/uid_map: three numbers with blanks around.  *text moves
 * behind it.  Return: 0; -EINVAL; -ERANGE.
 */
int parse_map_line(const char **text, uint32_t *ret_inside, uint32_t *ret_outside,
		   uint32_t *ret_count);
