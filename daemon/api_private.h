#pragma once

/*
 * What the files of the HTTP routes share. SPDX-License-Identifier: Apache-2.0
 *
 * api.c has the table and the answers from memory; api_ledger.c those from the books.
 */

#include "daemon/api.h"
#include "lib/buffer.h"

/* Answer with the text of `take_body`, which is empty after; 503 when it had failed. */
void api_reply(struct httpd_request *take_request, int status, const char *content_type,
	struct buffer *take_body);

#define API_JSON "application/json"
#define API_TEXT "text/plain; charset=utf-8"

/* api_ledger.c */
void api_on_runs(void *arg, struct httpd_request *request);
void api_on_run(void *arg, struct httpd_request *request);
void api_on_rejects(void *arg, struct httpd_request *request);
void api_on_reject(void *arg, struct httpd_request *request);

/* api_lend.c: POST /sync/lend */
void api_on_lend(void *arg, struct httpd_request *request);
