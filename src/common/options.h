/*
 * options - one const table a program: parsing, --help and --dump-options.
 *
 * A row names an option once; the value goes straight into a field of the
 * program's config struct, given by its offset.  Long forms take `--name value`
 * and `--name=value`; short forms are a dash and the row's short name (which
 * may be more than one letter, "tt") and do not combine: `-u bob`, not `-ubob`.
 * `--` ends the options.
 *
 * Nothing here exits or prints; errors come back as one line of text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
	OPTION_FLAG,   /* no argument; stores row.value into an `unsigned` field */
	OPTION_UINT,   /* decimal, min to max, into an `unsigned` field */
	OPTION_MODE,   /* octal permission bits into a `mode_t` field */
	OPTION_TEXT,   /* into a `const char *` field (points into argv) */
	OPTION_CHOICE, /* one of row.choices; its index + row.value into an `unsigned` field */
	OPTION_LIST,   /* appended to a `struct option_list` field; words of row.words arguments
			  each are appended one after the other */
	OPTION_NAMES,  /* comma-separated, each non-empty element appended to a
			  `struct option_list`; the empty list is an error unless row.value */
};

/*
 * Strings collected from repeated options.  `items` is NULL until the option is
 * given, so that an empty OPTION_NAMES list differs from none.
 */
struct option_list {
	char **items; /* owned, `count` strings, each owned, then NULL */
	size_t count;
};

struct option_row {
	const char *group;	/* heading in --help; rows of one group stand together */
	const char *short_name; /* without dash; NULL for none */
	const char *long_name;	/* without dashes; NULL for none */
	const char *argument;	/* shown in --help, "USER"; "FILE TEXT" for two; NULL for none */
	enum option_type type;
	unsigned words; /* arguments taken: 0 for flags, else 1, or 2 ("FILE TEXT") */
	size_t offset;	/* of the field in the config struct */
	unsigned value; /* see enum option_type */
	uint64_t min;	/* OPTION_UINT */
	uint64_t max;
	const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
	const char *help; /* one sentence without a full stop; lines are folded by options_help() */
	bool hidden;	  /* neither in --help nor in --dump-options */
	bool once;	  /* giving it twice is an error */
};

struct option_table {
	const char *program; /* begins messages, "dived" */
	const char *usage;   /* lines for the top of --help, each without "usage: " */
	const char *about;   /* a paragraph for --help */
	const struct option_row *rows;
	size_t count;
	bool options_first; /* the first operand ends the options (dive), else they may follow
			       operands (dived) */
};

/* Result of options_parse(): operands and the words after "--". */
struct option_operands {
	char **operands; /* array owned, strings point into argv */
	size_t count;
	char *const *rest; /* words after "--", NULL-terminated, into argv; NULL when no "--" */
};

/**
 * options_parse() - fill a config struct from argv
 * @table: the program's options
 * @argv: NULL-terminated; argv[0] is skipped; strings must outlive `config`
 * @config: the struct the rows' offsets are of; holds the defaults already
 * @ret: operands, released with option_operands_done()
 * @error: error_size bytes for one line (no newline, no program name) that
 *         names the option and the value
 *
 * With options_first everything from the second operand on is left unparsed
 * among the operands, dashes included; "--" directly before the first operand
 * is skipped and counts as the end of options.
 *
 * Return: 0; -EINVAL with `error` filled; -ENOMEM.  On failure lists already
 * filled in `config` still belong to the caller.
 */
int options_parse(const struct option_table *table, char *const *argv, void *config,
		  struct option_operands *ret, char *error, size_t error_size);

void option_operands_done(struct option_operands *operands);

/* Appends a copy of text.  Return: 0 or -ENOMEM. */
int option_list_add(struct option_list *list, const char *text);
void option_list_done(struct option_list *list);

/* Prints usage, about and the rows by group, at most 80 columns. */
void options_help(const struct option_table *table, FILE *out);

/*
 * Prints one line a row that is not hidden, tab-separated: group, short or -,
 * long or -, argument or -, type, help.  The checks of man page and completion
 * read it.
 */
void options_dump(const struct option_table *table, FILE *out);
