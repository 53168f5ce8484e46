#pragma once

/*
 * An outcome -> events, counters, the status document, systemd. SPDX-License-Identifier: Apache-2.0
 *
 * Told of everything that happens, remembers what the status document says, and writes the log. Decides
 * nothing. Owned by the daemon.
 */

#include "daemon/alert.h"
#include "daemon/config.h"
#include "daemon/history.h"
#include "daemon/coverage.h"
#include "daemon/lease.h"
#include "daemon/loader.h"
#include "daemon/metrics.h"
#include "daemon/run_info.h"
#include "daemon/state_format.h"
#include "daemon/status.h"
#include "lib/clock.h"

struct report;

int report_new(struct config *config, const struct clock *clock, struct report **ret)
	must_check; /* -errno */
struct report *report_free(struct report *report);

/* Another configuration: what is known of its datasets and sources stays. -ENOMEM: all is as it was. */
int report_reconfigure(struct report *report, struct config *config) must_check;

/* What an earlier process knew; before anything happens. */
void report_restore(struct report *report, const struct state_doc *doc);
/* What a later one will want to know. True if a dataset has a newer date than `doc` had. */
bool report_save(const struct report *report, struct state_doc *doc);

/* What happens. */
void report_ready(struct report *report);
void report_stopping(struct report *report, const char *why);
void report_started(struct report *report, const struct run_info *run);
void report_progress(struct report *report, const struct run_info *run);
void report_split(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, unsigned n_parts);
void report_fetched(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error);
void report_spooled(struct report *report, const struct run_info *run);
void report_ended(struct report *report, const struct run_info *run);
void report_loaded(struct report *report, const struct load_result *result,
	const struct error *error);
void report_retry(struct report *report, const char *uuid, const struct error *error);
void report_database(struct report *report, enum loader_state state, const struct error *error);

/* What the books know of the days of a dataset. */
void report_coverage(struct report *report, const struct dataset *dataset,
	const struct cover_counts *counts);

void report_lease(struct report *report, const struct lease_status *lease);

/* state.json could not be read (`fresh`), or was written; NULL: well. */
void report_state(struct report *report, bool fresh, const struct error *error);

/* ---- what needs a person ---- */

/* Look whether something does; log what begins or is over. True: it changed. */
bool report_look(struct report *report, bool breaker_open, const struct spool_stats *spool);

/* Borrowed as long as the report lives; told[] is changed by who tells. */
struct alerts *report_alerts(struct report *report);

/* A message was taken, or not. */
void report_sent(struct report *report, enum alert_channel channel, const struct error *error);

/* Old books were deleted, or could not be. */
void report_pruned(struct report *report, const struct history_counts *counts,
	const struct error *error);

/* ---- the document ---- */

/* What only others know, filled in by the daemon before each use of the document. */
struct report_now {
	int64_t next_us;                 /* soonest run; 0 none */
	int64_t (*next_of)(void *arg, const struct source *source); /* 0 none */
	bool (*paused_of)(void *arg, const struct source *source); /* NULL: the whole schedule */
	void *arg;
	const struct source *queue[64];
	unsigned n_queue;
	struct spool_stats spool;
	bool reload_waits;
};

/* Borrowed until the next call. */
const struct status *report_status(struct report *report, const struct report_now *now);

/* Fill in what the report knows: sources, datasets, runs, database, lease. Borrowed as above. */
void report_metrics(struct report *report, struct metrics *metrics);

/* A sign of life for systemd. */
void report_alive(struct report *report);

/* One line for `systemctl status`. */
void report_systemd(struct report *report);
