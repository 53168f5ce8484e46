#pragma once

/*
 * The filters of one slice: what is sent, and the canary that shows whether the portal obeyed.
 * Pure. SPDX-License-Identifier: Apache-2.0
 *
 * Filters of the portal are exact, and some are silently ignored (PORTAL 3). So the typed value of
 * each row is compared with the one that was asked for. Three kinds come together: the source's own
 * filters, the slice's date, and the value of the column by which a slice was split.
 */

#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/decode.h"
#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/copyrow.h"
#include "lib/error.h"

enum { FILTER_NO_DAY = INT32_MIN };

struct filter {
	const char *param; /* of the source */
	char *value;       /* as sent */
	int column;        /* of the dataset; -1: its rows cannot be compared */
	struct buffer due; /* the typed value: bytes of a struct field */
	int32_t day;       /* the typed value of a date or time stamp */
};

struct filter_list {
	struct filter *filters;
	unsigned n_filters;
};

/*
 * `day` is the slice's data date (FILTER_NO_DAY: the slice `all`), `split_value` the served text of
 * the split column or NULL. -errno.
 */
int filter_list_init(struct filter_list *list, const struct source *source, int32_t day,
	const char *split_value) must_check;
void filter_list_fini(struct filter_list *list);

/*
 * 0, or -1 with code "filter_ignored" (REJECTED) that names filter, sent and served value. A NULL
 * where a value was asked for is no match either.
 */
int filter_list_check(const struct filter_list *list, const struct source *source,
	const struct field *row, const struct record *record, struct error *error) must_check;

/* The field of `record` that fills a column: the first of its names that is present, or NULL. */
const struct record_field *source_find(
	const struct source *source, unsigned column, const struct record *record);

/* Where a column's field stands in records of one shape. {0} at the begin. */
struct place {
	uint64_t shape;
	unsigned at; /* n_fields of such a record, or more: nowhere */
};

/* The same for one record after another. */
const struct record_field *source_find_near(const struct source *source, unsigned column,
	const struct record *record, struct place *place);
