/*
 * What state.json holds, as a struct and as text. SPDX-License-Identifier: Apache-2.0
 *
 * One line of JSON. Reading is all or nothing: a file that is not whole is worth less than none, for
 * half of it would be taken for the truth.
 */

#include "daemon/state_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/jsontext.h"

static void make_fresh(struct state_doc *doc)
{
	doc->last_run = 0;
	doc->paused = false;
	doc->breaker = (struct breaker_state){.phase = BREAKER_CLOSED};
	doc->counts = (struct state_counts){.n_syncs = 0};
	for (unsigned i = 0; i < doc->n_sources; i++) {
		doc->sources[i].mark = (struct schedule_mark){.tick_us = 0};
		doc->sources[i].counts = (struct state_counts){.n_syncs = 0};
		doc->sources[i].tally = (struct source_counts){.newest_day = STATUS_NO_DAY};
	}
	for (unsigned i = 0; i < doc->n_datasets; i++) {
		doc->datasets[i].newest_day = STATUS_NO_DAY;
	}
}

static void name_entries(struct state_doc *doc, const struct config *config)
{
	unsigned n = 0;

	for (unsigned d = 0; d < config->n_datasets; d++) {
		const struct dataset *dataset = config->datasets[d];

		doc->datasets[d].name = dataset->name;
		for (unsigned s = 0; s < dataset->n_sources; s++, n++) {
			doc->sources[n].dataset = dataset->name;
			doc->sources[n].name = dataset->sources[s].name;
		}
	}
}

int state_doc_init(struct state_doc *doc, const struct config *config)
{
	*doc = (struct state_doc){.n_datasets = config->n_datasets};
	for (unsigned d = 0; d < config->n_datasets; d++) {
		doc->n_sources += config->datasets[d]->n_sources;
	}
	doc->sources = calloc(doc->n_sources + 1, sizeof(*doc->sources));
	doc->datasets = calloc(doc->n_datasets + 1, sizeof(*doc->datasets));
	if (!doc->sources || !doc->datasets) {
		state_doc_fini(doc);
		return -ENOMEM;
	}
	name_entries(doc, config);
	make_fresh(doc);
	return 0;
}

void state_doc_fini(struct state_doc *doc)
{
	free(doc->sources);
	free(doc->datasets);
	*doc = (struct state_doc){.last_run = 0};
}

static struct state_source *find_source(
	struct state_doc *doc, const char *dataset, const char *name)
{
	for (unsigned i = 0; i < doc->n_sources; i++) {
		if (strcmp(doc->sources[i].dataset, dataset) == 0 &&
			strcmp(doc->sources[i].name, name) == 0) {
			return &doc->sources[i];
		}
	}
	return NULL;
}

struct state_source *state_doc_source(struct state_doc *doc, const struct source *source)
{
	return find_source(doc, source->dataset->name, source->name);
}

void state_keep_sync(struct state_counts *counts, const struct status_sync *last)
{
	snprintf(counts->status, sizeof(counts->status), "%s", last->status ? last->status : "");
	snprintf(counts->error, sizeof(counts->error), "%s", last->error ? last->error : "");
	counts->last = *last;
	counts->last.status = counts->status[0] ? counts->status : NULL;
	counts->last.error = counts->error[0] ? counts->error : NULL;
}

/* ---- writing ---- */

static json_t *sync_to_json(const struct status_sync *sync, int *r)
{
	json_t *o;

	if (!sync->status) {
		return json_null();
	}
	o = json_object();
	*r |= json_object_set_new(o, "status", jsontext_string(sync->status));
	*r |= json_object_set_new(o, "error", jsontext_string(sync->error ? sync->error : ""));
	*r |= json_object_set_new(o, "started_us", json_integer(sync->started_us));
	*r |= json_object_set_new(o, "finished_us", json_integer(sync->finished_us));
	*r |= json_object_set_new(o, "duration_ms", json_integer(sync->duration_ms));
	*r |= json_object_set_new(o, "fetched", json_integer(sync->n_fetched));
	*r |= json_object_set_new(o, "inserted", json_integer(sync->n_inserted));
	*r |= json_object_set_new(o, "updated", json_integer(sync->n_updated));
	*r |= json_object_set_new(o, "unchanged", json_integer(sync->n_unchanged));
	*r |= json_object_set_new(o, "duplicate", json_integer(sync->n_duplicate));
	*r |= json_object_set_new(o, "quarantined", json_integer(sync->n_quarantined));
	return o;
}

