/*
 * The calendar. SPDX-License-Identifier: Apache-2.0
 *
 * Years are counted from March on, so that the leap day is the last of its year, and in eras of 400
 * years, which all have 146,097 days and begin on a Wednesday, the 1st of March.
 */

#include "lib/civil.h"

enum {
	ERA_YEARS = 400,
	ERA_DAYS = 146097,
	EPOCH_DAYS = 719468, /* from 0000-03-01 to 1970-01-01 */
	WEEK_DAYS = 7,
	EPOCH_WEEKDAY = 4, /* Thursday */
};

/* Rounded down, also below zero. */
static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t civil_to_day(int year, int month, int day)
{
	int64_t y = month > 2 ? year : (int64_t)year - 1;
	int64_t era = floor_div(y, ERA_YEARS);
	int64_t of_era = y - era * ERA_YEARS;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * ERA_DAYS + 365 * of_era + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS;
}

struct civil civil_from_day(int64_t day)
{
	int64_t z = day + EPOCH_DAYS;
	int64_t era = floor_div(z, ERA_DAYS);
	int doe = (int)(z - era * ERA_DAYS);
	int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int month = (5 * doy + 2) / 153;

	return (struct civil){
		.year = (int)(era * ERA_YEARS) + yoe + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = doy - (153 * month + 2) / 5 + 1,
	};
}

int civil_days_in_month(int year, int month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % ERA_YEARS == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

int civil_weekday(int64_t day)
{
	return (int)(day + EPOCH_WEEKDAY - WEEK_DAYS * floor_div(day + EPOCH_WEEKDAY, WEEK_DAYS));
}

int64_t civil_day_of_second(int64_t s)
{
	return floor_div(s, DAY_SECONDS);
}
