/*
 * Coverage: what a look makes of what was known, and what is to be expected of a day.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/coverage.h"
#include "lib/attr.h"

#define HOUR INT64_C(3600000000)
#define DAY  (24 * HOUR)

enum { NOV_19 = 20776, ENDS = 9 * 3600 };

/* 09:00 of the 20th in India. */
#define OVER (INT64_C(1795145400) * 1000000)

static void test_a_day_is_over_next_morning(void **state)
{
	(void)state;
	assert_int_equal(coverage_over_us(NOV_19, ENDS), OVER);
	assert_int_equal(coverage_over_us(NOV_19, 0), OVER - 9 * HOUR);
}

static void test_names(void **state)
{
	enum cover_state found;

	(void)state;
	for (unsigned i = 0; i < N_COVER_STATES; i++) {
		assert_true(cover_state_parse(cover_state_name((enum cover_state)i), &found));
		assert_int_equal(found, i);
	}
	assert_false(cover_state_parse("excellent", &found));
}

struct look {
	enum cover_state state;
	int64_t hours; /* after the day was over */
	int64_t run;
	uint64_t rows;
	/* what stands then */
	enum cover_state stands;
	uint64_t has;
	unsigned tries;
	int wait_days; /* 0: none */
};

struct story {
	const char *name;
	struct look looks[8];
};

/* clang-format off */
static const struct story stories[] = {
	{"a good day", {
		{COVER_OPEN, -6, 1, 90, COVER_OPEN, 90, 0, 0},
		{COVER_COMPLETE, 18, 2, 100, COVER_COMPLETE, 100, 0, 0},
		{COVER_COMPLETE, 42, 3, 101, COVER_COMPLETE, 101, 0, 0},
	}},
	{"less takes nothing back", {
		{COVER_COMPLETE, 18, 1, 100, COVER_COMPLETE, 100, 0, 0},
		{COVER_PARTIAL, 42, 2, 40, COVER_COMPLETE, 100, 1, 1},
		{COVER_SUSPECT, 66, 3, 0, COVER_COMPLETE, 100, 2, 2},
		{COVER_MISSING, 90, 4, 0, COVER_COMPLETE, 100, 3, 4},
		{COVER_COMPLETE, 240, 5, 99, COVER_COMPLETE, 99, 3, 0},
	}},
	{"waits double up to a month", {
		{COVER_MISSING, 1, 1, 0, COVER_MISSING, 0, 1, 1},
		{COVER_PARTIAL, 25, 2, 40, COVER_PARTIAL, 40, 2, 2},
		{COVER_PARTIAL, 73, 3, 50, COVER_PARTIAL, 50, 3, 4},
		{COVER_MISSING, 200, 4, 0, COVER_PARTIAL, 50, 4, 8},
		{COVER_MISSING, 400, 5, 0, COVER_PARTIAL, 50, 5, 16},
		{COVER_MISSING, 900, 6, 0, COVER_PARTIAL, 50, 6, 30},
		{COVER_MISSING, 2000, 7, 0, COVER_PARTIAL, 50, 7, 30},
		{COVER_COMPLETE, 3000, 8, 100, COVER_COMPLETE, 100, 7, 0},
	}},
	{"nothing three times, a day apart, is believed", {
		{COVER_SUSPECT, 1, 1, 0, COVER_SUSPECT, 0, 1, 1},
		{COVER_SUSPECT, 25, 2, 0, COVER_SUSPECT, 0, 2, 2},
		{COVER_SUSPECT, 73, 3, 0, COVER_EMPTY, 0, 2, 0},
		{COVER_SUSPECT, 97, 4, 0, COVER_EMPTY, 0, 2, 0},
		{COVER_MISSING, 121, 5, 0, COVER_EMPTY, 0, 2, 0},
		{COVER_COMPLETE, 145, 6, 7, COVER_COMPLETE, 7, 2, 0},
	}},
	{"nothing three times in an hour is not", {
		{COVER_SUSPECT, 1, 1, 0, COVER_SUSPECT, 0, 1, 1},
		{COVER_SUSPECT, 2, 2, 0, COVER_SUSPECT, 0, 2, 2},
		{COVER_SUSPECT, 3, 3, 0, COVER_SUSPECT, 0, 3, 4},
		{COVER_SUSPECT, 25, 4, 0, COVER_SUSPECT, 0, 4, 8},
		{COVER_SUSPECT, 49, 5, 0, COVER_EMPTY, 0, 4, 0},
	}},
	{"nothing before the day is over says nothing", {
		{COVER_SUSPECT, -60, 1, 0, COVER_SUSPECT, 0, 0, 0},
		{COVER_SUSPECT, -30, 2, 0, COVER_SUSPECT, 0, 0, 0},
		{COVER_SUSPECT, -1, 3, 0, COVER_SUSPECT, 0, 0, 0},
		{COVER_SUSPECT, 0, 4, 0, COVER_SUSPECT, 0, 1, 1},
		{COVER_SUSPECT, 24, 5, 0, COVER_SUSPECT, 0, 2, 2},
	}},
	{"a failed look between is neither, rows begin anew", {
		{COVER_SUSPECT, 1, 1, 0, COVER_SUSPECT, 0, 1, 1},
		{COVER_SUSPECT, 25, 2, 0, COVER_SUSPECT, 0, 2, 2},
		{COVER_MISSING, 49, 3, 0, COVER_SUSPECT, 0, 3, 4},
		{COVER_PARTIAL, 73, 4, 5, COVER_PARTIAL, 5, 4, 8},
		{COVER_SUSPECT, 97, 5, 0, COVER_PARTIAL, 5, 5, 16},
		{COVER_SUSPECT, 121, 6, 0, COVER_PARTIAL, 5, 6, 30},
		{COVER_SUSPECT, 200, 7, 0, COVER_PARTIAL, 5, 7, 30},
	}},
	{"an older run counts only if it proved more", {
		{COVER_PARTIAL, 30, 5, 40, COVER_PARTIAL, 40, 1, 1},
		{COVER_PARTIAL, 20, 3, 30, COVER_PARTIAL, 40, 1, 1},
		{COVER_COMPLETE, 25, 4, 100, COVER_COMPLETE, 100, 1, 1},
		{COVER_COMPLETE, 22, 2, 99, COVER_COMPLETE, 100, 1, 1},
	}},
};
/* clang-format on */

