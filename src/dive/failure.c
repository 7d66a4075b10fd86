/*
 * Failures in words.
 *
 * Formats into the caller's struct and does nothing else: it never prints,
 * exits or allocates, so that it serves just as well when memory has run out.
 */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

int failure_set(struct failure *failure, int status, const char *format, ...)
{
	va_list arguments;

	failure->status = status;
	va_start(arguments, format);
	(void)vsnprintf(failure->text, sizeof(failure->text), format, arguments); /* may be cut */
	va_end(arguments);
	return FAILED;
}
