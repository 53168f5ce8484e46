#pragma once

/*
 * What http.c (the loop) and http_transfer.c (one request) share. Private to both.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <curl/curl.h>
#include <sys/queue.h>

#include "lib/http.h"

struct http_poll;
LIST_HEAD(http_poll_list, http_poll);
TAILQ_HEAD(http_transfer_list, http_transfer);

struct http {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;   /* curl's */
	uv_timer_t kick;    /* does what was asked for, outside of curl's callbacks */
	unsigned n_handles; /* still known to the loop */
	struct http_poll_list polls;
	struct http_transfer_list transfers;
	struct http_options options; /* texts are ours */
	bool closing;
	http_closed_fn on_closed;
	void *on_closed_arg;
};

struct http_transfer {
	struct http *http;
	TAILQ_ENTRY(http_transfer) link;
	CURL *easy;
	struct curl_slist *headers;
	struct http_request request; /* callbacks and arg; its pointers are not used */
	struct http_response response;
	char *query; /* what must never stand in an error text; NULL: none */
	char curl_text[CURL_ERROR_SIZE];
	bool added; /* curl has it */
	bool header_told;
	bool paused;
	/* What was asked for; on_kick() does it. */
	bool start, resume, cancel;
	/* Why our own callback ended it. */
	bool aborted, too_large, no_memory;
};

/* A transfer that curl does not have yet. */
struct http_transfer *transfer_new(
	struct http *http, const struct http_request *request, struct error *error) must_check;
struct http_transfer *transfer_free(struct http_transfer *transfer);

/* Fill in the response and, when the answer is not whole, the error. */
void transfer_conclude(struct http_transfer *transfer, CURLcode code, struct error *error);

/* on_header, unless it came already or there is no status. */
void transfer_tell_header(struct http_transfer *transfer);
