#pragma once

/*
 * Coverage in the books: what a load writes of it, and the questions of healing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Those that take a struct pg are part of a load transaction; ledger_ask_*() fill in a statement
 * for any connection, as those of ledger_read.h do.
 */

#include "daemon/coverage.h"
#include "daemon/dataset.h"
#include "daemon/ledger_read.h"
#include "lib/pg.h"

/* ---- in a load ---- */

/* What is known of a slice: one row that ledger_read_cover() reads, or none. */
void ledger_find_cover(struct pg *pg, const char *dataset, const char *source, const char *slice,
	pg_result_fn on_result, void *arg);
/* Row `i`; its day and source are the caller's. */
void ledger_read_cover(const struct pg_result *result, int i, struct cover_row *ret);
/* What is known of it now: see coverage_fold(). `known`: there was a row. */
void ledger_cover(struct pg *pg, const char *dataset, const char *source, const char *slice,
	const struct cover_row *row, bool known, pg_result_fn on_result, void *arg);

/* ---- questions ---- */

/* What is known of the days from .. to, by day; parts of days are left out. */
void ledger_ask_coverage(struct ledger_question *question, const char *dataset, int32_t from,
	int32_t to);
/* All rows of the answer, added to `list`; source names are the dataset's. -ENOMEM. */
int ledger_read_coverage(const struct pg_result *result, const struct dataset *dataset,
	struct cover_list *list) must_check;

/* What healing fetched of a source since then: slices, and those of them that were no first try. */
void ledger_ask_spent(struct ledger_question *question, const struct source *source,
	int64_t since_us);

/* Days without a row become `missing`; the answer is how many there were. */
void ledger_ask_backfill(struct ledger_question *question, const struct source *source,
	int32_t from, int32_t to, int64_t now_us);

/* The last looks at a day, or at a part of it ("2026-11-19/Kerala"), the newest first. */
void ledger_ask_looks(struct ledger_question *question, const char *dataset, const char *slice);
