/*
 * daemon/lookup: names, their ids and dates, and what a roll-back forgets.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/lookup.h"
#include "daemon/rename.h"
#include "tests/helper/dataset.h"
#include "tests/helper/row.h"

enum { MARKET, COMMODITY }; /* as in the dataset */

/* state market commodity day low price */
#define COLUMNS "tttdnn"

struct rig {
	struct config *config;
	struct lookup_set *set;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->config = dataset_config_one(DATASET_PRICES);
	assert_int_equal(lookup_set_new(rig->config->datasets[0], &rig->set), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	assert_null(lookup_set_free(rig->set));
	config_unref(rig->config);
	free(rig);
	return 0;
}

static uint32_t find(struct rig *rig, unsigned l, const char *text)
{
	struct row row;
	uint32_t slot;

	row_from_text(&row, COLUMNS, text);
	assert_int_equal(
		lookup_find(rig->set, l, row.fields, field_to_date(row.fields[3]), &slot), 0);
	return slot;
}

/* id first_seen last_seen names ... */
static void take(struct rig *rig, unsigned l, const char *text)
{
	struct row row;

	row_from_text(&row, l == MARKET ? "iddtt" : "iddt", text);
	assert_int_equal(lookup_take_row(rig->set, l, row.fields), 0);
}

/* "id first last, ..." of what is to be moved. */
static void check_seen(struct rig *rig, unsigned l, const char *want)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct pgarray arrays[3];
	unsigned n = lookup_seen_arrays(rig->set, l, arrays);

	for (unsigned i = 0; i < n; i++) {
		for (unsigned a = 0; a < 3; a++) {
			struct field field = {.len = 4, .data = arrays[a].bytes.data + 24 + 8 * i};

			buffer_printf(&text, "%s%d",
				a > 0		? " "
					: i > 0 ? ", "
						: "",
				a == 0 ? field_to_int4(field) : field_to_date(field));
		}
	}
	assert_string_equal(buffer_str(&text), want);
	for (unsigned a = 0; a < 3; a++) {
		assert_int_equal(arrays[a].n_elements, n);
		pgarray_fini(&arrays[a]);
	}
}

static void test_find(void **state)
{
	struct rig *rig = *state;
	uint32_t aluva = find(rig, MARKET, "Kerala Aluva Rice 1970-01-03 1 2");

	assert_int_equal(find(rig, MARKET, "Kerala Aluva Onion 1970-01-09 1 2"), aluva);
	assert_int_not_equal(find(rig, MARKET, "Goa Aluva Rice 1970-01-03 1 2"), aluva);
	assert_int_not_equal(find(rig, MARKET, "KeralaA luva Rice 1970-01-03 1 2"), aluva);
	assert_int_not_equal(find(rig, MARKET, "~ Aluva Rice 1970-01-03 1 2"), aluva);
	assert_int_equal(find(rig, MARKET, "~ Aluva Rice 1970-01-03 1 2"),
		find(rig, MARKET, "~ Aluva Rice 1970-01-03 1 2"));
	assert_int_equal(lookup_wanted(rig->set, MARKET), 4);
	assert_int_equal(lookup_wanted(rig->set, COMMODITY), 0);
	assert_int_equal(lookup_id(rig->set, MARKET, aluva), 0);
	take(rig, MARKET, "7 1970-01-05 1970-01-05 Kerala Aluva");
	assert_int_equal(lookup_id(rig->set, MARKET, aluva), 7);
	assert_int_equal(lookup_wanted(rig->set, MARKET), 3);
	take(rig, MARKET, "8 1970-01-05 1970-01-05 Kerala Aluva"); /* a known id stays */
	assert_int_equal(lookup_id(rig->set, MARKET, aluva), 7);
	assert_int_equal(lookup_wanted(rig->set, MARKET), 3);
}

