/*
 * trail_scene - a day in the life of a machine with gateways, as auditd(8) records it.
 *
 * Every kind of session and of refusal is played once, with a real auditd running; then
 * auditd ends, and the tests ask its log with the tools that an administrator has.  What
 * ties a row of their output to a kind is the session's id.
 */
#pragma once

#include "auditd.h"
#include "cleanup.h"
#include "container.h"
#include "family.h"
#include "inetd.h"
#include "must.h"
#include "parse.h"
#include "sandbox.h"
#include "trail.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRAIL_ALICE	"2001"
#define TRAIL_BOB	"2002"
#define TRAIL_NETNS	"/run/netns/blue"
#define TRAIL_PASSWORDS SANDBOX_PASSWORD_ALICE "\n"

#define ID_SIZE		64
#define SERIAL_SIZE	32

enum trail_kind {
	AS_ROOT,
	AS_BOB, /* and claims to be root, in every place where a client can write */
	BOB_AS_ROOT,
	AS_EFFECTIVE,
	AS_TOOR, /* another account of uid 0 */
	FORCED,
	IN_NAMESPACE,
	SIGNALLED,
	NOT_FOUND,
	WRONG_PASSWORD,
	WOULD_ASK,
	NOT_ALLOWED,
	TRAIL_PLAIN, /* those above are played from a table */
	INETD = TRAIL_PLAIN,
	EXECUTED,
	HUNG_UP,
	KILLED,
	OUTLIVED,
	OPEN,
	BUSY,
	LOST,
	TRAIL_KINDS
};

static struct trail_scene {
	struct auditd auditd;
	struct inetd inetd;
	struct container box;
	struct run open; /* the client of OPEN */
	int hold;	 /* its program runs while this is open */
	int hold_lost;	 /* so does that of OUTLIVED */
	bool taken;	 /* no trail: the machine has an auditd of its own */
	char ids[TRAIL_KINDS][ID_SIZE];
	char serials[TRAIL_KINDS][SERIAL_SIZE]; /* in the log: of the record that tells */
} scene;

struct trail_row {
	const char *what;
	const char *options[9];
	const char *account;
	const char *login_uid;
	const char *directory;
	const char *words[6];
	int status;
	bool refused;
};

#define ODD_DIRECTORY "/home/alice/x op=dive:spawn acct=\"root\" ns_net=1 res=failed'"

static const struct trail_row trail_rows[TRAIL_PLAIN] = {
	[AS_ROOT] = { "as root, exit status 3",
		      { "-u", "root" },
		      "alice",
		      TRAIL_ALICE,
		      NULL,
		      { "-S", "sh", "-c", "exit 3" },
		      3,
		      false },
	[AS_BOB] = { "as bob, claiming to be root",
		     { "-u", "bob" },
		     "alice",
		     TRAIL_ALICE,
		     ODD_DIRECTORY,
		     { "-S", "true", " op=dive:spawn acct=\"root\" ", "acct=root", "op=dive:exit" },
		     0,
		     false },
	[BOB_AS_ROOT] = { "somebody else",
			  { "-u", "root", "-a", "never" },
			  "bob",
			  TRAIL_BOB,
			  NULL,
			  { "-S", "true" },
			  0,
			  false },
	[AS_EFFECTIVE] = { "as bob, with the power of root",
			   { "-u", "bob", "-e", "root", "-a", "never" },
			   "alice",
			   TRAIL_ALICE,
			   NULL,
			   { "-S", "true" },
			   0,
			   false },
	[AS_TOOR] = { "as root of another name",
		      { "-u", "toor", "-a", "never" },
		      "alice",
		      TRAIL_ALICE,
		      NULL,
		      { "-S", "true" },
		      0,
		      false },
	[FORCED] = { "a forced command",
		     { "-u", "root", "--", "/bin/echo", "forced words" },
		     "alice",
		     TRAIL_ALICE,
		     NULL,
		     { "-S", "hers" },
		     0,
		     false },
	[IN_NAMESPACE] = { "into a network namespace",
			   { "-N", TRAIL_NETNS },
			   "alice",
			   TRAIL_ALICE,
			   NULL,
			   { "-S", "true", "inside" },
			   0,
			   false },
	[SIGNALLED] = { "killed by a signal",
			{ "-u", "bob" },
			"alice",
			TRAIL_ALICE,
			NULL,
			{ "-S", "sh", "-c", "kill -9 $$" },
			-1,
			false },
	[NOT_FOUND] = { "a program that is not there",
			{ "-u", "root" },
			"alice",
			TRAIL_ALICE,
			NULL,
			{ "-S", "/nonesuch" },
			127,
			false },
	[WRONG_PASSWORD] = { "a wrong password",
			     { "-u", "root", "--auth-tries", "1", "--auth-user", "target" },
			     "alice",
			     TRAIL_ALICE,
			     NULL,
			     { "-S", "true" },
			     77,
			     true },
	[WOULD_ASK] = { "a password is due, and must not be asked for",
			{ "-u", "root" },
			"alice",
			TRAIL_ALICE,
			NULL,
			{ "-n", "true" },
			77,
			true },
	[NOT_ALLOWED] = { "an account that is not allowed",
			  { "-u", "root", "--allow", "bob" },
			  "alice",
			  TRAIL_ALICE,
			  NULL,
			  { "true" },
			  77,
			  true },
};

