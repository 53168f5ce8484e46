/*
 * An outcome -> events, counters, the status document, systemd. SPDX-License-Identifier: Apache-2.0
 *
 * Each event is a line in the log, counts, and changes what the status document and systemd say. This
 * file knows which event is what for whom; how it is said or counted is in the other files.
 */

#include "daemon/report_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/scrub.h"

static unsigned count_sources(const struct config *config)
{
	unsigned n = 0;

	for (unsigned d = 0; d < config->n_datasets; d++) {
		n += config->datasets[d]->n_sources;
	}
	return n;
}

int report_new(struct config *config, const struct clock *clock, struct report **ret)
{
	struct report *report = calloc(1, sizeof(*report));
	unsigned n = 0;

	if (!report) {
		return -ENOMEM;
	}
	report->config = config_ref(config);
	report->clock = clock;
	report->n_sources = count_sources(config);
	report->sources = calloc(report->n_sources + 1, sizeof(*report->sources));
	report->doc_sources = calloc(report->n_sources + 1, sizeof(*report->doc_sources));
	report->doc_datasets = calloc(config->n_datasets + 1, sizeof(*report->doc_datasets));
	report->newest = calloc(config->n_datasets + 1, sizeof(*report->newest));
	report->metrics_sources = calloc(report->n_sources + 1, sizeof(*report->metrics_sources));
	report->metrics_datasets = calloc(config->n_datasets + 1, sizeof(*report->metrics_datasets));
	report->coverage = calloc(config->n_datasets + 1, sizeof(*report->coverage));
	if (!report->sources || !report->doc_sources || !report->doc_datasets || !report->newest ||
		!report->metrics_sources || !report->metrics_datasets || !report->coverage ||
		alerts_init(&report->alerts, config) < 0) {
		report_free(report);
		return -ENOMEM;
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		report->newest[d] = STATUS_NO_DAY;
		report->coverage[d] = (struct status_coverage){STATUS_UNKNOWN, STATUS_UNKNOWN};
		for (unsigned s = 0; s < config->datasets[d]->n_sources; s++) {
			report->sources[n].source = &config->datasets[d]->sources[s];
			report->sources[n++].tally.newest_day = STATUS_NO_DAY;
		}
	}
	report->status.database.since_us = clock_wall_us(clock);
	report->run_seconds = (struct histogram){.bounds = {1, 10, 60, 300, 1800, 7200}};
	*ret = report;
	return 0;
}

struct report *report_free(struct report *report)
{
	if (!report) {
		return NULL;
	}
	config_unref(report->config);
	free(report->sources);
	free(report->doc_sources);
	free(report->doc_datasets);
	free(report->newest);
	free(report->metrics_sources);
	free(report->metrics_datasets);
	free(report->coverage);
	alerts_fini(&report->alerts);
	free(report);
	return NULL;
}

/* ---- another configuration ---- */

/* Its words are beside it, and where `from` is will be gone. */
static void copy_sync(struct kept_sync *to, const struct kept_sync *from)
{
	*to = *from;
	if (from->sync.error == from->error) {
		to->sync.error = to->error;
	}
}

static void take_source(struct source_report *to, const struct source_report *from)
{
	to->counts = from->counts;
	to->tally = from->tally;
	to->trouble = from->trouble;
	to->lost = from->lost;
	copy_sync(&to->last, &from->last);
	if (from->counts.last.error == from->last.error) {
		to->counts.last.error = to->last.error;
	}
}

static void take_known(struct report *report, struct report *old)
{
	alerts_take_over(&report->alerts, &old->alerts);
	for (unsigned i = 0; i < report->n_sources; i++) {
		for (unsigned k = 0; k < old->n_sources; k++) {
			if (strcmp(report->sources[i].source->label,
				    old->sources[k].source->label) == 0) {
				take_source(&report->sources[i], &old->sources[k]);
			}
		}
	}
	for (unsigned i = 0; i < report->config->n_datasets; i++) {
		for (unsigned k = 0; k < old->config->n_datasets; k++) {
			if (strcmp(report->config->datasets[i]->name,
				    old->config->datasets[k]->name) == 0) {
				report->newest[i] = old->newest[k];
				report->coverage[i] = old->coverage[k];
			}
		}
	}
}

#define SWAP(a, b)                    \
	do {                          \
		__typeof__(a) c_ = (a); \
		(a) = (b);            \
		(b) = c_;             \
	} while (0)

