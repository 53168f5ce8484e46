/*
 * What happens, as log lines. SPDX-License-Identifier: Apache-2.0
 *
 * Levels as lib/log.h has them: a run that is lost is an ERROR, one that is less than a success a
 * WARNING, one line of INFO for each run and slice. What repeats while something is down is said when
 * it begins, at every REPORT_FAILURES_PER_LINE-th time, and when it is over (lib/repeat.h). A run that is
 * lost is said each time.
 */

#include "daemon/report_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void run_context(struct log *log, const struct run_info *run)
{
	*log = (struct log){
		.fields = {f_i64("run", run->id), f_str("source", run->source->label)},
		.n_fields = 2,
	};
}

/* ---- a run ---- */

void report_log_started(const struct run_info *run)
{
	struct log log;

	run_context(&log, run);
	log_info(&log, "run.start", f_str("trigger", run->trigger), f_u64("slices", run->n_slices));
}

/* Once a run; what a slice went on with, once a slice. */
static void tell_once(struct told *told, const struct log *log, const struct run_info *run)
{
	const struct fetch_progress *progress = &run->progress;

	if (told->run != run->id) {
		*told = (struct told){.run = run->id};
	}
	if (progress->resumed != told->resumed && progress->resumed > 0) {
		log_info(log, "fetch.resumed", f_str("slice", run->slice),
			f_u64("pages", progress->resumed));
	}
	if (progress->sort_ignored && !told->sort_ignored) {
		log_notice(log, "fetch.sort_ignored", f_str("slice", run->slice),
			f_msg("rows do not come in the order asked for: more passes, or parts"));
	}
	if (progress->key_limited && !told->key_limited) {
		log_warning(log, "fetch.key_limited", f_str("slice", run->slice),
			f_msg("the key gives 10 rows a call, whatever is asked for"));
	}
	told->resumed = progress->resumed;
	told->sort_ignored |= progress->sort_ignored;
	told->key_limited |= progress->key_limited;
}

static void log_recovered(struct source_report *source, const struct log *log, const char *slice)
{
	unsigned n = repeat_over(&source->trouble);

	if (n > 0) {
		log_info(log, "fetch.recovered", f_str("slice", slice), f_u64("after_failures", n));
	}
}

/* The same failure is told of many times while we wait; its number says which are news. */
static void log_trouble(struct source_report *source, const struct log *log,
	const struct run_info *run)
{
	const struct error *trouble = run->progress.trouble;
	unsigned n = run->progress.n_failures;
	bool is_news = trouble &&
		(n != source->n_seen || strcmp(trouble->code, source->trouble.code) != 0);

	if (is_news && repeat_failed(&source->trouble, trouble->code, REPORT_FAILURES_PER_LINE)) {
		log_warning(log, "fetch.retry", f_str("slice", run->slice),
			f_str("code", trouble->code), f_u64("failures", source->trouble.n),
			f_msg(trouble->text));
	}
	if (!trouble && run->progress.page > 0) {
		log_recovered(source, log, run->slice);
	}
	source->n_seen = n;
}

void report_log_progress(struct report *report, const struct run_info *run)
{
	struct source_report *source = report_source(report, run->source);
	struct log log;

	run_context(&log, run);
	tell_once(&report->told, &log, run);
	if (source) {
		log_trouble(source, &log, run);
	}
	log_debug(&log, "fetch.page", f_u64("page", run->progress.page),
		f_u64("rows", run->progress.rows), f_i64("total", run->progress.total));
}

void report_log_split(const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, unsigned n_parts)
{
	struct log log;

	run_context(&log, run);
	log_info(&log, "fetch.split", f_str("slice", slice), f_u64("parts", n_parts),
		f_u64("distinct", outcome->distinct), f_i64("expected", outcome->expected),
		f_msg(outcome->text));
}

