/*
 * admission - quotas and penalties by client uid.
 *
 * The table holds a row for each uid that has a connection or a penalty; rows
 * of neither are reused, so it grows with the number of connections (which has
 * a quota) and of uids that failed within the last delay.
 */
#include "admission.h"

#include "cleanup.h"

#include <string.h>

#define USERS_MAX 16384 /* beyond it connections are refused: nobody's penalty is forgotten */

void admission_done(struct admission *admission)
{
	free(admission->users);
	*admission = (struct admission){ 0 };
}

static struct admission_user *find(const struct admission *admission, uid_t uid)
{
	for (size_t i = 0; i < admission->count; i++)
		if (admission->users[i].uid == uid)
			return &admission->users[i];
	return NULL;
}

static bool idle(const struct admission_user *user, int64_t now)
{
	return !user->pending && !user->sessions && user->not_before <= now;
}

/* A row that nobody needs any more, or a new one; NULL when there is no room. */
static struct admission_user *vacant(struct admission *admission, int64_t now)
{
	for (size_t i = 0; i < admission->count; i++)
		if (idle(&admission->users[i], now))
			return &admission->users[i];
	if (admission->count == admission->room) {
		size_t room = admission->room ? admission->room * 2 : 16;
		struct admission_user *larger =
			room > USERS_MAX ? NULL
					 : reallocarray(admission->users, room, sizeof(*larger));

		if (!larger)
			return NULL;
		admission->users = larger;
		admission->room = room;
	}
	return &admission->users[admission->count++];
}

/* Finds or makes the row of a uid; NULL when there is no room for one. */
static struct admission_user *obtain(struct admission *admission, uid_t uid, int64_t now)
{
	struct admission_user *user = find(admission, uid);

	if (user)
		return user;
	user = vacant(admission, now);
	if (user)
		*user = (struct admission_user){ .uid = uid };
	return user;
}

const char *admission_enter(struct admission *admission, uid_t uid, bool exempt, int64_t now)
{
	const struct admission_limits *limits = &admission->limits;
	struct admission_user *user = obtain(admission, uid, now);

	if (!user)
		return "busy: out of memory";
	if (admission->sessions + admission->pending >= limits->sessions)
		return "busy: too many sessions";
	if (admission->pending >= limits->pending)
		return "busy: too many connections are waiting for authentication";
	if (!exempt && user->sessions + user->pending >= limits->sessions_per_user)
		return "busy: you have too many sessions";
	if (!exempt && user->pending >= limits->pending_per_user)
		return "busy: too many of your connections are waiting for authentication";
	admission->pending++;
	user->pending++;
	return NULL;
}

void admission_verdict(struct admission *admission, uid_t uid, uint64_t serial)
{
	struct admission_user *user = find(admission, uid);

	if (!user || !user->pending)
		return;
	if (user->trying == serial)
		user->trying = 0;
	user->pending--;
	user->sessions++;
	admission->pending--;
	admission->sessions++;
}

void admission_leave(struct admission *admission, uid_t uid, bool pending, uint64_t serial)
{
	struct admission_user *user = find(admission, uid);

	if (!user)
		return;
	if (user->trying == serial)
		user->trying = 0;
	if (pending && user->pending) {
		user->pending--;
		admission->pending--;
	} else if (!pending && user->sessions) {
		user->sessions--;
		admission->sessions--;
	}
}

int64_t admission_ask(struct admission *admission, uid_t uid, uint64_t serial, int64_t now)
{
	struct admission_user *user = find(admission, uid);

	if (!user)
		return INT64_MAX; /* asked by a connection that was never admitted */
	if (user->trying && user->trying != serial)
		return INT64_MAX;
	if (user->not_before > now)
		return user->not_before;
	user->trying = serial;
	return 0;
}

void admission_result(struct admission *admission, uid_t uid, uint64_t serial, int64_t not_before)
{
	struct admission_user *user = find(admission, uid);

	if (!user)
		return;
	if (user->trying == serial)
		user->trying = 0;
	if (not_before > user->not_before)
		user->not_before = not_before;
}
