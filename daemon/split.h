#pragma once

/*
 * A slice that cannot be proven as a whole is fetched again in parts, one for each value of a column;
 * what their proofs say about the whole. Pure. SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/plan.h"
#include "daemon/slice.h"
#include "daemon/valueset.h"
#include "lib/attr.h"

/* How far the parts of one whole are. */
struct split {
	unsigned n_parts, n_ended, n_proven;
	unsigned n_moved; /* parts that are proven, but of another snapshot than the whole */
	uint64_t n_rows;  /* the totals of the proven parts */
	int64_t updated;  /* of the whole, as the portal said; 0 unknown */
};

/* True when the passes were not enough, and the source says by which column to split. */
bool split_is_due(const struct source *source, const struct spool_outcome *whole,
	const struct valueset *values);

/*
 * "2026-11-19/Kerala". False when the value cannot be asked for or named: it is empty, too long, or
 * no UTF-8. Then there is no such part, and the totals will not add up.
 */
bool split_part(const struct plan_slice *whole, const char *value, struct plan_slice *ret)
	must_check;

/* True for a value that nothing has: stored once, but not of this slice. Nothing is to be booked. */
bool split_is_nothing(const struct spool_outcome *part);

void split_take(struct split *split, const struct spool_outcome *part);

/*
 * All parts ended: the whole is proven if they are, their totals add up to its own, and the portal
 * did not say that its data changed since.
 */
void split_judge(const struct split *split, struct spool_outcome *whole);
