/*
 * Coverage in the books. SPDX-License-Identifier: Apache-2.0
 *
 * Every time is the daemon's: the server's clock decides nothing here.
 */

#include "daemon/ledger_coverage.h"

#include <stdio.h>
#include <string.h>

/* What ledger_read_cover() reads. */
#define SQL_COVER                                                                                  \
	"state, expected, received, distinct_rows, quarantined, code, attempts, tries, zeros, "    \
	SQL_US("zero_at") ", " SQL_US("next_try") ", run, " SQL_US("checked_at")

enum { COLUMN_DAY = 13, COLUMN_SOURCE };

#define SQL_DAY(n) "(date '1970-01-01' + $" #n "::int)"

/* ---- in a load ---- */

void ledger_find_cover(struct pg *pg, const char *dataset, const char *source, const char *slice,
	pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	add_text(&p, dataset);
	add_text(&p, source);
	add_text(&p, slice);
	pg_query(pg,
		"SELECT " SQL_COVER " FROM ogdsync.coverage"
		" WHERE dataset = $1 AND source = $2 AND slice = $3",
		p.list, p.n, on_result, arg);
}

void ledger_read_cover(const struct pg_result *result, int i, struct cover_row *ret)
{
	*ret = (struct cover_row){
		.day = INT32_MIN,
		.state = COVER_MISSING,
		.expected = pg_is_null(result, i, 1) ? -1 : pg_i64(result, i, 1),
		.received = (uint64_t)pg_i64(result, i, 2),
		.distinct = (uint64_t)pg_i64(result, i, 3),
		.quarantined = (uint64_t)pg_i64(result, i, 4),
		.attempts = (unsigned)pg_i64(result, i, 6),
		.tries = (unsigned)pg_i64(result, i, 7),
		.zeros = (unsigned)pg_i64(result, i, 8),
		.zero_us = pg_i64(result, i, 9),
		.next_try_us = pg_i64(result, i, 10),
		.run = pg_i64(result, i, 11),
		.checked_us = pg_i64(result, i, 12),
	};
	/* A word that a later version has added is no proof for this one. */
	(void)!cover_state_parse(pg_value(result, i, 0), &ret->state);
	snprintf(ret->code, sizeof(ret->code), "%s", pg_value(result, i, 5));
}

/* A row that is there is updated by its key: that is less for the write-ahead log than a conflict. */
static const char sql_update[] =
	"UPDATE ogdsync.coverage SET data_date = date '1970-01-01' + $4::int, state = $5,"
	" expected = $6, received = $7, distinct_rows = $8, quarantined = $9, code = $10,"
	" attempts = $11, tries = $12, zeros = $13, zero_at = " SQL_TIME(14) ", next_try = "
	SQL_TIME(15) ", run = $16, checked_at = " SQL_TIME(17)
	" WHERE dataset = $1 AND source = $2 AND slice = $3";

/* An operator may mark the same day as missing meanwhile. */
static const char sql_insert[] =
	"INSERT INTO ogdsync.coverage (dataset, source, slice, data_date, state,"
	" expected, received, distinct_rows, quarantined, code, attempts, tries, zeros,"
	" zero_at, next_try, run, checked_at)"
	" VALUES ($1, $2, $3, date '1970-01-01' + $4::int, $5, $6, $7, $8, $9, $10, $11,"
	" $12, $13, " SQL_TIME(14) ", " SQL_TIME(15) ", $16, " SQL_TIME(17) ")"
	" ON CONFLICT (dataset, source, slice) DO UPDATE SET state = excluded.state,"
	" expected = excluded.expected, received = excluded.received,"
	" distinct_rows = excluded.distinct_rows, quarantined = excluded.quarantined,"
	" code = excluded.code, attempts = excluded.attempts, tries = excluded.tries,"
	" zeros = excluded.zeros, zero_at = excluded.zero_at,"
	" next_try = excluded.next_try, run = excluded.run,"
	" checked_at = excluded.checked_at";

void ledger_cover(struct pg *pg, const char *dataset, const char *source, const char *slice,
	const struct cover_row *row, bool known, pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	add_text(&p, dataset);
	add_text(&p, source);
	add_text(&p, slice);
	add_number_or_null(&p, row->day, INT32_MIN);
	add_text(&p, cover_state_name(row->state));
	add_number_or_null(&p, row->expected, -1);
	add_number(&p, (int64_t)row->received);
	add_number(&p, (int64_t)row->distinct);
	add_number(&p, (int64_t)row->quarantined);
	add_text_or_null(&p, row->code);
	add_number(&p, row->attempts);
	add_number(&p, row->tries);
	add_number(&p, row->zeros);
	add_number_or_null(&p, row->zero_us, 0);
	add_number_or_null(&p, row->next_try_us, 0);
	add_number_or_null(&p, row->run, 0);
	add_number(&p, row->checked_us);
	pg_query(pg, known ? sql_update : sql_insert, p.list, p.n, on_result, arg);
}

