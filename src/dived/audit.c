/*
 * Sends records to the kernel, and to syslog beside it.
 *
 * Three things about NETLINK_AUDIT shape this file.  A record sent while auditing is off is
 * accepted and thrown away, so whether a spawn is recorded must be asked first.  The answer
 * to the question comes from a kernel thread and may come late or never, so waiting for it
 * has a deadline of its own, and answers are told apart by their sequence number.  And the
 * functions of libaudit return a positive sequence number on success; 0 is how they say
 * "the kernel refused, which desktop programs do not mind".  Here it is a failure.
 *
 * Nor does the kernel tell a sender that it has no room, or that the rate is too high.  It
 * acknowledges the record and throws it away, or, with a full queue, makes him wait, adds
 * it all the same, and drops what auditd(8) does not take in time.  It counts what it throws
 * away, though.  So where that count has grown once a record was sent, or a queue that was
 * full does not empty, the record counts as not written.  What it drops later on, nobody
 * can know who sends.
 *
 * What can be decided without the kernel is in audit_demand() and in record.c.
 */
#include "audit.h"

#include "capability.h"
#include "cleanup.h"
#include "deadline.h"
#include "log.h"
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libaudit.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#define WAIT_SECONDS 5 /* for the kernel to take a packet, or to answer */
#define ROOM_MS	     5000
#define LOOK_MS	     10

static_assert(RECORD_TEXT_MAX + RECORD_SUFFIX_MAX <= AUDIT_MESSAGE_TEXT_MAX,
	      "the kernel drops what is longer");
static_assert(AUDIT_MESSAGE_TEXT_MAX < MAX_AUDIT_MESSAGE_LENGTH, "and so does libaudit");

