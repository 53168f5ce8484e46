/*
 * A map from bytes to a number. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hashmap.h"

static struct hashmap *new_map(void)
{
	struct hashmap *map;

	assert_int_equal(hashmap_new(&map), 0);
	return map;
}

static void finds_what_was_put(void **state)
{
	struct hashmap *map = new_map();
	uint32_t value = 77;
	char key[32];

	(void)state;
	assert_false(hashmap_get(map, "x", 1, &value));
	assert_int_equal(value, 77);
	for (uint32_t i = 0; i < 100000; i++) {
		int len = snprintf(key, sizeof(key), "market %u", i);

		assert_int_equal(hashmap_put(map, key, (size_t)len, i), 0);
		assert_int_equal(hashmap_count(map), i + 1);
		memset(key, 0, sizeof(key)); /* the map has its own copy */
	}
	for (uint32_t i = 0; i < 100000; i++) {
		int len = snprintf(key, sizeof(key), "market %u", i);

		assert_true(hashmap_get(map, key, (size_t)len, &value));
		assert_int_equal(value, i);
	}
	assert_false(hashmap_get(map, "market 100000", 13, &value));
	assert_false(hashmap_get(map, "market", 6, &value));
	assert_true(hashmap_memory_bytes(map) > 100000 * 24);
	assert_true(hashmap_memory_bytes(map) < 100000 * 100);
	hashmap_free(map);
}

static void tells_keys_apart(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} keys[] = {{"", 0}, {"\0", 1}, {"\0\0", 2}, {"a", 1}, {"a\0", 2}, {"A", 1}, {"ab", 2}};
	struct hashmap *map = new_map();
	uint32_t value;

	(void)state;
	for (uint32_t i = 0; i < N_ELEMENTS(keys); i++) {
		assert_false(hashmap_get(map, keys[i].bytes, keys[i].len, &value));
		assert_int_equal(hashmap_put(map, keys[i].bytes, keys[i].len, i), 0);
	}
	for (uint32_t i = 0; i < N_ELEMENTS(keys); i++) {
		assert_true(hashmap_get(map, keys[i].bytes, keys[i].len, &value));
		assert_int_equal(value, i);
	}
	assert_true(hashmap_get(map, NULL, 0, &value));
	assert_int_equal(value, 0);
	hashmap_free(map);
}

static void keeps_the_last_value(void **state)
{
	struct hashmap *map = new_map();
	uint32_t value;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(hashmap_put(map, "Kerala", 6, i), 0);
		assert_true(hashmap_get(map, "Kerala", 6, &value));
		assert_int_equal(value, i);
	}
	assert_int_equal(hashmap_count(map), 1);
	assert_null(hashmap_free(map));
	assert_null(hashmap_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_put),
		cmocka_unit_test(tells_keys_apart),
		cmocka_unit_test(keeps_the_last_value),
	};

	return cmocka_run_group_tests_name("hashmap", tests, NULL, NULL);
}
