/*
 * namespace - tying namespaces at start-up, opening them for each program.
 *
 * A path below /proc says nothing about whom it belongs to a minute later: the
 * number may be another process's.  So a pidfd is taken at start-up, and what
 * was opened counts only if that pidfd shows afterwards that its process still
 * lives: then the number has been its own all the time.
 *
 * Whoever creates a user namespace holds every capability over it and over the
 * namespaces made in it.  A program sent there as root would be at the mercy of
 * its creator; so that must be root, or whoever dived runs as.
 */
#include "namespace.h"

#include "cleanup.h"
#include "config.h"
#include "parse.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether it is the namespace of its kind that this process is in. */
static bool is_own(int fd, int kind)
{
	char path[64];
	struct stat theirs, ours;

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", namespace_rows[kind].name);
	return fstat(fd, &theirs) == 0 && stat(path, &ours) == 0 && same_file(&theirs, &ours);
}

static int kind_of(int fd)
{
	int flag = ioctl(fd, NS_GET_NSTYPE);

	for (int i = 0; flag > 0 && i < (int)NAMESPACE_KINDS; i++)
		if (namespace_rows[i].flag == flag)
			return i;
	return -1;
}

/*
 * Opens a file once it is seen to be a namespace: whatever else has taken the name,
 * a device perhaps, is not opened at all.  Return: a descriptor; -EINVAL it is none; -errno.
 */
