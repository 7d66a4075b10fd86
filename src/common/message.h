/*
 * message - what the packets between dive and dived mean.
 *
 * The client sends HELLO, FDS (any number), REQUEST and END in one burst and
 * does not wait.  The server answers with any number of PROMPT and NOTE, then
 * STARTED, then STOPPED (any number) and EXITED; or REFUSED at any point, after
 * which it closes.  A HELLO comes from the server only where the versions
 * differ, so that both sides can name the two.
 *
 * message_rules[] says for each type who may send it, in which state, how long
 * its body is and how many descriptors it carries.  Anything else ends the
 * connection.  Bodies are the structs below, followed by text where stated.
 */
#pragma once

#include "packet.h"

#include <stdbool.h>

#define MESSAGE_STRINGS_MAX (6 * 1024 * 1024) /* argv and environment with their NULs */
#define MESSAGE_STRING_MAX  (128 * 1024)      /* one string with its NUL: MAX_ARG_STRLEN */
#define MESSAGE_WORDS_MAX   (256 * 1024)      /* strings in argv and environment together */
#define MESSAGE_FDS_MAX	    1024	      /* the program's descriptors */
#define MESSAGE_FD_LIMIT    65536	      /* their numbers are below this */
#define MESSAGE_TEXT_MAX    8192	      /* text of a prompt, note or refusal */
#define MESSAGE_ANSWER_MAX  511		      /* PAM_MAX_RESP_SIZE less the NUL */

enum message_type {
	MESSAGE_HELLO = 1, /* both directions */
	/* client to server */
	MESSAGE_FDS,
	MESSAGE_REQUEST,
	MESSAGE_END,
	MESSAGE_ANSWER,
	MESSAGE_SIGNAL,
	MESSAGE_CONTINUE,
	/* server to client */
	MESSAGE_PROMPT,
	MESSAGE_NOTE,
	MESSAGE_STARTED,
	MESSAGE_STOPPED,
	MESSAGE_EXITED,
	MESSAGE_REFUSED,
	MESSAGE_TYPE_END,
};

/* Who sent a packet. */
enum message_side {
	MESSAGE_FROM_CLIENT = 1,
	MESSAGE_FROM_SERVER = 2,
};

/* Where a conversation stands, as bits; each end keeps its own. */
enum message_state {
	MESSAGE_STATE_START = 1,    /* nothing received yet */
	MESSAGE_STATE_REQUEST = 2,  /* after HELLO: descriptors and the request */
	MESSAGE_STATE_PENDING = 4,  /* after END: admission, authentication, set-up */
	MESSAGE_STATE_ASKED = 8,    /* pending, and a prompt is out */
	MESSAGE_STATE_RUNNING = 16, /* after STARTED */
};

enum message_hello_flag {
	MESSAGE_HELLO_TTY = 1,		   /* a new pseudo-terminal is wanted */
	MESSAGE_HELLO_NON_INTERACTIVE = 2, /* refuse rather than prompt */
	MESSAGE_HELLO_TTY_REQUIRED = 4,	   /* refuse rather than run without one */
};

enum message_wait { MESSAGE_WAIT_EXIT, MESSAGE_WAIT_START, MESSAGE_WAIT_HOLDERS };
enum message_forward { MESSAGE_FORWARD_NONE, MESSAGE_FORWARD_PROGRAM, MESSAGE_FORWARD_GROUP };

struct message_hello {
	uint32_t flags;	  /* enum message_hello_flag; unknown bits are refused */
	uint32_t wait;	  /* enum message_wait, DIVE_WAITMODE */
	uint32_t forward; /* enum message_forward, DIVE_SIGFWMODE */
};

/* FDS: fd_count of these, in the order of the descriptors; at least one. */
enum message_fd_flag {
	MESSAGE_FD_WAIT = 1, /* the descriptor of wait mode 2 (at most one in a request) */
	MESSAGE_FD_TERMINAL =
		2, /* the client's controlling terminal: not where there is a new one */
};

struct message_fd {
	uint32_t number; /* number in the program, < MESSAGE_FD_LIMIT, no repetitions */
	uint32_t flags;	 /* enum message_fd_flag */
};

