#pragma once

/*
 * The insides of the report, for its own files: report.c (life, and what each event is for the
 * others), report_log.c (log lines), report_counts.c (counters, and what state.json keeps of them),
 * report_status.c (the document), report_metrics.c, report_alerts.c, report_systemd.c. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/report.h"
#include "lib/log.h"
#include "lib/repeat.h"

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
	struct repeat trouble;   /* requests of it that failed, one after the other */
	unsigned n_seen;         /* of them, in the present fetch */
	struct repeat lost;      /* its slices that failed */
};

/* What was said of a run, and is not said again. */
struct told {
	int64_t run;
	bool sort_ignored, key_limited;
	unsigned resumed; /* pages, of the present slice */
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
	struct repeat database_trouble, load_trouble, state_trouble;
	struct told told;
	unsigned n_unloaded; /* slices that were fetched and are not loaded yet */
	const char *unsent;  /* words for systemd that found its queue full; a literal */

	/* The document's lists. */
	struct status_source *doc_sources;
	struct status_dataset *doc_datasets;
	struct status_queued doc_queue[64];

	/* And of the metrics. */
	struct metrics_source *metrics_sources;
	struct metrics_dataset *metrics_datasets;
	struct histogram run_seconds;

	struct alerts alerts;
	bool spool_refused; /* the present fetch waits for room */
	struct repeat send_trouble[N_ALERT_CHANNELS];
	uint64_t n_send_failures;
};

enum { REPORT_FAILURES_PER_LINE = 60 }; /* of what fails again and again */

/* report.c */
void report_database_error(struct report *report, const struct error *error);

/* report_log.c */
void report_log_started(const struct run_info *run);
void report_log_progress(struct report *report, const struct run_info *run);
void report_log_split(const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, unsigned n_parts);
void report_log_fetched(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error);
void report_log_spooled(const struct run_info *run, const struct error *why);
void report_log_ended(const struct run_info *run);
void report_log_loaded(struct report *report, const struct load_result *result,
	const struct error *error);
void report_log_database(struct report *report, enum loader_state state, const struct error *error);
void report_log_lease(const struct lease_status *lease, bool changed);

/* report_alerts.c */
void report_alert_ended(struct report *report, const struct run_info *run);
void report_alert_fetched(struct report *report, const struct run_info *run,
	const struct spool_outcome *outcome);
void report_alert_progress(struct report *report, const struct run_info *run);

/* report_counts.c */
struct source_report *report_source(struct report *report, const struct source *source);
void report_count_started(struct report *report, const struct run_info *run);
void report_count_ended(struct report *report, const struct run_info *run);
void report_count_spooled(struct report *report, const struct run_info *run,
	const struct error *why);
void report_count_loaded(struct report *report, const struct load_result *result);

/* report_status.c */
bool report_is_stale(const struct report *report, unsigned dataset);
