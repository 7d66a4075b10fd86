/*
 * manual - the commands that a manual page shows, as it shows them.
 *
 * What mandoc(1) makes of the page is read, not its source, so that what a test runs is
 * what a reader sees.  Fails the running test when there is no such command.
 */
#pragma once

#include <stddef.h>

/*
 * Copies the first command below a heading (of .Sh or .Ss) of a page of man/, "dived.8",
 * to buffer: the line that begins with root's prompt, without that, and those that follow up
 * to an empty one.
 */
void manual_command(const char *page, const char *heading, char *buffer, size_t size);
