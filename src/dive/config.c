/*
 * The option table of dive, and the DIVE_* variables.
 *
 * Every variable is checked whether or not it will matter in this run, so that a
 * mistake shows at once and not on the day it counts.  Nothing is opened here and
 * nothing is taken from files, except DIVE_SERVER_USER's name from the name
 * service: which listener is trusted has to be known before connecting.
 */
#include "config.h"

#include "cleanup.h"
#include "parse.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define FLAG(heading, letter, name, field, sentence)                                               \
	{                                                                                          \
		.group = heading, .short_name = letter, .long_name = name, .type = OPTION_FLAG,    \
		.offset = offsetof(struct client_config, field), .value = 1, .help = sentence      \
	}

static const struct option_row rows[] = {
	FLAG("Prompts", "n", "non-interactive", non_interactive,
	     "never prompt: if the server asks for anything, fail at once"),
	FLAG("Prompts", "S", "stdin", from_stdin,
	     "read answers from standard input, one line each; no terminal is touched"),
	FLAG("Prompts", "A", "askpass", askpass,
	     "get answers from the program named in DIVE_ASKPASS"),
	FLAG("Program", "t", "tty", tty,
	     "give the program a new terminal, or fail; without a terminal of dive's own it is "
	     "standard input and output"),
	FLAG("Program", "T", "no-tty", no_tty,
	     "give the program no new terminal: it has dive's descriptors as they are"),
	FLAG("Program", "l", "login", login,
	     "a login shell, in the target's home; with a program, the shell runs it"),
	FLAG("Information", "V", "version", version, "print the version and exit"),
	FLAG("Information", "h", "help", help, "print this text and exit"),
	{ .long_name = "dump-options",
	  .type = OPTION_FLAG,
	  .offset = offsetof(struct client_config, dump),
	  .value = 1,
	  .help = "print the option table, for the checks of man page and completion",
	  .hidden = true },
};

const struct option_table client_options = {
	.program = "dive",
	.usage = "dive [options] ADDRESS [program [arguments...]]",
	.about = "Run a program on the other side of the gateway that dived serves at ADDRESS, a "
		 "socket path, or @name for an abstract socket; without a program, the target's "
		 "login shell. Environment: DIVE_CURDIR, DIVE_ROOTDIR, DIVE_TERMINAL, "
		 "DIVE_WAITMODE, DIVE_SIGFWMODE, DIVE_ASKPASS, DIVE_SERVER_USER; see dive(1).",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.options_first = true,
};

static int load_directory(const char *name, const char **field, struct failure *failure)
{
	const char *text = getenv(name);

	if (text != NULL && text[0] == '\0')
		return failure_usage(failure, "%s is empty; name a directory or unset it", name);
	*field = text;
	return 0;
}

static int load_mode(const char *name, unsigned *ret, struct failure *failure)
{
	const char *text = getenv(name);
	uint64_t value = 0;

	if (text == NULL)
		return 0;
	if (parse_uint(text, 0, 2, &value) != 0)
		return failure_usage(failure, "%s is '%s', not 0, 1 or 2", name, text);
	*ret = (unsigned)value;
	return 0;
}

static int load_terminal(struct client_config *config, struct failure *failure)
{
	const char *text = getenv("DIVE_TERMINAL");

	config->terminal_set = text != NULL;
	if (text != NULL && config->tty != 0)
		return failure_usage(failure, "%s excludes DIVE_TERMINAL", "-t");
	if (text == NULL || text[0] == '\0')
		return 0;
	if (text[0] != '@') {
		config->terminal = text;
		return 0;
	}
	if (parse_fd(text + 1, MESSAGE_FD_LIMIT - 1, true, &config->terminal_fd) != 0)
		return failure_usage(failure,
				     "DIVE_TERMINAL is '%s', where the descriptor after @ is not "
				     "-1 or 0 to %d",
				     text, MESSAGE_FD_LIMIT - 1);
	return 0;
}