/* ---- questions ---- */

void ledger_ask_coverage(struct ledger_question *question, const char *dataset, int32_t from,
	int32_t to)
{
	*question = (struct ledger_question){
		.sql = "SELECT " SQL_COVER ", data_date - date '1970-01-01', source"
		       " FROM ogdsync.coverage WHERE dataset = $1 AND data_date BETWEEN " SQL_DAY(2)
		       " AND " SQL_DAY(3) " AND strpos(slice, '/') = 0 ORDER BY data_date",
	};
	add_text(&question->params, dataset);
	add_number(&question->params, from);
	add_number(&question->params, to);
}

static const char *source_name(const struct dataset *dataset, const char *name)
{
	for (unsigned i = 0; i < dataset->n_sources; i++) {
		if (strcmp(dataset->sources[i].name, name) == 0) {
			return dataset->sources[i].name;
		}
	}
	return NULL;
}

int ledger_read_coverage(const struct pg_result *result, const struct dataset *dataset,
	struct cover_list *list)
{
	struct cover_row row;
	int r = 0;

	for (int i = 0; i < pg_n_rows(result) && r == 0; i++) {
		ledger_read_cover(result, i, &row);
		row.day = (int32_t)pg_i64(result, i, COLUMN_DAY);
		row.source = source_name(dataset, pg_value(result, i, COLUMN_SOURCE));
		r = coverage_add(list, &row);
	}
	return r;
}

/* Run ids are the milliseconds of their request; a run may go on over midnight. */
void ledger_ask_spent(struct ledger_question *question, const struct source *source,
	int64_t since_us)
{
	*question = (struct ledger_question){
		.sql = "SELECT count(*), count(*) FILTER"
		       " (WHERE c.tries > (c.next_try IS NOT NULL)::int)"
		       " FROM ogdsync.run r JOIN ogdsync.run_slice s ON s.run = r.id"
		       " LEFT JOIN ogdsync.coverage c ON c.dataset = r.dataset"
		       " AND c.source = r.source AND c.slice = s.slice"
		       " WHERE r.dataset = $1 AND r.source = $2 AND r.trigger = 'heal'"
		       " AND r.id >= $3 AND s.started_at >= " SQL_TIME(4)
		       " AND strpos(s.slice, '/') = 0",
	};
	add_text(&question->params, source->dataset->name);
	add_text(&question->params, source->name);
	add_number(&question->params, since_us / 1000 - INT64_C(86400000));
	add_number(&question->params, since_us);
}

void ledger_ask_backfill(struct ledger_question *question, const struct source *source,
	int32_t from, int32_t to, int64_t now_us)
{
	*question = (struct ledger_question){
		.sql = "WITH made AS (INSERT INTO ogdsync.coverage"
		       " (dataset, source, slice, data_date, state, code, checked_at)"
		       " SELECT $1, $2, to_char(d, 'YYYY-MM-DD'), d, 'missing', 'backfill', " SQL_TIME(5)
		       " FROM (SELECT date '1970-01-01' + n AS d"
		       " FROM generate_series($3::int, $4::int) n) days"
		       " WHERE NOT EXISTS (SELECT FROM ogdsync.coverage c WHERE c.dataset = $1"
		       " AND c.data_date = d AND strpos(c.slice, '/') = 0)"
		       " ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM made",
	};
	add_text(&question->params, source->dataset->name);
	add_text(&question->params, source->name);
	add_number(&question->params, from);
	add_number(&question->params, to);
	add_number(&question->params, now_us);
}

void ledger_ask_looks(struct ledger_question *question, const char *dataset, const char *slice)
{
	*question = (struct ledger_question){
		.sql = "SELECT r.source, r.trigger, s.run, s.state, s.code, s.error, s.expected,"
		       " s.received, s.distinct_rows, s.inserted, s.updated, s.unchanged,"
		       " s.duplicate, s.quarantined, s.pages, s.passes, " SQL_US("s.fetched_at")
		       " FROM ogdsync.run_slice s JOIN ogdsync.run r ON r.id = s.run"
		       " WHERE r.dataset = $1 AND s.slice = $2"
		       " ORDER BY s.fetched_at DESC LIMIT 3",
	};
	add_text(&question->params, dataset);
	add_text(&question->params, slice);
}
