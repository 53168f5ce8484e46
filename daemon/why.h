#pragma once

/*
 * Why a day is as it is, in words. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * What is known of a data date, from the books and the schedule, becomes one paragraph: was it due,
 * what came of it, what is stored, and what happens next and when.
 */

#include "daemon/coverage.h"
#include "daemon/dataset.h"
#include "daemon/heal.h"
#include "lib/buffer.h"

/* One look at the day: a row of run_slice. */
struct why_look {
	int64_t run;
	char trigger[SPOOL_NAME_BYTES], state[16], code[SPOOL_REASON_BYTES], text[SPOOL_TEXT_BYTES];
	int64_t expected; /* -1 unknown */
	uint64_t received, inserted, updated, unchanged, duplicate, quarantined;
	int64_t fetched_us;
};

struct why {
	const struct dataset *dataset;
	const struct source *source;       /* that asks for single days; NULL: none does */
	const char *part;                  /* "Kerala"; NULL: the whole day */
	const struct cover_list *coverage; /* of the dataset, all days */
	int32_t day, today;                /* today: in the zone of the schedule */
	int64_t now_us;
	int64_t next_run_us;               /* of `source`; INT64_MAX: never by itself */
	int32_t next_day;                  /* on which that is */
	bool paused;                       /* nothing is asked for by itself */
	unsigned spent, spent_tried;       /* by healing, today */
	const struct why_look *looks;      /* of `source`, the newest first */
	unsigned n_looks;
	int64_t n_stored;                  /* rows; -1 unknown */
};

/* One paragraph without line ends, appended. Times are in the process's time zone. */
void why_text(const struct why *why, struct buffer *out);

/* When it is asked for next, as far as that can be said; 0: it is not, or nobody knows. */
int64_t why_next_us(const struct why *why);