int audit_init(enum config_audit mode, struct audit *ret)
{
	static const struct timeval limit = { .tv_sec = WAIT_SECONDS };
	*ret = (struct audit){ .fd = -1, .mode = mode };
	if (mode == CONFIG_AUDIT_OFF)
		return 0;
	/* not audit_open(3), which sets close-on-exec only afterwards */
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (fd < 0 && (errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT || errno == EINVAL ||
		       errno == EPERM || errno == EACCES))
		return 0;
	/* Not poll(2), which a limit of no descriptors at all makes fail. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0) {
		ret->error = errno;
		return -ret->error;
	}
	ret->fd = take_fd(&fd);
	return 0;
}

void audit_done(struct audit *audit)
{
	close_fd(&audit->fd);
}

/*
 * EPERM is what the kernel says outside the initial pid namespace and without
 * CAP_AUDIT_CONTROL.  Sending needs only CAP_AUDIT_WRITE, in any pid namespace.
 */
static bool audit_may_send(void)
{
	struct capability_sets sets;

	return capability_read(&sets) == 0 && capability_has(sets.effective, CAP_AUDIT_WRITE);
}

static enum audit_state audit_state_of_error(int error)
{
	switch (error) {
	case EPERM:
	case EACCES: /* an LSM's */
		return audit_may_send() ? AUDIT_STATE_UNKNOWN : AUDIT_STATE_ABSENT;
	case ECONNREFUSED:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
		return AUDIT_STATE_ABSENT;
	default:
		return AUDIT_STATE_FAILED;
	}
}

/* Nothing came, or a packet that is not the kernel's, which libaudit tells by these. */
static bool audit_passes_over(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS || error == EINVAL ||
	       error == EPROTO || error == EBADE || error == EFBIG;
}

/* What the kernel says of its auditing; the rest of it only with a state that it knows. */
struct audit_condition {
	enum audit_state state;
	bool full;     /* the queue of records for auditd(8) is longer than it may be */
	bool counts;   /* what is lost should not be */
	uint32_t lost; /* records thrown away since the machine has started */
};

/*
 * Waits for the answer of this type to request `seq`, or for the error that it is; the
 * acknowledgement has the same number and is neither.  *ret points into itself.
 * Return: 0; -errno of the answer or of the socket; -ETIMEDOUT.
 */
static int audit_await(int fd, uint32_t seq, int type, struct audit_reply *ret)
{
	int64_t deadline = deadline_after((int64_t)WAIT_SECONDS * 1000);

	do {
		int len = audit_get_reply(fd, ret, GET_REPLY_BLOCKING, 0);

		if (len < 0 && !audit_passes_over(-len))
			return len;
		if (len <= 0 || ret->nlh->nlmsg_seq != seq)
			continue;
		if (ret->type == NLMSG_ERROR && ret->error->error != 0)
			return ret->error->error;
		if (ret->type == type)
			return 0;
	} while (!deadline_passed(deadline));
	return -ETIMEDOUT;
}

static struct audit_condition audit_ask(const struct audit *audit)
{
	struct audit_reply reply;
	int r;

	if (audit->fd < 0)
		return (struct audit_condition){ .state = audit->error ? AUDIT_STATE_FAILED
								       : AUDIT_STATE_ABSENT };
	r = audit_request_status(audit->fd);
	if (r > 0)
		r = audit_await(audit->fd, (uint32_t)r, AUDIT_GET, &reply);
	else if (r == 0)
		r = -EIO;
	if (r)
		return (struct audit_condition){ .state = audit_state_of_error(-r) };
	/* Without auditd the kernel's own log and journald have the records, and there is no
	   end of what the kernel cannot keep for an auditd that may come. */
	return (struct audit_condition){
		.state = reply.status->enabled != 0 ? AUDIT_STATE_ENABLED : AUDIT_STATE_DISABLED,
		.full = reply.status->pid != 0 && reply.status->backlog_limit != 0 &&
			reply.status->backlog > reply.status->backlog_limit,
		.counts = reply.status->pid != 0 || reply.status->rate_limit != 0,
		.lost = reply.status->lost,
	};
}

bool audit_login_uid_is_fixed(const struct audit *audit)
{
	const uint32_t fixing = AUDIT_FEATURE_TO_MASK(AUDIT_FEATURE_LOGINUID_IMMUTABLE) |
				AUDIT_FEATURE_TO_MASK(AUDIT_FEATURE_ONLY_UNSET_LOGINUID);
	uint32_t own = AUDIT_LOGIN_UID_UNSET;
	struct audit_reply reply;

	if (audit->fd < 0 || audit_own_login_uid(&own) || own == AUDIT_LOGIN_UID_UNSET)
		return false;
	int seq = audit_request_features(audit->fd);
	return seq > 0 && audit_await(audit->fd, (uint32_t)seq, AUDIT_GET_FEATURE, &reply) == 0 &&
	       (reply.features->features & fixing);
}

enum audit_state audit_query(const struct audit *audit)
{
	return audit_ask(audit).state;
}

/*
 * Why the kernel may have thrown away what it has taken since `before`.  Whose record it was
 * is not told; at a time when some are lost, that of a spawn is taken to be.  A queue that
 * was full is watched until there is room: what is in it then is kept.
 * Returns NULL where there is no doubt, and where `auto` does not mind.
 */
static const char *audit_doubt(const struct audit *audit, const struct audit_condition *before)
{
	int64_t deadline = deadline_after(ROOM_MS);

	for (;;) {
		struct audit_condition after = audit_ask(audit);

		if (after.state == AUDIT_STATE_DISABLED && audit->mode == CONFIG_AUDIT_AUTO)
			return NULL;
		if (after.state == AUDIT_STATE_FAILED)
			return "the kernel does not answer";
		if (after.state != AUDIT_STATE_ENABLED)
			return audit_state_name(after.state);
		if (before->counts && after.counts && after.lost != before->lost)
			return "the kernel is losing records";
		if (!before->full || !after.full)
			return NULL;
		if (deadline_passed(deadline))
			return "the kernel's queue is full";
		(void)poll(NULL, 0, LOOK_MS); /* nothing tells of room */
	}
}

const char *audit_state_name(enum audit_state state)
{
	switch (state) {
	case AUDIT_STATE_ABSENT:
		return "absent";
	case AUDIT_STATE_DISABLED:
		return "disabled";
	case AUDIT_STATE_ENABLED:
		return "enabled";
	case AUDIT_STATE_FAILED:
		return "not to be found out";
	case AUDIT_STATE_UNKNOWN:
		break;
	}
	return "unknown";
}

int audit_new_id(char ret[AUDIT_ID_SIZE])
{
	uint8_t random[(AUDIT_ID_SIZE - 1) / 2];
	ssize_t len;

	do {
		len = getrandom(random, sizeof(random), 0);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if ((size_t)len != sizeof(random))
		return -EIO; /* getrandom(2): requests up to 256 bytes are served whole */
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", random[i]); /* always two digits */
	return 0;
}

enum audit_demand audit_demand(enum config_audit mode, enum audit_state state, bool login_uid_kept)
{
	if (mode == CONFIG_AUDIT_OFF)
		return AUDIT_DEMAND_NONE;
	if (state != AUDIT_STATE_ENABLED) {
		if (mode == CONFIG_AUDIT_REQUIRE || state == AUDIT_STATE_FAILED)
			return AUDIT_DEMAND_REFUSE_STATE;
		return state == AUDIT_STATE_UNKNOWN ? AUDIT_DEMAND_TRY : AUDIT_DEMAND_NONE;
	}
	return login_uid_kept ? AUDIT_DEMAND_WRITE : AUDIT_DEMAND_REFUSE_LOGIN_UID;
}

/* libaudit copies the terminal as it is, so nothing but a plain name may reach it. */
static const char *audit_terminal(const char *tty)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/";

	if (tty == NULL || strlen(tty) >= PEER_TTY_MAX || tty[strspn(tty, plain)] != '\0')
		return "?";
	return tty;
}

/*
 * Return: 0; -errno.  Host and address are given as unknown, or libaudit would ask the
 * resolver; so is an unknown terminal, or it would take that of dived.
 */
static int audit_send_record(const struct audit *audit, int type, const struct record *record,
			     const char *tty, bool success)
{
	int seq;

	if (audit->fd < 0)
		return audit->error ? -audit->error : -EPROTONOSUPPORT;
	seq = audit_log_user_message(audit->fd, type, record->text, "?", "?", audit_terminal(tty),
				     success);
	if (seq > 0)
		return 0;
	if (seq < 0)
		return seq;
	return audit_may_send() ? -ECONNREFUSED : -EPERM; /* those are what libaudit forgives */
}

/* For the records that no decision hangs on: says so when one that was due is missing. */
static void audit_send_or_log(const struct audit *audit, int type, const struct record *record,
			      const char *tty, bool success)
{
	struct audit_condition before;
	enum audit_demand demand;
	const char *why;
	int error;

	if (audit->mode == CONFIG_AUDIT_OFF)
		return;
	before = audit_ask(audit);
	demand = audit_demand(audit->mode, before.state, true);
	error = audit_send_record(audit, type, record, tty, success);
	if (demand == AUDIT_DEMAND_NONE || demand == AUDIT_DEMAND_TRY)
		return;
	why = error < 0 ? strerror(-error) : audit_doubt(audit, &before);
	if (why)
		log_error("audit record not written (%s): %.120s", why, record->text);
}

static_assert(RECORD_NAMESPACES == NAMESPACE_KINDS, "one list, in one order");

/* By a descriptor of /proc where there is one: after a module's chroot the name leads nowhere. */
static int audit_stat(int proc, const char *name, int flags, struct stat *ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%sself/ns/%s", proc < 0 ? "/proc/" : "", name);
	return fstatat(proc < 0 ? AT_FDCWD : proc, path, ret, flags) ? -errno : 0;
}

/*
 * dived's own, and of the two kinds that unshare(2) and setns(2) change for children only,
 * those.  A pid namespace that has no process yet cannot be followed to.
 */
static uint64_t audit_own_namespace(int proc, enum namespace_kind kind)
{
	const char *name = kind == NAMESPACE_PID    ? "pid_for_children"
			   : kind == NAMESPACE_TIME ? "time_for_children"
						    : record_namespace_names[kind];
	struct stat status;
	int r = audit_stat(proc, name, 0, &status);

	if (r == -ENOENT && kind == NAMESPACE_PID &&
	    audit_stat(proc, name, AT_SYMLINK_NOFOLLOW, &status) == 0)
		return RECORD_NAMESPACE_NEW;
	return r ? 0 : status.st_ino;
}

/* Those that the program will have: dived's own, unless it enters another. */
static void audit_read_namespaces(const struct audit_facts *facts, struct record_namespaces *ret)
{
	const struct namespace_set *set = facts->namespaces;
	int proc = facts->program ? facts->program->proc : -1;

	for (size_t i = 0; i < RECORD_NAMESPACES; i++) {
		struct stat status;

		if (!namespace_set_enters(set, (enum namespace_kind)i))
			ret->inode[i] = audit_own_namespace(proc, (enum namespace_kind)i);
		else
			ret->inode[i] = fstat(set->fds[i], &status) == 0 ? status.st_ino : 0;
	}
	if (facts->new_mounts)
		ret->inode[NAMESPACE_MNT] = RECORD_NAMESPACE_NEW;
	if (set && set->fresh_pid)
		ret->inode[NAMESPACE_PID] = RECORD_NAMESPACE_NEW;
}

/* Return: 0; -errno, with the rest left out. */
static int audit_send_spawn(const struct audit *audit, const struct audit_facts *facts,
			    const struct record_namespaces *namespaces)
{
	struct record_command command;
	struct record record;
	int error;

	record_command_init(facts->command, &command);
	record_spawn(RECORD_AUDIT, facts, namespaces, &command, &record);
	error = audit_send_record(audit, AUDIT_USER_CMD, &record, facts->tty, true);
	while (error == 0 && command.at < command.len) {
		record_more(RECORD_AUDIT, facts, &command, &record);
		error = audit_send_record(audit, AUDIT_USER_CMD, &record, facts->tty, true);
	}
	return error;
}

static void audit_log_spawn(const struct audit_facts *facts,
			    const struct record_namespaces *namespaces)
{
	struct record_command command;
	struct record record;

	record_command_init(facts->command, &command);
	record_spawn(RECORD_SYSLOG, facts, namespaces, &command, &record);
	log_notice("%s", record.text);
	while (command.at < command.len) {
		record_more(RECORD_SYSLOG, facts, &command, &record);
		log_notice("%s", record.text);
	}
}

int audit_spawn(const struct audit *audit, const struct audit_facts *facts, struct fault *fault)
{
	struct audit_condition before = { .state = AUDIT_STATE_ABSENT };
	struct record_namespaces namespaces;
	enum audit_demand demand;
	const char *why;
	int error = 0;

	if (audit->mode != CONFIG_AUDIT_OFF)
		before = audit_ask(audit);
	demand = audit_demand(audit->mode, before.state, facts->login_uid_kept);
	if (demand == AUDIT_DEMAND_REFUSE_STATE)
		return fault_set(fault, MESSAGE_LAYER_AUDIT, "state", 0, "%s %s",
				 audit->mode == CONFIG_AUDIT_REQUIRE
					 ? "auditing is required, and is"
					 : "whether the kernel audits is",
				 audit_state_name(before.state));
	if (demand == AUDIT_DEMAND_REFUSE_LOGIN_UID)
		return fault_set(fault, MESSAGE_LAYER_AUDIT, "loginuid", 0,
				 "the client's login uid cannot be carried over");

	audit_read_namespaces(facts, &namespaces);
	if (demand != AUDIT_DEMAND_NONE)
		error = audit_send_spawn(audit, facts, &namespaces);
	/* By now the kernel has held us back for as long as it does (backlog_wait_time). */
	if (demand == AUDIT_DEMAND_WRITE) {
		why = error < 0 ? strerror(-error) : audit_doubt(audit, &before);
		if (why)
			return fault_set(fault, MESSAGE_LAYER_AUDIT, "write",
					 error < 0 ? -error : ENOBUFS,
					 "the audit record cannot be written: %s", why);
	}
	audit_log_spawn(facts, &namespaces);
	return 0;
}

void audit_refuse(const struct audit *audit, const struct audit_facts *facts,
		  const struct fault *fault)
{
	struct record record;

	record_refuse(RECORD_AUDIT, facts, fault, &record);
	audit_send_or_log(audit, AUDIT_USER_CMD, &record, facts->tty, false);
	record_refuse(RECORD_SYSLOG, facts, fault, &record);
	log_notice("%s", record.text);
}

void audit_exit(const struct audit *audit, const struct audit_facts *facts,
		const struct audit_exit *end)
{
	struct record record;

	record_exit(RECORD_AUDIT, facts, end, &record);
	audit_send_or_log(audit, AUDIT_USER_END, &record, facts->tty, end->fault == NULL);
	record_exit(RECORD_SYSLOG, facts, end, &record);
	log_notice("%s", record.text);
}

void audit_lost(const struct audit *audit, const struct audit_facts *facts, bool before_verdict,
		const char *program, const char *what)
{
	struct record record;

	record_lost(RECORD_AUDIT, facts, program, what, &record);
	audit_send_or_log(audit, before_verdict ? AUDIT_USER_AUTH : AUDIT_USER_END, &record,
			  facts->tty, false);
	record_lost(RECORD_SYSLOG, facts, program, what, &record);
	log_notice("%s", record.text);
}

void audit_gateway(const struct audit *audit, const char *gateway, bool start, const char *text,
		   size_t total, bool log)
{
	struct record record;

	record_gateway(RECORD_AUDIT, gateway, start, text, total, &record);
	audit_send_or_log(audit, AUDIT_USER, &record, NULL, true);
	if (!log)
		return;
	record_gateway(RECORD_SYSLOG, gateway, start, text, total, &record);
	log_notice("%s", record.text);
}
