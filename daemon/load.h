#pragma once

/*
 * The load stage: one slice out of the spool into the table, in one transaction.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads what the table knows, copies in what is new, updates what changed, leaves alone what is
 * equal, and books it. Readers see all of it or nothing. Needs a connected, idle struct pg and has
 * it to itself until on_done.
 */

#include <uv.h>

#include "daemon/ledger.h"
#include "daemon/lookup.h"
#include "daemon/spool.h"
#include "lib/clock.h"
#include "lib/pg.h"

struct load;

struct load_options {
	uv_loop_t *loop;
	struct pg *pg;
	struct spool *spool;
	const struct clock *clock;
	const struct dataset *dataset;
	const struct source *source;
	struct lookup_set *lookups; /* filled; ours until on_done */
	size_t memory_bytes;
	uint64_t statement_timeout_ms; /* of the server; 0: none */
	unsigned n_slices; /* of the run, for its row */
	bool lacks_part;   /* it is no longer proven: the database refused a part of it */
	bool force;        /* values of an older run may replace those of a younger one */
	const char *fence; /* a statement that locks our lease and returns one row if we still hold it; or NULL */
};

struct load_result {
	struct spool_header header;
	struct spool_outcome outcome;
	struct row_counts counts;
	bool already;       /* it had been committed before */
	int32_t newest_day; /* of its rows; INT32_MIN: none */
	uint64_t took_ms;
};

/*
 * `result` is whole on success; on failure its header and outcome are set if the file could be read.
 * Error codes beside SQLSTATEs and those of lib/pg.h: "damaged" (spool file), "unfinished" (a .part),
 * "too_long" (a row), "no_partition", "fenced" (another holder has the lease). Class UNCERTAIN: COMMIT
 * was sent; load it again to learn from the ledger whether it happened.
 */
typedef void (*load_done_fn)(void *arg, const struct load_result *result,
	const struct error *error);

/* Options are copied, what they point to is borrowed until on_done. Returns -1 and then on_done never comes. */
int load_start(const struct load_options *options, const char *uuid, load_done_fn on_done, void *arg,
	struct load **ret, struct error *error) must_check;

/* Rolls back; on_done comes with CANCELED (or with success if the COMMIT had been sent). */
void load_cancel(struct load *load);
