/*
 * Runs: the only file that knows the order of the stages. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path of a run is:
 *   - it is the first in the queue and nobody fetches: it gets the portal (first key, whole retry
 *     budget) and begins with its first slice;
 *   - fetch (fetch.c) writes the slice into a file of the spool, beginning with the pages that a
 *     process which died a few minutes ago had of it (resume.c);
 *   - the file gets its outcome, is synced and becomes .ready (spool.c, thread pool), one at a time
 *     and in their order; the next slice is fetched meanwhile;
 *   - the loader is told of each file that is ready;
 *   - the loader settles each slice; when all are settled the run is over, and its end is booked.
 *
 * A slice that the passes could not prove is split: its parts take its place in the list, and it
 * comes after them. Its own file stays open until they are fetched, for their proofs may make it
 * whole. The loader takes the files in this order, so the parts' rows are in the table before.
 *
 * Possible failure modes are:
 *   - A fetch ends partial, suspect or failed: the file says so, and takes the same way; the loader
 *     books the attempt. A refused key ends the run: its other slices fail with the same reason.
 *   - The spool cannot take it (disk full): the slice fails here and nothing is booked.
 *   - The database is down: the run waits as `spooled`; its slices are safe on disk.
 *   - Canceled (shutdown): the slice in work ends as canceled, those not begun are not tried. By an
 *     operator: see run_cancel.c.
 *
 * A run that gives way (healing) ends behind its present slice when another run waits, or when the
 * portal would not serve that slice: what it had not begun is not part of it any more.
 */

#include "daemon/run_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/resume.h"

enum { WRITE_MS = 5 * 60 * 1000 }; /* a disk that takes longer hangs */

struct slice *run_slice_now(struct run *run)
{
	return &run->slices[run->next];
}

void run_keep_error(struct run *run, const struct error *error)
{
	if (error && error_is_set(error) && !error_is_set(&run->error)) {
		run->error = *error;
	}
}

/* ---- fetched ---- */

static void end_of_fetching(struct run *run)
{
	struct runner *runner = run->runner;

	runner->fetching = NULL;
	run->spooled = true;
	run->info.slice = NULL;
	TAILQ_INSERT_TAIL(&runner->waiting, run, entry);
	if (!run_is_settled(run)) {
		run->info.state = RUN_SPOOLED;
		runner->options.on_spooled(runner->options.arg, &run->info);
	}
	run_end_if_settled(run);
	runner_kick(runner);
}

/* The next slice may have been begun long since. */
static void slice_fetched(struct run *run, struct slice *slice, const struct error *error)
{
	struct runner *runner = run->runner;

	run_keep_error(run, error);
	if (slice->split_value) {
		split_take(&run_whole_of(run)->split, &slice->outcome);
	}
	runner->options.on_fetched(runner->options.arg, &run->info, slice->plan.name,
		&slice->outcome, error);
	run->next += slice == run_slice_now(run);
	runner_kick(runner);
}

/* Whatever its fetch had proven, its rows will not be in the table. */
static void not_spooled(struct run *run, struct slice *slice, const struct error *error)
{
	slice->outcome.state = SLICE_FAILED;
	run_settle(run, slice, run->canceled ? RUN_CANCELED : RUN_FAILED);
	slice_fetched(run, slice, error);
}

static void hand_over(struct run *run, struct slice *slice, const struct error *error)
{
	struct error full = {.class = ERROR_NONE};

	if (!error && run->canceled) {
		spool_drop(run->runner->options.spool, slice->uuid);
		error = &run->stop;
	}
	if (error) {
		not_spooled(run, slice, error);
		return;
	}
	slice->phase = SLICE_READY;
	if (slice->left[0]) {
		resume_forget(run->runner->options.spool, slice->left);
	}
	if (loader_add(run->runner->options.loader, slice->uuid, run->info.n_slices,
		    LOADER_READY) < 0) {
		error_no_memory(&full, "run");
		not_spooled(run, slice, &full); /* the next start loads it */
		return;
	}
	slice_fetched(run, slice, NULL);
}

/* The slice that was fetched meanwhile. */
static void commit_next(struct run *run)
{
	struct slice *slice = run_slice_now(run);
	struct spool_writer *writer = take_ptr(slice->writer);

	if (run->canceled) {
		spool_discard(writer);
		not_spooled(run, slice, &run->stop);
	} else {
		run_commit(run, writer);
	}
}

