/*
 * options - one const table a program: parsing, --help and --dump-options.
 *
 * getopt_long(3) takes abbreviations, glues short options and values together,
 * prints by itself, and leaves conversion to a switch that repeats every name.
 * Here a row says all there is about an option; an option that is not spelled
 * exactly is unknown, so that a new option never changes what an old command
 * line means.  Nothing here exits or prints, and no value is interpreted beyond
 * its type: what options mean together is the business of config.c.
 *
 * Command lines come from unit files and scripts: values are escaped in messages.
 */
#include "options.h"

#include "cleanup.h"
#include "log.h"
#include "parse.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define HELP_COLUMNS 80
#define HELP_INDENT  26 /* where the help text begins */

/* One run over argv. */
struct parser {
	const struct option_table *table;
	char *const *next; /* the word to look at */
	char *config;
	bool *seen; /* one a row */
	char *error;
	size_t error_size;
};

/* One option as it stands on the command line. */
struct found {
	const struct option_row *row;
	const char *word;     /* as typed */
	size_t name_len;      /* of word, up to "=" */
	const char *attached; /* after "=", or NULL */
};

/* A piece of argv made fit to print. */
struct shown {
	char text[120];
};

static struct shown show(const char *text, size_t len)
{
	struct shown shown = { .text = "" };

	if (log_escape(text, len, false, shown.text, sizeof(shown.text) - 3) < len)
		memcpy(shown.text + strlen(shown.text), "...", sizeof("..."));
	return shown;
}

__attribute__((format(printf, 2, 3))) static int fail(const struct parser *p, const char *format,
						      ...)
{
	va_list args;

	if (p->error_size > 0) {
		va_start(args, format);
		(void)vsnprintf(p->error, p->error_size, format, args);
		va_end(args);
	}
	return -EINVAL;
}

/* Fails with `option: "value" is ...`. */
static int fail_value(const struct parser *p, const struct found *f, const char *value,
		      const char *is)
{
	return fail(p, "%s: \"%s\" is %s", show(f->word, f->name_len).text,
		    show(value, strlen(value)).text, is);
}

static int list_reserve(struct option_list *list)
{
	char **items = reallocarray(list->items, list->count + 2, sizeof(*items));

	if (!items)
		return -ENOMEM;
	items[list->count] = NULL;
	list->items = items;
	return 0;
}

static int list_add_len(struct option_list *list, const char *text, size_t len)
{
	char *copy;

	if (list_reserve(list) < 0)
		return -ENOMEM;
	copy = strndup(text, len);
	if (!copy)
		return -ENOMEM;
	list->items[list->count++] = copy;
	list->items[list->count] = NULL;
	return 0;
}

int option_list_add(struct option_list *list, const char *text)
{
	return list_add_len(list, text, strlen(text));
}

void option_list_done(struct option_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct option_list){ 0 };
}

void option_operands_done(struct option_operands *operands)
{
	free(operands->operands);
	*operands = (struct option_operands){ 0 };
}

static int store_uint(const struct parser *p, const struct found *f, const char *value,
		      unsigned *field)
{
	uint64_t number;
	char is[96];

	assert(f->row->max <= UINT_MAX);
	if (parse_uint(value, f->row->min, f->row->max, &number) < 0) {
		(void)snprintf(is, sizeof(is), "not a number from %ju to %ju",
			       (uintmax_t)f->row->min, (uintmax_t)f->row->max);
		return fail_value(p, f, value, is);
	}
	*field = (unsigned)number;
	return 0;
}

static int store_choice(const struct parser *p, const struct found *f, const char *value,
			unsigned *field)
{
	const char *const *choices = f->row->choices;
	char is[256] = "not one of ";
	size_t len = strlen(is);

	for (unsigned i = 0; choices[i]; i++) {
		if (strcmp(choices[i], value) == 0) {
			*field = i + f->row->value;
			return 0;
		}
		if (len < sizeof(is))
			len += (size_t)snprintf(is + len, sizeof(is) - len, "%s%s",
						i > 0 ? ", " : "", choices[i]);
	}
	return fail_value(p, f, value, is);
}

