/*
 * Coverage: what a look makes of what was known, and how rows make a day. SPDX-License-Identifier: Apache-2.0
 *
 * A look that proved less takes nothing back from one that proved more, nor its numbers; and a look
 * of an older run (a replay) counts only if it proved more. Three looks at least a day apart that all found
 * nothing are believed. A look in vain makes the next one wait: 1, 2, 4 .. 30 days.
 */

#include "daemon/coverage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ZEROS_TO_BELIEVE = 3,
	MAX_WAIT_DAYS = 30,
	WEEKS_BACK = 8,
	WEEKS_TO_KNOW = 4,
};

#define HOUR_US INT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)
#define IST_US  (5 * HOUR_US + HOUR_US / 2)

static const char *const names[N_COVER_STATES] = {
	[COVER_COMPLETE] = "complete",
	[COVER_OPEN] = "open",
	[COVER_PARTIAL] = "partial",
	[COVER_SUSPECT] = "suspect",
	[COVER_EMPTY] = "empty",
	[COVER_MISSING] = "missing",
};

const char *cover_state_name(enum cover_state state)
{
	return names[state];
}

bool cover_state_parse(const char *name, enum cover_state *ret)
{
	for (unsigned i = 0; i < N_COVER_STATES; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum cover_state)i;
			return true;
		}
	}
	return false;
}

int64_t coverage_over_us(int32_t day, unsigned day_ends_s)
{
	return ((int64_t)day + 1) * DAY_US + (int64_t)day_ends_s * 1000000 - IST_US;
}

/* ---- a look ---- */

static bool is_over(const struct cover_row *look, unsigned day_ends_s)
{
	return look->day == INT32_MIN ||
	       look->checked_us >= coverage_over_us(look->day, day_ends_s);
}

static bool is_proof(enum cover_state state)
{
	return state == COVER_COMPLETE || state == COVER_OPEN;
}

/* What was known outweighs what was found. */
static bool keeps(const struct cover_row *old, const struct cover_row *look)
{
	if (look->state == COVER_MISSING || (look->run < old->run && look->state >= old->state)) {
		return true;
	}
	switch (old->state) {
	case COVER_COMPLETE:
		return look->state != COVER_COMPLETE;
	case COVER_OPEN:
	case COVER_PARTIAL:
	case COVER_EMPTY:
		return look->state == COVER_SUSPECT;
	case COVER_SUSPECT:
	case COVER_MISSING:
		break;
	}
	return false;
}

static void take_look(struct cover_row *row, const struct cover_row *look)
{
	row->state = look->state;
	row->expected = look->expected >= 0 ? look->expected : row->expected;
	row->received = look->received;
	row->distinct = look->distinct;
	row->quarantined = look->quarantined;
	memcpy(row->code, look->code, sizeof(row->code));
}

static void count_zero(struct cover_row *row, const struct cover_row *look)
{
	if (look->state != COVER_SUSPECT) {
		row->zeros = look->state == COVER_MISSING ? row->zeros : 0;
		return;
	}
	if (row->zeros == 0 || look->checked_us - row->zero_us >= DAY_US) {
		row->zeros++;
		row->zero_us = look->checked_us;
	}
	if (row->zeros >= ZEROS_TO_BELIEVE && row->state == COVER_SUSPECT) {
		row->state = COVER_EMPTY;
		row->code[0] = '\0';
	}
}

static int64_t wait_us(unsigned tries)
{
	unsigned days = 1;

	for (unsigned i = 1; i < tries && days < MAX_WAIT_DAYS; i++) {
		days *= 2;
	}
	return (days < MAX_WAIT_DAYS ? days : MAX_WAIT_DAYS) * DAY_US;
}

static void count_try(struct cover_row *row, const struct cover_row *look)
{
	row->next_try_us = 0;
	if (!is_proof(look->state) && row->state != COVER_EMPTY) {
		row->tries++;
		row->next_try_us = look->checked_us + wait_us(row->tries);
	}
}

void coverage_fold(const struct cover_row *old, const struct cover_row *look, unsigned day_ends_s,
	struct cover_row *ret)
{
	struct cover_row row = old ? *old : (struct cover_row){.day = look->day, .expected = -1};
	bool newest = !old || look->run >= old->run;

	if (!old || !keeps(old, look)) {
		take_look(&row, look);
	}
	row.attempts++;
	if (newest && is_over(look, day_ends_s)) {
		if (look->day != INT32_MIN) {
			count_zero(&row, look);
		}
		count_try(&row, look);
	}
	if (newest) {
		row.run = look->run;
	}
	if (!old || look->checked_us > old->checked_us) {
		row.checked_us = look->checked_us;
	}
	*ret = row;
}

