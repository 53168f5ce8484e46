/*
 * An outcome -> events, counters, the status document, systemd. SPDX-License-Identifier: Apache-2.0
 *
 * Levels as lib/log.h has them: a run that is lost is an ERROR, one that is less than a success a
 * WARNING, one line of INFO for each run and slice. What repeats while something is down is said when
 * it begins, at every FAILURES_PER_LINE-th time, and when it is over.
 */

#include "daemon/report.h"

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#if HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "lib/log.h"
#include "lib/scrub.h"

enum { FAILURES_PER_LINE = 60, WORDS_BYTES = 200 };

/* A sync that ended, with room for its words. */
struct kept_sync {
	struct status_sync sync;
	char error[ERROR_TEXT_BYTES];
};

struct source_report {
	const struct source *source;
	struct status_counts counts;
	struct kept_sync last;
};

struct report {
	struct config *config;
	const struct clock *clock;
	struct source_report *sources;
	unsigned n_sources;
	int32_t *newest; /* for each dataset */

	struct status status;
	struct kept_sync last;
	char slice[SPOOL_SLICE_BYTES];
	char holder[LEASE_HOLDER_BYTES];
	char database_error[ERROR_TEXT_BYTES];
	unsigned n_database_errors, n_state_errors;
	char trouble[ERROR_TEXT_BYTES]; /* the last one that was logged of this slice */

	/* The document's lists. */
	struct status_source *doc_sources;
	struct status_dataset *doc_datasets;
	struct status_queued doc_queue[64];
};

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
	if (!report->sources || !report->doc_sources || !report->doc_datasets || !report->newest) {
		report_free(report);
		return -ENOMEM;
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		report->newest[d] = STATUS_NO_DAY;
		for (unsigned s = 0; s < config->datasets[d]->n_sources; s++) {
			report->sources[n++].source = &config->datasets[d]->sources[s];
		}
	}
	report->status.database.since_us = clock_wall_us(clock);
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
	free(report);
	return NULL;
}

static struct source_report *source_of(struct report *report, const struct source *source)
{
	for (unsigned i = 0; i < report->n_sources; i++) {
		if (report->sources[i].source == source) {
			return &report->sources[i];
		}
	}
	return NULL;
}

static void run_context(struct log *log, const struct run_info *run)
{
	*log = (struct log){
		.fields = {f_i64("run", run->id), f_str("source", run->source->label)},
		.n_fields = 2,
	};
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
	restore_counts(&doc->counts, &report->status.counts, &report->last);
	for (unsigned i = 0; i < report->n_sources; i++) {
		restore_counts(&doc->sources[i].counts, &report->sources[i].counts,
			&report->sources[i].last);
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

	save_counts(&report->status.counts, &doc->counts);
	for (unsigned i = 0; i < report->n_sources; i++) {
		save_counts(&report->sources[i].counts, &doc->sources[i].counts);
	}
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		newer = newer || report->newest[d] > doc->datasets[d].newest_day;
		doc->datasets[d].newest_day = report->newest[d];
	}
	return newer;
}

static void report_state_read(const struct error *error)
{
	if (strcmp(error->code, "ENOENT") == 0) {
		log_warning(NULL, "state.missing",
			f_msg("the spool is in use but has no state.json; counters begin at 0"));
	} else {
		log_warning(NULL, "state.unreadable", f_str("code", error->code),
			f_str("reason", error->text),
			f_msg("beginning afresh: counters at 0, missed ticks forgotten"));
	}
}

void report_state(struct report *report, bool fresh, const struct error *error)
{
	if (fresh) {
		report_state_read(error);
	} else if (!error) {
		if (report->n_state_errors > 0) {
			log_notice(NULL, "state.written",
				f_u64("after_failures", report->n_state_errors));
		}
		report->n_state_errors = 0;
	} else if (report->n_state_errors++ % FAILURES_PER_LINE == 0) {
		log_warning(NULL, "state.unwritten", f_str("code", error->code),
			f_msg(error->text));
	}
}

/* ---- systemd ---- */

static void notify(const char *text)
{
#if HAVE_SYSTEMD
	(void)sd_notify(0, text);
#else
	(void)text;
#endif
}

