/*
 * The lease. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: look at the row. There is none: insert it. It is ours (we were restarted): renew
 * it. It has expired: take it over, with the next epoch. Then renew it every third of its
 * duration. It is somebody else's and alive: stand by, and look again when it would expire, or
 *after a third of our duration.
 *
 *	       .--- none ----> INSERT ---.
 *	LOOK --+--- ours ----> RENEW ----+--> holder: RENEW after duration / 3
 *	  ^    '--- expired -> TAKE -----'       |
 *	  |    '--- another's: standby           | no row: it was taken from us
 *	  '--------------------------------------'
 *
 * Each is one statement, so nothing is ever left open. The take-over locks the row FOR UPDATE,
 * which the FOR KEY SHARE of a load transaction of the old holder forbids; NOWAIT, for the
 * connection has other users: while the load lasts, it is tried again every RETRY_MS. When the old
 * holder renews in between it is alive after all, and the condition is checked again on the
 * row as it then is.
 *
 * Failure modes: no connection, or an error: tried again every RETRY_MS; a holder believes in its
 *lease for one duration from when the last good renewal was sent, then it is unknown. That belief
 * runs on the loop's monotonic clock, expiry on the server's. A server whose clock jumps
 * forward makes the lease expire: another takes it, and our renewal finds no row. One that jumps
 *back makes it last longer, for the next renewal at most, or for a dead holder by the size of the
 *jump. A holder that was stopped for a while wakes up with an old belief: its timer ends it at
 *once, and its loads find no row.
 */

#include "daemon/lease.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/pgarray.h"

enum { BUSY_MS = 20, RETRY_MS = 1000, NUMBER_BYTES = 24 };

#define SQL_LEASE   "ogdsync.lease"
#define SQL_EXPIRES "clock_timestamp() + $3 * interval '1 millisecond'"

enum lease_step { LEASE_REST, LEASE_LOOK, LEASE_INSERT, LEASE_RENEW, LEASE_TAKE, LEASE_RELEASE };

struct lease {
	struct pg *pg;
	struct lease_options options; /* strings are ours */
	struct lease_status status;
	int64_t our_epoch; /* of a row that is ours */
	uv_timer_t timer;
	enum lease_step next; /* what the timer starts */
	enum lease_step step; /* in flight */
	uint64_t sent_ms;
	uint64_t next_ms; /* when; UINT64_MAX never */
	uint64_t believe_until_ms;
	uint64_t hold_off_ms;
	bool release; /* asked for, not sent yet or in flight */
	void (*on_released)(void *arg, const struct error *error);
	void *released_arg;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

const char *lease_state_name(enum lease_state state)
{
	switch (state) {
	case LEASE_UNKNOWN:
		return "unknown";
	case LEASE_HOLDER:
		return "holder";
	case LEASE_STANDBY:
		return "standby";
	}
	return "unknown";
}

/* ---- what is known ---- */

struct change {
	enum lease_state state;
	int64_t epoch;
	char code[ERROR_CODE_BYTES];
};

static struct change remember(const struct lease *lease)
{
	struct change change = {.state = lease->status.state, .epoch = lease->status.epoch};

