/*
 * The books: the only file with SQL on schema ogdsync (but lease.c). SPDX-License-Identifier: Apache-2.0
 *
 * Every statement has its values as parameters, none in its text. Times travel as microseconds
 * since 1970 and become timestamptz in SQL, so that no zone can come between.
 */

#include "daemon/ledger.h"

#include "daemon/ledger_private.h"

static void add_counts(struct params *params, const struct row_counts *counts)
{
	add_number(params, (int64_t)counts->received);
	add_number(params, (int64_t)counts->inserted);
	add_number(params, (int64_t)counts->updated);
	add_number(params, (int64_t)counts->unchanged);
	add_number(params, (int64_t)counts->duplicate);
	add_number(params, (int64_t)counts->quarantined);
}

void ledger_next_run(struct pg *pg, pg_result_fn on_result, void *arg)
{
	pg_query(pg,
		"SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint, max(id) + 1)"
		" FROM ogdsync.run",
		NULL, 0, on_result, arg);
}

void ledger_find_slice(struct pg *pg, const char *uuid, pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	add_text(&p, uuid);
	pg_query(pg,
		"SELECT received, inserted, updated, unchanged, duplicate, quarantined"
		" FROM ogdsync.run_slice WHERE uuid = $1::uuid",
		p.list, p.n, on_result, arg);
}

void ledger_read_counts(const struct pg_result *result, struct row_counts *ret)
{
	*ret = (struct row_counts){
		.received = (uint64_t)pg_i64(result, 0, 0),
		.inserted = (uint64_t)pg_i64(result, 0, 1),
		.updated = (uint64_t)pg_i64(result, 0, 2),
		.unchanged = (uint64_t)pg_i64(result, 0, 3),
		.duplicate = (uint64_t)pg_i64(result, 0, 4),
		.quarantined = (uint64_t)pg_i64(result, 0, 5),
	};
}

static void add_run(struct params *params, const struct ledger_run *run)
{
	add_number(params, run->id);
	add_text(params, run->dataset);
	add_text(params, run->source);
	add_text(params, run->trigger);
	add_number(params, run->started_us);
	add_number(params, run->n_slices);
}

void ledger_add_to_run(struct pg *pg, const struct ledger_run *run, const struct row_counts *counts,
	pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	add_run(&p, run);
	add_counts(&p, counts);
	pg_query(pg,
		"INSERT INTO ogdsync.run AS r (id, dataset, source, trigger, state, started_at,"
		" slices, received, inserted, updated, unchanged, duplicate, quarantined)"
		" VALUES ($1, $2, $3, $4, 'running', " SQL_TIME(5) ", $6, $7, $8, $9, $10, $11, $12)"
		" ON CONFLICT (id) DO UPDATE SET received = r.received + excluded.received,"
		" inserted = r.inserted + excluded.inserted, updated = r.updated + excluded.updated,"
		" unchanged = r.unchanged + excluded.unchanged,"
		" duplicate = r.duplicate + excluded.duplicate,"
		" quarantined = r.quarantined + excluded.quarantined",
		p.list, p.n, on_result, arg);
}

void ledger_add_slice(struct pg *pg, const struct spool_header *header, const char *of,
	const struct spool_outcome *outcome, const struct row_counts *counts,
	pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	add_text(&p, header->uuid);
	add_number(&p, header->run);
	add_text(&p, header->slice);
	add_number_or_null(&p, header->day, INT32_MIN);
	add_text(&p, slice_state_name(outcome->state));
	add_text_or_null(&p, outcome->reason);
	add_text_or_null(&p, outcome->text);
	add_number_or_null(&p, outcome->expected, -1);
	add_number(&p, (int64_t)outcome->distinct);
	add_number(&p, outcome->pages);
	add_number(&p, outcome->passes);
	add_number(&p, header->started_us);
	add_number(&p, outcome->finished_us);
	add_counts(&p, counts);
	add_text(&p, of);
	pg_query(pg,
		"INSERT INTO ogdsync.run_slice (uuid, run, slice, data_date, state, code, error,"
		" expected, distinct_rows, pages, passes, started_at, fetched_at, received, inserted,"
		" updated, unchanged, duplicate, quarantined, replay_of)"
		" VALUES ($1, $2, $3, date '1970-01-01' + $4::int, $5, $6, $7, $8, $9, $10, $11,"
		" " SQL_TIME(12) ", " SQL_TIME(13) ", $14, $15, $16, $17, $18, $19, $20::uuid)",
		p.list, p.n, on_result, arg);
}

void ledger_rejects_init(struct ledger_rejects *rejects)
{
	pgarray_init(&rejects->reason, PG_OID_TEXT);
	pgarray_init(&rejects->column, PG_OID_TEXT);
	pgarray_init(&rejects->detail, PG_OID_TEXT);
	pgarray_init(&rejects->raw, PG_OID_BYTEA);
	pgarray_init(&rejects->page, PG_OID_INT4);
	pgarray_init(&rejects->position, PG_OID_INT4);
	rejects->n = 0;
}

void ledger_rejects_fini(struct ledger_rejects *rejects)
{
	pgarray_fini(&rejects->reason);
	pgarray_fini(&rejects->column);
	pgarray_fini(&rejects->detail);
	pgarray_fini(&rejects->raw);
	pgarray_fini(&rejects->page);
	pgarray_fini(&rejects->position);
}

void ledger_rejects_clear(struct ledger_rejects *rejects)
{
	pgarray_clear(&rejects->reason);
	pgarray_clear(&rejects->column);
	pgarray_clear(&rejects->detail);
	pgarray_clear(&rejects->raw);
	pgarray_clear(&rejects->page);
	pgarray_clear(&rejects->position);
	rejects->n = 0;
}

