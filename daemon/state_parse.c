/*
 * Reading what state_format.c wrote. SPDX-License-Identifier: Apache-2.0
 *
 * All or nothing: a file that is not whole is worth less than none, for half of it would be taken for
 * the truth. What an earlier version did not write yet is as at the beginning.
 */

#include "daemon/state_format.h"

#include <errno.h>
#include <string.h>

#include "daemon/jsontext.h"

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
	source = state_doc_find(doc, dataset, name);
	if (!source) {
		return true; /* it was configured once */
	}
	source->mark.owed = json_is_true(json_object_get(o, "owed"));
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

static bool read_told(const json_t *told, struct alert *alert)
{
	for (int channel = 0; channel < N_ALERT_CHANNELS; channel++) {
		const json_t *value = json_array_get(told, (size_t)channel);

		if (!json_is_boolean(value)) {
			return false;
		}
		alert->told[channel] = json_is_true(value);
	}
	return true;
}

static struct alert *find_alert(struct alerts *alerts, const char *kind, const char *dataset,
	const char *source)
{
	for (int k = 0; k < N_ALERT_KINDS; k++) {
		if (strcmp(alert_kind_name((enum alert_kind)k), kind) == 0) {
			return alerts_find(alerts, (enum alert_kind)k, dataset[0] ? dataset : NULL,
				source[0] ? source : NULL);
		}
	}
	return NULL;
}

static bool read_alert(const json_t *o, struct state_doc *doc)
{
	const char *kind = json_string_value(json_object_get(o, "alert"));
	const char *dataset = json_string_value(json_object_get(o, "dataset"));
	const char *source = json_string_value(json_object_get(o, "source"));
	const json_t *firing = json_object_get(o, "firing");
	struct alert *alert;

	if (!kind || !dataset || !source || !json_is_boolean(firing)) {
		return false;
	}
	alert = find_alert(&doc->alerts, kind, dataset, source);
	if (!alert) {
		return true; /* it was configured once */
	}
	alert->firing = json_is_true(firing);
	return jsontext_get_int(o, "since_us", 0, INT64_MAX, &alert->since_us) &&
		jsontext_get_text(o, "text", alert->text, sizeof(alert->text)) &&
		read_told(json_object_get(o, "told"), alert);
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
	const json_t *alerts = json_object_get(o, "alerts"); /* an earlier version had none */
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
		!read_list(json_object_get(o, "sources"), read_source, doc) ||
		(alerts && !read_list(alerts, read_alert, doc))) {
		return "it lacks a value, or one is malformed";
	}
	return NULL;
}

int state_parse(struct state_doc *doc, const char *text, size_t len, const char **ret_wrong)
{
	size_t n = len > 0 && text[len - 1] == '\n' ? len - 1 : len;
	json_auto_t *o = jsontext_load(text, n);
	const char *wrong;

	state_doc_clear(doc);
	wrong = read_doc(o, doc);
	if (wrong) {
		state_doc_clear(doc);
		*ret_wrong = wrong;
		return -EINVAL;
	}
	return 0;
}