static void test_looks(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(stories); i++) {
		struct cover_row row;
		bool known = false;
		unsigned n = 0;

		for (const struct look *look = stories[i].looks;
			look < stories[i].looks + 8 && look->run > 0; look++) {
			struct cover_row found = {
				.day = NOV_19,
				.state = look->state,
				.expected = -1,
				.received = look->rows,
				.distinct = look->rows,
				.run = look->run,
				.checked_us = OVER + look->hours * HOUR,
			};
			int64_t next;

			coverage_fold(known ? &row : NULL, &found, ENDS, &row);
			known = true;
			n++;
			next = row.next_try_us ? row.next_try_us - found.checked_us : 0;
			if (row.state != look->stands || row.distinct != look->has ||
				row.tries != look->tries || row.attempts != n ||
				(look->run == row.run && next != look->wait_days * DAY)) {
				fail_msg("%s, look %u: %s, %d rows, %u tries, wait %d h",
					stories[i].name, n, cover_state_name(row.state),
					(int)row.distinct, row.tries, (int)(next / HOUR));
			}
		}
	}
}

/* What has no date is complete when it is proven, and never believed to be empty. */
static void test_without_a_date(void **state)
{
	struct cover_row row = {.day = INT32_MIN}, look = {.day = INT32_MIN};

	(void)state;
	for (int64_t day = 0; day < 9; day++) {
		look.state = COVER_SUSPECT;
		look.run = day + 1;
		look.checked_us = OVER + day * DAY;
		coverage_fold(day > 0 ? &row : NULL, &look, ENDS, &row);
		assert_int_equal(row.state, COVER_SUSPECT);
		assert_int_equal(row.tries, day + 1);
	}
}

