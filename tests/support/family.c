/*
 * family - looking through /proc.
 *
 * The whole process table is read at each look and parents are followed up to
 * this process, which is the subreaper of everything it starts: so nothing that
 * belongs to somebody else can be taken for a gateway's process, whatever its name.
 */
#include "family.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "parse.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>

#define DEADLINE_MS 10000
#define LOOK_MS	    5 /* /proc cannot be polled */
#define TABLE_MAX   4096

struct entry {
	pid_t pid;
	pid_t parent;
	char state;
	char name[32];
};

/* Reads "PID (NAME) STATE PARENT ..."; returns whether the process is still there. */
static bool read_entry(pid_t pid, struct entry *ret)
{
	char path[64];
	char text[512];
	char parent[16] = "";
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (len <= 0)
		return false;
	text[len] = '\0';
	const char *open_bracket = strchr(text, '(');
	const char *close_bracket = strrchr(text, ')'); /* a name may hold any character */
	if (!open_bracket || !close_bracket || strlen(close_bracket) < 5)
		return false;
	*ret = (struct entry){ .pid = pid, .state = close_bracket[2] };
	(void)snprintf(ret->name, sizeof(ret->name), "%.*s",
		       (int)(close_bracket - open_bracket - 1), open_bracket + 1);
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)strcspn(close_bracket + 4, " "),
		       close_bracket + 4);
	if (parse_pid(parent, &ret->parent) < 0)
		ret->parent = 0; /* pid 1 and threads of the kernel */
	return true;
}

static size_t read_table(struct entry *table)
{
	const struct dirent *next;
	size_t count = 0;
	DIR *listing = opendir("/proc");

	MUST_POINTER(listing);
	while (count < TABLE_MAX && (next = readdir(listing))) {
		pid_t pid;

		if (parse_pid(next->d_name, &pid) == 0 && read_entry(pid, &table[count]))
			count++;
	}
	(void)closedir(listing); /* read only: nothing to lose */
	return count;
}

static bool is_descendant(const struct entry *table, size_t count, const struct entry *entry)
{
	pid_t parent = entry->parent;

	for (int depth = 0; depth < 64 && parent > 1; depth++) {
		size_t i = 0;

		if (parent == getpid())
			return true;
		while (i < count && table[i].pid != parent)
			i++;
		if (i == count)
			return false;
		parent = table[i].parent;
	}
	return false;
}

/* Counts; stores the last one found in *ret_pid. */
static size_t look(const char *name, pid_t *ret_pid)
{
	static struct entry table[TABLE_MAX];
	size_t count = read_table(table);
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if ((name && strcmp(table[i].name, name) != 0) || table[i].state == 'Z' ||
		    table[i].state == 'X' || !is_descendant(table, count, &table[i]))
			continue;
		*ret_pid = table[i].pid;
		found++;
	}
	return found;
}

size_t family_count(const char *name)
{
	pid_t pid;

	return look(name, &pid);
}

static pid_t await(const char *name, size_t count)
{
	int64_t deadline = deadline_after(DEADLINE_MS);
	pid_t pid = 0;
	size_t found;

	while ((found = look(name, &pid)) != count) {
		if (deadline_passed(deadline))
			FAIL("%zu processes are called \"%s\", not %zu", found, name, count);
		(void)poll(NULL, 0, LOOK_MS);
	}
	return pid;
}

void family_await(const char *name, size_t count)
{
	(void)await(name, count);
}

pid_t family_find(const char *name)
{
	return await(name, 1);
}

int family_open(const char *name)
{
	struct entry entry;
	pid_t pid = family_find(name);
	cleanup_fd int pidfd = MUST_INT(pidfd_open(pid, 0));

	/* The number was looked up before: is it still the same process's? */
	if (!read_entry(pid, &entry) || strcmp(entry.name, name) != 0)
		FAIL("\"%s\" (%d) ended while it was looked at", name, pid);
	return take_fd(&pidfd);
}

void family_await_end(int pidfd)
{
	if (deadline_poll(pidfd, POLLIN, deadline_after(DEADLINE_MS)) < 0)
		FAIL("a process does not end");
}

void family_kill(const char *name)
{
	cleanup_fd int pidfd = family_open(name);

	MUST(pidfd_send_signal(pidfd, SIGKILL, NULL, 0));
	family_await_end(pidfd);
}

/* Each look finds one; its number is looked up again once the pidfd is there. */
void family_kill_all(const char *name)
{
	struct entry entry;
	pid_t pid = 0;

	while (look(name, &pid) > 0) {
		cleanup_fd int pidfd = pidfd_open(pid, 0);

		if (pidfd < 0 || !read_entry(pid, &entry) || strcmp(entry.name, name) != 0)
			continue; /* it has ended by itself */
		MUST(pidfd_send_signal(pidfd, SIGKILL, NULL, 0));
		family_await_end(pidfd);
	}
}

/*
 * A process for which something has come is made runnable at once: one that
 * sleeps has seen all that came before.
 */
static void await_idle(pid_t pid)
{
	int64_t deadline = deadline_after(DEADLINE_MS);
	struct entry entry;

	for (;;) {
		if (!read_entry(pid, &entry))
			FAIL("process %d has ended", pid);
		if (entry.state == 'S')
			return;
		if (deadline_passed(deadline))
			FAIL("process %d is not idle but '%c'", pid, entry.state);
		(void)poll(NULL, 0, LOOK_MS);
	}
}

void family_list_fds(pid_t pid, struct family_fds *ret)
{
	char path[64];
	char target[256];
	size_t used = 0;

	*ret = (struct family_fds){ 0 };
	await_idle(pid);
	for (int number = 0; number < 4096; number++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number); /* fits */
		ssize_t len = readlink(path, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		ret->count++;
		int more = snprintf(ret->text + used, sizeof(ret->text) - used, "%d -> %s\n",
				    number, target);
		assert_in_range(more, 1, sizeof(ret->text) - used - 1);
		used += (size_t)more;
	}
}

void family_expect_fds(pid_t pid, const struct family_fds *before)
{
	int64_t deadline = deadline_after(DEADLINE_MS);
	struct family_fds now;

	for (;;) {
		family_list_fds(pid, &now);
		if (now.count == before->count)
			return;
		if (deadline_passed(deadline))
			FAIL("descriptors of %d before:\n%sand now:\n%s", pid, before->text,
			     now.text);
		(void)poll(NULL, 0, LOOK_MS);
	}
}