/* A portal that is down fails all slices of a run, one after the other. */
static void log_lost(struct repeat *lost, const struct log *log, const char *slice,
	const char *code, const char *text)
{
	if (!lost || repeat_failed(lost, code, REPORT_FAILURES_PER_LINE)) {
		log_error(log, "fetch.failed", f_str("slice", slice), f_str("code", code),
			f_u64("failures", lost ? lost->n : 1), f_msg(text));
	}
}

void report_log_fetched(struct report *report, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error)
{
	struct source_report *source = report_source(report, run->source);
	struct log log;

	run_context(&log, run);
	if (error && error->class == ERROR_CANCELED) {
		log_notice(&log, "fetch.canceled", f_str("slice", slice), f_msg(error->text));
		return;
	}
	if (error || outcome->state == SLICE_FAILED) {
		log_lost(source ? &source->lost : NULL, &log, slice,
			error ? error->code : outcome->reason, error ? error->text : outcome->text);
		return;
	}
	if (source) {
		(void)repeat_over(&source->lost);
		log_recovered(source, &log, slice);
	}
	if (outcome->state != SLICE_PROVEN) {
		log_warning(&log, "fetch.done", f_str("slice", slice),
			f_str("state", slice_state_name(outcome->state)),
			f_str("code", outcome->reason), f_u64("rows", outcome->received),
			f_i64("expected", outcome->expected), f_msg(outcome->text));
	} else {
		log_info(&log, "fetch.done", f_str("slice", slice), f_str("state", "proven"),
			f_u64("rows", outcome->received), f_i64("expected", outcome->expected),
			f_u64("pages", outcome->pages), f_u64("passes", outcome->passes));
	}
}

void report_log_spooled(const struct run_info *run, const struct error *why)
{
	struct log log;

	run_context(&log, run);
	log_warning(&log, "run.spooled", f_msg(why->text));
}

void report_log_ended(const struct run_info *run)
{
	const struct row_counts *counts = &run->counts;
	enum log_level level = run->state == RUN_SUCCESS  ? LOG_LEVEL_INFO
			       : run->state == RUN_FAILED ? LOG_LEVEL_ERROR
							  : LOG_LEVEL_WARNING;
	char renames[24];
	struct log log;

	run_context(&log, run);
	snprintf(renames, sizeof(renames), "%" PRIu64, run->n_renames);
	log_at(&log, level, run->state == RUN_FAILED ? "run.failed" : "run.done",
		f_str("state", run_state_name(run->state)),
		f_str("code", run->error ? run->error->code : NULL),
		f_i64("took_ms", (run->finished_us - run->started_us) / 1000),
		f_u64("received", counts->received), f_u64("inserted", counts->inserted),
		f_u64("updated", counts->updated), f_u64("unchanged", counts->unchanged),
		f_u64("duplicate", counts->duplicate), f_u64("quarantined", counts->quarantined),
		f_str("similar_names", run->n_renames ? renames : NULL),
		f_str("msg", run->error ? run->error->text : NULL));
}

static void log_load_recovered(struct repeat *trouble)
{
	unsigned n = repeat_over(trouble);

	if (n > 0) {
		log_notice(NULL, "load.recovered", f_u64("after_failures", n));
	}
}

/* What a person may want to join. */
static void log_renames(const struct log *log, const struct renames *renames)
{
	for (unsigned i = 0; i < renames->n_list; i++) {
		const struct rename *rename = &renames->list[i];

		log_notice(log, "lookup.similar", f_str("lookup", rename->lookup),
			f_i64("id", rename->id), f_str("name", rename->name),
			f_i64("known_id", rename->known_id), f_str("known", rename->known),
			f_str("why", similar_name(rename->similar)),
			f_msg("a new name looks like a known one: see `ogdsync lookup join`"));
	}
	if (renames->n > renames->n_list) {
		log_notice(log, "lookup.similar", f_u64("more", renames->n - renames->n_list),
			f_msg("more new names look like known ones: see `ogdsync lookup similar`"));
	}
}

