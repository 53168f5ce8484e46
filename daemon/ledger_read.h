#pragma once

/*
 * Questions to the books, and their answers as JSON. SPDX-License-Identifier: Apache-2.0
 *
 * Each ledger_ask_*() fills in a statement that only reads; it may be sent on any connection. The
 * columns of its answer stand beside its SQL, so that both change together. Times become RFC 3339 in the
 * process's zone. Filters that are NULL or 0 do not filter; texts are borrowed until the
 * statement was sent.
 */

#include <stdint.h>

#include "daemon/ledger_private.h"
#include "lib/buffer.h"
#include "lib/pg.h"

enum ledger_kind { LEDGER_NUMBER, LEDGER_TEXT, LEDGER_TIME, LEDGER_RAW };

/* A column of an answer: the SQL has them in this order. */
struct ledger_column {
	const char *key;
	enum ledger_kind kind;
};

struct ledger_question {
	const char *sql;
	const struct ledger_column *columns;
	unsigned n_columns;
	struct params params;
};

struct ledger_filter {
	const char *dataset, *source, *reason;
	int64_t before;  /* ids below this one */
	unsigned n_rows; /* at most */
};

/* The newest first. */
void ledger_ask_runs(struct ledger_question *question, const struct ledger_filter *filter);
enum { LEDGER_RUN_FINISHED = 8 }; /* the column of finished_at in both */
void ledger_ask_run(struct ledger_question *question, int64_t run);
void ledger_ask_slices(struct ledger_question *question, int64_t run);

/* One row for each dataset and reason; the rejects, the newest first; one with its bytes. */
void ledger_ask_reasons(struct ledger_question *question, const struct ledger_filter *filter);
void ledger_ask_rejects(struct ledger_question *question, const struct ledger_filter *filter);
void ledger_ask_reject(struct ledger_question *question, int64_t reject);

/* `"key":value,...` of one row, appended without braces. */
void ledger_append_row(struct buffer *out, const struct ledger_question *question,
	const struct pg_result *result, int row);
/* `[{...},...]` of the first n_rows. */
void ledger_append_rows(struct buffer *out, const struct ledger_question *question,
	const struct pg_result *result, int n_rows);
