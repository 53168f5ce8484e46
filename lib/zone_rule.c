/*
 * The rule of a time zone. SPDX-License-Identifier: Apache-2.0
 *
 * To find the offset at a moment, all changes of its year and of the years around it are looked at:
 * the last one at or before it says the offset, the first one after it how long it holds. So it
 * does not matter which half of the year has summer time, nor where the year's end lies.
 */

#include "lib/zone_rule.h"

#include "lib/civil.h"

enum { HOUR_S = 3600, WEEK_DAYS = 7 };

struct cursor {
	const char *at, *end;
	bool failed;
};

static bool accept(struct cursor *cursor, char c)
{
	if (cursor->failed || cursor->at == cursor->end || *cursor->at != c) {
		return false;
	}
	cursor->at++;
	return true;
}

static void expect(struct cursor *cursor, char c)
{
	cursor->failed = !accept(cursor, c);
}

static bool at_digit(const struct cursor *cursor)
{
	return !cursor->failed && cursor->at < cursor->end && *cursor->at >= '0' &&
		*cursor->at <= '9';
}

static int take_number(struct cursor *cursor, int least, int most)
{
	int v = 0;

	cursor->failed = !at_digit(cursor);
	while (at_digit(cursor) && v <= most) {
		v = v * 10 + (*cursor->at++ - '0');
	}
	cursor->failed = cursor->failed || v < least || v > most;
	return v;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "CET" or "<+0530>": nobody asks for it. */
static void skip_name(struct cursor *cursor)
{
	const char *start = cursor->at;

	if (accept(cursor, '<')) {
		while (cursor->at < cursor->end && *cursor->at != '>') {
			cursor->at++;
		}
		expect(cursor, '>');
		return;
	}
	while (cursor->at < cursor->end && is_letter(*cursor->at)) {
		cursor->at++;
	}
	cursor->failed = cursor->failed || cursor->at - start < 3;
}

/* [+-]hh[:mm[:ss]] */
static int32_t take_time(struct cursor *cursor, int most_hours)
{
	bool negative = accept(cursor, '-');
	int32_t s;

	if (!negative) {
		accept(cursor, '+');
	}
	s = take_number(cursor, 0, most_hours) * HOUR_S;
	if (accept(cursor, ':')) {
		s += take_number(cursor, 0, 59) * 60;
		if (accept(cursor, ':')) {
			s += take_number(cursor, 0, 59);
		}
	}
	return negative ? -s : s;
}

/* ",M3.5.0/2" */
static struct zone_day take_day(struct cursor *cursor)
{
	struct zone_day day = {.time_s = 2 * HOUR_S};

	expect(cursor, ',');
	if (accept(cursor, 'M')) {
		day.kind = ZONE_DAY_OF_MONTH;
		day.month = take_number(cursor, 1, 12);
		expect(cursor, '.');
		day.week = take_number(cursor, 1, 5);
		expect(cursor, '.');
		day.weekday = take_number(cursor, 0, 6);
	} else if (accept(cursor, 'J')) {
		day.kind = ZONE_DAY_JULIAN;
		day.day = take_number(cursor, 1, 365);
	} else {
		day.kind = ZONE_DAY_OF_YEAR;
		day.day = take_number(cursor, 0, 365);
	}
	if (accept(cursor, '/')) {
		day.time_s = take_time(cursor, 167);
	}
	return day;
}

bool zone_rule_parse(const char *text, size_t len, struct zone_rule *ret)
{
	struct cursor cursor = {.at = text, .end = text + len};
	struct zone_rule rule = {.has_summer = false};

	skip_name(&cursor);
	rule.standard_s = -take_time(&cursor, 24); /* TZ counts west of Greenwich */
	if (!cursor.failed && cursor.at < cursor.end) {
		rule.has_summer = true;
		skip_name(&cursor);
		rule.summer_s = rule.standard_s + HOUR_S;
		if (cursor.at < cursor.end && *cursor.at != ',') {
			rule.summer_s = -take_time(&cursor, 24);
		}
		rule.start = take_day(&cursor);
		rule.end = take_day(&cursor);
	}
	if (cursor.failed || cursor.at != cursor.end) {
		return false;
	}
	*ret = rule;
	return true;
}

static int64_t day_in_year(const struct zone_day *day, int year)
{
	int64_t first;
	int in_month;

	switch (day->kind) {
	case ZONE_DAY_JULIAN:
		first = civil_to_day(year, 1, 1);
		return first + day->day - 1 + (day->day > 59 && civil_days_in_month(year, 2) == 29);
	case ZONE_DAY_OF_YEAR:
		return civil_to_day(year, 1, 1) + day->day;
	case ZONE_DAY_OF_MONTH:
		break;
	}
	first = civil_to_day(year, day->month, 1);
	in_month = (day->weekday - civil_weekday(first) + WEEK_DAYS) % WEEK_DAYS +
		(day->week - 1) * WEEK_DAYS;
	if (in_month >= civil_days_in_month(year, day->month)) {
		in_month -= WEEK_DAYS;
	}
	return first + in_month;
}

static int64_t moment_in_year(const struct zone_day *day, int year, int32_t offset_before)
{
	return day_in_year(day, year) * DAY_SECONDS + day->time_s - offset_before;
}

/* What is known so far of the changes around t. */
struct around {
	int64_t t;
	int64_t last, next;
	int32_t offset; /* since `last` */
};

static void look_at(struct around *around, int64_t change, int32_t offset)
{
	if (change > around->t) {
		around->next = change < around->next ? change : around->next;
	} else if (change >= around->last) {
		around->last = change;
		around->offset = offset;
	}
}

int32_t zone_rule_span(const struct zone_rule *rule, int64_t t, int64_t *ret_until)
{
	int year = civil_from_day(civil_day_of_second(t)).year;
	struct around around = {
		.t = t, .last = INT64_MIN, .next = INT64_MAX, .offset = rule->standard_s};

	/* When summer time ends as it starts, it is meant to last: so its start comes second. */
	for (int y = year - 1; rule->has_summer && y <= year + 1; y++) {
		look_at(&around, moment_in_year(&rule->end, y, rule->summer_s), rule->standard_s);
		look_at(&around, moment_in_year(&rule->start, y, rule->standard_s), rule->summer_s);
	}
	*ret_until = around.next;
	return around.offset;
}
