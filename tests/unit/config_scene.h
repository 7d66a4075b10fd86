/*
 * config_scene - command lines for the tests of config: loading them, and tables of
 * those that are refused.
 *
 * Rows that need root, since dived without it has no PAM and implies -P, are
 * skipped elsewhere; those of a dived without root are run under another
 * effective uid where this is root.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"
#include "leak.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEST(function) cmocka_unit_test_setup_teardown(function, leak_setup, leak_teardown)

#define WORDS	       12
#define OTHER_UID      65533

/* A NULL-terminated command line. */
#define LINE(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Loads from words, the first of which is "dived". */
static inline int load(const char *const *words, struct config *config, char *error, size_t size)
{
	char *argv[WORDS + 2] = { (char *)(uintptr_t) "dived" };

	for (size_t i = 0; i < WORDS && words[i]; i++)
		argv[i + 1] = (char *)(uintptr_t)words[i];
	error[0] = '\0';
	/* argv is gone afterwards: only tests that do not look at `forced` come here. */
	return config_load(argv, config, error, size);
}

/* Loads what must be accepted. */
static inline void load_good(const char *const *words, struct config *config)
{
	char error[512];

	if (load(words, config, error, sizeof(error)))
		fail_msg("refused: %s", error);
}

/* Who a row is for. */
enum who { ANY, ROOT, OTHER };

static inline bool become(enum who who)
{
	if (who == ANY)
		return true;
	if (who == ROOT)
		return geteuid() == 0;
	if (geteuid() == 0)
		assert_int_equal(seteuid(OTHER_UID), 0);
	return true;
}

static inline void come_back(void)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

/* A command line that is refused, and parts of the message. */
struct refusal {
	enum who who;
	const char *words[WORDS];
	const char *option;
	const char *value;
};

static inline void expect_refused(const struct refusal *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct config config = { 0 };
		char error[512];

		if (!become(rows[i].who))
			continue;
		print_message("case: %zu, %s\n", i, rows[i].option);
		assert_int_equal(load(rows[i].words, &config, error, sizeof(error)), -EINVAL);
		come_back();
		print_message("case: %s\n", error);
		assert_non_null(strstr(error, rows[i].option));
		assert_non_null(strstr(error, rows[i].value));
		assert_null(strchr(error, '\n'));
		config_done(&config); /* of a config that nothing was written to */
	}
}

/* A command line that is accepted. */
struct acceptance {
	enum who who;
	const char *words[WORDS];
};

static inline void expect_accepted(const struct acceptance *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct config config;
		char error[512];
		int result;

		if (!become(rows[i].who))
			continue;
		result = load(rows[i].words, &config, error, sizeof(error));
		come_back();
		print_message("case: %zu %s\n", i, error);
		assert_int_equal(result, 0);
		config_done(&config);
		config_done(&config);
	}
}

/* Both halves of a reload. */
static inline int reload(struct config *config, char *error, size_t size)
{
	cleanup_fd int fd = memfd_create("names", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(config_resolve(config, fd), 0);
	return config_adopt(config, fd, error, size);
}
