/*
 * Exact decimal numbers. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/decimal.h"

enum { WIRE_BYTES = 8 + 2 * DECIMAL_MAX_GROUPS };

struct golden {
	const char *text;
	const char *shown;
	const char *wire;
};

/* What PostgreSQL 15 shows and sends: v::numeric and encode(numeric_send(v::numeric), 'hex'). */
static const struct golden golden[] = {
	{"0", "0", "0000000000000000"},
	{"0.00", "0.00", "0000000000000002"},
	{"-0", "0", "0000000000000000"},
	{"-0.0", "0.0", "0000000000000001"},
	{"1", "1", "00010000000000000001"},
	{"-1", "-1", "00010000400000000001"},
	{"9999", "9999", "0001000000000000270f"},
	{"10000", "10000", "00010001000000000001"},
	{"10001", "10001", "000200010000000000010001"},
	{"1700", "1700", "000100000000000006a4"},
	{"1700.50", "1700.50", "000200000000000206a41388"},
	{"2526.66666666667", "2526.66666666667", "000400000000000b09de1a0a1a0a1a0e"},
	{"833.333375", "833.333375", "000300000000000603410d051d4c"},
	{"0.26", "0.26", "0001ffff000000020a28"},
	{"0.0001", "0.0001", "0001ffff000000040001"},
	{"0.00001", "0.00001", "0001fffe0000000503e8"},
	{"0.00010000", "0.00010000", "0001ffff000000080001"},
	{"100000000", "100000000", "00010002000000000001"},
	{"123456789012345678901234567890.1234567890", "123456789012345678901234567890.1234567890",
		"000b00070000000a000c0d801ed204d2162e23340d801ed204d2162e2328"},
	{"1e30", "1000000000000000000000000000000", "00010007000000000064"},
	{"1e-30", "0.000000000000000000000000000001", "0001fff80000001e0064"},
	{"1.50e-2", "0.0150", "0001ffff000000040096"},
	{"15e-1", "1.5", "000200000000000100011388"},
	{"0e-30", "0.000000000000000000000000000000", "000000000000001e"},
	{"0e30", "0", "0000000000000000"},
	{"-9999999999999999999999999999999999999999e30",
		"-9999999999999999999999999999999999999999000000000000000000000000000000",
		"000b0011400000000063270f270f270f270f270f270f270f270f270f26ac"},
	{"-9999999999999999999999999999999999999999e-30",
		"-9999999999.999999999999999999999999999999",
		"000b00024000001e0063270f270f270f270f270f270f270f270f270f26ac"},
	{"0.0000000000000000000000000000000000000001e-30",
		"0.0000000000000000000000000000000000000000000000000000000000000000000001",
		"0001ffee000000460064"},
	{"100.000", "100.000", "00010000000000030064"},
	{"12e2", "1200", "000100000000000004b0"},
	{"370000", "370000", "00010001000000000025"},
	{"-0.5", "-0.5", "0001ffff400000011388"},
	{"10.10", "10.10", "0002000000000002000a03e8"},
	{"10.1", "10.1", "0002000000000001000a03e8"},
	{"99990000", "99990000", "0001000100000000270f"},
	{"0.00009999", "0.00009999", "0001fffe00000008270f"},
};

struct verdict {
	const char *text;
	enum decimal_verdict verdict;
	const char *shown;
};

#define NINES "9999999999999999999999999999999999999999"
#define ZEROS "0000000000000000000000000000000000000000"

