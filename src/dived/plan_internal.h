/*
 * plan_internal - what the files of plan share, and nobody else.
 */
#pragma once

#include "environment.h"
#include "plan.h"

#define cleanup_words __attribute__((cleanup(environment_done)))

#define PLAN_EMPTY                                                                                 \
	(struct plan)                                                                              \
	{                                                                                          \
		.directory = -1, .root_fd = -1, .start = -1, .cgroup = -1                          \
	}

/* What the parts of plan_make() have in common. */
struct maker {
	const struct config *config;
	const struct peer *peer;
	const struct request *request;
	const struct plan_accounts *accounts;
	const struct plan_decision *decision;
	const struct plan_session *session;
	struct plan plan;
	struct fault *fault;
};

/*
 * Fills argv and candidates; the environment is there already.
 * Return: as plan_make().
 */
int plan_make_command(struct maker *maker);

/* Ids and groups; then capabilities, securebits and limits, which depend on the ids. */
int plan_make_identity(struct maker *maker);
int plan_make_privileges(struct maker *maker);

/* Namespaces, content, root, directory. */
int plan_make_place(struct maker *maker);

/* Fills the fault; returns -ENOMEM. */
int plan_no_memory(struct fault *fault);

/* asprintf(3) that leaves *ret alone when it fails.  Return: 0 or -ENOMEM. */
int plan_format(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
