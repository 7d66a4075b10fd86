/*
 * plan_program - what is executed: words, login shell, and where to look.
 *
 * Who writes what runs: with a forced command the client adds words behind it
 * and nothing else.  -l then only moves the program to the target's home; a
 * shell in front of the forced command would read start-up files and quote, and
 * what the administrator wrote would no longer be what is executed.
 *
 * A name without a slash is looked for in the PATH of the program's own
 * environment, in absolute directories only.  Nothing is looked up here: the
 * candidates are strings, tried in the child inside the root and with the
 * rights the program will have.
 */
#include "plan_internal.h"

#include "cleanup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHELL_DEFAULT "/bin/sh" /* of a uid without an entry: passwd(5)'s default */

/* Of at most PATH_MAX bytes each: a PATH may hold 64 Ki entries. */
#define CANDIDATES_MAX ((size_t)1024)

static size_t count_words(char *const *words)
{
	size_t count = 0;

	while (words && words[count])
		count++;
	return count;
}

/* The client's words, or none where it may not set any. */
static char *const *client_words(const struct config *config, const struct request *request)
{
	return config->no_argv ? NULL : request->argv;
}

/* Copies one list behind another.  Return: 0 or -ENOMEM. */
static int join_words(char *const *first, char *const *second, char ***ret)
{
	size_t first_count = count_words(first);
	size_t count = first_count + count_words(second);
	cleanup_words char **words = calloc(count + 1, sizeof(*words));

	if (!words)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		words[i] = strdup(i < first_count ? first[i] : second[i - first_count]);
		if (!words[i])
			return -ENOMEM;
	}
	*ret = take_ptr(words);
	return 0;
}

/* Each word in single quotes, within which a shell changes nothing. */
static char *quote_words(char *const *words)
{
	size_t size = 1;
	char *text, *at;

	for (size_t i = 0; words[i]; i++) {
		size += strlen(words[i]) + 3; /* two quotes and a space */
		for (const char *c = words[i]; *c; c++)
			size += *c == '\'' ? 3 : 0; /* '\'' instead of ' */
	}
	text = malloc(size);
	if (!text)
		return NULL;
	at = text;
	for (size_t i = 0; words[i]; i++) {
		if (i > 0)
			*at++ = ' ';
		*at++ = '\'';
		for (const char *c = words[i]; *c; c++) {
			if (*c == '\'')
				at = stpcpy(at, "'\\'");
			*at++ = *c;
		}
		*at++ = '\'';
	}
	*at = '\0';
	return text;
}

/* The target's shell, as itself or, with words, to run them. */
static int make_shell(struct maker *maker, char *const *words)
{
	const struct account *target = maker->decision->target;
	const char *shell = target->shell ? target->shell : SHELL_DEFAULT;
	bool login = maker->request->fixed.flags & MESSAGE_REQUEST_LOGIN;
	cleanup_words char **argv = calloc(4, sizeof(*argv));
	cleanup_words char **candidates = calloc(2, sizeof(*candidates));

	/* A relative one would be taken from a directory of the client's. */
	if (*shell != '/')
		return fault_set(maker->fault, MESSAGE_LAYER_ACCOUNT, NULL, 0,
				 "the login shell of the target, '%s', is not an absolute path",
				 shell);
	if (!argv || !candidates)
		return plan_no_memory(maker->fault);
	candidates[0] = strdup(shell);
	if (!candidates[0] ||
	    plan_format(&argv[0], "%s%s", login ? "-" : "", strrchr(shell, '/') + 1))
		return plan_no_memory(maker->fault);
	if (words) {
		argv[1] = strdup("-c");
		argv[2] = argv[1] ? quote_words(words) : NULL;
		if (!argv[2])
			return plan_no_memory(maker->fault);
		if (strlen(argv[2]) >= MESSAGE_STRING_MAX)
			return fault_set(maker->fault, MESSAGE_LAYER_EXEC, NULL, E2BIG,
					 "the command is too long for a login shell's -c");
	}
	maker->plan.argv = take_ptr(argv);
	maker->plan.candidates = take_ptr(candidates);
	return 0;
}

