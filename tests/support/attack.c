/*
 * attack - guessing a password as fast as a gateway lets one.
 *
 * All but one of the ways speak the protocol themselves: what a client has sent when
 * it goes is then known.  Where the gateway is busy with the attempts before, the
 * next connection is tried again at once.
 */
#include "attack.h"

#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "hostile.h"
#include "must.h"
#include "parse.h"
#include "probe.h"
#include "sandbox.h"
#include "text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define TALLY	  "/run/dive-test/tally"
#define AT_ONCE	  8
#define BUSY_MS	  2
#define WAIT_MS	  30000
#define RANDOM_MS 25 /* a client is killed within that */
#define SETTLE_MS 60000

void attack_start(struct gateway *ret, unsigned delay_ms)
{
	char service[1024];

	(void)snprintf(service, sizeof(service),
		       "auth required pam_faillock.so dir=" TALLY " deny=100000 nodelay preauth\n"
		       "auth required pam_faildelay.so delay=%u\n"
		       "auth [success=1 default=ignore] " PROBE
		       " only=authenticate hidden=Code: send expect=" ATTACK_RIGHT "\n"
		       "auth [default=die] pam_faillock.so dir=" TALLY
		       " deny=100000 nodelay authfail\n"
		       "auth required pam_permit.so\n"
		       "account required pam_permit.so\nsession required pam_permit.so\n",
		       delay_ms * 1000); /* fits */
	sandbox_service(ATTACK_SERVICE, service);
	gateway_start(ret, RUN_WORDS("-u", "bob", "-x", ATTACK_SERVICE, "--auth-tries", "1"));
}

/* Waits for PROMPT; returns false where the gateway refuses or closes: it is busy. */
static bool await_prompt(const struct hostile *client)
{
	int64_t deadline = deadline_after(WAIT_MS);

	for (;;) {
		struct packet packet;

		if (packet_recv(client->sock, deadline, NULL, NULL, &packet))
			return false;
		uint16_t type = packet.head.type;
		packet_done(&packet);
		if (type == MESSAGE_PROMPT || type == MESSAGE_REFUSED)
			return type == MESSAGE_PROMPT;
	}
}

/* As hostile_send_burst(), but a gateway that is busy may have closed before all is sent. */
static bool send_burst(const struct hostile *client)
{
	static const char *const argv[] = { "/bin/true", NULL };
	static const struct message_fd numbers[] = { { 0, 0 }, { 1, 0 }, { 2, 0 } };
	const struct message_hello hello = { .forward = MESSAGE_FORWARD_PROGRAM };
	const struct message_request request = { .flags = MESSAGE_REQUEST_CWD, .umask = 022 };
	cleanup_fd int null = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	cleanup_fd int root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	const int fds[] = { null, null, null };
	cleanup_free uint8_t *body = NULL;
	size_t len;

	/* message_put_request() does not write to the strings. */
	assert_int_equal(message_put_request(request, (char *const *)(uintptr_t)argv,
					     (char *const *)(uintptr_t)(argv + 1), &body, &len),
			 0);
	return hostile_send(client, MESSAGE_HELLO, &hello, sizeof(hello), NULL, 0) == 0 &&
	       hostile_send(client, MESSAGE_FDS, numbers, sizeof(numbers), fds, 3) == 0 &&
	       hostile_send(client, MESSAGE_REQUEST, body, len, &root, 1) == 0 &&
	       hostile_send(client, MESSAGE_END, NULL, 0, NULL, 0) == 0;
}

/* A connection that has been asked for the code. */
static void begin(const struct gateway *gateway, const char *login_uid, struct hostile *ret)
{
	int64_t deadline = deadline_after(WAIT_MS);

	for (;;) {
		hostile_connect(ret, gateway->address, "alice", login_uid);
		if (send_burst(ret) && await_prompt(ret))
			return;
		hostile_close(ret);
		if (deadline_passed(deadline))
			FAIL("the gateway stays busy");
		(void)poll(NULL, 0, BUSY_MS);
	}
}

static void one_by_one(const struct gateway *gateway, unsigned count, const char *login_uid)
{
	for (unsigned i = 0; i < count; i++) {
		struct hostile client;

		begin(gateway, login_uid, &client);
		hostile_send_answer(&client, "wrong");
		hostile_expect_refused(&client, MESSAGE_LAYER_AUTHENTICATION);
		hostile_close(&client);
	}
}

static void several_at_once(const struct gateway *gateway, unsigned count, const char *login_uid)
{
	struct hostile clients[AT_ONCE];

	for (unsigned done = 0; done < count;) {
		unsigned now = count - done < AT_ONCE ? count - done : AT_ONCE;

		for (unsigned i = 0; i < now; i++)
			begin(gateway, login_uid, &clients[i]);
		for (unsigned i = 0; i < now; i++)
			hostile_send_answer(&clients[i], "wrong");
		for (unsigned i = 0; i < now; i++) {
			hostile_expect_refused(&clients[i], MESSAGE_LAYER_AUTHENTICATION);
			hostile_close(&clients[i]);
		}
		done += now;
	}
}

