/*
 * soak - one gateway, very many sessions, and what it has grown to.
 */
#include "soak.h"

#include "cleanup.h"
#include "family.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSALS "dived: refuse"

/* The number of the line "NAME: NUMBER kB". */
static unsigned long read_kib(pid_t pid, const char *file, const char *name)
{
	char path[64], text[8192], number[32];
	const char *line;
	uint64_t value;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file); /* fits */
	cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));
	size_t len = (size_t)MUST(read(fd, text, sizeof(text) - 1));
	assert_in_range(len, 1, sizeof(text) - 1);
	text[len] = '\0';
	line = strstr(text, name);
	if (!line)
		FAIL("no %s in %s", name, path);
	line += strlen(name);
	line += strspn(line, ": \t");
	(void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(line, " \n"), line);
	assert_int_equal(parse_uint(number, 0, UINT32_MAX, &value), 0);
	return (unsigned long)value;
}

static void look_at(pid_t pid, struct soak_process *ret)
{
	struct family_fds fds;

	family_list_fds(pid, &fds);
	ret->fds = fds.count;
	ret->rss_kib = read_kib(pid, "status", "VmRSS");
	ret->pss_kib = read_kib(pid, "smaps_rollup", "Pss_Anon");
}

void soak_take(const struct gateway *gateway, struct soak_look *ret)
{
	family_await(FAMILY_SESSION, 0);
	family_await(REFUSALS, 0);
	look_at(gateway->pid, &ret->listener);
	look_at(family_find(FAMILY_TEMPLATE), &ret->template);
	ret->processes = family_count(NULL);
}

void soak_print(const struct soak_look *look, unsigned sessions)
{
	print_message("after %u sessions: listener %zu descriptors, %lu KiB resident, %lu KiB "
		      "of its own; template %zu, %lu, %lu; %zu processes\n",
		      sessions, look->listener.fds, look->listener.rss_kib, look->listener.pss_kib,
		      look->template.fds, look->template.rss_kib, look->template.pss_kib,
		      look->processes);
}

static void assert_flat(const char *name, const struct soak_process *before,
			const struct soak_process *now)
{
	if (now->fds != before->fds)
		FAIL("the %s had %zu descriptors and has %zu", name, before->fds, now->fds);
	if (now->rss_kib > before->rss_kib + SOAK_GROWTH_KIB ||
	    now->pss_kib > before->pss_kib + SOAK_GROWTH_KIB)
		FAIL("the %s has grown from %lu KiB (%lu) to %lu (%lu)", name, before->rss_kib,
		     before->pss_kib, now->rss_kib, now->pss_kib);
}

void soak_assert_flat(const struct soak_look *before, const struct soak_look *now)
{
	assert_flat("listener", &before->listener, &now->listener);
	assert_flat("template", &before->template, &now->template);
	assert_int_equal(now->processes, before->processes);
}

/* Orphans of a gateway come to this process, and would fill the table of processes. */
static void reap_orphans(const struct gateway *gateway)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0 &&
	       info.si_pid != gateway->pid) {
		MUST(waitpid(info.si_pid, NULL, 0));
		info.si_pid = 0;
	}
}

void soak_run(const struct gateway *gateway, unsigned count)
{
	static const struct {
		const char *account;
		const char *input;
		const char *program;
		int status;
	} turns[] = {
		{ "alice", SANDBOX_PASSWORD_ALICE "\n", "/bin/true", 0 },
		{ NULL, NULL, "/bin/true", 0 },
		{ "carol", "wrong\n", "/bin/true", 77 },
		{ NULL, NULL, "/nonesuch", 127 },
	};

	for (unsigned i = 0; i < count; i++) {
		struct run dive;

		run_dive(&dive,
			 &(struct run_options){ .account = turns[i % 4].account,
						.input = turns[i % 4].input },
			 gateway, RUN_WORDS("-S", turns[i % 4].program));
		run_assert_status(&dive, turns[i % 4].status);
		run_done(&dive);
		reap_orphans(gateway);
	}
}
