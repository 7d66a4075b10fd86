/*
 * holder_internal - what the two ends of a holder's start say to each other.
 *
 * holder.c          dived's end: maps, descriptors, the wait
 * holder_process.c  the process itself
 */
#pragma once

#include "config.h"
#include "namespace.h"

enum holder_step {
	HOLDER_USER = 1, /* the user namespace is there; its maps are to be written */
	HOLDER_MADE,	 /* all are there; value: the process that is in them */
	HOLDER_READY,	 /* --setup has run */
	/* What failed; value: errno, or a wait status where it was the program's end. */
	HOLDER_FAILED_USER,
	HOLDER_FAILED_UNSHARE,
	HOLDER_FAILED_PRIVATE,
	HOLDER_FAILED_OFFSETS,
	HOLDER_FAILED_FORK,
	HOLDER_FAILED_ROOT,
	HOLDER_FAILED_EXEC,
	HOLDER_FAILED_SETUP,
	HOLDER_FAILED_TIME,
};

struct holder_report {
	uint32_t step; /* enum holder_step */
	int32_t value;
};

struct holder {
	const struct config *config;
	unsigned kinds;	     /* to be made */
	int control;	     /* SOCK_SEQPACKET */
	int alive;	     /* read end of the pipe */
	const char *offsets; /* text for timens_offsets, NULL for none */
	char *const *envp;   /* of --setup */
	int setup_ms;	     /* how long --setup may take */
};

/* The life of the holder.  Single-threaded, in a fork of its own. */
void __attribute__((noreturn)) holder_process_run(const struct holder *holder);
