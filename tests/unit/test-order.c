/*
 * Whether rows are in order, and which values they have. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/order.h"
#include "daemon/valueset.h"
#include "tests/unit/fixture.h"

static int on_record(void *arg, const struct record *record)
{
	order_add(arg, record);
	return 0;
}

static bool violated(const char *records, bool reversed)
{
	unsigned sort[] = {0, 1, 2, 3};
	struct error error = {0};
	struct decode *decode;
	struct order order;
	struct fixture f;
	char page[500];
	bool r;

	fixture_init(&f);
	fixture_add_column(&f, "a", COLUMN_TEXT);
	fixture_add_column(&f, "b", COLUMN_TEXT);
	fixture_add_column(&f, "day", COLUMN_DATE);
	fixture_add_column(&f, "c", COLUMN_TEXT);
	f.source.sort = sort;
	f.source.n_sort = 4;
	assert_int_equal(order_init(&order, &f.source), 0);
	assert_int_equal(decode_new(on_record, &order, &decode), 0);
	order_begin(&order, reversed);
	snprintf(page, sizeof(page), "{\"records\":[%s]}", records);
	assert_int_equal(decode_feed(decode, page, strlen(page), &error), 0);
	r = order.violated;
	decode_free(decode);
	order_fini(&order);
	return r;
}

struct order_case {
	const char *records;
	bool up, down; /* violated when asked for ascending, descending */
};

static const struct order_case order_cases[] = {
	{"", false, false},
	{"{\"a\":\"x\",\"b\":\"y\"}", false, false},
	{"{\"a\":\"A\",\"b\":\"y\"},{\"a\":\"B\",\"b\":\"a\"}", false, true},
	{"{\"a\":\"A\",\"b\":\"y\"},{\"a\":\"A\",\"b\":\"a\"}", true, false},
	{"{\"a\":\"A\",\"b\":\"y\"},{\"a\":\"A\",\"b\":\"y\"}", false, false},
	/* bytes, not letters: Z before a, a blank before all, longer after shorter */
	{"{\"a\":\"Z\",\"b\":\"\"},{\"a\":\"a\",\"b\":\"\"}", false, true},
	{"{\"a\":\" Z\",\"b\":\"\"},{\"a\":\"A\",\"b\":\"\"}", false, true},
	{"{\"a\":\"Goa\",\"b\":\"\"},{\"a\":\"Goa \",\"b\":\"\"}", false, true},
	{"{\"a\":\"z\",\"b\":\"\"},{\"a\":\"\u0939\",\"b\":\"\"}", false, true},
	/* what stands behind the first column that is no text is not looked at */
	{"{\"a\":\"A\",\"b\":\"y\",\"c\":\"2\"},{\"a\":\"A\",\"b\":\"y\",\"c\":\"1\"}", false,
		false},
	/* a missing value says nothing, and neither does its neighbour */
	{"{\"a\":\"B\",\"b\":\"y\"},{\"a\":null,\"b\":\"y\"},{\"a\":\"A\",\"b\":\"y\"}", false,
		false},
	{"{\"a\":\"B\",\"b\":\"y\"},{\"a\":\"C\"},{\"a\":\"A\",\"b\":\"y\"}", false, false},
	/* once is enough */
	{"{\"a\":\"A\",\"b\":\"\"},{\"a\":\"C\",\"b\":\"\"},{\"a\":\"B\",\"b\":\"\"},"
	 "{\"a\":\"D\",\"b\":\"\"}",
		true, true},
};

static void sees_disorder(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(order_cases); i++) {
		if (violated(order_cases[i].records, false) != order_cases[i].up ||
			violated(order_cases[i].records, true) != order_cases[i].down) {
			fail_msg("case %zu", i);
		}
	}
}

/* ---- values ---- */

static void collects_distinct_values(void **state)
{
	static const char *const texts[] = {
		"Kerala", "Kerala", "Goa", "Keral", "Kerala ", "Goa", "", "Kerala", "Bihar"};
	static const char *const sorted[] = {"", "Bihar", "Goa", "Keral", "Kerala", "Kerala "};
	struct valueset set = {0};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		/* Not terminated where they are served. */
		char text[20];

		snprintf(text, sizeof(text), "%s\",", texts[i]);
		assert_int_equal(valueset_add(&set, text, strlen(texts[i])), 0);
	}
	assert_int_equal(valueset_add(&set, "a\0b", 3), 0);
	assert_int_equal(set.n_values, N_ELEMENTS(sorted));
	for (size_t i = 0; i < N_ELEMENTS(sorted); i++) {
		assert_string_equal(set.values[i], sorted[i]);
	}
	valueset_clear(&set);
	assert_int_equal(set.n_values, 0);
	assert_int_equal(valueset_add(&set, "x", 1), 0);
	assert_int_equal(set.n_values, 1);
	valueset_fini(&set);
}

static void stops_collecting(void **state)
{
	struct valueset set = {0};
	char text[20];

	(void)state;
	for (unsigned i = 0; i < VALUESET_MAX + 10; i++) {
		snprintf(text, sizeof(text), "%u", i * 7919 % 10007);
		assert_int_equal(valueset_add(&set, text, strlen(text)), 0);
		assert_int_equal(set.overflow, i >= VALUESET_MAX);
	}
	assert_int_equal(set.n_values, VALUESET_MAX);
	for (size_t i = 1; i < set.n_values; i++) {
		assert_true(strcmp(set.values[i - 1], set.values[i]) < 0);
	}
	valueset_fini(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_disorder),
		cmocka_unit_test(collects_distinct_values),
		cmocka_unit_test(stops_collecting),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
