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
#include "daemon/rename.h"
#include "daemon/spool.h"
#include "lib/clock.h"
#include "lib/pg.h"

struct load;

/* Records out of quarantine: record i of the one page has ids[i]. */
struct load_release {
	const int64_t *ids;
	bool *rejected; /* set for those that stay */
	int64_t loaded; /* a run whose pages were loaded just before: its coverage is right; or 0 */
	unsigned n;
};

/*
 * What was loaded before is loaded once more. If the ledger has the slice, it is booked again: as a
 * slice of its own, of another run. `run_id` of its rows is the run that fetched them all the same.
 */
struct load_replay {
	struct ledger_run run;	     /* the run that it is booked under */
	char uuid[SPOOL_UUID_BYTES]; /* of the slice there */
	struct spool_outcome outcome; /* counts instead of that in the file */
	const struct load_release *release; /* or NULL: whole pages */
	const char *of; /* with release: the slice that the records came with; NULL: unknown */
};

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
	struct spool_reader *take_reader;  /* to be read instead of a file of the spool; or NULL */
	const char *directory; /* for temporary files; NULL: the spool's */
	const struct load_replay *replay; /* or NULL */
	bool force;        /* values of an older run may replace those of a younger one */
	const char *fence; /* a statement that locks our lease and returns one row if we still hold it; or NULL */
};

struct load_result {
	struct spool_header header;
	struct spool_outcome outcome;
	struct row_counts counts;
	bool again;         /* it was booked as a slice of load_replay.run */
	bool already;       /* it had been committed before */
	int32_t newest_day; /* of its rows; INT32_MIN: none */
	uint64_t took_ms;
	const struct renames *renames; /* or NULL; borrowed until on_done returns */
};

/*
 * `result` is whole on success; on failure its header and outcome are set if the file could be read.
 * Error codes beside SQLSTATEs and those of lib/pg.h: "damaged" (spool file), "unfinished" (a .part),
 * "too_long" (a row), "no_partition", "fenced" (another holder has the lease). Class UNCERTAIN: COMMIT
 * was sent; load it again to learn from the ledger whether it happened.
 */
typedef void (*load_done_fn)(void *arg, const struct load_result *result,
	const struct error *error);

/*
 * Options are copied, what they point to is borrowed until on_done; but take_reader is taken in any
 * case. Returns -1 and then on_done never comes. `uuid` may be NULL with take_reader.
 */
int load_start(const struct load_options *options, const char *uuid, load_done_fn on_done, void *arg,
	struct load **ret, struct error *error) must_check;

/* Rolls back; on_done comes with CANCELED (or with success if the COMMIT had been sent). */
void load_cancel(struct load *load);
