/*
 * Small files that are replaced whole or not at all. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: open the directory, write `<name>.tmp` in it, fdatasync, rename, fsync the
 * directory. The temporary file has a fixed name, so that one left over by a crash is overwritten
 * by the next write and never piles up.
 *
 * Failure modes: any step fails; the temporary file is removed. Only when the last step fails may
 * `path` already hold the new bytes; the caller hears of the failure and writes again later.
 */

#include "lib/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 16 * 1024 };

static void closep(const int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
}

static int fail(const char *path, const char *what, int err, struct error *error)
{
	char text[ERROR_TEXT_BYTES];

	snprintf(text, sizeof(text), "%s: %s", path, what);
	return error_errno(error, ERROR_RETRY, "file", err, text);
}

/* Returns 0 or -errno. */
static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return -errno;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_synced(int dir, const char *name, const void *data, size_t len)
{
	_cleanup_(closep) int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0) {
		return -errno;
	}
	r = write_all(fd, data, len);
	if (r == 0 && fdatasync(fd) < 0) {
		r = -errno;
	}
	return r;
}

static int open_directory_of(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];

	*ret_name = slash ? slash + 1 : path;
	if (!slash) {
		return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (slash - path + 1 >= (int)sizeof(directory)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path + 1), path);
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int atomic_file_write(const char *path, const void *data, size_t len, struct error *error)
{
	const char *name;
	char temporary[NAME_MAX + 1];
	_cleanup_(closep) int dir = open_directory_of(path, &name);
	int r;

	if (dir < 0) {
		return fail(path, "opening its directory", errno, error);
	}
	if (snprintf(temporary, sizeof(temporary), "%s.tmp", name) >= (int)sizeof(temporary)) {
		return fail(path, "writing", ENAMETOOLONG, error);
	}
	r = write_synced(dir, temporary, data, len);
	if (r < 0) {
		unlinkat(dir, temporary, 0);
		return fail(path, "writing", -r, error);
	}
	if (renameat(dir, temporary, dir, name) < 0) {
		r = errno;
		unlinkat(dir, temporary, 0);
		return fail(path, "renaming", r, error);
	}
	if (fsync(dir) < 0) {
		return fail(path, "syncing its directory", errno, error);
	}
	return 0;
}

/* ---- in the thread pool ---- */

struct write_job {
	uv_work_t work;
	char *path, *data;
	size_t len;
	struct error error;
	atomic_file_done_fn on_done;
	void *arg;
};

static struct write_job *write_job_free(struct write_job *job)
{
	if (job) {
		free(job->path);
		free(job->data);
		free(job);
	}
	return NULL;
}

static void write_in_pool(uv_work_t *work)
{
	struct write_job *job = container_of(work, struct write_job, work);

	/* The result is job->error. */
	(void)!atomic_file_write(job->path, job->data, job->len, &job->error);
}

static void on_written(uv_work_t *work, int status)
{
	struct write_job *job = container_of(work, struct write_job, work);

	if (status < 0) {
		error_set(
			&job->error, ERROR_CANCELED, "file", "canceled", "%s: canceled", job->path);
	}
	job->on_done(job->arg, error_is_set(&job->error) ? &job->error : NULL);
	write_job_free(job);
}

int atomic_file_write_async(uv_loop_t *loop, const char *path, const void *data, size_t len,
	atomic_file_done_fn on_done, void *arg)
{
	struct write_job *job = calloc(1, sizeof(*job));

	if (!job) {
		return -ENOMEM;
	}
	job->path = strdup(path);
	job->data = malloc(len > 0 ? len : 1);
	if (!job->path || !job->data) {
		write_job_free(job);
		return -ENOMEM;
	}
	memcpy(job->data, data, len);
	job->len = len;
	job->on_done = on_done;
	job->arg = arg;
	return uv_queue_work(loop, &job->work, write_in_pool, on_written);
}

/* ---- reading ---- */

int atomic_file_read(const char *path, size_t limit_bytes, struct buffer *out, struct error *error)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t total = 0;

	if (fd < 0) {
		return fail(path, "opening", errno, error);
	}
	for (;;) {
		char *room = buffer_reserve(out, READ_BYTES);
		ssize_t n;

		if (!room) {
			return error_no_memory(error, "file");
		}
		n = read(fd, room, READ_BYTES);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return fail(path, "reading", errno, error);
		}
		if (n == 0) {
			return 0;
		}
		buffer_grown(out, (size_t)n);
		total += (size_t)n;
		if (total > limit_bytes) {
			return error_set(error, ERROR_REJECTED, "file", "too_large",
				"%s: larger than %zu bytes", path, limit_bytes);
		}
	}
}
