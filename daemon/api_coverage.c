/*
 * The HTTP routes for coverage: what is known of each day, what comes next, what shall be healed.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/api_days.h"
#include "daemon/heal.h"
#include "daemon/schedule.h"

enum { MAX_DAYS = 4000, MAX_TICKS = 500, DEFAULT_TICKS = 10 };

/* ---- GET /sync/coverage ---- */

static void put_day(struct api_days *days, int32_t day, const struct cover_row *known)
{
	static const struct cover_row nothing = {.state = COVER_MISSING, .expected = -1};
	const struct cover_row *row = known ? known : &nothing;
	struct buffer *out = &days->body;
	bool weak = known && coverage_is_weak(&days->list, day, days->now_us);

	buffer_append_char(out, '{');
	api_put_day(out, "date", day);
	api_put_text(out, "state", cover_state_name(row->state));
	api_put_text(out, "source", row->source);
	api_put_number(out, "expected", row->expected, -1);
	api_put_number(out, "received", (int64_t)row->received, -1);
	api_put_number(out, "distinct", (int64_t)row->distinct, -1);
	api_put_number(out, "quarantined", (int64_t)row->quarantined, -1);
	api_put_number(out, "attempts", row->attempts, -1);
	api_put_time(out, "next_try", row->next_try_us);
	api_put_text(out, "code", weak ? "weak" : row->code);
	api_put_number(out, "run", row->run, 0);
	api_put_time(out, "checked_at", row->checked_us);
	buffer_append_char(out, '}');
}

static void put_summary(struct buffer *out, const unsigned *counts)
{
	api_put_key(out, "summary");
	buffer_append_char(out, '{');
	for (unsigned i = 0; i < N_COVER_STATES; i++) {
		api_put_number(out, cover_state_name((enum cover_state)i), counts[i], -1);
	}
	buffer_append_str(out, "}}");
}

static void put_days(struct api_days *days)
{
	int32_t due_from = heal_due_from(days->dataset);
	unsigned counts[N_COVER_STATES] = {0};
	bool first = true;

	for (int32_t day = days->from; day <= days->to; day++) {
		const struct cover_row *row = coverage_day(&days->list, day);

		if (row || coverage_is_due(&days->list, day, due_from, days->now_us)) {
			buffer_append_str(&days->body, first ? "" : ",");
			put_day(days, day, row);
			counts[row ? row->state : COVER_MISSING]++;
			first = false;
		}
	}
	buffer_append_char(&days->body, ']');
	put_summary(&days->body, counts);
}

/* Where nothing is said, all that is known or due. */
static void default_range(struct api_days *days)
{
	int32_t from = days->plan.today, to;

	(void)!coverage_range(&days->list, heal_due_from(days->dataset), days->now_us, &from, &to);
	days->to = days->to != INT32_MIN ? days->to : days->plan.today;
	if (days->from == INT32_MIN) {
		days->from = from <= days->to ? from : days->to;
		days->from = days->from > days->to - MAX_DAYS ? days->from
							      : days->to - MAX_DAYS + 1;
	}
}

static void take_coverage(struct api_days *days, const struct pg_result *result)
{
	if (!api_days_take_coverage(days, result)) {
		return;
	}
	default_range(days);
	if (days->to < days->from || days->to - days->from >= MAX_DAYS) {
		api_days_fail(days, 400, "from .. to must be 1 to %d days", MAX_DAYS);
		return;
	}
	buffer_append_char(&days->body, '{');
	api_put_text(&days->body, "dataset", days->dataset->name);
	api_put_day(&days->body, "from", days->from);
	api_put_day(&days->body, "to", days->to);
	api_put_key(&days->body, "days");
	buffer_append_char(&days->body, '[');
	put_days(days);
	api_days_finish(days);
}

void api_on_coverage(void *arg, struct httpd_request *request)
{
	struct api_days *days = api_days_new(arg, request, httpd_query(request, "dataset"), NULL);

	if (days && api_days_take(days, "from", &days->from) &&
		api_days_take(days, "to", &days->to)) {
		api_days_ask_coverage(days, take_coverage);
	}
}

/* ---- GET /sync/schedule ---- */

static void put_tick(struct buffer *out, const struct schedule_tick *tick)
{
	buffer_append_char(out, '{');
	api_put_text(out, "dataset", tick->source->dataset->name);
	api_put_text(out, "source", tick->source->name);
	api_put_time(out, "at", tick->at_us);
	api_put_text(out, "trigger", tick->trigger);
	buffer_append_char(out, '}');
}

