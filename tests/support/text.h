/*
 * text - looking into what programs have said.
 */
#pragma once

#include <string.h>

/* Returns how often `what`, which is not empty, is in the text. */
static inline unsigned text_count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}
