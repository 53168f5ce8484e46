#pragma once

/*
 * A map from bytes to a number. SPDX-License-Identifier: Apache-2.0
 *
 * Keys are copied into the map and stay until it is freed; there is no removal. The number is
 * usually an index into an array of the caller.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"

struct hashmap;

int hashmap_new(struct hashmap **ret) must_check; /* 0 or -ENOMEM */
struct hashmap *hashmap_free(struct hashmap *map); /* takes NULL, returns NULL */

/* Remember `value`, instead of an older one. Returns 0, or -ENOMEM and then nothing has changed. */
int hashmap_put(struct hashmap *map, const void *key, size_t len, uint32_t value) must_check;

/* True when the key is there. *ret_value is written only then. */
bool hashmap_get(const struct hashmap *map, const void *key, size_t len, uint32_t *ret_value);

size_t hashmap_count(const struct hashmap *map);
size_t hashmap_memory_bytes(const struct hashmap *map); /* close to what it has allocated */
