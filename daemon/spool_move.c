/*
 * Renaming and removing files of the spool, in the thread pool. SPDX-License-Identifier: Apache-2.0
 *
 * A rename counts when the directory is synced. When that fails it is taken back, so that the name
 * on the disk and the table agree. The time of the file is set first: the age of a .loaded file
 * counts from its load.
 *
 * A job has copies of the names and a reference to the spool, nothing else of it: the table
 * is looked at again when the job has ended, on the loop. A file whose removal fails comes back at
 * the next start.
 */

#include "daemon/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int spool_rename_synced(int dir, const char *from, const char *to)
{
	int err;

	if (renameat(dir, from, dir, to) < 0) {
		return -errno;
	}
	if (fsync(dir) < 0) {
		err = errno;
		(void)renameat(dir, to, dir, from);
		return -err;
	}
	return 0;
}

/* ---- renaming ---- */

struct move {
	uv_work_t work;
	struct spool *spool;
	char uuid[SPOOL_UUID_BYTES];
	char from[SPOOL_FILE_NAME_BYTES], to[SPOOL_FILE_NAME_BYTES];
	enum spool_file_state before, after;
	struct error error;    /* set from the start: nothing is to be done but say so */
	spool_done_fn on_done; /* or NULL */
	void *arg;
};

static void move_in_pool(uv_work_t *work)
{
	struct move *move = container_of(work, struct move, work);
	int dir = move->spool->dir, r;

	if (error_is_set(&move->error) || strcmp(move->from, move->to) == 0) {
		return;
	}
	(void)utimensat(dir, move->from, NULL, AT_SYMLINK_NOFOLLOW);
	r = spool_rename_synced(dir, move->from, move->to);
	if (r == -ENOENT && faccessat(dir, move->to, F_OK, 0) == 0) {
		r = 0; /* asked for twice */
	}
	if (r < 0) {
		spool_disk_error(move->spool, move->from, "renaming", -r, &move->error);
	}
}

static void settle(struct move *move)
{
	struct spool_file *file = spool_find_file(move->spool, move->uuid);

	if (!file || strcmp(move->from, move->to) == 0) {
		return;
	}
	file->state = error_is_set(&move->error) ? move->before : move->after;
}

static void on_moved(uv_work_t *work, int status)
{
	struct move *move = container_of(work, struct move, work);

	if (status < 0) {
		error_set(&move->error, ERROR_CANCELED, "spool", "canceled", "%s: canceled",
			move->from);
	}
	settle(move);
	spool_unref(move->spool);
	if (move->on_done) {
		move->on_done(move->arg, error_is_set(&move->error) ? &move->error : NULL);
	}
	free(move);
}

static int start_move(struct spool *spool, struct move *take_move)
{
	take_move->spool = spool_ref(spool);
	return uv_queue_work(spool->loop, &take_move->work, move_in_pool, on_moved);
}

static struct move *move_new(const char *uuid, spool_done_fn on_done, void *arg)
{
	struct move *move = calloc(1, sizeof(*move));

	if (move) {
		snprintf(move->uuid, sizeof(move->uuid), "%s", uuid);
		move->on_done = on_done;
		move->arg = arg;
	}
	return move;
}

