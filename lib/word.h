#pragma once

/*
 * Text, eight bytes at a time. SPDX-License-Identifier: Apache-2.0
 *
 * A word holds the first byte in its lowest place. Answers are the high bits of the bytes in question.
 */

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WORD_BYTES = sizeof(uint64_t) };

#define WORD_ONES  UINT64_C(0x0101010101010101)
#define WORD_HIGHS (WORD_ONES * 0x80)

static inline uint64_t word_load(const char *text)
{
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return le64toh(word);
}

/* memcmp() == 0 without the call, for bytes that are few and mostly equal. */
static inline bool word_equal(const char *a, const char *b, size_t n)
{
	size_t i = 0;

	if (n < WORD_BYTES) {
		return memcmp(a, b, n) == 0;
	}
	for (; i + WORD_BYTES < n; i += WORD_BYTES) {
		if (word_load(a + i) != word_load(b + i)) {
			return false;
		}
	}
	return word_load(a + n - WORD_BYTES) == word_load(b + n - WORD_BYTES);
}

/* The first n bytes, n < WORD_BYTES; a letter in place of the others. */
static inline uint64_t word_cut(uint64_t word, unsigned n)
{
	uint64_t keep = (UINT64_C(1) << 8 * n) - 1;

	return (word & keep) | (WORD_ONES * 'x' & ~keep);
}

/* Bytes that are zero: exact, and cheaper but right only up to the first one. */
static inline uint64_t word_zeros(uint64_t word)
{
	return ~(((word & WORD_ONES * 0x7f) + WORD_ONES * 0x7f) | word | WORD_ONES * 0x7f);
}

static inline uint64_t word_first_zero(uint64_t word)
{
	return (word - WORD_ONES) & ~word & WORD_HIGHS;
}

/* Right up to the first quote, backslash or control byte. */
static inline uint64_t word_first_of_string_end(uint64_t word)
{
	return word_first_zero(word ^ WORD_ONES * '"') | word_first_zero(word ^ WORD_ONES * '\\') |
		((word - WORD_ONES * ' ') & ~word & WORD_HIGHS);
}

/*
 * Not zero when the word has a byte beyond ASCII, or perhaps a blank behind another (which is said of
 * a blank before '!', too). *blank as below.
 */
static inline uint64_t word_is_odd(uint64_t word, uint64_t *blank)
{
	uint64_t blanks = word_first_zero(word ^ WORD_ONES * ' ') >> 7;
	uint64_t odd = (word & WORD_HIGHS) | (blanks & (blanks << 8 | *blank));

	*blank = blanks >> 56;
	return odd;
}

/*
 * ASCII without control bytes, and no blank behind another. *blank says so of the byte before the
 * word, and then of its last one.
 */
static inline bool word_is_folded(uint64_t word, uint64_t *blank)
{
	uint64_t blanks = word_zeros(word ^ WORD_ONES * ' ') >> 7;
	uint64_t beyond = word | ~(word + WORD_ONES * (0x80 - ' '));
	bool ok = (beyond & WORD_HIGHS) == 0 && (blanks & (blanks << 8 | *blank)) == 0;

	*blank = blanks >> 56;
	return ok;
}
