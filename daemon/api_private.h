#pragma once

/*
 * What the files of the HTTP routes share. SPDX-License-Identifier: Apache-2.0
 *
 * api.c has the table and the answers from memory; api_ledger.c, api_coverage.c and api_why.c those from
 * the books; api_control.c what changes something.
 */

#include <jansson.h>

#include "daemon/api.h"
#include "lib/buffer.h"

/* Answer with the text of `take_body`, which is empty after; 503 when it had failed. */
void api_reply(struct httpd_request *take_request, int status, const char *content_type,
	struct buffer *take_body);

#define API_JSON "application/json"
#define API_TEXT "text/plain; charset=utf-8"

/*
 * Who asks, for a route that changes something: true and the words for it, or the request is answered.
 * On a unix socket whoever may open it; elsewhere who knows the token.
 */
enum { API_WHO_BYTES = 32 };
bool api_may_control(const struct api *api, struct httpd_request *request,
	char who[static API_WHO_BYTES]) must_check;

/* The JSON object in the body ("" is an empty one); NULL: the request is answered. */
json_t *api_read_body(struct httpd_request *request) must_check;

/* api_control.c */
void api_on_run_now(void *arg, struct httpd_request *request);
void api_on_pause(void *arg, struct httpd_request *request);
void api_on_resume(void *arg, struct httpd_request *request);
void api_on_cancel(void *arg, struct httpd_request *request);
void api_on_reload(void *arg, struct httpd_request *request);

/* api_run.c: `"id":1,...`, without braces */
void api_append_run(struct buffer *out, const struct api_run *run);

/* api_alert.c */
void api_on_alert_test(void *arg, struct httpd_request *request);

/* api_ledger.c */
void api_on_runs(void *arg, struct httpd_request *request);
void api_on_run(void *arg, struct httpd_request *request);
void api_on_rejects(void *arg, struct httpd_request *request);
void api_on_reject(void *arg, struct httpd_request *request);

/* api_lend.c: POST /sync/lend */
void api_on_lend(void *arg, struct httpd_request *request);

/* api_coverage.c, api_why.c */
void api_on_coverage(void *arg, struct httpd_request *request);
void api_on_schedule(void *arg, struct httpd_request *request);
void api_on_backfill(void *arg, struct httpd_request *request);
void api_on_why(void *arg, struct httpd_request *request);
