/*
 * Descriptors whose close waits for somebody who never answers.
 *
 * The file is on a file system of the client's own (fuse.h): whoever closes a
 * descriptor of it waits in the kernel, and cannot be killed, until the client's
 * server says a word.  dived must let no process wait for that whose end, answer or
 * record another waits for.  Each test sees first that a close does wait, where the
 * descriptor has been taken at all; the next client is served, and what is to be
 * said and recorded is, while it still does.  Only a program that is to
 * be executed keeps its own session: execve(2) closes, and so does its end.
 *
 * Afterwards the server answers everything, and neither a process nor a descriptor
 * of the listener may be left.
 */
#include "fuse.h"
#include "hostile_scene.h"

#include <poll.h>
#include <signal.h>

#define LOOK_MS	       5
#define LOG_MS	       10000
#define DENIED_SERVICE "denied"
#define SCM_MAX	       253 /* SCM_MAX_FD of the kernel */
#define TEXT_OF(value) #value
#define TEXT(value)    TEXT_OF(value)

#define SKIP_WITHOUT_FUSE()                                                                        \
	do {                                                                                       \
		const char *missing = fuse_missing();                                              \
                                                                                                   \
		if (missing)                                                                       \
			SKIP(missing);                                                             \
	} while (0)

static void pass_file(const struct hostile *client, const struct fuse *fuse, uint32_t number)
{
	cleanup_fd int file = fuse_open_file(fuse);

	hostile_send_fds(client, &(struct message_fd){ number, 0 }, &file, 1);
}

/* A request whose directories are a real one or the file, as `bits` say. */
static void send_directories(const struct hostile *client, const struct fuse *fuse, uint32_t flags,
			     uint32_t bits)
{
	static const uint32_t all[] = { MESSAGE_REQUEST_CWD, MESSAGE_REQUEST_ROOT,
					MESSAGE_REQUEST_TERMINAL };
	cleanup_fd int file = fuse_open_file(fuse);
	cleanup_fd int root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	int fds[ARRAY_LEN(all)];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (flags & all[i])
			fds[count++] = bits & all[i] ? file : root;
	hostile_send_request(client, (struct message_request){ .flags = flags, .umask = 022 },
			     RUN_WORDS("/bin/true"), NULL, fds, count);
}

static void end_without_request(const struct hostile *client, const struct fuse *fuse)
{
	pass_file(client, fuse, 7);
	hostile_send_end(client);
}

/* And nothing more. */
static void fds_only(const struct hostile *client, const struct fuse *fuse)
{
	pass_file(client, fuse, 7);
}

static void malformed_request(const struct hostile *client, const struct fuse *fuse)
{
	static const char junk[sizeof(struct message_request)] = "\xff\xff\xff\xff";

	pass_file(client, fuse, 7);
	assert_int_equal(hostile_send(client, MESSAGE_REQUEST, junk, sizeof(junk), NULL, 0), 0);
}

static void malformed_header(const struct hostile *client, const struct fuse *fuse)
{
	pass_file(client, fuse, 7);
	send_head(client, (struct packet_header){ 0x20544547, PACKET_VERSION, MESSAGE_END, 0, 0 });
}

static void malformed_fds(const struct hostile *client, const struct fuse *fuse)
{
	pass_file(client, fuse, MESSAGE_FD_LIMIT);
}

/* More than any packet has: the file comes when there is no room for it any more. */
static void too_many(const struct hostile *client, const struct fuse *fuse)
{
	const struct packet_header head = { PACKET_MAGIC, PACKET_VERSION, MESSAGE_FDS, 0, 0 };
	cleanup_fd int device = MUST_INT(open("/dev/null", O_RDWR | O_CLOEXEC));
	cleanup_fd int file = fuse_open_file(fuse);
	int fds[SCM_MAX];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = device;
	assert_int_equal(hostile_send_raw_fds(client, &head, 1, fds, ARRAY_LEN(fds)), 0);
	assert_int_equal(
		hostile_send_raw_fds(client, (const char *)&head + 1, sizeof(head) - 1, &file, 1),
		0);
}

static void duplicate_number(const struct hostile *client, const struct fuse *fuse)
{
	pass_file(client, fuse, 7);
	pass_file(client, fuse, 7);
	send_request(client);
	hostile_send_end(client);
}

static void file_as_directory(const struct hostile *client, const struct fuse *fuse)
{
	send_directories(client, fuse, MESSAGE_REQUEST_CWD, MESSAGE_REQUEST_CWD);
	hostile_send_end(client);
}

static void file_as_root(const struct hostile *client, const struct fuse *fuse)
{
	send_directories(client, fuse, MESSAGE_REQUEST_CWD | MESSAGE_REQUEST_ROOT,
			 MESSAGE_REQUEST_ROOT);
	hostile_send_end(client);
}

static void file_as_terminal(const struct hostile *client, const struct fuse *fuse)
{
	send_directories(client, fuse, MESSAGE_REQUEST_CWD | MESSAGE_REQUEST_TERMINAL,
			 MESSAGE_REQUEST_TERMINAL);
	hostile_send_end(client);
}

