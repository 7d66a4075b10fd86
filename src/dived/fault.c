/*
 * fault - the record of what failed, filled in one call.
 *
 * Every refusal of the server passes here, so that none can leave a field from
 * an earlier attempt behind.  The exit status is derived from the layer: only a
 * program that could not be executed has another one than 77, and which of 126
 * and 127 it is the kernel's errno decides, as in a shell.
 */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned fault_status(enum message_layer layer, int error)
{
	if (layer != MESSAGE_LAYER_EXEC)
		return FAULT_STATUS_REFUSED;
	return error == ENOENT || error == ENOTDIR ? FAULT_STATUS_NOTFOUND : FAULT_STATUS_EXEC;
}

int fault_set(struct fault *ret, enum message_layer layer, const char *step, int error,
	      const char *format, ...)
{
	va_list arguments;

	memset(ret, 0, sizeof(*ret));
	ret->layer = layer;
	ret->step = step;
	ret->error = error;
	ret->status = fault_status(layer, error);
	va_start(arguments, format);
	/* A text too long is cut by vsnprintf(3): better a short line than none. */
	(void)vsnprintf(ret->text, sizeof(ret->text), format, arguments);
	va_end(arguments);
	return -EACCES;
}
