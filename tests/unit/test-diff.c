/*
 * daemon/diff: the order of rows, and what becomes of one whose key is stored.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/diff.h"
#include "tests/helper/dataset.h"
#include "tests/helper/row.h"

/* commodity_id, day, market_id | low, price */
#define PRICE "idinn"

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void test_field_compare(void **state)
{
	static const struct {
		char type;
		const char *a, *b;
		int want;
	} cases[] = {
		{'i', "1", "1", 0},
		{'i', "-1", "1", -1},
		{'i', "256", "2", 1},
		{'d', "1999-12-31", "2000-01-01", -1},
		{'d', "1969-12-31", "1970-01-01", -1},
		{'b', "-9223372036854775808", "9223372036854775807", -1},
		{'s', "-1", "1", -1},
		{'n', "1.50", "1.5", 0},
		{'n', "-0", "0", 0},
		{'n', "10", "9", 1},
		{'n', "-10", "-9", -1},
		{'n', "0.0001", "0.00011", -1},
		{'n', "100000000000000000000", "99999999999999999999.9", 1},
		{'t', "ab", "abc", -1},
		{'t', "B", "a", -1}, /* bytes, not letters */
		{'t', "\xc3\xa9", "z", 1},
		{'t', "", "a", -1},
		{'i', "~", "-5", -1},
		{'n', "~", "0", -1},
		{'t', "~", "", -1},
		{'n', "~", "~", 0},
	};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		unsigned char x[ROW_FIELD_BYTES], y[ROW_FIELD_BYTES];
		enum column_type type = row_type(cases[i].type);
		struct field a = row_field(type, cases[i].a, x);
		struct field b = row_field(type, cases[i].b, y);

		if (sign(field_compare(type, a, b)) != cases[i].want ||
			sign(field_compare(type, b, a)) != -cases[i].want) {
			fail_msg("%s with %s", cases[i].a, cases[i].b);
		}
	}
}

/* What a person may have stored: no number of ours, but an order there must be. */
static void test_nan(void **state)
{
	static const unsigned char nan[] = {0, 0, 0, 0, 0xc0, 0, 0, 0};
	struct field stored = {.len = sizeof(nan), .data = nan};
	unsigned char store[ROW_FIELD_BYTES];
	struct field ours = row_field(COLUMN_NUMERIC, "5", store);

	(void)state;
	assert_int_equal(field_compare(COLUMN_NUMERIC, stored, stored), 0);
	assert_int_not_equal(field_compare(COLUMN_NUMERIC, stored, ours), 0);
	assert_int_equal(sign(field_compare(COLUMN_NUMERIC, stored, ours)),
		-sign(field_compare(COLUMN_NUMERIC, ours, stored)));
}

static void test_pack(void **state)
{
	_cleanup_buffer_ struct buffer packed = {0};
	struct field fields[5];
	struct row_origin origin;
	struct row row;

	(void)state;
	row_from_text(&row, PRICE, "7 2026-11-19 3 ~ 1.50");
	buffer_append_char(&packed, 'x'); /* what lies in a sorter is not aligned */
	row_pack(&packed, (struct row_origin){.page = 70000, .position = 9}, row.fields, 5);
	origin = row_unpack(packed.data + 1, fields, 5);
	assert_int_equal(origin.page, 70000);
	assert_int_equal(origin.position, 9);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(fields[i].len, row.fields[i].len);
		assert_int_equal(field_compare(row_type(PRICE[i]), fields[i], row.fields[i]), 0);
	}
}