static void good_request(const struct hostile *client, const struct fuse *fuse)
{
	pass_file(client, fuse, 7);
	send_request(client);
	hostile_send_end(client);
}

static void no_program(const struct hostile *client, const struct fuse *fuse)
{
	cleanup_fd int root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));

	pass_file(client, fuse, 7);
	hostile_send_request(client,
			     (struct message_request){ .flags = MESSAGE_REQUEST_CWD, .umask = 022 },
			     RUN_WORDS("/nonexistent"), NULL, &root, 1);
	hostile_send_end(client);
}

static void as_standard_input(const struct hostile *client, const struct fuse *fuse)
{
	pass_file(client, fuse, 0);
	send_request(client);
	hostile_send_end(client);
}

struct refusal {
	const char *name;
	const char *options[6];
	bool busy; /* another connection of the same account has its only place */
	uint32_t layer;
	bool held; /* the gateway has taken the descriptor, so that some process closes it */
	void (*send)(const struct hostile *client, const struct fuse *fuse);
};

static const struct refusal refusals[] = {
	{ "not allowed",
	  { "--allow", "bob,carol" },
	  false,
	  MESSAGE_LAYER_GATEWAY,
	  false,
	  good_request },
	{ "busy",
	  { "--max-pending-per-user", "1", "--request-timeout", "60" },
	  true,
	  MESSAGE_LAYER_GATEWAY,
	  false,
	  good_request },
	{ "end without request",
	  { NULL },
	  false,
	  MESSAGE_LAYER_REQUEST,
	  true,
	  end_without_request },
	{ "malformed request", { NULL }, false, MESSAGE_LAYER_REQUEST, true, malformed_request },
	{ "malformed header", { NULL }, false, MESSAGE_LAYER_REQUEST, true, malformed_header },
	{ "malformed number", { NULL }, false, MESSAGE_LAYER_REQUEST, true, malformed_fds },
	{ "too many descriptors", { NULL }, false, MESSAGE_LAYER_REQUEST, true, too_many },
	{ "duplicate number", { NULL }, false, MESSAGE_LAYER_REQUEST, true, duplicate_number },
	{ "not complete in time",
	  { "--request-timeout", "1" },
	  false,
	  MESSAGE_LAYER_REQUEST,
	  true,
	  fds_only },
	{ "current directory", { NULL }, false, MESSAGE_LAYER_REQUEST, true, file_as_directory },
	{ "root directory", { NULL }, false, MESSAGE_LAYER_REQUEST, true, file_as_root },
	{ "terminal", { NULL }, false, MESSAGE_LAYER_REQUEST, true, file_as_terminal },
	{ "denied by PAM",
	  { "--pam-service", DENIED_SERVICE },
	  false,
	  MESSAGE_LAYER_ACCOUNT,
	  true,
	  good_request },
	{ "denied, as descriptor 0",
	  { "--pam-service", DENIED_SERVICE },
	  false,
	  MESSAGE_LAYER_ACCOUNT,
	  true,
	  as_standard_input },
};

static bool has_record(const char *log, const char *op)
{
	cleanup_free char *copy = strdup(log);
	char *rest = NULL;

	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (strstr(line, op) && strstr(line, "client_uid=" TEXT(SANDBOX_UID_ALICE) " "))
			return true;
	return false;
}

/* Waits until alice's end has been recorded, in one of two ways. */
static void expect_record(struct scene *scene, const char *op, const char *other)
{
	int64_t deadline = deadline_after(LOG_MS);

	while (!has_record(gateway_log(&scene->gateway), op) &&
	       !has_record(gateway_log(&scene->gateway), other)) {
		if (deadline_passed(deadline))
			FAIL("no end of alice's is recorded; dived said:\n%s",
			     gateway_log(&scene->gateway));
		(void)poll(NULL, 0, LOOK_MS); /* a file in memory cannot be polled */
	}
}

/* Without output, which some gateways do not let through. */
static void serve(struct scene *scene, const char *account)
{
	struct run command;

	run_dive(&command, &(struct run_options){ .account = account }, &scene->gateway,
		 RUN_WORDS("true"));
	run_assert_status(&command, 0);
	run_done(&command);
}

/* As open_scene(), with records that can be read, and with a file system. */
static void open_flush_scene(struct scene *scene, struct fuse *fuse, const char *const *options)
{
	const char *words[16] = { "--audit", "off" };

	for (size_t i = 0; options[i]; i++)
		words[2 + i] = options[i];
	gateway_start(&scene->gateway, words);
	serve(scene, "bob");
	family_await(FAMILY_SESSION, 0);
	family_list_fds(scene->gateway.pid, &scene->before);
	fuse_open(fuse);
}

/*
 * The listener is stopped until all has been sent: what it refuses it may close before
 * it has read anything.
 */
static void send_all_at_once(struct scene *scene, struct hostile *client, const struct fuse *fuse,
			     void (*send)(const struct hostile *client, const struct fuse *fuse))
{
	gateway_signal(&scene->gateway, SIGSTOP);
	hostile_connect(client, scene->gateway.address, "alice", NULL);
	say_hello(client);
	send(client, fuse);
	gateway_signal(&scene->gateway, SIGCONT);
}

