/*
 * matrix - the same PAM stack under su(1), or sudo(8), and under dived.
 *
 * A test program is a table of rows.  For each row alice, at a terminal, runs the
 * program tests/programs/show.c as another account: once through su or sudo, once
 * through dive and a gateway, with the same service file, the same preparation and
 * the same answers.  Both have to come out as the row says; and what the program
 * has inherited has to be the same on both sides, but for what the row states to
 * differ, and why.  A difference that is stated and has gone fails too.
 *
 * Always different, and not compared: dived takes TERM, LANG and the like only of the
 * client's environment, sets MAIL and DIVE_*, and gives a session keyring of its own;
 * a shell between su and the program sets PWD, OLDPWD, SHLVL and _; sudo sets SUDO_*;
 * sudo leaves the program its terminal, and su to root USER and LOGNAME.  Only
 * su -l, which has no LANG, shows what modules have to say in friendliness
 * (PAM_TEXT_INFO), and only without a command.
 *
 * The rows are also the section COMPATIBILITY of man/dive-pam.7: see --rows and
 * tests/lint/check_matrix.
 */
#pragma once

#include "run.h"

#include <stdbool.h>
#include <stddef.h>

#define MATRIX_DIR	   "/run/dive-test/row" /* empty before each side's preparation; root's, 0755 */

#define MATRIX_ANSWERS_MAX 8
#define MATRIX_LINES_MAX   8

struct matrix_answer {
	const char *prompt; /* which has to come next; the same text on both sides */
	const char *answer;
};

struct matrix_row {
	const char *module; /* "pam_unix" */
	const char *what;   /* the case, as in the manual: "a locked password" */
	const char *service;

	const char *prepare; /* sh -eu, as root, before each side */
	const char *wrap;    /* sh -eu, as alice, around each side's command, which is "$@" */
	const char *script;  /* sh -eu, the program's first act, before it becomes show */
	const char *check;   /* sh -eu, as root, after each side: must succeed */
	struct matrix_answer answers[MATRIX_ANSWERS_MAX];

	bool address_space;	/* limits it, which AddressSanitizer cannot live with */
	bool login;		/* su -l and dive -l without a command: the shell is show */
	bool sudo;		/* the other side is sudo; the credentials are alice's */
	const char *target;	/* account of the program; NULL: "bob"; "alice": her own */
	const char *options[8]; /* more of dived */

	/* Text on the screen of a refusal; NULL: the program runs. */
	const char *su_refuses;
	const char *dived_refuses;
	int su_status;		   /* of su's refusal, if it is not 1 */
	const char *start_refuses; /* dived does not even start: its message */

	/* Lines of the report of show, and texts on the screen, on both sides. */
	const char *shows[MATRIX_LINES_MAX];
	const char *says[MATRIX_LINES_MAX];
	const char *logs;  /* text of a line to syslog of both sides */
	const char *warns; /* text that dived logs when it starts */

	/* The same of one side, where the other has none of them. */
	const char *su_shows[MATRIX_LINES_MAX];
	const char *dived_shows[MATRIX_LINES_MAX];
	const char *su_says[MATRIX_LINES_MAX];
	const char *dived_says[MATRIX_LINES_MAX];

	const char *why; /* a sentence: why they differ; NULL: they agree */
};

/**
 * matrix_main() - main() of a test program
 * @rows: of which each becomes a test named MODULE:WHAT
 *
 * With the argument --rows prints them instead, one a line, tab-separated: module,
 * what, "agrees" or "differs", what su does, what dived does ("runs", "refuses"), why.
 */
int matrix_main(int argc, char **argv, const struct matrix_row *rows, size_t count);
