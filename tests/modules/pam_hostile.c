/*
 * pam_hostile - a PAM module that does what no module should, and then says that
 * all is well.
 *
 *	only=PHASE      the arguments that follow count in this phase only
 *	client=NAME     ... for this PAM_RUSER only
 *
 * and one or more of the actions below, in their order, or exhaust=BYTES.  PHASE is as for
 *pam_probe, which hangs, kills, changes the user and makes system calls fail.  What it forks and
 * leaves behind is called HOSTILE_CHILD, for the test to end.
 */
#include "phases.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <security/pam_ext.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define HOSTILE_CHILD "hostile"
#define PROMPTS	      1000
#define BIG	      (1024 * 1024)
#define LEAKS	      100
#define SMALL	      64

static int crash(pam_handle_t *pamh)
{
	(void)pamh;
	(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would only say so */
	return raise(SIGSEGV) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int abort_(pam_handle_t *pamh)
{
	(void)pamh;
	abort();
}

static int exit_(pam_handle_t *pamh)
{
	(void)pamh;
	exit(0); /* as if all were well, with whatever has been registered by atexit(3) */
}

static int stop(pam_handle_t *pamh)
{
	(void)pamh;
	return raise(SIGSTOP) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int set_alarm(pam_handle_t *pamh)
{
	(void)pamh;
	(void)alarm(1);
	return PAM_SUCCESS;
}

static int fork_stays(pam_handle_t *pamh)
{
	(void)pamh;
	if (fork() == 0) {
		(void)prctl(PR_SET_NAME, HOSTILE_CHILD);
		for (;;)
			(void)pause();
	}
	return PAM_SUCCESS;
}

/* Two processes come back, and each believes that it is the session. */
static int fork_returns(pam_handle_t *pamh)
{
	(void)pamh;
	return fork() < 0 ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

/* The same, with the parent's verdict a refusal. */
static int fork_denies(pam_handle_t *pamh)
{
	pid_t pid = fork();

	(void)pamh;
	return pid == 0 ? PAM_SUCCESS : PAM_AUTH_ERR;
}

static int set_uid(pam_handle_t *pamh)
{
	(void)pamh;
	return setuid(2001) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

/* Forgets to go back. */
static int set_euid(pam_handle_t *pamh)
{
	(void)pamh;
	return seteuid(2001) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int leak(pam_handle_t *pamh)
{
	(void)pamh;
	for (int i = 0; i < LEAKS; i++) {
		char *memory = malloc(BIG / 8);

		if (memory)
			memset(memory, i, BIG / 8);
		(void)!open("/etc/shadow", O_RDONLY); /* no O_CLOEXEC */
		if (!memory)
			return PAM_BUF_ERR;
	}
	return PAM_SUCCESS;
}

static int block_signals(pam_handle_t *pamh)
{
	sigset_t all;

	(void)pamh;
	(void)sigfillset(&all);
	return sigprocmask(SIG_SETMASK, &all, NULL) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int ignore_signals(pam_handle_t *pamh)
{
	(void)pamh;
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_IGN); /* KILL, STOP and libc's own refuse */
	return PAM_SUCCESS;
}

static void reap_all(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int reap_children(pam_handle_t *pamh)
{
	struct sigaction action = { .sa_handler = reap_all };

	(void)pamh;
	return sigaction(SIGCHLD, &action, NULL) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

/* As if a child of the session ended again and again, until the session has. */
static int nag(pam_handle_t *pamh)
{
	int parent = pidfd_open(getpid(), 0);

	(void)pamh;
	if (parent < 0)
		return PAM_SYSTEM_ERR;
	if (fork() == 0) {
		(void)prctl(PR_SET_NAME, HOSTILE_CHILD);
		while (pidfd_send_signal(parent, SIGCHLD, NULL, 0) == 0)
			;
		_exit(0);
	}
	(void)close(parent);
	return PAM_SUCCESS;
}

static void converse(pam_handle_t *pamh, const char *text)
{
	struct pam_message message = { .msg_style = PAM_PROMPT_ECHO_OFF, .msg = text };
	const struct pam_message *messages = &message;
	struct pam_response *response = NULL;
	const struct pam_conv *conv = NULL;
	const void *value = NULL;

	if (pam_get_item(pamh, PAM_CONV, &value) != PAM_SUCCESS)
		return;
	conv = value;
	if (conv->conv(1, &messages, &response, conv->appdata_ptr) != PAM_SUCCESS)
		return; /* is not minded */
	free(response->resp);
	free(response);
}

static int ask_once(pam_handle_t *pamh)
{
	converse(pamh, "Code:");
	return PAM_SUCCESS;
}

static int ask_often(pam_handle_t *pamh)
{
	for (int i = 0; i < PROMPTS; i++)
		converse(pamh, "Code:");
	return PAM_SUCCESS;
}

static int ask_at_length(pam_handle_t *pamh)
{
	char *text = malloc(BIG);

	if (!text)
		return PAM_BUF_ERR;
	memset(text, 'x', BIG - 1);
	text[BIG - 1] = '\0';
	converse(pamh, text);
	free(text);
	return PAM_SUCCESS;
}

static int delay_an_hour(pam_handle_t *pamh)
{
	(void)pam_fail_delay(pamh, 3600U * 1000000);
	return PAM_AUTH_ERR;
}

static int write_standard(pam_handle_t *pamh)
{
	static const char text[] = "a module says this to whoever it is\n";

	(void)pamh;
	for (int fd = 0; fd <= 2; fd++)
		(void)!write(fd, text, sizeof(text) - 1);
	return PAM_SUCCESS;
}

static int close_low(pam_handle_t *pamh)
{
	(void)pamh;
	return close_range(3, 1023, 0) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int close_all(pam_handle_t *pamh)
{
	(void)pamh;
	return close_range(0, ~0U, 0) ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int close_all_and_hang(pam_handle_t *pamh)
{
	(void)close_all(pamh);
	(void)block_signals(pamh);
	while (pause() < 0)
		; /* after a signal, of which there are none left */
	return PAM_SUCCESS;
}

static int change_directory(pam_handle_t *pamh)
{
	(void)pamh;
	return chdir("/proc/self") ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int change_root(pam_handle_t *pamh)
{
	(void)pamh;
	return chroot("/home") || chdir("/") ? PAM_SYSTEM_ERR : PAM_SUCCESS;
}

static int change_umask(pam_handle_t *pamh)
{
	(void)pamh;
	(void)umask(0);
	return PAM_SUCCESS;
}

/* Limits of nothing, one after the other as far as they go. */
static int change_limits(pam_handle_t *pamh)
{
	static const int resources[] = { RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_NPROC, RLIMIT_MEMLOCK,
					 RLIMIT_STACK };

	(void)pamh;
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)resources[i], &limit))
			return PAM_SYSTEM_ERR;
		limit.rlim_cur = 0;
		(void)setrlimit((__rlimit_resource_t)resources[i], &limit);
	}
	return PAM_SUCCESS;
}

/*
 * From now on mmap(2) and brk(2) find no memory, and what is at hand is used up, but for
 * so many bytes in one piece.
 */
static int exhaust(size_t spare)
{
	static struct sock_filter filter[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr) },
		{ BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_mmap },
		{ BPF_JMP | BPF_JEQ | BPF_K, 1, 2, SYS_brk },
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOMEM },
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO }, /* brk(2) tells by its result, 0 */
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW },
	};
	static const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	static void *piece;
	void *volatile all; /* or clang takes an allocation for one that nobody needs */

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return PAM_SYSTEM_ERR;
	piece = spare ? malloc(spare) : NULL;
	for (size_t size = BIG; size > 0; size = size > SMALL ? size / 2 : size - 1)
		do
			all = malloc(size); /* of no use but that nobody else has it */
		while (all);
	free(piece);
	return PAM_SUCCESS;
}

static const struct action {
	const char *name;
	int (*act)(pam_handle_t *pamh);
} actions[] = {
	{ "crash", crash },
	{ "abort", abort_ },
	{ "exit", exit_ },
	{ "stop", stop },
	{ "alarm", set_alarm },
	{ "fork-stays", fork_stays },
	{ "fork-returns", fork_returns },
	{ "fork-denies", fork_denies },
	{ "setuid", set_uid },
	{ "seteuid", set_euid },
	{ "leak", leak },
	{ "block", block_signals },
	{ "ignore", ignore_signals },
	{ "reap", reap_children },
	{ "nag", nag },
	{ "ask", ask_once },
	{ "ask-often", ask_often },
	{ "ask-at-length", ask_at_length },
	{ "hour", delay_an_hour },
	{ "write", write_standard },
	{ "close-low", close_low },
	{ "close-all", close_all },
	{ "close-hang", close_all_and_hang },
	{ "chdir", change_directory },
	{ "chroot", change_root },
	{ "umask", change_umask },
	{ "limits", change_limits },
};

static int act(pam_handle_t *pamh, const char *word)
{
	if (strncmp(word, "exhaust=", 8) == 0)
		return exhaust(strtoul(word + 8, NULL, 10));
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, word) == 0)
			return actions[i].act(pamh);
	pam_syslog(pamh, LOG_ERR, "pam_hostile: no such argument: %s", word);
	return PAM_SERVICE_ERR;
}

/* Whether a word that says for whom the others are is for us. */
static bool is_met(pam_handle_t *pamh, const char *phase, const char *word)
{
	const void *client = NULL;

	if (strncmp(word, "only=", 5) == 0)
		return strcmp(word + 5, phase) == 0;
	return pam_get_item(pamh, PAM_RUSER, &client) == PAM_SUCCESS && client &&
	       strcmp(word + strlen("client="), client) == 0;
}

static int run(pam_handle_t *pamh, const char *phase, int argc, const char **argv)
{
	int result = PAM_SUCCESS;

	for (int i = 0; i < argc && result == PAM_SUCCESS; i++) {
		if (strncmp(argv[i], "only=", 5) != 0 && strncmp(argv[i], "client=", 7) != 0)
			result = act(pamh, argv[i]);
		else if (!is_met(pamh, phase, argv[i]))
			break;
	}
	return result;
}
