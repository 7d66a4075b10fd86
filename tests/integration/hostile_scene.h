/*
 * hostile_scene - what the tests of bad clients share: a gateway that is compared
 * with itself before and after, the steps of a request, and what to send with them.
 */
#pragma once

#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "hostile.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

static const struct message_fd standard[] = { { 0, 0 }, { 1, 0 }, { 2, 0 } };

static int null = -1; /* /dev/null, from scene_group_setup() on */

static inline int scene_group_setup(void **state)
{
	null = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	return sandbox_group_setup(state);
}

static inline int scene_group_teardown(void **state)
{
	close_fd(&null);
	return sandbox_group_teardown(state);
}

struct scene {
	struct gateway gateway;
	struct family_fds before;
};

static inline void expect_served(struct scene *scene, const char *account)
{
	struct run command;

	run_dive(&command, &(struct run_options){ .account = account }, &scene->gateway,
		 RUN_WORDS("echo", "served"));
	run_assert_status(&command, 0);
	assert_string_equal(command.out, "served\n");
	run_done(&command);
}

static inline void open_scene(struct scene *ret, const char *const *options)
{
	gateway_start(&ret->gateway, options);
	expect_served(ret, "bob");
	family_await(FAMILY_SESSION, 0);
	family_list_fds(ret->gateway.pid, &ret->before);
}

static inline void close_scene(struct scene *scene)
{
	family_await(FAMILY_SESSION, 0);
	family_expect_fds(scene->gateway.pid, &scene->before);
	gateway_stop(&scene->gateway);
}

static inline void say_hello(const struct hostile *client)
{
	hostile_send_hello(client, 0);
}

static inline void send_head(const struct hostile *client, struct packet_header head)
{
	assert_int_equal(hostile_send_header(client, head), 0);
}

/* With nothing wrong about it, so that what else is wrong is what is refused. */
static inline void send_request(const struct hostile *client)
{
	cleanup_fd int root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));

	hostile_send_request(client,
			     (struct message_request){ .flags = MESSAGE_REQUEST_CWD, .umask = 022 },
			     RUN_WORDS("/bin/true"), NULL, &root, 1);
}
