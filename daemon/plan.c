/*
 * A due source -> slices. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/plan.h"

#include <stdio.h>

#include "daemon/date.h"
#include "lib/buffer.h"

void plan_day(int32_t day, struct plan_slice *ret)
{
	_cleanup_buffer_ struct buffer name = {0};

	*ret = (struct plan_slice){.day = day};
	date_format(day, "%Y-%m-%d", &name);
	snprintf(ret->name, sizeof(ret->name), "%s", buffer_str(&name));
}

unsigned plan_due(const struct source *source, int32_t since, int32_t today,
	struct plan_slice *slices, unsigned max_slices)
{
	unsigned n = 0;
	int64_t oldest = (int64_t)(since < today ? since : today) - source->slice.lookback_days;

	if (!source->slice.sliced) {
		slices[0] = (struct plan_slice){.name = "all", .day = INT32_MIN};
		return 1;
	}
	/* Today is not over anywhere, and its rows are the look-back's of tomorrow. */
	for (int64_t day = (int64_t)today - 1; day >= oldest && n < max_slices; day--) {
		plan_day((int32_t)day, &slices[n++]);
	}
	return n;
}
