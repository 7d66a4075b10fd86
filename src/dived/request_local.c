/*
 * request_local - what dived -J hands to its program, in the form of a request.
 *
 * Whoever starts dived -J is its client, so what other clients send is taken
 * from dived's own process.  Descriptors are copied up, out of the way of PAM
 * modules, and closed where they were, so that no pipe is held open twice;
 * 0 to 2 stay with dived as well, for its messages.
 */
#include "request.h"

#include "cleanup.h"
#include "config.h"
#include "process.h"

#include <errno.h>
#include <stdint.h>

#define STANDARD 3 /* descriptors 0 to 2 */

static int add(struct request *request, int number)
{
	int fd = process_copy_up(number);

	if (fd < 0)
		return fd;
	request->fds[request->fd_count++] = (struct request_fd){ .number = number, .fd = fd };
	return 0;
}

static int take_descriptors(const struct config *config, struct request *request)
{
	const struct config_inherited *inherited = &config->inherited;
	int r = 0;

	request->fds = calloc(inherited->fd_count + STANDARD, sizeof(*request->fds));
	if (!request->fds)
		return -ENOMEM;
	for (int number = 0; number < STANDARD && r == 0; number++)
		r = add(request, number);
	for (size_t i = 0; i < inherited->fd_count && r == 0; i++)
		r = add(request, inherited->fds[i]);
	for (size_t i = 0; i < inherited->fd_count && r == 0; i++)
		(void)close(inherited->fds[i]); /* a copy is open: nothing is lost */
	return r;
}

int request_local(const struct config *config, struct request *ret)
{
	struct request request = { .wait_number = -1, .cwd = -1, .root = -1, .terminal = -1 };
	int r = 0;

	request.strings = calloc(1, sizeof(*request.strings)); /* no words: an empty list */
	if (!request.strings)
		return -ENOMEM;
	request.argv = request.strings;
	request.envp = (char **)(uintptr_t)config->inherited.environment; /* only read */
	request.hello = (struct message_hello){ .wait = MESSAGE_WAIT_EXIT,
						.forward = MESSAGE_FORWARD_PROGRAM };
	request.fixed = (struct message_request){ .flags = MESSAGE_REQUEST_CWD,
						  .umask = config->inherited.umask,
						  .ignored = config->inherited.ignored };
	request.cwd = process_copy_up(config->inherited.directory);
	if (request.cwd < 0)
		r = request.cwd;
	if (r == 0)
		r = take_descriptors(config, &request);
	if (r) {
		request_done(&request);
		return r;
	}
	*ret = request;
	return 0;
}
