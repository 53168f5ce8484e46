/*
 * Exact decimal numbers in the shape that PostgreSQL's numeric has on the wire.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading has two ways. Nearly every price is a short run of plain digits: those are summed up in
 * two integers (before and after the point) and cut into groups of four from there. Whatever else a
 * number may look like (commas, an exponent, up to 40 digits) is first collected digit by digit,
 * with the place of its point, and then laid over the groups. Both give the same fields for the
 * same value, and the tests hold one against the other.
 *
 * The scale follows numeric_in(): the digits after the point, less the exponent, never below 0.
 */

#include "lib/decimal.h"

#include <assert.h>
#include <string.h>

enum {
	GROUP_DIGITS = 4,
	GROUP_BASE = 10000,
	FAST_DIGITS = 16, /* before and after the point each: 10^16 fits an uint64_t */
	EXPONENT_LIMIT = 100000,
};

/* 40 digits that start anywhere in a group touch at most 11; the rest is for what others stored. */
static_assert(DECIMAL_MAX_GROUPS >= (DECIMAL_MAX_DIGITS + 2 * GROUP_DIGITS - 2) / GROUP_DIGITS,
	"a number of DECIMAL_MAX_DIGITS must fit");

static const uint16_t power_of_ten[GROUP_DIGITS] = {1, 10, 100, 1000};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- the fast way ---- */

/* The value of the digits from *at on, of at most FAST_DIGITS of them; moves *at behind them. */
static uint64_t take_digits(const char **at, const char *end)
{
	const char *p = *at, *stop = end - p > FAST_DIGITS ? p + FAST_DIGITS : end;
	uint64_t v = 0;

	while (p < stop && is_digit(*p)) {
		v = v * 10 + (uint64_t)(*p++ - '0');
	}
	*at = p;
	return v;
}

/* Cut v into n groups, the last one first. */
static void put_groups(int16_t *digits, unsigned n, uint64_t v)
{
	while (n > 0) {
		digits[--n] = (int16_t)(v % GROUP_BASE);
		v /= GROUP_BASE;
	}
}

static unsigned count_groups(uint64_t v)
{
	unsigned n = 0;

	for (; v > 0; v /= GROUP_BASE) {
		n++;
	}
	return n;
}

/* No zero group at either end; zero itself has no groups, weight 0 and no sign. */
static void normalise_groups(struct decimal *d)
{
	unsigned skip = 0;

	while (d->n_digits > 0 && d->digits[d->n_digits - 1] == 0) {
		d->n_digits--;
	}
	while (skip < d->n_digits && d->digits[skip] == 0) {
		skip++;
	}
	if (skip > 0) {
		d->n_digits = (uint16_t)(d->n_digits - skip);
		d->weight = (int16_t)(d->weight - (int)skip);
		memmove(d->digits, d->digits + skip, d->n_digits * sizeof(d->digits[0]));
	}
	if (d->n_digits == 0) {
		d->weight = 0;
		d->negative = false;
	}
}

/* [digits] [. digits] up to `end`, both short; false: take the other way. */
static bool parse_plain(const char *at, const char *end, bool negative, struct decimal *ret)
{
	uint64_t whole, fraction = 0;
	const char *start = at;
	unsigned n_whole, n_fraction = 0, n_pad;

	whole = take_digits(&at, end);
	if (at == start) {
		return false;
	}
	if (at < end && *at == '.') {
		start = ++at;
		fraction = take_digits(&at, end);
		n_fraction = (unsigned)(at - start);
		if (n_fraction == 0) {
			return false;
		}
	}
	if (at != end) {
		return false;
	}
	n_whole = count_groups(whole);
	n_pad = (GROUP_DIGITS - n_fraction % GROUP_DIGITS) % GROUP_DIGITS;
	ret->negative = negative;
	ret->scale = (uint16_t)n_fraction;
	ret->weight = (int16_t)((int)n_whole - 1);
	ret->n_digits = (uint16_t)(n_whole + (n_fraction + n_pad) / GROUP_DIGITS);
	put_groups(ret->digits, n_whole, whole);
	put_groups(ret->digits + n_whole, ret->n_digits - n_whole, fraction * power_of_ten[n_pad]);
	normalise_groups(ret);
	return true;
}

