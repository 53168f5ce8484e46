/*
 * The queue in front of the load stage. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - connect; check the schema (or apply it, with create_tables); read every lookup table;
 *   - UP: take the oldest item: load a slice, or book the end of a run; report; the next.
 *
 * Possible failure modes are:
 *   - No connection, or it is lost: DOWN; try again after the configured pause (full jitter, at
 *     least a fifth of it), for ever. The item in work stays the first.
 *   - The schema does not fit: SCHEMA; look again after a pause that grows to a minute, so that
 *     `ogdsync schema apply` is all that an operator has to do.
 *   - A load fails with class RETRY or UNCERTAIN: the same item again, at once for the first three times
 *     of a conflict with somebody else's rows, else after a pause. With REJECTED it is set aside,
 *     reported, and tried again after the next connect.
 *
 *	DOWN -> CONNECTING -> SCHEMA -> LOOKUPS -> IDLE <-> WORKING
 *	  ^         |            |         |        |         |
 *	  +---------+------------+---------+--------+---------+
 */

#include "daemon/loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "daemon/lookup.h"
#include "daemon/schema.h"
#include "lib/backoff.h"
#include "lib/pg.h"

enum {
	QUICK_RETRIES = 3,
	SCHEMA_PAUSE_MS = 5000,
	SCHEMA_PAUSE_MAX_MS = 60000,
	CONNECT_TIMEOUT_MS = 10000,
	ROLE_BYTES = 64, /* PostgreSQL's NAMEDATALEN */
};

enum phase {
	PHASE_DOWN, /* waits for the timer */
	PHASE_CONNECTING,
	PHASE_SCHEMA,
	PHASE_LOOKUPS,
	PHASE_IDLE,
	PHASE_WORKING,
};

enum item_kind { ITEM_SLICE, ITEM_RUN, ITEM_OPEN_RUNS };

struct item {
	TAILQ_ENTRY(item) entry;
	enum item_kind kind;
	unsigned n_tries;
	/* ITEM_SLICE */
	char uuid[SPOOL_UUID_BYTES];
	unsigned n_slices;
	enum loader_file file;
	/* ITEM_RUN; of ITEM_OPEN_RUNS only run.id */
	struct ledger_run run;
	char dataset[SPOOL_NAME_BYTES], source[SPOOL_NAME_BYTES], trigger[SPOOL_NAME_BYTES];
	enum run_state state;
	char code[ERROR_CODE_BYTES], text[ERROR_TEXT_BYTES];
	int64_t finished_us;
};

TAILQ_HEAD(item_list, item);

