/*
 * daemon/statement: the text of what a load sends. SPDX-License-Identifier: Apache-2.0
 *
 * That the server takes it is loop/test-load's to prove.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/statement.h"
#include "tests/helper/dataset.h"

typedef void (*statement_fn)(const struct dataset *dataset, struct buffer *sql);

static void check(const struct dataset *dataset, statement_fn statement, const char *want)
{
	_cleanup_buffer_ struct buffer sql = {0};

	statement(dataset, &sql);
	assert_string_equal(buffer_str(&sql), want);
}

static void test_with_lookups(void **state)
{
	struct config *config = dataset_config_one(DATASET_PRICES);
	const struct dataset *d = config->datasets[0];
	_cleanup_buffer_ struct buffer known = {0};

	(void)state;
	check(d, statement_copy,
		"COPY \"m\".\"price\" (\"commodity_id\", \"day\", \"market_id\", \"low\", "
		"\"price\","
		" run_id) FROM STDIN (FORMAT binary)");
	check(d, statement_copy_revisions,
		"COPY \"m\".\"price_revision\" (\"commodity_id\", \"day\", \"market_id\", \"low\","
		" \"price\", run_id, replaced_by) FROM STDIN (FORMAT binary)");
	assert_int_equal(statement_day_key(d), 0);
	statement_copy_known(d, 20777, "1,20,300", &known);
	assert_string_equal(buffer_str(&known),
		"COPY (SELECT \"commodity_id\", \"day\", \"market_id\", \"low\", \"price\", run_id"
		" FROM \"m\".\"price\" WHERE \"day\" = '2026-11-20'::date AND \"commodity_id\" = ANY "
		"('{1,20,300}'::integer[])) TO STDOUT (FORMAT binary)");
	check(d, statement_known_keys,
		"SELECT t.\"commodity_id\", t.\"day\", t.\"market_id\", t.\"low\", t.\"price\","
		" t.run_id FROM unnest($1, $2, $3) AS u (\"commodity_id\", \"day\", \"market_id\")"
		" JOIN \"m\".\"price\" t ON t.\"commodity_id\" = u.\"commodity_id\""
		" AND t.\"day\" = u.\"day\" AND t.\"market_id\" = u.\"market_id\"");
	check(d, statement_update,
		"UPDATE \"m\".\"price\" t SET \"low\" = u.\"low\", \"price\" = u.\"price\","
		" run_id = $6::bigint FROM unnest($1, $2, $3, $4, $5) AS u (\"commodity_id\","
		" \"day\", \"market_id\", \"low\", \"price\")"
		" WHERE t.\"commodity_id\" = u.\"commodity_id\" AND t.\"day\" = u.\"day\""
		" AND t.\"market_id\" = u.\"market_id\"");
	config_unref(config);
}

/* Between two keys, or to an end of the table. */
static void test_deactivate(void **state)
{
	struct config *config = dataset_config_one(DATASET_PRICES);
	const struct dataset *d = config->datasets[0];
	_cleanup_buffer_ struct buffer sql = {0};

	(void)state;
	statement_deactivate(d, true, true, &sql);
	assert_string_equal(buffer_str(&sql),
		"UPDATE \"m\".\"price\" t SET is_active = false WHERE t.is_active"
		" AND (t.\"commodity_id\", t.\"day\", t.\"market_id\") > (($1)[1], ($2)[1], ($3)[1])"
		" AND (t.\"commodity_id\", t.\"day\", t.\"market_id\") <= (($1)[cardinality($1)],"
		" ($2)[cardinality($2)], ($3)[cardinality($3)])"
		" AND (t.\"commodity_id\", t.\"day\", t.\"market_id\") NOT IN (SELECT u.\"commodity_id\","
		" u.\"day\", u.\"market_id\" FROM unnest($1, $2, $3)"
		" AS u (\"commodity_id\", \"day\", \"market_id\"))");
	buffer_clear(&sql);
	statement_deactivate(d, false, false, &sql);
	assert_string_equal(buffer_str(&sql),
		"UPDATE \"m\".\"price\" t SET is_active = false WHERE t.is_active"
		" AND (t.\"commodity_id\", t.\"day\", t.\"market_id\") NOT IN (SELECT u.\"commodity_id\","
		" u.\"day\", u.\"market_id\" FROM unnest($1, $2, $3)"
		" AS u (\"commodity_id\", \"day\", \"market_id\"))");
	check(d, statement_activate,
		"UPDATE \"m\".\"price\" t SET is_active = true FROM unnest($1, $2, $3)"
		" AS u (\"commodity_id\", \"day\", \"market_id\") WHERE NOT t.is_active"
		" AND t.\"commodity_id\" = u.\"commodity_id\" AND t.\"day\" = u.\"day\""
		" AND t.\"market_id\" = u.\"market_id\"");
	check(d, statement_count_active,
		"SELECT count(*), count(*) FILTER (WHERE is_active) FROM \"m\".\"price\"");
	config_unref(config);
}

/* Only where the date is part of the key does one day hold all that a key can be. */
static void test_day_key(void **state)
{
	static const struct {
		const char *dataset;
		int want;
	} cases[] = {
		{DATASET_PRICES, 0}, {DATASET_FLAT, -1}, {DATASET_LATEST, -1}, {DATASET_KEEP, -1}};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		struct config *config = dataset_config_one(cases[i].dataset);

		assert_int_equal(statement_day_key(config->datasets[0]), cases[i].want);
		config_unref(config);
	}
}

/* A key of the date first: the id behind it is asked for. */
static void test_day_first(void **state)
{
	struct config *config = dataset_config_one(DATASET_PRICES);
	struct dataset dataset = *config->datasets[0];
	struct fact_column fact[5];

	(void)state;
	memcpy(fact, dataset.fact, sizeof(fact));
	fact[0] = dataset.fact[1];
	fact[1] = dataset.fact[0];
	dataset.fact = fact;
	dataset.fact_date = 0;
	assert_int_equal(statement_day_key(&dataset), 1);
	dataset.n_key = 1;
	assert_int_equal(statement_day_key(&dataset), -1);
	config_unref(config);
}

static void test_count_of_a_day(void **state)
{
	struct config *config = dataset_config_one(DATASET_PRICES);
	const struct dataset *d = config->datasets[0];
	_cleanup_buffer_ struct buffer all = {0};
	_cleanup_buffer_ struct buffer part = {0};

	(void)state;
	statement_count_day(d, -1, &all);
	assert_string_equal(buffer_str(&all),
		"SELECT count(*) FROM \"m\".\"price\" AS t"
		" WHERE t.\"day\" = date '1970-01-01' + $1::int");
	statement_count_day(d, dataset_column(d, "state"), &part);
	assert_string_equal(buffer_str(&part),
		"SELECT count(*) FROM \"m\".\"price\" AS t JOIN \"m\".\"market\" AS l"
		" ON l.id = t.\"market_id\""
		" WHERE t.\"day\" = date '1970-01-01' + $1::int AND l.\"state\" = $2::text");
	config_unref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_lookups),
		cmocka_unit_test(test_deactivate),
		cmocka_unit_test(test_count_of_a_day),
		cmocka_unit_test(test_day_key),
		cmocka_unit_test(test_day_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
