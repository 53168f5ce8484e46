/*
 * Cron lines. SPDX-License-Identifier: Apache-2.0
 *
 * Parsing: a cursor walks the line; the first thing that is wrong stops it and stays as the error.
 *
 * The next tick: the wall clock at the given moment says where to begin; from there on the ticks of
 * the calendar are tried in their order, and each is turned into a moment by zone_to_utc(), which
 * has the rules for gaps and repeated hours. The order of wall ticks is that of their moments, so
 * the first one whose moment is later is the answer. A line that passed cron_parse() has a tick
 * within 40 years (a 29th of February that must be a certain weekday, around 2100).
 */

#include "lib/cron.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "lib/civil.h"
#include "lib/zone.h"

enum {
	MINUTE_S = 60,
	HOUR_MINUTES = 60,
	DAY_MINUTES = 24 * 60,
	SEARCH_DAYS = 50 * 366,
	NAME_LETTERS = 3,
};

static const char *const month_names[] = {NULL, "jan", "feb", "mar", "apr", "may", "jun", "jul",
	"aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct cron_field {
	const char *name;
	unsigned least, most;
	const char *const *words; /* by value, NULL-terminated after the first non-NULL; or NULL */
} fields[] = {
	{"minute", 0, 59, NULL},
	{"hour", 0, 23, NULL},
	{"day", 1, 31, NULL},
	{"month", 1, 12, month_names},
	{"weekday", 0, 7, weekday_names},
};

/* ---- parsing ---- */