static void on_spooled(void *arg, const struct error *error)
{
	struct run *run = arg;

	run->writing = false;
	hand_over(run, &run->slices[run->written], error);
	if (run->next < run->info.n_slices && run_slice_now(run)->phase == SLICE_FETCHED) {
		commit_next(run);
	}
}

/* ---- into the spool ---- */

static void fill_header(const struct run *run, const struct slice *slice,
	struct spool_header *header)
{
	const struct source *source = run->info.source;

	*header = (struct spool_header){
		.run = run->info.id,
		.day = slice->plan.day,
		.started_us = clock_wall_us(run->runner->options.clock),
		.accept = slice->plan.accept,
	};
	snprintf(header->uuid, sizeof(header->uuid), "%s", slice->uuid);
	snprintf(header->dataset, sizeof(header->dataset), "%s", source->dataset->name);
	snprintf(header->source, sizeof(header->source), "%s", source->name);
	snprintf(header->slice, sizeof(header->slice), "%s", slice->plan.name);
	snprintf(header->trigger, sizeof(header->trigger), "%s", run->trigger);
}

/* What went wrong must be in the file, where the ledger will find it. */
static void explain(struct spool_outcome *outcome, const struct error *error)
{
	if (outcome->reason[0] == '\0' && error_is_set(error)) {
		snprintf(outcome->reason, sizeof(outcome->reason), "%s", error->code);
	}
	if (outcome->text[0] == '\0' && error_is_set(error)) {
		snprintf(outcome->text, sizeof(outcome->text), "%s", error->text);
	}
}

/* Why a slice is no success, as an error. */
void run_outcome_error(const struct spool_outcome *outcome, struct error *error)
{
	if (outcome->state != SLICE_PROVEN) {
		error_set(error, ERROR_RETRY, "fetch",
			outcome->reason[0] ? outcome->reason : slice_state_name(outcome->state),
			"%s", outcome->text[0] ? outcome->text : slice_state_name(outcome->state));
	}
}

/*
 * The writer that the outcome is committed with. A failed fetch that nothing can be made of leaves
 * a file without pages: so its attempt is booked like any other. NULL: there is nothing to book.
 */
static struct spool_writer *writer_for(struct run *run, const struct fetch_result *result,
	struct error *error)
{
	struct spool_header header;
	struct spool_writer *writer = result->writer;
	bool keep_pages = result->outcome.state != SLICE_FAILED || result->replayable;

	if (result->error.class == ERROR_CANCELED && result->outcome.state == SLICE_FAILED) {
		if (writer) {
			spool_discard(writer);
		}
		return NULL;
	}
	if (!writer) {
		fill_header(run, run_slice_now(run), &header);
		return spool_create(run->runner->options.spool, &header, &writer, error) < 0
			       ? NULL
			       : writer;
	}
	if (!keep_pages && spool_restart(writer, error) < 0) {
		spool_discard(writer);
		return NULL;
	}
	return writer;
}

void run_commit(struct run *run, struct spool_writer *writer)
{
	struct slice *slice = run_slice_now(run);
	struct error error = {.class = ERROR_NONE};

	if (run->writing) {
		slice->phase = SLICE_FETCHED;
		slice->writer = writer;
		return;
	}
	run_outcome_error(&slice->outcome, &error);
	run_keep_error(run, &error);
	slice->phase = SLICE_COMMITTING;
	run->writing = true;
	run->write_by_ms = clock_mono_ms(run->runner->options.clock) + WRITE_MS;
	run->written = run->next;
	spool_commit(writer, &slice->outcome, on_spooled, run);
	if (!slice->split_value && slice->split.n_parts == 0) {
		run->next++;
		runner_kick(run->runner);
	}
}

/* ---- fetching ---- */

/* Canceled by an operator: nobody wants what came. */
static void drop_fetched(struct run *run, const struct fetch_result *result)
{
	if (result->writer) {
		spool_discard(result->writer);
	}
	not_spooled(run, run_slice_now(run), &run->stop);
}

static void on_fetch_done(void *arg, const struct fetch_result *result)
{
	struct run *run = arg;
	struct slice *slice = run_slice_now(run);
	struct error error = {.class = ERROR_NONE};
	struct spool_writer *writer;

	run->fetch = NULL;
	slice->outcome = result->outcome;
	if (run->canceled) {
		drop_fetched(run, result);
		return;
	}
	if (!result->resumed) {
		slice->left[0] = '\0'; /* it may hold more than we have */
	}
	explain(&slice->outcome, &result->error);
	if (run_split(run, result)) {
		return;
	}
	if (error_is_set(&result->error)) {
		run_keep_error(run, &result->error);
		run->refused = true;
		if (result->error.class != ERROR_RETRY) {
			run->stop = result->error;
		}
	}
	if (slice->split_value && split_is_nothing(&slice->outcome)) {
		if (result->writer) {
			spool_discard(result->writer);
		}
		run_settle(run, slice, RUN_SUCCESS);
		slice_fetched(run, slice, NULL);
		return;
	}
	writer = writer_for(run, result, &error);
	if (!writer) {
		run_settle(run, slice,
			result->error.class == ERROR_CANCELED ? RUN_CANCELED : RUN_FAILED);
		slice_fetched(run, slice, error_is_set(&error) ? &error : &result->error);
		return;
	}
	run_commit(run, writer);
}

