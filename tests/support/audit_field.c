/*
 * audit_stream - taking records apart.
 *
 * A record is words NAME=VALUE between spaces; a user message is one more word,
 * msg='...', with words of its own.  A value with a space, a quote or a control
 * character is never in the text as it is, but in hexadecimal, so spaces and
 * quotes do end values.
 */
#include "audit_stream.h"

#include "must.h"

/* Returns the value's first byte, or NULL. */
static const char *find_value(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *place = strstr(text, name); place; place = strstr(place + 1, name)) {
		bool starts = place == text || place[-1] == ' ' || place[-1] == '\'';

		if (starts && place[len] == '=')
			return place + len + 1;
	}
	return NULL;
}

bool audit_has_field(const char *text, const char *name)
{
	return find_value(text, name) != NULL;
}

static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* Copies the value; sets *ret_quoted. */
static void copy_value(const char *text, const char *name, char *buffer, size_t size,
		       bool *ret_quoted)
{
	const char *value = find_value(text, name);
	size_t len;

	if (!value)
		FAIL("no field %s in: %s", name, text);
	*ret_quoted = *value == '"';
	if (*ret_quoted)
		value++;
	len = strcspn(value, *ret_quoted ? "\"" : " '");
	if (len >= size)
		FAIL("field %s is too long: %s", name, value);
	memcpy(buffer, value, len);
	buffer[len] = '\0';
}

const char *audit_field(const char *text, const char *name, char *buffer, size_t size)
{
	bool quoted;

	copy_value(text, name, buffer, size, &quoted);
	return buffer;
}

const char *audit_field_decoded(const char *text, const char *name, char *buffer, size_t size)
{
	bool quoted;
	size_t len;

	copy_value(text, name, buffer, size, &quoted);
	len = strlen(buffer);
	if (quoted || strspn(buffer, "0123456789ABCDEF") != len || len % 2 != 0)
		return buffer;
	for (size_t i = 0; i < len; i += 2)
		buffer[i / 2] = (char)(digit_value(buffer[i]) * 16 + digit_value(buffer[i + 1]));
	buffer[len / 2] = '\0';
	return buffer;
}
