/*
 * The HTTP route that explains a day. SPDX-License-Identifier: Apache-2.0
 *
 * Four questions, one after the other: what is known of the dataset's days, the last looks at this
 * one, what healing has spent today, and how many rows are stored. Then why.c has the words.
 */

#include <stdio.h>
#include <string.h>

#include "daemon/api_days.h"
#include "daemon/plan.h"
#include "daemon/statement.h"
#include "daemon/why.h"

enum { MAX_LOOKS = 3 };

/* What the words are made of, in one piece. */
struct story {
	struct why why; /* first: days->why points here */
	struct why_look looks[MAX_LOOKS];
};

static void put_look(struct buffer *out, const struct why_look *look)
{
	buffer_append_char(out, '{');
	api_put_number(out, "run", look->run, 0);
	api_put_text(out, "trigger", look->trigger);
	api_put_text(out, "state", look->state);
	api_put_text(out, "code", look->code);
	api_put_text(out, "error", look->text);
	api_put_number(out, "received", (int64_t)look->received, -1);
	api_put_number(out, "quarantined", (int64_t)look->quarantined, -1);
	api_put_time(out, "fetched_at", look->fetched_us);
	buffer_append_char(out, '}');
}

static void put_looks(struct buffer *out, const struct why *why)
{
	api_put_key(out, "looks");
	buffer_append_char(out, '[');
	for (unsigned i = 0; i < why->n_looks; i++) {
		buffer_append_str(out, i > 0 ? "," : "");
		put_look(out, &why->looks[i]);
	}
	buffer_append_str(out, "]}");
}

static void answer(struct api_days *days)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct buffer *out = &days->body;
	const struct why *why = days->why;
	const struct cover_row *row = coverage_day(&days->list, why->day);
	bool due = coverage_is_due(
		&days->list, why->day, heal_due_from(days->dataset), days->now_us);

	why_text(why, &text);
	out->failed |= buffer_failed(&text);
	buffer_append_char(out, '{');
	api_put_text(out, "dataset", days->dataset->name);
	api_put_day(out, "date", why->day);
	api_put_text(out, "part", why->part);
	api_put_text(out, "text", buffer_str(&text));
	api_put_text(out, "state",
		row ? cover_state_name(row->state) : due ? cover_state_name(COVER_MISSING) : NULL);
	api_put_bool(out, "due", due);
	api_put_bool(out, "weak", coverage_is_weak(&days->list, why->day, why->now_us));
	api_put_number(out, "stored", why->n_stored, -1);
	api_put_time(out, "next_try", why_next_us(why));
	put_looks(out, why);
	api_days_finish(days);
}

/* ---- the questions, the last one first ---- */

static void take_stored(struct api_days *days, const struct pg_result *result)
{
	days->why->n_stored = pg_i64(result, 0, 0);
	answer(days);
}

/* The column that a part is a value of. */
static int part_column(const struct api_days *days)
{
	if (!days->part[0]) {
		return -1;
	}
	return days->asks && days->asks->slice.split_by >= 0
		       ? days->asks->slice.split_by
		       : dataset_column(days->dataset, "state");
}

static void ask_stored(struct api_days *days)
{
	_cleanup_buffer_ struct buffer sql = {0};
	int column = part_column(days);

	statement_count_day(days->dataset, column, &sql);
	if (buffer_failed(&sql)) {
		api_days_fail(days, 503, "out of memory");
		return;
	}
	days->question = (struct ledger_question){.sql = buffer_str(&sql)};
	add_number(&days->question.params, days->from);
	if (column >= 0) {
		add_text(&days->question.params, days->part);
	}
	api_days_ask(days, take_stored);
}

static void take_spent(struct api_days *days, const struct pg_result *result)
{
	days->why->spent = (unsigned)pg_i64(result, 0, 0);
	days->why->spent_tried = (unsigned)pg_i64(result, 0, 1);
	ask_stored(days);
}

static void read_look(const struct pg_result *result, int row, struct why_look *look)
{
	*look = (struct why_look){
		.run = pg_i64(result, row, 2),
		.expected = pg_is_null(result, row, 6) ? -1 : pg_i64(result, row, 6),
		.received = (uint64_t)pg_i64(result, row, 7),
		.inserted = (uint64_t)pg_i64(result, row, 9),
		.updated = (uint64_t)pg_i64(result, row, 10),
		.unchanged = (uint64_t)pg_i64(result, row, 11),
		.duplicate = (uint64_t)pg_i64(result, row, 12),
		.quarantined = (uint64_t)pg_i64(result, row, 13),
		.fetched_us = pg_i64(result, row, 16),
	};
	snprintf(look->trigger, sizeof(look->trigger), "%s", pg_value(result, row, 1));
	snprintf(look->state, sizeof(look->state), "%s", pg_value(result, row, 3));
	snprintf(look->code, sizeof(look->code), "%s", pg_value(result, row, 4));
	snprintf(look->text, sizeof(look->text), "%s", pg_value(result, row, 5));
}

static void take_looks(struct api_days *days, const struct pg_result *result)
{
	struct story *story = container_of(days->why, struct story, why);

	for (int i = 0; i < pg_n_rows(result) && i < MAX_LOOKS; i++) {
		read_look(result, i, &story->looks[i]);
		story->why.n_looks++;
	}
	if (days->asks && days->asks->heal.enabled) {
		ledger_ask_spent(&days->question, days->asks, days->plan.day_begin_us);
		api_days_ask(days, take_spent);
	} else {
		ask_stored(days);
	}
}

static void take_coverage(struct api_days *days, const struct pg_result *result)
{
	struct plan_slice slice;
	char name[PLAN_NAME_BYTES + SPOOL_NAME_BYTES + 1];

	if (!api_days_take_coverage(days, result)) {
		return;
	}
	plan_day(days->from, &slice);
	snprintf(name, sizeof(name), "%s%s%s", slice.name, days->part[0] ? "/" : "", days->part);
	ledger_ask_looks(&days->question, days->dataset->name, name);
	api_days_ask(days, take_looks);
}

static struct why *new_story(struct api_days *days)
{
	struct story *story = calloc(1, sizeof(*story));

	if (!story) {
		return NULL;
	}
	story->why = (struct why){
		.dataset = days->dataset,
		.source = days->asks,
		.part = days->part[0] ? days->part : NULL,
		.coverage = &days->list,
		.day = days->from,
		.today = days->plan.today,
		.next_day = days->plan.next_day,
		.paused = days->plan.paused,
		.now_us = days->now_us,
		.next_run_us = days->plan.next_run_us,
		.looks = story->looks,
		.n_stored = -1,
	};
	return &story->why;
}

void api_on_why(void *arg, struct httpd_request *request)
{
	struct api_days *days = api_days_new(arg, request, httpd_query(request, "dataset"), NULL);
	const char *part;

	if (!days || !api_days_take(days, "date", &days->from)) {
		return;
	}
	part = httpd_query(request, "state");
	if (days->from == INT32_MIN) {
		api_days_fail(days, 400, "date is missing");
	} else if (part && strlen(part) >= sizeof(days->part)) {
		api_days_fail(days, 400, "state is too long");
	} else {
		snprintf(days->part, sizeof(days->part), "%s", part ? part : "");
		days->why = new_story(days);
		if (days->why) {
			api_days_ask_coverage(days, take_coverage);
		} else {
			api_days_fail(days, 503, "out of memory");
		}
	}
}
