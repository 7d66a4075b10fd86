/*
 * main - from argv to a gateway that serves, and the only place with exit statuses.
 *
 * Start-up errors are one line on standard error and status 4, also with
 * --detach: the process that was started waits for the one that serves.  With -i
 * standard error is the client, so the line goes to syslog.
 *
 * Four ways to serve: a listener (and behind it a template and sessions), one
 * client of a socket (-F), the client of an inetd (-i), and none (-J).  In the
 * last three this process is the session.
 */
#include "check.h"
#include "cleanup.h"
#include "config.h"
#include "control.h"
#include "gateway.h"
#include "holder.h"
#include "listen_fds.h"
#include "listener.h"
#include "log.h"
#include "notify.h"
#include "pidfile.h"
#include "process.h"
#include "recorder.h"
#include "sealed.h"
#include "service.h"
#include "single.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_FAILURE 1
#define STATUS_USAGE   4
#define ERROR_MAX      1024

/* For dived alone: whatever it starts must not take itself for the service. */
static const char *const manager_variables[] = { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
						 "NOTIFY_SOCKET" };

/* What this process was started with, apart from argv. */
struct inherited {
	struct process_fds fds; /* from 3 up */
	int conn;		/* -i: what was descriptor 0; -1 for none */
};

/* What a way to serve needs, and what it comes to. */
struct serving {
	struct config *config;
	struct namespaces namespaces;
	struct service service; /* where this process is the session */
	struct notify notify;	/* the same; a listener has its own */
	struct session_result result;
	int recorder;  /* records if this process, as the session, dies; -1 for none */
	int waiting;   /* a byte here says that the gateway serves; -1 without --detach */
	bool started;  /* it has served */
	bool recorded; /* its stop will be recorded in the kernel by the recorder */
	char error[ERROR_MAX];
};

static int fail(const struct config *config, const char *error)
{
	if (config->mode == CONFIG_MODE_INETD)
		log_error("%s", error);
	else
		(void)fprintf(stderr, "dived: %s\n", error); /* nowhere else to say it */
	return STATUS_USAGE;
}

/* --- before anything is served ------------------------------------------------ */

/* Everything but the socket, in the order in which it can fail without a trace. */
static int prepare(struct serving *serving)
{
	struct config *config = serving->config;
	bool single = config->mode != CONFIG_MODE_LISTEN;
	int r = gateway_check_place(config, serving->error, ERROR_MAX);

	if (r == 0)
		r = gateway_tie(config, &serving->namespaces, serving->error, ERROR_MAX);
	/* Before any other process is made: a cgroup named here holds them all. */
	if (r == 0)
		r = pidfile_write(&config->pidfiles, serving->error, ERROR_MAX);
	if (r == 0)
		r = gateway_check_cgroup(config, serving->error, ERROR_MAX);
	if (r == 0 && !gateway_is_unrecorded(config))
		r = gateway_check_audit(config, true, NULL, serving->error, ERROR_MAX);
	if (r == 0 && config->unshare)
		r = holder_start(config, single, config->namespaces, serving->error, ERROR_MAX);
	if (r == 0)
		r = gateway_check_maps(config, serving->error, ERROR_MAX);
	return r;
}

/* Before PAM is called for a client (-1: nobody's), or loaded where he is here already. */
static int start_recorder(struct serving *serving, int conn)
{
	return recorder_start(serving->config, conn, &serving->recorder, serving->error, ERROR_MAX);
}

/*
 * Where this process will be the session: PAM.  With -F there is no client yet, and the
 * service is tried by another process: libpam writes a record of a failure for a handle that
 * has not been used.  Where children are in another pid namespace the first is the program.
 */
