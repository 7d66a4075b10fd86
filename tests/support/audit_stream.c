/*
 * audit_stream - the kernel's audit records, without auditd.
 *
 * Whether auditing is enabled belongs to the machine, so it must be restored
 * whatever becomes of the test, SIGKILL by a test runner included.  A guardian
 * process does that: it is forked on opening, holds the lock (a bound abstract
 * socket, which the kernel releases with its last holder), and restores when it
 * is told to or when its pipe is closed because the test has died.  It is not a
 * descendant of the test: the check for leftover processes must not see it.
 *
 * The stream is best effort: a full receive buffer loses records.  ENOBUFS says
 * so, and fails the test rather than let it pass for the wrong reason.
 */
#include "audit_stream.h"

#include "audit_machine.h"
#include "cleanup.h"
#include "deadline.h"
#include "must.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define LOCK_NAME      "dive-test-audit"
#define LOCK_MS	       120000
#define LOOK_MS	       50
#define RECEIVE_BUFFER (32 * 1024 * 1024)
#define RECORD_MAX     (2 * MAX_AUDIT_MESSAGE_LENGTH)
#define MARKER_TYPE    AUDIT_TEST
#define STRINGS_MAX    16

/* The guardian; outside of struct audit_stream, which a failed test may have lost. */
static struct guardian {
	int control; /* a byte, or the end, tells it to restore */
	int done;    /* a byte when it has; its end when it has gone, and the lock with it */
} guardian = { .control = -1, .done = -1 };

/* Binds the lock, waiting for other tests.  Returns the socket that holds it. */
static int lock_machine(void)
{
	static const char name[] = LOCK_NAME;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name));
	int64_t deadline = deadline_after(LOCK_MS);
	int fd = MUST_INT(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	memcpy(address.sun_path + 1, name, sizeof(name) - 1); /* sun_path[0] is 0: abstract */
	while (bind(fd, (const struct sockaddr *)&address, len) < 0) {
		if (errno != EADDRINUSE)
			MUST(-1);
		if (deadline_passed(deadline))
			FAIL("another test holds the audit system: @%s", LOCK_NAME);
		(void)poll(NULL, 0, LOOK_MS); /* nothing tells that a name is free again */
	}
	return fd;
}

/* The guardian's life: wait for a word or the end of the test, restore, go. */
__attribute__((noreturn)) static void guard(int control, int done, int lock,
					    const struct audit_machine *saved)
{
	sigset_t all;
	char byte = 0;
	int keep[] = { control, done, lock };
	int next = 0;

	/* Keeps what it needs at 0, 1, 2 and no pipe of a test runner. */
	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		keep[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, 10);
	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		(void)dup2(keep[i], next++); /* a failure ends the wait below, and restores */
	(void)close_range(3, ~0U, 0);	     /* what stays open costs nothing */
	(void)setsid();			     /* no ^C; it is no group leader, so it succeeds */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	if (audit_machine_restore(saved) == 0)
		(void)!write(1, &byte, 1); /* else, or to nobody, the end says it */
	_exit(0);
}

/*
 * Forks twice with the subreaper off, so that the guardian goes to the process
 * that adopts orphans of this program.
 */
static void start_guardian(int lock, const struct audit_machine *saved)
{
	int control[2];
	int done[2];
	int subreaper;
	pid_t pid;

	MUST(pipe2(control, O_CLOEXEC));
	MUST(pipe2(done, O_CLOEXEC));
	MUST(prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0));
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0));
	pid = MUST_INT(fork());
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			guard(control[0], done[1], lock, saved);
		_exit(pid < 0);
	}
	int status;

	MUST(waitpid(pid, &status, 0));
	MUST(prctl(PR_SET_CHILD_SUBREAPER, subreaper, 0, 0, 0));
	assert_int_equal(status, 0);
	close_fd(&control[0]);
	close_fd(&done[1]);
	guardian = (struct guardian){ .control = control[1], .done = done[0] };
}