/* ---- the general way ---- */

struct scan {
	const char *at, *end;
	char digits[DECIMAL_MAX_DIGITS]; /* as numbers, without leading zeros before the point */
	unsigned n_digits;		 /* as served: may be more than are kept */
	unsigned n_fraction;		 /* of these after the point */
	int exponent;
};

static void take_digit(struct scan *scan)
{
	if (scan->n_digits < DECIMAL_MAX_DIGITS) {
		scan->digits[scan->n_digits] = (char)(*scan->at - '0');
	}
	scan->n_digits++;
	scan->at++;
}

static bool at_digit(const struct scan *scan)
{
	return scan->at < scan->end && is_digit(*scan->at);
}

static bool at_char(const struct scan *scan, char c)
{
	return scan->at < scan->end && *scan->at == c;
}

/* One group of digits between commas; leading zeros of the number are not kept. */
static unsigned scan_group(struct scan *scan)
{
	const char *start = scan->at;

	while (at_digit(scan)) {
		if (scan->n_digits == 0 && *scan->at == '0') {
			scan->at++;
		} else {
			take_digit(scan);
		}
	}
	return (unsigned)(scan->at - start);
}

/*
 * Digits before the point. With commas the last group has three digits and those between have three
 * (western) or two (Indian) throughout; the first may be shorter, never empty.
 */
static bool scan_whole(struct scan *scan)
{
	unsigned first = scan_group(scan), between = 0, last = 0;

	if (first == 0) {
		return false;
	}
	while (at_char(scan, ',')) {
		if (last != 0) {
			if (between != 0 && last != between) {
				return false;
			}
			between = last;
		}
		scan->at++;
		last = scan_group(scan);
		if (last == 0) {
			return false;
		}
	}
	if (last == 0) {
		return true;
	}
	return last == 3 && (between == 0 || between == 2 || between == 3) &&
		first <= (between == 0 ? 3 : between);
}

static bool scan_fraction(struct scan *scan)
{
	if (!at_char(scan, '.')) {
		return true;
	}
	scan->at++;
	if (!at_digit(scan)) {
		return false;
	}
	while (at_digit(scan)) {
		take_digit(scan);
		scan->n_fraction++;
	}
	return true;
}

static bool scan_exponent(struct scan *scan)
{
	bool negative;

	if (!at_char(scan, 'e') && !at_char(scan, 'E')) {
		return true;
	}
	scan->at++;
	negative = at_char(scan, '-');
	if (negative || at_char(scan, '+')) {
		scan->at++;
	}
	if (!at_digit(scan)) {
		return false;
	}
	for (; at_digit(scan); scan->at++) {
		if (scan->exponent < EXPONENT_LIMIT) {
			scan->exponent = scan->exponent * 10 + (*scan->at - '0');
		}
	}
	scan->exponent = negative ? -scan->exponent : scan->exponent;
	return true;
}

/* Rounded down, also below zero. */
static int floor_div(int a, int b)
{
	return a / b - (a % b < 0);
}

/* Lay the digits first .. last, neither of them zero, over the groups. */
static void lay_digits(const struct scan *scan, unsigned first, unsigned last, struct decimal *ret)
{
	/* How many digits there are from `first` to the point; below zero it is left of them. */
	int position = (int)scan->n_digits - (int)scan->n_fraction + scan->exponent - (int)first;
	unsigned lead;

	ret->weight = (int16_t)(floor_div(position + GROUP_DIGITS - 1, GROUP_DIGITS) - 1);
	lead = (unsigned)(GROUP_DIGITS * (ret->weight + 1) - position);
	ret->n_digits = (uint16_t)((lead + last - first + GROUP_DIGITS) / GROUP_DIGITS);
	memset(ret->digits, 0, ret->n_digits * sizeof(ret->digits[0]));
	for (unsigned i = first; i <= last; i++) {
		unsigned place = lead + i - first;
		int v = scan->digits[i] * power_of_ten[GROUP_DIGITS - 1 - place % GROUP_DIGITS];

		ret->digits[place / GROUP_DIGITS] =
			(int16_t)(ret->digits[place / GROUP_DIGITS] + v);
	}
}

