/*
 * show - says what a program has inherited.
 *
 * What the integration tests run behind a gateway: it reports what the kernel
 * says about it, one `key=value` a line, with bytes that are not printable (and
 * backslashes) as \xNN, so that a word with newlines stays one line.
 *
 *	show report [FD]     everything, to descriptor FD (default 1)
 *	show fill            write its number through every descriptor but 0, 1, 2
 *	show sum             number of variables, bytes and a checksum of the environment
 *	show up              bring the loopback device up
 *	show loopback        connect to itself by way of 127.0.0.1
 *	show signals [stay]  "ready PID", then "got N" for every signal that comes; exits
 *	                     with 32 + N on HUP, QUIT and TERM unless it is to stay;
 *			     "size ROWS COLUMNS." with SIGWINCH
 *	show shield CMD...   block every signal, ignore every signal, execute CMD
 *	show ignore N CMD... ignore signal N, execute CMD
 *	show umask N CMD...  set the umask (octal), execute CMD
 *	show inject	     put a byte into the terminals behind 0, 1, 2, 9 and /dev/tty
 *	show flood N	     write N bytes of a pattern
 *	show check N	     read N bytes, which must be that pattern
 *	show bind PORT	     "bound", or why a TCP socket of 127.33.11.80 cannot be bound to it
 *
 * It depends on libc only and is built without sanitizers: both would change
 * what it is there to show.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static FILE *out;

static void put_value(const char *text)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < 0x20 || byte > 0x7e || byte == '\\')
			(void)fprintf(out, "\\x%02x", byte);
		else
			(void)fputc(byte, out);
	}
	(void)fputc('\n', out);
}

static void put(const char *key, const char *value)
{
	(void)fprintf(out, "%s=", key);
	put_value(value);
}

/* The lines of /proc/self/status, with white space made single spaces. */
static void show_status(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[8192];

	while (file && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, ":");
		const char *from = line + len + 1;
		char value[sizeof(line)] = "";
		char *to = value;

		line[len] = '\0';
		for (; *from; from++)
			if (!isspace((unsigned char)*from))
				*to++ = *from;
			else if (to > value && to[-1] != ' ')
				*to++ = ' ';
		if (to > value && to[-1] == ' ')
			to--;
		*to = '\0';
		put(line, value);
	}
	if (file)
		(void)fclose(file);
}

/* Calls `each` for every open descriptor but the listing's own and `out`. */
static void each_fd(void (*each)(int fd))
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (isdigit((unsigned char)entry->d_name[0]) && fd != dirfd(directory) &&
		    (fd <= 2 || !out || fd != fileno(out)))
			each(fd);
	}
	if (directory)
		(void)closedir(directory);
}

static void show_fd(int fd)
{
	char path[64];
	char target[PATH_MAX] = "";

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return;
	(void)snprintf(path, sizeof(path), "fd%d", fd);
	put(path, target);
}

static void fill_fd(int fd)
{
	if (fd > 2)
		(void)dprintf(fd, "%d\n", fd);
}

static void show_limits(void)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
			(void)fprintf(out, "limit%d=%lld %lld\n", i, (long long)limit.rlim_cur,
				      (long long)limit.rlim_max);
	}
}

static void show_file(const char *key, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[4096] = "";

	if (!file || !fgets(line, sizeof(line), file))
		(void)snprintf(line, sizeof(line), "?");
	line[strcspn(line, "\n")] = '\0';
	put(key, line);
	if (file)
		(void)fclose(file);
}

/* The first line that begins with `start`, without that. */
static void show_line(const char *key, const char *path, const char *start)
{
	FILE *file = fopen(path, "re");
	char line[4096];

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, start, strlen(start)) == 0)
			put(key, line + strlen(start));
	}
	if (file)
		(void)fclose(file);
}

