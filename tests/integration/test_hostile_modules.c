/*
 * Modules that do what no module should (pam_hostile.c), in every phase there is.
 *
 * Each deed ends as its row says, alone and recorded once: the client of the next
 * connection is served, the listener holds as many descriptors as before, the
 * template lives, and no session is left.  Elsewhere, and not repeated here:
 *
 *	hang, kill, deaf to signals    test_pam_service.c (but for the phases below)
 *	another PAM_USER               test_pam.c (but for the two last phases)
 *	17 prompts, unknown styles     test_pam.c
 *	descriptors left open          test_pam_session.c
 *	limits that starve the session test_pam_session.c (by pam_limits)
 *	a socket left by loading       test_pam_service.c
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "gateway.h"
#include "must.h"
#include "probe.h"
#include "run.h"
#include "sandbox.h"
#include "text.h"

#include <poll.h>
#include <stdlib.h>

/* Some deeds make records impossible, which where the machine audits, as other tests have
   it do at times, is a reason for a refusal. */
#define UNAUDITED "--audit", "off"

#define WAIT_MS	  10000
#define LOOK_MS	  5
#define REFUSALS  "dived: refuse"
#define PHASES	  6

static const char *const phases[PHASES] = { "authenticate", "account", "establish",
					    "open",	    "close",   "delete" };

/*
 * One letter a phase, for how alice fares:
 *
 *	R  the program runs, and her client has its status
 *	F  refused before there was a program
 *	S  refused by a step of the program's set-up
 *	X  the program is not found
 *	D  the session is dead, which the listener records
 *	.  tested elsewhere
 */
struct deed {
	const char *does;
	const char *ends;
};

