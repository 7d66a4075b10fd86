/*
 * monitor - the process between a session and a program with a new terminal.
 *
 * It leads the terminal's session, so that the program's process group has a
 * parent in its session: else it would be orphaned, and the kernel would discard
 * ^Z.  It stays root, holds the terminal open, reports stops and the end, and does
 * to the program what the session asks for: of the two only it is the parent, and
 * knows that the id is the program's.
 *
 * Both ends are a SOCK_SEQPACKET pair.  End of file ends the monitor, which hangs
 * up the terminal and, by its death signal, the program.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum monitor_type {
	MONITOR_TERMINAL = 1, /* to the session: with the terminal's master */
	MONITOR_PROGRAM,  /* to the session: value is the program's id, as seen from here; its pidfd
			   */
	MONITOR_SELF,	  /* to the session, by what will be the program: its pidfd */
	MONITOR_STOPPED,  /* to the session: value is the signal */
	MONITOR_EXITED,	  /* to the session: kind and value as in struct message_exited */
	MONITOR_SIGNAL,	  /* to the monitor: value is the signal, kind 1: for the group */
	MONITOR_CONTINUE, /* to the monitor: kind 1: in the foreground */
};

struct monitor_message {
	uint32_t type;
	uint32_t kind;
	int32_t value;
};

/*
 * Sends one to the session, which always reads, with a descriptor unless it is -1.
 * Async-signal-safe.  Return: 0; -EPIPE; -errno.
 */
int monitor_send(int sock, const struct monitor_message *message, int fd);

/* Sends one to the monitor without waiting: it may be stopped.  Return: also -EAGAIN. */
int monitor_tell(int sock, const struct monitor_message *message);

/*
 * Receives one, without waiting.  *ret_fd becomes the descriptor that came with it,
 * close-on-exec and the caller's, or -1.
 * Return: 0; -EAGAIN; -EPIPE at the end; -EBADMSG; -errno.
 */
int monitor_recv(int sock, struct monitor_message *ret, int *ret_fd);

/*
 * Said by the process that will be the program: what is executed can be found and ended,
 * whatever becomes of the monitor.  Nothing is said where no descriptor is left for it.
 */
void monitor_introduce(int sock);

/*
 * The life of the monitor, in the process that has forked the program.
 * @program: our unreaped child, whose process group has its id
 * @sock: our end
 * @terminal: the terminal's slave, whose session we lead
 */
void __attribute__((noreturn)) monitor_run(pid_t program, int sock, int terminal);
