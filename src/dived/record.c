/*
 * Composes the text of records, field by field, into a buffer of fixed size.
 *
 * The rule that keeps this safe is that nothing is ever dropped for want of room: the
 * fields of fixed form are short, each text from outside has a bound, the sum of all
 * bounds leaves RECORD_COMMAND_MIN bytes for the command (asserted below), and only the
 * last field takes what is left.  The order serves readers that search instead of parse:
 * op, acct and the session's id come before anything a client can choose.
 */
#include "record_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PARTS_ROOM 32 /* " part= parts=" and their digits */

/*
 * Hex doubles a text; names and fixed fields of the longest record, and then the command.
 * A spawn has groups, which need no hex, and a file in place of the reason.
 */
#define FIXED_ROOM 1024
static_assert(FIXED_ROOM + RECORD_GROUPS_MAX +
			      2 * (3 * RECORD_NAME_MAX + 2 * RECORD_DIRECTORY_MAX + PEER_TTY_MAX +
				   RECORD_REASON_MAX + RECORD_COMMAND_MIN) +
			      9 * RECORD_NUMBER_ROOM <=
		      RECORD_TEXT_MAX,
	      "everything fits with the command's share");
static_assert(RECORD_FILE_MAX <= RECORD_REASON_MAX, "a spawn has the one and not the other");

const char *const record_namespace_names[RECORD_NAMESPACES] = {
	"mnt", "net", "pid", "user", "ipc", "uts", "cgroup", "time",
};

static void record_begin(struct record *record, enum record_style style, const char *op)
{
	record->style = style;
	record->len = 0;
	record->text[0] = '\0';
	record_add(record, "op=%s", op);
}

/* libaudit adds the result to what goes to the kernel. */
static void record_add_result(struct record *record, bool success)
{
	if (record->style == RECORD_SYSLOG)
		record_add(record, " res=%s", success ? "success" : "failed");
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
 * What each record of a session has.  Its id is not called "id": the audit tools take a field
 * of that name for a uid, and would show the name of some account in its place.
 */
static void record_add_session(struct record *record, const struct audit_facts *facts)
{
	record_add_uuid(record, facts->id);
	record_add_text(record, "acct", facts->account, RECORD_NAME_MAX);
	record_add_text(record, "dive_id", facts->id, AUDIT_ID_SIZE);
	record_add_text(record, "gateway", facts->gateway, RECORD_NAME_MAX);
}

static void record_add_who(struct record *record, const struct audit_facts *facts)
{
	const struct peer *peer = facts->peer;

	record_add_session(record, facts);
	record_add_text(record, "client", facts->client, RECORD_NAME_MAX);
	if (peer == NULL)
		return;
	record_add_id(record, "client_uid", peer->uid);
	record_add(record, " client_pid=%d", (int)peer->pid);
	record_add_id(record, "client_auid", peer->login_uid);
	record_add_id(record, "client_ses", peer->session_id);
}

/* Without it nobody can tell whether auid= in front of the message is the client's. */
static void record_add_kept(struct record *record, const struct audit_facts *facts)
{
	record_add(record, " auid_kept=%s", facts->login_uid_kept ? "yes" : "no");
}

static void record_add_what(struct record *record, const struct audit_facts *facts)
{
	record_add(record, " elevated=%s", !facts->decided ? "?" : facts->elevated ? "yes" : "no");
	record_add_kept(record, facts);
	record_add_text(record, "tty", facts->tty, PEER_TTY_MAX);
	if (facts->requested)
		record_add(record, " fds=%zu", facts->fd_count);
	else
		record_add(record, " fds=?");
}

/* "0,4,27": as many as there is room for, and how long the whole list would be. */
static void record_add_groups(struct record *record, const gid_t *groups, size_t count)
{
	size_t used = 0;
	size_t total = 0;

	record_add(record, " target_groups=%s", count == 0 ? "none" : "");
	for (size_t i = 0; i < count; i++) {
		char text[16];
		int len = snprintf(text, sizeof(text), "%s%" PRIu32, i ? "," : "", groups[i]);

		if (total == used && used + (size_t)len <= RECORD_GROUPS_MAX) {
			record_add(record, "%s", text);
			used += (size_t)len;
		}
		total += (size_t)len;
	}
	if (total > used)
		record_add(record, " target_groups_cut=%zu", total);
}

/*
 * As whom, in numbers, and what: argv[0] may be anything, "-bash" for a login shell.  acct= is the
 * account that was looked up; -e and -g make something else of it, and several accounts may have
 * the number of root.
 */
static void record_add_program(struct record *record, const struct audit_program *program)
{
	if (program == NULL)
		return;
	record_add_id(record, "target_uid", program->uid);
	record_add_id(record, "target_gid", program->gid);
	record_add_id(record, "target_euid", program->euid);
	record_add_id(record, "target_egid", program->egid);
	record_add_groups(record, program->groups, program->group_count);
	record_add_text(record, program->file != NULL ? "file" : "path",
			program->file != NULL ? program->file : program->path, RECORD_FILE_MAX);
}

/* A name that is not confirmed may lead elsewhere; then there is what does not lie. */
static void record_add_place(struct record *record, const char *field, const char *name,
			     const struct locate_inode *inode)
{
	record_add_text(record, field, name, RECORD_DIRECTORY_MAX);
	if (inode->due && inode->number != 0)
		record_add(record, " %s_dev=%" PRIu32 ":%" PRIu32 " %s_ino=%" PRIu64, field,
			   inode->major, inode->minor, field, inode->number);
	else if (inode->due)
		record_add(record, " %s_dev=? %s_ino=?", field, field);
}

static void record_add_where(struct record *record, const struct audit_facts *facts)
{
	record_add_place(record, "cwd", facts->directory, &facts->directory_inode);
	record_add_place(record, "root", facts->root, &facts->root_inode);
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
			      const struct audit_facts *facts)
{
	record_begin(record, style, "dive:more");
	record_add_result(record, true);
	record_add_session(record, facts);
	record_add_kept(record, facts);
}

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
	record_add_program(ret, facts->program);
	record_add_namespaces(ret, namespaces);
	record_add_where(ret, facts);
	if (facts->command)
		record_add_first(ret, facts, command);
	else
		record_add(ret, " cmd=?");
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
	record_add_kept(ret, facts);
	if (end->fault != NULL)
		record_add_fault(ret, end->fault);
	if (end->unknown)
		record_add(ret, " exit=?");
	else
		record_add(ret, " %s=%d", end->signalled ? "sig" : "exit", end->value);
	record_add(ret, " duration_ms=%" PRId64, end->duration_ms);
	if (end->fault != NULL)
		record_add_text(ret, "reason", end->fault->text, RECORD_REASON_MAX);
	record_add_command(ret, facts);
}

void record_lost(enum record_style style, const struct audit_facts *facts, const char *program,
		 const char *what, struct record *ret)
{
	record_begin(ret, style, "dive:lost");
	record_add_result(ret, false);
	record_add_who(ret, facts);
	record_add_kept(ret, facts);
	record_add(ret, " program=%s", program); /* a word of ours */
	record_add_text(ret, "reason", what, RECORD_REASON_MAX);
}

/* The options go into "info", which ausearch(8) decodes. */
void record_gateway(enum record_style style, const char *gateway, bool start, const char *text,
		    size_t total, struct record *ret)
{
	record_begin(ret, style, start ? "dive:start" : "dive:stop");
	record_add_result(ret, true);
	record_add_text(ret, "gateway", gateway, RECORD_NAME_MAX);
	if (text != NULL)
		record_add_last(ret, "info", text, strlen(text), total);
}
