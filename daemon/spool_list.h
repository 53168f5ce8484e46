#pragma once

/*
 * The files of a spool, for those who do not own it. SPDX-License-Identifier: Apache-2.0
 *
 * No lock is taken and nothing is changed, so that it works beside a running daemon and without
 * one. What is listed may be renamed or removed a moment later; opening a file finds it by its new
 * name. Blocks.
 */

#include <stdint.h>

#include "daemon/spool_format.h"

struct spool_found {
	struct spool_name name;
	uint64_t bytes;
	int64_t changed_us;
};

struct spool_list {
	char *directory;
	struct spool_found *files; /* by run, then UUID */
	unsigned n_files, size_files;
};

/* -1: the directory cannot be read; code is the errno's name. Fini in any case. */
int spool_list_read(const char *directory, struct spool_list *ret, struct error *error) must_check;
void spool_list_fini(struct spool_list *list);

/*
 * Open what was found, or is at `path`. A .part has no outcome and is read as far as the file goes:
 * its last page may be torn. Code "not_found" when it is gone, else as spool_read().
 */
int spool_found_open(const struct spool_list *list, struct spool_found *found,
	struct spool_reader **ret, struct error *error) must_check;
int spool_path_open(const char *path, struct spool_reader **ret, struct error *error) must_check;

/* How far a .part is whole: block after block is verified. */
int spool_part_measure(struct spool_reader *reader, uint64_t *ret_bytes, unsigned *ret_pages,
	struct error *error) must_check;

const char *spool_suffix_name(enum spool_suffix suffix); /* "part", "ready", ... */