void report_systemd(struct report *report)
{
	const struct status *status = &report->status;
	char words[WORDS_BYTES], line[WORDS_BYTES + 16];

	if (status->running.run) {
		snprintf(words, sizeof(words),
			"fetching %s/%s %s: page %" PRId64 ", %" PRId64 " rows",
			status->running.dataset, status->running.source,
			status->running.slice ? status->running.slice : "", status->running.page,
			status->running.n_rows);
	} else if (status->database.state != STATUS_DATABASE_UP) {
		snprintf(words, sizeof(words), "idle; database %s",
			status->database.state == STATUS_DATABASE_DOWN ? "down" : "schema differs");
	} else {
		snprintf(words, sizeof(words), "idle; last sync %s",
			status->counts.last.status ? status->counts.last.status : "none yet");
	}
	snprintf(line, sizeof(line), "STATUS=%s", words);
	scrub_text(line);
	notify(line);
}

void report_ready(struct report *report)
{
	log_notice(NULL, "daemon.ready", f_str("version", OGDSYNC_VERSION),
		f_str("config", report->config->file));
	notify("READY=1");
	report_systemd(report);
}

void report_stopping(struct report *report, const char *why)
{
	(void)report;
	log_notice(NULL, "daemon.stopping", f_str("reason", why));
	notify("STOPPING=1\nSTATUS=stopping");
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
	struct log log;

	run_context(&log, run);
	log_info(&log, "run.start", f_str("trigger", run->trigger), f_u64("slices", run->n_slices));
	report->trouble[0] = '\0';
	take_progress(report, run);
}

void report_progress(struct report *report, const struct run_info *run)
{
	const struct error *trouble = run->progress.trouble;
	struct log log;

	run_context(&log, run);
	if (trouble && strcmp(trouble->text, report->trouble) != 0) {
		snprintf(report->trouble, sizeof(report->trouble), "%s", trouble->text);
		log_warning(&log, "fetch.retry", f_str("slice", run->slice),
			f_str("code", trouble->code), f_msg(trouble->text));
	}
	log_debug(&log, "fetch.page", f_u64("page", run->progress.page),
		f_u64("rows", run->progress.rows), f_i64("total", run->progress.total));
	take_progress(report, run);
}

void report_split(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, unsigned n_parts)
{
	struct log log;

	run_context(&log, run);
	log_info(&log, "fetch.split", f_str("slice", slice), f_u64("parts", n_parts),
		f_u64("distinct", outcome->distinct), f_i64("expected", outcome->expected),
		f_msg(outcome->text));
	report->trouble[0] = '\0';
}

void report_fetched(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error)
{
	struct log log;

	run_context(&log, run);
	if (error || outcome->state == SLICE_FAILED) {
		log_error(&log, "fetch.failed", f_str("slice", slice),
			f_str("code", error ? error->code : outcome->reason),
			f_msg(error ? error->text : outcome->text));
	} else if (outcome->state != SLICE_PROVEN) {
		log_warning(&log, "fetch.done", f_str("slice", slice),
			f_str("state", slice_state_name(outcome->state)),
			f_str("code", outcome->reason), f_u64("rows", outcome->received),
			f_i64("expected", outcome->expected), f_msg(outcome->text));
	} else {
		log_info(&log, "fetch.done", f_str("slice", slice), f_str("state", "proven"),
			f_u64("rows", outcome->received), f_i64("expected", outcome->expected),
			f_u64("pages", outcome->pages), f_u64("passes", outcome->passes));
	}
	report->status.running.run = 0;
	report->trouble[0] = '\0';
}

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

