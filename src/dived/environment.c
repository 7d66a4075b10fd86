/*
 * environment - who decides what about a variable.
 *
 * Five sources, one after the other, each overriding what came before: the base,
 * the target account, PAM, --env-set, DIVE_*.  The order is the policy: what a
 * client says is overridden by everybody, what dived says by nobody.
 *
 * In the safe mode a client's variable has to pass twice, by name and by value.
 * Names are those of a terminal and a locale.  Values must not look like a
 * path (a locale or a terminal description read from a file of the client's),
 * a format (messages of a hostile catalogue) or a shell function.  TZ is a path
 * by nature and may name a zone of the system's; whether that file exists is
 * not asked, since no file is looked at here.
 */
#include "environment.h"

#include "cleanup.h"
#include "message.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ZONES "/usr/share/zoneinfo/"

/* What a service manager tells dived about dived; false to any other program. */
static const char *const manager_names[] = {
	"NOTIFY_SOCKET",
	"LISTEN_FDS",
	"LISTEN_PID",
	"LISTEN_FDNAMES",
	"LISTEN_PIDFDID",
	"INVOCATION_ID",
	"JOURNAL_STREAM",
	"WATCHDOG_USEC",
	"WATCHDOG_PID",
	"SYSTEMD_EXEC_PID",
	"MAINPID",
	"MAINPIDFDID",
	"MANAGERPID",
	"MANAGERPIDFDID",
	"MONITOR_SERVICE_RESULT",
	"MONITOR_EXIT_CODE",
	"MONITOR_EXIT_STATUS",
	"MONITOR_INVOCATION_ID",
	"MONITOR_UNIT",
	"MEMORY_PRESSURE_WATCH",
	"MEMORY_PRESSURE_WRITE",
	"FDSTORE",
	"CREDENTIALS_DIRECTORY",
	"RUNTIME_DIRECTORY",
	"STATE_DIRECTORY",
	"CACHE_DIRECTORY",
	"LOGS_DIRECTORY",
	"CONFIGURATION_DIRECTORY",
	"TRIGGER_UNIT",
	"TRIGGER_PATH",
	"TRIGGER_TIMER_REALTIME_USEC",
	"TRIGGER_TIMER_MONOTONIC_USEC",
	"REMOTE_ADDR",
	"REMOTE_PORT",
	NULL,
};

/* Of the client's, in the safe mode; a name that ends in * is a prefix. */
static const char *const safe_names[] = {
	"TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "LC_*", "TZ", NULL,
};

/* Never from a client, whatever --env-keep says: they steer a loader or a shell. */
static const char *const steering_names[] = {
	"LD_*", "GCONV_PATH", "GLIBC_TUNABLES", "BASH_ENV",   "ENV", "IFS",
	"PS4",	"PERL5*",     "PYTHON*",	"BASH_FUNC*", NULL,
};

/* Of dived's own, where the client's count for nothing. */
static const char *const none_names[] = { "LANG", "TZ", NULL };

/* --- names and values -------------------------------------------------------- */

static size_t name_length(const char *line)
{
	return strcspn(line, "=");
}

/* Whether a line has a name and a value. */
static bool is_assignment(const char *line)
{
	size_t len = name_length(line);

	return len > 0 && line[len] == '=';
}

