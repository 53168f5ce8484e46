/*
 * Quantities. SPDX-License-Identifier: Apache-2.0
 *
 * A number with a unit behind it is looked up in a table, largest unit first; writing takes the
 * first unit that divides without a rest.
 */

#include "daemon/units.h"

#include <string.h>

#include "lib/civil.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static const struct unit sizes[] = {{"TiB", UINT64_C(1) << 40}, {"GiB", UINT64_C(1) << 30},
	{"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10}, {"B", 1}};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at the start of `text`. Returns what is behind them, or NULL. */
static const char *take_number(const char *text, uint64_t *ret)
{
	const char *p = text;
	uint64_t v = 0;

	for (; is_digit(*p); p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) {
			return NULL;
		}
	}
	*ret = v;
	return p > text ? p : NULL;
}

bool units_number(const char *text, uint64_t *ret)
{
	const char *end = take_number(text, ret);

	return end && *end == '\0';
}

static bool parse_unit(const char *text, const struct unit *units, unsigned n, uint64_t *ret)
{
	uint64_t v;
	const char *name = take_number(text, &v);

	for (unsigned i = 0; name && i < n; i++) {
		if (strcmp(name, units[i].name) == 0) {
			/* UINT64_MAX is kept for forever. */
			return !__builtin_mul_overflow(v, units[i].factor, ret) &&
				*ret != UNITS_FOREVER;
		}
	}
	return false;
}

static void put_unit(struct buffer *out, uint64_t v, const struct unit *units, unsigned n)
{
	unsigned i = 0;

	if (v == 0) {
		i = n > 3 ? 3 : 0;
	}
	while (i + 1 < n && v % units[i].factor != 0) {
		i++;
	}
	buffer_printf(out, "%llu%s", (unsigned long long)(v / units[i].factor), units[i].name);
}

bool units_duration(const char *text, uint64_t *ret_ms)
{
	if (strcmp(text, "forever") == 0) {
		*ret_ms = UNITS_FOREVER;
		return true;
	}
	return parse_unit(text, durations, N_ELEMENTS(durations), ret_ms);
}

void units_put_duration(struct buffer *out, uint64_t ms)
{
	if (ms == UNITS_FOREVER) {
		buffer_append_str(out, "forever");
	} else {
		put_unit(out, ms, durations, N_ELEMENTS(durations));
	}
}

bool units_size(const char *text, uint64_t *ret_bytes)
{
	return parse_unit(text, sizes, N_ELEMENTS(sizes), ret_bytes);
}

void units_put_size(struct buffer *out, uint64_t bytes)
{
	put_unit(out, bytes, sizes, N_ELEMENTS(sizes));
}

bool units_share(const char *text, unsigned *ret_ppm)
{
	uint64_t percent;
	const char *p = take_number(text, &percent);
	unsigned fraction = 0, unit = 1000; /* a tenth of a percent, in millionths */

	if (!p || percent > 100) {
		return false;
	}
	if (*p == '.') {
		for (p++; is_digit(*p) && unit > 0; p++, unit /= 10) {
			fraction += unit * (unsigned)(*p - '0');
		}
		if (!is_digit(p[-1])) {
			return false;
		}
	}
	*ret_ppm = (unsigned)percent * 10000 + fraction;
	return strcmp(p, "%") == 0 && *ret_ppm <= 1000000;
}

void units_put_share(struct buffer *out, unsigned ppm)
{
	unsigned fraction = ppm % 10000, width = 4;

	buffer_printf(out, "%u", ppm / 10000);
	if (fraction > 0) {
		for (; fraction % 10 == 0; fraction /= 10) {
			width--;
		}
		buffer_printf(out, ".%0*u", (int)width, fraction);
	}
	buffer_append_char(out, '%');
}

/* The two texts around `sep`, each through its own reader. */
static bool parse_pair(const char *text, const char *sep,
	bool (*parse_left)(const char *, uint64_t *), bool (*parse_right)(const char *, uint64_t *),
	uint64_t *ret_left, uint64_t *ret_right)
{
	const char *at = strstr(text, sep);
	char left[24];

	if (!at || (size_t)(at - text) >= sizeof(left)) {
		return false;
	}
	memcpy(left, text, (size_t)(at - text));
	left[at - text] = '\0';
	return parse_left(left, ret_left) && parse_right(at + strlen(sep), ret_right) &&
		*ret_right != UNITS_FOREVER;
}

bool units_rate(const char *text, uint64_t *ret_bytes, uint64_t *ret_ms)
{
	return parse_pair(text, "/", units_size, units_duration, ret_bytes, ret_ms) && *ret_ms > 0;
}

void units_put_rate(struct buffer *out, uint64_t bytes, uint64_t ms)
{
	units_put_size(out, bytes);
	buffer_append_char(out, '/');
	units_put_duration(out, ms);
}

bool units_span(const char *text, uint64_t *ret_min_ms, uint64_t *ret_max_ms)
{
	return parse_pair(text, "..", units_duration, units_duration, ret_min_ms, ret_max_ms) &&
		*ret_min_ms <= *ret_max_ms;
}

void units_put_span(struct buffer *out, uint64_t min_ms, uint64_t max_ms)
{
	units_put_duration(out, min_ms);
	buffer_append_str(out, "..");
	units_put_duration(out, max_ms);
}

/* `n` digits at `text`, or -1. */
static int digits(const char *text, unsigned n)
{
	int v = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!is_digit(text[i])) {
			return -1;
		}
		v = v * 10 + (text[i] - '0');
	}
	return v;
}

bool units_time_of_day(const char *text, unsigned *ret_s)
{
	int hour, minute;

	if (strlen(text) != 5 || text[2] != ':') {
		return false;
	}
	hour = digits(text, 2);
	minute = digits(text + 3, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59) {
		return false;
	}
	*ret_s = (unsigned)(hour * 3600 + minute * 60);
	return true;
}

void units_put_time_of_day(struct buffer *out, unsigned s)
{
	buffer_printf(out, "%02u:%02u", s / 3600, s / 60 % 60);
}

bool units_date(const char *text, int32_t *ret_day)
{
	int year, month, day;

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-') {
		return false;
	}
	year = digits(text, 4);
	month = digits(text + 5, 2);
	day = digits(text + 8, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > civil_days_in_month(year, month)) {
		return false;
	}
	*ret_day = (int32_t)civil_to_day(year, month, day);
	return true;
}

void units_put_date(struct buffer *out, int32_t day)
{
	struct civil civil = civil_from_day(day);

	buffer_printf(out, "%04d-%02d-%02d", civil.year, civil.month, civil.day);
}
