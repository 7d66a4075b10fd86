/*
 * dive - run a program behind a gateway.
 *
 * The whole procedure, and the only place that prints failures and chooses the
 * exit status: config, request, connection, conversation, relay.
 *
 * dive has no privileges and needs none: who the client is, the server learns
 * from the kernel.
 */
#include "cleanup.h"
#include "config.h"
#include "dialogue.h"
#include "failure.h"
#include "log.h"
#include "relay.h"
#include "request.h"
#include "server.h"
#include "signals.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int print_information(const struct client_config *config, struct failure *failure)
{
	if (config->help != 0)
		options_help(&client_options, stdout);
	else if (config->version != 0)
		(void)printf("dive %s (protocol %d)\n", DIVE_VERSION, PACKET_VERSION);
	else
		options_dump(&client_options, stdout);
	if (fflush(stdout) != 0 || ferror(stdout) != 0) /* catches what printf met, too */
		return failure_set(failure, STATUS_FAILURE, "system: cannot print: %s",
				   strerror(errno));
	return 0;
}

/* From a connected and trusted server to the end of the program.  Takes the socket over. */
static int converse(const struct client_config *config, struct client_request *request,
		    const struct client_fds *fds, int connected, struct outcome *ret,
		    struct failure *failure)
{
	cleanup_fd int sock = connected;
	struct message_started started;
	struct signals_hold hold;
	cleanup_fd int master = -1;
	struct relay_wait wait;
	int err;

	signals_hold_init(config->forward != MESSAGE_FORWARD_NONE, &hold);
	if (client_request_send(request, fds, &hold, sock, failure) != 0)
		return FAILED;
	err = dialogue_run(config, sock, &hold, &started, &master, failure);
	if (err < 0)
		return err;
	if (err > 0) {
		*ret = (struct outcome){ .kind = OUTCOME_SIGNAL, .value = err };
		return 0;
	}
	wait = relay_wait(config->wait, &started);
	if (wait.mode != config->wait)
		log_warning("warning: the server does not wait for programs; waiting until all of "
			    "this one's processes are gone, with status 0 (DIVE_WAITMODE=2)");
	return relay_run(wait, &hold, take_fd(&sock),
			 (struct relay_ends){ .holders = request->holders[0],
					      .master = take_fd(&master),
					      .begun = request->begun },
			 ret, failure);
}

static int run(const struct client_config *config, const struct client_fds *fds,
	       struct outcome *ret, struct failure *failure)
{
	struct client_request request = CLIENT_REQUEST_EMPTY;
	int sock = -1;
	int err;

	err = client_request_prepare(config, fds, environ, &request, failure);
	if (err == 0)
		err = server_connect(config, &sock, failure);
	if (err == 0)
		err = converse(config, &request, fds, sock, ret, failure);
	client_request_done(&request);
	return err;
}

/*
 * What dive opens must not become one of the three, which it reads and writes itself.
 * They were listed before, so the program still finds them closed.
 */
static void fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close_fd(&fd);
}

int main(int argc, char **argv)
{
	struct outcome outcome = { .kind = OUTCOME_STATUS, .value = 0 };
	struct client_config config;
	struct client_fds fds;
	struct failure failure;
	int listed;
	int err;

	(void)argc; /* argv ends with NULL */
	log_open("dive", true, false);
	listed = client_fds_list(&fds); /* before anything of dive's own is open */
	fill_standard();
	err = client_config_load(argv, &config, &failure);
	if (err == 0 && (config.help | config.version | config.dump) != 0)
		err = print_information(&config, &failure);
	else if (err == 0 && listed != 0)
		err = failure_set(&failure, STATUS_FAILURE,
				  "request: cannot list descriptors in /proc/self/fd: %s; is /proc "
				  "mounted?",
				  strerror(-listed));
	else if (err == 0)
		err = run(&config, &fds, &outcome, &failure);

	if (err != 0) {
		log_error("%s", failure.text);
		return failure.status;
	}
	if (outcome.kind == OUTCOME_STATUS)
		return outcome.value;
	signals_die(outcome.value);
	return 128 + outcome.value; /* what a shell would have made of it */
}
