/*
 * Preloaded into ogdsyncd by tests: at an exact call on a file of the spool, end the process as kill -9
 * does, or let the disk fail. SPDX-License-Identifier: Apache-2.0
 *
 * OGDSYNC_FAULT is "ACTION CALL ENDING N": ACTION `before` or `after` (the process ends around the
 * call) or a number, the errno of each call while OGDSYNC_FAULT_FILE exists; CALL `open`, `write`,
 * `sync` (fsync and fdatasync), `rename` (by its new name) or `unlink`; ENDING of the file's name;
 * N, which of them ends the process. OGDSYNC_FAULT_FILE is made when the process is about to end.
 */

/* Else openat() here would be openat64(): both are defined below. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORD_BYTES = 32 };

struct fault {
	bool known;
	bool kills, after;
	int error;
	char call[WORD_BYTES], ending[WORD_BYTES];
	unsigned n;
	const char *file;
};

static struct fault fault;
static atomic_uint n_calls;

__attribute__((constructor)) static void read_environment(void)
{
	const char *text = getenv("OGDSYNC_FAULT");
	char action[WORD_BYTES];

	fault.file = getenv("OGDSYNC_FAULT_FILE");
	if (!text || !fault.file ||
		sscanf(text, "%31s %31s %31s %u", action, fault.call, fault.ending, &fault.n) != 4) {
		return;
	}
	fault.after = strcmp(action, "after") == 0;
	fault.kills = fault.after || strcmp(action, "before") == 0;
	fault.error = fault.kills ? 0 : (int)strtol(action, NULL, 10);
	fault.known = true;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static bool is_meant(const char *call, const char *path)
{
	size_t len = strlen(path), ending = strlen(fault.ending);

	return fault.known && strcmp(call, fault.call) == 0 && len >= ending &&
	       strcmp(path + len - ending, fault.ending) == 0;
}

/* The link of the descriptor is its path. */
static bool is_meant_fd(const char *call, int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t len;

	if (!fault.known || strcmp(call, fault.call) != 0) {
		return false;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	return is_meant(call, path);
}

static void end_process(void)
{
	int (*real_open)(const char *, int, ...) = next("open");
	int fd = real_open(fault.file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)!write(fd, "\n", 1);
	kill(getpid(), SIGKILL);
}

/* Before a call: whether this is the one, and whether it fails. */
static bool begin(bool meant, bool *ret_fails)
{
	*ret_fails = meant && !fault.kills && access(fault.file, F_OK) == 0;
	if (*ret_fails) {
		errno = fault.error;
	}
	if (!meant || !fault.kills || atomic_fetch_add(&n_calls, 1) + 1 != fault.n) {
		return false;
	}
	if (!fault.after) {
		end_process();
	}
	return true;
}

static void end(bool is_it)
{
	if (is_it) {
		end_process();
	}
}

int openat(int dir, const char *path, int flags, ...)
{
	int (*real)(int, const char *, int, ...) = next("openat");
	bool fails, is_it = begin(is_meant("open", path), &fails);
	mode_t mode = 0;
	va_list args;
	int fd;

	if (flags & O_CREAT) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	fd = fails ? -1 : real(dir, path, flags, mode);
	end(is_it);
	return fd;
}

int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = next("pwrite");
	bool fails, is_it = begin(is_meant_fd("write", fd), &fails);
	ssize_t n;

	/* Half of it is there when the process ends: a torn write. */
	n = fails ? -1 : real(fd, data, is_it ? len / 2 : len, at);
	end(is_it);
	return n;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) __attribute__((alias("pwrite")));

static int sync_by(const char *name, int fd)
{
	int (*real)(int) = next(name);
	bool fails, is_it = begin(is_meant_fd("sync", fd), &fails);
	int r = fails ? -1 : real(fd);

	end(is_it);
	return r;
}

int fsync(int fd)
{
	return sync_by("fsync", fd);
}

int fdatasync(int fd)
{
	return sync_by("fdatasync", fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	int (*real)(int, const char *, int, const char *) = next("renameat");
	bool fails, is_it = begin(is_meant("rename", to), &fails);
	int r = fails ? -1 : real(from_dir, from, to_dir, to);

	end(is_it);
	return r;
}

int unlinkat(int dir, const char *path, int flags)
{
	int (*real)(int, const char *, int) = next("unlinkat");
	bool fails, is_it = begin(is_meant("unlink", path), &fails);
	int r = fails ? -1 : real(dir, path, flags);

	end(is_it);
	return r;
}
