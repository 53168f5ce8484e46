/*
 * Rows against the stored ones: new, changed, unchanged, duplicate. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/diff.h"

#include <string.h>

#include "lib/sorter.h"

void row_pack(struct buffer *out, struct row_origin origin, const struct field *fields,
	unsigned n_fields)
{
	size_t bytes = sizeof(origin);
	char *at;

	for (unsigned i = 0; i < n_fields; i++) {
		bytes += copyrow_field_bytes(fields[i]);
	}
	at = buffer_reserve(out, bytes);
	if (!at) {
		return;
	}
	memcpy(at, &origin, sizeof(origin));
	at += sizeof(origin);
	for (unsigned i = 0; i < n_fields; i++) {
		at = copyrow_put(at, fields[i]);
	}
	buffer_grown(out, bytes);
}

static const unsigned char *next_field(const unsigned char *at, struct field *ret)
{
	ret->len = field_to_int4((struct field){.len = 4, .data = at});
	ret->data = at + 4;
	return at + 4 + (ret->len > 0 ? ret->len : 0);
}

struct row_origin row_unpack(const void *packed, struct field *fields, unsigned n_fields)
{
	const unsigned char *at = packed;
	struct row_origin origin;

	memcpy(&origin, at, sizeof(origin));
	at += sizeof(origin);
	for (unsigned i = 0; i < n_fields; i++) {
		at = next_field(at, &fields[i]);
	}
	return origin;
}

static int compare_i64(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_text(struct field a, struct field b)
{
	int32_t n = a.len < b.len ? a.len : b.len;
	int r = n > 0 ? memcmp(a.data, b.data, (size_t)n) : 0;

	return r != 0 ? r : compare_i64(a.len, b.len);
}

static int compare_numeric(struct field a, struct field b)
{
	struct decimal x, y;

	if (decimal_wire_equal(a.data, (size_t)a.len, b.data, (size_t)b.len)) {
		return 0;
	}
	if (decimal_from_wire(a.data, (size_t)a.len, &x) < 0 ||
		decimal_from_wire(b.data, (size_t)b.len, &y) < 0) {
		return compare_text(a, b); /* NaN or a number wider than ours, written by hand */
	}
	return decimal_compare(&x, &y);
}

int field_compare(enum column_type type, struct field a, struct field b)
{
	if (a.len < 0 || b.len < 0) {
		return compare_i64(a.len >= 0, b.len >= 0);
	}
	switch (type) {
	case COLUMN_ID:
	case COLUMN_DATE:
		return compare_i64(field_to_int4(a), field_to_int4(b));
	case COLUMN_INTEGER:
	case COLUMN_TIMESTAMP:
		return compare_i64(field_to_int8(a), field_to_int8(b));
	case COLUMN_NUMERIC:
		return compare_numeric(a, b);
	case COLUMN_TEXT:
		return compare_text(a, b);
	}
	return 0;
}

static int compare_range(const struct dataset *dataset, const struct field *a,
	const struct field *b, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		int r = field_compare(dataset->fact[i].type, a[i], b[i]);

		if (r != 0) {
			return r;
		}
	}
	return 0;
}

int row_compare_key(const struct dataset *dataset, const struct field *a, const struct field *b)
{
	return compare_range(dataset, a, b, 0, dataset->n_key);
}

int row_compare_values(const struct dataset *dataset, const struct field *a, const struct field *b)
{
	return compare_range(dataset, a, b, dataset->n_key, dataset->n_fact);
}

/* Called n log n times: looks at no field behind the first difference. */
static int compare_packed(const struct dataset *dataset, const void *a, const void *b, unsigned n)
{
	const unsigned char *x = (const unsigned char *)a + sizeof(struct row_origin);
	const unsigned char *y = (const unsigned char *)b + sizeof(struct row_origin);
	struct field fx, fy;
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++) {
		x = next_field(x, &fx);
		y = next_field(y, &fy);
		r = field_compare(dataset->fact[i].type, fx, fy);
	}
	return r;
}

int row_compare_packed(const void *a, size_t a_len, const void *b, size_t b_len, const void *arg)
{
	const struct dataset *dataset = arg;

	(void)a_len;
	(void)b_len;
	return compare_packed(dataset, a, b, dataset->n_fact);
}

int row_compare_packed_key(const struct dataset *dataset, const void *a, const void *b)
{
	return compare_packed(dataset, a, b, dataset->n_key);
}

/*
 * An id or a date as a number of so many bits. What does not fit, and NULL, becomes the least or the
 * greatest of them, which stands for all such values: then nothing behind it may decide (false).
 */
static bool squeeze(enum column_type type, struct field field, unsigned bits, uint64_t *ret)
{
	int64_t most = (INT64_C(1) << bits) - 1;
	int64_t v = field.len < 0 ? 0 : field_to_int4(field);

	if (field.len >= 0 && type == COLUMN_DATE) {
		v += most / 2;
	}
	*ret = v <= 0 ? 0 : v >= most ? (uint64_t)most : (uint64_t)v;
	return v > 0 && v < most;
}

uint64_t row_prefix_packed(const void *packed, size_t len, const void *arg)
{
	/* A commodity, a date within a century, a market: mostly that decides. */
	static const unsigned char widths[] = {20, 16, 28};
	const struct dataset *dataset = arg;
	const unsigned char *at = (const unsigned char *)packed + sizeof(struct row_origin);
	unsigned left = 64;
	uint64_t prefix = 0, part;
	struct field field;
	bool exact = true;

	(void)len;
	for (unsigned i = 0; i < N_ELEMENTS(widths) && i < dataset->n_key && exact; i++) {
		enum column_type type = dataset->fact[i].type;

		at = next_field(at, &field);
		if (type != COLUMN_ID && type != COLUMN_DATE) {
			bool text = i == 0 && type == COLUMN_TEXT && field.len > 0;

			return text ? sorter_prefix_bytes(field.data, (size_t)field.len, NULL)
				    : prefix;
		}
		exact = squeeze(type, field, widths[i], &part);
		left -= widths[i];
		prefix |= part << left;
	}
	return prefix;
}

enum diff_verdict diff_known(const struct dataset *dataset, const struct field *row, int64_t run,
	const struct field *stored, int64_t stored_run, bool force)
{
	if (row_compare_values(dataset, row, stored) == 0) {
		return DIFF_UNCHANGED;
	}
	if (run < stored_run && !force) {
		return DIFF_UNCHANGED;
	}
	switch (dataset->on_change) {
	case ON_CHANGE_KEEP:
		return DIFF_UNCHANGED;
	case ON_CHANGE_OVERWRITE:
		return DIFF_OVERWRITE;
	case ON_CHANGE_REVISE:
		break;
	}
	return DIFF_CHANGED;
}
