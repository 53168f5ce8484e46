/*
 * When a slice is split, and what its parts say of it. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/split.h"

static struct spool_outcome outcome(enum slice_state state, const char *reason, int64_t expected)
{
	struct spool_outcome outcome = {
		.state = state, .expected = expected, .distinct = 90, .passes = 3};

	strcpy(outcome.reason, reason);
	return outcome;
}

static void is_due_when_the_passes_did_not_suffice(void **state)
{
	static const struct {
		int split_by;
		enum slice_state state;
		const char *reason;
		unsigned n_values;
		bool overflow, due;
	} cases[] = {
		{0, SLICE_PARTIAL, "incomplete", 2, false, true},
		{-1, SLICE_PARTIAL, "incomplete", 2, false, false},
		{0, SLICE_PARTIAL, "key_limited", 2, false, false},
		{0, SLICE_PARTIAL, "canceled", 2, false, false},
		{0, SLICE_PROVEN, "", 2, false, false},
		{0, SLICE_FAILED, "incomplete", 2, false, false},
		{0, SLICE_PARTIAL, "incomplete", 0, false, false},
		{0, SLICE_PARTIAL, "incomplete", 2, true, false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct source source = {.slice.split_by = cases[i].split_by};
		struct spool_outcome whole = outcome(cases[i].state, cases[i].reason, 100);
		struct valueset values = {
			.n_values = cases[i].n_values, .overflow = cases[i].overflow};

		assert_int_equal(split_is_due(&source, &whole, &values), cases[i].due);
		assert_false(split_is_due(&source, &whole, NULL));
	}
}

static void names_parts(void **state)
{
	static char long_value[PLAN_NAME_BYTES];
	static const struct {
		const char *value, *name;
	} cases[] = {
		{"Kerala", "2026-11-19/Kerala"},
		{"Jammu & Kashmir", "2026-11-19/Jammu & Kashmir"},
		{"\xe0\xa4\x95", "2026-11-19/\xe0\xa4\x95"},
		{"", NULL},
		{" \t", NULL},
		{"\xff", NULL},
		{long_value, NULL},
	};
	struct plan_slice whole = {.name = "2026-11-19", .day = 20776}, part;

	(void)state;
	memset(long_value, 'x', sizeof(long_value) - 1);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(
			split_part(&whole, cases[i].value, &part), cases[i].name != NULL);
		if (cases[i].name) {
			assert_string_equal(part.name, cases[i].name);
			assert_int_equal(part.day, 20776);
		}
	}
}

static void judges_the_whole_by_its_parts(void **state)
{
	static const struct {
		struct {
			enum slice_state state;
			const char *reason;
			int64_t expected, updated;
		} parts[3];
		bool proven;
		const char *text;
	} cases[] = {
		{{{SLICE_PROVEN, "", 60}, {SLICE_PROVEN, "", 40}, {SLICE_SUSPECT, "nothing", 0}}, true, ""},
		{{{SLICE_PROVEN, "", 60}, {SLICE_PROVEN, "", 39}, {SLICE_SUSPECT, "nothing", 0}}, false,
			"90 of 100 rows came in 3 passes; split, 3 of 3 parts are proven, with 99 rows"},
		{{{SLICE_PROVEN, "", 60}, {SLICE_PROVEN, "", 41}, {SLICE_SUSPECT, "nothing", 0}}, false,
			"90 of 100 rows came in 3 passes; split, 3 of 3 parts are proven, with 101 rows"},
		{{{SLICE_PROVEN, "", 60}, {SLICE_PROVEN, "", 40}, {SLICE_PARTIAL, "incomplete", 5}},
			false,
			"90 of 100 rows came in 3 passes; split, 2 of 3 parts are proven, with 100 rows"},
		{{{SLICE_PROVEN, "", 60}, {SLICE_FAILED, "http_502", -1}, {SLICE_FAILED, "", -1}}, false,
			"90 of 100 rows came in 3 passes; split, 1 of 3 parts are proven, with 60 rows"},
		{{{SLICE_PROVEN, "", 60, 7}, {SLICE_PROVEN, "", 40, 7}, {SLICE_SUSPECT, "nothing", 0, 7}},
			true, ""},
		/* The sum is right by chance: rows came to the one and went from the other. */
		{{{SLICE_PROVEN, "", 60, 7}, {SLICE_PROVEN, "", 40, 8}, {SLICE_SUSPECT, "nothing", 0, 8}},
			false,
			"90 of 100 rows came in 3 passes; split, 1 of 3 parts are proven, with 60 rows;"
			" the data changed meanwhile"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct spool_outcome whole = outcome(SLICE_PARTIAL, "incomplete", 100);
		struct split split = {.n_parts = 3, .updated = 7};

		for (size_t p = 0; p < 3; p++) {
			struct spool_outcome part = outcome(cases[i].parts[p].state,
				cases[i].parts[p].reason, cases[i].parts[p].expected);

			part.updated = cases[i].parts[p].updated;
			split_take(&split, &part);
		}
		split_judge(&split, &whole);
		assert_int_equal(whole.state, cases[i].proven ? SLICE_PROVEN : SLICE_PARTIAL);
		assert_string_equal(whole.reason, cases[i].proven ? "" : "incomplete");
		assert_string_equal(whole.text, cases[i].text);
	}
}

static void a_part_that_never_ended_proves_nothing(void **state)
{
	struct spool_outcome whole = outcome(SLICE_PARTIAL, "incomplete", 100);
	struct spool_outcome part = outcome(SLICE_PROVEN, "", 100);
	struct split split = {.n_parts = 2};

	(void)state;
	split_take(&split, &part);
	split_judge(&split, &whole);
	assert_int_equal(whole.state, SLICE_PARTIAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_due_when_the_passes_did_not_suffice),
		cmocka_unit_test(names_parts),
		cmocka_unit_test(judges_the_whole_by_its_parts),
		cmocka_unit_test(a_part_that_never_ended_proves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
