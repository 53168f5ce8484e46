#pragma once

/*
 * Records out of quarantine: read by today's rules, and loaded if they are good now.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "cli/progress.h"
#include "cli/rerun.h"
#include "daemon/ledger_repair.h"

struct release_totals {
	uint64_t looked_at, released;
	struct row_counts counts; /* of those that were loaded */
};

/*
 * All that `pick` says, in transactions of one slice and at most LEDGER_PICK_ROWS records. What is
 * good is loaded as a row of the run that last served it, and leaves; what is bad stays as it is.
 * Returns 0 and adds to the totals, or the exit code and why was said; what was done till then is
 * done. pick->run, if not 0, is a run whose pages were just loaded. `progress` may be NULL.
 */
int release_records(struct rerun_list *reruns, const struct ledger_pick *pick,
	struct progress *progress, struct release_totals *totals) must_check;
