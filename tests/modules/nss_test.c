/*
 * nss_test - a name service in a mood: libnss_test.so.2, asked by a gateway whose
 * nsswitch.conf says "test" and whose LD_LIBRARY_PATH leads to it.
 *
 * It knows the account "ghost", uid and gid NSS_UID.  The file MOOD (NSS_MOOD of
 * tests/support/probe.h), read at each question, says how it answers: with words,
 * separated by spaces, that are looked for below.  Without it it is not available.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOOD	    "/run/dive-test/nss.mood"
#define GHOST	    "ghost"
#define NSS_UID	    2500
#define MANY	    3000  /* groups */
#define TOO_MANY    70000 /* more than a process may have */
#define FIRST_GROUP 100000

enum nss_status _nss_test_getpwnam_r(const char *name, struct passwd *ret, char *buffer,
				     size_t size, int *ret_errno);
enum nss_status _nss_test_getpwuid_r(uid_t uid, struct passwd *ret, char *buffer, size_t size,
				     int *ret_errno);
enum nss_status _nss_test_initgroups_dyn(const char *name, gid_t gid, long *start, long *size,
					 gid_t **groups, long limit, int *ret_errno);
enum nss_status _nss_test_getgrnam_r(const char *name, struct group *ret, char *buffer, size_t size,
				     int *ret_errno);

static char nothing[] = "";
static char home[] = "/";
static char shell[] = "/bin/sh";

static bool read_mood(char *buffer, size_t size)
{
	int fd = open(MOOD, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, buffer, size - 1);

	if (fd >= 0)
		(void)close(fd); /* read only */
	buffer[len > 0 ? len : 0] = '\0';
	return len >= 0;
}

static bool is_in(const char *mood, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(mood, word); at; at = strstr(at + 1, word))
		if ((at == mood || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

/*
 * What all answers have in common; `question` is passwd, groups or group.
 * NSS_STATUS_SUCCESS: there is one.
 */
static enum nss_status begin(const char *question, char *mood, size_t size, int *ret_errno)
{
	char word[64];

	*ret_errno = ENOENT;
	if (!read_mood(mood, size))
		return NSS_STATUS_UNAVAIL;
	(void)snprintf(word, sizeof(word), "hang-%s", question); /* fits */
	while (read_mood(mood, size) && is_in(mood, word))
		(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	(void)snprintf(word, sizeof(word), "slow-%s", question);
	if (is_in(mood, word))
		(void)nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
	(void)snprintf(word, sizeof(word), "fail-%s", question);
	if (is_in(mood, word)) {
		*ret_errno = EAGAIN;
		return NSS_STATUS_TRYAGAIN;
	}
	(void)snprintf(word, sizeof(word), "down-%s", question);
	return is_in(mood, word) ? NSS_STATUS_UNAVAIL : NSS_STATUS_SUCCESS;
}

static enum nss_status fill(struct passwd *ret, char *buffer, size_t size, const char *name,
			    uid_t uid, gid_t gid, int *ret_errno)
{
	size_t len = strlen(name) + 1;

	if (size < len) {
		*ret_errno = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	}
	memcpy(buffer, name, len);
	*ret = (struct passwd){ .pw_name = buffer,
				.pw_passwd = nothing,
				.pw_uid = uid,
				.pw_gid = gid,
				.pw_gecos = nothing,
				.pw_dir = home,
				.pw_shell = shell };
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_test_getpwnam_r(const char *name, struct passwd *ret, char *buffer,
				     size_t size, int *ret_errno)
{
	char mood[256];
	enum nss_status status = begin("passwd", mood, sizeof(mood), ret_errno);

	if (status != NSS_STATUS_SUCCESS)
		return status;
	if (strcmp(name, GHOST) != 0 && !(is_in(mood, "fold") && strcasecmp(name, GHOST) == 0))
		return NSS_STATUS_NOTFOUND;
	if (is_in(mood, "root"))
		return fill(ret, buffer, size, "root", 0, 0, ret_errno);
	if (is_in(mood, "minus-one"))
		return fill(ret, buffer, size, GHOST, (uid_t)-1, (gid_t)-1, ret_errno);
	return fill(ret, buffer, size, GHOST, NSS_UID, NSS_UID, ret_errno);
}

enum nss_status _nss_test_getpwuid_r(uid_t uid, struct passwd *ret, char *buffer, size_t size,
				     int *ret_errno)
{
	char mood[256];
	enum nss_status status = begin("passwd", mood, sizeof(mood), ret_errno);

	if (status != NSS_STATUS_SUCCESS)
		return status;
	if (uid != NSS_UID)
		return NSS_STATUS_NOTFOUND;
	if (is_in(mood, "root"))
		return fill(ret, buffer, size, "root", 0, 0, ret_errno);
	return fill(ret, buffer, size, GHOST, NSS_UID, NSS_UID, ret_errno);
}

static enum nss_status add_group(gid_t gid, long *start, long *size, gid_t **groups, long limit)
{
	if (*start == *size) {
		long room = *size * 2;
		gid_t *larger;

		if (limit > 0 && *size >= limit)
			return NSS_STATUS_SUCCESS;
		if (limit > 0 && room > limit)
			room = limit;
		larger = realloc(*groups, (size_t)room * sizeof(gid_t));
		if (!larger)
			return NSS_STATUS_TRYAGAIN;
		*groups = larger;
		*size = room;
	}
	(*groups)[(*start)++] = gid;
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_test_initgroups_dyn(const char *name, gid_t gid, long *start, long *size,
					 gid_t **groups, long limit, int *ret_errno)
{
	char mood[256];
	enum nss_status status = begin("groups", mood, sizeof(mood), ret_errno);
	gid_t count = 0;

	(void)gid;
	if (status != NSS_STATUS_SUCCESS)
		return status;
	if (strcmp(name, GHOST) != 0)
		return NSS_STATUS_NOTFOUND;
	if (is_in(mood, "many"))
		count = MANY;
	if (is_in(mood, "too-many"))
		count = TOO_MANY;
	for (gid_t i = 0; i < count && status == NSS_STATUS_SUCCESS; i++)
		status = add_group(FIRST_GROUP + i, start, size, groups, limit);
	return status;
}

enum nss_status _nss_test_getgrnam_r(const char *name, struct group *ret, char *buffer, size_t size,
				     int *ret_errno)
{
	static char *nobody[] = { NULL };
	char mood[256];
	enum nss_status status = begin("group", mood, sizeof(mood), ret_errno);

	if (status != NSS_STATUS_SUCCESS)
		return status;
	if (strcmp(name, GHOST) != 0)
		return NSS_STATUS_NOTFOUND;
	if (size < sizeof(GHOST)) {
		*ret_errno = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	}
	memcpy(buffer, GHOST, sizeof(GHOST));
	*ret = (struct group){
		.gr_name = buffer, .gr_passwd = nothing, .gr_gid = NSS_UID, .gr_mem = nobody
	};
	return NSS_STATUS_SUCCESS;
}
