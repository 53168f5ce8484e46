/*
 * The schedule: what is due, what was missed, what is tried again. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/schedule.h"
#include "lib/civil.h"

#define MINUTE INT64_C(60000000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* 2026-11-20 00:00 in India. */
#define MIDNIGHT (INT64_C(1795132800) * 1000000 - 5 * HOUR - 30 * MINUTE)

enum { MAX_SOURCES = 4 };

struct fixture {
	struct source sources[MAX_SOURCES];
	struct dataset dataset;
	struct dataset *datasets[1];
	struct config config;
	struct zone *zone;
	struct schedule *schedule;
	const char *zone_name; /* NULL: Asia/Kolkata */
	int64_t since_us;      /* of what was due last */
};

static char *noon_and_evening[] = {(char *)"0 12 * * *", (char *)"0 17 * * *"};

static void begin(struct fixture *f, unsigned n_sources, int64_t now_us)
{
	struct error error = {0};

	for (unsigned i = 0; i < n_sources; i++) {
		f->sources[i].dataset = &f->dataset;
		f->sources[i].label = f->sources[i].label ? f->sources[i].label : (char *)"d/s";
	}
	f->dataset.sources = f->sources;
	f->dataset.n_sources = n_sources;
	f->datasets[0] = &f->dataset;
	f->config.datasets = f->datasets;
	f->config.n_datasets = 1;
	assert_int_equal(zone_load(NULL, f->zone_name ? f->zone_name : "Asia/Kolkata",
				 &f->zone, &error), 0);
	assert_int_equal(schedule_new(&f->config, f->zone, now_us, &f->schedule), 0);
}

static void end(struct fixture *f)
{
	schedule_free(f->schedule);
	zone_free(f->zone);
}

/* The trigger of the next due source, which must be the first; NULL when none is due. */
static const char *due(struct fixture *f, int64_t now_us)
{
	struct schedule_due due;

	if (!schedule_due(f->schedule, now_us, &due)) {
		return NULL;
	}
	assert_ptr_equal(due.source, &f->sources[0]);
	f->since_us = due.since_us;
	return due.trigger;
}

static void restore(struct fixture *f, int64_t tick_us, int64_t attempt_us)
{
	struct schedule_mark mark = {.tick_us = tick_us, .attempt_us = attempt_us};

	schedule_restore(f->schedule, &f->sources[0], &mark);
}

static void test_cron_in_the_zone(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), MIDNIGHT + 12 * HOUR);
	assert_null(due(&f, MIDNIGHT + 12 * HOUR - 1));
	assert_string_equal(due(&f, MIDNIGHT + 12 * HOUR), "schedule");
	assert_null(due(&f, MIDNIGHT + 12 * HOUR));
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), MIDNIGHT + 17 * HOUR);
	end(&f);
}

static void test_missed_ticks_fire_once(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_string_equal(due(&f, MIDNIGHT + 3 * DAY + 13 * HOUR), "schedule");
	assert_null(due(&f, MIDNIGHT + 3 * DAY + 13 * HOUR));
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]),
		MIDNIGHT + 3 * DAY + 17 * HOUR);
	end(&f);
}

static void test_missed_while_down(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};

	(void)state;
	begin(&f, 1, MIDNIGHT + 13 * HOUR);
	restore(&f, MIDNIGHT - 7 * HOUR, 0);
	assert_string_equal(due(&f, MIDNIGHT + 13 * HOUR), "schedule");
	assert_null(due(&f, MIDNIGHT + 13 * HOUR));
	end(&f);
}

static void test_retry_survives_a_restart(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};
	struct schedule_mark mark;

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_string_equal(due(&f, MIDNIGHT + 12 * HOUR), "schedule");
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, MIDNIGHT + 12 * HOUR + MINUTE);
	schedule_save(f.schedule, &f.sources[0], &mark);
	assert_int_equal(mark.tick_us, MIDNIGHT + 12 * HOUR);
	assert_int_equal(mark.attempt_us, MIDNIGHT + 12 * HOUR + MINUTE);
	assert_int_equal(mark.retry_us, MIDNIGHT + 12 * HOUR + 16 * MINUTE);
	assert_int_equal(mark.n_failed, 1);
	end(&f);

	begin(&f, 1, MIDNIGHT + 12 * HOUR + 2 * MINUTE);
	schedule_restore(f.schedule, &f.sources[0], &mark);
	assert_null(due(&f, MIDNIGHT + 12 * HOUR + 15 * MINUTE));
	assert_string_equal(due(&f, MIDNIGHT + 12 * HOUR + 16 * MINUTE), "retry");
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, MIDNIGHT + 12 * HOUR + 17 * MINUTE);
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]),
		MIDNIGHT + 12 * HOUR + 47 * MINUTE); /* doubled */
	end(&f);
}

