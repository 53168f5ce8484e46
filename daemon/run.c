/*
 * Runs: the only file that knows the order of the stages. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path of a run is:
 *   - it is the first in the queue and nobody fetches: it gets the portal (first key, whole retry
 *     budget) and begins with its first slice;
 *   - fetch (fetch.c) writes the slice into a file of the spool, beginning with the pages that a
 *     process which died a few minutes ago had of it (resume.c);
 *   - the file gets its outcome, is synced and becomes .ready (spool.c, thread pool);
 *   - the loader is told, and the next slice is fetched meanwhile;
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
 *   - Canceled (shutdown): the slice in work ends as canceled, those not begun are not tried.
 */

#include "daemon/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/resume.h"

enum slice_phase {
	SLICE_PLANNED,
	SLICE_FETCHING,
	SLICE_SPLIT, /* fetched, and stands behind its parts, for their outcome is part of its own */
	SLICE_COMMITTING,
	SLICE_READY,
	SLICE_SETTLED,
};

struct slice {
	struct plan_slice plan;
	char uuid[SPOOL_UUID_BYTES];
	enum slice_phase phase;
	enum run_state state; /* when settled */
	struct spool_outcome outcome;
	char *split_value; /* of a part: as served; NULL: a whole */
	struct split split;          /* of a whole in SLICE_SPLIT: its parts stand before it */
	struct spool_writer *writer; /* only then */
	char left[SPOOL_UUID_BYTES]; /* the file of a dead process that is taken over, or "" */
};

struct run {
	TAILQ_ENTRY(run) entry;
	struct runner *runner;
	struct config *config;
	struct run_info info;
	char trigger[SPOOL_NAME_BYTES];
	struct error error; /* the first */
	struct error stop;  /* the portal will not serve this source: no more slices */
	struct slice *slices;
	unsigned next; /* slice to fetch */
	struct fetch *fetch;
	bool spooled; /* all fetched */
};

TAILQ_HEAD(run_list, run);

struct runner {
	struct runner_options options;
	struct run_list queue;   /* not begun */
	struct run_list waiting; /* fetched, not settled */
	struct run *fetching;
	uv_timer_t timer; /* begins the next step in a turn of its own */
	int64_t last_id;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void fetch_next(struct run *run);
static void kick(struct runner *runner);

static struct slice *slice_now(struct run *run)
{
	return &run->slices[run->next];
}

static void keep_error(struct run *run, const struct error *error)
{
	if (error && error_is_set(error) && !error_is_set(&run->error)) {
		run->error = *error;
	}
}

/* ---- the end of a run ---- */

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

	for (unsigned i = 0; i < run->info.n_slices; i++) {
		alike = alike && run->slices[i].state == state;
		rows = rows || run->slices[i].state == RUN_SUCCESS ||
		       run->slices[i].state == RUN_PARTIAL;
	}
	return alike ? state : rows ? RUN_PARTIAL : RUN_FAILED;
}

static void run_free(struct run *run)
{
	config_unref(run->config);
	for (unsigned i = 0; i < run->info.n_slices; i++) {
		free(run->slices[i].split_value);
	}
	free(run->slices);
	free(run);
}

static bool is_settled(const struct run *run)
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

static void end_if_settled(struct run *run)
{
	if (is_settled(run)) {
		end_run(run);
	}
}

static void settle(struct run *run, struct slice *slice, enum run_state state)
{
	slice->phase = SLICE_SETTLED;
	slice->state = state;
	run->info.n_settled++;
}

static struct slice *find_slice(struct run *run, const char *uuid)
{
	for (unsigned i = 0; i < run->info.n_slices; i++) {
		if (run->slices[i].phase == SLICE_READY &&
			strcmp(run->slices[i].uuid, uuid) == 0) {
			return &run->slices[i];
		}
	}
	return NULL;
}

static void take_result(struct run *run, struct slice *slice, const struct load_result *result,
	const struct error *error)
{
	settle(run, slice, error ? RUN_FAILED : state_of_slice(&result->outcome));
	keep_error(run, error);
	if (!error) {
		row_counts_add(&run->info.counts, &result->counts);
		if (result->newest_day > run->info.newest_day) {
			run->info.newest_day = result->newest_day;
		}
	}
	end_if_settled(run);
}

void runner_settle(struct runner *runner, const struct load_result *result,
	const struct error *error)
{
	struct run *run;
	struct slice *slice;

	if (runner->fetching && (slice = find_slice(runner->fetching, result->header.uuid))) {
		take_result(runner->fetching, slice, result, error);
		return;
	}
	TAILQ_FOREACH (run, &runner->waiting, entry) {
		slice = find_slice(run, result->header.uuid);
		if (slice) {
			take_result(run, slice, result, error);
			return;
		}
	}
}

