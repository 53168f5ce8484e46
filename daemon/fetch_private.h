#pragma once

/*
 * What fetch.c (the slice) and fetch_ask.c (one request) share. Private to both.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <sys/queue.h>

#include "daemon/fetch.h"
#include "daemon/receiver.h"

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
	FETCH_WAITING, /* the timer says when to look again */
	FETCH_ASKING,  /* the first of `asks` is being received */
	FETCH_ENDING,  /* the rest of `asks` is on its way out, then the timer */
};

struct fetch {
	struct fetch_request request; /* its header and split value are not used */
	struct spool_header header;
	struct filter_list filters;
	struct proof *proof;
	struct receiver *receiver;
	struct spool_writer *writer;
	struct valueset values;
	uv_timer_t timer;

	enum fetch_state state;
	struct ask_list asks; /* the first one is received, the others wait for it */
	unsigned n_asks;      /* those dropped included */
	unsigned page_size;   /* rows to ask for now */
	bool last_was_full;   /* so it is worth asking for more than one page at a time */

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

/* Let the receiver begin with it, if it has not. -1: receiver_disk(). */
int ask_begin(struct ask *ask) must_check;

/* ---- fetch.c ---- */

/* The first of `asks` has ended. */
void fetch_settle(struct fetch *fetch);

/* A dropped one is gone. */
void fetch_ask_gone(struct fetch *fetch);
