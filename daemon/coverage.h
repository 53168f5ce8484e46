#pragma once

/*
 * Coverage: what is known of each data date of a dataset, and what a further look makes of it. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row is what one source knows of one slice. Rows of several sources fold into a day, the best
 * first. All times are of the daemon's clock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/slice.h"
#include "lib/attr.h"

/* The best first; the words are stored and shown. */
enum cover_state {
	COVER_COMPLETE, /* all rows were received, after the day was over */
	COVER_OPEN,     /* all there were, before it was over */
	COVER_PARTIAL,  /* rows, but not provably all */
	COVER_SUSPECT,  /* nothing, where something was due */
	COVER_EMPTY,    /* nothing, and asked often enough to believe it: no hole */
	COVER_MISSING,
};
enum { N_COVER_STATES = COVER_MISSING + 1 };

const char *cover_state_name(enum cover_state state);
/* False: no such word. */
bool cover_state_parse(const char *name, enum cover_state *ret) must_check;

struct cover_row {
	int32_t day;         /* INT32_MIN: none */
	const char *source;  /* as configured, borrowed; NULL: no longer there */
	enum cover_state state;
	int64_t expected;    /* -1 unknown */
	uint64_t received, distinct, quarantined;
	char code[SPOOL_REASON_BYTES];
	unsigned attempts;   /* looks */
	unsigned tries;      /* of them in vain, since the day was over */
	unsigned zeros;      /* looks a day apart that found nothing, the last ones in a row */
	int64_t zero_us;     /* when the last of these was */
	int64_t next_try_us; /* not before; 0: at any time */
	int64_t run;         /* 0 none */
	int64_t checked_us;
};

/* Data dates that can be: 0001-01-01 to 9999-12-31. */
enum { COVERAGE_FIRST_DAY = -719162, COVERAGE_LAST_DAY = 2932896 };

/* A data date is over at `day_ends_s` of the next day in India. */
int64_t coverage_over_us(int32_t day, unsigned day_ends_s);

/*
 * What stands after a look: `old` (NULL: the first one) and what the look found, of which attempts,
 * tries, zeros and next_try_us do not count.
 */
void coverage_fold(const struct cover_row *old, const struct cover_row *look, unsigned day_ends_s,
	struct cover_row *ret);

/* ---- the days of a dataset ---- */

/* Rows by day, ascending; those of one day stand together. */
struct cover_list {
	struct cover_row *rows;
	size_t n, size;
	unsigned day_ends_s;
};

int coverage_add(struct cover_list *list, const struct cover_row *row) must_check; /* -ENOMEM */
void coverage_fini(struct cover_list *list);

/* The best row of a day, or NULL. */
const struct cover_row *coverage_day(const struct cover_list *list, int32_t day);
/* That of one source, or NULL. */
const struct cover_row *coverage_of(const struct cover_list *list, int32_t day, const char *source);

/*
 * How many rows to expect of a day: the median of the complete days of the same weekday in the
 * eight weeks before; -1 when fewer than four of them are known.
 */
int64_t coverage_expectation(const struct cover_list *list, int32_t day);

/*
 * True for a day that is over and has less than half of what was to be expected, though nothing is
 * known to be missing: also for an empty one.
 */
bool coverage_is_weak(const struct cover_list *list, int32_t day, int64_t now_us);

/* A day without a row, or whose rows are no proof. Only for a day that is over and was due. */
bool coverage_is_hole(const struct cover_row *best);

/* A day that should have rows by now: it is over, and since `due_from` or known. */
bool coverage_is_due(const struct cover_list *list, int32_t day, int32_t due_from, int64_t now_us);

struct cover_counts {
	unsigned days[N_COVER_STATES]; /* due days by the state of their best row, or missing */
	int32_t newest;                /* day with rows; INT32_MIN none */
};

/* All days that are known or due since `due_from` (INT32_MAX: only those between known ones). */
void coverage_count(const struct cover_list *list, int32_t due_from, int64_t now_us,
	struct cover_counts *ret);

/* The first day that is known or due, and the last one that is over; false: there is none. */
bool coverage_range(const struct cover_list *list, int32_t due_from, int64_t now_us,
	int32_t *ret_from, int32_t *ret_to) must_check;