static int load_askpass(struct client_config *config, struct failure *failure)
{
	const char *text = getenv("DIVE_ASKPASS");

	if (text != NULL && text[0] != '/')
		return failure_usage(failure, "DIVE_ASKPASS is '%s', not an absolute path", text);
	if (text == NULL && config->askpass != 0)
		return failure_usage(failure, "%s needs the path of a program in DIVE_ASKPASS",
				     "--askpass");
	config->askpass_program = text;
	return 0;
}

static int load_server_user(struct client_config *config, struct failure *failure)
{
	const char *text = getenv("DIVE_SERVER_USER");
	const struct passwd *entry = NULL;

	if (text == NULL)
		return 0;
	if (parse_is_number(text)) {
		if (parse_id(text, &config->server_uid) != 0)
			return failure_usage(failure, "DIVE_SERVER_USER is '%s', not a user id",
					     text);
	} else {
		if (text[0] != '\0')
			entry = getpwnam(text);
		if (entry == NULL)
			return failure_usage(
				failure, "DIVE_SERVER_USER is '%s', which is no known user", text);
		config->server_uid = entry->pw_uid;
	}
	config->has_server_uid = true;
	return 0;
}

static int load_environment(struct client_config *config, struct failure *failure)
{
	unsigned wait = MESSAGE_WAIT_EXIT;
	unsigned forward = MESSAGE_FORWARD_PROGRAM;

	if (load_directory("DIVE_CURDIR", &config->curdir, failure) != 0 ||
	    load_directory("DIVE_ROOTDIR", &config->rootdir, failure) != 0 ||
	    load_terminal(config, failure) != 0 ||
	    load_mode("DIVE_WAITMODE", &wait, failure) != 0 ||
	    load_mode("DIVE_SIGFWMODE", &forward, failure) != 0 ||
	    load_askpass(config, failure) != 0 || load_server_user(config, failure) != 0)
		return FAILED;
	/* The enumerations have the numbers of the variables. */
	config->wait = (enum message_wait)wait;
	if (config->tty != 0 && config->wait == MESSAGE_WAIT_START)
		return failure_usage(failure, "%s excludes DIVE_WAITMODE=1, which does not stay",
				     "-t");
	config->forward = (enum message_forward)forward;
	return 0;
}

/* `argv` from ADDRESS on: as it is the first operand, they are the tail of argv. */
static int load_operands(char *const *argv, struct client_config *config, struct failure *failure)
{
	const char *address = argv[0];
	size_t len;

	if (address == NULL)
		return failure_usage(failure, "%s is missing", "ADDRESS");
	len = strlen(address);
	if (len == 0 || strcmp(address, "@") == 0)
		return failure_usage(failure, "ADDRESS '%s' names no socket", address);
	if (len > CLIENT_ADDRESS_MAX)
		return failure_usage(failure,
				     "ADDRESS has %zu bytes, and a socket's can have %d: '%s'", len,
				     CLIENT_ADDRESS_MAX, address);
	config->address = address;
	config->argv = argv + 1;
	return 0;
}

int client_config_load(char *const *argv, struct client_config *ret, struct failure *failure)
{
	struct client_config config = { .terminal_fd = -1 };
	struct option_operands operands = { 0 };
	char error[512];
	size_t argc = 0;
	int err;

	err = options_parse(&client_options, argv, &config, &operands, error, sizeof(error));
	if (err == -EINVAL)
		return failure_usage(failure, "%s", error);
	if (err != 0)
		return failure_set(failure, STATUS_FAILURE, "system: %s", strerror(-err));
	while (argv[argc] != NULL)
		argc++;
	argv += argc - operands.count;
	option_operands_done(&operands);

	if (config.help == 0 && config.version == 0 && config.dump == 0) {
		if (config.tty != 0 && config.no_tty != 0)
			return failure_usage(failure, "%s exclude each other", "-t and -T");
		if (config.from_stdin != 0 && config.askpass != 0)
			return failure_usage(failure, "%s exclude each other",
					     "--stdin and --askpass");
		if (load_operands(argv, &config, failure) != 0 ||
		    load_environment(&config, failure) != 0)
			return FAILED;
	}
	*ret = config;
	return 0;
}
