/*
 * What dive hands to the program.
 *
 * Everything is checked and encoded before dive connects, so that what cannot
 * be sent costs the server nothing and is explained here, where the names are
 * known.  Directories are sent as O_PATH descriptors: they name a place and give
 * no right to read it.  Nothing of the client is interpreted: what the server
 * does not want, it drops.
 */
#include "request.h"

#include "cleanup.h"
#include "deadline.h"
#include "parse.h"
#include "server.h"
#include "signals.h"
#include "terminal.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

int client_fds_list(struct client_fds *ret)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	int number;
	int err;

	if (directory == NULL)
		return -errno;
	ret->count = 0;
	ret->highest = -1;
	for (;;) {
		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			break;
		/* "." and ".." are no numbers; the listing itself was not inherited. */
		if (parse_fd(entry->d_name, INT_MAX, false, &number) != 0 ||
		    number == dirfd(directory))
			continue;
		if (ret->count < MESSAGE_FDS_MAX)
			ret->numbers[ret->count] = number;
		ret->count++;
		if (number > ret->highest)
			ret->highest = number;
	}
	err = -errno;
	(void)closedir(directory); /* only read */
	return err;
}

static int check_fds(const struct client_fds *fds, struct failure *failure)
{
	if (fds->count > MESSAGE_FDS_MAX)
		return failure_set(failure, STATUS_FAILURE,
				   "request: %zu descriptors are open and at most %d can be "
				   "passed; close some",
				   fds->count, MESSAGE_FDS_MAX);
	if (fds->highest >= MESSAGE_FD_LIMIT)
		return failure_set(failure, STATUS_FAILURE,
				   "request: descriptor %d (of %zu) is open and only numbers below "
				   "%d can be passed; close it",
				   fds->highest, fds->count, MESSAGE_FD_LIMIT);
	return 0;
}

static int open_directory(const char *variable, const char *path, int *ret, struct failure *failure)
{
	*ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	return failure_set(failure, STATUS_FAILURE,
			   "request: cannot open the directory %s (%s): %s", path, variable,
			   strerror(errno));
}

/* The server goes by the file that a terminal has of its own. */
static int open_by_name(struct client_request *request, struct failure *failure)
{
	int fd = terminal_open_own();

	if (fd < 0)
		return failure_set(
			failure, STATUS_FAILURE,
			"request: %s (DIVE_TERMINAL) is a terminal whose own file cannot "
			"be opened here: %s",
			getenv("DIVE_TERMINAL"), strerror(-fd));
	close_fd(&request->terminal);
	request->terminal = fd;
	request->terminal_given = -1;
	return 0;
}

static int open_terminal(const struct client_config *config, const struct client_fds *fds,
			 struct client_request *request, struct failure *failure)
{
	int fd = -1;

	if (config->terminal != NULL) {
		/* O_NOCTTY: dive only passes it on. */
		fd = request->terminal = open(config->terminal, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			return failure_set(
				failure, STATUS_FAILURE,
				"request: cannot open the terminal %s (DIVE_TERMINAL): %s",
				config->terminal, strerror(errno));
	} else if (config->terminal_fd >= 0) {
		/* Only an inherited one: the number may be one of dive's own by now. */
		for (size_t i = 0; i < fds->count && fd < 0; i++) {
			if (fds->numbers[i] == config->terminal_fd)
				fd = request->terminal_given = config->terminal_fd;
		}
		if (fd < 0)
			return failure_set(failure, STATUS_FAILURE,
					   "request: descriptor %d (DIVE_TERMINAL) is not open",
					   config->terminal_fd);
	}
	if (fd >= 0 && isatty(fd) == 0)
		return failure_set(failure, STATUS_FAILURE,
				   "request: %s (DIVE_TERMINAL) is no terminal",
				   getenv("DIVE_TERMINAL"));
	return fd >= 0 && terminal_is_indirect(fd) ? open_by_name(request, failure) : 0;
}

static int open_all(const struct client_config *config, const struct client_fds *fds,
		    struct client_request *request, struct failure *failure)
{
	const char *curdir = config->curdir != NULL ? config->curdir : ".";

