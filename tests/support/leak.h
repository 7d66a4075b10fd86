/*
 * leak - fails a test that leaves descriptors open, or closes some not its own.
 *
 *	cmocka_unit_test_setup_teardown(test, leak_setup, leak_teardown)
 *
 * With a fixture of its own inside, whose set-up and teardown are counted too:
 *
 *	static struct leak_fixture pair = { pair_setup, pair_teardown };
 *	cmocka_unit_test_prestate_setup_teardown(test, leak_setup, leak_teardown, &pair)
 *
 * The test then finds what pair_setup() stored by leak_fixture(state).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAK_FDS_MAX 65536

/* The open descriptors at one moment. */
struct leak_set {
	uint8_t open[LEAK_FDS_MAX]; /* 1 where open */
};

struct leak_fixture {
	int (*setup)(void **state); /* as of cmocka */
	int (*teardown)(void **state);
};

/* Fills *ret through /proc/self/fd.  Aborts where that cannot be read. */
void leak_take(struct leak_set *ret);

/*
 * Compares the present with `before`.  Returns the number of differences; the
 * first is described in `report`: "descriptor 7 leaked: /etc/passwd".
 */
size_t leak_compare(const struct leak_set *before, char *report, size_t size);

int leak_setup(void **state);
int leak_teardown(void **state);
void *leak_fixture(void **state);
