/*
 * policy/audit.rules.d/dive.rules: the kernel takes each rule, and each tells of what its
 * comment says.
 *
 * Rules are the machine's, but their paths are the sandbox's: /usr/local's programs, /etc and
 * /run are its own here.  What a rule has recorded is told from what others do at the same
 * time by a login uid that nobody else has, and by words of the program.
 */
#include "audit_machine.h"
#include "cleanup.h"
#include "must.h"
#include "sandbox.h"
#include "trail.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOGIN_UID  "30523"
#define RULES_MAX  64
#define WORDS_MAX  24
#define KEY_MAX	   64
#define EVENT_SIZE 64

static struct rules {
	char *lines[RULES_MAX];
	size_t count;
	size_t loaded;
} rules;

static void read_rules(void)
{
	char path[256];
	char line[1024];

	(void)snprintf(path, sizeof(path), "%s/policy/audit.rules.d/dive.rules",
		       sandbox_source()); /* fits */
	FILE *file = fopen(path, "re");
	MUST_POINTER(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		assert_in_range(rules.count, 0, RULES_MAX - 1);
		rules.lines[rules.count] = strdup(line);
		MUST_POINTER(rules.lines[rules.count++]);
	}
	(void)fclose(file); /* was read only */
	assert_true(rules.count > 0);
}

/* auditctl(8) with a rule; `how` is -a, or -d to take it away. */
static void control(const char *rule, const char *how)
{
	cleanup_free char *copy = strdup(rule);
	const char *argv[WORDS_MAX] = { "auditctl" };
	size_t count = 1;
	char *rest = copy;
	const char *word;
	struct run command;

	MUST_POINTER(copy);
	while ((word = strsep(&rest, " "))) {
		assert_in_range(count, 1, WORDS_MAX - 2);
		argv[count++] = word;
	}
	assert_string_equal(argv[1], "-a");
	argv[1] = how;
	run(&command, &(struct run_options){ .argv = argv });
	if (command.status != 0)
		FAIL("%s %s: %s", how, rule, command.err);
	run_done(&command);
}

static void load_all(void)
{
	for (; rules.loaded < rules.count; rules.loaded++)
		control(rules.lines[rules.loaded], "-a");
}

static void unload_all(void)
{
	while (rules.loaded > 0)
		control(rules.lines[--rules.loaded], "-d");
}

static size_t count_rules(void)
{
	struct audit_machine now;

	audit_machine_save(&now);
	size_t count = now.count;
	audit_machine_done(&now);
	return count;
}

static void assert_same(const struct audit_machine *one, const struct audit_machine *other)
{
	assert_int_equal(one->count, other->count);
	for (size_t i = 0; i < one->count; i++) {
		assert_int_equal(one->rules[i]->buflen, other->rules[i]->buflen);
		assert_memory_equal(one->rules[i], other->rules[i],
				    sizeof(*one->rules[i]) + one->rules[i]->buflen);
	}
}

static void test_each_rule_is_taken(void **state)
{
	struct audit_machine before;
	struct audit_machine after;

	(void)state;
	audit_machine_save(&before);
	for (size_t i = 0; i < rules.count; i++) {
		print_message("case: %s\n", rules.lines[i]);
		assert_non_null(strstr(rules.lines[i], "key=" AUDIT_MACHINE_KEY));
		control(rules.lines[i], "-a");
		assert_int_equal(count_rules(), before.count + 1);
		control(rules.lines[i], "-d");
	}
	load_all();
	assert_int_equal(count_rules(), before.count + rules.count);
	unload_all();
	audit_machine_save(&after);
	assert_same(&before, &after);
	audit_machine_done(&before);
	audit_machine_done(&after);
}

/* What is watched.  All of it is done by root under the login uid. */
static const struct {
	const char *key;
	const char *script;
} changes[] = {
	{ "dive-files", "echo >>/usr/local/sbin/dived" },
	{ "dive-files", "chmod 4755 /usr/local/bin/dive" },
	{ "dive-files", "rm /usr/local/bin/dive" },
	{ "dive-policy", "echo '#' >>/etc/pam.d/dived" },
	{ "dive-policy", "rm /etc/pam.d/dived-more" },
	{ "dive-policy", "echo >/etc/security/limits.d/more.conf" },
	{ "dive-policy", "echo >>/etc/security/access.conf" },
	{ "dive-units", "echo >/etc/systemd/system/dived@.service" },
	{ "dive-rules", "echo >/etc/audit/rules.d/late.rules" },
	{ "dive-started", "/usr/local/sbin/dived --version" },
	{ "dive-sockets", "mv /run/dive/old.sock /run/dive/new.sock" },
	{ "dive-sockets", "chmod 0666 /run/dive/new.sock" },
};

