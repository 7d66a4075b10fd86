/*
 * demo - what a gateway does, shown on a real terminal.
 *
 * An administrator's and a user's steps, one line each, with what the programs
 * print.  It happens in the sandbox of the integration tests, so the machine is
 * as it was afterwards: accounts, files and the socket are in a mount namespace
 * of their own, and whether auditing is on is restored.
 *
 * A supervisor process ends whatever is left when the demonstration is
 * interrupted or fails.
 */
#include "audit_stream.h"
#include "gateway.h"
#include "must.h"
#include "pty.h"
#include "sandbox.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SOCKET "/run/dive-bob.sock"

#define SERVICE                                                                                    \
	"auth     required pam_unix.so\n"                                                          \
	"account  required pam_unix.so\n"                                                          \
	"password required pam_unix.so\n"                                                          \
	"session  required pam_limits.so\n"                                                        \
	"session  required pam_env.so\n"                                                           \
	"session  required pam_unix.so\n"

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	(void)fputs("\n==> ", stdout);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)putchar('\n');
	(void)fflush(stdout); /* in order with what children print */
}

static void make_accounts(void)
{
	say("The machine: a private copy of /etc, /run, /home; accounts alice and bob.");
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("useradd", "-m", "-s", "/bin/bash", "alice") });
	run_or_fail(&(struct run_options){
		.argv = RUN_WORDS("useradd", "-m", "-s", "/bin/sh", "bob") });
	run_or_fail(&(struct run_options){ .argv = RUN_WORDS("chpasswd"),
					   .input = "alice:alice-knows\nbob:bob-knows\n" });
	say("PAM: limits for bob (nofile 512, nproc 77) and a variable, DEMO_VARIABLE.");
	sandbox_service("dived", SERVICE);
	sandbox_write("/etc/security/limits.d/bob.conf", 0644,
		      "bob - nofile 512\nbob - nproc 77\n");
	sandbox_write("/etc/environment", 0644, "DEMO_VARIABLE=from-pam_env\n");
}

static void start(struct gateway *gateway)
{
	say("The administrator opens a gateway to bob:  dived " SOCKET
	    " -u bob -C 0666 -d --auth-tries 1");
	gateway_start(gateway,
		      RUN_WORDS(SOCKET, "-u", "bob", "-C", "0666", "-d", "--auth-tries", "1"));
	(void)printf("dived serves, pid %d\n", gateway->pid);
}

/* Runs dive on a terminal of alice's; types the password when echo goes off. */
static int use(const struct gateway *gateway, const char *login_uid, const char *password,
	       const char *const *expected)
{
	const char **argv = run_dive_words(
		gateway,
		RUN_WORDS("bash", "-c", "id; ulimit -n; ulimit -u; echo $DEMO_VARIABLE; exit 7"));
	struct pty pty;
	int status;

	pty_start(&pty, &(struct run_options){ .account = "alice",
					       .login_uid = login_uid,
					       .argv = argv,
					       .directory = "/home/alice" });
	free(argv); /* the command has its own copy */
	pty_expect_lflag(&pty, ECHO, false);
	pty_send(&pty, password);
	pty_send(&pty, "\n");
	status = pty_wait(&pty);
	(void)fputs(pty.screen, stdout);
	pty_assert_absent(&pty, password);
	for (; *expected; expected++)
		if (!strstr(pty.screen, *expected))
			FAIL("expected on the screen: %s", *expected);
	pty_done(&pty);
	return status;
}

static void show_records(struct audit_stream *stream, const char *login_uid)
{
	char buffer[4096];
	const char *spawn;
	const char *end;

	say("The audit records: auid= is alice, who logged in, in all of them.");
	spawn = audit_stream_expect(stream, AUDIT_USER_CMD, "op=dive:spawn", SOCKET, NULL);
	end = audit_stream_expect(stream, AUDIT_USER_END, "op=dive:exit", NULL);
	(void)printf("type=USER_CMD %s\n", spawn);
	(void)printf("  cmd decoded: %s\n",
		     audit_field_decoded(spawn, "cmd", buffer, sizeof(buffer)));
	(void)printf("type=USER_END %s\n", end);
	if (strcmp(audit_field(spawn, "auid", buffer, sizeof(buffer)), login_uid) != 0)
		FAIL("auid is not alice's: %s", buffer);
	if (strcmp(audit_field(end, "exit", buffer, sizeof(buffer)), "7") != 0)
		FAIL("the exit status recorded is not 7: %s", buffer);
}

static void demonstrate(void)
{
	struct audit_stream stream;
	struct gateway gateway;
	const struct passwd *alice;
	char login_uid[16];
	int status;

	sandbox_isolate();
	make_accounts();
	alice = getpwnam("alice");
	MUST_POINTER(alice);
	(void)snprintf(login_uid, sizeof(login_uid), "%u", alice->pw_uid); /* fits */
	say("Auditing is turned on; what it was before comes back at the end.");
	audit_stream_open(&stream);
	start(&gateway);
	say("alice, logged in (login uid %s), mistypes her password.", login_uid);
	status = use(&gateway, login_uid, "not-my-password", RUN_WORDS("dive: "));
	say("dive's exit status: %d (77: refused)", status);
	if (status != 77)
		FAIL("expected 77");
	say("Again, with the right one:  dive " SOCKET " bash -c 'id; ulimit -n; ulimit -u; "
	    "echo $DEMO_VARIABLE; exit 7'");
	status = use(&gateway, login_uid, "alice-knows",
		     RUN_WORDS("(bob)", "512", "77", "from-pam_env"));
	say("dive's exit status: %d, which is the program's own", status);
	if (status != 7)
		FAIL("expected 7");
	show_records(&stream, login_uid);
	say("The gateway is stopped; no process, file or setting stays behind.");
	gateway_stop(&gateway);
	sandbox_assert_no_children();
	audit_stream_close(&stream);
}

int main(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction standard = { .sa_handler = SIG_DFL };
	int status;
	pid_t pid;

	/* A ^C goes to the demonstration; this process stays to clean up after it. */
	MUST(sigaction(SIGINT, &ignore, NULL));
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid = MUST_INT(fork());
	if (pid == 0) {
		MUST(sigaction(SIGINT, &standard, NULL));
		demonstrate();
		exit(0);
	}
	MUST(waitpid(pid, &status, 0));
	sandbox_kill_children();
	if (status != 0)
		(void)fputs("the demonstration did not come to its end\n", stderr);
	return status != 0;
}