static const struct deed deeds[] = {
	/* First: after the others an answer would have to wait. */
	{ HOSTILE_PATH " client=alice %s ask", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s ask-at-length", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s ask-often", "FRRRRR" },
	{ HOSTILE_PATH " client=alice %s hour", "FFFFRR" },
	{ HOSTILE_PATH " client=alice %s crash", "DDDDDD" },
	{ HOSTILE_PATH " client=alice %s abort", "DDDDDD" },
	{ HOSTILE_PATH " client=alice %s exit", "DDDDDD" },
	{ HOSTILE_PATH " client=alice %s fork-stays", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s fork-returns", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s fork-denies", "FFFFRR" },
	{ HOSTILE_PATH " client=alice %s setuid", "FFFFRR" },
	{ HOSTILE_PATH " client=alice %s seteuid", "FFFFRR" },
	{ HOSTILE_PATH " client=alice %s leak", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s block", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s ignore", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s reap", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s reap nag", "....RR" }, /* its handler is unloaded */
	{ HOSTILE_PATH " client=alice %s write", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s close-low", "SSSSRR" },
	{ HOSTILE_PATH " client=alice %s close-all", "DDDDDD" },
	{ HOSTILE_PATH " client=alice %s chdir", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s chroot", "FFXXRR" },
	{ HOSTILE_PATH " client=alice %s umask", "RRRRRR" },
	{ HOSTILE_PATH " client=alice %s limits", "FFFFRR" },
	{ PROBE_PATH " client=alice %s user=carol", "....RR" },
};

/* The service "probe" with the deed in one phase. */
static void write_service(const char *name, const char *does, const char *phase)
{
	char only[64];
	char what[256];
	char text[2048];

	(void)snprintf(only, sizeof(only), "only=%s", phase); /* all of these fit */
	(void)snprintf(what, sizeof(what), "%.*s%s%s", (int)(strstr(does, "%s") - does), does, only,
		       strstr(does, "%s") + 2);
	(void)snprintf(text, sizeof(text),
		       "auth required %s\naccount required %s\nsession required %s\n", what, what,
		       what);
	sandbox_service(name, text);
}

/* Waits until the log has `text` after `from` bytes. */
static void expect_log_after(struct gateway *gateway, size_t from, const char *text)
{
	int64_t deadline = deadline_after(WAIT_MS);

	while (!strstr(gateway_log(gateway) + from, text)) {
		if (deadline_passed(deadline))
			FAIL("\"%s\" is not in the log:\n%s", text, gateway_log(gateway) + from);
		(void)poll(NULL, 0, LOOK_MS);
	}
}

struct ending {
	char letter;
	int status;	    /* of alice's client */
	const char *output; /* of her program */
	const char *says;   /* in the log */
	unsigned spawns;
	unsigned refusals;
};

static const struct ending endings[] = {
	{ 'R', 7, "ran\n", " exit=7 ", 1, 0 },	{ 'F', 77, "", "op=dive:refuse", 0, 1 },
	{ 'S', 77, "", "layer=set-up ", 1, 0 }, { 'X', 127, "", "layer=exec ", 1, 0 },
	{ 'D', 127, "", "op=dive:lost", 0, 0 },
};

/* What a session that has died when it closed had done before, the record of its end included. */
static const struct ending died_late = { 'D', 127, "ran\n", "PAM has not been closed", 1, 0 };

static const struct ending *find_ending(char letter, size_t phase)
{
	size_t i = 0;

	while (endings[i].letter != letter)
		i++;
	return letter == 'D' && phase >= 4 ? &died_late : &endings[i];
}

/* Every program that was recorded has one end, and who died before has one of his own. */
static void assert_ends(const char *log, const struct ending *ending)
{
	bool early = ending->letter == 'D' && ending->spawns == 0;

	assert_int_equal(text_count(log, "op=dive:exit"), ending->spawns + 2);
	assert_int_equal(text_count(log, "op=dive:lost"), early);
}

static void play(struct gateway *gateway, const struct deed *deed, size_t phase)
{
	const struct ending *ending = find_ending(deed->ends[phase], phase);
	size_t from = strlen(gateway_log(gateway));
	struct family_fds before;
	struct run dive;

	print_message("case: %s: %s\n", phases[phase], deed->does);
	write_service("probe", deed->does, phases[phase]);
	gateway_expect_served(gateway, "carol", "bob");
	family_await(FAMILY_SESSION, 0);
	family_list_fds(gateway->pid, &before);
	run_dive(&dive, &(struct run_options){ .account = "alice", .input = "42\n42\n42\n" },
		 gateway, RUN_WORDS("-S", "sh", "-c", "echo ran; exit 7"));
	run_assert_status(&dive, ending->status);
	assert_string_equal(dive.out, ending->output);
	run_done(&dive);
	gateway_expect_served(gateway, "carol", "bob");
	expect_log_after(gateway, from, ending->says);
	family_kill_all(HOSTILE_CHILD);
	family_await(FAMILY_SESSION, 0);
	family_await(REFUSALS, 0);
	family_expect_fds(gateway->pid, &before);
	(void)family_find(FAMILY_TEMPLATE);
	/* Once each, whatever has been forked; carol's are the two others. */
	assert_int_equal(text_count(gateway_log(gateway) + from, "op=dive:spawn"),
			 ending->spawns + 2);
	assert_int_equal(text_count(gateway_log(gateway) + from, "op=dive:refuse"),
			 ending->refusals);
	assert_ends(gateway_log(gateway) + from, ending);
}

static void test_deeds(void **state)
{
	struct gateway gateway;

	(void)state;
	sandbox_service("probe", PROBE_SERVICE);
	gateway_start(&gateway,
		      RUN_WORDS(UNAUDITED, "-u", "bob", "-x", "probe", "--auth-timeout", "2"));
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++)
		for (size_t phase = 0; phase < PHASES; phase++)
			if (deeds[i].ends[phase] != '.')
				play(&gateway, &deeds[i], phase);
	gateway_stop(&gateway);
}

/* Not a byte is left: what needs memory is refused, and what is opened is closed. */
static void test_no_memory(void **state)
{
	static const struct deed starving[] = {
		{ HOSTILE_PATH " client=alice %s exhaust=0", "FFFFRR" },
		{ HOSTILE_PATH " client=alice %s exhaust=24", "FFFFRR" },
	};
	struct gateway gateway;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	SKIP("AddressSanitizer ends a process that has no memory");
#endif
	sandbox_service("probe", PROBE_SERVICE);
	gateway_start(&gateway, RUN_WORDS(UNAUDITED, "-u", "bob", "-x", "probe"));
	for (size_t i = 0; i < ARRAY_LEN(starving); i++)
		for (size_t phase = 0; phase < PHASES; phase++)
			play(&gateway, &starving[i], phase);
	gateway_stop(&gateway);
}

/* An alarm of the module's rings while the program runs. */
static void test_alarm(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	write_service("probe", HOSTILE_PATH " client=alice %s alarm", "open");
	gateway_start(&gateway, RUN_WORDS(UNAUDITED, "-u", "bob", "-x", "probe"));
	run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "sleep", "1000"));
	run_assert_status(&dive, 127);
	gateway_expect_log(&gateway, "op=dive:lost");
	gateway_expect_served(&gateway, "carol", "bob");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* Modules that do not return, for alice; those with their own deadline are killed at it. */
