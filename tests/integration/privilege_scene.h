/*
 * privilege_scene - a gateway, one client, and what its program reports about its
 * privileges; with what the kernel says about this test, which has what dived has.
 */
#pragma once

#include "cleanup.h"
#include "gateway_scene.h"
#include "parse.h"
#include "show.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#define OPTIONS	    12
#define EXPECTED    8
#define BIT(number) (UINT64_C(1) << (number))
#define NOTHING	    "0000000000000000"

/* A line of /proc/self/status of this test, which has what dived has: "CapBnd". */
static inline uint64_t own_set(const char *key)
{
	cleanup_fd int fd = MUST_INT(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
	char text[8192] = "";
	uint64_t mask;

	MUST(read(fd, text, sizeof(text) - 1));
	assert_int_equal(parse_proc_field(text, key, 16, &mask), 0);
	return mask;
}

static inline void expect_set(const char *report, const char *key, uint64_t mask)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)mask);
	show_expect(report, key, text);
}

/* A whole gateway with one client, alice, who runs these words; nobody is asked. */
static inline void run_behind(struct run *ret, const char *const *options, const char *const *words)
{
	gateway_start(&gateway, options);
	dive(ret, &alice, words);
	gateway_stop(&gateway);
}

static inline void report(struct run *ret, const char *const *options)
{
	run_behind(ret, options, RUN_WORDS(SHOW));
}

/* Options, and lines of the report: key, value, key, value... */
struct expectation {
	const char *options[OPTIONS];
	const char *lines[EXPECTED + 1];
};

static inline void expect_all(const struct expectation *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct run command;

		print_message("case: %s %s\n", cases[i].options[0],
			      cases[i].options[1] ? cases[i].options[1] : "");
		report(&command, cases[i].options);
		for (size_t j = 0; cases[i].lines[j]; j += 2)
			show_expect(command.out, cases[i].lines[j], cases[i].lines[j + 1]);
		run_done(&command);
	}
}
