/*
 * Walking over the files of the spool. SPDX-License-Identifier: Apache-2.0
 *
 * A visitor may do anything to the file that it is shown, and to others. So the walk goes over a
 * copy of the table's pointers, and what is forgotten meanwhile is only marked, and freed when the
 * last walk has ended.
 *
 * Failure modes: a file is gone (somebody removed it by hand): forgotten. Its header is damaged:
 * set aside. Anything else (the disk, memory, descriptors) ends the walk with an error.
 */

#include "daemon/spool_private.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Non-zero ends the walk and is its result; -1 may also mean `error`. */
typedef int (*walk_fn)(
	struct spool *spool, struct spool_file *file, void *arg, struct error *error);

static int walk(struct spool *spool, walk_fn step, void *arg, struct error *error)
{
	unsigned n = spool->n_files;
	_cleanup_free_ struct spool_file **files = NULL;
	int r = 0;

	if (n == 0) {
		return 0;
	}
	files = malloc(n * sizeof(*files));
	if (!files) {
		return error_no_memory(error, "spool");
	}
	memcpy(files, spool->files, n * sizeof(*files));
	spool->n_visits++;
	for (unsigned i = 0; i < n && r == 0; i++) {
		r = step(spool, files[i], arg, error);
	}
	spool->n_visits--;
	spool_sweep(spool);
	return r;
}

/*
 * Returns 1 with the header, 0 when the file is to be passed over: somebody removed it, or it
 * turned out damaged and was set aside. -1 when the disk fails.
 */
static int header_of(
	struct spool *spool, struct spool_file *file, struct spool_header *ret, struct error *error)
{
	struct error problem = {0};
	struct spool_reader *reader;

	if (spool_read_file(spool, file, SPOOL_EXTENT_PAGES, &reader, &problem) == 0) {
		*ret = *spool_reader_header(reader);
		spool_reader_free(reader);
		return 1;
	}
	if (strcmp(problem.code, "ENOENT") == 0) {
		spool_forget_file(spool, file);
		return 0;
	}
	if (strcmp(problem.code, "damaged") == 0 && file->state != SPOOL_FILE_MARKING) {
		return spool_set_aside(spool, file->uuid, NULL, NULL) < 0
			? error_no_memory(error, "spool")
			: 0;
	}
	return error_set(error, problem.class, "spool", problem.code, "%s", problem.text);
}

struct visit {
	spool_visit_fn visit;
	void *arg;
	int64_t loaded_since_us;
};

static bool is_visited(const struct visit *visit, const struct spool_file *file)
{
	if (file->state == SPOOL_FILE_LOADED || file->state == SPOOL_FILE_MARKING) {
		return visit->loaded_since_us > 0 && file->changed_us >= visit->loaded_since_us;
	}
	return file->state == SPOOL_FILE_READY;
}

static int visit_file(struct spool *spool, struct spool_file *file, void *arg, struct error *error)
{
	const struct visit *visit = arg;
	struct spool_entry entry = {
		.bytes = file->bytes, .loaded = file->state != SPOOL_FILE_READY};
	int r;

	if (!is_visited(visit, file)) {
		return 0;
	}
	entry.loaded_us = entry.loaded ? file->changed_us : 0;
	r = header_of(spool, file, &entry.header, error);
	return r > 0 ? visit->visit(visit->arg, &entry) : r;
}

int spool_visit(struct spool *spool, int64_t loaded_since_us, spool_visit_fn visit, void *arg,
	struct error *error)
{
	struct visit context = {.visit = visit, .arg = arg, .loaded_since_us = loaded_since_us};

	return walk(spool, visit_file, &context, error);
}

struct recovery {
	spool_interrupted_fn visit;
	void *arg;
};

static int recover_file(
	struct spool *spool, struct spool_file *file, void *arg, struct error *error)
{
	const struct recovery *recovery = arg;
	struct spool_interrupted part = {
		.pages = file->pages,
		.rows = file->rows,
		.total = file->total,
		.updated = file->updated,
		.written_us = file->changed_us,
		.bytes = file->whole_bytes,
		.cut_bytes = file->cut_bytes,
	};
	int r;

	if (file->state != SPOOL_FILE_INTERRUPTED) {
		return 0;
	}
	r = header_of(spool, file, &part.header, error);
	return r > 0 ? recovery->visit(recovery->arg, &part) : r;
}

int spool_recover(struct spool *spool, spool_interrupted_fn visit, void *arg, struct error *error)
{
	struct recovery context = {.visit = visit, .arg = arg};

	return walk(spool, recover_file, &context, error);
}

void spool_visit_damaged(const struct spool *spool, spool_damaged_fn visit, void *arg)
{
	char name[SPOOL_FILE_NAME_BYTES], path[PATH_MAX + SPOOL_FILE_NAME_BYTES];

	for (unsigned i = 0; i < spool->n_files; i++) {
		if (spool->files[i]->state == SPOOL_FILE_DAMAGED) {
			spool_file_name(spool->files[i], SPOOL_DAMAGED, name);
			snprintf(path, sizeof(path), "%s/%s", spool->directory, name);
			visit(arg, path);
		}
	}
}
