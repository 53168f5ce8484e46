/*
 * A map from bytes to a number. SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing over a power of two of slots, at most three quarters full.
 * A slot keeps the whole hash: a chain is walked without touching keys, and growing without hashing
 * again. XXH3 is not keyed here: the names come from one portal, which gains nothing by collisions.
 */

#include "lib/hashmap.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "lib/arena.h"

enum { FIRST_SLOTS = 64 };

struct slot {
	const void *key; /* in the arena; NULL: free */
	uint64_t hash;
	uint32_t len;
	uint32_t value;
};

struct hashmap {
	struct slot *slots;
	size_t n_slots; /* a power of two */
	size_t n_keys;
	struct arena keys;
};

int hashmap_new(struct hashmap **ret)
{
	struct hashmap *map = calloc(1, sizeof(*map));

	if (!map) {
		return -ENOMEM;
	}
	map->n_slots = FIRST_SLOTS;
	map->slots = calloc(map->n_slots, sizeof(*map->slots));
	if (!map->slots) {
		hashmap_free(map);
		return -ENOMEM;
	}
	*ret = map;
	return 0;
}

struct hashmap *hashmap_free(struct hashmap *map)
{
	if (map) {
		arena_fini(&map->keys);
		free(map->slots);
		free(map);
	}
	return NULL;
}

static bool is_key(const struct slot *slot, uint64_t hash, const void *key, size_t len)
{
	return slot->hash == hash && slot->len == len &&
		(len == 0 || memcmp(slot->key, key, len) == 0);
}

/* The slot of the key, or the free one where it belongs. There is always a free one. */
static struct slot *find(const struct hashmap *map, uint64_t hash, const void *key, size_t len)
{
	size_t mask = map->n_slots - 1, i = hash & mask;

	while (map->slots[i].key && !is_key(&map->slots[i], hash, key, len)) {
		i = (i + 1) & mask;
	}
	return &map->slots[i];
}

static int grow(struct hashmap *map)
{
	size_t n = map->n_slots * 2, mask = n - 1, at;
	struct slot *slots = calloc(n, sizeof(*slots));

	if (!slots) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < map->n_slots; i++) {
		if (!map->slots[i].key) {
			continue;
		}
		at = map->slots[i].hash & mask;
		while (slots[at].key) {
			at = (at + 1) & mask;
		}
		slots[at] = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->n_slots = n;
	return 0;
}

int hashmap_put(struct hashmap *map, const void *key, size_t len, uint32_t value)
{
	uint64_t hash = XXH3_64bits(key, len);
	struct slot *slot = find(map, hash, key, len);
	const void *copy;

	if (slot->key) {
		slot->value = value;
		return 0;
	}
	copy = len <= UINT32_MAX ? arena_copy(&map->keys, key, len) : NULL;
	if (!copy) {
		return -ENOMEM;
	}
	if ((map->n_keys + 1) * 4 > map->n_slots * 3) {
		if (grow(map) < 0) {
			return -ENOMEM; /* the copy of the key is lost until the map is freed */
		}
		slot = find(map, hash, key, len);
	}
	*slot = (struct slot){.key = copy, .hash = hash, .len = (uint32_t)len, .value = value};
	map->n_keys++;
	return 0;
}

bool hashmap_get(const struct hashmap *map, const void *key, size_t len, uint32_t *ret_value)
{
	const struct slot *slot = find(map, XXH3_64bits(key, len), key, len);

	if (!slot->key) {
		return false;
	}
	*ret_value = slot->value;
	return true;
}

size_t hashmap_count(const struct hashmap *map)
{
	return map->n_keys;
}

size_t hashmap_memory_bytes(const struct hashmap *map)
{
	return sizeof(*map) + map->n_slots * sizeof(*map->slots) + map->keys.used_bytes;
}
