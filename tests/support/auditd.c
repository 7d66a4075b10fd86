/*
 * auditd - a real auditd(8) in the sandbox.
 *
 * It stays in the foreground (-n), so that its pid is that of our child and waitpid(2) is
 * enough; setpriv(1) in front of it asks for a signal if the test program dies, for an
 * auditd that stays would keep the kernel's records from the next one.
 */
#include "auditd.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIGURATION "/etc/audit"
#define DIRECTORY     "/var/log/audit"
#define LOG	      DIRECTORY "/audit.log"
#define PLUGINS	      "/run/dive-test/plugins"
#define STOP_MS	      20000
#define LET_GO_MS     5000
#define QUEUE	      8192
#define LOOK_MS	      50
#define FOREVER_MS    600000 /* auditd_stop() has the deadline */

/* The daemon's default, but nothing is synced, rotated or dispatched, nor space saved. */
#define SETTINGS                                                                                   \
	"local_events = yes\nwrite_logs = yes\nlog_file = " LOG "\nlog_group = root\n"             \
	"log_format = %s\nflush = NONE\npriority_boost = 0\nname_format = NONE\n"                  \
	"max_log_file = 1000\nmax_log_file_action = IGNORE\nnum_logs = 0\n"                        \
	"space_left = 2\nspace_left_action = IGNORE\n"                                             \
	"admin_space_left = 1\nadmin_space_left_action = IGNORE\n"                                 \
	"disk_full_action = IGNORE\ndisk_error_action = IGNORE\n"                                  \
	"plugin_dir = " PLUGINS "\nend_of_event_timeout = 2\n"

/* The kernel's word; libaudit's audit_is_enabled() reads and drops it. */
static pid_t get_registered(void)
{
	cleanup_fd int fd = MUST_INT(audit_open());
	int64_t deadline = deadline_after(AUDIT_STREAM_DEADLINE_MS);
	struct audit_reply reply;

	if (audit_request_status(fd) <= 0)
		FAIL("the kernel takes no question about auditing");
	do {
		if (deadline_poll(fd, POLLIN, deadline) < 0)
			FAIL("the kernel does not say who has its audit records");
	} while (audit_get_reply(fd, &reply, GET_REPLY_NONBLOCKING, 0) <= 0 ||
		 reply.type != AUDIT_GET);
	return (pid_t)reply.status->pid;
}

bool auditd_is_taken(void)
{
	int64_t deadline = deadline_after(LET_GO_MS);
	pid_t pid;

	while ((pid = get_registered()) != 0 && !deadline_passed(deadline))
		(void)poll(NULL, 0, LOOK_MS); /* that of a test that was killed is about to end */
	if (pid == 0)
		return false;
	(void)fprintf(stderr, "the machine's own auditd (pid %d) has its audit records\n", pid);
	return true;
}

static void make_directory(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		MUST(-1);
}

/*
 * As the rules that come with auditd have it.  The queue of the kernel's own accord is short,
 * and where records are lost gateways refuse: those of other tests, too, that run meanwhile.
 * The guardian of audit_stream.h puts it back.
 */
static void lengthen_queue(void)
{
	cleanup_fd int kernel = MUST_INT(audit_open());

	if (audit_set_backlog_limit(kernel, QUEUE) <= 0)
		FAIL("the kernel's queue cannot be made long");
}

void auditd_start(struct auditd *ret, struct audit_stream *stream, const char *format)
{
	char registered[64];

	make_directory(CONFIGURATION, 0750);
	make_directory(DIRECTORY, 0700);
	make_directory(PLUGINS, 0700);
	if (unlink(LOG) < 0 && errno != ENOENT)
		MUST(-1);
	sandbox_write(CONFIGURATION "/auditd.conf", 0640, SETTINGS, format);
	run_start(&ret->run,
		  &(struct run_options){ .argv = RUN_WORDS("setpriv", "--pdeathsig", "TERM",
							   "auditd", "-n", "-c", CONFIGURATION),
					 .deadline_ms = FOREVER_MS });
	(void)snprintf(registered, sizeof(registered), "audit_pid=%d ", ret->run.pid); /* fits */
	(void)audit_stream_expect(stream, AUDIT_CONFIG_CHANGE, registered, "res=1", NULL);
	lengthen_queue();
}

static bool log_holds(const char *text)
{
	cleanup_fd int fd = MUST_INT(open(LOG, O_RDONLY | O_CLOEXEC));
	cleanup_free char *content = NULL;
	struct stat status;

	MUST(fstat(fd, &status));
	content = malloc((size_t)status.st_size + 1);
	MUST_POINTER(content);
	status.st_size = MUST(pread(fd, content, (size_t)status.st_size, 0));
	return memmem(content, (size_t)status.st_size, text, strlen(text)) != NULL;
}

void auditd_sync(const struct auditd *auditd)
{
	static unsigned serial;
	int64_t deadline = deadline_after(AUDIT_STREAM_DEADLINE_MS);
	cleanup_fd int kernel = MUST_INT(audit_open());
	cleanup_fd int watch = MUST_INT(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
	char marker[64];
	char events[4096];

	assert_true(auditd->run.pid > 0);
	MUST(inotify_add_watch(watch, LOG, IN_MODIFY));
	(void)snprintf(marker, sizeof(marker), "dive-test-sync=%d.%u.", getpid(), serial++);
	if (audit_log_user_message(kernel, AUDIT_TEST, marker, NULL, NULL, NULL, 1) <= 0)
		FAIL("no marker can be sent: %s", strerror(errno));
	while (!log_holds(marker)) {
		if (deadline_poll(watch, POLLIN, deadline) < 0)
			FAIL("auditd does not write what was recorded");
		MUST(read(watch, events, sizeof(events)));
	}
}

void auditd_stop(struct auditd *auditd)
{
	if (auditd->run.pid <= 0)
		return;
	if (!auditd->run.ended)
		run_signal(&auditd->run, SIGTERM);
	if (deadline_poll(auditd->run.pidfd, POLLIN, deadline_after(STOP_MS)) < 0) {
		run_done(&auditd->run);
		FAIL("auditd did not end on SIGTERM");
	}
	run_wait(&auditd->run);
	run_assert_status(&auditd->run, 0);
	run_done(&auditd->run);
	assert_int_equal(get_registered(), 0);
}
