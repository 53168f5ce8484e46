/*
 * The second connection to the database. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: connect, win the lease, renew it until the end, give it up. When the connection is lost
 * the lease goes on being ours until its time is over; connected again, it is looked at first.
 */

#include "daemon/reader.h"

#include <errno.h>

#include "lib/pg.h"

enum { CONNECT_TIMEOUT_MS = 10000, LEASE_MS = 15000 };

struct reader {
	struct reader_options options;
	struct config *config;
	struct pg *pg;
	struct lease *lease;
	uv_timer_t timer;
	bool connecting, closing;
	unsigned n_open;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void connect_now(struct reader *reader);

static void on_timer(uv_timer_t *timer)
{
	connect_now(container_of(timer, struct reader, timer));
}

static void connect_later(struct reader *reader)
{
	if (!reader->closing) {
		uv_timer_start(&reader->timer, on_timer,
			reader->config->database.reconnect_max_ms, 0);
	}
}

static void on_connected(void *arg, const struct error *error)
{
	struct reader *reader = arg;

	reader->connecting = false;
	if (error) {
		connect_later(reader);
	} else if (!reader->closing) {
		lease_want(reader->lease);
	}
}

static void on_lost(void *arg, const struct error *error)
{
	(void)error; /* the load connection reports what is wrong with the database */
	connect_later(arg);
}

static void connect_now(struct reader *reader)
{
	if (reader->connecting || pg_is_busy(reader->pg)) {
		return;
	}
	reader->connecting = true;
	pg_connect(reader->pg, on_connected, reader);
}

static void on_lease_change(void *arg)
{
	struct reader *reader = arg;

	/* A statement of the lease may be what noticed that the connection is gone. */
	if (!pg_is_connected(reader->pg) && !reader->connecting) {
		connect_later(reader);
	}
	reader->options.on_lease(reader->options.arg);
}

int reader_new(const struct reader_options *options, struct reader **ret, struct error *error)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct pg_options pg = {
		.dsn = options->config->database.dsn,
		.application_name = "ogdsyncd (lease)",
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.statement_timeout_ms = options->config->database.statement_timeout_ms,
		.on_lost = on_lost,
		.arg = reader,
	};
	struct lease_options lease = {
		.name = "load",
		.holder = options->holder,
		.duration_ms = LEASE_MS,
		.on_change = on_lease_change,
		.arg = reader,
	};

	if (!reader) {
		return error_no_memory(error, "reader");
	}
	if (pg_new(options->loop, &pg, &reader->pg, error) < 0) {
		free(reader);
		return -1;
	}
	reader->options = *options;
	reader->config = config_ref(options->config);
	uv_timer_init(options->loop, &reader->timer);
	if (lease_new(options->loop, reader->pg, &lease, &reader->lease) < 0) {
		error_no_memory(error, "reader");
	}
	*ret = reader; /* closed by its owner also when the lease could not be made */
	return reader->lease ? 0 : -1;
}

void reader_start(struct reader *reader)
{
	if (pg_is_connected(reader->pg)) {
		lease_want(reader->lease);
	} else {
		connect_now(reader);
	}
}

const struct lease_status *reader_lease(struct reader *reader)
{
	return lease_status(reader->lease);
}

void reader_fence_sql(struct reader *reader, struct buffer *sql)
{
	if (lease_status(reader->lease)->state == LEASE_HOLDER) {
		lease_fence_sql(reader->lease, sql);
	}
}

/* ---- the end ---- */

static void on_part_closed(struct reader *reader)
{
	if (--reader->n_open == 0) {
		reader->on_closed(reader->closed_arg);
		config_unref(reader->config);
		free(reader);
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_part_closed(container_of((uv_timer_t *)handle, struct reader, timer));
}

static void on_pg_closed(void *arg)
{
	on_part_closed(arg);
}

static void on_lease_closed(void *arg)
{
	struct reader *reader = arg;

	pg_close(reader->pg, on_pg_closed, reader);
}

static void close_lease(struct reader *reader)
{
	lease_close(reader->lease, on_lease_closed, reader);
}

static void on_released(void *arg, const struct error *error)
{
	(void)error; /* then it expires by itself */
	close_lease(arg);
}

void reader_close(struct reader *reader, void (*on_closed)(void *arg), void *arg)
{
	reader->closing = true;
	reader->on_closed = on_closed;
	reader->closed_arg = arg;
	reader->n_open = 2;
	uv_close((uv_handle_t *)&reader->timer, on_timer_closed);
	if (!reader->lease) {
		on_lease_closed(reader);
	} else if (pg_is_connected(reader->pg) &&
		   lease_status(reader->lease)->state == LEASE_HOLDER) {
		lease_release(reader->lease, UINT64_MAX, on_released, reader);
	} else {
		close_lease(reader);
	}
}