/* "audit(SECONDS:SERIAL): ..." */
static void read_serial(const char *text, char serial[SERIAL_SIZE])
{
	const char *begin = strchr(text, ':');
	size_t len;

	assert_non_null(begin);
	len = strspn(++begin, "0123456789");
	assert_in_range(len, 1, SERIAL_SIZE - 1);
	memcpy(serial, begin, len);
	serial[len] = '\0';
}

/* Keeps what tells a session apart; returns the record, which has just been made. */
static const char *take_id(enum trail_kind kind, int type, const char *op, const char *mark)
{
	const char *text = audit_stream_expect(&trail.stream, type, op, mark, NULL);

	(void)audit_field(text, "dive_id", scene.ids[kind], sizeof(scene.ids[kind]));
	read_serial(text, scene.serials[kind]);
	return text;
}

/* Waits for the record of the end of a session. */
static void expect_end(enum trail_kind kind, const char *op)
{
	(void)audit_stream_expect(&trail.stream, AUDIT_USER_END, op, scene.ids[kind], NULL);
}

static void play_row(enum trail_kind kind)
{
	const struct trail_row *row = &trail_rows[kind];

	print_message("kind: %s\n", row->what);
	trail_serve(row->options);
	run_dive(&trail.client,
		 &(struct run_options){ .account = row->account,
					.login_uid = row->login_uid,
					.directory = row->directory,
					.input = TRAIL_PASSWORDS },
		 &trail.gateway, row->words);
	run_assert_status(&trail.client, row->status);
	run_done(&trail.client);
	(void)take_id(kind, AUDIT_USER_CMD, row->refused ? "op=dive:refuse" : "op=dive:spawn",
		      trail.field);
	if (!row->refused)
		expect_end(kind, "op=dive:exit");
	gateway_stop(&trail.gateway);
}

/* Alice's program as root, which runs while the hold is there; returns its record. */
#define HELD	      "echo up; read end <&7; :"
#define HELD_STUBBORN "trap '' HUP; " HELD

static const char *start_held(struct run *ret, enum trail_kind kind, const char *script)
{
	int hold[2];

	trail_serve(RUN_WORDS("-u", "root"));
	MUST(pipe2(hold, O_CLOEXEC));
	run_dive_start(ret,
		       &(struct run_options){ .account = "alice",
					      .login_uid = TRAIL_ALICE,
					      .input = TRAIL_PASSWORDS,
					      .fds = &(struct run_fd){ hold[0], 7 },
					      .fd_count = 1 },
		       &trail.gateway, RUN_WORDS("-S", "sh", "-c", script));
	close_fd(&hold[0]);
	scene.hold = hold[1];
	run_expect(ret, "up");
	return take_id(kind, AUDIT_USER_CMD, "op=dive:spawn", trail.field);
}

