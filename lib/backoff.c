/*
 * How long to wait before the next try. SPDX-License-Identifier: Apache-2.0
 *
 * Retry-After is read with a cursor that each small step moves on or leaves with a failure. The
 *three forms of a date: Sun, 06 Nov 1994 08:49:37 GMT    IMF-fixdate Sunday, 06-Nov-94 08:49:37 GMT
 *RFC 850 Sun Nov  6 08:49:37 1994         asctime() The name of the weekday must be one, but need
 *not fit the date: the date says enough.
 */

#include "lib/backoff.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/attr.h"
#include "lib/civil.h"

uint64_t backoff_delay_ms(const struct backoff *backoff, unsigned n_failed, uint64_t random)
{
	uint64_t most = backoff->base_ms;

	for (; n_failed > 0 && most < backoff->cap_ms; n_failed--) {
		most = most > backoff->cap_ms / 2 ? backoff->cap_ms : most * 2;
	}
	most = most < backoff->cap_ms ? most : backoff->cap_ms;
	return most == UINT64_MAX ? random : random % (most + 1);
}

/* ---- Retry-After ---- */

struct cursor {
	const char *at;
	bool failed;
};

struct moment {
	int year, month, day, hour, minute, second;
};

static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const weekdays[] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_blanks(struct cursor *cursor)
{
	while (*cursor->at == ' ' || *cursor->at == '\t') {
		cursor->at++;
	}
}

static void expect(struct cursor *cursor, const char *text)
{
	size_t len = strlen(text);

	if (cursor->failed || strncasecmp(cursor->at, text, len) != 0) {
		cursor->failed = true;
		return;
	}
	cursor->at += len;
}

static bool accept(struct cursor *cursor, const char *text)
{
	struct cursor ahead = *cursor;

	expect(&ahead, text);
	if (!ahead.failed) {
		*cursor = ahead;
	}
	return !ahead.failed;
}

/* Exactly n digits. */
static int take_number(struct cursor *cursor, unsigned n)
{
	int v = 0;

	for (unsigned i = 0; i < n && !cursor->failed; i++) {
		cursor->failed = !is_digit(*cursor->at);
		v = cursor->failed ? 0 : v * 10 + (*cursor->at++ - '0');
	}
	return v;
}

static int take_month(struct cursor *cursor)
{
	for (unsigned i = 0; i < N_ELEMENTS(months); i++) {
		if (accept(cursor, months[i])) {
			return (int)i + 1;
		}
	}
	cursor->failed = true;
	return 1;
}

static void take_time(struct cursor *cursor, struct moment *moment)
{
	moment->hour = take_number(cursor, 2);
	expect(cursor, ":");
	moment->minute = take_number(cursor, 2);
	expect(cursor, ":");
	moment->second = take_number(cursor, 2);
}

/* The long or the short name of a weekday. */
static bool take_weekday(struct cursor *cursor)
{
	for (unsigned i = 0; i < N_ELEMENTS(weekdays); i++) {
		if (accept(cursor, weekdays[i])) {
			return true;
		}
		if (strncasecmp(cursor->at, weekdays[i], 3) == 0) {
			cursor->at += 3;
			return true;
		}
	}
	return false;
}

/* A year of two digits is the one that is at most 50 years ahead (RFC 9110, 5.6.7). */
static int whole_year(int two_digits, int this_year)
{
	int year = this_year / 100 * 100 + two_digits;

	if (year > this_year + 50) {
		return year - 100;
	}
	return year <= this_year - 50 ? year + 100 : year;
}

/* "06 Nov 1994 08:49:37 GMT" or "06-Nov-94 08:49:37 GMT" */
static void take_date(struct cursor *cursor, int this_year, struct moment *moment)
{
	bool dashes;

	moment->day = take_number(cursor, 2);
	dashes = accept(cursor, "-");
	if (!dashes) {
		expect(cursor, " ");
	}
	moment->month = take_month(cursor);
	expect(cursor, dashes ? "-" : " ");
	moment->year =
		dashes ? whole_year(take_number(cursor, 2), this_year) : take_number(cursor, 4);
	expect(cursor, " ");
	take_time(cursor, moment);
	expect(cursor, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static void take_asctime(struct cursor *cursor, struct moment *moment)
{
	moment->month = take_month(cursor);
	expect(cursor, " ");
	moment->day = accept(cursor, " ") ? take_number(cursor, 1) : take_number(cursor, 2);
	expect(cursor, " ");
	take_time(cursor, moment);
	expect(cursor, " ");
	moment->year = take_number(cursor, 4);
}

static bool is_real(const struct moment *m)
{
	return m->year >= 1 && m->day >= 1 && m->day <= civil_days_in_month(m->year, m->month) &&
		m->hour < 24 && m->minute < 60 && m->second <= 60; /* 60: a leap second */
}

/* Only white space is left. */
static bool at_end(struct cursor *cursor)
{
	skip_blanks(cursor);
	return !cursor->failed && *cursor->at == '\0';
}

static enum retry_after cap(uint64_t ms, uint64_t *ret_ms)
{
	*ret_ms = ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : ms;
	return ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_CAPPED : RETRY_AFTER_GIVEN;
}

static enum retry_after read_seconds(struct cursor *cursor, uint64_t *ret_ms)
{
	uint64_t s = 0;

	for (; is_digit(*cursor->at); cursor->at++) {
		s = s > RETRY_AFTER_MAX_MS ? s : s * 10 + (uint64_t)(*cursor->at - '0');
	}
	return at_end(cursor) ? cap(s * 1000, ret_ms) : RETRY_AFTER_NONE;
}

static enum retry_after read_date(struct cursor *cursor, int64_t now_us, uint64_t *ret_ms)
{
	int64_t now_s = now_us / 1000000, today = civil_day_of_second(now_s), ms;
	struct moment moment = {0};

	if (!take_weekday(cursor)) {
		return RETRY_AFTER_NONE;
	}
	if (accept(cursor, ", ")) {
		take_date(cursor, civil_from_day(today).year, &moment);
	} else {
		expect(cursor, " ");
		take_asctime(cursor, &moment);
	}
	if (!at_end(cursor) || !is_real(&moment)) {
		return RETRY_AFTER_NONE;
	}
	ms = (civil_to_day(moment.year, moment.month, moment.day) * DAY_SECONDS +
		     INT64_C(3600) * moment.hour + INT64_C(60) * moment.minute + moment.second) *
			1000 -
		now_us / 1000;
	return cap(ms > 0 ? (uint64_t)ms : 0, ret_ms);
}

enum retry_after backoff_retry_after(const char *text, int64_t now_us, uint64_t *ret_ms)
{
	struct cursor cursor = {.at = text};

	skip_blanks(&cursor);
	if (is_digit(*cursor.at)) {
		return read_seconds(&cursor, ret_ms);
	}
	return read_date(&cursor, now_us, ret_ms);
}