int ledger_rejects_add(struct ledger_rejects *rejects, const struct ledger_reject *reject)
{
	struct field raw = {.len = (int32_t)reject->raw_len, .data = reject->raw};

	pgarray_add_text(&rejects->reason, reject->reason);
	pgarray_add_text(&rejects->column, reject->column);
	pgarray_add_text(&rejects->detail, reject->detail);
	pgarray_add(&rejects->raw, raw);
	pgarray_add_int4(&rejects->page, (int32_t)reject->page);
	pgarray_add_int4(&rejects->position, (int32_t)reject->position);
	rejects->n++;
	return buffer_failed(&rejects->reason.bytes) || buffer_failed(&rejects->column.bytes) ||
				       buffer_failed(&rejects->detail.bytes) ||
				       buffer_failed(&rejects->raw.bytes) ||
				       buffer_failed(&rejects->page.bytes) ||
				       buffer_failed(&rejects->position.bytes)
			       ? -1
			       : 0;
}

size_t ledger_rejects_bytes(const struct ledger_rejects *rejects)
{
	return rejects->raw.bytes.len + rejects->detail.bytes.len;
}

void ledger_quarantine(struct pg *pg, const struct spool_header *header,
	struct ledger_rejects *rejects, pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	add_text(&p, header->dataset);
	add_text(&p, header->source);
	add_text(&p, header->slice);
	add_number(&p, header->run);
	p.list[p.n++] = pgarray_param(&rejects->reason);
	p.list[p.n++] = pgarray_param(&rejects->column);
	p.list[p.n++] = pgarray_param(&rejects->detail);
	p.list[p.n++] = pgarray_param(&rejects->raw);
	p.list[p.n++] = pgarray_param(&rejects->page);
	p.list[p.n++] = pgarray_param(&rejects->position);
	pg_query(pg,
		"INSERT INTO ogdsync.quarantine AS q (dataset, source, slice, first_run, last_run,"
		" reason, \"column\", detail, raw, digest, page, position)"
		" SELECT DISTINCT ON (sha256(u.raw), u.reason) $1, $2, $3, $4::bigint, $4::bigint,"
		" u.reason, u.\"column\", u.detail, u.raw, sha256(u.raw), u.page, u.position"
		" FROM unnest($5, $6, $7, $8, $9, $10)"
		" AS u(reason, \"column\", detail, raw, page, position)"
		" ON CONFLICT (dataset, digest, reason) DO UPDATE SET last_run = excluded.last_run"
		" WHERE q.last_run < excluded.last_run",
		p.list, p.n, on_result, arg);
}

void ledger_release(struct pg *pg, const struct spool_header *header, struct pgarray *good,
	struct pgarray *conflicts, int64_t loaded, pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	p.list[p.n++] = pgarray_param(good);
	p.list[p.n++] = pgarray_param(conflicts);
	add_text(&p, header->dataset);
	add_text(&p, header->source);
	add_text(&p, header->slice);
	add_number(&p, loaded);
	pg_query(pg,
		"WITH gone AS (DELETE FROM ogdsync.quarantine WHERE id = ANY ($1)"
		" OR (id = ANY ($2) AND reason <> 'conflict') RETURNING id)"
		" UPDATE ogdsync.coverage SET quarantined = greatest(0, quarantined -"
		" (SELECT count(*) FROM gone WHERE id = ANY ($1)))"
		" WHERE dataset = $3 AND source = $4 AND slice = $5"
		" AND ($6::bigint = 0 OR run > $6)",
		p.list, p.n, on_result, arg);
}

/* One statement is one transaction: the lease row stays locked until what is done is committed. */
static void query_fenced(struct pg *pg, const char *fence, const char *statement,
	const struct params *params, pg_result_fn on_result, void *arg)
{
	_cleanup_buffer_ struct buffer sql = {0};

	buffer_printf(&sql, "WITH fence AS MATERIALIZED (%s), done AS (%s) SELECT 1 FROM fence",
		fence, statement);
	/* Without memory it is no statement, and its error says so. */
	pg_query(pg, buffer_str(&sql), params->list, params->n, on_result, arg);
}

void ledger_finish_run(struct pg *pg, const char *fence, const struct ledger_run *run,
	enum run_state state, const char *code, const char *text, int64_t finished_us,
	pg_result_fn on_result, void *arg)
{
	struct params p = {.n = 0};

	add_run(&p, run);
	add_text(&p, run_state_name(state));
	add_text_or_null(&p, code);
	add_text_or_null(&p, text);
	add_number(&p, finished_us);
	query_fenced(pg, fence,
		"INSERT INTO ogdsync.run AS r (id, dataset, source, trigger, started_at, slices,"
		" state, code, error, finished_at)"
		" SELECT $1::bigint, $2, $3, $4, " SQL_TIME(5) ", $6::int, $7, $8, $9, " SQL_TIME(10)
		" FROM fence"
		" ON CONFLICT (id) DO UPDATE SET state = excluded.state, code = excluded.code,"
		" error = excluded.error, finished_at = excluded.finished_at,"
		" slices = excluded.slices", /* there were more, or fewer, than planned */
		&p, on_result, arg);
}

void ledger_interrupt_runs(struct pg *pg, const char *fence, int64_t before, pg_result_fn on_result,
	void *arg)
{
	struct params p = {.n = 0};

	add_number(&p, before);
	query_fenced(pg, fence,
		"UPDATE ogdsync.run r SET state = 'interrupted', code = 'interrupted',"
		" error = 'its end was not booked: the process ended before it, or the database lost it',"
		" finished_at ="
		" (SELECT max(s.loaded_at) FROM ogdsync.run_slice s WHERE s.run = r.id)"
		" FROM fence WHERE r.state = 'running' AND r.id < $1::bigint",
		&p, on_result, arg);
}
