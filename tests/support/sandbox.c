/*
 * sandbox - the mounts.
 *
 * Copies of whole directories, not bind mounts of single files: useradd, passwd
 * and pam_unix replace /etc/passwd and /etc/shadow by rename(2), which cannot
 * work on a file that is a mount point.  New trees are filled at a staging
 * place and then moved over the old ones, so that the old ones can be read
 * meanwhile.
 *
 * The programs under test and the source tree are pinned by descriptor before
 * anything is mounted over, and bound to places in the sandbox: a tree below
 * /home would otherwise vanish, and one below /root is closed to alice.
 *
 * Nothing is undone: the namespace ends with its last process.
 */
#include "sandbox.h"

#include "cleanup.h"
#include "must.h"

#include <fcntl.h>
#include <fts.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DIRECTORY "/run/dive-test"
#define STAGING	  "/run/staging"

/* What is made reachable inside, and where. */
static const struct pin {
	const char *from;
	const char *to;
	bool directory;
} pins[] = {
	{ DIVED_PROGRAM, DIRECTORY "/bin/dived", false },
	{ DIVE_PROGRAM, DIRECTORY "/bin/dive", false },
	{ DIVE_SOURCE_DIR, DIRECTORY "/source", true },
};

const char *sandbox_dir(void)
{
	return DIRECTORY;
}

const char *sandbox_dived(void)
{
	return DIRECTORY "/bin/dived";
}

const char *sandbox_dive(void)
{
	return DIRECTORY "/bin/dive";
}

const char *sandbox_source(void)
{
	return DIRECTORY "/source";
}