static const struct verdict verdicts[] = {
	{"+1.5", DECIMAL_OK, "1.5"},
	{"007", DECIMAL_OK, "7"},
	{"1,700", DECIMAL_OK, "1700"},
	{"-1,700.50", DECIMAL_OK, "-1700.50"},
	{"1,234,567", DECIMAL_OK, "1234567"},
	{"12,34,567", DECIMAL_OK, "1234567"},
	{"1,70,000", DECIMAL_OK, "170000"},
	{"99,99,99,99,999.25", DECIMAL_OK, "99999999999.25"},
	{"123,456", DECIMAL_OK, "123456"},
	{"1,700e2", DECIMAL_OK, "170000"},
	{"0,001", DECIMAL_OK, "1"},
	{"1E3", DECIMAL_OK, "1000"},
	{"1e+3", DECIMAL_OK, "1000"},
	{"1e0000000000000000000000000000000000000000003", DECIMAL_OK, "1000"},
	{"1.50e1", DECIMAL_OK, "15.0"},
	{"1234567890123456", DECIMAL_OK, "1234567890123456"},
	{"12345678901234567", DECIMAL_OK, "12345678901234567"},
	{"0.12345678901234567", DECIMAL_OK, "0.12345678901234567"},
	{NINES, DECIMAL_OK, NINES},
	{ZEROS ZEROS "1", DECIMAL_OK, "1"},
	{"0." ZEROS, DECIMAL_OK, "0." ZEROS},

	{"", DECIMAL_MALFORMED, NULL},
	{"-", DECIMAL_MALFORMED, NULL},
	{"+", DECIMAL_MALFORMED, NULL},
	{"+-1", DECIMAL_MALFORMED, NULL},
	{"--1", DECIMAL_MALFORMED, NULL},
	{".", DECIMAL_MALFORMED, NULL},
	{".5", DECIMAL_MALFORMED, NULL},
	{"5.", DECIMAL_MALFORMED, NULL},
	{"5.e1", DECIMAL_MALFORMED, NULL},
	{"12..5", DECIMAL_MALFORMED, NULL},
	{"1.2.3", DECIMAL_MALFORMED, NULL},
	{"abc", DECIMAL_MALFORMED, NULL},
	{"1700 ", DECIMAL_MALFORMED, NULL},
	{" 1700", DECIMAL_MALFORMED, NULL},
	{"1 700", DECIMAL_MALFORMED, NULL},
	{"NaN", DECIMAL_MALFORMED, NULL},
	{"nan", DECIMAL_MALFORMED, NULL},
	{"Infinity", DECIMAL_MALFORMED, NULL},
	{"-inf", DECIMAL_MALFORMED, NULL},
	{"0x10", DECIMAL_MALFORMED, NULL},
	{"1_000", DECIMAL_MALFORMED, NULL},
	{"1e", DECIMAL_MALFORMED, NULL},
	{"1e+", DECIMAL_MALFORMED, NULL},
	{"1e1.5", DECIMAL_MALFORMED, NULL},
	{"e5", DECIMAL_MALFORMED, NULL},
	{"1e5e5", DECIMAL_MALFORMED, NULL},
	{"1/2", DECIMAL_MALFORMED, NULL},
	{"१७००", DECIMAL_MALFORMED, NULL},
	{"₹1700", DECIMAL_MALFORMED, NULL},
	{",", DECIMAL_MALFORMED, NULL},
	{",700", DECIMAL_MALFORMED, NULL},
	{"1,", DECIMAL_MALFORMED, NULL},
	{"1,,700", DECIMAL_MALFORMED, NULL},
	{"1,70", DECIMAL_MALFORMED, NULL},
	{"1,70,00", DECIMAL_MALFORMED, NULL},
	{"1,7000", DECIMAL_MALFORMED, NULL},
	{"1700,000", DECIMAL_MALFORMED, NULL},
	{"170,00,000", DECIMAL_MALFORMED, NULL},
	{"1,70,000,000", DECIMAL_MALFORMED, NULL},
	{"1,700,00,000", DECIMAL_MALFORMED, NULL},
	{"1,7,000", DECIMAL_MALFORMED, NULL},
	{"1,7000,000", DECIMAL_MALFORMED, NULL},
	{"1.700,00", DECIMAL_MALFORMED, NULL},
	{"0.123,456", DECIMAL_MALFORMED, NULL},
	{NINES "9x", DECIMAL_MALFORMED, NULL},

	{NINES "9", DECIMAL_TOO_LONG, NULL},
	{"1." ZEROS, DECIMAL_TOO_LONG, NULL},
	{"0." ZEROS "0", DECIMAL_TOO_LONG, NULL},
	{"1e31", DECIMAL_TOO_LONG, NULL},
	{"1e-31", DECIMAL_TOO_LONG, NULL},
	{"0e31", DECIMAL_TOO_LONG, NULL},
	{"1e99999999999999999999999999999", DECIMAL_TOO_LONG, NULL},
	{"1e-4294967297", DECIMAL_TOO_LONG, NULL},
};

