/*
 * holder - dived's end of making namespaces.
 *
 * Maps of ids are written from outside: inside a new user namespace a process
 * may map nothing but itself.  The namespaces are then opened through the
 * holder's entries in /proc, while it waits and its number is its own; from
 * there on the descriptors are what counts.
 *
 * A dived that is not root may map only itself, and has to give up setgroups(2)
 * for that (user_namespaces(7)).
 */
#include "holder.h"

#include "cleanup.h"
#include "deadline.h"
#include "disposable.h"
#include "environment.h"
#include "holder_internal.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define STEP_MS	 10000 /* for the kernel's part */
#define SETUP_MS 60000 /* for --setup */
#define GRACE_MS 5000  /* for the holder to say that it has not ended in time */

/* In the order they are written: the kernel wants setgroups before gid_map. */
static const char *const map_files[] = { "setgroups", "gid_map", "uid_map" };
static const char offsets_file[] = "timens_offsets";

/* What the start has so far. */
struct start {
	const struct config *config;
	struct namespaces *namespaces;
	unsigned kinds;
	int control;
	pid_t pid; /* our unreaped child; 0 when there is none */
	char *error;
	size_t size;
};

static int __attribute__((format(printf, 2, 3)))
complain(const struct start *start, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(start->error, start->size, format, list); /* may be cut */
	va_end(list);
	return -EINVAL;
}

/* The text of -t for one of the special files, or NULL. */
static const char *find_content(const struct config *config, const char *name)
{
	for (size_t i = 0; i + 1 < config->contents.count; i += 2) {
		const char *special = config_namespace_file(config->contents.items[i]);

		if (special && strcmp(special, name) == 0)
			return config->contents.items[i + 1];
	}
	return NULL;
}

static int write_map(const struct start *start, const char *name, const char *text)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)start->pid, name);
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return complain(start, "%s %s '%s': %s", start->config->setup_idmap ? "-tt:" : "-t",
				name, text, strerror(errno));
	return 0;
}

/* -tt: what dived is outside is root inside. */
static int write_own_maps(const struct start *start)
{
	const struct config_inherited *own = &start->config->inherited;
	char uids[32];
	char gids[32];
	int r = 0;

	(void)snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)own->uid);
	(void)snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)own->gid);
	if (own->uid != 0 && !find_content(start->config, "setgroups"))
		r = write_map(start, "setgroups", "deny");
	if (r == 0)
		r = write_map(start, "gid_map", gids);
	return r ? r : write_map(start, "uid_map", uids);
}

static int write_maps(struct start *start)
{
	char path[64];
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(map_files) && r == 0; i++) {
		const char *text = find_content(start->config, map_files[i]);

		if (text)
			r = write_map(start, map_files[i], text);
	}
	if (r == 0 && start->config->setup_idmap)
		r = write_own_maps(start);
	if (r)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)start->pid);
	r = namespace_map_read(path, &start->namespaces->uids);
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)start->pid);
	if (r == 0)
		r = namespace_map_read(path, &start->namespaces->gids);
	if (r)
		return complain(start, "-s user: %s cannot be read: %s", path, strerror(-r));
	start->namespaces->user_made = true;
	if (start->config->setup && (!namespace_map_holds(&start->namespaces->uids, 0) ||
				     !namespace_map_holds(&start->namespaces->gids, 0)))
		return complain(start,
				"--setup %s: nobody is root in the new user namespace; map one "
				"with -tt or -t uid_map and -t gid_map",
				start->config->setup);
	return 0;
}

static int open_made(struct start *start)
{
	unsigned kinds = start->kinds;

	for (int i = 0; i < (int)NAMESPACE_KINDS; i++) {
		char path[64];

		if (!(kinds & NAMESPACE_BIT(i)))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)start->pid,
			       namespace_rows[i].name);
		start->namespaces->made[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (start->namespaces->made[i] < 0)
			return complain(start, "-s %s: %s: %s", namespace_rows[i].name, path,
					strerror(errno));
		process_park(&start->namespaces->made[i]);
	}
	return 0;
}

static int explain(const struct start *start, const struct holder_report *report)
{
	const char *setup = start->config->setup ? start->config->setup : "";
	const char *words = strerror(report->value);

	switch ((enum holder_step)report->step) {
	case HOLDER_FAILED_USER:
		return complain(start, "-s user: a user namespace cannot be made: %s", words);
	case HOLDER_FAILED_UNSHARE:
		return complain(start, "-s: the namespaces cannot be made: %s%s", words,
				report->value == EPERM ? " (without CAP_SYS_ADMIN this takes "
							 "-s user,... and -tt)"
						       : "");
	case HOLDER_FAILED_PRIVATE:
		return complain(start, "-s mnt: mounts cannot be made private: %s", words);
	case HOLDER_FAILED_OFFSETS:
		return complain(start, "-t timens_offsets '%s': %s",
				find_content(start->config, offsets_file), words);
	case HOLDER_FAILED_ROOT:
		return complain(start, "--setup %s: cannot become root in the namespace: %s", setup,
				words);
	case HOLDER_FAILED_EXEC:
		return complain(start, "--setup %s: %s", setup, words);
	case HOLDER_FAILED_SETUP:
		if (WIFSIGNALED(report->value))
			return complain(start, "--setup %s: ended by signal %d", setup,
					WTERMSIG(report->value));
		return complain(start, "--setup %s: exit status %d", setup,
				WEXITSTATUS(report->value));
	case HOLDER_FAILED_TIME:
		return complain(start, "--setup %s: has not ended within a minute", setup);
	default:
		return complain(start, "-s: the process that keeps namespaces failed: %s", words);
	}
}

