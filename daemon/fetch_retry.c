/*
 * What a fetch does when an answer was not taken: pauses, what they cost, when it is too much.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each failure is paid for out of the run's retry budget: the time that the request took, and the
 * pause behind it. A hold of the host that was paid for already is not paid for twice. Waiting for
 * room in the spool costs nothing: that is not the portal's fault, and giving up would not help.
 */

#include <stdio.h>
#include <string.h>

#include "daemon/fetch_private.h"

enum {
	SMALLEST_PAGE = 10,
	FULL_MS = 30 * 1000, /* how often a full spool is looked at */
};

static const struct config_portal *config_of(const struct fetch *fetch)
{
	return portal_config(fetch->request.portal);
}

static uint64_t now_ms(const struct fetch *fetch)
{
	return clock_mono_ms(portal_clock(fetch->request.portal));
}

/* Take a wait that failures cost out of the run's budget; what was paid for before is not again. */
bool fetch_pay(struct fetch *fetch, uint64_t ms)
{
	uint64_t now = now_ms(fetch), until = now + ms;
	uint64_t from = fetch->paid_until_ms > now ? fetch->paid_until_ms : now;

	if (until <= from) {
		return true;
	}
	if (!portal_spend(fetch->request.portal, until - from)) {
		return false;
	}
	fetch->paid_until_ms = until;
	return true;
}

static void pause_until(struct fetch *fetch, uint64_t ms, const char *why)
{
	fetch->not_before_ms = now_ms(fetch) + ms;
	fetch->waiting = why;
}

/* The budget is used up. The last failure is the reason, or else what keeps us waiting. */
void fetch_give_up_waiting(struct fetch *fetch, enum portal_wait why, uint64_t ms)
{
	struct error error = fetch->trouble;

	if (!error_is_set(&error) && why == PORTAL_BROKEN) {
		error_set(&error, ERROR_RETRY, "fetch", "breaker_open",
			"the portal failed too often, it is not asked for %llu s",
			(unsigned long long)(ms + 999) / 1000);
	} else if (!error_is_set(&error)) {
		error_set(&error, ERROR_RETRY, "fetch", "host_held",
			"the portal wants to be left alone for %llu s",
			(unsigned long long)(ms + 999) / 1000);
	}
	fetch_give_up(fetch, &error);
}

static bool is_full(const struct error *error)
{
	return strcmp(error->code, "spool_full") == 0 || strcmp(error->code, "ENOSPC") == 0 ||
		strcmp(error->code, "EDQUOT") == 0;
}

/* An empty page where rows were due is believed only after some tries. */
void fetch_pause_empty(struct fetch *fetch)
{
	uint64_t ms = portal_pause_ms(fetch->request.portal, ++fetch->n_empty, false, NULL);
	struct error error = {0};

	error_set(&error, ERROR_RETRY, "fetch", "empty_page",
		"an empty page came at row %llu of %lld",
		(unsigned long long)proof_offset(fetch->proof),
		(long long)proof_total(fetch->proof));
	if (!fetch_pay(fetch, ms)) {
		fetch_give_up(fetch, &error);
		return;
	}
	fetch->trouble = error;
	pause_until(fetch, ms, "empty");
}

static void halve_page(struct fetch *fetch, const struct verdict *verdict)
{
	unsigned half = fetch->page_size / 2;

	if (verdict->smaller_page_after == 0) {
		fetch->n_like_last = 0;
		return;
	}
	if (++fetch->n_like_last >= verdict->smaller_page_after && half >= SMALLEST_PAGE) {
		fetch->page_size = half;
	}
}

/* The same again after a pause, unless that is too much. */
void fetch_retry(struct fetch *fetch, const struct ask *ask, const struct verdict *verdict)
{
	struct portal *portal = fetch->request.portal;
	bool held = verdict->action == VERDICT_HOLD;
	const char *retry_after =
		ask && ask->response.has_retry_after ? ask->response.retry_after : NULL;
	uint64_t ms = portal_pause_ms(portal, ++fetch->n_failures, held, retry_after);
	uint64_t lost_ms = ask ? now_ms(fetch) - ask->started_ms : 0;

	fetch->trouble = verdict->error;
	halve_page(fetch, verdict);
	if (held || retry_after) {
		portal_hold(portal, ms);
	}
	if (fetch->n_failures >= config_of(fetch)->attempts || !portal_spend(portal, lost_ms) ||
		!fetch_pay(fetch, ms)) {
		fetch_give_up(fetch, &verdict->error);
		return;
	}
	fetch->result.n_retries++;
	pause_until(fetch, ms, held ? "hold" : "retry");
}

/* The spool cannot be written. Room may come by itself, as files are loaded. */
void fetch_wait_for_disk(struct fetch *fetch, const struct error *disk)
{
	struct verdict verdict = {.action = VERDICT_RETRY, .error = *disk};
	uint64_t most_ms = config_of(fetch)->backoff_max_ms;

	receiver_abort(fetch->receiver);
	fetch_drop_asks(fetch);
	if (is_full(disk)) {
		fetch->trouble = verdict.error;
		pause_until(fetch, most_ms < FULL_MS ? most_ms : FULL_MS, "spool_full");
	} else if (disk->class == ERROR_RETRY) {
		fetch_retry(fetch, NULL, &verdict);
	} else {
		fetch_give_up(fetch, &verdict.error);
	}
}

void fetch_next_key(struct fetch *fetch, const struct ask *ask, const struct verdict *verdict)
{
	fetch->trouble = verdict->error;
	if (!portal_refuse_key(fetch->request.portal, ask->key)) {
		fetch_give_up(fetch, &verdict->error);
	}
}
