#pragma once

/*
 * Exact decimal numbers in the shape that PostgreSQL's numeric has on the wire.
 * SPDX-License-Identifier: Apache-2.0
 *
 * No double on the way of a number: digits are taken as served. Value = sign * sum over i of
 * digits[i] * 10000^(weight - i). No leading or trailing zero groups, zero has n_digits 0,
 * weight 0 and no sign; so equal values have equal fields but for `scale`, which only says how many
 * decimal digits are shown (10.10 has scale 2, 10.1 has 1). Wire format: numeric_send() in
 * PostgreSQL's numeric.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/buffer.h"

/* 40 digits as served, exponent within +-30 (DESIGN of the rules: ogdsync-datasets(5)). */
enum { DECIMAL_MAX_DIGITS = 40, DECIMAL_MAX_EXPONENT = 30, DECIMAL_MAX_GROUPS = 20 };

struct decimal {
	int16_t weight;
	uint16_t scale;
	uint16_t n_digits;
	bool negative;
	int16_t digits[DECIMAL_MAX_GROUPS];
};

enum decimal_verdict {
	DECIMAL_OK,
	DECIMAL_MALFORMED, /* "12..5", "abc", "", NaN, 0x10, "1,70,00" */
	DECIMAL_TOO_LONG,  /* more than 40 digits, or an exponent outside +-30 */
};

/*
 * Read a whole text: [+-] digits [. digits] [e[+-]digits], white space not allowed; commas as in
 * 1,234,567 or Indian 12,34,567, both with three digits in the last group, and not after the
 * point.
 */
enum decimal_verdict decimal_parse(const char *text, size_t len, struct decimal *ret) must_check;

/* By value: scale ignored. -1, 0, 1. */
int decimal_compare(const struct decimal *a, const struct decimal *b);

/* numeric_send() bytes, and back. decimal_from_wire: 0, or -1 for NaN, infinity, too long. */
size_t decimal_wire_bytes(const struct decimal *d);
void decimal_to_wire(const struct decimal *d, unsigned char *out);

/*
 * Text to numeric_send() bytes at once, for a short run of digits alone, as most numbers are. Returns how
 * many bytes; 0: it is something else, for decimal_parse(). `out` has room for 12 and may be `text`.
 */
size_t decimal_whole_to_wire(const char *text, size_t len, unsigned char *out);

int decimal_from_wire(const void *data, size_t len, struct decimal *ret) must_check;

/* True when two wire values are equal by value (scale ignored), without unpacking them. */
bool decimal_wire_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* Plain digits with `scale` decimals: "-1700.50". */
void decimal_format(const struct decimal *d, struct buffer *out);
