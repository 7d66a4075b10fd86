/*
 * parse - strict text to number, id, mode and signal.
 *
 * strtoul(3) takes leading white space, signs (and negates), prefixes and
 * trailing text, and reports overflow by errno; each of these has been a
 * privilege escalation somewhere ("-1" as a uid is root's best friend).  So the
 * digits are read here, by one loop, and everything else is built on it.
 *
 * The form is judged before the range: "99999999999999999999x" is not a number
 * (-EINVAL), rather than one that is too large.  Leading zeros are digits.
 */
#include "parse.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Returns the value of a digit, or a number that is no digit in any base. */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

static int parse_digits(const char *text, size_t len, unsigned base, uint64_t *ret)
{
	uint64_t value = 0;
	bool overflow = false;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = digit_value(text[i]);

		if (digit >= base)
			return -EINVAL;
		overflow |= __builtin_mul_overflow(value, base, &value);
		overflow |= __builtin_add_overflow(value, digit, &value);
	}
	if (overflow)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value;
	int r = parse_digits(text, strlen(text), 10, &value);

	if (r < 0)
		return r;
	if (value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_id(const char *text, uint32_t *ret)
{
	uint64_t value;
	int r = parse_uint(text, 0, UINT32_MAX - 1, &value);

	if (r < 0)
		return r;
	*ret = (uint32_t)value;
	return 0;
}

bool parse_is_number(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

int parse_mode(const char *text, mode_t *ret)
{
	size_t len = strlen(text);
	uint64_t value;
	int r;

	if (len > 4)
		return -EINVAL;
	r = parse_digits(text, len, 8, &value);
	if (r < 0)
		return r;
	if (value > 0777)
		return -ERANGE;
	*ret = (mode_t)value;
	return 0;
}

int parse_pid(const char *text, pid_t *ret)
{
	uint64_t value;
	int r = parse_uint(text, 1, INT32_MAX, &value);

	if (r < 0)
		return r;
	*ret = (pid_t)value;
	return 0;
}

int parse_fd(const char *text, int max, bool allow_none, int *ret)
{
	uint64_t value;
	int r;

	assert(max >= 0);
	if (allow_none && strcmp(text, "-1") == 0) {
		*ret = -1;
		return 0;
	}
	r = parse_uint(text, 0, (uint64_t)max, &value);
	if (r < 0)
		return r;
	*ret = (int)value;
	return 0;
}

int parse_proc_field(const char *text, const char *key, int base, uint64_t *ret)
{
	size_t key_len = strlen(key);

	assert(base == 10 || base == 16);
	for (const char *line = text; *line != '\0';) {
		const char *end = strchrnul(line, '\n');

		/* strncmp() ends at a NUL, so that line[key_len] exists after a match. */
		if (strncmp(line, key, key_len) == 0 && line[key_len] == ':') {
			const char *value = line + key_len + 1;

			value += strspn(value, "\t ");
			if (value >= end)
				return -EINVAL;
			return parse_digits(value, (size_t)(end - value), (unsigned)base, ret);
		}
		line = *end == '\n' ? end + 1 : end;
	}
	return -ENOENT;
}

int parse_map_line(const char **text, uint32_t *ret_inside, uint32_t *ret_outside,
		   uint32_t *ret_count)
{
	const char *at = *text;
	uint64_t values[3];

	for (size_t i = 0; i < 3; i++) {
		size_t len;
		int r;

		at += strspn(at, " \t");
		len = strspn(at, "0123456789");
		r = parse_digits(at, len, 10, &values[i]);
		if (r < 0)
			return r;
		if (values[i] > UINT32_MAX)
			return -ERANGE;
		at += len;
	}
	at += strspn(at, " \t");
	if (*at != '\n' && *at != '\0')
		return -EINVAL;
	*ret_inside = (uint32_t)values[0];
	*ret_outside = (uint32_t)values[1];
	*ret_count = (uint32_t)values[2];
	*text = at + (*at == '\n');
	return 0;
}
