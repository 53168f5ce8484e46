/*
 * A slice that cannot be proven as a whole is fetched in parts. SPDX-License-Identifier: Apache-2.0
 *
 * A part is small, mostly one page, and one answer never repeats a row by itself: where pages of the
 * whole overlap, its parts can be proven. Rows that no part asks for (their value is missing, or
 * came in no page and is stored nowhere) make the totals differ: then the whole stays partial.
 *
 * The totals of parts that were fetched while the day grew may add up by chance. So a part counts only
 * if `updated` is still what it was with the whole's last answer.
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

static bool has_moved(const struct split *split, const struct spool_outcome *part)
{
	return split->updated != 0 && part->updated != 0 && split->updated != part->updated;
}

void split_take(struct split *split, const struct spool_outcome *part)
{
	bool proven = part->state == SLICE_PROVEN && part->expected >= 0;

	split->n_ended++;
	if (!proven && !split_is_nothing(part)) {
		return;
	}
	if (has_moved(split, part)) {
		split->n_moved++;
		return;
	}
	split->n_proven++;
	split->n_rows += proven ? (uint64_t)part->expected : 0;
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
		" with %" PRIu64 " rows%s",
		whole->distinct, whole->expected, whole->passes, split->n_proven, split->n_parts,
		split->n_rows, split->n_moved > 0 ? "; the data changed meanwhile" : "");
}