static int prepare_single(struct serving *serving, int conn)
{
	const struct config *config = serving->config;
	bool once = config->mode == CONFIG_MODE_ONCE;
	int r = prepare(serving);

	if (r == 0 && !once)
		r = start_recorder(serving, conn);
	if (r)
		return r;
	(void)clearenv(); /* modules see none of it; config keeps a copy */
	if (once && !config->no_pam && !process_forks_elsewhere(true))
		return listener_check(config, serving->error, ERROR_MAX);
	service_load(serving->config, &serving->service);
	if (!serving->service.broken)
		return 0;
	(void)snprintf(serving->error, ERROR_MAX, "--pam-service %s: %s",
		       serving->config->pam_service, serving->service.text);
	return -EINVAL;
}

/* The gateway serves: standard descriptors are let go of, and whoever waits is told. */
static void ready(void *context)
{
	struct serving *serving = context;
	char byte = 0;

	gateway_record(serving->config, true, GATEWAY_BOTH);
	serving->started = true;
	if (serving->waiting < 0)
		return;
	process_detach();
	if (write(serving->waiting, &byte, 1) < 0)
		log_warning("%s: the process that started the gateway has gone",
			    serving->config->address);
	close_fd(&serving->waiting);
}

/* What is left of the gateway goes; `r` is what it came to.  Return: exit status. */
static int finish(struct serving *serving, int r)
{
	if (serving->started && !serving->recorded)
		gateway_record(serving->config, false, GATEWAY_BOTH);
	/* Where there is a recorder still: no session was begun, and none was lost. */
	(void)control_tell(serving->recorder, CONTROL_DONE, 0);
	close_fd(&serving->recorder);
	pidfile_remove(&serving->config->pidfiles);
	service_done(&serving->service);
	namespaces_done(&serving->namespaces);
	serving->config->namespaces = NULL;
	return r ? fail(serving->config, serving->error) : 0;
}

/* --- the ways to serve ---------------------------------------------------------- */

/* Serves one client, who may be nobody (-J), in this process. */
static void run_session(struct serving *serving, int conn, int *messages)
{
	struct session_input input = {
		.config = serving->config,
		.conn = conn,
		.control = -1,
		.recorder = serving->recorder,
		.occupied = serving->service.occupied,
		.pamh = serving->service.pamh,
		.broken = serving->service.broken ? serving->service.text : NULL,
		.messages = messages,
	};

	/* As the first process of a pid namespace we take the recorder along. */
	serving->recorded = serving->started && serving->recorder >= 0 && getpid() != 1 &&
			    control_tell(serving->recorder, CONTROL_SERVING, 0) == 0;
	if (conn >= 0)
		process_leave_terminal();
	session_run(&input, &serving->result);
	if (serving->recorded)
		recorder_stop(serving->recorder, serving->config);
	if (serving->result.took_pam)
		serving->service.pamh = NULL; /* the session has ended it */
	serving->service.occupied = 0;	      /* and let go of these */
	close_fd(&serving->recorder);	      /* it has been told, or has something to say */
}

static int open_socket(struct serving *serving, struct gateway_sockets *sockets)
{
	int r = 0;

	if (serving->config->listen_fds)
		return 0;
	r = socket_open(serving->config, &sockets->items[0], serving->error, ERROR_MAX);
	sockets->count = r == 0;
	return r;
}

static int serve_many(struct serving *serving, struct gateway_sockets *sockets)
{
	int r = prepare(serving);

	if (r == 0)
		r = open_socket(serving, sockets);
	if (r == 0)
		r = listener_run(serving->config, sockets, ready, serving, serving->error,
				 ERROR_MAX);
	return finish(serving, r);
}

/* An edit of the service takes effect at once, as with a listener, also a broken one. */
static void renew_service(struct serving *serving)
{
	service_reload(serving->config, &serving->service);
	if (serving->service.broken)
		log_error("%s: authentication is not available: %s", serving->config->address,
			  serving->service.text);
}

