/*
 * Why a day is as it is, in words. SPDX-License-Identifier: Apache-2.0
 *
 * Each function writes a sentence or two, in the order of the story: due, seen, looked at, stored,
 * next. What healing will do is asked of heal.c, so that the words and the deed are one.
 */

#include "daemon/why.h"

#include <inttypes.h>

#include "daemon/date.h"
#include "lib/civil.h"
#include "lib/clock.h"

static const char *const weekdays[] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static void append_time(struct buffer *out, int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	buffer_append_str(out, clock_format_rfc3339(us, 0, text));
}

static bool is_over(const struct why *why)
{
	return why->now_us >= coverage_over_us(why->day, why->dataset->day_ends_s);
}

static struct heal_request heal_of(const struct why *why)
{
	return (struct heal_request){
		.source = why->source,
		.coverage = why->coverage,
		.now_us = why->now_us,
		.today = why->today,
		.spent = why->spent,
		.spent_tried = why->spent_tried,
	};
}

/* ---- was it due ---- */

static void say_due(const struct why *why, struct buffer *out)
{
	int64_t over_us = coverage_over_us(why->day, why->dataset->day_ends_s);
	int32_t from = heal_due_from(why->dataset);

	date_format(why->day, "%Y-%m-%d", out);
	buffer_printf(out, ", a %s, ", weekdays[civil_weekday(why->day)]);
	if (!is_over(why)) {
		buffer_append_str(out, why->day > why->today ? "has not begun: it is over at "
							     : "is not over: it is so at ");
		append_time(out, over_us);
	} else if (coverage_is_due(why->coverage, why->day, from, why->now_us)) {
		buffer_append_str(out, "was due at ");
		append_time(out, over_us);
	} else {
		buffer_append_str(out, "was never due: ");
		if (from == INT32_MAX) {
			buffer_append_str(out, "it is before the first day that is known");
		} else {
			buffer_append_str(out, "heal.from is ");
			date_format(from, "%Y-%m-%d", out);
		}
	}
	buffer_append_str(out, ".");
}

/* ---- what is known ---- */

static const char *meaning(enum cover_state state)
{
	switch (state) {
	case COVER_COMPLETE:
		return "complete: every row that the portal had came, after the day was over";
	case COVER_OPEN:
		return "open: every row came, but before the day was over";
	case COVER_PARTIAL:
		return "partial: rows came, but not provably all";
	case COVER_SUSPECT:
		return "suspect: the portal answered that there is nothing, which is not believed yet";
	case COVER_EMPTY:
		return "empty: the portal said three times, at least a day apart, that there is nothing";
	case COVER_MISSING:
		break;
	}
	return "missing";
}

static void say_counts(const struct cover_row *row, struct buffer *out)
{
	if (row->received == 0) {
		return;
	}
	buffer_printf(out, ", %" PRIu64, row->received);
	if (row->expected >= 0) {
		buffer_printf(out, " of %" PRId64, row->expected);
	}
	buffer_append_str(out, " rows");
	if (row->quarantined > 0) {
		buffer_printf(out, ", %" PRIu64 " of them in quarantine", row->quarantined);
	}
}

static void say_row(const struct cover_row *row, struct buffer *out)
{
	buffer_printf(out, " By %s it is %s", row->source ? row->source : "a source of the past",
		meaning(row->state));
	say_counts(row, out);
	if (row->code[0] && row->state != COVER_COMPLETE) {
		buffer_printf(out, " (%s)", row->code);
	}
	if (row->attempts > 0) {
		buffer_printf(out, "; %u look%s, the last one at ", row->attempts,
			row->attempts == 1 ? "" : "s");
		append_time(out, row->checked_us);
	}
	buffer_append_str(out, ".");
}

static void say_known(const struct why *why, struct buffer *out)
{
	const struct cover_list *list = why->coverage;
	unsigned n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->rows[i].day == why->day) {
			say_row(&list->rows[i], out);
			n++;
		}
	}
	if (n == 0) {
		buffer_append_str(out, " Nothing is known of it: no look at it is in the books.");
	}
	if (coverage_is_weak(list, why->day, why->now_us)) {
		buffer_printf(out, " It is weak: %" PRId64 " rows are usual for this weekday.",
			coverage_expectation(list, why->day));
	}
}

/* ---- the last look ---- */

static void say_rows(const struct why_look *look, struct buffer *out)
{
	static const char *const names[] = {
		"inserted", "updated", "unchanged", "duplicate", "quarantined"};
	const uint64_t counts[] = {look->inserted, look->updated, look->unchanged,
		look->duplicate, look->quarantined};

	buffer_printf(out, ": %" PRIu64 " received", look->received);
	for (unsigned i = 0; i < N_ELEMENTS(names); i++) {
		if (counts[i] > 0) {
			buffer_printf(out, ", %" PRIu64 " %s", counts[i], names[i]);
		}
	}
}

