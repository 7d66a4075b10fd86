/*
 * config_help - --help: the options, and the lists of what -l, -s, and -B -b -m take.
 *
 * Capabilities are those of the running kernel, since no others are accepted.
 */
#include "config.h"

#include "namespace.h"

#include <string.h>

#define COLUMNS 80
#define INDENT	2

/* Words in lines of at most COLUMNS. */
static void put_word(FILE *out, const char *word, size_t *column)
{
	size_t len = strlen(word);

	if (*column > 0 && *column + 1 + len > COLUMNS) {
		(void)fputc('\n', out);
		*column = 0;
	}
	(void)fprintf(out, "%*s%s", *column > 0 ? 1 : INDENT, "", word);
	*column += len + (*column > 0 ? 1 : INDENT);
}

void config_help(FILE *out)
{
	uint64_t known = config_known_capabilities();
	size_t column = 0;
	char text[64];

	options_help(&config_table, out);
	(void)fputs("\nLimits, for -l:\n", out);
	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		put_word(out, config_limit_name(i), &column);
	(void)fputs("\n\nNamespaces, for -s and --setns-pid:\n", out);
	column = 0;
	for (size_t i = 0; i < NAMESPACE_KINDS; i++) {
		const struct namespace_row *row = &namespace_rows[i];

		(void)snprintf(text, sizeof(text), row->alias ? "%s (or %s)" : "%s", row->name,
			       row->alias);
		put_word(out, text, &column);
	}
	(void)fputs("\n\nCapabilities, for -B, -b and -m; \"cap_\" may be left out:\n", out);
	column = 0;
	for (int i = 0; i < CONFIG_CAPABILITIES_MAX; i++) {
		if (!(known >> i & 1))
			continue;
		config_capability_name(i, text, sizeof(text));
		put_word(out, text, &column);
	}
	(void)fputc('\n', out);
}
