/*
 * The queue of runs: one is fetched at a time, in the order of requests. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is: a run is asked for and gets its id; it is the first and nobody fetches, so it
 * begins; when all of it is fetched it waits for the loader among others, and the next one begins.
 * Each step is taken in a turn of the loop of its own, by a timer, so that no call comes back into its
 * caller.
 */

#include "daemon/run_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void on_timer(uv_timer_t *timer);

void runner_kick(struct runner *runner)
{
	uv_timer_start(&runner->timer, on_timer, 0, 0);
}

static void begin_run(struct runner *runner, struct run *run)
{
	TAILQ_REMOVE(&runner->queue, run, entry);
	runner->fetching = run;
	run->info.started_us = clock_wall_us(runner->options.clock);
	portal_begin_run(runner->options.portal);
	runner->options.on_start(runner->options.arg, &run->info);
	run_step(run);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct runner *runner = container_of((uv_timer_t *)handle, struct runner, timer);
	struct run *run;

	while ((run = TAILQ_FIRST(&runner->waiting))) {
		TAILQ_REMOVE(&runner->waiting, run, entry);
		run_free(run);
	}
	runner->on_closed(runner->closed_arg);
	free(runner);
}

/* Those that were canceled while they waited. */
static void end_settled(struct runner *runner)
{
	struct run *run, *next;

	for (run = TAILQ_FIRST(&runner->waiting); run; run = next) {
		next = TAILQ_NEXT(run, entry);
		run_end_if_settled(run);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct runner *runner = container_of(timer, struct runner, timer);

	end_settled(runner);
	if (runner->held && !runner->closing) {
		return;
	}
	if (runner->fetching) {
		if (!run_is_busy(runner->fetching)) {
			run_step(runner->fetching);
		}
	} else if (!TAILQ_EMPTY(&runner->queue)) {
		begin_run(runner, TAILQ_FIRST(&runner->queue));
	} else if (runner->closing) {
		uv_close((uv_handle_t *)timer, on_timer_closed);
	}
}

/* ---- asking for runs ---- */

int runner_new(const struct runner_options *options, struct runner **ret)
{
	struct runner *runner = calloc(1, sizeof(*runner));

	if (!runner) {
		return -ENOMEM;
	}
	runner->options = *options;
	runner->last_id = options->last_id;
	TAILQ_INIT(&runner->queue);
	TAILQ_INIT(&runner->waiting);
	uv_timer_init(options->loop, &runner->timer);
	*ret = runner;
	return 0;
}

/* Unix milliseconds of the request, but always above the last one, whatever the clock did. */
static int64_t new_id(struct runner *runner)
{
	int64_t id = clock_wall_us(runner->options.clock) / 1000;

	runner->last_id = id > runner->last_id ? id : runner->last_id + 1;
	return runner->last_id;
}

static bool is_of(const struct run *run, const struct source *source)
{
	return strcmp(run->info.source->label, source->label) == 0;
}

static int64_t queued_id(const struct runner *runner, const struct source *source)
{
	const struct run *run;

	TAILQ_FOREACH (run, &runner->queue, entry) {
		if (is_of(run, source)) {
			return run->info.id;
		}
	}
	return 0;
}

bool runner_has(const struct runner *runner, const struct source *source)
{
	return queued_id(runner, source) != 0 ||
	       (runner->fetching && is_of(runner->fetching, source));
}

int64_t runner_find(const struct runner *runner, const struct source *source)
{
	const struct run *now = runner->fetching;

	return now && is_of(now, source) && !now->gives_way ? now->info.id
							    : queued_id(runner, source);
}

const struct run_info *runner_info(const struct runner *runner, int64_t id)
{
	const struct run_list *lists[] = {&runner->queue, &runner->waiting};
	const struct run *run;

	if (runner->fetching && runner->fetching->info.id == id) {
		return &runner->fetching->info;
	}
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		TAILQ_FOREACH (run, lists[i], entry) {
			if (run->info.id == id) {
				return &run->info;
			}
		}
	}
	return NULL;
}

/* A run that gives way does not keep another of its source from being asked for. */
static bool is_refused(const struct runner *runner, const struct source *source, bool gives_way)
{
	const struct run *now = runner->fetching;

	return runner->closing ||
	       (gives_way ? runner_is_fetching(runner)
			  : queued_id(runner, source) != 0 ||
				    (now && is_of(now, source) && !now->gives_way));
}