static int store_names(const struct parser *p, const struct found *f, const char *value,
		       struct option_list *list)
{
	bool any = false;

	/* Makes `items` differ from NULL: an empty list that was given is a value. */
	if (list_reserve(list) < 0)
		return -ENOMEM;
	for (const char *at = value; *at != '\0';) {
		size_t len = strcspn(at, ",");

		if (len > 0 && list_add_len(list, at, len) < 0)
			return -ENOMEM;
		any |= len > 0;
		at += len + (at[len] == ',');
	}
	return any || f->row->value ? 0 : fail_value(p, f, value, "an empty list");
}

/* Stores one argument (NULL for a flag).  Return: 0, -EINVAL or -ENOMEM. */
static int store(const struct parser *p, const struct found *f, const char *value)
{
	void *field = p->config + f->row->offset;

	switch (f->row->type) {
	case OPTION_FLAG:
		*(unsigned *)field = f->row->value;
		return 0;
	case OPTION_UINT:
		return store_uint(p, f, value, field);
	case OPTION_MODE:
		if (parse_mode(value, field) < 0)
			return fail_value(p, f, value, "not an octal mode");
		return 0;
	case OPTION_TEXT:
		*(const char **)field = value;
		return 0;
	case OPTION_CHOICE:
		return store_choice(p, f, value, field);
	case OPTION_LIST:
		return option_list_add(field, value);
	case OPTION_NAMES:
		return store_names(p, f, value, field);
	}
	assert(false);
	return -EINVAL;
}

/* Finds the row a word names.  Return: 0 or -EINVAL. */
static int find(const struct parser *p, const char *word, struct found *ret)
{
	bool is_long = strncmp(word, "--", 2) == 0;
	const char *name = word + (is_long ? 2 : 1);
	size_t len = is_long ? strcspn(name, "=") : strlen(name);
	size_t name_len = (size_t)(name - word) + len;

	for (size_t i = 0; i < p->table->count; i++) {
		const struct option_row *row = &p->table->rows[i];
		const char *row_name = is_long ? row->long_name : row->short_name;

		if (!row_name || strlen(row_name) != len || memcmp(row_name, name, len) != 0)
			continue;
		if (row->once && p->seen[i])
			return fail(p, "%s is given twice", show(word, name_len).text);
		p->seen[i] = true;
		*ret = (struct found){ row, word, name_len, NULL };
		if (name[len] == '=')
			ret->attached = name + len + 1;
		return 0;
	}
	return fail(p, "unknown option %s", show(word, name_len).text);
}

