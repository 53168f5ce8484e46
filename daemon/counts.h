#pragma once

/*
 * How runs end and what becomes of rows, in words and numbers. Pure.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdint.h>

/* received = inserted + updated + unchanged + duplicate + quarantined, always. */
struct row_counts {
	uint64_t received, inserted, updated, unchanged, duplicate, quarantined;
};

void row_counts_add(struct row_counts *sum, const struct row_counts *counts);

/* How a run ended, or stands; the words are stored and shown. */
enum run_state {
	RUN_RUNNING,
	RUN_SPOOLED, /* everything fetched, waits for the database */
	RUN_SUCCESS,
	RUN_PARTIAL,
	RUN_SUSPECT,
	RUN_FAILED,
	RUN_CANCELED,
};

enum { N_RUN_STATES = RUN_CANCELED + 1 };

const char *run_state_name(enum run_state state);

/* What is counted of a source since its first run. */
struct source_counts {
	uint64_t runs[N_RUN_STATES]; /* that ended so */
	unsigned n_unsuccessful;     /* of the last ones, one after the other */
	struct row_counts rows;      /* of committed slices */
	int64_t attempt_us;          /* when a run last began; 0 never */
	int64_t new_data_us;         /* when a row was last inserted or updated; 0 never */
	int32_t newest_day;          /* INT32_MIN none */
};
