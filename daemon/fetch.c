/*
 * A slice -> pages in the spool. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: fetch_look() finds that a request may be sent and sends it; its body streams
 * through the receiver into the spool and the proof (fetch_ask.c); fetch_settle() judges the
 * answer, and fetch_step() does what the proof says: another page, another pass, or the end. The
 * offset goes on by rows received, never by those asked for.
 *
 *	            timer             sent              answered                over
 *	WAITING ------------> look ----------> ASKING -----------> settle -----------> ENDING
 *	   ^                   | ^                                  | |                  |
 *	   |--- not yet -------' '------------ more is due ---------' |                  v
 *	   '------------------ a pause before the next try -----------'               on_done
 *
 * Failure modes:
 *  - The answer is worth another try (verdict.c): its page is cut out of the spool, its identities
 *    are dropped, and after a pause the same page is asked for again (fetch_retry.c); `attempts`
 *    times in a row, within the run's retry budget. A page that may have been too large is asked
 *    for in halves.
 *  - It is not: 403 takes the next key, anything else ends the fetch.
 *  - The spool is full: nothing is lost by waiting, so that is what happens, without an end.
 *  - The portal ignores a filter, lacks a field of the dataset, or serves too many rows that
 *    cannot be read: the slice fails, whatever the proof says.
 *  - A key that is limited to 10 rows a call: the slice goes on if the pages that are left can come
 *    within the retry budget at requests_per_minute, counted from the begin of the slice; so half
 *    an hour at most by default, which is 18,000 rows. Else it ends at once as partial: a hundred
 *    calls that cannot prove anything would only use up the key.
 *
 * What was received so far is never thrown away: the outcome is PARTIAL if there is a row.
 */

#include "daemon/fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/fetch_private.h"
#include "daemon/verdict.h"

enum {
	EMPTY_TRIES = 5, /* PORTAL 4.2 */
	RESTARTS = 2,
	SLACK_MS = 5000, /* for the watchdog, beyond our own deadlines */
};

static void ask_ahead(struct fetch *fetch);
static void judge(struct fetch *fetch, struct ask *ask, const struct answer *answer);

static const struct config_portal *config_of(const struct fetch *fetch)
{
	return portal_config(fetch->request.portal);
}

static uint64_t now_ms(const struct fetch *fetch)
{
	return clock_mono_ms(portal_clock(fetch->request.portal));
}

/* ---- waiting ---- */

static void on_time(uv_timer_t *timer)
{
	struct fetch *fetch = container_of(timer, struct fetch, timer);

	switch (fetch->state) {
	case FETCH_RESUMING:
		fetch_resume(fetch);
		break;
	case FETCH_WAITING:
		fetch_look(fetch);
		break;
	case FETCH_ASKING:
		ask_ahead(fetch);
		break;
	case FETCH_ENDING:
		break;
	}
}

void fetch_next_turn(struct fetch *fetch)
{
	fetch->until_ms = now_ms(fetch);
	uv_timer_start(&fetch->timer, on_time, 0, 0);
}

static void wait_for(struct fetch *fetch, uint64_t ms, const char *why)
{
	fetch->state = FETCH_WAITING;
	fetch->waiting = why;
	fetch->until_ms = now_ms(fetch) + ms;
	uv_update_time(fetch->timer.loop);
	uv_timer_start(&fetch->timer, on_time, ms, 0);
	fetch_tell(fetch);
}

/* A pause that we gave ourselves is over; else the timer runs. */
static bool has_paused(struct fetch *fetch)
{
	uint64_t now = now_ms(fetch);

	if (fetch->not_before_ms > now) {
		wait_for(fetch, fetch->not_before_ms - now, fetch->waiting);
		return false;
	}
	return true;
}

/* The portal lets a request through; else the timer runs, or it is over. */
static bool may_send(struct fetch *fetch)
{
	enum portal_wait why;
	uint64_t ms;

	ms = portal_try(fetch->request.portal, &why);
	if (ms == 0) {
		return true;
	}
	if (why != PORTAL_PACED && !fetch_pay(fetch, ms)) {
		fetch_give_up_waiting(fetch, why, ms);
	} else {
		wait_for(fetch, ms, portal_wait_name(why));
	}
	return false;
}

/* ---- asking ---- */