struct loader {
	struct loader_options options;
	struct config *config;
	struct pg *pg;
	struct pg *owner; /* with create_tables and an owner_dsn: makes the tables */
	char writer[ROLE_BYTES]; /* and grants us what a load needs */
	uv_timer_t timer;
	enum phase phase;
	enum loader_state state;
	struct error error;
	struct error lookup_error; /* of a row of the lookup being read */
	unsigned n_attempts;
	struct lookup_set **lookups; /* one for each dataset */
	unsigned dataset, lookup;    /* in PHASE_LOOKUPS */
	struct item_list queue, aside;
	struct load *load;
	struct buffer fence; /* of the present load */
	bool closing;
	unsigned n_open; /* handles and connections that closing waits for */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void loader_work(struct loader *loader);
static void loader_connect(struct loader *loader);

static uint64_t chance(void)
{
	uint64_t v = 0;

	(void)!getrandom(&v, sizeof(v), GRND_NONBLOCK);
	return v;
}

static void set_state(struct loader *loader, enum loader_state state, const struct error *error)
{
	loader->state = state;
	error_clear(&loader->error);
	if (error) {
		loader->error = *error;
	}
	loader->options.on_state(loader->options.arg, state, error);
}

/* ---- waiting ---- */

static void on_timer(uv_timer_t *timer)
{
	struct loader *loader = container_of(timer, struct loader, timer);

	if (loader->phase == PHASE_IDLE) {
		loader_work(loader);
	} else {
		loader_connect(loader);
	}
}

static void wait_ms(struct loader *loader, uint64_t ms)
{
	uv_timer_start(&loader->timer, on_timer, ms, 0);
}

static uint64_t reconnect_pause_ms(const struct loader *loader)
{
	const struct config_database *database = &loader->config->database;
	struct backoff backoff = {
		.base_ms = database->reconnect_min_ms,
		.cap_ms = database->reconnect_max_ms,
	};
	uint64_t least = database->reconnect_min_ms / 5;

	return least + backoff_delay_ms(&backoff, loader->n_attempts, chance());
}

static void go_down(struct loader *loader, enum loader_state state, const struct error *error)
{
	uint64_t ms = SCHEMA_PAUSE_MS << (loader->n_attempts < 4 ? loader->n_attempts : 4);

	if (loader->closing) {
		return;
	}
	if (!pg_is_busy(loader->pg)) {
		pg_disconnect(loader->pg);
	}
	loader->phase = PHASE_DOWN;
	loader->n_attempts++;
	if (state == LOADER_DOWN) {
		ms = reconnect_pause_ms(loader);
	} else if (ms > SCHEMA_PAUSE_MAX_MS) {
		ms = SCHEMA_PAUSE_MAX_MS;
	}
	wait_ms(loader, ms);
	set_state(loader, state, error);
}

/* ---- coming up ---- */

static void come_up(struct loader *loader)
{
	loader->phase = PHASE_IDLE;
	loader->n_attempts = 0;
	TAILQ_CONCAT(&loader->queue, &loader->aside, entry);
	set_state(loader, LOADER_UP, NULL);
	loader_work(loader);
}

static void next_lookup(struct loader *loader);

static void on_lookup_row(void *arg, const struct pg_result *row)
{
	struct loader *loader = arg;
	struct field fields[LOOKUP_FIXED_FIELDS + LOOKUP_MAX_COLUMNS];

	for (int i = 0; i < pg_n_columns(row); i++) {
		fields[i].len = pg_is_null(row, 0, i) ? -1 : pg_value_len(row, 0, i);
		fields[i].data = pg_value(row, 0, i);
	}
	if (lookup_take_row(loader->lookups[loader->dataset], loader->lookup, fields) < 0) {
		error_no_memory(&loader->lookup_error, "loader");
	}
}

static void on_lookup(void *arg, const struct error *error)
{
	struct loader *loader = arg;

	if (error || error_is_set(&loader->lookup_error)) {
		struct error why = error ? *error : loader->lookup_error;

		go_down(loader, LOADER_DOWN, &why);
		return;
	}
	loader->lookup++;
	next_lookup(loader);
}

static int fresh_lookups(struct loader *loader)
{
	for (unsigned d = 0; d < loader->config->n_datasets; d++) {
		loader->lookups[d] = lookup_set_free(loader->lookups[d]);
		if (lookup_set_new(loader->config->datasets[d], &loader->lookups[d]) < 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

static void next_lookup(struct loader *loader)
{
	_cleanup_buffer_ struct buffer sql = {0};

	while (loader->dataset < loader->config->n_datasets &&
		loader->lookup == loader->config->datasets[loader->dataset]->n_lookups) {
		lookup_commit(loader->lookups[loader->dataset]);
		loader->dataset++;
		loader->lookup = 0;
	}
	if (loader->dataset == loader->config->n_datasets) {
		come_up(loader);
		return;
	}
	lookup_select_sql(loader->lookups[loader->dataset], loader->lookup, &sql);
	pg_query_rows(loader->pg, buffer_str(&sql), NULL, 0, on_lookup_row, on_lookup, loader);
}

static void on_schema(void *arg, const struct schema_result *result, const struct error *error)
{
	struct loader *loader = arg;
	struct error memory = {.class = ERROR_NONE};

	(void)result;
	if (loader->closing) {
		return;
	}
	if (error) {
		go_down(loader, error->class == ERROR_REJECTED ? LOADER_SCHEMA : LOADER_DOWN, error);
		return;
	}
	if (fresh_lookups(loader) < 0) {
		error_no_memory(&memory, "loader");
		go_down(loader, LOADER_DOWN, &memory);
		return;
	}
	loader->phase = PHASE_LOOKUPS;
	error_clear(&loader->lookup_error);
	loader->dataset = loader->lookup = 0;
	next_lookup(loader);
}

static void check_schema(struct loader *loader, struct pg *pg, enum schema_mode mode)
{
	struct error error = {.class = ERROR_NONE};
	struct schema_options options = {
		.pg = pg,
		.config = loader->config,
		.mode = mode,
		.today = (int32_t)(clock_wall_us(loader->options.clock) / 86400000000),
	};

	loader->phase = PHASE_SCHEMA;
	if (schema_start(&options, on_schema, loader) < 0) {
		error_no_memory(&error, "loader");
		go_down(loader, LOADER_DOWN, &error);
	}
}

static void on_owner_applied(void *arg, const struct schema_result *result,
	const struct error *error)
{
	struct loader *loader = arg;

	(void)result;
	if (loader->closing) {
		return;
	}
	pg_disconnect(loader->owner);
	if (error) {
		on_schema(loader, NULL, error);
		return;
	}
	check_schema(loader, loader->pg, SCHEMA_CHECK);
}

static void on_owner_connected(void *arg, const struct error *error)
{
	struct loader *loader = arg;
	struct schema_options options = {
		.pg = loader->owner,
		.config = loader->config,
		.mode = SCHEMA_APPLY,
		.writer = loader->writer,
		.today = (int32_t)(clock_wall_us(loader->options.clock) / 86400000000),
	};

	if (loader->closing) {
		return;
	}
	if (error || schema_start(&options, on_owner_applied, loader) < 0) {
		go_down(loader, LOADER_DOWN, error);
	}
}

static void on_connected(void *arg, const struct error *error)
{
	struct loader *loader = arg;

	if (loader->closing) {
		return;
	}
	if (error) {
		go_down(loader, LOADER_DOWN, error);
	} else if (loader->owner) {
		loader->phase = PHASE_SCHEMA;
		snprintf(loader->writer, sizeof(loader->writer), "%s", pg_user(loader->pg));
		pg_connect(loader->owner, on_owner_connected, loader);
	} else {
		check_schema(loader, loader->pg,
			loader->config->database.create_tables ? SCHEMA_APPLY : SCHEMA_CHECK);
	}
}

static void loader_connect(struct loader *loader)
{
	loader->phase = PHASE_CONNECTING;
	pg_connect(loader->pg, on_connected, loader);
}

static void on_lost(void *arg, const struct error *error)
{
	go_down(arg, LOADER_DOWN, error);
}

/* ---- working ---- */

static void drop_first(struct loader *loader)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	TAILQ_REMOVE(&loader->queue, item, entry);
	free(item);
}

static void set_aside(struct loader *loader)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	TAILQ_REMOVE(&loader->queue, item, entry);
	TAILQ_INSERT_TAIL(&loader->aside, item, entry);
}

static bool is_conflict(const struct error *error)
{
	return strcmp(error->code, "23505") == 0 || strncmp(error->code, "40", 2) == 0;
}

/* The first item failed and may succeed later. */
static void try_again(struct loader *loader, const struct error *error)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	item->n_tries++;
	loader->options.on_retry(loader->options.arg, item->uuid, error);
	if (!pg_is_connected(loader->pg)) {
		go_down(loader, LOADER_DOWN, error);
		return;
	}
	loader->phase = PHASE_IDLE;
	if (is_conflict(error) && item->n_tries <= QUICK_RETRIES) {
		loader_work(loader);
	} else {
		wait_ms(loader, reconnect_pause_ms(loader) * 2);
	}
}

/* A key that somebody else has just written is REJECTED by its SQLSTATE, but may be read now. */
static bool may_retry(const struct item *item, const struct error *error)
{
	return error->class != ERROR_REJECTED ||
	       (is_conflict(error) && item->n_tries < QUICK_RETRIES);
}

static void close_connections(struct loader *loader);

static void on_loaded(void *arg, const struct load_result *result, const struct error *error)
{
	struct loader *loader = arg;

	loader->load = NULL;
	if (!error && TAILQ_FIRST(&loader->queue)->file == LOADER_READY) {
		/* If even the rename finds no memory, the ledger says at the next start that it is loaded. */
		(void)!spool_mark_loaded(loader->options.spool, result->header.uuid, NULL, NULL);
	}
	if (loader->closing) {
		close_connections(loader);
		return;
	}
	if (error && may_retry(TAILQ_FIRST(&loader->queue), error)) {
		try_again(loader, error);
		return;
	}
	loader->phase = PHASE_IDLE;
	if (error) {
		set_aside(loader);
	} else {
		drop_first(loader);
	}
	if (pg_is_connected(loader->pg)) {
		wait_ms(loader, 0);
	} else {
		go_down(loader, LOADER_DOWN, error);
	}
	loader->options.on_slice(loader->options.arg, result, error);
}

static void start_load(struct loader *loader, const struct item *item)
{
	struct load_result result = {.newest_day = INT32_MIN};
	struct error error = {.class = ERROR_NONE};
	struct spool_reader *reader = NULL;
	struct load_options options = {
		.loop = loader->options.loop,
		.pg = loader->pg,
		.spool = loader->options.spool,
		.clock = loader->options.clock,
		.memory_bytes = loader->config->load_memory_bytes,
		.n_slices = item->n_slices,
		.fence = buffer_str(&loader->fence),
	};

	loader->phase = PHASE_WORKING;
	if (spool_read(loader->options.spool, item->uuid, &reader, &error) == 0) {
		result.header = *spool_reader_header(reader);
		options.source =
			config_source(loader->config, result.header.dataset, result.header.source);
		spool_reader_free(reader);
	}
	if (!error_is_set(&error) && !options.source) {
		error_set(&error, ERROR_REJECTED, "load", "unknown_source",
			"the spool holds a slice of %s/%s, which the configuration does not know",
			result.header.dataset, result.header.source);
	}
	for (unsigned d = 0; options.source && d < loader->config->n_datasets; d++) {
		if (loader->config->datasets[d] == options.source->dataset) {
			options.dataset = options.source->dataset;
			options.lookups = loader->lookups[d];
		}
	}
	if (error_is_set(&error) ||
		load_start(&options, item->uuid, on_loaded, loader, &loader->load, &error) < 0) {
		on_loaded(loader, &result, &error);
	}
}

static void on_run_booked(void *arg, const struct pg_result *result, const struct error *error)
{
	struct loader *loader = arg;

	(void)result;
	if (loader->closing) {
		return;
	}
	loader->phase = PHASE_IDLE;
	if (error && error->class != ERROR_REJECTED) {
		try_again(loader, error);
		return;
	}
	if (error) {
		loader->options.on_retry(loader->options.arg, "", error);
	}
	drop_first(loader);
	loader_work(loader);
}

static void book_run(struct loader *loader, struct item *item)
{
	loader->phase = PHASE_WORKING;
	ledger_finish_run(loader->pg, &item->run, item->state, item->code, item->text,
		item->finished_us, on_run_booked, loader);
}

static void loader_work(struct loader *loader)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	if (loader->phase != PHASE_IDLE || loader->closing) {
		return;
	}
	uv_timer_stop(&loader->timer);
	if (!item) {
		loader->options.on_idle(loader->options.arg);
		return;
	}
	buffer_clear(&loader->fence);
	loader->options.fence(loader->options.arg, &loader->fence);
	if (loader->fence.len == 0) {
		return; /* loader_wake() comes when the lease is ours */
	}
	switch (item->kind) {
	case ITEM_SLICE:
		start_load(loader, item);
		break;
	case ITEM_RUN:
		book_run(loader, item);
		break;
	case ITEM_OPEN_RUNS:
		loader->phase = PHASE_WORKING;
		ledger_interrupt_runs(loader->pg, item->run.id, on_run_booked, loader);
		break;
	}
}

