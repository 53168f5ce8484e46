#pragma once

/*
 * The insides of the report, for its own files: report.c (life, and what each event is for the
 * others), report_log.c (log lines), report_counts.c (counters, and what state.json keeps of them),
 * report_status.c (the document), report_metrics.c, report_systemd.c. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/report.h"
#include "lib/log.h"

/* A sync that ended, with room for its words. */
struct kept_sync {
	struct status_sync sync;
	char error[ERROR_TEXT_BYTES];
};

struct source_report {
	const struct source *source;
	struct status_counts counts;
	struct kept_sync last;
	struct source_counts tally;
};

/* What was said of a run, and is not said again. */
struct told {
	int64_t run;
	bool sort_ignored, key_limited;
	unsigned resumed; /* pages, of the present slice */
};

/* Failures in a row: said when they begin or are of another kind, now and then, and when they end. */
struct trouble {
	char kind[ERROR_CODE_BYTES];
	unsigned n, n_alike;
};

struct report {
	struct config *config;
	const struct clock *clock;
	struct source_report *sources;
	unsigned n_sources;
	int32_t *newest; /* for each dataset */
	struct status_coverage *coverage; /* likewise */

	struct status status;
	struct kept_sync last;
	char slice[SPOOL_SLICE_BYTES];
	char holder[LEASE_HOLDER_BYTES];
	char database_error[ERROR_TEXT_BYTES], lease_error[ERROR_TEXT_BYTES];
	struct trouble database_trouble, load_trouble;
	unsigned n_state_errors;
	struct told told;
	char trouble[ERROR_TEXT_BYTES]; /* the last one that was logged of this slice */

	/* The document's lists. */
	struct status_source *doc_sources;
	struct status_dataset *doc_datasets;
	struct status_queued doc_queue[64];

	/* And of the metrics. */
	struct metrics_source *metrics_sources;
	struct metrics_dataset *metrics_datasets;
	struct histogram run_seconds;
};

/* report_log.c */
void report_log_started(const struct run_info *run);
void report_log_progress(struct report *report, const struct run_info *run);
void report_log_split(const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, unsigned n_parts);
void report_log_fetched(const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error);
void report_log_spooled(const struct run_info *run, const struct error *why);
void report_log_ended(const struct run_info *run);
void report_log_loaded(struct report *report, const struct load_result *result,
	const struct error *error);
void report_log_database(struct report *report, enum loader_state state, const struct error *error);
void report_log_lease(const struct lease_status *lease, bool changed);

/* report_counts.c */
void report_count_started(struct report *report, const struct run_info *run);
void report_count_ended(struct report *report, const struct run_info *run);
void report_count_spooled(struct report *report, const struct run_info *run,
	const struct error *why);
void report_count_loaded(struct report *report, const struct load_result *result);

/* report_status.c */
bool report_is_stale(const struct report *report, unsigned dataset);
