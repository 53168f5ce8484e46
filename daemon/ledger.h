#pragma once

/*
 * The books: the only file with SQL on schema ogdsync (but lease.c). SPDX-License-Identifier: Apache-2.0
 *
 * Each function starts one statement on a connection that the caller owns; the callback is
 * pg_query's. Inside a load transaction they are part of it.
 */

#include <stdint.h>

#include "daemon/counts.h"
#include "daemon/dataset.h"
#include "daemon/normalise.h"
#include "daemon/spool.h"
#include "lib/clock.h"
#include "lib/pg.h"
#include "lib/pgarray.h"

/* The run's row: made by the first of its statements that reaches the database. */
struct ledger_run {
	int64_t id;
	const char *dataset, *source, *trigger;
	int64_t started_us;
	unsigned n_slices;
};

/* One row: the id for a run of somebody who does not count them himself. */
void ledger_next_run(struct pg *pg, pg_result_fn on_result, void *arg);

/* Was this slice committed? One row (received, inserted, ...) if so, none if not. */
void ledger_find_slice(struct pg *pg, const char *uuid, pg_result_fn on_result, void *arg);
void ledger_read_counts(const struct pg_result *result, struct row_counts *ret);

/* The run exists, and its counters grow by this slice's. */
void ledger_add_to_run(struct pg *pg, const struct ledger_run *run, const struct row_counts *counts,
	pg_result_fn on_result, void *arg);

/* `of`: the slice that this one repeats, or NULL. */
void ledger_add_slice(struct pg *pg, const struct spool_header *header, const char *of,
	const struct spool_outcome *outcome, const struct row_counts *counts,
	pg_result_fn on_result, void *arg);

/* One rejected record. */
struct ledger_reject {
	const char *reason, *column, *detail;
	const void *raw;
	size_t raw_len;
	uint32_t page, position;
};

/* Collected, then written by one statement. */
struct ledger_rejects {
	struct pgarray reason, column, detail, raw, page, position;
	unsigned n;
};

void ledger_rejects_init(struct ledger_rejects *rejects);
void ledger_rejects_fini(struct ledger_rejects *rejects);
void ledger_rejects_clear(struct ledger_rejects *rejects);
int ledger_rejects_add(struct ledger_rejects *rejects, const struct ledger_reject *reject) must_check;
size_t ledger_rejects_bytes(const struct ledger_rejects *rejects);
void ledger_quarantine(struct pg *pg, const struct spool_header *header,
	struct ledger_rejects *rejects, pg_result_fn on_result, void *arg);

/*
 * Records that were loaded leave quarantine. Those that are in conflict now are there under that
 * reason, and leave it under any other. `loaded`: see load.h.
 */
void ledger_release(struct pg *pg, const struct spool_header *header, struct pgarray *good,
	struct pgarray *conflicts, int64_t loaded, pg_result_fn on_result, void *arg);

/*
 * These two stand alone, outside of a load transaction: `fence` is the query that finds one row and
 * locks it while we hold the lease. They answer with one row, or none, and then nothing was done.
 */

/* A run is over. `code` and `text` are "" for success. */
void ledger_finish_run(struct pg *pg, const char *fence, const struct ledger_run *run,
	enum run_state state, const char *code, const char *text, int64_t finished_us,
	pg_result_fn on_result, void *arg);

/* Runs below `before` that are open, which nobody will end, are `interrupted`; what they brought stays. */
void ledger_interrupt_runs(struct pg *pg, const char *fence, int64_t before, pg_result_fn on_result,
	void *arg);