/* Never work inside the caller's call: the timer does it in the next turn of the loop. */
static void enqueue(struct loader *loader, struct item *item)
{
	TAILQ_INSERT_TAIL(&loader->queue, item, entry);
	if (loader->phase == PHASE_IDLE && !uv_is_active((uv_handle_t *)&loader->timer)) {
		wait_ms(loader, 1);
	}
}

int loader_add(struct loader *loader, const char *uuid, unsigned n_slices, enum loader_file file)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item) {
		return -ENOMEM;
	}
	item->kind = ITEM_SLICE;
	item->n_slices = n_slices;
	item->file = file;
	strncpy(item->uuid, uuid, sizeof(item->uuid) - 1);
	enqueue(loader, item);
	return 0;
}

static const char *keep(char *room, size_t size, const char *text)
{
	strncpy(room, text ? text : "", size - 1);
	return room;
}

int loader_finish_run(struct loader *loader, const struct ledger_run *run, enum run_state state,
	const char *code, const char *text, int64_t finished_us)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item) {
		return -ENOMEM;
	}
	item->kind = ITEM_RUN;
	item->run = *run;
	item->run.dataset = keep(item->dataset, sizeof(item->dataset), run->dataset);
	item->run.source = keep(item->source, sizeof(item->source), run->source);
	item->run.trigger = keep(item->trigger, sizeof(item->trigger), run->trigger);
	keep(item->code, sizeof(item->code), code);
	keep(item->text, sizeof(item->text), text);
	item->state = state;
	item->finished_us = finished_us;
	enqueue(loader, item);
	return 0;
}

