/*
 * Why a day is as it is: the words. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "daemon/why.h"

#define HOUR INT64_C(3600000000)
#define DAY  (24 * HOUR)

enum { TODAY = 20800 /* 2026-12-13, a Sunday */, ENDS = 9 * 3600 };

/* 12:00 of TODAY in India. */
#define NOON (TODAY * DAY + 6 * HOUR + HOUR / 2)

struct fixture {
	struct source source;
	struct dataset dataset;
	struct cover_list list;
	struct why_look look;
	struct why why;
};

static void begin(struct fixture *f, int32_t back)
{
	*f = (struct fixture){
		.source = {.name = (char *)"history", .every_ms = 1,
			.slice = {.sliced = true, .lookback_days = 3},
			.heal = {.enabled = true, .from_day = TODAY - 90, .max_slices_per_day = 40}},
		.dataset = {.name = (char *)"prices", .schema = (char *)"m",
			.table = (char *)"price", .n_sources = 1, .day_ends_s = ENDS},
		.list.day_ends_s = ENDS,
	};
	f->dataset.sources = &f->source;
	f->source.dataset = &f->dataset;
	f->why = (struct why){
		.dataset = &f->dataset,
		.source = &f->source,
		.coverage = &f->list,
		.day = TODAY - back,
		.today = TODAY,
		.now_us = NOON,
		.next_run_us = NOON + 15 * HOUR + HOUR / 2,
		.next_day = TODAY + 1,
		.n_stored = -1,
	};
}

static void add(struct fixture *f, int32_t back, enum cover_state state, uint64_t rows,
	unsigned tries, int64_t next_us)
{
	struct cover_row row = {
		.day = TODAY - back,
		.source = "history",
		.state = state,
		.expected = -1,
		.received = rows,
		.distinct = rows,
		.attempts = tries + (state == COVER_COMPLETE),
		.tries = tries,
		.next_try_us = next_us,
		.checked_us = NOON - DAY,
	};

	assert_int_equal(coverage_add(&f->list, &row), 0);
}

static void check(struct fixture *f, const char *want)
{
	_cleanup_buffer_ struct buffer text = {0};

	why_text(&f->why, &text);
	assert_string_equal(buffer_str(&text), want);
	coverage_fini(&f->list);
}

static void test_a_good_day(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 10);
	add(&f, 10, COVER_COMPLETE, 400, 0, 0);
	f.list.rows[0].expected = 400;
	f.list.rows[0].quarantined = 2;
	f.why.n_stored = 398;
	f.look = (struct why_look){.run = 7, .trigger = "schedule", .state = "proven",
		.received = 400, .inserted = 398, .quarantined = 2};
	f.why.looks = &f.look;
	f.why.n_looks = 1;
	check(&f,
		"2026-12-03, a Thursday, was due at 2026-12-04T09:00:00+05:30."
		" By history it is complete: every row that the portal had came, after the day was"
		" over, 400 of 400 rows, 2 of them in quarantine; 1 look, the last one at"
		" 2026-12-12T12:00:00+05:30."
		" Run 7 (schedule) looked last and ended proven: 400 received, 398 inserted,"
		" 2 quarantined."
		" m.price holds 398 rows of it. Nothing is to be done.");
}

static void test_never_seen(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 10);
	f.why.spent = 3;
	f.why.paused = true;
	add(&f, 5, COVER_COMPLETE, 400, 0, 0);
	check(&f,
		"2026-12-03, a Thursday, was due at 2026-12-04T09:00:00+05:30."
		" Nothing is known of it: no look at it is in the books."
		" Healing asks for it next; 5 newer ones go before it, 3 of 40 for today are spent."
		" But it is paused: until 'ogdsync resume' nothing is asked for.");
}