static void test_insert(void **state)
{
	/* text[] {Kerala, NULL}, text[] {Aluva, X}, date[] */
	static const char states[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1"
				     "\0\0\0\6Kerala\xff\xff\xff\xff";
	static const char markets[] = "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\2\0\0\0\1"
				      "\0\0\0\5Aluva\0\0\0\1X";
	struct rig *rig = *state;
	_cleanup_buffer_ struct buffer sql = {0};
	struct pgarray arrays[3];
	struct pg_param param;

	find(rig, MARKET, "Kerala Aluva Rice 2000-01-09 1 2");
	find(rig, MARKET, "Kerala Kochi Rice 2000-01-04 1 2");
	find(rig, MARKET, "~ X Rice 2000-01-04 1 2");
	find(rig, MARKET, "Kerala Aluva Rice 2000-01-02 1 2");
	take(rig, MARKET, "5 ~ ~ Kerala Kochi");
	assert_int_equal(lookup_insert_arrays(rig->set, MARKET, arrays), 2);
	param = pgarray_param(&arrays[0]);
	assert_int_equal(param.len, sizeof(states) - 1);
	assert_memory_equal(param.data, states, sizeof(states) - 1);
	param = pgarray_param(&arrays[1]);
	assert_int_equal(param.len, sizeof(markets) - 1);
	assert_memory_equal(param.data, markets, sizeof(markets) - 1);
	param = pgarray_param(&arrays[2]);
	assert_memory_equal(param.data + 20, "\0\0\0\4\0\0\0\1\0\0\0\4\0\0\0\3", 16);
	for (unsigned a = 0; a < 3; a++) {
		pgarray_fini(&arrays[a]);
	}
	lookup_insert_sql(rig->set, MARKET, &sql);
	assert_string_equal(buffer_str(&sql),
		"WITH u AS (SELECT * FROM unnest($1::text[], $2::text[], $3::date[])"
		" AS u(\"state\", \"market\", day)),"
		" new AS (INSERT INTO \"m\".\"market\" (\"state\", \"market\", first_seen, "
		"last_seen)"
		" SELECT u.\"state\", u.\"market\", day, day FROM u ON CONFLICT DO NOTHING"
		" RETURNING id, first_seen, last_seen, \"state\", \"market\")"
		" SELECT * FROM new UNION ALL"
		" SELECT t.id, t.first_seen, t.last_seen, t.\"state\", t.\"market\""
		" FROM u JOIN \"m\".\"market\" t ON t.\"state\" = u.\"state\""
		" AND t.\"market\" = u.\"market\"");
	buffer_clear(&sql);
	lookup_select_sql(rig->set, COMMODITY, &sql);
	assert_string_equal(buffer_str(&sql),
		"SELECT id, first_seen, last_seen, \"commodity\" FROM \"m\".\"commodity\"");
}

static void test_dates(void **state)
{
	struct rig *rig = *state;

	take(rig, COMMODITY, "1 1970-01-05 1970-01-08 Rice");
	take(rig, COMMODITY, "2 ~ ~ Onion");
	lookup_commit(rig->set);
	check_seen(rig, COMMODITY, "");
	find(rig, COMMODITY, "K A Rice 1970-01-06 1 2");
	check_seen(rig, COMMODITY, ""); /* between what is known */
	find(rig, COMMODITY, "K A Rice 1970-01-03 1 2");
	find(rig, COMMODITY, "K A Onion 1970-01-04 1 2");
	find(rig, COMMODITY, "K A Wheat 1970-01-04 1 2"); /* without an id yet */
	check_seen(rig, COMMODITY, "1 2 5, 2 3 3");
	lookup_commit(rig->set);
	check_seen(rig, COMMODITY, "");
	find(rig, COMMODITY, "K A Rice 1970-01-03 1 2");
	check_seen(rig, COMMODITY, "");
	find(rig, COMMODITY, "K A Rice 1970-01-20 1 2");
	check_seen(rig, COMMODITY, "1 2 19");
	lookup_rollback(rig->set);
	check_seen(rig, COMMODITY, "");
	find(rig, COMMODITY, "K A Rice 1970-01-20 1 2"); /* was not stored */
	check_seen(rig, COMMODITY, "1 19 19");
}

static void test_roll_back(void **state)
{
	struct rig *rig = *state;
	uint32_t rice = find(rig, COMMODITY, "K A Rice 1970-01-06 1 2"), onion, wheat;

	take(rig, COMMODITY, "1 1970-01-06 1970-01-06 Rice");
	lookup_commit(rig->set);
	onion = find(rig, COMMODITY, "K A Onion 1970-01-06 1 2");
	wheat = find(rig, COMMODITY, "K A Wheat 1970-01-06 1 2");
	take(rig, COMMODITY, "2 1970-01-06 1970-01-06 Onion");
	assert_int_equal(lookup_wanted(rig->set, COMMODITY), 1);
	lookup_rollback(rig->set);
	assert_int_equal(lookup_wanted(rig->set, COMMODITY), 0);
	assert_int_equal(lookup_id(rig->set, COMMODITY, rice), 1);
	assert_int_equal(lookup_id(rig->set, COMMODITY, onion), 0);
	assert_int_equal(lookup_id(rig->set, COMMODITY, wheat), 0);
	/* Wanted again, under the same slot. */
	assert_int_equal(find(rig, COMMODITY, "K A Onion 1970-01-06 1 2"), onion);
	assert_int_equal(lookup_wanted(rig->set, COMMODITY), 1);
	take(rig, COMMODITY, "9 1970-01-06 1970-01-06 Onion");
	lookup_commit(rig->set);
	lookup_rollback(rig->set);
	assert_int_equal(lookup_id(rig->set, COMMODITY, onion), 9);
}

static void test_many(void **state)
{
	enum { N = 20000 };
	struct rig *rig = *state;

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N; i++) {
			char text[64];

			snprintf(text, sizeof(text), "K A C%u 1970-01-06 1 2", i);
			assert_int_equal(find(rig, COMMODITY, text), i);
		}
	}
	assert_int_equal(lookup_wanted(rig->set, COMMODITY), N);
	assert_in_range(lookup_memory_bytes(rig->set), N * 20, N * 150);
}

