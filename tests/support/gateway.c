/*
 * gateway - a `dived` for a test.
 *
 * Readiness is found out without connecting.  A connection would be a client
 * like any other: it would use up the one client of `-F`, count against quotas,
 * start a session and leave records that tests then have to tell from their own.
 */
#include "gateway.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define START_MS      20000
#define STOP_MS	      20000
#define EXPECT_MS     10000
#define LOOK_MS	      5
#define WORDS_MAX     128
#define LISTENERS_MAX 16
#define SOCKETS_MAX   32
#define FOREVER_MS    600000	   /* a gateway has no deadline of its own */
#define LISTENING     " 00010000 " /* __SO_ACCEPTCON in the flags of /proc/net/unix */

/* Sockets of one name, by their inodes in the kernel's table. */
struct listeners {
	uint64_t inodes[LISTENERS_MAX];
	size_t count;
};

/* What the command line says that matters here. */
struct wishes {
	bool address;
	bool mode;
	bool detach;
};

static struct wishes find_wishes(const char *const *options)
{
	struct wishes wishes = { .address = *options && (**options == '/' || **options == '@') };

	for (; *options && strcmp(*options, "--") != 0; options++) {
		if (strcmp(*options, "-C") == 0 || strncmp(*options, "--chmod", 7) == 0)
			wishes.mode = true;
		if (strcmp(*options, "-d") == 0 || strcmp(*options, "--detach") == 0)
			wishes.detach = true;
	}
	return wishes;
}

/* Appends words; `words` keeps a NULL at its end. */
static void add(const char **words, const char *word)
{
	size_t count = 0;

	while (words[count])
		count++;
	assert_in_range(count, 0, WORDS_MAX - 2);
	words[count] = word;
}

static void choose_names(struct gateway *ret, const char *const *options, bool given, char *pidfile,
			 size_t size)
{
	static unsigned serial;

	serial++;
	/* All short; an address too long is cut here and refused by dived as it was given. */
	/* With our pid: /proc/net/unix shows those of all sandboxes, which run side by side. */
	(void)snprintf(ret->address, sizeof(ret->address), "%s/gateway%u-%d.sock", sandbox_dir(),
		       serial, (int)getpid());
	if (given)
		(void)snprintf(ret->address, sizeof(ret->address), "%s", options[0]);
	(void)snprintf(ret->notify_path, sizeof(ret->notify_path), "%s/notify%u", sandbox_dir(),
		       serial);
	(void)snprintf(pidfile, size, "%s/gateway%u.pid", sandbox_dir(), serial);
}

