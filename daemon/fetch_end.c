/*
 * How a fetch ends, and what is told on the way. SPDX-License-Identifier: Apache-2.0
 *
 * The first to call one of the fetch_end_*, fetch_fail() and fetch_give_up() decides the outcome.
 * From then on the fetch is ENDING: requests still in flight are dropped, then the timer is closed,
 * and its close callback hands over the result. So on_done never comes from inside a call of the
 * user's.
 */

#include <stdio.h>
#include <string.h>

#include "daemon/fetch_private.h"

/* ---- what others are told ---- */

uint64_t fetch_pages_left(const struct fetch *fetch)
{
	uint64_t rows = fetch->result.key_limited ? LIMITED_ROWS : fetch->page_size;
	int64_t left = proof_total(fetch->proof) - (int64_t)proof_offset(fetch->proof);

	return left > 0 ? ((uint64_t)left + rows - 1) / rows : 0;
}

static int64_t pages_in_all(const struct fetch *fetch)
{
	if (proof_total(fetch->proof) < 0) {
		return -1;
	}
	return fetch->pass_pages + (int64_t)fetch_pages_left(fetch);
}

void fetch_tell(struct fetch *fetch)
{
	struct fetch_progress progress = {
		.page = fetch->pass_pages,
		.pages = pages_in_all(fetch),
		.rows = proof_offset(fetch->proof),
		.total = proof_total(fetch->proof),
		.pass = proof_pass(fetch->proof),
		.waiting = fetch->waiting,
		.until_ms = fetch->until_ms,
		.n_failures = fetch->n_failures,
		.trouble = error_is_set(&fetch->trouble) ? &fetch->trouble : NULL,
		.sort_ignored = fetch->result.sort_ignored,
		.key_limited = fetch->result.key_limited,
		.resumed = fetch->n_resumed,
	};

	if (fetch->request.on_progress) {
		fetch->request.on_progress(fetch->request.arg, &progress);
	}
}

/* ---- how it ends ---- */

void fetch_drop_asks(struct fetch *fetch)
{
	while (!TAILQ_EMPTY(&fetch->asks)) {
		ask_drop(TAILQ_FIRST(&fetch->asks));
	}
}

static void set_outcome(
	struct fetch *fetch, enum slice_state state, const char *reason, const char *text)
{
	struct spool_outcome *outcome = &fetch->result.outcome;

	outcome->state = state;
	snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
	snprintf(outcome->text, sizeof(outcome->text), "%s", text);
}

/* Too many bad rows spoil what would be loaded. The next slice may be better: no reason to stop. */
static void judge_rejected(struct fetch *fetch)
{
	const struct dataset *dataset = fetch->request.source->dataset;
	struct spool_outcome *outcome = &fetch->result.outcome;
	struct error error = {0};

	if ((outcome->state != SLICE_PROVEN && outcome->state != SLICE_PARTIAL) ||
		fetch->rejected * 1000000 <= fetch->rows * dataset->quarantine_limit_ppm) {
		return;
	}
	error_set(&error, ERROR_REJECTED, "fetch", "too_many_bad_rows",
		"%llu of %llu rows cannot be read, more than %g %%; the first: %s",
		(unsigned long long)fetch->rejected, (unsigned long long)fetch->rows,
		dataset->quarantine_limit_ppm / 1e4, fetch->first_reject);
	set_outcome(fetch, SLICE_FAILED, error.code, error.text);
	fetch->result.replayable = true;
}