/* "id known why, ..." of what the present transaction brought. */
static void check_renames(struct rig *rig, const char *want)
{
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_free_ struct renames *renames = rename_find(rig->config->datasets[0], rig->set);

	for (unsigned i = 0; renames && i < renames->n_list; i++) {
		const struct rename *rename = &renames->list[i];

		buffer_printf(&text, "%s%s %d:%s %d:%s %s", i ? ", " : "", rename->lookup,
			rename->id, rename->name, rename->known_id, rename->known,
			similar_name(rename->similar));
	}
	assert_string_equal(buffer_str(&text), want);
}

static void test_renames(void **state)
{
	struct rig *rig = *state;

	check_renames(rig, "");
	take(rig, MARKET, "1 ~ ~ Kerala Aluva");
	take(rig, MARKET, "2 ~ ~ Kerala Aluva_APMC");
	check_renames(rig, ""); /* nothing was known */
	lookup_commit(rig->set);
	check_renames(rig, "");
	find(rig, MARKET, "Keralam AluvaAPMC rice 1970-01-03 1 2"); /* has no id yet */
	take(rig, MARKET, "3 ~ ~ Keralam Aluva");
	take(rig, MARKET, "4 ~ ~ Kerala Kochi");
	take(rig, COMMODITY, "1 ~ ~ Rice");
	check_renames(rig, "market 3:Keralam / Aluva 2:Kerala / Aluva_APMC known");
	lookup_rollback(rig->set);
	check_renames(rig, "");
	take(rig, COMMODITY, "1 ~ ~ Soyabeen");
	lookup_commit(rig->set);
	take(rig, COMMODITY, "2 ~ ~ Soyabean");
	check_renames(rig, "commodity 2:Soyabean 1:Soyabeen spelling");
	lookup_commit(rig->set);
	check_renames(rig, "");
}

static void test_inactive(void **state)
{
	struct rig *rig = *state;
	_cleanup_buffer_ struct buffer sql = {0};

	assert_false(lookup_inactive_sql(rig->set, MARKET, &sql));
	rig->config->datasets[0]->lookups[MARKET].inactive_after_ms = 90ull * 86400 * 1000;
	assert_true(lookup_inactive_sql(rig->set, MARKET, &sql));
	assert_string_equal(buffer_str(&sql),
		"UPDATE \"m\".\"market\" SET is_active = false WHERE is_active AND last_seen <"
		" (SELECT max(last_seen) FROM \"m\".\"market\") - 90");
}

#define lookup_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		lookup_test(test_find),
		lookup_test(test_insert),
		lookup_test(test_dates),
		lookup_test(test_roll_back),
		lookup_test(test_many),
		lookup_test(test_renames),
		lookup_test(test_inactive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