/* Copies a regular file; one that vanished meanwhile (a package being installed) is left out. */
static void copy_file(const char *from, const char *to, const struct stat *status)
{
	cleanup_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	cleanup_fd int out = -1;
	ssize_t sent;

	if (in < 0 && errno == ENOENT)
		return;
	MUST(in);
	out = MUST_INT(open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	do {
		sent = MUST(sendfile(out, in, NULL, 1 << 20));
	} while (sent > 0);
	MUST(fchown(out, status->st_uid, status->st_gid));
	MUST(fchmod(out, status->st_mode & 07777));
}

static void copy_link(const char *from, const char *to, const struct stat *status)
{
	char target[4096];
	ssize_t len = MUST(readlink(from, target, sizeof(target) - 1));

	target[len] = '\0';
	MUST(symlink(target, to));
	MUST(lchown(to, status->st_uid, status->st_gid));
}

static void copy_entry(const FTSENT *entry, const char *to)
{
	const struct stat *status = entry->fts_statp;

	switch (entry->fts_info) {
	case FTS_D:
		if (entry->fts_level > 0)
			MUST(mkdir(to, 0700));
		return;
	case FTS_DP: /* owner and mode last: a read-only directory is filled by now */
		MUST(chown(to, status->st_uid, status->st_gid));
		MUST(chmod(to, status->st_mode & 07777));
		return;
	case FTS_F:
		copy_file(entry->fts_accpath, to, status);
		return;
	case FTS_SL:
	case FTS_SLNONE:
		copy_link(entry->fts_accpath, to, status);
		return;
	case FTS_DEFAULT: /* a socket, FIFO or device in /etc has no use here */
		return;
	default:
		errno = entry->fts_errno;
		if (errno != ENOENT)
			MUST(-1);
	}
}

/* Copies what is in `from` into the empty directory `to`, with owners and modes. */
static void copy_tree(const char *from, const char *to)
{
	char root[256];
	char *paths[] = { root, NULL };
	char target[8192];
	const FTSENT *entry;
	FTS *tree;

	assert_true(strlen(from) < sizeof(root));
	strcpy(root, from);
	tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	MUST_POINTER(tree);
	while ((entry = fts_read(tree))) {
		int len = snprintf(target, sizeof(target), "%s%s", to,
				   entry->fts_path + strlen(from));

		assert_in_range(len, 1, sizeof(target) - 1);
		copy_entry(entry, target);
	}
	MUST(fts_close(tree));
}

static void make_directory(const char *path, mode_t mode)
{
	MUST(mkdir(path, 0700));
	MUST(chmod(path, mode));
}

static void mount_tmpfs(const char *path)
{
	MUST(mount("tmpfs", path, "tmpfs", 0, "mode=0755"));
}

static void stage(void)
{
	MUST(mkdir(STAGING, 0700));
	mount_tmpfs(STAGING);
}

static void unstage(const char *path)
{
	MUST(mount(STAGING, path, NULL, MS_MOVE, NULL));
	MUST(rmdir(STAGING));
}

/* A device node; where nodes may not be made, the machine's own one, bound. */
static void make_device(const char *name, unsigned major, unsigned minor)
{
	char from[64];
	char to[64];

	(void)snprintf(from, sizeof(from), "/dev/%s", name); /* names below are short */
	(void)snprintf(to, sizeof(to), STAGING "/%s", name);
	if (mknod(to, S_IFCHR | 0666, makedev(major, minor)) == 0) {
		MUST(chmod(to, 0666));
		return;
	}
	if (errno != EPERM)
		MUST(-1);
	close_fd(&(int){ MUST_INT(open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) });
	MUST(mount(from, to, NULL, MS_BIND, NULL));
}

/*
 * ptmx is a node as on a real machine: opened, it finds the devpts at "pts"
 * beside it (path_pts() in the kernel), which is the private one.
 */
static void mount_dev(void)
{
	stage();
	make_device("null", 1, 3);
	make_device("zero", 1, 5);
	make_device("full", 1, 7);
	make_device("random", 1, 8);
	make_device("urandom", 1, 9);
	make_device("tty", 5, 0);
	make_device("ptmx", 5, 2);
	make_directory(STAGING "/shm", 01777);
	make_directory(STAGING "/pts", 0755);
	MUST(symlink("/proc/self/fd", STAGING "/fd"));
	MUST(symlink("/proc/self/fd/0", STAGING "/stdin"));
	MUST(symlink("/proc/self/fd/1", STAGING "/stdout"));
	MUST(symlink("/proc/self/fd/2", STAGING "/stderr"));
	MUST(mount("devpts", STAGING "/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "newinstance,ptmxmode=0666,mode=0620,gid=5"));
	unstage("/dev");
}

static void mount_etc(void)
{
	stage();
	copy_tree("/etc", STAGING);
	unstage("/etc");
	if (unlink("/etc/nologin") < 0 && errno != ENOENT)
		MUST(-1);
	sandbox_write("/etc/environment", 0644, "%s", "");
	sandbox_write("/etc/nsswitch.conf", 0644,
		      "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n"
		      "hosts: files\nservices: files\nprotocols: files\n");
}

static void mount_run(void)
{
	struct stat status;

	mount_tmpfs("/run");
	make_directory("/run/lock", 01777);
	make_directory(DIRECTORY, 0755);
	make_directory(DIRECTORY "/bin", 0755);
	MUST(lstat("/var/run", &status));
	if (S_ISDIR(status.st_mode))
		mount_tmpfs("/var/run");
}

/* Mail spools, lastlog, wtmp: useradd and PAM modules write to them. */
static void mount_var(void)
{
	static const char *const paths[] = { "/var/mail", "/var/log" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], F_OK) == 0)
			mount_tmpfs(paths[i]);
}

/* Returns a descriptor on `path` that survives mounts over it, or -1: not built. */
static int pin_open(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		MUST(-1);
	return fd;
}

static void pin_bind(const struct pin *pin, int fd)
{
	char from[64];

	if (fd < 0)
		return;
	if (pin->directory)
		make_directory(pin->to, 0755);
	else
		close_fd(&(int){ MUST_INT(open(pin->to, O_CREAT | O_CLOEXEC, 0755)) });
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd); /* always fits */
	MUST(mount(from, pin->to, NULL, MS_BIND, NULL));
}

void sandbox_isolate(void)
{
	int fds[ARRAY_LEN(pins)];

	if (geteuid() != 0)
		FAIL("integration tests need root (mount namespaces, PAM, audit)");
	(void)umask(022);
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	/* After unshare(2): what is bound must belong to a mount of this namespace. */
	for (size_t i = 0; i < ARRAY_LEN(pins); i++)
		fds[i] = pin_open(pins[i].from);
	mount_run();
	for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
		pin_bind(&pins[i], fds[i]);
		close_fd(&fds[i]);
	}
	mount_dev();
	mount_etc();
	mount_tmpfs("/home");
	mount_var();
	MUST(chdir("/"));
}

void sandbox_enter(void)
{
	sandbox_isolate();
	sandbox_account("alice", SANDBOX_UID_ALICE, SANDBOX_PASSWORD_ALICE, "/bin/bash");
	sandbox_account("bob", SANDBOX_UID_BOB, SANDBOX_PASSWORD_BOB, "/bin/bash");
	sandbox_account("carol", SANDBOX_UID_CAROL, SANDBOX_PASSWORD_CAROL, "/bin/sh");
	sandbox_service("dived", SANDBOX_SERVICE);
}

int sandbox_group_setup(void **state)
{
	(void)state; /* kept for the tests */
	sandbox_enter();
	return 0;
}

int sandbox_group_teardown(void **state)
{
	(void)state;
	sandbox_assert_no_children();
	return 0;
}

int sandbox_test_teardown(void **state)
{
	(void)state;
	sandbox_assert_no_children();
	return 0;
}
