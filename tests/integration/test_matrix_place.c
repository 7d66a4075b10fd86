/*
 * Compatibility with su and sudo: modules that need something of the machine (name
 * spaces, auditing, security modules, a login manager), and changes of passwords.
 */
#include "cleanup.h"
#include "matrix.h"
#include "sandbox.h"

#define BOB	      SANDBOX_PASSWORD_BOB

#define AUTH	      "auth required pam_permit.so\n"
#define ACCOUNT	      "account required pam_permit.so\n"
#define SESSION(line) AUTH ACCOUNT "session required " line "\n"
#define NOTED(line)   AUTH ACCOUNT "session optional " line "\nsession required pam_permit.so\n"

/* /tmp is the machine's own; so one of the row's is private to the program. */
#define SHARED MATRIX_DIR "/shared"
#define NAMESPACE                                                                                  \
	"mkdir -m 1777 " SHARED "\nmkdir -m 0 " MATRIX_DIR "/instances\n"                          \
	"echo '" SHARED " " MATRIX_DIR "/instances/ user root' >/etc/security/namespace.conf\n"
#define INSTANCE	 MATRIX_DIR "/instances/bob"

#define CAPABILITY(text) "echo '" text "' >/etc/security/capability.conf"
#define WITH_CAP                                                                                   \
	"auth required pam_permit.so\nauth optional pam_cap.so\n" ACCOUNT                          \
	"session required pam_permit.so\n"

#define HISTORY                                                                                    \
	"auth required pam_unix.so nodelay\naccount required pam_unix.so\n"                        \
	"password required pam_pwhistory.so remember=2\n"                                          \
	"password required pam_unix.so sha512 use_authtok\nsession required pam_permit.so\n"

static const struct matrix_row rows[] = {
	{ .module = "pam_namespace",
	  .what = "a directory private to the program",
	  .service = SESSION("pam_namespace.so"),
	  .prepare = NAMESPACE,
	  .script = "echo hidden >" SHARED "/file",
	  .check = "test ! -e " SHARED "/file\ngrep -q hidden " INSTANCE "/file" },
	{ .module = "pam_namespace",
	  .what = "a current directory that the program has another instance of",
	  .service = SESSION("pam_namespace.so"),
	  .prepare = NAMESPACE "touch " SHARED "/outside",
	  .wrap = "cd " SHARED "; exec \"$@\"",
	  .script = "SEES=nothing; test ! -e outside || SEES=outside; export SEES",
	  .shows = { "cwd=" SHARED },
	  .su_shows = { "env:SEES=outside" },
	  .dived_shows = { "env:SEES=nothing" },
	  .why = "the program starts in the directory of that name in its own namespace" },
	{ .module = "pam_namespace",
	  .what = "a current directory that the program has not",
	  .service = SESSION("pam_namespace.so"),
	  .prepare = NAMESPACE "mkdir -m 0777 " SHARED "/deeper",
	  .wrap = "cd " SHARED "/deeper; exec \"$@\"",
	  .su_shows = { "cwd=" SHARED "/deeper" },
	  .dived_shows = { "cwd=/" },
	  .why = "as above; \"/\", where there is none" },
	{ .module = "pam_namespace",
	  .what = "a directory that cannot have instances",
	  .service = SESSION("pam_namespace.so"),
	  .prepare = NAMESPACE "chmod 0755 " MATRIX_DIR "/instances",
	  .su_refuses = "su: cannot open session: ",
	  .dived_refuses = "dive: session: the PAM session cannot be opened" },
	{ .module = "pam_tty_audit",
	  .what = "enabled for the target",
	  .service = SESSION("pam_tty_audit.so enable=bob") },
	{ .module = "pam_systemd", .what = "no login manager", .service = NOTED("pam_systemd.so") },
	{ .module = "pam_selinux",
	  .what = "without SELinux",
	  .service = AUTH ACCOUNT "session required pam_selinux.so close\n"
				  "session required pam_selinux.so open\n" },
	{ .module = "pam_apparmor",
	  .what = "without AppArmor",
	  .service = NOTED("pam_apparmor.so order=user,group,default") },
	{ .module = "pam_cap",
	  .what = "an inheritable capability",
	  .service = WITH_CAP,
	  .prepare = CAPABILITY("cap_net_raw bob"),
	  .shows = { "CapInh=0000000000002000" } },
	{ .module = "pam_cap",
	  .what = "none",
	  .service = WITH_CAP,
	  .prepare = CAPABILITY("cap_net_raw alice\nnone *"),
	  .shows = { "CapInh=0000000000000000" } },
	{ .module = "pam_setquota",
	  .what = "a file system without quotas, optional",
	  .service = NOTED("pam_setquota.so bsoftlimit=19 bhardlimit=20 startuid=1000") },
	{ .module = "pam_pwhistory",
	  .what = "a password used before",
	  .service = HISTORY,
	  .prepare = "chage -d 0 bob\n"
		     "echo \"bob:2002:1:$(grep ^bob: /etc/shadow | cut -d: -f2)\" "
		     ">/etc/security/opasswd; chmod 0600 /etc/security/opasswd",
	  .answers = { { "Password: ", BOB },
		       { "Current password: ", BOB },
		       { "New password: ", BOB },
		       { "Retype new password: ", BOB } },
	  .says = { "Password has been already used. Choose another." },
	  .su_refuses = "su: ",
	  .dived_refuses = "dive: account: the password of bob has expired and was not changed" },
};

int main(int argc, char **argv)
{
	return matrix_main(argc, argv, rows, ARRAY_LEN(rows));
}
