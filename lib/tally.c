/*
 * Counts by 64-bit hash. SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing, at most 3/4 full. Emptying is a new stamp: entries with
 * another one count as empty.
 */

#include "lib/tally.h"

#include <stdbool.h>
#include <string.h>

enum { FIRST_ENTRIES = 64 };

static bool is_set(const struct tally *tally, const struct tally_entry *entry)
{
	return entry->stamp == tally->stamp;
}

static struct tally_entry *find(const struct tally *tally, uint64_t hash)
{
	size_t at = hash & (tally->size - 1);

	while (is_set(tally, &tally->entries[at]) && tally->entries[at].hash != hash) {
		at = (at + 1) & (tally->size - 1);
	}
	return &tally->entries[at];
}

static bool grow(struct tally *tally)
{
	struct tally bigger = {
		.size = tally->size ? tally->size * 2 : FIRST_ENTRIES,
		.used = tally->used,
		.stamp = 1, /* calloc's 0 means empty */
	};
	const struct tally_entry *entry;
	size_t cursor = 0;

	bigger.entries = calloc(bigger.size, sizeof(*bigger.entries));
	if (!bigger.entries) {
		return false;
	}
	while ((entry = tally_next(tally, &cursor))) {
		struct tally_entry *place = find(&bigger, entry->hash);

		*place = *entry;
		place->stamp = bigger.stamp;
	}
	free(tally->entries);
	*tally = bigger;
	return true;
}

uint32_t *tally_count(struct tally *tally, uint64_t hash)
{
	struct tally_entry *entry;

	if ((tally->used + 1) * 4 > tally->size * 3 && !grow(tally)) {
		return NULL;
	}
	entry = find(tally, hash);
	if (!is_set(tally, entry)) {
		*entry = (struct tally_entry){.hash = hash, .stamp = tally->stamp};
		tally->used++;
	}
	return &entry->count;
}

const struct tally_entry *tally_next(const struct tally *tally, size_t *cursor)
{
	while (*cursor < tally->size) {
		const struct tally_entry *entry = &tally->entries[(*cursor)++];

		if (is_set(tally, entry)) {
			return entry;
		}
	}
	return NULL;
}

void tally_clear(struct tally *tally)
{
	tally->used = 0;
	if (++tally->stamp == 0 && tally->size > 0) {
		memset(tally->entries, 0, tally->size * sizeof(*tally->entries));
		tally->stamp = 1;
	}
}

void tally_fini(struct tally *tally)
{
	free(tally->entries);
	*tally = (struct tally){0};
}

size_t tally_memory_bytes(const struct tally *tally)
{
	return tally->size * sizeof(*tally->entries);
}
