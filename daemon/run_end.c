/*
 * What becomes of a run: its slices are settled one by one, then it is over.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A slice is settled when the loader is done with it, or when nothing of it goes there. When all are
 * fetched and settled the run's state follows from theirs, its end is booked and told, and it is
 * gone.
 */

#include "daemon/run_private.h"

#include <string.h>

static enum run_state state_of_slice(const struct spool_outcome *outcome)
{
	switch (outcome->state) {
	case SLICE_PROVEN:
		return RUN_SUCCESS;
	case SLICE_PARTIAL:
		return RUN_PARTIAL;
	case SLICE_SUSPECT:
		return RUN_SUSPECT;
	case SLICE_FAILED:
		break;
	}
	return RUN_FAILED;
}

/* All alike: that. Some rows came and some did not: partial. */
static enum run_state state_of_run(const struct run *run)
{
	enum run_state state = run->slices[0].state;
	bool alike = true, rows = false;

	if (run->canceled) {
		return RUN_CANCELED;
	}
	for (unsigned i = 0; i < run->info.n_slices; i++) {
		alike = alike && run->slices[i].state == state;
		rows = rows || run->slices[i].state == RUN_SUCCESS ||
		       run->slices[i].state == RUN_PARTIAL;
	}
	return alike ? state : rows ? RUN_PARTIAL : RUN_FAILED;
}

void run_free(struct run *run)
{
	config_unref(run->config);
	for (unsigned i = 0; i < run->info.n_slices; i++) {
		free(run->slices[i].split_value);
	}
	free(run->slices);
	free(run);
}

bool run_is_settled(const struct run *run)
{
	return run->spooled && run->info.n_settled == run->info.n_slices;
}

static void book_end(struct run *run)
{
	struct ledger_run ledger = {
		.id = run->info.id,
		.dataset = run->info.source->dataset->name,
		.source = run->info.source->name,
		.trigger = run->trigger,
		.started_us = run->info.started_us,
		.n_slices = run->info.n_slices,
	};

	(void)!loader_finish_run(run->runner->options.loader, &ledger, run->info.state,
		run->error.code, run->error.text, run->info.finished_us);
}

static void end_run(struct run *run)
{
	struct runner *runner = run->runner;

	TAILQ_REMOVE(&runner->waiting, run, entry);
	run->info.state = state_of_run(run);
	run->info.finished_us = clock_wall_us(runner->options.clock);
	run->info.error =
		run->info.state != RUN_SUCCESS && error_is_set(&run->error) ? &run->error : NULL;
	book_end(run);
	runner->options.on_end(runner->options.arg, &run->info);
	run_free(run);
}

void run_end_if_settled(struct run *run)
{
	if (run_is_settled(run)) {
		end_run(run);
	}
}

void run_settle(struct run *run, struct slice *slice, enum run_state state)
{
	slice->phase = SLICE_SETTLED;
	slice->state = state;
	run->info.n_settled++;
}

struct slice *run_find_slice(struct run *run, const char *uuid)
{
	for (unsigned i = 0; i < run->info.n_slices; i++) {
		if (run->slices[i].phase == SLICE_READY &&
			strcmp(run->slices[i].uuid, uuid) == 0) {
			return &run->slices[i];
		}
	}
	return NULL;
}

void run_take_result(struct run *run, struct slice *slice, const struct load_result *result,
	const struct error *error)
{
	struct error outcome = {.class = ERROR_NONE};

	run_settle(run, slice, error ? RUN_FAILED : state_of_slice(&result->outcome));
	run_keep_error(run, error);
	if (!error) {
		run_outcome_error(&result->outcome, &outcome); /* the load may think less of it */
		run_keep_error(run, &outcome);
		row_counts_add(&run->info.counts, &result->counts);
		run->info.n_renames += result->renames ? result->renames->n : 0;
		if (result->newest_day > run->info.newest_day) {
			run->info.newest_day = result->newest_day;
		}
	}
	run_end_if_settled(run);
}
