#pragma once

/*
 * What the two halves of the sorter share: sorter.c collects and spills, sorter_merge.c merges.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "lib/sorter.h"

enum {
	BLOCK_MAX_BYTES = 64 * 1024, /* of one read or write */
	BLOCK_LOW_BYTES = 16 * 1024, /* smaller reads only to save a pass over the data */
	LENGTH_BYTES = sizeof(uint32_t),
	FIRST_RUNS = 16,
};

struct entry {
	uint64_t prefix;
	const unsigned char *item; /* its length, then its bytes */
};

/* A sorted stretch of the temporary file. */
struct run {
	off_t at;
	uint64_t bytes;
};

/* Where the merge stands in a run. The head item begins at buf + pos and is there as a whole. */
struct cursor {
	uint64_t prefix;
	unsigned char *buf;
	size_t pos, len;
	off_t next;    /* in the file: behind what the buffer holds */
	uint64_t left; /* bytes of the run from there on */
	unsigned number;
};

enum sorter_state { SORTER_COLLECTING, SORTER_IN_MEMORY, SORTER_MERGING };

struct sorter {
	struct sorter_options options;
	enum sorter_state state;
	int fd; /* -1 until the first spill */
	off_t end;
	struct run *runs;
	unsigned n_runs, size_runs, n_spilled;
	uint64_t n_items;
	size_t max_item_bytes; /* the longest that came, length included */

	unsigned char *region;
	size_t block_bytes, n_block; /* of the output block at the start, and used of it */
	unsigned char *items_end;
	struct entry *index; /* n_index entries; while collecting the latest comes first */
	size_t n_index, next_index;

	struct cursor *cursors;
	struct cursor **heap; /* the least head is heap[0] */
	unsigned n_heap;
	size_t buffer_bytes;
	bool taken; /* heap[0] has been handed out */
};

static inline uint32_t item_len(const unsigned char *item)
{
	uint32_t len;

	memcpy(&len, item, sizeof(len));
	return len;
}

static inline size_t room_bytes(const struct sorter *sorter)
{
	return sorter->options.memory_bytes - sorter->block_bytes;
}

/* The order of two items of which the prefixes are known. */
static inline int compare_items(const struct sorter *sorter, uint64_t a_prefix, const unsigned char *a,
	uint64_t b_prefix, const unsigned char *b)
{
	if (a_prefix != b_prefix) {
		return a_prefix < b_prefix ? -1 : 1;
	}
	return sorter->options.compare(
		a + LENGTH_BYTES, item_len(a), b + LENGTH_BYTES, item_len(b), sorter->options.arg);
}

/* ---- sorter.c: the temporary file ---- */

int sorter_disk_error(const struct sorter *sorter, int err, const char *what, struct error *error);

/* Append an item, its length included, to the run that is being written; flush ends the run. */
int sorter_put_item(struct sorter *sorter, const unsigned char *item, struct error *error)
	must_check;
int sorter_flush(struct sorter *sorter, struct error *error) must_check;

/* ---- sorter_merge.c ---- */

/* Merge neighbouring runs until all that are left can be merged at once. */
int sorter_merge_until_they_fit(struct sorter *sorter, struct error *error) must_check;

/* Open cursors on n neighbouring runs; the buffers share what memory there is. */
int sorter_merge_open(struct sorter *sorter, unsigned first, unsigned n, struct error *error)
	must_check;

/* The least item of all open runs, with its length before it. Returns 1, 0 at the end, -1. */
int sorter_merge_next(struct sorter *sorter, const unsigned char **ret_item, struct error *error)
	must_check;
