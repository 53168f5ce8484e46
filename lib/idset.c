/*
 * A set of many 64-bit hashes. SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing. The six highest bits of a hash choose the shard, the 32 below
 * them the place, by multiplying with the shard's size instead of a division; so sizes need not be
 * powers of two, and a shard that grows is copied in its order. Above 4/5 full a shard grows by a
 * fifth: between 2/3 and 4/5 of the slots are used, and each member was moved five times at most on
 * the average.
 */

#include "lib/idset.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { FIRST_SLOTS = 16 };

static uint64_t member_of(uint64_t hash)
{
	uint64_t member = hash & ~(uint64_t)IDSET_MARKS;

	return member ? member : IDSET_MARKS + 1; /* 0 means empty */
}

static uint64_t *find(const struct idset_shard *shard, uint64_t member)
{
	uint64_t at = ((member >> 26 & UINT32_MAX) * shard->size) >> 32;
	uint64_t *slot = &shard->slots[at];
	uint64_t *end = &shard->slots[shard->size];

	while (*slot && (*slot & ~(uint64_t)IDSET_MARKS) != member) {
		slot = slot + 1 == end ? shard->slots : slot + 1;
	}
	return slot;
}

static bool is_full(const struct idset_shard *shard)
{
	return (uint64_t)(shard->used + 1) * 5 > (uint64_t)shard->size * 4;
}

static int grow(struct idset_shard *shard)
{
	uint32_t size = shard->size ? shard->size + shard->size / 5 + 1 : FIRST_SLOTS;
	struct idset_shard bigger = {.size = size, .used = shard->used};

	if (size < shard->size) {
		return -ENOMEM;
	}
	bigger.slots = calloc(size, sizeof(*bigger.slots));
	if (!bigger.slots) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < shard->size; i++) {
		if (shard->slots[i]) {
			uint64_t member = shard->slots[i] & ~(uint64_t)IDSET_MARKS;

			*find(&bigger, member) = shard->slots[i];
		}
	}
	free(shard->slots);
	*shard = bigger;
	return 0;
}

int idset_add(struct idset *set, uint64_t hash, unsigned marks)
{
	uint64_t member = member_of(hash);
	struct idset_shard *shard = &set->shards[member >> 58];
	uint64_t *slot;
	int had;

	if (is_full(shard) && grow(shard) < 0) {
		return -ENOMEM;
	}
	slot = find(shard, member);
	had = (int)(*slot & IDSET_MARKS);
	shard->used += !*slot;
	*slot |= member | marks;
	return had;
}

unsigned idset_mark(struct idset *set, uint64_t hash, unsigned add, unsigned remove)
{
	uint64_t member = member_of(hash);
	uint64_t *slot = find(&set->shards[member >> 58], member);
	unsigned had = *slot & IDSET_MARKS;

	*slot = (*slot & ~(uint64_t)remove) | add;
	return had;
}

void idset_unmark(struct idset *set, unsigned marks)
{
	for (unsigned s = 0; s < IDSET_SHARDS; s++) {
		for (uint32_t i = 0; i < set->shards[s].size; i++) {
			set->shards[s].slots[i] &= ~(uint64_t)marks;
		}
	}
}

void idset_clear(struct idset *set)
{
	for (unsigned s = 0; s < IDSET_SHARDS; s++) {
		struct idset_shard *shard = &set->shards[s];

		if (shard->slots) {
			memset(shard->slots, 0, shard->size * sizeof(*shard->slots));
		}
		shard->used = 0;
	}
}

void idset_fini(struct idset *set)
{
	for (unsigned s = 0; s < IDSET_SHARDS; s++) {
		free(set->shards[s].slots);
	}
	*set = (struct idset){0};
}

size_t idset_memory_bytes(const struct idset *set)
{
	size_t bytes = sizeof(*set);

	for (unsigned s = 0; s < IDSET_SHARDS; s++) {
		bytes += set->shards[s].size * sizeof(*set->shards[s].slots);
	}
	return bytes;
}
