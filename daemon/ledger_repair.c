/*
 * The books: what the commands of an operator ask and change. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/ledger_repair.h"

#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_BYTES = 24 };

/* $1 to $6 are a struct ledger_pick. */
#define SQL_PICKED                                                                                 \
	"($1::text IS NULL OR q.dataset = $1) AND ($2::text IS NULL OR q.source = $2)"             \
	" AND ($3::text IS NULL OR q.slice = $3) AND ($4::text IS NULL OR q.reason = $4)"          \
	" AND ($5::bigint[] IS NULL OR q.id = ANY ($5))"                                           \
	" AND ($6::bigint = 0 OR $6 BETWEEN q.first_run AND q.last_run)"

enum { N_PICKED = 6 };

static void pick_params(const struct ledger_pick *pick, struct pg_param *params,
	char run[static NUMBER_BYTES])
{
	snprintf(run, NUMBER_BYTES, "%" PRId64, pick->run);
	params[0] = (struct pg_param){.data = pick->dataset};
	params[1] = (struct pg_param){.data = pick->source};
	params[2] = (struct pg_param){.data = pick->slice};
	params[3] = (struct pg_param){.data = pick->reason};
	params[4] = pick->ids ? pgarray_param(pick->ids) : (struct pg_param){.data = NULL};
	params[5] = (struct pg_param){.data = run};
}

void ledger_pick_records(struct pg *pg, const struct ledger_pick *pick,
	const struct ledger_place *after, pg_row_fn on_row, pg_done_fn on_done, void *arg)
{
	char run[NUMBER_BYTES], last_run[NUMBER_BYTES], id[NUMBER_BYTES];
	struct pg_param params[N_PICKED + 5];

	pick_params(pick, params, run);
	snprintf(last_run, sizeof(last_run), "%" PRId64, after->run);
	snprintf(id, sizeof(id), "%" PRId64, after->id);
	params[N_PICKED] = (struct pg_param){.data = after->dataset};
	params[N_PICKED + 1] = (struct pg_param){.data = after->source};
	params[N_PICKED + 2] = (struct pg_param){.data = after->slice};
	params[N_PICKED + 3] = (struct pg_param){.data = last_run};
	params[N_PICKED + 4] = (struct pg_param){.data = id};
	pg_query_rows(pg,
		"WITH picked AS (SELECT q.* FROM ogdsync.quarantine q WHERE " SQL_PICKED
		" AND (q.dataset, q.source, q.slice, q.last_run, q.id)"
		" > ($7::text, $8::text, $9::text, $10::bigint, $11::bigint)),"
		" first AS (SELECT dataset, source, slice, last_run FROM picked"
		" ORDER BY dataset, source, slice, last_run LIMIT 1),"
		" came AS (SELECT s.uuid, s.data_date FROM ogdsync.run_slice s JOIN first f"
		" ON s.run = f.last_run AND s.slice = f.slice AND s.replay_of IS NULL LIMIT 1)"
		" SELECT p.id, p.dataset, p.source, p.slice, p.last_run, p.raw,"
		" (SELECT uuid::text FROM came), (SELECT data_date - date '1970-01-01' FROM came)"
		" FROM picked p JOIN first f USING (dataset, source, slice, last_run)"
		" ORDER BY p.id LIMIT 500",
		params, N_ELEMENTS(params), on_row, on_done, arg);
}

void ledger_drop_records(struct pg *pg, const struct ledger_pick *pick, bool only_count,
	pg_result_fn on_result, void *arg)
{
	struct pg_param params[N_PICKED];
	char run[NUMBER_BYTES];

	pick_params(pick, params, run);
	pg_query(pg,
		only_count ? "SELECT count(*) FROM ogdsync.quarantine q WHERE " SQL_PICKED
			   : "WITH gone AS (DELETE FROM ogdsync.quarantine q WHERE " SQL_PICKED
			     " RETURNING 1) SELECT count(*) FROM gone",
		params, N_ELEMENTS(params), on_result, arg);
}

/* ---- rollback ---- */

/* The slices that brought rows of run $1: its own, and those that repeat them. */
#define SQL_OF_RUN                                                                                 \
	"(s.replay_of IS NULL AND s.run = $1::bigint OR s.replay_of IN"                            \
	" (SELECT uuid FROM ogdsync.run_slice WHERE run = $1))"

void ledger_find_run(struct pg *pg, int64_t run, pg_result_fn on_result, void *arg)
{
	char number[NUMBER_BYTES];
	struct pg_param params[] = {{.data = number}};

	snprintf(number, sizeof(number), "%" PRId64, run);
	pg_query(pg,
		"SELECT r.dataset, r.source, r.state, r.trigger,"
		" to_char(r.started_at, 'YYYY-MM-DD HH24:MI:SSOF'), count(s.uuid),"
		" coalesce(sum(s.updated), 0),"
		" EXISTS (SELECT FROM ogdsync.run_slice o WHERE o.run = r.id AND o.replay_of IS NOT NULL)"
		" FROM ogdsync.run r LEFT JOIN ogdsync.run_slice s"
		" ON " SQL_OF_RUN " AND s.state NOT IN ('failed', 'rolled_back')"
		" WHERE r.id = $1 GROUP BY r.id",
		params, N_ELEMENTS(params), on_result, arg);
}

void ledger_roll_back(struct pg *pg, int64_t run, pg_result_fn on_result, void *arg)
{
	char number[NUMBER_BYTES];
	struct pg_param params[] = {{.data = number}};

	snprintf(number, sizeof(number), "%" PRId64, run);
	pg_query(pg,
		"WITH back AS (UPDATE ogdsync.run_slice s SET state = 'rolled_back'"
		" WHERE " SQL_OF_RUN " AND s.state <> 'failed' RETURNING s.uuid, s.run)"
		" UPDATE ogdsync.run r SET state = 'rolled_back' WHERE r.id IN (SELECT run FROM back)"
		" AND NOT EXISTS (SELECT FROM ogdsync.run_slice o WHERE o.run = r.id"
		" AND o.state <> 'rolled_back' AND o.uuid NOT IN (SELECT uuid FROM back))",
		params, N_ELEMENTS(params), on_result, arg);
}

void ledger_make_holes(struct pg *pg, const char *dataset, const char *dates, const char *left,
	bool any_left, pg_result_fn on_result, void *arg)
{
	const struct pg_param params[] = {
		{.data = dataset}, {.data = dates}, {.data = left}, {.data = any_left ? "t" : "f"}};

	pg_query(pg,
		"UPDATE ogdsync.coverage SET code = 'rolled_back', next_try = NULL, tries = 0,"
		" state = CASE WHEN data_date = ANY ($3::date[]) OR data_date IS NULL AND $4::boolean"
		" THEN 'partial' ELSE 'missing' END"
		" WHERE dataset = $1 AND state IN ('complete', 'open', 'partial')"
		" AND (data_date = ANY ($2::date[]) OR data_date IS NULL)",
		params, N_ELEMENTS(params), on_result, arg);
}
