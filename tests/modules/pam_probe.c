/*
 * pam_probe - a PAM module that does what its arguments say, in their order, and
 * writes down what it sees.
 *
 *	log=FIFO        write a line for this phase now (probe.h reads it)
 *	only=PHASE      the arguments that follow count in this phase only; only=any: in all
 *	client=NAME     ... for this PAM_RUSER only
 *	hidden=TEXT visible=TEXT info=TEXT error=TEXT style=NUMBER
 *	                add a message to the next conversation
 *	send[=TIMES]    hold it
 *	expect=A|B      PAM_AUTH_ERR unless the answers of the last one were these
 *	user=NAME       set PAM_USER
 *	putenv=X=Y      add to PAM's environment
 *	delay=USEC      ask for a delay after a failure
 *	hang[=deaf]     never return; deaf: with all signals blocked
 *	hold=FIFO       wait until somebody has opened it for writing, and closed it again
 *	hold-child=FIFO the same in every process forked from this one, which is called
 *	                HELD_CHILD while it waits; where there is no FIFO nothing is waited for
 *	kill            end the process
 *	leak            leave a descriptor open that programs inherit
 *	fail=NUMBER,ERRNO[,INDEX=VALUE|,INDEX!VALUE|,INDEX>VALUE]...
 *	                from now on this system call fails in every process that is forked
 *	                from this one, where the arguments (their low 32 bits) are, are not,
 *	                or are above these; with errno 0 it does nothing and says it has
 *	fail-here=...   the same in this process too
 *	return=CODE     a number of <security/_pam_types.h>; ends the list
 *
 * PHASE is authenticate, establish, delete, account, open, close, prelim or
 * update (the two halves of a password change).  An argument that is not known
 * fails the phase, so that a slip in a test cannot go unseen.
 *
 * Whatever its arguments, it is not loaded while the file PROBE_SLOW of probe.h exists.
 */
#include "phases.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <security/pam_ext.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define SLOW	     "/run/dive-test/probe.slow"
#define HELD_CHILD   "held child"
#define MESSAGES_MAX 32
#define LINE_SIZE    4096
#define FILTER_MAX   16

