/*
 * lib/pgarray against bytes that PostgreSQL 15's array_send() made. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/pgarray.h"

static void check(struct pgarray *array, uint32_t oid, const void *want, size_t len)
{
	struct pg_param param = pgarray_param(array);

	assert_true(param.binary);
	assert_int_equal(param.oid, oid);
	assert_int_equal(param.len, len);
	assert_memory_equal(param.data, want, len);
}

/* array_send('{1,NULL,-2}'::int[]) */
static void test_int4(void **state)
{
	static const char want[] = "\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\3\0\0\0\1"
				   "\0\0\0\4\0\0\0\1\xff\xff\xff\xff\0\0\0\4\xff\xff\xff\xfe";
	struct pgarray array;

	(void)state;
	pgarray_init(&array, PG_OID_INT4);
	pgarray_add_int4(&array, 1);
	pgarray_add(&array, field_null);
	pgarray_add_int4(&array, -2);
	check(&array, 1007, want, sizeof(want) - 1);
	pgarray_fini(&array);
}

/* array_send(array['', 'x', NULL, 'ab']) */
static void test_text(void **state)
{
	static const char want[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\4\0\0\0\1"
				   "\0\0\0\0\0\0\0\1x\xff\xff\xff\xff\0\0\0\2"
				   "ab";
	struct pgarray array;

	(void)state;
	pgarray_init(&array, PG_OID_TEXT);
	pgarray_add_text(&array, "");
	pgarray_add_text(&array, "x");
	pgarray_add_text(&array, NULL);
	pgarray_add_text(&array, "ab");
	check(&array, 1009, want, sizeof(want) - 1);
	pgarray_fini(&array);
}

/* array_send(array['2000-01-02'::date]), then used again: nothing is left of what was. */
static void test_date_and_clear(void **state)
{
	static const char want[] = "\0\0\0\1\0\0\0\0\0\0\x04\x3a\0\0\0\1\0\0\0\1\0\0\0\4\0\0\0\1";
	struct pgarray array;

	(void)state;
	pgarray_init(&array, PG_OID_DATE);
	pgarray_add(&array, field_null);
	pgarray_add_date(&array, 1);
	(void)pgarray_param(&array);
	pgarray_clear(&array);
	pgarray_add_date(&array, COPYROW_EPOCH_DAYS + 1);
	check(&array, 1182, want, sizeof(want) - 1);
	(void)pgarray_param(&array); /* once more is the same */
	check(&array, 1182, want, sizeof(want) - 1);
	pgarray_fini(&array);
}

static void test_type_numbers(void **state)
{
	static const struct {
		enum pg_oid element;
		uint32_t array;
	} cases[] = {
		{PG_OID_BOOL, 1000},
		{PG_OID_BYTEA, 1001},
		{PG_OID_INT8, 1016},
		{PG_OID_INT4, 1007},
		{PG_OID_TEXT, 1009},
		{PG_OID_DATE, 1182},
		{PG_OID_TIMESTAMPTZ, 1185},
		{PG_OID_NUMERIC, 1231},
	};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		struct pgarray array;

		pgarray_init(&array, cases[i].element);
		assert_int_equal(pgarray_param(&array).oid, cases[i].array);
		assert_int_equal(pgarray_param(&array).len, 20);
		pgarray_fini(&array);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_int4),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_date_and_clear),
		cmocka_unit_test(test_type_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
