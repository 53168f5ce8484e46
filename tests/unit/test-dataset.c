/*
 * Until when a dataset is fresh, to the microsecond. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/dataset.h"
#include "daemon/date.h"

enum { NOV_20 = 20777 }; /* 2026-11-20 */

/* 24:00 of the 20th in India is 18:30 UTC of that day. */
static void fresh_until_the_end_of_the_day_and_as_long_as_allowed(void **state)
{
	struct dataset dataset = {.freshness_ms = 36 * 3600 * 1000};

	(void)state;
	assert_int_equal(dataset_fresh_until_us(&dataset, NOV_20),
		INT64_C(1795199400000000) + INT64_C(36) * 3600 * 1000000);
	dataset.freshness_ms = 60 * 1000;
	assert_int_equal(dataset_fresh_until_us(&dataset, NOV_20), INT64_C(1795199460000000));
}

static void never_stale(void **state)
{
	struct dataset dataset = {.freshness_ms = 0};

	(void)state;
	assert_int_equal(dataset_fresh_until_us(&dataset, NOV_20), INT64_MAX);
	dataset.freshness_ms = 1000;
	assert_int_equal(dataset_fresh_until_us(&dataset, INT32_MIN), INT64_MAX);
}

static void a_data_date_is_a_day_in_india(void **state)
{
	(void)state;
	assert_int_equal(date_begin_us(NOV_20), INT64_C(1795113000000000));
	assert_int_equal(date_of_us(INT64_C(1795113000000000)), NOV_20);
	assert_int_equal(date_of_us(INT64_C(1795113000000000) - 1), NOV_20 - 1);
	assert_int_equal(date_begin_us(0), INT64_C(-19800000000));
	assert_int_equal(date_of_us(-1), 0);
	assert_int_equal(date_of_us(INT64_C(-19800000001)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_until_the_end_of_the_day_and_as_long_as_allowed),
		cmocka_unit_test(never_stale),
		cmocka_unit_test(a_data_date_is_a_day_in_india),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