static void place_digits(const struct scan *scan, bool negative, struct decimal *ret)
{
	int scale = (int)scan->n_fraction - scan->exponent;
	unsigned first = 0, n = scan->n_digits;

	ret->scale = (uint16_t)(scale > 0 ? scale : 0);
	while (n > 0 && scan->digits[n - 1] == 0) {
		n--;
	}
	while (first < n && scan->digits[first] == 0) {
		first++;
	}
	if (n == 0) {
		ret->n_digits = 0;
		ret->weight = 0;
		ret->negative = false;
		return;
	}
	ret->negative = negative;
	lay_digits(scan, first, n - 1, ret);
}

static enum decimal_verdict parse_any(
	const char *at, const char *end, bool negative, struct decimal *ret)
{
	struct scan scan = {.at = at, .end = end};

	if (!scan_whole(&scan) || !scan_fraction(&scan) || !scan_exponent(&scan) ||
		scan.at != scan.end) {
		return DECIMAL_MALFORMED;
	}
	if (scan.n_digits > DECIMAL_MAX_DIGITS || scan.exponent > DECIMAL_MAX_EXPONENT ||
		scan.exponent < -DECIMAL_MAX_EXPONENT) {
		return DECIMAL_TOO_LONG;
	}
	place_digits(&scan, negative, ret);
	return DECIMAL_OK;
}

enum decimal_verdict decimal_parse(const char *text, size_t len, struct decimal *ret)
{
	const char *end = text + len;
	bool negative = len > 0 && *text == '-';

	if (negative || (len > 0 && *text == '+')) {
		text++;
	}
	if (parse_plain(text, end, negative, ret)) {
		return DECIMAL_OK;
	}
	return parse_any(text, end, negative, ret);
}

/* ---- comparing ---- */

/* Of two numbers without their signs. */
static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
	unsigned n = a->n_digits < b->n_digits ? a->n_digits : b->n_digits;

	if (a->n_digits == 0 || b->n_digits == 0) {
		return (a->n_digits > 0) - (b->n_digits > 0);
	}
	if (a->weight != b->weight) {
		return a->weight < b->weight ? -1 : 1;
	}
	for (unsigned i = 0; i < n; i++) {
		if (a->digits[i] != b->digits[i]) {
			return a->digits[i] < b->digits[i] ? -1 : 1;
		}
	}
	return (a->n_digits > n) - (b->n_digits > n);
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
	if (a->negative != b->negative) {
		return a->negative ? -1 : 1;
	}
	return a->negative ? compare_magnitude(b, a) : compare_magnitude(a, b);
}

/* ---- the wire ---- */

/* Four 16-bit words (groups, weight, sign, scale), then the groups, all big-endian. */
enum {
	WIRE_HEADER_BYTES = 8,
	WIRE_SCALE_AT = 6,
	WIRE_NEGATIVE = 0x4000,
	WIRE_SCALE_MASK = 0x3fff,
};

static void put_be16(unsigned char *at, int v)
{
	at[0] = (unsigned char)((unsigned)v >> 8);
	at[1] = (unsigned char)v;
}

static unsigned get_be16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

size_t decimal_wire_bytes(const struct decimal *d)
{
	return WIRE_HEADER_BYTES + 2 * (size_t)d->n_digits;
}

