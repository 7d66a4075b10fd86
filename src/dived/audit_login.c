/*
 * audit_login - the login uid of this process, which its records are told by.
 *
 * What has been written is read back: a kernel may take the number and keep another.
 */
#include "audit.h"

#include "cleanup.h"
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOGIN_UID_FILE "/proc/self/loginuid"
#define LOGIN_UID_TEXT 16

/* Return: 0; -errno of reading; -EIO when the kernel shows something else than a number. */
static int audit_get_login_uid(int fd, uint32_t *ret)
{
	char text[LOGIN_UID_TEXT];
	uint64_t value;
	ssize_t len;

	len = pread(fd, text, sizeof(text) - 1, 0);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (parse_uint(text, 0, UINT32_MAX, &value) < 0)
		return -EIO;
	*ret = (uint32_t)value;
	return 0;
}

static int audit_put_login_uid(int fd, uint32_t login_uid)
{
	char text[LOGIN_UID_TEXT];
	int len;
	ssize_t written;

	len = snprintf(text, sizeof(text), "%" PRIu32, login_uid); /* at most 10 digits */
	written = pwrite(fd, text, (size_t)len, 0);
	if (written < 0)
		return -errno;
	return written == len ? 0 : -EIO;
}

void audit_open_login(struct audit_login *ret)
{
	ret->reading = open(LOGIN_UID_FILE, O_RDONLY | O_CLOEXEC);
	ret->writing = open(LOGIN_UID_FILE, O_WRONLY | O_CLOEXEC);
}

void audit_close_login(struct audit_login *login)
{
	close_fd(&login->reading);
	close_fd(&login->writing);
}

int audit_keep_login_uid(const struct audit_login *login, uint32_t login_uid)
{
	uint32_t now;
	int error = audit_get_login_uid(login->reading, &now);

	if (error < 0 || now == login_uid)
		return error;
	error = audit_put_login_uid(login->writing, login_uid);
	if (error < 0)
		return error;
	error = audit_get_login_uid(login->reading, &now);
	if (error < 0)
		return error;
	return now == login_uid ? 0 : -EIO;
}

int audit_own_login_uid(uint32_t *ret)
{
	cleanup_fd int fd = open(LOGIN_UID_FILE, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : audit_get_login_uid(fd, ret);
}

int audit_set_login_uid(uint32_t login_uid)
{
	struct audit_login login;
	int error;

	audit_open_login(&login);
	error = audit_keep_login_uid(&login, login_uid);
	audit_close_login(&login);
	return error;
}