/* The process is killed, and the connection gone with it. */
static void killed_after_answer(const struct gateway *gateway, unsigned count,
				const char *login_uid)
{
	for (unsigned i = 0; i < count; i++) {
		struct hostile client;

		begin(gateway, login_uid, &client);
		hostile_send_answer(&client, "wrong");
		hostile_close(&client);
	}
}

/* The process stays, and only its connection is closed. */
static void closed_after_answer(const struct gateway *gateway, unsigned count,
				const char *login_uid)
{
	for (unsigned i = 0; i < count; i++) {
		struct hostile client;

		begin(gateway, login_uid, &client);
		hostile_send_answer(&client, "wrong");
		close_fd(&client.sock);
		hostile_close(&client);
	}
}

/* dive itself, by one of the signals a user has, at whatever it is just doing. */
static void killed_at_random(const struct gateway *gateway, unsigned count, const char *login_uid)
{
	static const int signals[] = { SIGKILL, SIGTERM, SIGINT, SIGHUP };

	for (unsigned i = 0; i < count; i++) {
		struct run dive;

		run_dive_start(&dive,
			       &(struct run_options){ .account = "alice",
						      .login_uid = login_uid,
						      .input = "wrong\n" },
			       gateway, RUN_WORDS("-S", "true"));
		(void)poll(NULL, 0, (int)(random() % RANDOM_MS));
		run_signal(&dive, signals[i % ARRAY_LEN(signals)]); /* or it has ended */
		run_wait(&dive);
		run_done(&dive);
	}
}

/* The answer is sent with the request, and nothing is read: in the end it is a reset. */
static void never_reading(const struct gateway *gateway, unsigned count, const char *login_uid)
{
	for (unsigned i = 0; i < count; i++) {
		struct hostile client;

		hostile_connect(&client, gateway->address, "alice", login_uid);
		hostile_send_burst(&client, RUN_WORDS("/bin/true"), -1);
		hostile_send_answer(&client, "wrong");
		struct pollfd ended = { .fd = client.sock, .events = POLLRDHUP };
		if (poll(&ended, 1, WAIT_MS) != 1)
			FAIL("the gateway does not close");
		hostile_close(&client);
	}
}

const struct attack_way attack_ways[] = {
	{ "one by one", one_by_one, true },
	{ "eight at once", several_at_once, true },
	{ "killed after the answer", killed_after_answer, true },
	{ "closed after the answer", closed_after_answer, true },
	{ "killed at random", killed_at_random, false },
	{ "never reading", never_reading, true },
};
const unsigned attack_way_count = ARRAY_LEN(attack_ways);

/* A line of the tally is "DATE TIME TYPE SOURCE VALID". */
static unsigned read_tally(void)
{
	struct run faillock;
	unsigned n;

	run(&faillock, &(struct run_options){
			       .argv = RUN_WORDS("faillock", "--dir", TALLY, "--user", "alice") });
	run_assert_status(&faillock, 0);
	n = text_count(faillock.out, " V\n");
	run_done(&faillock);
	return n;
}

/* When the answer of this line came; the line begins with "t=MS ". */
static int64_t time_of(const char *log, const char *at)
{
	char number[32];
	uint64_t time;

	while (at > log && at[-1] != '\n')
		at--;
	(void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(at + 2, " "), at + 2);
	assert_int_equal(parse_uint(number, 0, INT64_MAX, &time), 0);
	return (int64_t)time;
}

static void read_times(const char *log, struct attack_figures *figures)
{
	int64_t first = -1;
	int64_t before = -1;

	figures->shortest = -1;
	for (const char *at = log; (at = strstr(at, " answers=wrong|")); at++) {
		int64_t now = time_of(log, at);

		if (before < 0)
			first = now;
		else if (figures->shortest < 0 || now - before < figures->shortest)
			figures->shortest = now - before;
		before = now;
	}
	figures->lasted_ms = before - first;
}

void attack_run(struct gateway *gateway, const struct attack_way *way, unsigned count,
		const char *login_uid, struct attack_figures *ret)
{
	int64_t deadline = deadline_after(SETTLE_MS);
	size_t from = strlen(gateway_log(gateway));

	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("faillock", "--dir", TALLY, "--user", "alice", "--reset") });
	probe_forget();
	way->run(gateway, count, login_uid);
	while (family_count(FAMILY_SESSION) > 0 && !deadline_passed(deadline))
		(void)poll(NULL, 0, BUSY_MS); /* some wait for their turn still */
	family_await(FAMILY_SESSION, 0);
	*ret = (struct attack_figures){
		.answers = text_count(probe_log(), "answers=wrong|"),
		.calls = text_count(probe_log(), "phase=authenticate"),
		.tally = read_tally(),
		.records = text_count(gateway_log(gateway) + from, "op=dive:refuse") +
			   text_count(gateway_log(gateway) + from, "op=dive:lost"),
	};
	read_times(probe_log(), ret);
}