/* Which directory it is, whether or not it has a name here. */
static void show_directory(const char *key, const char *path)
{
	struct stat status = { .st_ino = 0 };

	(void)stat(path, &status); /* 0: unknown */
	(void)fprintf(out, "%s=%ju:%ju\n", key, (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
}

static void show_place(void)
{
	char text[PATH_MAX] = "?";
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (!getcwd(text, sizeof(text)))
		(void)snprintf(text, sizeof(text), "errno %d", errno);
	put("cwd", text);
	show_directory("cwd-is", ".");
	show_directory("root-is", "/");
	put("terminal", tty >= 0 ? "yes" : "no");
	put("session", getsid(0) == getpid() ? "own" : "other");
	put("group", getpgrp() == getpid() ? "own" : "other");
	(void)snprintf(text, sizeof(text), "/proc/%d/comm", (int)getppid());
	show_file("parent", text);
	show_file("loginuid", "/proc/self/loginuid");
	(void)fprintf(out, "nice=%d\n", getpriority(PRIO_PROCESS, 0));
	if (tty >= 0)
		(void)close(tty);
}

/* Where its own /proc is not mounted the namespaces are shown by one further out. */
static void show_namespaces(void)
{
	static const char *const names[] = { "mnt", "net", "pid",    "user",
					     "ipc", "uts", "cgroup", "time" };
	char text[PATH_MAX];
	struct timespec now;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stat status = { .st_ino = 0 };

		(void)snprintf(text, sizeof(text), "/proc/self/ns/%s", names[i]);
		(void)stat(text, &status); /* 0: unknown */
		(void)fprintf(out, "ns-%s=%ju\n", names[i], (uintmax_t)status.st_ino);
	}
	(void)fprintf(out, "getpid=%d\n", (int)getpid());
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	(void)fprintf(out, "boottime=%lld\n", (long long)now.tv_sec);
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)fprintf(out, "monotonic=%lld\n", (long long)now.tv_sec);
	if (gethostname(text, sizeof(text)) == 0)
		put("hostname", text);
	show_line("cgroup", "/proc/self/cgroup", "0::");
}

static void show_keyring(void)
{
	char text[512] = "";
	long serial = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -3 /* the session's */, 0);

	(void)fprintf(out, "keyring=%ld\n", serial);
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, -3, text, sizeof(text) - 1) < 0)
		(void)snprintf(text, sizeof(text), "errno %d", errno);
	put("keyring-is", text);
}

static void show_securebits(void)
{
	(void)fprintf(out, "securebits=%#x\n", (unsigned)prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
}

/* Every way back to root; last, for it may succeed. */
static void show_regain(void)
{
	gid_t none = 0;
	int ways = 0;

	ways += setgroups(1, &none) == 0;
	ways += setresgid(0, 0, 0) == 0;
	ways += setresuid(0, 0, 0) == 0;
	ways += setuid(0) == 0;
	ways += seteuid(0) == 0;
	(void)fprintf(out, "regained=%d\n", ways);
}

static void report(char **argv, char **envp)
{
	char key[32];

	show_status();
	show_place();
	show_namespaces();
	each_fd(show_fd);
	show_limits();
	show_keyring();
	show_securebits();
	for (int i = 0; argv[i]; i++) {
		(void)snprintf(key, sizeof(key), "arg%d", i);
		put(key, argv[i]);
	}
	for (; *envp; envp++) {
		(void)fputs("env:", out);
		put_value(*envp);
	}
	show_regain();
	(void)fprintf(out, "end=of the report\n");
	(void)fflush(out);
}

static void sum(char **envp)
{
	unsigned long hash = 5381;
	size_t count = 0;
	size_t bytes = 0;

	for (; *envp; envp++, count++) {
		if (strncmp(*envp, "DIVE_", 5) == 0) {
			count--;
			continue;
		}
		for (const char *at = *envp; *at; at++, bytes++)
			hash = hash * 33 + (unsigned char)*at;
		bytes++;
		hash = hash * 33;
	}
	(void)printf("count=%zu\nbytes=%zu\nsum=%lu\n", count, bytes, hash);
}

/* An address that nobody else uses: what is asked is whether the port is allowed. */
static int bind_port(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(0x7f210b50);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)printf("%s\n", strerror(errno));
		return 1;
	}
	(void)printf("bound\n");
	return 0;
}

/* TIOCSTI: as if the byte had been typed there. */
static void inject(void)
{
	const int fds[] = { 0, 1, 2, 9, open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) };
	const char byte = 'Z';

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		(void)printf("inject%zu=%s\n", i, ioctl(fds[i], TIOCSTI, &byte) ? "no" : "yes");
}

