/*
 * One libpq connection on a libuv loop. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path of an operation: pg_start() fills in `op` and the deadline, the statement is
 * handed to libpq, and the socket is watched. Each time it is ready (pg_watch.c) libpq reads, and
 * pg_advance() makes the step of the present state until one says that it waits. The step
 * that has the outcome calls pg_conclude(); pg_advance() delivers it, and the connection is idle
 * before the callback is called, so that it may start the next operation.
 *
 * Whatever ends inside a public function (not connected, no memory) is delivered in the next turn
 * of the loop, by the idle handle `turn`. The same handle continues a step that had more to do than
 * is fair within one turn.
 *
 * Failure modes: the connection breaks (libpq says so: the step collects what the server had said
 * and concludes; an idle connection reports on_lost); the deadline passes, or the caller cancels
 * (pg_stop.c: the server is asked to end it, and in the end the connection is dropped);
 * pg_close() at any time (everything is dropped, the callbacks come when the handles are closed).
 */

#include "lib/pg.h"

#include <assert.h>
#include <string.h>

#include "lib/pg_dsn.h"
#include "lib/pg_private.h"

#define BIT(state) (1u << (state))

void pg_enter(struct pg *pg, enum pg_state next)
{
	static const unsigned allowed[PG_N_STATES] = {
		[PG_DOWN] = BIT(PG_RESOLVING) | BIT(PG_SETTLING),
		[PG_RESOLVING] = BIT(PG_CONNECTING) | BIT(PG_SETTLING),
		[PG_CONNECTING] = BIT(PG_SETTLING),
		[PG_IDLE] = BIT(PG_DOWN) | BIT(PG_RESOLVING) | BIT(PG_WAITING) | BIT(PG_SETTLING),
		[PG_WAITING] = BIT(PG_COPY_IN) | BIT(PG_COPY_OUT) | BIT(PG_SETTLING),
		[PG_COPY_IN] = BIT(PG_WAITING) | BIT(PG_SETTLING),
		[PG_COPY_OUT] = BIT(PG_WAITING) | BIT(PG_SETTLING),
		[PG_SETTLING] = BIT(PG_DELIVERING),
		[PG_DELIVERING] = BIT(PG_IDLE) | BIT(PG_DOWN),
		[PG_CLOSING] = 0,
	};

	assert(next == PG_CLOSING ? pg->state != PG_CLOSING : allowed[pg->state] & BIT(next));
	pg->state = next;
}

bool pg_is_connected(const struct pg *pg)
{
	return pg->conn && pg->state != PG_RESOLVING && pg->state != PG_CONNECTING;
}

const char *pg_user(const struct pg *pg)
{
	return pg_is_connected(pg) ? PQuser(pg->conn) : "";
}

bool pg_is_busy(const struct pg *pg)
{
	return pg->op.kind != PG_OP_NONE;
}

const char *pg_last_notice(const struct pg *pg)
{
	return pg->notice;
}

bool pg_is_broken(const struct pg *pg)
{
	return PQstatus(pg->conn) == CONNECTION_BAD;
}

static void call_back(struct pg_op *op)
{
	const struct error *error = error_is_set(&op->error) ? &op->error : NULL;
	const PGresult *result = error ? NULL : op->result;

	switch (op->kind) {
	case PG_OP_NONE:
		break;
	case PG_OP_QUERY:
		op->on_result(op->arg, result, error);
		break;
	case PG_OP_COPY_IN:
		op->copy.on_done(op->arg, result, error);
		break;
	case PG_OP_CONNECT:
	case PG_OP_ROWS:
	case PG_OP_EXEC:
	case PG_OP_COPY_OUT:
		op->on_done(op->arg, error);
		break;
	}
	PQclear(op->result);
}

static char *wipe(char *secret)
{
	if (secret) {
		explicit_bzero(secret, strlen(secret));
	}
	free(secret);
	return NULL;
}

static void pg_free(struct pg *pg)
{
	wipe((char *)pg->options.dsn);
	free((char *)pg->options.application_name);
	free(pg);
}

