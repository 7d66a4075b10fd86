/*
 * namespace - which namespaces a gateway's programs run in.
 *
 * Three sources: new ones that are made once for the gateway (-s, holder.h),
 * files (-N) and running processes (--setns-pid).  The last two are tied at
 * start-up to the process they belong to, by pidfd, and opened anew for each
 * program, before anything of the target's world is entered.
 *
 * See namespaces(7), setns(2), ioctl_ns(2).
 */
#pragma once

#include "fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In the order of record_namespace_names. */
enum namespace_kind {
	NAMESPACE_MNT,
	NAMESPACE_NET,
	NAMESPACE_PID,
	NAMESPACE_USER,
	NAMESPACE_IPC,
	NAMESPACE_UTS,
	NAMESPACE_CGROUP,
	NAMESPACE_TIME,
	NAMESPACE_KINDS,
};

#define NAMESPACE_BIT(kind) (1U << (kind))

struct namespace_row {
	const char *name;  /* as in -s: "mnt" */
	const char *alias; /* another word for it, or NULL: "fs" */
	int flag;	   /* CLONE_NEWNS */
};
extern const struct namespace_row namespace_rows[NAMESPACE_KINDS];

/* Returns the kind a word names, or -1. */
int namespace_find(const char *word);

/*
 * Adds the kinds of a comma-separated list to *ret.  Returns NULL, or the place in
 * `list` of the first word that is none (it ends at a comma or the end; an empty
 * word is none, too), and then *ret is left alone.
 */
const char *namespace_parse_list(const char *list, unsigned *ret);

/* A map of ids: what uid_map or gid_map of the new user namespace holds. */
#define NAMESPACE_MAP_MAX 340 /* lines the kernel takes */
struct namespace_map {
	struct namespace_range {
		uint32_t inside;
		uint32_t count;
	} * ranges; /* owned */
	size_t count;
};
bool namespace_map_holds(const struct namespace_map *map, uint32_t id);

/* Reads a file of the form of /proc/PID/uid_map.  Return: 0, ranges the caller's; -errno. */
int namespace_map_read(const char *path, struct namespace_map *ret);

/* One -N or one kind of one --setns-pid. */
struct namespace_source {
	char *path;	    /* owned */
	const char *option; /* and its value, for messages; borrowed */
	const char *value;
	int kind;      /* what it must be; -1: what it turns out to be (a file of -N) */
	int pidfd;     /* of the process it belongs to; owned; -1 for none */
	bool optional; /* of "all": absent in this kernel is no error */
};

struct namespaces {
	struct namespace_source *sources; /* owned */
	size_t count;
	int made[NAMESPACE_KINDS]; /* of -s; owned; -1 for none */
	bool fresh_pid;		   /* -s pid for one program, which will be its pid 1 */
	bool user_made;		   /* -s user: the maps are known */
	bool ids_kept;		   /* -P of root: no user namespace is joined */
	bool user_joined;	   /* at start-up one was, of -N or --setns-pid */
	bool tied;		   /* start-up is over: where none was, none will be */
	struct namespace_map uids;
	struct namespace_map gids;
	int alive;    /* the holder lives as long as this is open in any process; owned; -1 */
	pid_t holder; /* our child; 0 for none */
};

#define NAMESPACES_NONE                                                                            \
	(struct namespaces)                                                                        \
	{                                                                                          \
		.made = { -1, -1, -1, -1, -1, -1, -1, -1 }, .alive = -1                            \
	}

struct config;

/**
 * namespace_tie() - look at what -N and --setns-pid name, at start-up
 * @ret: released with namespaces_done()
 * Checks type and owner of each namespace, as namespace_open() does.
 * Return: 0; -EINVAL with one line in `error`; -ENOMEM.
 */
int namespace_tie(const struct config *config, struct namespaces *ret, char *error,
		  size_t error_size);

/* Accepts a zeroed or released struct.  The holder ends when nobody else keeps `alive` open. */
void namespaces_done(struct namespaces *namespaces);

/* Descriptors that a process that forks programs must keep; at most NAMESPACE_KEPT_MAX. */
#define NAMESPACE_SOURCES_MAX 64
#define NAMESPACE_KEPT_MAX    (NAMESPACE_SOURCES_MAX + NAMESPACE_KINDS + 1)
size_t namespace_list_kept(const struct namespaces *namespaces, int *ret);

/* What one program enters. */
struct namespace_set {
	int fds[NAMESPACE_KINDS]; /* owned; -1: dived's own */
	bool fresh_pid;		  /* the program becomes pid 1 of a new pid namespace */
	bool foreign;		  /* of -N or --setns-pid: nothing is created in them */
	bool any;		  /* at least one is entered */
};

/* Whether the program is to be in another one of this kind; of no set, it is not. */
static inline bool namespace_set_enters(const struct namespace_set *set, enum namespace_kind kind)
{
	return set && set->fds[kind] >= 0;
}

/**
 * namespace_open() - open what one program enters
 * A namespace whose process has ended is "gone"; one that is owned by a user
 * namespace which root (or dived's own user) did not create is refused.
 * Namespaces that dived itself is in are left out.
 * Return: 0, released with namespace_set_done(); -EACCES with *fault filled.
 */
int namespace_open(const struct namespaces *namespaces, struct namespace_set *ret,
		   struct fault *fault);
void namespace_set_done(struct namespace_set *set);
#define NAMESPACE_SET_EMPTY                                                                        \
	(struct namespace_set)                                                                     \
	{                                                                                          \
		.fds = { -1, -1, -1, -1, -1, -1, -1, -1 }                                          \
	}