/* ---- the days of a dataset ---- */

int coverage_add(struct cover_list *list, const struct cover_row *row)
{
	if (list->n == list->size) {
		size_t size = list->size ? list->size * 2 : 256;
		struct cover_row *rows = realloc(list->rows, size * sizeof(*rows));

		if (!rows) {
			return -ENOMEM;
		}
		list->rows = rows;
		list->size = size;
	}
	list->rows[list->n++] = *row;
	return 0;
}

void coverage_fini(struct cover_list *list)
{
	free(list->rows);
	*list = (struct cover_list){.day_ends_s = list->day_ends_s};
}

/* The first row of a day, or where it would stand. */
static size_t find_day(const struct cover_list *list, int32_t day)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->rows[middle].day < day) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static bool is_better(const struct cover_row *a, const struct cover_row *b)
{
	return a->state != b->state ? a->state < b->state : a->checked_us > b->checked_us;
}

const struct cover_row *coverage_day(const struct cover_list *list, int32_t day)
{
	const struct cover_row *best = NULL;

	for (size_t i = find_day(list, day); i < list->n && list->rows[i].day == day; i++) {
		if (!best || is_better(&list->rows[i], best)) {
			best = &list->rows[i];
		}
	}
	return best;
}

const struct cover_row *coverage_of(const struct cover_list *list, int32_t day, const char *source)
{
	for (size_t i = find_day(list, day); i < list->n && list->rows[i].day == day; i++) {
		if (list->rows[i].source && strcmp(list->rows[i].source, source) == 0) {
			return &list->rows[i];
		}
	}
	return NULL;
}

static int compare_counts(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int64_t coverage_expectation(const struct cover_list *list, int32_t day)
{
	uint64_t counts[WEEKS_BACK];
	unsigned n = 0;

	for (int32_t week = 1; week <= WEEKS_BACK; week++) {
		const struct cover_row *row = coverage_day(list, day - 7 * week);

		if (row && row->state == COVER_COMPLETE) {
			counts[n++] = row->distinct;
		}
	}
	if (n < WEEKS_TO_KNOW) {
		return -1;
	}
	qsort(counts, n, sizeof(counts[0]), compare_counts);
	return (int64_t)((counts[(n - 1) / 2] + counts[n / 2]) / 2);
}

bool coverage_is_weak(const struct cover_list *list, int32_t day, int64_t now_us)
{
	const struct cover_row *row = coverage_day(list, day);
	int64_t expected = coverage_expectation(list, day);

	return row && (is_proof(row->state) || row->state == COVER_EMPTY) && now_us >= coverage_over_us(day, list->day_ends_s) &&
	       expected > 0 && (int64_t)row->distinct < expected / 2;
}

bool coverage_is_hole(const struct cover_row *best)
{
	return !best || (best->state != COVER_COMPLETE && best->state != COVER_EMPTY);
}

/* ---- what is due ---- */

static int32_t last_day_over(const struct cover_list *list, int64_t now_us)
{
	int64_t us = now_us - coverage_over_us(-1, list->day_ends_s);

	return (int32_t)(us >= 0 ? us / DAY_US : (us - DAY_US + 1) / DAY_US) - 1;
}

bool coverage_range(const struct cover_list *list, int32_t due_from, int64_t now_us,
	int32_t *ret_from, int32_t *ret_to)
{
	*ret_from = list->n > 0 && list->rows[0].day < due_from ? list->rows[0].day : due_from;
	*ret_to = last_day_over(list, now_us);
	return *ret_from <= *ret_to;
}

bool coverage_is_due(const struct cover_list *list, int32_t day, int32_t due_from, int64_t now_us)
{
	int32_t first = list->n > 0 ? list->rows[0].day : INT32_MAX;

	if (day > last_day_over(list, now_us)) {
		return false;
	}
	return day >= due_from || (due_from == INT32_MAX && day >= first) ||
	       coverage_day(list, day);
}

void coverage_count(const struct cover_list *list, int32_t due_from, int64_t now_us,
	struct cover_counts *ret)
{
	int32_t from, to;

	*ret = (struct cover_counts){.newest = INT32_MIN};
	for (size_t i = 0; i < list->n; i++) {
		if (list->rows[i].received > 0) {
			ret->newest = list->rows[i].day;
		}
	}
	if (!coverage_range(list, due_from, now_us, &from, &to)) {
		return;
	}
	for (int32_t day = from; day <= to; day++) {
		const struct cover_row *row = coverage_day(list, day);

		if (coverage_is_due(list, day, due_from, now_us)) {
			ret->days[row ? row->state : COVER_MISSING]++;
		}
	}
}
