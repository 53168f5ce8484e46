/*
 * Where log lines go. SPDX-License-Identifier: Apache-2.0
 *
 * stderr is usually shared with others (a shell, a supervisor, the other programs of a pipeline),
 * and O_NONBLOCK belongs to the description they all share: it must not be set there. So:
 *  - a pipe or a terminal is opened once more through /proc/self/fd/2, which gives a description of
 *    our own that may be non-blocking. Refused (it belongs to another user): ask poll() before each
 *    piece of at most PIPE_BUF bytes, which a writable pipe takes whole; a terminal may hold us for
 *    the moment it needs to show one piece.
 *  - a socket is written with MSG_DONTWAIT.
 *  - a regular file is written as it is: opening it again would lose the position it is shared at.
 *
 * A line may go out in part (pipe nearly full, disk full). Then it counts as dropped, and the next
 * one begins with a line end, so that no two lines run together.
 *
 * The journal is spoken to in its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/)
 * over a datagram socket of our own, because sd_journal_sendv() waits when journald is behind, and
 * offers no way to say otherwise. Entries are kept short enough for one datagram (LOG_LINE_BYTES),
 * so the protocol's other way, a memfd, is not needed.
 */

#include "lib/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static const char journald_socket[] = "/run/systemd/journal/socket";

enum { JOURNAL_SEND_BUFFER_BYTES = 8 * 1024 * 1024 }; /* the kernel cuts it to its limit */

/* ---- streams ---- */

static struct log_stream open_stderr(void)
{
	struct log_stream stream = {.kind = STREAM_FILE, .fd = STDERR_FILENO};
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st) < 0) {
		return (struct log_stream){.kind = STREAM_NONE};
	}
	if (S_ISSOCK(st.st_mode)) {
		stream.kind = STREAM_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		stream.kind = fd < 0 ? STREAM_SHARED : STREAM_FILE;
		stream.fd = fd < 0 ? STDERR_FILENO : fd;
		stream.own = fd >= 0;
	}
	return stream;
}

static int open_file(const char *name, struct log_stream *ret, struct error *error)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(name, flags, 0640);

	if (fd < 0) {
		error_errno(error, ERROR_REJECTED, "log", errno, "opening the log file");
		error_prefix(error, "%s", name);
		return -1;
	}
	*ret = (struct log_stream){.kind = STREAM_FILE, .fd = fd, .own = true};
	return 0;
}

static void close_stream(struct log_stream *stream)
{
	if (stream->own) {
		close(stream->fd);
	}
	*stream = (struct log_stream){.kind = STREAM_NONE};
}

static bool is_writable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT);
}

/* In pieces of which each fits into a pipe that poll() calls writable. */
static ssize_t write_shared(int fd, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len && is_writable(fd)) {
		size_t piece = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		ssize_t n = write(fd, data + done, piece);

		if (n <= 0) {
			break;
		}
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static ssize_t write_some(const struct log_stream *stream, const char *data, size_t len)
{
	switch (stream->kind) {
	case STREAM_NONE:
		return -1;
	case STREAM_FILE:
		return write(stream->fd, data, len);
	case STREAM_SOCKET:
		return send(stream->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case STREAM_SHARED:
		return write_shared(stream->fd, data, len);
	}
	return -1;
}

bool log_stream_write(struct log_stream *stream, const char *line, size_t len)
{
	ssize_t n;

	if (stream->cut) {
		stream->cut = write_some(stream, "\n", 1) != 1;
	}
	if (stream->cut) {
		return false;
	}
	n = write_some(stream, line, len);
	stream->cut = n > 0 && (size_t)n < len;
	return n > 0 && (size_t)n == len;
}

/* ---- the journal ---- */

/* systemd says in $JOURNAL_STREAM which descriptor it connected to the journal. */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static int journal_socket_new(void)
{
	const int bytes = JOURNAL_SEND_BUFFER_BYTES;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
	return fd;
}

/* The socket stays unconnected: a journald that was restarted is found again by its path. */
static int open_journal(const char *path, int *ret_fd, struct error *error)
{
	struct sockaddr_un address = address_of(path);
	int probe = journal_socket_new();
	int r = probe < 0 ? -1 : connect(probe, (struct sockaddr *)&address, sizeof(address));
	int err = errno;

	if (probe >= 0) {
		close(probe);
	}
	if (r == 0) {
		*ret_fd = journal_socket_new();
		if (*ret_fd >= 0) {
			return 0;
		}
		err = errno;
	}
	error_errno(error, ERROR_REJECTED, "log", err, "connecting to the journal");
	error_prefix(error, "%s", path);
	return -1;
}

bool log_target_send_journal(const struct log_target *target, const void *entry, size_t len)
{
	struct sockaddr_un address = address_of(target->journal_socket);

	return sendto(target->journal_fd, entry, len, MSG_NOSIGNAL, (struct sockaddr *)&address,
		       sizeof(address)) >= 0;
}

/* ---- all of it ---- */

static enum log_format resolve_format(enum log_format format)
{
	if (format != LOG_FORMAT_AUTO) {
		return format;
	}
	return stderr_is_journal() ? LOG_FORMAT_JOURNAL : LOG_FORMAT_LOGFMT;
}

static int copy_names(
	const struct log_options *options, struct log_target *target, struct error *error)
{
	const char *path = options->journal_socket ? options->journal_socket : journald_socket;

	target->journal_socket = strdup(path);
	target->file_name = options->file ? strdup(options->file) : NULL;
	if (!target->journal_socket || (options->file && !target->file_name)) {
		return error_no_memory(error, "log");
	}
	return 0;
}

static int open_all(
	const struct log_options *options, struct log_target *target, struct error *error)
{
	bool must = options->format == LOG_FORMAT_JOURNAL;

	target->format = resolve_format(options->format);
	if (copy_names(options, target, error) < 0) {
		return -1;
	}
	if (target->file_name && open_file(target->file_name, &target->file, error) < 0) {
		return -1;
	}
	if (target->format == LOG_FORMAT_JOURNAL) {
		if (open_journal(target->journal_socket, &target->journal_fd,
			    must ? error : NULL) == 0) {
			return 0;
		}
		if (must) {
			return -1;
		}
		target->format = LOG_FORMAT_LOGFMT; /* a sandbox without the socket */
	}
	target->err = open_stderr();
	return 0;
}

int log_target_open(const struct log_options *options, struct log_target *ret, struct error *error)
{
	struct log_target target = LOG_TARGET_NONE;

	if (open_all(options, &target, error) < 0) {
		log_target_close(&target);
		return -1;
	}
	*ret = target;
	return 0;
}

void log_target_close(struct log_target *target)
{
	close_stream(&target->err);
	close_stream(&target->file);
	if (target->journal_fd >= 0) {
		close(target->journal_fd);
	}
	free(target->file_name);
	free(target->journal_socket);
	*target = (struct log_target)LOG_TARGET_NONE;
}

int log_target_reopen(struct log_target *target, struct error *error)
{
	struct log_stream file;

	if (!target->file_name) {
		return 0;
	}
	if (open_file(target->file_name, &file, error) < 0) {
		return -1;
	}
	close_stream(&target->file);
	target->file = file;
	return 0;
}