static const struct {
	const char *does;
	const char *phase;
	int status;
	const char *says; /* in the log */
	bool recorded;	  /* by the session itself, before */
} stuck[] = {
	{ HOSTILE_PATH " client=alice %s stop", "authenticate", 127, "killed: it outlived", false },
	{ HOSTILE_PATH " client=alice %s stop", "account", 127, "killed: it outlived", false },
	{ HOSTILE_PATH " client=alice %s stop", "establish", 127, "killed: it outlived", false },
	{ HOSTILE_PATH " client=alice %s stop", "open", 127, "killed: it outlived", false },
	{ HOSTILE_PATH " client=alice %s stop", "close", 127, "killed: it outlived", true },
	{ HOSTILE_PATH " client=alice %s stop", "delete", 127, "killed: it outlived", true },
	{ HOSTILE_PATH " client=alice %s close-hang", "authenticate", 127, "died", false },
	{ HOSTILE_PATH " client=alice %s close-hang", "account", 127, "died", false },
	{ HOSTILE_PATH " client=alice %s close-hang", "establish", 127, "died", false },
	{ HOSTILE_PATH " client=alice %s close-hang", "open", 127, "died", false },
	{ HOSTILE_PATH " client=alice %s close-hang", "close", 127, "died", true },
	{ HOSTILE_PATH " client=alice %s close-hang", "delete", 127, "died", true },
	{ PROBE_PATH " client=alice %s hang", "delete", 7, "session closing", true },
};

static void test_stuck(void **state)
{
	struct gateway gateways[ARRAY_LEN(stuck)];
	struct run dives[ARRAY_LEN(stuck)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(stuck); i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "stuck%zu", i); /* fits */
		write_service(name, stuck[i].does, stuck[i].phase);
		gateway_start(&gateways[i],
			      RUN_WORDS(UNAUDITED, "-u", "bob", "-x", name, "--auth-timeout", "1",
					"--request-timeout", "1"));
		run_dive_start(&dives[i], &(struct run_options){ .account = "alice" }, &gateways[i],
			       RUN_WORDS("-n", "sh", "-c", "exit 7"));
	}
	for (size_t i = 0; i < ARRAY_LEN(stuck); i++) {
		print_message("case: %s: %s\n", stuck[i].phase, stuck[i].does);
		gateway_expect_served(&gateways[i], "carol", "bob");
		run_wait(&dives[i]);
		run_assert_status(&dives[i], stuck[i].status);
		gateway_expect_log(&gateways[i], stuck[i].says);
		if (stuck[i].recorded)
			gateway_expect_log(&gateways[i], "PAM has not been closed");
		else
			gateway_expect_log(&gateways[i], "op=dive:lost");
		assert_int_equal(text_count(gateway_log(&gateways[i]), " exit=7 "),
				 stuck[i].recorded);
		assert_int_equal(text_count(gateway_log(&gateways[i]), "op=dive:lost"),
				 !stuck[i].recorded);
		run_done(&dives[i]);
	}
	/* Those that cannot be heard any more, too. */
	int64_t deadline = deadline_after(2L * WAIT_MS);
	while (family_count(FAMILY_SESSION) > 0) {
		if (deadline_passed(deadline))
			FAIL("%zu sessions are left", family_count(FAMILY_SESSION));
		(void)poll(NULL, 0, LOOK_MS);
	}
	for (size_t i = 0; i < ARRAY_LEN(stuck); i++) {
		gateway_expect_served(&gateways[i], "carol", "bob");
		gateway_stop(&gateways[i]);
	}
}