static enum decimal_verdict parse(const char *text, struct decimal *ret)
{
	return decimal_parse(text, strlen(text), ret);
}

static struct decimal parsed(const char *text)
{
	struct decimal d;

	if (parse(text, &d) != DECIMAL_OK) {
		fail_msg("%s is not a number", text);
	}
	return d;
}

static void assert_shown(const struct decimal *d, const char *text, const char *shown)
{
	struct buffer out = {0};

	decimal_format(d, &out);
	if (strcmp(buffer_str(&out), shown) != 0) {
		fail_msg("%s is shown as %s, not %s", text, buffer_str(&out), shown);
	}
	buffer_fini(&out);
}

static size_t unhex(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		out[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return n;
}

static bool same(const struct decimal *a, const struct decimal *b)
{
	return a->weight == b->weight && a->scale == b->scale && a->n_digits == b->n_digits &&
		a->negative == b->negative &&
		memcmp(a->digits, b->digits, a->n_digits * sizeof(a->digits[0])) == 0;
}

/* The short way to the wire gives the same bytes, or nothing. */
static void check_whole(const char *text)
{
	unsigned char wire[WIRE_BYTES], whole[WIRE_BYTES];
	size_t len = strlen(text), n = decimal_whole_to_wire(text, len, whole);
	bool short_digits = len > 0 && len <= 8 && strspn(text, "0123456789") == len;
	struct decimal d;

	assert_int_equal(n > 0, short_digits);
	if (n > 0) {
		d = parsed(text);
		decimal_to_wire(&d, wire);
		assert_int_equal(n, decimal_wire_bytes(&d));
		assert_memory_equal(whole, wire, n);
	}
}

static void takes_whole_numbers_the_short_way(void **state)
{
	static const char *const others[] = {"", "-1", "+1", "1.0", "1,000", "1e3", "123456789", "x",
		"12a", " 1", "99999999", "00000000", "00010000", "0", "10000", "12340000", "00000001"};
	char text[16];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(others); i++) {
		check_whole(others[i]);
	}
	for (unsigned v = 0; v < 100000000; v += v < 20050 ? 1 : 9973) {
		snprintf(text, sizeof(text), "%u", v);
		check_whole(text);
	}
}

static void sends_what_the_server_sends(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(golden); i++) {
		struct decimal d = parsed(golden[i].text), back;
		unsigned char wire[WIRE_BYTES], want[WIRE_BYTES];
		size_t n = unhex(golden[i].wire, want);

		assert_int_equal(decimal_wire_bytes(&d), n);
		decimal_to_wire(&d, wire);
		if (memcmp(wire, want, n) != 0) {
			fail_msg("%s has other bytes than %s", golden[i].text, golden[i].wire);
		}
		assert_int_equal(decimal_from_wire(want, n, &back), 0);
		assert_true(same(&d, &back));
		assert_shown(&back, golden[i].text, golden[i].shown);
	}
}

static void judges_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(verdicts); i++) {
		const struct verdict *c = &verdicts[i];
		size_t len = strlen(c->text);
		char *exact = malloc(len + 1); /* not followed by a NUL: a sanitizer sees a read */
		struct decimal d;

		assert_non_null(exact);
		memcpy(exact + 1, c->text, len);
		if (decimal_parse(exact + 1, len, &d) != c->verdict) {
			fail_msg("\"%s\" got the wrong verdict", c->text);
		}
		free(exact);
		if (c->shown) {
			assert_shown(&d, c->text, c->shown);
		}
	}
}

/* "e0" takes a text through the general way. */
static void assert_both_ways(const char *text)
{
	struct decimal fast = parsed(text), general;
	char longer[80];

	snprintf(longer, sizeof(longer), "%se0", text);
	general = parsed(longer);
	if (!same(&fast, &general)) {
		fail_msg("%s is read differently with an exponent of 0", text);
	}
}

