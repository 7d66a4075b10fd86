/*
 * Compatibility with su: pam_limits, every item and every kind of domain.
 */
#include "cleanup.h"
#include "matrix.h"

#include <signal.h>

#define LIMITS(text)  "printf '" text "\\n' >/etc/security/limits.conf"
#define BEFORE	      "auth required pam_permit.so\naccount required pam_permit.so\n"
#define SERVICE	      BEFORE "session required pam_limits.so\n"

#define SU_SESSION    "su: cannot open session: "
#define DIVED_SESSION "dive: session: the PAM session cannot be opened"

/* A root directory in which a shell and show run. */
#define JAIL                                                                                       \
	"for f in /bin/bash /bin/sh /run/dive-test/show; do cp --parents -L \"$f\" $(ldd \"$f\" "  \
	"| "                                                                                       \
	"grep -o '/[^ ]*') " MATRIX_DIR "/jail; done"

/* Bob is logged in twice, as the process that is running the test. */
#define LOGGED_IN                                                                                  \
	"for n in 8 9; do printf '[7] [%05d] [ts/%d] [bob     ] [pts/%d       ] "                  \
	"[                    ] [0.0.0.0        ] [2024-01-01T00:00:00,000000+00:00]\\n' $PPID "   \
	"$n $n; done | utmpdump -r >/run/utmp 2>/dev/null\n"