static void stop_guardian(void)
{
	char byte = 0;

	if (guardian.control < 0)
		return;
	MUST(write(guardian.control, &byte, 1));
	if (deadline_poll(guardian.done, POLLIN, deadline_after(AUDIT_STREAM_DEADLINE_MS)) < 0)
		FAIL("the audit guardian does not end");
	bool restored = MUST(read(guardian.done, &byte, 1)) == 1;
	while (read(guardian.done, &byte, 1) > 0)
		; /* until it has gone, and the lock with it */
	close_fd(&guardian.control);
	close_fd(&guardian.done);
	if (!restored)
		FAIL("the machine's audit system could not be put back");
}

static int open_stream(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK,
				       .nl_groups = 1U << (AUDIT_NLGRP_READLOG - 1) };
	int size = RECEIVE_BUFFER;
	int fd = MUST_INT(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT));

	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	MUST(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	return fd;
}

void audit_stream_open(struct audit_stream *ret)
{
	struct audit_machine machine;
	cleanup_fd int lock = -1;

	*ret = (struct audit_stream){ .fd = -1 };
	stop_guardian();
	lock = lock_machine();
	audit_machine_save(&machine);
	start_guardian(lock, &machine);
	audit_machine_done(&machine);
	ret->fd = open_stream();
	audit_stream_set_enabled(ret, true);
	audit_stream_forget(ret);
}

void audit_stream_set_enabled(struct audit_stream *stream, bool enabled)
{
	struct audit_status status;

	assert_true(stream->fd >= 0); /* only under the lock */
	audit_machine_status(&status);
	if ((status.enabled != 0) == enabled)
		return; /* locked (2) counts as on, and cannot be changed */
	cleanup_fd int fd = MUST_INT(audit_open());
	if (audit_set_enabled(fd, enabled) <= 0)
		FAIL("auditing cannot be turned %s", enabled ? "on" : "off");
}

static void drop_records(struct audit_stream *stream)
{
	for (size_t i = 0; i < stream->count; i++)
		free_pointer(&stream->records[i].text);
	stream->count = 0;
}

void audit_stream_close(struct audit_stream *stream)
{
	if (stream->fd < 0)
		return;
	stop_guardian();
	close_fd(&stream->fd);
	drop_records(stream);
	free_pointer(&stream->records);
	*stream = (struct audit_stream){ .fd = -1 };
}

static void keep_record(struct audit_stream *stream, int type, const char *text, size_t len)
{
	char *copy = strndup(text, len);

	MUST_POINTER(copy);
	if (stream->count == stream->size) {
		size_t size = stream->size ? stream->size * 2 : 64;
		struct audit_record *larger = realloc(stream->records, size * sizeof(*larger));

		MUST_POINTER(larger);
		stream->records = larger;
		stream->size = size;
	}
	stream->records[stream->count++] = (struct audit_record){ .type = type, .text = copy };
}

/* Waits for one record and keeps it.  Returns 0 or -ETIMEDOUT. */
static int read_record(struct audit_stream *stream, int64_t deadline)
{
	union {
		struct nlmsghdr head;
		char bytes[RECORD_MAX];
	} message;
	ssize_t len;

	if (deadline_poll(stream->fd, POLLIN, deadline) < 0)
		return -ETIMEDOUT;
	len = MUST(recv(stream->fd, &message, sizeof(message), 0));
	/* nlmsg_len is not trusted: its meaning differed between kernel versions. */
	if ((size_t)len >= sizeof(message.head))
		keep_record(stream, message.head.nlmsg_type, message.bytes + NLMSG_HDRLEN,
			    (size_t)len - NLMSG_HDRLEN);
	return 0;
}

