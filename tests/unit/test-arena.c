/*
 * Memory that is given back all at once. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/arena.h"

static bool is_aligned(const void *at)
{
	return (uintptr_t)at % _Alignof(max_align_t) == 0;
}

static void gives_aligned_memory(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 65000, 65535, 65536, 1000000, 3};
	struct arena arena = {0};
	unsigned char *at[N_ELEMENTS(sizes)];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		at[i] = arena_alloc(&arena, sizes[i]);
		assert_non_null(at[i]);
		assert_true(is_aligned(at[i]));
		memset(at[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		for (size_t k = 0; k < sizes[i]; k++) {
			assert_int_equal(at[i][k], i + 1);
		}
	}
	assert_true(arena.used_bytes >= 1197000 && arena.used_bytes < 1198000);
	arena_fini(&arena);
	assert_null(arena.first);
	assert_int_equal(arena.used_bytes, 0);
}

static void copies(void **state)
{
	struct arena arena = {0};
	char text[] = "Pea Pod/Pea Cod";
	char *copy = arena_copy(&arena, text, sizeof(text));

	(void)state;
	assert_non_null(copy);
	text[0] = 'T';
	assert_string_equal(copy, "Pea Pod/Pea Cod");
	assert_non_null(arena_copy(&arena, NULL, 0));
	arena_fini(&arena);
}

static void refuses_what_cannot_be(void **state)
{
	struct arena arena = {0};

	(void)state;
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX / 2));
	assert_non_null(arena_alloc(&arena, 1));
	assert_null(arena_alloc(&arena, SIZE_MAX - 14));
	assert_non_null(arena_alloc(&arena, 1));
	arena_fini(&arena);
}

static void fill(struct arena *arena, unsigned seed, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		seed = seed * 1103515245U + 12345U;
		assert_non_null(arena_alloc(arena, seed >> 16 & 0xfff));
		if (i % 100 == 99) {
			assert_non_null(arena_alloc(arena, 100000));
		}
	}
}

/* What the header keeps to itself, as far as this test looks. */
struct arena_block {
	struct arena_block *next;
};

static unsigned count_blocks(const struct arena *arena)
{
	unsigned n = 0;

	for (const struct arena_block *block = arena->first; block; block = block->next) {
		n++;
	}
	return n;
}

static void keeps_its_blocks(void **state)
{
	struct arena arena = {0};
	void *first, *again;
	unsigned n;

	(void)state;
	fill(&arena, 1, 1000);
	n = count_blocks(&arena);
	assert_true(n > 10);
	for (unsigned i = 0; i < 20; i++) {
		arena_reset(&arena);
		assert_int_equal(arena.used_bytes, 0);
		fill(&arena, 1, 1000);
		assert_int_equal(count_blocks(&arena), n);
	}
	/* Other sizes in another order: what is there is used, whichever block comes first. */
	arena_reset(&arena);
	for (unsigned i = 0; i < 10; i++) {
		assert_non_null(arena_alloc(&arena, 100000));
	}
	assert_int_equal(count_blocks(&arena), n);
	arena_reset(&arena);
	first = arena_alloc(&arena, 8);
	arena_reset(&arena);
	again = arena_alloc(&arena, 8);
	assert_ptr_equal(first, again);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_aligned_memory),
		cmocka_unit_test(copies),
		cmocka_unit_test(refuses_what_cannot_be),
		cmocka_unit_test(keeps_its_blocks),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
