/*
 * Clients that say the right thing at the wrong time, leave in the middle, or come in
 * numbers and say nothing.
 *
 * Each case is played by alice against one gateway.  As in test_hostile.c, the next
 * client is served at once, and neither a process nor a descriptor of the listener is left.
 */
#include "hostile_scene.h"

#include <poll.h>

static void send_type(const struct hostile *client, enum message_type type)
{
	static const uint8_t body[sizeof(struct message_request)] = { 1 };
	const struct message_rule *rule = &message_rules[type];

	/* Well-formed but for its place. */
	(void)hostile_send(client, type, body, rule->body_min, &null, rule->fds_min);
}

/* Brings a connection of alice's into a state of the server's. */
static void reach(const struct scene *scene, enum message_state state, struct hostile *ret)
{
	struct packet packet;

	hostile_connect(ret, scene->gateway.address, "alice", NULL);
	if (state == MESSAGE_STATE_REQUEST)
		say_hello(ret);
	if (state < MESSAGE_STATE_ASKED)
		return;
	hostile_send_burst(ret, RUN_WORDS("/bin/sleep", "1000"), -1);
	hostile_expect(ret, MESSAGE_PROMPT, &packet);
	packet_done(&packet);
	if (state == MESSAGE_STATE_ASKED)
		return;
	hostile_send_answer(ret, SANDBOX_PASSWORD_ALICE);
	hostile_expect(ret, MESSAGE_STARTED, &packet);
	packet_done(&packet);
}

static void test_every_type_in_every_state(void **state)
{
	static const enum message_state states[] = { MESSAGE_STATE_START, MESSAGE_STATE_REQUEST,
						     MESSAGE_STATE_ASKED, MESSAGE_STATE_RUNNING };
	struct scene scene;

	(void)state;
	open_scene(&scene, RUN_WORDS("-u", "bob", "--request-timeout", "60"));
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		for (enum message_type type = MESSAGE_HELLO; type < MESSAGE_TYPE_END; type++) {
			struct hostile client;

			if (message_rules[type].from & MESSAGE_FROM_CLIENT &&
			    message_rules[type].states & states[i])
				continue;
			print_message("case: %s in state %d\n", message_rules[type].name,
				      states[i]);
			reach(&scene, states[i], &client);
			send_type(&client, type);
			/* As refused, or once started as a client that has gone. */
			hostile_expect_closed(&client);
			hostile_close(&client);
			expect_served(&scene, NULL);
			family_await(FAMILY_SESSION, 0);
		}
	}
	close_scene(&scene);
}

/* Closes after so many steps of a spawn; with data unread it is a reset. */
static void leave_after(const struct scene *scene, int steps)
{
	struct hostile client;
	struct packet packet;
	int fds[] = { null, null, null };

	hostile_connect(&client, scene->gateway.address, "alice", NULL);
	if (steps > 0)
		say_hello(&client);
	if (steps > 1)
		hostile_send_fds(&client, standard, fds, ARRAY_LEN(fds));
	if (steps > 2)
		send_request(&client);
	if (steps > 3)
		hostile_send_end(&client);
	if (steps > 4) /* the prompt is there, and stays unread */
		assert_int_equal(
			deadline_poll(client.sock, POLLIN, deadline_after(HOSTILE_DEADLINE_MS)), 0);
	if (steps > 5) {
		hostile_expect(&client, MESSAGE_PROMPT, &packet);
		packet_done(&packet);
	}
	if (steps > 6)
		hostile_send_answer(&client, SANDBOX_PASSWORD_ALICE);
	hostile_close(&client);
}

static void test_reset_at_every_point(void **state)
{
	struct scene scene;

	(void)state;
	open_scene(&scene, RUN_WORDS("-u", "bob"));
	for (int steps = 0; steps <= 7; steps++) {
		print_message("case: after %d steps\n", steps);
		leave_after(&scene, steps);
		expect_served(&scene, NULL);
		family_await(FAMILY_SESSION, 0);
		family_expect_fds(scene.gateway.pid, &scene.before);
	}
	close_scene(&scene);
}

/* Far more than her quota and than all may wait; each above it is refused at once. */
static void test_flood_of_silent_connections(void **state)
{
	struct hostile clients[100];
	struct scene scene;

	(void)state;
	open_scene(&scene, RUN_WORDS("--max-pending", "8", "--max-pending-per-user", "4",
				     "--request-timeout", "60"));
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		hostile_connect(&clients[i], scene.gateway.address, "alice", NULL);
	expect_served(&scene, "bob");
	expect_served(&scene, "carol");
	for (size_t i = 4; i < ARRAY_LEN(clients); i++)
		hostile_expect_refused(&clients[i], MESSAGE_LAYER_GATEWAY);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		hostile_close(&clients[i]);
	family_await(FAMILY_SESSION, 0);
	expect_served(&scene, "alice");
	close_scene(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_type_in_every_state),
		TEST(test_reset_at_every_point),
		TEST(test_flood_of_silent_connections),
	};

	return cmocka_run_group_tests(tests, scene_group_setup, scene_group_teardown);
}
