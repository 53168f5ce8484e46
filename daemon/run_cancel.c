/*
 * Runs that are ended before their time. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is: the request that waits for the portal is canceled, and its pages are dropped;
 * slices that were not begun are not tried; files that wait for the loader are forgotten and removed;
 * what is being loaded is rolled back. When all of that has ended the run is over, as canceled, and
 * its source may be run again.
 *
 * What may happen meanwhile: a file is just being made .ready (it is removed when it is), a commit is
 * just under way (the slice stays, and counts).
 */

#include <string.h>

#include "daemon/run_private.h"

static void drop_ready(struct run *run)
{
	for (unsigned i = 0; i < run->info.n_slices; i++) {
		struct slice *slice = &run->slices[i];

		if (slice->phase == SLICE_READY &&
			loader_cancel(run->runner->options.loader, slice->uuid)) {
			run_settle(run, slice, RUN_CANCELED);
		}
	}
}

void run_drop_rest(struct run *run)
{
	for (; run->next < run->info.n_slices; run->next++) {
		struct slice *slice = run_slice_now(run);

		if (slice->writer) {
			spool_discard(take_ptr(slice->writer));
		}
		run_settle(run, slice, RUN_CANCELED);
	}
}

static void cancel(struct run *run, const char *who)
{
	run->canceled = true;
	error_clear(&run->stop);
	error_set(&run->stop, ERROR_CANCELED, "run", "canceled", "canceled by %s", who);
	run->error = run->stop;
	drop_ready(run);
	if (run->fetch) {
		fetch_cancel(run->fetch);
	}
}

/* It never begins: it ends among those that were fetched. */
static void cancel_queued(struct run *run, const char *who)
{
	struct runner *runner = run->runner;

	cancel(run, who);
	run_drop_rest(run);
	run->info.started_us = clock_wall_us(runner->options.clock);
	run->spooled = true;
	TAILQ_REMOVE(&runner->queue, run, entry);
	TAILQ_INSERT_TAIL(&runner->waiting, run, entry);
}

static bool is_meant(const struct run *run, const struct source *source)
{
	return !run->canceled &&
	       (!source || strcmp(run->info.source->label, source->label) == 0);
}

unsigned runner_cancel(struct runner *runner, const struct source *source, const char *who,
	int64_t ids[static RUNNER_MAX_CANCELED])
{
	struct run *run, *next;
	unsigned n = 0;

	if (runner->fetching && is_meant(runner->fetching, source)) {
		cancel(runner->fetching, who);
		ids[n++] = runner->fetching->info.id;
	}
	TAILQ_FOREACH (run, &runner->waiting, entry) {
		if (n < RUNNER_MAX_CANCELED && is_meant(run, source)) {
			cancel(run, who);
			ids[n++] = run->info.id;
		}
	}
	for (run = TAILQ_FIRST(&runner->queue); run; run = next) {
		next = TAILQ_NEXT(run, entry);
		if (n < RUNNER_MAX_CANCELED && is_meant(run, source)) {
			cancel_queued(run, who);
			ids[n++] = run->info.id;
		}
	}
	runner_kick(runner);
	return n;
}
