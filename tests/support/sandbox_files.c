/*
 * sandbox - files, accounts and the syslog socket inside it.
 *
 * Accounts are lines written straight into the four files: useradd and
 * chpasswd take a hundred times longer, and their defaults differ between
 * distributions.  Hashes use the lowest number of rounds, for speed.
 */
#include "sandbox.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"

#include <crypt.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SYSLOG_DEADLINE_MS 10000
#define LAST_CHANGE	   20000 /* day of the last password change: October 2024 */

void sandbox_write_all(int fd, const void *data, size_t len)
{
	const char *next = data;

	while (len > 0) {
		size_t written = (size_t)MUST(write(fd, next, len));

		next += written;
		len -= written;
	}
}

void sandbox_write(const char *path, mode_t mode, const char *format, ...)
{
	cleanup_fd int fd = -1;
	cleanup_free char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	MUST(len);
	fd = MUST_INT(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	MUST(fchmod(fd, mode));
	sandbox_write_all(fd, text, (size_t)len);
}

void sandbox_service(const char *name, const char *text)
{
	char path[256];
	int len = snprintf(path, sizeof(path), "/etc/pam.d/%s", name);

	assert_in_range(len, 1, sizeof(path) - 1);
	sandbox_write(path, 0644, "%s", text);
}

/* Returns the whole file, NUL-terminated, to be freed; an absent file is empty. */
static char *read_text(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status = { 0 };
	char *text;

	if (fd >= 0)
		MUST(fstat(fd, &status));
	text = calloc(1, (size_t)status.st_size + 1);
	MUST_POINTER(text);
	if (fd >= 0)
		assert_int_equal(MUST(read(fd, text, (size_t)status.st_size)), status.st_size);
	return text;
}

/* In place, so that owner and mode stay. */
void sandbox_account_line(const char *path, const char *name, const char *line)
{
	cleanup_free char *old = read_text(path);
	cleanup_fd int fd = MUST_INT(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	size_t name_len = strlen(name);

	for (const char *next = old; *next != '\0';) {
		size_t len = strcspn(next, "\n");

		if (strncmp(next, name, name_len) != 0 || next[name_len] != ':') {
			sandbox_write_all(fd, next, len);
			sandbox_write_all(fd, "\n", 1);
		}
		next += len + (next[len] == '\n');
	}
	sandbox_write_all(fd, line, strlen(line));
	sandbox_write_all(fd, "\n", 1);
}

static void put_line(const char *path, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void put_line(const char *path, const char *name, const char *format, ...)
{
	cleanup_free char *line = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&line, format, args);
	va_end(args);
	MUST(len);
	sandbox_account_line(path, name, line);
}

void sandbox_account(const char *name, uid_t id, const char *password, const char *shell)
{
	struct crypt_data data = { 0 };
	const char *hash = "!";
	char home[256];

	if (password) {
		hash = crypt_r(password, "$6$rounds=1000$sandboxsalt", &data);
		MUST_POINTER(hash);
	}
	assert_in_range(snprintf(home, sizeof(home), "/home/%s", name), 1, sizeof(home) - 1);
	put_line("/etc/passwd", name, "%s:x:%u:%u:%s of the tests:%s:%s", name, id, id, name, home,
		 shell);
	put_line("/etc/group", name, "%s:x:%u:", name, id);
	put_line("/etc/shadow", name, "%s:%s:%d:0:99999:7:::", name, hash, LAST_CHANGE);
	put_line("/etc/gshadow", name, "%s:!::", name);
	if (mkdir(home, 0700) < 0 && errno != EEXIST)
		MUST(-1);
	MUST(chown(home, id, id));
}

int sandbox_syslog_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd = MUST_INT(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	(void)unlink("/dev/log"); /* of an earlier test that failed; bind(2) reports the rest */
	MUST(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	MUST(chmod("/dev/log", 0666));
	return fd;
}

void sandbox_syslog_close(int *fd)
{
	close_fd(fd);
	MUST(unlink("/dev/log"));
}

void sandbox_syslog_expect(int fd, const char *text, char *buffer, size_t size)
{
	int64_t deadline = deadline_after(SYSLOG_DEADLINE_MS);
	char line[16384];

	assert_true(size > 0);
	for (;;) {
		ssize_t len;

		if (deadline_poll(fd, POLLIN, deadline) < 0)
			FAIL("no syslog line with \"%s\" within %d ms", text, SYSLOG_DEADLINE_MS);
		len = MUST(recv(fd, line, sizeof(line) - 1, 0));
		line[len] = '\0';
		if (strstr(line, text))
			break;
	}
	(void)snprintf(buffer, size, "%s", line); /* cut to size, as promised */
}
