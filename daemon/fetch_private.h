#pragma once

/*
 * What the parts of a fetch share: fetch.c (the slice), fetch_ask.c (one request), fetch_retry.c,
 * fetch_end.c, fetch_resume.c. Private to them. SPDX-License-Identifier: Apache-2.0
 */

#include <sys/queue.h>

#include "daemon/fetch.h"
#include "daemon/receiver.h"
#include "daemon/verdict.h"

enum {
	LIMITED_ROWS = 10,   /* what some keys give a call, whatever is asked (PORTAL 3) */
	LIMITED_ANSWERS = 2, /* so many in a row are no accident */
};

/* One request for a page. Freed when its transfer is gone and it was settled or dropped. */
struct ask {
	struct fetch *fetch;
	TAILQ_ENTRY(ask) link;
	struct http_transfer *transfer; /* NULL: it ended */
	uint64_t offset;
	unsigned limit;
	int key;
	uint64_t started_ms;
	bool begun;    /* the receiver reads it */
	bool reported; /* the portal knows what it says of the host */
	bool dropped;  /* nobody waits for it any more */
	struct http_response response;
	struct error error;
};
TAILQ_HEAD(ask_list, ask);

enum fetch_state {
	FETCH_RESUMING, /* the timer reads another page of what was there before */
	FETCH_WAITING,  /* the timer says when to look again */
	FETCH_ASKING,   /* the first of `asks` is being received */
	FETCH_ENDING,   /* the rest of `asks` is on its way out, then the timer */
};

struct fetch {
	struct fetch_request request; /* its header and split value are not used */
	struct spool_header header;
	struct filter_list filters;
	struct proof *proof;
	struct receiver *receiver;
	struct spool_writer *writer;
	struct spool_reader *reader; /* while resuming */
	unsigned n_resumed;          /* pages taken over from it */
	bool must_match;             /* the next answer, with the pages before */
	struct valueset values;
	uv_timer_t timer;

	enum fetch_state state;
	struct ask_list asks; /* the first one is received, the others wait for it */
	unsigned n_asks;      /* those dropped included */
	unsigned page_size;   /* rows to ask for now */
	bool goes_on; /* a full page came, and the one behind it is due: worth asking ahead */

	unsigned n_failures, n_empty; /* in a row */
	unsigned n_like_last;         /* failures in a row that ask for a smaller page */
	uint64_t not_before_ms, paid_until_ms, until_ms;
	const char *waiting;
	struct error trouble;

	uint64_t started_ms;
	unsigned n_limited;      /* answers in a row with 10 rows where more were due */
	uint64_t rows, rejected; /* in the spool */
	unsigned pages, pass_pages;
	int64_t updated;
	char first_reject[256];
	struct fetch_result result;
};

/* ---- fetch_ask.c ---- */

/* Ask for a page; it is put at the end of `asks`. */
int ask_start(struct fetch *fetch, uint64_t offset, int key, struct error *error) must_check;

/* Nobody waits for it any more: off the list, and gone as soon as its transfer is. */
void ask_drop(struct ask *ask);

/* The first of `asks`, which has ended: off the list, the caller's. */
struct ask *ask_take_first(struct fetch *fetch);

/* It was taken, or dropped and its transfer is gone. */
void ask_free(struct ask *ask);

/* Let the receiver begin with it, if it has not. -1: receiver_disk(). */
int ask_begin(struct ask *ask) must_check;

/* ---- fetch_end.c ---- */

/* on_progress; it may cancel: look at fetch->state afterwards. */
void fetch_tell(struct fetch *fetch);

/* Pages of this pass that are still to come, as far as is known. */
uint64_t fetch_pages_left(const struct fetch *fetch);

void fetch_drop_asks(struct fetch *fetch);

/* One of them is gone. */
void fetch_ask_gone(struct fetch *fetch);

void fetch_end_proven(struct fetch *fetch);
void fetch_end_short(struct fetch *fetch);   /* the passes are used up */
void fetch_end_nothing(struct fetch *fetch); /* total was 0 */

/* The slice is lost, though pages may be there. */
void fetch_fail(struct fetch *fetch, bool replayable, const struct error *error);

/* No use to go on: what came so far is kept. */
void fetch_give_up(struct fetch *fetch, const struct error *error);
void fetch_give_up_limited(struct fetch *fetch); /* the key gives 10 rows a call */

/* At once; the timer must not be on the loop. */
void fetch_free(struct fetch *fetch);

/* ---- fetch_retry.c: each of these leaves the fetch to be looked at, or ended ---- */

/* Take a wait that failures cost out of the run's budget. False: it is too long. */
bool fetch_pay(struct fetch *fetch, uint64_t ms);
void fetch_give_up_waiting(struct fetch *fetch, enum portal_wait why, uint64_t ms);

/* The same again after a pause, unless that is too much. `ask` is NULL when nothing was sent. */
void fetch_retry(struct fetch *fetch, const struct ask *ask, const struct verdict *verdict);

/* An empty page came where rows were due. */
void fetch_pause_empty(struct fetch *fetch);

/* The portal refused the key. */
void fetch_next_key(struct fetch *fetch, const struct ask *ask, const struct verdict *verdict);

/* The spool cannot be written. */
void fetch_wait_for_disk(struct fetch *fetch, const struct error *disk);

/* ---- fetch_resume.c ---- */

/* Read one more page. */
void fetch_resume(struct fetch *fetch);

/* True when the answer that was received is of the same snapshot as the pages read before. */
bool fetch_is_same(const struct fetch *fetch, const struct received *page);

/* It is not: drop these pages, and look again. */
void fetch_start_afresh(struct fetch *fetch);

/* ---- fetch.c ---- */

/* Go on from the loop, at once. */
void fetch_next_turn(struct fetch *fetch);

/* Nothing is in flight: what now? */
void fetch_look(struct fetch *fetch);

/* What the proof says after an answer that was taken. */
void fetch_step(struct fetch *fetch, enum proof_step step);

/* Drop all that came. */
void fetch_forget_pages(struct fetch *fetch);

/* Rows and pages of an answer that was taken. */
void fetch_count_page(struct fetch *fetch, const struct received *page);

/* The first of `asks` has ended. */
void fetch_settle(struct fetch *fetch);
