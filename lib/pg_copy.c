/*
 * COPY in and out. SPDX-License-Identifier: Apache-2.0
 *
 * In, the happy path: the server answers the statement with PGRES_COPY_IN, on_ready is called, the
 * caller puts data. libpq sends what it has in full blocks and keeps the rest, without any limit;
 * so every FLUSH_BYTES PQflush is asked, and when the socket is full the caller is told (1), and
 * called back (on_drain) when libpq has got rid of everything. The caller is told to pause, too,
 * after TURN_BYTES without a turn of the loop, for a server that is always faster. pg_copy_end()
 * sends the end, and the answer is taken like that of any statement.
 *
 * In, the server fails: it sends an error and throws away what still comes. libpq does not look at
 * that error before PQputCopyEnd, nor does it tell that there is something it did not look at. It
 * does look at notices. So bytes that arrive and are no notice raise a doubt, and when that has
 * lasted for DOUBT_MS the COPY is ended by CopyFail: the server's own error comes first and is the
 * outcome. (A notice and an error that arrive together are found at pg_copy_end() only.) PQflush
 * may read as well, when it cannot write: therefore the look at FIONREAD before it.
 *
 * Out: PQgetCopyData gives a row at a time; nothing more is read from the socket before
 * all that came is handed on, and only some of it in one turn.
 */

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/pg_private.h"

enum { FLUSH_BYTES = 32 * 1024, TURN_BYTES = 256 * 1024, DOUBT_MS = 100 };

void pg_copy_in(struct pg *pg, const char *sql, const struct pg_copy_in *copy)
{
	pg_start(pg, PG_OP_COPY_IN, copy->arg, pg->options.statement_timeout_ms);
	pg->op.copy = *copy;
	pg->copying = (struct pg_copying){0};
	pg_send_simple(pg, sql);
}

void pg_copy_in_begin(struct pg *pg)
{
	pg_watch_flushed(pg);
	if (pg->op.stop == PG_STOP_NONE) {
		pg->op.copy.on_ready(pg->op.arg);
	} else {
		pg_copy_in_abort(pg, "canceled");
	}
}

/* ---- does the server say something? ---- */

void pg_copy_in_listen(struct pg *pg)
{
	int n = 0;

	if (pg->copying.doubt_until_ms == 0 && ioctl(PQsocket(pg->conn), FIONREAD, &n) == 0 &&
		n > 0) {
		pg->copying.doubt_until_ms = uv_now(pg->loop) + DOUBT_MS;
		pg->copying.n_notices = pg->n_notices;
	}
}

/* Let libpq look at notices; they are the harmless reason. */
void pg_copy_in_heard(struct pg *pg)
{
	if (pg->copying.doubt_until_ms == 0) {
		return;
	}
	(void)PQisBusy(pg->conn);
	if (pg->n_notices != pg->copying.n_notices) {
		pg->copying.doubt_until_ms = 0;
	}
	pg_arm(pg);
}

/* ---- in ---- */

/* The end of sending; from here the outcome is awaited. `reason` NULL is success. */
static void end_copy(struct pg *pg, const char *reason)
{
	pg->copying.ended = true;
	pg->copying.full = false;
	if (PQputCopyEnd(pg->conn, reason) == 1) {
		pg_enter(pg, PG_WAITING);
		pg_watch_flushed(pg);
	} else if (pg_is_broken(pg)) {
		pg_enter(pg, PG_WAITING);
		pg_unwatch(pg);
		pg_turn_start(pg);
	} else { /* no memory for five bytes */
		error_no_memory(&pg->op.error, "database");
		pg_drop(pg);
		pg_conclude(pg);
	}
}

void pg_copy_in_abort(struct pg *pg, const char *reason)
{
	end_copy(pg, reason);
}

