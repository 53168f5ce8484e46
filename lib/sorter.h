#pragma once

/*
 * Sorts any number of byte strings within a fixed memory. SPDX-License-Identifier: Apache-2.0
 *
 * Items are collected in memory; when the limit is reached they are sorted and written to a
 * temporary file (without a name) in `directory`; in the end the sorted runs are merged. Nothing is
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

enum { SORTER_MIN_MEMORY_BYTES = 16 * 1024, SORTER_MAX_ITEM_BYTES = 1024 * 1024 };

typedef int (*sorter_compare_fn)(const void *a, size_t a_len, const void *b, size_t b_len,
	const void *arg);

/* A number that must never say otherwise than compare: prefix(a) < prefix(b) means a before b. */
typedef uint64_t (*sorter_prefix_fn)(const void *item, size_t len, const void *arg);

struct sorter_options {
	size_t memory_bytes; /* for items, index and merge buffers together */
	const char *directory; /* for temporary files; borrowed until sorter_free */
	sorter_compare_fn compare;
	sorter_prefix_fn prefix; /* spares most calls of compare; NULL: none */
	const void *arg; /* for compare and prefix */
};

/* The first 8 bytes as a number, for items that compare as memcmp() does. A sorter_prefix_fn. */
uint64_t sorter_prefix_bytes(const void *item, size_t len, const void *arg);

/* -EINVAL: less than SORTER_MIN_MEMORY_BYTES. The memory is reserved, and used as items come. */
int sorter_new(const struct sorter_options *options, struct sorter **ret) must_check; /* -errno */
struct sorter *sorter_free(struct sorter *sorter);

/*
 * Copy an item in. Returns 0, 1 when the memory is full (not taken: spill, then add again), or
 * -EMSGSIZE when it is longer than 1 MiB or about a quarter of the memory: two must fit beside each
 * other in a merge. What compare() is given later is not aligned.
 */
int sorter_add(struct sorter *sorter, const void *item, size_t len) must_check;

/* Sort what is held and write it out. Blocks. After an error only sorter_free() may follow. */
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
unsigned sorter_runs(const struct sorter *sorter); /* sorted runs that were written; 0: all fitted */
