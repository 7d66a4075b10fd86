/*
 * fuse - a file whose every close waits for a server that does not answer.
 *
 * The server is a process of its own that speaks to the kernel without a library:
 * it reads requests from /dev/fuse and writes answers.  It alone has /dev/fuse, so
 * that its end, however it comes, ends the connection, and with it every wait.
 *
 * It must not look at /proc to learn who asks: much of it waits, too, for a process
 * that the kernel keeps waiting in the middle of an execve(2).  Attributes are valid for
 * no time at all, so that whoever asks for them asks the server.
 */
#include "fuse.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE	    "/dev/fuse"
#define FILE_NODE   2 /* FUSE_ROOT_ID is 1 */
#define BUFFER_SIZE (64 * 1024)
#define WRITE_MAX   4096
#define HELD_MAX    1024
#define LIFE_S	    90
#define DEADLINE_MS 20000
#define READY	    'r'
#define HELD	    'h'

struct server {
	int device;
	int control;
	bool released;
	pid_t test;			      /* whom to answer */
	struct fuse_in_header held[HELD_MAX]; /* requests not answered yet */
	size_t held_count;
};

struct request {
	struct fuse_in_header head;
	const char *body; /* what follows it */
};

/* A caller that has been interrupted takes no answer: that is no failure. */
static void answer(const struct server *server, const struct fuse_in_header *head, int error,
		   const void *body, size_t len)
{
	char buffer[sizeof(struct fuse_out_header) + 256] = { 0 };
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len),
		.error = -error,
		.unique = head->unique,
	};

	memcpy(buffer, &out, sizeof(out));
	if (len > 0)
		memcpy(buffer + sizeof(out), body, len);
	(void)!write(server->device, buffer, out.len);
}

static struct fuse_attr attributes(uint64_t node)
{
	bool file = node == FILE_NODE;

