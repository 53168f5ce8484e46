/*
 * How long to wait before the next try. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/attr.h"
#include "lib/backoff.h"

static uint64_t longest(const struct backoff *backoff, unsigned n_failed)
{
	uint64_t low = 0, high = UINT64_MAX - 1;

	/* delay = random % (longest + 1), so a number up to it is its own delay. */
	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (backoff_delay_ms(backoff, n_failed, middle) == middle) {
			low = middle;
		} else {
			high = middle - 1;
		}
	}
	return low;
}

static void doubles_up_to_its_cap(void **state)
{
	static const struct backoff normal = {.base_ms = 1000, .cap_ms = 300000};
	static const struct backoff odd = {.base_ms = 7000, .cap_ms = 5000};
	static const struct backoff huge = {.base_ms = 3, .cap_ms = UINT64_MAX - 1};
	static const uint64_t want[] = {
		1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(want); i++) {
		assert_int_equal(longest(&normal, i), want[i]);
	}
	assert_int_equal(longest(&normal, UINT32_MAX), 300000);
	assert_int_equal(longest(&odd, 0), 5000);
	assert_int_equal(longest(&odd, 1), 5000);
	assert_int_equal(longest(&huge, 10), 3072);
	assert_int_equal(longest(&huge, 200), UINT64_MAX - 1);
}

static void spreads_evenly(void **state)
{
	static const struct backoff backoff = {.base_ms = 9, .cap_ms = 9};
	static const struct backoff none = {.base_ms = 0, .cap_ms = 0};
	unsigned counts[10] = {0};
	uint64_t random = 88172645463325252U;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		counts[backoff_delay_ms(&backoff, i % 40, random)]++;
	}
	for (unsigned i = 0; i < N_ELEMENTS(counts); i++) {
		assert_true(counts[i] > 9500 && counts[i] < 10500);
	}
	assert_int_equal(backoff_delay_ms(&none, 3, random), 0);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
enum { BASE_S = 784111777 };

struct header {
	const char *text;
	enum retry_after given;
	uint64_t ms;
};