int loader_close_runs(struct loader *loader, int64_t before)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item) {
		return -ENOMEM;
	}
	item->kind = ITEM_OPEN_RUNS;
	item->run.id = before;
	enqueue(loader, item);
	return 0;
}

/* ---- life ---- */

static int make_connections(struct loader *loader, struct error *error)
{
	const struct config_database *database = &loader->config->database;
	struct pg_options options = {
		.dsn = database->dsn,
		.application_name = "ogdsyncd",
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.statement_timeout_ms = database->statement_timeout_ms,
		.on_lost = on_lost,
		.arg = loader,
	};

	if (pg_new(loader->options.loop, &options, &loader->pg, error) < 0) {
		return -1;
	}
	if (database->create_tables && database->owner_dsn) {
		options.dsn = database->owner_dsn;
		options.on_lost = NULL;
		return pg_new(loader->options.loop, &options, &loader->owner, error);
	}
	return 0;
}

static void free_items(struct item_list *list)
{
	struct item *item;

	while ((item = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, item, entry);
		free(item);
	}
}

static void loader_free(struct loader *loader)
{
	for (unsigned d = 0; loader->lookups && d < loader->config->n_datasets; d++) {
		lookup_set_free(loader->lookups[d]);
	}
	free(loader->lookups);
	free_items(&loader->queue);
	free_items(&loader->aside);
	buffer_fini(&loader->fence);
	config_unref(loader->config);
	free(loader);
}

