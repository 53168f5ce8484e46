/*
 * The set of hashes and the counts by hash, against plain arrays. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/idset.h"
#include "lib/tally.h"

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void test_marks(void **state)
{
	struct idset set = {0};
	uint64_t random = 88172645463325252u, hashes[5000];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		/* Some close together, all in one shard, and the ones at the ends. */
		hashes[i] = i < 1000 ? (uint64_t)i * 8 : i < 2000 ? UINT64_MAX - 8 * i
								  : random_next(&random);
		assert_int_equal(idset_add(&set, hashes[i], 0), 0);
		if (i > 0 && i % 2) {
			assert_int_equal(idset_mark(&set, hashes[i], IDSET_MARK_1, 0), 0);
		}
	}
	for (unsigned i = 1; i < 5000; i++) {
		/* again: keeps its marks */
		assert_int_equal(idset_add(&set, hashes[i], IDSET_MARK_3), i % 2);
		assert_int_equal(idset_mark(&set, hashes[i], IDSET_MARK_2, IDSET_MARK_3), 4 + i % 2);
	}
	idset_unmark(&set, IDSET_MARK_1);
	for (unsigned i = 2; i < 5000; i++) {
		assert_int_equal(idset_mark(&set, hashes[i], IDSET_MARK_1, 0), IDSET_MARK_2);
	}
	idset_clear(&set);
	assert_int_equal(idset_add(&set, hashes[7], 0), 0);
	assert_int_equal(idset_mark(&set, hashes[7], 0, 0), 0);
	idset_fini(&set);
	assert_int_equal(idset_memory_bytes(&set), sizeof(set));
}

/* 0 is a member like any other; hashes that differ in the two lowest bits are one. */
static void test_low_bits(void **state)
{
	struct idset set = {0};

	(void)state;
	assert_int_equal(idset_add(&set, 0, 0), 0);
	assert_int_equal(idset_mark(&set, 0, IDSET_MARK_2, 0), 0);
	assert_int_equal(idset_mark(&set, 3, 0, 0), IDSET_MARK_2);
	assert_int_equal(idset_add(&set, 16, 0), 0);
	assert_int_equal(idset_mark(&set, 16, 0, 0), 0);
	idset_fini(&set);
}

static void test_tally(void **state)
{
	static unsigned char want[1000];
	struct tally tally = {0};
	uint64_t random = 88172645463325252u;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		const struct tally_entry *entry;
		size_t cursor = 0, n = 0;

		memset(want, 0, sizeof(want));
		for (unsigned i = 0; i < round * 10; i++) {
			uint64_t hash = random_next(&random) % N_ELEMENTS(want);
			uint32_t *count = tally_count(&tally, hash);

			assert_non_null(count);
			assert_int_equal(*count, want[hash]);
			++*count;
			want[hash]++;
		}
		while ((entry = tally_next(&tally, &cursor))) {
			assert_int_equal(entry->count, want[entry->hash]);
			want[entry->hash] = 0;
			n++;
		}
		for (unsigned i = 0; i < N_ELEMENTS(want); i++) {
			assert_int_equal(want[i], 0);
		}
		assert_true(round == 0 || n > 0);
		tally_clear(&tally);
		if (round == 100) {
			tally.stamp = UINT32_MAX; /* the next emptying wraps */
			tally_clear(&tally);
		}
	}
	tally_fini(&tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_low_bits),
		cmocka_unit_test(test_tally),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
