#pragma once

/*
 * Memory that is given back all at once. SPDX-License-Identifier: Apache-2.0
 *
 * For what lives as long as one batch of records. Blocks are kept over arena_reset(), so a
 * steady state allocates nothing.
 */

#include <stddef.h>

#include "lib/attr.h"

struct arena_block;

struct arena {
	struct arena_block *first, *current;
	size_t used_bytes; /* handed out since the last reset */
};

/* {0} is an empty arena. Alignment is that of max_align_t. NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t bytes) must_check;
void *arena_copy(struct arena *arena, const void *data, size_t bytes) must_check;
void arena_reset(struct arena *arena);
void arena_fini(struct arena *arena);
