/*
 * Descriptors whose close blocks, in connections that come to nothing.
 *
 * A TCP socket that lingers makes whoever closes it last wait, here for longer
 * than any dive would: a gateway in which the listener were that one could not
 * serve the next client in time, and its test would fail by dive's deadline.
 * Nothing is measured.  Afterwards the linger is ended from its other side, and
 * neither a process nor a descriptor of the listener may be left.
 */
#include "hostile_scene.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

static void nothing(const struct hostile *client)
{
	(void)client;
}

static void wrong_magic(const struct hostile *client)
{
	send_head(client,
		  (struct packet_header){ 0x20544547, PACKET_VERSION, MESSAGE_HELLO, 12, 0 });
}

/* Longer than the deadline of any dive that would have to wait for it. */
static void open_lingering(struct hostile_linger *ret)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 200 };

	hostile_linger_open(ret);
	MUST(setsockopt(ret->sender, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

/* Sends the lingering socket, and keeps no reference to it. */
static void pass_lingering(const struct hostile *client, struct hostile_linger *linger)
{
	hostile_send_fds(client, &(struct message_fd){ 5, 0 }, &linger->sender, 1);
	close_fd(&linger->sender);
}

/* A client that says hello, passes the lingering socket and goes. */
static void leave_lingering(const struct scene *scene, struct hostile_linger *ret)
{
	struct hostile client;

	hostile_connect(&client, scene->gateway.address, "alice", NULL);
	open_lingering(ret);
	say_hello(&client);
	pass_lingering(&client, ret);
	hostile_close(&client);
}

/*
 * The descriptor lies in the connection before the listener has seen it: only
 * stopping the listener makes sure of that.
 */
static void test_linger_in_refused_connections(void **state)
{
	static const char *const options[][5] = {
		{ "--allow", "bob", NULL },
		{ "--max-pending-per-user", "1", "--request-timeout", "60", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		struct hostile_linger linger;
		struct hostile silent;
		struct scene scene;

		print_message("case: %s\n", options[i][0]);
		open_scene(&scene, options[i]);
		hostile_connect(&silent, scene.gateway.address, "alice", NULL);
		gateway_signal(&scene.gateway, SIGSTOP);
		leave_lingering(&scene, &linger);
		gateway_signal(&scene.gateway, SIGCONT);
		expect_served(&scene, "bob");
		hostile_linger_close(&linger);
		hostile_close(&silent);
		close_scene(&scene);
	}
}

static void say_end(const struct hostile *client)
{
	hostile_send_end(client);
}

/*
 * What the session has taken out of the connection, and what still lies in it.
 * The session is stopped meanwhile: had it done with the descriptor before this
 * test closes its own, the last close would be the test's.
 */
static void test_linger_in_broken_requests(void **state)
{
	static const struct {
		const char *name;
		void (*before)(const struct hostile *client);
		void (*after)(const struct hostile *client);
	} cases[] = {
		{ "closed without a request", say_hello, nothing },
		{ "no request before the end", say_hello, say_end },
		{ "malformed afterwards", say_hello, wrong_magic },
		{ "malformed before, never read", wrong_magic, nothing },
		{ "wrong state", nothing, nothing },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hostile_linger linger;
		struct hostile client;
		struct scene scene;
		int session;

		print_message("case: %s\n", cases[i].name);
		open_scene(&scene, RUN_WORDS("--max-pending", "2"));
		hostile_connect(&client, scene.gateway.address, "alice", NULL);
		open_lingering(&linger);
		session = family_open(FAMILY_SESSION);
		MUST(pidfd_send_signal(session, SIGSTOP, NULL, 0));
		cases[i].before(&client);
		pass_lingering(&client, &linger);
		cases[i].after(&client);
		hostile_close(&client);
		MUST(pidfd_send_signal(session, SIGCONT, NULL, 0));
		close_fd(&session);
		expect_served(&scene, "bob");
		hostile_linger_close(&linger);
		close_scene(&scene);
	}
}

/* In the queue of a gateway that is told to stop: it ends all the same. */
static void test_linger_while_stopping(void **state)
{
	struct hostile_linger linger;
	struct scene scene;

	(void)state;
	open_scene(&scene, RUN_WORDS(NULL));
	gateway_signal(&scene.gateway, SIGSTOP);
	leave_lingering(&scene, &linger);
	gateway_signal(&scene.gateway, SIGTERM);
	gateway_signal(&scene.gateway, SIGCONT);
	gateway_stop(&scene.gateway);
	hostile_linger_close(&linger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_linger_in_refused_connections),
		TEST(test_linger_in_broken_requests),
		TEST(test_linger_while_stopping),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