static void play_hangup(void)
{
	print_message("kind: the client is killed\n");
	(void)start_held(&trail.client, HUNG_UP, HELD);
	run_done(&trail.client);
	expect_end(HUNG_UP, "op=dive:exit");
	close_fd(&scene.hold);
	gateway_stop(&trail.gateway);
}

static void kill_number(const char *number)
{
	pid_t pid;

	assert_int_equal(parse_pid(number, &pid), 0);
	MUST(kill(pid, SIGKILL));
}

/*
 * Whoever has written the record of a program that runs waits for it: the session.  When
 * it sleeps it has told the listener of the program, which may be faster.
 */
static void kill_session(enum trail_kind kind)
{
	struct family_fds fds;
	char number[32];
	pid_t pid;

	(void)audit_field(start_held(&trail.client, kind, HELD_STUBBORN), "pid", number,
			  sizeof(number));
	assert_int_equal(parse_pid(number, &pid), 0);
	family_list_fds(pid, &fds);
	kill_number(number);
	expect_end(kind, "op=dive:lost");
	run_wait(&trail.client);
	run_done(&trail.client);
}

static void play_killed(void)
{
	print_message("kind: the session is killed\n");
	kill_session(KILLED);
	close_fd(&scene.hold);
	expect_end(KILLED, "op=dive:exit");
	gateway_stop(&trail.gateway);
}

static void play_outlived(void)
{
	print_message("kind: the session is killed, and its program goes on\n");
	kill_session(OUTLIVED);
	scene.hold_lost = take_fd(&scene.hold);
	gateway_stop(&trail.gateway);
}

/* A module tells which process it runs in; it waits for the answer when it is killed. */
static void play_lost(void)
{
	struct packet packet;
	char number[32] = "";
	cleanup_fd int fd = -1;

	print_message("kind: the session is killed before its verdict\n");
	sandbox_write("/run/tell", 0755, "#!/bin/sh\necho $PPID > /run/told\n");
	sandbox_service("telling", "auth required pam_exec.so quiet /run/tell\n" SANDBOX_SERVICE);
	trail_serve(RUN_WORDS("-u", "root", "-x", "telling"));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", TRAIL_ALICE);
	hostile_send_burst(&trail.hostile, RUN_WORDS("true"), -1);
	hostile_expect(&trail.hostile, MESSAGE_PROMPT, &packet);
	packet_done(&packet);
	fd = MUST_INT(open("/run/told", O_RDONLY | O_CLOEXEC));
	MUST(read(fd, number, sizeof(number) - 1));
	number[strcspn(number, "\n")] = '\0';
	kill_number(number);
	hostile_expect_closed(&trail.hostile);
	hostile_close(&trail.hostile);
	(void)take_id(LOST, AUDIT_USER_AUTH, "op=dive:lost", trail.field);
	gateway_stop(&trail.gateway);
}

static void play_busy(void)
{
	print_message("kind: busy\n");
	trail_serve(RUN_WORDS("-u", "root", "--max-pending-per-user", "1"));
	hostile_connect(&trail.hostile, trail.gateway.address, "alice", TRAIL_ALICE);
	run_dive(&trail.client,
		 &(struct run_options){ .account = "alice", .login_uid = TRAIL_ALICE },
		 &trail.gateway, RUN_WORDS("-n", "true"));
	run_assert_status(&trail.client, 77);
	run_done(&trail.client);
	(void)take_id(BUSY, AUDIT_USER_CMD, "op=dive:refuse", trail.field);
	hostile_close(&trail.hostile);
	gateway_stop(&trail.gateway);
}

/* Of a command that dived itself runs, or of a client of an inetd: the process tells. */
static void take_id_of(enum trail_kind kind, const struct run *client)
{
	char mark[48];

	(void)snprintf(mark, sizeof(mark), " client_pid=%d ", client->pid); /* fits */
	(void)take_id(kind, AUDIT_USER_CMD, "op=dive:spawn", mark);
	expect_end(kind, "op=dive:exit");
}