void report_log_loaded(struct report *report, const struct load_result *result,
	const struct error *error)
{
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
	log_load_recovered(&report->load_trouble);
	if (result->already) {
		log_debug(&log, "load.already", f_str("uuid", result->header.uuid));
		return;
	}
	/* Of a failed slice only the attempt was booked, and fetch.failed has said it. */
	log_at(&log, result->outcome.state == SLICE_FAILED ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		"load.done", f_str("slice", result->header.slice),
		f_u64("received", result->counts.received),
		f_u64("inserted", result->counts.inserted), f_u64("updated", result->counts.updated),
		f_u64("unchanged", result->counts.unchanged),
		f_u64("duplicate", result->counts.duplicate),
		f_u64("quarantined", result->counts.quarantined),
		f_u64("took_ms", result->took_ms));
	if (result->renames) {
		log_renames(&log, result->renames);
	}
}

/* ---- what the runs need ---- */

/* However it ends, nobody is there: the words that libpq has for it vary from one attempt to the next. */
static const char *kind_of(const struct error *error)
{
	bool gone = strcmp(error->code, "timeout") == 0 || strncmp(error->code, "57P", 3) == 0 ||
		    strncmp(error->code, "08", 2) == 0;

	return gone ? "connection" : error->code;
}

void report_retry(struct report *report, const char *uuid, const struct error *error)
{
	struct repeat *trouble = &report->load_trouble;

	if (uuid[0] && strcmp(error->where, "database") == 0) {
		report_database_error(report, error); /* until a slice is loaded */
	}
	if (repeat_failed(trouble, kind_of(error), REPORT_FAILURES_PER_LINE)) {
		log_warning(NULL, "load.retry", f_str("uuid", uuid[0] ? uuid : NULL),
			f_str("code", error->code), f_u64("failures", trouble->n),
			f_msg(error->text));
	}
}

void report_log_database(struct report *report, enum loader_state state, const struct error *error)
{
	struct repeat *trouble = &report->database_trouble;

	if (state == LOADER_UP) {
		log_notice(NULL, "database.up", f_u64("after_failures", repeat_over(trouble)));
	} else if (repeat_failed(trouble, kind_of(error), REPORT_FAILURES_PER_LINE)) {
		log_warning(NULL, state == LOADER_SCHEMA ? "database.schema" : "database.down",
			f_str("code", error->code), f_u64("failures", trouble->n),
			f_msg(error->text));
	}
}

/*
 * Of a lease that cannot be known, and could not before, only the reason may be news; that of a
 * database which comes and goes is not, for database.down says it.
 */
void report_log_lease(const struct lease_status *lease, bool changed)
{
	bool failed = error_is_set(&lease->error);
	bool refused = lease->error.class == ERROR_REJECTED;

	if (changed || (refused && lease->state == LEASE_UNKNOWN)) {
		log_at(NULL, lease->state == LEASE_HOLDER ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
			"lease.changed", f_str("state", lease_state_name(lease->state)),
			f_str("holder", lease->holder[0] ? lease->holder : NULL),
			f_i64("epoch", lease->epoch),
			f_str("code", failed ? lease->error.code : NULL),
			f_str("msg", failed ? lease->error.text : NULL));
	}
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
	unsigned n;

	if (fresh) {
		report_state_read(error);
	} else if (error) {
		if (repeat_failed(&report->state_trouble, error->code, REPORT_FAILURES_PER_LINE)) {
			log_warning(NULL, "state.unwritten", f_str("code", error->code),
				f_msg(error->text));
		}
	} else {
		n = repeat_over(&report->state_trouble);
		if (n > 0) {
			log_notice(NULL, "state.written", f_u64("after_failures", n));
		}
	}
}

void report_pruned(struct report *report, const struct history_counts *counts,
	const struct error *error)
{
	bool any = counts->runs + counts->quarantine + counts->revisions > 0;

	(void)report;
	if (error) {
		log_warning(NULL, "history.failed", f_str("code", error->code), f_msg(error->text));
	} else {
		log_at(NULL, any ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "history.pruned",
			f_u64("runs", counts->runs), f_u64("quarantine", counts->quarantine),
			f_u64("revisions", counts->revisions));
	}
}
