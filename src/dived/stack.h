/*
 * stack - what a PAM service file names: modules, and files it includes.
 *
 * libpam starts a transaction even where a module of the stack cannot be
 * loaded, and does not say which files it read.  This reads the same files the
 * same way (pam.d(5): include, substack, @include, backslash continuation,
 * bracketed controls, a leading dash), for the checks at start-up and for
 * knowing which directories to watch.  It never loads a module.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct stack_module {
	char *path;	 /* as written: "pam_unix.so" or absolute; owned */
	char *arguments; /* what follows it, as written; owned */
	char *file;	 /* the service file it stands in; owned */
	unsigned line;
	bool optional; /* leading dash: silently ignored when missing */
};

struct stack {
	struct stack_module *modules; /* owned, in order of appearance, all types */
	size_t count;
	char **files; /* owned: every file read, once each, NULL-terminated */
	size_t file_count;
};

/**
 * stack_read() - walk a service
 * @service: a file name; upper case is taken as lower case, as by pam_start(3)
 * @confdir: NULL for /etc/pam.d (and /usr/lib/pam.d behind it)
 * Relative includes are looked up as Linux-PAM 1.5 does: the system's directory, also
 * with a confdir.  At most 64 files and 16 levels.
 * Return: 0, released with stack_done(); -EINVAL with *error filled (missing
 * file, loop, malformed line: names file and line); -ENOMEM.
 */
int stack_read(const char *service, const char *confdir, struct stack *ret, char *error,
	       size_t error_size);
void stack_done(struct stack *stack);

/*
 * The first module of a file name, "pam_loginuid.so", in the stack; with `argument`
 * not NULL the first that has this word among its arguments.  NULL: there is none.
 */
const struct stack_module *stack_find(const struct stack *stack, const char *name,
				      const char *argument);

/*
 * Checks that every module that is not optional is loaded in this process
 * (dl_iterate_phdr(3)), which is so after a pam_start(3) that could load it.
 * Modules are found by file name; one with an absolute path must be that file.
 * Return: 0; -ENOENT with *error naming file, line and module.
 */
int stack_check_loaded(const struct stack *stack, char *error, size_t error_size);
