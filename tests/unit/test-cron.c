/*
 * Cron lines: what they mean, and a year of ticks held against libc's clock.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/civil.h"
#include "lib/cron.h"
#include "lib/zone.h"

static struct cron parsed(const char *text)
{
	struct error error = {0};
	struct cron cron;

	if (cron_parse(text, &cron, NULL, &error) < 0) {
		fail_msg("%s: %s", text, error.text);
	}
	return cron;
}

static struct zone *load(const char *name)
{
	struct error error = {0};
	struct zone *zone;

	assert_int_equal(zone_load(NULL, name, &zone, &error), 0);
	setenv("TZ", name, 1);
	tzset();
	return zone;
}

/* ---- lines ---- */

static void reads_fields(void **state)
{
	static const struct {
		const char *text, *same;
	} cases[] = {
		{"0 12,17,23 * * *", "0 12,17,23 1-31 1-12 *"},
		{"*/15 * * * *", "0,15,30,45 0-23 * * *"},
		{"5-20/5 * * * *", "5,10,15,20 * * * *"},
		{"5-21/5,5,50 * * * *", "5,10,15,20,50 * * * *"},
		{"\t0  12\t* * *  ", "0 12 * * *"},
		{"00 007 * * *", "0 7 * * *"},
		{"0 0 * jan,Mar-MAY,12 *", "0 0 * 1,3,4,5,12 *"},
		{"0 0 * * sun", "0 0 * * 0"},
		{"0 0 * * 7", "0 0 * * 0"},
		{"0 0 * * 5-7", "0 0 * * 0,5,6"},
		{"0 0 * * fri-sun", "0 0 * * 0,5,6"},
		{"0 0 * * sun-tue", "0 0 * * 0-2"},
		{"0 0 * * 0-7", "0 0 * * 0-6"},
		{"0 0 * * mon-fri/2", "0 0 * * 1,3,5"},
		{"59 23 31 12 6", "59-59 23-23 31-31 12-12 6-6"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cron a = parsed(cases[i].text), b = parsed(cases[i].same);

		assert_int_equal(a.minutes, b.minutes);
		assert_int_equal(a.hours, b.hours);
		assert_int_equal(a.days, b.days);
		assert_int_equal(a.months, b.months);
		assert_int_equal(a.weekdays, b.weekdays);
	}
}

static void says_what_is_wrong(void **state)
{
	static const struct {
		const char *text;
		unsigned at;
		const char *want;
	} cases[] = {
		{"", 0, "a cron line has 5 fields (minute hour day month weekday), not 0"},
		{"0 12 * *", 0, "a cron line has 5 fields (minute hour day month weekday), not 4"},
		{"0 0 12 * * *", 0,
			"a cron line has 5 fields (minute hour day month weekday), not 6"},
		{"@daily", 0, "a cron line has 5 fields (minute hour day month weekday), not 1"},
		{"60 * * * *", 0, "minute 60 is not within 0-59"},
		{"0 24 * * *", 2, "hour 24 is not within 0-23"},
		{"0 12,25 * * *", 5, "hour 25 is not within 0-23"},
		{"0 0 0 * *", 4, "day 0 is not within 1-31"},
		{"0 0 32 * *", 4, "day 32 is not within 1-31"},
		{"0 0 * 13 *", 6, "month 13 is not within 1-12"},
		{"0 0 * * 8", 8, "weekday 8 is not within 0-7"},
		{"0 99999999999999999999 * * *", 2, "hour 99999999999999999999 is not within 0-23"},
		{"0 0 * foo *", 6, "month \"foo\" is not known"},
		{"0 0 * january *", 6, "month \"january\" is not known"},
		{"0 0 * * mo", 8, "weekday \"mo\" is not known"},
		{"noon * * * *", 0, "minute \"noon\" is not known"},
		{"0 17-12 * * *", 2, "hour: the range 17-12 goes backwards"},
		{"0 0 * * sat-mon", 8, "weekday: the range sat-mon goes backwards"},
		{"*/0 * * * *", 2, "minute: a step must be within 1-59"},
		{"*/60 * * * *", 2, "minute: a step must be within 1-59"},
		{"*/ * * * *", 2, "minute: a step must be within 1-59"},
		{"5/15 * * * *", 1, "minute: a step needs a range or *"},
		{"1- * * * *", 2, "minute: a number is missing"},
		{"1,,2 * * * *", 2, "minute: a number is missing"},
		{"1, * * * *", 2, "minute: a number is missing"},
		{"-5 * * * *", 0, "minute: a number is missing"},
		{"* ** * * *", 3, "hour: \"*\" does not belong here"},
		{"1h * * * *", 1, "minute: \"h\" does not belong here"},
		{"0 0 31 2 *", 0, "no such day: this never comes"},
		{"0 0 31 4,6,9,11 *", 0, "no such day: this never comes"},
		{"0 0 30 feb */2", 0, "no such day: this never comes"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct error error = {0};
		unsigned at = 999;
		struct cron cron;

		if (cron_parse(cases[i].text, &cron, &at, &error) != -1) {
			fail_msg("\"%s\" was taken", cases[i].text);
		}
		assert_string_equal(error.text, cases[i].want);
		assert_int_equal(error.class, ERROR_REJECTED);
		if (at != cases[i].at) {
			fail_msg("\"%s\": %u", cases[i].text, at);
		}
	}
}

/* ---- ticks ---- */

/* "2026-11-20 12:00" of the zone, when a time is unique there */
static int64_t utc_of(const struct zone *zone, const char *text)
{
	int year, month, day, hour, minute;

	assert_int_equal(sscanf(text, "%d-%d-%d %d:%d", &year, &month, &day, &hour, &minute), 5);
	return zone_to_utc(
		zone, civil_to_day(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60);
}

struct tick {
	const char *line, *after, *want;
};

static const struct tick ticks[] = {
	{"0 12,17,23 * * *", "2026-11-20 12:00", "2026-11-20 17:00"},
	{"0 12,17,23 * * *", "2026-11-20 11:59", "2026-11-20 12:00"},
	{"0 12,17,23 * * *", "2026-11-20 23:00", "2026-11-21 12:00"},
	{"45 8 * * *", "2026-12-31 09:00", "2027-01-01 08:45"},
	{"30 3 * * *", "2024-02-28 04:00", "2024-02-29 03:30"},
	{"0 0 29 2 *", "2024-03-01 00:00", "2028-02-29 00:00"},
	{"0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00"},
	{"0 0 31 * *", "2026-01-31 00:00", "2026-03-31 00:00"},
	{"0 0 1 1 *", "2026-01-01 00:00", "2027-01-01 00:00"},
	{"*/7 * * * *", "2026-11-20 12:56", "2026-11-20 13:00"},
	/* day or weekday, when both are restricted: 20 November 2026 is a Friday */
	{"0 0 13 * 5", "2026-11-12 00:00", "2026-11-13 00:00"},
	{"0 0 14 * 5", "2026-11-13 00:00", "2026-11-14 00:00"},
	{"0 0 14 * 5", "2026-11-14 00:00", "2026-11-20 00:00"},
	{"0 0 * * 1-5", "2026-11-20 00:00", "2026-11-23 00:00"},
	{"0 0 * * 7", "2026-11-20 00:00", "2026-11-22 00:00"},
	/* both, when one begins with *: the first Friday in an odd day */
	{"0 0 */2 * 5", "2026-11-20 00:00", "2026-11-27 00:00"},
	{"0 0 */2 * 5", "2026-11-27 00:00", "2026-12-11 00:00"},
	{"0 0 29 2 */7", "2026-11-20 00:00", "2032-02-29 00:00"},
	{"0 0 29 2 */7", "2088-11-20 00:00", "2128-02-29 00:00"},
};

static void finds_the_next_tick(void **state)
{
	struct zone *zone = load("Asia/Kolkata");

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(ticks); i++) {
		struct cron cron = parsed(ticks[i].line);
		int64_t after = utc_of(zone, ticks[i].after) * 1000000;
		int64_t want = utc_of(zone, ticks[i].want) * 1000000;

		if (cron_next(&cron, after, zone) != want) {
			fail_msg("%s after %s is not %s but %jd", ticks[i].line, ticks[i].after,
				ticks[i].want, (intmax_t)cron_next(&cron, after, zone));
		}
		assert_int_equal(cron_next(&cron, want - 1, zone), want);
		assert_true(cron_next(&cron, want, zone) > want);
	}
	zone_free(zone);
}

static void knows_times_before_1970(void **state)
{
	struct zone *zone = load("UTC");
	struct cron cron = parsed("* * * * *");

	(void)state;
	assert_int_equal(cron_next(&cron, -1, zone), 0);
	assert_int_equal(cron_next(&cron, -60000000, zone), 0);
	assert_int_equal(cron_next(&cron, -60000001, zone), -60000000);
	zone_free(zone);
}

static void jumps_and_repeats(void **state)
{
	struct zone *zone = load("Europe/Berlin");
	struct cron in_gap = parsed("30 2 * * *"), often = parsed("*/20 * * * *");
	int64_t gap = utc_of(zone, "2026-03-29 03:00") * 1000000;
	int64_t first = utc_of(zone, "2026-10-25 02:30") * 1000000;
	int64_t hour = INT64_C(3600000000);

	(void)state;
	/* 02:30 does not exist on 29 March: once, at 03:00. */
	assert_int_equal(cron_next(&in_gap, gap - hour, zone), gap);
	assert_int_equal(cron_next(&in_gap, gap, zone), utc_of(zone, "2026-03-30 02:30") * 1000000);
	/* 02:00, 02:20, 02:40 and 03:00 are one tick there. */
	assert_int_equal(cron_next(&often, gap - 1, zone), gap);
	assert_int_equal(cron_next(&often, gap, zone), gap + hour / 3);
	/* 02:30 comes twice on 25 October, the tick once. */
	assert_int_equal(cron_next(&in_gap, first - hour, zone), first);
	assert_int_equal(
		cron_next(&in_gap, first, zone), utc_of(zone, "2026-10-26 02:30") * 1000000);
	assert_int_equal(cron_next(&in_gap, first + hour / 2, zone),
		utc_of(zone, "2026-10-26 02:30") * 1000000);
	assert_int_equal(cron_next(&often, first + hour / 6, zone),
		utc_of(zone, "2026-10-25 03:00") * 1000000);
	zone_free(zone);
}

/* ---- a year, minute by minute, by libc ---- */

static bool matches(const struct cron *cron, const struct tm *tm)
{
	bool by_day = cron->days >> tm->tm_mday & 1, by_weekday = cron->weekdays >> tm->tm_wday & 1;

	return cron->minutes >> tm->tm_min & 1 && cron->hours >> tm->tm_hour & 1 &&
		cron->months >> (tm->tm_mon + 1) & 1 &&
		(cron->either_day ? by_day || by_weekday : by_day && by_weekday);
}

struct line {
	const char *text;
	unsigned least; /* ticks a year */
	struct cron cron;
	int64_t next;
	unsigned n;
};

static const struct line lines[] = {
	{"0 12,17,23 * * *", 1095},
	{"45 8 * * *", 365},
	{"30 2 * * *", 365},
	{"*/20 1-3 * * *", 3200},
	{"59 23 * * 0", 52},
	{"0 0 1,15 * 1", 70},
	{"15 2 * 3,10,11 sun", 10},
	{"* * * * *", 520000},
};

/*
 * Due are the wall minutes after `shown` up to `local`: more than one when clocks have jumped, none
 * while they repeat what they showed.
 */
static bool is_due(const struct cron *cron, int64_t shown, int64_t local)
{
	for (int64_t minute = shown + 1; minute <= local; minute++) {
		time_t as_utc = (time_t)minute * 60;
		struct tm tm;

		gmtime_r(&as_utc, &tm);
		if (matches(cron, &tm)) {
			return true;
		}
	}
	return false;
}

static void check_minute(struct line *line, const struct zone *zone, time_t s, bool due)
{
	if (due != (line->next == (int64_t)s * 1000000)) {
		fail_msg("\"%s\" at %jd: %s", line->text, (intmax_t)s, due ? "missed" : "too much");
	}
	if (due) {
		line->next = cron_next(&line->cron, line->next, zone);
		line->n++;
	}
}

static void check_year(const char *zone_name)
{
	struct zone *zone = load(zone_name);
	struct line all[N_ELEMENTS(lines)];
	time_t first = (time_t)(civil_to_day(2026, 1, 1) * DAY_SECONDS);
	time_t last = (time_t)(civil_to_day(2027, 1, 3) * DAY_SECONDS);
	int64_t shown = zone_to_local(zone, first) / 60; /* the latest minute of all shown */

	memcpy(all, lines, sizeof(all));
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		all[i].cron = parsed(all[i].text);
		all[i].next = cron_next(&all[i].cron, (int64_t)first * 1000000, zone);
	}
	for (time_t s = first + 60; s < last; s += 60) {
		struct tm tm;
		int64_t local;

		localtime_r(&s, &tm);
		local = (s + tm.tm_gmtoff) / 60;
		for (size_t i = 0; i < N_ELEMENTS(all); i++) {
			check_minute(&all[i], zone, s, is_due(&all[i].cron, shown, local));
		}
		shown = local > shown ? local : shown;
	}
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		assert_true(all[i].n >= all[i].least);
	}
	zone_free(zone);
}

static void ticks_through_a_year(void **state)
{
	(void)state;
	check_year("Asia/Kolkata");
	check_year("Europe/Berlin");
	check_year("America/New_York");
	check_year("Australia/Lord_Howe");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_fields),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(finds_the_next_tick),
		cmocka_unit_test(knows_times_before_1970),
		cmocka_unit_test(jumps_and_repeats),
		cmocka_unit_test(ticks_through_a_year),
	};

	return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
