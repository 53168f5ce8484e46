/*
 * One request of a fetch. SPDX-License-Identifier: Apache-2.0
 *
 * Pages go into the spool and the proof in order, so only the first of the asks is received. One
 * that was sent ahead lets its body wait (HTTP_PAUSE) until it is the first; should it end before,
 * how it ended is kept until then.
 */

#include <errno.h>
#include <string.h>

#include "daemon/fetch_private.h"
#include "daemon/page_url.h"

static bool is_first(const struct ask *ask)
{
	return !ask->dropped && TAILQ_FIRST(&ask->fetch->asks) == ask;
}

int ask_begin(struct ask *ask)
{
	struct fetch *fetch = ask->fetch;

	if (ask->begun) {
		return 0;
	}
	ask->begun = true;
	if (ask->response.status / 100 != 2) {
		receiver_begin_message(fetch->receiver);
		return 0;
	}
	return receiver_begin(fetch->receiver, fetch->writer, proof_reversed(fetch->proof));
}

static void on_header(void *arg, const struct http_response *response)
{
	struct ask *ask = arg;

	ask->response = *response;
}

static enum http_take on_body(void *arg, const void *data, size_t len)
{
	struct ask *ask = arg;

	if (ask->dropped || ask->fetch->state == FETCH_ENDING) {
		return HTTP_ABORT;
	}
	if (!is_first(ask)) {
		return HTTP_PAUSE;
	}
	if (ask_begin(ask) < 0 || receiver_feed(ask->fetch->receiver, data, len) < 0) {
		return HTTP_ABORT;
	}
	return HTTP_TAKE;
}

static void on_done(void *arg, const struct http_response *response, const struct error *error)
{
	struct ask *ask = arg;
	struct fetch *fetch = ask->fetch;

	ask->transfer = NULL;
	ask->response = *response;
	if (error) {
		ask->error = *error;
	}
	portal_counters(fetch->request.portal)->n_bytes += response->body_bytes;
	if (!ask->dropped) {
		histogram_add(&portal_counters(fetch->request.portal)->seconds, response->seconds);
	}
	if (ask->dropped) {
		ask_free(ask);
	} else if (is_first(ask)) {
		fetch_settle(fetch);
	}
}

static int start_transfer(struct ask *ask, struct error *error)
{
	struct fetch *fetch = ask->fetch;
	struct portal *portal = fetch->request.portal;
	_cleanup_buffer_ struct buffer url = {0};
	const struct http_request request = {
		.on_header = on_header,
		.on_body = on_body,
		.on_done = on_done,
		.arg = ask,
	};
	struct http_request with_url = request;

	page_url(&(struct page_query){.base_url = portal_config(portal)->base_url,
			 .source = fetch->request.source,
			 .filters = &fetch->filters,
			 .offset = ask->offset,
			 .limit = ask->limit,
			 .reversed = proof_reversed(fetch->proof),
			 .api_key = portal_key_text(portal, ask->key)},
		&url);
	if (buffer_failed(&url)) {
		return error_no_memory(error, "fetch");
	}
	with_url.url = buffer_str(&url);
	return http_start(portal_http(portal), &with_url, &ask->transfer, error);
}

int ask_start(struct fetch *fetch, uint64_t offset, int key, struct error *error)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (!ask) {
		return error_no_memory(error, "fetch");
	}
	*ask = (struct ask){
		.fetch = fetch,
		.offset = offset,
		.limit = fetch->page_size,
		.key = key,
		.started_ms = clock_mono_ms(portal_clock(fetch->request.portal)),
	};
	if (start_transfer(ask, error) < 0) {
		free(ask);
		return -1;
	}
	TAILQ_INSERT_TAIL(&fetch->asks, ask, link);
	fetch->n_asks++;
	fetch->result.n_requests++;
	return 0;
}

void ask_free(struct ask *ask)
{
	struct fetch *fetch = ask->fetch;

	if (!ask->reported) {
		portal_counters(fetch->request.portal)->requests[ANSWER_DROPPED]++;
		portal_abandoned(fetch->request.portal);
	}
	free(ask);
	fetch_ask_gone(fetch);
}

struct ask *ask_take_first(struct fetch *fetch)
{
	struct ask *ask = TAILQ_FIRST(&fetch->asks);

	TAILQ_REMOVE(&fetch->asks, ask, link);
	return ask;
}

void ask_drop(struct ask *ask)
{
	TAILQ_REMOVE(&ask->fetch->asks, ask, link);
	ask->dropped = true;
	if (ask->transfer) {
		http_cancel(ask->transfer);
	} else {
		ask_free(ask);
	}
}
