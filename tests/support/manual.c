/*
 * manual - the commands that a manual page shows.
 */
#include "manual.h"

#include "must.h"
#include "run.h"
#include "sandbox.h"

#include <stdlib.h>

#define PROMPT "# "

/* A heading is printed bold: each character, a backspace, and the character again. */
static void strip_bold(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from != '\b')
			*to++ = *from;
		else if (to > text)
			to--;
	}
	*to = '\0';
}

/* The next line, without blanks around it; NULL at the end.  The text is cut up. */
static char *next_line(char **text)
{
	char *line = strsep(text, "\n");
	char *end;

	if (!line)
		return NULL;
	line += strspn(line, " \t");
	end = line + strlen(line);
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	return line;
}

static void append(char *buffer, size_t size, const char *text)
{
	size_t len = strlen(buffer);

	if (len + strlen(text) >= size)
		FAIL("a command is too long: %s", text);
	memcpy(buffer + len, text, strlen(text) + 1);
}

void manual_command(const char *page, const char *heading, char *buffer, size_t size)
{
	char path[128];
	struct run mandoc;
	const char *line;
	char *text;

	(void)snprintf(path, sizeof(path), "%s/man/%s", sandbox_source(), page); /* fits */
	run(&mandoc, &(struct run_options){ .argv = RUN_WORDS("mandoc", "-T", "ascii", path) });
	run_assert_status(&mandoc, 0);
	text = mandoc.out;
	strip_bold(text);
	do {
		line = next_line(&text);
	} while (line && strcmp(line, heading) != 0);
	do {
		line = line ? next_line(&text) : NULL;
	} while (line && strncmp(line, PROMPT, strlen(PROMPT)) != 0);
	if (!line)
		FAIL("%s has no command under: %s", page, heading);
	buffer[0] = '\0';
	for (line += strlen(PROMPT); line && *line; line = next_line(&text)) {
		append(buffer, size, line);
		append(buffer, size, "\n");
	}
	run_done(&mandoc);
}