void report_spooled(struct report *report, const struct run_info *run)
{
	struct source_report *source = source_of(report, run->source);
	struct run_info waiting = *run;
	struct error why = {.class = ERROR_NONE};
	struct log log;

	report->status.running.run = 0;
	if (report->status.database.state != STATUS_DATABASE_UP) {
		error_set(&why, ERROR_RETRY, "run", "spooled", "waiting for the database%s%s",
			report->database_error[0] ? ": " : "", report->database_error);
	} else if (report->status.lease.state == STATUS_LEASE_STANDBY) {
		error_set(&why, ERROR_RETRY, "run", "spooled",
			"waiting for the lease, which another daemon holds");
	} else {
		return; /* it is being loaded */
	}
	run_context(&log, run);
	log_warning(&log, "run.spooled", f_msg(why.text));
	waiting.state = RUN_SPOOLED;
	waiting.error = &why;
	keep_sync(&report->last, &waiting, clock_wall_us(report->clock));
	report->status.counts.last = report->last.sync;
	if (source) {
		keep_sync(&source->last, &waiting, clock_wall_us(report->clock));
		source->counts.last = source->last.sync;
	}
	report_systemd(report);
}

static void log_end(const struct run_info *run)
{
	const struct row_counts *counts = &run->counts;
	enum log_level level = run->state == RUN_SUCCESS  ? LOG_LEVEL_INFO
			       : run->state == RUN_FAILED ? LOG_LEVEL_ERROR
							  : LOG_LEVEL_WARNING;
	struct log log;

	run_context(&log, run);
	log_at(&log, level, run->state == RUN_FAILED ? "run.failed" : "run.done",
		f_str("state", run_state_name(run->state)),
		f_str("code", run->error ? run->error->code : NULL),
		f_i64("took_ms", (run->finished_us - run->started_us) / 1000),
		f_u64("received", counts->received), f_u64("inserted", counts->inserted),
		f_u64("updated", counts->updated), f_u64("unchanged", counts->unchanged),
		f_u64("duplicate", counts->duplicate), f_u64("quarantined", counts->quarantined),
		f_str("msg", run->error ? run->error->text : NULL));
}

static void take_newest(struct report *report, const struct dataset *dataset, int32_t day)
{
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		if (report->config->datasets[d] == dataset && day > report->newest[d]) {
			report->newest[d] = day;
		}
	}
}

void report_ended(struct report *report, const struct run_info *run)
{
	struct source_report *source = source_of(report, run->source);

	log_end(run);
	if (report->status.running.run == run->id) {
		report->status.running.run = 0;
	}
	keep_sync(&report->last, run, run->finished_us);
	count_end(&report->status.counts, run, &report->last);
	if (source) {
		keep_sync(&source->last, run, run->finished_us);
		count_end(&source->counts, run, &source->last);
	}
	report_systemd(report);
}

void report_loaded(struct report *report, const struct load_result *result,
	const struct error *error)
{
	const struct source *source = config_source(report->config, result->header.dataset,
		result->header.source);
	char label[2 * SPOOL_NAME_BYTES];
	struct log log = {
		.fields = {f_i64("run", result->header.run), f_str("source", label)},
		.n_fields = 2,
	};

	snprintf(label, sizeof(label), "%s/%s", result->header.dataset, result->header.source);
	if (error) {
		log_error(&log, "load.failed", f_str("slice", result->header.slice),
			f_str("code", error->code), f_str("uuid", result->header.uuid),
			f_msg(error->text));
		return;
	}
	if (source) {
		take_newest(report, source->dataset, result->newest_day);
	}
	if (result->already) {
		log_debug(&log, "load.already", f_str("uuid", result->header.uuid));
		return;
	}
	log_info(&log, "load.done", f_str("slice", result->header.slice),
		f_u64("received", result->counts.received),
		f_u64("inserted", result->counts.inserted), f_u64("updated", result->counts.updated),
		f_u64("unchanged", result->counts.unchanged),
		f_u64("duplicate", result->counts.duplicate),
		f_u64("quarantined", result->counts.quarantined),
		f_u64("took_ms", result->took_ms));
}

void report_retry(struct report *report, const char *uuid, const struct error *error)
{
	(void)report;
	log_warning(NULL, "load.retry", f_str("uuid", uuid[0] ? uuid : NULL),
		f_str("code", error->code), f_msg(error->text));
}

/* ---- the database ---- */

static bool same_trouble(const struct report *report, enum status_database state,
	const struct error *error)
{
	return report->status.database.state == state && error &&
	       strcmp(report->database_error, error->text) == 0;
}

