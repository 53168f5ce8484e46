#pragma once

/*
 * A run as others may see it: what is reported of it. SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fetch.h"
#include "daemon/ledger.h"
#include "lib/error.h"

/* A run as others may see it; borrowed for the call. */
struct run_info {
	int64_t id;
	const struct source *source;
	const char *trigger;
	bool heals; /* holes; no tick of the schedule */
	const char *slice; /* being fetched, or NULL */
	int64_t started_us, finished_us; /* 0: not yet */
	unsigned n_slices, n_settled;
	struct fetch_progress progress; /* of the slice being fetched */
	/* At the end: */
	enum run_state state;
	struct row_counts counts;
	uint64_t n_renames;   /* names that came and look like known ones */
	int32_t newest_day;   /* of its rows; INT32_MIN none */
	const struct error *error; /* the first one; NULL for success */
};
