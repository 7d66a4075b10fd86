/*
 * Compatibility with su and sudo: other proofs of identity than the account's password,
 * and what counts and slows down the wrong ones.
 */
#include "cleanup.h"
#include "matrix.h"
#include "sandbox.h"

#define ALICE	   SANDBOX_PASSWORD_ALICE
#define BOB	   SANDBOX_PASSWORD_BOB

#define REST	   "account required pam_permit.so\nsession required pam_permit.so\n"
#define UNIX	   "auth required pam_unix.so nodelay\n"

#define SU_AUTH	   "su: Authentication failure"
#define DIVED_AUTH "dive: authentication: authentication failed"

/* Of libpam-google-authenticator: a secret, and a code that is good once. */
#define GOOGLE "auth required pam_google_authenticator.so no_increment_hotp\n"
#define SECRET                                                                                     \
	"printf '%s\\n' JBSWY3DPEHPK3PXP '\" TOTP_AUTH' 12345678 "                                 \
	">/home/bob/.google_authenticator\n"                                                       \
	"chown bob:bob /home/bob/.google_authenticator\nchmod 0400 "                               \
	"/home/bob/.google_authenticator"

/* The counters 0 and 1 of RFC 4226, appendix D. */
#define OATH "auth required pam_oath.so usersfile=" MATRIX_DIR "/oath window=2\n"
#define OATH_FILE                                                                                  \
	"(umask 077; echo HOTP bob - 3132333435363738393031323334353637383930 >" MATRIX_DIR "/oat" \
	"h)"
#define OATH_PROMPT "One-time password (OATH) for `bob': "

/* The hash of "Pwdfile-1". */
#define PWDFILE "auth required pam_pwdfile.so pwdfile " MATRIX_DIR "/pwdfile\n"
#define PWDFILE_FILE                                                                               \
	"echo 'bob:$6$rounds=1000$matrixsalt$v5YVplkxCeJElDlaFWoLUuMfbU/"                          \
	"WVOz.H/2xvWOzZVBagVgI1BXlL4he.MoJKNWaLJH5GL47BlFWzFrSHQofb1' >" MATRIX_DIR "/pwdfile"

#define USERDB	    "auth required pam_userdb.so crypt=none db=" MATRIX_DIR "/users\n"
#define USERDB_FILE "printf 'bob\\nUserdb-2\\n' | db_load -T -t hash " MATRIX_DIR "/users.db"

#define AGENT	    "auth required pam_ssh_agent_auth.so file=" MATRIX_DIR "/key.pub\n"
#define AGENT_KEY                                                                                  \
	"ssh-keygen -q -t ed25519 -N '' -f " MATRIX_DIR "/key\nchown alice " MATRIX_DIR "/key"
#define AGENT_RUN                                                                                  \
	"eval \"$(ssh-agent -a /home/alice/agent)\" >/dev/null\nssh-add -q " MATRIX_DIR "/key\n"   \
	"r=0; \"$@\" || r=$?\nssh-agent -k >/dev/null\nexit $r"

#define FAILLOCK "pam_faillock.so dir=" MATRIX_DIR "/tally deny=3 unlock_time=600 nodelay"
#define COUNTING                                                                                   \
	"auth required " FAILLOCK " preauth\nauth [success=1 default=bad] pam_unix.so nodelay\n"   \
	"auth [default=die] " FAILLOCK " authfail\n"                                               \
	"auth sufficient " FAILLOCK " authsucc\n" REST

