/*
 * Counters of what happened, and what state.json keeps of them. SPDX-License-Identifier: Apache-2.0
 *
 * A run is counted when it ended, once for the whole and once for its source.
 */

#include "daemon/report_private.h"

#include <stdio.h>
#include <string.h>

#include "lib/scrub.h"

struct source_report *report_source(struct report *report, const struct source *source)
{
	for (unsigned i = 0; i < report->n_sources; i++) {
		if (strcmp(report->sources[i].source->label, source->label) == 0) {
			return &report->sources[i];
		}
	}
	return NULL;
}

/* ---- state.json ---- */

static const char *state_literal(const char *name)
{
	for (int state = RUN_RUNNING; state <= RUN_CANCELED; state++) {
		if (strcmp(run_state_name((enum run_state)state), name) == 0) {
			return run_state_name((enum run_state)state);
		}
	}
	return NULL;
}

static void restore_counts(const struct state_counts *from, struct status_counts *counts,
	struct kept_sync *last)
{
	counts->n_syncs = from->n_syncs;
	counts->n_failures = from->n_failures;
	counts->last_success_us = from->last_success_us;
	counts->last_failure_us = from->last_failure_us;
	if (!from->last.status || !state_literal(from->last.status)) {
		return;
	}
	last->sync = from->last;
	last->sync.status = state_literal(from->last.status);
	snprintf(last->error, sizeof(last->error), "%s", from->error);
	last->sync.error = last->error[0] ? last->error : NULL;
	counts->last = last->sync;
}

void report_restore(struct report *report, const struct state_doc *doc)
{
	alerts_copy(&report->alerts, &doc->alerts);
	restore_counts(&doc->counts, &report->status.counts, &report->last);
	for (unsigned i = 0; i < report->n_sources; i++) {
		restore_counts(&doc->sources[i].counts, &report->sources[i].counts,
			&report->sources[i].last);
		report->sources[i].tally = doc->sources[i].tally;
	}
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		report->newest[d] = doc->datasets[d].newest_day;
	}
}

/* A run that waits for the database is not over; the next process does not know it as a run. */
static void save_counts(const struct status_counts *counts, struct state_counts *to)
{
	to->n_syncs = counts->n_syncs;
	to->n_failures = counts->n_failures;
	to->last_success_us = counts->last_success_us;
	to->last_failure_us = counts->last_failure_us;
	if (counts->last.status &&
		strcmp(counts->last.status, run_state_name(RUN_SPOOLED)) != 0) {
		state_keep_sync(to, &counts->last);
	}
}

bool report_save(const struct report *report, struct state_doc *doc)
{
	bool newer = false;

	alerts_copy(&doc->alerts, &report->alerts);
	save_counts(&report->status.counts, &doc->counts);
	for (unsigned i = 0; i < report->n_sources; i++) {
		save_counts(&report->sources[i].counts, &doc->sources[i].counts);
		doc->sources[i].tally = report->sources[i].tally;
	}
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		newer = newer || report->newest[d] > doc->datasets[d].newest_day;
		doc->datasets[d].newest_day = report->newest[d];
	}
	return newer;
}

/* ---- a run ---- */

static void keep_sync(struct kept_sync *kept, const struct run_info *run, int64_t now_us)
{
	int64_t end_us = run->finished_us ? run->finished_us : now_us;

	kept->error[0] = '\0';
	if (run->error) {
		snprintf(kept->error, sizeof(kept->error), "%s", run->error->text);
		scrub_text(kept->error);
	}
	kept->sync = (struct status_sync){
		.status = run_state_name(run->state),
		.started_us = run->started_us,
		.finished_us = run->finished_us,
		.duration_ms = (end_us - run->started_us) / 1000,
		.n_fetched = (int64_t)run->counts.received,
		.n_inserted = (int64_t)run->counts.inserted,
		.n_updated = (int64_t)run->counts.updated,
		.n_unchanged = (int64_t)run->counts.unchanged,
		.n_duplicate = (int64_t)run->counts.duplicate,
		.n_quarantined = (int64_t)run->counts.quarantined,
		.error = run->state == RUN_SUCCESS ? NULL
			 : kept->error[0]          ? kept->error
						   : run_state_name(run->state),
	};
}

static void count_end(struct status_counts *counts, const struct run_info *run,
	const struct kept_sync *kept)
{
	counts->n_syncs++;
	if (run->state == RUN_SUCCESS) {
		counts->last_success_us = run->finished_us;
	} else {
		counts->n_failures++;
		counts->last_failure_us = run->finished_us;
	}
	counts->last = kept->sync;
}

void report_count_started(struct report *report, const struct run_info *run)
{
	struct source_report *source = report_source(report, run->source);

	if (source) {
		source->tally.attempt_us = run->started_us;
	}
}

/* A canceled run says nothing of how the source does, nor one that heals and finds nothing. */
static void tally_end(struct source_counts *tally, const struct run_info *run)
{
	tally->runs[run->state]++;
	if (run->state == RUN_SUCCESS) {
		tally->n_unsuccessful = 0;
	} else if (run->state != RUN_CANCELED && !run->heals) {
		tally->n_unsuccessful++;
	}
}

void report_count_ended(struct report *report, const struct run_info *run)
{
	struct source_report *source = report_source(report, run->source);

	keep_sync(&report->last, run, run->finished_us);
	count_end(&report->status.counts, run, &report->last);
	histogram_add(&report->run_seconds, (double)(run->finished_us - run->started_us) / 1e6);
	if (source) {
		keep_sync(&source->last, run, run->finished_us);
		count_end(&source->counts, run, &source->last);
		tally_end(&source->tally, run);
	}
}

/* Not over, so not counted; but what is known of the last one. */
void report_count_spooled(struct report *report, const struct run_info *run,
	const struct error *why)
{
	struct source_report *source = report_source(report, run->source);
	int64_t now_us = clock_wall_us(report->clock);
	struct run_info waiting = *run;

	waiting.state = RUN_SPOOLED;
	waiting.error = why;
	keep_sync(&report->last, &waiting, now_us);
	report->status.counts.last = report->last.sync;
	if (source) {
		keep_sync(&source->last, &waiting, now_us);
		source->counts.last = source->last.sync;
	}
}

static void tally_rows(struct source_counts *tally, const struct load_result *result, int64_t now_us)
{
	row_counts_add(&tally->rows, &result->counts);
	if (result->counts.inserted + result->counts.updated > 0) {
		tally->new_data_us = now_us;
	}
	if (result->newest_day > tally->newest_day) {
		tally->newest_day = result->newest_day;
	}
}

/* Rows of a slice that had been committed before were counted then. */
void report_count_loaded(struct report *report, const struct load_result *result)
{
	struct source_report *source = report_source(report, config_source(report->config,
		result->header.dataset, result->header.source));

	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		if (strcmp(report->config->datasets[d]->name, result->header.dataset) == 0 &&
			result->newest_day > report->newest[d]) {
			report->newest[d] = result->newest_day;
		}
	}
	if (source && !result->already) {
		tally_rows(&source->tally, result, clock_wall_us(report->clock));
	}
}

void report_coverage(struct report *report, const struct dataset *dataset,
	const struct cover_counts *counts)
{
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		if (strcmp(report->config->datasets[d]->name, dataset->name) != 0) {
			continue;
		}
		report->coverage[d] = (struct status_coverage){
			.missing_days = counts->days[COVER_MISSING] + counts->days[COVER_SUSPECT],
			.partial_days = counts->days[COVER_PARTIAL],
		};
		if (counts->newest > report->newest[d]) {
			report->newest[d] = counts->newest;
		}
	}
}