/* ---- fetching ---- */

static void end_of_fetching(struct run *run)
{
	struct runner *runner = run->runner;

	runner->fetching = NULL;
	run->spooled = true;
	run->info.slice = NULL;
	TAILQ_INSERT_TAIL(&runner->waiting, run, entry);
	if (!is_settled(run)) {
		runner->options.on_spooled(runner->options.arg, &run->info);
	}
	end_if_settled(run);
	kick(runner);
}

/* The slice whose parts are being fetched. */
static struct slice *whole_of(struct run *run)
{
	unsigned i = run->next;

	while (run->slices[i].split_value) {
		i++;
	}
	return &run->slices[i];
}

static void slice_fetched(struct run *run, const struct error *error)
{
	struct runner *runner = run->runner;
	struct slice *slice = slice_now(run);

	keep_error(run, error);
	if (slice->split_value) {
		split_take(&whole_of(run)->split, &slice->outcome);
	}
	runner->options.on_fetched(runner->options.arg, &run->info, slice->plan.name,
		&slice->outcome, error);
	run->next++;
	kick(runner);
}

/* Whatever its fetch had proven, its rows will not be in the table. */
static void not_spooled(struct run *run, struct slice *slice, const struct error *error)
{
	slice->outcome.state = SLICE_FAILED;
	settle(run, slice, RUN_FAILED);
	slice_fetched(run, error);
}

static void on_spooled(void *arg, const struct error *error)
{
	struct run *run = arg;
	struct slice *slice = slice_now(run);
	struct error full = {.class = ERROR_NONE};

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
	slice_fetched(run, NULL);
}

static void fill_header(const struct run *run, const struct slice *slice,
	struct spool_header *header)
{
	const struct source *source = run->info.source;