static int open_namespace(const char *path)
{
	cleanup_fd int found = open(path, O_PATH | O_CLOEXEC);
	struct statfs info;
	char link[64];

	if (found < 0 || fstatfs(found, &info))
		return -errno;
	if (info.f_type != NSFS_MAGIC)
		return -EINVAL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", found); /* fits */
	int fd = open(link, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Whether the file is a mount, which belongs to nobody, and not a link of some process
 * in /proc: only a mount has a path (d_path() in the kernel; others show "net:[...]").
 */
static bool is_mount(int fd)
{
	char link[64];
	char first = 0;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* fits */
	return readlink(link, &first, 1) == 1 && first == '/';
}

static int refuse(struct fault *fault, int error, const struct namespace_source *source,
		  const char *why)
{
	return fault_set(fault, MESSAGE_LAYER_SETUP, "namespace", error, "%s %s: %s",
			 source->option, source->value, why);
}

/*
 * Power over a user namespace is power over all below it, so its ancestors are looked
 * at, too, up to dived's own.  The kernel shows none that is not below that.
 */
static int judge_owner(int fd, int kind, const struct namespace_source *source, struct fault *fault)
{
	cleanup_fd int owner =
		kind == NAMESPACE_USER ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : ioctl(fd, NS_GET_USERNS);

	while (owner >= 0 && !is_own(owner, NAMESPACE_USER)) {
		uid_t uid = (uid_t)-1;

		if (ioctl(owner, NS_GET_OWNER_UID, &uid))
			return refuse(fault, errno, source,
				      "the owner of the namespace cannot be told");
		if (uid != 0 && uid != geteuid())
			return refuse(fault, 0, source,
				      "the namespace belongs to a user namespace that root did "
				      "not create");
		int parent = ioctl(owner, NS_GET_PARENT);
		close_fd(&owner);
		owner = parent;
	}
	if (owner < 0)
		return refuse(fault, errno, source,
			      errno == EPERM ? "the namespace belongs to a user namespace outside "
					       "of dived's own"
					     : "the owner of the namespace cannot be told");
	return 0;
}

/* Opens one.  Return: 0 with *ret -1 where there is nothing to enter; -EACCES. */
static int open_source(const struct namespace_source *source, int *ret, int *ret_kind,
		       struct fault *fault)
{
	cleanup_fd int fd = open_namespace(source->path);
	int error = fd < 0 ? -fd : 0;

	*ret = *ret_kind = -1;
	if (source->pidfd >= 0 && !process_lives(source->pidfd))
		return refuse(fault, ESRCH, source, "namespace gone: its process has ended");
	if (error == ENOENT && source->optional)
		return 0;
	if (error == EINVAL)
		return refuse(fault, error, source, "not a namespace");
	if (error)
		return refuse(fault, error, source,
			      error == ENOENT ? "namespace gone: there is no such file"
					      : strerror(error));
	int kind = kind_of(fd);
	if (kind < 0)
		return refuse(fault, EINVAL, source, "not a namespace of a kind that is known");
	if (source->kind >= 0 && kind != source->kind)
		return refuse(fault, EINVAL, source,
			      "not a namespace of the kind that it must be, or was at start-up");
	*ret_kind = kind;
	if (is_own(fd, kind))
		return 0;
	if (source->pidfd < 0 && !is_mount(fd))
		return refuse(fault, EINVAL, source,
			      "the namespace of a process, which may end and leave its number to "
			      "another: name it as /proc/PID/ns/... or with --setns-pid");
	int r = judge_owner(fd, kind, source, fault);
	if (r)
		return r;
	process_park(&fd);
	*ret = take_fd(&fd);
	return 0;
}

static int open_sources(const struct namespaces *namespaces, struct namespace_set *set,
			struct fault *fault)
{
	for (size_t i = 0; i < namespaces->count; i++) {
		const struct namespace_source *source = &namespaces->sources[i];
		cleanup_fd int fd = -1;
		int kind = 0;
		int r = open_source(source, &fd, &kind, fault);

		if (r)
			return r;
		if (fd < 0)
			continue;
		/* What runs there is theirs, and would act as root outside: on /proc/sys, say. */
		if (kind == NAMESPACE_USER && namespaces->ids_kept)
			return refuse(fault, EPERM, source,
				      "a user namespace, in which -P would leave programs the ids "
				      "of root outside of it (--allow-insecure permits it)");
		if (kind == NAMESPACE_USER && namespaces->tied && !namespaces->user_joined)
			return refuse(fault, EPERM, source,
				      "the process has entered a user namespace since start-up");
		if (set->fds[kind] >= 0)
			return refuse(fault, EINVAL, source,
				      "a second namespace of one kind; -s, -N or --setns-pid names "
				      "the first");
		set->fds[kind] = take_fd(&fd);
		set->foreign = set->any = true;
	}
	return 0;
}

/*
 * Root in the user namespace that owns a mount namespace says what is found there.  A
 * program that enters the second without the first would run it with powers outside.
 */
static int judge_mounts(const struct namespace_set *set, struct fault *fault)
{
	struct stat owner, entered;
	cleanup_fd int fd =
		set->fds[NAMESPACE_MNT] < 0 ? -1 : ioctl(set->fds[NAMESPACE_MNT], NS_GET_USERNS);

	if (fd < 0 || is_own(fd, NAMESPACE_USER))
		return 0;
	if (namespace_set_enters(set, NAMESPACE_USER) && fstat(fd, &owner) == 0 &&
	    fstat(set->fds[NAMESPACE_USER], &entered) == 0 && same_file(&owner, &entered))
		return 0;
	return fault_set(fault, MESSAGE_LAYER_SETUP, "namespace", EPERM,
			 "-N, --setns-pid: the mount namespace belongs to a user namespace that is "
			 "not entered with it");
}

int namespace_open(const struct namespaces *namespaces, struct namespace_set *ret,
		   struct fault *fault)
{
	struct namespace_set set = NAMESPACE_SET_EMPTY;
	int r;

	set.fresh_pid = set.any = namespaces->fresh_pid;
	for (int i = 0; i < (int)NAMESPACE_KINDS; i++) {
		if (namespaces->made[i] < 0)
			continue;
		int fd = process_copy_up(namespaces->made[i]);
		if (fd < 0) {
			namespace_set_done(&set);
			return fault_set(fault, MESSAGE_LAYER_SETUP, "namespace", -fd,
					 "no descriptors left: %s", strerror(-fd));
		}
		set.fds[i] = fd;
		set.any = true;
	}
	r = open_sources(namespaces, &set, fault);
	if (r == 0)
		r = judge_mounts(&set, fault);
	if (r) {
		namespace_set_done(&set);
		return r;
	}
	*ret = set;
	return 0;
}

void namespace_set_done(struct namespace_set *set)
{
	for (int i = 0; i < (int)NAMESPACE_KINDS; i++)
		close_fd(&set->fds[i]);
	*set = NAMESPACE_SET_EMPTY;
}

/* --- start-up ---------------------------------------------------------------- */

static struct namespace_source *add_source(struct namespaces *namespaces, const char *option,
					   const char *value)
{
	struct namespace_source *sources =
		reallocarray(namespaces->sources, namespaces->count + 1, sizeof(*sources));

	if (!sources)
		return NULL;
	namespaces->sources = sources;
	sources[namespaces->count] = (struct namespace_source){
		.option = option, .value = value, .kind = -1, .pidfd = -1
	};
	return &sources[namespaces->count++];
}

/* Takes the pidfd of the process behind "PID/...".  Return: 0; -EINVAL with `error`. */
static int tie_process(const char *text, size_t len, struct namespace_source *source, char *error,
		       size_t size)
{
	char number[16];
	pid_t pid;

	(void)snprintf(number, sizeof(number), "%.*s", (int)len, text);
	if (len >= sizeof(number) || parse_pid(number, &pid)) {
		(void)snprintf(error, size, "%s %s: not a process id", source->option,
			       source->value);
		return -EINVAL;
	}
	source->pidfd = pidfd_open(pid, 0);
	if (source->pidfd >= 0)
		return 0;
	(void)snprintf(error, size, "%s %s: %s", source->option, source->value,
		       errno == ESRCH ? "there is no such process" : strerror(errno));
	return -EINVAL;
}

static int tie_file(struct namespaces *namespaces, const char *path, char *error, size_t size)
{
	static const char prefix[] = "/proc/";
	struct namespace_source *source = add_source(namespaces, "-N", path);

	if (!source)
		return -ENOMEM;
	source->path = strdup(path);
	if (!source->path)
		return -ENOMEM;
	if (strncmp(path, prefix, strlen(prefix)) != 0)
		return 0;
	const char *number = path + strlen(prefix);
	size_t len = strspn(number, "0123456789");
	return len > 0 ? tie_process(number, len, source, error, size) : 0;
}

static int tie_kind(struct namespaces *namespaces, const char *value, size_t len, int kind,
		    bool optional, char *error, size_t size)
{
	struct namespace_source *source = add_source(namespaces, "--setns-pid", value);

	if (!source)
		return -ENOMEM;
	source->kind = kind;
	source->optional = optional;
	if (asprintf(&source->path, "/proc/%.*s/ns/%s", (int)len, value,
		     namespace_rows[kind].name) < 0) {
		source->path = NULL; /* what it is then is undefined */
		return -ENOMEM;
	}
	return tie_process(value, len, source, error, size);
}

static int tie_pid(struct namespaces *namespaces, const char *value, char *error, size_t size)
{
	size_t len = strcspn(value, ":");
	bool all = !value[len];
	unsigned kinds = 0;

	if (!all && namespace_parse_list(value + len + 1, &kinds)) {
		(void)snprintf(error, size, "--setns-pid %s: not a list of namespaces", value);
		return -EINVAL;
	}
	for (int kind = 0; kind < (int)NAMESPACE_KINDS; kind++) {
		int r = 0;

		if (all || (kinds & NAMESPACE_BIT(kind)))
			r = tie_kind(namespaces, value, len, kind, all, error, size);
		if (r)
			return r;
	}
	return 0;
}

/* From now on a file of -N is of the kind that it is of now. */
static int learn_kinds(const struct namespaces *namespaces, struct fault *fault)
{
	for (size_t i = 0; i < namespaces->count; i++) {
		struct namespace_source *source = &namespaces->sources[i];
		cleanup_fd int fd = -1;
		int kind = -1;
		int r = open_source(source, &fd, &kind, fault);

		if (r)
			return r;
		if (kind >= 0)
			source->kind = kind;
	}
	return 0;
}

/* Opens them once, to see that it can be done, and beside what -s will make. */
static int try_all(struct namespaces *namespaces, unsigned made, char *error, size_t size)
{
	struct namespace_set set = NAMESPACE_SET_EMPTY;
	struct fault fault;
	int r = learn_kinds(namespaces, &fault);

	if (r == 0)
		r = namespace_open(namespaces, &set, &fault);
	if (r) {
		(void)snprintf(error, size, "%s", fault.text);
		return -EINVAL;
	}
	for (int i = 0; i < (int)NAMESPACE_KINDS && r == 0; i++) {
		if (set.fds[i] < 0 || !(made & NAMESPACE_BIT(i)))
			continue;
		(void)snprintf(error, size,
			       "-s %s: -N or --setns-pid joins a namespace of this "
			       "kind",
			       namespace_rows[i].name);
		r = -EINVAL;
	}
	namespaces->user_joined = namespace_set_enters(&set, NAMESPACE_USER);
	namespaces->tied = true;
	namespace_set_done(&set);
	return r;
}

int namespace_tie(const struct config *config, struct namespaces *ret, char *error,
		  size_t error_size)
{
	struct namespaces namespaces = NAMESPACES_NONE;
	int r = 0;

	namespaces.ids_kept =
		config->no_setuid && config->inherited.uid == 0 && !config->allow_insecure;
	for (size_t i = 0; i < config->setns.count && r == 0; i++)
		r = tie_file(&namespaces, config->setns.items[i], error, error_size);
	for (size_t i = 0; i < config->setns_pid.count && r == 0; i++)
		r = tie_pid(&namespaces, config->setns_pid.items[i], error, error_size);
	if (r == 0 && namespaces.count > NAMESPACE_SOURCES_MAX) {
		(void)snprintf(error, error_size, "-N, --setns-pid: more than %d namespaces",
			       NAMESPACE_SOURCES_MAX);
		r = -EINVAL;
	}
	if (r == 0)
		r = try_all(&namespaces, config->unshare, error, error_size);
	if (r) {
		namespaces_done(&namespaces);
		return r;
	}
	for (size_t i = 0; i < namespaces.count; i++)
		process_park(&namespaces.sources[i].pidfd);
	*ret = namespaces;
	return 0;
}

void namespaces_done(struct namespaces *namespaces)
{
	for (size_t i = 0; i < namespaces->count; i++) {
		free(namespaces->sources[i].path);
		close_fd(&namespaces->sources[i].pidfd);
	}
	free(namespaces->sources);
	free(namespaces->uids.ranges);
	free(namespaces->gids.ranges);
	for (int i = 0; i < (int)NAMESPACE_KINDS; i++)
		close_fd(&namespaces->made[i]);
	close_fd(&namespaces->alive);
	*namespaces = NAMESPACES_NONE;
}

size_t namespace_list_kept(const struct namespaces *namespaces, int *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < namespaces->count; i++)
		if (namespaces->sources[i].pidfd >= 0)
			ret[count++] = namespaces->sources[i].pidfd;
	for (int i = 0; i < (int)NAMESPACE_KINDS; i++)
		if (namespaces->made[i] >= 0)
			ret[count++] = namespaces->made[i];
	if (namespaces->alive >= 0)
		ret[count++] = namespaces->alive;
	return count;
}

/* --- maps of ids -------------------------------------------------------------- */

bool namespace_map_holds(const struct namespace_map *map, uint32_t id)
{
	for (size_t i = 0; i < map->count; i++)
		if (id >= map->ranges[i].inside &&
		    id - map->ranges[i].inside < map->ranges[i].count)
			return true;
	return false;
}

int namespace_map_read(const char *path, struct namespace_map *ret)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_free struct namespace_range *ranges = calloc(NAMESPACE_MAP_MAX, sizeof(*ranges));
	char text[NAMESPACE_MAP_MAX * 36 + 1]; /* three numbers of up to 10 digits, and blanks */
	size_t len = 0;
	size_t count = 0;
	ssize_t got;

	if (fd < 0)
		return -errno;
	if (!ranges)
		return -ENOMEM;
	while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)got;
	if (got < 0)
		return -errno;
	text[len] = '\0';
	for (const char *line = text; *line && count < NAMESPACE_MAP_MAX; count++) {
		uint32_t outside;
		int r = parse_map_line(&line, &ranges[count].inside, &outside,
				       &ranges[count].count);

		if (r)
			return r;
	}
	ret->ranges = take_ptr(ranges);
	ret->count = count;
	return 0;
}