/* A password change that hangs, in either half. */
static void test_stuck_password_change(void **state)
{
	static const char *const halves[] = { "prelim", "update" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
		struct gateway gateway;
		char service[512];
		struct run dive;

		print_message("case: %s\n", halves[i]);
		(void)snprintf(service, sizeof(service),
			       "auth required pam_permit.so\n"
			       "account required " PROBE_PATH " client=alice return=12\n"
			       "password required " PROBE_PATH " only=%s hang\n"
			       "session required pam_permit.so\n",
			       halves[i]); /* 12: PAM_NEW_AUTHTOK_REQD */
		sandbox_service("probe", service);
		gateway_start(&gateway, RUN_WORDS(UNAUDITED, "-u", "bob", "-x", "probe",
						  "--auth-timeout", "1"));
		run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
			 RUN_WORDS("-n", "true"));
		run_assert_status(&dive, 77);
		assert_contains(dive.err, "did not return in time (password change)");
		gateway_expect_log(&gateway, "op=dive:lost");
		gateway_expect_served(&gateway, "carol", "bob");
		run_done(&dive);
		gateway_stop(&gateway);
	}
}

/* One module takes the signals away, and the next hangs: the watchdog has taken them back. */
static void test_stuck_behind_deaf(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	sandbox_service("probe", "auth required " HOSTILE_PATH " client=alice ignore block\n"
				 "account required " PROBE_PATH " client=alice only=account hang\n"
				 "session required pam_permit.so\n");
	gateway_start(&gateway,
		      RUN_WORDS(UNAUDITED, "-u", "bob", "-x", "probe", "--auth-timeout", "1"));
	run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "true"));
	run_assert_status(&dive, 77);
	assert_contains(dive.err, "did not return in time (account check)");
	gateway_expect_served(&gateway, "carol", "bob");
	run_done(&dive);
	gateway_stop(&gateway);
}

/* A child of a module's holds the place of its session, and no other. */
static void test_children_hold_places(void **state)
{
	struct gateway gateway;
	struct run dive;

	(void)state;
	write_service("probe", HOSTILE_PATH " client=alice %s fork-stays", "open");
	gateway_start(&gateway, RUN_WORDS(UNAUDITED, "-u", "bob", "-x", "probe",
					  "--max-sessions-per-user", "2"));
	for (int i = 0; i < 3; i++) {
		run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
			 RUN_WORDS("-n", "true"));
		run_assert_status(&dive, i < 2 ? 0 : 77);
		run_done(&dive);
	}
	gateway_expect_served(&gateway, "carol", "bob");
	family_kill_all(HOSTILE_CHILD);
	family_await(REFUSALS, 0);
	gateway_expect_served(&gateway, "carol",
			      "bob"); /* a turn of the listener, which has seen them end */
	run_dive(&dive, &(struct run_options){ .account = "alice" }, &gateway,
		 RUN_WORDS("-n", "true"));
	run_assert_status(&dive, 0);
	run_done(&dive);
	family_kill_all(HOSTILE_CHILD);
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deeds),
		TEST(test_no_memory),
		TEST(test_alarm),
		TEST(test_stuck),
		TEST(test_stuck_password_change),
		TEST(test_stuck_behind_deaf),
		TEST(test_children_hold_places),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
