/*
 * Text as it is stored. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/text.h"

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/utf8.h"

static bool is_white(uint32_t c)
{
	switch (c) {
	case '\t':
	case '\n':
	case '\v':
	case '\f':
	case '\r':
	case ' ':
	case 0x85:
	case 0xa0:
	case 0x1680:
	case 0x2028:
	case 0x2029:
	case 0x202f:
	case 0x205f:
	case 0x3000:
		return true;
	default:
		return c >= 0x2000 && c <= 0x200a;
	}
}

/* True for most bytes there are: ASCII that is neither white space nor a control byte. */
static bool is_plain(char c)
{
	return c > ' ' && (unsigned char)c < 0x80;
}

/*
 * What is not plain: white space is skipped (returns true), anything else gets its length and, if it
 * may not be in a text, its fault.
 */
static bool skip_white(const char **p, const char *end, size_t *ret_n, enum text_fault *fault)
{
	uint32_t character = 0;
	unsigned n = utf8_decode(*p, (size_t)(end - *p), &character);

	if (n > 0 && is_white(character)) {
		*p += n;
		return true;
	}
	if (*fault == TEXT_FINE && (n == 0 || character == 0)) {
		*fault = n == 0 ? TEXT_NO_UTF8 : TEXT_HAS_NUL;
	}
	*ret_n = n > 0 ? n : 1;
	return false;
}

/* `out` never passes `text`: a blank is written where white space took a byte at least. */
enum text_fault text_fold(const char *text, size_t len, char *out, size_t *ret_len)
{
	const char *p = text, *end = text + len;
	enum text_fault fault = TEXT_FINE;
	bool gap = false;
	char *o = out;

	while (p < end) {
		size_t n = 0;

		if (!is_plain(*p) && skip_white(&p, end, &n, &fault)) {
			gap = o > out;
			continue;
		}
		if (gap) {
			*o++ = ' ';
			gap = false;
		}
		for (; n > 0; n--) {
			*o++ = *p++;
		}
		while (p < end && is_plain(*p)) {
			*o++ = *p++;
		}
	}
	*ret_len = (size_t)(o - out);
	return fault;
}

static const uint64_t ONES = UINT64_C(0x0101010101010101);

/* The high bit of each byte of a word that is zero. */
static uint64_t zeros(uint64_t word)
{
	return ~(((word & ONES * 0x7f) + ONES * 0x7f) | word | ONES * 0x7f);
}

/*
 * Eight bytes, the first in the lowest place: ASCII without control bytes, and no blank behind
 * another. *blank says so of the byte before them, and of the last of them.
 */
static bool is_folded_word(uint64_t word, uint64_t *blank)
{
	uint64_t blanks = zeros(word ^ (ONES * ' ')) >> 7;
	uint64_t beyond = word | ~(word + ONES * (0x80 - ' '));
	bool ok = (beyond & ONES * 0x80) == 0 && (blanks & (blanks << 8 | *blank)) == 0;

	*blank = blanks >> 56;
	return ok;
}

bool text_is_folded(const char *text, size_t len)
{
	uint64_t word, blank = 1; /* a blank at the begin is one too many */
	bool ok = len == 0 || text[len - 1] != ' ';
	size_t at = 0;

	for (; ok && len - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, text + at, sizeof(word));
		ok = is_folded_word(le64toh(word), &blank);
	}
	word = ONES * 'x';
	for (; at < len; len--) {
		word = word << 8 | (unsigned char)text[len - 1];
	}
	return ok && is_folded_word(word, &blank);
}

/* One character, or one byte that is none, as text_quote() shows it. Returns the bytes it took. */
static unsigned show(const char *text, size_t len, char shown[static 8])
{
	unsigned char c = (unsigned char)*text;
	uint32_t character = 0;
	unsigned n = utf8_decode(text, len, &character);

	if (c == '\n' || c == '\t') {
		snprintf(shown, 8, "\\%c", c == '\n' ? 'n' : 't');
		return 1;
	}
	if (n == 0 || character < ' ' || character == 0x7f) {
		snprintf(shown, 8, "\\x%02x", c);
		return 1;
	}
	if (character >= 0x80 && character < 0xa0) {
		snprintf(shown, 8, "\\u%04x", character);
		return n;
	}
	snprintf(shown, 8, "%s%.*s", c == '"' || c == '\\' ? "\\" : "", (int)n, text);
	return n;
}

void text_quote(const char *text, size_t len, char *out, size_t size)
{
	static const char cut[] = "\"...";
	const char *end = text + len;
	size_t used = 1;
	char shown[8];

	assert(size > sizeof(cut) + sizeof(shown));
	out[0] = '"';
	while (text < end) {
		unsigned n = show(text, (size_t)(end - text), shown);

		if (used + strlen(shown) + sizeof(cut) > size) {
			memcpy(out + used, cut, sizeof(cut));
			return;
		}
		memcpy(out + used, shown, strlen(shown));
		used += strlen(shown);
		text += n;
	}
	memcpy(out + used, "\"", 2);
}
