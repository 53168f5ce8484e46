/*
 * What time it is. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "lib/attr.h"
#include "lib/clock.h"

static void turns_by_hand(void **state)
{
	struct clock_manual manual;

	(void)state;
	clock_manual_init(&manual, -5);
	assert_int_equal(clock_wall_us(&manual.clock), -5);
	clock_manual_advance(&manual, 3);
	assert_int_equal(clock_wall_us(&manual.clock), 2995);
	assert_int_equal(clock_mono_ms(&manual.clock), 1003);
	manual.wall_us = 7; /* somebody sets the date: deadlines must not notice */
	assert_int_equal(clock_mono_ms(&manual.clock), 1003);
}

static void runs_by_itself(void **state)
{
	uint64_t mono = clock_mono_ms(&clock_system);
	int64_t wall = clock_wall_us(&clock_system);

	(void)state;
	assert_true(wall / 1000000 - time(NULL) <= 1 && time(NULL) - wall / 1000000 <= 1);
	assert_true(clock_mono_ms(&clock_system) >= mono);
	assert_true(clock_mono_ms(&clock_system) - mono < 60000);
}

static void writes_rfc3339(void **state)
{
	static const struct {
		const char *zone;
		int64_t us;
		int n_digits;
		const char *want;
	} cases[] = {
		{"Asia/Kolkata", 1795156203120456, 0, "2026-11-20T12:00:03+05:30"},
		{"Asia/Kolkata", 1795156203120456, 3, "2026-11-20T12:00:03.120+05:30"},
		{"Asia/Kolkata", 1795156203120456, 6, "2026-11-20T12:00:03.120456+05:30"},
		{"UTC", 0, 3, "1970-01-01T00:00:00.000+00:00"},
		{"UTC", -1, 6, "1969-12-31T23:59:59.999999+00:00"},
		{"UTC", -1000001, 3, "1969-12-31T23:59:58.999+00:00"},
		{"UTC", 999999, 3, "1970-01-01T00:00:00.999+00:00"}, /* cut, never rounded up */
		{"America/St_Johns", 1795156203000000, 0, "2026-11-20T03:00:03-03:30"},
		{"America/New_York", 1795156203000000, 0, "2026-11-20T01:30:03-05:00"},
		{"America/New_York", 1783000000000000, 0, "2026-07-02T09:46:40-04:00"},
		{"UTC", 253402300799999999, 6, "9999-12-31T23:59:59.999999+00:00"},
	};
	char text[CLOCK_RFC3339_BYTES];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		setenv("TZ", cases[i].zone, 1);
		tzset();
		assert_string_equal(
			clock_format_rfc3339(cases[i].us, cases[i].n_digits, text), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_by_hand),
		cmocka_unit_test(runs_by_itself),
		cmocka_unit_test(writes_rfc3339),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
