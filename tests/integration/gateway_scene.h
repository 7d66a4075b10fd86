/*
 * gateway_scene - what the tests of programs behind a gateway share: the one gateway
 * of the running test, and the end of it.
 */
#pragma once

#include "gateway.h"
#include "must.h"
#include "run.h"
#include "sandbox.h"

static struct gateway gateway;

static const struct run_options alice = { .account = "alice" };

/* Options of a gateway without -u, and of one by which alice becomes bob unasked. */
static const char *const both[][5] = { { "-T" }, { "-u", "bob", "-a", "never" } };

static inline int teardown(void **state)
{
	gateway_kill(&gateway);
	return sandbox_test_teardown(state);
}

/* Runs words behind the gateway; exit status 0 and an empty standard error are a must. */
static inline void dive(struct run *ret, const struct run_options *options,
			const char *const *words)
{
	run_dive(ret, options, &gateway, words);
	run_assert_status(ret, 0);
	assert_string_equal(ret->err, "");
}
