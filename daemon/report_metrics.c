/*
 * The metrics that the report knows. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/report_private.h"

static void fill_sources(struct report *report)
{
	for (unsigned i = 0; i < report->n_sources; i++) {
		const struct source_report *source = &report->sources[i];

		report->metrics_sources[i] = (struct metrics_source){
			.dataset = source->source->dataset->name,
			.name = source->source->name,
			.has_date = source->source->dataset->date >= 0,
			.success_us = source->counts.last_success_us,
			.counts = &source->tally,
		};
	}
}

void report_metrics(struct report *report, struct metrics *metrics)
{
	fill_sources(report);
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		report->metrics_datasets[d] = (struct metrics_dataset){
			.name = report->config->datasets[d]->name,
			.stale = report_is_stale(report, d),
		};
	}
	metrics->sources = report->metrics_sources;
	metrics->n_sources = report->n_sources;
	metrics->datasets = report->metrics_datasets;
	metrics->n_datasets = report->config->n_datasets;
	metrics->run_seconds = &report->run_seconds;
	metrics->n_alerts = alerts_firing(&report->alerts);
	metrics->n_send_failures = report->n_send_failures;
	metrics->running = report->status.running.run != 0;
	metrics->database_up = report->status.database.state == STATUS_DATABASE_UP;
	metrics->lease_held = report->status.lease.state == STATUS_LEASE_HOLDER;
}