/* What libpq holds back goes to the socket. Returns 1 when that is full. */
static int flush(struct pg *pg)
{
	int r;

	pg_copy_in_listen(pg);
	r = PQflush(pg->conn);
	pg->copying.n_unflushed = 0;
	if (pg_is_broken(pg)) {
		end_copy(pg, "the connection broke");
		return 1;
	}
	pg_copy_in_heard(pg);
	return r == 1;
}

static bool turn_is_over(struct pg_copying *copying)
{
	if (copying->n_turn < TURN_BYTES) {
		return false;
	}
	copying->n_turn = 0;
	return true;
}

int pg_copy_put(struct pg *pg, const void *data, size_t len)
{
	struct pg_copying *copying = &pg->copying;

	assert(len <= INT_MAX);
	if (pg->state != PG_COPY_IN) { /* the server ended it; on_done is on its way */
		return 1;
	}
	if (PQputCopyData(pg->conn, data, (int)len) != 1) {
		if (!pg_is_broken(pg)) {
			error_no_memory(&pg->op.error, "database");
		}
		end_copy(pg, "out of memory");
		return 1;
	}
	copying->n_unflushed += len;
	copying->n_turn += len;
	if (copying->full || copying->n_unflushed < FLUSH_BYTES) {
		return copying->full;
	}
	if (flush(pg)) {
		copying->full = pg->state == PG_COPY_IN;
		copying->n_turn = 0;
		if (copying->full) {
			pg_watch(pg, UV_READABLE | UV_WRITABLE);
		}
		return 1;
	}
	if (turn_is_over(copying)) {
		copying->full = true;
		pg_turn_start(pg);
	}
	return copying->full;
}

void pg_copy_end(struct pg *pg)
{
	if (pg->state == PG_COPY_IN) {
		end_copy(pg, NULL);
	}
}

void pg_copy_fail(struct pg *pg, const char *reason)
{
	if (pg->state == PG_COPY_IN) {
		pg->op.stop = PG_STOP_COPY_FAIL;
		end_copy(pg, reason);
	}
}

bool pg_copy_in_step(struct pg *pg)
{
	if (pg_is_broken(pg)) {
		end_copy(pg, "the connection broke");
		return true;
	}
	if (flush(pg)) {
		if (pg->state == PG_COPY_IN) {
			pg_watch(pg, UV_READABLE | UV_WRITABLE);
			return false;
		}
		return true;
	}
	pg_watch(pg, UV_READABLE);
	if (pg->copying.full) {
		pg->copying.full = false;
		pg->op.copy.on_drain(pg->op.arg);
	}
	return pg->state != PG_COPY_IN;
}

/* ---- out ---- */

void pg_copy_out(struct pg *pg, const char *sql, pg_data_fn on_data, pg_done_fn on_done, void *arg)
{
	pg_start(pg, PG_OP_COPY_OUT, arg, pg->options.statement_timeout_ms);
	pg->op.on_data = on_data;
	pg->op.on_done = on_done;
	pg_send_simple(pg, sql);
}

static void hand_on(struct pg *pg, char *take_data, int len)
{
	if (pg->op.on_data && pg->op.stop == PG_STOP_NONE) {
		pg->op.on_data(pg->op.arg, take_data, (size_t)len);
	}
	PQfreemem(take_data);
}

bool pg_copy_out_step(struct pg *pg)
{
	struct pg_budget budget = pg_budget();
	char *data = NULL;
	int len;

	while ((len = PQgetCopyData(pg->conn, &data, 1)) > 0) {
		hand_on(pg, data, len);
		if (pg->state != PG_COPY_OUT) {
			return true;
		}
		if (pg_budget_spent(&budget)) {
			pg_watch(pg, 0);
			pg_turn_start(pg);
			return false;
		}
	}
	if (len < 0 || pg_is_broken(pg)) { /* its end, or what is left to tell of an error */
		pg_enter(pg, PG_WAITING);
		return true;
	}
	pg_watch_flushed(pg);
	return false;
}
