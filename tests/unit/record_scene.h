/*
 * record_scene - facts as an example, and records read as ausearch(8) would.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit.h"
#include "cleanup.h"
#include "leak.h"
#include "parse.h"
#include "record.h"

#include <stdio.h>
#include <string.h>

/* A word of an argv, which is writable by its type. */
#define WORD(text) ((char[]){ text })

#define ID	   "00112233445566778899aabbccddeeff"

static const struct record_namespaces namespaces = {
	.inode = { 4026531841, 4026531840, 4026531836, 4026531837, 4026531839, 4026531838, 0, 1 },
};

static const gid_t groups_example[] = { 0, 27 };
static const struct audit_program program_example = {
	.euid = 1000,
	.egid = 1001,
	.groups = groups_example,
	.group_count = 2,
	.file = "/bin/sh",
	.proc = -1,
};

static inline struct peer peer_example(void)
{
	return (struct peer){
		.uid = 1000,
		.gid = 1000,
		.pid = 4242,
		.login_uid = PEER_UNSET,
		.session_id = 7,
		.pidfd = -1,
	};
}

static inline struct audit_facts facts_example(const struct peer *peer, char *const *command)
{
	return (struct audit_facts){
		.id = ID,
		.gateway = "/run/dive/root",
		.account = "root",
		.client = "bob",
		.peer = peer,
		.directory = "/home/bob",
		.root = "/",
		.command = command,
		.tty = "/dev/pts/3",
		.requested = true,
		.fd_count = 3,
		.decided = true,
		.elevated = true,
		.login_uid_kept = true,
		.program = &program_example,
	};
}

/*
 * Decodes the first field NAME of an audit record as a reader does who splits at spaces:
 * returns the number of bytes, or -1 for a field that is missing or unknown.
 */
static inline long field_decode(const struct record *record, const char *name, char *out,
				size_t size)
{
	char key[64];
	const char *value;
	size_t len, count = 0;

	(void)snprintf(key, sizeof(key), " %s=", name);
	value = strstr(record->text, key);
	if (value == NULL)
		return -1;
	value += strlen(key);
	len = strcspn(value, " ");
	if (len == 1 && value[0] == '?')
		return -1;
	if (value[0] == '"') {
		assert_int_equal(value[len - 1], '"');
		value++;
		len -= 2;
		assert_true(len < size);
		memcpy(out, value, len);
		out[len] = '\0';
		return (long)len;
	}
	assert_int_equal(len % 2, 0);
	assert_int_equal(strspn(value, "0123456789ABCDEF"), len);
	for (size_t i = 0; i < len; i += 2) {
		char digits[3] = { value[i], value[i + 1], '\0' };
		char line[8];
		uint64_t byte;

		(void)snprintf(line, sizeof(line), "x:\t%s", digits);
		assert_int_equal(parse_proc_field(line, "x", 16, &byte), 0);
		assert_true(count + 1 < size);
		out[count++] = (char)byte;
	}
	out[count] = '\0';
	return (long)count;
}

static inline void assert_field(const struct record *record, const char *name, const char *expected)
{
	char value[RECORD_TEXT_MAX];
	long len = field_decode(record, name, value, sizeof(value));

	assert_int_equal(len, strlen(expected));
	assert_memory_equal(value, expected, (size_t)len);
}

/* What the kernel and every reader rely on. */
static inline void assert_sound(const struct record *record)
{
	assert_int_equal(strlen(record->text), record->len);
	assert_true(record->len < RECORD_TEXT_MAX);
	for (size_t i = 0; i < record->len; i++) {
		assert_in_range((unsigned char)record->text[i], 0x20, 0x7e);
		assert_int_not_equal(record->text[i], '\'');
	}
}

/* A spawn's first record, which for most commands is all. */
static inline void spawn_record(enum record_style style, const struct audit_facts *facts,
				const struct record_namespaces *in, struct record *ret)
{
	struct record_command command;

	record_command_init(facts->command, &command);
	record_spawn(style, facts, in, &command, ret);
}
