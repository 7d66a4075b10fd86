/*
 * Composes the text of records, field by field, into a buffer of fixed size.
 *
 * The rule that keeps this safe is that nothing is ever dropped for want of room: the
 * fields of fixed form are short, each text from outside has a bound, the sum of all
 * bounds leaves RECORD_COMMAND_MIN bytes for the command (asserted below), and only the
 * last field takes what is left.  The order serves readers that search instead of parse:
 * op, acct and the session's id come before anything a client can choose.
 *
 * The encoding is not left to audit_encode_nv_string(3) because that allocates, and
 * because it judges bytes above 0x7f by the sign of char, which differs between machines.
 */
#include "record.h"

#include "cleanup.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PARTS_ROOM  32 /* " part= parts=" and their digits */
#define NUMBER_ROOM 32 /* " name_cut=" of a short name, and 20 digits */

/* Hex doubles a text; names and fixed fields of the longest record, and then the command. */
#define FIXED_ROOM 1024
static_assert(FIXED_ROOM +
			      2 * (3 * RECORD_NAME_MAX + 2 * RECORD_DIRECTORY_MAX + PEER_TTY_MAX +
				   RECORD_REASON_MAX + RECORD_COMMAND_MIN) +
			      8 * NUMBER_ROOM <=
		      RECORD_TEXT_MAX,
	      "everything fits with the command's share");

const char *const record_namespace_names[RECORD_NAMESPACES] = {
	"mnt", "net", "pid", "user", "ipc", "uts", "cgroup", "time",
};

static size_t record_room(const struct record *record)
{
	return sizeof(record->text) - 1 - record->len;
}

__attribute__((format(printf, 2, 3))) static void record_add(struct record *record,
							     const char *format, ...)
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

/* How many bytes of a value fit into `room` bytes when encoded; quotes are extra. */
static size_t record_fit(enum record_style style, const char *value, size_t len, size_t room)
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

/*
 * Adds the first `len` bytes at `value`, of `total` there are, and a marker where that is
 * not all.  The caller has made sure of the room.
 */
