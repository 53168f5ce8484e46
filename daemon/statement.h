#pragma once

/*
 * The text of the statements on a dataset's tables. Pure but for quoting.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Parameters are arrays in the order of the fact columns (lib/pgarray.h), so the text depends on the
 * dataset alone.
 */

#include <stdint.h>

#include <stdbool.h>

#include "daemon/dataset.h"
#include "lib/buffer.h"

/* COPY t (fact .., run_id) FROM STDIN BINARY */
void statement_copy(const struct dataset *dataset, struct buffer *sql);

/* COPY t_revision (fact .., run_id, replaced_by) FROM STDIN BINARY */
void statement_copy_revisions(const struct dataset *dataset, struct buffer *sql);

/*
 * COPY of the stored rows (fact columns, run_id) of one day TO STDOUT BINARY. `ids` are the wanted
 * values of key column statement_day_key(), with commas between them; -1 there when the key has no
 * column that makes this worth while.
 */
int statement_day_key(const struct dataset *dataset);
void statement_copy_known(const struct dataset *dataset, int32_t day, const char *ids,
	struct buffer *sql);

/* The stored rows of given keys: $1 .. $n_key arrays. */
void statement_known_keys(const struct dataset *dataset, struct buffer *sql);

/* UPDATE of the values: $1 .. $n_fact arrays, then the run. */
void statement_update(const struct dataset *dataset, struct buffer *sql);

/*
 * How many rows of the day $1 there are; with `column` (of the dataset), only those whose value of it
 * is $2, a text.
 */
void statement_count_day(const struct dataset *dataset, int column, struct buffer *sql);

/* ---- missing_rows: deactivate ---- */

/* One row: all rows, and those that are active. */
void statement_count_active(const struct dataset *dataset, struct buffer *sql);

/* Make the inactive ones of given keys active: $1 .. $n_key arrays. */
void statement_activate(const struct dataset *dataset, struct buffer *sql);

/*
 * Make inactive what is active and has none of the given keys, which are in ascending order: behind
 * the first of them (has_begin) and up to the last of them (has_end), else without that bound.
 */
void statement_deactivate(const struct dataset *dataset, bool has_begin, bool has_end,
	struct buffer *sql);

/* ---- pieces, for those who make other statements on the same tables ---- */

/* The names of fact columns from .. to, each behind `prefix` ("t."). */
void statement_append_columns(struct buffer *sql, const struct dataset *dataset, unsigned from,
	unsigned to, const char *prefix);

/* t.key = u.key AND .. */
void statement_append_key_equal(struct buffer *sql, const struct dataset *dataset);
