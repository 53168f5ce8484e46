/*
 * The loader's queue: slices to load and runs to book, one at a time. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is: take the oldest item; load a slice, or book the end of a run; report; the next.
 *
 * Possible failure modes are:
 *   - We do not hold the lease: nothing is done until loader_wake().
 *   - An item fails with class RETRY or UNCERTAIN: the same again, at once for the first three times of
 *     a conflict with somebody else's rows, else after a pause.
 *   - The server is read-only, or refuses us a right: the connection is good for nothing. The check
 *     after the next connect says what is wrong, and until when.
 *   - With REJECTED it is set aside, reported, and tried again after the next connect, or when a minute
 *     has passed; then two, four, up to an hour.
 */

#include "daemon/loader_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/lease.h"

enum { QUICK_RETRIES = 3, ASIDE_MS = 60 * 1000, ASIDE_DOUBLINGS = 6 };

static void drop_first(struct loader *loader)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	TAILQ_REMOVE(&loader->queue, item, entry);
	free(item);
}

bool loader_cancel(struct loader *loader, const char *uuid)
{
	struct item *item, *next;

	for (item = TAILQ_FIRST(&loader->queue); item; item = next) {
		next = TAILQ_NEXT(item, entry);
		if (item->kind != ITEM_SLICE || strcmp(item->uuid, uuid) != 0) {
			continue;
		}
		if (loader->load && item == TAILQ_FIRST(&loader->queue)) {
			item->canceled = true;
			load_cancel(loader->load);
			return false;
		}
		TAILQ_REMOVE(&loader->queue, item, entry);
		free(item);
	}
	spool_drop(loader->options.spool, uuid);
	return true;
}

static const char *keep(char *room, size_t size, const char *text)
{
	snprintf(room, size, "%s", text ? text : "");
	return room;
}

static void put_aside(struct loader *loader, struct item *item)
{
	if (TAILQ_EMPTY(&loader->aside)) {
		loader->aside_until_ms = uv_now(loader->options.loop) +
			((uint64_t)ASIDE_MS << loader->n_aside_rounds);
		loader->n_aside_rounds += loader->n_aside_rounds < ASIDE_DOUBLINGS;
	}
	TAILQ_INSERT_TAIL(&loader->aside, item, entry);
}

static void set_aside(struct loader *loader, const struct spool_header *header)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	item->run.id = header->run;
	keep(item->dataset, sizeof(item->dataset), header->dataset);
	keep(item->source, sizeof(item->source), header->source);
	keep(item->slice, sizeof(item->slice), header->slice);
	TAILQ_REMOVE(&loader->queue, item, entry);
	put_aside(loader, item);
}

void loader_requeue(struct loader *loader)
{
	struct item *item, *next;

	for (item = TAILQ_FIRST(&loader->queue); item; item = next) {
		next = TAILQ_NEXT(item, entry);
		if (item->kind == ITEM_SLICE && item->file == LOADER_LOADED) {
			TAILQ_REMOVE(&loader->queue, item, entry); /* all are added once more */
			free(item);
		}
	}
	TAILQ_CONCAT(&loader->queue, &loader->aside, entry);
	loader->n_aside_rounds = 0;
}

/* Nothing is to be done now; but something may have been set aside. */
static void rest(struct loader *loader)
{
	uint64_t now = uv_now(loader->options.loop);

	if (!TAILQ_EMPTY(&loader->aside)) {
		loader_wait_ms(loader,
			loader->aside_until_ms > now ? loader->aside_until_ms - now : 0);
	}
	loader->options.on_idle(loader->options.arg);
}

static void take_back(struct loader *loader)
{
	if (TAILQ_EMPTY(&loader->queue) &&
		uv_now(loader->options.loop) >= loader->aside_until_ms) {
		TAILQ_CONCAT(&loader->queue, &loader->aside, entry);
	}
}

