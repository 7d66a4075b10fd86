/*
 * record - the text of audit records and of the syslog lines beside them.
 *
 * Pure functions: facts in, text out, no system call, no allocation.  A record is a
 * line of name=value fields in one of two encodings:
 *
 * RECORD_AUDIT   for the kernel.  A value from outside is name="value", or name=HEX (upper
 *                case) where it holds anything but printable ASCII without space, quotes
 *                and '=': what audit_encode_nv_string(3) does, and a little more often.
 *                '=' and the single quote are included because ausearch(8) finds some
 *                fields by searching the whole text for "acct=" or "res=", and because
 *                the kernel puts the message between single quotes.
 * RECORD_SYSLOG  for people.  A value is bare, or between double quotes with each double
 *                quote doubled.  Control characters are left to log_line(), which
 *                escapes them.
 *
 * An unknown value is "?", without quotes.  A command is its words joined by single
 * spaces; a word that is empty or holds anything but letters, digits and _@%+=:,./- is
 * written as a shell would quote it ('it'\''s'), so that words can be told apart.
 *
 * Every text from outside has a bound.  One that is longer is cut, and a field
 * NAME_cut=TOTAL follows, with its full length in bytes.  The command comes last and takes
 * what room is left: at least RECORD_COMMAND_MIN bytes of it are always kept.
 *
 * Of a program that is started nothing is left out up to RECORD_COMMAND_MAX bytes: what
 * has no room in the first record follows in further ones, numbered part=N of parts=TOTAL.
 */
#pragma once

#include "audit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The kernel keeps 8560 bytes of a message (AUDIT_MESSAGE_TEXT_MAX) and drops the rest
 * silently; libaudit adds exe=, hostname=, addr=, terminal= and res= at the end.
 */
#define RECORD_SUFFIX_MAX    1024
#define RECORD_TEXT_MAX	     (8560 - RECORD_SUFFIX_MAX)

#define RECORD_NAME_MAX	     128 /* bytes kept of an account's name or a gateway's address */
#define RECORD_DIRECTORY_MAX 512 /* of a directory */
#define RECORD_FILE_MAX	     512 /* of the file to be executed, or the list of directories */
#define RECORD_REASON_MAX    512 /* of the text of a fault */
#define RECORD_GROUPS_MAX    128 /* of a list of groups, which is cut between two */
#define RECORD_COMMAND_MIN   1024
#define RECORD_COMMAND_MAX   32768

enum record_style { RECORD_AUDIT, RECORD_SYSLOG };

struct record {
	enum record_style style;
	size_t len;
	char text[RECORD_TEXT_MAX]; /* NUL-terminated */
};

/*
 * Inode numbers of the namespaces of a process; 0 for unknown.  One that is made
 * for the program alone has no number before the program is there.
 */
#define RECORD_NAMESPACES    8
#define RECORD_NAMESPACE_NEW UINT64_MAX
struct record_namespaces {
	uint64_t inode[RECORD_NAMESPACES]; /* in the order of record_namespace_names */
};
extern const char *const record_namespace_names[RECORD_NAMESPACES]; /* "mnt" */

/* The words of a command, and how far the records of one style have got with them. */
struct record_command {
	char text[RECORD_COMMAND_MAX + 1]; /* as record_join() writes them */
	size_t len;			   /* bytes that are recorded */
	size_t total;			   /* bytes there are */
	size_t at;			   /* recorded so far; all is done at `len` */
	unsigned part;			   /* of the next record */
	unsigned parts;
};

/* `argv` may be NULL, as in struct audit_facts. */
void record_command_init(char *const *argv, struct record_command *ret);

/* Whole records; *ret is overwritten.  None can fail. */
void record_spawn(enum record_style style, const struct audit_facts *facts,
		  const struct record_namespaces *namespaces, struct record_command *command,
		  struct record *ret);
/* What had no room, for as long as command->at < command->len. */
void record_more(enum record_style style, const struct audit_facts *facts,
		 struct record_command *command, struct record *ret);
void record_refuse(enum record_style style, const struct audit_facts *facts,
		   const struct fault *fault, struct record *ret);
void record_exit(enum record_style style, const struct audit_facts *facts,
		 const struct audit_exit *end, struct record *ret);
void record_lost(enum record_style style, const struct audit_facts *facts, const char *program,
		 const char *what, struct record *ret);
/* `text` is the beginning of `total` bytes, RECORD_TEXT_MAX of them if there are as many. */
void record_gateway(enum record_style style, const char *gateway, bool start, const char *text,
		    size_t total, struct record *ret);

/*
 * Joins argv as described above into buffer, NUL-terminated (size > 0), cut where it does
 * not fit.  Returns the length of the whole in bytes.
 */
size_t record_join(char *const *argv, char *buffer, size_t size);
