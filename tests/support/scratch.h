/*
 * scratch - an empty directory that is the current one while a unit test program runs.
 *
 * For cmocka as group setup and teardown; the latter fails when a test has left
 * something in it.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static char scratch_directory[] = "/tmp/dive-unit-XXXXXX";

static inline int scratch_group_setup(void **state)
{
	(void)state;
	return mkdtemp(scratch_directory) && chdir(scratch_directory) == 0 ? 0 : -1;
}

static inline int scratch_group_teardown(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(scratch_directory) == 0 ? 0 : -1;
}