static unsigned char pattern(unsigned long at)
{
	return (unsigned char)(at ^ at >> 8 ^ at >> 16);
}

static int flood(unsigned long size)
{
	unsigned char bytes[4096];

	for (unsigned long done = 0; done < size;) {
		size_t len = size - done < sizeof(bytes) ? size - done : sizeof(bytes);
		ssize_t sent;

		for (size_t i = 0; i < len; i++)
			bytes[i] = pattern(done + i);
		sent = write(1, bytes, len);
		if (sent <= 0)
			return 1;
		done += (unsigned long)sent;
	}
	return 0;
}

static int check(unsigned long size)
{
	unsigned char bytes[4096];

	for (unsigned long done = 0; done < size;) {
		ssize_t got = read(0, bytes, sizeof(bytes));

		if (got <= 0)
			return 1;
		for (ssize_t i = 0; i < got; i++, done++)
			if (bytes[i] != pattern(done))
				return 2;
	}
	(void)printf("check=ok\n");
	return 0;
}

static int execute(char **argv)
{
	(void)execvp(argv[0], argv);
	perror(argv[0]);
	return 125;
}

/* Blocked, all can be waited for, the ignored ones too: signal(7). */
static int signals(int stay)
{
	struct winsize size;
	sigset_t all;
	int number = 0;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)dprintf(1, "ready %d\n", (int)getpid());
	while (stay || (number != SIGHUP && number != SIGQUIT && number != SIGTERM)) {
		if (sigwait(&all, &number) == 0)
			(void)dprintf(1, "got %d.\n", number);
		if (number == SIGWINCH && ioctl(1, TIOCGWINSZ, &size) == 0)
			(void)dprintf(1, "size %d %d.\n", size.ws_row, size.ws_col);
	}
	return 32 + number;
}

static void shield(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_IGN); /* KILL, STOP and libc's own refuse */
}

/* Brings the loopback device up, as `ip link set lo up` does. */
static int loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) ? 1 : 0;
}

/* Sends itself a byte by way of 127.0.0.1. */
static int loopback(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(server, (struct sockaddr *)&address, size) || listen(server, 1) ||
	    getsockname(server, (struct sockaddr *)&address, &size) ||
	    connect(client, (struct sockaddr *)&address, size)) {
		(void)dprintf(1, "loopback=errno %d\n", errno);
		return 1;
	}
	(void)dprintf(1, "loopback=works\n");
	return 0;
}

int main(int argc, char **argv, char **envp)
{
	const char *what = argc > 1 ? argv[1] : "report";

	if (strcmp(what, "fill") == 0) {
		each_fd(fill_fd);
	} else if (strcmp(what, "sum") == 0) {
		sum(envp);
	} else if (strcmp(what, "signals") == 0) {
		return signals(argc > 2);
	} else if (strcmp(what, "up") == 0) {
		return loopback_up();
	} else if (strcmp(what, "loopback") == 0) {
		return loopback();
	} else if (strcmp(what, "shield") == 0 && argc > 2) {
		shield();
		return execute(argv + 2);
	} else if (strcmp(what, "ignore") == 0 && argc > 3) {
		(void)signal(atoi(argv[2]), SIG_IGN);
		return execute(argv + 3);
	} else if (strcmp(what, "bind") == 0 && argc > 2) {
		return bind_port(atoi(argv[2]));
	} else if (strcmp(what, "inject") == 0) {
		inject();
	} else if (strcmp(what, "flood") == 0 && argc > 2) {
		return flood(strtoul(argv[2], NULL, 10));
	} else if (strcmp(what, "check") == 0 && argc > 2) {
		return check(strtoul(argv[2], NULL, 10));
	} else if (strcmp(what, "umask") == 0 && argc > 3) {
		(void)umask((mode_t)strtoul(argv[2], NULL, 8));
		return execute(argv + 3);
	} else {
		int fd = argc > 2 && strcmp(what, "report") == 0 ? atoi(argv[2]) : 1;

		out = fdopen(fd, "w");
		if (!out)
			return 124;
		report(argv, envp);
	}
	return 0;
}