static const struct matrix_row rows[] = {
	{ .module = "pam_limits",
	  .what = "items, hard and soft",
	  .service = SERVICE,
	  .prepare = LIMITS("bob - core 11\nbob - fsize 13\nbob - memlock 64\n"
			    "bob - nofile 115\nbob - rss 16\nbob - stack 2048\nbob - cpu 18\n"
			    "bob - nproc 1119\nbob - locks 21\n"
			    "bob - sigpending 122\nbob - msgqueue 12300"),
	  .shows = { "limit0=1080 1080", "limit1=13312 13312", "limit3=2097152 2097152",
		     "limit4=11264 11264", "limit5=16384 16384", "limit6=1119 1119",
		     "limit7=115 115" } },
	{ .module = "pam_limits",
	  .what = "more items, hard and soft",
	  .service = SERVICE,
	  .prepare = LIMITS("bob - memlock 64\nbob - locks 21\n"
			    "bob - sigpending 122\nbob - msgqueue 12300\nbob - rtprio 0\n"
			    "bob - nice 0"),
	  .shows = { "limit8=65536 65536", "limit10=21 21", "limit11=122 122",
		     "limit12=12300 12300", "limit14=0 0" } },
	{ .module = "pam_limits",
	  .what = "hard alone",
	  .service = SERVICE,
	  .prepare = LIMITS("bob hard nofile 500\nbob hard fsize 100"),
	  .shows = { "limit1=102400 102400", "limit7=500 500" } },
	{ .module = "pam_limits",
	  .what = "soft alone",
	  .service = SERVICE,
	  .prepare = LIMITS("bob soft nofile 99\nbob soft fsize 100\nbob soft nproc 1111"),
	  .shows = { "limit1=102400 -1" } },
	{ .module = "pam_limits",
	  .what = "hard and soft apart",
	  .service = SERVICE,
	  .prepare = LIMITS("bob hard nofile 200\nbob soft nofile 100\n"
			    "bob hard cpu 20\nbob soft cpu 10"),
	  .shows = { "limit0=600 1200", "limit7=100 200" } },
	{ .module = "pam_limits",
	  .what = "unlimited",
	  .service = SERVICE,
	  .prepare = LIMITS("bob - fsize unlimited\nbob - cpu -1"),
	  .shows = { "limit0=-1 -1", "limit1=-1 -1" } },
	{ .module = "pam_limits",
	  .what = "an item that is not one",
	  .service = SERVICE,
	  .prepare = LIMITS("bob - nonesuch 5\nbob - nofile 99"),
	  .shows = { "limit7=99 99" } },
	{ .module = "pam_limits",
	  .what = "a group",
	  .service = SERVICE,
	  .prepare = "usermod -aG games bob\n" LIMITS("@games - nofile 101\n@audio - nofile 99"),
	  .shows = { "limit7=101 101" } },
	{ .module = "pam_limits",
	  .what = "everybody",
	  .service = SERVICE,
	  .prepare = LIMITS("* - nofile 102\nalice - nofile 99"),
	  .shows = { "limit7=102 102" } },
	{ .module = "pam_limits",
	  .what = "everybody but root",
	  .target = "root",
	  .service = SERVICE,
	  .prepare = LIMITS("* - nofile 102"),
	  .shows = { "Uid=0 0 0 0" } },
	{ .module = "pam_limits",
	  .what = "root",
	  .target = "root",
	  .service = SERVICE,
	  .prepare = LIMITS("root - nofile 103"),
	  .shows = { "limit7=103 103" } },
	{ .module = "pam_limits",
	  .what = "the account before its group before everybody",
	  .service = SERVICE,
	  .prepare = LIMITS("bob - nofile 104\n@bob - nofile 105\n* - nofile 106\n"
			    "@bob - cpu 5\n* - cpu 6"),
	  .shows = { "limit0=300 300", "limit7=104 104" } },
	{ .module = "pam_limits",
	  .what = "ranges of numbers",
	  .service = SERVICE,
	  .prepare = LIMITS("2000:2005 - nofile 107\n@2002:2002 - cpu 7\n3000: - nofile 99"),
	  .shows = { "limit0=420 420", "limit7=107 107" } },
	{ .module = "pam_limits",
	  .what = "an account that is exempt",
	  .service = SERVICE,
	  .prepare = LIMITS("* - nofile 102\nbob -") },
	{ .module = "pam_limits",
	  .what = "a directory of files",
	  .service = SERVICE,
	  .prepare = "echo 'bob - nofile 108' >/etc/security/limits.d/50-bob.conf",
	  .shows = { "limit7=108 108" } },
	{ .module = "pam_limits",
	  .what = "another file",
	  .service = BEFORE "session required pam_limits.so conf=" MATRIX_DIR "/limits\n",
	  .prepare = "echo 'bob - nofile 109' >" MATRIX_DIR "/limits",
	  .shows = { "limit7=109 109" } },
	{ .module = "pam_limits",
	  .what = "set_all",
	  .service = BEFORE "session required pam_limits.so set_all\n",
	  .prepare = LIMITS("bob - nofile 110"),
	  .shows = { "limit7=110 110" } },
	{ .module = "pam_limits",
	  .what = "maxlogins, reached",
	  .service = SERVICE,
	  .prepare = LOGGED_IN LIMITS("bob - maxlogins 1"),
	  .su_refuses = SU_SESSION,
	  .dived_refuses = DIVED_SESSION,
	  .says = { "There were too many logins for 'bob'." } },
	{ .module = "pam_limits",
	  .what = "maxlogins, not reached",
	  .service = SERVICE,
	  .prepare = LOGGED_IN LIMITS("bob - maxlogins 3") },
	{ .module = "pam_limits",
	  .what = "maxlogins of a group in all (%)",
	  .service = SERVICE,
	  .prepare = LOGGED_IN LIMITS("%%bob - maxlogins 1"),
	  .su_refuses = SU_SESSION,
	  .dived_refuses = DIVED_SESSION },
	{ .module = "pam_limits",
	  .what = "maxsyslogins, reached",
	  .service = SERVICE,
	  .prepare = LOGGED_IN LIMITS("bob - maxsyslogins 1"),
	  .su_refuses = SU_SESSION,
	  .dived_refuses = DIVED_SESSION },
	{ .module = "pam_limits",
	  .what = "priority",
	  .service = SERVICE,
	  .prepare = LIMITS("bob - priority 5"),
	  .shows = { "nice=5" } },
	{ .module = "pam_limits",
	  .what = "nonewprivs",
	  .service = SERVICE,
	  .prepare = LIMITS("bob - nonewprivs 1"),
	  .shows = { "NoNewPrivs=1" } },
	{ .module = "pam_limits",
	  .what = "chroot",
	  .service = SERVICE,
	  .prepare = "mkdir " MATRIX_DIR "/jail\n" JAIL
		     "\n" LIMITS("bob - chroot " MATRIX_DIR "/jail"),
	  .script = "test -e etc && exit 9",
	  .shows = { "cwd=/" } },
	{ .module = "pam_limits",
	  .what = "hardly any descriptors, before other modules",
	  .service = SERVICE "session required pam_umask.so\nsession optional pam_lastlog.so\n",
	  .prepare = LIMITS("bob - nofile 6"),
	  .shows = { "limit7=6 6" } },
	{ .module = "pam_limits",
	  .what = "no descriptors, before a module that needs one",
	  .service = SERVICE "session required pam_env.so conffile=/etc/security/pam_env.conf\n",
	  .prepare = LIMITS("bob - nofile 0"),
	  .su_refuses = SU_SESSION,
	  .dived_refuses = DIVED_SESSION },
	{ .module = "pam_limits",
	  .what = "empty files, before a module that writes",
	  .service = SERVICE "session optional pam_lastlog.so\n",
	  .prepare = LIMITS("bob - fsize 0") "\ntouch /var/log/lastlog /var/log/wtmp",
	  .su_refuses = "",
	  .su_status = 128 + SIGXFSZ,
	  .dived_shows = { "limit1=0 0" },
	  .why = "su dies of a limit set on itself (SIGXFSZ); the session process does not" },
	{ .module = "pam_limits",
	  .what = "little memory",
	  .address_space = true,
	  .service = SERVICE,
	  .prepare = LIMITS("bob - as 40000\nbob - data 20000\nbob - stack 512"),
	  .shows = { "limit2=20480000 20480000", "limit3=524288 524288",
		     "limit9=40960000 40960000" } },
};

int main(int argc, char **argv)
{
	return matrix_main(argc, argv, rows, ARRAY_LEN(rows));
}
