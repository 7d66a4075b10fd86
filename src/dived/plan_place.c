/*
 * plan_place - where a program runs: namespaces, content, root, directory.
 *
 * Names stay names here: they are looked up by the child, in the namespaces it is
 * in by then.
 */
#include "plan_internal.h"

#include <stdlib.h>
#include <string.h>

/* Those that describe the gateway's own namespaces were written when these were made. */
static int make_contents(struct maker *maker)
{
	const struct option_list *list = &maker->config->contents;
	struct plan *plan = &maker->plan;

	if (list->count == 0)
		return 0;
	plan->contents = calloc(list->count, sizeof(*plan->contents));
	if (!plan->contents)
		return plan_no_memory(maker->fault);
	for (size_t i = 0; i + 1 < list->count; i += 2) {
		if (config_namespace_file(list->items[i]))
			continue;
		plan->contents[plan->content_count++] = list->items[i];
		plan->contents[plan->content_count++] = list->items[i + 1];
	}
	return 0;
}

static void choose_root(struct maker *maker)
{
	const struct config *config = maker->config;
	struct plan *plan = &maker->plan;

	if (config->chroot) {
		plan->root = PLAN_ROOT_CHROOT;
		plan->root_path = config->chroot;
	} else if (config->pivot_root.count == 2) {
		plan->root = PLAN_ROOT_PIVOT;
		plan->root_path = config->pivot_root.items[0];
		plan->root_old = config->pivot_root.items[1];
	} else if (config->client_chroot && maker->request->root >= 0) {
		plan->root = PLAN_ROOT_CLIENT;
		plan->root_fd = maker->request->root;
	}
}

static int make_directory(struct maker *maker)
{
	const struct config *config = maker->config;
	const char *home = maker->decision->target->home;
	const struct plan_session *session = maker->session;
	struct plan *plan = &maker->plan;

	if (config->no_chdir) {
		plan->directory = session->moved	    ? session->directory
				  : config->root_to_current ? config->root_fd
							    : config->inherited.directory;
		plan->directory_path = config->chdir;
		return 0;
	}
	plan->directory = session->moved ? session->directory : maker->request->cwd;
	if (maker->request->fixed.flags & MESSAGE_REQUEST_LOGIN) {
		/* A relative one would be taken from a directory of the client's. */
		if (!home || *home != '/')
			return fault_set(maker->fault, MESSAGE_LAYER_ACCOUNT, NULL, 0,
					 "the target has no home directory for -l");
		plan->home = strdup(home);
		return plan->home ? 0 : plan_no_memory(maker->fault);
	}
	if (plan->directory < 0)
		return fault_set(maker->fault, MESSAGE_LAYER_REQUEST, NULL, 0,
				 "the client sent no current directory");
	return 0;
}

int plan_make_place(struct maker *maker)
{
	const struct namespace_set *namespaces = maker->session->namespaces;
	struct plan *plan = &maker->plan;
	int error = make_contents(maker);

	if (error)
		return error;
	plan->namespaces = namespaces;
	plan->content_create = !namespaces || !namespaces->foreign;
	plan->cgroup = maker->config->cgroup_fd;
	plan->start = maker->config->inherited.directory;
	choose_root(maker);
	return make_directory(maker);
}
