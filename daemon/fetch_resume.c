/*
 * A fetch that goes on where another process was interrupted. SPDX-License-Identifier: Apache-2.0
 *
 * The pages that are whole in the spool are read as if they came just now, so that the proof, the
 * counts and the offset are those that the process before had. They say what `total` and `updated`
 * were; the first answer of the portal must say the same, or these pages are of another snapshot.
 *
 * Empty answers are not in the spool. If they had ended a pass, that is not seen here, and they are
 * asked for again: a few calls more, the same result.
 */

#include <string.h>

#include "daemon/fetch_private.h"

void fetch_end_stale(struct fetch *fetch)
{
	struct error error = {0};

	error_set(&error, ERROR_RETRY, "fetch", "stale",
		"the portal has other data than when the first %u pages came", fetch->pages);
	fetch_give_up(fetch, &error);
}

bool fetch_is_same(const struct fetch *fetch, const struct received *page)
{
	int64_t updated = page->envelope.has_updated ? page->envelope.updated : 0;

	return page->envelope.total == proof_total(fetch->proof) && updated == fetch->updated;
}

/* True when the page is whole and was taken; else it is over. */
static bool take_page(struct fetch *fetch, enum proof_step *ret_step)
{
	const struct received *page = receiver_page(fetch->receiver);

	if (receiver_finish(fetch->receiver) < 0 || receiver_keep(fetch->receiver, 0) < 0) {
		fetch_give_up(fetch, receiver_content(fetch->receiver));
		return false;
	}
	fetch_count_page(fetch, page);
	*ret_step = proof_end_answer(fetch->proof, page->envelope.total,
		page->envelope.has_updated ? page->envelope.updated : 0);
	return true;
}

/* One page through the receiver. */
static enum spool_item read_page(struct fetch *fetch, struct error *error)
{
	enum spool_item item;
	const void *data;
	size_t len;

	receiver_begin_again(fetch->receiver, proof_reversed(fetch->proof));
	while ((item = spool_reader_next(fetch->reader, &data, &len, error)) == SPOOL_DATA) {
		/* A content that fails says so again at its end. */
		(void)!receiver_feed(fetch->receiver, data, len);
	}
	return item;
}

static void go_on(struct fetch *fetch)
{
	receiver_abort(fetch->receiver);
	fetch->reader = spool_reader_free(fetch->reader);
	fetch->state = FETCH_WAITING;
	fetch->must_match = fetch->pages > 0;
	fetch_look(fetch);
}

void fetch_resume(struct fetch *fetch)
{
	enum proof_step step;
	struct error error = {0};

	switch (read_page(fetch, &error)) {
	case SPOOL_PAGE_END:
		if (!take_page(fetch, &step)) {
			return;
		}
		if (step == PROOF_RESTART) {
			fetch_end_stale(fetch);
			return;
		}
		fetch_step(fetch, step);
		if (fetch->state == FETCH_RESUMING) {
			fetch_next_turn(fetch);
		}
		return;
	case SPOOL_ERROR:
		fetch_give_up(fetch, &error);
		return;
	case SPOOL_END:
	case SPOOL_DATA:
		go_on(fetch);
	}
}
