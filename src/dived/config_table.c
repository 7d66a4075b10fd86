/*
 * config_table - the options of dived, one row each.
 *
 * Parsing, --help, completion and the check of the man page come from these
 * rows and nothing else.  An option this version does not have is absent, so
 * that a gateway written for a later one fails at start-up instead of running
 * without a restriction its administrator relies on.  For the same reason an
 * option that takes one value may be given once only: of two, one would be lost.
 */
#include "config.h"

#include "cleanup.h"

#include <stddef.h>

#define SERVING	      "Serving"
#define WHO	      "Who"
#define PAM	      "PAM"
#define PLACE	      "Where: namespaces, root, directory, content"
#define CLIENT	      "What the client may set"
#define PRIVILEGE     "With what privileges"
#define AUDIT	      "Audit"
#define MISC	      "Checks and help"

#define FIELD(member) offsetof(struct config, member)

#define FLAG(group_, short_, long_, member_, help_)                                                \
	{                                                                                          \
		.group = (group_), .short_name = (short_), .long_name = (long_),                   \
		.type = OPTION_FLAG, .offset = FIELD(member_), .value = 1, .help = (help_),        \
	}
#define TEXT(group_, short_, long_, argument_, member_, help_)                                     \
	{                                                                                          \
		.group = (group_), .short_name = (short_), .long_name = (long_),                   \
		.argument = (argument_), .type = OPTION_TEXT, .words = 1,                          \
		.offset = FIELD(member_), .help = (help_), .once = true,                           \
	}
#define UINT(group_, long_, argument_, member_, min_, max_, help_)                                 \
	{                                                                                          \
		.group = (group_), .long_name = (long_), .argument = (argument_),                  \
		.type = OPTION_UINT, .words = 1, .offset = FIELD(member_), .min = (min_),          \
		.max = (max_), .help = (help_), .once = true,                                      \
	}
#define CHOICE(group_, long_, argument_, member_, first_, choices_, help_)                         \
	{                                                                                          \
		.group = (group_), .long_name = (long_), .argument = (argument_),                  \
		.type = OPTION_CHOICE, .words = 1, .offset = FIELD(member_), .value = (first_),    \
		.choices = (choices_), .help = (help_), .once = true,                              \
	}
#define MANY(group_, short_, long_, argument_, type_, member_, help_)                              \
	{                                                                                          \
		.group = (group_), .short_name = (short_), .long_name = (long_),                   \
		.argument = (argument_), .type = (type_), .words = 1, .offset = FIELD(member_),    \
		.help = (help_),                                                                   \
	}

/* Each in the order of its enumeration. */
static const char *const disconnect_words[] = { "hup", "kill", "ignore", NULL };
static const char *const environment_words[] = { "all", "safe", "none", "server", NULL };
static const char *const audit_words[] = { "auto", "require", "off", NULL };

