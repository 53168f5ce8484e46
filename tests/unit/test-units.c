/*
 * daemon/units: quantities in and out. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/units.h"

struct quantity {
	const char *text;
	uint64_t v;
	const char *written; /* NULL: as `text` */
};

static void check(const struct quantity *q, bool (*parse)(const char *, uint64_t *),
	void (*put)(struct buffer *, uint64_t))
{
	_cleanup_buffer_ struct buffer out = {0};
	uint64_t v = 12345;

	assert_true(parse(q->text, &v));
	assert_true(v == q->v);
	put(&out, v);
	assert_string_equal(buffer_str(&out), q->written ? q->written : q->text);
	assert_true(parse(buffer_str(&out), &v));
	assert_true(v == q->v);
}

static void test_durations(void **state)
{
	static const struct quantity good[] = {
		{"0s", 0, NULL},
		{"0d", 0, "0s"},
		{"500ms", 500, NULL},
		{"1000ms", 1000, "1s"},
		{"90s", 90000, NULL},
		{"5m", 300000, NULL},
		{"36h", 129600000, NULL},
		{"48h", 172800000, "2d"},
		{"30d", UINT64_C(2592000000), NULL},
		{"forever", UINT64_MAX, NULL},
		{"18446744073709551614ms", UINT64_MAX - 1, NULL},
	};
	static const char *const bad[] = {"", "5", "m", "5 m", "5M", "-5m", "+5m", "5.5m", "5m ",
		"1h30m", "forever1", "18446744073709551615ms", "18446744073709551616ms",
		"213503982335d", "0x5m"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		check(&good[i], units_duration, units_put_duration);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_false(units_duration(bad[i], &v));
	}
}

static void test_sizes(void **state)
{
	static const struct quantity good[] = {
		{"512B", 512, NULL},
		{"64KiB", 65536, NULL},
		{"96MiB", 96 << 20, NULL},
		{"2GiB", UINT64_C(2) << 30, NULL},
		{"1024GiB", UINT64_C(1) << 40, "1TiB"},
		{"1025B", 1025, NULL},
	};
	static const char *const bad[] = {"", "5", "5KB", "5kib", "5 KiB", "16777216TiB", "KiB"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		check(&good[i], units_size, units_put_size);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_false(units_size(bad[i], &v));
	}
}

static bool parse_share(const char *text, uint64_t *ret)
{
	unsigned ppm;

	if (!units_share(text, &ppm)) {
		return false;
	}
	*ret = ppm;
	return true;
}

static void put_share(struct buffer *out, uint64_t v)
{
	units_put_share(out, (unsigned)v);
}

static void test_shares(void **state)
{
	static const struct quantity good[] = {
		{"0%", 0, NULL},
		{"5%", 50000, NULL},
		{"100%", 1000000, NULL},
		{"0.25%", 2500, NULL},
		{"0.0001%", 1, NULL},
		{"12.3400%", 123400, "12.34%"},
		{"99.9999%", 999999, NULL},
	};
	static const char *const bad[] = {
		"", "5", "%", ".5%", "5.%", "101%", "100.0001%", "0.00001%", "-1%", "5 %", "5%%"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		check(&good[i], parse_share, put_share);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_false(parse_share(bad[i], &v));
	}
}

static void test_pairs(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};
	uint64_t a, b;

	(void)state;
	assert_true(units_rate("1KiB/60s", &a, &b));
	assert_true(a == 1024 && b == 60000);
	units_put_rate(&out, a, b);
	assert_string_equal(buffer_str(&out), "1KiB/1m");
	assert_false(units_rate("1KiB", &a, &b));
	assert_false(units_rate("1KiB/", &a, &b));
	assert_false(units_rate("/60s", &a, &b));
	assert_false(units_rate("1KiB/0s", &a, &b));
	assert_false(units_rate("1KiB/forever", &a, &b));
	assert_false(units_rate("111111111111111111111111111111KiB/1s", &a, &b));

	buffer_clear(&out);
	assert_true(units_span("1s..5m", &a, &b));
	assert_true(a == 1000 && b == 300000);
	units_put_span(&out, a, b);
	assert_string_equal(buffer_str(&out), "1s..5m");
	assert_true(units_span("1s..1s", &a, &b));
	assert_false(units_span("1s", &a, &b));
	assert_false(units_span("5m..1s", &a, &b));
	assert_false(units_span("1s..", &a, &b));
	assert_false(units_span("1s..forever", &a, &b));
	assert_false(units_span("1s...5m", &a, &b));
}

static void test_dates(void **state)
{
	static const struct {
		const char *text;
		int32_t day;
	} good[] = {{"1970-01-01", 0}, {"1969-12-31", -1}, {"2024-02-29", 19782},
		{"2026-11-20", 20777}, {"0001-01-01", -719162}, {"9999-12-31", 2932896}};
	static const char *const bad[] = {"", "2024-1-01", "2024-02-30", "2023-02-29", "2024-13-01",
		"2024-00-01", "2024-01-00", "2024-01-01 ", "24-01-01", "0000-01-01", "2024/01/01",
		"-024-01-01"};
	static const char *const bad_times[] = {
		"", "9:00", "24:00", "09:60", "0900", "09:00:00", "-1:00", "09.00"};
	int32_t day;
	unsigned s;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		_cleanup_buffer_ struct buffer out = {0};

		assert_true(units_date(good[i].text, &day));
		assert_int_equal(day, good[i].day);
		units_put_date(&out, day);
		assert_string_equal(buffer_str(&out), good[i].text);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_false(units_date(bad[i], &day));
	}
	assert_true(units_time_of_day("09:05", &s));
	assert_int_equal(s, 9 * 3600 + 300);
	assert_true(units_time_of_day("23:59", &s));
	for (size_t i = 0; i < N_ELEMENTS(bad_times); i++) {
		assert_false(units_time_of_day(bad_times[i], &s));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
