/*
 * Which holes are fetched: order, waits, budget, and a year of it. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/heal.h"
#include "lib/attr.h"

#define HOUR INT64_C(3600000000)
#define DAY  (24 * HOUR)

enum { TODAY = 20800, ENDS = 9 * 3600, N = 64 };

/* 12:00 of TODAY in India. */
#define NOON (TODAY * DAY + 6 * HOUR + HOUR / 2)

struct fixture {
	struct source source;
	struct cover_list list;
	struct heal_request request;
	int32_t days[N];
	unsigned n;
};

static void begin(struct fixture *f, int32_t n_days, unsigned budget)
{
	*f = (struct fixture){
		.source = {.name = (char *)"history", .every_ms = 1,
			.slice = {.sliced = true, .lookback_days = 3},
			.heal = {.enabled = true, .from_day = TODAY - n_days,
				.max_slices_per_day = budget}},
		.list.day_ends_s = ENDS,
	};
	f->request = (struct heal_request){
		.source = &f->source, .coverage = &f->list, .now_us = NOON, .today = TODAY};
}

static void add_row(struct fixture *f, const struct cover_row *row)
{
	assert_int_equal(coverage_add(&f->list, row), 0);
}

static void add(struct fixture *f, int32_t back, enum cover_state state, unsigned tries,
	int64_t next_us)
{
	add_row(f, &(struct cover_row){.day = TODAY - back, .source = f->source.name,
			.state = state, .tries = tries, .attempts = tries, .next_try_us = next_us});
}

/* "4 5 6": how many days back each planned day lies. */
static const char *plan(struct fixture *f, char *text)
{
	size_t len = 0;

	text[0] = '\0';
	f->n = heal_plan(&f->request, f->days, N);
	for (unsigned i = 0; i < f->n; i++) {
		len += (size_t)sprintf(text + len, "%s%d", i ? " " : "", TODAY - f->days[i]);
	}
	return text;
}

static void end(struct fixture *f)
{
	coverage_fini(&f->list);
}

static void test_newest_first_within_the_budget(void **state)
{
	struct fixture f;
	char text[400];

	(void)state;
	begin(&f, 100, 5);
	assert_string_equal(plan(&f, text), "4 5 6 7 8"); /* 1 to 3 are the look-back's */
	f.request.spent = 3;
	assert_string_equal(plan(&f, text), "4 5");
	f.request.spent = 5;
	assert_string_equal(plan(&f, text), "");
	f.request.spent = 9;
	assert_string_equal(plan(&f, text), "");
	end(&f);
	begin(&f, 6, 5);
	assert_string_equal(plan(&f, text), "4 5 6"); /* not before heal.from */
	f.source.every_ms = 0;
	assert_string_equal(plan(&f, text), "1 2 3 4 5"); /* nobody else looks back */
	f.request.now_us = NOON - 4 * HOUR; /* 08:00: yesterday is not over */
	assert_string_equal(plan(&f, text), "2 3 4 5 6");
	end(&f);
}

static void test_what_is_a_hole(void **state)
{
	struct fixture f;
	char text[400];

	(void)state;
	begin(&f, 11, 40);
	add(&f, 11, COVER_MISSING, 0, 0);
	add(&f, 10, COVER_COMPLETE, 0, 0);
	add(&f, 9, COVER_OPEN, 0, 0);
	add(&f, 8, COVER_PARTIAL, 1, 0);
	add(&f, 7, COVER_SUSPECT, 1, NOON);
	add(&f, 6, COVER_EMPTY, 2, 0);
	add(&f, 5, COVER_PARTIAL, 2, NOON + 1);
	assert_string_equal(plan(&f, text), "4 7 8 9 11");
	end(&f);
}

static void test_another_source_may_have_it(void **state)
{
	struct fixture f;
	char text[400];

	(void)state;
	begin(&f, 5, 40);
	add(&f, 5, COVER_MISSING, 1, 0);
	add_row(&f, &(struct cover_row){
			.day = TODAY - 5, .source = "live", .state = COVER_COMPLETE});
	add_row(&f,
		&(struct cover_row){.day = TODAY - 4, .source = "live", .state = COVER_OPEN});
	assert_string_equal(plan(&f, text), "4");
	end(&f);
}

/* Ten newer ones were tried before, ten older ones never. */
static void test_half_is_kept_for_the_never_tried(void **state)
{
	struct fixture f;
	char text[400];

	(void)state;
	begin(&f, 23, 8);
	for (int32_t back = 13; back >= 4; back--) {
		add(&f, back, COVER_PARTIAL, 1, 0);
	}
	assert_string_equal(plan(&f, text), "4 5 6 7 14 15 16 17");
	f.request.spent = 4;
	f.request.spent_tried = 4; /* they had their half */
	assert_string_equal(plan(&f, text), "14 15 16 17");
	f.request.spent_tried = 0; /* the others had theirs */
	assert_string_equal(plan(&f, text), "4 5 6 7");
	end(&f);
	begin(&f, 14, 8); /* a single one was never tried: what it leaves is for the others */
	for (int32_t back = 13; back >= 4; back--) {
		add(&f, back, COVER_PARTIAL, 1, 0);
	}
	assert_string_equal(plan(&f, text), "4 5 6 7 8 9 10 14");
	end(&f);
	begin(&f, 4, 1);
	add(&f, 4, COVER_PARTIAL, 1, 0);
	assert_string_equal(plan(&f, text), "4"); /* a budget of one is nobody's alone */
	end(&f);
}

