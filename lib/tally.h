#pragma once

/*
 * Counts by 64-bit hash, emptied and filled again at no cost. SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"

struct tally_entry {
	uint64_t hash;
	uint32_t count;
	uint32_t stamp; /* of an earlier filling: not there */
};

/* {0} is empty. */
struct tally {
	struct tally_entry *entries;
	size_t size; /* 0 or a power of two */
	size_t used;
	uint32_t stamp;
};

void tally_fini(struct tally *tally);

/* Empty it; the memory stays, and as many hashes as before need no new one. */
void tally_clear(struct tally *tally);

/* The hash's count, 0 when it is new. Borrowed until the next call. NULL when out of memory. */
uint32_t *tally_count(struct tally *tally, uint64_t hash) must_check;

/* Every hash in no order: start with *cursor = 0; NULL at the end. */
const struct tally_entry *tally_next(const struct tally *tally, size_t *cursor);

size_t tally_memory_bytes(const struct tally *tally);
