/*
 * The loader's way up: connect, check the schema, read the lookups. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - connect; may we write; check the schema and our rights (or apply it, with create_tables, by the owner's connection if there
 *     is one); read every lookup table; UP: the queue goes on.
 *
 * Possible failure modes are:
 *   - No connection, or it is lost: DOWN; try again after the configured pause (full jitter, at
 *     least a fifth of it), for ever. The item in work stays the first.
 *   - The schema does not fit: SCHEMA; look again after a pause that grows to a minute, so that
 *     `ogdsync schema apply` is all that an operator has to do.
 */

#include "daemon/loader_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/schema.h"
#include "lib/backoff.h"

enum {
	SCHEMA_PAUSE_MS = 5000,
	SCHEMA_PAUSE_MAX_MS = 60000,
};

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

void loader_wait_ms(struct loader *loader, uint64_t ms)
{
	uv_timer_start(&loader->timer, on_timer, ms, 0);
}

uint64_t loader_pause_ms(const struct loader *loader)
{
	const struct config_database *database = &loader->config->database;
	struct backoff backoff = {
		.base_ms = database->reconnect_min_ms,
		.cap_ms = database->reconnect_max_ms,
	};
	uint64_t least = database->reconnect_min_ms / 5;

	return least + backoff_delay_ms(&backoff, loader->n_attempts, chance());
}

static uint64_t schema_pause_ms(unsigned n_before)
{
	uint64_t ms = (uint64_t)SCHEMA_PAUSE_MS << (n_before < 4 ? n_before : 4);

	return ms < SCHEMA_PAUSE_MAX_MS ? ms : SCHEMA_PAUSE_MAX_MS;
}

void loader_down(struct loader *loader, enum loader_state state, const struct error *error)
{
	uint64_t ms;
	struct error lost = {.class = ERROR_NONE};

	if (loader->closing) {
		return;
	}
	if (!error) {
		error_set(&lost, ERROR_RETRY, "database", "connection", "the connection is lost");
		error = &lost;
	}
	if (!pg_is_busy(loader->pg)) {
		pg_disconnect(loader->pg);
	}
	loader->phase = PHASE_DOWN;
	loader->n_attempts = state == loader->state ? loader->n_attempts : 0;
	ms = state == LOADER_DOWN ? loader_pause_ms(loader) : schema_pause_ms(loader->n_attempts);
	loader->n_attempts++;
	loader_wait_ms(loader, ms);
	set_state(loader, state, error);
}

/*
 * A server that does not answer, or has become read-only, shows it to whoever asks: ask, and be down
 * until it is well. Of other errors our own connection knows better.
 */
void loader_doubt(struct loader *loader, const struct error *error)
{
	if (loader->phase == PHASE_IDLE &&
		(strcmp(error->code, "timeout") == 0 || strcmp(error->code, "25006") == 0)) {
		loader_down(loader, LOADER_DOWN, error);
	}
}

/* ---- coming up ---- */

static void come_up(struct loader *loader)
{
	loader->phase = PHASE_IDLE;
	loader->n_attempts = 0;
	loader_requeue(loader);
	set_state(loader, LOADER_UP, NULL);
	loader_work(loader);
}

static void next_lookups(struct loader *loader);

static void on_lookups(void *arg, const struct error *error)
{
	struct loader *loader = arg;

	if (error) {
		loader_down(loader, LOADER_DOWN, error);
		return;
	}
	loader->dataset++;
	next_lookups(loader);
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

/* Those of the next dataset that has any. */
static void next_lookups(struct loader *loader)
{
	for (; loader->dataset < loader->config->n_datasets; loader->dataset++) {
		if (lookup_read_start(&loader->read, loader->pg,
			    loader->config->datasets[loader->dataset],
			    loader->lookups[loader->dataset], on_lookups, loader)) {
			return;
		}
	}
	come_up(loader);
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
		loader_down(loader, error->class == ERROR_REJECTED ? LOADER_SCHEMA : LOADER_DOWN, error);
		return;
	}
	if (fresh_lookups(loader) < 0) {
		error_no_memory(&memory, "loader");
		loader_down(loader, LOADER_DOWN, &memory);
		return;
	}
	loader->phase = PHASE_LOOKUPS;
	loader->dataset = 0;
	next_lookups(loader);
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
		loader_down(loader, LOADER_DOWN, &error);
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
	struct error memory = {.class = ERROR_NONE};
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
	if (!error && schema_start(&options, on_owner_applied, loader) < 0) {
		error_no_memory(&memory, "loader");
		error = &memory;
	}
	if (error) {
		loader_down(loader, LOADER_DOWN, error);
	}
}

static void on_writable(void *arg, const struct pg_result *result, const struct error *error)
{
	struct loader *loader = arg;
	struct error read_only = {.class = ERROR_NONE};

	if (loader->closing) {
		return;
	}
	if (!error && pg_bool(result, 0, 0)) {
		error_set(&read_only, ERROR_RETRY, "database", "25006",
			"the database is read-only: a standby, or set so");
		error = &read_only;
	}
	if (error) {
		loader_down(loader, LOADER_DOWN, error);
	} else if (loader->owner) {
		snprintf(loader->writer, sizeof(loader->writer), "%s", pg_user(loader->pg));
		pg_connect(loader->owner, on_owner_connected, loader);
	} else {
		check_schema(loader, loader->pg,
			loader->config->database.create_tables ? SCHEMA_APPLY : SCHEMA_CHECK);
	}
}

static void on_connected(void *arg, const struct error *error)
{
	struct loader *loader = arg;

	if (loader->closing) {
		return;
	}
	if (error) {
		loader_down(loader, LOADER_DOWN, error);
		return;
	}
	loader->phase = PHASE_SCHEMA;
	pg_query(loader->pg, "SELECT current_setting('transaction_read_only')::bool", NULL, 0,
		on_writable, loader);
}

void loader_connect(struct loader *loader)
{
	loader->phase = PHASE_CONNECTING;
	pg_connect(loader->pg, on_connected, loader);
}