static void test_a_weak_day_is_looked_at_once_more(void **state)
{
	struct fixture f;
	char text[400];
	struct cover_row *weak;

	(void)state;
	begin(&f, 80, 40);
	for (int32_t back = 80; back >= 4; back--) {
		add_row(&f, &(struct cover_row){.day = TODAY - back, .source = f.source.name,
				.state = COVER_COMPLETE, .distinct = back == 12 ? 100 : 1000,
				.checked_us = NOON - (back - 2) * DAY});
	}
	weak = &f.list.rows[80 - 12];
	assert_string_equal(plan(&f, text), "12");
	f.request.now_us = coverage_over_us(TODAY - 12, ENDS) + 7 * DAY - 1;
	assert_string_equal(plan(&f, text), "");
	f.request.now_us = NOON;
	weak->checked_us = NOON - DAY; /* it was looked at since: a quiet day it is */
	assert_string_equal(plan(&f, text), "");
	weak->tries = 1; /* in vain: again, when its time has come */
	weak->next_try_us = NOON;
	assert_string_equal(plan(&f, text), "12");
	weak->next_try_us = NOON + 1;
	assert_string_equal(plan(&f, text), "");
	weak->next_try_us = 0;
	weak->state = COVER_EMPTY; /* there was nothing, on a day that should have had rows */
	weak->distinct = 0;
	assert_string_equal(plan(&f, text), "");
	weak->checked_us = NOON - 10 * DAY;
	assert_string_equal(plan(&f, text), "12");
	end(&f);
}

/* ---- a year ---- */

/* Keep the rows in the order of days. */
static void put(struct cover_list *list, const struct cover_row *row)
{
	size_t i;

	assert_int_equal(coverage_add(list, row), 0);
	for (i = list->n - 1; i > 0 && list->rows[i - 1].day > row->day; i--) {
		list->rows[i] = list->rows[i - 1];
	}
	list->rows[i] = *row;
}

static void look(struct fixture *f, int32_t day, enum cover_state state, int64_t run)
{
	const struct cover_row *known = coverage_of(&f->list, day, f->source.name);
	struct cover_row found = {.day = day, .state = state, .expected = -1, .run = run,
		.checked_us = f->request.now_us, .distinct = 1000};
	struct cover_row row;

	coverage_fold(known, &found, ENDS, &row);
	row.source = f->source.name;
	if (known) {
		*(struct cover_row *)known = row;
	} else {
		put(&f->list, &row);
	}
}

/* What the portal has of a day: every 7th never any row, every 11th is broken until day 200. */
static enum cover_state portal(int32_t day, int32_t today)
{
	if (day % 7 == 0) {
		return COVER_SUSPECT;
	}
	return day % 11 == 0 && today < TODAY + 200 ? COVER_PARTIAL : COVER_COMPLETE;
}

/*
 * 400 days behind, six hours at a time for a year, chunks of four: never above the budget, half of it for
 * the new ones, each try as late as it must be, and at the end nothing is left.
 */
static void test_a_year(void **state)
{
	enum { BACK = 400, BUDGET = 10 };
	struct fixture f;
	int64_t run = 1;
	unsigned n_tries = 0, least_first = BUDGET;

	(void)state;
	begin(&f, BACK, BUDGET);
	for (int32_t today = TODAY; today < TODAY + 365; today++) {
		f.request.today = today;
		f.request.spent = f.request.spent_tried = 0;
		for (int64_t hour = 0; hour < 24; hour += 6) {
			f.request.now_us = today * DAY - 5 * HOUR - HOUR / 2 + hour * HOUR;
			if (hour == 6) {
				for (int32_t back = 1; back <= 3; back++) {
					look(&f, today - back, portal(today - back, today), run++);
				}
			}
			f.n = heal_plan(&f.request, f.days, 4);
			for (unsigned i = 0; i < f.n; i++) {
				const struct cover_row *known =
					coverage_of(&f.list, f.days[i], f.source.name);

				assert_true(!known || known->next_try_us <= f.request.now_us);
				f.request.spent++;
				f.request.spent_tried += known && known->tries > 0;
				n_tries++;
				look(&f, f.days[i], portal(f.days[i], today), run++);
			}
		}
		assert_true(f.request.spent <= BUDGET);
		if (today < TODAY + 30 && BUDGET - f.request.spent_tried < least_first) {
			least_first = BUDGET - f.request.spent_tried;
		}
	}
	assert_true(least_first >= BUDGET / 2);
	for (int32_t day = TODAY - BACK; day <= heal_last_day(&f.request); day++) {
		const struct cover_row *row = coverage_day(&f.list, day);

		assert_int_equal(coverage_is_hole(row), false);
		assert_int_equal(row->state, day % 7 == 0 ? COVER_EMPTY : COVER_COMPLETE);
	}
	assert_int_equal(heal_plan(&f.request, f.days, N), 0);
	/* Each once, the empty ones thrice, the broken ones until they are mended. */
	assert_in_range(n_tries, BACK, 3 * BACK);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_first_within_the_budget),
		cmocka_unit_test(test_what_is_a_hole),
		cmocka_unit_test(test_another_source_may_have_it),
		cmocka_unit_test(test_half_is_kept_for_the_never_tried),
		cmocka_unit_test(test_a_weak_day_is_looked_at_once_more),
		cmocka_unit_test(test_a_year),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
