#pragma once

/*
 * A slice -> pages in the spool: URL, paging, pacing, retries, the proof.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fetches ONE slice, or one part of a split one. Splitting, the order of slices and what to do with
 * the outcome are the run's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/portal.h"
#include "daemon/spool.h"
#include "daemon/valueset.h"
#include "lib/attr.h"
#include "lib/error.h"

struct fetch;

struct fetch_progress {
	unsigned page; /* pages received in this pass */
	int64_t pages; /* that the pass will have, as far as is known; -1 */
	uint64_t rows; /* received in this pass */
	int64_t total; /* of the last answer; -1 */
	unsigned pass; /* 1-based */
	/*
	 * Why nothing is being asked now: "pace", "hold", "breaker", "retry", "empty" (an empty
	 * page where rows were due), "spool_full"; "" otherwise. And until when, in the clock's ms.
	 */
	const char *waiting;
	uint64_t until_ms;
	unsigned n_failures; /* of the present request, one after the other */
	const struct error *trouble; /* why the last answer was not taken; NULL: it was */
	bool sort_ignored, key_limited;
	unsigned resumed; /* pages taken over from a process that was interrupted */
};

/*
 * How it ended. outcome.state and what to do with the writer:
 *	PROVEN   commit, load
 *	PARTIAL  commit, load. outcome.reason: "incomplete" (the passes are used up: split),
 *	         "key_limited", "canceled", or the code of the failure
 *	         that no retry helped against
 *	SUSPECT  total was 0: reason "nothing"; there are no pages
 *	FAILED   with `replayable`: the pages are good to be loaded once the dataset is mended
 *	         ("schema_drift", "too_many_bad_rows"): commit, do not load. Else there is nothing
 *	         to keep: "filter_ignored", "canceled", or a failure before the first page
 */
struct fetch_result {
	struct spool_outcome outcome;
	/* The caller's from now on. NULL: not even a request was sent. It may have no page. */
	struct spool_writer *writer;
	bool replayable;
	/*
	 * Why the fetch stopped: RETRY (try the slice again later), REJECTED (it is the same with
	 * every slice of this source: stop, tell somebody), CANCELED; NONE when the portal was asked
	 * to the end, whatever the outcome.
	 */
	struct error error;
	bool resumed;      /* every page of take_reader is in the writer too */
	bool sort_ignored; /* rows did not come in the order asked for */
	bool key_limited;  /* 10 rows a call, whatever is asked */
	unsigned n_requests, n_retries;
	const struct valueset
		*values; /* of the split column, as served; borrowed until on_done returns */
};

struct fetch_request {
	struct portal *portal; /* these three are borrowed until on_done */
	const struct source *source;
	struct spool *spool;
	const struct spool_header *header; /* copied */
	const char *split_value; /* copied: the served text of the split column, or NULL */
	/*
	 * To go on with what an interrupted process left, or NULL: a reader of its pages. The
	 * fetch's when fetch_start() returns 0. They are taken over, one each turn of the loop; then
	 * the rest is asked for. If the portal has other data by now, the fetch begins afresh.
	 */
	struct spool_reader *take_reader;
	/* Anything changed. May cancel. May be NULL. */
	void (*on_progress)(void *arg, const struct fetch_progress *progress);
	/* Once, never before fetch_start() returned; the fetch is gone. */
	void (*on_done)(void *arg, const struct fetch_result *result);
	void *arg;
};

/* 0, or -errno and then no callback comes. */
int fetch_start(const struct fetch_request *request, struct fetch **ret) must_check;

/* on_done comes later, with class CANCELED. */
void fetch_cancel(struct fetch *fetch);

/* By when (the clock's ms) something must have happened; for the watchdog. */
uint64_t fetch_deadline_ms(const struct fetch *fetch);