int64_t spool_now_us(void)
{
	struct timespec now;

	/* The clock by which the kernel dates files, not a finer one: these are compared. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void not_there(const struct spool *spool, struct move *move)
{
	error_set(&move->error, ERROR_REJECTED, "spool", "not_found",
		"%s: holds no such file that is ready: %s", spool->directory, move->uuid);
}

int spool_mark_loaded(struct spool *spool, const char *uuid, spool_done_fn on_done, void *arg)
{
	struct spool_file *file = spool_find_file(spool, uuid);
	struct move *move = move_new(uuid, on_done, arg);

	if (!move) {
		return -ENOMEM;
	}
	if (file && (file->state == SPOOL_FILE_READY || file->state == SPOOL_FILE_MARKING)) {
		spool_file_name(file, SPOOL_READY, move->from);
		spool_file_name(file, SPOOL_LOADED, move->to);
		move->before = SPOOL_FILE_READY;
		move->after = SPOOL_FILE_LOADED;
		file->state = SPOOL_FILE_MARKING;
		file->changed_us = spool_now_us();
	} else if (!file || file->state != SPOOL_FILE_LOADED) {
		not_there(spool, move);
	}
	return start_move(spool, move);
}

int spool_set_aside(struct spool *spool, const char *uuid, spool_done_fn on_done, void *arg)
{
	struct spool_file *file = spool_find_file(spool, uuid);
	struct move *move = move_new(uuid, on_done, arg);

	if (!move) {
		return -ENOMEM;
	}
	if (file &&
		(file->state == SPOOL_FILE_READY || file->state == SPOOL_FILE_LOADED ||
			file->state == SPOOL_FILE_INTERRUPTED)) {
		spool_file_name(file, spool_file_suffix(file), move->from);
		spool_file_name(file, SPOOL_DAMAGED, move->to);
		move->before = file->state;
		move->after = SPOOL_FILE_DAMAGED;
		file->state = SPOOL_FILE_DAMAGED;
		file->changed_us = spool_now_us();
	} else if (!file || file->state != SPOOL_FILE_DAMAGED) {
		not_there(spool, move);
	}
	return start_move(spool, move);
}

/* ---- removing ---- */

struct removal {
	uv_work_t work;
	struct spool *spool;
	struct buffer names; /* each with its NUL */
};

static void unlink_names(int dir, const struct buffer *names)
{
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		(void)unlinkat(dir, names->data + at, 0);
	}
}

static void remove_in_pool(uv_work_t *work)
{
	struct removal *removal = container_of(work, struct removal, work);

	unlink_names(removal->spool->dir, &removal->names);
}

static void on_removed(uv_work_t *work, int status)
{
	struct removal *removal = container_of(work, struct removal, work);

	(void)status;
	spool_unref(removal->spool);
	buffer_fini(&removal->names);
	free(removal);
}

/* Take a file out of the table and note its name. Without memory it is removed here and now. */
static void forget_and_note(struct spool *spool, struct spool_file *file, struct buffer *names)
{
	char name[SPOOL_FILE_NAME_BYTES];

	spool_file_name(file, spool_file_suffix(file), name);
	spool_forget_file(spool, file);
	if (buffer_reserve(names, strlen(name) + 1)) {
		buffer_append(names, name, strlen(name) + 1);
		return;
	}
	names->failed = false;
	(void)unlinkat(spool->dir, name, 0);
}

static void remove_names(struct spool *spool, struct buffer *take_names)
{
	struct removal *removal = take_names->len > 0 ? calloc(1, sizeof(*removal)) : NULL;

	if (!removal) {
		unlink_names(spool->dir, take_names);
		buffer_fini(take_names);
		return;
	}
	removal->names = *take_names;
	removal->spool = spool_ref(spool);
	(void)uv_queue_work(spool->loop, &removal->work, remove_in_pool, on_removed);
}

void spool_remove_file(struct spool *spool, struct spool_file *file)
{
	struct buffer names = {0};

	forget_and_note(spool, file, &names);
	remove_names(spool, &names);
}

void spool_drop(struct spool *spool, const char *uuid)
{
	struct spool_file *file = spool_find_file(spool, uuid);

	if (file && file->state == SPOOL_FILE_READY) {
		spool_remove_file(spool, file);
	}
}

void spool_prune(struct spool *spool, int64_t now)
{
	struct buffer names = {0};

	if (spool->options.keep_ms > INT64_MAX / 1000) {
		return;
	}
	for (unsigned i = spool->n_files; i-- > 0;) {
		struct spool_file *file = spool->files[i];
		bool is_old = now - file->changed_us > (int64_t)spool->options.keep_ms * 1000;

		if (is_old &&
			(file->state == SPOOL_FILE_LOADED || file->state == SPOOL_FILE_DAMAGED)) {
			forget_and_note(spool, file, &names);
		}
	}
	remove_names(spool, &names);
}
