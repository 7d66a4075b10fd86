/*
 * What is written arrives, all of it and in order, at both ends and at the end; and a
 * reader that stops reading stops nothing but the program.
 */
#include "deadline.h"
#include "terminal_scene.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>

#define MEGABYTE (1024UL * 1024)
#define FLOOD	 (100 * MEGABYTE)

static unsigned char pattern(unsigned long at)
{
	return (unsigned char)(at ^ at >> 8 ^ at >> 16);
}

/* Compares what the terminal shows, from its beginning on, with `size` bytes. */
static void expect_pattern(unsigned long size)
{
	static unsigned char bytes[65536];
	int64_t deadline = deadline_after(60000);

	for (unsigned long done = 0; done < size;) {
		ssize_t got;

		if (deadline_poll(pty.master, POLLIN, deadline) < 0)
			FAIL("only %lu bytes of %lu came", done, size);
		got = read(pty.master, bytes, sizeof(bytes));
		if (got < 0 && errno == EAGAIN)
			continue;
		if (got <= 0)
			FAIL("the terminal has ended after %lu bytes", done);
		for (ssize_t i = 0; i < got; i++, done++) {
			if (done < size && bytes[i] != pattern(done))
				FAIL("byte %lu is %d, not %d", done, bytes[i], pattern(done));
			if (done >= size)
				FAIL("more than %lu bytes", size);
		}
	}
}

/* All values of a byte.  The program ends with its last byte. */
static void test_flood(void **state)
{
	static const unsigned long sizes[] = { FLOOD, 1, 4095, 4096, 4097, 16384, 65537 };

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char script[128];

		print_message("case: %lu\n", sizes[i]);
		(void)snprintf(script, sizeof(script),
			       "exec dive $G sh -c 'stty -opost; exec show flood %lu'",
			       sizes[i]); /* fits */
		at_terminal(RUN_WORDS("sh", "-c", script), NULL);
		expect_pattern(sizes[i]);
		run_wait(&pty.run);
		run_assert_status(&pty.run, 0);
		pty_done(&pty);
	}
	gateway_stop(&gateway);
}

/* The other way round, to a program that reads raw bytes. */
static void test_typing(void **state)
{
	const unsigned long size = 4 * MEGABYTE;
	char script[160];
	char *bytes = malloc(size);
	size_t sent = 0;
	int64_t deadline = deadline_after(60000);

	(void)state;
	assert_non_null(bytes);
	for (unsigned long i = 0; i < size; i++)
		bytes[i] = (char)pattern(i);
	gateway_start(&gateway, RUN_WORDS("-M"));
	(void)snprintf(script, sizeof(script),
		       "exec dive $G sh -c 'stty raw -echo; echo re''ady; exec show check %lu'",
		       size); /* fits */
	at_terminal(RUN_WORDS("sh", "-c", script), NULL);
	pty_expect(&pty, "ready");
	while (sent < size) {
		sent += pty_send_some(&pty, bytes + sent, size - sent);
		if (sent < size)
			assert_int_equal(deadline_poll(pty.master, POLLOUT, deadline), 0);
	}
	pty_expect(&pty, "check=ok");
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	free(bytes);
	gateway_stop(&gateway);
}

/* From a program that ends at once, again and again: the last line is there. */
static void test_last_words(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	for (int i = 0; i < 50; i++) {
		at_terminal(RUN_WORDS("sh", "-c", "exec dive $G sh -c 'seq 2000; echo la''st'"),
			    NULL);
		pty_expect(&pty, "\n2000\r\nlast\r\n");
		assert_int_equal(pty_wait(&pty), 0);
		pty_done(&pty);
	}
	gateway_stop(&gateway);
}

/* What was typed and not read by the program is not given to the shell, as with ssh. */
static void test_end_of_input(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	shell(NULL);
	type("dive $G cat; echo sta''tus=$?");
	pty_expect_lflag(&pty, ICANON, false);
	pty_send(&pty, "one\r\x04");
	pty_expect(&pty, "one\r\none\r\n");
	pty_expect(&pty, "status=0");
	pty_expect(&pty, "ready> ");
	/* It has closed its input, and goes on. */
	type("dive $G sh -c 'exec <&-; echo clo''sed; kill -STOP $$; echo mo''re'");
	pty_expect(&pty, "closed");
	pty_expect(&pty, "Stopped");
	pty_expect(&pty, "ready> ");
	type("fg");
	pty_expect(&pty, "more");
	pty_expect(&pty, "ready> ");
	/* All its descriptors, and its terminal is opened again by name. */
	type("dive $G sh -c 'exec <&- >&- 2>&-; exec >/dev/tty; echo ba''ck'");
	pty_expect(&pty, "back");
	pty_expect(&pty, "ready> ");
	leave();
	gateway_stop(&gateway);
}

