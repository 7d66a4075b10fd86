/*
 * dive goes away while the program runs: who is told (--on-disconnect), when that is no
 * disconnect at all, and that the session is closed and recorded when the program ends,
 * and not before, whether or not anybody waits for it.
 *
 * The program is `show signals`, which exits with 32 + N on HUP, QUIT and TERM unless it
 * is to stay.  It takes lower numbers first: where the USR1 or TERM that the test sends
 * has arrived and no HUP has, there was none.
 */
#include "cleanup.h"
#include "deadline.h"
#include "family.h"
#include "must.h"
#include "parse.h"
#include "probe.h"
#include "sandbox.h"
#include "show.h"
#include "trail.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPECT_MS 15000
#define LOOK_MS	  5
#define KILL_MS	  5000 /* from SIGTERM to SIGKILL */
#define PATHS	  "PATH=/usr/bin:/bin"

/* A process that writes to a file in memory what signals it gets. */
struct witness {
	int file;
	int pidfd;
	char text[1024];
};

static const char *look(struct witness *witness)
{
	ssize_t len = pread(witness->file, witness->text, sizeof(witness->text) - 1, 0);

	MUST(len);
	witness->text[len > 0 ? len : 0] = '\0';
	return witness->text;
}

static void expect(struct witness *witness, const char *text)
{
	int64_t deadline = deadline_after(EXPECT_MS);

	while (!strstr(look(witness), text)) {
		if (deadline_passed(deadline))
			FAIL("no \"%s\" in:\n%s", text, witness->text);
		(void)poll(NULL, 0, LOOK_MS); /* a file in memory cannot be polled */
	}
}

/* Waits until it is ready, and holds it. */
static void hold(struct witness *witness)
{
	char number[32];
	pid_t pid;

	expect(witness, "\n");
	(void)snprintf(number, sizeof(number), "%s", witness->text + strlen("ready ")); /* fits */
	number[strcspn(number, "\n")] = '\0';
	assert_int_equal(parse_pid(number, &pid), 0);
	witness->pidfd = MUST_INT(pidfd_open(pid, 0));
}

static void send_to(const struct witness *witness, int number)
{
	MUST(pidfd_send_signal(witness->pidfd, number, NULL, 0));
}

static void await_end(const struct witness *witness)
{
	if (deadline_poll(witness->pidfd, POLLIN, deadline_after(EXPECT_MS)) < 0)
		FAIL("the program does not end");
}

static void let_go(struct witness *witness)
{
	if (deadline_poll(witness->pidfd, POLLIN, 0) < 0)
		send_to(witness, SIGKILL);
	await_end(witness);
	close_fd(&witness->pidfd);
	close_fd(&witness->file);
}