static json_t *counts_to_json(const struct state_counts *counts, int *r)
{
	json_t *o = json_object();

	*r |= json_object_set_new(o, "syncs", json_integer((json_int_t)counts->n_syncs));
	*r |= json_object_set_new(o, "failures", json_integer((json_int_t)counts->n_failures));
	*r |= json_object_set_new(o, "last_success_us", json_integer(counts->last_success_us));
	*r |= json_object_set_new(o, "last_failure_us", json_integer(counts->last_failure_us));
	*r |= json_object_set_new(o, "last", sync_to_json(&counts->last, r));
	return o;
}

static json_t *rows_to_json(const struct row_counts *rows, int *r)
{
	json_t *o = json_object();

	*r |= json_object_set_new(o, "received", json_integer((json_int_t)rows->received));
	*r |= json_object_set_new(o, "inserted", json_integer((json_int_t)rows->inserted));
	*r |= json_object_set_new(o, "updated", json_integer((json_int_t)rows->updated));
	*r |= json_object_set_new(o, "unchanged", json_integer((json_int_t)rows->unchanged));
	*r |= json_object_set_new(o, "duplicate", json_integer((json_int_t)rows->duplicate));
	*r |= json_object_set_new(o, "quarantined", json_integer((json_int_t)rows->quarantined));
	return o;
}

static json_t *day_to_json(int32_t day)
{
	return day == STATUS_NO_DAY ? json_null() : json_integer(day);
}

static json_t *tally_to_json(const struct source_counts *tally, int *r)
{
	json_t *o = json_object(), *runs = json_object();

	for (int state = RUN_SUCCESS; state < N_RUN_STATES; state++) {
		*r |= json_object_set_new(runs, run_state_name((enum run_state)state),
			json_integer((json_int_t)tally->runs[state]));
	}
	*r |= json_object_set_new(o, "runs", runs);
	*r |= json_object_set_new(o, "unsuccessful", json_integer(tally->n_unsuccessful));
	*r |= json_object_set_new(o, "rows", rows_to_json(&tally->rows, r));
	*r |= json_object_set_new(o, "attempt_us", json_integer(tally->attempt_us));
	*r |= json_object_set_new(o, "new_data_us", json_integer(tally->new_data_us));
	*r |= json_object_set_new(o, "newest_day", day_to_json(tally->newest_day));
	return o;
}

static json_t *source_to_json(const struct state_source *source, int *r)
{
	json_t *o = json_object();

	*r |= json_object_set_new(o, "dataset", jsontext_string(source->dataset));
	*r |= json_object_set_new(o, "source", jsontext_string(source->name));
	*r |= json_object_set_new(o, "tick_us", json_integer(source->mark.tick_us));
	*r |= json_object_set_new(o, "attempt_us", json_integer(source->mark.attempt_us));
	*r |= json_object_set_new(o, "retry_us", json_integer(source->mark.retry_us));
	*r |= json_object_set_new(o, "since_us", json_integer(source->mark.since_us));
	*r |= json_object_set_new(o, "retries", json_integer(source->mark.n_failed));
	*r |= json_object_set_new(o, "paused", json_boolean(source->mark.paused));
	*r |= json_object_set_new(o, "counts", counts_to_json(&source->counts, r));
	*r |= json_object_set_new(o, "tally", tally_to_json(&source->tally, r));
	return o;
}

static json_t *dataset_to_json(const struct state_dataset *dataset, int *r)
{
	json_t *o = json_object();

	*r |= json_object_set_new(o, "dataset", jsontext_string(dataset->name));
	*r |= json_object_set_new(o, "newest_day", day_to_json(dataset->newest_day));
	return o;
}

static json_t *breaker_to_json(const struct breaker_state *breaker, int *r)
{
	json_t *o = json_object();

	*r |= json_object_set_new(o, "phase", json_string(breaker_phase_name(breaker->phase)));
	*r |= json_object_set_new(o, "failures", json_integer(breaker->n_failures));
	*r |= json_object_set_new(o, "opened_us", json_integer(breaker->opened_us));
	return o;
}