int report_reconfigure(struct report *report, struct config *config)
{
	struct report *other;
	int r = report_new(config, report->clock, &other);

	if (r < 0) {
		return r;
	}
	take_known(other, report);
	SWAP(report->config, other->config);
	SWAP(report->sources, other->sources);
	SWAP(report->n_sources, other->n_sources);
	SWAP(report->newest, other->newest);
	SWAP(report->coverage, other->coverage);
	SWAP(report->doc_sources, other->doc_sources);
	SWAP(report->doc_datasets, other->doc_datasets);
	SWAP(report->metrics_sources, other->metrics_sources);
	SWAP(report->metrics_datasets, other->metrics_datasets);
	SWAP(report->alerts, other->alerts);
	report_free(other);
	return 0;
}

/* ---- a run ---- */

static void take_progress(struct report *report, const struct run_info *run)
{
	struct status_running *running = &report->status.running;

	snprintf(report->slice, sizeof(report->slice), "%s", run->slice ? run->slice : "");
	*running = (struct status_running){
		.run = run->id,
		.dataset = run->source->dataset->name,
		.source = run->source->name,
		.slice = run->slice ? report->slice : NULL,
		.page = run->progress.page,
		.n_pages = run->progress.pages,
		.n_rows = (int64_t)run->progress.rows,
	};
	report_systemd(report);
}

void report_started(struct report *report, const struct run_info *run)
{
	report_log_started(run);
	report_count_started(report, run);
	take_progress(report, run);
}

void report_progress(struct report *report, const struct run_info *run)
{
	report_log_progress(report, run);
	report_alert_progress(report, run);
	take_progress(report, run);
}

void report_split(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, unsigned n_parts)
{
	(void)report;
	report_log_split(run, slice, outcome, n_parts);
}

void report_fetched(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error)
{
	report_log_fetched(report, run, slice, outcome, error);
	report_alert_fetched(report, run, outcome);
	report->n_unloaded += !error;
	report_systemd(report);
}

void report_spooled(struct report *report, const struct run_info *run)
{
	struct error why = {.class = ERROR_NONE};

	report->status.running.run = 0;
	if (report->status.database.state != STATUS_DATABASE_UP) {
		error_set(&why, ERROR_RETRY, "run", "spooled", "waiting for the database%s%s",
			report->database_error[0] ? ": " : "", report->database_error);
	} else if (report->status.lease.state == STATUS_LEASE_STANDBY) {
		error_set(&why, ERROR_RETRY, "run", "spooled",
			"waiting for the lease, which another daemon holds");
	} else {
		report_systemd(report); /* it is being loaded */
		return;
	}
	report_log_spooled(run, &why);
	report_count_spooled(report, run, &why);
	report_systemd(report);
}

void report_ended(struct report *report, const struct run_info *run)
{
	report_log_ended(run);
	if (report->status.running.run == run->id) {
		report->status.running.run = 0;
	}
	report_count_ended(report, run);
	report_alert_ended(report, run);
	report_systemd(report);
}

void report_loaded(struct report *report, const struct load_result *result,
	const struct error *error)
{
	report_log_loaded(report, result, error);
	if (!error) {
		report_database_error(report, NULL);
		report_count_loaded(report, result);
	}
	report->n_unloaded -= report->n_unloaded > 0;
	report_systemd(report);
}

/* ---- the database ---- */

/* What the status says of the database: also while it is up, of loads that fail. */
void report_database_error(struct report *report, const struct error *error)
{
	snprintf(report->database_error, sizeof(report->database_error), "%s",
		error ? error->text : "");
	scrub_text(report->database_error);
}

void report_database(struct report *report, enum loader_state state, const struct error *error)
{
	static const enum status_database states[] = {
		[LOADER_DOWN] = STATUS_DATABASE_DOWN,
		[LOADER_SCHEMA] = STATUS_DATABASE_SCHEMA,
		[LOADER_UP] = STATUS_DATABASE_UP,
	};

	report_log_database(report, state, error);
	if (report->status.database.state != states[state]) {
		report->status.database.since_us = clock_wall_us(report->clock);
	}
	report->status.database.state = states[state];
	report_database_error(report, error);
	report_systemd(report);
}

void report_lease(struct report *report, const struct lease_status *lease)
{
	static const enum status_lease states[] = {
		[LEASE_UNKNOWN] = STATUS_LEASE_UNKNOWN,
		[LEASE_HOLDER] = STATUS_LEASE_HOLDER,
		[LEASE_STANDBY] = STATUS_LEASE_STANDBY,
	};
	bool same = report->status.lease.state == states[lease->state];

	report_log_lease(lease, !same);
	snprintf(report->holder, sizeof(report->holder), "%s", lease->holder);
	snprintf(report->lease_error, sizeof(report->lease_error), "%s", lease->error.text);
	scrub_text(report->lease_error);
	report->status.lease.state = states[lease->state];
	report->status.lease.holder = report->holder[0] ? report->holder : NULL;
	report->status.lease.epoch = lease->epoch;
	report->status.lease.error = report->lease_error[0] ? report->lease_error : NULL;
}