static int64_t add_run(struct runner *runner, const struct source *source, const char *trigger,
	const struct plan_slice *slices, unsigned n_slices, bool gives_way)
{
	struct run *run;

	if (n_slices == 0 || is_refused(runner, source, gives_way)) {
		return 0;
	}
	run = calloc(1, sizeof(*run));
	if (!run) {
		return -ENOMEM;
	}
	run->slices = calloc(n_slices, sizeof(*run->slices));
	if (!run->slices) {
		free(run);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n_slices; i++) {
		run->slices[i].plan = slices[i];
	}
	run->runner = runner;
	run->gives_way = gives_way;
	run->config = config_ref(runner->options.config);
	snprintf(run->trigger, sizeof(run->trigger), "%s", trigger);
	run->info = (struct run_info){
		.id = new_id(runner),
		.source = source,
		.trigger = run->trigger,
		.n_slices = n_slices,
		.newest_day = INT32_MIN,
		.state = RUN_RUNNING,
		.heals = gives_way,
	};
	TAILQ_INSERT_TAIL(&runner->queue, run, entry);
	runner_kick(runner);
	return run->info.id;
}

int64_t runner_add(struct runner *runner, const struct source *source, const char *trigger,
	const struct plan_slice *slices, unsigned n_slices)
{
	return add_run(runner, source, trigger, slices, n_slices, false);
}

int64_t runner_heal(struct runner *runner, const struct source *source,
	const struct plan_slice *slices, unsigned n_slices)
{
	return add_run(runner, source, "heal", slices, n_slices, true);
}

void runner_settle(struct runner *runner, const struct load_result *result,
	const struct error *error)
{
	struct run *run;
	struct slice *slice;

	if (runner->fetching && (slice = run_find_slice(runner->fetching, result->header.uuid))) {
		run_take_result(runner->fetching, slice, result, error);
		return;
	}
	TAILQ_FOREACH (run, &runner->waiting, entry) {
		slice = run_find_slice(run, result->header.uuid);
		if (slice) {
			run_take_result(run, slice, result, error);
			return;
		}
	}
}

/* ---- asking about them ---- */

int64_t runner_last_id(const struct runner *runner)
{
	return runner->last_id;
}

static int64_t oldest_of(const struct run_list *list, int64_t oldest)
{
	const struct run *run;

	TAILQ_FOREACH (run, list, entry) {
		oldest = run->info.id < oldest ? run->info.id : oldest;
	}
	return oldest;
}

int64_t runner_oldest_id(const struct runner *runner)
{
	int64_t oldest = oldest_of(&runner->queue, runner->last_id + 1);

	if (runner->fetching && runner->fetching->info.id < oldest) {
		oldest = runner->fetching->info.id;
	}
	return oldest_of(&runner->waiting, oldest);
}

const struct run_info *runner_fetching(struct runner *runner)
{
	return runner->fetching ? &runner->fetching->info : NULL;
}

unsigned runner_queue(const struct runner *runner, const struct source **sources, unsigned max)
{
	const struct run *run;
	unsigned n = 0;

	TAILQ_FOREACH (run, &runner->queue, entry) {
		if (n < max) {
			sources[n++] = run->info.source;
		}
	}
	return n;
}

bool runner_is_fetching(const struct runner *runner)
{
	return runner->fetching || !TAILQ_EMPTY(&runner->queue);
}

bool runner_is_idle(const struct runner *runner)
{
	return !runner_is_fetching(runner) && TAILQ_EMPTY(&runner->waiting);
}

uint64_t runner_deadline_ms(const struct runner *runner)
{
	return runner->fetching && runner->fetching->fetch
		       ? fetch_deadline_ms(runner->fetching->fetch)
		       : UINT64_MAX;
}

uint64_t runner_write_deadline_ms(const struct runner *runner)
{
	return runner->fetching && runner->fetching->writing ? runner->fetching->write_by_ms
							     : UINT64_MAX;
}

/* ---- another configuration ---- */

void runner_hold(struct runner *runner)
{
	runner->held = true;
}

bool runner_is_still(const struct runner *runner)
{
	return !runner->fetching || !runner->fetching->fetch;
}

void runner_go_on(struct runner *runner)
{
	runner->held = false;
	runner_kick(runner);
}

void runner_reconfigure(struct runner *runner, struct config *config)
{
	runner->options.config = config;
}

/* ---- the end ---- */

void runner_close(struct runner *runner, void (*on_closed)(void *arg), void *arg)
{
	struct run *run;

	runner->closing = true;
	runner->on_closed = on_closed;
	runner->closed_arg = arg;
	while ((run = TAILQ_FIRST(&runner->queue))) {
		TAILQ_REMOVE(&runner->queue, run, entry);
		run_free(run);
	}
	if (runner->fetching && runner->fetching->fetch) {
		fetch_cancel(runner->fetching->fetch);
	}
	runner_kick(runner);
}
