/*
 * passed_scene - sockets as a service manager would have made them, and the one gateway
 * of the running test that is passed some of them.
 */
#pragma once

#include "gateway.h"
#include "must.h"
#include "sandbox.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH  "/run/dive-test/passed.sock"
#define OTHER "/run/dive-test/other.sock"

static const struct run_options none = { 0 };

static struct gateway gateway;

/* With our pid: abstract names are the machine's, whatever sandbox they are used in. */
static char abstract_name[48];

static inline int setup(void **state)
{
	(void)snprintf(abstract_name, sizeof(abstract_name), "@dive-test-%d", (int)getpid());
	return sandbox_group_setup(state);
}

static inline int bind_as(int type, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = MUST_INT(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
	size_t len = strlen(name);

	(void)unlink(name); /* of the case before */
	assert_in_range(len, 1, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	MUST(bind(fd, (const struct sockaddr *)&address,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)));
	return fd;
}

/* A socket as a service manager would have made it; the mode is for a path only. */
static inline int make(const char *name, mode_t mode)
{
	int fd = bind_as(SOCK_STREAM, name);

	if (name[0] != '@')
		MUST(chmod(name, mode));
	MUST(listen(fd, 128));
	return fd;
}

/* Runs a program by one of a gateway's sockets; returns dive's status. */
static inline int connect_at(const char *address, const char *account)
{
	struct gateway at;
	struct run command;
	int status;

	(void)snprintf(at.address, sizeof(at.address), "%s", address);
	run_dive(&command, &(struct run_options){ .account = account }, &at,
		 RUN_WORDS("-n", "sh", "-c", "echo $DIVE_GATEWAY"));
	status = command.status;
	if (status == 0) {
		assert_int_equal(strncmp(command.out, address, strlen(address)), 0);
		assert_string_equal(command.out + strlen(address), "\n");
	}
	run_done(&command);
	return status;
}

static inline int teardown(void **state)
{
	gateway_kill(&gateway);
	(void)unlink(PATH);
	(void)unlink(OTHER);
	return sandbox_test_teardown(state);
}
