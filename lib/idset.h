#pragma once

/*
 * A set of many 64-bit hashes, at about 11 bytes each. SPDX-License-Identifier: Apache-2.0
 *
 * The lowest three bits of a hash are not kept: in their place each member has three marks. Two hashes
 * that differ in these bits alone are one member. No deletion. 64 shards grow one by one and by a
 * fifth, so that growing never needs the set twice.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"

enum {
	IDSET_MARK_1 = 1,
	IDSET_MARK_2 = 2,
	IDSET_MARK_3 = 4,
	IDSET_MARKS = 7,
	IDSET_SHARDS = 64,
};

struct idset_shard {
	uint64_t *slots; /* 0 is empty */
	uint32_t size, used;
};

/* {0} is an empty set. The hash must be spread over all its bits. */
struct idset {
	struct idset_shard shards[IDSET_SHARDS];
};

void idset_fini(struct idset *set);

/* Make it a member and add marks; returns those it had (0 if it was no member), or -ENOMEM. */
int idset_add(struct idset *set, uint64_t hash, unsigned marks) must_check;

/* Add marks to a member and take others off; returns those it had. The hash must be a member. */
unsigned idset_mark(struct idset *set, uint64_t hash, unsigned add, unsigned remove);

/* Take marks off all members. */
void idset_unmark(struct idset *set, unsigned marks);

/* Empty it; the memory stays. */
void idset_clear(struct idset *set);

size_t idset_memory_bytes(const struct idset *set);