static int serve_once(struct serving *serving, struct gateway_sockets *sockets)
{
	struct config *config = serving->config;
	struct single single = { .signals = -1 };
	int conn = -1;
	int r = prepare_single(serving, -1);

	if (r == 0)
		r = single_open(&single, serving->error, ERROR_MAX);
	if (r == 0)
		r = open_socket(serving, sockets);
	if (r == 0) {
		(void)notify_open(config->inherited.environment,
				  &serving->notify); /* see notify.h */
		ready(serving);
		(void)notify_ready(&serving->notify, config->detach != 0, "serving");
		conn = single_accept(&single, config, sockets, &serving->notify);
	}
	if (conn >= 0 && (r = start_recorder(serving, conn)) == 0) {
		renew_service(serving);
		run_session(serving, conn, NULL);
	}
	(void)notify_stopping(&serving->notify);
	notify_done(&serving->notify);
	int status = finish(serving, r);
	if (conn >= 0 && r) /* after the stop, which is not the client's */
		single_refuse((enum config_audit)config->audit, conn, serving->error,
			      SINGLE_CANNOT_SERVE);
	return conn < 0 || r ? status : single_pass_on(&serving->result);
}

static int serve_inetd(struct serving *serving, int conn)
{
	char name[SOCKET_NAME_SIZE];
	int r = 0;

	/* In every record, prompt and variable: the socket that the client came by.  One end of
	   a socket pair, which --allow-insecure lets through, has none. */
	if (conn >= 0 && socket_name(conn, name) == 0)
		serving->config->address = name;
	if (conn < 0) {
		(void)snprintf(serving->error, ERROR_MAX,
			       "-i: descriptor 0 is not a connection of a UNIX stream socket");
		return fail(serving->config, serving->error);
	}
	r = single_judge(serving->config, conn, serving->error, ERROR_MAX);
	if (r)
		return fail(serving->config, serving->error);
	r = prepare_single(serving, conn);
	if (r == 0) {
		ready(serving);
		run_session(serving, conn, NULL);
	} else {
		single_refuse((enum config_audit)serving->config->audit, conn, serving->error,
			      SINGLE_CANNOT_SERVE);
	}
	int status = finish(serving, r);
	serving->config->address = "-i"; /* `name` ends here */
	return status ? status : single_pass_on(&serving->result);
}

static int execute(struct serving *serving, const struct inherited *inherited)
{
	struct config *config = serving->config;
	cleanup_fd int messages = process_copy_up(2);
	int r = single_take_descriptors(config, &inherited->fds, serving->error, ERROR_MAX);

	/* Standard error is the program's: only what keeps it from running is said there. */
	log_open("dived", false, !config->no_pam);
	if (r == 0)
		r = prepare_single(serving, -1);
	if (r)
		return finish(serving, r);
	if (!config->no_pam)
		ready(serving);
	run_session(serving, -1, &messages);
	if (!serving->result.ran)
		(void)dprintf(messages, "dived: %s\n", serving->result.fault.text); /* or nowhere */
	(void)finish(serving, 0);
	return single_pass_on(&serving->result);
}

static int serve(struct serving *serving, struct gateway_sockets *sockets)
{
	return serving->config->mode == CONFIG_MODE_ONCE ? serve_once(serving, sockets)
							 : serve_many(serving, sockets);
}

/*
 * Forks the process that will serve; the first one waits until it does, or
 * passes on its failure.
 */
