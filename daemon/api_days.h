#pragma once

/*
 * A request about the days of a dataset that waits for the books. SPDX-License-Identifier: Apache-2.0
 *
 * Owned by itself from api_days_new() until it has answered: api_days_fail(), api_days_finish().
 */

#include "daemon/api_private.h"
#include "daemon/coverage.h"
#include "daemon/ledger_coverage.h"

struct api_days;

/* Takes the rows; as its last act it asks the next statement, or answers. */
typedef void (*api_days_step_fn)(struct api_days *days, const struct pg_result *result);

struct api_days {
	struct httpd_request *request;
	const struct api_source *source;
	struct config *config; /* a reference: a reload may come between two statements */
	const struct dataset *dataset;
	const struct source *asks; /* for single days; NULL: none does */
	struct api_plan plan;      /* of `asks` */
	int64_t now_us;
	struct ledger_question question;
	api_days_step_fn step;
	struct cover_list list;
	struct buffer body;
	/* What was asked for; INT32_MIN: not given. */
	int32_t from, to;
	char part[SPOOL_NAME_BYTES];
	char who[API_WHO_BYTES];   /* of a backfill */
	struct why *why; /* of /sync/why */
};

/* NULL: the request is answered. `dataset` and `source` may be NULL: the first that can be. */
struct api_days *api_days_new(const struct api *api, struct httpd_request *request,
	const char *dataset, const char *source);

/* "2026-11-19"; false for anything else. */
bool api_read_day(const char *text, int32_t *ret) must_check;

/* A parameter that is a date; false: it is wrong, and the request is answered and gone. */
bool api_days_take(struct api_days *days, const char *name, int32_t *ret) must_check;

void api_days_ask(struct api_days *days, api_days_step_fn step);
/* Ask for what is known of all days, into days->list; then `step`. */
void api_days_ask_coverage(struct api_days *days, api_days_step_fn step);
/* Its rows; false: no memory, and it is answered and gone. */
bool api_days_take_coverage(struct api_days *days, const struct pg_result *result) must_check;

void api_days_fail(struct api_days *days, int status, const char *format, ...) printf_like(3, 4);
void api_days_finish(struct api_days *days);

/* `"key":value`, after a comma unless it is the first of its object. */
void api_put_text(struct buffer *out, const char *key, const char *text); /* NULL, "": null */
void api_put_day(struct buffer *out, const char *key, int32_t day);
void api_put_time(struct buffer *out, const char *key, int64_t us);     /* 0: null */
void api_put_number(struct buffer *out, const char *key, int64_t n, int64_t null);
void api_put_bool(struct buffer *out, const char *key, bool value);
/* The key alone: its value follows. */
void api_put_key(struct buffer *out, const char *key);