static void test_a_hole_waits(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 5);
	add(&f, 5, COVER_MISSING, 0, 2, NOON + DAY);
	add(&f, 4, COVER_COMPLETE, 9, 0, 0);
	f.look = (struct why_look){.run = 7, .trigger = "heal", .state = "failed",
		.code = "http_502", .text = "the portal answered 502"};
	f.why.looks = &f.look;
	f.why.n_looks = 1;
	assert_int_equal(why_next_us(&f.why), NOON + DAY);
	check(&f,
		"2026-12-08, a Tuesday, was due at 2026-12-09T09:00:00+05:30."
		" By history it is missing; 2 looks, the last one at 2026-12-12T12:00:00+05:30."
		" Run 7 (heal) looked last and ended failed: the portal answered 502."
		" Healing asks for it again, not before 2026-12-14T12:00:00+05:30; 0 newer ones go"
		" before it, 0 of 40 for today are spent.");
}

static void test_look_back_and_edges(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2);
	add(&f, 2, COVER_OPEN, 400, 0, 0);
	check(&f,
		"2026-12-11, a Friday, was due at 2026-12-12T09:00:00+05:30."
		" By history it is open: every row came, but before the day was over, 400 rows."
		" The schedule of history looks at it again at 2026-12-14T03:30:00+05:30.");
	begin(&f, 3); /* the next look-back does not reach it, healing does not have it yet */
	check(&f,
		"2026-12-10, a Thursday, was due at 2026-12-11T09:00:00+05:30."
		" Nothing is known of it: no look at it is in the books."
		" Healing asks for it from tomorrow on.");
	begin(&f, -1);
	f.why.next_day = TODAY;
	check(&f,
		"2026-12-14, a Monday, has not begun: it is over at 2026-12-15T09:00:00+05:30."
		" Nothing is known of it: no look at it is in the books."
		" It is asked for when it is over.");
	begin(&f, 100);
	check(&f,
		"2026-09-04, a Friday, was never due: heal.from is 2026-09-14."
		" Nothing is known of it: no look at it is in the books."
		" Nobody asks for it, until 'ogdsync backfill' names it.");
	begin(&f, 10);
	f.source.heal.enabled = false;
	add(&f, 12, COVER_COMPLETE, 9, 0, 0);
	f.why.part = "Kerala";
	f.why.n_stored = 1;
	check(&f,
		"2026-12-03, a Thursday, was due at 2026-12-04T09:00:00+05:30."
		" Nothing is known of it: no look at it is in the books."
		" The part Kerala was not asked for by itself. m.price holds 1 row of it with Kerala."
		" Nobody asks for it: no source of the dataset has 'heal'.");
}

static void test_weak_and_empty(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 10);
	for (int32_t back = 66; back >= 10; back -= 7) {
		add(&f, back, back == 10 ? COVER_EMPTY : COVER_COMPLETE, 1000, 0, 0);
	}
	f.list.rows[f.list.n - 1].received = f.list.rows[f.list.n - 1].distinct = 0;
	check(&f,
		"2026-12-03, a Thursday, was due at 2026-12-04T09:00:00+05:30."
		" By history it is empty: the portal said three times, at least a day apart, that"
		" there is nothing. It is weak: 1000 rows are usual for this weekday."
		" Nothing is to be done."); /* it was looked at since */
	begin(&f, 5);
	for (int32_t back = 61; back >= 5; back -= 7) {
		add(&f, back, COVER_COMPLETE, back == 5 ? 100 : 1000, 0, 0);
	}
	check(&f,
		"2026-12-08, a Tuesday, was due at 2026-12-09T09:00:00+05:30."
		" By history it is complete: every row that the portal had came, after the day was"
		" over, 100 rows; 1 look, the last one at 2026-12-12T12:00:00+05:30."
		" It is weak: 1000 rows are usual for this weekday."
		" Healing asks for it again, not before 2026-12-16T09:00:00+05:30; 1 newer one goes"
		" before it, 0 of 40 for today are spent.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_day),
		cmocka_unit_test(test_never_seen),
		cmocka_unit_test(test_a_hole_waits),
		cmocka_unit_test(test_look_back_and_edges),
		cmocka_unit_test(test_weak_and_empty),
	};

	setenv("TZ", "Asia/Kolkata", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
