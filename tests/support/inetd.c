/*
 * inetd - the test as an inetd(8).
 */
#include "inetd.h"

#include "cleanup.h"
#include "deadline.h"
#include "must.h"
#include "sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ACCEPT_MS 10000
#define WORDS_MAX 64

void inetd_listen(struct inetd *ret)
{
	static unsigned serial;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*ret = (struct inetd){ .listener = -1 };
	(void)snprintf(ret->address, sizeof(ret->address), "%s/inetd%u.sock", sandbox_dir(),
		       serial++); /* fits */
	memcpy(ret->gateway.address, ret->address, sizeof(ret->address));
	memcpy(address.sun_path, ret->address, sizeof(address.sun_path));
	ret->listener = MUST_INT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(bind(ret->listener, (const struct sockaddr *)&address, sizeof(address)));
	MUST(chmod(ret->address, 0666));
	MUST(listen(ret->listener, 16));
}

int inetd_accept(const struct inetd *inetd)
{
	if (deadline_poll(inetd->listener, POLLIN, deadline_after(ACCEPT_MS)) < 0)
		FAIL("%s: no client", inetd->address);
	return MUST_INT(accept4(inetd->listener, NULL, NULL, SOCK_CLOEXEC));
}

void inetd_start(struct run *ret, const struct run_options *base, int conn,
		 const char *const *options)
{
	const struct run_fd fds[] = { { conn, 0 }, { conn, 1 }, { conn, 2 } };
	struct run_options command = *base;
	const char *argv[WORDS_MAX] = { sandbox_dived() };
	size_t count = 1;

	if (!*options || strncmp(*options, "--inetd", 7) != 0)
		argv[count++] = "-i";
	for (; *options; count++) {
		assert_in_range(count, 1, WORDS_MAX - 2);
		argv[count] = *options++;
	}
	command.argv = argv;
	command.fds = fds;
	command.fd_count = ARRAY_LEN(fds);
	run_start(ret, &command);
	close_fd(&conn);
}

void inetd_serve(const struct inetd *inetd, struct run *ret, const char *const *options)
{
	inetd_start(ret, &(struct run_options){ 0 }, inetd_accept(inetd), options);
}

void inetd_close(struct inetd *inetd)
{
	if (inetd->address[0])
		(void)unlink(inetd->address); /* the sandbox goes away with it */
	close_fd(&inetd->listener);
	*inetd = (struct inetd){ .listener = -1 };
}
