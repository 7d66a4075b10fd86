/*
 * matrix_compare - reports are texts of lines `key=value`, compared by key.
 */
#include "matrix_compare.h"

#include "cleanup.h"
#include "must.h"
#include "show.h"

#include <stdio.h>
#include <stdlib.h>

/* Has to be equal on both sides, whatever the row. */
static const char *const compared[] = {
	"Uid",	    "Gid",     "Groups",  "Umask",   "NoNewPrivs", "Seccomp", "CapInh",
	"CapPrm",   "CapEff",  "CapBnd",  "CapAmb",  "SigBlk",	   "SigIgn",  "cwd",
	"loginuid", "nice",    "limit0",  "limit1",  "limit2",	   "limit3",  "limit4",
	"limit5",   "limit6",  "limit7",  "limit8",  "limit9",	   "limit10", "limit11",
	"limit12",  "limit13", "limit14", "limit15", "securebits",
};

/* Variables that one side has and the other has not, whatever the row. */
static const char *const apart[] = { "DIVE_", "MAIL=", "PWD=", "OLDPWD=", "SHLVL=", "_=", "SUDO_" };

void matrix_append(char **text, const char *more)
{
	size_t len = *text ? strlen(*text) : 0;
	char *longer = realloc(*text, len + strlen(more) + 1);

	MUST_POINTER(longer);
	strcpy(longer + len, more);
	*text = longer;
}

void matrix_side_done(struct matrix_side *side)
{
	free(side->screen);
	free(side->report);
	free(side->log);
	*side = (struct matrix_side){ 0 };
}

static const char *text_of(const char *text)
{
	return text ? text : "";
}

static bool any(const char *const *lines)
{
	return lines[0] != NULL;
}

void matrix_assert_row(const struct matrix_row *row)
{
	bool differs = !row->su_refuses != !row->dived_refuses || row->start_refuses ||
		       any(row->su_shows) || any(row->dived_shows) || any(row->su_says) ||
		       any(row->dived_says) || row->warns;

	if (differs != (row->why != NULL))
		FAIL("%s, %s: a reason for each difference, and for nothing else", row->module,
		     row->what);
}

__attribute__((noreturn)) static void fail_side(const struct matrix_side *side, const char *name,
						const char *what, const char *text)
{
	FAIL("%s: %s \"%s\"\nexit status: %d\nscreen:\n%s\nreport:\n%s\nsyslog:\n%s", name, what,
	     text, side->status, text_of(side->screen), text_of(side->report), text_of(side->log));
	abort(); /* not reached; FAIL() does not say so */
}

static void assert_lines(const char *const *lines, bool there, const struct matrix_side *side,
			 const char *name)
{
	for (size_t i = 0; i < MATRIX_LINES_MAX && lines[i]; i++)
		if (show_has(text_of(side->report), lines[i]) != there)
			fail_side(side, name, there ? "no line" : "the line", lines[i]);
}

static void assert_texts(const char *const *texts, bool there, const struct matrix_side *side,
			 const char *name)
{
	for (size_t i = 0; i < MATRIX_LINES_MAX && texts[i]; i++)
		if ((strstr(text_of(side->screen), texts[i]) != NULL) != there)
			fail_side(side, name,
				  there ? "not on the screen:" : "on the screen:", texts[i]);
}

void matrix_assert_side(const struct matrix_row *row, const struct matrix_side *side,
			const char *name, const char *refuses, int refusal_status)
{
	if (side->status != (refuses ? refusal_status : 0))
		fail_side(side, name, "the wrong status;", refuses ? refuses : "it should run");
	if (refuses && !strstr(text_of(side->screen), refuses))
		fail_side(side, name, "no refusal", refuses);
	if (refuses ? side->report != NULL : !strstr(text_of(side->report), "\nend="))
		fail_side(side, name, "the report", refuses ? "should not be" : "is not whole");
	assert_lines(row->shows, true, side, name);
	assert_texts(row->says, true, side, name);
	if (row->logs && !strstr(text_of(side->log), row->logs))
		fail_side(side, name, "not in syslog:", row->logs);
}

/* Whether a row states a line of this key, up to '='. */
static bool is_stated(const struct matrix_row *row, const char *line)
{
	size_t len = strcspn(line, "=") + 1;

	for (size_t i = 0; i < MATRIX_LINES_MAX; i++)
		if ((row->su_shows[i] && strncmp(row->su_shows[i], line, len) == 0) ||
		    (row->dived_shows[i] && strncmp(row->dived_shows[i], line, len) == 0))
			return true;
	return false;
}

/* su to root leaves USER and LOGNAME alone. */
static bool is_apart(const struct matrix_row *row, const char *variable)
{
	if (row->target && strcmp(row->target, "root") == 0 &&
	    (strncmp(variable, "USER=", 5) == 0 || strncmp(variable, "LOGNAME=", 8) == 0))
		return true;
	if (row->login && strncmp(variable, "LANG=", 5) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(apart); i++)
		if (strncmp(variable, apart[i], strlen(apart[i])) == 0)
			return true;
	return false;
}

/* Fails if one has a variable that the other has not, or has with another value. */
static void assert_environment(const struct matrix_row *row, const struct matrix_side *one,
			       const struct matrix_side *other, const char *name)
{
	for (const char *at = text_of(one->report); *at; at += strcspn(at, "\n"), at += *at != 0) {
		char line[4096];

		(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		if (strncmp(line, "env:", 4) != 0 || is_apart(row, line + 4) ||
		    is_stated(row, line))
			continue;
		if (!show_has(other->report, line))
			fail_side(other, name, "the other side alone has", line);
	}
}

/* In a root directory without /proc there is no such line on either side. */
static void assert_key(const struct matrix_row *row, const char *key, const struct matrix_side *su,
		       const struct matrix_side *dived)
{
	const char *theirs, *ours;
	char line[32];

	(void)snprintf(line, sizeof(line), "%s=", key); /* keys are short */
	if (is_stated(row, line) ||
	    (!show_starts(su->report, line) && !show_starts(dived->report, line)))
		return;
	theirs = show_get(su->report, key);
	ours = show_get(dived->report, key);
	if (strcmp(theirs, ours) != 0)
		FAIL("%s is \"%s\" under su and \"%s\" under dived", key, theirs, ours);
}

void matrix_assert_pair(const struct matrix_row *row, const struct matrix_side *su,
			const struct matrix_side *dived)
{
	assert_lines(row->su_shows, true, su, "su");
	assert_lines(row->su_shows, false, dived, "dived");
	assert_lines(row->dived_shows, true, dived, "dived");
	assert_lines(row->dived_shows, false, su, "su"); /* also where it has not run */
	assert_texts(row->su_says, true, su, "su");
	assert_texts(row->su_says, false, dived, "dived");
	assert_texts(row->dived_says, true, dived, "dived");
	assert_texts(row->dived_says, false, su, "su");
	if (!su->report || !dived->report)
		return;
	for (size_t i = 0; i < ARRAY_LEN(compared); i++)
		assert_key(row, compared[i], su, dived);
	assert_environment(row, su, dived, "dived");
	assert_environment(row, dived, su, "su");
}
