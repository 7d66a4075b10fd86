/*
 * main - from argv to a serving gateway, and the only place with exit statuses.
 *
 * Start-up errors are one line on standard error and status 4, also with
 * --detach: the process that was started waits for the one that serves.
 */
#include "audit.h"
#include "cleanup.h"
#include "config.h"
#include "listener.h"
#include "log.h"
#include "pidfile.h"
#include "process.h"
#include "socket.h"
#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_FAILURE 1
#define STATUS_USAGE   4
#define ERROR_MAX      1024

/* What `ready` needs. */
struct serving {
	const struct config *config;
	int notify; /* a byte here says that the gateway serves; -1 without --detach */
};

static int fail(const char *error)
{
	(void)fprintf(stderr, "dived: %s\n", error); /* nowhere else to say it */
	return STATUS_USAGE;
}

/* Descriptors 0 to 2 are never left to be taken by a socket. */
static int fill_standard(void)
{
	for (int fd = open("/dev/null", O_RDWR); fd <= 2; fd = open("/dev/null", O_RDWR))
		if (fd < 0)
			return -errno;
	/* The one above 2 is closed by the caller's closefrom(3). */
	return 0;
}

static void warn(const struct config *config, enum audit_state state)
{
	struct stack stack;
	char error[ERROR_MAX];

	if (config->inherited.uid != 0)
		log_warning("%s: not root: no PAM, and every program runs as uid %u, whoever the "
			    "client is",
			    config->address, config->inherited.uid);
	else if (config->no_pam && config_may_elevate(config) && (config->socket_mode & 0022))
		log_warning("%s: --no-pam: whoever may connect gets the target account without "
			    "being asked",
			    config->address);
	if (config->audit == CONFIG_AUDIT_AUTO && state != AUDIT_STATE_ENABLED)
		log_warning("%s: kernel auditing is %s: records go to syslog%s", config->address,
			    audit_state_name(state),
			    state == AUDIT_STATE_UNKNOWN ? " as well" : " alone");
	if (config->no_pam ||
	    stack_read(config->pam_service, config->pam_confdir, &stack, error, sizeof(error)))
		return;
	if (stack_find(&stack, "pam_loginuid.so"))
		log_warning("%s: the service %s uses pam_loginuid, which replaces the login uid of "
			    "whoever connects by the target's; remove it",
			    config->address, config->pam_service);
	stack_done(&stack);
}

static int check_audit(const struct config *config, enum audit_state state, char *error)
{
	if (config->audit != CONFIG_AUDIT_REQUIRE || state == AUDIT_STATE_ENABLED)
		return 0;
	(void)snprintf(error, ERROR_MAX, "--audit require: kernel auditing is %s",
		       audit_state_name(state));
	return -EINVAL;
}

static void record(const struct config *config, bool start)
{
	char text[2048];
	struct audit audit;

	config_describe(config, text, sizeof(text));
	if (audit_init((enum config_audit)config->audit, &audit))
		return; /* said at start-up */
	audit_gateway(&audit, config->address, start, text);
	audit_done(&audit);
}

/* The gateway serves: standard descriptors are let go of, and whoever waits is told. */
static void ready(void *context)
{
	struct serving *serving = context;
	char byte = 0;

	record(serving->config, true);
	if (serving->notify < 0)
		return;
	process_detach();
	if (write(serving->notify, &byte, 1) < 0)
		log_warning("%s: the process that started the gateway has gone",
			    serving->config->address);
	close_fd(&serving->notify);
}

static int serve(struct config *config, int notify)
{
	struct serving serving = { .config = config, .notify = notify };
	struct gateway_socket socket = { .fd = -1, .directory = -1 };
	struct audit audit = { .fd = -1 };
	char error[ERROR_MAX] = "";

	int r = pidfile_write(&config->pidfiles, error, sizeof(error));
	if (r)
		return fail(error);
	r = audit_init((enum config_audit)config->audit, &audit);
	enum audit_state state = audit_query(&audit);
	audit_done(&audit);
	if (r == 0)
		r = check_audit(config, state, error);
	if (r == 0) {
		warn(config, state);
		r = socket_open(config, &socket, error, sizeof(error));
	}
	if (r == 0)
		r = listener_run(config, &socket, ready, &serving, error, sizeof(error));
	if (r == 0)
		record(config, false);
	pidfile_remove(&config->pidfiles);
	return r ? fail(error) : 0;
}

/*
 * Forks the process that will serve; the first one waits until it does, or
 * passes on its failure.
 */
static int detach(struct config *config)
{
	int status = 0;
	int pair[2];
	char byte;

	if (pipe2(pair, O_CLOEXEC))
		return fail("--detach: no pipe can be made");
	pid_t pid = fork();
	if (pid < 0)
		return fail("--detach: no process can be made");
	if (pid == 0) {
		close_fd(&pair[0]);
		(void)setsid(); /* cannot fail in a fork */
		return serve(config, pair[1]);
	}
	close_fd(&pair[1]);
	ssize_t got;
	do
		got = read(pair[0], &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_FAILURE;
}

static int check(const struct config *config)
{
	static const char *const audit_words[] = {
		[CONFIG_AUDIT_AUTO] = "records to the kernel where it audits, and to syslog",
		[CONFIG_AUDIT_REQUIRE] = "nothing runs without a record in the kernel",
		[CONFIG_AUDIT_OFF] = "records to syslog only",
	};
	char error[ERROR_MAX] = "";
	struct audit audit;

	if (!config->no_pam && listener_check(config, error, sizeof(error)))
		return fail(error);
	if (audit_init((enum config_audit)config->audit, &audit))
		return fail("no audit socket can be made");
	enum audit_state state = audit_query(&audit);
	audit_done(&audit);
	if (check_audit(config, state, error))
		return fail(error);
	config_print(config, stdout);
	(void)printf("  audit: %s; kernel auditing is %s\n", audit_words[config->audit],
		     audit_state_name(state)); /* checked by fflush(3) */
	return fflush(stdout) ? STATUS_FAILURE : 0;
}

static int run(char **argv)
{
	char error[ERROR_MAX] = "";
	struct config config;

	if (config_load(argv, &config, error, sizeof(error))) {
		(void)fprintf(stderr, "dived: %s (dived --help lists the options)\n", error);
		return STATUS_USAGE;
	}
	process_raise_nofile(); /* after config_load(), which keeps the limits for the programs */
	process_park(&config.inherited.directory);
	int status = 0;
	if (config.help)
		options_help(&config_table, stdout);
	else if (config.dump_options)
		options_dump(&config_table, stdout);
	else if (config.version)
		(void)printf("dived %s\n", DIVE_VERSION); /* checked below */
	else if (config.check)
		status = check(&config);
	else
		status = config.detach ? detach(&config) : serve(&config, -1);
	if ((config.help || config.dump_options || config.version) && fflush(stdout))
		status = STATUS_FAILURE;
	config_done(&config);
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 1 || fill_standard())
		return STATUS_FAILURE;
	closefrom(3); /* nothing that whoever started us left open is for us or our programs */
	log_open("dived", true, true);
	return run(argv);
}
