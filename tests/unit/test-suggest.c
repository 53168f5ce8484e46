/*
 * lib/suggest. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/attr.h"
#include "lib/suggest.h"

static const char *const words[] = {
	"status", "run", "runs", "pause", "resume", "config check", "requests_per_minute", "a"};

static void test_suggest(void **state)
{
	static const struct {
		const char *word, *meant;
	} cases[] = {
		{"status", "status"},
		{"stauts", "status"},
		{"statsu", "status"},
		{"sttaus", "status"},
		{"tsatsu", "status"},
		{"statuss", "status"},
		{"stat", NULL},
		{"rn", "run"},
		{"rus", "run"}, /* as near as "runs"; the first one wins */
		{"puase", "pause"},
		{"config chekc", "config check"},
		{"request_per_minut", "requests_per_minute"},
		{"xyz", NULL},
		{"", "a"},
		{"b", "a"},
		{"extraordinarily long words that nobody would ever mean to type here", NULL},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const char *meant = suggest(cases[i].word, words, N_ELEMENTS(words));

		if (!cases[i].meant) {
			assert_null(meant);
			continue;
		}
		assert_non_null(meant);
		assert_string_equal(meant, cases[i].meant);
	}
	assert_null(suggest("status", NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suggest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
