/*
 * log - the one log sink: standard error, syslog, or both.
 *
 * What a peer sends ends up in log lines: names, paths, commands.  So a line is
 * escaped as a whole after it has been put together, and no caller can forget
 * it.  A line is written by one write(2), so that lines of several processes do
 * not mix.  Nothing here allocates, fails or changes errno.
 *
 * syslog(3) is not used for our own lines: where the syslog daemon has stopped
 * reading it blocks for ever, and with it a listener that must not block.  A
 * line is one datagram in the format of RFC 3164, on a socket of its own, and a
 * daemon that does not take it within LOG_WAIT_MS loses it.
 *
 * Escaped are: everything that moves a cursor or ends a line, the backslash
 * (else an escape could be forged), bytes that are not valid UTF-8 (a terminal
 * may read a C1 control out of them), and the Unicode characters that are
 * invisible or turn the direction of text, by which one line can be made to
 * look like another.
 */
#include "log.h"

#include "cleanup.h"
#include "deadline.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#define LOG_SOCKET    "/dev/log"
#define LOG_WAIT_MS   500
#define LOG_LINE_MAX  8192
#define LOG_IDENT_MAX 64
#define LOG_CUT	      "..."

static struct {
	const char *ident;
	bool use_stderr;
	bool use_syslog;
	int reserved; /* a socket for syslog; -1 for none */
} log_sink = { .use_stderr = true, .reserved = -1 };

void log_open(const char *ident, bool use_stderr, bool use_syslog)
{
	if (log_sink.use_syslog)
		closelog();
	close_fd(&log_sink.reserved);
	log_sink.ident = ident;
	log_sink.use_stderr = use_stderr;
	log_sink.use_syslog = use_syslog;
	/* For what libraries and PAM modules say in this process; without LOG_NDELAY
	 * nothing is opened before they do. */
	if (use_syslog)
		openlog(ident, LOG_PID, LOG_AUTHPRIV);
}

