/*
 * A fetch that goes on where another process was interrupted. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: the pages that process left are read as if they came just now, one each turn of the
 * loop. They go into our own file and into the proof, so that counts and offset are those that it
 * had. Then the rest is asked for. The first answer must say the same `total` and `updated` as the
 * pages before it.
 *
 * Failure modes:
 *  - A page cannot be read, or our file cannot be written: the fetch goes on behind the last page
 *    that could, as far as the portal is concerned with the same data.
 *  - The portal has other data by now: what was taken over is dropped, and the slice begins afresh.
 *  In both the result does not say `resumed`, and the file of the other process is kept.
 *
 * Empty answers are not in the spool. If they had ended a pass, that is not seen here, and they are
 * asked for again: a few calls more, the same result.
 */

#include <string.h>

#include "daemon/fetch_private.h"

bool fetch_is_same(const struct fetch *fetch, const struct received *page)
{
	int64_t updated = page->envelope.has_updated ? page->envelope.updated : 0;

	return page->envelope.total == proof_total(fetch->proof) && updated == fetch->updated;
}

void fetch_start_afresh(struct fetch *fetch)
{
	receiver_abort(fetch->receiver);
	proof_reset(fetch->proof);
	fetch->must_match = false;
	fetch->result.resumed = false;
	fetch->n_resumed = 0;
	fetch_forget_pages(fetch);
}

/* True when the page is whole, and in our own file. */
static bool take_page(struct fetch *fetch)
{
	const struct received *page = receiver_page(fetch->receiver);

	if (receiver_finish(fetch->receiver) < 0 ||
		receiver_keep(fetch->receiver, spool_reader_page(fetch->reader)->fetched_us) < 0) {
		return false;
	}
	fetch_count_page(fetch, page);
	return true;
}

/* One page through the receiver. */
static enum spool_item read_page(struct fetch *fetch)
{
	struct error ignored = {0};
	enum spool_item item;
	const void *data;
	size_t len;

	if (receiver_begin(fetch->receiver, fetch->writer, proof_reversed(fetch->proof)) < 0) {
		return SPOOL_ERROR;
	}
	while ((item = spool_reader_next(fetch->reader, &data, &len, &ignored)) == SPOOL_DATA) {
		/* A content that fails says so again at its end. */
		(void)!receiver_feed(fetch->receiver, data, len);
	}
	return item;
}

/* Ask for the rest. */
static void go_on(struct fetch *fetch, bool all)
{
	receiver_abort(fetch->receiver);
	fetch->reader = spool_reader_free(fetch->reader);
	fetch->state = FETCH_WAITING;
	fetch->must_match = fetch->pages > 0;
	fetch->result.resumed = all;
	fetch->n_resumed = fetch->pages;
	fetch_look(fetch);
}

static void take_over_page(struct fetch *fetch)
{
	const struct received *page = receiver_page(fetch->receiver);
	enum proof_step step;

	if (!take_page(fetch)) {
		go_on(fetch, false);
		return;
	}
	step = proof_end_answer(fetch->proof, page->envelope.total,
		page->envelope.has_updated ? page->envelope.updated : 0);
	if (step == PROOF_RESTART) { /* they do not belong together */
		fetch_start_afresh(fetch);
		go_on(fetch, false);
		return;
	}
	fetch_step(fetch, step);
	if (fetch->state == FETCH_RESUMING) {
		fetch_next_turn(fetch);
	} else {
		fetch->result.resumed = true; /* the other process had come to the end */
	}
}

void fetch_resume(struct fetch *fetch)
{
	struct error ignored = {0};

	if (!fetch->writer && spool_create(fetch->request.spool, &fetch->header, &fetch->writer,
				      &ignored) < 0) {
		go_on(fetch, false);
		return;
	}
	switch (read_page(fetch)) {
	case SPOOL_PAGE_END:
		take_over_page(fetch);
		break;
	case SPOOL_ERROR:
	case SPOOL_DATA:
		go_on(fetch, false);
		break;
	case SPOOL_END:
		go_on(fetch, true);
		break;
	}
}
