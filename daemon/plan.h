#pragma once

/*
 * A due source -> slices. Pure. SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "lib/attr.h"

enum { PLAN_NAME_BYTES = 256 };

struct plan_slice {
	char name[PLAN_NAME_BYTES]; /* "all", "2026-11-19" */
	int32_t day;                  /* INT32_MIN: none */
	bool accept; /* an operator says that rows which vanished are meant to */
};

enum { PLAN_MAX_SLICES = 400 };

/*
 * The slices that a source is due for on the day `today` (in the schedule's zone): `all` for a source
 * without `slice:`; else the days of its look-back, yesterday first, and before them those of each
 * look-back that was missed since the day `since`. Returns how many were written.
 */
unsigned plan_due(const struct source *source, int32_t since, int32_t today,
	struct plan_slice *slices, unsigned max_slices);

/* One data date by itself. */
void plan_day(int32_t day, struct plan_slice *ret);