char *state_format(const struct state_doc *doc)
{
	_cleanup_free_ char *line = NULL;
	json_t *o = json_object(), *sources = json_array(), *datasets = json_array();
	char *text = NULL;
	int r = 0;

	for (unsigned i = 0; i < doc->n_sources; i++) {
		r |= json_array_append_new(sources, source_to_json(&doc->sources[i], &r));
	}
	for (unsigned i = 0; i < doc->n_datasets; i++) {
		r |= json_array_append_new(datasets, dataset_to_json(&doc->datasets[i], &r));
	}
	r |= json_object_set_new(o, "version", json_integer(STATE_VERSION));
	r |= json_object_set_new(o, "last_run", json_integer(doc->last_run));
	r |= json_object_set_new(o, "paused", json_boolean(doc->paused));
	r |= json_object_set_new(o, "breaker", breaker_to_json(&doc->breaker, &r));
	r |= json_object_set_new(o, "counts", counts_to_json(&doc->counts, &r));
	r |= json_object_set_new(o, "datasets", datasets);
	r |= json_object_set_new(o, "sources", sources);
	line = jsontext_dump(o, r);
	return line && asprintf(&text, "%s\n", line) >= 0 ? text : NULL;
}

/* ---- reading ---- */

static bool read_sync(const json_t *o, struct state_counts *counts)
{
	struct status_sync last = {.status = counts->status, .error = counts->error};
	char status[STATE_STATUS_BYTES], error[ERROR_TEXT_BYTES];

	if (json_is_null(o)) {
		return true;
	}
	if (!jsontext_get_text(o, "status", status, sizeof(status)) || status[0] == '\0' ||
		!jsontext_get_text(o, "error", error, sizeof(error)) ||
		!jsontext_get_int(o, "started_us", INT64_MIN, INT64_MAX, &last.started_us) ||
		!jsontext_get_int(o, "finished_us", INT64_MIN, INT64_MAX, &last.finished_us) ||
		!jsontext_get_int(o, "duration_ms", INT64_MIN, INT64_MAX, &last.duration_ms) ||
		!jsontext_get_int(o, "fetched", 0, INT64_MAX, &last.n_fetched) ||
		!jsontext_get_int(o, "inserted", 0, INT64_MAX, &last.n_inserted) ||
		!jsontext_get_int(o, "updated", 0, INT64_MAX, &last.n_updated) ||
		!jsontext_get_int(o, "unchanged", 0, INT64_MAX, &last.n_unchanged) ||
		!jsontext_get_int(o, "duplicate", 0, INT64_MAX, &last.n_duplicate) ||
		!jsontext_get_int(o, "quarantined", 0, INT64_MAX, &last.n_quarantined)) {
		return false;
	}
	last.status = status;
	last.error = error;
	state_keep_sync(counts, &last);
	return true;
}

static bool read_counts(const json_t *o, struct state_counts *counts)
{
	return jsontext_get_count(o, "syncs", &counts->n_syncs) &&
		jsontext_get_count(o, "failures", &counts->n_failures) &&
		jsontext_get_int(o, "last_success_us", 0, INT64_MAX, &counts->last_success_us) &&
		jsontext_get_int(o, "last_failure_us", 0, INT64_MAX, &counts->last_failure_us) &&
		read_sync(json_object_get(o, "last"), counts);
}

static bool read_breaker(const json_t *o, struct breaker_state *breaker)
{
	static const enum breaker_phase phases[] = {BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING};
	char phase[STATE_STATUS_BYTES];

	if (!jsontext_get_text(o, "phase", phase, sizeof(phase)) ||
		!jsontext_get_unsigned(o, "failures", &breaker->n_failures) ||
		!jsontext_get_int(o, "opened_us", 0, INT64_MAX, &breaker->opened_us)) {
		return false;
	}
	for (size_t i = 0; i < N_ELEMENTS(phases); i++) {
		if (strcmp(phase, breaker_phase_name(phases[i])) == 0) {
			breaker->phase = phases[i];
			return true;
		}
	}
	return false;
}

static bool read_rows(const json_t *o, struct row_counts *rows)
{
	return jsontext_get_count(o, "received", &rows->received) &&
		jsontext_get_count(o, "inserted", &rows->inserted) &&
		jsontext_get_count(o, "updated", &rows->updated) &&
		jsontext_get_count(o, "unchanged", &rows->unchanged) &&
		jsontext_get_count(o, "duplicate", &rows->duplicate) &&
		jsontext_get_count(o, "quarantined", &rows->quarantined);
}

static bool read_day(const json_t *o, int32_t *ret)
{
	int64_t day = STATUS_NO_DAY;

	if (!json_is_null(json_object_get(o, "newest_day")) &&
		!jsontext_get_int(o, "newest_day", INT32_MIN + 1, INT32_MAX, &day)) {
		return false;
	}
	*ret = (int32_t)day;
	return true;
}

