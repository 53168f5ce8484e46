/*
 * Text as it is stored. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/utf8.h"
#include "lib/word.h"

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

bool text_is_folded(const char *text, size_t len)
{
	uint64_t word = 0, blank = 1; /* a blank at the begin is one too many */
	bool ok = len == 0 || text[len - 1] != ' ';
	size_t at = 0;

	for (; ok && len - at >= WORD_BYTES; at += WORD_BYTES) {
		ok = word_is_folded(word_load(text + at), &blank);
	}
	for (size_t i = len; i > at; i--) {
		word = word << 8 | (unsigned char)text[i - 1];
	}
	return ok && word_is_folded(word_cut(word, (unsigned)(len - at)), &blank);
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
