/*
 * The price of a wrong answer: whatever the client does, the next one has to wait, and
 * each is in the tally, in the kernel's trail and in ours.
 *
 * Only what follows from the delay is asserted: no two answers of one uid reach a
 * module less than half of it apart, which is the least that libpam makes of it.
 * `./dev soak` tries more, and prints how fast it went.
 */
#include "attack.h"
#include "audit_stream.h"
#include "cleanup.h"
#include "family.h"
#include "hostile.h"
#include "must.h"
#include "probe.h"
#include "sandbox.h"

#include <signal.h>
#include <unistd.h>

#define DELAY_MS     60
#define DELAY_MIN_MS (DELAY_MS / 2 - 1) /* clocks of milliseconds */
#define COUNT	     10
#define HELD_MS	     2000

static char login_uid[16];
static char auid[32];

static void expect_served(const struct gateway *gateway)
{
	struct run dive;

	run_dive(&dive, &(struct run_options){ .account = "alice", .input = ATTACK_RIGHT "\n" },
		 gateway, RUN_WORDS("-S", "id", "-un"));
	run_assert_status(&dive, 0);
	assert_string_equal(dive.out, "bob\n");
	run_done(&dive);
}

static void play(struct gateway *gateway, struct audit_stream *stream, const struct attack_way *way)
{
	struct attack_figures figures;

	print_message("case: %s\n", way->name);
	audit_stream_forget(stream);
	attack_run(gateway, way, COUNT, login_uid, &figures);
	print_message("%u answers in %lld ms, %lld ms apart or more; tally %u, records %u\n",
		      figures.answers, (long long)figures.lasted_ms, (long long)figures.shortest,
		      figures.tally, figures.records);
	if (way->certain)
		assert_int_equal(figures.answers, COUNT);
	if (figures.answers > 1)
		assert_in_range(figures.shortest, DELAY_MIN_MS, INT32_MAX);
	/* One that was broken off before its answer counts with pam_faillock as well. */
	assert_int_equal(figures.tally, figures.calls);
	assert_in_range(figures.tally, figures.answers, COUNT);
	assert_in_range(figures.records, figures.calls, INT32_MAX);
	for (unsigned i = 0; i < figures.calls; i++)
		(void)audit_stream_expect(stream, AUDIT_USER_AUTH, auid, "op=PAM:authentication",
					  "res=failed", NULL);
	audit_stream_expect_none(stream, AUDIT_USER_AUTH, auid, "res=failed", NULL);
	for (unsigned i = 0; i < figures.calls; i++)
		(void)audit_stream_expect(stream, AUDIT_USER_CMD, auid, "op=dive:refuse",
					  "client_uid=2001", "res=failed", NULL);
	expect_served(gateway);
}

static void test_every_way(void **state)
{
	struct audit_stream stream;
	struct gateway gateway;

	(void)state;
	(void)snprintf(login_uid, sizeof(login_uid), "%u", 40000000U + (unsigned)getpid());
	(void)snprintf(auid, sizeof(auid), " auid=%s ", login_uid);
	audit_stream_open(&stream);
	attack_start(&gateway, DELAY_MS);
	for (unsigned i = 0; i < attack_way_count; i++)
		play(&gateway, &stream, &attack_ways[i]);
	gateway_stop(&gateway);
	audit_stream_close(&stream);
}

static void answer(const struct gateway *gateway, struct hostile *client, const char *text)
{
	struct packet prompt;

	hostile_connect(client, gateway->address, "alice", NULL);
	hostile_send_burst(client, RUN_WORDS("/bin/true"), -1);
	hostile_expect(client, MESSAGE_PROMPT, &prompt);
	packet_done(&prompt);
	hostile_send_answer(client, text);
}

/* The delay outlives the template that forked the session, and a reload. */
static void test_reload_forgives_nothing(void **state)
{
	struct hostile wrong, right;
	struct gateway gateway;
	struct packet packet;

	(void)state;
	attack_start(&gateway, HELD_MS);
	probe_forget();
	answer(&gateway, &wrong, "wrong");
	probe_expect("answers=wrong|");
	hostile_close(&wrong);
	gateway_signal(&gateway, SIGHUP);
	gateway_expect_notify(&gateway, "RELOADING=1");
	gateway_expect_notify(&gateway, "READY=1");
	answer(&gateway, &right, ATTACK_RIGHT);
	hostile_expect(&right, MESSAGE_STARTED, &packet);
	packet_done(&packet);
	assert_in_range(probe_answered(1) - probe_answered(0), HELD_MS / 2 - 1, INT32_MAX);
	hostile_close(&right);
	family_await(FAMILY_SESSION, 0);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_way),
		TEST(test_reload_forgives_nothing),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
