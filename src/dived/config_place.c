/*
 * config_place - the options about where programs run, judged at start-up.
 *
 * A path is looked at here only where the program will look it up in the same
 * mount namespace.  Where that changes, a name of dived's world means nothing,
 * and a relative one would lead back into it through the directory that dived was
 * started in: it has to be absolute, and is found, or not, at each spawn.
 *
 * Namespaces are not opened here (namespace.c); only how they are written is
 * judged.  cgroup_fd and root_fd are opened once, so that no later change of
 * mounts or names changes what the administrator has meant.
 */
#include "config_internal.h"

#include "cleanup.h"
#include "namespace.h"
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ALL_KINDS  (NAMESPACE_BIT(NAMESPACE_KINDS) - 1)
#define PID_DIGITS 10

/* --- namespaces -------------------------------------------------------------- */

static int check_unshare(struct config *config, const struct complaint *complaint)
{
	for (size_t i = 0; i < config->unshare_names.count; i++) {
		int kind = namespace_find(config->unshare_names.items[i]);

		if (kind < 0)
			return complain(
				complaint,
				"-s: \"%s\" is no namespace (mnt or fs, net, pid, user, ipc, "
				"uts, cgroup, time)",
				config->unshare_names.items[i]);
		config->unshare |= NAMESPACE_BIT(kind);
	}
	return 0;
}

/*
 * Whether a map makes somebody else, outside, of an id; a text that is no map does not
 * last, since the kernel refuses it.
 */
static bool maps_to_others(const char *text)
{
	while (*text) {
		uint32_t inside, outside, count;

		if (parse_map_line(&text, &inside, &outside, &count) || inside != outside)
			return true;
	}
	return false;
}

/* -P keeps dived's own ids, whatever they are called. */
static bool has_other_ids(const struct config *config)
{
	if (config->no_setuid || !(config->unshare & NAMESPACE_BIT(NAMESPACE_USER)))
		return false;
	if (config->setup_idmap)
		return config->inherited.uid != 0 || config->inherited.gid != 0;
	for (size_t i = 0; i + 1 < config->contents.count; i += 2) {
		const char *file = config_namespace_file(config->contents.items[i]);

		if (file && strstr(file, "id_map") && maps_to_others(config->contents.items[i + 1]))
			return true;
	}
	return false;
}

/* The kinds of a PID[:LIST].  Returns NULL, or what is wrong with it. */
static const char *parse_setns_pid(const char *text, unsigned *ret)
{
	size_t len = strcspn(text, ":");
	char digits[PID_DIGITS + 1] = "";
	pid_t pid;

	if (len <= PID_DIGITS)
		memcpy(digits, text, len);
	if (parse_pid(digits, &pid))
		return "not of the form PID[:LIST]";
	*ret = 0;
	if (text[len] == '\0')
		*ret = ALL_KINDS;
	else if (namespace_parse_list(text + len + 1, ret))
		return "names something that is no namespace (mnt or fs, net, pid, user, ipc, uts, "
		       "cgroup, time)";
	return NULL;
}

unsigned config_changed_namespaces(const struct config *config)
{
	unsigned changed = config->unshare;

	/* Of what kind a file is shows only when it is opened. */
	if (config->setns.count > 0)
		return ALL_KINDS;
	for (size_t i = 0; i < config->setns_pid.count; i++) {
		unsigned kinds;

		if (!parse_setns_pid(config->setns_pid.items[i], &kinds))
			changed |= kinds;
	}
	return changed;
}

static int check_joined(struct config *config, const struct complaint *complaint)
{
	for (size_t i = 0; i < config->setns.count; i++)
		if (*config->setns.items[i] != '/')
			return complain(complaint, "-N '%s': not an absolute path",
					config->setns.items[i]);
	for (size_t i = 0; i < config->setns_pid.count; i++) {
		const char *text = config->setns_pid.items[i];
		unsigned kinds;
		const char *wrong = parse_setns_pid(text, &kinds);

		if (wrong)
			return complain(complaint, "--setns-pid '%s': %s", text, wrong);
	}
	return 0;
}

