/*
 * The second connection to the database. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: connect, win the lease, renew it until the end, give it up. When the connection is lost
 * the lease goes on being ours until its time is over; connected again, it is looked at first.
 *
 * Questions stand in a queue and are asked one after the other, between the statements of the lease:
 * one that the lease is about to send goes first, so that no queue makes it expire. A statement that
 * takes longer than QUERY_MS is canceled, with time to spare for the next renewal.
 *
 * Failure modes of a question: there is no connection, it is lost, or too many wait: RETRY, the
 * caller may ask again. The server refuses the statement: its error. The reader closes: CANCELED.
 */

#include "daemon/reader.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/pg.h"

enum {
	CONNECT_TIMEOUT_MS = 10000,
	LEASE_MS = 15000,
	QUERY_MS = 3000,  /* of one statement; + 5 s of pg_cancel() is less than LEASE_MS * 2 / 3 */
	PATIENCE_MS = 8000, /* in the queue */
	BUSY_MS = 5,
	MAX_QUERIES = 32,
};

struct query {
	TAILQ_ENTRY(query) entry;
	uint64_t asked_ms; /* loop time */
	pg_result_fn on_result;
	void *arg;
	char *sql; /* this and what the parameters point to lies behind them, in the same memory */
	unsigned n_params;
	struct pg_param params[];
};

TAILQ_HEAD(query_list, query);

struct reader {
	struct reader_options options;
	struct config *config;
	struct pg *pg;
	struct lease *lease;
	uv_timer_t timer; /* connect again */
	uv_timer_t turn;  /* look at the queue */
	uv_timer_t limit; /* of the statement in flight */
	struct query_list queries;
	unsigned n_queries;
	struct query *asking; /* in flight, not in the queue any more */
	bool overdue;         /* it was canceled for taking too long */
	bool connecting, closing;
	bool lending; /* the lease is being given up */
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
	if (reader->closing) {
		return; /* the lease may be gone already */
	}
	if (error) {
		connect_later(reader);
		lease_no_connection(reader->lease, error);
	} else {
		lease_want(reader->lease);
	}
}

static void look_at_queue(struct reader *reader, uint64_t delay_ms);

static void on_lost(void *arg, const struct error *error)
{
	(void)error; /* the load connection reports what is wrong with the database */
	connect_later(arg);
	look_at_queue(arg, 0);
}

static void connect_now(struct reader *reader)
{
	if (reader->connecting || pg_is_busy(reader->pg)) {
		return;
	}
	reader->connecting = true;
	pg_connect(reader->pg, on_connected, reader);
}

/* A statement may be what noticed that the connection is gone. */
static void connect_if_lost(struct reader *reader)
{
	if (!pg_is_connected(reader->pg) && !reader->connecting) {
		connect_later(reader);
	}
}

static void on_lease_change(void *arg)
{
	struct reader *reader = arg;

	/* There may be another server by now, that can be written to. */
	if (strcmp(lease_status(reader->lease)->error.code, "25006") == 0 &&
		!pg_is_busy(reader->pg)) {
		pg_disconnect(reader->pg);
	}
	connect_if_lost(reader);
	reader->options.on_lease(reader->options.arg);
}

/* ---- questions ---- */

static void on_turn(uv_timer_t *timer);

static void look_at_queue(struct reader *reader, uint64_t delay_ms)
{
	if (!uv_is_closing((uv_handle_t *)&reader->turn)) {
		uv_timer_start(&reader->turn, on_turn, delay_ms, 0);
	}
}

/* A copy of `param` that lies at *at, which moves on. */
static struct pg_param copy_param(const struct pg_param *param, char **at)
{
	struct pg_param copy = *param;
	size_t len;

	if (param->data) {
		len = param->binary ? (size_t)param->len : strlen(param->data) + 1;
		copy.data = memcpy(*at, param->data, len);
		*at += len;
	}
	return copy;
}

static struct query *query_new(const char *sql, const struct pg_param *params, unsigned n_params)
{
	size_t len = strlen(sql) + 1, n_bytes = len;
	struct query *query;
	char *at;

	for (unsigned i = 0; i < n_params; i++) {
		n_bytes += !params[i].data  ? 0
			   : params[i].binary ? (size_t)params[i].len
					      : strlen(params[i].data) + 1;
	}
	query = calloc(1, sizeof(*query) + n_params * sizeof(*params) + n_bytes);
	if (!query) {
		return NULL;
	}
	query->n_params = n_params;
	query->sql = memcpy(&query->params[n_params], sql, len);
	at = query->sql + len;
	for (unsigned i = 0; i < n_params; i++) {
		query->params[i] = copy_param(&params[i], &at);
	}
	return query;
}

static void answer(struct query *take_query, const struct pg_result *result,
	const struct error *error)
{
	pg_result_fn on_result = take_query->on_result;
	void *arg = take_query->arg;

	free(take_query);
	on_result(arg, result, error);
}

static void take_from_queue(struct reader *reader, struct query *query)
{
	TAILQ_REMOVE(&reader->queries, query, entry);
	reader->n_queries--;
}

static void set_closing(struct error *error)
{
	error_set(error, ERROR_CANCELED, "reader", "canceled", "the daemon is stopping");
}

static void on_query_result(void *arg, const struct pg_result *result, const struct error *error)
{
	struct reader *reader = arg;
	struct error ours = {.class = ERROR_NONE};

	uv_timer_stop(&reader->limit);
	if (error && reader->closing) {
		set_closing(&ours);
		error = &ours;
	} else if (error && reader->overdue) {
		error_set(&ours, ERROR_RETRY, "reader", "timeout",
			"the database took longer than %d s", QUERY_MS / 1000);
		error = &ours;
	}
	connect_if_lost(reader);
	look_at_queue(reader, 0);
	answer(take_ptr(reader->asking), result, error);
}