/* A part of this slice was refused: whatever the proofs say, its rows are not in the table. */
static bool lacks_part(const struct loader *loader, const struct spool_header *whole)
{
	size_t len = strlen(whole->slice);
	const struct item *item;

	TAILQ_FOREACH (item, &loader->aside, entry) {
		if (item->run.id == whole->run && strcmp(item->dataset, whole->dataset) == 0 &&
			strcmp(item->source, whole->source) == 0 &&
			strncmp(item->slice, whole->slice, len) == 0 && item->slice[len] == '/') {
			return true;
		}
	}
	return false;
}

static bool is_conflict(const struct error *error)
{
	return strcmp(error->code, "23505") == 0 || strncmp(error->code, "40", 2) == 0;
}

/* Read-only; a right is missing. */
static bool is_useless(const struct error *error)
{
	return strcmp(error->code, "25006") == 0 || strcmp(error->code, "42501") == 0;
}

/* The first item failed and may succeed later. */
static void try_again(struct loader *loader, const struct error *error)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	item->n_tries++;
	if (!pg_is_connected(loader->pg) || is_useless(error)) {
		loader_down(loader,
			error->class == ERROR_REJECTED ? LOADER_SCHEMA : LOADER_DOWN, error);
		return;
	}
	loader->options.on_retry(loader->options.arg, item->uuid, error);
	loader->phase = PHASE_IDLE;
	if (is_conflict(error) && item->n_tries <= QUICK_RETRIES) {
		loader_work(loader);
	} else {
		loader_wait_ms(loader, loader_pause_ms(loader) * 2);
	}
}

/*
 * A key that somebody else has just written is REJECTED by its SQLSTATE, but may be read now. A right
 * that is missing though the check after the connect found all: only once.
 */
static bool may_retry(const struct item *item, const struct error *error)
{
	return error->class != ERROR_REJECTED ||
	       (is_conflict(error) && item->n_tries < QUICK_RETRIES) ||
	       (is_useless(error) && item->n_tries == 0);
}

/* Nobody wants it any more, and it is known not to be in the table. */
static bool is_given_up(const struct item *item, const struct error *error)
{
	return item->canceled && error->class != ERROR_UNCERTAIN;
}

/* A file that keeps its name is taken again later: the ledger says then that it is loaded. */
static void on_marked(void *arg, const struct error *error)
{
	struct item *item = arg;
	struct loader *loader = item->loader;

	loader->n_marking--;
	if (error && !loader->closing) {
		put_aside(loader, item);
		loader->options.on_retry(loader->options.arg, item->uuid, error);
		loader_wake(loader);
		return;
	}
	free(item);
	if (loader->closing) {
		loader_part_closed(loader);
	}
}

/* It is in the database. */
static void settle_first(struct loader *loader)
{
	struct item *item = TAILQ_FIRST(&loader->queue);

	TAILQ_REMOVE(&loader->queue, item, entry);
	item->loader = loader;
	/* If even the rename finds no memory, the next start looks. */
	if (item->file == LOADER_LOADED ||
		spool_mark_loaded(loader->options.spool, item->uuid, on_marked, item) < 0) {
		free(item);
		return;
	}
	loader->n_marking++;
	loader->n_open += loader->closing;
}

