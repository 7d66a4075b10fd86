/*
 * template - loads once, forks often.
 *
 * pam_start(3) parses the service and loads its modules; the handle it returns
 * is inherited by every fork and completed there (items, conversation, user).
 * libpam does not fail where a module cannot be loaded: it lets the stack fail
 * later, for every user.  So the modules named in the service are looked up
 * among the loaded objects, and one that is missing makes the template broken.
 *
 * A socket that loading a module left open would be shared by every session:
 * that also makes it broken, and so does a service that cannot mean here what it
 * says (judge() below).
 */
#include "template.h"

#include "account.h"
#include "cleanup.h"
#include "conversation.h"
#include "disposable.h"
#include "parse.h"
#include "process.h"
#include "session.h"
#include "stack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>

struct loaded {
	uint64_t occupied; /* low numbers that sessions free for PAM */
	pam_handle_t *pamh;
	struct template_report report;
};

static void __attribute__((format(printf, 2, 3)))
broken(struct loaded *loaded, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(loaded->report.text, sizeof(loaded->report.text), format, list);
	va_end(list);
	loaded->report.broken = 1;
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

/* Returns a descriptor that is a socket and not `own`, or -1. */
static int find_socket(int own)
{
	DIR *listing = opendir("/proc/self/fd");
	int found = -1;

	if (!listing)
		return -1;
	for (struct dirent *entry; found < 0 && (entry = readdir(listing));) {
		struct stat info;
		int fd;

		if (parse_fd(entry->d_name, INT_MAX, false, &fd) || fd < 3 || fd == own ||
		    fstat(fd, &info))
			continue;
		if (S_ISSOCK(info.st_mode))
			found = fd;
	}
	(void)closedir(listing);
	return found;
}

/*
 * Modules that judge the ids, the terminal or the files of the process they run
 * in, which here are always root's and dived's: "sufficient" before the others,
 * such a verdict lets everybody in.
 */
static const struct {
	const char *name;
	const char *instead;
} meaningless[] = {
	{ "pam_rootok.so", "-a auto, which does not ask root" },
	{ "pam_wheel.so", "--allow @GROUP, or pam_succeed_if with user ingroup" },
	{ "pam_timestamp.so", "nothing: no verdict is remembered" },
	{ "pam_xauth.so", "--env-keep, or a session of the target's own" },
};

static void judge_modules(const struct stack *stack, struct loaded *loaded)
{
	for (size_t i = 0; i < ARRAY_LEN(meaningless) && !loaded->report.broken; i++) {
		const struct stack_module *module = stack_find(stack, meaningless[i].name);

		if (module)
			broken(loaded,
			       "%s:%u: %s judges the calling process, which is always "
			       "root; use %s (--allow-insecure loads it)",
			       module->file, module->line, meaningless[i].name,
			       meaningless[i].instead);
	}
}

/* Whoever may write a service file writes the policy. */
static void judge_file(const char *path, struct loaded *loaded)
{
	struct stat info;

	if (stat(path, &info))
		broken(loaded, "%s: %s", path, strerror(errno));
	else if (info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)))
		broken(loaded, "%s: others than root may write it (owner %u, mode %04o)", path,
		       info.st_uid, info.st_mode & 07777U);
}

static void judge(const struct config *config, const struct stack *stack, struct loaded *loaded)
{
	if (config->allow_insecure)
		return;
	judge_modules(stack, loaded);
	if (config->pam_confdir && !loaded->report.broken)
		judge_file(config->pam_confdir, loaded);
	for (size_t i = 0; i < stack->file_count && !loaded->report.broken; i++)
		judge_file(stack->files[i], loaded);
}

static void load_service(const struct config *config, struct loaded *loaded)
{
	struct pam_conv conv = { .conv = conversation_run }; /* replaced in the session */
	struct stack stack;
	char error[TEMPLATE_TEXT_MAX];
	int r = stack_read(config->pam_service, config->pam_confdir, &stack, error, sizeof(error));

	if (r) {
		broken(loaded, "%s", error);
		return;
	}
	r = config->pam_confdir ? pam_start_confdir(config->pam_service, NULL, &conv,
						    config->pam_confdir, &loaded->pamh)
				: pam_start(config->pam_service, NULL, &conv, &loaded->pamh);
	if (r != PAM_SUCCESS)
		broken(loaded, "the service %s cannot be loaded: %s", config->pam_service,
		       pam_strerror(NULL, r));
	else if (stack_check_loaded(&stack, error, sizeof(error)))
		broken(loaded, "%s", error);
	else
		judge(config, &stack, loaded);
	stack_done(&stack);
}

