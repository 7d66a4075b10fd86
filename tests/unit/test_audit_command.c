/*
 * A command in records: what is kept of it, in how many, and that nothing is lost or
 * repeated where one ends and the next begins.
 */
#include "record_scene.h"

#include "log.h"

#include <stdlib.h>

#define LINE_MAX 8192 /* of log_line() */
#define MORE	 "op=dive:more uuid=" ID " acct=\"root\" dive_id=\"" ID "\" gateway=\"/run/dive/root\""

/* The bytes of one command, put together again by a reader of its records. */
struct reader {
	char text[RECORD_COMMAND_MAX + 1];
	size_t len;
};

static void expect_numbers(const struct record *record, unsigned part, unsigned parts)
{
	char expected[64] = "";

	if (part > 1)
		(void)snprintf(expected, sizeof(expected), " part=%u parts=%u cmd=", part, parts);
	else if (parts > 1)
		(void)snprintf(expected, sizeof(expected), " parts=%u cmd=", parts);
	assert_non_null(strstr(record->text, expected));
	if (parts == 1)
		assert_null(strstr(record->text, " parts="));
	if (part == 1)
		assert_null(strstr(record->text, " part="));
	else
		assert_int_equal(strncmp(record->text, MORE, strlen(MORE)), 0);
}

static void read_part(struct reader *reader, const struct record *record)
{
	char value[RECORD_TEXT_MAX];
	long len = field_decode(record, "cmd", value, sizeof(value));

	assert_sound(record);
	assert_true(len > 0);
	assert_true(reader->len + (size_t)len < sizeof(reader->text));
	memcpy(reader->text + reader->len, value, (size_t)len);
	reader->len += (size_t)len;
}

/* Returns in how many records the kernel has it. */
static unsigned record_for_kernel(const struct audit_facts *facts, struct reader *reader)
{
	struct record_command command;
	struct record record;
	char marker[64] = "";

	record_command_init(facts->command, &command);
	record_spawn(RECORD_AUDIT, facts, &namespaces, &command, &record);
	for (unsigned part = 1;; part++) {
		expect_numbers(&record, part, command.parts);
		read_part(reader, &record);
		if (part == command.parts)
			break;
		assert_null(strstr(record.text, "_cut="));
		assert_true(record.len > RECORD_TEXT_MAX - 160); /* the room is used */
		record_more(RECORD_AUDIT, facts, &command, &record);
	}
	assert_int_equal(command.at, command.len);
	if (command.total > command.len)
		(void)snprintf(marker, sizeof(marker), " cmd_cut=%zu", command.total);
	else
		assert_null(strstr(record.text, "_cut="));
	assert_string_equal(record.text + record.len - strlen(marker), marker);
	return command.parts;
}

/* Whole lines, whatever log_line() makes of them, and in them all of the command. */
static void record_for_syslog(const struct audit_facts *facts)
{
	struct record_command command;
	struct record record;
	size_t at = 0;

	record_command_init(facts->command, &command);
	record_spawn(RECORD_SYSLOG, facts, &namespaces, &command, &record);
	for (unsigned part = 1;; part++) {
		char line[LINE_MAX + 1];

		assert_int_equal(log_escape(record.text, record.len, false, line, sizeof(line)),
				 record.len);
		assert_non_null(
			memmem(record.text, record.len, command.text + at, command.at - at));
		at = command.at;
		if (part == command.parts)
			break;
		record_more(RECORD_SYSLOG, facts, &command, &record);
	}
	assert_int_equal(at, command.len);
}

static void expect_kept(char *const *argv, unsigned least, unsigned most)
{
	cleanup_free char *whole = malloc(4 * RECORD_COMMAND_MAX);
	struct peer peer = peer_example();
	struct audit_facts facts = facts_example(&peer, argv);
	struct reader reader = { .len = 0 };
	size_t total;

	assert_non_null(whole);
	assert_in_range(record_for_kernel(&facts, &reader), least, most);
	total = record_join(argv, whole, 4 * (size_t)RECORD_COMMAND_MAX);
	assert_int_equal(reader.len, total < RECORD_COMMAND_MAX ? total : RECORD_COMMAND_MAX);
	assert_memory_equal(reader.text, whole, reader.len);
	record_for_syslog(&facts);
}

/* From the longest that is one record over each length about it to the longest that is kept. */
static void test_one_word_of_any_length(void **state)
{
	cleanup_free char *word = malloc(RECORD_COMMAND_MAX + 3);
	char *argv[] = { word, NULL };
	static const struct {
		size_t from, to;
		unsigned least, most;
	} cases[] = {
		{ 1, 40, 1, 1 },
		{ 6500, 7600, 1, 2 },
		{ 13000, 15100, 2, 3 },
		{ RECORD_COMMAND_MAX - 2, RECORD_COMMAND_MAX + 2, 5, 6 },
	};

	(void)state;
	assert_non_null(word);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t len = cases[i].from; len <= cases[i].to; len++) {
			for (size_t j = 0; j < len; j++)
				word[j] = "abcdefghijklmnopqrstuvwxyz0123456789"[j % 36];
			word[len] = '\0';
			expect_kept(argv, cases[i].least, cases[i].most);
		}
}

/* A megabyte of words of each kind: as much as is kept of it, and how much there was. */
static void test_words(void **state)
{
	static const char *const words[] = { "plain",	   "with space", "it's",     "new\nline",
					     "\xff\\\033", "",		 "\xc3\xa9", "cmd=x" };
	static const size_t counts[] = { 1, 600, 5000, 200000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		for (size_t j = 0; j < ARRAY_LEN(counts); j++) {
			cleanup_free char **argv = calloc(counts[j] + 1, sizeof(*argv));
			cleanup_free char *word = strdup(words[i]);

			assert_non_null(argv);
			for (size_t k = 0; k < counts[j]; k++)
				argv[k] = word;
			expect_kept(argv, 1, 20);
		}
}

/* All else in the first record is as long and as bad as can be. */
static void test_worst_surroundings(void **state)
{
	static char bad[8193];
	static const char kinds_of_bad[] = { '\n', '"', '\\' };
	char *argv[] = { bad, bad, bad, NULL };
	struct peer peer = peer_example();

	(void)state;
	for (size_t i = 0; i < sizeof(kinds_of_bad); i++) {
		struct audit_facts facts = facts_example(&peer, argv);
		struct reader reader = { .len = 0 };

		memset(bad, kinds_of_bad[i], sizeof(bad) - 1);
		facts.gateway = facts.account = facts.client = facts.directory = facts.root =
			facts.tty = bad;
		struct record_command command;
		struct record record;

		record_command_init(argv, &command);
		record_spawn(RECORD_AUDIT, &facts, &namespaces, &command, &record);
		while (command.at < command.len) {
			read_part(&reader, &record);
			record_more(RECORD_AUDIT, &facts, &command, &record);
		}
		read_part(&reader, &record);
		assert_int_equal(command.part, command.parts + 1);
		assert_int_equal(reader.len, command.len);
		assert_memory_equal(reader.text, command.text, command.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_word_of_any_length, leak_setup,
						leak_teardown),
		cmocka_unit_test_setup_teardown(test_words, leak_setup, leak_teardown),
		cmocka_unit_test_setup_teardown(test_worst_surroundings, leak_setup, leak_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
