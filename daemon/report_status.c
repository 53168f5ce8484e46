/*
 * The status document. SPDX-License-Identifier: Apache-2.0
 *
 * What the report remembers, and what only the daemon knows at the moment of the question.
 */

#include "daemon/report_private.h"

#include <string.h>

bool report_is_stale(const struct report *report, unsigned dataset)
{
	return clock_wall_us(report->clock) >
		dataset_fresh_until_us(report->config->datasets[dataset], report->newest[dataset]);
}

static void fill_sources(struct report *report, const struct report_now *now)
{
	for (unsigned i = 0; i < report->n_sources; i++) {
		struct source_report *source = &report->sources[i];

		source->counts.next_run_us = now->next_of(now->arg, source->source);
		source->counts.paused = now->paused_of(now->arg, source->source);
		report->doc_sources[i] = (struct status_source){
			.name = source->source->name,
			.running = report->status.running.run &&
				   strcmp(report->status.running.source, source->source->name) ==
					   0 &&
				   strcmp(report->status.running.dataset,
					   source->source->dataset->name) == 0,
			.counts = source->counts,
		};
	}
}

/* The sum of what is known. */
static void add_coverage(struct status_coverage *sum, const struct status_coverage *coverage)
{
	if (coverage->missing_days == STATUS_UNKNOWN) {
		return;
	}
	if (sum->missing_days == STATUS_UNKNOWN) {
		*sum = (struct status_coverage){0, 0};
	}
	sum->missing_days += coverage->missing_days;
	sum->partial_days += coverage->partial_days;
}

static void fill_datasets(struct report *report)
{
	struct status *status = &report->status;
	unsigned s = 0;

	status->newest_day = STATUS_NO_DAY;
	status->coverage = (struct status_coverage){STATUS_UNKNOWN, STATUS_UNKNOWN};
	status->stale = false;
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		const struct dataset *dataset = report->config->datasets[d];
		bool stale = report_is_stale(report, d);

		report->doc_datasets[d] = (struct status_dataset){
			.name = dataset->name,
			.newest_day = report->newest[d],
			.stale = stale,
			.coverage = report->coverage[d],
			.sources = &report->doc_sources[s],
			.n_sources = dataset->n_sources,
		};
		s += dataset->n_sources;
		status->stale |= stale;
		add_coverage(&status->coverage, &report->coverage[d]);
		if (report->newest[d] != STATUS_NO_DAY &&
			(status->newest_day == STATUS_NO_DAY ||
				report->newest[d] < status->newest_day)) {
			status->newest_day = report->newest[d];
		}
	}
}

const struct status *report_status(struct report *report, const struct report_now *now)
{
	struct status *status = &report->status;

	fill_sources(report, now);
	fill_datasets(report);
	for (unsigned i = 0; i < now->n_queue; i++) {
		report->doc_queue[i] = (struct status_queued){
			.dataset = now->queue[i]->dataset->name,
			.source = now->queue[i]->name,
		};
	}
	status->queue = report->doc_queue;
	status->n_queue = now->n_queue;
	status->counts.next_run_us = now->next_us;
	status->counts.paused = now->paused_of(now->arg, NULL);
	status->reload_waits = now->reload_waits;
	status->spool.bytes = now->spool.bytes;
	status->spool.limit_bytes = now->spool.limit_bytes;
	status->spool.n_ready = now->spool.n_ready;
	status->spool.n_loaded = now->spool.n_loaded;
	status->database.error = report->database_error[0] ? report->database_error : NULL;
	status->datasets = report->doc_datasets;
	status->n_datasets = report->config->n_datasets;
	return status;
}
