#pragma once

/*
 * Deleting old books. SPDX-License-Identifier: Apache-2.0
 *
 * An id of a run is the time of its start in Unix milliseconds, so an age is a limit of ids.
 */

#include "daemon/dataset.h"
#include "lib/buffer.h"

enum prune_kind { PRUNE_RUNS, PRUNE_QUARANTINE, PRUNE_REVISIONS };

/*
 * The statement, appended. $1: ids of runs below this one are old; $2: at most so many rows. Its result
 * is the number of rows that it deleted (pg_affected()). `dataset` is for revisions.
 *
 * Never deleted: a run that is not over, the last one of a source, and a revision of a run that is in
 * the books: without it rolling that run back would lose the value.
 */
void ledger_prune_sql(enum prune_kind kind, const struct dataset *dataset, struct buffer *sql);
