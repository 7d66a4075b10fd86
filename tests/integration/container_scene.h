/*
 * container_scene - a test's containers, beside its gateway.
 */
#pragma once

#include "container.h"
#include "place_scene.h"

#include <sched.h>
#include <sys/mount.h>

#define BOX	 "/run/dive-test/box" /* where the container puts its root together */
#define FILE_OF	 "/run/dive-test/ns-" /* mounts of namespaces */
#define CONTAIN	 (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC)
#define CONTAINS (MNT | PID | UTS | NET | IPC)

static struct container box, other;

static inline int container_teardown(void **state)
{
	gateway_kill(&gateway);
	container_stop(&box);
	container_stop(&other);
	return sandbox_test_teardown(state);
}

/* A container with a root of its own. */
static inline void start_box(int (*prepare)(void))
{
	if (mkdir(BOX, 0755) < 0)
		assert_int_equal(errno, EEXIST);
	container_start(&box, &(struct container_options){
				      .flags = CONTAIN, .root = BOX, .prepare = prepare });
}

/* "/proc/PID/ns/KIND" or "PID" or "PID:LIST"; valid until the eighth call after. */
static inline const char *name_of(const struct container *container, const char *format)
{
	static char names[8][64];
	static unsigned next;
	char *name = names[next++ % ARRAY_LEN(names)];

	if (*format == '/')
		(void)snprintf(name, sizeof(names[0]), "/proc/%d/ns%s", container->pid, format);
	else
		(void)snprintf(name, sizeof(names[0]), "%d%s", container->pid, format);
	return name;
}

/* Mounts the namespace of a kind at a file, as `ip netns` does. */
static inline void mount_namespace(const struct container *container, const char *kind,
				   const char *path)
{
	char from[64];

	(void)snprintf(from, sizeof(from), "/proc/%d/ns/%s", container->pid, kind); /* fits */
	sandbox_write(path, 0644, "%s", "");
	MUST(mount(from, path, NULL, MS_BIND, NULL));
}

static inline void unmount_namespace(const char *path)
{
	MUST(umount2(path, MNT_DETACH));
	MUST(unlink(path));
}
