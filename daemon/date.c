/*
 * Dates and times in the forms that a portal writes. SPDX-License-Identifier: Apache-2.0
 *
 * Own code, because strptime() takes less than the whole text, fills in what is missing from the
 * present day, depends on the locale and lets "31/02/2026" pass.
 */

#include "daemon/date.h"

#include <stdbool.h>

#include "lib/civil.h"

enum { INDIA_S = 5 * 3600 + 30 * 60 };

struct moment {
	int year, month, day, hour, minute, second; /* year 0: not named */
	int zone_s;                                 /* east of Greenwich */
};

struct cursor {
	const char *at, *end;
};

static bool is_real(const struct moment *m)
{
	return m->year >= 1 && m->month >= 1 && m->month <= 12 && m->day >= 1 &&
	       m->day <= civil_days_in_month(m->year, m->month) && m->hour <= 23 && m->minute <= 59 &&
	       m->second <= 59;
}

static bool is_digit(const struct cursor *c)
{
	return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* Between min and max digits. */
static bool take_number(struct cursor *c, unsigned min, unsigned max, int *ret)
{
	unsigned n = 0;
	int v = 0;

	for (; n < max && is_digit(c); n++) {
		v = v * 10 + (*c->at++ - '0');
	}
	*ret = v;
	return n >= min;
}

static bool take_zone(struct cursor *c, int *ret_s)
{
	int sign, hours, minutes = 0;

	*ret_s = 0;
	if (c->at == c->end) {
		return false;
	}
	if (*c->at == 'Z') {
		c->at++;
		return true;
	}
	if (*c->at != '+' && *c->at != '-') {
		return false;
	}
	sign = *c->at++ == '-' ? -1 : 1;
	if (!take_number(c, 2, 2, &hours)) {
		return false;
	}
	if (c->at < c->end && (*c->at == ':' || is_digit(c))) {
		c->at += *c->at == ':';
		if (!take_number(c, 2, 2, &minutes)) {
			return false;
		}
	}
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return hours <= 15 && minutes <= 59; /* PostgreSQL's limit, too */
}

static bool take_field(struct cursor *c, char conversion, struct moment *m)
{
	switch (conversion) {
	case 'd':
		return take_number(c, 1, 2, &m->day);
	case 'm':
		return take_number(c, 1, 2, &m->month);
	case 'Y':
		return take_number(c, 4, 4, &m->year);
	case 'H':
		return take_number(c, 1, 2, &m->hour);
	case 'M':
		return take_number(c, 1, 2, &m->minute);
	case 'S':
		return take_number(c, 1, 2, &m->second);
	case 'z':
		return take_zone(c, &m->zone_s);
	case '%':
		return c->at < c->end && *c->at++ == '%';
	default:
		return false;
	}
}

static bool parse(const char *text, size_t len, const char *format, struct moment *ret)
{
	struct cursor c = {.at = text, .end = text + len};

	*ret = (struct moment){.zone_s = INDIA_S};
	for (const char *f = format; *f; f++) {
		bool ok = *f == '%' ? take_field(&c, *++f, ret)
				    : c.at < c.end && *c.at++ == *f;

		if (!ok) {
			return false;
		}
	}
	return c.at == c.end && is_real(ret);
}

int date_parse(const char *text, size_t len, const char *format, int32_t *ret_day)
{
	struct moment m;

	if (!parse(text, len, format, &m)) {
		return -1;
	}
	*ret_day = (int32_t)civil_to_day(m.year, m.month, m.day);
	return 0;
}

int timestamp_parse(const char *text, size_t len, const char *format, int64_t *ret_us)
{
	struct moment m;
	int64_t second;

	if (!parse(text, len, format, &m)) {
		return -1;
	}
	second = civil_to_day(m.year, m.month, m.day) * DAY_SECONDS;
	second += m.hour * 3600 + m.minute * 60 + m.second - m.zone_s;
	*ret_us = second * 1000000;
	return 0;
}

static void format_field(struct civil date, char conversion, struct buffer *out)
{
	switch (conversion) {
	case 'd':
		buffer_printf(out, "%02d", date.day);
		break;
	case 'm':
		buffer_printf(out, "%02d", date.month);
		break;
	case 'Y':
		buffer_printf(out, "%04d", date.year);
		break;
	case 'H':
	case 'M':
	case 'S':
		buffer_append_str(out, "00");
		break;
	case 'z':
		buffer_append_str(out, "+05:30");
		break;
	default:
		buffer_append_char(out, conversion);
		break;
	}
}

void date_format(int32_t day, const char *format, struct buffer *out)
{
	struct civil date = civil_from_day(day);

	for (const char *f = format; *f; f++) {
		if (*f == '%' && f[1]) {
			format_field(date, *++f, out);
		} else {
			buffer_append_char(out, *f);
		}
	}
}

int64_t date_begin_us(int32_t day)
{
	return ((int64_t)day * DAY_SECONDS - INDIA_S) * 1000000;
}

int32_t date_of_us(int64_t us)
{
	int64_t s = us / 1000000 - (us % 1000000 < 0);

	return (int32_t)civil_day_of_second(s + INDIA_S);
}