static void test_marks_of_the_future_are_not_believed(void **state)
{
	struct fixture f = {.sources[0] = {.on_start = true, .every_ms = 3600 * 1000}};
	struct schedule_mark mark = {
		.tick_us = MIDNIGHT + DAY, .attempt_us = MIDNIGHT + DAY, .retry_us = MIDNIGHT + DAY};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	schedule_restore(f.schedule, &f.sources[0], &mark);
	assert_string_equal(due(&f, MIDNIGHT), "start");
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), MIDNIGHT + HOUR);
	end(&f);
}

static void test_clock_set_back_fires_nothing_twice(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_string_equal(due(&f, MIDNIGHT + 12 * HOUR), "schedule");
	assert_null(due(&f, MIDNIGHT + 11 * HOUR + 59 * MINUTE));
	assert_null(due(&f, MIDNIGHT + 12 * HOUR + MINUTE));
	assert_string_equal(due(&f, MIDNIGHT + 17 * HOUR), "schedule");
	end(&f);
}

static void test_every(void **state)
{
	struct fixture f = {.sources[0] = {.every_ms = 6 * 3600 * 1000}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_null(due(&f, MIDNIGHT + 6 * HOUR - 1));
	assert_string_equal(due(&f, MIDNIGHT + 6 * HOUR), "schedule");
	assert_string_equal(due(&f, MIDNIGHT + 50 * HOUR), "schedule");
	assert_null(due(&f, MIDNIGHT + 50 * HOUR));
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), MIDNIGHT + 54 * HOUR);
	end(&f);
}

static void test_on_start(void **state)
{
	struct fixture f = {.sources[0] = {.on_start = true, .every_ms = 3600 * 1000}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_int_equal(schedule_sleep_ms(f.schedule, MIDNIGHT), 0);
	assert_string_equal(due(&f, MIDNIGHT), "start");
	assert_null(due(&f, MIDNIGHT));
	end(&f);
}

static void test_on_start_not_soon_after_an_attempt(void **state)
{
	struct fixture f = {.sources[0] = {.on_start = true, .every_ms = 24 * 3600 * 1000}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	restore(&f, MIDNIGHT - HOUR, MIDNIGHT - 14 * MINUTE);
	assert_null(due(&f, MIDNIGHT));
	end(&f);
	begin(&f, 1, MIDNIGHT);
	restore(&f, MIDNIGHT - HOUR, MIDNIGHT - 16 * MINUTE);
	assert_string_equal(due(&f, MIDNIGHT), "start");
	end(&f);
}

static void test_failure_is_tried_again(void **state)
{
	struct fixture f = {.sources[0] = {.every_ms = 24 * 3600 * 1000}};
	int64_t now = MIDNIGHT;

	(void)state;
	begin(&f, 1, now);
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, now);
	assert_null(due(&f, now + 15 * MINUTE - 1));
	now += 15 * MINUTE;
	assert_string_equal(due(&f, now), "retry");
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, now);
	assert_null(due(&f, now + 30 * MINUTE - 1));
	assert_string_equal(due(&f, now + 30 * MINUTE), "retry");
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_SUCCESS, now + 31 * MINUTE);
	assert_null(due(&f, now + 10 * HOUR));
	end(&f);
}

static void test_regular_tick_takes_the_place_of_a_retry(void **state)
{
	struct fixture f = {.sources[0] = {.every_ms = 10 * 60 * 1000}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, MIDNIGHT);
	assert_string_equal(due(&f, MIDNIGHT + 10 * MINUTE), "schedule");
	assert_null(due(&f, MIDNIGHT + 16 * MINUTE));
	end(&f);
}

static void test_manual_source_is_never_due(void **state)
{
	struct fixture f = {.sources[0] = {.n_schedules = 0}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, MIDNIGHT);
	assert_null(due(&f, MIDNIGHT + 400 * DAY));
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), INT64_MAX);
	assert_int_equal(schedule_sleep_ms(f.schedule, MIDNIGHT), SCHEDULE_LOOK_MS);
	end(&f);
}

