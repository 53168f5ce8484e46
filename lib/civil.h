#pragma once

/*
 * The calendar: days since 1970-01-01 and their dates, proleptic Gregorian. Pure.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

enum { DAY_SECONDS = 24 * 60 * 60 };

struct civil {
	int year;
	int month; /* 1 to 12 */
	int day;   /* 1 to 31 */
};

/* Month and day must be real; years from -1,000,000 to 1,000,000. */
int64_t civil_to_day(int year, int month, int day);
struct civil civil_from_day(int64_t day);

int civil_days_in_month(int year, int month);

/* 0 is Sunday, 6 is Saturday. */
int civil_weekday(int64_t day);

/* The day that second `s` since 1970 lies in; right before 1970, too. */
int64_t civil_day_of_second(int64_t s);