int loader_new(const struct loader_options *options, struct loader **ret, struct error *error)
{
	struct loader *loader;

	if (config_require(options->config, CONFIG_NEED_DSN, error) < 0) {
		return -1;
	}
	loader = calloc(1, sizeof(*loader));
	if (!loader) {
		return error_no_memory(error, "loader");
	}
	loader->options = *options;
	loader->config = config_ref(options->config);
	TAILQ_INIT(&loader->queue);
	TAILQ_INIT(&loader->aside);
	loader->lookups = calloc(loader->config->n_datasets + 1, sizeof(*loader->lookups));
	if (!loader->lookups || make_connections(loader, error) < 0) {
		error_no_memory(error, "loader"); /* the first error stays */
		loader_free(loader);
		return -1;
	}
	uv_timer_init(options->loop, &loader->timer);
	loader_connect(loader);
	*ret = loader;
	return 0;
}

int loader_stored_values(const struct loader *loader, const struct source *source,
	struct valueset *values)
{
	for (unsigned d = 0; d < loader->config->n_datasets; d++) {
		if (loader->config->datasets[d] == source->dataset && loader->lookups[d]) {
			return lookup_values(loader->lookups[d], (unsigned)source->slice.split_by,
				values);
		}
	}
	return 0;
}

void loader_wake(struct loader *loader)
{
	if (loader->phase == PHASE_IDLE) {
		wait_ms(loader, 0);
	}
}

enum loader_state loader_state(const struct loader *loader)
{
	return loader->state;
}

const struct error *loader_error(const struct loader *loader)
{
	return &loader->error;
}

unsigned loader_attempts(const struct loader *loader)
{
	return loader->n_attempts;
}

bool loader_is_idle(const struct loader *loader)
{
	return TAILQ_EMPTY(&loader->queue) && loader->phase != PHASE_WORKING;
}

static void on_part_closed(struct loader *loader)
{
	if (--loader->n_open == 0) {
		loader->on_closed(loader->closed_arg);
		loader_free(loader);
	}
}

static void on_pg_closed(void *arg)
{
	on_part_closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_part_closed(container_of((uv_timer_t *)handle, struct loader, timer));
}

static void close_connections(struct loader *loader)
{
	if (loader->owner) {
		pg_close(loader->owner, on_pg_closed, loader);
	}
	pg_close(loader->pg, on_pg_closed, loader);
}

void loader_close(struct loader *loader, void (*on_closed)(void *arg), void *arg)
{
	loader->closing = true;
	loader->on_closed = on_closed;
	loader->closed_arg = arg;
	loader->n_open = loader->owner ? 3 : 2;
	uv_close((uv_handle_t *)&loader->timer, on_timer_closed);
	if (loader->load) {
		load_cancel(loader->load); /* its end closes the connections */
	} else {
		close_connections(loader);
	}
}