static const struct header headers[] = {
	{"0", RETRY_AFTER_GIVEN, 0},
	{"1", RETRY_AFTER_GIVEN, 1000},
	{"120", RETRY_AFTER_GIVEN, 120000},
	{"  120\t", RETRY_AFTER_GIVEN, 120000},
	{"00120", RETRY_AFTER_GIVEN, 120000},
	{"86400", RETRY_AFTER_GIVEN, 86400000},
	{"86401", RETRY_AFTER_CAPPED, 86400000},
	{"99999999999999999999999999999999", RETRY_AFTER_CAPPED, 86400000},
	{"", RETRY_AFTER_NONE, 0},
	{" ", RETRY_AFTER_NONE, 0},
	{"-1", RETRY_AFTER_NONE, 0},
	{"+1", RETRY_AFTER_NONE, 0},
	{"1.5", RETRY_AFTER_NONE, 0},
	{"1s", RETRY_AFTER_NONE, 0},
	{"1 2", RETRY_AFTER_NONE, 0},
	{"soon", RETRY_AFTER_NONE, 0},

	{"Sun, 06 Nov 1994 08:49:37 GMT", RETRY_AFTER_GIVEN, 0},
	{"Sun, 06 Nov 1994 08:49:38 GMT", RETRY_AFTER_GIVEN, 1000},
	{" Sun, 06 Nov 1994 08:51:37 GMT ", RETRY_AFTER_GIVEN, 120000},
	{"Sun, 06 Nov 1994 08:51:37 gmt", RETRY_AFTER_GIVEN, 120000},
	{"Mon, 07 Nov 1994 08:49:37 GMT", RETRY_AFTER_GIVEN, 86400000},
	{"Mon, 07 Nov 1994 08:49:38 GMT", RETRY_AFTER_CAPPED, 86400000},
	{"Fri, 31 Dec 9999 23:59:60 GMT", RETRY_AFTER_CAPPED, 86400000},
	{"Thu, 01 Jan 1970 00:00:00 GMT", RETRY_AFTER_GIVEN, 0},
	{"Mon, 01 Jan 0001 00:00:00 GMT", RETRY_AFTER_GIVEN, 0},
	{"Sun, 06 Nov 1994 08:49:37", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 1994 08:49:37 IST", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 1994 08:49:37 GMT+1", RETRY_AFTER_NONE, 0},
	{"Sun, 6 Nov 1994 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sun 06 Nov 1994 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Son, 06 Nov 1994 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"06 Nov 1994 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Now 1994 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 31 Nov 1994 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 00 Nov 1994 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Wed, 29 Feb 1995 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 1994 24:00:00 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 1994 08:60:00 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 1994 08:49:61 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 0000 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 94 08:49:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sun, 06 Nov 1994", RETRY_AFTER_NONE, 0},
	{"Sun, ", RETRY_AFTER_NONE, 0},
	{"Sun", RETRY_AFTER_NONE, 0},

	{"Sunday, 06-Nov-94 08:51:37 GMT", RETRY_AFTER_GIVEN, 120000},
	{"Sunday, 06-Nov-93 08:51:37 GMT", RETRY_AFTER_GIVEN, 0},
	{"Sunday, 06-Nov-44 08:51:37 GMT", RETRY_AFTER_CAPPED, 86400000}, /* 2044 */
	{"Sunday, 06-Nov-45 08:51:37 GMT", RETRY_AFTER_GIVEN, 0},	  /* 1945 */
	{"Sunday, 06-Nov-1994 08:51:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sunday, 06-Nov 94 08:51:37 GMT", RETRY_AFTER_NONE, 0},
	{"Sunday, 06-Nov-94 08:51:37", RETRY_AFTER_NONE, 0},

	{"Sun Nov  6 08:51:37 1994", RETRY_AFTER_GIVEN, 120000},
	{"Sun Nov 06 08:51:37 1994", RETRY_AFTER_GIVEN, 120000},
	{"Mon Nov 07 08:49:37 1994", RETRY_AFTER_GIVEN, 86400000},
	{"Sun Nov 16 08:51:37 1994", RETRY_AFTER_CAPPED, 86400000},
	{"Sun Nov  6 08:51:37 94", RETRY_AFTER_NONE, 0},
	{"Sun Nov  6 08:51:37 1994 GMT", RETRY_AFTER_NONE, 0},
	{"Sun Nov 6 08:51:37 1994", RETRY_AFTER_NONE, 0},
};

static void reads_retry_after(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(headers); i++) {
		uint64_t ms = 7;
		enum retry_after given;

		given = backoff_retry_after(headers[i].text, (int64_t)BASE_S * 1000000, &ms);
		if (given != headers[i].given || (given && ms != headers[i].ms) ||
			(!given && ms != 7)) {
			fail_msg("\"%s\" is %d, %ju ms", headers[i].text, given, (uintmax_t)ms);
		}
	}
}

static void counts_from_now(void **state)
{
	uint64_t ms;

	(void)state;
	assert_int_equal(backoff_retry_after("Sun, 06 Nov 1994 08:49:38 GMT",
				 (int64_t)BASE_S * 1000000 + 250000, &ms),
		RETRY_AFTER_GIVEN);
	assert_int_equal(ms, 750);
}

/* Two digits are the year that is at most 50 years ahead. */
static void finds_the_century(void **state)
{
	static const int64_t in_2026 = 1795156203000000, in_2070 = 3182000000000000;
	static const struct {
		const char *text;
		int64_t now_us;
		bool ahead;
	} cases[] = {
		{"Friday, 06-Nov-76 08:49:38 GMT", in_2026, true},
		{"Friday, 06-Nov-77 08:49:38 GMT", in_2026, false},
		{"Friday, 06-Nov-26 08:49:38 GMT", in_2026, false},
		{"Friday, 06-Nov-27 08:49:38 GMT", in_2026, true},
		{"Friday, 06-Nov-20 08:49:38 GMT", in_2070, true},
		{"Friday, 06-Nov-21 08:49:38 GMT", in_2070, false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint64_t ms = 7;

		assert_int_equal(backoff_retry_after(cases[i].text, cases[i].now_us, &ms),
			cases[i].ahead ? RETRY_AFTER_CAPPED : RETRY_AFTER_GIVEN);
		assert_int_equal(ms, cases[i].ahead ? RETRY_AFTER_MAX_MS : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_up_to_its_cap),
		cmocka_unit_test(spreads_evenly),
		cmocka_unit_test(reads_retry_after),
		cmocka_unit_test(counts_from_now),
		cmocka_unit_test(finds_the_century),
	};

	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
