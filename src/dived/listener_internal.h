/*
 * listener_internal - what the files of the listener share.
 *
 * listener.c           set-up, event loop, stopping
 * listener_accept.c    who is let in
 * listener_session.c   one connection's state machine and its records
 * listener_template.c  the template's life: start, reload, death
 * listener_names.c     names, looked up again
 * listener_recorder.c  who goes on when the gateway has stopped
 */
#pragma once

#include "admission.h"
#include "audit.h"
#include "config.h"
#include "fault.h"
#include "notify.h"
#include "socket.h"
#include "template.h"
#include "watchdog.h"
#include "witness.h"

#include <stdbool.h>
#include <stdint.h>

enum connection_state {
	CONNECTION_FREE,
	CONNECTION_WAITING, /* accepted; no template has it */
	CONNECTION_HANDED,  /* given to a template; no session has answered */
	CONNECTION_PENDING, /* a session serves it, before its verdict */
	CONNECTION_OPEN,    /* after the verdict */
	CONNECTION_REFUSED, /* to be refused as soon as a process can be made for it */
};

struct connection {
	enum connection_state state;
	uint64_t serial; /* > 0, never reused */
	struct witness witness;
	unsigned socket; /* which of the gateway's it came by */
	int conn;	 /* held until the session has it for sure; -1 then */
	int control;
	int pidfd;
	int64_t deadline;    /* WAITING, HANDED: give up; else: the session is killed */
	int64_t ask_at;	     /* when its answer may be tried; 0: it has not asked */
	bool killed;	     /* its time was over */
	int64_t record_at;   /* when the record of its loss is tried again; 0: none is owed */
	unsigned record_try; /* how often that has failed */
	bool over;	     /* to be let go of as soon as no record is owed or to come */
	bool retried;	     /* a broken service has been loaded again for it */
	unsigned handed;     /* times it was given to a template */
	const char *refusal; /* REFUSED: what the client is told */
};

/* The process that looks names up; pid 0: there is none. */
struct listener_names {
	pid_t pid;
	int fd;		  /* what it finds */
	int64_t deadline; /* for its end */
};

struct listener {
	struct config *config;
	struct gateway_sockets sockets;
	int epoll;
	int signals;
	int watch;		     /* -1 without PAM */
	struct template current;     /* ready to fork */
	struct template next;	     /* loading */
	int64_t next_deadline;	     /* for `next` to be ready */
	int64_t retry_at;	     /* when a template may be started again */
	bool reload;		     /* a template must be loaded before anything is handed on */
	bool broken;		     /* the service of `current` cannot be used */
	bool serving;		     /* start-up is over */
	char why[TEMPLATE_TEXT_MAX]; /* the last reason for `broken` */
	struct admission admission;
	struct connection *connections; /* owned, `room` of them */
	size_t room;
	size_t used; /* all above are free */
	uint64_t serial;
	unsigned disposables; /* running */
	bool accepting;	      /* the sockets are in the epoll set */
	int64_t accept_at;    /* when accepting goes on after a shortage */
	unsigned accept_next; /* the socket whose turn it is */
	uint32_t ready;	      /* bits: sockets at which somebody may wait */
	uint32_t hung_up;     /* bits: sockets that somebody has shut down */
	uint32_t shut;	      /* bits: those among them that are not served any more */
	int64_t hand_at;      /* when handing on is tried again; 0: nothing is waiting for that */
	bool stop;
	bool resolve; /* SIGHUP: names are to be looked up again */
	struct listener_names names;
	bool reloading;	 /* a service manager waits for the end of a reload */
	char stale[256]; /* why the names of before stay in force; empty when they do not */
	struct notify notify;
};

/*
 * Tags of epoll events: TAG_SOCKETS + index for a listening socket, TAG_CONNECTIONS +
 * index for the control socket of a connection, with the bit TAG_PROCESS for the pidfd
 * of the session's process, and with TAG_PROGRAM for that of a program without a session.
 */
enum listener_tag {
	TAG_SIGNALS,
	TAG_WATCH,
	TAG_CURRENT,
	TAG_NEXT,
	TAG_SOCKETS = 16,
	TAG_CONNECTIONS = TAG_SOCKETS + SOCKETS_MAX,
};
#define TAG_PROCESS (UINT64_C(1) << 32)
#define TAG_PROGRAM (UINT64_C(1) << 33)

/* listener.c */
int listener_add(struct listener *listener, int fd, uint64_t tag);
/*
 * Closes a descriptor that may be in the epoll set.  Closing alone does not take it out while
 * a child that has just been forked holds a copy; and what the kernel reports of it then has
 * a tag that may be that of the next connection by now.
 */
void listener_forget(struct listener *listener, int *fd);
/* Waits for events, until then at most or until a connection has something to do; acts. */
void listener_wait(struct listener *listener, int64_t next);
/* What connections have to do by now. */
void listener_connections(struct listener *listener, int64_t now);
/* A template is ready to fork, or known to be broken: says how the gateway is now. */
void listener_settled(struct listener *listener);

/* listener_accept.c */
void listener_accepting(struct listener *listener, bool on);
/* Something is up with a socket: who waits is taken in by listener_accept(). */
void listener_socket_event(struct listener *listener, unsigned index, uint32_t events);
/* Takes in who waits at the sockets, as many as can be dealt with. */
void listener_accept(struct listener *listener);

/* listener_session.c */
void connection_hand(struct listener *listener, struct connection *connection);
void connection_event(struct listener *listener, struct connection *connection);
/* The session's process has ended, though its control socket may be held by another. */
void connection_ended(struct listener *listener, struct connection *connection);
/* So has the program of a session that was lost before. */
void connection_program_ended(struct listener *listener, struct connection *connection);
void connection_timers(struct listener *listener, struct connection *connection, int64_t now);
int64_t connection_next(const struct connection *connection);
/* The gateway stops: a record that is owed still is tried for the last time. */
void connection_stop(struct listener *listener, struct connection *connection);
void connection_refuse(struct listener *listener, struct connection *connection, const char *text);
/* Fills `fds`, CONNECTION_FDS of them, with those that tell of its session; returns how many. */
#define CONNECTION_FDS 4
size_t connection_list(const struct connection *connection, int *fds);
/* Adds them to the epoll set, a new one.  Return: 0; -errno. */
int connection_watch(struct listener *listener, const struct connection *connection);
/* In the process that goes on: those without a session were not brought along. */
void connection_keep(struct connection *connection);
/* The template that had it has died: connections it had not forked for wait again. */
void connection_return(struct listener *listener, struct connection *connection);

/* listener_recorder.c */
/* The gateway stops: whether somebody was left behind, who does all that is still to be done. */
bool listener_leave_recorder(struct listener *listener);

/* listener_names.c */
void listener_names_start(struct listener *listener);
/* Its process has ended, and has been reaped. */
void listener_names_ended(struct listener *listener);
void listener_names_timers(struct listener *listener);
void listener_names_stop(struct listener *listener);
/* Whether names are being looked up, or are to be. */
bool listener_names_wanted(const struct listener *listener);

/* listener_template.c */
bool listener_template_ready(struct listener *listener);
void listener_template_event(struct listener *listener, enum listener_tag tag);
void listener_template_timers(struct listener *listener, int64_t now);
int64_t listener_template_next(const struct listener *listener);
void listener_template_stop(struct listener *listener);