static const struct matrix_row rows[] = {
	{ .module = "pam_google_authenticator",
	  .what = "a password and a code",
	  .service = UNIX GOOGLE REST,
	  .prepare = SECRET,
	  .check = "! grep 12345678 /home/bob/.google_authenticator",
	  .answers = { { "Password: ", BOB }, { "Verification code: ", "12345678" } },
	  .shows = { "env:USER=bob" } },
	{ .module = "pam_google_authenticator",
	  .what = "a wrong code",
	  .service = UNIX GOOGLE REST,
	  .prepare = SECRET,
	  .answers = { { "Password: ", BOB }, { "Verification code: ", "87654321" } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_google_authenticator",
	  .what = "no secret",
	  .service = UNIX GOOGLE REST,
	  .answers = { { "Password: ", BOB }, { "Verification code: ", "12345678" } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_google_authenticator",
	  .what = "no secret, with nullok",
	  .service = UNIX "auth required pam_google_authenticator.so nullok\n" REST,
	  .answers = { { "Password: ", BOB } } },
	{ .module = "pam_oath",
	  .what = "a password and a code",
	  .service = UNIX OATH REST,
	  .prepare = OATH_FILE,
	  .answers = { { "Password: ", BOB }, { OATH_PROMPT, "287082" } } },
	{ .module = "pam_oath",
	  .what = "a wrong code",
	  .service = UNIX OATH REST,
	  .prepare = OATH_FILE,
	  .answers = { { "Password: ", BOB }, { OATH_PROMPT, "123456" } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_oath",
	  .what = "a code used twice",
	  .service = OATH REST,
	  .prepare = OATH_FILE,
	  .wrap = "\"$@\" 3>/dev/null\nexec \"$@\"", /* the first one may run */
	  .answers = { { OATH_PROMPT, "755224" }, { OATH_PROMPT, "755224" } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_pwdfile",
	  .what = "a password of its own file",
	  .service = PWDFILE REST,
	  .prepare = PWDFILE_FILE,
	  .answers = { { "Password: ", "Pwdfile-1" } } },
	{ .module = "pam_pwdfile",
	  .what = "the password of the account",
	  .service = PWDFILE REST,
	  .prepare = PWDFILE_FILE,
	  .answers = { { "Password: ", BOB } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_userdb",
	  .what = "a password of its own file",
	  .service = USERDB REST,
	  .prepare = USERDB_FILE,
	  .answers = { { "Password: ", "Userdb-2" } } },
	{ .module = "pam_userdb",
	  .what = "the password of the account",
	  .service = USERDB REST,
	  .prepare = USERDB_FILE,
	  .answers = { { "Password: ", BOB } },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_ssh_agent_auth",
	  .what = "a key in the client's agent",
	  .service = AGENT REST,
	  .prepare = AGENT_KEY,
	  .wrap = AGENT_RUN,
	  .sudo = true,
	  .dived_refuses = DIVED_AUTH,
	  .why = "modules see nothing of the client's environment, SSH_AUTH_SOCK included" },
	{ .module = "pam_u2f",
	  .what = "no device registered",
	  .service = "auth required pam_u2f.so authfile=" MATRIX_DIR "/u2f\n" REST,
	  .prepare = "touch " MATRIX_DIR "/u2f",
	  .su_refuses = "su: ",
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_u2f",
	  .what = "no device registered, with nouserok",
	  .service = UNIX "auth required pam_u2f.so nouserok authfile=" MATRIX_DIR "/u2f\n" REST,
	  .answers = { { "Password: ", BOB } } },
	{ .module = "pam_u2f",
	  .what = "a device that is not there",
	  .service = "auth required pam_u2f.so cue authfile=" MATRIX_DIR "/u2f\n" REST,
	  .prepare = "echo 'bob:a2V5,cHVibGlj,es256,+presence' >" MATRIX_DIR "/u2f",
	  .su_refuses = "su: ",
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_faillock",
	  .what = "the right password after three wrong ones",
	  .service = COUNTING,
	  .wrap = "for i in 1 2 3; do \"$@\" || :; done\nexec \"$@\"",
	  .answers = { { "Password: ", "1" },
		       { "Password: ", "2" },
		       { "Password: ", "3" },
		       { "Password: ", BOB } },
	  .says = { "The account is locked due to 3 failed logins." },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_faillock",
	  .what = "a right password between wrong ones",
	  .service = COUNTING,
	  .wrap = "for i in 1 2 3 4 5; do \"$@\" || :; done\nexec \"$@\"",
	  .answers = { { "Password: ", "1" },
		       { "Password: ", "2" },
		       { "Password: ", BOB },
		       { "Password: ", "1" },
		       { "Password: ", "2" },
		       { "Password: ", BOB } } },
	{ .module = "pam_faillock",
	  .what = "three wrong passwords of the client",
	  .service = COUNTING,
	  .sudo = true,
	  .wrap = "for i in 1 2 3; do \"$@\" || :; done\nexec \"$@\"",
	  .answers = { { "Password: ", "1" },
		       { "Password: ", "2" },
		       { "Password: ", "3" },
		       { "Password: ", ALICE } },
	  .check = "[ \"$(faillock --dir " MATRIX_DIR "/tally --user alice | grep -c V$)\" = 3 ]",
	  .su_refuses = "incorrect password attempt",
	  .dived_refuses = DIVED_AUTH },
	{ .module = "pam_faildelay",
	  .what = "a delay after a wrong password",
	  .service = "auth optional pam_faildelay.so delay=2000000\n" UNIX REST,
	  .wrap = "read -r a _ </proc/uptime\nr=0; \"$@\" || r=$?\nread -r b _ </proc/uptime\n"
		  "echo \"$b $a\" | awk '{ if ($1 - $2 >= 1) print \"late enough\" }'\nexit $r",
	  .answers = { { "Password: ", ALICE } },
	  .says = { "late enough" },
	  .su_refuses = SU_AUTH,
	  .dived_refuses = DIVED_AUTH },
};

int main(int argc, char **argv)
{
	return matrix_main(argc, argv, rows, ARRAY_LEN(rows));
}
