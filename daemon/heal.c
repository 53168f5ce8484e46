/*
 * Which holes to fetch now. SPDX-License-Identifier: Apache-2.0
 *
 * The list is made anew each time from what the ledger says, so nothing of it must be remembered:
 * killed at any moment, the next process comes to the same list, less what was booked.
 */

#include "daemon/heal.h"

#define DAY_US INT64_C(86400000000)

/* A weak or empty day may have been early: it is looked at once more when its week is over. */
static const int64_t weak_after_us = 7 * DAY_US;

static bool has_schedule(const struct source *source)
{
	return source->n_schedules > 0 || source->every_ms > 0;
}

int32_t heal_last_day(const struct heal_request *request)
{
	const struct source *source = request->source;

	return request->today - 1 -
	       (has_schedule(source) ? (int32_t)source->slice.lookback_days : 0);
}

/* After a look in vain that late look is due again as any hole is. */
static enum heal_need need_of_weak(const struct heal_request *request,
	const struct cover_row *row, int64_t *ret_from_us)
{
	int64_t late_us =
		coverage_over_us(row->day, request->coverage->day_ends_s) + weak_after_us;

	if ((row->checked_us >= late_us && row->next_try_us == 0) ||
		!coverage_is_weak(request->coverage, row->day, request->now_us)) {
		return HEAL_NOT;
	}
	*ret_from_us = row->next_try_us > late_us ? row->next_try_us : late_us;
	return HEAL_AGAIN;
}

enum heal_need heal_need(const struct heal_request *request, int32_t day, int64_t *ret_from_us)
{
	const struct source *source = request->source;
	const struct cover_row *best = coverage_day(request->coverage, day);
	const struct cover_row *own = coverage_of(request->coverage, day, source->name);

	*ret_from_us = 0;
	if ((day < source->heal.from_day && !own) || day > heal_last_day(request) ||
		request->now_us < coverage_over_us(day, request->coverage->day_ends_s)) {
		return HEAL_NOT;
	}
	if (!coverage_is_hole(best)) {
		return best == own ? need_of_weak(request, best, ret_from_us) : HEAL_NOT;
	}
	if (own) {
		*ret_from_us = own->next_try_us;
	}
	return own && own->tries > 0 ? HEAL_AGAIN : HEAL_FIRST;
}

static int32_t first_day(const struct heal_request *request)
{
	const struct cover_list *coverage = request->coverage;
	int32_t from = request->source->heal.from_day;

	return coverage->n > 0 && coverage->rows[0].day < from ? coverage->rows[0].day : from;
}

static enum heal_need need_now(const struct heal_request *request, int32_t day)
{
	int64_t from_us;
	enum heal_need need = heal_need(request, day, &from_us);

	return from_us <= request->now_us ? need : HEAL_NOT;
}

/* How many of the holes tried before may still be taken today. */
static unsigned room_for_tried(const struct heal_request *request, unsigned left)
{
	unsigned n_first = 0, half = request->source->heal.max_slices_per_day / 2;
	unsigned spent_first = request->spent - request->spent_tried, kept;

	for (int32_t day = heal_last_day(request); day >= first_day(request); day--) {
		n_first += need_now(request, day) == HEAL_FIRST;
	}
	kept = half > spent_first ? half - spent_first : 0;
	kept = n_first < kept ? n_first : kept;
	return left > kept ? left - kept : 0;
}

unsigned heal_plan(const struct heal_request *request, int32_t *days, unsigned max)
{
	unsigned budget = request->source->heal.max_slices_per_day, n = 0, room;
	unsigned left = budget > request->spent ? budget - request->spent : 0;

	if (left == 0) {
		return 0;
	}
	room = room_for_tried(request, left);
	for (int32_t day = heal_last_day(request);
		day >= first_day(request) && n < left && n < max; day--) {
		enum heal_need need = need_now(request, day);

		if (need == HEAL_FIRST || (need == HEAL_AGAIN && room > 0)) {
			room -= need == HEAL_AGAIN;
			days[n++] = day;
		}
	}
	return n;
}

int32_t heal_due_from(const struct dataset *dataset)
{
	int32_t from = INT32_MAX;

	for (unsigned i = 0; i < dataset->n_sources; i++) {
		const struct source_heal *heal = &dataset->sources[i].heal;

		if (heal->enabled && heal->from_day < from) {
			from = heal->from_day;
		}
	}
	return from;
}