__attribute__((constructor)) static void load_slowly(void)
{
	while (access(SLOW, F_OK) == 0)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

struct probe {
	pam_handle_t *pamh;
	const char *phase;
	int log;
	int result;
	bool other_phase; /* "only" says that the rest is not for us */
	bool other_client;
	int count;
	struct pam_message messages[MESSAGES_MAX];
	char answers[1024]; /* of the last conversation, joined by '|' */
};

static const char *item(const struct probe *probe, int type)
{
	const void *value = NULL;

	if (pam_get_item(probe->pamh, type, &value) != PAM_SUCCESS || value == NULL)
		return "?";
	return value;
}

static void __attribute__((format(printf, 2, 3)))
put_line(const struct probe *probe, const char *format, ...)
{
	char line[LINE_SIZE];
	struct timespec now;
	va_list arguments;
	int len;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	len = snprintf(line, sizeof(line), "t=%lld ",
		       (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	va_start(arguments, format);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len - 1, format, arguments);
	va_end(arguments);
	if (len > (int)sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	line[len++] = '\n';
	if (probe->log >= 0 && write(probe->log, line, (size_t)len) != len)
		pam_syslog(probe->pamh, LOG_ERR, "pam_probe: the log is full");
}

static void append(char *text, size_t size, const char *more)
{
	size_t len = strlen(text);

	(void)snprintf(text + len, size - len, "%s|", more); /* cut: the test sees it */
}

/* One line with everything a module can see of the transaction and of its process. */
static void act_log(struct probe *probe, const char *value)
{
	char process[LINE_SIZE / 4] = "|";
	char list[LINE_SIZE / 2] = "|";
	char **names = pam_getenvlist(probe->pamh);

	probe->log = open(value, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	for (char **next = environ; next && *next; next++)
		append(process, sizeof(process), *next);
	for (char **next = names; next && *next; next++) {
		append(list, sizeof(list), *next);
		free(*next);
	}
	free(names);
	put_line(probe,
		 "phase=%s user=%s ruser=%s tty=%s service=%s uid=%d euid=%d dumpable=%d "
		 "keyring=%08x "
		 "process=%s list=%s",
		 probe->phase, item(probe, PAM_USER), item(probe, PAM_RUSER), item(probe, PAM_TTY),
		 item(probe, PAM_SERVICE), (int)getuid(), (int)geteuid(), prctl(PR_GET_DUMPABLE),
		 (unsigned)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0),
		 process, list);
}

static void act_only(struct probe *probe, const char *value)
{
	probe->other_phase = strcmp(value, "any") != 0 && strcmp(value, probe->phase) != 0;
}

static void act_client(struct probe *probe, const char *value)
{
	probe->other_client = strcmp(value, item(probe, PAM_RUSER)) != 0;
}

static void add_message(struct probe *probe, int style, const char *text)
{
	if (probe->count == MESSAGES_MAX)
		probe->result = PAM_BUF_ERR;
	else
		probe->messages[probe->count++] = (struct pam_message){ style, text };
}

static void act_hidden(struct probe *probe, const char *value)
{
	add_message(probe, PAM_PROMPT_ECHO_OFF, value);
}

static void act_visible(struct probe *probe, const char *value)
{
	add_message(probe, PAM_PROMPT_ECHO_ON, value);
}

static void act_info(struct probe *probe, const char *value)
{
	add_message(probe, PAM_TEXT_INFO, value);
}

static void act_error(struct probe *probe, const char *value)
{
	add_message(probe, PAM_ERROR_MSG, value);
}

static void act_style(struct probe *probe, const char *value)
{
	add_message(probe, (int)strtol(value, NULL, 10), "an unknown style");
}

static void converse(struct probe *probe)
{
	const struct pam_message *messages[MESSAGES_MAX];
	const struct pam_conv *conv = NULL;
	struct pam_response *responses = NULL;
	const void *value = NULL;

	for (int i = 0; i < probe->count; i++)
		messages[i] = &probe->messages[i];
	probe->answers[0] = '\0';
	probe->result = pam_get_item(probe->pamh, PAM_CONV, &value);
	conv = value;
	if (probe->result == PAM_SUCCESS)
		probe->result = conv->conv(probe->count, messages, &responses, conv->appdata_ptr);
	for (int i = 0; probe->result == PAM_SUCCESS && i < probe->count; i++) {
		if (responses[i].resp)
			append(probe->answers, sizeof(probe->answers), responses[i].resp);
		free(responses[i].resp);
	}
	free(responses);
	put_line(probe, "answers=%s result=%d", probe->answers, probe->result);
}

static void act_send(struct probe *probe, const char *value)
{
	long times = *value ? strtol(value, NULL, 10) : 1;

	for (; times > 0 && probe->result == PAM_SUCCESS; times--)
		converse(probe);
	probe->count = 0;
}

static void act_expect(struct probe *probe, const char *value)
{
	size_t len = strlen(value); /* the answers have one more '|' */

	if (strncmp(probe->answers, value, len) != 0 || strcmp(probe->answers + len, "|") != 0)
		probe->result = PAM_AUTH_ERR;
}

static void act_user(struct probe *probe, const char *value)
{
	probe->result = pam_set_item(probe->pamh, PAM_USER, value);
}

static void act_putenv(struct probe *probe, const char *value)
{
	probe->result = pam_putenv(probe->pamh, value);
}

static void act_delay(struct probe *probe, const char *value)
{
	probe->result = pam_fail_delay(probe->pamh, (unsigned)strtoul(value, NULL, 10));
}

static void act_hang(struct probe *probe, const char *value)
{
	sigset_t all;

	(void)probe;
	(void)sigfillset(&all);
	if (strcmp(value, "deaf") == 0)
		(void)sigprocmask(SIG_BLOCK, &all, NULL); /* valid arguments */
	for (;;)
		(void)pause(); /* returns after a signal; there is nothing to do then */
}

/* Async-signal-safe, for hold_child(). */
static void hold(const char *fifo)
{
	char byte;
	int fd = open(fifo, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && read(fd, &byte, 1) > 0)
		; /* nothing is ever written */
	if (fd >= 0)
		(void)close(fd);
}

static void act_hold(struct probe *probe, const char *value)
{
	(void)probe;
	hold(value);
}

static char child_fifo[128];

static void hold_child(void)
{
	if (access(child_fifo, F_OK) == 0)
		(void)prctl(PR_SET_NAME, HELD_CHILD);
	hold(child_fifo);
}

/* libc calls it before fork(2) returns in the child, which has taken none of its steps yet. */
static void act_hold_child(struct probe *probe, const char *value)
{
	int len = snprintf(child_fifo, sizeof(child_fifo), "%s", value);

	if (len >= (int)sizeof(child_fifo) || pthread_atfork(NULL, NULL, hold_child) != 0)
		probe->result = PAM_SERVICE_ERR;
}

static void act_kill(struct probe *probe, const char *value)
{
	(void)probe;
	(void)value;
	(void)raise(SIGKILL); /* does not return */
}

/* The program of seccomp(2) that "fail" makes; its last instruction allows the call. */
static struct sock_filter filter[FILTER_MAX];
static struct sock_fprog failing = { .filter = filter };

/* No no_new_privs, which the program would inherit: whoever runs this has CAP_SYS_ADMIN. */
static void install_filter(void)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &failing) < 0)
		_exit(99);
}