	return (struct fuse_attr){
		.ino = node,
		.mode = file ? S_IFREG | 0666 : S_IFDIR | 0755,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void answer_init(const struct server *server, const struct request *request)
{
	struct fuse_init_in in;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_background = 12,
		.congestion_threshold = 10,
		.max_write = WRITE_MAX,
		.time_gran = 1,
	};

	memcpy(&in, request->body, sizeof(in.major) + sizeof(in.minor) + sizeof(in.max_readahead));
	out.max_readahead = in.max_readahead;
	answer(server, &request->head, 0, &out, sizeof(out));
}

static void answer_lookup(const struct server *server, const struct request *request)
{
	struct fuse_entry_out out = { .nodeid = FILE_NODE, .attr = attributes(FILE_NODE) };

	if (strcmp(request->body, "file") != 0)
		answer(server, &request->head, ENOENT, NULL, 0);
	else
		answer(server, &request->head, 0, &out, sizeof(out));
}

static void answer_any(const struct server *server, const struct request *request)
{
	const struct fuse_attr_out attr = { .attr = attributes(request->head.nodeid) };
	const struct fuse_open_out opened = { .fh = 1 };
	const struct fuse_statfs_out statfs = { .st = { .bsize = 4096, .namelen = 255 } };

	switch (request->head.opcode) {
	case FUSE_INIT:
		answer_init(server, request);
		break;
	case FUSE_LOOKUP:
		answer_lookup(server, request);
		break;
	case FUSE_GETATTR:
		answer(server, &request->head, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(server, &request->head, 0, &opened, sizeof(opened));
		break;
	case FUSE_STATFS:
		answer(server, &request->head, 0, &statfs, sizeof(statfs));
		break;
	case FUSE_FLUSH: /* never ENOSYS, after which the kernel would not ask again */
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_DESTROY:
		answer(server, &request->head, 0, NULL, 0);
		break;
	default:
		answer(server, &request->head, ENOSYS, NULL, 0);
	}
}

/* Whether this test asks, or the kernel of its own accord (0). */
static bool is_ours(const struct server *server, pid_t pid)
{
	return pid == 0 || pid == server->test;
}

static bool is_held(const struct server *server, const struct fuse_in_header *head)
{
	switch (head->opcode) {
	case FUSE_INIT:
	case FUSE_RELEASE: /* nobody waits for these */
	case FUSE_RELEASEDIR:
	case FUSE_DESTROY:
		return false;
	default:
		return !server->released && server->held_count < HELD_MAX &&
		       !is_ours(server, (pid_t)head->pid);
	}
}

/* One request.  Returns false when the file system has been unmounted. */
static bool serve_one(struct server *server)
{
	static char buffer[BUFFER_SIZE + 1];
	struct request request = { .body = buffer + sizeof(request.head) };
	ssize_t len = read(server->device, buffer, BUFFER_SIZE);

	if (len < 0) /* ENOENT: the caller was killed before we had read its request */
		return errno == EINTR || errno == EAGAIN || errno == ENOENT;
	buffer[len] = '\0';
	memcpy(&request.head, buffer, sizeof(request.head));
	if (request.head.opcode == FUSE_FORGET || request.head.opcode == FUSE_BATCH_FORGET ||
	    request.head.opcode == FUSE_INTERRUPT)
		return true; /* these have no answer */
	if (!is_held(server, &request.head)) {
		answer_any(server, &request);
		return true;
	}
	server->held[server->held_count++] = request.head;
	if (request.head.opcode == FUSE_FLUSH)
		(void)send(server->control, &(char){ HELD }, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	return true;
}

/* What was asked by name may ask again; all others can be answered from the header. */
static void release_held(struct server *server)
{
	server->released = true;
	for (size_t i = 0; i < server->held_count; i++)
		answer_any(server, &(struct request){ .head = server->held[i], .body = "" });
	server->held_count = 0;
}

/* Until the file system is unmounted or the test has gone. */
__attribute__((noreturn)) static void serve(struct server *server)
{
	struct pollfd wait[] = {
		{ .fd = server->device, .events = POLLIN },
		{ .fd = server->control, .events = POLLIN },
	};
	char byte;

	for (;;) {
		if (poll(wait, ARRAY_LEN(wait), -1) < 0)
			continue; /* EINTR: no other is possible */
		if (wait[1].revents && recv(server->control, &byte, 1, MSG_DONTWAIT) <= 0)
			_exit(0);
		if (wait[1].revents)
			release_held(server);
		if (wait[0].revents && !serve_one(server))
			_exit(0);
	}
}

/* In the child: mounts, says so and serves.  Exits with errno. */
__attribute__((noreturn)) static void child_serve(int control, const char *directory)
{
	static struct server server;
	char options[128];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)alarm(LIFE_S); /* should the test itself come to wait for what we hold up */
	if (close_range(3, (unsigned)control - 1, 0) < 0 ||
	    close_range((unsigned)control + 1, ~0U, 0) < 0)
		_exit(errno);
	server.control = control;
	server.test = getppid();
	server.device = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (server.device < 0)
		_exit(errno);
	(void)snprintf(options, sizeof(options),
		       "fd=%d,rootmode=040755,user_id=0,group_id=0,allow_other",
		       server.device); /* always fits */
	if (mount("dive-test", directory, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		_exit(errno);
	if (send(control, &(char){ READY }, 1, MSG_NOSIGNAL) < 0)
		_exit(errno);
	serve(&server);
}

const char *fuse_missing(void)
{
	cleanup_fd int device = -1;

	/* The sandbox's /dev has none. */
	if (mknod(DEVICE, S_IFCHR | 0600, makedev(10, 229)) < 0 && errno != EEXIST)
		return "no node " DEVICE " can be made here";
	device = open(DEVICE, O_RDWR | O_CLOEXEC);
	return device < 0 ? DEVICE " cannot be opened here" : NULL;
}

/* One byte from the server; fails when it has ended or is silent. */
static void expect_byte(const struct fuse *fuse, char expected, const char *what)
{
	char byte = 0;

	if (deadline_poll(fuse->control, POLLIN, deadline_after(DEADLINE_MS)) < 0)
		FAIL("%s in %d s", what, DEADLINE_MS / 1000);
	if (MUST(recv(fuse->control, &byte, 1, 0)) == 0 || byte != expected)
		FAIL("%s: the file system's server has ended", what);
}

void fuse_open(struct fuse *ret)
{
	int ends[2];

	*ret = (struct fuse){ .control = -1 };
	(void)snprintf(ret->directory, sizeof(ret->directory), "%s/fuse-XXXXXX",
		       sandbox_dir()); /* sandbox_dir() is short */
	MUST_POINTER(mkdtemp(ret->directory));
	MUST(chmod(ret->directory, 0755));
	(void)snprintf(ret->file, sizeof(ret->file), "%s/file", ret->directory);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	ret->server = MUST_INT(fork());
	if (ret->server == 0)
		child_serve(ends[1], ret->directory);
	close_fd(&ends[1]);
	ret->control = ends[0];
	expect_byte(ret, READY, "no file system is mounted");
}

int fuse_open_file(const struct fuse *fuse)
{
	return MUST_INT(open(fuse->file, O_RDWR | O_CLOEXEC));
}

void fuse_expect_held(const struct fuse *fuse)
{
	expect_byte(fuse, HELD, "no close has waited for the file system");
}

void fuse_release(struct fuse *fuse)
{
	MUST(send(fuse->control, "", 1, MSG_NOSIGNAL));
}

void fuse_close(struct fuse *fuse)
{
	int status;

	if (fuse->directory[0] == '\0')
		return;
	fuse_release(fuse);
	MUST(umount2(fuse->directory, MNT_DETACH)); /* a process that ends may have the file yet */
	close_fd(&fuse->control);
	MUST(waitpid(fuse->server, &status, 0));
	assert_int_equal(status, 0);
	MUST(rmdir(fuse->directory));
	*fuse = (struct fuse){ .control = -1 };
}
