#pragma once

/*
 * Which holes of a source to fetch now. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * A hole is a data date since `heal.from` (or before, if the books name it) that is over and older than
 * the look-back of the schedule, and for which no source has a proof. The newest come first, as many as the day's budget has left;
 * half of it is kept for holes that were never tried.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/coverage.h"
#include "daemon/dataset.h"

struct heal_request {
	const struct source *source;
	const struct cover_list *coverage; /* of its dataset, all days */
	int64_t now_us;
	int32_t today;        /* in the zone of the schedule */
	unsigned spent;       /* slices fetched by healing today */
	unsigned spent_tried; /* of these, holes that had been tried before */
};

/* What healing makes of a day. */
enum heal_need {
	HEAL_NOT,   /* nothing to do, or not healing's */
	HEAL_FIRST, /* a hole that was never tried */
	HEAL_AGAIN, /* tried before; or no hole, but weak: looked at once more */
};

/*
 * Also tells from when on: 0 is at once. A wait is no reason for HEAL_NOT.
 */
enum heal_need heal_need(const struct heal_request *request, int32_t day, int64_t *ret_from_us);

/* The last day that is healing's; those after it are the schedule's look-back. */
int32_t heal_last_day(const struct heal_request *request);

/* The days to fetch now, the newest first; returns how many were written. */
unsigned heal_plan(const struct heal_request *request, int32_t *days, unsigned max);

/* The first day on which the dataset's data are due; INT32_MAX: not said. */
int32_t heal_due_from(const struct dataset *dataset);