void pg_handle_closed(struct pg *pg)
{
	void (*on_closed)(void *arg) = pg->on_closed;
	void *arg = pg->closed_arg;
	struct pg_op op = pg->op;

	if (--pg->n_handles > 0) {
		return;
	}
	pg->op = (struct pg_op){0};
	call_back(&op);
	pg_free(pg);
	if (on_closed) {
		on_closed(arg);
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	pg_handle_closed(container_of(handle, struct pg, timer));
}

static void on_turn_closed(uv_handle_t *handle)
{
	pg_handle_closed(container_of(handle, struct pg, turn));
}

void pg_close(struct pg *pg, void (*on_closed)(void *arg), void *arg)
{
	bool known = pg->state == PG_SETTLING || pg->state == PG_DELIVERING;

	pg->on_closed = on_closed;
	pg->closed_arg = arg;
	if (pg_is_busy(pg) && !known) {
		error_set(&pg->op.error, ERROR_CANCELED, "database", "canceled",
			"the connection is closed");
	}
	pg_enter(pg, PG_CLOSING);
	pg_resolve_abandon(pg);
	pg_drop(pg);
	uv_close((uv_handle_t *)&pg->timer, on_timer_closed);
	uv_close((uv_handle_t *)&pg->turn, on_turn_closed);
}

/* ---- operations ---- */

void pg_start(struct pg *pg, enum pg_op_kind kind, void *arg, uint64_t timeout_ms)
{
	assert(pg->op.kind == PG_OP_NONE);
	assert(pg->state == PG_IDLE || pg->state == PG_DOWN);
	pg->op = (struct pg_op){.kind = kind, .arg = arg};
	pg->notice[0] = '\0';
	pg->notice_fatal = false;
	uv_update_time(
		pg->loop); /* the deadline counts from now, not from the start of this turn */
	pg->deadline_ms = timeout_ms ? uv_now(pg->loop) + timeout_ms : 0;
	pg_arm(pg);
}

void pg_conclude(struct pg *pg)
{
	struct pg_op *op = &pg->op;
	bool silent = !op->result && !error_is_set(&op->error) && op->kind != PG_OP_CONNECT;

	if (silent) {
		pg_error_lost(pg, "");
	}
	if (op->fatal || silent || (pg->conn && pg_is_broken(pg))) {
		pg_drop(pg);
	}
	pg->cancel_again_ms = 0;
	pg_enter(pg, PG_SETTLING);
	pg_turn_start(pg);
}

static void deliver(struct pg *pg)
{
	struct pg_op op = pg->op;

	pg->op = (struct pg_op){0};
	pg->deadline_ms = 0;
	pg->cancel_again_ms = 0;
	uv_timer_stop(&pg->timer);
	uv_idle_stop(&pg->turn);
	pg_enter(pg, pg->conn ? PG_IDLE : PG_DOWN);
	if (pg->conn) {
		pg_watch(pg, UV_READABLE);
	}
	call_back(&op);
}

/* True when it goes on to deliver. */
static bool settle(struct pg *pg)
{
	uv_idle_stop(&pg->turn);
	if (pg->cancel_work) {
		if (pg->conn) {
			pg_watch(pg, 0);
		}
		return false;
	}
	pg_enter(pg, PG_DELIVERING);
	return true;
}

static void lost(struct pg *pg)
{
	struct error error = {0};
	const char *text = pg->notice_fatal ? pg->notice : PQerrorMessage(pg->conn);
	int len = (int)strcspn(text, "\n");

	error_set(&error, ERROR_RETRY, "database",
		pg->notice_fatal ? pg->notice_code : "connection", "%.*s", len, text);
	pg_drop(pg);
	pg_enter(pg, PG_DOWN);
	if (pg->options.on_lost) {
		pg->options.on_lost(pg->options.arg, &error);
	}
}

static void look_idle(struct pg *pg)
{
	PGnotify *notify;

	while ((notify = PQnotifies(pg->conn))) {
		PQfreemem(notify);
	}
	if (pg_is_broken(pg) || pg->notice_fatal || pg->watch_failed) {
		lost(pg);
	}
}

static void fail_watch(struct pg *pg)
{
	pg_resolve_abandon(pg);
	pg_drop(pg);
	if (pg->state != PG_SETTLING) {
		error_no_memory(&pg->op.error, "database");
		pg_conclude(pg);
	}
}

void pg_advance(struct pg *pg)
{
	bool go_on = true;

	if (pg->watch_failed && pg_is_busy(pg) && pg->state != PG_CLOSING) {
		fail_watch(pg);
	}
	while (go_on) {
		switch (pg->state) {
		case PG_WAITING:
			go_on = pg_results_step(pg);
			break;
		case PG_COPY_IN:
			go_on = pg_copy_in_step(pg);
			break;
		case PG_COPY_OUT:
			go_on = pg_copy_out_step(pg);
			break;
		case PG_SETTLING:
			go_on = settle(pg);
			break;
		case PG_DELIVERING:
			deliver(pg);
			return;
		case PG_IDLE:
			look_idle(pg);
			return;
		case PG_DOWN:
		case PG_RESOLVING:
		case PG_CONNECTING:
		case PG_CLOSING:
		case PG_N_STATES:
			return;
		}
	}
}

/* ---- the object ---- */

void pg_drop(struct pg *pg)
{
	pg_unwatch(pg);
	pg_cancel_abandon(pg);
	pg->watch_failed = false;
	PQfinish(pg->conn);
	pg->conn = NULL;
}

void pg_disconnect(struct pg *pg)
{
	assert(!pg_is_busy(pg));
	if (pg->state == PG_IDLE) {
		pg_drop(pg);
		pg_enter(pg, PG_DOWN);
	}
}

uint64_t pg_deadline_ms(const struct pg *pg)
{
	return pg_is_busy(pg) && pg->deadline_ms ? pg->deadline_ms : UINT64_MAX;
}

void pg_set_statement_timeout(struct pg *pg, uint64_t ms)
{
	pg->options.statement_timeout_ms = ms;
}

int pg_new(uv_loop_t *loop, const struct pg_options *options, struct pg **ret, struct error *error)
{
	struct pg *pg;

	if (pg_dsn_check(options->dsn, error) < 0) {
		return -1;
	}
	pg = calloc(1, sizeof(*pg));
	if (!pg) {
		return error_no_memory(error, "database");
	}
	pg->loop = loop;
	pg->options = *options;
	pg->options.dsn = strdup(options->dsn);
	pg->options.application_name =
		strdup(options->application_name ? options->application_name : "ogdsync");
	if (!pg->options.dsn || !pg->options.application_name) {
		pg_free(pg);
		return error_no_memory(error, "database");
	}
	/* These two cannot fail. */
	uv_timer_init(loop, &pg->timer);
	uv_idle_init(loop, &pg->turn);
	pg->n_handles = 2;
	*ret = pg;
	return 0;
}