static int open_notify(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = MUST_INT(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	assert_in_range(strlen(path), 1, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	MUST(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	MUST(chmod(path, 0666)); /* for a dived that is not root */
	return fd;
}

/*
 * Finds the sockets of this name that listen.  There can be several: one that was
 * unlinked is listed until the last process that holds it has ended.
 */
static struct listeners find_listeners(const char *address)
{
	struct listeners found = { 0 };
	cleanup_free char *line = NULL;
	size_t size = 0;
	FILE *table = fopen("/proc/net/unix", "re");

	MUST_POINTER(table);
	while (getline(&line, &size, table) > 0) {
		char *name = strrchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (!name || strcmp(name + 1, address) != 0 || !strstr(line, LISTENING))
			continue;
		*name = '\0';
		assert_in_range(found.count, 0, LISTENERS_MAX - 1);
		assert_int_equal(parse_uint(strrchr(line, ' ') + 1, 0, UINT32_MAX,
					    &found.inodes[found.count++]),
				 0);
	}
	(void)fclose(table); /* read only */
	return found;
}

/* Returns whether a socket of this name listens that was not there before. */
static bool listens(const char *address, const struct listeners *before)
{
	struct listeners now = find_listeners(address);

	for (size_t i = 0; i < now.count; i++) {
		size_t j = 0;

		while (j < before->count && before->inodes[j] != now.inodes[i])
			j++;
		if (j == before->count)
			return true;
	}
	return false;
}

/* Takes one notification; returns whether there was one that holds the text. */
static bool notified(int fd, const char *text)
{
	char buffer[1024];
	ssize_t len = recv(fd, buffer, sizeof(buffer) - 1, 0);

	if (len < 0)
		return false;
	buffer[len] = '\0';
	return strstr(buffer, text) != NULL;
}

static void fail_with_log(struct gateway *gateway, const char *what)
{
	char text[8192];

	(void)snprintf(text, sizeof(text), "%s", gateway_log(gateway)); /* enough to see */
	gateway_kill(gateway);
	FAIL("%s; dived said:\n%s", what, text);
}

static void await_ready(struct gateway *gateway, const struct listeners *before)
{
	int64_t deadline = deadline_after(START_MS);

	while (!notified(gateway->notify, "READY=1") &&
	       !(before && listens(gateway->address, before))) {
		if (deadline_poll(gateway->run.pidfd, POLLIN, deadline_after(LOOK_MS)) == 0) {
			run_wait(&gateway->run);
			fail_with_log(gateway, "dived ended before it served");
		}
		if (deadline_passed(deadline))
			fail_with_log(gateway, "dived does not serve");
	}
}

/* With -d: the process started ends with 0 when the one that stays serves. */
static void await_detached(struct gateway *gateway, const char *pidfile)
{
	char text[32] = "";
	cleanup_fd int fd = -1;

	run_wait(&gateway->run);
	if (gateway->run.status != 0)
		fail_with_log(gateway, "dived -d failed");
	fd = MUST_INT(open(pidfile, O_RDONLY | O_CLOEXEC));
	MUST(read(fd, text, sizeof(text) - 1));
	text[strcspn(text, "\n")] = '\0';
	assert_int_equal(parse_pid(text, &gateway->pid), 0);
	gateway->pidfd = MUST_INT(pidfd_open(gateway->pid, 0));
}

/* Fills envp: base (or a small default), NOTIFY_SOCKET, sanitizer options. */
static void make_environment(const char *const *base, const char *notify, const char **envp)
{
	static const char *const standard[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		NULL
	};
	static const char *const passed[] = { "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=" };

	for (const char *const *next = base ? base : standard; *next; next++)
		add(envp, *next);
	add(envp, notify);
	for (char **next = environ; *next; next++)
		for (size_t i = 0; i < ARRAY_LEN(passed); i++)
			if (strncmp(*next, passed[i], strlen(passed[i])) == 0)
				add(envp, *next);
}

/*
 * Starts it and waits until it serves, which only the notification tells.  `before`: who
 * listens at its address already, where another is notified; a new socket is bound before
 * all else is ready.
 */
static void launch(struct gateway *ret, struct run_options *command, const struct listeners *before,
		   const char *pidfile)
{
	command->deadline_ms = pidfile ? START_MS : FOREVER_MS;
	run_start(&ret->run, command);
	ret->pid = ret->run.pid;
	if (pidfile) {
		await_detached(ret, pidfile);
		return;
	}
	ret->pidfd = MUST_INT(fcntl(ret->run.pidfd, F_DUPFD_CLOEXEC, 3));
	await_ready(ret, before);
}

static bool notifies_another(const char *const *envp)
{
	for (; envp && *envp; envp++)
		if (strncmp(*envp, "NOTIFY_SOCKET=", 14) == 0)
			return true;
	return false;
}

void gateway_start_with(struct gateway *ret, const struct run_options *base,
			const char *const *options)
{
	struct wishes wishes = find_wishes(options);
	struct run_options command = *base;
	const char *argv[WORDS_MAX] = { sandbox_dived() };
	const char *envp[WORDS_MAX] = { NULL };
	struct listeners before;
	char pidfile[128];
	char notify[128];

	if (access(sandbox_dived(), X_OK) < 0)
		FAIL("dived has not been built: %s", DIVED_PROGRAM);
	*ret = (struct gateway){ .pidfd = -1, .notify = -1 };
	choose_names(ret, options, wishes.address, pidfile, sizeof(pidfile));
	add(argv, wishes.address ? *options++ : ret->address);
	if (!wishes.mode) {
		add(argv, "-C");
		add(argv, "0666");
	}
	if (wishes.detach) {
		add(argv, "-p");
		add(argv, pidfile);
	}
	while (*options)
		add(argv, *options++);
	ret->notify = open_notify(ret->notify_path);
	(void)snprintf(notify, sizeof(notify), "NOTIFY_SOCKET=%s", ret->notify_path); /* fits */
	make_environment(base->envp, notify, envp);
	command.argv = argv;
	command.envp = envp;
	before = find_listeners(ret->address);
	launch(ret, &command, notifies_another(base->envp) ? &before : NULL,
	       wishes.detach ? pidfile : NULL);
}

void gateway_start(struct gateway *ret, const char *const *options)
{
	gateway_start_with(ret, &(struct run_options){ 0 }, options);
}

/* The process id is known in the process only: a shell sets it, and becomes dived. */
#define ACTIVATE "export LISTEN_PID=${LISTEN_PID-$$}; exec \"$0\" \"$@\""

struct activation {
	struct run_options command;
	struct run_fd fds[SOCKETS_MAX];
	const char *argv[WORDS_MAX];
	const char *envp[WORDS_MAX];
	char notify[128];
	char count[32];
};

static void activate(struct activation *ret, const struct run_options *base, const char *notify,
		     const int *sockets, size_t count, const char *const *options)
{
	assert_in_range(count + base->fd_count, 0, SOCKETS_MAX);
	*ret = (struct activation){
		.command = *base, .argv = { "sh", "-c", ACTIVATE, sandbox_dived(), "--listen-fds" }
	};
	while (*options)
		add(ret->argv, *options++);
	(void)snprintf(ret->notify, sizeof(ret->notify), "NOTIFY_SOCKET=%s", notify); /* fits */
	make_environment(base->envp, ret->notify, ret->envp);
	(void)snprintf(ret->count, sizeof(ret->count), "LISTEN_FDS=%zu", count); /* fits */
	add(ret->envp, ret->count);
	for (size_t i = 0; i < count; i++)
		ret->fds[i] = (struct run_fd){ sockets[i], 3 + (int)i };
	for (size_t i = 0; i < base->fd_count; i++)
		ret->fds[count++] = base->fds[i];
	ret->command.argv = ret->argv;
	ret->command.envp = ret->envp;
	ret->command.fds = ret->fds;
	ret->command.fd_count = count;
}

/* The name of a listening socket, as dive takes it. */
static void read_name(int socket, char *buffer, size_t size)
{
	struct sockaddr_un address = { 0 };
	socklen_t len = sizeof(address);
	size_t head = offsetof(struct sockaddr_un, sun_path);

	MUST(getsockname(socket, (struct sockaddr *)&address, &len));
	(void)snprintf(buffer, size, "%.*s", (int)(len - head), address.sun_path);
	if (len > head && address.sun_path[0] == '\0')
		(void)snprintf(buffer, size, "@%.*s", (int)(len - head - 1), address.sun_path + 1);
}

void gateway_start_passed(struct gateway *ret, const struct run_options *base, const int *sockets,
			  size_t count, const char *const *options)
{
	struct wishes wishes = find_wishes(options);
	const char *argv[WORDS_MAX] = { NULL };
	struct activation activation;
	char pidfile[128];

	*ret = (struct gateway){ .pidfd = -1, .notify = -1 };
	choose_names(ret, options, false, pidfile, sizeof(pidfile));
	read_name(sockets[0], ret->address, sizeof(ret->address));
	ret->notify = open_notify(ret->notify_path);
	if (wishes.detach) {
		add(argv, "-p");
		add(argv, pidfile);
	}
	while (*options)
		add(argv, *options++);
	activate(&activation, base, ret->notify_path, sockets, count, argv);
	launch(ret, &activation.command, NULL, wishes.detach ? pidfile : NULL);
}

static void release(struct gateway *gateway)
{
	run_done(&gateway->run);
	close_fd(&gateway->pidfd);
	close_fd(&gateway->notify);
	(void)unlink(gateway->notify_path); /* the sandbox goes away with it */
	*gateway = (struct gateway){ .pidfd = -1, .notify = -1, .run.pidfd = -1 };
}

void gateway_stop(struct gateway *gateway)
{
	bool detached = gateway->pid != gateway->run.pid;

	if (gateway->pid <= 0)
		return;
	if (!gateway->run.ended || detached)
		gateway_signal(gateway, SIGTERM);
	if (deadline_poll(gateway->pidfd, POLLIN, deadline_after(STOP_MS)) < 0)
		fail_with_log(gateway, "dived did not end on SIGTERM");
	if (detached) /* as an orphan it has become our child */
		MUST(waitpid(gateway->pid, &gateway->run.status, 0));
	else
		run_wait(&gateway->run);
	if (gateway->run.status != 0)
		fail_with_log(gateway, "dived did not end with status 0");
	if (strstr(gateway_log(gateway), "Sanitizer") ||
	    strstr(gateway_log(gateway), "runtime error:"))
		fail_with_log(gateway, "a sanitizer has found something");
	release(gateway);
}

void gateway_kill(struct gateway *gateway)
{
	if (gateway->pid <= 0)
		return;
	if (gateway->pidfd >= 0)
		(void)pidfd_send_signal(gateway->pidfd, SIGKILL, NULL, 0); /* may have ended */
	release(gateway);
}

void gateway_signal(const struct gateway *gateway, int signal)
{
	MUST(pidfd_send_signal(gateway->pidfd, signal, NULL, 0));
}

void gateway_freeze(const struct gateway *gateway)
{
	siginfo_t info;

	gateway_signal(gateway, SIGSTOP);
	MUST(waitid(P_PIDFD, (id_t)gateway->pidfd, &info, WSTOPPED));
}

const char *gateway_log(struct gateway *gateway)
{
	run_read(&gateway->run);
	return gateway->run.err;
}

void gateway_expect_log(struct gateway *gateway, const char *text)
{
	int64_t deadline = deadline_after(EXPECT_MS);

	while (!strstr(gateway_log(gateway), text)) {
		if (deadline_passed(deadline))
			FAIL("not in the log: \"%s\"; dived said:\n%s", text, gateway_log(gateway));
		(void)poll(NULL, 0, LOOK_MS); /* a file in memory cannot be polled */
	}
}

void gateway_expect_notify(struct gateway *gateway, const char *text)
{
	int64_t deadline = deadline_after(EXPECT_MS);

	do {
		if (deadline_poll(gateway->notify, POLLIN, deadline) < 0)
			FAIL("no notification \"%s\"", text);
	} while (!notified(gateway->notify, text));
}

static void expect_refusal(const struct run_options *options, const char *text)
{
	struct run command;

	run(&command, options);
	run_assert_status(&command, 4);
	assert_string_equal(command.out, "");
	if (!strstr(command.err, text))
		FAIL("\"%s\" is not in:\n%s", text, command.err);
	run_done(&command);
}

void gateway_expect_refusal(const char *const *options, const char *text)
{
	const char *argv[WORDS_MAX] = { sandbox_dived() };

	while (*options)
		add(argv, *options++);
	expect_refusal(&(struct run_options){ .argv = argv }, text);
}

void gateway_expect_passed_refusal(const struct run_options *base, const int *sockets, size_t count,
				   const char *const *options, const char *text)
{
	struct activation activation;

	activate(&activation, base, "/nonexistent", sockets, count, options);
	expect_refusal(&activation.command, text);
}

void gateway_expect_served(const struct gateway *gateway, const char *account, const char *target)
{
	struct run dive;
	char line[64];

	(void)snprintf(line, sizeof(line), "%s\n", target); /* fits */
	run_dive(&dive, &(struct run_options){ .account = account }, gateway,
		 RUN_WORDS("-n", "id", "-un"));
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, line);
	run_done(&dive);
}