/* Not isalpha(3) and isalnum(3): these ask the locale. */
static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(const char *name, size_t len)
{
	if (len == 0 || !is_letter(name[0]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_letter(name[i]) && !is_digit(name[i]))
			return false;
	return true;
}

static bool name_in(const char *const *patterns, const char *name, size_t len)
{
	for (; *patterns; patterns++) {
		size_t pattern_len = strlen(*patterns);
		bool prefix = (*patterns)[pattern_len - 1] == '*';

		if (prefix)
			pattern_len--;
		if (prefix ? len < pattern_len : len != pattern_len)
			continue;
		if (memcmp(*patterns, name, pattern_len) == 0)
			return true;
	}
	return false;
}

static bool is_ours(const char *line)
{
	return strncmp(line, "DIVE_", 5) == 0;
}

/*
 * A zone of the system's, by name or path, or a POSIX rule ("CET-1CEST,M3.5.0").
 * C libraries take off one ':' themselves, and one of them takes a leading '.'
 * for a path from the current directory: neither may be left in front.
 */
static bool is_zone(const char *value)
{
	static const char allowed[] = "_+-/.,<>:";

	if (strncmp(value, ZONES, strlen(ZONES)) == 0)
		value += strlen(ZONES);
	if (*value == '/' || *value == '.' || *value == ':' || strstr(value, ".."))
		return false;
	for (; *value; value++)
		if (!is_letter(*value) && !is_digit(*value) && !strchr(allowed, *value))
			return false;
	return true;
}

/* --- what the base takes ------------------------------------------------------- */

static bool take_all(const struct environment_input *input, const char *line)
{
	(void)input;
	return !is_ours(line);
}

static bool is_kept(const struct option_list *keep, const char *name, size_t len)
{
	for (size_t i = 0; keep && i < keep->count; i++)
		if (strlen(keep->items[i]) == len && memcmp(keep->items[i], name, len) == 0)
			return true;
	return false;
}

static bool take_safe(const struct environment_input *input, const char *line)
{
	size_t len = name_length(line);
	const char *value = line + len + 1;

	if (is_ours(line) || !is_name(line, len))
		return false;
	if (!name_in(safe_names, line, len) && !is_kept(input->keep, line, len))
		return false;
	if (strncmp(line, "TZ=", 3) == 0)
		return is_zone(*value == ':' ? value + 1 : value);
	return strncmp(value, "()", 2) != 0 && !strpbrk(value, "/%");
}

static bool take_none(const struct environment_input *input, const char *line)
{
	(void)input;
	return name_in(none_names, line, name_length(line));
}

/* A DIVE_* of dived's own is about another gateway, through which dived was started. */
static bool take_server(const struct environment_input *input, const char *line)
{
	(void)input;
	return !is_ours(line) && !name_in(manager_names, line, name_length(line));
}

/* --- the list ------------------------------------------------------------------ */

struct list {
	char **items; /* owned, NULL-terminated once there is one */
	size_t count;
	size_t room;
};

static char **list_find(const struct list *list, const char *line, size_t name_len)
{
	for (size_t i = 0; i < list->count; i++)
		if (strncmp(list->items[i], line, name_len) == 0 && list->items[i][name_len] == '=')
			return &list->items[i];
	return NULL;
}

/* Makes room for `more` items and the NULL. */
static int list_reserve(struct list *list, size_t more)
{
	size_t need = list->count + more + 1;
	char **items;

	if (need <= list->room)
		return 0;
	if (need < list->room * 2)
		need = list->room * 2;
	items = reallocarray(list->items, need, sizeof(*items));
	if (!items)
		return -ENOMEM;
	items[list->count] = NULL;
	list->items = items;
	list->room = need;
	return 0;
}

/* Sets a variable from "NAME=VALUE"; `fresh`: its name is known not to be there. */
static int list_set(struct list *list, const char *line, bool fresh)
{
	char **place = fresh ? NULL : list_find(list, line, name_length(line));
	char *copy;

	if (strlen(line) >= MESSAGE_STRING_MAX)
		return -E2BIG;
	copy = strdup(line);
	if (!copy)
		return -ENOMEM;
	if (place) {
		free(*place);
		*place = copy;
		return 0;
	}
	if (list_reserve(list, 1)) {
		free(copy);
		return -ENOMEM;
	}
	list->items[list->count++] = copy;
	list->items[list->count] = NULL;
	return 0;
}

/* Sets every assignment of a NULL-terminated list, which may be NULL. */
static int list_set_all(struct list *list, char *const *lines)
{
	for (size_t i = 0; lines && lines[i]; i++) {
		int error = is_assignment(lines[i]) ? list_set(list, lines[i], false) : 0;

		if (error)
			return error;
	}
	return 0;
}

static int list_set_value(struct list *list, const char *name, const char *value)
{
	cleanup_free char *line = NULL;

	if (asprintf(&line, "%s=%s", name, value) < 0) {
		line = NULL; /* undefined after a failure */
		return -ENOMEM;
	}
	return list_set(list, line, false);
}

/* --- the base -------------------------------------------------------------------- */

/* A line and its place, for finding repeated names. */
struct entry {
	const char *line;
	size_t place;
};

static int by_place(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;

	return (a->place > b->place) - (a->place < b->place);
}

static int compare_names(const char *left, const char *right)
{
	size_t left_len = name_length(left);
	size_t right_len = name_length(right);
	int order = memcmp(left, right, left_len < right_len ? left_len : right_len);

	return order ? order : (left_len > right_len) - (left_len < right_len);
}

static int by_name(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	int order = compare_names(a->line, b->line);

	return order ? order : by_place(left, right);
}

/*
 * Collects the assignments, of each name the first, in their order.  By
 * sorting: a client may send 256 Ki lines, too many to compare each with all.
 */
static int collect(char *const *lines, struct entry **ret, size_t *ret_count)
{
	size_t count = 0, unique = 0;
	struct entry *entries;

	while (lines && lines[count])
		count++;
	entries = calloc(count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; lines && lines[i]; i++)
		if (is_assignment(lines[i]))
			entries[count++] = (struct entry){ lines[i], i };
	qsort(entries, count, sizeof(*entries), by_name);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || compare_names(entries[i].line, entries[unique - 1].line) != 0)
			entries[unique++] = entries[i];
	qsort(entries, unique, sizeof(*entries), by_place);
	*ret = entries;
	*ret_count = unique;
	return 0;
}