/* clang-format off */
static const struct option_row rows[] = {
	FLAG(SERVING, "i", "inetd", inetd,
	     "Descriptor 0 is the accepted client: serve it and exit; messages go to syslog only"),
	FLAG(SERVING, NULL, "listen-fds", listen_fds,
	     "Listen on the sockets a service manager passes (LISTEN_FDS)"),
	FLAG(SERVING, "J", "just-execute", just_execute,
	     "No socket: set everything up and execute the command after --"),
	{ .group = SERVING, .short_name = "j", .long_name = "just-execute2", .type = OPTION_FLAG,
	  .offset = FIELD(just_execute), .value = 2, .help = "As -J -S -T -P" },
	FLAG(SERVING, "F", "no-fork", no_fork,
	     "Serve one client, then exit with its status"),
	FLAG(SERVING, "D", "children-daemon", children_daemon,
	     "Accepted for old command lines; sessions never hold dived's terminal"),
	FLAG(SERVING, "d", "detach", detach,
	     "Go to the background once the socket listens; the current directory stays"),
	MANY(SERVING, "p", "pidfile", "FILE", OPTION_LIST, pidfiles,
	     "Write dived's process id to FILE; may be repeated"),
	{ .group = SERVING, .short_name = "C", .long_name = "chmod", .argument = "MODE",
	  .type = OPTION_MODE, .words = 1, .offset = FIELD(socket_mode), .once = true,
	  .help = "Mode of the socket, in octal (default 0600: nobody but its owner)" },
	TEXT(SERVING, "U", "chown", "USER:GROUP", socket_owner,
	     "Owner of the socket: USER, USER:, :GROUP or USER:GROUP, as names or numbers"),
	MANY(SERVING, NULL, "allow", "USER,@GROUP,...", OPTION_NAMES, allow,
	     "Serve only these accounts and members of these groups; may be repeated"),
	UINT(SERVING, "max-sessions", "N", max_sessions, 1, 65536,
	     "Sessions in all (default 1024)"),
	UINT(SERVING, "max-sessions-per-user", "N", max_sessions_per_user, 1, 65536,
	     "Sessions of one client uid, root excepted (default 256)"),
	UINT(SERVING, "max-pending", "N", max_pending, 1, 65536,
	     "Connections that have not got past authentication, in all (default 64)"),
	UINT(SERVING, "max-pending-per-user", "N", max_pending_per_user, 1, 65536,
	     "The same, of one client uid, root excepted (default 8)"),
	UINT(SERVING, "request-timeout", "SECONDS", request_timeout, 1, 3600,
	     "Time to receive the whole request (default 10)"),
	CHOICE(SERVING, "on-disconnect", "hup|kill|ignore", on_disconnect, CONFIG_DISCONNECT_HUP,
	       disconnect_words,
	       "What the program gets when dive goes away: hangup (default), then kill, or nothing"),
	FLAG(SERVING, "n", "signals", signals,
	     "Deliver every signal the client sends, to the program"),
	FLAG(SERVING, NULL, "signals-pgid", signals_group,
	     "Deliver every signal the client sends, to the program's process group"),
	FLAG(SERVING, "w", "no-wait", no_wait,
	     "Do not report the exit status: the client is told that the program has started"),

	TEXT(WHO, "u", "user", "USER", user,
	     "Run programs as USER, a name or a number with a passwd entry (default: the client)"),
	MANY(WHO, "g", "groups", "G1,G2,...", OPTION_NAMES, groups,
	     "Group, and supplementary groups, instead of the target's; the first is the primary"),
	TEXT(WHO, "e", "effective-user", "USER", effective_user,
	     "Effective and saved ids, and groups, of USER; the real ids stay the target's"),
	FLAG(WHO, "P", "no-setuid", no_setuid,
	     "Change no ids and groups: programs run as dived does"),

	TEXT(PAM, "x", "pam-service", "NAME", pam_service, "PAM service (default dived)"),
	TEXT(PAM, NULL, "pam-confdir", "DIR", pam_confdir,
	     "Read PAM service files from DIR instead of the system's directory"),
	TEXT(PAM, "a", "authenticate", "auto|always|never", authenticate_text,
	     "When to authenticate; auto (default): when the spawn is elevated, except root"),
	TEXT(PAM, NULL, "auth-user", "client|target|NAME", auth_user,
	     "Whose credentials are asked for (default client)"),
	UINT(PAM, "auth-tries", "N", auth_tries, 1, 100, "Attempts to authenticate (default 3)"),
	UINT(PAM, "auth-timeout", "SECONDS", auth_timeout, 1, 86400,
	     "Time for authentication (default 120)"),
	FLAG(PAM, NULL, "no-pam", no_pam,
	     "No PAM: socket permissions and --allow are the only gate"),

	MANY(PLACE, "s", "unshare", "LIST", OPTION_NAMES, unshare_names,
	     "New namespaces, shared by all programs of the gateway: ipc, net, mnt (or fs), pid, "
	     "uts, user, cgroup, time"),
	TEXT(PLACE, NULL, "setup", "PROGRAM", setup,
	     "Run PROGRAM once, as root in the new namespaces, before the first client"),
	MANY(PLACE, "N", "setns", "FILE", OPTION_LIST, setns,
	     "Join this namespace file; may be repeated"),
	MANY(PLACE, NULL, "setns-pid", "PID[:LIST]", OPTION_LIST, setns_pid,
	     "Join all namespaces, or those listed, of a running process; may be repeated"),
	TEXT(PLACE, "R", "chroot", "DIR", chroot, "Change the root directory to DIR"),
	{ .group = PLACE, .short_name = "V", .long_name = "pivot-root", .argument = "NEW OLD",
	  .type = OPTION_LIST, .words = 2, .offset = FIELD(pivot_root), .once = true,
	  .help = "Make NEW the root of a private mount namespace for each program, and put the "
		  "old root at OLD" },
	TEXT(PLACE, "h", "chdir", "DIR", chdir,
	     "With -H: start in DIR, opened before the root directory changes, entered after it"),
	FLAG(PLACE, "r", "client-chroot", client_chroot,
	     "Honour the root directory that the client sends (DIVE_ROOTDIR)"),
	FLAG(PLACE, "W", "root-to-current", root_to_current,
	     "Start in dived's own root directory; implies -H"),
	{ .group = PLACE, .short_name = "t", .long_name = "write-content", .argument = "FILE TEXT",
	  .type = OPTION_LIST, .words = 2, .offset = FIELD(contents),
	  .help = "Write TEXT to FILE for each program, inside the namespaces; may be repeated" },
	FLAG(PLACE, "tt", "setup-uidgidmap", setup_idmap,
	     "Map dived's uid and gid to root in the new user namespace"),
	TEXT(PLACE, NULL, "cgroup", "DIR", cgroup,
	     "Start programs in this cgroup v2 directory"),

	FLAG(CLIENT, "A", "no-argv", no_argv, "Take no program and arguments from the client"),
	FLAG(CLIENT, "E", "no-environment", no_environment,
	     "Take no environment from the client: --environment none"),
	FLAG(CLIENT, "H", "no-chdir", no_chdir,
	     "Take no current directory from the client: stay where dived was started"),
	FLAG(CLIENT, "O", "no-fds", no_fds,
	     "Take no descriptors from the client: 0, 1 and 2 are /dev/null"),
	FLAG(CLIENT, "M", "no-umask", no_umask, "Take no umask from the client"),
	FLAG(CLIENT, "S", "no-setsid", no_setsid,
	     "Give the program a process group of its own instead of a session"),
	FLAG(CLIENT, "T", "no-csctty", no_csctty, "Give the program no controlling terminal"),
	CHOICE(CLIENT, "environment", "all|safe|none|server", environment, CONFIG_ENVIRONMENT_ALL,
	       environment_words,
	       "What the environment starts from (default: safe when elevated, else all)"),
	MANY(CLIENT, NULL, "env-keep", "NAME,...", OPTION_NAMES, environment_keep,
	     "Take these from the client too where only safe variables are; may be repeated"),
	MANY(CLIENT, NULL, "env-set", "NAME=VALUE", OPTION_LIST, environment_set,
	     "Set a variable for the program; may be repeated"),

	MANY(PRIVILEGE, "l", "rlimit", "NAME=HARD[:SOFT],...", OPTION_NAMES, limit_texts,
	     "Resource limits, over PAM's; names or numbers, \"unlimited\"; may be repeated"),
	{ .group = PRIVILEGE, .short_name = "B", .long_name = "retain-capabilities",
	  .argument = "LIST", .type = OPTION_NAMES, .words = 1, .offset = FIELD(retain_names),
	  .value = 1, .help = "Keep only these in the capability bounding set" },
	{ .group = PRIVILEGE, .short_name = "b", .long_name = "remove-capabilities",
	  .argument = "LIST", .type = OPTION_NAMES, .words = 1, .offset = FIELD(remove_names),
	  .value = 1, .help = "Drop these from the capability bounding set" },
	{ .group = PRIVILEGE, .short_name = "m", .long_name = "ambient-capabilities",
	  .argument = "LIST", .type = OPTION_NAMES, .words = 1, .offset = FIELD(ambient_names),
	  .value = 1, .help = "Make these permitted, inheritable and ambient" },
	TEXT(PRIVILEGE, "c", "set-capabilities", "TEXT", capabilities_text,
	     "Set capabilities, in the form of cap_from_text(3), after the uid has changed"),
	FLAG(PRIVILEGE, "L", "lock-securebits", lock_securebits,
	     "Set and lock the securebits NO_SETUID_FIXUP and NOROOT"),
	FLAG(PRIVILEGE, "X", "no-new-privs", no_new_privs, "Set no_new_privs"),

	CHOICE(AUDIT, "audit", "auto|require|off", audit, CONFIG_AUDIT_AUTO, audit_words,
	       "Kernel audit records: where enabled (default), or refuse without, or never"),

	FLAG(MISC, NULL, "check", check,
	     "Validate everything, print the effective gateway, serve nothing"),
	FLAG(MISC, NULL, "allow-insecure", allow_insecure,
	     "Start in spite of combinations that the safety checks refuse"),
	FLAG(MISC, NULL, "help", help, "Print this and exit"),
	FLAG(MISC, NULL, "version", version, "Print the version and exit"),
	{ .group = MISC, .long_name = "dump-options", .type = OPTION_FLAG,
	  .offset = FIELD(dump_options), .value = 1, .hidden = true,
	  .help = "Print the options for the checks of man page and completion" },
};
/* clang-format on */

const struct option_table config_table = {
	.program = "dived",
	.usage = "dived ADDRESS [options] [-- forced command...]\n"
		 "dived -i [options] [-- forced command...]\n"
		 "dived -J [options] -- command...\n"
		 "dived --listen-fds [options] [-- forced command...]\n"
		 "dived --check ADDRESS [options] [-- forced command...]",
	.about = "Serves a UNIX socket: runs programs for the clients that dive(1) connects, "
		 "with the identity, and after the proof of identity, that the options say. "
		 "ADDRESS is a path, or @name for an abstract socket. The words after -- are "
		 "put in front of whatever a client asks for.",
	.rows = rows,
	.count = ARRAY_LEN(rows),
};