static int open_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static bool connect_socket(int sock)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = LOG_SOCKET };

	return sock >= 0 && connect(sock, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

void log_reserve(int from)
{
	cleanup_fd int sock = log_sink.use_syslog && log_sink.reserved < 0 ? open_socket() : -1;

	if (sock < 0)
		return;
	log_sink.reserved = fcntl(sock, F_DUPFD_CLOEXEC, from);
	if (log_sink.reserved < 0) /* a limit that ends below */
		log_sink.reserved = take_fd(&sock);
	(void)connect_socket(log_sink.reserved); /* or nobody listens yet */
}

static int syslog_priority(enum log_level level)
{
	static const int priorities[] = {
		[LOG_LEVEL_ERROR] = LOG_ERR,
		[LOG_LEVEL_WARNING] = LOG_WARNING,
		[LOG_LEVEL_NOTICE] = LOG_NOTICE,
		[LOG_LEVEL_INFO] = LOG_INFO,
	};

	return priorities[level];
}

/* Returns whether anybody is at the other end; he may not read, which loses the line. */
static bool send_line(int sock, const char *line, size_t len)
{
	if (send(sock, line, len, MSG_NOSIGNAL) >= 0)
		return true;
	if (errno != EAGAIN)
		return false;
	if (deadline_poll(sock, POLLOUT, deadline_after(LOG_WAIT_MS)) == 0)
		(void)send(sock, line, len, MSG_NOSIGNAL); /* nobody to tell */
	return true;
}

/*
 * "<PRIORITY>Mmm dd hh:mm:ss ident[pid]: text", as the daemon of every system reads it.
 * What is set aside comes first: a PAM module may have changed the root directory, and the
 * name may lead nowhere since, or to somebody else.
 */
static void write_syslog(int priority, const char *text)
{
	char line[LOG_IDENT_MAX + LOG_LINE_MAX + 64];
	char when[32] = "";
	time_t now = time(NULL);
	struct tm parts;

	if (localtime_r(&now, &parts))
		(void)strftime(when, sizeof(when), "%b %e %H:%M:%S", &parts);
	int len =
		snprintf(line, sizeof(line), "<%d>%s %.*s[%d]: %s", LOG_AUTHPRIV | priority, when,
			 LOG_IDENT_MAX, log_sink.ident ? log_sink.ident : "", (int)getpid(), text);
	if (len <= 0 || (log_sink.reserved >= 0 && send_line(log_sink.reserved, line, (size_t)len)))
		return;
	cleanup_fd int own = open_socket();
	int sock = own >= 0 ? own : log_sink.reserved;
	if (connect_socket(sock)) /* else nobody listens, which costs nothing */
		(void)send_line(sock, line, (size_t)len);
}

/* All of at most PIPE_BUF bytes, or nothing.  Return: as write(2), and without waiting. */
static ssize_t write_piece(char *piece, size_t len)
{
	struct iovec part = { piece, len };
	ssize_t n = pwritev2(STDERR_FILENO, &part, 1, -1, RWF_NOWAIT);

	if (n >= 0 || errno != EOPNOTSUPP)
		return n;
	/* One with a name, or before Linux 6.4: by an open file of our own. */
	cleanup_fd int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	/* Without /proc another process may take the room that poll(2) has seen. */
	return write(own >= 0 ? own : STDERR_FILENO, piece, len);
}

/* How many bytes of a text make a piece of at most `room`, with no character cut in two. */
static size_t cut_piece(const char *text, size_t room)
{
	size_t len = strlen(text);

	if (len <= room)
		return len;
	for (len = room; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
		;
	return len ? len : room;
}

/*
 * The kernel takes at most PIPE_BUF bytes as one, and may have room for no more.  So a longer
 * line is written as several, which end and begin with dots: one that is lost because nobody
 * reads takes nobody else's along.
 */
static void write_pipe(const char *ident, const char *text)
{
	int64_t deadline = deadline_after(LOG_WAIT_MS);
	char piece[PIPE_BUF + 1];
	bool first = true;

	do {
		size_t room = PIPE_BUF - strlen(ident) - 2 * strlen(LOG_CUT) - 1;
		size_t len = cut_piece(text, room);
		int size = snprintf(piece, sizeof(piece), "%s%s%.*s%s\n", ident,
				    first ? "" : LOG_CUT, (int)len, text, text[len] ? LOG_CUT : "");
		ssize_t n;

		do {
			if (deadline_poll(STDERR_FILENO, POLLOUT, deadline))
				return;
			n = write_piece(piece, (size_t)size);
		} while (n < 0 && (errno == EAGAIN || errno == EINTR));
		if (n < 0)
			return;
		text += len;
		first = false;
	} while (*text);
}

/* Writes "ident: text\n"; nobody is left to tell about a failure. */
static void write_stderr(const char *text)
{
	char ident[LOG_IDENT_MAX + 4] = "";
	char line[LOG_IDENT_MAX + LOG_LINE_MAX + 4];
	struct stat info;
	int len;

	if (log_sink.ident)
		(void)snprintf(ident, sizeof(ident), "%.*s: ", LOG_IDENT_MAX, log_sink.ident);
	/* A terminal stopped by ^S or a pipe nobody reads loses lines, as a stalled daemon does. */
	if (fstat(STDERR_FILENO, &info) == 0 && S_ISFIFO(info.st_mode)) {
		write_pipe(ident, text);
		return;
	}
	len = snprintf(line, sizeof(line), "%s%s\n", ident, text);
	if (len > 0 && deadline_poll(STDERR_FILENO, POLLOUT, deadline_after(LOG_WAIT_MS)) == 0 &&
	    write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

void log_line(enum log_level level, const char *format, ...)
{
	char raw[LOG_LINE_MAX + 1];
	char text[LOG_LINE_MAX + 1];
	int saved = errno;
	size_t len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (n < 0)
		raw[0] = '\0';
	len = strlen(raw);
	if (n > LOG_LINE_MAX || log_escape(raw, len, false, text, sizeof(text)) < len) {
		/* A character that vsnprintf() cut in half is behind this cut. */
		(void)log_escape(raw, len, false, text, sizeof(text) - strlen(LOG_CUT));
		memcpy(text + strlen(text), LOG_CUT, sizeof(LOG_CUT));
	}
	if (log_sink.use_stderr)
		write_stderr(text);
	if (log_sink.use_syslog)
		write_syslog(syslog_priority(level), text);
	errno = saved;
}

/*
 * Decodes one character by the table of RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF.  Returns its bytes; 0 if it is not valid.
 */
static size_t utf8_decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t need = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t code = s[0];

	if (need == 0 || need > len || s[0] > 0xf4)
		return 0;
	if (need > 1)
		code &= 0x7fU >> need;
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < smallest[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret = code;
	return need;
}

static bool is_plain(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} escaped[] = {
		{ 0x00, 0x1f },	    { '\\', '\\' }, { 0x7f, 0x9f }, /* DEL and C1 */
		{ 0x61c, 0x61c },				    /* Arabic letter mark */
		{ 0x200b, 0x200f }, /* zero width, direction marks */
		{ 0x2028, 0x202e }, /* line and paragraph ends, embeddings, overrides */
		{ 0x2066, 0x2069 }, /* isolates */
		{ 0xfeff, 0xfeff }, /* zero width no-break space */
	};

	for (size_t i = 0; i < ARRAY_LEN(escaped); i++)
		if (code >= escaped[i].first && code <= escaped[i].last)
			return false;
	return true;
}

/* Writes what stands for `len` bytes, at most 16 bytes; returns how many. */
static size_t escape_bytes(const unsigned char *s, size_t len, char out[16])
{
	size_t n = 0;

	if (s[0] == '\n' || s[0] == '\t') {
		out[n++] = '\\';
		out[n++] = s[0] == '\n' ? 'n' : 't';
		return n;
	}
	for (size_t i = 0; i < len; i++) {
		out[n++] = '\\';
		out[n++] = (char)('0' + (s[i] >> 6));
		out[n++] = (char)('0' + (s[i] >> 3 & 7));
		out[n++] = (char)('0' + (s[i] & 7));
	}
	return n;
}

size_t log_escape(const char *text, size_t len, bool keep_newlines, char *buffer, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t in = 0, out = 0;

	if (size == 0)
		return 0;
	while (in < len) {
		char unit[16];
		uint32_t code = 0;
		size_t unit_len;
		size_t used = utf8_decode(s + in, len - in, &code);

		if (used > 0 &&
		    (is_plain(code) || (keep_newlines && (code == '\n' || code == '\t')))) {
			memcpy(unit, s + in, used);
			unit_len = used;
		} else {
			used = used > 0 ? used : 1;
			unit_len = escape_bytes(s + in, used, unit);
		}
		if (unit_len >= size - out)
			break;
		memcpy(buffer + out, unit, unit_len);
		out += unit_len;
		in += used;
	}
	buffer[out] = '\0';
	return in;
}