/* A system call that a rule has caught, by that login uid. */
static const char *expect_key(const char *key, const char *more)
{
	char field[KEY_MAX];

	(void)snprintf(field, sizeof(field), "key=\"%s\"", key); /* fits */
	return audit_stream_expect(&trail.stream, AUDIT_SYSCALL, field, "auid=" LOGIN_UID " ", more,
				   NULL);
}

static void test_each_watch_tells(void **state)
{
	(void)state;
	load_all();
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		print_message("case: %s: %s\n", changes[i].key, changes[i].script);
		audit_stream_forget(&trail.stream);
		run_or_fail(&(struct run_options){
			.login_uid = LOGIN_UID,
			.argv = RUN_WORDS("sh", "-euc", changes[i].script) });
		(void)expect_key(changes[i].key, "success=yes");
	}
}

/* Nobody but the kernel knows of a client whom the mode of a socket keeps out. */
static void test_who_is_turned_away(void **state)
{
	(void)state;
	load_all();
	trail_serve(RUN_WORDS("/run/dive/closed.sock", "-C", "0600"));
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = LOGIN_UID },
		 &trail.gateway, RUN_WORDS("true"));
	run_assert_status(&trail.client, 2);
	run_done(&trail.client);
	(void)expect_key("dive-turned-away", "exit=-13 ");
	trail_expect_none(AUDIT_USER_CMD, "op=dive:");
	run_dive(&trail.client, &(struct run_options){ .login_uid = LOGIN_UID }, &trail.gateway,
		 RUN_WORDS("true"));
	run_assert_status(&trail.client, 0);
	audit_stream_expect_none(&trail.stream, AUDIT_SYSCALL, "key=\"dive-turned-away\"",
				 "auid=" LOGIN_UID " ", NULL);
	gateway_stop(&trail.gateway);
}

#ifdef __x86_64__
#define CALL_NUMBER    102 /* socketcall(2) of 32-bit programs */
#define CONNECT_NUMBER 3   /* within it */

