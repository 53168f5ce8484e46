/*
 * The queue in front of the load stage, its life. SPDX-License-Identifier: Apache-2.0
 *
 *	DOWN -> CONNECTING -> SCHEMA -> LOOKUPS -> IDLE <-> WORKING
 *	  ^         |            |         |        |         |
 *	  +---------+------------+---------+--------+---------+
 *	       loader_connect.c                   loader_queue.c
 *
 * Closing cancels a load, and waits for it; what is queued is in the spool. Runs that are over are
 * booked before the connection is given up: else the next process would call them interrupted.
 */

#include "daemon/loader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 10000 };

static void on_lost(void *arg, const struct error *error)
{
	loader_down(arg, LOADER_DOWN, error);
}

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
		if (strcmp(loader->config->datasets[d]->name, source->dataset->name) == 0 &&
			loader->lookups[d]) {
			return lookup_values(loader->lookups[d], (unsigned)source->slice.split_by,
				values);
		}
	}
	return 0;
}

uint64_t loader_deadline_ms(const struct loader *loader)
{
	uint64_t own = loader->owner ? pg_deadline_ms(loader->owner) : UINT64_MAX;
	uint64_t writer = pg_deadline_ms(loader->pg);

	return own < writer ? own : writer;
}

void loader_hold(struct loader *loader)
{
	loader->held = true;
}

bool loader_is_still(const struct loader *loader)
{
	return loader->phase == PHASE_IDLE || loader->phase == PHASE_DOWN;
}

void loader_go_on(struct loader *loader)
{
	loader->held = false;
	loader_wake(loader);
}

int loader_reconfigure(struct loader *loader, struct config *config)
{
	struct lookup_set **lookups = calloc(config->n_datasets + 1, sizeof(*lookups));

	if (!lookups) {
		return -ENOMEM;
	}
	for (unsigned d = 0; d < loader->config->n_datasets; d++) {
		lookup_set_free(loader->lookups[d]);
	}
	free(loader->lookups);
	loader->lookups = lookups;
	config_unref(loader->config);
	loader->config = config_ref(config);
	pg_set_statement_timeout(loader->pg, config->database.statement_timeout_ms);
	if (loader->phase == PHASE_IDLE) {
		pg_disconnect(loader->pg);
		loader->phase = PHASE_DOWN;
		loader_wait_ms(loader, 0);
	}
	return 0;
}

void loader_wake(struct loader *loader)
{
	if (loader->phase == PHASE_IDLE) {
		loader_wait_ms(loader, 0);
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

bool loader_has_refused(const struct loader *loader, const struct source *source)
{
	const struct item *item;

	TAILQ_FOREACH (item, &loader->aside, entry) {
		if (strcmp(item->dataset, source->dataset->name) == 0 &&
			strcmp(item->source, source->name) == 0) {
			return true;
		}
	}
	return false;
}

void loader_part_closed(struct loader *loader)
{
	if (--loader->n_open == 0) {
		loader->on_closed(loader->closed_arg);
		loader_free(loader);
	}
}

static void on_pg_closed(void *arg)
{
	loader_part_closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	loader_part_closed(container_of((uv_timer_t *)handle, struct loader, timer));
}

void loader_close_connections(struct loader *loader)
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
	loader->n_open = (loader->owner ? 3 : 2) + loader->n_marking;
	uv_close((uv_handle_t *)&loader->timer, on_timer_closed);
	if (loader->load) {
		load_cancel(loader->load); /* its end goes on */
	} else if (loader->phase == PHASE_IDLE) {
		loader_finish(loader);
	} else if (loader->phase != PHASE_WORKING) {
		loader_close_connections(loader);
	}
}
