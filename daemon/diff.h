#pragma once

/*
 * Rows against the stored ones: new, changed, unchanged, duplicate. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A packed row is what the load stage sorts: where it came from, then one field per fact column
 * (key first) as lib/copyrow.h has them. Order is PostgreSQL's own: integers and dates by value,
 * text by bytes (COLLATE "C"), numbers by value, NULL first.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/copyrow.h"

/* In front of a packed row's fields: 1-based page and 0-based position of its record. */
struct row_origin {
	uint32_t page, position;
};

enum { DIFF_MAX_FIELDS = 256 };

void row_pack(struct buffer *out, struct row_origin origin, const struct field *fields,
	unsigned n_fields);

/* Borrowed fields of a packed row. */
struct row_origin row_unpack(const void *packed, struct field *fields, unsigned n_fields);

int field_compare(enum column_type type, struct field a, struct field b);

/* Key only, of fields in fact order. */
int row_compare_key(const struct dataset *dataset, const struct field *a, const struct field *b);

/* Values only (not the key): 0 when equal by value. */
int row_compare_values(const struct dataset *dataset, const struct field *a, const struct field *b);

/* For the sorter: packed rows by key, then values. `dataset` is a const struct dataset. */
int row_compare_packed(const void *a, size_t a_len, const void *b, size_t b_len,
	const void *dataset);
int row_compare_packed_key(const struct dataset *dataset, const void *a, const void *b);

/* The sorter's prefix for that order: the first columns of the key as far as they fit. */
uint64_t row_prefix_packed(const void *packed, size_t len, const void *dataset);

enum diff_verdict {
	DIFF_NEW,       /* no stored row: insert */
	DIFF_CHANGED,   /* update, keep the old values as a revision */
	DIFF_OVERWRITE, /* update */
	DIFF_UNCHANGED, /* leave the row alone */
	DIFF_CONFLICT,  /* the same, and the record goes to quarantine */
};

/*
 * What to do with a row of `run` whose key is stored with values of `stored_run`. An older run
 * never replaces the values of a younger one unless forced.
 */
enum diff_verdict diff_known(const struct dataset *dataset, const struct field *row, int64_t run,
	const struct field *stored, int64_t stored_run, bool force);
