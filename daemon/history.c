/*
 * Keeps the books as long as `history:` says. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path, once a day and after a start:
 *   - old runs with their slices, then old rows of the quarantine, then the revisions of each dataset
 *     whose run is gone: in this order, for a revision stays as long as its run;
 *   - each in batches with a pause between them. A batch that was not full is the last one.
 *
 * Possible failure modes are:
 *   - A run begins, or the lease is lost: it stops after the batch under way, and goes on at a later
 *     look. Each batch is a whole statement; nothing is half done.
 *   - The database fails or refuses: the owner is told, and the rest is tried an hour later.
 */

#include "daemon/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/ledger_prune.h"
#include "lib/pg.h"

enum {
	DAY_MS = 24 * 3600 * 1000,
	RETRY_MS = 3600 * 1000,
	PAUSE_MS = 100,
	RUNS_A_BATCH = 100, /* each with its slices */
	ROWS_A_BATCH = 1000,
	/* Pages that are loaded are looked for in the books for two days: see loader_add(). */
	MIN_RUNS_MS = 3 * DAY_MS,
	NUMBER_BYTES = 24,
};

/* STEP_REVISIONS + n is for the n-th dataset. */
enum { STEP_RUNS, STEP_QUARANTINE, STEP_REVISIONS };

struct history {
	struct history_options options;
	struct config *config;
	uv_timer_t timer; /* the pause between batches */
	unsigned step;
	uint64_t not_before_ms;
	bool busy;     /* a batch is on its way, or a pause */
	bool outdated; /* the batch that is on its way is of another configuration */
	bool closing;
	struct history_counts counts;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void go_on(struct history *history);

static enum prune_kind kind_of(const struct history *history)
{
	return history->step == STEP_RUNS        ? PRUNE_RUNS
		: history->step == STEP_QUARANTINE ? PRUNE_QUARANTINE
						   : PRUNE_REVISIONS;
}

static const struct dataset *dataset_of(const struct history *history)
{
	return history->step < STEP_REVISIONS
		? NULL
		: history->config->datasets[history->step - STEP_REVISIONS];
}

static unsigned rows_a_batch(const struct history *history)
{
	return history->step == STEP_RUNS ? RUNS_A_BATCH : ROWS_A_BATCH;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* How long what the step is about is kept; UINT64_MAX for ever. */
static uint64_t keep_ms(const struct history *history)
{
	const struct config_history *config = &history->config->history;
	const struct dataset *dataset = dataset_of(history);
	uint64_t runs_ms = max(config->runs_ms, MIN_RUNS_MS);

	if (history->step == STEP_RUNS) {
		return runs_ms;
	}
	if (history->step == STEP_QUARANTINE) {
		return config->quarantine_ms;
	}
	return dataset->on_change == ON_CHANGE_REVISE ? max(config->revisions_ms, runs_ms)
						      : UINT64_MAX;
}

static void add_rows(struct history *history, uint64_t n)
{
	switch (kind_of(history)) {
	case PRUNE_RUNS:
		history->counts.runs += n;
		break;
	case PRUNE_QUARANTINE:
		history->counts.quarantine += n;
		break;
	case PRUNE_REVISIONS:
		history->counts.revisions += n;
		break;
	}
}

/* ---- a batch ---- */

static void end_day(struct history *history, const struct error *error)
{
	struct history_counts counts = history->counts;

	history->busy = false;
	history->not_before_ms =
		clock_mono_ms(history->options.clock) + (error ? RETRY_MS : DAY_MS);
	if (!error) {
		history->step = STEP_RUNS;
		history->counts = (struct history_counts){.runs = 0};
	}
	history->options.on_pruned(history->options.arg, &counts, error);
}

static void on_pause_over(uv_timer_t *timer)
{
	struct history *history = container_of(timer, struct history, timer);

	history->busy = false;
	history_look(history);
}

static void on_batch(void *arg, const struct pg_result *result, const struct error *error)
{
	struct history *history = arg;
	uint64_t n;

	if (history->closing || (error && error->class == ERROR_CANCELED)) {
		return; /* the end */
	}
	if (history->outdated) {
		history->outdated = history->busy = false;
		history_look(history);
		return;
	}
	if (error) {
		end_day(history, error);
		return;
	}
	n = (uint64_t)pg_affected(result);
	add_rows(history, n);
	if (n < rows_a_batch(history)) {
		history->step++;
		go_on(history);
	} else {
		uv_timer_start(&history->timer, on_pause_over, PAUSE_MS, 0);
	}
}

static int send_batch(struct history *history)
{
	int64_t now_ms = clock_wall_us(history->options.clock) / 1000;
	_cleanup_buffer_ struct buffer sql = {0};
	char below[NUMBER_BYTES], n_rows[NUMBER_BYTES];
	const struct pg_param params[] = {{.data = below}, {.data = n_rows}};

	snprintf(below, sizeof(below), "%" PRId64, now_ms - (int64_t)keep_ms(history));
	snprintf(n_rows, sizeof(n_rows), "%u", rows_a_batch(history));
	ledger_prune_sql(kind_of(history), dataset_of(history), &sql);
	return buffer_failed(&sql) ? -ENOMEM
				   : reader_query(history->options.reader, buffer_str(&sql), params,
					     N_ELEMENTS(params), on_batch, history);
}

/* The next batch of this step, or of the first one behind it that has something to do. */
static void go_on(struct history *history)
{
	struct error error = {.class = ERROR_NONE};
	int r;

	while (history->step < STEP_REVISIONS + history->config->n_datasets &&
		keep_ms(history) == UINT64_MAX) {
		history->step++;
	}
	if (history->step == STEP_REVISIONS + history->config->n_datasets) {
		end_day(history, NULL);
		return;
	}
	history->busy = true;
	r = send_batch(history);
	if (r < 0) {
		error_errno(&error, ERROR_RETRY, "history", -r, "asking the database");
		end_day(history, &error);
	}
}

void history_look(struct history *history)
{
	if (!history->closing && !history->busy &&
		clock_mono_ms(history->options.clock) >= history->not_before_ms &&
		history->options.may(history->options.arg)) {
		go_on(history);
	}
}

/* ---- begin and end ---- */

int history_new(const struct history_options *options, struct history **ret)
{
	struct history *history = calloc(1, sizeof(*history));

	if (!history) {
		return -ENOMEM;
	}
	history->options = *options;
	history->config = config_ref(options->config);
	uv_timer_init(options->loop, &history->timer);
	*ret = history;
	return 0;
}

/* The datasets may be others. */
void history_reconfigure(struct history *history, struct config *config)
{
	history->outdated = history->busy && !uv_is_active((uv_handle_t *)&history->timer);
	history->step = STEP_RUNS;
	history->not_before_ms = 0;
	config_unref(history->config);
	history->config = config_ref(config);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct history *history = container_of((uv_timer_t *)handle, struct history, timer);

	history->on_closed(history->closed_arg);
	config_unref(history->config);
	free(history);
}

void history_close(struct history *history, void (*on_closed)(void *arg), void *arg)
{
	history->closing = true;
	history->on_closed = on_closed;
	history->closed_arg = arg;
	uv_close((uv_handle_t *)&history->timer, on_timer_closed);
}
