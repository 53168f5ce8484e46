/*
 * Which slices a source is due for. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/plan.h"

enum { DAY_2026_03_02 = 20514 };

static void test_without_slices_all(void **state)
{
	struct source source = {.slice.sliced = false};
	struct plan_slice slices[4];

	(void)state;
	assert_int_equal(plan_due(&source, DAY_2026_03_02, DAY_2026_03_02, slices, 4), 1);
	assert_string_equal(slices[0].name, "all");
	assert_int_equal(slices[0].day, INT32_MIN);
}

static void test_look_back_newest_first(void **state)
{
	struct source source = {.slice = {.sliced = true, .lookback_days = 3}};
	struct plan_slice slices[4];

	(void)state;
	assert_int_equal(plan_due(&source, DAY_2026_03_02, DAY_2026_03_02, slices, 4), 3);
	assert_string_equal(slices[0].name, "2026-03-01");
	assert_string_equal(slices[1].name, "2026-02-28");
	assert_string_equal(slices[2].name, "2026-02-27");
	assert_int_equal(slices[2].day, DAY_2026_03_02 - 3);
}

static void test_room_is_not_overrun(void **state)
{
	struct source source = {.slice = {.sliced = true, .lookback_days = 30}};
	struct plan_slice slices[2];

	(void)state;
	assert_int_equal(plan_due(&source, DAY_2026_03_02, DAY_2026_03_02, slices, 2), 2);
}

/* Down from the 20th to the 2nd, looking back three days each time. */
static void test_missed_days(void **state)
{
	struct source source = {.slice = {.sliced = true, .lookback_days = 3}};
	struct plan_slice slices[20];

	(void)state;
	assert_int_equal(
		plan_due(&source, DAY_2026_03_02 - 10, DAY_2026_03_02, slices, 20), 13);
	assert_string_equal(slices[0].name, "2026-03-01");
	assert_string_equal(slices[12].name, "2026-02-17");
	/* The clock was set back. */
	assert_int_equal(plan_due(&source, DAY_2026_03_02 + 9, DAY_2026_03_02, slices, 20), 3);
	/* The newest of those for which there is no room. */
	assert_int_equal(plan_due(&source, 0, DAY_2026_03_02, slices, 20), 20);
	assert_string_equal(slices[0].name, "2026-03-01");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_slices_all),
		cmocka_unit_test(test_look_back_newest_first),
		cmocka_unit_test(test_room_is_not_overrun),
		cmocka_unit_test(test_missed_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