static void on_limit(uv_timer_t *timer)
{
	struct reader *reader = container_of(timer, struct reader, limit);

	reader->overdue = true;
	pg_cancel(reader->pg);
}

static void ask(struct reader *reader, struct query *query)
{
	reader->asking = query;
	reader->overdue = false;
	uv_timer_start(&reader->limit, on_limit, QUERY_MS, 0);
	pg_query(reader->pg, query->sql, query->params, query->n_params, on_query_result, reader);
}

/* Why this one cannot be asked (any more); false when it can. */
static bool is_hopeless(const struct reader *reader, const struct query *query, struct error *why)
{
	if (reader->closing) {
		set_closing(why);
	} else if (!pg_is_connected(reader->pg)) {
		error_set(why, ERROR_RETRY, "reader", "down", "the database is not connected");
	} else if (uv_now(reader->options.loop) - query->asked_ms > PATIENCE_MS) {
		error_set(why, ERROR_RETRY, "reader", "timeout", "the database has too much to do");
	}
	return error_is_set(why);
}

static void answer_hopeless(struct reader *reader)
{
	struct query *query;
	struct error why = {.class = ERROR_NONE};

	while ((query = TAILQ_FIRST(&reader->queries)) && is_hopeless(reader, query, &why)) {
		take_from_queue(reader, query);
		answer(query, NULL, &why);
		error_clear(&why);
	}
}

/* One question: its answer comes back here for the next. */
static void on_turn(uv_timer_t *timer)
{
	struct reader *reader = container_of(timer, struct reader, turn);
	struct query *query;

	answer_hopeless(reader);
	query = TAILQ_FIRST(&reader->queries);
	if (!query || reader->asking) {
		return;
	}
	if (pg_is_busy(reader->pg) || lease_is_due(reader->lease)) {
		look_at_queue(reader, BUSY_MS);
	} else {
		take_from_queue(reader, query);
		ask(reader, query);
	}
}

int reader_query(struct reader *reader, const char *sql, const struct pg_param *params,
	unsigned n_params, pg_result_fn on_result, void *arg)
{
	struct query *query;

	if (reader->closing) {
		return -ECANCELED;
	}
	if (reader->n_queries >= MAX_QUERIES) {
		return -EBUSY;
	}
	query = query_new(sql, params, n_params);
	if (!query) {
		return -ENOMEM;
	}
	query->asked_ms = uv_now(reader->options.loop);
	query->on_result = on_result;
	query->arg = arg;
	TAILQ_INSERT_TAIL(&reader->queries, query, entry);
	reader->n_queries++;
	look_at_queue(reader, 0);
	return 0;
}

/* ---- the lease ---- */

int reader_new(const struct reader_options *options, struct reader **ret, struct error *error)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct pg_options pg = {
		.dsn = options->config->database.dsn,
		.application_name = "ogdsyncd (lease)",
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.statement_timeout_ms = LEASE_MS,
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
	TAILQ_INIT(&reader->queries);
	uv_timer_init(options->loop, &reader->timer);
	uv_timer_init(options->loop, &reader->turn);
	uv_timer_init(options->loop, &reader->limit);
	if (lease_new(options->loop, reader->pg, &lease, &reader->lease) < 0) {
		error_no_memory(error, "reader");
	}
	*ret = reader; /* closed by its owner also when the lease could not be made */
	return reader->lease ? 0 : -1;
}

uint64_t reader_deadline_ms(const struct reader *reader)
{
	return pg_deadline_ms(reader->pg);
}

void reader_reconfigure(struct reader *reader, struct config *config)
{
	config_unref(reader->config);
	reader->config = config_ref(config);
	pg_set_statement_timeout(reader->pg, config->database.statement_timeout_ms);
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

static void on_lent(void *arg, const struct error *error)
{
	(void)error; /* then it expires by itself */
	((struct reader *)arg)->lending = false;
}

bool reader_lend(struct reader *reader, uint64_t hold_off_ms)
{
	if (reader->lending) {
		return true;
	}
	if (lease_status(reader->lease)->state != LEASE_HOLDER) {
		return false;
	}
	reader->lending = true;
	lease_release(reader->lease, hold_off_ms, on_lent, reader);
	reader->options.on_lease(reader->options.arg);
	return true;
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct reader *reader = handle->data;

	if (--reader->n_open == 0) {
		reader->on_closed(reader->closed_arg);
		config_unref(reader->config);
		free(reader);
	}
}

static void close_timer(struct reader *reader, uv_timer_t *timer)
{
	timer->data = reader;
	reader->n_open++;
	uv_close((uv_handle_t *)timer, on_timer_closed);
}

/* pg_close() has answered the question in flight. */
static void on_pg_closed(void *arg)
{
	struct reader *reader = arg;

	answer_hopeless(reader);
	close_timer(reader, &reader->timer);
	close_timer(reader, &reader->turn);
	close_timer(reader, &reader->limit);
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
	uv_timer_stop(&reader->timer);
	look_at_queue(reader, 0);
	if (reader->asking) {
		pg_cancel(reader->pg);
	}
	if (!reader->lease) {
		on_lease_closed(reader);
	} else if (pg_is_connected(reader->pg) &&
		   lease_status(reader->lease)->state == LEASE_HOLDER) {
		lease_release(reader->lease, UINT64_MAX, on_released, reader);
	} else {
		close_lease(reader);
	}
}