void api_on_schedule(void *arg, struct httpd_request *request)
{
	const struct api *api = arg;
	const char *text = httpd_query(request, "n");
	char *end = NULL;
	unsigned long max = text ? strtoul(text, &end, 10) : DEFAULT_TICKS;
	_cleanup_free_ struct schedule_tick *ticks = calloc(MAX_TICKS, sizeof(*ticks));
	struct buffer body = {0};
	unsigned n;

	if (text && (text[0] < '0' || text[0] > '9' || *end || max < 1 || max > MAX_TICKS)) {
		httpd_problem(request, 400, NULL, 0, "n is a whole number from 1 to %d", MAX_TICKS);
		return;
	}
	if (!ticks) {
		httpd_problem(request, 503, NULL, 0, "out of memory");
		return;
	}
	n = api->source.upcoming(api->source.arg, ticks, (unsigned)max);
	buffer_append_str(&body, "{\"schedule\":[");
	for (unsigned i = 0; i < n; i++) {
		buffer_append_str(&body, i > 0 ? "," : "");
		put_tick(&body, &ticks[i]);
	}
	buffer_append_str(&body, "]}");
	api_reply(request, 200, API_JSON, &body);
}

/* ---- POST /sync/backfill ---- */

/* How many holes there are now, in the range and before healing is through with it. */
static void take_after(struct api_days *days, const struct pg_result *result)
{
	unsigned budget = days->asks->heal.max_slices_per_day, n = 0, n_newer = 0;

	if (!api_days_take_coverage(days, result)) {
		return;
	}
	for (int32_t day = days->from; day <= days->plan.today; day++) {
		struct heal_request request = {.source = days->asks,
			.coverage = &days->list,
			.now_us = days->now_us,
			.today = days->plan.today};
		int64_t from_us;

		if (heal_need(&request, day, &from_us) != HEAL_NOT) {
			n += day <= days->to;
			n_newer += day > days->to;
		}
	}
	api_put_number(&days->body, "holes", n, -1);
	api_put_number(&days->body, "newer_holes", n_newer, -1);
	api_put_number(&days->body, "max_slices_per_day", budget, -1);
	api_put_number(&days->body, "days_needed", (n + n_newer + budget - 1) / budget, -1);
	buffer_append_char(&days->body, '}');
	api_days_finish(days);
}

static void take_marked(struct api_days *days, const struct pg_result *result)
{
	buffer_append_char(&days->body, '{');
	api_put_text(&days->body, "dataset", days->dataset->name);
	api_put_text(&days->body, "source", days->asks->name);
	api_put_day(&days->body, "from", days->from);
	api_put_day(&days->body, "to", days->to);
	api_put_number(&days->body, "marked", pg_i64(result, 0, 0), -1);
	days->source->backfilled(
		days->source->arg, days->asks, pg_i64(result, 0, 0), days->who);
	api_days_ask_coverage(days, take_after);
}

static bool check_range(struct api_days *days)
{
	if (!days->asks || !days->asks->heal.enabled) {
		api_days_fail(days, 409, "%s cannot be healed: none of its sources has 'heal'",
			days->dataset->name);
		return false;
	}
	if (days->to >= days->plan.today) {
		days->to = days->plan.today - 1;
	}
	if (days->to < days->from || days->to - days->from >= MAX_DAYS) {
		api_days_fail(days, 400, "from .. to must be 1 to %d days before today", MAX_DAYS);
		return false;
	}
	return true;
}

/* False: something else, or not what is needed. Texts live as long as `json`. */
static bool read_backfill(json_t *json, const char **dataset, const char **source,
	int32_t *from, int32_t *to)
{
	const char *first, *last;

	return json_unpack(json, "{s?s, s?s, s:s, s:s !}", "dataset", dataset, "source", source,
		       "from", &first, "to", &last) == 0 &&
	       api_read_day(first, from) && api_read_day(last, to);
}

void api_on_backfill(void *arg, struct httpd_request *request)
{
	char who[API_WHO_BYTES];
	const char *dataset = NULL, *source = NULL;
	int32_t from, to;
	struct api_days *days;
	json_t *json;

	if (!api_may_control(arg, request, who) || !(json = api_read_body(request))) {
		return;
	}
	if (!read_backfill(json, &dataset, &source, &from, &to)) {
		httpd_problem(request, 400, NULL, 0,
			"the body is {\"dataset\"?, \"source\"?, \"from\": DATE, \"to\": DATE}");
		json_decref(json);
		return;
	}
	days = api_days_new(arg, request, dataset, source);
	json_decref(json);
	if (!days) {
		return;
	}
	days->from = from;
	days->to = to;
	memcpy(days->who, who, sizeof(days->who));
	if (check_range(days)) {
		ledger_ask_backfill(&days->question, days->asks, days->from, days->to,
			days->now_us);
		api_days_ask(days, take_marked);
	}
}
