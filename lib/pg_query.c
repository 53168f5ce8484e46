/*
 * Statements and their results. SPDX-License-Identifier: Apache-2.0
 *
 * A statement is sent (PQsendQueryParams, PQsendQuery), flushed while its answer is awaited, and
 * its results are taken until libpq has none: the last good one is the outcome, or the first error.
 * In single-row mode each row is a result of its own. Results are taken before anything more is
 * read, and only some in one turn of the loop, so that the server is held back by its socket and
 * never by our memory.
 *
 * Odd ends: a COPY that nobody asked for is ended at once, and is an error; COMMIT of a failed
 * transaction is answered by ROLLBACK without an error, and is one here.
 */

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pg_private.h"

/* ---- sending ---- */

static bool is_up(struct pg *pg)
{
	if (!pg->conn) {
		pg->op.commit = false; /* nothing was sent, nothing is uncertain */
		pg_error_lost(pg, "not connected");
		pg_conclude(pg);
		return false;
	}
	return true;
}

/* After PQsend...: wait for the answer, or fail in the next turn. */
static void sent(struct pg *pg, int ok)
{
	if (!ok) {
		pg->op.commit = false;
		pg_error_lost(pg, PQerrorMessage(pg->conn));
		pg_drop(pg);
		pg_conclude(pg);
		return;
	}
	pg_enter(pg, PG_WAITING);
	pg_watch_flushed(pg);
}

/* libpq wants the parameters as four arrays. */
struct arrays {
	const char **values;
	int *lengths, *formats;
	Oid *types;
};

static void arrays_fini(struct arrays *arrays)
{
	free(arrays->values);
	free(arrays->lengths);
	free(arrays->formats);
	free(arrays->types);
}

static int arrays_init(struct arrays *arrays, const struct pg_param *params, unsigned n)
{
	arrays->values = calloc(n + 1, sizeof(*arrays->values));
	arrays->lengths = calloc(n + 1, sizeof(*arrays->lengths));
	arrays->formats = calloc(n + 1, sizeof(*arrays->formats));
	arrays->types = calloc(n + 1, sizeof(*arrays->types));
	if (!arrays->values || !arrays->lengths || !arrays->formats || !arrays->types) {
		return -1;
	}
	for (unsigned i = 0; i < n; i++) {
		arrays->values[i] = params[i].data;
		arrays->lengths[i] = params[i].len;
		arrays->formats[i] = params[i].binary;
		arrays->types[i] = params[i].oid;
	}
	return 0;
}

static void send_params(
	struct pg *pg, const char *sql, const struct pg_param *params, unsigned n, bool binary)
{
	_cleanup_(arrays_fini) struct arrays arrays = {0};

	assert(n <= UINT16_MAX);
	pg->op.commit = strcmp(sql, "COMMIT") == 0;
	if (!is_up(pg)) {
		return;
	}
	if (arrays_init(&arrays, params, n) < 0) {
		error_no_memory(&pg->op.error, "database");
		pg_conclude(pg);
		return;
	}
	sent(pg,
		PQsendQueryParams(pg->conn, sql, (int)n, arrays.types, arrays.values,
			arrays.lengths, arrays.formats, binary));
}

void pg_send_simple(struct pg *pg, const char *sql)
{
	pg->op.commit = strcmp(sql, "COMMIT") == 0;
	if (is_up(pg)) {
		sent(pg, PQsendQuery(pg->conn, sql));
	}
}

void pg_query(struct pg *pg, const char *sql, const struct pg_param *params, unsigned n_params,
	pg_result_fn on_result, void *arg)
{
	pg_start(pg, PG_OP_QUERY, arg, pg->options.statement_timeout_ms);
	pg->op.on_result = on_result;
	send_params(pg, sql, params, n_params, false);
}

void pg_query_rows(struct pg *pg, const char *sql, const struct pg_param *params, unsigned n_params,
	pg_row_fn on_row, pg_done_fn on_done, void *arg)
{
	pg_start(pg, PG_OP_ROWS, arg, pg->options.statement_timeout_ms);
	pg->op.on_row = on_row;
	pg->op.on_done = on_done;
	send_params(pg, sql, params, n_params, true);
	if (pg->state == PG_WAITING) {
		(void)PQsetSingleRowMode(pg->conn); /* fails only in a state that is not this one */
	}
}