/* The program, a child in its process group, and one that has left it. */
static void test_process_group_is_told(void **state)
{
	static const char script[] = SHOW " signals stay >&7 & setsid " SHOW " signals stay >&8 & "
					  "exec " SHOW " signals stay >&6";
	static const struct {
		const char *options[3];
		bool hangs_up;
		bool kills;
	} cases[] = {
		{ { "--on-disconnect", "hup" }, true, false },
		{ { "--on-disconnect", "kill" }, true, true },
		{ { "--on-disconnect=ignore" }, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct witness witnesses[3];
		struct run_fd fds[3];

		print_message("case: %zu\n", i);
		for (int j = 0; j < 3; j++) {
			witnesses[j].file = MUST_INT(memfd_create("witness", MFD_CLOEXEC));
			fds[j] = (struct run_fd){ witnesses[j].file, 6 + j };
		}
		gateway_start(&trail.gateway, cases[i].options);
		run_dive_start(
			&trail.client,
			&(struct run_options){ .account = "alice", .fds = fds, .fd_count = 3 },
			&trail.gateway, RUN_WORDS("sh", "-c", script));
		for (size_t j = 0; j < ARRAY_LEN(witnesses); j++)
			hold(&witnesses[j]);
		run_signal(&trail.client, SIGKILL);
		run_wait(&trail.client);
		for (size_t j = 0; j < 2 && cases[i].hangs_up; j++) {
			expect(&witnesses[j], "got 1.");
			expect(&witnesses[j], "got 18.");
		}
		for (size_t j = 0; j < 2 && cases[i].kills; j++) {
			expect(&witnesses[j], "got 15.");
			await_end(&witnesses[j]);
		}
		for (size_t j = cases[i].hangs_up ? 2 : 0; j < ARRAY_LEN(witnesses); j++) {
			send_to(&witnesses[j], SIGUSR1);
			expect(&witnesses[j], "got 10.");
			assert_null(strstr(witnesses[j].text, "got 1."));
		}
		for (size_t j = 0; j < ARRAY_LEN(witnesses); j++)
			let_go(&witnesses[j]);
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
	}
}

/* The whole turn of another client: time for what should not come. */
static void serve_carol(void)
{
	struct run command;

	run_dive(&command, &(struct run_options){ .account = "carol" }, &trail.gateway,
		 RUN_WORDS("true"));
	run_assert_status(&command, 0);
	run_done(&command);
}

static const struct parting {
	const char *what;
	const char *options[3];
	const char *variable;
	bool stays;	   /* the program bears HUP and TERM */
	bool goes_on;	   /* nobody tells the program, so the test ends it */
	const char *field; /* of the record of its end */
	const char *value;
} partings[] = {
	{ "hup", { "--on-disconnect", "hup" }, NULL, false, false, "exit", "33" },
	{ "kill", { "--on-disconnect", "kill" }, NULL, true, false, "sig", "9" },
	{ "ignore", { "--on-disconnect", "ignore" }, NULL, false, true, "exit", "47" },
	{ "wait mode 1", { "-T" }, "DIVE_WAITMODE=1", false, true, "exit", "47" },
	{ "wait mode 2", { "-T" }, "DIVE_WAITMODE=2", false, true, "exit", "47" },
	{ "-w", { "-w" }, NULL, false, true, "exit", "47" },
	{ "-w, wait mode 1", { "-w" }, "DIVE_WAITMODE=1", false, true, "exit", "47" },
	{ "-w, kill", { "-w", "--on-disconnect=kill" }, NULL, false, true, "exit", "47" },
};

/* dive goes: by itself where it does not wait. */
static void part(const struct parting *parting)
{
	if (!parting->variable || strcmp(parting->variable, "DIVE_WAITMODE=1") != 0)
		run_signal(&trail.client, SIGKILL);
	run_wait(&trail.client);
}

static void end_program(const struct parting *parting, struct witness *witness)
{
	int64_t parted = deadline_now();

	if (parting->goes_on) {
		serve_carol();
		audit_stream_expect_none(&trail.stream, AUDIT_USER_END, "op=dive:exit", trail.field,
					 "client=\"alice\"", NULL);
		assert_null(strstr(probe_log(), "phase=close user=bob ruser=alice"));
		send_to(witness, SIGTERM);
	}
	await_end(witness);
	if (parting->stays && deadline_now() - parted < KILL_MS - 500)
		FAIL("killed after %d ms", (int)(deadline_now() - parted));
	if (parting->goes_on)
		assert_null(strstr(look(witness), "got 1."));
}

static void test_session_is_closed_and_recorded(void **state)
{
	(void)state;
	sandbox_service("probe", PROBE_SERVICE);
	for (size_t i = 0; i < ARRAY_LEN(partings); i++) {
		const struct parting *parting = &partings[i];
		struct witness witness = { .file = MUST_INT(memfd_create("got", MFD_CLOEXEC)) };
		const struct run_fd out = { witness.file, 1 };

		print_message("case: %s\n", parting->what);
		probe_forget();
		trail_serve(RUN_WORDS("-u", "bob", "-a", "never", "-x", "probe",
				      parting->options[0], parting->options[1]));
		run_dive_start(&trail.client,
			       &(struct run_options){ .account = "alice",
						      .envp = RUN_WORDS(PATHS, parting->variable),
						      .fds = &out,
						      .fd_count = 1 },
			       &trail.gateway,
			       RUN_WORDS(SHOW, "signals", parting->stays ? "stay" : NULL));
		hold(&witness);
		part(parting);
		end_program(parting, &witness);
		trail_assert(audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit",
						 trail.field, "client=\"alice\"", NULL),
			     parting->field, parting->value);
		probe_expect("phase=close user=bob ruser=alice");
		probe_expect("phase=delete user=bob ruser=alice");
		family_await(FAMILY_SESSION, 0);
		let_go(&witness);
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
	}
}

/* Waits until a process has been stopped; it is a descendant, and held by the caller. */
static void await_stop(pid_t pid)
{
	int64_t deadline = deadline_after(EXPECT_MS);
	char path[64];
	char text[512];
	const char *state;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid); /* fits */
	do {
		cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));

		text[MUST(read(fd, text, sizeof(text) - 1))] = '\0';
		state = strrchr(text, ')');
		if (!state || deadline_passed(deadline))
			FAIL("the program does not stop: %s", text);
	} while (state[2] != 'T');
}

