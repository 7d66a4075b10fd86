/*
 * Who the client is: what the kernel says, never what the client says, and nothing
 * better than an ordinary account where the kernel cannot tell; a client that has gone
 * before it was looked at is nobody.
 *
 * The login uid is followed wherever it must be the client's: the program, PAM
 * modules that run programs, a second gateway behind the first.
 *
 * Reduced roots are made by this program itself, which dive is started through (see
 * main): uid 0 without CAP_SYS_ADMIN, and uid 0 of a child user namespace.  They are
 * held against a root client, whom the same gateway asks for nothing.
 */
#include "cleanup.h"
#include "must.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_ADMIN       "no-admin"
#define USER_NAMESPACE "user-namespace"

static int read_file(const char *path, char *buffer, size_t size)
{
	cleanup_fd int fd = MUST_INT(open(path, O_RDONLY | O_CLOEXEC));

	memset(buffer, 0, size);
	return (int)MUST(read(fd, buffer, size - 1));
}

/* Stops the listener (its sessions go on) until hostile clients have connected. */
static void stop_listener(void)
{
	siginfo_t info;

	gateway_signal(&trail.gateway, SIGSTOP);
	MUST(waitid(P_PID, (id_t)trail.gateway.pid, &info, WSTOPPED | WNOWAIT));
}

/* A client that lies in its environment. */
static void test_claims_are_dropped(void **state)
{
	static const char *const environment[] = { "PATH=/usr/bin:/bin", "DIVE_UID=0",
						   "DIVE_USER=root",	 "DIVE_GID=0",
						   "DIVE_PID=1",	 "DIVE_GATEWAY=/none",
						   "DIVE_OTHER=x",	 NULL };
	static const struct message_fd numbers[] = { { 0, 0 }, { 1, 0 }, { 2, 0 } };
	cleanup_fd int output = MUST_INT(memfd_create("output", MFD_CLOEXEC));
	cleanup_fd int root = MUST_INT(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	const int fds[] = { output, output, output };
	char expected[512];
	char text[512] = "";
	struct packet packet;

	(void)state;
	trail_serve(RUN_WORDS(NULL));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", "2001");
	hostile_send_hello(&trail.hostile, 0);
	hostile_send_fds(&trail.hostile, numbers, fds, ARRAY_LEN(fds));
	hostile_send_request(&trail.hostile,
			     (struct message_request){ .flags = MESSAGE_REQUEST_CWD, .umask = 022 },
			     RUN_WORDS("sh", "-c", "env | grep ^DIVE_ | sort"), environment, &root,
			     1);
	hostile_send_end(&trail.hostile);
	hostile_expect(&trail.hostile, MESSAGE_STARTED, &packet);
	packet_done(&packet);
	hostile_expect(&trail.hostile, MESSAGE_EXITED, &packet);
	packet_done(&packet);
	MUST(pread(output, text, sizeof(text) - 1, 0));
	(void)snprintf(expected, sizeof(expected),
		       "DIVE_GATEWAY=%s\nDIVE_GID=2001\nDIVE_PID=%d\nDIVE_UID=2001\n"
		       "DIVE_USER=alice\n",
		       trail.gateway.address, trail.hostile.pid); /* fits */
	assert_string_equal(text, expected);
	trail_assert_number(trail_expect(AUDIT_USER_CMD, "op=dive:spawn"), "client_uid",
			    SANDBOX_UID_ALICE);
	gateway_stop(&trail.gateway);
}

/* PAM modules that run programs: theirs is the client's too, not dived's own. */
static void test_login_uid_of_pam_programs(void **state)
{
	char text[256];

	(void)state;
	sandbox_write("/run/tell", 0755,
		      "#!/bin/sh\necho $PAM_TYPE $(cat /proc/self/loginuid) >> /run/told\n");
	sandbox_service("telling", "auth required pam_permit.so\n"
				   "auth required pam_exec.so quiet /run/tell\n"
				   "account required pam_exec.so quiet /run/tell\n"
				   "session required pam_exec.so quiet /run/tell\n");
	trail_serve(RUN_WORDS("-x", "telling", "-a", "always"));
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &trail.gateway, RUN_WORDS("true"));
	run_assert_status(&trail.client, 0);
	read_file("/run/told", text, sizeof(text));
	assert_string_equal(text, "auth 2001\naccount 2001\nopen_session 2001\n"
				  "close_session 2001\n");
	gateway_stop(&trail.gateway);
}

