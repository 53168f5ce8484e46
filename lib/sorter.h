#pragma once

/*
 * Sorts any number of byte strings within a fixed memory. SPDX-License-Identifier: Apache-2.0
 *
 * Items are collected in memory; when the limit is reached they are sorted and written to a
 * temporary file (unlinked at once) in `directory`; in the end the sorted runs are merged. Nothing is
 * written as long as everything fits. Equal items come out in the order they went in (stable).
 *
 * sorter_add() never touches the disk. sorter_spill() and sorter_finish() may, and touch nothing but
 * the sorter: they may run in the thread pool while nobody else uses it. sorter_next() reads
 * ahead in blocks.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/error.h"

struct sorter;

typedef int (*sorter_compare_fn)(const void *a, size_t a_len, const void *b, size_t b_len,
	const void *arg);

struct sorter_options {
	size_t memory_bytes; /* for items, index and merge buffers together */
	const char *directory; /* for temporary files; borrowed until sorter_free */
	sorter_compare_fn compare;
	const void *arg; /* for compare */
};

int sorter_new(const struct sorter_options *options, struct sorter **ret) must_check; /* -errno */
struct sorter *sorter_free(struct sorter *sorter);

/* Copy an item in. Returns 0, 1 when the memory is full (not taken: spill, then add again), -errno. */
int sorter_add(struct sorter *sorter, const void *item, size_t len) must_check;

/* Sort what is held and write it out. Blocks. */
int sorter_spill(struct sorter *sorter, struct error *error) must_check;

/* No more items. Blocks. */
int sorter_finish(struct sorter *sorter, struct error *error) must_check;

/*
 * The next item in order, borrowed until the next call. Returns 1, 0 at the end, -1 with an error.
 * The end is reached once; sorter_rewind() starts again from the first item.
 */
int sorter_next(struct sorter *sorter, const void **ret_item, size_t *ret_len, struct error *error)
	must_check;
int sorter_rewind(struct sorter *sorter, struct error *error) must_check;

uint64_t sorter_items(const struct sorter *sorter);
unsigned sorter_runs(const struct sorter *sorter); /* temporary files used */
