/*
 * Alerts: what needs a person. SPDX-License-Identifier: Apache-2.0
 *
 * Two of them wait before they fire, for the portal and the database are often away for minutes, and
 * come back by themselves. The spool's has two marks, so that a file more or less is no message.
 */

#include "daemon/alert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/civil.h"

enum { MINUTE_US = 60 * 1000 * 1000, SPOOL_FULL_PERCENT = 90, SPOOL_ROOM_PERCENT = 80 };

const char *alert_kind_name(enum alert_kind kind)
{
	switch (kind) {
	case ALERT_FAILING:
		return "failing";
	case ALERT_SUSPECT:
		return "suspect";
	case ALERT_QUARANTINE:
		return "quarantine";
	case ALERT_STALE:
		return "stale";
	case ALERT_KEY_REFUSED:
		return "key_refused";
	case ALERT_PORTAL_DOWN:
		return "portal_down";
	case ALERT_SPOOL_FULL:
		return "spool_full";
	case ALERT_DATABASE_DOWN:
		return "database_down";
	}
	return "unknown";
}

const char *alert_channel_name(enum alert_channel channel)
{
	switch (channel) {
	case ALERT_WEBHOOK:
		return "webhook";
	case ALERT_NOTIFY:
		return "notify";
	}
	return "unknown";
}

/* How long a condition holds before somebody is called. */
static int64_t hold_us(enum alert_kind kind)
{
	switch (kind) {
	case ALERT_PORTAL_DOWN:
		return (int64_t)30 * MINUTE_US;
	case ALERT_DATABASE_DOWN:
		return (int64_t)10 * MINUTE_US;
	case ALERT_FAILING:
	case ALERT_SUSPECT:
	case ALERT_QUARANTINE:
	case ALERT_STALE:
	case ALERT_KEY_REFUSED:
	case ALERT_SPOOL_FULL:
		return 0;
	}
	return 0;
}

/* ---- all of them ---- */

static void add(struct alerts *alerts, enum alert_kind kind, const char *dataset, const char *source)
{
	alerts->list[alerts->n++] =
		(struct alert){.kind = kind, .dataset = dataset, .source = source};
}

static void add_dataset(struct alerts *alerts, const struct dataset *dataset)
{
	for (unsigned s = 0; s < dataset->n_sources; s++) {
		for (int kind = ALERT_FAILING; kind <= ALERT_QUARANTINE; kind++) {
			add(alerts, (enum alert_kind)kind, dataset->name, dataset->sources[s].name);
		}
	}
	add(alerts, ALERT_STALE, dataset->name, NULL);
}

int alerts_init(struct alerts *alerts, const struct config *config)
{
	unsigned n = N_ALERT_KINDS;

	for (unsigned d = 0; d < config->n_datasets; d++) {
		n += 3 * config->datasets[d]->n_sources + 1;
	}
	*alerts = (struct alerts){.list = calloc(n, sizeof(*alerts->list))};
	if (!alerts->list) {
		return -ENOMEM;
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		add_dataset(alerts, config->datasets[d]);
	}
	for (int kind = ALERT_KEY_REFUSED; kind < N_ALERT_KINDS; kind++) {
		add(alerts, (enum alert_kind)kind, NULL, NULL);
	}
	return 0;
}

void alerts_fini(struct alerts *alerts)
{
	free(alerts->list);
	*alerts = (struct alerts){.n = 0};
}

