#pragma once

/*
 * The books: what the commands of an operator ask and change. SPDX-License-Identifier: Apache-2.0
 *
 * As ledger.h: each function starts one statement on the caller's connection.
 */

#include <stdint.h>

#include "lib/pg.h"
#include "lib/pgarray.h"

/* ---- quarantine ---- */

/* Which records; what is NULL or 0 does not matter. */
struct ledger_pick {
	const char *dataset, *source, *slice, *reason;
	struct pgarray *ids;
	int64_t run; /* that they came with */
};

/* Where the last answer ended; {0} before the first. */
struct ledger_place {
	char dataset[64], source[64], slice[256];
	int64_t run, id;
};

enum { LEDGER_PICK_ROWS = 500 };

/*
 * The next records behind `after`, at most so many, all of one dataset, source, slice and last_run.
 * A row: id, dataset, source, slice, last_run, raw, uuid (text) and data_date (integer, days since
 * 1970) of the slice that they came with, or NULL; in binary.
 */
void ledger_pick_records(struct pg *pg, const struct ledger_pick *pick,
	const struct ledger_place *after, pg_row_fn on_row, pg_done_fn on_done, void *arg);

/* Delete them, or with `only_count` count them: one row. */
void ledger_drop_records(struct pg *pg, const struct ledger_pick *pick, bool only_count,
	pg_result_fn on_result, void *arg);

/* ---- rollback ---- */

/*
 * One row: dataset, source, state, trigger, start (text) of the run; slices with rows that are not
 * rolled back yet, rows updated by them; whether it only repeats what other runs fetched.
 */
void ledger_find_run(struct pg *pg, int64_t run, pg_result_fn on_result, void *arg);

/* Its slices, and those that repeat them, are `rolled_back`; so is each run that has no other. */
void ledger_roll_back(struct pg *pg, int64_t run, pg_result_fn on_result, void *arg);

/*
 * What is known of these dates (an array as text), and of slices without a date, is proven no longer:
 * `left` are the dates that still have rows. They are to be fetched again, at once.
 */
void ledger_make_holes(struct pg *pg, const char *dataset, const char *dates, const char *left,
	bool any_left, pg_result_fn on_result, void *arg);