/* Collects the strings of a variable argument list. */
static size_t take_strings(va_list args, const char *strings[STRINGS_MAX])
{
	size_t count = 0;
	const char *next;

	while ((next = va_arg(args, const char *))) {
		assert_in_range(count, 0, STRINGS_MAX - 1);
		strings[count++] = next;
	}
	return count;
}

/* Returns the first record from `from` on that matches and is not taken, or NULL. */
static struct audit_record *find(const struct audit_stream *stream, size_t from, int type,
				 const char *const *strings, size_t count)
{
	for (size_t i = from; i < stream->count; i++) {
		struct audit_record *record = &stream->records[i];
		size_t hits = 0;

		while (hits < count && strstr(record->text, strings[hits]))
			hits++;
		if (record->type == type && !record->taken && hits == count)
			return record;
	}
	return NULL;
}

static void print_all(const struct audit_stream *stream, int type, const char *const *strings,
		      size_t count)
{
	(void)fprintf(stderr, "wanted: %s with", audit_msg_type_to_name(type));
	for (size_t i = 0; i < count; i++)
		(void)fprintf(stderr, " [%s]", strings[i]);
	(void)fputs("; records kept:\n", stderr);
	for (size_t i = 0; i < stream->count; i++) {
		const char *name = audit_msg_type_to_name(stream->records[i].type);

		(void)fprintf(stderr, "%s %s %s\n", stream->records[i].taken ? "taken" : "     ",
			      name ? name : "?", stream->records[i].text);
	}
}

const char *audit_stream_expect(struct audit_stream *stream, int type, ...)
{
	int64_t deadline = deadline_after(AUDIT_STREAM_DEADLINE_MS);
	const char *strings[STRINGS_MAX];
	struct audit_record *record;
	size_t count;
	size_t from = 0;
	va_list args;

	va_start(args, type);
	count = take_strings(args, strings);
	va_end(args);
	while (!(record = find(stream, from, type, strings, count))) {
		from = stream->count;
		if (read_record(stream, deadline) < 0) {
			print_all(stream, type, strings, count);
			FAIL("no such record within %d ms", AUDIT_STREAM_DEADLINE_MS);
		}
	}
	record->taken = true;
	return record->text;
}

/* Sends a marker and reads until it comes back. */
static void read_to_marker(struct audit_stream *stream)
{
	static unsigned serial;
	int64_t deadline = deadline_after(AUDIT_STREAM_DEADLINE_MS);
	size_t from = stream->count;
	const struct audit_record *record;
	char marker[64];
	const char *strings[] = { marker };
	cleanup_fd int fd = MUST_INT(audit_open());

	(void)snprintf(marker, sizeof(marker), "dive-test-marker=%d.%u.", getpid(), serial++);
	if (audit_log_user_message(fd, MARKER_TYPE, marker, NULL, NULL, NULL, 1) <= 0)
		FAIL("no marker can be sent: %s", strerror(errno));
	while (!(record = find(stream, from, MARKER_TYPE, strings, 1))) {
		from = stream->count;
		if (read_record(stream, deadline) < 0)
			FAIL("the marker does not come back: is auditing enabled?");
	}
}

void audit_stream_expect_none(struct audit_stream *stream, int type, ...)
{
	const char *strings[STRINGS_MAX];
	size_t count;
	va_list args;

	va_start(args, type);
	count = take_strings(args, strings);
	va_end(args);
	read_to_marker(stream);
	if (find(stream, 0, type, strings, count)) {
		print_all(stream, type, strings, count);
		FAIL("an unwanted record");
	}
}

void audit_stream_forget(struct audit_stream *stream)
{
	read_to_marker(stream);
	drop_records(stream);
}

void audit_stream_print(const struct audit_stream *stream, const char *text)
{
	for (size_t i = 0; i < stream->count; i++) {
		const struct audit_record *record = &stream->records[i];
		const char *name = audit_msg_type_to_name(record->type);

		if (strstr(record->text, text))
			(void)printf("type=%s %s\n", name ? name : "?", record->text);
	}
}