static int not_found(struct maker *maker, const char *program, const char *why)
{
	return fault_set(maker->fault, MESSAGE_LAYER_EXEC, NULL, ENOENT, "%.200s: not found%s",
			 *program ? program : "''", why);
}

/* Every absolute entry of `path`, joined with `program`. */
static int make_candidates(struct maker *maker, const char *path, const char *program)
{
	cleanup_words char **candidates = calloc(CANDIDATES_MAX + 1, sizeof(*candidates));
	size_t program_len = strlen(program);
	size_t count = 0;

	if (!candidates)
		return plan_no_memory(maker->fault);
	for (const char *entry = path; *entry; entry += *entry == ':') {
		size_t len = strcspn(entry, ":");

		if (*entry == '/' && program_len <= NAME_MAX && len + program_len + 2 <= PATH_MAX) {
			if (count == CANDIDATES_MAX)
				return fault_set(maker->fault, MESSAGE_LAYER_REQUEST, NULL, E2BIG,
						 "PATH has more than %zu entries", CANDIDATES_MAX);
			if (plan_format(&candidates[count], "%.*s%s%s", (int)len, entry,
					entry[len - 1] == '/' ? "" : "/", program))
				return plan_no_memory(maker->fault);
			count++;
		}
		entry += len;
	}
	if (count == 0)
		return not_found(maker, program, ": PATH has no entry to look in");
	maker->plan.candidates = take_ptr(candidates);
	return 0;
}

static int make_program(struct maker *maker)
{
	const char *program = maker->plan.argv[0];
	const char *path = environment_get(maker->plan.envp, "PATH");
	char *const itself[] = { maker->plan.argv[0], NULL };

	if (!*program)
		return not_found(maker, program, "");
	if (strchr(program, '/')) {
		if (join_words(itself, NULL, &maker->plan.candidates))
			return plan_no_memory(maker->fault);
		return 0;
	}
	if (!path)
		return not_found(maker, program, ": PATH is not set");
	return make_candidates(maker, path, program);
}

int plan_make_command(struct maker *maker)
{
	char *const *forced = maker->config->forced;
	char *const *words = client_words(maker->config, maker->request);
	bool login = maker->request->fixed.flags & MESSAGE_REQUEST_LOGIN;

	if (!forced && (!words || !words[0]))
		return make_shell(maker, NULL);
	if (!forced && login)
		return *words[0] ? make_shell(maker, words) : not_found(maker, words[0], "");
	if (join_words(forced, words, &maker->plan.argv))
		return plan_no_memory(maker->fault);
	return make_program(maker);
}

/* Text that is cut where the room ends. */
struct text {
	char *buffer;
	size_t size;
	size_t used; /* as if there were room */
};

static void put(struct text *text, const char *piece)
{
	for (; *piece; piece++, text->used++)
		if (text->used < text->size - 1)
			text->buffer[text->used] = *piece;
}

static bool needs_quotes(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_@%+=:,./-";

	return !*word || word[strspn(word, plain)];
}

static void put_word(struct text *text, const char *word)
{
	bool quotes = needs_quotes(word);

	if (text->used > 0)
		put(text, " ");
	if (quotes)
		put(text, "'");
	for (; *word; word++) {
		const char piece[] = { *word, '\0' };

		put(text, *word == '\'' ? "'\\''" : piece);
	}
	if (quotes)
		put(text, "'");
}

void plan_command(const struct config *config, const struct request *request, char *buffer,
		  size_t size)
{
	char *const *lists[] = { config->forced, client_words(config, request) };
	struct text text = { buffer, size, 0 };
	size_t dots;

	if (size == 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t j = 0; lists[i] && lists[i][j] && text.used < size; j++)
			put_word(&text, lists[i][j]);
	if (text.used == 0)
		put(&text, "login shell");
	if (text.used < size) {
		buffer[text.used] = '\0';
		return;
	}
	buffer[size - 1] = '\0';
	dots = size - 1 < 3 ? size - 1 : 3;
	memset(buffer + size - 1 - dots, '.', dots);
}