static void test_flush_in_refused_requests(void **state)
{
	(void)state;
	SKIP_WITHOUT_FUSE();
	sandbox_service(DENIED_SERVICE, "account required pam_succeed_if.so quiet user != alice\n"
					"session required pam_permit.so\n");
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *refusal = &refusals[i];
		struct hostile silent = { .sock = -1, .control = -1 };
		struct hostile client;
		struct scene scene;
		struct fuse fuse;

		print_message("case: %s\n", refusal->name);
		open_flush_scene(&scene, &fuse, refusal->options);
		if (refusal->busy)
			hostile_connect(&silent, scene.gateway.address, "alice", NULL);
		send_all_at_once(&scene, &client, &fuse, refusal->send);
		hostile_expect_refused(&client, refusal->layer);
		expect_record(&scene, "op=dive:refuse", "op=dive:refuse");
		if (refusal->held)
			fuse_expect_held(&fuse);
		serve(&scene, "carol");
		hostile_close(&client);
		hostile_close(&silent);
		fuse_close(&fuse);
		close_scene(&scene);
	}
}

/* The gateway's last word, or REFUSED: either says what has become of the request. */
static void expect_end(const struct hostile *client, uint16_t last)
{
	int64_t deadline = deadline_after(HOSTILE_DEADLINE_MS);
	struct packet packet;
	uint16_t type;

	do {
		int error = packet_recv(client->sock, deadline, NULL, NULL, &packet);

		if (error)
			FAIL("no end from the gateway: %s", strerror(-error));
		type = packet.head.type;
		packet_done(&packet);
	} while (type != last && type != MESSAGE_REFUSED);
	hostile_expect_closed(client);
}

struct running {
	const char *name;
	const char *options[4];
	uint16_t last;
	void (*send)(const struct hostile *client, const struct fuse *fuse);
};

static const struct running running[] = {
	{ "as descriptor 7", { NULL }, MESSAGE_EXITED, good_request },
	{ "as descriptor 0", { NULL }, MESSAGE_EXITED, as_standard_input },
	{ "without waiting", { "-w" }, MESSAGE_STARTED, good_request },
	{ "of a program that is not there", { NULL }, MESSAGE_EXITED, no_program },
	{ "not for the program", { "-O" }, MESSAGE_EXITED, good_request },
};

static void test_flush_in_programs(void **state)
{
	(void)state;
	SKIP_WITHOUT_FUSE();
	for (size_t i = 0; i < ARRAY_LEN(running); i++) {
		struct hostile client;
		struct scene scene;
		struct fuse fuse;

		print_message("case: %s\n", running[i].name);
		open_flush_scene(&scene, &fuse, running[i].options);
		send_all_at_once(&scene, &client, &fuse, running[i].send);
		fuse_expect_held(&fuse);
		serve(&scene, "carol");
		fuse_release(&fuse);
		expect_end(&client, running[i].last);
		expect_record(&scene, "op=dive:exit", "op=dive:refuse");
		hostile_close(&client);
		fuse_close(&fuse);
		close_scene(&scene);
	}
}

/* While a close waits a gateway can be stopped, and its session ends later. */
static void test_flush_while_stopping(void **state)
{
	static void (*const sends[])(const struct hostile *client, const struct fuse *fuse) = {
		good_request,
		end_without_request,
	};

	(void)state;
	SKIP_WITHOUT_FUSE();
	for (size_t i = 0; i < ARRAY_LEN(sends); i++) {
		struct hostile client;
		struct scene scene;
		struct fuse fuse;

		open_flush_scene(&scene, &fuse, RUN_WORDS(NULL));
		send_all_at_once(&scene, &client, &fuse, sends[i]);
		fuse_expect_held(&fuse);
		gateway_stop(&scene.gateway);
		fuse_release(&fuse);
		hostile_expect_closed(&client);
		hostile_close(&client);
		fuse_close(&fuse);
		sandbox_assert_no_children();
	}
}

/* The client goes away while a close waits. */
static void test_flush_of_lost_clients(void **state)
{
	struct hostile client;
	struct scene scene;
	struct fuse fuse;

	(void)state;
	SKIP_WITHOUT_FUSE();
	open_flush_scene(&scene, &fuse, RUN_WORDS("--on-disconnect", "kill"));
	send_all_at_once(&scene, &client, &fuse, good_request);
	fuse_expect_held(&fuse);
	hostile_close(&client);
	serve(&scene, "carol");
	fuse_release(&fuse);
	expect_record(&scene, "op=dive:exit", "op=dive:refuse");
	fuse_close(&fuse);
	close_scene(&scene);
}

#define TEST(name) cmocka_unit_test_teardown(name, sandbox_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flush_in_refused_requests),
		TEST(test_flush_in_programs),
		TEST(test_flush_while_stopping),
		TEST(test_flush_of_lost_clients),
	};

	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