static bool can_finish(const struct fetch *fetch)
{
	const struct config_portal *config = config_of(fetch);
	uint64_t ms = now_ms(fetch) - fetch->started_ms;

	if (config->requests_per_minute == 0) {
		return true;
	}
	ms += fetch_pages_left(fetch) * 60000 / config->requests_per_minute;
	return ms <= config->retry_budget_ms;
}

static void no_key(struct fetch *fetch)
{
	struct error error = fetch->trouble;

	if (!error_is_set(&error)) {
		/* The fetch before this one was told why. */
		error_set(&error, ERROR_REJECTED, "fetch", "key_refused",
			"the portal refused every API key in this run");
	}
	if (config_of(fetch)->n_api_keys == 0) {
		error_clear(&error);
		error_set(&error, ERROR_REJECTED, "fetch", "key_missing",
			"no API key is configured (portal.api_key)");
	}
	fetch_give_up(fetch, &error);
}

static bool open_writer(struct fetch *fetch)
{
	struct error error = {0};

	if (fetch->writer) {
		return true;
	}
	if (spool_create(fetch->request.spool, &fetch->header, &fetch->writer, &error) < 0) {
		fetch_wait_for_disk(fetch, &error);
		fetch_look(fetch);
		return false;
	}
	return true;
}

/* It is being received from now on. */
static void receive_first(struct fetch *fetch)
{
	fetch->state = FETCH_ASKING;
	fetch->waiting = "";
	fetch->until_ms = now_ms(fetch) + config_of(fetch)->request_timeout_ms;
	uv_timer_stop(&fetch->timer);
	ask_ahead(fetch);
	fetch_tell(fetch);
}

static void send_first(struct fetch *fetch, int key)
{
	struct error error = {0};

	if (ask_start(fetch, proof_offset(fetch->proof), key, &error) == 0) {
		receive_first(fetch);
		return;
	}
	judge(fetch, NULL, &(struct answer){.transport = &error, .message = ""});
	fetch_look(fetch);
}

/* The offset behind all that is being asked for, if rows are due there. */
static bool is_more_due(const struct fetch *fetch, uint64_t *ret_offset)
{
	const struct ask *last = TAILQ_LAST(&fetch->asks, ask_list);

	*ret_offset = last->offset + last->limit;
	return (int64_t)*ret_offset < proof_total(fetch->proof);
}

/*
 * Up to `parallel` pages at a time. What is asked ahead may turn out wrong (the page before it was
 * short, or failed); then it is dropped. So it is done only behind a full page, and never waits.
 */
static void ask_ahead(struct fetch *fetch)
{
	struct portal *portal = fetch->request.portal;
	struct error error = {0};
	enum portal_wait why;
	uint64_t offset, ms;

	while (fetch->goes_on && fetch->n_asks < config_of(fetch)->parallel &&
		is_more_due(fetch, &offset)) {
		ms = portal_try(portal, &why);
		if (ms > 0 && why == PORTAL_PACED) {
			uv_timer_start(&fetch->timer, on_time, ms, 0);
		}
		if (ms > 0) {
			return;
		}
		if (ask_start(fetch, offset, portal_key(portal), &error) < 0) {
			portal_abandoned(portal);
			return;
		}
	}
}

void fetch_look(struct fetch *fetch)
{
	int key = portal_key(fetch->request.portal);

	if (fetch->state == FETCH_ENDING) {
		return;
	}
	assert(TAILQ_EMPTY(&fetch->asks));
	if (key < 0) {
		no_key(fetch);
	} else if (fetch->result.key_limited && !can_finish(fetch)) {
		fetch_give_up_limited(fetch);
	} else if (has_paused(fetch) && open_writer(fetch) && may_send(fetch)) {
		send_first(fetch, key);
	}
}

/* ---- answers ---- */

static void learn_page_size(struct fetch *fetch)
{
	if (fetch->page_size < portal_page_size(fetch->request.portal, fetch->request.source)) {
		portal_learn_page_size(
			fetch->request.portal, fetch->request.source, fetch->page_size);
	}
}

static void detect_limit(struct fetch *fetch, const struct ask *ask, uint64_t rows)
{
	bool more = (int64_t)proof_offset(fetch->proof) < proof_total(fetch->proof);

	if (ask->limit <= LIMITED_ROWS || rows != LIMITED_ROWS) {
		fetch->n_limited = more ? 0 : fetch->n_limited;
	} else if (more) {
		fetch->n_limited++;
	}
	fetch->result.key_limited = fetch->n_limited >= LIMITED_ANSWERS;
}

