/*
 * trail - one gateway and what it leaves in the audit trail: the fixture of the
 * tests of records and identity.
 *
 *	cmocka_unit_test_setup_teardown(test, trail_setup, trail_teardown)
 *
 * Auditing is enabled from set-up to teardown, under the machine's lock, so such
 * a test should be short.  A teardown after a failure ends what the test has left.
 *
 * All functions fail the running test when they cannot do their work.
 */
#pragma once

#include "audit_stream.h"
#include "gateway.h"
#include "hostile.h"
#include "pty.h"
#include "run.h"

#include <stdint.h>

#define TRAIL_TEXT_MAX 16384 /* longer than any record */
#define TRAIL_UNSET    "4294967295"

extern struct trail {
	struct audit_stream stream;
	struct gateway gateway;
	struct run client;
	struct hostile hostile;
	struct pty pty;
	char field[160]; /* gateway="ADDRESS", as it is in every record */
} trail;

int trail_setup(void **state);
int trail_teardown(void **state);

/*
 * Starts trail.gateway with a login uid of its own (carol's), as if from a login
 * shell: whatever shows another has had the client's carried over.
 */
void trail_serve(const char *const *options);

/*
 * The same through this test program: `/proc/self/exe WORD dived ADDRESS options`,
 * where main() of the test arranges what WORD says and executes the rest.  Ready
 * when the gateway's start has been recorded.
 */
void trail_serve_through(const char *word, const char *const *options);

/* audit_stream_expect() of a record of trail.gateway; "op=dive:spawn". */
const char *trail_expect(int type, const char *op);

/* Fails if trail.gateway has left a record of this kind that has not been expected. */
void trail_expect_none(int type, const char *op);

/* The value of a field as it is, but for quotes. */
void trail_assert(const char *text, const char *name, const char *expected);
void trail_assert_number(const char *text, const char *name, uint64_t expected);

/* For values from outside, which may be in hexadecimal; never for a number. */
void trail_assert_text(const char *text, const char *name, const char *expected);
