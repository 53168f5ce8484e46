/*
 * What the spool holds at the start. SPDX-License-Identifier: Apache-2.0
 *
 * Every file named as ours is put into the table. Only the header of a .ready or .loaded file
 * is read (its pages are verified when they are used). A .part is what a crash left: it is verified
 * block by block and
 *
 *	no header, and nothing behind one	removed: nothing was in it
 *	a whole outcome at its end		only the rename was missing: synced, becomes .ready
 *	else					cut after the last whole block: interrupted
 *
 * A file whose header cannot be read, though there is more than a header, is set aside as .damaged:
 * it must neither stop the daemon nor be thrown away by a program.
 *
 * Failure modes: the directory cannot be read or changed, or memory or descriptors are short. Then
 * the spool does not open. Names that are not ours are left alone.
 */

#include "daemon/spool_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A torn file smaller than this can hold no page worth keeping. */
enum { SMALLEST_BYTES = 4096 };

struct found {
	struct spool_name name;
	char text[SPOOL_FILE_NAME_BYTES];
	struct stat st;
	struct spool_file file;
};

static enum spool_file_state state_of(enum spool_suffix suffix)
{
	switch (suffix) {
	case SPOOL_PART:
		return SPOOL_FILE_INTERRUPTED;
	case SPOOL_READY:
		return SPOOL_FILE_READY;
	case SPOOL_LOADED:
		return SPOOL_FILE_LOADED;
	case SPOOL_DAMAGED:
		return SPOOL_FILE_DAMAGED;
	}
	return SPOOL_FILE_DAMAGED;
}

static int keep(struct spool *spool, const struct found *found, struct error *error)
{
	return spool_add_file(spool, &found->file) ? 0 : error_no_memory(error, "spool");
}

static int rename_found(
	struct spool *spool, struct found *found, enum spool_suffix suffix, struct error *error)
{
	char to[SPOOL_FILE_NAME_BYTES];
	int r;

	spool_file_name(&found->file, suffix, to);
	r = spool_rename_synced(spool->dir, found->text, to);
	if (r < 0) {
		return spool_disk_error(spool, found->text, "renaming", -r, error);
	}
	found->file.state = state_of(suffix);
	return keep(spool, found, error);
}

/* Read it as far as `extent` says. 1: not to be read, and dealt with. */
static int open_found(
	struct spool *spool, struct found *found, struct spool_reader **ret, struct error *error)
{
	struct error problem = {0};

	if (spool_read_file(spool, &found->file, SPOOL_EXTENT_PAGES, ret, &problem) == 0) {
		return 0;
	}
	if (strcmp(problem.code, "damaged") != 0 && strcmp(problem.code, "EIO") != 0) {
		return error_set(error, problem.class, "spool", problem.code, "%s", problem.text);
	}
	if (found->name.suffix == SPOOL_PART && found->st.st_size < SMALLEST_BYTES) {
		(void)unlinkat(spool->dir, found->text, 0);
		return 1;
	}
	return rename_found(spool, found, SPOOL_DAMAGED, error) < 0 ? -1 : 1;
}

/* ---- .ready, .loaded, .damaged ---- */

static int scan_whole(struct spool *spool, struct found *found, struct error *error)
{
	struct spool_reader *reader;
	int r;

	if (found->name.suffix == SPOOL_DAMAGED) {
		return keep(spool, found, error);
	}
	r = open_found(spool, found, &reader, error);
	if (r != 0) {
		return r < 0 ? -1 : 0;
	}
	found->file.started_us = spool_reader_header(reader)->started_us;
	spool_reader_free(reader);
	return keep(spool, found, error);
}

/* ---- .part ---- */

/* Cut the torn tail off. The time of the last write is kept: it decides what may be resumed. */
static int cut_tail(struct spool *spool, struct found *found, int fd, struct error *error)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, found->st.st_mtim};

	if (ftruncate(fd, (off_t)found->file.whole_bytes) < 0) {
		return spool_disk_error(spool, found->text, "cutting its torn end", errno, error);
	}
	(void)futimens(fd, times);
	return 0;
}

