/*
 * A slice that cannot be proven as a whole is fetched in parts. SPDX-License-Identifier: Apache-2.0
 *
 * A part is small, mostly one page, and one answer never repeats a row by itself: where pages of the
 * whole overlap, its parts can be proven. Rows that no part asks for (their value is missing, or
 * came in no page and is stored nowhere) make the totals differ: then the whole stays partial.
 */

#include "daemon/split.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/escape.h"

bool split_is_due(const struct source *source, const struct spool_outcome *whole,
	const struct valueset *values)
{
	return source->slice.split_by >= 0 && whole->state == SLICE_PARTIAL &&
	       strcmp(whole->reason, "incomplete") == 0 && whole->expected >= 0 && values &&
	       values->n_values > 0 && !values->overflow;
}

static bool is_utf8(const char *text)
{
	const char *end = text + strlen(text);

	while (text < end) {
		size_t n = escape_utf8_bytes(text, end);

		if (n == 0) {
			return false;
		}
		text += n;
	}
	return true;
}

bool split_part(const struct plan_slice *whole, const char *value, struct plan_slice *ret)
{
	int n;

	if (value[strspn(value, " \t\r\n")] == '\0' || !is_utf8(value)) {
		return false;
	}
	ret->day = whole->day;
	n = snprintf(ret->name, sizeof(ret->name), "%s/%s", whole->name, value);
	return n > 0 && (size_t)n < sizeof(ret->name);
}

bool split_is_nothing(const struct spool_outcome *part)
{
	return part->state == SLICE_SUSPECT && strcmp(part->reason, "nothing") == 0;
}

void split_take(struct split *split, const struct spool_outcome *part)
{
	split->n_ended++;
	if (split_is_nothing(part)) {
		split->n_proven++;
	} else if (part->state == SLICE_PROVEN && part->expected >= 0) {
		split->n_proven++;
		split->n_rows += (uint64_t)part->expected;
	}
}

void split_judge(const struct split *split, struct spool_outcome *whole)
{
	if (split->n_ended == split->n_parts && split->n_proven == split->n_parts &&
		split->n_rows == (uint64_t)whole->expected) {
		whole->state = SLICE_PROVEN;
		whole->reason[0] = '\0';
		whole->text[0] = '\0';
		return;
	}
	snprintf(whole->text, sizeof(whole->text),
		"%" PRIu64 " of %" PRId64 " rows came in %u passes; split, %u of %u parts are proven,"
		" with %" PRIu64 " rows",
		whole->distinct, whole->expected, whole->passes, split->n_proven, split->n_parts,
		split->n_rows);
}
