/*
 * How runs end and what becomes of rows. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/counts.h"

void row_counts_add(struct row_counts *sum, const struct row_counts *counts)
{
	sum->received += counts->received;
	sum->inserted += counts->inserted;
	sum->updated += counts->updated;
	sum->unchanged += counts->unchanged;
	sum->duplicate += counts->duplicate;
	sum->quarantined += counts->quarantined;
}

const char *run_state_name(enum run_state state)
{
	switch (state) {
	case RUN_RUNNING:
		return "running";
	case RUN_SPOOLED:
		return "spooled";
	case RUN_SUCCESS:
		return "success";
	case RUN_PARTIAL:
		return "partial";
	case RUN_SUSPECT:
		return "suspect";
	case RUN_FAILED:
		return "failed";
	case RUN_CANCELED:
		return "canceled";
	}
	return "unknown";
}