static void test_order_of_packed_rows(void **state)
{
	static const char *const rows[] = {
		"~ 2026-11-20 9 5 5",
		"-7 2026-11-20 9 5 5",
		"-2 2026-11-18 9 5 5",
		"1 1890-01-01 9 5 5",
		"1 1891-01-01 2 5 5",
		"1 2026-11-18 9 5 5",
		"1 2026-11-19 ~ 5 5",
		"1 2026-11-19 2 ~ 5",
		"1 2026-11-19 2 4 9",
		"1 2026-11-19 2 5 6",
		"1 2026-11-19 2 5 6.5",
		"1 2026-11-19 10 1 1",
		"1 2026-11-19 300000000 2 2",
		"1 2026-11-19 300000001 1 1",
		"1 2126-11-19 2 1 1",
		"1 2127-11-19 1 1 1",
		"2 2020-01-01 1 1 1",
		"2000000 2020-01-01 1 1 1",
		"2000001 2019-01-01 1 1 1",
	};
	struct config *config = dataset_config_one(DATASET_PRICES);

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(rows); i++) {
		for (unsigned k = 0; k < N_ELEMENTS(rows); k++) {
			_cleanup_buffer_ struct buffer a = {0}, b = {0};
			struct row x, y;

			row_from_text(&x, PRICE, rows[i]);
			row_from_text(&y, PRICE, rows[k]);
			row_pack(&a, (struct row_origin){.page = k}, x.fields, 5);
			row_pack(&b, (struct row_origin){.page = i}, y.fields, 5);
			assert_int_equal(sign(row_compare_packed(a.data, a.len, b.data, b.len,
						 config->datasets[0])),
				i < k ? -1 : i > k);
			if (i < k) {
				assert_true(row_prefix_packed(a.data, a.len, config->datasets[0]) <=
					    row_prefix_packed(b.data, b.len, config->datasets[0]));
			}
		}
	}
	config_unref(config);
}

static void test_prefix_of_packed_rows(void **state)
{
	static const char *const rows[] = {
		"1 2026-11-18 9 5 5",
		"1 2026-11-19 2 5 5",
		"1 2026-11-19 3 5 5",
		"2 2026-11-18 1 5 5",
	};
	struct config *config = dataset_config_one(DATASET_PRICES);
	uint64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_buffer_ struct buffer packed = {0};
		struct row row;
		uint64_t prefix;

		row_from_text(&row, PRICE, rows[i]);
		row_pack(&packed, (struct row_origin){.page = 1}, row.fields, 5);
		prefix = row_prefix_packed(packed.data, packed.len, config->datasets[0]);
		assert_true(prefix > last); /* each key column counts */
		last = prefix;
	}
	config_unref(config);
}

static void test_verdicts(void **state)
{
	static const struct {
		enum on_change on_change;
		const char *row;
		int64_t run, stored_run;
		bool force;
		enum diff_verdict want;
	} cases[] = {
		{ON_CHANGE_REVISE, "1 2026-11-19 2 ~ 5.00", 9, 1, false, DIFF_UNCHANGED},
		{ON_CHANGE_REVISE, "1 2026-11-19 2 ~ 5.01", 9, 1, false, DIFF_CHANGED},
		{ON_CHANGE_REVISE, "1 2026-11-19 2 0 5", 9, 1, false, DIFF_CHANGED},
		{ON_CHANGE_REVISE, "1 2026-11-19 2 ~ 6", 9, 9, false, DIFF_CHANGED},
		{ON_CHANGE_REVISE, "1 2026-11-19 2 ~ 6", 8, 9, false, DIFF_UNCHANGED},
		{ON_CHANGE_REVISE, "1 2026-11-19 2 ~ 6", 8, 9, true, DIFF_CHANGED},
		{ON_CHANGE_REVISE, "1 2026-11-19 2 ~ 5", 8, 9, true, DIFF_UNCHANGED},
		{ON_CHANGE_OVERWRITE, "1 2026-11-19 2 ~ 6", 9, 1, false, DIFF_OVERWRITE},
		{ON_CHANGE_OVERWRITE, "1 2026-11-19 2 ~ 6", 8, 9, false, DIFF_UNCHANGED},
		{ON_CHANGE_KEEP, "1 2026-11-19 2 ~ 6", 9, 1, false, DIFF_UNCHANGED},
		{ON_CHANGE_KEEP, "1 2026-11-19 2 ~ 6", 9, 1, true, DIFF_UNCHANGED},
	};
	struct config *config = dataset_config_one(DATASET_PRICES);
	struct row row, stored;

	(void)state;
	row_from_text(&stored, PRICE, "1 2026-11-19 2 ~ 5");
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		struct dataset dataset = *config->datasets[0];

		dataset.on_change = cases[i].on_change;
		row_from_text(&row, PRICE, cases[i].row);
		if (diff_known(&dataset, row.fields, cases[i].run, stored.fields,
			    cases[i].stored_run, cases[i].force) != cases[i].want) {
			fail_msg("case %u", i);
		}
	}
	config_unref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_field_compare),
		cmocka_unit_test(test_nan),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_order_of_packed_rows),
		cmocka_unit_test(test_prefix_of_packed_rows),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
