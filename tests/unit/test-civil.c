/*
 * The calendar. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "lib/attr.h"
#include "lib/civil.h"

/* Day by day through 2,000 years, beside a calendar that only counts on. */
static void counts_days(void **state)
{
	int64_t day = civil_to_day(0, 1, 1);
	int weekday = 6; /* 0000-01-01 is a Saturday */

	(void)state;
	for (int year = 0; year < 2400; year++) {
		for (int month = 1; month <= 12; month++) {
			for (int d = 1; d <= civil_days_in_month(year, month); d++) {
				struct civil civil = civil_from_day(day);

				assert_int_equal(civil_to_day(year, month, d), day);
				assert_true(civil.year == year && civil.month == month &&
					civil.day == d);
				assert_int_equal(civil_weekday(day), weekday);
				day++;
				weekday = (weekday + 1) % 7;
			}
		}
	}
}

static void agrees_with_libc(void **state)
{
	(void)state;
	for (int64_t day = -1000000; day < 4000000; day += 997) {
		time_t s = (time_t)(day * DAY_SECONDS);
		struct civil civil = civil_from_day(day);
		struct tm tm;

		gmtime_r(&s, &tm);
		assert_int_equal(civil.year, tm.tm_year + 1900);
		assert_int_equal(civil.month, tm.tm_mon + 1);
		assert_int_equal(civil.day, tm.tm_mday);
		assert_int_equal(civil_weekday(day), tm.tm_wday);
	}
}

static void knows_its_corners(void **state)
{
	static const struct {
		int year, month, days;
	} months[] = {{2024, 2, 29}, {2026, 2, 28}, {1900, 2, 28}, {2000, 2, 29}, {2100, 2, 28},
		{-400, 2, 29}, {2026, 1, 31}, {2026, 4, 30}, {2026, 12, 31}};

	(void)state;
	assert_int_equal(civil_to_day(1970, 1, 1), 0);
	assert_int_equal(civil_to_day(2000, 1, 1), 10957);
	assert_int_equal(civil_to_day(2026, 11, 20), 20777);
	for (size_t i = 0; i < N_ELEMENTS(months); i++) {
		assert_int_equal(
			civil_days_in_month(months[i].year, months[i].month), months[i].days);
	}
	assert_int_equal(civil_day_of_second(0), 0);
	assert_int_equal(civil_day_of_second(86399), 0);
	assert_int_equal(civil_day_of_second(86400), 1);
	assert_int_equal(civil_day_of_second(-1), -1);
	assert_int_equal(civil_day_of_second(-86400), -1);
	assert_int_equal(civil_day_of_second(-86401), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_days),
		cmocka_unit_test(agrees_with_libc),
		cmocka_unit_test(knows_its_corners),
	};

	return cmocka_run_group_tests_name("civil", tests, NULL, NULL);
}