void alerts_clear(struct alerts *alerts)
{
	for (unsigned i = 0; i < alerts->n; i++) {
		struct alert *alert = &alerts->list[i];

		*alert = (struct alert){
			.kind = alert->kind, .dataset = alert->dataset, .source = alert->source};
	}
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

struct alert *alerts_find(struct alerts *alerts, enum alert_kind kind, const char *dataset,
	const char *source)
{
	for (unsigned i = 0; i < alerts->n; i++) {
		struct alert *alert = &alerts->list[i];

		if (alert->kind == kind && is_same(alert->dataset, dataset) &&
			is_same(alert->source, source)) {
			return alert;
		}
	}
	return NULL;
}

void alerts_copy(struct alerts *to, const struct alerts *from)
{
	memcpy(to->list, from->list, from->n * sizeof(*from->list));
}

void alerts_take_over(struct alerts *to, struct alerts *from)
{
	for (unsigned i = 0; i < to->n; i++) {
		struct alert *alert = &to->list[i];
		const struct alert *known =
			alerts_find(from, alert->kind, alert->dataset, alert->source);
		const char *dataset = alert->dataset, *source = alert->source;

		if (known) {
			*alert = *known;
			alert->dataset = dataset;
			alert->source = source;
		}
	}
}

unsigned alerts_firing(const struct alerts *alerts)
{
	unsigned n = 0;

	for (unsigned i = 0; i < alerts->n; i++) {
		n += alerts->list[i].firing;
	}
	return n;
}

/* ---- one ---- */

/* The first reason is what called somebody; it stays. A clock that was set back begins anew. */
void alert_set(struct alert *alert, bool holds, const char *text, int64_t now_us)
{
	if (!alert) {
		return;
	}
	if (!holds) {
		alert->since_us = 0;
	} else if (alert->since_us == 0 || alert->since_us > now_us) {
		alert->since_us = now_us;
		snprintf(alert->text, sizeof(alert->text), "%s", text);
	}
}

struct alert *alerts_step(struct alerts *alerts, int64_t now_us)
{
	for (unsigned i = 0; i < alerts->n; i++) {
		struct alert *alert = &alerts->list[i];
		bool holds = alert->since_us != 0 &&
			(alert->firing || now_us - alert->since_us >= hold_us(alert->kind));

		if (holds != alert->firing) {
			alert->firing = holds;
			return alert;
		}
	}
	return NULL;
}

struct alert *alerts_untold(struct alerts *alerts, enum alert_channel channel)
{
	for (unsigned i = 0; i < alerts->n; i++) {
		if (alerts->list[i].firing != alerts->list[i].told[channel]) {
			return &alerts->list[i];
		}
	}
	return NULL;
}

/* ---- what happens ---- */

static bool is_refused_key(const char *code)
{
	return strcmp(code, "key_refused") == 0 || strcmp(code, "key_missing") == 0;
}

void alerts_take_run(struct alerts *alerts, const struct alert_run *run, unsigned after_failures,
	int64_t now_us)
{
	char text[ALERT_TEXT_BYTES];

	snprintf(text, sizeof(text), "%u runs in a row were no success; the last: %s",
		run->n_unsuccessful, run->text);
	alert_set(alerts_find(alerts, ALERT_FAILING, run->dataset, run->source),
		run->n_unsuccessful >= after_failures, text, now_us);
	if (run->success || run->suspect) {
		alert_set(alerts_find(alerts, ALERT_SUSPECT, run->dataset, run->source),
			run->suspect, run->text, now_us);
	}
	if (run->success) {
		alert_set(alerts_find(alerts, ALERT_QUARANTINE, run->dataset, run->source), false,
			"", now_us);
	}
	/* What fails otherwise says nothing of the key. */
	if (run->success || run->suspect || is_refused_key(run->code)) {
		alert_set(alerts_find(alerts, ALERT_KEY_REFUSED, NULL, NULL),
			is_refused_key(run->code), run->text, now_us);
	}
}

void alerts_take_bad_rows(struct alerts *alerts, const char *dataset, const char *source,
	const char *text, int64_t now_us)
{
	alert_set(alerts_find(alerts, ALERT_QUARANTINE, dataset, source), true, text, now_us);
}

static void take_spool(struct alerts *alerts, const struct alert_look *look, int64_t now_us)
{
	struct alert *alert = alerts_find(alerts, ALERT_SPOOL_FULL, NULL, NULL);
	unsigned mark = alert->since_us != 0 ? SPOOL_ROOM_PERCENT : SPOOL_FULL_PERCENT;
	bool full = look->limit_bytes > 0 &&
		(double)look->unloaded_bytes >= (double)look->limit_bytes * mark / 100;
	char text[ALERT_TEXT_BYTES];

	snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " bytes of the spool %s",
		look->unloaded_bytes, look->limit_bytes,
		look->spool_refused ? "wait to be loaded; there is no room for another page"
				    : "wait to be loaded");
	alert_set(alert, full || look->spool_refused, text, now_us);
}

void alerts_take_look(struct alerts *alerts, const struct alert_look *look, int64_t now_us)
{
	alert_set(alerts_find(alerts, ALERT_PORTAL_DOWN, NULL, NULL), look->breaker_open,
		"the portal failed too often; it is only probed now and then", now_us);
	alert_set(alerts_find(alerts, ALERT_DATABASE_DOWN, NULL, NULL), !look->database_up,
		look->database_error[0] ? look->database_error : "no connection", now_us);
	take_spool(alerts, look, now_us);
}

void alerts_take_freshness(struct alerts *alerts, const struct dataset *dataset, int32_t newest,
	int64_t now_us)
{
	bool stale = now_us > dataset_fresh_until_us(dataset, newest);
	char text[ALERT_TEXT_BYTES] = "";

	if (stale) {
		struct civil date = civil_from_day(newest);

		snprintf(text, sizeof(text), "the newest data is of %04d-%02d-%02d", date.year,
			date.month, date.day);
	}
	alert_set(alerts_find(alerts, ALERT_STALE, dataset->name, NULL), stale, text, now_us);
}