void fetch_forget_pages(struct fetch *fetch)
{
	struct error error = {0};

	fetch->rows = fetch->rejected = 0;
	fetch->pages = fetch->pass_pages = 0;
	fetch->first_reject[0] = '\0';
	valueset_clear(&fetch->values);
	if (spool_restart(fetch->writer, &error) < 0) {
		fetch_give_up(fetch, &error);
	}
}

void fetch_step(struct fetch *fetch, enum proof_step step)
{
	if (step != PROOF_EMPTY) {
		fetch->n_empty = 0;
	}
	switch (step) {
	case PROOF_PAGE:
		break;
	case PROOF_EMPTY:
		fetch_pause_empty(fetch);
		break;
	case PROOF_NEXT_PASS:
		fetch->pass_pages = 0;
		break;
	case PROOF_RESTART:
		fetch_forget_pages(fetch);
		break;
	case PROOF_PROVEN:
		fetch_end_proven(fetch);
		break;
	case PROOF_NOTHING:
		fetch_end_nothing(fetch);
		break;
	case PROOF_SHORT:
		fetch_end_short(fetch);
		break;
	}
}

static void fail_for_drift(struct fetch *fetch, int column)
{
	const struct source *source = fetch->request.source;
	const struct source_field *field = &source->fields[column];
	_cleanup_buffer_ struct buffer names = {0};
	struct error error = {0};

	for (unsigned i = 0; i < field->n_names; i++) {
		buffer_printf(&names, "%s%s", i ? ", " : "", field->names[i]);
	}
	error_set(&error, ERROR_REJECTED, "fetch", "schema_drift",
		"no record of the page has column %s; names tried: %s",
		source->dataset->columns[column].name, buffer_str(&names));
	fetch_fail(fetch, true, &error);
}

void fetch_count_page(struct fetch *fetch, const struct received *page)
{
	if (page->rows > 0) {
		fetch->pages++;
		fetch->pass_pages++;
	}
	fetch->rows += page->rows;
	fetch->rejected += page->rejected;
	if (page->rejected > 0 && !fetch->first_reject[0]) {
		memcpy(fetch->first_reject, page->first_reject, sizeof(fetch->first_reject));
	}
	if (page->envelope.has_updated) {
		fetch->updated = page->envelope.updated;
	}
	fetch->result.sort_ignored |= page->unsorted;
}

/* Once for each request that was sent: see portal_try(). */
static void report_host(struct fetch *fetch, struct ask *ask, enum verdict_host host,
	enum answer_kind kind)
{
	if (ask) {
		ask->reported = true;
	}
	portal_counters(fetch->request.portal)->requests[kind]++;
	switch (host) {
	case HOST_WELL:
		portal_heard(fetch->request.portal, false);
		break;
	case HOST_TROUBLE:
		portal_heard(fetch->request.portal, true);
		break;
	case HOST_UNKNOWN:
		portal_abandoned(fetch->request.portal);
		break;
	}
}

static void take_page(struct fetch *fetch, struct ask *ask)
{
	const struct received *page = receiver_page(fetch->receiver);
	enum proof_step step;

	if (fetch->must_match && !fetch_is_same(fetch, page)) {
		report_host(fetch, ask, HOST_WELL, ANSWER_OK);
		fetch_start_afresh(fetch);
		return;
	}
	fetch->must_match = false;
	if (receiver_keep(fetch->receiver, clock_wall_us(portal_clock(fetch->request.portal))) <
		0) {
		fetch_wait_for_disk(fetch, receiver_disk(fetch->receiver));
		return;
	}
	report_host(fetch, ask, HOST_WELL, ANSWER_OK);
	fetch->n_failures = fetch->n_like_last = 0;
	error_clear(&fetch->trouble);
	fetch_count_page(fetch, page);
	if (page->drift >= 0) {
		fail_for_drift(fetch, page->drift);
		return;
	}
	learn_page_size(fetch);
	step = proof_end_answer(fetch->proof, page->envelope.total,
		page->envelope.has_updated ? page->envelope.updated : 0);
	detect_limit(fetch, ask, page->rows);
	fetch->goes_on = step == PROOF_PAGE && page->rows == ask->limit;
	fetch_step(fetch, step);
}