static int finish_commit(struct spool *spool, struct found *found, int fd, struct error *error)
{
	if (fdatasync(fd) < 0) {
		return spool_disk_error(spool, found->text, "syncing", errno, error);
	}
	return rename_found(spool, found, SPOOL_READY, error);
}

static int settle_part(
	struct spool *spool, struct found *found, bool has_outcome, struct error *error)
{
	struct spool_file *file = &found->file;
	int fd, r = 0;

	file->cut_bytes = file->bytes - file->whole_bytes;
	if (!has_outcome && file->cut_bytes == 0) {
		return keep(spool, found, error);
	}
	fd = openat(spool->dir, found->text, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		return spool_disk_error(spool, found->text, "opening", errno, error);
	}
	if (has_outcome) {
		r = finish_commit(spool, found, fd, error);
	} else {
		r = cut_tail(spool, found, fd, error);
		file->bytes = file->whole_bytes;
		r = r < 0 ? r : keep(spool, found, error);
	}
	close(fd);
	return r;
}

static int scan_part(struct spool *spool, struct found *found, struct error *error)
{
	struct spool_reader *reader;
	struct spool_extent extent;
	int r = open_found(spool, found, &reader, error);

	if (r != 0) {
		return r < 0 ? -1 : 0;
	}
	found->file.started_us = spool_reader_header(reader)->started_us;
	r = spool_reader_measure(reader, &extent, error);
	spool_reader_free(reader);
	if (r < 0) {
		return -1;
	}
	found->file.whole_bytes = extent.whole_bytes;
	found->file.pages = extent.pages;
	found->file.rows = extent.rows;
	found->file.total = extent.total;
	found->file.updated = extent.updated;
	return settle_part(spool, found, extent.has_outcome, error);
}

/* ---- the directory ---- */

static int scan_name(struct spool *spool, const char *text, struct error *error)
{
	struct found found;

	if (!spool_name_parse(text, &found.name)) {
		return 0;
	}
	snprintf(found.text, sizeof(found.text), "%s", text);
	if (fstatat(spool->dir, text, &found.st, AT_SYMLINK_NOFOLLOW) < 0) {
		return spool_disk_error(spool, text, "looking at it", errno, error);
	}
	if (!S_ISREG(found.st.st_mode)) {
		return 0;
	}
	found.file = (struct spool_file){
		.state = state_of(found.name.suffix),
		.run = found.name.run,
		.changed_us = (int64_t)found.st.st_mtim.tv_sec * 1000000 +
			found.st.st_mtim.tv_nsec / 1000,
		.bytes = (uint64_t)found.st.st_size,
		.whole_bytes = (uint64_t)found.st.st_size,
	};
	memcpy(found.file.uuid, found.name.uuid, sizeof(found.file.uuid));
	return found.name.suffix == SPOOL_PART ? scan_part(spool, &found, error)
					       : scan_whole(spool, &found, error);
}

static void closedirp(DIR **dir)
{
	if (*dir) {
		closedir(*dir);
	}
}

/* The names first: files are renamed on the way, and readdir(3) may then show them twice. */
static int list_names(struct spool *spool, struct buffer *names, struct error *error)
{
	_cleanup_(closedirp) DIR *dir = opendir(spool->directory);
	const struct dirent *entry;

	if (!dir) {
		return error_errno(error, ERROR_RETRY, "spool", errno, spool->directory);
	}
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		buffer_append(names, entry->d_name, strlen(entry->d_name) + 1);
	}
	if (errno != 0) {
		return error_errno(error, ERROR_RETRY, "spool", errno, spool->directory);
	}
	return buffer_failed(names) ? error_no_memory(error, "spool") : 0;
}

int spool_scan(struct spool *spool, struct error *error)
{
	_cleanup_buffer_ struct buffer names = {0};

	if (list_names(spool, &names, error) < 0) {
		return -1;
	}
	for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1) {
		if (scan_name(spool, names.data + at, error) < 0) {
			return -1;
		}
	}
	return 0;
}