/* alice, through bob, to carol: the last record still names alice. */
static void test_nested_gateways(void **state)
{
	struct gateway first;
	const char *text;

	(void)state;
	gateway_start(&first, RUN_WORDS("-u", "bob", "-a", "never"));
	trail_serve(RUN_WORDS("-u", "carol", "-a", "never"));
	run_dive(&trail.client, &(struct run_options){ .account = "alice", .login_uid = "2001" },
		 &first,
		 RUN_WORDS(sandbox_dive(), trail.gateway.address, "sh", "-c",
			   "id -un; cat /proc/self/loginuid"));
	run_assert_status(&trail.client, 0);
	assert_string_equal(trail.client.out, "carol\n2001");
	text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	trail_assert(text, "auid", "2001");
	trail_assert(text, "client_auid", "2001");
	trail_assert_number(text, "client_uid", SANDBOX_UID_BOB);
	trail_assert(text, "acct", "carol");
	gateway_stop(&first);
	gateway_stop(&trail.gateway);
}

/*
 * Connects while the gateway looks away; it looks when the burst is sent, and the
 * process that connected has gone by then, or not.
 */
static void connect_unseen(const char *account, bool gone)
{
	stop_listener();
	hostile_connect(&trail.hostile, trail.gateway.address, account, "2001");
	hostile_send_burst(&trail.hostile, RUN_WORDS("true"), -1);
	if (gone)
		hostile_orphan(&trail.hostile);
	gateway_signal(&trail.gateway, SIGCONT);
}

