#pragma once

/*
 * The text of the statements that undo a run in the tables of its dataset. Pure but for quoting.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row that the run wrote and nobody changed since has its run_id. It returns to the revision that
 * the run replaced; if there is none, the run had inserted it, and it goes. $1 is the run.
 */

#include "daemon/dataset.h"
#include "lib/buffer.h"

/*
 * One row: rows of the run; those of them that return; keys whose row was changed again since;
 * revisions that the run replaced.
 */
void rollback_count_sql(const struct dataset *dataset, struct buffer *sql);

/* The keys that were changed again since, by names, and the run that did; at most $2 of them. */
void rollback_changed_sql(const struct dataset *dataset, struct buffer *sql);

/* One row, one value: the data dates of the run's rows as an array; an empty one without a date. */
void rollback_dates_sql(const struct dataset *dataset, struct buffer *sql);

/* Put the old values back, and take them out of the revisions. One row: how many. */
void rollback_restore_sql(const struct dataset *dataset, struct buffer *sql);

/* Afterwards: delete what is left of the run. One row: how many. */
void rollback_delete_sql(const struct dataset *dataset, struct buffer *sql);

/* Then, $1 being those dates: one row: is there any row at all; those of the dates that have rows. */
void rollback_left_sql(const struct dataset *dataset, struct buffer *sql);
