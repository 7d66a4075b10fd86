/*
 * record_text - fields of records in the two encodings of record.h, and quoted words.
 *
 * Nothing here knows which fields a record has; record.c sees to it that there is room.
 *
 * The encoding is not left to audit_encode_nv_string(3) because that allocates, and
 * because it judges bytes above 0x7f by the sign of char, which differs between machines.
 */
#include "record_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t record_room(const struct record *record)
{
	return sizeof(record->text) - 1 - record->len;
}

void record_add(struct record *record, const char *format, ...)
{
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(record->text + record->len, record_room(record) + 1, format, arguments);
	va_end(arguments);
	assert(len >= 0 && (size_t)len <= record_room(record)); /* the bounds above */
	if (len > 0)
		record->len +=
			(size_t)len < record_room(record) ? (size_t)len : record_room(record);
}

static void record_add_char(struct record *record, char c)
{
	assert(record_room(record) > 0);
	if (record_room(record) == 0)
		return;
	record->text[record->len++] = c;
	record->text[record->len] = '\0';
}

static bool is_plain(enum record_style style, const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c <= ' ' || c == '"' || c == '=')
			return false;
		if (style == RECORD_AUDIT && (c >= 0x7f || c == '\''))
			return false;
	}
	/* in syslog's form an empty value, and one that looks like "unknown", need the quotes */
	return style == RECORD_AUDIT || (len > 0 && !(len == 1 && value[0] == '?'));
}

static void record_add_hex(struct record *record, const char *value, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		record_add_char(record, digits[c >> 4]);
		record_add_char(record, digits[c & 15]);
	}
}

static void record_add_quoted(struct record *record, const char *value, size_t len)
{
	record_add_char(record, '"');
	for (size_t i = 0; i < len; i++) {
		if (value[i] == '"')
			record_add_char(record, '"');
		record_add_char(record, value[i]);
	}
	record_add_char(record, '"');
}

/* log_line() writes what is not plainly printable in up to four characters. */
static size_t syslog_size(char c)
{
	if (c == '"')
		return 2;
	return c < ' ' || c > '~' || c == '\\' ? 4 : 1;
}

size_t record_fit(enum record_style style, const char *value, size_t len, size_t room)
{
	size_t used = 0;

	if (style == RECORD_AUDIT && is_plain(style, value, len))
		return len < room ? len : room;
	for (size_t i = 0; i < len; i++) {
		used += style == RECORD_AUDIT ? 2 : syslog_size(value[i]);
		if (used > room)
			return i;
	}
	return len;
}

void record_add_value(struct record *record, const char *name, const char *value, size_t len,
		      size_t total)
{
	bool plain = is_plain(record->style, value, len);

	record_add(record, " %s=", name);
	if (record->style == RECORD_AUDIT && !plain)
		record_add_hex(record, value, len);
	else if (record->style == RECORD_SYSLOG && plain)
		record_add(record, "%.*s", (int)len, value);
	else
		record_add_quoted(record, value, len);
	if (len < total)
		record_add(record, " %s_cut=%zu", name, total);
}

void record_add_text(struct record *record, const char *name, const char *value, size_t max)
{
	size_t total = value == NULL ? 0 : strlen(value);

	if (value == NULL)
		record_add(record, " %s=?", name);
	else
		record_add_value(record, name, value, total < max ? total : max, total);
}

size_t record_last_room(const struct record *record, const char *name, size_t reserve)
{
	size_t frame = strlen(name) + strlen(" =\"\"") + RECORD_NUMBER_ROOM + reserve;
	size_t room = record_room(record);

	/* What has been added grows in syslog, too; see syslog_size(). */
	for (size_t i = 0; record->style == RECORD_SYSLOG && i < record->len; i++)
		frame += record->text[i] == '"' ? 0 : syslog_size(record->text[i]) - 1;
	return room > frame ? room - frame : 0;
}

void record_add_last(struct record *record, const char *name, const char *value, size_t len,
		     size_t total)
{
	size_t room = record_last_room(record, name, 0);

	record_add_value(record, name, value, record_fit(record->style, value, len, room), total);
}

void record_add_id(struct record *record, const char *name, uint32_t id)
{
	/* 4294967295 is how the kernel itself writes an unset login uid or session */
	record_add(record, " %s=%" PRIu32, name, id);
}

/* Where record_join() writes: counts everything, stores what fits. */
struct join {
	char *buffer;
	size_t size;
	size_t total;
};

static void join_add(struct join *join, const char *text, size_t len)
{
	size_t room = join->total < join->size - 1 ? join->size - 1 - join->total : 0;

	if (room > 0)
		memcpy(join->buffer + join->total, text, len < room ? len : room);
	join->total += len;
}

static void join_add_word(struct join *join, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		join_add(join, word, strlen(word));
		return;
	}
	join_add(join, "'", 1);
	for (;;) {
		size_t len = strcspn(word, "'");

		join_add(join, word, len);
		word += len;
		if (*word == '\0')
			break;
		join_add(join, "'\\''", 4);
		word++;
	}
	join_add(join, "'", 1);
}

size_t record_join(char *const *argv, char *buffer, size_t size)
{
	struct join join = { .buffer = buffer, .size = size };

	assert(size > 0);
	for (size_t i = 0; argv[i] != NULL; i++) {
		if (i > 0)
			join_add(&join, " ", 1);
		join_add_word(&join, argv[i]);
	}
	buffer[join.total < size - 1 ? join.total : size - 1] = '\0';
	return join.total;
}