static void play_inetd(void)
{
	struct run dived;

	print_message("kind: through an inetd\n");
	inetd_listen(&scene.inetd);
	run_dive_start(&trail.client,
		       &(struct run_options){ .account = "alice",
					      .login_uid = TRAIL_ALICE,
					      .input = TRAIL_PASSWORDS },
		       &scene.inetd.gateway, RUN_WORDS("-S", "true", "inetd"));
	inetd_serve(&scene.inetd, &dived, RUN_WORDS("-u", "root"));
	run_wait(&trail.client);
	run_wait(&dived);
	run_assert_status(&trail.client, 0);
	take_id_of(INETD, &trail.client);
	run_done(&trail.client);
	run_done(&dived);
	inetd_close(&scene.inetd);
}

static void play_executed(void)
{
	print_message("kind: without a socket\n");
	run(&trail.client,
	    &(struct run_options){ .login_uid = TRAIL_ALICE,
				   .argv = RUN_WORDS(sandbox_dived(), "-J", "--pam-service",
						     "dived", "--", "/bin/echo", "executed") });
	run_assert_status(&trail.client, 0);
	take_id_of(EXECUTED, &trail.client);
	run_done(&trail.client);
}

/* A network namespace at a place with a name, as ip-netns(8) makes it. */
static void make_namespace(void)
{
	char path[64];
	cleanup_fd int file = -1;

	container_start(&scene.box, &(struct container_options){ .flags = CLONE_NEWNET });
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", scene.box.pid); /* fits */
	MUST(mkdir("/run/netns", 0755));
	file = MUST_INT(open(TRAIL_NETNS, O_CREAT | O_CLOEXEC | O_EXCL, 0600));
	MUST(mount(path, TRAIL_NETNS, NULL, MS_BIND, NULL));
	container_stop(&scene.box);
}

static void play(void)
{
	MUST(mkdir(ODD_DIRECTORY, 0755));
	MUST(chown(ODD_DIRECTORY, SANDBOX_UID_ALICE, SANDBOX_UID_ALICE));
	sandbox_account_line("/etc/passwd", "toor", "toor:x:0:2042:root again:/root:/bin/sh");
	sandbox_account_line("/etc/shadow", "toor", "toor:*:20000:0:99999:7:::");
	make_namespace();
	for (enum trail_kind kind = 0; kind < TRAIL_PLAIN; kind++)
		play_row(kind);
	/* The verdict on a password is libpam's to record. */
	read_serial(audit_stream_expect(&trail.stream, AUDIT_USER_AUTH, "op=PAM:authentication",
					"acct=\"root\"", "auid=" TRAIL_ALICE " ", "res=failed",
					NULL),
		    scene.serials[WRONG_PASSWORD]);
	play_inetd();
	play_executed();
	play_hangup();
	play_killed();
	play_outlived();
	play_busy();
	play_lost();
	print_message("kind: a session that stays open\n");
	(void)start_held(&scene.open, OPEN, HELD);
	gateway_stop(&trail.gateway);
}

/* A group setup.  The lock is released: the log is there and changes no more. */
static int trail_scene_setup(void **state)
{
	scene = (struct trail_scene){ .open.pidfd = -1,
				      .auditd.run.pidfd = -1,
				      .inetd.listener = -1,
				      .box = { .pidfd = -1, .life = -1 },
				      .hold = -1,
				      .hold_lost = -1 };
	sandbox_enter();
	(void)trail_setup(state);
	scene.taken = auditd_is_taken();
	if (scene.taken)
		return 0;
	auditd_start(&scene.auditd, &trail.stream, "ENRICHED");
	play();
	auditd_sync(&scene.auditd);
	auditd_stop(&scene.auditd);
	audit_stream_close(&trail.stream);
	return 0;
}

static int trail_scene_teardown(void **state)
{
	close_fd(&scene.hold);
	close_fd(&scene.hold_lost);
	if (scene.open.pid > 0)
		run_wait(&scene.open);
	run_done(&scene.open);
	auditd_stop(&scene.auditd);
	inetd_close(&scene.inetd);
	container_stop(&scene.box);
	return trail_teardown(state);
}