static void test_jitter_is_steady_and_bounded(void **state)
{
	struct fixture f = {.sources = {
		{.label = (char *)"d/a", .schedules = noon_and_evening, .n_schedules = 1,
			.jitter_ms = 300000},
		{.label = (char *)"d/b", .schedules = noon_and_evening, .n_schedules = 1,
			.jitter_ms = 300000},
	}};
	int64_t a, b;

	(void)state;
	begin(&f, 2, MIDNIGHT);
	a = schedule_next_us(f.schedule, &f.sources[0]) - MIDNIGHT - 12 * HOUR;
	b = schedule_next_us(f.schedule, &f.sources[1]) - MIDNIGHT - 12 * HOUR;
	assert_in_range(a, 0, 5 * MINUTE - 1);
	assert_in_range(b, 0, 5 * MINUTE - 1);
	assert_int_not_equal(a, b);
	assert_int_equal(schedule_soonest_us(f.schedule), MIDNIGHT + 12 * HOUR + (a < b ? a : b));
	end(&f);
}

static void test_a_year_of_ticks(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};
	unsigned n = 0;

	(void)state;
	begin(&f, 1, MIDNIGHT);
	for (int64_t now = MIDNIGHT; now < MIDNIGHT + 365 * DAY;) {
		n += due(&f, now) != NULL;
		now += (int64_t)schedule_sleep_ms(f.schedule, now) * 1000 + 1000;
	}
	assert_int_equal(n, 2 * 365);
	end(&f);
}

/* ---- which ticks a run stands for ---- */

static void test_since_the_first_tick_missed(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 1}};
	struct schedule_mark mark;

	(void)state;
	begin(&f, 1, MIDNIGHT + 10 * DAY);
	restore(&f, MIDNIGHT - 12 * HOUR, 0);
	assert_string_equal(due(&f, MIDNIGHT + 10 * DAY), "schedule");
	assert_int_equal(f.since_us, MIDNIGHT + 12 * HOUR);
	/* It did what it could: the retry stands for the same, the next tick for itself. */
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, MIDNIGHT + 10 * DAY);
	schedule_save(f.schedule, &f.sources[0], &mark);
	assert_int_equal(mark.since_us, MIDNIGHT + 12 * HOUR);
	assert_string_equal(due(&f, MIDNIGHT + 10 * DAY + HOUR), "retry");
	assert_int_equal(f.since_us, MIDNIGHT + 12 * HOUR);
	assert_string_equal(due(&f, MIDNIGHT + 10 * DAY + 12 * HOUR), "schedule");
	assert_int_equal(f.since_us, MIDNIGHT + 10 * DAY + 12 * HOUR);
	end(&f);
	/* Also when another process comes to them. */
	begin(&f, 1, MIDNIGHT + 10 * DAY + HOUR);
	schedule_restore(f.schedule, &f.sources[0], &mark);
	assert_string_equal(due(&f, MIDNIGHT + 10 * DAY + HOUR), "retry");
	assert_int_equal(f.since_us, MIDNIGHT + 12 * HOUR);
	end(&f);
	begin(&f, 1, MIDNIGHT + 10 * DAY + 12 * HOUR);
	schedule_restore(f.schedule, &f.sources[0], &mark);
	assert_string_equal(due(&f, MIDNIGHT + 10 * DAY + 12 * HOUR), "schedule");
	assert_int_equal(f.since_us, MIDNIGHT + 10 * DAY + 12 * HOUR);
	end(&f);
}

static void test_what_brought_nothing_is_still_owed(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 1}};
	struct schedule_mark mark;

	(void)state;
	begin(&f, 1, MIDNIGHT);
	for (int64_t day = 0; day < 5; day++) { /* the portal is down */
		assert_string_equal(due(&f, MIDNIGHT + day * DAY + 12 * HOUR), "schedule");
		assert_int_equal(f.since_us, MIDNIGHT + 12 * HOUR);
		schedule_ended(f.schedule, &f.sources[0], SCHEDULE_NOTHING,
			MIDNIGHT + day * DAY + 12 * HOUR);
	}
	schedule_save(f.schedule, &f.sources[0], &mark);
	end(&f);
	begin(&f, 1, MIDNIGHT + 6 * DAY);
	schedule_restore(f.schedule, &f.sources[0], &mark);
	assert_non_null(due(&f, MIDNIGHT + 6 * DAY));
	assert_int_equal(f.since_us, MIDNIGHT + 12 * HOUR);
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_SUCCESS, MIDNIGHT + 6 * DAY);
	schedule_save(f.schedule, &f.sources[0], &mark);
	assert_int_equal(mark.since_us, 0);
	end(&f);
}