void pg_exec(struct pg *pg, const char *sql, pg_done_fn on_done, void *arg)
{
	pg_start(pg, PG_OP_EXEC, arg, pg->options.statement_timeout_ms);
	pg->op.on_done = on_done;
	pg_send_simple(pg, sql);
}

/* ---- results ---- */

/* COMMIT of a transaction that had failed. */
static void check_commit(struct pg *pg, PGresult *result)
{
	if (pg->op.commit && strcmp(PQcmdStatus(result), "ROLLBACK") == 0) {
		error_set(&pg->op.error, ERROR_REJECTED, "database", "25P02",
			"COMMIT was answered by ROLLBACK: the transaction had failed before");
	}
}

static void take_good(struct pg *pg, PGresult *result)
{
	check_commit(pg, result);
	PQclear(pg->op.result);
	pg->op.result = result;
}

static void unexpected_copy(struct pg *pg)
{
	error_set(&pg->op.error, ERROR_REJECTED, "database", "copy",
		"the statement is a COPY where none was expected");
}

static void begin_copy_in(struct pg *pg)
{
	if (pg->op.kind == PG_OP_COPY_IN && !pg->copying.ended) {
		pg_enter(pg, PG_COPY_IN);
		pg_copy_in_begin(pg);
		return;
	}
	unexpected_copy(pg);
	if (PQputCopyEnd(pg->conn, "not expected") != 1) {
		pg_drop(pg);
		pg_conclude(pg);
	}
}

static void begin_copy_out(struct pg *pg)
{
	if (pg->op.kind != PG_OP_COPY_OUT) {
		unexpected_copy(pg);
	}
	pg_enter(pg, PG_COPY_OUT);
}

/* `take_result` is ours. */
static void take_result(struct pg *pg, PGresult *take_result)
{
	switch (PQresultStatus(take_result)) {
	case PGRES_EMPTY_QUERY:
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		take_good(pg, take_result);
		return;
	case PGRES_SINGLE_TUPLE:
		if (pg->op.on_row && pg->op.stop == PG_STOP_NONE) {
			pg->op.on_row(pg->op.arg, take_result);
		}
		break;
	case PGRES_COPY_IN:
		begin_copy_in(pg);
		break;
	case PGRES_COPY_OUT:
		begin_copy_out(pg);
		break;
	case PGRES_COPY_BOTH: /* replication: nobody here asks for it, and it has no other end */
		unexpected_copy(pg);
		pg_drop(pg);
		pg_conclude(pg);
		break;
	case PGRES_BAD_RESPONSE:
	case PGRES_NONFATAL_ERROR:
	case PGRES_FATAL_ERROR:
	case PGRES_PIPELINE_SYNC:
	case PGRES_PIPELINE_ABORTED:
		pg_error_result(pg, take_result);
		break;
	}
	PQclear(take_result);
}

bool pg_results_step(struct pg *pg)
{
	struct pg_budget budget = pg_budget();

	/* On a broken connection PQgetResult waits for nothing: it tells what is left to tell. */
	while (!PQisBusy(pg->conn) || pg_is_broken(pg)) {
		PGresult *result = PQgetResult(pg->conn);

		if (!result) {
			pg_conclude(pg);
			return true;
		}
		take_result(pg, result);
		if (pg->state != PG_WAITING) {
			return true;
		}
		if (pg_budget_spent(&budget)) {
			pg_watch(pg, 0);
			pg_turn_start(pg);
			return false;
		}
	}
	pg_watch_flushed(pg);
	return false;
}

/* ---- reading a result; struct pg_result is libpq's own ---- */

int pg_n_rows(const struct pg_result *result)
{
	return PQntuples(result);
}

int pg_n_columns(const struct pg_result *result)
{
	return PQnfields(result);
}

bool pg_is_null(const struct pg_result *result, int row, int column)
{
	return PQgetisnull(result, row, column);
}

const char *pg_value(const struct pg_result *result, int row, int column)
{
	return PQgetvalue(result, row, column);
}

int pg_value_len(const struct pg_result *result, int row, int column)
{
	return PQgetlength(result, row, column);
}

int64_t pg_i64(const struct pg_result *result, int row, int column)
{
	return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

bool pg_bool(const struct pg_result *result, int row, int column)
{
	return PQgetvalue(result, row, column)[0] == 't';
}

int64_t pg_affected(const struct pg_result *result)
{
	return strtoll(PQcmdTuples((PGresult *)result), NULL, 10);
}
