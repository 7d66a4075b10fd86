/*
 * child_tty - the steps about a terminal: a new one, or the client's own.
 *
 * A terminal of the target's own devpts has a name in the target's world, so that
 * is tried where the program gets another mount namespace or root.  What lies there
 * at /dev/pts may be anything: it is looked at without being opened, must be the
 * ptmx of a devpts, and is then opened as what was looked at.  Else, and always
 * where the client chose the root, it is the host's, which the session has opened.
 *
 * The slave is opened through the master (TIOCGPTPEER): no path is followed to it.
 */
#include "child.h"

#include "cleanup.h"
#include "monitor.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#define PTMX_MAJOR 5
#define PTMX_MINOR 2
#define PTS_MAJOR  136
#define SLAVE_MODE 0620 /* as after a login: the group tty may write(1) */

/* The ptmx of the devpts that the target sees.  Return: a descriptor; -errno. */
static int open_own(struct child *child)
{
	struct statfs system;
	struct stat info;
	cleanup_fd int found = child_open_path(child, "/dev/pts/ptmx", O_PATH | O_NOFOLLOW);

	if (found < 0)
		return found;
	if (fstatfs(found, &system) || fstat(found, &info))
		return -errno;
	if (system.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(info.st_mode) ||
	    info.st_rdev != makedev(PTMX_MAJOR, PTMX_MINOR))
		return -ENOTTY;
	return child_reopen(child, found, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static void fill_modes(const struct message_terminal *from, struct termios *to)
{
	to->c_iflag = from->input;
	to->c_oflag = from->output;
	to->c_cflag =
		(to->c_cflag & (CBAUD | CBAUDEX)) | (from->control & ~(tcflag_t)(CBAUD | CBAUDEX));
	to->c_lflag = from->local;
	for (size_t i = 0; i < NCCS && i < MESSAGE_CONTROLS; i++)
		to->c_cc[i] = from->characters[i];
}

static int set_modes(const struct plan *plan, int slave)
{
	const struct message_terminal *wanted = &plan->terminal_modes;
	struct winsize size = { .ws_row = wanted->rows, .ws_col = wanted->columns };
	struct termios modes;

	if (ioctl(slave, TIOCSWINSZ, &size))
		return -errno;
	if (tcgetattr(slave, &modes))
		return -errno;
	if (plan->has_modes)
		fill_modes(wanted, &modes);
	/* As long as dive has not taken the keyboard, the user's terminal makes the line ends. */
	if (!plan->foreground)
		modes.c_oflag &= ~(tcflag_t)OPOST;
	return tcsetattr(slave, TCSANOW, &modes) ? -errno : 0;
}

/* Where ids are those of a user namespace the host's devpts knows nothing of them. */
static int give_to_target(const struct plan *plan, int slave, bool own)
{
	bool user = namespace_set_enters(plan->namespaces, NAMESPACE_USER);

	if (!plan->change_ids || (user && !own))
		return 0;
	if (fchown(slave, plan->euid, user ? (gid_t)-1 : plan->tty_gid))
		return -errno;
	return fchmod(slave, SLAVE_MODE) ? -errno : 0;
}

/*
 * The client's, as the controlling terminal of this process.  peer.c has judged it;
 * that nobody else's session has it is what the first attempt tells.
 */
static int control(const struct plan *plan)
{
	if (ioctl(plan->taken, TIOCSCTTY, 0) == 0)
		return 0;
	if (errno != EPERM || !plan->taken_is_own || ioctl(plan->taken, TIOCSCTTY, 1))
		return -errno;
	return 0;
}

int child_take_terminal(struct child *child)
{
	return child->plan->terminal == PLAN_TERMINAL_TAKEN ? control(child->plan) : 0;
}

/*
 * Takes the terminal from the client's session and leaves it to nobody, where the process
 * that is to have it could not: in a user namespace it has no power over the host's, and
 * one that moves into a pid namespace is made after.  A terminal that is no
 * pseudo-terminal would be hung up by this, and stays.
 */
int child_free_terminal(struct child *child)
{
	const struct plan *plan = child->plan;
	const struct namespace_set *set = plan->namespaces;
	struct stat info;

	if (plan->terminal != PLAN_TERMINAL_TAKEN || !plan->taken_is_own || !set ||
	    (!namespace_set_enters(set, NAMESPACE_USER) &&
	     !namespace_set_enters(set, NAMESPACE_PID) && !set->fresh_pid))
		return 0;
	if (fstat(plan->taken, &info))
		return -errno;
	if (major(info.st_rdev) != PTS_MAJOR)
		return 0;
	if (setsid() < 0)
		return -errno;
	int r = control(plan);
	return r ? r : process_give_up_terminal(plan->taken);
}

int child_terminal(struct child *child)
{
	const struct monitor_message message = { .type = MONITOR_TERMINAL };
	const struct plan *plan = child->plan;
	int unlocked = 0;

	if (plan->terminal != PLAN_TERMINAL_NEW)
		return 0;
	cleanup_fd int own = plan->own_devpts ? open_own(child) : -1;
	int master = own >= 0 ? own : child->ptmx;
	if (master < 0)
		return -ENXIO;
	if (ioctl(master, TIOCSPTLCK, &unlocked))
		return -errno;
	cleanup_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	/* Out of the way of the program's numbers. */
	child->slave = fcntl(slave, F_DUPFD_CLOEXEC, child->highest + 1);
	if (child->slave < 0)
		return -errno;
	int r = set_modes(plan, child->slave);
	if (r == 0)
		r = give_to_target(plan, child->slave, own >= 0);
	return r ? r : monitor_send(child->monitor, &message, master);
}

/* Lets go of everything but the terminal and the session, the report above all: its end
   of file says that the program is executed. */
static void __attribute__((noreturn)) become_monitor(struct child *child, pid_t program)
{
	int keep[] = { child->monitor, child->slave };

	close_fd(&child->report); /* first: closing a client's descriptor may block */
	process_close_others(0, keep, ARRAY_LEN(keep));
	monitor_run(program, child->monitor, child->slave);
}

/*
 * Becomes two: this process leads the terminal's session and stays; the new one
 * goes on to the program.  A pid namespace that was entered takes in the new one.
 */
int child_monitor(struct child *child)
{
	const struct plan *plan = child->plan;

	if (plan->terminal != PLAN_TERMINAL_NEW)
		return 0;
	if (setsid() < 0 || ioctl(child->slave, TIOCSCTTY, 0))
		return -errno;
	child->parent = pidfd_open(getpid(), 0); /* for the death signal */
	if (child->parent < 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		(void)setpgid(pid, pid); /* whoever is first */
		if (plan->foreground)
			(void)tcsetpgrp(child->slave, pid);
		become_monitor(child, pid);
	}
	monitor_introduce(child->monitor);
	if (setpgid(0, 0))
		return -errno;
	if (!plan->foreground)
		return 0;
	/* Before it runs: it must not be stopped for reading too early. */
	void (*before)(int) = signal(SIGTTOU, SIG_IGN);
	int r = tcsetpgrp(child->slave, getpgrp()) ? -errno : 0;
	(void)signal(SIGTTOU, before);
	return r;
}