/* Each number of up to five digits, with its point at each place: both ways, text and wire. */
static void turns_each_short_number_and_back(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 100000; v++) {
		for (unsigned scale = 0; scale < 6; scale++) {
			unsigned char wire[WIRE_BYTES];
			struct decimal d, back;
			char text[32];
			int n;

			n = snprintf(text, sizeof(text), "%s%0*u", v % 3 == 1 ? "-" : "",
				(int)scale + 1, v);
			if (scale > 0) {
				memmove(text + n - scale + 1, text + n - scale, scale + 1);
				text[n - (int)scale] = '.';
			}
			assert_both_ways(text);
			d = parsed(text);
			decimal_to_wire(&d, wire);
			assert_int_equal(decimal_from_wire(wire, decimal_wire_bytes(&d), &back), 0);
			assert_true(same(&d, &back));
			assert_int_equal(d.scale, scale);
			assert_shown(&d, text, v == 0 && *text == '-' ? text + 1 : text);
		}
	}
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A number the other way: value = scaled / 10^18. */
struct reference {
	__int128 scaled;
	char text[80];
};

enum { REFERENCE_SCALE = 18 };

/* Up to 18 digits before and 18 after the point, zeros often; now and then an exponent. */
static struct reference random_reference(uint64_t *seed)
{
	unsigned n_whole = 1 + (unsigned)(random_next(seed) % 12);
	unsigned n_fraction = (unsigned)(random_next(seed) % 13);
	int exponent = random_next(seed) % 4 == 0 ? (int)(random_next(seed) % 13) - 6 : 0;
	bool negative = random_next(seed) % 2;
	struct reference ref = {0};
	char *at = ref.text;

	at += sprintf(at, "%s", negative ? "-" : random_next(seed) % 9 == 0 ? "+" : "");
	for (unsigned i = 0; i < n_whole + n_fraction; i++) {
		unsigned digit = random_next(seed) % 2 ? (unsigned)(random_next(seed) % 10) : 0;

		at += sprintf(at, "%s%u", i == n_whole ? "." : "", digit);
		ref.scaled = ref.scaled * 10 + digit;
	}
	if (exponent != 0) {
		sprintf(at, "e%d", exponent);
	}
	for (int i = (int)n_fraction - exponent; i < REFERENCE_SCALE; i++) {
		ref.scaled *= 10;
	}
	ref.scaled = negative ? -ref.scaled : ref.scaled;
	return ref;
}

/* The groups of a decimal, summed up. */
static __int128 scaled_of(const struct decimal *d)
{
	__int128 v = 0;
	int place = d->weight; /* of 10^4 */

	for (unsigned i = 0; i < d->n_digits; i++, place--) {
		v = v * 10000 + d->digits[i];
	}
	place++; /* of the last group; v counts units of 10^(4 place) */
	for (int i = 4 * place; i < -REFERENCE_SCALE; i++) {
		assert_int_equal((int)(v % 10), 0);
		v /= 10;
	}
	for (int i = -REFERENCE_SCALE; i < 4 * place && v != 0; i++) {
		v *= 10;
	}
	return d->negative ? -v : v;
}

/* Digits of each length on both sides of the point, up to where the fast way ends and beyond. */
static void reads_long_numbers_both_ways(void **state)
{
	uint64_t seed = 20261121;

	(void)state;
	for (unsigned round = 0; round < 50000; round++) {
		unsigned n_whole = 1 + (unsigned)(random_next(&seed) % 20);
		unsigned n_fraction = (unsigned)(random_next(&seed) % 21);
		char text[64], *at = text;

		for (unsigned i = 0; i < n_whole + n_fraction; i++) {
			bool nine = round % 3 == 0;

			at += sprintf(at, "%s%u", i == n_whole ? "." : "",
				nine ? 9 : (unsigned)(random_next(&seed) % 10));
		}
		assert_both_ways(text);
	}
}

static int sign_of(__int128 v)
{
	return v < 0 ? -1 : v > 0;
}