void decimal_to_wire(const struct decimal *d, unsigned char *out)
{
	put_be16(out, d->n_digits);
	put_be16(out + 2, d->weight);
	put_be16(out + 4, d->negative ? WIRE_NEGATIVE : 0);
	put_be16(out + WIRE_SCALE_AT, d->scale);
	for (unsigned i = 0; i < d->n_digits; i++) {
		put_be16(out + WIRE_HEADER_BYTES + 2 * (size_t)i, d->digits[i]);
	}
}

size_t decimal_whole_to_wire(const char *text, size_t len, unsigned char *out)
{
	unsigned v = 0, high, low, n = 0;

	if (len == 0 || len > 2 * GROUP_DIGITS) {
		return 0;
	}
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(text[i])) {
			return 0;
		}
		v = v * 10 + (unsigned)(text[i] - '0');
	}
	high = v / GROUP_BASE;
	low = v % GROUP_BASE;
	if (high > 0) {
		put_be16(out + WIRE_HEADER_BYTES, (int)high);
		n++;
	}
	if (low > 0) {
		put_be16(out + WIRE_HEADER_BYTES + 2 * n, (int)low);
		n++;
	}
	put_be16(out, (int)n);
	put_be16(out + 2, high > 0);
	put_be16(out + 4, 0);
	put_be16(out + WIRE_SCALE_AT, 0);
	return WIRE_HEADER_BYTES + 2 * n;
}

int decimal_from_wire(const void *data, size_t len, struct decimal *ret)
{
	const unsigned char *at = data;
	struct decimal d = {0};
	unsigned n, sign;

	if (len < WIRE_HEADER_BYTES) {
		return -1;
	}
	n = get_be16(at);
	sign = get_be16(at + 4);
	if (n > DECIMAL_MAX_GROUPS || len != WIRE_HEADER_BYTES + 2 * (size_t)n ||
		(sign != 0 && sign != WIRE_NEGATIVE)) {
		return -1;
	}
	d.n_digits = (uint16_t)n;
	d.weight = (int16_t)get_be16(at + 2);
	d.negative = sign == WIRE_NEGATIVE;
	d.scale = (uint16_t)(get_be16(at + WIRE_SCALE_AT) & WIRE_SCALE_MASK);
	for (unsigned i = 0; i < n; i++) {
		unsigned group = get_be16(at + WIRE_HEADER_BYTES + 2 * (size_t)i);

		if (group >= GROUP_BASE) {
			return -1;
		}
		d.digits[i] = (int16_t)group;
	}
	normalise_groups(&d);
	*ret = d;
	return 0;
}

bool decimal_wire_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	const char *x = a, *y = b;

	if (a_len != b_len || a_len < WIRE_HEADER_BYTES) {
		return false;
	}
	return memcmp(x, y, WIRE_SCALE_AT) == 0 &&
		memcmp(x + WIRE_HEADER_BYTES, y + WIRE_HEADER_BYTES, a_len - WIRE_HEADER_BYTES) ==
		0;
}

/* ---- text ---- */

/* The decimal digit with the worth 10^place. */
static char digit_at(const struct decimal *d, int place)
{
	int worth = floor_div(place, GROUP_DIGITS);
	int i = d->weight - worth;

	if (i < 0 || i >= d->n_digits) {
		return '0';
	}
	return (char)('0' + d->digits[i] / power_of_ten[place - worth * GROUP_DIGITS] % 10);
}

void decimal_format(const struct decimal *d, struct buffer *out)
{
	int place = d->n_digits > 0 && d->weight >= 0 ? (d->weight + 1) * GROUP_DIGITS - 1 : 0;

	while (place > 0 && digit_at(d, place) == '0') {
		place--;
	}
	if (d->negative) {
		buffer_append_char(out, '-');
	}
	for (; place >= 0; place--) {
		buffer_append_char(out, digit_at(d, place));
	}
	for (int i = 1; i <= d->scale; i++) {
		if (i == 1) {
			buffer_append_char(out, '.');
		}
		buffer_append_char(out, digit_at(d, -i));
	}
}
