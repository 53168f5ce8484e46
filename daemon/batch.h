#pragma once

/*
 * The second half of a load: sorted rows -> what to insert, to update and to leave alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Takes at most so many rows from the sorter, without the duplicates, is told which of them the
 * table knows already, and then hands out the bytes of the statements. Has no connection. Order of
 * use: fill, known for each stored row, classify, then the three outputs; again until fill finds
 * nothing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/diff.h"
#include "daemon/intake.h"
#include "daemon/ledger.h"
#include "lib/copyrow.h"
#include "lib/pgarray.h"
#include "lib/sorter.h"

struct batch;

struct batch_options {
	const struct dataset *dataset;
	int64_t run;
	bool force; /* an older run may replace a younger one */
	bool settled; /* a stored row of the same run stays: another with its key is a conflict */
	uint32_t max_rows;
	size_t memory_bytes; /* rows and old values together, roughly */
	struct sorter *sorter; /* finished; borrowed */
	struct day_count *days; /* distinct rows are counted here; borrowed */
	unsigned n_days;
};

int batch_new(const struct batch_options *options, struct batch **ret) must_check; /* -errno */
struct batch *batch_free(struct batch *batch);

/*
 * Take the next rows. Of records with one key the same values are duplicates; of others the
 * greater tuple of values wins and the rest are conflicts. Returns 0; n may be 0: the end.
 */
int batch_fill(struct batch *batch, uint32_t *ret_n, struct error *error) must_check;

/* Where the losers of a conflict came from, in the order of their pages. */
const struct row_origin *batch_conflicts(struct batch *batch, size_t *ret_n);

/* All its rows lie on one day: *ret_day. */
bool batch_one_day(const struct batch *batch, int32_t *ret_day);

/* The keys of the batch as arrays, one per key column (for unnest); first row `from`, at most n. */
uint32_t batch_key_arrays(const struct batch *batch, uint32_t from, uint32_t n,
	struct pgarray *arrays);

/* The distinct ids of key column `k`, with commas between them. */
void batch_key_ids(const struct batch *batch, unsigned k, struct buffer *out);

/* A stored row: the fact columns and run_id behind them. Keys that are not in the batch are skipped. */
int batch_known(struct batch *batch, const struct field *stored) must_check;

/* The same, of whole tuples of a COPY BINARY, without its header. 0, -ENOMEM, or -EBADMSG: they are none. */
int batch_known_tuples(struct batch *batch, const char *data, size_t len) must_check;

struct batch_verdicts {
	uint64_t n_new, n_changed, n_overwritten, n_unchanged;
};
struct batch_verdicts batch_verdicts(const struct batch *batch);

/*
 * COPY rows of the new ones from *cursor on, until `out` holds a good piece; false when there are no
 * more. Start with *cursor = 0.
 */
bool batch_copy_new(const struct batch *batch, uint32_t *cursor, struct buffer *out);

/* Keys and values of rows to update, from *cursor on, at most n; one array per fact column. Returns how many. */
uint32_t batch_update_arrays(const struct batch *batch, uint32_t *cursor, uint32_t n,
	struct pgarray *arrays);

/* COPY rows of the old values: fact columns, run_id, replaced_by. As batch_copy_new. */
bool batch_copy_revisions(const struct batch *batch, uint32_t *cursor, struct buffer *out);

/* The array type of a fact column. */
enum pg_oid column_type_oid(enum column_type type);

/* Counts of everything taken so far. */
void batch_count(const struct batch *batch, struct row_counts *counts);
