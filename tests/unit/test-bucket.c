/*
 * A token bucket. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/attr.h"
#include "lib/bucket.h"

/* Requests that got through from `from` to before `to`, by one who waits exactly as told. */
static unsigned count_taken(struct bucket *bucket, uint64_t from, uint64_t to)
{
	unsigned n = 0;

	while (from < to) {
		uint64_t wait = bucket_take(bucket, from);

		n += wait == 0;
		from += wait;
	}
	return n;
}

static void keeps_the_pace(void **state)
{
	static const struct {
		unsigned per_minute, burst;
	} cases[] = {{60, 1}, {60, 2}, {1, 1}, {7, 3}, {6000, 10}, {60001, 1}, {BUCKET_MAX, 1},
		{1, BUCKET_MAX}};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct bucket bucket;
		unsigned n;

		bucket_init(&bucket, cases[i].per_minute, cases[i].burst, 1000);
		n = count_taken(&bucket, 1000, 1000 + 10 * 60000);
		/* The burst, then the pace; a request that is due at the end is behind it. */
		assert_true(n <= cases[i].burst + 10 * cases[i].per_minute);
		if (cases[i].per_minute <= 6000) {
			assert_true(n >= cases[i].burst + 10 * cases[i].per_minute - 1 -
					cases[i].per_minute / 600);
		}
	}
}

static void says_how_long_to_wait(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, 60, 2, 5000);
	assert_int_equal(bucket_take(&bucket, 5000), 0);
	assert_int_equal(bucket_take(&bucket, 5000), 0);
	assert_int_equal(bucket_take(&bucket, 5000), 1000);
	assert_int_equal(bucket_take(&bucket, 5400), 600);
	assert_int_equal(bucket_take(&bucket, 5999), 1);
	assert_int_equal(bucket_take(&bucket, 6000), 0);
	assert_int_equal(bucket_take(&bucket, 6000), 1000);
	/* Long idle: no more than the burst. */
	assert_int_equal(bucket_take(&bucket, UINT64_MAX / 2), 0);
	assert_int_equal(bucket_take(&bucket, UINT64_MAX / 2), 0);
	assert_int_equal(bucket_take(&bucket, UINT64_MAX / 2), 1000);
	/* A minute does not divide by 7: rounded up, so that asking then is not in vain. */
	bucket_init(&bucket, 7, 1, 0);
	assert_int_equal(bucket_take(&bucket, 0), 0);
	assert_int_equal(bucket_take(&bucket, 0), 8572);
	assert_int_equal(bucket_take(&bucket, 8571), 1);
	assert_int_equal(bucket_take(&bucket, 8572), 0);
}

static void holds_the_host(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, 60, 5, 0);
	bucket_hold(&bucket, 30000);
	assert_int_equal(bucket_take(&bucket, 0), 30000);
	assert_int_equal(bucket_take(&bucket, 29999), 1);
	bucket_hold(&bucket, 20000); /* an earlier end does not shorten it */
	assert_int_equal(bucket_take(&bucket, 25000), 5000);
	bucket_hold(&bucket, 40000);
	assert_int_equal(bucket_take(&bucket, 30000), 10000);
	/* Then one, and the usual pace: no burst. */
	assert_int_equal(bucket_take(&bucket, 40000), 0);
	assert_int_equal(bucket_take(&bucket, 40000), 1000);
	/* A hold that is over when it comes. */
	bucket_hold(&bucket, 39000);
	assert_int_equal(bucket_take(&bucket, 41000), 0);
	assert_int_equal(bucket_take(&bucket, 41000), 1000);
}

static void has_no_limit_when_told(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, 0, 1, 0);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(bucket_take(&bucket, 0), 0);
	}
	bucket_hold(&bucket, 500);
	assert_int_equal(bucket_take(&bucket, 100), 400);
	assert_int_equal(bucket_take(&bucket, 500), 0);
}

static void changes_at_a_reload(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, 60, 10, 0);
	bucket_change(&bucket, 120, 2, 0);
	assert_int_equal(bucket_take(&bucket, 0), 0);
	assert_int_equal(bucket_take(&bucket, 0), 0);
	assert_int_equal(bucket_take(&bucket, 0), 500);
	bucket_change(&bucket, 60, 1, 250); /* half of one was earned at the old pace */
	assert_int_equal(bucket_take(&bucket, 250), 500);
	bucket_hold(&bucket, 9000);
	bucket_change(&bucket, 600, 5, 1000);
	assert_int_equal(bucket_take(&bucket, 1000), 8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_pace),
		cmocka_unit_test(says_how_long_to_wait),
		cmocka_unit_test(holds_the_host),
		cmocka_unit_test(has_no_limit_when_told),
		cmocka_unit_test(changes_at_a_reload),
	};

	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