	*header = (struct spool_header){
		.run = run->info.id,
		.day = slice->plan.day,
		.started_us = clock_wall_us(run->runner->options.clock),
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
static void outcome_error(const struct spool_outcome *outcome, struct error *error)
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
		fill_header(run, slice_now(run), &header);
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

static void commit_slice(struct run *run, struct spool_writer *writer)
{
	struct slice *slice = slice_now(run);
	struct error error = {.class = ERROR_NONE};

	outcome_error(&slice->outcome, &error);
	keep_error(run, &error);
	slice->phase = SLICE_COMMITTING;
	spool_commit(writer, &slice->outcome, on_spooled, run);
}

/* ---- splitting ---- */

/* Room before the present slice for one part of each value; returns how many there are. */
static int insert_parts(struct run *run, const struct valueset *values)
{
	unsigned n = 0, n_before = run->next;
	unsigned n_rest = run->info.n_slices - n_before;
	struct slice whole = *slice_now(run), *parts;
	struct slice *slices =
		calloc(run->info.n_slices + values->n_values, sizeof(*slices));

	if (!slices) {
		return -ENOMEM;
	}
	parts = slices + n_before;
	for (size_t i = 0; i < values->n_values; i++) {
		if (split_part(&whole.plan, values->values[i], &parts[n].plan)) {
			parts[n].split_value = strdup(values->values[i]);
			n += parts[n].split_value != NULL;
		}
	}
	memcpy(slices, run->slices, n_before * sizeof(*slices));
	memcpy(parts + n, run->slices + n_before, n_rest * sizeof(*slices));
	free(run->slices);
	run->slices = slices;
	run->info.n_slices += n;
	run->info.slice = NULL; /* it pointed there */
	return (int)n;
}

/* The values received, and those of other days, for a value may be in none of the pages that came. */
static int collect_values(const struct run *run, const struct valueset *received,
	struct valueset *values)
{
	for (size_t i = 0; i < received->n_values; i++) {
		const char *value = received->values[i];

		if (valueset_add(values, value, strlen(value)) < 0) {
			return -ENOMEM;
		}
	}
	return loader_stored_values(run->runner->options.loader, run->info.source, values);
}

static bool split_slice(struct run *run, const struct fetch_result *result)
{
	_cleanup_(valueset_fini) struct valueset values = {0};
	struct runner *runner = run->runner;
	struct slice *whole = slice_now(run);
	int n;

	if (whole->split_value || !split_is_due(run->info.source, &whole->outcome, result->values)) {
		return false;
	}
	if (collect_values(run, result->values, &values) < 0 || values.overflow) {
		return false;
	}
	n = insert_parts(run, &values);
	if (n <= 0) {
		return false;
	}
	whole = slice_now(run) + n;
	whole->phase = SLICE_SPLIT;
	whole->split = (struct split){
		.n_parts = (unsigned)n, .updated = whole->outcome.updated};
	whole->writer = result->writer;
	runner->options.on_split(runner->options.arg, &run->info, whole->plan.name,
		&whole->outcome, whole->split.n_parts);
	kick(runner);
	return true;
}

static void finish_split(struct run *run)
{
	struct slice *whole = slice_now(run);

	split_judge(&whole->split, &whole->outcome);
	commit_slice(run, take_ptr(whole->writer));
}

static void on_fetch_done(void *arg, const struct fetch_result *result)
{
	struct run *run = arg;
	struct slice *slice = slice_now(run);
	struct error error = {.class = ERROR_NONE};
	struct spool_writer *writer;

	run->fetch = NULL;
	slice->outcome = result->outcome;
	if (!result->resumed) {
		slice->left[0] = '\0'; /* it may hold more than we have */
	}
	explain(&slice->outcome, &result->error);
	if (split_slice(run, result)) {
		return;
	}
	if (error_is_set(&result->error)) {
		keep_error(run, &result->error);
		if (result->error.class != ERROR_RETRY) {
			run->stop = result->error;
		}
	}
	if (slice->split_value && split_is_nothing(&slice->outcome)) {
		if (result->writer) {
			spool_discard(result->writer);
		}
		settle(run, slice, RUN_SUCCESS);
		slice_fetched(run, NULL);
		return;
	}
	writer = writer_for(run, result, &error);
	if (!writer) {
		settle(run, slice,
			result->error.class == ERROR_CANCELED ? RUN_CANCELED : RUN_FAILED);
		slice_fetched(run, error_is_set(&error) ? &error : &result->error);
		return;
	}
	commit_slice(run, writer);
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
	settle(run, slice, why.class == ERROR_CANCELED ? RUN_CANCELED : RUN_FAILED);
	slice_fetched(run, &why);
}

static void fetch_next(struct run *run)
{
	struct slice *slice;
	struct error error = {.class = ERROR_NONE};
	int r;

	if (run->next == run->info.n_slices) {
		end_of_fetching(run);
		return;
	}
	slice = slice_now(run);
	if (slice->phase == SLICE_SPLIT) {
		finish_split(run);
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
		settle(run, slice, RUN_FAILED);
		slice_fetched(run, &error);
	}
}

static void begin_run(struct runner *runner, struct run *run)
{
	TAILQ_REMOVE(&runner->queue, run, entry);
	runner->fetching = run;
	run->info.started_us = clock_wall_us(runner->options.clock);
	portal_begin_run(runner->options.portal);
	runner->options.on_start(runner->options.arg, &run->info);
	fetch_next(run);
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

/* Its slice is being fetched or written; the end of that comes by itself. */
static bool is_busy(const struct run *run)
{
	enum slice_phase phase = run->next < run->info.n_slices ? run->slices[run->next].phase
								: SLICE_PLANNED;

	return phase == SLICE_FETCHING || phase == SLICE_COMMITTING;
}

static void on_timer(uv_timer_t *timer)
{
	struct runner *runner = container_of(timer, struct runner, timer);

	if (runner->fetching) {
		if (!is_busy(runner->fetching)) {
			fetch_next(runner->fetching);
		}
	} else if (!TAILQ_EMPTY(&runner->queue)) {
		begin_run(runner, TAILQ_FIRST(&runner->queue));
	} else if (runner->closing) {
		uv_close((uv_handle_t *)timer, on_timer_closed);
	}
}

static void kick(struct runner *runner)
{
	uv_timer_start(&runner->timer, on_timer, 0, 0);
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

bool runner_has(const struct runner *runner, const struct source *source)
{
	const struct run *run;

	TAILQ_FOREACH (run, &runner->queue, entry) {
		if (strcmp(run->info.source->label, source->label) == 0) {
			return true;
		}
	}
	return runner->fetching &&
	       strcmp(runner->fetching->info.source->label, source->label) == 0;
}

int64_t runner_add(struct runner *runner, const struct source *source, const char *trigger,
	const struct plan_slice *slices, unsigned n_slices)
{
	struct run *run;

	if (runner->closing || n_slices == 0 || runner_has(runner, source)) {
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
	run->config = config_ref(runner->options.config);
	snprintf(run->trigger, sizeof(run->trigger), "%s", trigger);
	run->info = (struct run_info){
		.id = new_id(runner),
		.source = source,
		.trigger = run->trigger,
		.n_slices = n_slices,
		.newest_day = INT32_MIN,
		.state = RUN_RUNNING,
	};
	TAILQ_INSERT_TAIL(&runner->queue, run, entry);
	kick(runner);
	return run->info.id;
}

int64_t runner_last_id(const struct runner *runner)
{
	return runner->last_id;
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
	kick(runner);
}
