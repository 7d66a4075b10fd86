/*
 * service - loads a PAM service and judges it.
 *
 * pam_start(3) parses the service and loads its modules; the handle it returns
 * is inherited by every fork and completed there (items, conversation, user).
 * libpam does not fail where a module cannot be loaded: it lets the stack fail
 * later, for every user.  So the modules named in the service are looked up
 * among the loaded objects, and one that is missing makes the service broken.
 *
 * A socket that loading a module left open would be shared by every session:
 * that also makes it broken, and so does a service that cannot mean here what it
 * says (judge() below).
 */
#include "service.h"

#include "account.h"
#include "cleanup.h"
#include "conversation.h"
#include "process.h"
#include "stack.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

static void __attribute__((format(printf, 2, 3)))
broken(struct service *service, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(service->text, sizeof(service->text), format, list);
	va_end(list);
	service->broken = true;
}

/* Looks up what a session will look up, so that libraries and files are at hand. */
static void warm_name_services(const struct config *config)
{
	struct account account;
	gid_t groups[64];
	int count = ARRAY_LEN(groups);

	if (account_by_text(config->user ? config->user : "root", &account))
		return; /* the session says so, if it matters */
	if (account.name)
		(void)getgrouplist(account.name, account.gid, groups, &count); /* for its caches */
	account_done(&account);
}

/* The sockets that are open, by number. */
#define LISTED_MAX 64
struct sockets {
	int fds[LISTED_MAX];
	size_t count;
};

static bool is_known(const struct sockets *sockets, int fd)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->fds[i] == fd)
			return true;
	return false;
}

/* Lists sockets that are not among `known`; what is more than there is room for is left out. */
static struct sockets list_sockets(const struct sockets *known)
{
	struct sockets found = { .count = 0 };
	struct process_fds open;

	(void)process_list_fds(&open); /* no memory: an empty list */
	for (size_t i = 0; i < open.count && found.count < LISTED_MAX; i++) {
		struct stat info;
		int fd = open.list[i];

		if (!is_known(known, fd) && fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode))
			found.fds[found.count++] = fd;
	}
	free(open.list);
	return found;
}

/*
 * Modules that judge the ids, the terminal or the files of the process they run
 * in, which here are always root's and dived's: "sufficient" before the others,
 * such a verdict lets everybody in.
 */
static const struct {
	const char *name;
	const char *argument; /* only with it; NULL: always */
	const char *instead;
} meaningless[] = {
	{ "pam_rootok.so", NULL, "-a auto, which does not ask root" },
	{ "pam_wheel.so", NULL, "--allow @GROUP, or pam_succeed_if with user ingroup" },
	{ "pam_timestamp.so", NULL, "nothing: no verdict is remembered" },
	{ "pam_xauth.so", NULL, "--env-keep, or a session of the target's own" },
	{ "pam_succeed_if.so", "use_uid", "ruser for the client, user for who is asked" },
	{ "pam_usertype.so", "use_uid", "nothing: without it the account in PAM_USER is judged" },
};

static void judge_modules(const struct stack *stack, struct service *service)
{
	for (size_t i = 0; i < ARRAY_LEN(meaningless) && !service->broken; i++) {
		const char *argument = meaningless[i].argument;
		const struct stack_module *module =
			stack_find(stack, meaningless[i].name, argument);

		if (module)
			broken(service,
			       "%s:%u: %s%s%s judges the calling process, which is always "
			       "root; use %s (--allow-insecure loads it)",
			       module->file, module->line, meaningless[i].name, argument ? " " : "",
			       argument ? argument : "", meaningless[i].instead);
	}
}

/* Whoever may write a service file writes the policy. */
static void judge_file(const char *path, struct service *service)
{
	struct stat info;

	if (stat(path, &info))
		broken(service, "%s: %s", path, strerror(errno));
	else if (info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)))
		broken(service, "%s: others than root may write it (owner %u, mode %04o)", path,
		       info.st_uid, info.st_mode & 07777U);
}

/* Whoever may write its directory may put another file in its place. */
static void judge_directory(const char *path, struct service *service)
{
	cleanup_free char *copy = path ? strdup(path) : NULL;
	struct stat info;

	if (service->broken)
		return;
	if (!copy)
		broken(service, "%s", strerror(ENOMEM));
	else if (stat(dirname(copy), &info))
		broken(service, "%s: %s", copy, strerror(errno));
	else if (info.st_uid != 0 ||
		 ((info.st_mode & (S_IWGRP | S_IWOTH)) && !(info.st_mode & S_ISVTX)))
		broken(service,
		       "%s: others than root may replace files in it (owner %u, mode %04o)", copy,
		       info.st_uid, info.st_mode & 07777U);
}

static void judge_place(const char *path, struct service *service)
{
	cleanup_free char *real = realpath(path, NULL);

	judge_directory(path, service);
	judge_directory(real, service); /* behind a symbolic link */
}

static void judge(const struct config *config, const struct stack *stack, struct service *service)
{
	if (config->allow_insecure)
		return;
	judge_modules(stack, service);
	if (config->pam_confdir && !service->broken)
		judge_file(config->pam_confdir, service);
	for (size_t i = 0; i < stack->file_count && !service->broken; i++)
		judge_file(stack->files[i], service);
	for (size_t i = 0; i < stack->file_count; i++)
		judge_place(stack->files[i], service);
}

static void load_service(const struct config *config, struct service *service)
{
	struct pam_conv conv = { .conv = conversation_run }; /* replaced in the session */
	struct stack stack;
	char error[SERVICE_TEXT_MAX];
	int r = stack_read(config->pam_service, config->pam_confdir, &stack, error, sizeof(error));

	if (r) {
		broken(service, "%s", error);
		return;
	}
	r = config->pam_confdir ? pam_start_confdir(config->pam_service, NULL, &conv,
						    config->pam_confdir, &service->pamh)
				: pam_start(config->pam_service, NULL, &conv, &service->pamh);
	if (r != PAM_SUCCESS)
		broken(service, "the service %s cannot be loaded: %s", config->pam_service,
		       pam_strerror(NULL, r));
	else if (stack_check_loaded(&stack, error, sizeof(error)))
		broken(service, "%s", error);
	else
		judge(config, &stack, service);
	stack_done(&stack);
}

void service_load(const struct config *config, struct service *ret)
{
	struct sockets before = list_sockets(&(struct sockets){ .count = 0 });

	*ret = (struct service){ 0 };
	if (!config->no_pam)
		load_service(config, ret);
	closelog(); /* libpam may have logged; the next line connects again */
	struct sockets after = list_sockets(&before);
	if (after.count > 0)
		broken(ret, "loading the service left a socket open (descriptor %d)", after.fds[0]);
	/* Afterwards: some name services keep a socket, and see by the process id that a
	   fork must make its own (nss_sss, nss_winbind). */
	warm_name_services(config);
	closelog();
	ret->occupied = process_occupy();
}

void service_done(struct service *service)
{
	if (service->pamh)
		(void)pam_end(service->pamh, PAM_SUCCESS); /* nothing was done with it */
	process_vacate(service->occupied);
	*service = (struct service){ 0 };
}

void service_reload(const struct config *config, struct service *service)
{
	service_done(service);
	service_load(config, service);
}