static int detach(struct serving *serving, struct gateway_sockets *sockets)
{
	int status = 0;
	int pair[2];
	char byte;

	if (pipe2(pair, O_CLOEXEC))
		return fail(serving->config, "--detach: no pipe can be made");
	pid_t pid = fork();
	if (pid < 0)
		return fail(serving->config, "--detach: no process can be made");
	if (pid == 0) {
		close_fd(&pair[0]);
		(void)setsid(); /* cannot fail in a fork */
		serving->waiting = pair[1];
		return serve(serving, sockets);
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
	/* It may have been told to stop before it served, which is no success of ours. */
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : STATUS_FAILURE;
}

static int check(struct config *config)
{
	char error[ERROR_MAX];

	if (check_gateway(config, stdout, error, sizeof(error))) {
		(void)fprintf(stderr, "dived: %s\n", error); /* as fail() */
		return STATUS_USAGE;
	}
	return fflush(stdout) ? STATUS_FAILURE : 0; /* which says how all of it went */
}

/* --- argv ------------------------------------------------------------------------- */

static int start(struct config *config, const struct inherited *inherited)
{
	struct serving serving = { .config = config,
				   .namespaces = NAMESPACES_NONE,
				   .notify = NOTIFY_NONE,
				   .recorder = -1,
				   .waiting = -1 };
	char label[LISTEN_FDS_LABEL_SIZE];
	struct gateway_sockets sockets = { .count = 0 };

	if (config->mode == CONFIG_MODE_EXECUTE)
		return execute(&serving, inherited);
	/* Before any fork: the sockets are for the process that was started. */
	if (config->listen_fds &&
	    listen_fds_take(config, &sockets, label, serving.error, ERROR_MAX))
		return fail(config, serving.error);
	process_close_fds(&inherited->fds, 3 + (int)sockets.count);
	if (config->mode == CONFIG_MODE_INETD)
		return serve_inetd(&serving, inherited->conn);
	return config->detach ? detach(&serving, &sockets) : serve(&serving, &sockets);
}

/* Before there is a config. */
static int complain(const struct inherited *inherited, const char *error)
{
	if (inherited->conn < 0) {
		(void)fprintf(stderr, "dived: %s (dived --help lists the options)\n", error);
	} else {
		log_error("%s", error);
		/* Without a config there is no --audit either. */
		single_refuse(CONFIG_AUDIT_AUTO, inherited->conn, error, SINGLE_CANNOT_SERVE);
	}
	return STATUS_USAGE;
}

static int run(char **argv, const struct inherited *inherited)
{
	char error[ERROR_MAX] = "";
	struct config config;

	if (config_load(argv, &config, error, sizeof(error)))
		return complain(inherited, error);
	process_raise_nofile(); /* after config_load(), which keeps the limits for the programs */
	for (size_t i = 0; i < ARRAY_LEN(manager_variables); i++)
		(void)unsetenv(manager_variables[i]); /* config keeps a copy */
	process_park(&config.inherited.directory);
	process_park(&config.cgroup_fd);
	process_park(&config.root_fd);
	int status = 0;
	if (config.help)
		config_help(stdout);
	else if (config.dump_options)
		options_dump(&config_table, stdout);
	else if (config.version)
		(void)printf("dived %s\n", DIVE_VERSION); /* checked below */
	else if (config.check)
		status = check(&config);
	else
		status = start(&config, inherited);
	if ((config.help || config.dump_options || config.version) && fflush(stdout))
		status = STATUS_FAILURE;
	config_done(&config);
	return status;
}

/* Whether standard output and error are a client: before anything is said there. */
static bool is_inetd(char *const *argv)
{
	struct stat info;

	for (size_t i = 1; argv[i] && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-i") == 0 || strncmp(argv[i], "--inetd", 7) == 0)
			return fstat(0, &info) == 0 && S_ISSOCK(info.st_mode);
	return false;
}

int main(int argc, char **argv)
{
	struct inherited inherited = { .conn = -1 };
	bool inetd = argc > 0 && is_inetd(argv);
	char error[ERROR_MAX];

	if (argc < 1)
		return STATUS_FAILURE;
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, it would take the program's status away */
	int sealed = sealed_execute(argv, error, sizeof(error));
	if (process_fill_standard())
		return STATUS_FAILURE;
	/* What whoever started us left open is for us with --listen-fds and -J only. */
	if (process_list_fds(&inherited.fds))
		closefrom(3);
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* Linux 5.11; modules' helpers get less */
	log_open("dived", true, true);
	if (inetd) {
		inherited.conn = fcntl(0, F_DUPFD_CLOEXEC, 3);
		if (inherited.conn < 0)
			return STATUS_FAILURE;
		process_park(&inherited.conn);
		process_detach();
	}
	int status = sealed ? complain(&inherited, error) : run(argv, &inherited);
	free(inherited.fds.list);
	return status;
}
