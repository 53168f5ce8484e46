/*
 * Time zones, held against libc's. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/civil.h"
#include "lib/zone.h"
#include "lib/zone_rule.h"

static struct zone *load(const char *name)
{
	struct error error = {0};
	struct zone *zone;

	if (zone_load(NULL, name, &zone, &error) < 0) {
		fail_msg("%s", error.text);
	}
	setenv("TZ", name, 1);
	tzset();
	return zone;
}

static int32_t offset_of_libc(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	localtime_r(&t, &tm);
	return (int32_t)tm.tm_gmtoff;
}

static void assert_offset(const struct zone *zone, const char *name, int64_t s)
{
	if (zone_offset(zone, s) != offset_of_libc(s)) {
		fail_msg("%s at %jd: %d, not %d", name, (intmax_t)s, zone_offset(zone, s),
			offset_of_libc(s));
	}
}

static const char *const names[] = {"Asia/Kolkata", "Europe/Berlin", "America/New_York",
	"Europe/Dublin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu",
	"Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll", "America/Sao_Paulo", "Asia/Gaza",
	"Pacific/Chatham", "America/Nuuk", "Europe/London", "Etc/GMT+12", "Pacific/Kiritimati"};

/* Each quarter of an hour of one year, and its first and last second. */
static void agrees_with_libc_for_a_year(void **state)
{
	int64_t first = civil_to_day(2026, 1, 1) * DAY_SECONDS;
	int64_t last = civil_to_day(2027, 1, 1) * DAY_SECONDS;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct zone *zone = load(names[i]);

		for (int64_t s = first; s < last; s += 900) {
			assert_offset(zone, names[i], s - 1);
			assert_offset(zone, names[i], s);
		}
		zone_free(zone);
	}
}

/* From the time before clocks were equal to long after the last transition that is listed. */
static void agrees_with_libc_for_centuries(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct zone *zone = load(names[i]);

		for (int year = 1850; year < 2200; year++) {
			int64_t s = civil_to_day(year, 1, 1) * DAY_SECONDS;

			for (unsigned k = 0; k < 366; k += 5) {
				assert_offset(zone, names[i], s + k * DAY_SECONDS + k * 137);
			}
		}
		zone_free(zone);
	}
}

/* By the words of the header: clocks show it or later for the first time. */
static void assert_first(const struct zone *zone, const char *name, int64_t local_s)
{
	int64_t utc_s = zone_to_utc(zone, local_s);

	if (zone_to_local(zone, utc_s) < local_s || zone_to_local(zone, utc_s - 1) >= local_s) {
		fail_msg("%s: %jd is not first shown at %jd", name, (intmax_t)local_s,
			(intmax_t)utc_s);
	}
}

static void turns_local_time_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct zone *zone = load(names[i]);

		for (int year = 1880; year < 2100; year += year < 2020 ? 23 : 9) {
			int64_t s = civil_to_day(year, 1, 1) * DAY_SECONDS;

			for (int64_t k = 0; k < 366 * DAY_SECONDS; k += 1800) {
				assert_first(zone, names[i], s + k);
				assert_first(zone, names[i], s + k - 1);
			}
		}
		zone_free(zone);
	}
}