/* What it leaves behind holds the terminal open, and holds up nobody. */
static void test_left_behind(void **state)
{
	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	shell(NULL);
	type("dive $G sh -c 'trap \"\" HUP; sleep 1000 & echo pid=$!; exit 4'; echo sta''tus=$?");
	pty_expect(&pty, "pid=");
	pty_expect(&pty, "status=4");
	MUST(kill(number_after("pid="), SIGKILL));
	pty_expect(&pty, "ready> ");
	leave();
	gateway_stop(&gateway);
}

/* It has stopped, and what it has started writes faster than is read: dive stops with it. */
static void test_stops_while_others_write(void **state)
{
	static const char wanted[] = "Stopped";
	char bytes[128] = { 0 };
	size_t done = 0;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	shell(NULL);
	type("dive $G sh -c 'yes & read x; kill -STOP $$; kill $!; exit 5'");
	pty_expect(&pty, "\ny\r\ny\r\n");
	assert_int_equal(pty_send_some(&pty, "\r", 1), 1);
	while (!memmem(bytes, sizeof(bytes), wanted, strlen(wanted))) {
		ssize_t got = read(pty.master, bytes + 64, 1);

		if (got <= 0)
			continue;
		memmove(bytes, bytes + got, sizeof(bytes) - (size_t)got);
		done += (size_t)got;
		if (done > MEGABYTE)
			FAIL("dive does not stop");
	}
	pty_expect(&pty, "ready> ");
	type("fg; echo sta''tus=$?");
	pty_expect(&pty, "status=5");
	pty_expect(&pty, "ready> ");
	leave();
	gateway_stop(&gateway);
}

/*
 * ^S, or a reader that is slow: the program waits in the end, but keys, signals and
 * the end of the program get through.
 */
static void test_reader_that_stops(void **state)
{
	static const struct {
		const char *what;
		bool key;
	} cases[] = { { "^C", true }, { "killed", false } };

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("case: %s\n", cases[i].what);
		at_terminal(RUN_WORDS("sh", "-c",
				      "sh -c 'echo dive=$$; exec dive $G sh -c \"echo pid=\\$\\$; "
				      "exec yes\"'; echo sta''tus=$?"),
			    NULL);
		pty_expect(&pty, "pid=");
		pty_expect(&pty, "y\r\ny\r\n");
		pid_t program = number_after("pid=");
		cleanup_fd int pidfd = MUST_INT(pidfd_open(program, 0));

		/* Nobody reads the screen from here on, until all is full. */
		for (int full = 0; full < 20;)
			full = poll(&(struct pollfd){ .fd = pty.slave, .events = POLLOUT }, 1,
				    10) == 0
				       ? full + 1
				       : 0;
		if (cases[i].key)
			assert_int_equal(pty_send_some(&pty, "\x03", 1), 1);
		else
			MUST(kill(number_after("dive="), SIGTERM));
		if (deadline_poll(pidfd, POLLIN, deadline_after(10000)) < 0)
			FAIL("the program does not end");
		pty_expect(&pty, cases[i].key ? "status=130" : "status=143");
		assert_int_equal(pty_wait(&pty), 0);
		pty_done(&pty);
	}
	gateway_stop(&gateway);
}

/* More than a terminal holds (12 KiB), and less than that twice and dive in between. */
#define LAST_WORDS 30000

/*
 * The program has ended, its last words are on their way to a slow reader, and alice
 * changes the size of her window: that is no reason to leave.
 */
static void test_resized_at_the_end(void **state)
{
	char script[128];
	unsigned char bytes[512];
	unsigned done = 0;
	ssize_t got;

	(void)state;
	gateway_start(&gateway, RUN_WORDS("-M"));
	(void)snprintf(script, sizeof(script),
		       "exec dive $G sh -c 'stty -opost; show flood %d; >~/done'",
		       LAST_WORDS); /* fits */
	at_terminal(RUN_WORDS("sh", "-c", script), NULL);
	for (int64_t deadline = deadline_after(20000); access("/home/alice/done", F_OK) < 0;) {
		assert_false(deadline_passed(deadline));
		(void)poll(NULL, 0, 5); /* a file cannot be polled */
	}
	family_await(FAMILY_SESSION, 0);
	for (unsigned short rows = 10; done < LAST_WORDS; rows++) {
		pty_resize(&pty, rows, 80);
		if (deadline_poll(pty.master, POLLIN, deadline_after(10000)) < 0)
			FAIL("only %u bytes came", done);
		got = read(pty.master, bytes, sizeof(bytes));
		for (ssize_t i = 0; i < got; i++, done++)
			assert_int_equal(bytes[i], pattern(done));
	}
	assert_int_equal(pty_wait(&pty), 0);
	pty_done(&pty);
	MUST(unlink("/home/alice/done"));
	gateway_stop(&gateway);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flood),
		TEST(test_typing),
		TEST(test_last_words),
		TEST(test_end_of_input),
		TEST(test_left_behind),
		TEST(test_reader_that_stops),
		TEST(test_resized_at_the_end),
		TEST(test_stops_while_others_write),
	};

	return cmocka_run_group_tests(tests, show_group_setup, sandbox_group_teardown);
}