void fetch_free(struct fetch *fetch)
{
	spool_reader_free(fetch->reader);
	receiver_free(fetch->receiver);
	proof_free(fetch->proof);
	filter_list_fini(&fetch->filters);
	valueset_fini(&fetch->values);
	free(fetch);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct fetch *fetch = container_of((uv_timer_t *)handle, struct fetch, timer);
	struct fetch_result *result = &fetch->result;

	receiver_abort(fetch->receiver);
	judge_rejected(fetch);
	result->outcome.expected = proof_total(fetch->proof);
	result->outcome.received = fetch->rows;
	result->outcome.distinct = proof_distinct(fetch->proof);
	result->outcome.quarantined = fetch->rejected;
	result->outcome.pages = fetch->pages;
	result->outcome.passes = proof_pass(fetch->proof);
	result->outcome.updated = fetch->updated;
	result->outcome.finished_us = clock_wall_us(portal_clock(fetch->request.portal));
	result->writer = fetch->writer;
	result->values = &fetch->values;
	fetch->request.on_done(fetch->request.arg, result);
	fetch_free(fetch);
}

static void close_when_empty(struct fetch *fetch)
{
	if (fetch->state == FETCH_ENDING && fetch->n_asks == 0 &&
		!uv_is_closing((uv_handle_t *)&fetch->timer)) {
		uv_close((uv_handle_t *)&fetch->timer, on_timer_closed);
	}
}

/* Whoever comes first decides. `error` is NULL when the portal was asked to the end. */
static void end(struct fetch *fetch, enum slice_state state, const char *reason, const char *text,
	const struct error *error)
{
	if (fetch->state == FETCH_ENDING) {
		return;
	}
	fetch->state = FETCH_ENDING;
	fetch->until_ms = clock_mono_ms(portal_clock(fetch->request.portal));
	set_outcome(fetch, state, reason, text);
	if (error) {
		fetch->result.error = *error;
	}
	uv_timer_stop(&fetch->timer);
	fetch_drop_asks(fetch);
	close_when_empty(fetch);
}

void fetch_ask_gone(struct fetch *fetch)
{
	fetch->n_asks--;
	close_when_empty(fetch);
}

/* ---- the ways to end ---- */

void fetch_end_proven(struct fetch *fetch)
{
	end(fetch, SLICE_PROVEN, "", "", NULL);
}

void fetch_end_short(struct fetch *fetch)
{
	char text[SPOOL_TEXT_BYTES];

	snprintf(text, sizeof(text), "%llu of %lld rows came in %u passes",
		(unsigned long long)proof_matched(fetch->proof),
		(long long)proof_total(fetch->proof), proof_pass(fetch->proof));
	end(fetch, SLICE_PARTIAL, "incomplete", text, NULL);
}

void fetch_end_nothing(struct fetch *fetch)
{
	end(fetch, SLICE_SUSPECT, "nothing", "the portal answered 200 with total 0", NULL);
}

void fetch_fail(struct fetch *fetch, bool replayable, const struct error *error)
{
	bool ended = fetch->state == FETCH_ENDING;

	fetch->result.replayable =
		ended ? fetch->result.replayable : replayable && fetch->pages > 0;
	end(fetch, SLICE_FAILED, error->code, error->text, error);
}

void fetch_give_up(struct fetch *fetch, const struct error *error)
{
	struct error said = *error;

	if (fetch->result.key_limited && error->class == ERROR_RETRY) {
		error_prefix(&said, "key is limited to %d rows a call", LIMITED_ROWS);
		snprintf(said.code, sizeof(said.code), "key_limited");
	}
	if (fetch->rows == 0) {
		fetch_fail(fetch, false, &said);
	} else {
		end(fetch, SLICE_PARTIAL, said.code, said.text, &said);
	}
}

void fetch_give_up_limited(struct fetch *fetch)
{
	struct error error = {0};

	error_set(&error, ERROR_REJECTED, "fetch", "key_limited",
		"key is limited to %d rows a call: %llu of %lld rows came", LIMITED_ROWS,
		(unsigned long long)proof_offset(fetch->proof),
		(long long)proof_total(fetch->proof));
	fetch_give_up(fetch, &error);
}

void fetch_cancel(struct fetch *fetch)
{
	struct error error = {0};

	error_set(&error, ERROR_CANCELED, "fetch", "canceled", "the fetch was canceled");
	fetch_give_up(fetch, &error);
}
