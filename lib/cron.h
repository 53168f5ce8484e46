#pragma once

/*
 * Cron lines: when is the next tick? Pure. SPDX-License-Identifier: Apache-2.0
 *
 *	minute 0-59, hour 0-23, day 1-31, month 1-12 or jan-dec, weekday 0-7 or sun-sat
 *
 * Each field is a list of *, a, a-b, with a step behind * or a range (8-18/2). Sunday is 0 and 7.
 * When both day and weekday are restricted (begin with no *), either one is enough, as crontab(5)
 * has it.
 *
 * A tick is a minute on the wall. One that clocks jump over comes once, at the first moment after the
 * gap, however many there were in it; one in a repeated hour comes the first time only. (So a line
 * for every minute is silent while an hour is repeated.)
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/error.h"

struct zone;

/* One bit for each value. */
struct cron {
	uint64_t minutes;
	uint32_t hours, days;
	uint16_t months; /* bit 1 is January */
	uint8_t weekdays; /* bit 0 is Sunday */
	bool either_day;  /* day or weekday, not both */
};

/*
 * Returns 0, or -1 with class REJECTED, a text that names the field, and in *ret_at (may be NULL) the
 * offset in `text` of what is wrong. A line that can never come is refused, too.
 */
int cron_parse(const char *text, struct cron *ret, unsigned *ret_at, struct error *error) must_check;

/* The first tick after that moment (not at it). */
int64_t cron_next(const struct cron *cron, int64_t after_us, const struct zone *zone);
