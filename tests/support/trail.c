/*
 * trail - one gateway and what it leaves in the audit trail.
 */
#include "trail.h"

#include "cleanup.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>
#include <stdio.h>

#define WORDS_MAX  64
#define FOREVER_MS 600000 /* gateway_stop() has the deadline */

struct trail trail;

int trail_setup(void **state)
{
	(void)state;
	trail = (struct trail){ .stream.fd = -1,
				.client.pidfd = -1,
				.hostile = { .sock = -1, .control = -1 },
				.pty = { .run.pidfd = -1, .master = -1, .slave = -1 } };
	audit_stream_open(&trail.stream);
	return 0;
}

int trail_teardown(void **state)
{
	run_done(&trail.client);
	pty_done(&trail.pty);
	hostile_close(&trail.hostile);
	gateway_kill(&trail.gateway);
	audit_stream_close(&trail.stream);
	return sandbox_test_teardown(state);
}

static void name_field(void)
{
	(void)snprintf(trail.field, sizeof(trail.field), "gateway=\"%s\"",
		       trail.gateway.address); /* fits */
}

void trail_serve(const char *const *options)
{
	gateway_start_with(&trail.gateway, &(struct run_options){ .login_uid = "2003" }, options);
	name_field();
}

void trail_serve_through(const char *word, const char *const *options)
{
	static unsigned serial;
	struct gateway *gateway = &trail.gateway;
	const char *argv[WORDS_MAX] = { "/proc/self/exe", word, sandbox_dived(),
					gateway->address, "-C", "0666" };
	size_t count = 6;

	*gateway = (struct gateway){ .pidfd = -1, .notify = -1 };
	(void)snprintf(gateway->address, sizeof(gateway->address), "%s/through%u.sock",
		       sandbox_dir(), serial++); /* fits */
	for (; *options; options++) {
		assert_in_range(count, 0, WORDS_MAX - 2);
		argv[count++] = *options;
	}
	name_field();
	run_start(&gateway->run, &(struct run_options){ .login_uid = "2003",
							.argv = argv,
							.deadline_ms = FOREVER_MS });
	gateway->pid = gateway->run.pid;
	gateway->pidfd = MUST_INT(fcntl(gateway->run.pidfd, F_DUPFD_CLOEXEC, 3));
	run_expect(&gateway->run, "op=dive:start"); /* written when the socket listens */
}

const char *trail_expect(int type, const char *op)
{
	return audit_stream_expect(&trail.stream, type, op, trail.field, NULL);
}

void trail_expect_none(int type, const char *op)
{
	audit_stream_expect_none(&trail.stream, type, op, trail.field, NULL);
}

void trail_assert(const char *text, const char *name, const char *expected)
{
	char value[TRAIL_TEXT_MAX];

	if (strcmp(audit_field(text, name, value, sizeof(value)), expected) != 0)
		FAIL("%s is %s, not %s, in: %s", name, value, expected, text);
}

void trail_assert_text(const char *text, const char *name, const char *expected)
{
	char value[TRAIL_TEXT_MAX];

	if (strcmp(audit_field_decoded(text, name, value, sizeof(value)), expected) != 0)
		FAIL("%s is %s, not %s, in: %s", name, value, expected, text);
}

void trail_assert_number(const char *text, const char *name, uint64_t expected)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%ju", (uintmax_t)expected); /* 20 digits */
	trail_assert(text, name, value);
}