/* socketcall(2) as a 32-bit program makes it, whose pointers are short.  Return: -errno. */
static int call_connect(int sock, const char *path)
{
	struct call {
		struct sockaddr_un address;
		uint32_t arguments[3];
	} *call = mmap(NULL, sizeof(*call), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int result = CALL_NUMBER;

	if (call == MAP_FAILED)
		return -errno;
	call->address.sun_family = AF_UNIX;
	(void)snprintf(call->address.sun_path, sizeof(call->address.sun_path), "%s", path);
	call->arguments[0] = (uint32_t)sock;
	call->arguments[1] = (uint32_t)(uintptr_t)&call->address;
	call->arguments[2] = sizeof(call->address);
	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"(CONNECT_NUMBER), "c"((uint32_t)(uintptr_t)call->arguments)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}

#else
static int call_connect(int sock, const char *path)
{
	(void)sock;
	(void)path;
	return -ENOSYS;
}
#endif

/* What this program does, called with a path: exits with the error. */
static int connect_in_the_older_way(const char *path)
{
	cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return sock < 0 ? 255 : -call_connect(sock, path);
}

/* The same for one who asks the kernel in the older way of 32-bit programs. */
static void test_who_is_turned_away_in_the_older_way(void **state)
{
	(void)state;
	load_all();
	trail_serve(RUN_WORDS("/run/dive/closed.sock", "-C", "0600"));
	run(&trail.client,
	    &(struct run_options){ .account = "alice",
				   .login_uid = LOGIN_UID,
				   .argv = RUN_WORDS("/proc/self/exe", trail.gateway.address) });
	if (trail.client.status == ENOSYS || trail.client.status == 128 + SIGSEGV) {
		run_done(&trail.client);
		gateway_stop(&trail.gateway);
		SKIP("the kernel runs no 32-bit programs");
	}
	run_assert_status(&trail.client, EACCES);
	run_done(&trail.client);
	(void)expect_key("dive-turned-away", "exit=-13 ");
	gateway_stop(&trail.gateway);
}

struct spawn {
	const char *what;
	const char *target;
	const char *login_uid;
	const char *key; /* NULL: no rule tells */
};

static const struct spawn spawns[] = {
	{ "as root", "root", LOGIN_UID, "dive-root" },
	{ "as bob", "bob", LOGIN_UID, "dive-other" },
	{ "as herself", "alice", "2001", NULL },
	{ "as root, of a service", "root", TRAIL_UNSET, NULL },
};

/* One started by the program, too: what is done in a shell is what matters. */
static void expect_execution(const struct spawn *spawn, const char *word)
{
	char argument[64];
	char event[EVENT_SIZE];
	char session[32];
	const char *text;

	(void)snprintf(argument, sizeof(argument), "a1=\"%s\"", word); /* fits */
	if (!spawn->key) {
		audit_stream_expect_none(&trail.stream, AUDIT_EXECVE, argument, NULL);
		return;
	}
	text = audit_stream_expect(&trail.stream, AUDIT_EXECVE, "a0=\"env\"", argument, NULL);
	assert_in_range(strcspn(text, ")"), 1, sizeof(event) - 1);
	(void)snprintf(event, strcspn(text, ")") + 1, "%s", text); /* cut there: one event's id */
	text = expect_key(spawn->key, event);
	trail_assert(text, "success", "yes");
	trail_assert(text, "euid", strcmp(spawn->target, "root") == 0 ? "0" : "2002");
	/* By which it is found from the gateway's record, and the other way round. */
	(void)audit_field(text, "ses", session, sizeof(session));
	trail_assert(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "ses", session);
}

static void test_what_programs_do(void **state)
{
	(void)state;
	load_all();
	for (size_t i = 0; i < ARRAY_LEN(spawns); i++) {
		char word[48];
		char script[96];

		print_message("case: %s\n", spawns[i].what);
		(void)snprintf(word, sizeof(word), "WORD=policy.%d.%zu", getpid(), i); /* fits */
		(void)snprintf(script, sizeof(script), "env %s true; :", word);	       /* fits */
		trail_serve(RUN_WORDS("-u", spawns[i].target, "-a", "never"));
		run_dive(&trail.client,
			 &(struct run_options){ .account = "alice",
						.login_uid = spawns[i].login_uid },
			 &trail.gateway, RUN_WORDS("sh", "-c", script));
		run_assert_status(&trail.client, 0);
		run_done(&trail.client);
		expect_execution(&spawns[i], word);
		gateway_stop(&trail.gateway);
	}
}

/* The places that rules name, all within the sandbox. */
static int group_setup(void **state)
{
	if (sandbox_group_setup(state) != 0)
		return -1;
	read_rules();
	MUST(mount("tmpfs", "/usr/local/sbin", "tmpfs", 0, "mode=0755"));
	MUST(mount("tmpfs", "/usr/local/bin", "tmpfs", 0, "mode=0755"));
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("sh", "-euc",
				  "cp \"$0\" /usr/local/sbin/dived; cp \"$1\" /usr/local/bin/dive\n"
				  "mkdir -p /run/dive /etc/systemd/system /etc/audit/rules.d "
				  "/etc/security/limits.d\n"
				  "touch /run/dive/old.sock /etc/pam.d/dived-more",
				  sandbox_dived(), sandbox_dive()) });
	return 0;
}

static int group_teardown(void **state)
{
	while (rules.count > 0)
		free_pointer(&rules.lines[--rules.count]);
	return sandbox_group_teardown(state);
}

/* After a failure the guardian of the lock takes away what this does not get to. */
static int teardown(void **state)
{
	unload_all();
	return trail_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_rule_is_taken), TEST(test_each_watch_tells),
		TEST(test_who_is_turned_away), TEST(test_who_is_turned_away_in_the_older_way),
		TEST(test_what_programs_do),
	};

	if (argc > 1)
		return connect_in_the_older_way(argv[1]);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