static void judge(struct fetch *fetch, struct ask *ask, const struct answer *answer)
{
	struct verdict verdict = verdict_of(answer);

	if (verdict.action == VERDICT_ACCEPT) {
		take_page(fetch, ask);
		return;
	}
	receiver_abort(fetch->receiver);
	report_host(fetch, ask, verdict.host, answer_kind_of(answer));
	switch (verdict.action) {
	case VERDICT_RETRY:
	case VERDICT_HOLD:
		fetch_retry(fetch, ask, &verdict);
		break;
	case VERDICT_NEXT_KEY:
		fetch_next_key(fetch, ask, &verdict);
		break;
	case VERDICT_ACCEPT:
	case VERDICT_REJECT:
	case VERDICT_CANCEL:
		if (strcmp(verdict.error.code, "filter_ignored") == 0) {
			fetch_fail(fetch, false, &verdict.error);
		} else {
			fetch_give_up(fetch, &verdict.error);
		}
		break;
	}
}

/* The one behind it was asked for ahead, and rightly so. */
static bool next_is_due(const struct fetch *fetch)
{
	const struct ask *next = TAILQ_FIRST(&fetch->asks);

	return fetch->goes_on && next && next->offset == proof_offset(fetch->proof);
}

static void settle_first(struct fetch *fetch)
{
	struct ask *ask = ask_take_first(fetch);
	struct answer answer = {.status = ask->response.status};
	const struct error *disk;

	fetch->goes_on = false;
	if (ask_begin(ask) == 0 && !error_is_set(&ask->error)) {
		(void)!receiver_finish(fetch->receiver);
	}
	disk = receiver_disk(fetch->receiver);
	if (disk) {
		fetch_wait_for_disk(fetch, disk);
	} else {
		answer.transport = error_is_set(&ask->error) ? &ask->error : NULL;
		answer.content = receiver_content(fetch->receiver);
		answer.message = receiver_message(fetch->receiver);
		judge(fetch, ask, &answer);
	}
	ask_free(ask);
}

void fetch_settle(struct fetch *fetch)
{
	settle_first(fetch);
	while (next_is_due(fetch) && !TAILQ_FIRST(&fetch->asks)->transfer) {
		settle_first(fetch);
	}
	if (fetch->state == FETCH_ENDING) {
		return;
	}
	if (next_is_due(fetch)) {
		http_resume(TAILQ_FIRST(&fetch->asks)->transfer);
		receive_first(fetch);
	} else {
		fetch_drop_asks(fetch);
		fetch_look(fetch);
	}
}

/* ---- begin ---- */

uint64_t fetch_deadline_ms(const struct fetch *fetch)
{
	return fetch->until_ms + SLACK_MS;
}

static int set_up(struct fetch *fetch)
{
	const struct fetch_request *request = &fetch->request;
	struct receiver_options options;
	int r;

	r = filter_list_init(
		&fetch->filters, request->source, request->header->day, request->split_value);
	if (r == 0) {
		r = proof_new(&(struct proof_options){.passes = config_of(fetch)->passes,
				      .restarts = RESTARTS,
				      .empty_tries = EMPTY_TRIES},
			&fetch->proof);
	}
	if (r < 0) {
		return r;
	}
	options = (struct receiver_options){
		.source = request->source,
		.filters = &fetch->filters,
		.proof = fetch->proof,
		.values = &fetch->values,
	};
	return receiver_new(&options, &fetch->receiver);
}

int fetch_start(const struct fetch_request *request, struct fetch **ret)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	int r;

	if (!fetch) {
		return -ENOMEM;
	}
	fetch->request = *request;
	fetch->header = *request->header;
	TAILQ_INIT(&fetch->asks);
	r = set_up(fetch);
	if (r < 0) {
		fetch_free(fetch);
		return r;
	}
	fetch->page_size = portal_page_size(request->portal, request->source);
	fetch->started_ms = now_ms(fetch);
	fetch->waiting = "";
	fetch->reader = request->take_reader;
	fetch->state = fetch->reader ? FETCH_RESUMING : FETCH_WAITING;
	uv_timer_init(portal_loop(request->portal), &fetch->timer);
	fetch_next_turn(fetch);
	*ret = fetch;
	return 0;
}
