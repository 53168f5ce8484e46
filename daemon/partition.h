#pragma once

/*
 * Range partitions by year or month of the data date. Pure but for SQL text.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "lib/attr.h"
#include "lib/buffer.h"

/* Half-open: from <= day < to. */
struct day_range {
	int32_t from, to;
};

enum { PARTITION_SUFFIX_BYTES = 16 };

/* The year or month that holds `day`; its table's suffix is "_2026" or "_2026_11". */
struct day_range partition_of(enum partition_by by, int32_t day, char suffix[static PARTITION_SUFFIX_BYTES]);

/*
 * One row per existing partition, or one if there is none: its bound expression (or NULL), to be read
 * by partition_parse_bound(); whether this role may make another. `$1` schema, `$2` table.
 */
extern const char partition_list_sql[];

/*
 * "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')", with MINVALUE and MAXVALUE, or "DEFAULT" (holds
 * everything). -1 when it is something else.
 */
int partition_parse_bound(const char *bound, struct day_range *ret) must_check;

/* CREATE TABLE .. (LIKE ..) and ATTACH: no long lock on the parent. Two statements. */
void partition_create_sql(const struct dataset *dataset, struct day_range range, const char *suffix,
	struct buffer *sql);

/*
 * The days for which a partition is made when one is missing: until the end of next year, like those
 * that are made ahead, and not for the year 206, which is a slip of whoever typed it.
 */
struct day_range partition_makeable(int32_t today);

bool partition_has(const struct day_range *ranges, unsigned n_ranges, int32_t day);

/* Of the days of a slice, the first whose partition is missing; INT32_MIN: none. */
struct day_count;
int32_t partition_missing(const struct day_range *existing, unsigned n_existing,
	const struct day_count *days, unsigned n_days);

/* "mandi.price", quoted. `suffix` may be "". */
void append_table(struct buffer *out, const char *schema, const char *table, const char *suffix);