/* ---- days ---- */

static void add(struct cover_list *list, int32_t day, const char *source, enum cover_state state,
	uint64_t rows)
{
	struct cover_row row = {
		.day = day, .source = source, .state = state, .distinct = rows, .received = rows};

	assert_int_equal(coverage_add(list, &row), 0);
}

static void test_the_best_source_counts(void **state)
{
	struct cover_list list = {.day_ends_s = ENDS};

	(void)state;
	add(&list, NOV_19 - 1, "live", COVER_OPEN, 5);
	add(&list, NOV_19 - 1, "history", COVER_MISSING, 0);
	add(&list, NOV_19, "live", COVER_PARTIAL, 1);
	add(&list, NOV_19, "history", COVER_COMPLETE, 9);
	assert_int_equal(coverage_day(&list, NOV_19 - 1)->distinct, 5);
	assert_int_equal(coverage_day(&list, NOV_19)->distinct, 9);
	assert_int_equal(coverage_of(&list, NOV_19, "live")->distinct, 1);
	assert_null(coverage_of(&list, NOV_19, "other"));
	assert_null(coverage_day(&list, NOV_19 + 1));
	assert_null(coverage_day(&list, NOV_19 - 2));
	assert_true(coverage_is_hole(coverage_day(&list, NOV_19 - 1)));
	assert_false(coverage_is_hole(coverage_day(&list, NOV_19)));
	assert_true(coverage_is_hole(NULL));
	coverage_fini(&list);
}

/* Eight weeks of 18,000 rows on weekdays and 3,000 on Sundays. */
static void fill_weeks(struct cover_list *list, int32_t n_days)
{
	for (int32_t day = NOV_19 - n_days; day < NOV_19; day++) {
		bool sunday = (NOV_19 - day) % 7 == 4; /* the 19th is a Thursday */

		add(list, day, "history", COVER_COMPLETE, sunday ? 3000 : 18000 + (day % 5));
	}
}

static void test_expectation(void **state)
{
	struct cover_list list = {.day_ends_s = ENDS};
	struct cover_list little = {.day_ends_s = ENDS};

	(void)state;
	fill_weeks(&list, 70);
	assert_in_range(coverage_expectation(&list, NOV_19), 18000, 18004);
	assert_int_equal(coverage_expectation(&list, NOV_19 - 4), 3000);
	assert_int_equal(coverage_expectation(&list, NOV_19 - 60), -1);
	fill_weeks(&little, 27);
	assert_int_equal(coverage_expectation(&little, NOV_19), -1); /* three weeks only */
	assert_false(coverage_is_weak(&little, NOV_19, OVER + DAY));
	coverage_fini(&list);
	coverage_fini(&little);
}

/* 2,600 rows at 10:32 are early, not broken; the next morning they are few. */
static void test_weak(void **state)
{
	struct cover_list list = {.day_ends_s = ENDS};

	(void)state;
	fill_weeks(&list, 70);
	assert_false(coverage_is_weak(&list, NOV_19 - 4, OVER)); /* a Sunday like others */
	add(&list, NOV_19, "history", COVER_OPEN, 2600);
	assert_false(coverage_is_weak(&list, NOV_19, OVER - 1));
	assert_true(coverage_is_weak(&list, NOV_19, OVER));
	list.rows[list.n - 1].state = COVER_COMPLETE;
	assert_true(coverage_is_weak(&list, NOV_19, OVER));
	list.rows[list.n - 1].distinct = 9100;
	assert_false(coverage_is_weak(&list, NOV_19, OVER));
	list.rows[list.n - 1].distinct = 10;
	list.rows[list.n - 1].state = COVER_PARTIAL; /* a hole, not a weak day */
	assert_false(coverage_is_weak(&list, NOV_19, OVER));
	coverage_fini(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day_is_over_next_morning),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_without_a_date),
		cmocka_unit_test(test_the_best_source_counts),
		cmocka_unit_test(test_expectation),
		cmocka_unit_test(test_weak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
