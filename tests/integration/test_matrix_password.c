/*
 * Compatibility with su and sudo: pam_unix, in every state a password and an account
 * can be in.
 */
#include "cleanup.h"
#include "matrix.h"
#include "sandbox.h"

#define ALICE SANDBOX_PASSWORD_ALICE
#define BOB   SANDBOX_PASSWORD_BOB
#define NEW   "Quite-another-13"

#define REST                                                                                       \
	"account required pam_unix.so\n"                                                           \
	"password required pam_unix.so sha512\n"                                                   \
	"session required pam_unix.so\n"
#define UNIX   "auth required pam_unix.so nodelay\n" REST
#define NULLOK "auth required pam_unix.so nodelay nullok\n" REST

#define ASKED                                                                                      \
	{                                                                                          \
		{                                                                                  \
			"Password: ", BOB                                                          \
		}                                                                                  \
	}
#define CHANGE                                                                                     \
	{                                                                                          \
		{ "Password: ", BOB }, { "Current password: ", BOB }, { "New password: ", NEW },   \
		{                                                                                  \
			"Retype new password: ", NEW                                               \
		}                                                                                  \
	}

#define SU_AUTH	   "su: Authentication failure"
#define DIVED_AUTH "dive: authentication: authentication failed"

static const struct matrix_row rows[] = {
	{ .module = "pam_unix",
	  .what = "the right password",
	  .service = UNIX,
	  .answers = ASKED,
	  .shows = { "env:USER=bob", "env:HOME=/home/bob", "Groups=2002", "Umask=0022" } },
	{ .module = "pam_unix",
	  .what = "a wrong password",
	  .service = UNIX,
	  .answers = { { "Password: ", ALICE } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_unix",
	  .what = "the same account",
	  .target = "alice",
	  .service = UNIX,
	  .answers = { { "Password: ", ALICE } },
	  .shows = { "env:USER=alice", "Groups=2001" } },
	{ .module = "pam_unix",
	  .what = "the client's own password",
	  .sudo = true,
	  .service = UNIX,
	  .answers = { { "Password: ", ALICE } },
	  .shows = { "env:USER=bob", "Groups=2002" } },
	{ .module = "pam_unix",
	  .what = "the target's password where the client's is due",
	  .sudo = true,
	  .service = UNIX,
	  .answers = ASKED,
	  .su_refuses = "incorrect password attempt",
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_unix",
	  .what = "a locked password",
	  .service = UNIX,
	  .prepare = "usermod -L bob",
	  .answers = ASKED,
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_unix",
	  .what = "a locked password of the client",
	  .sudo = true,
	  .service = UNIX,
	  .prepare = "usermod -L alice",
	  .answers = { { "Password: ", ALICE } },
	  .su_refuses = "incorrect password attempt",
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_unix",
	  .what = "an empty password with nullok",
	  .service = NULLOK,
	  .prepare = "passwd -qd bob" },
	{ .module = "pam_unix",
	  .what = "an empty password without nullok",
	  .service = UNIX,
	  .prepare = "passwd -qd bob",
	  .answers = { { "Password: ", "" } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_unix",
	  .what = "a password that must be changed",
	  .service = UNIX,
	  .prepare = "chage -d 0 bob",
	  .answers = CHANGE,
	  .check = "grep '^bob:' /etc/shadow | grep -qv ':0:0:'",
	  .says = { "You are required to change your password immediately" } },
	{ .module = "pam_unix",
	  .what = "a password that must be changed and is not",
	  .service = UNIX,
	  .prepare = "chage -d 0 bob",
	  .answers = { { "Password: ", BOB },
		       { "Current password: ", BOB },
		       { "New password: ", NEW },
		       { "Retype new password: ", "Something-else-1" } },
	  .says = { "Sorry, passwords do not match." },
	  .su_refuses = "su: Failed preliminary check by password service",
	  .dived_refuses = "dive: account: the password of bob has expired and was not changed" },
	{ .module = "pam_unix",
	  .what = "an expired password",
	  .service = UNIX,
	  .prepare = "chage -d 2020-01-01 -M 30 bob",
	  .answers = CHANGE,
	  .says = { "You are required to change your password immediately" } },
	{ .module = "pam_unix",
	  .what = "a password expired beyond its inactive days",
	  .service = UNIX,
	  .prepare = "chage -d 2020-01-01 -M 30 -I 5 bob",
	  .answers = ASKED,
	  .says = { "Your account has expired; please contact your system administrator." },
	  .su_refuses = "su: Authentication token expired",
	  .dived_refuses = "dive: account: account bob: the password has expired" },
	{ .module = "pam_unix",
	  .what = "a password that expires soon",
	  .service = UNIX,
	  .prepare = "chage -d \"$(date +%F)\" -M 5 -W 7 bob",
	  .answers = ASKED,
	  .says = { "Warning: your password will expire in 5 days." } },
	{ .module = "pam_unix",
	  .what = "an expired account",
	  .service = UNIX,
	  .prepare = "chage -E 2001-01-01 bob",
	  .answers = ASKED,
	  .says = { "Your account has expired; please contact your system administrator." },
	  .su_refuses = "su: User account has expired",
	  .dived_refuses = "dive: account: account bob: the account has expired" },
	{ .module = "pam_unix",
	  .what = "an account without a shadow entry",
	  .service = UNIX,
	  .prepare = "sed -i /^bob:/d /etc/shadow",
	  .answers = ASKED,
	  .su_refuses = "su: Authentication service cannot retrieve authentication info",
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_unix",
	  .what = "an expired account of the client",
	  .sudo = true,
	  .service = UNIX,
	  .prepare = "chage -E 2001-01-01 alice",
	  .answers = { { "Password: ", ALICE } },
	  .su_refuses = "Account expired or PAM config lacks an \"account\" section for sudo",
	  .dived_refuses = "dive: account: account alice: the account has expired" },
	{ .module = "pam_unix",
	  .what = "an expired account of the target",
	  .sudo = true,
	  .service = UNIX,
	  .prepare = "chage -E 2001-01-01 bob",
	  .answers = { { "Password: ", ALICE } },
	  .dived_refuses = "dive: account: account bob: the account has expired",
	  .why = "dived puts the account rules to the target too; sudo only to the client" },
	{ .module = "pam_unix",
	  .what = "an expired password of the target",
	  .sudo = true,
	  .service = UNIX,
	  .prepare = "chage -d 0 bob",
	  .answers = { { "Password: ", ALICE } },
	  .dived_refuses = "dive: account: account bob: the password has expired",
	  .why = "as above; whoever is not asked for the password cannot change it" },
};

int main(int argc, char **argv)
{
	return matrix_main(argc, argv, rows, ARRAY_LEN(rows));
}