static void log_database(struct report *report, enum loader_state state, const struct error *error)
{
	if (state == LOADER_UP) {
		log_notice(NULL, "database.up",
			f_u64("after_failures", report->n_database_errors));
	} else if (report->n_database_errors % FAILURES_PER_LINE == 1) {
		log_warning(NULL, state == LOADER_SCHEMA ? "database.schema" : "database.down",
			f_str("code", error ? error->code : NULL),
			f_u64("failures", report->n_database_errors),
			f_msg(error ? error->text : "no connection"));
	}
}

void report_database(struct report *report, enum loader_state state, const struct error *error)
{
	static const enum status_database states[] = {
		[LOADER_DOWN] = STATUS_DATABASE_DOWN,
		[LOADER_SCHEMA] = STATUS_DATABASE_SCHEMA,
		[LOADER_UP] = STATUS_DATABASE_UP,
	};

	if (state != LOADER_UP && !same_trouble(report, states[state], error)) {
		report->n_database_errors = 0;
	}
	if (state != LOADER_UP) {
		report->n_database_errors++;
	}
	log_database(report, state, error);
	if (report->status.database.state != states[state]) {
		report->status.database.since_us = clock_wall_us(report->clock);
	}
	report->status.database.state = states[state];
	snprintf(report->database_error, sizeof(report->database_error), "%s",
		error ? error->text : "");
	scrub_text(report->database_error);
	if (state == LOADER_UP) {
		report->n_database_errors = 0;
	}
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

	snprintf(report->holder, sizeof(report->holder), "%s", lease->holder);
	report->status.lease.state = states[lease->state];
	report->status.lease.holder = report->holder[0] ? report->holder : NULL;
	report->status.lease.epoch = lease->epoch;
	if (!same) {
		log_at(NULL, lease->state == LEASE_HOLDER ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
			"lease.changed", f_str("state", lease_state_name(lease->state)),
			f_str("holder", report->status.lease.holder), f_i64("epoch", lease->epoch),
			f_str("msg", error_is_set(&lease->error) ? lease->error.text : NULL));
	}
}

/* ---- the document ---- */

static bool is_stale(const struct dataset *dataset, int32_t newest, int64_t now_us)
{
	const int64_t ist_us = (int64_t)(5 * 3600 + 1800) * 1000000;
	int64_t end_us;

	if (dataset->freshness_ms == 0 || newest == STATUS_NO_DAY) {
		return false;
	}
	end_us = (int64_t)(newest + 1) * 86400 * 1000000 - ist_us;
	return now_us > end_us + (int64_t)dataset->freshness_ms * 1000;
}

static void fill_sources(struct report *report, const struct report_now *now)
{
	for (unsigned i = 0; i < report->n_sources; i++) {
		struct source_report *source = &report->sources[i];

		source->counts.next_run_us = now->next_of(now->arg, source->source);
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

static void fill_datasets(struct report *report)
{
	struct status *status = &report->status;
	int64_t now_us = clock_wall_us(report->clock);
	unsigned s = 0;

	status->newest_day = STATUS_NO_DAY;
	status->stale = false;
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		const struct dataset *dataset = report->config->datasets[d];
		bool stale = is_stale(dataset, report->newest[d], now_us);

		report->doc_datasets[d] = (struct status_dataset){
			.name = dataset->name,
			.newest_day = report->newest[d],
			.stale = stale,
			.coverage = {STATUS_UNKNOWN, STATUS_UNKNOWN},
			.sources = &report->doc_sources[s],
			.n_sources = dataset->n_sources,
		};
		s += dataset->n_sources;
		status->stale |= stale;
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
	status->coverage = (struct status_coverage){STATUS_UNKNOWN, STATUS_UNKNOWN};
	status->spool.bytes = now->spool.bytes;
	status->spool.limit_bytes = now->spool.limit_bytes;
	status->spool.n_ready = now->spool.n_ready;
	status->spool.n_loaded = now->spool.n_loaded;
	status->database.error = report->database_error[0] ? report->database_error : NULL;
	status->datasets = report->doc_datasets;
	status->n_datasets = report->config->n_datasets;
	return status;
}
