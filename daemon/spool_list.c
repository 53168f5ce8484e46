/*
 * The files of a spool, for those who do not own it. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: the names of the directory that are ours, with size and time, sorted; each opened when
 * it is wanted.
 *
 * Failure modes: no right to the directory or a file, or no such one: the errno's name, and
 * "not_found". A file that is renamed between the listing and the opening (.part to .ready, .ready
 * to .loaded) is looked for under each name that it may have by now; one that was removed before
 * its size was asked is left out.
 */

#include "daemon/spool_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/spool_private.h"

enum { PATH_BYTES = PATH_MAX + SPOOL_FILE_NAME_BYTES };

const char *spool_suffix_name(enum spool_suffix suffix)
{
	switch (suffix) {
	case SPOOL_PART:
		return "part";
	case SPOOL_READY:
		return "ready";
	case SPOOL_LOADED:
		return "loaded";
	case SPOOL_DAMAGED:
		return "damaged";
	}
	return "unknown";
}

/* ---- listing ---- */

static int compare_found(const void *a, const void *b)
{
	const struct spool_found *x = a, *y = b;

	if (x->name.run != y->name.run) {
		return x->name.run < y->name.run ? -1 : 1;
	}
	return strcmp(x->name.uuid, y->name.uuid);
}

static int add_found(struct spool_list *list, const struct spool_name *name, const struct stat *st)
{
	if (list->n_files == list->size_files) {
		unsigned size = list->size_files ? 2 * list->size_files : 64;
		struct spool_found *files = reallocarray(list->files, size, sizeof(*files));

		if (!files) {
			return -ENOMEM;
		}
		list->files = files;
		list->size_files = size;
	}
	list->files[list->n_files++] = (struct spool_found){
		.name = *name,
		.bytes = (uint64_t)st->st_size,
		.changed_us = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000,
	};
	return 0;
}

static int list_entry(struct spool_list *list, int dir, const char *text)
{
	struct spool_name name;
	struct stat st;

	if (!spool_name_parse(text, &name)) {
		return 0;
	}
	if (fstatat(dir, text, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	return S_ISREG(st.st_mode) ? add_found(list, &name, &st) : 0;
}

static void closedirp(DIR **dir)
{
	if (*dir) {
		closedir(*dir);
	}
}

int spool_list_read(const char *directory, struct spool_list *ret, struct error *error)
{
	_cleanup_(closedirp) DIR *dir = opendir(directory);
	const struct dirent *entry;
	int r = 0;

	*ret = (struct spool_list){.directory = strdup(directory)};
	if (!ret->directory) {
		return error_no_memory(error, "spool");
	}
	if (!dir) {
		return error_errno(error, ERROR_REJECTED, "spool", errno, directory);
	}
	for (errno = 0; r == 0 && (entry = readdir(dir)); errno = 0) {
		r = list_entry(ret, dirfd(dir), entry->d_name);
	}
	r = r == 0 ? -errno : r;
	if (r < 0) {
		return error_errno(error, ERROR_RETRY, "spool", -r, directory);
	}
	if (ret->n_files > 0) {
		qsort(ret->files, ret->n_files, sizeof(*ret->files), compare_found);
	}
	return 0;
}

void spool_list_fini(struct spool_list *list)
{
	free(list->files);
	free(list->directory);
}

/* ---- opening ---- */

int spool_path_open(const char *path, struct spool_reader **ret, struct error *error)
{
	const char *dot = strrchr(path, '.');
	bool part = dot && strcmp(dot, ".part") == 0;
	struct spool_reader_options options = {
		.path = path,
		.extent = part ? SPOOL_EXTENT_PAGES : SPOOL_EXTENT_WHOLE,
		.end = UINT64_MAX,
		.page_bytes = UINT64_MAX,
	};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		return error_set(error, ERROR_REJECTED, "spool", "not_found", "%s: no such file", path);
	}
	if (fd < 0) {
		return error_errno(error, ERROR_REJECTED, "spool", errno, path);
	}
	return spool_reader_open(fd, &options, ret, error) < 0 ? -1 : 0;
}

static int open_as(const struct spool_list *list, const struct spool_found *found,
	enum spool_suffix suffix, struct spool_reader **ret, struct error *error)
{
	struct spool_name name = found->name;
	char text[SPOOL_FILE_NAME_BYTES], path[PATH_BYTES];

	name.suffix = suffix;
	spool_name_format(&name, text);
	snprintf(path, sizeof(path), "%s/%s", list->directory, text);
	return spool_path_open(path, ret, error);
}

int spool_found_open(const struct spool_list *list, struct spool_found *found,
	struct spool_reader **ret, struct error *error)
{
	static const enum spool_suffix later[] = {SPOOL_READY, SPOOL_LOADED, SPOOL_DAMAGED};
	struct error problem = {.class = ERROR_NONE};

	if (open_as(list, found, found->name.suffix, ret, &problem) == 0) {
		return 0;
	}
	for (unsigned i = 0; i < N_ELEMENTS(later) && strcmp(problem.code, "not_found") == 0; i++) {
		struct error again = {.class = ERROR_NONE};

		if (open_as(list, found, later[i], ret, &again) == 0) {
			found->name.suffix = later[i];
			return 0;
		}
		if (strcmp(again.code, "not_found") != 0) {
			problem = again;
		}
	}
	*error = problem;
	return -1;
}

int spool_part_measure(struct spool_reader *reader, uint64_t *ret_bytes, unsigned *ret_pages,
	struct error *error)
{
	struct spool_extent extent;

	if (spool_reader_measure(reader, &extent, error) < 0) {
		return -1;
	}
	*ret_bytes = extent.whole_bytes;
	*ret_pages = extent.pages;
	return 0;
}