static int add_base(struct list *list, const struct environment_input *input)
{
	static const struct {
		bool server; /* dived's environment, not the client's */
		bool (*take)(const struct environment_input *input, const char *line);
	} bases[] = {
		[CONFIG_ENVIRONMENT_ALL] = { false, take_all },
		[CONFIG_ENVIRONMENT_SAFE] = { false, take_safe },
		[CONFIG_ENVIRONMENT_NONE] = { true, take_none },
		[CONFIG_ENVIRONMENT_SERVER] = { true, take_server },
	};
	cleanup_free struct entry *entries = NULL;
	size_t count;
	int error;

	assert(input->mode < ARRAY_LEN(bases) && bases[input->mode].take);
	error = collect(bases[input->mode].server ? input->server : input->client, &entries,
			&count);
	for (size_t i = 0; !error && i < count; i++) {
		const char *line = entries[i].line;

		if (!bases[input->mode].take(input, line))
			continue;
		if (input->mode == CONFIG_ENVIRONMENT_SAFE && strncmp(line, "TZ=:", 4) == 0)
			error = list_set_value(list, "TZ", line + 4);
		else
			error = list_set(list, line, true);
	}
	return error;
}

static int add_target(struct list *list, const struct account *target)
{
	const char *shell = target->shell ? target->shell : "/bin/sh";
	bool has_home = target->home && *target->home;
	cleanup_free char *mail = NULL;
	int error = list_set_value(list, "PATH", ENVIRONMENT_PATH);

	if (!error)
		error = list_set_value(list, "SHELL", shell);
	if (!error && has_home)
		error = list_set_value(list, "HOME", target->home);
	if (error || !target->name)
		return error;
	if (asprintf(&mail, "/var/mail/%s", target->name) < 0) {
		mail = NULL; /* undefined after a failure */
		return -ENOMEM;
	}
	error = list_set_value(list, "USER", target->name);
	if (!error)
		error = list_set_value(list, "LOGNAME", target->name);
	if (!error)
		error = list_set_value(list, "MAIL", mail);
	return error;
}

/* --- the whole ------------------------------------------------------------------- */

enum config_environment environment_mode(const struct config *config, bool elevated)
{
	if (config->no_environment)
		return CONFIG_ENVIRONMENT_NONE;
	if (config->environment != CONFIG_ENVIRONMENT_DEFAULT)
		return (enum config_environment)config->environment;
	if (config->mode == CONFIG_MODE_EXECUTE)
		return CONFIG_ENVIRONMENT_SERVER;
	return elevated ? CONFIG_ENVIRONMENT_SAFE : CONFIG_ENVIRONMENT_ALL;
}

int environment_make(const struct environment_input *input, char ***ret)
{
	struct list list = { 0 };
	int error = list_reserve(&list, 0);

	if (!error)
		error = add_base(&list, input);
	if (!error &&
	    (input->mode == CONFIG_ENVIRONMENT_SAFE || input->mode == CONFIG_ENVIRONMENT_NONE))
		error = add_target(&list, input->target);
	if (!error)
		error = list_set_all(&list, input->pam);
	if (!error && input->set)
		error = list_set_all(&list, input->set->items);
	if (!error)
		error = list_set_all(&list, input->dive);
	if (error) {
		environment_done(&list.items);
		return error;
	}
	*ret = list.items;
	return 0;
}

const char *environment_get(char *const *list, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; list && list[i]; i++)
		if (strncmp(list[i], name, len) == 0 && list[i][len] == '=')
			return list[i] + len + 1;
	return NULL;
}

void environment_done(char ***list)
{
	for (size_t i = 0; *list && (*list)[i]; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
}

bool environment_keep_allowed(const char *name)
{
	size_t len = strlen(name);

	/* DIVE_* of a client never passes: keeping it would be an idle promise. */
	return is_name(name, len) && !is_ours(name) && !name_in(steering_names, name, len);
}

bool environment_set_valid(const char *text)
{
	return is_assignment(text) && is_name(text, name_length(text)) &&
	       strlen(text) < MESSAGE_STRING_MAX;
}