/* With -w: that the program has started, and nothing more, whatever becomes of it. */
static void test_no_wait_says_no_more(void **state)
{
	static const char *const closings[] = {
		"",
		" only=close info=Goodbye error=Goodbye send",
		" only=close hidden=Code: send",
		" only=close hang",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(closings); i++) {
		struct message_started started;
		struct packet packet;
		char service[512];
		char byte;

		print_message("case:%s\n", closings[i]);
		(void)snprintf(service, sizeof(service),
			       PROBE_SERVICE "session required " PROBE_PATH "%s\n",
			       closings[i]); /* fits */
		sandbox_service("probe", service);
		trail_serve(RUN_WORDS("-w", "-u", "bob", "-a", "never", "-x", "probe",
				      "--auth-timeout", "1"));
		hostile_connect(&trail.hostile, trail.gateway.address, "alice", NULL);
		hostile_send_burst(&trail.hostile,
				   RUN_WORDS("/bin/sh", "-c", "kill -STOP $$; exit 5"), -1);
		hostile_expect(&trail.hostile, MESSAGE_STARTED, &packet);
		assert_int_equal(message_get_started(&packet, &started), 0);
		packet_done(&packet);
		assert_int_equal(started.flags, MESSAGE_STARTED_NO_WAIT);
		cleanup_fd int program = MUST_INT(pidfd_open((pid_t)started.pid, 0));

		await_stop((pid_t)started.pid);
		MUST(pidfd_send_signal(program, SIGCONT, NULL, 0));
		if (deadline_poll(trail.hostile.sock, POLLIN, deadline_after(EXPECT_MS)) < 0)
			FAIL("the connection stays open");
		assert_int_equal(MUST(recv(trail.hostile.sock, &byte, 1, 0)), 0);
		family_await(FAMILY_SESSION, 0);
		hostile_close(&trail.hostile);
		gateway_stop(&trail.gateway);
	}
}

/*
 * Gone while a module opens the session: nobody waits for a program, so none is started,
 * and what has been opened is closed.
 */
static void test_gone_before_the_start(void **state)
{
	static const char told[] = "/run/dive-test/told", hold_[] = "/run/dive-test/hold";
	struct witness never = { .file = MUST_INT(memfd_create("never", MFD_CLOEXEC)) };
	const struct run_fd out = { never.file, 1 };
	char byte;

	(void)state;
	MUST(mkfifo(told, 0600));
	MUST(mkfifo(hold_, 0600));
	sandbox_write("/run/dive-test/slow", 0755, "#!/bin/sh\necho >%s; read line <%s; :\n", told,
		      hold_);
	sandbox_service("probe", PROBE_SERVICE "session required pam_exec.so quiet "
					       "type=open_session /run/dive-test/slow\n");
	probe_forget();
	trail_serve(RUN_WORDS("-u", "bob", "-a", "never", "-x", "probe"));
	run_dive_start(&trail.client,
		       &(struct run_options){ .account = "alice", .fds = &out, .fd_count = 1 },
		       &trail.gateway, RUN_WORDS("echo", "started"));
	cleanup_fd int reader = MUST_INT(open(told, O_RDONLY | O_CLOEXEC));

	MUST(read(reader, &byte, 1));
	run_signal(&trail.client, SIGKILL);
	run_wait(&trail.client);
	close_fd(&(int){ MUST_INT(open(hold_, O_WRONLY | O_CLOEXEC)) }); /* lets it go on */
	trail_assert(audit_stream_expect(&trail.stream, AUDIT_USER_CMD, "op=dive:refuse",
					 trail.field, "client=\"alice\"", NULL),
		     "layer", "request");
	trail_expect_none(AUDIT_USER_CMD, "op=dive:spawn");
	probe_expect_phases("account establish open close delete");
	family_await(FAMILY_SESSION, 0);
	assert_string_equal(look(&never), "");
	close_fd(&never.file);
	gateway_stop(&trail.gateway);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_process_group_is_told),
		TEST(test_session_is_closed_and_recorded),
		TEST(test_no_wait_says_no_more),
		TEST(test_gone_before_the_start),
	};

	return cmocka_run_group_tests(tests, probe_group_setup, sandbox_group_teardown);
}