/* Handles the option at p->next, with its arguments. */
static int parse_option(struct parser *p)
{
	struct found f = { 0 };
	int r = find(p, *p->next, &f);

	if (r < 0)
		return r;
	p->next++;
	if (f.row->type == OPTION_FLAG) {
		if (f.attached)
			return fail(p, "%s takes no value", show(f.word, f.name_len).text);
		return store(p, &f, NULL);
	}
	assert(f.row->words == 1 || (f.row->words == 2 && f.row->type == OPTION_LIST));
	for (unsigned i = 0; i < f.row->words; i++) {
		const char *value = i == 0 && f.attached ? f.attached : *p->next;

		if (!value && f.row->words == 1)
			return fail(p, "%s needs a value", show(f.word, f.name_len).text);
		if (!value)
			return fail(p, "%s needs two values: %s", show(f.word, f.name_len).text,
				    f.row->argument);
		if (value != f.attached)
			p->next++;
		r = store(p, &f, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

static int parse_words(struct parser *p, struct option_operands *operands)
{
	bool open = true; /* options are still looked for */

	while (*p->next) {
		if (open && strcmp(*p->next, "--") == 0) {
			p->next++;
			if (!p->table->options_first) {
				operands->rest = p->next;
				return 0;
			}
			open = false;
		} else if (open && is_option(*p->next)) {
			int r = parse_option(p);

			if (r < 0)
				return r;
		} else {
			operands->operands[operands->count++] = *p->next++;
			open = open && !p->table->options_first;
		}
	}
	return 0;
}

int options_parse(const struct option_table *table, char *const *argv, void *config,
		  struct option_operands *ret, char *error, size_t error_size)
{
	__attribute__((cleanup(option_operands_done))) struct option_operands operands = { 0 };
	cleanup_free bool *seen = calloc(table->count + 1, sizeof(*seen));
	struct parser p = { table, argv, config, seen, error, error_size };
	size_t words = 0;
	int r;

	while (argv[words])
		words++;
	operands.operands = calloc(words + 1, sizeof(*operands.operands));
	if (!seen || !operands.operands)
		return -ENOMEM;
	if (words > 0)
		p.next++;
	r = parse_words(&p, &operands);
	if (r < 0)
		return r;
	*ret = operands;
	operands = (struct option_operands){ 0 };
	return 0;
}

/* Bytes that begin a character: good enough for columns, there is no wide text here. */
static size_t columns_of(const char *text, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

/* Prints words folded at HELP_COLUMNS, from `column` on, later lines at `indent`. */
static void print_folded(FILE *out, const char *text, size_t column, size_t indent)
{
	bool first = true;

	while (*text != '\0') {
		size_t len = strcspn(text, " \n");
		size_t columns = columns_of(text, len);

		if (len > 0) {
			if (!first && column + 1 + columns > HELP_COLUMNS) {
				(void)fprintf(out, "\n%*s", (int)indent, "");
				column = indent;
				first = true;
			}
			(void)fprintf(out, "%s%.*s", first ? "" : " ", (int)len, text);
			column += columns + (first ? 0 : 1);
			first = false;
		}
		text += len;
		if (*text == '\n') {
			(void)fprintf(out, "\n%*s", text[1] == '\n' ? 0 : (int)indent, "");
			column = indent;
			first = true;
		}
		if (*text != '\0')
			text++;
	}
	(void)fputc('\n', out);
}

static void print_usage(const struct option_table *table, FILE *out)
{
	const char *prefix = "usage: ";

	for (const char *line = table->usage; line && *line != '\0';) {
		size_t len = strcspn(line, "\n");

		(void)fprintf(out, "%s%.*s\n", prefix, (int)len, line);
		line += len + (line[len] == '\n');
		prefix = "       ";
	}
	if (table->about) {
		(void)fputc('\n', out);
		print_folded(out, table->about, 0, 0);
	}
}

static void print_row(const struct option_row *row, FILE *out)
{
	char label[160];
	const char *dash = row->short_name ? "-" : "";
	const char *dashes = row->long_name ? "--" : "";
	const char *comma = row->short_name && row->long_name ? ", " : "";
	size_t column;
	int n;

	n = snprintf(label, sizeof(label), "  %s%s%s%s%s%s%s", dash,
		     row->short_name ? row->short_name : "    ", comma, dashes,
		     row->long_name ? row->long_name : "", row->argument ? " " : "",
		     row->argument ? row->argument : "");
	assert(n > 0 && (size_t)n < sizeof(label));
	column = columns_of(label, (size_t)n);
	(void)fputs(label, out);
	if (column + 2 > HELP_INDENT) {
		(void)fputc('\n', out);
		column = 0;
	}
	(void)fprintf(out, "%*s", (int)(HELP_INDENT - column), "");
	print_folded(out, row->help, HELP_INDENT, HELP_INDENT);
}

void options_help(const struct option_table *table, FILE *out)
{
	const char *group = NULL;

	print_usage(table, out);
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];

		if (row->hidden)
			continue;
		if (!group || strcmp(group, row->group) != 0)
			(void)fprintf(out, "\n%s:\n", row->group);
		group = row->group;
		print_row(row, out);
	}
}

void options_dump(const struct option_table *table, FILE *out)
{
	static const char *const types[] = {
		[OPTION_FLAG] = "flag",	  [OPTION_UINT] = "uint",     [OPTION_MODE] = "mode",
		[OPTION_TEXT] = "text",	  [OPTION_CHOICE] = "choice", [OPTION_LIST] = "list",
		[OPTION_NAMES] = "names",
	};

	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];

		if (row->hidden)
			continue;
		(void)fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", row->group,
			      row->short_name ? row->short_name : "-",
			      row->long_name ? row->long_name : "-",
			      row->argument ? row->argument : "-", types[row->type], row->help);
	}
}