static void record_add_value(struct record *record, const char *name, const char *value, size_t len,
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

static void record_add_text(struct record *record, const char *name, const char *value, size_t max)
{
	size_t total = value == NULL ? 0 : strlen(value);

	if (value == NULL)
		record_add(record, " %s=?", name);
	else
		record_add_value(record, name, value, total < max ? total : max, total);
}

/* The room for the value of a field that comes last, but for `reserve` bytes. */
static size_t record_last_room(const struct record *record, const char *name, size_t reserve)
{
	size_t frame = strlen(name) + strlen(" =\"\"") + NUMBER_ROOM + reserve;
	size_t room = record_room(record);

	/* What has been added grows in syslog, too; see syslog_size(). */
	for (size_t i = 0; record->style == RECORD_SYSLOG && i < record->len; i++)
		frame += record->text[i] == '"' ? 0 : syslog_size(record->text[i]) - 1;
	return room > frame ? room - frame : 0;
}

/* Adds the last text of a record, which may take all the room that is left. */
static void record_add_last(struct record *record, const char *name, const char *value, size_t len,
			    size_t total)
{
	size_t room = record_last_room(record, name, 0);

	record_add_value(record, name, value, record_fit(record->style, value, len, room), total);
}

static void record_add_id(struct record *record, const char *name, uint32_t id)
{
	/* 4294967295 is how the kernel itself writes an unset login uid or session */
	record_add(record, " %s=%" PRIu32, name, id);
}

static void record_begin(struct record *record, enum record_style style, const char *op)
{
	record->style = style;
	record->len = 0;
	record->text[0] = '\0';
	record_add(record, "op=%s", op);
}

/*
 * ausearch(8) and aureport(8), asked about accounts, look for a second "uid=" in a message,
 * at the end of whatever name.  Behind a letter that they do not expect, as in client_uid,
 * they give up and drop the whole record; at "uuid=" they stop looking.  So the session's id
 * comes a second time, under that name, before all other fields that end so; and -uu finds
 * the session by it.  They take neither quotes around it nor an empty one.
 */
static void record_add_uuid(struct record *record, const char *id)
{
	bool plain = id != NULL && id[0] != '\0' && strlen(id) < AUDIT_ID_SIZE &&
		     id[strspn(id, "0123456789abcdef")] == '\0';

	if (record->style == RECORD_AUDIT)
		record_add(record, " uuid=%s", plain ? id : "?");
}

/*
 * Who and where.  The session's id is not called "id": the audit tools take a field of
 * that name for a uid, and would show the name of some account in its place.
 */
static void record_add_who(struct record *record, const struct audit_facts *facts)
{
	const struct peer *peer = facts->peer;

	record_add_uuid(record, facts->id);
	record_add_text(record, "acct", facts->account, RECORD_NAME_MAX);
	record_add_text(record, "dive_id", facts->id, AUDIT_ID_SIZE);
	record_add_text(record, "gateway", facts->gateway, RECORD_NAME_MAX);
	record_add_text(record, "client", facts->client, RECORD_NAME_MAX);
	if (peer == NULL)
		return;
	record_add_id(record, "client_uid", peer->uid);
	record_add(record, " client_pid=%d", (int)peer->pid);
	record_add_id(record, "client_auid", peer->login_uid);
	record_add_id(record, "client_ses", peer->session_id);
}

static void record_add_what(struct record *record, const struct audit_facts *facts)
{
	record_add(record, " elevated=%s auid_kept=%s", facts->elevated ? "yes" : "no",
		   facts->login_uid_kept ? "yes" : "no");
	record_add_text(record, "tty", facts->tty, PEER_TTY_MAX);
	record_add(record, " fds=%zu", facts->fd_count);
}

static void record_add_where(struct record *record, const struct audit_facts *facts)
{
	record_add_text(record, "cwd", facts->directory, RECORD_DIRECTORY_MAX);
	record_add_text(record, "root", facts->root, RECORD_DIRECTORY_MAX);
}

static void record_add_command(struct record *record, const struct audit_facts *facts)
{
	char joined[RECORD_TEXT_MAX];
	size_t total;

	if (facts->command == NULL) {
		record_add(record, " cmd=?");
		return;
	}
	total = record_join(facts->command, joined, sizeof(joined));
	record_add_last(record, "cmd", joined, strlen(joined), total);
}

/* --- a command in several records ---------------------------------------------- */

void record_command_init(char *const *argv, struct record_command *ret)
{
	ret->total = argv ? record_join(argv, ret->text, sizeof(ret->text)) : 0;
	ret->len = ret->total < RECORD_COMMAND_MAX ? ret->total : RECORD_COMMAND_MAX;
	ret->at = 0;
	ret->part = ret->parts = 1;
}

/* What the next record, which lacks only this, has room for. */
static size_t command_fit(const struct record *record, const struct record_command *command,
			  size_t at, size_t reserve)
{
	return record_fit(record->style, command->text + at, command->len - at,
			  record_last_room(record, "cmd", reserve));
}

static void record_add_part(struct record *record, struct record_command *command, size_t len)
{
	bool cut = command->at + len == command->len && command->len < command->total;

	if (command->part > 1)
		record_add(record, " part=%u", command->part);
	if (command->parts > 1)
		record_add(record, " parts=%u", command->parts);
	record_add_value(record, "cmd", command->text + command->at, len,
			 cut ? command->total : len);
	command->at += len;
	command->part++;
}

static void record_begin_more(struct record *record, enum record_style style,
			      const struct audit_facts *facts);

/* The first record, which has all but the command. */
static void record_add_first(struct record *record, const struct audit_facts *facts,
			     struct record_command *command)
{
	size_t len = command_fit(record, command, 0, 0);
	struct record more;

	if (len < command->len) {
		len = command_fit(record, command, 0, PARTS_ROOM);
		record_begin_more(&more, record->style, facts);
		for (size_t at = len; at < command->len; command->parts++)
			at += command_fit(&more, command, at, PARTS_ROOM);
	}
	record_add_part(record, command, len);
}

/* libaudit adds the result to what goes to the kernel. */
static void record_add_result(struct record *record, bool success)
{
	if (record->style == RECORD_SYSLOG)
		record_add(record, " res=%s", success ? "success" : "failed");
}

static void record_add_fault(struct record *record, const struct fault *fault)
{
	record_add(record, " layer=%s step=%.64s errno=%d", message_layer_name(fault->layer),
		   fault->step != NULL ? fault->step : "?", fault->error);
}

static void record_add_namespaces(struct record *record, const struct record_namespaces *namespaces)
{
	for (size_t i = 0; i < RECORD_NAMESPACES; i++) {
		if (namespaces->inode[i] == 0)
			record_add(record, " ns_%s=?", record_namespace_names[i]);
		else if (namespaces->inode[i] == RECORD_NAMESPACE_NEW)
			record_add(record, " ns_%s=new", record_namespace_names[i]);
		else
			record_add(record, " ns_%s=%" PRIu64, record_namespace_names[i],
				   namespaces->inode[i]);
	}
}

void record_spawn(enum record_style style, const struct audit_facts *facts,
		  const struct record_namespaces *namespaces, struct record_command *command,
		  struct record *ret)
{
	record_begin(ret, style, "dive:spawn");
	record_add_result(ret, true);
	record_add_who(ret, facts);
	record_add_what(ret, facts);
	record_add_namespaces(ret, namespaces);
	record_add_where(ret, facts);
	if (facts->command)
		record_add_first(ret, facts, command);
	else
		record_add(ret, " cmd=?");
}

static void record_begin_more(struct record *record, enum record_style style,
			      const struct audit_facts *facts)
{
	record_begin(record, style, "dive:more");
	record_add_result(record, true);
	record_add_uuid(record, facts->id);
	record_add_text(record, "acct", facts->account, RECORD_NAME_MAX);
	record_add_text(record, "dive_id", facts->id, AUDIT_ID_SIZE);
	record_add_text(record, "gateway", facts->gateway, RECORD_NAME_MAX);
}

void record_more(enum record_style style, const struct audit_facts *facts,
		 struct record_command *command, struct record *ret)
{
	record_begin_more(ret, style, facts);
	record_add_part(ret, command, command_fit(ret, command, command->at, PARTS_ROOM));
}

void record_refuse(enum record_style style, const struct audit_facts *facts,
		   const struct fault *fault, struct record *ret)
{
	record_begin(ret, style, "dive:refuse");
	record_add_result(ret, false);
	record_add_who(ret, facts);
	record_add_fault(ret, fault);
	record_add_what(ret, facts);
	record_add_text(ret, "reason", fault->text, RECORD_REASON_MAX);
	record_add_where(ret, facts);
	record_add_command(ret, facts);
}

void record_exit(enum record_style style, const struct audit_facts *facts,
		 const struct audit_exit *end, struct record *ret)
{
	record_begin(ret, style, "dive:exit");
	record_add_result(ret, end->fault == NULL);
	record_add_who(ret, facts);
	if (end->fault != NULL)
		record_add_fault(ret, end->fault);
	if (end->unknown)
		record_add(ret, " exit=?");
	else
		record_add(ret, " %s=%d", end->signalled ? "sig" : "exit", end->value);
	record_add(ret, " duration_ms=%" PRId64, end->duration_ms);
	record_add_command(ret, facts);
}

void record_lost(enum record_style style, const struct audit_facts *facts, const char *program,
		 const char *what, struct record *ret)
{
	record_begin(ret, style, "dive:lost");
	record_add_result(ret, false);
	record_add_who(ret, facts);
	record_add(ret, " program=%s", program); /* a word of ours */
	record_add_text(ret, "reason", what, RECORD_REASON_MAX);
}

/* The options go into "info", which ausearch(8) decodes. */
void record_gateway(enum record_style style, const char *gateway, bool start, const char *text,
		    struct record *ret)
{
	record_begin(ret, style, start ? "dive:start" : "dive:stop");
	record_add_result(ret, true);
	record_add_text(ret, "gateway", gateway, RECORD_NAME_MAX);
	if (text != NULL)
		record_add_last(ret, "info", text, strlen(text), strlen(text));
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