static void on_loaded(void *arg, const struct load_result *result, const struct error *error)
{
	struct loader *loader = arg;
	bool given_up = error && is_given_up(TAILQ_FIRST(&loader->queue), error);

	loader->load = NULL;
	if (!error) {
		settle_first(loader);
	}
	if (loader->closing) {
		loader_finish(loader);
		return;
	}
	if (error && !given_up && may_retry(TAILQ_FIRST(&loader->queue), error)) {
		try_again(loader, error);
		return;
	}
	loader->phase = PHASE_IDLE;
	if (given_up) {
		spool_drop(loader->options.spool, TAILQ_FIRST(&loader->queue)->uuid);
		drop_first(loader);
	} else if (error) {
		set_aside(loader, &result->header);
	}
	if (pg_is_connected(loader->pg)) {
		loader_wait_ms(loader, 0);
	} else {
		loader_down(loader, LOADER_DOWN, error);
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
		.statement_timeout_ms = loader->config->database.statement_timeout_ms,
		.n_slices = item->n_slices,
		.fence = buffer_str(&loader->fence),
	};

	loader->phase = PHASE_WORKING;
	if (spool_read(loader->options.spool, item->uuid, &reader, &error) == 0) {
		result.header = *spool_reader_header(reader);
		options.source =
			config_source(loader->config, result.header.dataset, result.header.source);
		options.lacks_part = lacks_part(loader, &result.header);
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
	if (item->file == LOADER_LOADED && strcmp(error.code, "not_found") == 0) {
		drop_first(loader); /* it had to make room meanwhile, and was loaded once */
		loader->phase = PHASE_IDLE;
		loader_wait_ms(loader, 0);
		return;
	}
	if (error_is_set(&error) ||
		load_start(&options, item->uuid, on_loaded, loader, &loader->load, &error) < 0) {
		on_loaded(loader, &result, &error);
	}
}

static void on_run_booked(void *arg, const struct pg_result *result, const struct error *error)
{
	struct loader *loader = arg;
	struct error fenced = {.class = ERROR_NONE};

	loader->phase = PHASE_IDLE;
	if (!error && pg_n_rows(result) != 1) {
		lease_set_fenced(&fenced);
		error = &fenced;
	}
	if (loader->closing) {
		if (error) {
			loader_close_connections(loader); /* the next process says `interrupted` */
			return;
		}
		drop_first(loader);
		loader_finish(loader);
		return;
	}
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
	ledger_finish_run(loader->pg, buffer_str(&loader->fence), &item->run, item->state,
		item->code, item->text, item->finished_us, on_run_booked, loader);
}

/* False: the lease is not ours. */
static bool take_fence(struct loader *loader)
{
	buffer_clear(&loader->fence);
	loader->options.fence(loader->options.arg, &loader->fence);
	return loader->fence.len > 0;
}

void loader_finish(struct loader *loader)
{
	struct item *item;

	while ((item = TAILQ_FIRST(&loader->queue)) && item->kind != ITEM_RUN) {
		drop_first(loader);
	}
	if (item && pg_is_connected(loader->pg) && take_fence(loader)) {
		book_run(loader, item);
	} else {
		loader_close_connections(loader);
	}
}

void loader_work(struct loader *loader)
{
	struct item *item;

	if (loader->phase != PHASE_IDLE || loader->closing || loader->held) {
		return;
	}
	uv_timer_stop(&loader->timer);
	take_back(loader);
	item = TAILQ_FIRST(&loader->queue);
	if (!item) {
		rest(loader);
		return;
	}
	if (!take_fence(loader)) {
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
		ledger_interrupt_runs(loader->pg, buffer_str(&loader->fence), item->run.id,
			on_run_booked, loader);
		break;
	}
}

/* Never work inside the caller's call: the timer does it in the next turn of the loop. */
static void enqueue(struct loader *loader, struct item *item)
{
	bool first = TAILQ_EMPTY(&loader->queue); /* else the timer is for those before it */

	TAILQ_INSERT_TAIL(&loader->queue, item, entry);
	if (loader->phase == PHASE_IDLE &&
		(first || !uv_is_active((uv_handle_t *)&loader->timer))) {
		loader_wait_ms(loader, 1);
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
	struct item *item = TAILQ_LAST(&loader->queue, item_list);

	if (item && item != TAILQ_FIRST(&loader->queue) && item->kind == ITEM_OPEN_RUNS) {
		item->run.id = before; /* it is asked after each connect; once is enough */
		return 0;
	}
	item = calloc(1, sizeof(*item));
	if (!item) {
		return -ENOMEM;
	}
	item->kind = ITEM_OPEN_RUNS;
	item->run.id = before;
	enqueue(loader, item);
	return 0;
}