	if (open_directory(config->curdir != NULL ? "DIVE_CURDIR"
						  : "the current one; DIVE_CURDIR can name another",
			   curdir, &request->curdir, failure) != 0)
		return FAILED;
	if (config->rootdir != NULL &&
	    open_directory("DIVE_ROOTDIR", config->rootdir, &request->rootdir, failure) != 0)
		return FAILED;
	if (open_terminal(config, fds, request, failure) != 0)
		return FAILED;
	if (pipe2(request->holders, O_CLOEXEC) != 0)
		return failure_set(failure, STATUS_FAILURE, "system: no pipe can be made: %s",
				   strerror(errno));
	return 0;
}

/* The environment without the variables that are dive's own; the array is malloc'ed. */
static int filter_environment(char *const *envp, char ***ret)
{
	size_t count = 0;
	char **kept;

	while (envp[count] != NULL)
		count++;
	kept = calloc(count + 1, sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	for (size_t i = 0, used = 0; i < count; i++) {
		if (strncmp(envp[i], "DIVE_", 5) != 0)
			kept[used++] = envp[i];
	}
	*ret = kept;
	return 0;
}

/* Adds the strings' sizes to *total; returns whether one is over the maximum, and says so. */
static bool check_strings(const char *what, char *const *strings, size_t *total,
			  struct failure *failure)
{
	for (size_t i = 0; strings[i] != NULL; i++) {
		size_t size = strlen(strings[i]) + 1;

		*total += size;
		if (size <= MESSAGE_STRING_MAX)
			continue;
		(void)failure_set(failure, STATUS_FAILURE,
				  "request: %s %.*s... has %zu bytes and one can have %d", what, 40,
				  strings[i], size, MESSAGE_STRING_MAX);
		return true;
	}
	return false;
}

static int explain_encoding(int err, char *const *argv, char *const *envp, struct failure *failure)
{
	size_t total = 0;

	if (err != -E2BIG)
		return failure_set(failure, STATUS_FAILURE, "request: cannot be made: %s",
				   strerror(-err));
	if (check_strings("the argument", argv, &total, failure) ||
	    check_strings("the environment variable", envp, &total, failure))
		return FAILED;
	if (total <= MESSAGE_STRINGS_MAX)
		return failure_set(failure, STATUS_FAILURE,
				   "request: arguments and environment are more than %d strings",
				   MESSAGE_WORDS_MAX);
	return failure_set(
		failure, STATUS_FAILURE,
		"request: arguments and environment have %zu bytes and at most %d can be "
		"sent",
		total, MESSAGE_STRINGS_MAX);
}

static uint32_t ignored_signals(void)
{
	uint32_t ignored = 0;

	if (signals_ignored(SIGHUP))
		ignored |= MESSAGE_IGNORED_HUP;
	if (signals_ignored(SIGINT))
		ignored |= MESSAGE_IGNORED_INT;
	if (signals_ignored(SIGQUIT))
		ignored |= MESSAGE_IGNORED_QUIT;
	return ignored;
}

static int encode(const struct client_config *config, const struct client_fds *fds,
		  char *const *envp, struct client_request *request, struct failure *failure)
{
	struct message_request fixed = { .flags = MESSAGE_REQUEST_CWD };
	cleanup_free char **kept = NULL;
	mode_t mask = umask(0); /* there is no way to read it without setting it */
	int err;

	(void)umask(mask); /* never fails */
	fixed.umask = mask & 0777;
	fixed.ignored = ignored_signals();
	terminal_choose(config, fds, &request->hello.flags, &fixed, &request->begun.shared);
	request->bare = (request->hello.flags & MESSAGE_HELLO_TTY) && !terminal_exists();
	request->begun.alike = fixed.flags & MESSAGE_REQUEST_MODES;
	request->begun.foreground = fixed.flags & MESSAGE_REQUEST_FOREGROUND;
	if (config->login != 0)
		fixed.flags |= MESSAGE_REQUEST_LOGIN;
	if (request->rootdir >= 0)
		fixed.flags |= MESSAGE_REQUEST_ROOT;
	if (request->terminal >= 0 || request->terminal_given >= 0)
		fixed.flags |= MESSAGE_REQUEST_TERMINAL;
	err = filter_environment(envp, &kept);
	if (err != 0)
		return failure_set(failure, STATUS_FAILURE, "system: %s", strerror(-err));
	err = message_put_request(fixed, config->argv, kept, &request->body, &request->body_len);
	if (err != 0)
		return explain_encoding(err, config->argv, kept, failure);
	return 0;
}

int client_request_prepare(const struct client_config *config, const struct client_fds *fds,
			   char *const *envp, struct client_request *request,
			   struct failure *failure)
{
	request->hello = (struct message_hello){
		.flags = config->non_interactive != 0 ? MESSAGE_HELLO_NON_INTERACTIVE : 0,
		.wait = config->wait,
		.forward = config->forward,
	};
	if (check_fds(fds, failure) != 0 || open_all(config, fds, request, failure) != 0)
		return FAILED;
	return encode(config, fds, envp, request, failure);
}

/* Whether the program is to have its new terminal, if it gets one, instead of this. */
static bool is_replaced(const struct client_request *request, int fd)
{
	return request->bare ? fd <= STDERR_FILENO : terminal_is_own(fd);
}

/* The inherited descriptors in batches, the pipe's write end last, at its own number. */
static int send_fds(const struct client_request *request, const struct client_fds *fds, int sock,
		    int64_t deadline)
{
	struct message_fd entries[PACKET_FDS_MAX];
	int batch[PACKET_FDS_MAX];
	size_t used = 0;
	int err;

	for (size_t i = 0; i <= fds->count; i++) {
		bool last = i == fds->count;

		batch[used] = last ? request->holders[1] : fds->numbers[i];
		entries[used].number = (uint32_t)batch[used];
		entries[used].flags = last				  ? MESSAGE_FD_WAIT
				      : is_replaced(request, batch[used]) ? MESSAGE_FD_TERMINAL
									  : 0;
		used++;
		if (!last && used < PACKET_FDS_MAX)
			continue;
		err = message_send(sock, deadline, MESSAGE_FDS, entries, used * sizeof(entries[0]),
				   NULL, 0, batch, used);
		if (err != 0)
			return err;
		used = 0;
	}
	return 0;
}

static int send_request(const struct client_request *request, int sock, int64_t deadline)
{
	int attached[3];
	size_t count = 0;

	/* In the order of the flags' bits. */
	attached[count++] = request->curdir;
	if (request->rootdir >= 0)
		attached[count++] = request->rootdir;
	if (request->terminal >= 0)
		attached[count++] = request->terminal;
	else if (request->terminal_given >= 0)
		attached[count++] = request->terminal_given;
	return message_send(sock, deadline, MESSAGE_REQUEST, request->body, request->body_len, NULL,
			    0, attached, count);
}

static int explain_send(int err, size_t count, struct failure *failure)
{
	switch (err) {
	case -ETOOMANYREFS:
		return failure_set(failure, STATUS_FAILURE,
				   "request: too many descriptors are on their way already to pass "
				   "%zu more; try again, close some or raise ulimit -n",
				   count);
	case -ETIMEDOUT:
		return failure_set(failure, STATUS_DROPPED,
				   "connection: the server did not take the request within %d s",
				   SERVER_SEND_MS / 1000);
	default:
		return failure_set(failure, STATUS_FAILURE, "request: cannot be sent: %s",
				   strerror(-err));
	}
}

int client_request_send(struct client_request *request, const struct client_fds *fds,
			const struct signals_hold *hold, int sock, struct failure *failure)
{
	int64_t deadline = deadline_after(SERVER_SEND_MS);
	int err;

	err = message_send(sock, deadline, MESSAGE_HELLO, &request->hello, sizeof(request->hello),
			   NULL, 0, NULL, 0);
	if (err == 0)
		err = send_fds(request, fds, sock, deadline);
	if (err == 0)
		err = send_request(request, sock, deadline);
	signals_hold(hold);
	if (err == 0)
		err = message_send(sock, deadline, MESSAGE_END, NULL, 0, NULL, 0, NULL, 0);
	/* From here on the program's side alone holds it. */
	close_fd(&request->holders[1]);
	if (err == 0 || err == -EPIPE || err == -ECONNRESET)
		return 0;
	return explain_send(err, fds->count, failure);
}

void client_request_done(struct client_request *request)
{
	close_fd(&request->curdir);
	close_fd(&request->rootdir);
	close_fd(&request->terminal);
	close_fd(&request->holders[0]);
	close_fd(&request->holders[1]);
	free_pointer(&request->body);
	*request = (struct client_request)CLIENT_REQUEST_EMPTY;
}