enum message_request_flag {
	MESSAGE_REQUEST_LOGIN = 1,    /* -l: a login shell */
	MESSAGE_REQUEST_CWD = 2,      /* first descriptor: current directory */
	MESSAGE_REQUEST_ROOT = 4,     /* next: root directory */
	MESSAGE_REQUEST_TERMINAL = 8, /* next: controlling terminal to take */
	MESSAGE_REQUEST_MODES = 16,   /* `terminal` holds the modes of the client's terminal */
	MESSAGE_REQUEST_FOREGROUND =
		32, /* the program is to begin in the foreground of the new one */
};

/* How a new pseudo-terminal is to begin: termios(3) as the client's is, and its size. */
#define MESSAGE_CONTROLS 32
struct message_terminal {
	uint32_t input; /* c_iflag */
	uint32_t output;
	uint32_t control;
	uint32_t local;
	uint8_t characters[MESSAGE_CONTROLS]; /* c_cc; unused ones are 0 */
	uint16_t rows;			      /* 0 when unknown */
	uint16_t columns;
};

/* Bits of message_request.ignored: signals the client ignores. */
enum message_ignored { MESSAGE_IGNORED_HUP = 1, MESSAGE_IGNORED_INT = 2, MESSAGE_IGNORED_QUIT = 4 };

/* REQUEST: this, then argc + envc NUL-terminated strings and nothing else. */
struct message_request {
	uint32_t flags;	  /* enum message_request_flag; as many descriptors as of 2, 4 and 8 */
	uint32_t umask;	  /* <= 0777 */
	uint32_t ignored; /* enum message_ignored */
	uint32_t argc;
	uint32_t envc;
	struct message_terminal terminal;
};
static_assert(sizeof(struct message_request) == 5 * 4 + 4 * 4 + MESSAGE_CONTROLS + 2 * 2,
	      "no padding on the wire");

enum message_answer_status { MESSAGE_ANSWERED, MESSAGE_ANSWER_CANCELLED };

/* ANSWER: this, then the answer without NUL, at most MESSAGE_ANSWER_MAX bytes, none of them 0. */
struct message_answer {
	uint32_t status; /* enum message_answer_status; cancelled has no text */
};

/* SIGNAL: the number of the signal, 1 to 64. */
struct message_signal {
	uint32_t number;
};

/* CONTINUE: dive was continued after it had stopped together with the program. */
struct message_continue {
	uint32_t foreground; /* 1: in the foreground of its terminal */
};

enum message_prompt_style { MESSAGE_PROMPT_HIDDEN = 1, MESSAGE_PROMPT_VISIBLE };

/* PROMPT: this, then text without NUL. */
struct message_prompt {
	uint32_t style;
};

enum message_note_kind {
	MESSAGE_NOTE_INFO = 1, /* PAM_TEXT_INFO */
	MESSAGE_NOTE_ERROR,    /* PAM_ERROR_MSG */
	MESSAGE_NOTE_ASKED,    /* the server's own line: who is asked for, for what */
};

/* NOTE: this, then text without NUL. */
struct message_note {
	uint32_t kind;
};

enum message_started_flag {
	MESSAGE_STARTED_NO_WAIT = 1, /* no EXITED will follow: the server was started with -w */
	MESSAGE_STARTED_TTY = 2,     /* one descriptor: the master of the new pseudo-terminal */
};

struct message_started {
	uint32_t pid; /* for messages only; never sent back */
	uint32_t flags;
};

struct message_stopped {
	uint32_t signal;
};

enum message_exit_kind { MESSAGE_EXIT_STATUS, MESSAGE_EXIT_SIGNAL };

struct message_exited {
	uint32_t kind;
	uint32_t value; /* exit status 0 to 255, or signal number */
};

/* The layer that refused, for the message; text names details. */
enum message_layer {
	MESSAGE_LAYER_GATEWAY = 1, /* busy, client not allowed, stopping */
	MESSAGE_LAYER_REQUEST,	   /* malformed or not permitted by the options */
	MESSAGE_LAYER_AUTHENTICATION,
	MESSAGE_LAYER_ACCOUNT,
	MESSAGE_LAYER_SESSION, /* credentials, PAM session */
	MESSAGE_LAYER_AUDIT,
	MESSAGE_LAYER_SETUP, /* a step between fork and exec */
	MESSAGE_LAYER_EXEC,  /* the program itself */
	MESSAGE_LAYER_END,
};