static void test_what_was_skipped_is_still_owed(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 1}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_string_equal(due(&f, MIDNIGHT + 12 * HOUR), "schedule");
	schedule_skipped(f.schedule, &f.sources[0]);
	assert_string_equal(due(&f, MIDNIGHT + DAY + 12 * HOUR), "schedule");
	assert_int_equal(f.since_us, MIDNIGHT + 12 * HOUR);
	assert_string_equal(due(&f, MIDNIGHT + 2 * DAY + 12 * HOUR), "schedule");
	assert_int_equal(f.since_us, MIDNIGHT + 2 * DAY + 12 * HOUR);
	end(&f);
}

/* ---- clocks ---- */

static void test_clock_that_had_been_wrong(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};

	(void)state;
	begin(&f, 1, MIDNIGHT);
	assert_string_equal(due(&f, MIDNIGHT + 4 * 365 * DAY), "schedule");
	schedule_ended(f.schedule, &f.sources[0], SCHEDULE_PART, MIDNIGHT + 4 * 365 * DAY);
	assert_null(due(&f, MIDNIGHT + HOUR));
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), MIDNIGHT + HOUR + 15 * MINUTE);
	assert_string_equal(due(&f, MIDNIGHT + 2 * HOUR), "retry");
	assert_string_equal(due(&f, MIDNIGHT + 12 * HOUR), "schedule");
	assert_null(due(&f, MIDNIGHT + 12 * HOUR));
	end(&f);
}

/*
 * A year in a zone with summer time, the clock looked at whenever the schedule asks for it. Every
 * local day has each of its ticks once: 02:30 does not exist on one day and comes twice on another.
 */
static void year_with_summer_time(const char *zone, int64_t begin_us)
{
	char *lines[] = {(char *)"30 2 * * *", (char *)"0 12 * * *"};
	struct fixture f = {
		.sources[0] = {.schedules = lines, .n_schedules = 2}, .zone_name = zone};
	unsigned n[400] = {0};
	int64_t day0;

	begin(&f, 1, begin_us);
	day0 = civil_day_of_second(zone_to_local(f.zone, begin_us / 1000000));
	for (int64_t now = begin_us; now < begin_us + 365 * DAY;) {
		if (due(&f, now)) {
			int64_t local_s = zone_to_local(f.zone, now / 1000000);

			n[civil_day_of_second(local_s) - day0]++;
			assert_true(local_s % 86400 / 3600 == 12 || local_s % 86400 / 3600 == 2 ||
				    local_s % 86400 / 3600 == 3);
		}
		now += (int64_t)schedule_sleep_ms(f.schedule, now) * 1000 + 1000;
	}
	for (unsigned day = 0; day < 365; day++) {
		assert_int_equal(n[day], 2);
	}
	end(&f);
}

static void test_a_year_with_summer_time(void **state)
{
	(void)state;
	/* Midnights of 2026-01-01. */
	year_with_summer_time("Europe/Berlin", INT64_C(1767222000) * 1000000);
	year_with_summer_time("America/New_York", INT64_C(1767243600) * 1000000);
}

/* The same year, its clock pushed by up to two hours each way every few hours: no tick comes twice. */
static void test_a_year_of_clock_jumps(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2},
		.zone_name = "Europe/Berlin"};
	const int64_t begin_us = INT64_C(1767222000) * 1000000;
	int64_t shift = 0, last_tick = 0;
	unsigned n = 0;
	uint32_t random = 1;

	(void)state;
	begin(&f, 1, begin_us);
	for (int64_t real = begin_us; real < begin_us + 365 * DAY; real += 5 * MINUTE) {
		if (real / (5 * MINUTE) % 60 == 0) {
			random = random * 1664525 + 1013904223;
			shift = (int64_t)(random >> 16) % 240 * MINUTE - 120 * MINUTE;
		}
		if (due(&f, real + shift)) {
			struct schedule_mark mark;

			schedule_save(f.schedule, &f.sources[0], &mark);
			assert_true(mark.tick_us > last_tick);
			last_tick = mark.tick_us;
			n++;
		}
	}
	assert_in_range(n, 2 * 365 - 1, 2 * 365 + 1);
	end(&f);
}