static void load(const struct config *config, int control, struct loaded *ret)
{
	if (!config->no_pam)
		load_service(config, ret);
	closelog(); /* libpam may have logged; the next line connects again */
	int socket = find_socket(control);
	if (socket >= 0)
		broken(ret, "loading the service left a socket open (descriptor %d)", socket);
	/* Afterwards: some name services keep a socket, and see by the process id that a
	   fork must make its own (nss_sss, nss_winbind). */
	warm_name_services(config);
	closelog();
}

/* Receives a connection.  Return: 0; -EAGAIN nothing usable came; -EPIPE at the end. */
static int receive(int control, int ret[2])
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} ancillary;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr head = { .msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = ancillary.bytes,
			       .msg_controllen = sizeof(ancillary.bytes) };
	ssize_t got = recvmsg(control, &head, MSG_CMSG_CLOEXEC);

	if (got < 0)
		return errno == EINTR ? -EAGAIN : -EPIPE;
	if (got == 0)
		return -EPIPE;
	struct cmsghdr *item = CMSG_FIRSTHDR(&head);
	if (!item || item->cmsg_type != SCM_RIGHTS)
		return -EAGAIN;
	memcpy(ret, CMSG_DATA(item), item->cmsg_len - CMSG_LEN(0));
	if (item->cmsg_len == CMSG_LEN(2 * sizeof(int)))
		return 0;
	close_fd(&ret[0]); /* there was room for one: the listener sees the end of file */
	return -EAGAIN;
}

static void __attribute__((noreturn))
become_session(const struct config *config, const struct loaded *loaded, const int fds[2])
{
	struct session_input input = {
		.config = config,
		.conn = fds[0],
		.control = fds[1],
		.occupied = loaded->occupied,
		.pamh = loaded->pamh,
		.broken = loaded->report.broken ? loaded->report.text : NULL,
	};

	(void)setsid(); /* fails for a group leader only, which a fork is not */
	(void)signal(SIGCHLD, SIG_DFL);
	_exit(session_run(&input));
}

/*
 * The session waits until our copies are closed, so that the last close of a
 * connection, which can block, is never this process's.  A failure shows at the
 * listener as an end of file before HELLO.
 */
static void fork_session(const struct config *config, const struct loaded *loaded, int control,
			 int fds[2])
{
	int gate[2] = { -1, -1 };
	char byte;
	pid_t pid = pipe2(gate, O_CLOEXEC) ? -1 : fork();

	if (pid == 0) {
		close_fd(&gate[1]);
		close_fd(&control);
		while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
			;
		close_fd(&gate[0]);
		process_park(&fds[0]);
		process_park(&fds[1]);
		become_session(config, loaded, fds);
	}
	close_fd(&fds[0]); /* where nothing was forked the listener still holds it */
	close_fd(&fds[1]);
	close_fd(&gate[0]);
	close_fd(&gate[1]);
}

static void __attribute__((noreturn)) run(const struct config *config, int control)
{
	struct loaded loaded = { 0 };
	int fds[2] = { -1, -1 };
	int r;

	(void)prctl(PR_SET_NAME, "dived: template"); /* for ps(1) only */
	(void)clearenv();
	if (config->detach)
		process_detach();
	load(config, control, &loaded);
	if (send(control, &loaded.report, sizeof(loaded.report), MSG_NOSIGNAL) < 0)
		_exit(1);
	loaded.occupied = process_occupy();
	(void)signal(SIGCHLD, SIG_IGN); /* sessions are reaped by the kernel */
	while ((r = receive(control, fds)) != -EPIPE)
		if (r == 0)
			fork_session(config, &loaded, control, fds);
	_exit(0);
}

int template_start(const struct config *config, struct template *ret)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	cleanup_fd int ours = pair[0];
	cleanup_fd int theirs = pair[1];
	int keep[] = { theirs, config->inherited.directory };
	pid_t pid = disposable_fork(keep, ARRAY_LEN(keep));
	if (pid < 0)
		return pid;
	if (pid == 0)
		run(config, theirs);
	*ret = (struct template){ .pid = pid, .control = take_fd(&ours) };
	return 0;
}

int template_receive(const struct template *template, struct template_report *ret)
{
	struct template_report report;
	ssize_t got = recv(template->control, &report, sizeof(report), MSG_DONTWAIT);

	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (got == 0)
		return -EPIPE;
	if ((size_t)got != sizeof(report))
		return -EBADMSG;
	report.text[sizeof(report.text) - 1] = '\0';
	*ret = report;
	return 0;
}

int template_hand(const struct template *template, int conn, int control)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} ancillary = { 0 };
	int fds[2] = { conn, control };
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr head = { .msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = ancillary.bytes,
			       .msg_controllen = sizeof(ancillary.bytes) };
	struct cmsghdr *item = CMSG_FIRSTHDR(&head);

	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_RIGHTS;
	item->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(item), fds, sizeof(fds));
	return sendmsg(template->control, &head, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void template_retire(struct template *template)
{
	close_fd(&template->control);
	*template = (struct template){ .control = -1 };
}
