/*
 * daemon/partition: years and months, bounds as PostgreSQL prints them, what is missing.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/intake.h"
#include "daemon/partition.h"
#include "tests/helper/dataset.h"
#include "tests/helper/row.h"

static void test_ranges(void **state)
{
	static const struct {
		enum partition_by by;
		const char *day, *from, *to, *suffix;
	} cases[] = {
		{PARTITION_YEAR, "2026-11-19", "2026-01-01", "2027-01-01", "_2026"},
		{PARTITION_YEAR, "2026-01-01", "2026-01-01", "2027-01-01", "_2026"},
		{PARTITION_YEAR, "2025-12-31", "2025-01-01", "2026-01-01", "_2025"},
		{PARTITION_YEAR, "1969-12-31", "1969-01-01", "1970-01-01", "_1969"},
		{PARTITION_MONTH, "2024-02-29", "2024-02-01", "2024-03-01", "_2024_02"},
		{PARTITION_MONTH, "2023-12-31", "2023-12-01", "2024-01-01", "_2023_12"},
		{PARTITION_MONTH, "2000-03-01", "2000-03-01", "2000-04-01", "_2000_03"},
		{PARTITION_MONTH, "1900-02-28", "1900-02-01", "1900-03-01", "_1900_02"},
	};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		char suffix[PARTITION_SUFFIX_BYTES];
		struct day_range range = partition_of(cases[i].by, row_day(cases[i].day), suffix);

		assert_int_equal(range.from, row_day(cases[i].from));
		assert_int_equal(range.to, row_day(cases[i].to));
		assert_string_equal(suffix, cases[i].suffix);
	}
}

/* Every day of 60 years lies in its own range, and ranges follow each other without a gap. */
static void test_every_day(void **state)
{
	char suffix[PARTITION_SUFFIX_BYTES], last[PARTITION_SUFFIX_BYTES] = "";
	int32_t expected = row_day("1990-01-01");

	(void)state;
	for (int32_t day = expected; day < row_day("2050-01-01"); day++) {
		struct day_range month = partition_of(PARTITION_MONTH, day, suffix);
		struct day_range year = partition_of(PARTITION_YEAR, day, suffix);

		assert_true(year.from <= month.from && month.to <= year.to);
		assert_true(month.from <= day && day < month.to);
		if (day == expected) {
			assert_int_equal(month.from, day);
			assert_string_not_equal(suffix + (month.from != year.from), last);
			expected = month.to;
		}
	}
	assert_int_equal(expected, row_day("2050-01-01"));
}

static void test_bounds(void **state)
{
	static const struct {
		const char *bound;
		int32_t from, to; /* days; INT32_MIN: not understood */
	} cases[] = {
		{"FOR VALUES FROM ('1970-01-02') TO ('1970-01-31')", 1, 30},
		{"FOR VALUES FROM (MINVALUE) TO ('1970-01-02')", INT32_MIN + 1, 1},
		{"FOR VALUES FROM ('1970-01-02') TO (MAXVALUE)", 1, INT32_MAX},
		{"DEFAULT", INT32_MIN + 1, INT32_MAX},
		{"FOR VALUES IN ('1970-01-02')", INT32_MIN, 0},
		{"FOR VALUES FROM (7) TO (8)", INT32_MIN, 0},
		{"FOR VALUES WITH (modulus 2, remainder 0)", INT32_MIN, 0},
		{"", INT32_MIN, 0},
	};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		struct day_range range = {.from = INT32_MIN};

		assert_int_equal(partition_parse_bound(cases[i].bound, &range),
			cases[i].from == INT32_MIN ? -1 : 0);
		assert_int_equal(range.from, cases[i].from);
		assert_int_equal(range.to, cases[i].to);
	}
}

static void test_missing(void **state)
{
	static const struct day_range existing[] = {{20, 30}, {0, 10}};
	static const struct day_count days[] = {
		{.day = 0}, {.day = 9}, {.day = 20}, {.day = 29}, {.day = 30}, {.day = 31}};

	(void)state;
	assert_int_equal(partition_missing(existing, 2, days, 4), INT32_MIN);
	assert_int_equal(partition_missing(existing, 2, days, 6), 30);
	assert_int_equal(partition_missing(existing, 1, days, 4), 0);
	assert_int_equal(partition_missing(existing, 0, days, 0), INT32_MIN);
}

static void test_makeable(void **state)
{
	struct day_range range = partition_makeable(row_day("2026-11-19"));

	(void)state;
	assert_false(partition_has(&range, 1, row_day("1899-12-31")));
	assert_true(partition_has(&range, 1, row_day("1900-01-01")));
	assert_true(partition_has(&range, 1, row_day("2027-12-31")));
	assert_false(partition_has(&range, 1, row_day("2028-01-01")));
	assert_false(partition_has(&range, 1, INT32_MIN));
	assert_false(partition_has(NULL, 0, row_day("2026-11-19")));
}

static void test_statements(void **state)
{
	struct config *config = dataset_config_one(DATASET_PRICES);
	_cleanup_buffer_ struct buffer sql = {0};
	char suffix[PARTITION_SUFFIX_BYTES];
	struct day_range range = partition_of(PARTITION_YEAR, row_day("2026-11-19"), suffix);

	(void)state;
	partition_create_sql(config->datasets[0], range, suffix, &sql);
	assert_string_equal(buffer_str(&sql),
		"CREATE TABLE \"m\".\"price_2026\" (LIKE \"m\".\"price\""
		" INCLUDING DEFAULTS INCLUDING CONSTRAINTS);\n"
		"ALTER TABLE \"m\".\"price\" ATTACH PARTITION \"m\".\"price_2026\""
		" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');\n");
	buffer_clear(&sql);
	append_table(&sql, "we\"ird", "ta.ble", "_x");
	assert_string_equal(buffer_str(&sql), "\"we\"\"ird\".\"ta.ble_x\"");
	config_unref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_makeable),
		cmocka_unit_test(test_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
