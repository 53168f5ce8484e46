/*
 * The spool's directory and its table of files. SPDX-License-Identifier: Apache-2.0
 *
 * Open locks the directory, reads or makes the holder's id, scans the files (spool_scan.c) and from
 * then on keeps a table of them in memory, so that nothing but a visit reads the directory again:
 * the lock says that nobody else changes it.
 *
 *	            commit ok            mark_loaded           prune, or room is needed
 *	.part  ------------------> .ready ------------> .loaded ------------> (removed)
 *	  ^  \                        \                    |
 *	  |   crash, failed commit     `---- set_aside ----+-> .damaged -- prune --> (removed)
 *	  |   v
 *	interrupted -- resume --> .part (then as above), or discard --> (removed)
 *
 * What a file holds is known by name and header alone; the table has what is needed for order,
 * room and age.
 *
 * Failure modes: another process has the lock ("locked"); the disk fails (the errno's name).
 */

#include "daemon/spool_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/atomic_file.h"

enum { FIRST_FILES = 64, ID_LIMIT_BYTES = 1024 };

static const uint64_t default_page_bytes = (uint64_t)1 << 30;

/* ---- names and errors ---- */

int spool_uuid_new(char uuid[static SPOOL_UUID_BYTES])
{
	unsigned char b[16];

	/* So few bytes come all at once or not at all: getrandom(2). */
	if (getrandom(b, sizeof(b), 0) < 0) {
		return -errno;
	}
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(uuid, SPOOL_UUID_BYTES,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
	return 0;
}

enum spool_suffix spool_file_suffix(const struct spool_file *file)
{
	switch (file->state) {
	case SPOOL_FILE_WRITING:
	case SPOOL_FILE_INTERRUPTED:
	case SPOOL_FILE_COMMITTING:
		return SPOOL_PART;
	case SPOOL_FILE_READY:
	case SPOOL_FILE_MARKING:
		return SPOOL_READY;
	case SPOOL_FILE_LOADED:
		return SPOOL_LOADED;
	case SPOOL_FILE_DAMAGED:
	case SPOOL_FILE_GONE:
		return SPOOL_DAMAGED;
	}
	return SPOOL_DAMAGED;
}

void spool_file_name(const struct spool_file *file, enum spool_suffix suffix,
	char out[static SPOOL_FILE_NAME_BYTES])
{
	struct spool_name name = {.run = file->run, .suffix = suffix};

	memcpy(name.uuid, file->uuid, sizeof(name.uuid));
	spool_name_format(&name, out);
}

int spool_disk_error(
	const struct spool *spool, const char *name, const char *what, int err, struct error *error)
{
	char text[ERROR_TEXT_BYTES];

	snprintf(text, sizeof(text), "%s/%s: %s", spool->directory, name, what);
	return error_errno(error, ERROR_RETRY, "spool", err, text);
}

/* ---- the table ---- */

static int compare_files(const struct spool_file *a, const struct spool_file *b)
{
	if (a->run != b->run) {
		return a->run < b->run ? -1 : 1;
	}
	if (a->started_us != b->started_us) {
		return a->started_us < b->started_us ? -1 : 1;
	}
	return strcmp(a->uuid, b->uuid);
}

static unsigned place_of(const struct spool *spool, const struct spool_file *file)
{
	unsigned low = 0, high = spool->n_files;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (compare_files(spool->files[middle], file) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

struct spool_file *spool_add_file(struct spool *spool, const struct spool_file *file)
{
	unsigned at = place_of(spool, file);
	struct spool_file *copy;

	if (spool->n_files == spool->size_files) {
		unsigned size = spool->size_files ? 2 * spool->size_files : FIRST_FILES;
		struct spool_file **files = reallocarray(spool->files, size, sizeof(*files));

		if (!files) {
			return NULL;
		}
		spool->files = files;
		spool->size_files = size;
	}
	copy = malloc(sizeof(*copy));
	if (!copy) {
		return NULL;
	}
	*copy = *file;
	memmove(&spool->files[at + 1], &spool->files[at],
		(spool->n_files - at) * sizeof(*spool->files));
	spool->files[at] = copy;
	spool->n_files++;
	spool->bytes += copy->bytes;
	return copy;
}

struct spool_file *spool_find_file(const struct spool *spool, const char *uuid)
{
	for (unsigned i = 0; i < spool->n_files; i++) {
		struct spool_file *file = spool->files[i];

		if (file->state != SPOOL_FILE_GONE && strcmp(file->uuid, uuid) == 0) {
			return file;
		}
	}
	return NULL;
}

void spool_set_bytes(struct spool *spool, struct spool_file *file, uint64_t bytes)
{
	spool->bytes = spool->bytes - file->bytes + bytes;
	file->bytes = bytes;
}

void spool_sweep(struct spool *spool)
{
	unsigned n = 0;

	if (spool->n_visits > 0) {
		return;
	}
	for (unsigned i = 0; i < spool->n_files; i++) {
		if (spool->files[i]->state == SPOOL_FILE_GONE) {
			free(spool->files[i]);
		} else {
			spool->files[n++] = spool->files[i];
		}
	}
	spool->n_files = n;
}

void spool_forget_file(struct spool *spool, struct spool_file *file)
{
	spool_set_bytes(spool, file, 0);
	file->state = SPOOL_FILE_GONE;
	spool_sweep(spool);
}

static struct spool_file *oldest_loaded(const struct spool *spool)
{
	struct spool_file *oldest = NULL;

	for (unsigned i = 0; i < spool->n_files; i++) {
		struct spool_file *file = spool->files[i];

		if (file->state == SPOOL_FILE_LOADED &&
			(!oldest || file->changed_us < oldest->changed_us)) {
			oldest = file;
		}
	}
	return oldest;
}

int spool_make_room(struct spool *spool, uint64_t bytes, struct error *error)
{
	uint64_t limit = spool->options.max_bytes;

	while (limit > 0 && spool->bytes + bytes > limit) {
		struct spool_file *file = oldest_loaded(spool);

		if (!file) {
			return error_set(error, ERROR_RETRY, "spool", "spool_full",
				"%s: full: %" PRIu64 " of %" PRIu64
				" bytes (max_bytes) hold what is not loaded yet",
				spool->directory, spool->bytes, limit);
		}
		spool_remove_file(spool, file);
	}
	return 0;
}

/* ---- open and free ---- */

/* Make the directory if there is none. What is there keeps its mode. */
static int make_directory(struct spool *spool, struct error *error)
{
	const char *path = spool->directory;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		return error_errno(error, ERROR_RETRY, "spool", errno, path);
	}
	spool->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->dir < 0) {
		return error_errno(error, ERROR_RETRY, "spool", errno, path);
	}
	return 0;
}

static int refuse_lock(const struct spool *spool, struct error *error)
{
	char pid[32] = "";
	ssize_t n = pread(spool->lock, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return error_set(error, ERROR_RETRY, "spool", "locked",
		"%s: in use by another process (%s%s)", spool->directory, *pid ? "pid " : "unknown",
		pid);
}

static int take_lock(struct spool *spool, struct error *error)
{
	char pid[32];
	int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	spool->lock = openat(spool->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (spool->lock < 0) {
		return spool_disk_error(spool, "lock", "opening", errno, error);
	}
	if (flock(spool->lock, LOCK_EX | LOCK_NB) < 0) {
		return errno == EWOULDBLOCK
			? refuse_lock(spool, error)
			: spool_disk_error(spool, "lock", "locking", errno, error);
	}
	/* Only told to people: the lock itself is what counts, also on a full disk. */
	if (ftruncate(spool->lock, 0) == 0) {
		(void)!pwrite(spool->lock, pid, (size_t)len, 0);
	}
	return 0;
}

static int make_id(struct spool *spool, const char *path, struct error *error)
{
	char line[SPOOL_UUID_BYTES + 1];
	int r = spool_uuid_new(spool->holder);

	if (r < 0) {
		return error_errno(error, ERROR_RETRY, "spool", -r, "random bytes");
	}
	snprintf(line, sizeof(line), "%s\n", spool->holder);
	return atomic_file_write(path, line, strlen(line), error);
}

static int read_id(struct spool *spool, struct error *error)
{
	_cleanup_buffer_ struct buffer text = {0};
	char path[PATH_MAX + 4];
	struct error problem = {0};

	snprintf(path, sizeof(path), "%s/id", spool->directory);
	if (atomic_file_read(path, ID_LIMIT_BYTES, &text, &problem) < 0) {
		return strcmp(problem.code, "ENOENT") == 0
			? make_id(spool, path, error)
			: error_set(
				  error, problem.class, "spool", problem.code, "%s", problem.text);
	}
	if (text.len > 0 && text.data[text.len - 1] == '\n') {
		text.data[--text.len] = '\0';
	}
	if (!spool_uuid_is_valid(buffer_str(&text))) {
		return error_set(error, ERROR_REJECTED, "spool", "bad_id",
			"%s: holds no UUID; remove it to get a new one", path);
	}
	memcpy(spool->holder, text.data, sizeof(spool->holder));
	return 0;
}

static int open_all(struct spool *spool, struct error *error)
{
	if (make_directory(spool, error) < 0 || take_lock(spool, error) < 0 ||
		read_id(spool, error) < 0) {
		return -1;
	}
	return spool_scan(spool, error);
}

int spool_open(uv_loop_t *loop, const struct spool_options *options, struct spool **ret,
	struct error *error)
{
	struct spool *spool = calloc(1, sizeof(*spool));

	if (!spool) {
		return error_no_memory(error, "spool");
	}
	spool->loop = loop;
	spool->options = *options;
	if (spool->options.page_bytes == 0) {
		spool->options.page_bytes = default_page_bytes;
	}
	spool->dir = spool->lock = -1;
	spool->n_refs = 1;
	spool->directory = strdup(options->directory);
	spool->options.directory = spool->directory;
	if (!spool->directory) {
		spool_unref(spool);
		return error_no_memory(error, "spool");
	}
	if (open_all(spool, error) < 0) {
		spool_unref(spool);
		return -1;
	}
	*ret = spool;
	return 0;
}

struct spool *spool_ref(struct spool *spool)
{
	spool->n_refs++;
	return spool;
}

void spool_unref(struct spool *spool)
{
	assert(spool->n_refs > 0);
	if (--spool->n_refs > 0) {
		return;
	}
	for (unsigned i = 0; i < spool->n_files; i++) {
		free(spool->files[i]);
	}
	free(spool->files);
	if (spool->dir >= 0) {
		close(spool->dir);
	}
	if (spool->lock >= 0) {
		close(spool->lock);
	}
	free(spool->directory);
	free(spool);
}

struct spool *spool_free(struct spool *spool)
{
	if (spool) {
		spool_unref(spool);
	}
	return NULL;
}

void spool_reconfigure(struct spool *spool, const struct spool_options *options)
{
	spool->options.max_bytes = options->max_bytes;
	spool->options.keep_ms = options->keep_ms;
	spool->options.page_bytes = options->page_bytes;
}

const char *spool_directory(const struct spool *spool)
{
	return spool->directory;
}

const char *spool_holder(const struct spool *spool)
{
	return spool->holder;
}

struct spool_stats spool_stats(const struct spool *spool)
{
	struct spool_stats stats = {.bytes = spool->bytes,
		.limit_bytes = spool->options.max_bytes,
		.unloaded_bytes = spool->bytes};

	for (unsigned i = 0; i < spool->n_files; i++) {
		switch (spool->files[i]->state) {
		case SPOOL_FILE_WRITING:
		case SPOOL_FILE_INTERRUPTED:
		case SPOOL_FILE_COMMITTING:
			stats.n_part++;
			break;
		case SPOOL_FILE_READY:
			stats.n_ready++;
			break;
		case SPOOL_FILE_MARKING:
		case SPOOL_FILE_LOADED:
			stats.n_loaded++;
			stats.unloaded_bytes -= spool->files[i]->bytes;
			break;
		case SPOOL_FILE_DAMAGED:
			stats.n_damaged++;
			break;
		case SPOOL_FILE_GONE:
			break;
		}
	}
	return stats;
}