static int64_t at(int year, int month, int day, int hour, int minute)
{
	return civil_to_day(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60;
}

static void knows_gaps_and_repeated_hours(void **state)
{
	struct zone *zone = load("Europe/Berlin");

	(void)state;
	assert_int_equal(zone_to_utc(zone, at(2026, 3, 29, 1, 59)), at(2026, 3, 29, 0, 59));
	assert_int_equal(zone_to_utc(zone, at(2026, 3, 29, 2, 0)), at(2026, 3, 29, 1, 0));
	assert_int_equal(zone_to_utc(zone, at(2026, 3, 29, 2, 30)), at(2026, 3, 29, 1, 0));
	assert_int_equal(zone_to_utc(zone, at(2026, 3, 29, 3, 0)), at(2026, 3, 29, 1, 0));
	assert_int_equal(zone_to_utc(zone, at(2026, 3, 29, 3, 1)), at(2026, 3, 29, 1, 1));
	assert_int_equal(zone_to_utc(zone, at(2026, 10, 25, 1, 59)), at(2026, 10, 24, 23, 59));
	assert_int_equal(zone_to_utc(zone, at(2026, 10, 25, 2, 0)), at(2026, 10, 25, 0, 0));
	assert_int_equal(zone_to_utc(zone, at(2026, 10, 25, 2, 30)), at(2026, 10, 25, 0, 30));
	assert_int_equal(zone_to_utc(zone, at(2026, 10, 25, 3, 0)), at(2026, 10, 25, 2, 0));
	assert_int_equal(zone_to_utc(zone, at(2060, 7, 1, 12, 0)), at(2060, 7, 1, 10, 0));
	zone_free(zone);

	zone = load("Pacific/Apia"); /* had no 30 December 2011 */
	assert_int_equal(zone_to_utc(zone, at(2011, 12, 30, 12, 0)), at(2011, 12, 30, 10, 0));
	assert_int_equal(zone_to_utc(zone, at(2011, 12, 31, 0, 0)), at(2011, 12, 30, 10, 0));
	zone_free(zone);

	zone = load("UTC");
	assert_int_equal(zone_to_utc(zone, 12345), 12345);
	assert_int_equal(zone_offset(zone, -12345), 0);
	zone_free(zone);
}

static void reads_rules(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int64_t t;
		int32_t offset;
	} cases[] = {
		{"IST-5:30", true, 0, 19800},
		{"<+0545>-5:45", true, 0, 20700},
		{"<-00>0", true, 0, 0},
		{"CET-1CEST,M3.5.0,M10.5.0/3", true, 1783000000, 7200},
		{"CET-1CEST,M3.5.0,M10.5.0/3", true, 1795156203, 3600},
		{"AEST-10AEDT,M10.1.0,M4.1.0/3", true, 1783000000, 36000},
		{"AEST-10AEDT,M10.1.0,M4.1.0/3", true, 1795156203, 39600},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", true, 1783000000, 3600}, /* Dublin's */
		{"IST-1GMT0,M10.5.0,M3.5.0/1", true, 1795156203, 0},
		{"XXX3EDT4,0/0,J365/23", true, 1783000000, -14400}, /* summer for ever */
		{"XXX3EDT4,0/0,J365/23", true, 1767236400, -14400}, /* a year's first hour */
		{"EET-2EEST,M3.4.4/50,M10.4.4/50", true, 1783000000, 10800},
		{"AAA0BBB,J60/0,J61/0", true, 1709193600, 0}, /* 29 February 2024 is not counted */
		{"AAA0BBB,J60/0,J61/0", true, 1709280000, 3600},
		{"AAA0BBB,59/0,60/0", true, 1709193600, 3600}, /* and here it is day 59 */
		{"AAA0BBB,59/0,60/0", true, 1709280000, 0},
		{"<+0330>-3:30<+0430>,J79/24,J263/24", true, 1783000000, 16200},
		{"AAA-25", false, 0, 0},
		{"AAA0:60", false, 0, 0},
		{"AA0", false, 0, 0},
		{"AAA", false, 0, 0},
		{"<AAA0", false, 0, 0},
		{"AAA0BBB", false, 0, 0},
		{"AAA0BBB,M3.5.0", false, 0, 0},
		{"AAA0BBB,M13.5.0,M3.5.0", false, 0, 0},
		{"AAA0BBB,M3.6.0,M3.5.0", false, 0, 0},
		{"AAA0BBB,M3.5.7,M3.5.0", false, 0, 0},
		{"AAA0BBB,J0,J1", false, 0, 0},
		{"AAA0BBB,366,1", false, 0, 0},
		{"AAA0BBB,1/168,1", false, 0, 0},
		{"AAA0BBB,1,2,3", false, 0, 0},
		{"AAA0 ", false, 0, 0},
		{"", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct zone_rule rule;
		int64_t until;

		if (zone_rule_parse(cases[i].text, strlen(cases[i].text), &rule) != cases[i].good) {
			fail_msg("%s got the wrong verdict", cases[i].text);
		}
		if (cases[i].good && zone_rule_span(&rule, cases[i].t, &until) != cases[i].offset) {
			fail_msg("%s at %jd is %d", cases[i].text, (intmax_t)cases[i].t,
				zone_rule_span(&rule, cases[i].t, &until));
		}
	}
}

static void assert_no_zone(const char *directory, const char *name, const char *text)
{
	struct error error = {0};
	struct zone *zone = NULL;

	assert_int_equal(zone_load(directory, name, &zone, &error), -1);
	assert_null(zone);
	assert_int_equal(error.class, ERROR_REJECTED);
	assert_string_equal(error.text, text);
}

static void refuses_what_is_no_zone(void **state)
{
	(void)state;
	assert_no_zone(NULL, "Asia/Kolkatta",
		"time zone \"Asia/Kolkatta\": opening it: No such file or directory");
	assert_no_zone(NULL, "Asia", "time zone \"Asia\": reading it: Is a directory");
	assert_no_zone(NULL, "", "time zone \"\": this is no name of a zone");
	assert_no_zone(
		NULL, "../etc/passwd", "time zone \"../etc/passwd\": this is no name of a zone");
	assert_no_zone(NULL, "/etc/passwd", "time zone \"/etc/passwd\": this is no name of a zone");
	assert_no_zone(NULL, ":UTC0", "time zone \":UTC0\": this is no name of a zone");
	assert_no_zone(
		NULL, "zone1970.tab", "time zone \"zone1970.tab\": this is no name of a zone");
	assert_no_zone("/etc", "passwd",
		"time zone \"passwd\": this is no time zone file, or one of an unknown form");
}

static size_t read_berlin(unsigned char *data, size_t size)
{
	FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "re");
	size_t len;

	assert_non_null(file);
	len = fread(data, 1, size, file);
	fclose(file);
	assert_true(len > 500 && len < size);
	return len;
}

/* Cut anywhere, and with any byte changed: refused, or a zone that answers. */
static void survives_damage(void **state)
{
	static unsigned char data[65536];
	size_t len = read_berlin(data, sizeof(data));
	unsigned n_good = 0;

	(void)state;
	for (size_t n = 0; n < len; n++) {
		unsigned char *copy = malloc(n ? n : 1);
		struct zone *zone = NULL;

		assert_non_null(copy);
		memcpy(copy, data, n);
		assert_int_equal(zone_parse(copy, n, &zone, NULL), -1);
		free(copy);
	}
	for (size_t i = 0; i < len; i++) {
		for (unsigned change = 1; change < 256; change *= 2) {
			struct zone *zone = NULL;

			data[i] ^= (unsigned char)change;
			if (zone_parse(data, len, &zone, NULL) == 0) {
				(void)zone_offset(zone, 1783000000);
				(void)zone_to_utc(zone, 4000000000);
				n_good++;
			}
			zone_free(zone);
			data[i] ^= (unsigned char)change;
		}
	}
	assert_true(n_good > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_libc_for_a_year),
		cmocka_unit_test(agrees_with_libc_for_centuries),
		cmocka_unit_test(turns_local_time_back),
		cmocka_unit_test(knows_gaps_and_repeated_hours),
		cmocka_unit_test(reads_rules),
		cmocka_unit_test(refuses_what_is_no_zone),
		cmocka_unit_test(survives_damage),
	};

	return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