static void agrees_with_integers(void **state)
{
	uint64_t seed = 20261120;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct reference a = random_reference(&seed), b = random_reference(&seed);
		struct decimal x = parsed(a.text), y;
		unsigned char wx[WIRE_BYTES], wy[WIRE_BYTES];

		if (i % 8 == 0) {
			b = a;
			strcat(b.text, strchr(b.text, 'e') ? "" : strchr(b.text, '.') ? "0" : ".0");
		}
		y = parsed(b.text);
		if (scaled_of(&x) != a.scaled) {
			fail_msg("%s is read wrongly", a.text);
		}
		if (decimal_compare(&x, &y) != sign_of(a.scaled - b.scaled)) {
			fail_msg("%s and %s are compared wrongly", a.text, b.text);
		}
		decimal_to_wire(&x, wx);
		decimal_to_wire(&y, wy);
		assert_true(decimal_wire_equal(wx, decimal_wire_bytes(&x), wy,
				    decimal_wire_bytes(&y)) == (a.scaled == b.scaled));
	}
}

static void compares_by_value(void **state)
{
	static const char *const ascending[] = {"-1e30", "-9999.5", "-9999", "-1.1", "-1",
		"-0.00001", "0", "1e-30", "0.00001", "0.1", "0.10001", "1", "1.00001", "9999",
		"10000", "10000.0001", "99999999", NINES, NINES "e30"};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(ascending); i++) {
		for (size_t k = 0; k < N_ELEMENTS(ascending); k++) {
			struct decimal a = parsed(ascending[i]), b = parsed(ascending[k]);

			assert_int_equal(decimal_compare(&a, &b), i < k ? -1 : i > k);
		}
	}
}

static void finds_equal_wires(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{"10.10", "10.1", true},
		{"0.00", "0", true},
		{"-0.00", "0", true},
		{"1700", "1,700.000", true},
		{"1e3", "1000", true},
		{"10.1", "-10.1", false},
		{"10.1", "1.01", false},
		{"1", "10000", false},
		{"1", "0.0001", false},
		{"1", "1.0001", false},
		{"0", "1", false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct decimal a = parsed(cases[i].a), b = parsed(cases[i].b);
		unsigned char wa[WIRE_BYTES], wb[WIRE_BYTES];

		decimal_to_wire(&a, wa);
		decimal_to_wire(&b, wb);
		assert_true(decimal_wire_equal(wa, decimal_wire_bytes(&a), wb,
				    decimal_wire_bytes(&b)) == cases[i].equal);
		assert_true((decimal_compare(&a, &b) == 0) == cases[i].equal);
	}
	assert_false(decimal_wire_equal("", 0, "", 0));
}

static void refuses_foreign_wires(void **state)
{
	static const struct {
		const char *wire;
		int result;
	} cases[] = {
		{"0000000000000000", 0}, {"00000000c0000000", -1}, /* NaN */
		{"00000000d0000020", -1},			   /* infinity */
		{"00000000f0000020", -1},			   /* -infinity */
		{"00010000800000000001", -1},			   /* no such sign */
		{"00010000000000002710", -1},			   /* a group of 10000 */
		{"0001000000000000ffff", -1},
		{"0002000000000000"
		 "0001",
			-1}, /* cut */
		{"0001000000000000"
		 "00010001",
			-1},
		{"00000000000000", -1}, {"", -1}, {"0015000000000000", -1}, /* 21 groups */
	};
	static const char loose[] = "0004000300000002"
				    "0000"
				    "0001"
				    "0002"
				    "0000";
	struct decimal d;
	unsigned char wire[64];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		size_t n = unhex(cases[i].wire, wire);

		assert_int_equal(decimal_from_wire(wire, n, &d), cases[i].result);
	}
	/* Zero groups at the ends are taken off, as the server does on the way in. */
	assert_int_equal(decimal_from_wire(wire, unhex(loose, wire), &d), 0);
	assert_int_equal(d.n_digits, 2);
	assert_int_equal(d.weight, 2);
	assert_shown(&d, loose, "100020000.00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_whole_numbers_the_short_way),
		cmocka_unit_test(sends_what_the_server_sends),
		cmocka_unit_test(judges_texts),
		cmocka_unit_test(turns_each_short_number_and_back),
		cmocka_unit_test(reads_long_numbers_both_ways),
		cmocka_unit_test(agrees_with_integers),
		cmocka_unit_test(compares_by_value),
		cmocka_unit_test(finds_equal_wires),
		cmocka_unit_test(refuses_foreign_wires),
	};

	return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