/* Its number may be another's by now, and the connection in anybody's hands. */
static void test_client_that_has_gone(void **state)
{
	static const struct {
		const char *account; /* NULL: root */
		const char *uid;
	} cases[] = { { "alice", "2001" }, { NULL, "0" } };

	(void)state;
	trail_serve(RUN_WORDS("-u", "bob"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packet packet;
		const char *text;

		print_message("case: uid %s\n", cases[i].uid);
		connect_unseen(cases[i].account, false);
		hostile_expect(&trail.hostile, cases[i].account ? MESSAGE_PROMPT : MESSAGE_STARTED,
			       &packet);
		packet_done(&packet);
		hostile_close(&trail.hostile);
		connect_unseen(cases[i].account, true);
		hostile_expect_refused(&trail.hostile, MESSAGE_LAYER_GATEWAY);
		hostile_close(&trail.hostile);
		text = audit_stream_expect(&trail.stream, AUDIT_USER_CMD, "op=dive:refuse",
					   trail.field, "layer=gateway", NULL);
		trail_assert(text, "auid", TRAIL_UNSET); /* not dived's own */
		trail_assert(text, "client_auid", TRAIL_UNSET);
		trail_assert(text, "client_uid", cases[i].uid);
	}
	gateway_stop(&trail.gateway);
}

/* Whom a gateway to bob lets through without a question. */
static void test_root_client(void **state)
{
	static const struct {
		const char *what;
		const char *account; /* NULL: root */
		const char *word;    /* how dive is started; NULL: plainly */
		const char *uid;     /* the client's, in the record */
		const char *op;
		int status;
	} cases[] = {
		{ "root", NULL, NULL, "0", "op=dive:spawn", 0 },
		{ "root without CAP_SYS_ADMIN", NULL, NO_ADMIN, "0", "op=dive:refuse", 77 },
		{ "root of a child namespace", NULL, USER_NAMESPACE, "0", "op=dive:refuse", 77 },
		{ "alice", "alice", NULL, "2001", "op=dive:refuse", 77 },
		{ "alice as a namespace's root", "alice", USER_NAMESPACE, "2001", "op=dive:refuse",
		  77 },
	};

	(void)state;
	trail_serve(RUN_WORDS("-u", "bob"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *argv[] = { "/proc/self/exe",      cases[i].word, sandbox_dive(), "-n",
				       trail.gateway.address, "id",	     "-un",	     NULL };
		const char *text;

		print_message("case: %s\n", cases[i].what);
		/* In a namespace that maps alice alone, dived's root is the overflow uid. */
		run(&trail.client,
		    &(struct run_options){
			    .account = cases[i].account,
			    .login_uid = "2001",
			    .argv = cases[i].word ? argv : argv + 2,
			    .envp = RUN_WORDS("PATH=/usr/bin:/bin", "DIVE_SERVER_USER=65534") });
		run_assert_status(&trail.client, cases[i].status);
		assert_string_equal(trail.client.out, cases[i].status == 0 ? "bob\n" : "");
		run_done(&trail.client);
		text = trail_expect(AUDIT_USER_CMD, cases[i].op);
		trail_assert(text, "client_uid", cases[i].uid);
		trail_assert(text, "client_auid", "2001");
		if (cases[i].status != 0)
			trail_assert(text, "layer", "authentication");
		trail_expect_none(AUDIT_USER_CMD, "op=dive:");
	}
	gateway_stop(&trail.gateway);
}

/* And through a gateway to nobody else it is alice whom such a root runs as. */
static void test_namespace_root_is_its_outer_uid(void **state)
{
	(void)state;
	trail_serve(RUN_WORDS(NULL));
	run(&trail.client,
	    &(struct run_options){
		    .account = "alice",
		    .argv = RUN_WORDS("/proc/self/exe", USER_NAMESPACE, sandbox_dive(),
				      trail.gateway.address, "sh", "-c",
				      "id -un; readlink /proc/self/ns/user"),
		    .envp = RUN_WORDS("PATH=/usr/bin:/bin", "DIVE_SERVER_USER=65534") });
	run_assert_status(&trail.client, 0);
	assert_memory_equal(trail.client.out, "alice\nuser:[", strlen("alice\nuser:["));
	char own[64] = "";
	MUST(readlink("/proc/self/ns/user", own, sizeof(own) - 1));
	assert_non_null(strstr(trail.client.out, own));
	gateway_stop(&trail.gateway);
}

/* The password of root is asked for where root is not a root client, and is enough. */
static void test_reduced_root_may_authenticate(void **state)
{
	const char *argv[] = {
		"/proc/self/exe", NO_ADMIN, sandbox_dive(), "-S", NULL, "id", "-un", NULL
	};

	(void)state;
	sandbox_account("operator", 2011, "Operator-waits-3", "/bin/sh");
	trail_serve(RUN_WORDS("-u", "bob", "--auth-user", "operator"));
	argv[4] = trail.gateway.address;
	run(&trail.client, &(struct run_options){ .argv = argv, .input = "Operator-waits-3\n" });
	run_assert_status(&trail.client, 0);
	assert_string_equal(trail.client.out, "bob\n");
	(void)audit_stream_expect(&trail.stream, AUDIT_USER_AUTH, "op=PAM:authentication",
				  "acct=\"operator\"", "res=success", NULL);
	gateway_stop(&trail.gateway);
}

static void write_line(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(98);
	(void)close(fd); /* the write has been checked */
}

/* Uid 0 of a new user namespace, which is the present uid outside. */
static void enter_user_namespace(void)
{
	char map[64];
	uid_t uid = geteuid();

	if (unshare(CLONE_NEWUSER) < 0)
		_exit(97);
	(void)snprintf(map, sizeof(map), "0 %u 1", uid); /* fits */
	write_line("/proc/self/uid_map", map);
}

/* `word program arguments...`: arranges what the word says and becomes the program. */
static int start_through(char **argv)
{
	if (strcmp(argv[1], USER_NAMESPACE) == 0)
		enter_user_namespace();
	else if (prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) < 0)
		return 96;
	(void)execv(argv[2], argv + 2); /* returns on failure only */
	return 95;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trail_setup, trail_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_claims_are_dropped),
		TEST(test_login_uid_of_pam_programs),
		TEST(test_nested_gateways),
		TEST(test_client_that_has_gone),
		TEST(test_root_client),
		TEST(test_namespace_root_is_its_outer_uid),
		TEST(test_reduced_root_may_authenticate),
	};

	if (argc > 2)
		return start_through(argv);
	return cmocka_run_group_tests(tests, sandbox_group_setup, sandbox_group_teardown);
}