static int check_setup(struct config *config, const struct complaint *complaint)
{
	const char *setup = config->setup;
	struct stat status;

	if (!setup)
		return 0;
	if (*setup != '/')
		return complain(complaint, "--setup '%s': not an absolute path", setup);
	if (!config->unshare)
		return complain(complaint, "--setup %s: there are no new namespaces without -s",
				setup);
	if (stat(setup, &status))
		return complain(complaint, "--setup %s: %s", setup, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return complain(complaint, "--setup %s: not a file that can be executed", setup);
	if (faccessat(AT_FDCWD, setup, X_OK, AT_EACCESS))
		return complain(complaint, "--setup %s: %s", setup, strerror(errno));
	return 0;
}

/* --- content ------------------------------------------------------------------- */

static const struct {
	const char *name;
	int kind; /* of the new namespace that it describes */
} own_files[] = {
	{ "uid_map", NAMESPACE_USER },
	{ "gid_map", NAMESPACE_USER },
	{ "setgroups", NAMESPACE_USER },
	{ "timens_offsets", NAMESPACE_TIME },
};

static int find_own_file(const char *file)
{
	static const char directory[] = "/proc/self/";

	if (strncmp(file, directory, strlen(directory)) == 0)
		file += strlen(directory);
	for (size_t i = 0; i < ARRAY_LEN(own_files); i++)
		if (strcmp(file, own_files[i].name) == 0)
			return (int)i;
	return -1;
}

const char *config_namespace_file(const char *file)
{
	int found = find_own_file(file);

	return found < 0 ? NULL : own_files[found].name;
}

static int check_own_file(const struct config *config, const char *file, unsigned *seen,
			  const struct complaint *complaint)
{
	int found = find_own_file(file);
	const char *kind = namespace_rows[own_files[found].kind].name;

	if (!(config->unshare & NAMESPACE_BIT(own_files[found].kind)))
		return complain(complaint,
				"-t %s: belongs to a new namespace, and there is no -s %s", file,
				kind);
	if (*seen & 1U << found)
		return complain(complaint, "-t %s: given twice, and the kernel takes it once",
				file);
	if (config->setup_idmap && strstr(own_files[found].name, "id_map"))
		return complain(complaint, "-t %s: excluded by -tt, which writes it", file);
	*seen |= 1U << found;
	return 0;
}

static int check_contents(struct config *config, const struct complaint *complaint)
{
	unsigned seen = 0;

	if (config->setup_idmap && !(config->unshare & NAMESPACE_BIT(NAMESPACE_USER)))
		return complain(complaint, "-tt: there is no new user namespace without -s user");
	for (size_t i = 0; i + 1 < config->contents.count; i += 2) {
		const char *file = config->contents.items[i];
		int error = 0;

		if (config_namespace_file(file))
			error = check_own_file(config, file, &seen, complaint);
		else if (*file != '/')
			error = complain(complaint, "-t '%s': not an absolute path", file);
		if (error)
			return error;
		if (!*config->contents.items[i + 1])
			return complain(complaint, "-t %s '': there is no text to write", file);
	}
	return 0;
}

/* --- root and directory ---------------------------------------------------------- */

static int check_directory(const struct config *config, const char *option, const char *path,
			   const struct complaint *complaint)
{
	struct stat status;

	if (!*path)
		return complain(complaint, "%s '': the name is empty", option);
	if (config_changed_namespaces(config) & NAMESPACE_BIT(NAMESPACE_MNT)) {
		if (*path != '/')
			return complain(complaint,
					"%s %s: not an absolute path, as it must be where the "
					"mount namespace may not be dived's",
					option, path);
		return 0;
	}
	/* The current directory still is the one that dived was started in. */
	if (stat(path, &status))
		return complain(complaint, "%s %s: %s", option, path, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return complain(complaint, "%s %s: not a directory", option, path);
	return 0;
}

static int check_root_exclusive(const struct config *config, const struct complaint *complaint)
{
	if (config->chroot && config->pivot_root.count > 0)
		return complain(complaint, "-R %s: excluded by -V", config->chroot);
	if (config->client_chroot && config->chroot)
		return complain(complaint, "-r: excluded by -R, which says what the root is");
	if (config->client_chroot && config->pivot_root.count > 0)
		return complain(complaint, "-r: excluded by -V, which says what the root is");
	if (config->root_to_current && config->chdir)
		return complain(complaint, "-h %s: excluded by -W", config->chdir);
	if (config->chdir && !config->no_chdir)
		return complain(complaint, "-h %s: counts only with -H", config->chdir);
	return 0;
}

static int check_root(struct config *config, const struct complaint *complaint)
{
	int error = check_root_exclusive(config, complaint);

	if (!error && config->chroot)
		error = check_directory(config, "-R", config->chroot, complaint);
	if (!error && config->pivot_root.count > 0)
		error = check_directory(config, "-V", config->pivot_root.items[0], complaint);
	if (!error && config->chdir)
		error = check_directory(config, "-h", config->chdir, complaint);
	if (error)
		return error;
	if (config->pivot_root.count > 1 && !*config->pivot_root.items[1])
		return complain(complaint, "-V %s '': the name is empty",
				config->pivot_root.items[0]);
	if (!config->root_to_current)
		return 0;
	config->no_chdir = 1;
	config->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (config->root_fd < 0)
		return complain(complaint, "-W: the root directory cannot be opened: %s",
				strerror(errno));
	return 0;
}

/* Read-only and not O_PATH: clone3(2) takes no other kind. */
static int check_cgroup(struct config *config, const struct complaint *complaint)
{
	struct statfs status;

	if (!config->cgroup)
		return 0;
	config->cgroup_fd = open(config->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (config->cgroup_fd < 0 || fstatfs(config->cgroup_fd, &status))
		return complain(complaint, "--cgroup '%s': %s", config->cgroup, strerror(errno));
	if (status.f_type != CGROUP2_SUPER_MAGIC)
		return complain(complaint, "--cgroup %s: not a directory of a version 2 cgroup",
				config->cgroup);
	return 0;
}

int config_check_place(struct config *config, const struct complaint *complaint)
{
	static int (*const checks[])(struct config * config, const struct complaint *complaint) = {
		check_unshare, check_joined, check_setup, check_contents, check_root, check_cgroup,
	};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		int error = checks[i](config, complaint);

		if (error)
			return error;
	}
	config->other_ids = has_other_ids(config);
	return 0;
}

/*
 * A client that chooses the root chooses what a set-user-ID program finds there:
 * its libraries, its configuration, its sudoers.  So such programs must be without
 * effect, or the client must be root already.
 */
int config_check_client_root(const struct config *config, const struct complaint *complaint)
{
	bool nothing_retained = config->retain_names.items && config->retain_names.count == 0;

	if (!config->client_chroot || config->no_new_privs || nothing_retained ||
	    !config_admits_others(config, 0))
		return 0;
	return complain(complaint, "-r: a client could give set-user-ID programs a root directory "
				   "of its own making; it needs -X or -B '', or a socket for root "
				   "alone");
}
