/*
 * fault - what failed, where: travels from child to session to client.
 *
 * Text is made at the edges only: the child has neither memory nor locale.
 */
#pragma once

#include "message.h"

#include <stddef.h>

struct fault {
	enum message_layer layer; /* who refused */
	const char *step;	  /* const string, "limits"; NULL for none */
	int error;		  /* positive errno, 0 for none */
	unsigned status;	  /* exit status for dive: 77, 126, 127 */
	char text[512];		  /* one line for the client; "" when nothing can be told */
};

#define FAULT_STATUS_REFUSED  77
#define FAULT_STATUS_EXEC     126
#define FAULT_STATUS_NOTFOUND 127

/*
 * Fills *ret and returns -EACCES, so that `return fault_set(...)` refuses:
 * every function with a struct fault * returns 0, or a negative errno with the fault filled.
 */
int fault_set(struct fault *ret, enum message_layer layer, const char *step, int error,
	      const char *format, ...) __attribute__((format(printf, 5, 6)));
