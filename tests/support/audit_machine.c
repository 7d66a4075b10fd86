/*
 * audit_machine - the audit system of the machine, as a test found it.
 *
 * Rules are kept as the kernel lists them, which is also the form in which it compares and
 * deletes them; nothing here understands more of a rule than its key.
 */
#include "audit_machine.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"

#include <poll.h>
#include <stdbool.h>

#define ANSWER_MS 10000

/* Waits for the next answer of a type.  Return: 0; 1 at the end of a list; -1. */
static int get_answer(int fd, int type, struct audit_reply *ret)
{
	int64_t deadline = deadline_after(ANSWER_MS);

	for (;;) {
		if (deadline_poll(fd, POLLIN, deadline) < 0)
			return -1;
		if (audit_get_reply(fd, ret, GET_REPLY_NONBLOCKING, 0) <= 0)
			continue;
		if (ret->type == type)
			return 0;
		if (ret->type == NLMSG_DONE)
			return 1;
		if (ret->type == NLMSG_ERROR && ret->error->error != 0)
			return -1;
	}
}

/* *ret points into itself.  Return: 0; -1. */
static int ask(int (*request)(int fd), int type, struct audit_reply *ret)
{
	cleanup_fd int fd = audit_open();

	return fd < 0 || request(fd) <= 0 || get_answer(fd, type, ret) != 0 ? -1 : 0;
}

static int read_status(struct audit_status *ret)
{
	struct audit_reply reply;

	/* Not audit_is_enabled(3), which takes the first answer that comes, if one has. */
	if (ask(audit_request_status, AUDIT_GET, &reply) != 0)
		return -1;
	*ret = *reply.status;
	return 0;
}

static int read_features(uint32_t *ret)
{
	struct audit_reply reply;

	if (ask(audit_request_features, AUDIT_GET_FEATURE, &reply) != 0)
		return -1;
	*ret = reply.features->features;
	return 0;
}

static size_t size_of(const struct audit_rule_data *rule)
{
	return sizeof(*rule) + rule->buflen;
}

static int add_rule(struct audit_machine *machine, const struct audit_rule_data *rule)
{
	size_t size = (machine->count + 1) * sizeof(struct audit_rule_data *);
	struct audit_rule_data **larger = realloc(machine->rules, size);

	if (!larger)
		return -1;
	machine->rules = larger;
	larger[machine->count] = malloc(size_of(rule));
	if (!larger[machine->count])
		return -1;
	memcpy(larger[machine->count++], rule, size_of(rule));
	return 0;
}

static int read_rules(struct audit_machine *ret)
{
	cleanup_fd int fd = audit_open();
	struct audit_reply reply;
	int r;

	if (fd < 0 || audit_request_rules_list_data(fd) <= 0)
		return -1;
	while ((r = get_answer(fd, AUDIT_LIST_RULES, &reply)) == 0)
		if (add_rule(ret, reply.ruledata) != 0)
			return -1;
	return r == 1 ? 0 : -1;
}

void audit_machine_status(struct audit_status *ret)
{
	if (read_status(ret) != 0)
		FAIL("the kernel does not tell the state of auditing");
}

void audit_machine_save(struct audit_machine *ret)
{
	*ret = (struct audit_machine){ 0 };
	audit_machine_status(&ret->status);
	if (read_features(&ret->features) != 0)
		FAIL("the kernel does not tell its audit features");
	if (read_rules(ret) != 0)
		FAIL("the kernel does not list its audit rules");
}

void audit_machine_done(struct audit_machine *machine)
{
	for (size_t i = 0; i < machine->count; i++)
		free_pointer(&machine->rules[i]);
	free_pointer(&machine->rules);
	machine->count = 0;
}

static bool is_known(const struct audit_machine *machine, const struct audit_rule_data *rule)
{
	for (size_t i = 0; i < machine->count; i++)
		if (size_of(machine->rules[i]) == size_of(rule) &&
		    memcmp(machine->rules[i], rule, size_of(rule)) == 0)
			return true;
	return false;
}

/* Whether a text of the rule is such a key.  They follow one another, with their lengths. */
static bool is_ours(const struct audit_rule_data *rule)
{
	const size_t len = strlen(AUDIT_MACHINE_KEY);
	size_t at = 0;

	for (unsigned i = 0; i < rule->field_count; i++) {
		bool key = rule->fields[i] == AUDIT_FILTERKEY;

		if (key && rule->values[i] >= len && at + len <= rule->buflen &&
		    memcmp(rule->buf + at, AUDIT_MACHINE_KEY, len) == 0)
			return true;
		if (key || rule->fields[i] == AUDIT_WATCH || rule->fields[i] == AUDIT_DIR ||
		    rule->fields[i] == AUDIT_EXE ||
		    (rule->fields[i] >= AUDIT_SUBJ_USER && rule->fields[i] <= AUDIT_SUBJ_CLR) ||
		    (rule->fields[i] >= AUDIT_OBJ_USER && rule->fields[i] <= AUDIT_OBJ_LEV_HIGH))
			at += rule->values[i];
	}
	return false;
}

static int restore_rules(const struct audit_machine *saved)
{
	struct audit_machine now = { 0 };
	cleanup_fd int fd = audit_open();
	int r = fd < 0 ? -1 : read_rules(&now);

	for (size_t i = 0; i < now.count; i++) {
		struct audit_rule_data *rule = now.rules[i];

		if (is_known(saved, rule) || !is_ours(rule))
			continue;
		if (audit_delete_rule_data(fd, rule, (int)rule->flags, (int)rule->action) <= 0)
			r = -1;
	}
	audit_machine_done(&now);
	return r;
}

static int restore_status(const struct audit_status *saved)
{
	cleanup_fd int fd = audit_open();
	struct audit_status now;
	bool done = true;

	if (fd < 0 || read_status(&now) != 0)
		return -1;
	if (now.failure != saved->failure)
		done &= audit_set_failure(fd, saved->failure) > 0;
	if (now.rate_limit != saved->rate_limit)
		done &= audit_set_rate_limit(fd, saved->rate_limit) > 0;
	if (now.backlog_limit != saved->backlog_limit)
		done &= audit_set_backlog_limit(fd, saved->backlog_limit) > 0;
	if (now.backlog_wait_time != saved->backlog_wait_time)
		done &= audit_set_backlog_wait_time(fd, saved->backlog_wait_time) > 0;
	if (now.enabled != saved->enabled)
		done &= audit_set_enabled(fd, saved->enabled) > 0;
	return done ? 0 : -1;
}

static int restore_features(uint32_t saved)
{
	cleanup_fd int fd = audit_open();
	uint32_t now = 0;
	bool done = true;

	if (fd < 0 || read_features(&now) != 0)
		return -1;
	for (unsigned i = 0; i <= AUDIT_LAST_FEATURE; i++)
		if ((now ^ saved) & AUDIT_FEATURE_TO_MASK(i))
			done &= audit_set_feature(fd, i, saved >> i & 1, 0) > 0;
	return done ? 0 : -1;
}

int audit_machine_restore(const struct audit_machine *saved)
{
	int rules = restore_rules(saved);
	int status = restore_status(&saved->status);
	int features = restore_features(saved->features);

	return rules == 0 && status == 0 && features == 0 ? 0 : -1;
}