static void test_what_is_to_come(void **state)
{
	struct fixture f = {.sources = {
		{.label = (char *)"d/a", .schedules = noon_and_evening, .n_schedules = 2},
		{.label = (char *)"d/b", .every_ms = 7 * 3600 * 1000},
		{.label = (char *)"d/c", .on_start = true},
	}};
	struct schedule_tick ticks[6];
	static const struct {
		unsigned source;
		int64_t at_us;
		const char *trigger;
	} expected[] = {
		{2, 0, "start"},
		{1, 7 * HOUR, "schedule"},
		{0, 12 * HOUR, "schedule"},
		{1, 14 * HOUR, "schedule"},
		{0, 17 * HOUR, "schedule"},
		{1, 21 * HOUR, "schedule"},
	};

	(void)state;
	begin(&f, 3, MIDNIGHT);
	assert_int_equal(schedule_upcoming(f.schedule, MIDNIGHT, ticks, 6), 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_ptr_equal(ticks[i].source, &f.sources[expected[i].source]);
		assert_int_equal(ticks[i].at_us, MIDNIGHT + expected[i].at_us);
		assert_string_equal(ticks[i].trigger, expected[i].trigger);
	}
	assert_int_equal(schedule_upcoming(f.schedule, MIDNIGHT, ticks, 0), 0);
	/* As it was before: looking ahead fires nothing. */
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), MIDNIGHT + 12 * HOUR);
	end(&f);
}

/* What was missed is due as one when the pause is over; it outlives the process. */
static void test_pause(void **state)
{
	struct fixture f = {.sources[0] = {.schedules = noon_and_evening, .n_schedules = 2}};
	struct schedule_mark mark;
	struct schedule_tick tick;

	(void)state;
	begin(&f, 1, MIDNIGHT);
	schedule_pause(f.schedule, &f.sources[0], true);
	assert_true(schedule_is_paused(f.schedule, &f.sources[0]));
	assert_false(schedule_is_paused(f.schedule, NULL));
	assert_null(due(&f, MIDNIGHT + 3 * DAY));
	assert_int_equal(schedule_next_us(f.schedule, &f.sources[0]), INT64_MAX);
	assert_int_equal(schedule_upcoming(f.schedule, MIDNIGHT, &tick, 1), 0);
	schedule_save(f.schedule, &f.sources[0], &mark);
	end(&f);

	begin(&f, 1, MIDNIGHT + 4 * DAY);
	schedule_restore(f.schedule, &f.sources[0], &mark);
	schedule_pause(f.schedule, NULL, true);
	assert_null(due(&f, MIDNIGHT + 4 * DAY));
	schedule_pause(f.schedule, &f.sources[0], false);
	assert_null(due(&f, MIDNIGHT + 4 * DAY)); /* one of both is enough */
	schedule_pause(f.schedule, NULL, false);
	assert_string_equal(due(&f, MIDNIGHT + 4 * DAY), "schedule");
	assert_int_equal(f.since_us, MIDNIGHT + 12 * HOUR);
	assert_null(due(&f, MIDNIGHT + 4 * DAY));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cron_in_the_zone),
		cmocka_unit_test(test_missed_ticks_fire_once),
		cmocka_unit_test(test_missed_while_down),
		cmocka_unit_test(test_retry_survives_a_restart),
		cmocka_unit_test(test_marks_of_the_future_are_not_believed),
		cmocka_unit_test(test_clock_set_back_fires_nothing_twice),
		cmocka_unit_test(test_every),
		cmocka_unit_test(test_on_start),
		cmocka_unit_test(test_on_start_not_soon_after_an_attempt),
		cmocka_unit_test(test_failure_is_tried_again),
		cmocka_unit_test(test_regular_tick_takes_the_place_of_a_retry),
		cmocka_unit_test(test_manual_source_is_never_due),
		cmocka_unit_test(test_jitter_is_steady_and_bounded),
		cmocka_unit_test(test_a_year_of_ticks),
		cmocka_unit_test(test_since_the_first_tick_missed),
		cmocka_unit_test(test_what_brought_nothing_is_still_owed),
		cmocka_unit_test(test_what_was_skipped_is_still_owed),
		cmocka_unit_test(test_clock_that_had_been_wrong),
		cmocka_unit_test(test_a_year_with_summer_time),
		cmocka_unit_test(test_a_year_of_clock_jumps),
		cmocka_unit_test(test_what_is_to_come),
		cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