	snprintf(change.code, sizeof(change.code), "%s", lease->status.error.code);
	return change;
}

/* The last touch of the lease in its caller. */
static void announce(struct lease *lease, struct change before)
{
	bool same = before.state == lease->status.state && before.epoch == lease->status.epoch &&
		    strcmp(before.code, lease->status.error.code) == 0;

	if (!same && lease->options.on_change && !lease->closing) {
		lease->options.on_change(lease->options.arg);
	}
}

static void know(struct lease *lease, enum lease_state state, const char *holder, int64_t epoch)
{
	lease->status.state = state;
	lease->status.epoch = epoch;
	snprintf(lease->status.holder, sizeof(lease->status.holder), "%s", holder);
	error_clear(&lease->status.error);
}

static bool is_belief_over(const struct lease *lease)
{
	return lease->status.state == LEASE_HOLDER &&
		uv_now(lease->timer.loop) >= lease->believe_until_ms;
}

static void doubt(struct lease *lease)
{
	lease->status.state = LEASE_UNKNOWN;
	lease->status.holder[0] = '\0';
}

const struct lease_status *lease_status(struct lease *lease)
{
	return &lease->status;
}

/* ---- when ---- */

static void on_timer(uv_timer_t *timer);

static void arm(struct lease *lease)
{
	uint64_t due = lease->next_ms, now = uv_now(lease->timer.loop);

	if (lease->status.state == LEASE_HOLDER && lease->believe_until_ms < due) {
		due = lease->believe_until_ms;
	}
	if (lease->closing || due == UINT64_MAX) {
		uv_timer_stop(&lease->timer);
	} else {
		uv_timer_start(&lease->timer, on_timer, due > now ? due - now : 0, 0);
	}
}

static void plan(struct lease *lease, enum lease_step next, uint64_t delay_ms)
{
	lease->next = next;
	lease->next_ms = UINT64_MAX;
	if (next != LEASE_REST && delay_ms != UINT64_MAX) {
		lease->next_ms = uv_now(lease->timer.loop) + delay_ms;
	}
	arm(lease);
}

bool lease_is_due(const struct lease *lease)
{
	return lease->next_ms <= uv_now(lease->timer.loop);
}

/* ---- the steps ---- */

static void on_result(void *arg, const struct pg_result *result, const struct error *error);

/* $1 is the name, $2 the holder, $3 the duration, $4 the epoch; each statement has the first n. */
static void query(struct lease *lease, enum lease_step step, const char *sql, unsigned n_params)
{
	char duration[NUMBER_BYTES], epoch[NUMBER_BYTES];
	const struct pg_param params[] = {
		{.data = lease->options.name, .oid = PG_OID_TEXT},
		{.data = lease->options.holder, .oid = PG_OID_TEXT},
		{.data = duration, .oid = PG_OID_INT8},
		{.data = epoch, .oid = PG_OID_INT8},
	};

	snprintf(duration, sizeof(duration), "%" PRIu64, lease->options.duration_ms);
	snprintf(epoch, sizeof(epoch), "%" PRId64, lease->our_epoch);
	uv_update_time(lease->timer.loop);
	lease->sent_ms = uv_now(lease->timer.loop);
	lease->step = step;
	plan(lease, LEASE_REST, 0);
	pg_query(lease->pg, sql, params, n_params, on_result, lease);
}

static void start(struct lease *lease, enum lease_step step)
{
	switch (step) {
	case LEASE_REST:
		break;
	case LEASE_LOOK:
		query(lease, step,
			"SELECT holder, epoch,"
			" ceil(extract(epoch FROM expires_at - clock_timestamp()) * 1000)::bigint"
			" FROM " SQL_LEASE " WHERE name = $1",
			1);
		break;
	case LEASE_INSERT:
		query(lease, step,
			"INSERT INTO " SQL_LEASE " (name, holder, epoch, expires_at)"
			" VALUES ($1, $2, 1, " SQL_EXPIRES ")"
			" ON CONFLICT (name) DO NOTHING RETURNING epoch",
			3);
		break;
	case LEASE_RENEW:
		query(lease, step,
			"UPDATE " SQL_LEASE " SET expires_at = " SQL_EXPIRES
			" WHERE name = $1 AND holder = $2 AND epoch = $4 RETURNING epoch",
			4);
		break;
	case LEASE_TAKE:
		query(lease, step,
			"WITH old AS (SELECT name FROM " SQL_LEASE
			" WHERE name = $1 AND expires_at <= clock_timestamp() FOR UPDATE NOWAIT)"
			" UPDATE " SQL_LEASE " l SET holder = $2, epoch = l.epoch + 1,"
			" expires_at = " SQL_EXPIRES
			" FROM old WHERE l.name = old.name RETURNING l.epoch",
			3);
		break;
	case LEASE_RELEASE:
		query(lease, step,
			"UPDATE " SQL_LEASE " SET expires_at = least(expires_at, clock_timestamp())"
			" WHERE name = $1 AND holder = $2 AND epoch = $4"
			" RETURNING epoch",
			4);
		break;
	}
}

/* A third of the duration, or sooner when what we wait for is due sooner. */
static uint64_t look_again_ms(const struct lease *lease, int64_t left_ms)
{
	uint64_t third = lease->options.duration_ms / 3 + 1;

	return left_ms > 0 && (uint64_t)left_ms < third ? (uint64_t)left_ms : third;
}

static void looked(struct lease *lease, const struct pg_result *result)
{
	const char *holder;
	int64_t epoch, left_ms;

	if (pg_n_rows(result) == 0) {
		plan(lease, LEASE_INSERT, 0);
		return;
	}
	holder = pg_value(result, 0, 0);
	epoch = pg_i64(result, 0, 1);
	left_ms = pg_i64(result, 0, 2);
	if (strcmp(holder, lease->options.holder) == 0) {
		lease->our_epoch = epoch;
		plan(lease, LEASE_RENEW, 0);
		return;
	}
	know(lease, LEASE_STANDBY, holder, epoch);
	lease->status.left_ms = left_ms;
	if (left_ms > 0) {
		plan(lease, LEASE_LOOK, look_again_ms(lease, left_ms));
	} else {
		plan(lease, LEASE_TAKE, 0);
	}
}

/* INSERT, RENEW and TAKE return our epoch, or no row when somebody else was there. */
static void tried(struct lease *lease, const struct pg_result *result)
{
	if (pg_n_rows(result) == 0) {
		if (lease->status.state == LEASE_HOLDER) {
			know(lease, LEASE_STANDBY, "", lease->status.epoch);
		}
		plan(lease, LEASE_LOOK, lease->step == LEASE_RENEW ? 0 : BUSY_MS);
		return;
	}
	lease->our_epoch = pg_i64(result, 0, 0);
	know(lease, LEASE_HOLDER, lease->options.holder, lease->our_epoch);
	lease->believe_until_ms = lease->sent_ms + lease->options.duration_ms;
	if (is_belief_over(lease)) { /* the answer took too long to be of use */
		doubt(lease);
	}
	plan(lease, LEASE_RENEW,
		lease->status.state == LEASE_HOLDER ? lease->options.duration_ms / 3 : 0);
}

static void tell_released(struct lease *lease, const struct error *error)
{
	void (*on_released)(void *arg, const struct error *error) = take_ptr(lease->on_released);

	if (on_released) {
		on_released(lease->released_arg, error);
	}
}

static uint64_t retry_ms(const struct lease *lease)
{
	uint64_t tenth = lease->options.duration_ms / 10 + 1;

	return tenth < RETRY_MS ? tenth : RETRY_MS;
}

/* 55P03 of a take-over is no failure: a load of the old holder is still going on. */
static void failed(struct lease *lease, const struct error *error)
{
	bool waits = lease->step == LEASE_TAKE && strcmp(error->code, "55P03") == 0;

	if (!waits) {
		lease->status.error = *error;
		if (lease->status.state == LEASE_STANDBY || is_belief_over(lease)) {
			doubt(lease);
		}
	}
	plan(lease, lease->status.state == LEASE_HOLDER ? LEASE_RENEW : LEASE_LOOK,
		retry_ms(lease));
}

static void close_timer(struct lease *lease);

/* The last touch of the lease in its caller. */
static void released(struct lease *lease, const struct error *error)
{
	lease->release = false;
	plan(lease, LEASE_LOOK, lease->hold_off_ms);
	tell_released(lease, error);
}

static void on_result(void *arg, const struct pg_result *result, const struct error *error)
{
	struct lease *lease = arg;
	struct change before = remember(lease);
	enum lease_step step = lease->step;

	if (lease->closing) {
		lease->step = LEASE_REST;
		close_timer(lease);
		return;
	}
	if (step == LEASE_RELEASE) {
		lease->step = LEASE_REST;
		released(lease, error);
		return;
	}
	if (error) {
		failed(lease, error);
	} else if (step == LEASE_LOOK) {
		looked(lease, result);
	} else {
		tried(lease, result);
	}
	lease->step = LEASE_REST;
	if (lease->release) { /* asked for meanwhile */
		know(lease, LEASE_STANDBY, "", lease->status.epoch);
		plan(lease, LEASE_RELEASE, 0);
	}
	announce(lease, before);
}

/* Whoever connects it calls lease_want(). */
static void set_no_connection(struct error *error)
{
	error_set(error, ERROR_RETRY, "lease", "connection", "the database is not connected");
}

static void on_timer(uv_timer_t *timer)
{
	struct lease *lease = container_of(timer, struct lease, timer);
	struct change before = remember(lease);
	enum lease_step next = lease->next;
	struct error error = {0};

	if (is_belief_over(lease)) {
		doubt(lease);
	}
	if (uv_now(lease->timer.loop) < lease->next_ms) {
		arm(lease);
	} else if (pg_is_busy(lease->pg)) {
		plan(lease, next, BUSY_MS);
	} else if (pg_is_connected(lease->pg)) {
		start(lease, next);
	} else {
		set_no_connection(&error);
		if (next == LEASE_RELEASE) {
			released(lease, &error);
			return;
		}
		/* Why there is none may be known. */
		error = error_is_set(&lease->status.error) ? lease->status.error : error;
		failed(lease, &error);
	}
	announce(lease, before);
}

void lease_no_connection(struct lease *lease, const struct error *error)
{
	struct change before = remember(lease);

	lease->status.error = *error;
	announce(lease, before);
}

void lease_want(struct lease *lease)
{
	lease->hold_off_ms = 0;
	if (lease->step == LEASE_REST && !lease->release) {
		plan(lease, lease->status.state == LEASE_HOLDER ? LEASE_RENEW : LEASE_LOOK, 0);
	}
}

void lease_release(struct lease *lease, uint64_t hold_off_ms,
	void (*on_released)(void *arg, const struct error *error), void *arg)
{
	assert(!lease->release);
	lease->release = true;
	lease->on_released = on_released;
	lease->released_arg = arg;
	lease->hold_off_ms = hold_off_ms;
	know(lease, LEASE_STANDBY, "", lease->status.epoch);
	if (lease->step == LEASE_REST) {
		plan(lease, LEASE_RELEASE, 0);
	}
}

/* ---- for load transactions ---- */

void lease_fence_sql(const struct lease *lease, struct buffer *sql)
{
	buffer_append_str(sql, "SELECT epoch FROM " SQL_LEASE " WHERE name = ");
	pg_append_literal(sql, lease->options.name);
	buffer_append_str(sql, " AND holder = ");
	pg_append_literal(sql, lease->options.holder);
	buffer_printf(sql, " AND epoch = %" PRId64 " FOR KEY SHARE", lease->our_epoch);
}

void lease_set_fenced(struct error *error)
{
	error_set(error, ERROR_RETRY, "lease", "fenced",
		"another daemon holds the lease on this database");
}

/* ---- the object ---- */

static void lease_free(struct lease *lease)
{
	free((char *)lease->options.name);
	free((char *)lease->options.holder);
	free(lease);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct lease *lease = container_of(handle, struct lease, timer);
	void (*on_closed)(void *arg) = lease->on_closed;
	void *arg = lease->closed_arg;
	struct error error = {0};

	error_set(&error, ERROR_CANCELED, "lease", "canceled", "the lease is closed");
	tell_released(lease, &error);
	lease_free(lease);
	if (on_closed) {
		on_closed(arg);
	}
}

static void close_timer(struct lease *lease)
{
	uv_close((uv_handle_t *)&lease->timer, on_timer_closed);
}

void lease_close(struct lease *lease, void (*on_closed)(void *arg), void *arg)
{
	lease->closing = true;
	lease->on_closed = on_closed;
	lease->closed_arg = arg;
	uv_timer_stop(&lease->timer);
	if (lease->step == LEASE_REST) {
		close_timer(lease);
	} else {
		pg_cancel(lease->pg); /* on_result goes on from here */
	}
}

int lease_new(
	uv_loop_t *loop, struct pg *pg, const struct lease_options *options, struct lease **ret)
{
	struct lease *lease;

	assert(options->duration_ms > 0 && strlen(options->holder) < LEASE_HOLDER_BYTES);
	lease = calloc(1, sizeof(*lease));
	if (!lease) {
		return -ENOMEM;
	}
	lease->pg = pg;
	lease->options = *options;
	lease->options.name = strdup(options->name);
	lease->options.holder = strdup(options->holder);
	lease->next_ms = UINT64_MAX;
	if (!lease->options.name || !lease->options.holder) {
		lease_free(lease);
		return -ENOMEM;
	}
	uv_timer_init(loop, &lease->timer);
	*ret = lease;
	return 0;
}
