/*
 * Deadlines, and ending an operation before its time. SPDX-License-Identifier: Apache-2.0
 *
 * One timer for whatever is due first. When an operation is canceled or takes too long, the server
 * is asked to end it (pg_cancel.c; a COPY in also by CopyFail), and its answer is the outcome: an
 * error, or a result that came first. A server that has not answered STOP_GRACE_MS later loses the
 * connection. A connection that is only being made is dropped at once.
 */

#include "lib/pg_private.h"

enum { STOP_GRACE_MS = 5 * 1000 };

static uint64_t earliest(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0) {
		return a + b;
	}
	return a < b ? a : b;
}

static uint64_t next_due(const struct pg *pg)
{
	uint64_t due = pg->deadline_ms;

	if (pg->state == PG_CONNECTING) {
		due = earliest(due, pg->connecting.share_until_ms);
	} else if (pg->state == PG_COPY_IN) {
		due = earliest(due, pg->copying.doubt_until_ms);
	}
	return earliest(due, pg->cancel_again_ms);
}

static void send_cancel(struct pg *pg, uint64_t now)
{
	if (pg_cancel_send(pg) < 0) {
		pg->deadline_ms = now; /* then by dropping the connection */
	}
}

/* Stop the operation from here: the server ends it, or the grace does. */
static void stop(struct pg *pg, enum pg_stop why)
{
	pg->op.stop = why;
	pg->deadline_ms = uv_now(pg->loop) + STOP_GRACE_MS;
	if (pg->state == PG_COPY_IN) {
		pg_copy_in_abort(pg, why == PG_STOP_TIMEOUT ? "timeout" : "canceled");
	}
	send_cancel(pg, uv_now(pg->loop));
	pg_arm(pg);
}

/* The grace is over. An outcome that is known stays; only the connection goes. */
static void give_up(struct pg *pg)
{
	pg_drop(pg);
	if (pg->state != PG_SETTLING) {
		pg_error_stopped(pg);
		pg_conclude(pg);
	}
}

/* The last chance for what the server said to prove a notice: perhaps nobody had read it yet. */
static void resolve_doubt(struct pg *pg)
{
	pg_read_input(pg);
	if (pg->copying.doubt_until_ms) {
		pg_copy_in_abort(pg, "the server ended the COPY");
	}
}

static void overdue(struct pg *pg, uint64_t now)
{
	if (pg->state == PG_RESOLVING || pg->state == PG_CONNECTING) {
		pg_connect_overdue(pg);
		return;
	}
	if (pg->state == PG_COPY_IN && pg->copying.doubt_until_ms &&
		now >= pg->copying.doubt_until_ms) {
		resolve_doubt(pg);
	}
	if (pg->cancel_again_ms && now >= pg->cancel_again_ms) {
		send_cancel(pg, now);
	}
	if (pg->deadline_ms && now >= pg->deadline_ms) {
		bool stopped = pg->op.stop == PG_STOP_CANCEL || pg->op.stop == PG_STOP_TIMEOUT;

		if (stopped || pg->state == PG_SETTLING) {
			give_up(pg);
		} else {
			stop(pg, PG_STOP_TIMEOUT);
		}
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct pg *pg = container_of(timer, struct pg, timer);

	overdue(pg, uv_now(pg->loop));
	pg_arm(pg);
	pg_advance(pg);
}

void pg_arm(struct pg *pg)
{
	uint64_t due = next_due(pg), now = uv_now(pg->loop);

	if (due == 0) {
		uv_timer_stop(&pg->timer);
	} else {
		uv_timer_start(&pg->timer, on_timer, due > now ? due - now : 0, 0);
	}
}

void pg_cancel(struct pg *pg)
{
	bool connecting = pg->state == PG_RESOLVING || pg->state == PG_CONNECTING;
	bool known = pg->state == PG_SETTLING || pg->state == PG_DELIVERING;

	if (!pg_is_busy(pg) || known || pg->op.stop == PG_STOP_CANCEL || pg->state == PG_CLOSING) {
		return;
	}
	if (connecting) {
		error_set(&pg->op.error, ERROR_CANCELED, "database", "canceled", "canceled");
		pg_resolve_abandon(pg);
		pg_drop(pg);
		pg_conclude(pg);
	} else {
		stop(pg, PG_STOP_CANCEL);
	}
}
