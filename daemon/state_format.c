/*
 * What state.json holds, as a struct and as text. SPDX-License-Identifier: Apache-2.0
 *
 * Written as one line of JSON; state_parse.c reads it.
 */

#include "daemon/state_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/jsontext.h"

void state_doc_clear(struct state_doc *doc)
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
	alerts_clear(&doc->alerts);
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
	if (!doc->sources || !doc->datasets || alerts_init(&doc->alerts, config) < 0) {
		state_doc_fini(doc);
		return -ENOMEM;
	}
	name_entries(doc, config);
	state_doc_clear(doc);
	return 0;
}

void state_doc_fini(struct state_doc *doc)
{
	free(doc->sources);
	free(doc->datasets);
	alerts_fini(&doc->alerts);
	*doc = (struct state_doc){.last_run = 0};
}

struct state_source *state_doc_find(struct state_doc *doc, const char *dataset, const char *name)
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
	return state_doc_find(doc, source->dataset->name, source->name);
}

void state_keep_sync(struct state_counts *counts, const struct status_sync *last)
{
	snprintf(counts->status, sizeof(counts->status), "%s", last->status ? last->status : "");
	snprintf(counts->error, sizeof(counts->error), "%s", last->error ? last->error : "");
	counts->last = *last;
	counts->last.status = counts->status[0] ? counts->status : NULL;
	counts->last.error = counts->error[0] ? counts->error : NULL;
}

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
	*r |= json_object_set_new(o, "owed", json_boolean(source->mark.owed));
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

static json_t *alert_to_json(const struct alert *alert, int *r)
{
	json_t *o = json_object(), *told = json_array();

	for (int channel = 0; channel < N_ALERT_CHANNELS; channel++) {
		*r |= json_array_append_new(told, json_boolean(alert->told[channel]));
	}
	*r |= json_object_set_new(o, "alert", json_string(alert_kind_name(alert->kind)));
	*r |= json_object_set_new(o, "dataset",
		jsontext_string(alert->dataset ? alert->dataset : ""));
	*r |= json_object_set_new(o, "source", jsontext_string(alert->source ? alert->source : ""));
	*r |= json_object_set_new(o, "since_us", json_integer(alert->since_us));
	*r |= json_object_set_new(o, "firing", json_boolean(alert->firing));
	*r |= json_object_set_new(o, "told", told);
	*r |= json_object_set_new(o, "text", jsontext_string(alert->text));
	return o;
}

/* Those that are as at the beginning need no words. */
static json_t *alerts_to_json(const struct alerts *alerts, int *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < alerts->n; i++) {
		const struct alert *alert = &alerts->list[i];

		if (alert->since_us != 0 || alert->firing || alert->told[ALERT_WEBHOOK] ||
			alert->told[ALERT_NOTIFY]) {
			*r |= json_array_append_new(list, alert_to_json(alert, r));
		}
	}
	return list;
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
	r |= json_object_set_new(o, "alerts", alerts_to_json(&doc->alerts, &r));
	line = jsontext_dump(o, r);
	return line && asprintf(&text, "%s\n", line) >= 0 ? text : NULL;
}