/* REFUSED: this, then text without NUL.  The last packet of a connection. */
struct message_refused {
	uint32_t layer;
	uint32_t status; /* exit status for dive: 77, 126 or 127 */
};

/* One row a type. */
struct message_rule {
	const char *name;  /* for messages */
	uint32_t from;	   /* enum message_side, as bits */
	uint32_t states;   /* of the receiver, enum message_state, as bits */
	uint32_t body_min; /* bytes */
	uint32_t body_max;
	uint32_t fds_min;
	uint32_t fds_max;
};
extern const struct message_rule message_rules[MESSAGE_TYPE_END];

/* What the receiver will accept now. */
struct message_expect {
	enum message_side from;
	uint32_t state; /* one enum message_state */
};

/**
 * message_recv() - packet_recv() that holds the header against the table
 *
 * Return: as packet_recv(); a type that is unknown, from the wrong side, not
 * allowed in this state or of a wrong size or count is -EBADMSG before any of
 * its body is read.
 */
int message_recv(int sock, int64_t deadline, struct message_expect expect, struct packet *ret);

/**
 * message_send() - a fixed body and a text in one packet, checked against the table
 * @fixed: fixed_len bytes; may be NULL with 0
 * @text: text_len bytes; may be NULL with 0.  A text longer than the table
 *        allows is cut for PROMPT, NOTE and REFUSED.
 * Return: as packet_send(); -EMSGSIZE for what the table does not allow.
 */
int message_send(int sock, int64_t deadline, enum message_type type, const void *fixed,
		 size_t fixed_len, const char *text, size_t text_len, const int *fds,
		 size_t fd_count);

/*
 * Decoders.  Each copies the fixed part to *ret and checks every field against
 * its enumeration and range; `ret_text` points into the packet's body and is
 * NUL-terminated there, with no NUL inside.  Return: 0 or -EBADMSG.
 */
int message_get_hello(const struct packet *packet, struct message_hello *ret);
int message_get_answer(const struct packet *packet, struct message_answer *ret,
		       const char **ret_text, size_t *ret_len);
int message_get_signal(const struct packet *packet, struct message_signal *ret);
int message_get_continue(const struct packet *packet, struct message_continue *ret);
int message_get_prompt(const struct packet *packet, struct message_prompt *ret,
		       const char **ret_text, size_t *ret_len);
int message_get_note(const struct packet *packet, struct message_note *ret, const char **ret_text,
		     size_t *ret_len);
int message_get_started(const struct packet *packet, struct message_started *ret);
int message_get_stopped(const struct packet *packet, struct message_stopped *ret);
int message_get_exited(const struct packet *packet, struct message_exited *ret);
int message_get_refused(const struct packet *packet, struct message_refused *ret,
			const char **ret_text, size_t *ret_len);

/* The i-th entry of an FDS packet (i < head.fd_count).  Return: 0 or -EBADMSG. */
int message_get_fd(const struct packet *packet, size_t i, struct message_fd *ret);

/**
 * message_get_request() - decode REQUEST
 * @ret_strings: on success an array of argc + envc pointers into the body and
 *               a NULL between and after: argv, NULL, environment, NULL; to be
 *               freed by the caller (the strings belong to the packet)
 * Return: 0; -EBADMSG; -ENOMEM.
 */
int message_get_request(const struct packet *packet, struct message_request *ret,
			char ***ret_strings);

/**
 * message_put_request() - encode a REQUEST body
 * @fixed: argc and envc are filled in here
 * @ret: malloc'ed body, freed by the caller
 * Return: 0; -E2BIG over a maximum; -ENOMEM.
 */
int message_put_request(struct message_request fixed, char *const *argv, char *const *envp,
			uint8_t **ret, size_t *ret_len);

/* Returns the word for a layer, "authentication" for instance; never NULL. */
const char *message_layer_name(uint32_t layer);