/* A state of an earlier version has none. */
static bool read_tally(const json_t *o, struct source_counts *tally)
{
	const json_t *runs = json_object_get(o, "runs");

	if (!o) {
		return true;
	}
	for (int state = RUN_SUCCESS; state < N_RUN_STATES; state++) {
		if (!jsontext_get_count(runs, run_state_name((enum run_state)state),
			    &tally->runs[state])) {
			return false;
		}
	}
	return jsontext_get_unsigned(o, "unsuccessful", &tally->n_unsuccessful) &&
		read_rows(json_object_get(o, "rows"), &tally->rows) &&
		jsontext_get_int(o, "attempt_us", 0, INT64_MAX, &tally->attempt_us) &&
		jsontext_get_int(o, "new_data_us", 0, INT64_MAX, &tally->new_data_us) &&
		read_day(o, &tally->newest_day);
}

/* It came later than the rest. */
static bool read_paused(const json_t *o, bool *ret)
{
	const json_t *paused = json_object_get(o, "paused");

	*ret = json_is_true(paused);
	return !paused || json_is_boolean(paused);
}

static bool read_source(const json_t *o, struct state_doc *doc)
{
	const char *dataset = json_string_value(json_object_get(o, "dataset"));
	const char *name = json_string_value(json_object_get(o, "source"));
	struct state_source *source;

	if (!dataset || !name) {
		return false;
	}
	source = find_source(doc, dataset, name);
	if (!source) {
		return true; /* it was configured once */
	}
	return jsontext_get_int(o, "tick_us", 0, INT64_MAX, &source->mark.tick_us) &&
		jsontext_get_int(o, "attempt_us", 0, INT64_MAX, &source->mark.attempt_us) &&
		jsontext_get_int(o, "retry_us", 0, INT64_MAX, &source->mark.retry_us) &&
		(!json_object_get(o, "since_us") || /* it came later */
			jsontext_get_int(o, "since_us", 0, INT64_MAX, &source->mark.since_us)) &&
		jsontext_get_unsigned(o, "retries", &source->mark.n_failed) &&
		read_paused(o, &source->mark.paused) &&
		read_counts(json_object_get(o, "counts"), &source->counts) &&
		read_tally(json_object_get(o, "tally"), &source->tally);
}

static bool read_dataset(const json_t *o, struct state_doc *doc)
{
	const char *name = json_string_value(json_object_get(o, "dataset"));
	int32_t day;

	if (!name || !read_day(o, &day)) {
		return false;
	}
	for (unsigned i = 0; i < doc->n_datasets; i++) {
		if (strcmp(doc->datasets[i].name, name) == 0) {
			doc->datasets[i].newest_day = day;
		}
	}
	return true;
}

static bool read_list(
	const json_t *list, bool (*read)(const json_t *, struct state_doc *), struct state_doc *doc)
{
	const json_t *o;
	size_t i;

	if (!json_is_array(list)) {
		return false;
	}
	json_array_foreach(list, i, o)
	{
		if (!read(o, doc)) {
			return false;
		}
	}
	return true;
}

static const char *read_doc(const json_t *o, struct state_doc *doc)
{
	int64_t version;

	if (!o) {
		return "it is not as it was written";
	}
	if (!jsontext_get_int(o, "version", 0, INT64_MAX, &version) || version != STATE_VERSION) {
		return "its version is not known";
	}
	if (!jsontext_get_int(o, "last_run", 0, INT64_MAX, &doc->last_run) ||
		!read_paused(o, &doc->paused) ||
		!read_breaker(json_object_get(o, "breaker"), &doc->breaker) ||
		!read_counts(json_object_get(o, "counts"), &doc->counts) ||
		!read_list(json_object_get(o, "datasets"), read_dataset, doc) ||
		!read_list(json_object_get(o, "sources"), read_source, doc)) {
		return "it lacks a value, or one is malformed";
	}
	return NULL;
}

int state_parse(struct state_doc *doc, const char *text, size_t len, const char **ret_wrong)
{
	size_t n = len > 0 && text[len - 1] == '\n' ? len - 1 : len;
	json_auto_t *o = jsontext_load(text, n);
	const char *wrong;

	make_fresh(doc);
	wrong = read_doc(o, doc);
	if (wrong) {
		make_fresh(doc);
		*ret_wrong = wrong;
		return -EINVAL;
	}
	return 0;
}
