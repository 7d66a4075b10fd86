/*
 * matrix_compare - judges what the two sides of a row have shown (see matrix.h).
 *
 * All functions fail the running test, showing what there was, unless all is as
 * the row says.
 */
#pragma once

#include "matrix.h"

struct matrix_side {
	int status;   /* exit status, or 128 + signal */
	char *screen; /* all that came to the terminal; NULL: nothing */
	char *report; /* of show, NULL if it did not run */
	char *log;    /* what came to syslog; NULL: nothing */
};

/* Appends to a text that may be NULL. */
void matrix_append(char **text, const char *more);

void matrix_side_done(struct matrix_side *side);

/* Whether a row means something: a reason if, and only if, it states a difference. */
void matrix_assert_row(const struct matrix_row *row);

/* One side: it runs or is refused, and shows and says what both sides have to. */
void matrix_assert_side(const struct matrix_row *row, const struct matrix_side *side,
			const char *name, const char *refuses, int refusal_status);

/* Both: nothing differs but what is said to, and that does. */
void matrix_assert_pair(const struct matrix_row *row, const struct matrix_side *su,
			const struct matrix_side *dived);