static void add_instruction(unsigned code, unsigned long value)
{
	if (failing.len < FILTER_MAX)
		filter[failing.len++] =
			(struct sock_filter){ .code = (unsigned short)code, .k = (unsigned)value };
}

/* Goes on where the field of seccomp_data is, is not or is above the value, else allows the call.
 */
static void add_condition(size_t offset, unsigned long value, char sign)
{
	add_instruction(BPF_LD | BPF_W | BPF_ABS, offset);
	add_instruction(BPF_JMP | (sign == '>' ? BPF_JGT : BPF_JEQ) | BPF_K, value);
	filter[failing.len - 1].jt = sign == '!'; /* marked; see make_filter() */
	filter[failing.len - 1].jf = sign != '!';
}

/* There is one ABI in a test, and its numbers are little-endian.  Returns whether it is
 * well-formed. */
static bool make_filter(const char *text)
{
	char *at;
	unsigned long number = strtoul(text, &at, 10);
	unsigned long error = *at == ',' ? strtoul(at + 1, &at, 10) : 0;

	failing.len = 0;
	add_condition(offsetof(struct seccomp_data, nr), number, '=');
	while (*at == ',' && failing.len + 4 <= FILTER_MAX) {
		unsigned long index = strtoul(at + 1, &at, 10);
		char sign = *at;

		if ((sign != '=' && sign != '!' && sign != '>') || index > 5)
			return false;
		number = strtoul(at + 1, &at, 0);
		add_condition(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t),
			      number, sign);
	}
	add_instruction(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
	add_instruction(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	for (unsigned i = 0; i < failing.len; i++) {
		unsigned char distance = (unsigned char)(failing.len - 2 - i);

		filter[i].jt = filter[i].jt ? distance : 0;
		filter[i].jf = filter[i].jf ? distance : 0;
	}
	return *at == '\0';
}

/*
 * In the children only: the session is left as it is, and closes what it has opened.
 * libc calls what is registered here before fork(2) returns there.
 */
static void act_fail(struct probe *probe, const char *value)
{
	if (!make_filter(value) || pthread_atfork(NULL, NULL, install_filter) != 0)
		probe->result = PAM_SERVICE_ERR;
}

static void act_fail_here(struct probe *probe, const char *value)
{
	if (!make_filter(value) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &failing) < 0)
		probe->result = PAM_SERVICE_ERR;
}

static void act_leak(struct probe *probe, const char *value)
{
	(void)value;
	if (open("/etc/passwd", O_RDONLY) < 0) /* no O_CLOEXEC */
		probe->result = PAM_SYSTEM_ERR;
}

static void act_return(struct probe *probe, const char *value)
{
	probe->result = (int)strtol(value, NULL, 10);
}

static const struct action {
	const char *name;
	void (*act)(struct probe *probe, const char *value);
} actions[] = {
	{ "log", act_log },	  { "only", act_only },	      { "client", act_client },
	{ "hidden", act_hidden }, { "visible", act_visible }, { "info", act_info },
	{ "error", act_error },	  { "style", act_style },     { "send", act_send },
	{ "expect", act_expect }, { "user", act_user },	      { "putenv", act_putenv },
	{ "delay", act_delay },	  { "hang", act_hang },	      { "leak", act_leak },
	{ "kill", act_kill },	  { "fail", act_fail },	      { "fail-here", act_fail_here },
	{ "return", act_return }, { "hold", act_hold },	      { "hold-child", act_hold_child },
};

static void act(struct probe *probe, const char *word)
{
	size_t len = strcspn(word, "=");
	const char *value = word[len] ? word + len + 1 : "";

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strlen(actions[i].name) != len || strncmp(actions[i].name, word, len) != 0)
			continue;
		if (actions[i].act == act_only || actions[i].act == act_client ||
		    (!probe->other_phase && !probe->other_client))
			actions[i].act(probe, value);
		return;
	}
	pam_syslog(probe->pamh, LOG_ERR, "pam_probe: no such argument: %s", word);
	probe->result = PAM_SERVICE_ERR;
}

static int run(pam_handle_t *pamh, const char *phase, int argc, const char **argv)
{
	struct probe probe = { .pamh = pamh, .phase = phase, .log = -1, .result = PAM_SUCCESS };

	for (int i = 0; i < argc && probe.result == PAM_SUCCESS; i++)
		act(&probe, argv[i]);
	if (probe.log >= 0)
		(void)close(probe.log);
	return probe.result;
}