/* Waits for the holder to have come so far. */
static int await(const struct start *start, enum holder_step step, int milliseconds, int *ret)
{
	struct holder_report report = { 0 };
	ssize_t got = -1;
	int r = deadline_poll(start->control, POLLIN, deadline_after(milliseconds));

	if (r == 0)
		got = recv(start->control, &report, sizeof(report), 0);
	if (got != (ssize_t)sizeof(report))
		return complain(start, "-s: the process that keeps namespaces %s",
				r == -ETIMEDOUT ? "does not answer" : "has died");
	if (report.step != step)
		return explain(start, &report);
	if (ret)
		*ret = report.value;
	return 0;
}

static int go_on(const struct start *start)
{
	char byte = 0;

	return send(start->control, &byte, 1, MSG_NOSIGNAL) < 0
		       ? complain(start, "-s: the process that keeps namespaces has died")
		       : 0;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The dialogue with the holder, in the order of holder_process.c. */
static int converse(struct start *start)
{
	int inside = 0;
	int r = 0;

	if (start->kinds & NAMESPACE_BIT(NAMESPACE_USER)) {
		r = await(start, HOLDER_USER, STEP_MS, NULL);
		if (r == 0)
			r = write_maps(start);
		if (r == 0)
			r = go_on(start);
	}
	if (r == 0)
		r = await(start, HOLDER_MADE, STEP_MS, &inside);
	if (r)
		return r;
	if (inside != start->pid) {
		reap(start->pid); /* it has forked the one that stays, and ended */
		start->pid = inside;
	}
	r = open_made(start);
	if (r == 0)
		r = go_on(start);
	return r ? r : await(start, HOLDER_READY, SETUP_MS + GRACE_MS, NULL);
}

static pid_t fork_holder(struct start *start, int control, int alive)
{
	char path[] = "PATH=" ENVIRONMENT_PATH;
	char gateway[CONFIG_ADDRESS_MAX + 16];
	char *envp[] = { path, gateway, NULL };
	int keep[] = { control, alive };
	pid_t pid = disposable_fork(keep, ARRAY_LEN(keep));

	if (pid)
		return pid;
	(void)snprintf(gateway, sizeof(gateway), "DIVE_GATEWAY=%s", start->config->address);
	holder_process_run(&(struct holder){
		.config = start->config,
		.kinds = start->kinds,
		.control = control,
		.alive = alive,
		.offsets = find_content(start->config, offsets_file),
		.envp = envp,
		.setup_ms = SETUP_MS,
	});
}

int holder_start(const struct config *config, bool single, struct namespaces *namespaces,
		 char *error, size_t error_size)
{
	struct start start = { config, namespaces, config->unshare, -1, 0, error, error_size };
	int alive[2];
	int pair[2];

	if (single && (start.kinds & NAMESPACE_BIT(NAMESPACE_PID))) {
		namespaces->fresh_pid = true;
		start.kinds &= ~NAMESPACE_BIT(NAMESPACE_PID);
	}
	if (!start.kinds)
		return 0;
	if (pipe2(alive, O_CLOEXEC))
		return complain(&start, "-s: no pipe can be made: %s", strerror(errno));
	cleanup_fd int alive_theirs = alive[0];
	cleanup_fd int alive_ours = alive[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return complain(&start, "-s: no socket can be made: %s", strerror(errno));
	cleanup_fd int ours = pair[0];
	cleanup_fd int theirs = pair[1];
	pid_t pid = fork_holder(&start, theirs, alive_theirs);
	if (pid < 0)
		return complain(&start, "-s: no process can be made: %s", strerror((int)-pid));
	close_fd(&theirs);
	start.control = ours;
	start.pid = pid;
	int r = converse(&start);
	if (r) {
		(void)kill(start.pid, SIGKILL); /* our unreaped child */
		reap(start.pid);
		return r;
	}
	process_park(&alive_ours);
	namespaces->alive = take_fd(&alive_ours);
	namespaces->holder = start.pid;
	return 0;
}

void holder_end(struct namespaces *namespaces)
{
	if (namespaces->holder <= 0 || namespaces->made[NAMESPACE_PID] >= 0)
		return;
	(void)kill(namespaces->holder, SIGKILL); /* our unreaped child */
	reap(namespaces->holder);
	namespaces->holder = 0;
	close_fd(&namespaces->alive);
}