static void on_fetch_progress(void *arg, const struct fetch_progress *progress)
{
	struct run *run = arg;

	run->info.progress = *progress;
	run->runner->options.on_progress(run->runner->options.arg, &run->info);
	run->info.progress.trouble = NULL; /* borrowed for the call */
}

static int start_fetch(struct run *run, struct slice *slice)
{
	struct spool_header header;
	struct fetch_request request = {
		.portal = run->runner->options.portal,
		.source = run->info.source,
		.spool = run->runner->options.spool,
		.header = &header,
		.split_value = slice->split_value,
		.on_progress = on_fetch_progress,
		.on_done = on_fetch_done,
		.arg = run,
	};
	int r = spool_uuid_new(slice->uuid);

	if (r < 0) {
		return r;
	}
	fill_header(run, slice, &header);
	run->info.slice = slice->plan.name;
	run->info.progress = (struct fetch_progress){.pages = -1, .total = -1, .waiting = ""};
	request.take_reader = resume_find(request.spool, &header, header.started_us, slice->left);
	r = fetch_start(&request, &run->fetch);
	if (r < 0) {
		spool_reader_free(request.take_reader);
	}
	return r;
}

/* The run was stopped: what was not begun fails for the same reason. */
static void skip_slice(struct run *run, struct slice *slice)
{
	struct error why = run->stop;

	if (run->runner->closing) {
		error_clear(&why);
		error_set(&why, ERROR_CANCELED, "run", "canceled", "canceled");
	}
	slice->outcome.state = SLICE_FAILED;
	explain(&slice->outcome, &why);
	run_settle(run, slice, why.class == ERROR_CANCELED ? RUN_CANCELED : RUN_FAILED);
	slice_fetched(run, slice, &why);
}

/* Nothing was begun of what is cut off here: wholes stand behind their parts. */
static bool is_over_early(const struct run *run)
{
	const struct slice *slice = &run->slices[run->next];

	return run->gives_way && run->next > 0 && slice->phase == SLICE_PLANNED &&
	       !slice->split_value && (run->refused || !TAILQ_EMPTY(&run->runner->queue));
}

void run_step(struct run *run)
{
	struct slice *slice;
	struct error error = {.class = ERROR_NONE};
	int r;

	if (run->canceled) {
		run_drop_rest(run);
	} else if (run->next < run->info.n_slices && is_over_early(run)) {
		run->info.n_slices = run->next;
	}
	if (run->next == run->info.n_slices) {
		end_of_fetching(run);
		return;
	}
	slice = run_slice_now(run);
	if (slice->phase == SLICE_SPLIT) {
		run_finish_split(run);
		return;
	}
	if (error_is_set(&run->stop) || run->runner->closing) {
		skip_slice(run, slice);
		return;
	}
	slice->phase = SLICE_FETCHING;
	r = start_fetch(run, slice);
	if (r < 0) {
		slice->outcome.state = SLICE_FAILED;
		error_errno(&error, ERROR_RETRY, "run", -r, "starting the fetch");
		run_settle(run, slice, RUN_FAILED);
		slice_fetched(run, slice, &error);
	}
}

/* While a file is being written only one thing may be begun: the fetch of a slice. */
static bool may_fetch_on(const struct run *run)
{
	return run->next < run->info.n_slices && run->slices[run->next].phase == SLICE_PLANNED &&
	       !run->canceled && !run->runner->closing && !error_is_set(&run->stop) &&
	       !is_over_early(run);
}

/* Its slice is being fetched or written; the end of that comes by itself. */
bool run_is_busy(const struct run *run)
{
	enum slice_phase phase = run->next < run->info.n_slices ? run->slices[run->next].phase
								: SLICE_PLANNED;

	return phase == SLICE_FETCHING || phase == SLICE_COMMITTING || phase == SLICE_FETCHED ||
	       (run->writing && !may_fetch_on(run));
}
