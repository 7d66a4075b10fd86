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
 * What can be decided without the kernel is in audit_demand() and in record.c.
 */
#include "audit.h"

#include "capability.h"
#include "cleanup.h"
#include "deadline.h"
#include "log.h"
#include "parse.h"
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libaudit.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#define QUERY_MS       5000
#define SEND_SECONDS   5
#define LOGIN_UID_FILE "/proc/self/loginuid"
#define LOGIN_UID_TEXT 16

static_assert(RECORD_TEXT_MAX + RECORD_SUFFIX_MAX <= AUDIT_MESSAGE_TEXT_MAX,
	      "the kernel drops what is longer");
static_assert(AUDIT_MESSAGE_TEXT_MAX < MAX_AUDIT_MESSAGE_LENGTH, "and so does libaudit");

int audit_init(enum config_audit mode, struct audit *ret)
{
	static const struct timeval limit = { .tv_sec = SEND_SECONDS };
	cleanup_fd int fd = -1;

	if (mode != CONFIG_AUDIT_OFF) {
		/* not audit_open(3), which sets close-on-exec only afterwards */
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
		if (fd < 0 && errno != EPROTONOSUPPORT && errno != EAFNOSUPPORT &&
		    errno != EINVAL && errno != EPERM && errno != EACCES)
			return -errno;
	}
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	ret->fd = take_fd(&fd);
	ret->mode = mode;
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
		return audit_may_send() ? AUDIT_STATE_UNKNOWN : AUDIT_STATE_ABSENT;
	case ECONNREFUSED:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
		return AUDIT_STATE_ABSENT;
	default:
		return AUDIT_STATE_UNKNOWN;
	}
}

/*
 * Takes one packet, if there is one, and returns whether it answers request `seq`.  The
 * acknowledgement of the request has the same number and is not yet the answer.
 */
static bool audit_take_answer(int fd, uint32_t seq, enum audit_state *ret)
{
	struct audit_reply reply;
	int len = audit_get_reply(fd, &reply, GET_REPLY_NONBLOCKING, 0);

	if (len <= 0 || reply.nlh->nlmsg_seq != seq)
		return false;
	if (reply.type == NLMSG_ERROR && reply.error->error != 0) {
		*ret = audit_state_of_error(-reply.error->error);
		return true;
	}
	if (reply.type != AUDIT_GET)
		return false;
	*ret = reply.status->enabled != 0 ? AUDIT_STATE_ENABLED : AUDIT_STATE_DISABLED;
	return true;
}

enum audit_state audit_query(const struct audit *audit)
{
	int64_t deadline = deadline_after(QUERY_MS);
	enum audit_state state = AUDIT_STATE_UNKNOWN;
	int seq;

	if (audit->fd < 0)
		return AUDIT_STATE_ABSENT;
	seq = audit_request_status(audit->fd);
	if (seq <= 0)
		return audit_state_of_error(seq == 0 ? EIO : -seq);
	while (!audit_take_answer(audit->fd, (uint32_t)seq, &state)) {
		if (deadline_passed(deadline) || deadline_poll(audit->fd, POLLIN, deadline) < 0)
			return AUDIT_STATE_UNKNOWN;
	}
	return state;
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
		if (mode == CONFIG_AUDIT_REQUIRE)
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
		return -EPROTONOSUPPORT;
	seq = audit_log_user_message(audit->fd, type, record->text, "?", "?", audit_terminal(tty),
				     success);
	if (seq > 0)
		return 0;
	return seq < 0 ? seq : -ECONNREFUSED;
}

/* For the records that no decision hangs on: says so when one that was due is missing. */
static void audit_send_or_log(const struct audit *audit, int type, const struct record *record,
			      const char *tty, bool success)
{
	int error;

	if (audit->mode == CONFIG_AUDIT_OFF)
		return;
	error = audit_send_record(audit, type, record, tty, success);
	if (error == 0)
		return;
	if (audit->mode == CONFIG_AUDIT_REQUIRE || audit_query(audit) == AUDIT_STATE_ENABLED)
		log_error("audit record not written (%s): %.120s", strerror(-error), record->text);
}

static_assert(RECORD_NAMESPACES == NAMESPACE_KINDS, "one list, in one order");

/* Those that the program will have: dived's own, unless it enters another. */
static void audit_read_namespaces(const struct audit_facts *facts, struct record_namespaces *ret)
{
	const struct namespace_set *set = facts->namespaces;

	for (size_t i = 0; i < RECORD_NAMESPACES; i++) {
		char path[32];
		struct stat status;
		int r;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", record_namespace_names[i]);
		r = set && set->fds[i] >= 0 ? fstat(set->fds[i], &status) : stat(path, &status);
		ret->inode[i] = r == 0 ? status.st_ino : 0;
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
	enum audit_state state =
		audit->mode == CONFIG_AUDIT_OFF ? AUDIT_STATE_UNKNOWN : audit_query(audit);
	enum audit_demand demand = audit_demand(audit->mode, state, facts->login_uid_kept);
	struct record_namespaces namespaces;
	int error = 0;

	if (demand == AUDIT_DEMAND_REFUSE_STATE)
		return fault_set(fault, MESSAGE_LAYER_AUDIT, "state", 0,
				 "auditing is required, and is %s", audit_state_name(state));
	if (demand == AUDIT_DEMAND_REFUSE_LOGIN_UID)
		return fault_set(fault, MESSAGE_LAYER_AUDIT, "loginuid", 0,
				 "the client's login uid cannot be carried over");

	audit_read_namespaces(facts, &namespaces);
	if (demand != AUDIT_DEMAND_NONE)
		error = audit_send_spawn(audit, facts, &namespaces);
	if (error < 0 && demand == AUDIT_DEMAND_WRITE)
		return fault_set(fault, MESSAGE_LAYER_AUDIT, "write", -error,
				 "the audit record cannot be written: %s", strerror(-error));
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

void audit_gateway(const struct audit *audit, const char *gateway, bool start, const char *text)
{
	struct record record;

	record_gateway(RECORD_AUDIT, gateway, start, text, &record);
	audit_send_or_log(audit, AUDIT_USER, &record, NULL, true);
	record_gateway(RECORD_SYSLOG, gateway, start, text, &record);
	log_notice("%s", record.text);
}

/* Return: 0; -errno of reading; -EIO when the kernel shows something else than a number. */
static int audit_get_login_uid(uint32_t *ret)
{
	cleanup_fd int fd = open(LOGIN_UID_FILE, O_RDONLY | O_CLOEXEC);
	char text[LOGIN_UID_TEXT];
	uint64_t value;
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (parse_uint(text, 0, UINT32_MAX, &value) < 0)
		return -EIO;
	*ret = (uint32_t)value;
	return 0;
}

static int audit_put_login_uid(uint32_t login_uid)
{
	cleanup_fd int fd = open(LOGIN_UID_FILE, O_WRONLY | O_CLOEXEC);
	char text[LOGIN_UID_TEXT];
	int len;
	ssize_t written;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%" PRIu32, login_uid); /* at most 10 digits */
	written = write(fd, text, (size_t)len);
	if (written < 0)
		return -errno;
	return written == len ? 0 : -EIO;
}

int audit_set_login_uid(uint32_t login_uid)
{
	uint32_t now;
	int error = audit_get_login_uid(&now);

	if (error < 0 || now == login_uid)
		return error;
	error = audit_put_login_uid(login_uid);
	if (error < 0)
		return error;
	error = audit_get_login_uid(&now);
	if (error < 0)
		return error;
	return now == login_uid ? 0 : -EIO;
}
