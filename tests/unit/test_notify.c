/*
 * Notifications: what is sent to which address, what a status may not do, and
 * that nobody waits for a manager that does not read.
 */
#include "cleanup.h"
#include "leak.h"
#include "notify.h"
#include "parse.h"
#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LONG_50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* A manager at an address of this process's own. */
struct manager {
	int fd;
	char name[sizeof(scratch_directory) + 32];
};

static void manager_open(struct manager *ret, bool abstract)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int len;

	if (abstract)
		len = snprintf(ret->name, sizeof(ret->name), "@dive-notify-%d", (int)getpid());
	else
		len = snprintf(ret->name, sizeof(ret->name), "%s/notify", scratch_directory);
	memcpy(address.sun_path, ret->name, (size_t)len);
	if (abstract)
		address.sun_path[0] = '\0';
	ret->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(ret->fd >= 0);
	assert_int_equal(bind(ret->fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
			 0);
}

static void manager_close(struct manager *manager)
{
	close_fd(&manager->fd);
	if (manager->name[0] != '@')
		assert_int_equal(unlink("notify"), 0);
}

static void manager_expect(const struct manager *manager, const char *text)
{
	char buffer[2048];
	ssize_t len = recv(manager->fd, buffer, sizeof(buffer) - 1, 0);

	assert_true(len >= 0);
	buffer[len] = '\0';
	assert_string_equal(buffer, text);
}

static int open_at(const char *name, struct notify *ret)
{
	char line[256];
	char *environment[] = { line, NULL };

	(void)snprintf(line, sizeof(line), "NOTIFY_SOCKET=%s", name);
	return notify_open(environment, ret);
}

static void test_messages(void **state)
{
	(void)state;
	for (int abstract = 0; abstract < 2; abstract++) {
		struct manager manager;
		struct notify notify;
		char main_pid[64];

		manager_open(&manager, abstract);
		assert_int_equal(open_at(manager.name, &notify), 0);
		assert_int_equal(notify_ready(&notify, false, "serving"), 0);
		manager_expect(&manager, "READY=1\nSTATUS=serving\n");
		assert_int_equal(notify_ready(&notify, true, "serving"), 0);
		(void)snprintf(main_pid, sizeof(main_pid), "READY=1\nMAINPID=%d\nSTATUS=serving\n",
			       (int)getpid());
		manager_expect(&manager, main_pid);
		assert_int_equal(notify_status(&notify, "tired"), 0);
		manager_expect(&manager, "STATUS=tired\n");
		assert_int_equal(notify_stopping(&notify), 0);
		manager_expect(&manager, "STOPPING=1\nSTATUS=stopping\n");
		notify_done(&notify);
		assert_int_equal(notify.fd, -1);
		assert_int_equal(notify_stopping(&notify), 0); /* nobody wants to know */
		manager_close(&manager);
	}
}

static uint64_t now_usec(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

/* A manager takes it for the answer to its own signal only where it is not older. */
static void test_reloading(void **state)
{
	static const char head[] = "RELOADING=1\nMONOTONIC_USEC=";
	struct manager manager;
	struct notify notify;
	char buffer[256];
	uint64_t said;

	(void)state;
	manager_open(&manager, false);
	assert_int_equal(open_at(manager.name, &notify), 0);
	uint64_t before = now_usec();
	assert_int_equal(notify_reloading(&notify), 0);
	uint64_t after = now_usec();
	ssize_t len = recv(manager.fd, buffer, sizeof(buffer) - 1, 0);
	assert_true(len > 0);
	buffer[len] = '\0';
	assert_int_equal(strncmp(buffer, head, strlen(head)), 0);
	char *number = buffer + strlen(head);
	number[strcspn(number, "\n")] = '\0';
	assert_int_equal(parse_uint(number, before, after, &said), 0);
	notify_done(&notify);
	manager_close(&manager);
}

/* A text from a service file or a name service is not another assignment. */
static void test_status_is_escaped(void **state)
{
	struct manager manager;
	struct notify notify;
	char text[1000];
	char buffer[2048];

	(void)state;
	manager_open(&manager, false);
	assert_int_equal(open_at(manager.name, &notify), 0);
	assert_int_equal(notify_status(&notify, "a\nMAINPID=1\n"), 0);
	manager_expect(&manager, "STATUS=a\\nMAINPID=1\\n\n");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(notify_ready(&notify, true, text), 0);
	ssize_t len = recv(manager.fd, buffer, sizeof(buffer), 0);
	assert_in_range(len, 500, 600);
	assert_int_equal(buffer[len - 1], '\n');
	notify_done(&notify);
	manager_close(&manager);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *name;
		int result;
	} cases[] = {
		{ "", -EINVAL },
		{ "/", -EINVAL },
		{ "@", -EINVAL },
		{ "run/notify", -EINVAL },
		{ "vsock:2:1234", -EINVAL },
		{ "/" LONG_50 LONG_50 "bbbbbb", 0 },
		{ "/" LONG_50 LONG_50 "bbbbbbc", -ENAMETOOLONG },
		{ "@" LONG_50 LONG_50 "bbbbbbc", -ENAMETOOLONG },
	};
	static char other[] = "OTHER=1";
	char *without[] = { other, NULL };
	struct notify notify;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].name);
		assert_int_equal(open_at(cases[i].name, &notify), cases[i].result);
		assert_int_equal(notify.fd >= 0, cases[i].result == 0);
		notify_done(&notify);
	}
	assert_int_equal(notify_open(without, &notify), 0);
	assert_int_equal(notify.fd, -1);
	assert_int_equal(notify_ready(&notify, false, "serving"), 0);
}

/* Nobody there: said once.  Somebody there later: told again. */
static void test_nobody_there(void **state)
{
	struct manager manager;
	struct notify notify;

	(void)state;
	manager_open(&manager, false);
	manager_close(&manager);
	assert_int_equal(open_at(manager.name, &notify), 0);
	assert_int_equal(notify_ready(&notify, false, "serving"), -ENOENT);
	assert_int_equal(notify_ready(&notify, false, "serving"), 0);
	manager_open(&manager, false);
	assert_int_equal(notify_stopping(&notify), 0);
	manager_expect(&manager, "STOPPING=1\nSTATUS=stopping\n");
	notify_done(&notify);
	manager_close(&manager);
}

/* A queue that is full is not waited for; the timeout of the test would tell. */
static void test_full(void **state)
{
	struct manager manager;
	struct notify notify;
	int r = 0;

	(void)state;
	manager_open(&manager, false);
	assert_int_equal(open_at(manager.name, &notify), 0);
	for (int i = 0; i < 100000 && r == 0; i++)
		r = notify_status(&notify, "serving");
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(notify_status(&notify, "serving"), 0); /* said once */
	manager_expect(&manager, "STATUS=serving\n");
	notify_done(&notify);
	manager_close(&manager);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages),  TEST(test_reloading),    TEST(test_status_is_escaped),
		TEST(test_addresses), TEST(test_nobody_there), TEST(test_full),
	};

	return cmocka_run_group_tests(tests, scratch_group_setup, scratch_group_teardown);
}
