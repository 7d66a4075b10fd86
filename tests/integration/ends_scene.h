/*
 * ends_scene - what the tests of how sessions end share: services whose modules do not
 * let PAM close, and the records that must be there nevertheless.
 */
#pragma once

#include "must.h"
#include "probe.h"
#include "sandbox.h"
#include "trail.h"

#define LOGIN_UID "30515" /* in nobody else's records: the stream is the machine's */
#define RECORDER  "dived: recorder"
#define PROGRAM	  "echo ran; exit 3"
#define HELD	  "echo up; exec sleep 1000"

static const struct run_options alice = { .account = "alice", .login_uid = LOGIN_UID };

/* What modules do in close_session and when credentials are deleted; dive then ends so. */
static const struct closing {
	const char *does;
	int status;
	const char *says; /* in the listener's log */
} closings[] = {
	{ PROBE_PATH " only=close hang", 3, "(session closing)" },
	{ PROBE_PATH " only=delete hang", 3, "(session closing)" },
	{ HOSTILE_PATH " only=close exit", 127, "(died)" },
	{ HOSTILE_PATH " only=delete crash", 127, "(died)" },
	{ PROBE_PATH " only=close kill", 127, "(died)" },
};

static inline void write_service(const char *does)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "auth required pam_permit.so\nauth required %s\naccount required "
		       "pam_permit.so\nsession required %s\n",
		       does, does); /* fits */
	sandbox_service("ends", text);
}

/* The start and the one end of alice's program. */
static inline void expect_end(void)
{
	const char *text = trail_expect(AUDIT_USER_CMD, "op=dive:spawn");
	char id[64];

	(void)audit_field(text, "dive_id", id, sizeof(id));
	text = audit_stream_expect(&trail.stream, AUDIT_USER_END, "op=dive:exit", trail.field, id,
				   NULL);
	trail_assert(text, "exit", "3");
	trail_assert(text, "auid", LOGIN_UID);
	trail_assert(text, "res", "success");
	trail_expect_none(AUDIT_USER_END, "op=dive:exit");
	trail_expect_none(AUDIT_USER_END, "op=dive:lost");
}

static inline void write_plain_service(void)
{
	sandbox_service("ends", "auth required pam_permit.so\naccount required pam_permit.so\n"
				"session required pam_permit.so\n");
}