struct cursor {
	const char *text, *at;
	const struct cron_field *field;
	struct error *error;
	unsigned *ret_at;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Bytes from `at` to the end of what a reader sees as one word. */
static int word_bytes(const char *at)
{
	size_t n = strcspn(at, " \t,");

	return n < 40 ? (int)n : 40;
}

static int fail(const struct cursor *cursor, const char *at, const char *format, ...)
	printf_like(3, 4);

static int fail(const struct cursor *cursor, const char *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_set_va(cursor->error, ERROR_REJECTED, "cron", "cron", format, args);
	va_end(args);
	if (cursor->ret_at) {
		*cursor->ret_at = (unsigned)(at - cursor->text);
	}
	return -1;
}

static int fail_range(const struct cursor *cursor, const char *at, const char *end)
{
	const struct cron_field *field = cursor->field;

	return fail(cursor, at, "%s %.*s is not within %u-%u", field->name, (int)(end - at), at,
		field->least, field->most);
}

static int parse_word(struct cursor *cursor, unsigned *ret)
{
	const struct cron_field *field = cursor->field;
	const char *start = cursor->at;

	while (is_letter(*cursor->at)) {
		cursor->at++;
	}
	for (unsigned i = field->least; field->words && field->words[i]; i++) {
		if (cursor->at - start == NAME_LETTERS &&
			strncasecmp(start, field->words[i], NAME_LETTERS) == 0) {
			*ret = i;
			return 0;
		}
	}
	return fail(
		cursor, start, "%s \"%.*s\" is not known", field->name, word_bytes(start), start);
}

static int parse_value(struct cursor *cursor, unsigned *ret)
{
	const char *start = cursor->at;
	unsigned v = 0;

	if (is_letter(*start)) {
		return parse_word(cursor, ret);
	}
	if (!is_digit(*start)) {
		return fail(cursor, start, "%s: a number is missing", cursor->field->name);
	}
	for (; is_digit(*cursor->at); cursor->at++) {
		v = v < 1000 ? v * 10 + (unsigned)(*cursor->at - '0') : v;
	}
	if (v < cursor->field->least || v > cursor->field->most) {
		return fail_range(cursor, start, cursor->at);
	}
	*ret = v;
	return 0;
}

/* "/5" behind a range */
static int parse_step(struct cursor *cursor, unsigned *ret)
{
	const struct cron_field *field = cursor->field;
	const char *start = ++cursor->at;
	unsigned step = 0;

	for (; is_digit(*cursor->at); cursor->at++) {
		step = step < 1000 ? step * 10 + (unsigned)(*cursor->at - '0') : step;
	}
	if (step == 0 || step > field->most) {
		return fail(
			cursor, start, "%s: a step must be within 1-%u", field->name, field->most);
	}
	*ret = step;
	return 0;
}

/* "*", "a", "a-b", each but "a" perhaps with a step. Sets bits. */
static int parse_item(struct cursor *cursor, uint64_t *bits)
{
	const struct cron_field *field = cursor->field;
	unsigned first = field->least, last = field->most, step = 1;
	const char *start = cursor->at;
	bool is_range = *start == '*';

	if (is_range) {
		cursor->at++;
	} else if (parse_value(cursor, &first) < 0) {
		return -1;
	} else if (*cursor->at == '-') {
		is_range = true;
		cursor->at++;
		if (parse_value(cursor, &last) < 0) {
			return -1;
		}
		/* fri-sun: as the end of a range Sunday is the 7th. */
		last = last == 0 && field->words == weekday_names ? 7 : last;
	} else {
		last = first;
	}
	if (first > last) {
		return fail(cursor, start, "%s: the range %.*s goes backwards", field->name,
			(int)(cursor->at - start), start);
	}
	if (*cursor->at == '/' && !is_range) {
		return fail(cursor, cursor->at, "%s: a step needs a range or *", field->name);
	}
	if (*cursor->at == '/' && parse_step(cursor, &step) < 0) {
		return -1;
	}
	for (unsigned i = first; i <= last; i += step) {
		*bits |= UINT64_C(1) << i;
	}
	return 0;
}

static int parse_field(struct cursor *cursor, uint64_t *ret_bits)
{
	*ret_bits = 0;
	for (;;) {
		if (parse_item(cursor, ret_bits) < 0) {
			return -1;
		}
		if (*cursor->at != ',') {
			break;
		}
		cursor->at++;
	}
	if (*cursor->at && !is_blank(*cursor->at)) {
		return fail(cursor, cursor->at, "%s: \"%.*s\" does not belong here",
			cursor->field->name, word_bytes(cursor->at), cursor->at);
	}
	return 0;
}

static void skip_blanks(struct cursor *cursor)
{
	while (is_blank(*cursor->at)) {
		cursor->at++;
	}
}

static int count_fields(const char *at)
{
	int n = 0;

	for (at += strspn(at, " \t"); *at; at += strspn(at, " \t")) {
		n++;
		at += strcspn(at, " \t");
	}
	return n;
}

/* Is there a month with such a day? Weekdays come in every month. */
static bool ever_comes(const struct cron *cron)
{
	for (int month = 1; month <= 12; month++) {
		int days = civil_days_in_month(2024, month); /* a leap year */

		if (cron->months & 1U << month && cron->days & ((UINT32_C(2) << days) - 2)) {
			return true;
		}
	}
	return cron->either_day;
}

int cron_parse(const char *text, struct cron *ret, unsigned *ret_at, struct error *error)
{
	struct cursor cursor = {.text = text, .at = text, .error = error, .ret_at = ret_at};
	uint64_t bits[N_ELEMENTS(fields)];
	bool is_star[N_ELEMENTS(fields)];
	int n = count_fields(text);

	if (n != N_ELEMENTS(fields)) {
		return fail(&cursor, text,
			"a cron line has 5 fields (minute hour day month weekday), not %d", n);
	}
	for (unsigned i = 0; i < N_ELEMENTS(fields); i++) {
		skip_blanks(&cursor);
		cursor.field = &fields[i];
		is_star[i] = *cursor.at == '*';
		if (parse_field(&cursor, &bits[i]) < 0) {
			return -1;
		}
	}
	*ret = (struct cron){
		.minutes = bits[0],
		.hours = (uint32_t)bits[1],
		.days = (uint32_t)bits[2],
		.months = (uint16_t)bits[3],
		.weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
		.either_day = !is_star[2] && !is_star[4],
	};
	if (!ever_comes(ret)) {
		return fail(&cursor, text, "no such day: this never comes");
	}
	return 0;
}

/* ---- the next tick ---- */

static bool is_on(const struct cron *cron, int64_t day)
{
	struct civil civil = civil_from_day(day);
	bool by_day = cron->days >> civil.day & 1;
	bool by_weekday = cron->weekdays >> civil_weekday(day) & 1;

	if (!(cron->months >> civil.month & 1)) {
		return false;
	}
	return cron->either_day ? by_day || by_weekday : by_day && by_weekday;
}

/* The first tick of a day from that minute of it on; -1: none. */
static int next_minute(const struct cron *cron, int from)
{
	for (int minute = from; minute < DAY_MINUTES; minute++) {
		if (!(cron->hours >> minute / HOUR_MINUTES & 1)) {
			minute += HOUR_MINUTES - 1 - minute % HOUR_MINUTES;
		} else if (cron->minutes >> minute % HOUR_MINUTES & 1) {
			return minute;
		}
	}
	return -1;
}

int64_t cron_next(const struct cron *cron, int64_t after_us, const struct zone *zone)
{
	int64_t after_s = after_us / 1000000 - (after_us % 1000000 < 0);
	int64_t local_s = zone_to_local(zone, after_s);
	int64_t day = civil_day_of_second(local_s), last = day + SEARCH_DAYS;
	int from = (int)((local_s - day * DAY_SECONDS) / MINUTE_S);

	for (; day < last; day++, from = 0) {
		int minute = is_on(cron, day) ? next_minute(cron, from) : -1;

		for (; minute >= 0; minute = next_minute(cron, minute + 1)) {
			int64_t s =
				zone_to_utc(zone, day * DAY_SECONDS + (int64_t)minute * MINUTE_S);

			if (s > after_s) {
				return s * 1000000;
			}
		}
	}
	assert(!"cron_parse() let a line pass that never comes");
	return INT64_MAX;
}