static void say_look(const struct why *why, struct buffer *out)
{
	const struct why_look *look = why->looks;

	if (why->n_looks == 0) {
		if (why->part) {
			buffer_printf(out, " The part %s was not asked for by itself.", why->part);
		}
		return;
	}
	buffer_printf(out, " Run %" PRId64 " (%s) looked last%s%s and ended %s", look->run,
		look->trigger, why->part ? " at the part " : "", why->part ? why->part : "",
		look->state);
	if (look->received > 0) {
		say_rows(look, out);
	}
	if (look->text[0] || look->code[0]) {
		buffer_printf(out, ": %s", look->text[0] ? look->text : look->code);
	}
	buffer_append_str(out, ".");
}

static void say_stored(const struct why *why, struct buffer *out)
{
	if (why->n_stored < 0) {
		return;
	}
	buffer_printf(out, " %s.%s holds %" PRId64 " row%s of it", why->dataset->schema,
		why->dataset->table, why->n_stored, why->n_stored == 1 ? "" : "s");
	if (why->part) {
		buffer_printf(out, " with %s", why->part);
	}
	buffer_append_str(out, ".");
}

/* ---- what is next ---- */

/* By how many holes healing comes to this one later. */
static unsigned n_before(const struct heal_request *request, int32_t day)
{
	unsigned n = 0;
	int64_t from_us;

	for (int32_t d = heal_last_day(request); d > day; d--) {
		n += heal_need(request, d, &from_us) != HEAL_NOT && from_us <= request->now_us;
	}
	return n;
}

static void say_healing(const struct why *why, const struct heal_request *request,
	int64_t from_us, struct buffer *out)
{
	unsigned n = n_before(request, why->day);
	unsigned budget = why->source->heal.max_slices_per_day;
	bool waits = from_us > why->now_us;

	buffer_append_str(out, waits ? " Healing asks for it again, not before "
				     : " Healing asks for it next");
	if (waits) {
		append_time(out, from_us);
	}
	buffer_printf(out, "; %u newer one%s before it, %u of %u for today %s spent.", n,
		n == 1 ? " goes" : "s go", why->spent, budget, budget == 1 ? "is" : "are");
}

/* The look-back of the next scheduled run reaches it. */
static bool is_look_back(const struct why *why)
{
	const struct source *source = why->source;

	return source && why->next_run_us != INT64_MAX && why->day < why->next_day &&
	       why->day >= why->next_day - (int32_t)source->slice.lookback_days;
}

/* Healing asks for it, now or when *ret_from_us has come. */
static bool is_healed(const struct why *why, const struct heal_request *request,
	int64_t *ret_from_us)
{
	return why->source && why->source->heal.enabled &&
	       heal_need(request, why->day, ret_from_us) != HEAL_NOT;
}

static void say_nobody(const struct why *why, const struct heal_request *request,
	struct buffer *out)
{
	bool heals = why->source && why->source->heal.enabled;

	if (!is_over(why)) {
		buffer_append_str(out, " It is asked for when it is over.");
	} else if (!coverage_is_hole(coverage_day(why->coverage, why->day))) {
		buffer_append_str(out, " Nothing is to be done.");
	} else if (heals && why->day > heal_last_day(request)) {
		buffer_append_str(out, " Healing asks for it from tomorrow on.");
	} else {
		buffer_append_str(out,
			heals ? " Nobody asks for it, until 'ogdsync backfill' names it."
			      : " Nobody asks for it: no source of the dataset has 'heal'.");
	}
}

static void say_next(const struct why *why, struct buffer *out)
{
	struct heal_request request = heal_of(why);
	int64_t from_us;

	if (is_look_back(why)) {
		buffer_printf(out, " The schedule of %s looks at it again at ", why->source->name);
		append_time(out, why->next_run_us);
		buffer_append_str(out, ".");
	} else if (is_healed(why, &request, &from_us)) {
		say_healing(why, &request, from_us, out);
	} else {
		say_nobody(why, &request, out);
	}
	if (why->paused) {
		buffer_append_str(out, " But it is paused: until 'ogdsync resume' nothing is asked for.");
	}
}

int64_t why_next_us(const struct why *why)
{
	struct heal_request request = heal_of(why);
	int64_t from_us;

	if (is_look_back(why)) {
		return why->next_run_us;
	}
	if (is_healed(why, &request, &from_us)) {
		return from_us > why->now_us ? from_us : why->now_us;
	}
	return 0;
}

void why_text(const struct why *why, struct buffer *out)
{
	say_due(why, out);
	say_known(why, out);
	say_look(why, out);
	say_stored(why, out);
	say_next(why, out);
}
